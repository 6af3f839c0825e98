//! `ipcx shm resize`.

use crate::args::{ShmRef, units};
use crate::cmd::{Outcome, verbs};
use crate::error::Doing as _;
use crate::exit::Status;
use crate::mech::Access;
use clap::Args;

const ACT: &str = "cannot resize";

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx shm resize /frames 8M
  ipcx shm resize ./data.bin 1G

New bytes are zero. A process that still uses bytes which are cut off dies of SIGBUS.
The size of a System V segment is fixed when it is made.")]
pub struct ResizeArgs {
    #[command(flatten)]
    target: ShmRef,

    /// The new size
    #[arg(value_name = "SIZE", value_parser = units::size)]
    size: u64,
}

pub fn run(args: &ResizeArgs) -> Outcome {
    let mut region = verbs::open(&args.target.reference, Access::Both, ACT)?.region();
    region.resize(args.size).doing(ACT)?;
    Ok(Status::Done)
}
