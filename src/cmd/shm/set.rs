//! `ipcx shm set`.

use crate::args::ShmRef;
use crate::cmd::Outcome;
use crate::cmd::verbs::{self, SetOptions};
use clap::Args;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx shm set $m --mode 660
  ipcx shm set /frames --owner alice:staff

Only the owner, the creator or root may change a segment.")]
pub struct SetArgs {
    #[command(flatten)]
    target: ShmRef,

    #[command(flatten)]
    options: SetOptions,
}

pub fn run(args: &SetArgs) -> Outcome {
    if args.options.nothing() {
        return Err(verbs::nothing_to_set("--mode or --owner"));
    }
    verbs::set(&args.target.reference, &args.options.change(None))
}
