//! `ipcx sem run`: a lock, or one of several places, around a command.

use super::spec::Part;
use crate::args::{SemRef, WaitArgs};
use crate::cmd::{Context, Outcome, verbs};
use crate::error::{Doing as _, Error};
use crate::mech::{Access, Counter, Op};
use crate::sys::waiter::{self, Waiter};
use clap::Args;
use nix::errno::Errno;
use std::ffi::OsString;

const ACT: &str = "cannot take";

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx sem run $s -- make install            one at a time
  ipcx sem run key/1234 -n 2 --timeout 1m -- big-job
  ipcx sem run $s --nowait -- true || echo busy

Of a System V set, ipcx takes with undo and becomes the command: the kernel gives back
what was taken when the command ends, kill -9 included. A POSIX semaphore has no such
thing: ipcx waits for the command and gives back, unless ipcx itself is killed by -9.
The status is that of the command.")]
pub struct RunArgs {
    #[command(flatten)]
    target: SemRef,

    #[command(flatten)]
    part: Part,

    #[command(flatten)]
    wait: WaitArgs,

    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub fn run(args: &RunArgs, ctx: &mut Context) -> Outcome {
    let mut counter = verbs::open(&args.target.reference, Access::Both, ACT).map_err(verbs::before_command)?.counter();
    let waiter = Waiter::new(args.wait.wait());
    if !counter.undoes() {
        return beside(args, &mut *counter, waiter, ctx);
    }
    let amount = i16::try_from(args.part.amount).map_err(|_| {
        let cause = format!("{} is over 32767 (SEMVMX)", args.part.amount);
        Error::new("semop", Errno::ERANGE, &args.target.reference).because(cause).doing(ACT)
    })?;
    let take = Op { index: args.part.index, amount: -amount, undo: true, nowait: false };
    counter.operate(&[take], &waiter).doing(ACT).map_err(verbs::before_command)?;
    drop(waiter);
    Err(verbs::become_command(&args.command))
}

/// Runs the command as a child and gives back afterwards.
fn beside(args: &RunArgs, counter: &mut dyn Counter, waiter: Waiter, ctx: &mut Context) -> Outcome {
    ctx.ui.note("a POSIX semaphore is given back by ipcx alone: killed by -9 it could not; a System V set has undo");
    counter.wait(args.part.index, args.part.amount, &waiter).doing(ACT).map_err(verbs::before_command)?;
    drop(waiter);
    // The deadline was for taking; the command may run as long as it likes.
    let waiter = Waiter::new(crate::model::Wait::Forever);
    let ended = match waiter::caught() {
        Some(signal) => Ok(crate::exit::Status::Signal(signal)),
        None => verbs::run_command(&args.command, &waiter),
    };
    counter.post(args.part.index, args.part.amount).doing("cannot give back")?;
    ended
}
