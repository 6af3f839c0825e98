//! `ipcx shm read`.

use super::{RangeArgs, range};
use crate::args::ShmRef;
use crate::cmd::{Context, Outcome, verbs};
use crate::error::Doing as _;
use crate::exit::Status;
use crate::mech::Access;
use clap::Args;

const ACT: &str = "cannot read";
/// How much is moved at once.
const CHUNK: u64 = 1 << 26;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx shm read $m --length 5
  ipcx shm read /frames > picture.raw
  ipcx shm read key/1234 --offset 4K --length 512 | xxd")]
pub struct ReadArgs {
    #[command(flatten)]
    target: ShmRef,

    #[command(flatten)]
    range: RangeArgs,
}

pub fn run(args: &ReadArgs, ctx: &mut Context) -> Outcome {
    let reference = &args.target.reference;
    let mut region = verbs::open(reference, Access::Read, ACT)?.region();
    let (mut offset, mut left) = range(&*region, reference, args.range.offset, args.range.length).doing(ACT)?;
    ctx.ui.out.widen();
    while left > 0 {
        let length = usize::try_from(left.min(CHUNK)).unwrap_or(usize::MAX);
        let mut failed = None;
        let moved = ctx.ui.out.fill(|stdout| match region.pour(offset, length, stdout) {
            Ok(result) => result,
            Err(error) => {
                failed = Some(error);
                Ok(0)
            }
        })?;
        if let Some(error) = failed {
            return Err(error.doing(ACT));
        }
        offset += moved as u64;
        left -= moved as u64;
    }
    Ok(Status::Done)
}
