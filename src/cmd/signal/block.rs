//! `ipcx signal block`: a command that starts with signals blocked.

use crate::args::signal as words;
use crate::cmd::{Outcome, verbs};
use crate::model::Signal;
use crate::sys::run;
use clap::Args;
use std::ffi::OsString;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx signal block INT -- make install
  ipcx signal block USR1 -- sh -c 'echo $$ >pid; exec ipcx signal trap USR1'

ipcx becomes the command, which has these signals blocked beside those that were. One that
comes stays pending until the command takes or unblocks it, so none is lost before it is
ready. A command may unblock what it likes, and some shells unblock everything when they
have waited for a command: let them `exec` the one that is to inherit it.")]
pub struct BlockArgs {
    /// Signals: INT, SIGINT, 2, RTMIN+1; not KILL and STOP
    #[arg(value_name = "SIG", required = true, allow_negative_numbers = true, value_parser = words::blockable, add = words::names())]
    signals: Vec<Signal>,

    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub fn run(args: &BlockArgs) -> Outcome {
    match run::exec_blocking(&args.command, args.signals.iter().copied().collect()) {
        Err(errno) => Err(verbs::cannot_run(&args.command, errno)),
    }
}
