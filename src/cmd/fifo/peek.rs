//! `ipcx fifo peek`.

use super::path;
use crate::args::FifoRef;
use crate::cmd::{Context, Outcome, verbs};
use crate::error::Doing as _;
use crate::inventory::Holders;
use crate::mech::fifo;
use clap::Args;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx fifo peek ./jobs            in hexadecimal and as text
  ipcx fifo peek ./jobs --raw | wc -l

Nothing is taken, and no end is opened: it looks through a process that has the FIFO open
to read. That must be one of your own, unless you are root. A FIFO that nobody has open
holds nothing.")]
pub struct PeekArgs {
    #[command(flatten)]
    target: FifoRef,

    /// The bytes alone
    #[arg(long)]
    raw: bool,
}

pub fn run(args: &PeekArgs, ctx: &mut Context) -> Outcome {
    let bytes = fifo::peek(path(&args.target.reference), &Holders::default()).doing("cannot peek into")?;
    verbs::peeked(&bytes, args.raw, ctx)
}
