//! `ipcx signal`: signals.

mod block;
mod hits;
mod list;
mod process;
mod send;
mod show;
mod trap;

use super::{Context, Outcome};
use clap::Subcommand;

#[derive(Subcommand, Debug)]
#[command(
    defer = true,
    after_help = "\
Examples:
  ipcx signal trap USR1 TERM                 print each with its sender
  ipcx signal send USR1 4242
  ipcx signal send RTMIN+1 4242 --value 7    a real-time signal is queued, with its value
  ipcx signal send TERM --name '^worker' --wait 5s
  ipcx signal show 4242                      blocked, ignored, caught, pending
  ipcx signal list 143                       which signal was status 143?"
)]
pub enum SignalCommand {
    /// Send a signal, with a value if wanted
    Send(send::SendArgs),
    /// Wait for signals and print each with its sender
    Trap(trap::TrapArgs),
    /// List signals, or decode a status or a mask
    List(list::ListArgs),
    /// Show what a process does with signals
    Show(show::ShowArgs),
    /// Run a command with signals blocked
    Block(block::BlockArgs),
}

pub fn run(command: &SignalCommand, ctx: &mut Context) -> Outcome {
    match command {
        SignalCommand::Send(args) => send::run(args, ctx),
        SignalCommand::Trap(args) => trap::run(args, ctx),
        SignalCommand::List(args) => list::run(args, ctx),
        SignalCommand::Show(args) => show::run(args, ctx),
        SignalCommand::Block(args) => block::run(args),
    }
}
