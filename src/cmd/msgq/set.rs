//! `ipcx msgq set`.

use crate::args::{MsgqRef, units};
use crate::cmd::Outcome;
use crate::cmd::verbs::{self, SetOptions};
use clap::Args;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx msgq set $q --mode 660 --owner :staff
  ipcx msgq set $q --max-bytes 16K

Only the owner, the creator or root may change a queue. A capacity over kernel.msgmnb
needs CAP_SYS_RESOURCE.")]
pub struct SetArgs {
    #[command(flatten)]
    target: MsgqRef,

    #[command(flatten)]
    options: SetOptions,

    /// Most payload bytes that it holds (System V)
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    max_bytes: Option<u64>,
}

pub fn run(args: &SetArgs) -> Outcome {
    if args.options.nothing() && args.max_bytes.is_none() {
        return Err(verbs::nothing_to_set("--mode, --owner or --max-bytes"));
    }
    verbs::set(&args.target.reference, &args.options.change(args.max_bytes))
}
