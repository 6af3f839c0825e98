//! `ipcx sem run`: a lock, or one of several places, around a command.

use super::spec::Part;
use crate::args::{SemRef, WaitArgs};
use crate::cmd::{Context, Outcome, verbs};
use crate::error::{Doing as _, Error, Result};
use crate::exit::Status;
use crate::mech::{Access, Counter, Op};
use crate::model::Wait;
use crate::sys::child::Start;
use crate::sys::guardian::Tally;
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
thing: ipcx waits for the command, and a guardian process that outlives both gives back;
kill -9 of ipcx and of its guardian loses what was taken. The status is that of the
command.")]
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

/// Runs the command as a child. A guardian gives back afterwards, also if we do not live to see it.
fn beside(args: &RunArgs, counter: &mut dyn Counter, waiter: Waiter, ctx: &mut Context) -> Outcome {
    ctx.ui.note(
        "a POSIX semaphore is given back by a process of ipcx; if that is killed by -9 as well, it is not; \
         a System V set has undo",
    );
    let index = args.part.index;
    let taken = Tally::new().map_err(|errno| Error::new("mmap", errno, &args.target.reference).doing(ACT));
    let taken = taken.map_err(verbs::before_command)?;
    let guardian = verbs::guardian("the semaphore", || drop(give_back(&taken, counter, index)))?;
    if let Err(error) = counter.wait(index, args.part.amount, &waiter) {
        guardian.dismiss();
        return Err(verbs::before_command(error.doing(ACT)));
    }
    taken.add(args.part.amount.into());
    drop(waiter);
    // The deadline was for taking; the command may run as long as it likes.
    let waiter = Waiter::new(Wait::Forever);
    let ended = match waiter::caught() {
        Some(signal) => Ok(Status::Signal(signal)),
        None => {
            let start = Start { argv: &args.command, announced: Some(guardian.socket()), ..Start::default() };
            verbs::run_child(start, &waiter)
        }
    };
    guardian.finish();
    // It was killed, or could not.
    give_back(&taken, counter, index).doing("cannot give back")?;
    ended
}

/// Gives back what was taken, unless that was done already.
fn give_back(taken: &Tally, counter: &mut dyn Counter, index: u16) -> Result<()> {
    let amount = taken.take();
    let given = counter.post(index, u16::try_from(amount).unwrap_or(u16::MAX));
    if given.is_err() {
        taken.add(amount);
    }
    given
}
