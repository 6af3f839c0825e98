//! `ipcx mkfifo`, `ipcx fifo create`.

use crate::args::FifoRefs;
use crate::args::Refs as _;
use crate::cmd::verbs::{self, CreateOptions};
use crate::cmd::{Context, Outcome};
use crate::exit::Status;
use crate::mech::What;
use crate::model::Kind;
use clap::Args;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx mkfifo ./jobs
  ipcx mkfifo /run/log.fifo --mode 622
  jobs=$(ipcx mkfifo ./jobs --exist-ok)

A FIFO is a file: the umask applies to its mode, and it stays until it is removed. What is
in it is gone when nobody has it open any more. --exist-ok takes a FIFO that is there as it
is; another file is never touched and always status 5.")]
pub struct CreateArgs {
    #[command(flatten)]
    targets: FifoRefs,

    #[command(flatten)]
    options: CreateOptions,
}

pub fn run(args: &CreateArgs, ctx: &mut Context) -> Outcome {
    let spec = args.options.spec(What::Stream);
    let mut status = Status::Done;
    for reference in args.targets.list() {
        if let Err(error) = verbs::create(Kind::Fifo, Some(reference), &spec, ctx) {
            let failed = ctx.ui.report(&error);
            status = if status == Status::Done { failed } else { status };
        }
    }
    Ok(status)
}
