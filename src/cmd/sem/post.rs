//! `ipcx sem post`.

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

    /// Which semaphore of the set
    #[arg(short, long, value_name = "INDEX", default_value_t = 0)]
    index: u16,

    /// How much to give
    #[arg(short = 'n', long, value_name = "AMOUNT", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    count: u16,
}

pub fn run(args: &PostArgs) -> Outcome {
    let mut counter = verbs::open(&args.target.reference, Access::Both, ACT)?.counter();
    counter.post(args.index, args.count).doing(ACT)?;
    Ok(Status::Done)
}
