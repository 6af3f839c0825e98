//! `ipcx fifo`: pipes that have a path.

mod create;
mod peek;
mod recv;
mod send;

pub use create::CreateArgs;
pub use create::run as create;

use super::{Context, Outcome, ls, rm, show};
use crate::args::FifoRefs;
use crate::model::{Ident, Kind, ObjectRef};
use crate::sys::file;
use clap::Subcommand;
use std::path::Path;

#[derive(Subcommand, Debug)]
#[command(
    defer = true,
    after_help = "\
Examples:
  ipcx mkfifo ./jobs
  exec 3<>./jobs                 the script keeps it open, so that jobs wait in it
  ipcx fifo send ./jobs 'first job' 'second job'
  ipcx fifo recv ./jobs -n 1
  ipcx fifo show ./jobs          who reads, who writes, who is stuck in open
  ipcx fifo rm ./jobs"
)]
pub enum FifoCommand {
    /// Make FIFOs and print their paths; the same as `ipcx mkfifo`
    Create(create::CreateArgs),
    /// Write lines or standard input into a FIFO
    Send(send::SendArgs),
    /// Read from a FIFO to its end, or some lines of it
    Recv(recv::RecvArgs),
    /// Look at what waits in a FIFO, taking nothing
    Peek(peek::PeekArgs),
    /// List FIFOs that processes have open or wait to open
    Ls(ls::KindLsArgs<FifoRefs>),
    /// Show everything known of a FIFO
    Show(show::ShowArgs<FifoRefs>),
    /// Remove FIFOs
    Rm(rm::RmArgs<FifoRefs>),
}

pub fn run(command: &FifoCommand, ctx: &mut Context) -> Outcome {
    match command {
        FifoCommand::Create(args) => create::run(args, ctx),
        FifoCommand::Send(args) => send::run(args, ctx),
        FifoCommand::Recv(args) => recv::run(args, ctx),
        FifoCommand::Peek(args) => peek::run(args, ctx),
        FifoCommand::Ls(args) => ls::run_kind(Kind::Fifo, args, ctx),
        FifoCommand::Show(args) => show::run(args, ctx),
        FifoCommand::Rm(args) => rm::run(args, ctx),
    }
}

/// The path of a reference under this noun, which has no other form.
fn path(reference: &ObjectRef) -> &Path {
    match &reference.id {
        Ident::Path(path) => file::path(path.raw()),
        _ => Path::new(""),
    }
}
