//! `ipcx sock pair`: two commands in conversation.

use super::commands;
use crate::args::address::types;
use crate::args::units;
use crate::cmd::children::BETWEEN;
use crate::cmd::{Outcome, usage, verbs};
use crate::error::Doing as _;
use crate::exit::Status;
use crate::mech::sock;
use crate::model::{SockType, Wait};
use crate::sys::child::{Child, Start};
use crate::sys::waiter::Waiter;
use clap::Args;
use std::ffi::OsString;
use std::time::Duration;

#[derive(Args, Debug)]
#[command(
    override_usage = "ipcx sock pair [OPTIONS] CMD... ::: CMD...",
    after_help = "\
Examples:
  ipcx sock pair ./client ::: ./server
  ipcx sock pair sh -c 'echo 6; read answer; echo \"$answer\" >&2' ::: sh -c 'read n; echo $((n * 7))'
  ipcx sock pair --pipefail ./left ::: ./right --option

Each command has one end of a pair of sockets as standard input and standard output, so what
one writes the other reads; when one ends, the other sees the end of its input. The status
is that of the second one. Signals reach both."
)]
pub struct PairArgs {
    /// Type of the sockets: stream, dgram or seqpacket
    #[arg(
        short = 't',
        long = "type",
        value_name = "TYPE",
        default_value = "stream",
        value_parser = types(),
        hide_possible_values = true
    )]
    kind: SockType,

    /// The status is that of the first command that fails, if one does
    #[arg(long)]
    pipefail: bool,

    /// End both after this time, with status 124
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    timeout: Option<Duration>,

    /// The two commands, with ::: between them
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    commands: Vec<OsString>,
}

pub fn run(args: &PairArgs) -> Outcome {
    let parts: Vec<&[OsString]> = args.commands.split(|word| word == BETWEEN).collect();
    let [first, second] = parts[..] else {
        return Err(usage(format!("give two commands: CMD {BETWEEN} CMD")));
    };
    if first.is_empty() || second.is_empty() {
        return Err(usage(format!("a command is missing beside {BETWEEN}")));
    }
    let waiter = Waiter::new(Wait::within(args.timeout));
    let (here, there) = sock::pair(args.kind).doing("cannot make a pair of sockets").map_err(verbs::before_command)?;
    let start = |argv, end| {
        let started = Child::start(Start { argv, streams: Some(end), ..Start::default() });
        started.map_err(|errno| verbs::cannot_run(argv, errno))
    };
    let mut children = vec![start(first, here)?];
    match start(second, there) {
        Ok(child) => children.push(child),
        Err(error) => {
            commands::end(&mut children)?;
            return Err(error);
        }
    }
    let statuses = commands::attend(&mut children, &waiter)?;
    let failed = statuses.iter().copied().find(|status| args.pipefail && status.number() != 0);
    Ok(failed.or(statuses.last().copied()).unwrap_or(Status::Done))
}
