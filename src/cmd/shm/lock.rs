//! `ipcx shm lock` and `ipcx shm unlock`.

use crate::args::ShmRef;
use crate::cmd::Outcome;
use crate::error::Doing as _;
use crate::exit::Status;
use crate::inventory;
use crate::mech;
use crate::model::Needs;
use clap::Args;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx shm lock $m

The lock belongs to the segment, not to a process: it lasts until `ipcx shm unlock` or the
removal. RLIMIT_MEMLOCK bounds what a user may lock.")]
pub struct LockArgs {
    #[command(flatten)]
    target: ShmRef,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx shm unlock $m")]
pub struct UnlockArgs {
    #[command(flatten)]
    target: ShmRef,
}

pub fn lock(args: &LockArgs) -> Outcome {
    set(&args.target, true, "cannot lock")
}

pub fn unlock(args: &UnlockArgs) -> Outcome {
    set(&args.target, false, "cannot unlock")
}

fn set(target: &ShmRef, locked: bool, act: &'static str) -> Outcome {
    let object = inventory::find(&target.reference, Needs::SCAN).doing(act)?;
    mech::of(&target.reference).lock(&object, locked).doing(act)?;
    Ok(Status::Done)
}
