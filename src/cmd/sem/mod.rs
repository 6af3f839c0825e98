//! `ipcx sem`: semaphores.

mod create;
mod get;
mod op;
mod post;
mod run;
mod set;
mod spec;
mod wait;
mod zero;

use super::{Context, Outcome, ls, rm, show};
use crate::args::SemRefs;
use crate::model::Kind;
use clap::Subcommand;

#[derive(Subcommand, Debug)]
#[command(
    defer = true,
    after_help = "\
Examples:
  s=$(ipcx sem create --value 1)
  ipcx sem run $s -- make install
  ipcx sem get $s
  ipcx sem rm $s"
)]
pub enum SemCommand {
    /// Make a semaphore or a set and print its reference
    Create(create::CreateArgs),
    /// Take from a semaphore, waiting until it is there
    Wait(wait::WaitCommand),
    /// Give to a semaphore
    Post(post::PostArgs),
    /// Wait until a semaphore is zero
    Zero(zero::ZeroArgs),
    /// Print values and waiters
    Get(get::GetArgs),
    /// Set values, mode or owner
    Set(set::SetArgs),
    /// Do several operations at once or none of them
    Op(op::OpArgs),
    /// Take, run a command, give back
    Run(run::RunArgs),
    /// List semaphores
    Ls(ls::KindLsArgs<SemRefs>),
    /// Show everything known of a semaphore
    Show(show::ShowArgs<SemRefs>),
    /// Remove semaphores
    Rm(rm::RmArgs<SemRefs>),
}

pub fn run(command: &SemCommand, ctx: &mut Context) -> Outcome {
    match command {
        SemCommand::Create(args) => create::run(args, ctx),
        SemCommand::Wait(args) => wait::run(args),
        SemCommand::Post(args) => post::run(args),
        SemCommand::Zero(args) => zero::run(args),
        SemCommand::Get(args) => get::run(args, ctx),
        SemCommand::Set(args) => set::run(args),
        SemCommand::Op(args) => op::run(args),
        SemCommand::Run(args) => run::run(args, ctx),
        SemCommand::Ls(args) => ls::run_kind(Kind::Sem, args, ctx),
        SemCommand::Show(args) => show::run(args, ctx),
        SemCommand::Rm(args) => rm::run(args, ctx),
    }
}
