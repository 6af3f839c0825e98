//! `ipcx sock`: sockets.

use super::{Context, Outcome, ls, rm, show};
use crate::args::SockRefs;
use crate::model::Kind;
use clap::Subcommand;

#[derive(Subcommand, Debug)]
#[command(
    defer = true,
    after_help = "\
Examples:
  ipcx sock ls
  ipcx sock show @svc"
)]
pub enum SockCommand {
    /// List unix sockets
    Ls(ls::KindLsArgs),
    /// Show everything known of a unix socket
    Show(show::ShowArgs<SockRefs>),
    /// Remove the files of unix sockets
    Rm(rm::RmArgs<SockRefs>),
}

pub fn run(command: &SockCommand, ctx: &mut Context) -> Outcome {
    match command {
        SockCommand::Ls(args) => ls::run_kind(Kind::Sock, args, ctx),
        SockCommand::Show(args) => show::run(args, ctx),
        SockCommand::Rm(args) => rm::run(args, ctx),
    }
}
