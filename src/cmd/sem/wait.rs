//! `ipcx sem wait`.

use super::spec::Part;
use crate::args::{SemRef, WaitArgs};
use crate::cmd::{Outcome, verbs};
use crate::error::Doing as _;
use crate::exit::Status;
use crate::mech::Access;
use crate::sys::waiter::Waiter;
use clap::Args;

const ACT: &str = "cannot wait for";

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx sem wait $s
  ipcx sem wait /slots --timeout 2s || echo busy
  ipcx sem wait key/1234 -i 2 -n 3

What was taken stays taken when ipcx ends; `ipcx sem run` gives it back by itself. The
whole amount is taken at once; who waits for less may be served before.")]
pub struct WaitCommand {
    #[command(flatten)]
    target: SemRef,

    #[command(flatten)]
    part: Part,

    #[command(flatten)]
    wait: WaitArgs,
}

pub fn run(args: &WaitCommand) -> Outcome {
    let mut counter = verbs::open(&args.target.reference, Access::Both, ACT)?.counter();
    counter.check(args.part.index).doing(ACT)?;
    let waiter = Waiter::new(args.wait.wait());
    counter.wait(args.part.index, args.part.amount, &waiter).doing(ACT)?;
    Ok(Status::Done)
}
