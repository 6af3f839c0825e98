//! `ipcx sem post`.

use super::spec::Part;
use crate::args::SemRef;
use crate::cmd::{Outcome, verbs};
use crate::error::Doing as _;
use crate::exit::Status;
use crate::mech::Access;
use clap::Args;

const ACT: &str = "cannot post to";

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx sem post $s
  ipcx sem post key/1234 -i 2 -n 3")]
pub struct PostArgs {
    #[command(flatten)]
    target: SemRef,

    #[command(flatten)]
    part: Part,
}

pub fn run(args: &PostArgs) -> Outcome {
    let mut counter = verbs::open(&args.target.reference, Access::Both, ACT)?.counter();
    counter.post(args.part.index, args.part.amount).doing(ACT)?;
    Ok(Status::Done)
}
