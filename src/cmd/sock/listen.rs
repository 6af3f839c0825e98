//! `ipcx sock listen`.

use super::{BindArgs, broken, commands, lost};
use crate::args::{AddressArgs, units};
use crate::cmd::{Context, Outcome, usage, verbs};
use crate::error::Doing as _;
use crate::exit::Status;
use crate::mech::sock::{Accepted, Listener};
use crate::model::{SockType, Wait};
use crate::sys::child::{Child, Start};
use crate::sys::duplex::{Broken, Line};
use crate::sys::waiter::{Stop, Waiter};
use clap::Args;
use nix::errno::Errno;
use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::time::Duration;

const ACT: &str = "cannot listen on";
/// Connections that wait to be taken while others are served.
const BACKLOG: i32 = 128;
/// The most commands at once without --max.
const MOST: u64 = 64;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx sock listen ./s                                one connection, here
  ipcx sock listen ./s --keep > received              what all of them send, one after another
  ipcx sock listen @echo --keep --exec cat            a command for each connection
  ipcx sock listen tcp:127.0.0.1:0 --exec 'sort'      the port is said on standard error
  ipcx sock listen ./s --mode 666 --keep --exec 'id -un $IPCX_PEER_UID'

It says `listening on ADDR` on standard error once others can connect. The end of standard
input ends the sending side of the connection, and what the peer still sends is written.
It ends when both sides have ended, or when the peer is gone.

With --keep and without --exec, what the peers send is written and nothing is sent to them.
With --exec, `sh -c CMD` has the connection as standard input and output; its environment
has IPCX_PEER_PID, IPCX_PEER_UID, IPCX_PEER_GID (unix) and IPCX_PEER_ADDRESS (if the peer has
one). Commands that run when ipcx is asked to stop are ended. Without --keep the status is
that of CMD.

A socket file is made with exactly the permissions of --mode and removed at the end. One
that is there is status 5; --replace-stale replaces it if nobody has it open any more.")]
pub struct ListenArgs {
    #[command(flatten)]
    target: AddressArgs,

    /// Take further connections after the first one
    #[arg(short, long)]
    keep: bool,

    /// Run this shell command for each connection
    #[arg(long, value_name = "CMD")]
    exec: Option<OsString>,

    /// The most commands at once; further connections wait [default: 64]
    #[arg(long, value_name = "N", requires_all = ["keep", "exec"], value_parser = units::count)]
    max: Option<u64>,

    #[command(flatten)]
    bind: BindArgs,

    /// End after this time with status 124: 500ms, 2s, 1m30s
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    timeout: Option<Duration>,
}

pub fn run(args: &ListenArgs, ctx: &mut Context) -> Outcome {
    let kind = args.target.kind().map_err(usage)?;
    if kind == SockType::Datagram {
        return Err(usage("datagrams have no connections; `ipcx sock recv` takes them"));
    }
    let binding = args.bind.binding(&args.target.address)?;
    if args.exec.is_none() {
        // No connection is taken if there is no place for what it brings.
        ctx.ui.out.stream().map_err(lost)?;
    }
    let waiter = Waiter::new(Wait::within(args.timeout));
    let backlog = if args.keep { BACKLOG } else { 0 };
    let bound = Listener::bind(&args.target.address, kind, binding, backlog, &waiter).doing(ACT);
    let once = args.exec.is_some() && !args.keep;
    let listener = bound.map_err(|error| if once { verbs::before_command(error) } else { error })?;
    ctx.ui.note(format_args!("listening on {}", listener.address));
    match &args.exec {
        None if args.keep => collect(&listener, &waiter, ctx),
        None => join(listener, &waiter, ctx),
        Some(command) if args.keep => {
            let most = usize::try_from(args.max.unwrap_or(MOST)).unwrap_or(usize::MAX);
            serve(command, most, &listener, &waiter, ctx)
        }
        Some(command) => serve_one(command, listener, &waiter),
    }
}

