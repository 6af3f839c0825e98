//! `ipcx sock`: sockets.

mod commands;
mod connect;
mod converse;
mod listen;
mod pair;
mod peek;
mod recv;
mod send;

use super::{Context, Outcome, ls, rm, show, usage};
use crate::args::SockRefs;
use crate::error::{Error, ResultLost, StdoutFailed};
use crate::mech::sock::Binding;
use crate::model::{Address, Kind};
use crate::sys::duplex::Broken;
use crate::sys::waiter::Stop;
use clap::{Args, Subcommand};
use nix::errno::Errno;

#[derive(Subcommand, Debug)]
#[command(
    defer = true,
    after_help = "\
Examples:
  ipcx sock recv ./s > received &
  ipcx sock send ./s hello
  ipcx sock listen tcp:127.0.0.1:8080 --keep --exec ./handler
  ipcx sock connect tcp:localhost:8080
  ipcx sock recv @log --type dgram --follow
  ipcx sock send @log --type dgram 'one message'

An address is a path with a slash (./s), @NAME (abstract: no file), tcp:HOST:PORT or
udp:HOST:PORT; an IPv6 host stands in brackets. An empty HOST or * means every address of
this machine when listening, and this machine when connecting."
)]
pub enum SockCommand {
    /// Wait for a connection and join it to standard input and output
    Listen(listen::ListenArgs),
    /// Connect, and join the connection to standard input and output
    Connect(connect::ConnectArgs),
    /// Send messages, bytes or open descriptors
    Send(send::SendArgs),
    /// Take messages, bytes or open descriptors
    Recv(recv::RecvArgs),
    /// Let two commands talk with each other
    Pair(pair::PairArgs),
    /// Look at what waits in a socket of a process, taking nothing
    Peek(peek::PeekArgs),
    /// List unix sockets and the processes at both ends
    Ls(ls::KindLsArgs<SockRefs>),
    /// Show everything known of a unix socket
    Show(show::ShowArgs<SockRefs>),
    /// Remove the files of unix sockets that nobody uses
    Rm(rm::RmArgs<SockRefs>),
}

pub fn run(command: &SockCommand, ctx: &mut Context) -> Outcome {
    match command {
        SockCommand::Listen(args) => listen::run(args, ctx),
        SockCommand::Connect(args) => connect::run(args, ctx),
        SockCommand::Send(args) => send::run(args, ctx),
        SockCommand::Recv(args) => recv::run(args, ctx),
        SockCommand::Pair(args) => pair::run(args),
        SockCommand::Peek(args) => peek::run(args, ctx),
        SockCommand::Ls(args) => ls::run_kind(Kind::Sock, args, ctx),
        SockCommand::Show(args) => show::run(args, ctx),
        SockCommand::Rm(args) => rm::run(args, ctx),
    }
}

// How a verb takes an address. (A doc comment here would become the help of every command with it.)
#[derive(Args, Clone, Debug)]
struct BindArgs {
    /// Permissions of the socket file; the umask does not change them [default: 600]
    #[arg(long, value_name = "OCTAL", value_parser = crate::args::units::mode)]
    mode: Option<u32>,

    /// Replace a socket file that nobody listens on any more
    #[arg(long)]
    replace_stale: bool,
}

impl BindArgs {
    fn binding(&self, address: &Address) -> anyhow::Result<Binding> {
        if !matches!(address, Address::Unix(_)) && (self.mode.is_some() || self.replace_stale) {
            return Err(usage(format!("{address} has no socket file; --mode and --replace-stale are for one")));
        }
        Ok(Binding { mode: self.mode.unwrap_or(0o600), replace_stale: self.replace_stale })
    }
}

/// The error that stopped a connection.
fn broken(broken: Broken, address: &Address) -> anyhow::Error {
    const ACT: &str = "cannot go on with";
    match broken {
        Broken::Input(errno) => Error::new("read", errno, "standard input").doing("cannot read"),
        Broken::Output(errno) => lost(StdoutFailed(errno)),
        // A unix peer resets a connection only if it closes with something of ours unread.
        Broken::Receiving(Errno::ECONNRESET) if address.is_unix() => not_taken(Errno::ECONNRESET, address).doing(ACT),
        Broken::Sending(errno @ (Errno::ECONNRESET | Errno::EPIPE)) => not_taken(errno, address).doing(ACT),
        Broken::Receiving(errno) => broken_off(errno, address).doing(ACT),
        Broken::Sending(errno) => Error::new("send", errno, address).doing(ACT),
        Broken::Stopped(Stop::Errno(errno)) => Error::new("recv", errno, address).doing(ACT),
        Broken::Stopped(Stop::TimedOut) => {
            Error::new("recv", Errno::ETIMEDOUT, address).because("timed out").doing(ACT)
        }
        Broken::Stopped(Stop::Signal(signal)) => Error::interrupted("recv", signal, address).doing(ACT),
    }
}

fn not_taken(errno: Errno, address: &Address) -> Error {
    let cause = "the peer closed the connection before it had taken everything";
    Error::new("send", errno, address).because(cause)
}

/// The error of a connection that ended while bytes of the peer were awaited.
fn broken_off(errno: Errno, address: &Address) -> Error {
    let error = Error::new("recv", errno, address);
    if errno == Errno::ECONNRESET { error.because("the peer broke the connection off") } else { error }
}

/// Standard output failed, and what was taken for it is gone.
fn lost(failed: StdoutFailed) -> anyhow::Error {
    anyhow::Error::from(failed).context(ResultLost)
}
