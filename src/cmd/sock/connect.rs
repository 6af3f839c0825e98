//! `ipcx sock connect`.

use super::{broken, commands, lost};
use crate::args::{AddressArgs, units};
use crate::cmd::{Context, Outcome, usage, verbs};
use crate::error::Doing as _;
use crate::exit::Status;
use crate::mech::sock;
use crate::model::{SockType, Wait};
use crate::sys::child::{Child, Start};
use crate::sys::duplex::Line;
use crate::sys::waiter::Waiter;
use clap::Args;
use std::ffi::OsString;
use std::time::Duration;

const ACT: &str = "cannot connect to";

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx sock connect ./s
  printf 'GET / HTTP/1.0\\r\\n\\r\\n' | ipcx sock connect tcp:localhost:80
  tar c . | ipcx sock connect @backup --timeout 1m
  ipcx sock connect ./s -- sh -c 'echo question; read answer; echo \"$answer\" >&2'

The end of standard input ends the sending side of the connection; what the peer still sends
is written until it ends too. A unix peer that is gone ends it at once. A TCP peer that
has ended its side may still read, so the rest of the input goes to it, unless the input is
a terminal. All addresses of a host are tried. Looking up its name is not bounded by --timeout.")]
pub struct ConnectArgs {
    #[command(flatten)]
    target: AddressArgs,

    /// End after this time with status 124: 500ms, 2s, 1m30s
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    timeout: Option<Duration>,

    /// Give the connection to this command as its standard input and output
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub fn run(args: &ConnectArgs, ctx: &mut Context) -> Outcome {
    let (address, kind) = (&args.target.address, args.target.kind().map_err(usage)?);
    if kind == SockType::Datagram {
        return Err(usage("datagrams have no connections; use `ipcx sock send` and `ipcx sock recv`"));
    }
    if args.command.is_empty() {
        ctx.ui.out.stream().map_err(lost)?;
    }
    let waiter = Waiter::new(Wait::within(args.timeout));
    let connected = sock::connect(address, kind, &waiter).doing(ACT);
    if !args.command.is_empty() {
        let socket = connected.map_err(verbs::before_command)?;
        let start = Start { argv: &args.command, streams: Some(socket), ..Start::default() };
        let child = Child::start(start).map_err(|errno| verbs::cannot_run(&args.command, errno))?;
        let statuses = commands::attend(&mut [child], &waiter)?;
        return Ok(statuses.first().copied().unwrap_or(Status::Done));
    }
    let socket = connected?;
    let line = Line { socket: &socket, records: kind == SockType::Seqpacket, tells: address.is_unix() };
    line.join(&waiter).map_err(|stop| broken(stop, address))?;
    Ok(Status::Done)
}
