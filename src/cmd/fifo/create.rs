//! `ipcx mkfifo`, `ipcx fifo create`.

use crate::args::{FifoRefs, Refs as _, units};
use crate::cmd::{Context, Outcome, verbs};
use crate::exit::Status;
use crate::mech::{Spec, What};
use crate::model::Kind;
use clap::Args;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx mkfifo ./jobs
  ipcx mkfifo -m 622 /run/log.fifo
  jobs=$(ipcx mkfifo ./jobs --exist-ok)

A FIFO is a file and stays until it is removed. What is in it is gone when nobody has it
open any more. --exist-ok takes a FIFO that is there as it is; another file is never
touched and always status 5.")]
pub struct CreateArgs {
    #[command(flatten)]
    targets: FifoRefs,

    /// Permissions, exactly these; without it 600, to which the umask applies
    #[arg(short, long, value_name = "OCTAL", value_parser = units::mode)]
    mode: Option<u32>,

    /// Use the FIFO if it exists; it is not changed in any way
    #[arg(long)]
    exist_ok: bool,
}

pub fn run(args: &CreateArgs, ctx: &mut Context) -> Outcome {
    let spec = Spec { mode: args.mode, exist_ok: args.exist_ok, what: What::Stream };
    let mut status = Status::Done;
    for reference in args.targets.list() {
        if let Err(error) = verbs::create(Kind::Fifo, Some(reference), &spec, ctx) {
            let failed = ctx.ui.report(&error);
            status = if status == Status::Done { failed } else { status };
        }
    }
    Ok(status)
}
