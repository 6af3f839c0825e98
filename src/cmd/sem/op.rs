//! `ipcx sem op`.

use super::spec::{self, OpSpec};
use crate::args::{SemRef, WaitArgs};
use crate::cmd::{Outcome, usage, verbs};
use crate::error::Doing as _;
use crate::exit::Status;
use crate::mech::{Access, Op};
use crate::sys::waiter::Waiter;
use clap::Args;
use std::ffi::OsString;

const ACT: &str = "cannot operate on";

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx sem op $s 0=-1 1=-1 --timeout 5s       both or neither
  ipcx sem op $s 0=-1u 1=+1 -- make           held as long as make lives
  ipcx sem op $s 0=0 0=+1                     wait for zero, then take it
  ipcx sem op $s 2-4=+2 --nowait

All operations are done at once or none is. With a command, ipcx becomes that command
once they are done: what was taken with u or --undo is given back by the kernel when it
ends, however it ends. System V only.")]
pub struct OpArgs {
    #[command(flatten)]
    target: SemRef,

    /// Operations: INDEX=OP, FIRST-LAST=OP or all=OP; u behind it for undo, n for nowait
    #[arg(value_name = "I[-J]=OP", required = true, value_parser = spec::op)]
    ops: Vec<OpSpec>,

    /// Give back everything when the command ends
    #[arg(long)]
    undo: bool,

    #[command(flatten)]
    wait: WaitArgs,

    /// Become this command once the operations are done
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub fn run(args: &OpArgs) -> Outcome {
    let undoes = args.undo || args.ops.iter().any(|spec| spec.op.undo);
    if undoes && args.command.is_empty() {
        return Err(usage("undo without a command would give everything back at once, when ipcx ends; add -- CMD"));
    }
    let taken = operate(args);
    if args.command.is_empty() {
        return taken.map(|()| Status::Done);
    }
    taken.map_err(verbs::before_command)?;
    Err(verbs::become_command(&args.command))
}

fn operate(args: &OpArgs) -> anyhow::Result<()> {
    let mut counter = verbs::open(&args.target.reference, Access::Both, ACT)?.counter();
    let count = counter.len();
    let mut ops: Vec<Op> = Vec::new();
    for spec in &args.ops {
        counter.check(*spec.range.indices(count).end()).doing(ACT)?;
        ops.extend(spec.range.indices(count).map(|index| Op { index, undo: spec.op.undo || args.undo, ..spec.op }));
    }
    let waiter = Waiter::new(args.wait.wait());
    counter.operate(&ops, &waiter).doing(ACT)
}
