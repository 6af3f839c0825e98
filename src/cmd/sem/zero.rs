//! `ipcx sem zero`.

use crate::args::{SemRef, WaitArgs};
use crate::cmd::{Outcome, verbs};
use crate::error::Doing as _;
use crate::exit::Status;
use crate::mech::{Access, Op};
use crate::sys::waiter::Waiter;
use clap::Args;

const ACT: &str = "cannot wait for";

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx sem zero $s                     until nobody is left
  ipcx sem zero key/1234 -i 1 --timeout 10s

System V only: a POSIX semaphore cannot be waited on to become zero.")]
pub struct ZeroArgs {
    #[command(flatten)]
    target: SemRef,

    /// Which semaphore of the set
    #[arg(short, long, value_name = "INDEX", default_value_t = 0)]
    index: u16,

    #[command(flatten)]
    wait: WaitArgs,
}

pub fn run(args: &ZeroArgs) -> Outcome {
    let mut counter = verbs::open(&args.target.reference, Access::Both, ACT)?.counter();
    let waiter = Waiter::new(args.wait.wait());
    let op = Op { index: args.index, amount: 0, undo: false, nowait: false };
    counter.operate(&[op], &waiter).doing(ACT)?;
    Ok(Status::Done)
}