/// One connection; nobody else can come from then on.
fn join(listener: Listener, waiter: &Waiter, ctx: &mut Context) -> Outcome {
    let accepted = listener.accept(waiter).doing(ACT)?;
    let address = listener.address.clone();
    let line = line(&accepted, listener.kind());
    drop(listener);
    ctx.ui.out.stream().map_err(lost)?;
    line.join(waiter).map_err(|stop| broken(stop, &address))?;
    Ok(Status::Done)
}

fn line(accepted: &Accepted, kind: SockType) -> Line<'_> {
    let records = kind == SockType::Seqpacket;
    Line { socket: &accepted.socket, records, tells: accepted.credentials.is_some() }
}

/// What one connection after another brings.
fn collect(listener: &Listener, waiter: &Waiter, ctx: &mut Context) -> Outcome {
    loop {
        let accepted = listener.accept(waiter).doing(ACT)?;
        let out = ctx.ui.out.stream().map_err(lost)?;
        match line(&accepted, listener.kind()).drain(out, waiter) {
            Ok(()) => {}
            Err(Broken::Receiving(errno)) => ctx.ui.warn(format_args!("a peer broke its connection off ({errno:?})")),
            Err(stop) => return Err(broken(stop, &listener.address)),
        }
    }
}

fn shell(command: &OsString) -> [OsString; 3] {
    ["sh".into(), "-c".into(), command.clone()]
}

fn start(argv: &[OsString], accepted: Accepted) -> nix::Result<Child> {
    let mut variables = Vec::new();
    if let Some(peer) = accepted.credentials {
        variables.push(("IPCX_PEER_PID", peer.pid.to_string()));
        variables.push(("IPCX_PEER_UID", peer.uid.to_string()));
        variables.push(("IPCX_PEER_GID", peer.gid.to_string()));
    }
    variables.extend(accepted.address.map(|address| ("IPCX_PEER_ADDRESS", address.to_string())));
    Child::start(Start { argv, streams: Some(accepted.socket), variables: &variables, group: true, announced: None })
}

fn serve_one(command: &OsString, listener: Listener, waiter: &Waiter) -> Outcome {
    let accepted = listener.accept(waiter).doing(ACT).map_err(verbs::before_command)?;
    drop(listener);
    let argv = shell(command);
    let child = start(&argv, accepted).map_err(|errno| verbs::cannot_run(&argv, errno))?;
    let statuses = commands::attend(&mut [child], waiter)?;
    Ok(statuses.first().copied().unwrap_or(Status::Done))
}

/// A command for each connection, until a signal or the timeout ends them all.
fn serve(command: &OsString, most: usize, listener: &Listener, waiter: &Waiter, ctx: &mut Context) -> Outcome {
    let argv = shell(command);
    let mut children: Vec<Child> = Vec::new();
    let ended = loop {
        let room = children.len() < most;
        match commands::wait(&children, room.then(|| listener.as_fd()), waiter) {
            Ok(()) => {}
            Err(Stop::Signal(signal)) => break Ok(Status::Signal(signal)),
            Err(Stop::TimedOut) => break Ok(Status::TimedOut),
            Err(Stop::Errno(errno)) => {
                break Err(crate::error::Error::new("poll", errno, &listener.address).doing(ACT));
            }
        }
        let mut running = Vec::with_capacity(children.len() + 1);
        for mut child in children {
            match commands::status(&mut child)? {
                None => running.push(child),
                Some(status) => ctx.ui.detail(format_args!("a command ended with status {}", status.number())),
            }
        }
        children = running;
        if room && listener.waiting() {
            match listener.accept(waiter) {
                Ok(accepted) => match start(&argv, accepted) {
                    Ok(child) => children.push(child),
                    // The others go on; this peer sees its connection end.
                    Err(errno) => ctx.ui.warn(format_args!("a command could not be started ({errno:?})")),
                },
                Err(error) if error.errno == Errno::EINTR || error.errno == Errno::ETIMEDOUT => {}
                Err(error) => break Err(error.doing(ACT)),
            }
        }
    };
    commands::end(&mut children)?;
    ended
}
