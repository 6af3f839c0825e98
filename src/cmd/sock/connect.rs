//! `ipcx sock connect`.

use super::converse::Talk;
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
  echo question | ipcx sock connect udp:localhost:5000 -n 1 --timeout 2s
  ipcx sock connect @server --type dgram           type questions, read answers

The end of standard input ends the sending side of the connection; what the peer still
sends is written until it ends too. A unix peer that is gone ends it at once. A TCP peer
that has ended its side may still read, so the rest of the input goes to it, unless the
input is a terminal. All addresses of a host are tried. Looking up its name is not bounded
by --timeout.

Of datagrams every line of the input is one, and every one that comes from ADDR is written
as a line; with -0 a NUL stands for the newline. With -n it ends when N have come and the
lines that it has read are sent, whether or not the input has ended. Without -n, --timeout
ends it, always with status 124, though answers have come. Without either it ends with the
input, and waits for no answer. Nobody says if a datagram is lost; but if the machine says
that nobody has the port, the status is 3. A unix socket gets an abstract name of its own,
so that it can be answered. Datagrams also go to a broadcast address; the answers come
from other addresses, and are not taken.")]
pub struct ConnectArgs {
    #[command(flatten)]
    target: AddressArgs,

    /// End after this time with status 124: 500ms, 2s, 1m30s
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    timeout: Option<Duration>,

    /// End after this many datagrams have come
    #[arg(short = 'n', long, value_name = "N", value_parser = units::count, conflicts_with = "command")]
    count: Option<u64>,

    /// Datagrams end with a NUL in the input and in the output, instead of a newline
    #[arg(short = '0', long, conflicts_with = "command")]
    null: bool,

    /// Give the connection to this command as its standard input and output
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub fn run(args: &ConnectArgs, ctx: &mut Context) -> Outcome {
    let (address, kind) = (&args.target.address, args.target.kind().map_err(usage)?);
    let datagrams = kind == SockType::Datagram;
    if datagrams && !args.command.is_empty() {
        return Err(usage("datagrams have no connection that a command could be given"));
    }
    if !datagrams && (args.count.is_some() || args.null) {
        return Err(usage("a connection goes on until its end; --count and --null are for datagrams"));
    }
    if args.command.is_empty() {
        ctx.ui.out.stream().map_err(lost)?;
    }
    let waiter = Waiter::new(Wait::within(args.timeout));
    if datagrams {
        let socket = sock::connect_datagrams(address, &waiter).doing(ACT)?;
        let end = if args.null { 0 } else { b'\n' };
        return Talk { address, end, count: args.count }.hold(&socket, waiter, ctx);
    }
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
