//! `ipcx sock recv`.

use super::{BindArgs, broken, broken_off, lost};
use crate::args::{AddressArgs, WaitArgs, units};
use crate::cmd::payload::{Format, FormatArgs, Known};
use crate::cmd::{Context, Outcome, usage, verbs};
use crate::error::{Doing as _, Error};
use crate::exit::Status;
use crate::mech::Limits;
use crate::mech::sock::{self, Accepted, Listener, Message};
use crate::model::{Escaped, SockType, Value};
use crate::sys::child::{self, Start};
use crate::sys::duplex::{Broken, Line};
use crate::sys::waiter::{Stop, Waiter};
use clap::Args;
use std::ffi::OsString;
use std::os::fd::OwnedFd;

const ACT: &str = "cannot receive from";
const BACKLOG: i32 = 128;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx sock recv ./s > copy                      a stream: all that one connection brings
  ipcx sock recv @log --type dgram               one datagram, and a newline
  ipcx sock recv @log --type dgram --follow --json | jq .text
  ipcx sock recv udp:127.0.0.1:5140 -n 10 --timeout 5s
  ipcx sock recv ./s --fd                        what descriptors came, one a line
  ipcx sock recv ./s --fd -- sh -c 'cat <&3'     the first one is 3; IPCX_FDS says how many

It says `listening on ADDR` on standard error once others can send. A message is written
before the next one is taken. What others sent and it did not take is lost when it ends. A
connection that its peer breaks off does not end -n or --follow; with -n the status is 1 then.
With --json a message also has `from`, the address of its sender, and for unix sockets his
`pid`, `uid` and `gid`. --timeout does not bound CMD.")]
pub struct RecvArgs {
    #[command(flatten)]
    target: AddressArgs,

    /// How many messages, or connections of a stream, to take [default: 1]
    #[arg(short = 'n', long, value_name = "N", group = "many", value_parser = units::count)]
    count: Option<u64>,

    /// Take messages or connections until a signal or the timeout ends it
    #[arg(short, long, group = "many", conflicts_with = "nowait")]
    follow: bool,

    #[command(flatten)]
    format: FormatArgs,

    /// Take no message longer than this
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    max_size: Option<u64>,

    /// Cut a longer message; the rest of it is lost
    #[arg(long, requires = "max_size")]
    truncate: bool,

    /// Take descriptors that come with the message, and show them or give them to CMD (unix)
    #[arg(long, conflicts_with = "many")]
    fd: bool,

    #[command(flatten)]
    bind: BindArgs,

    #[command(flatten)]
    wait: WaitArgs,

    /// Run this with the descriptors as 3, 4 and so on
    #[arg(last = true, requires = "fd", value_name = "CMD")]
    command: Vec<OsString>,
}

pub fn run(args: &RecvArgs, ctx: &mut Context) -> Outcome {
    let (address, kind) = (&args.target.address, args.target.kind().map_err(usage)?);
    let format = args.format.format();
    if args.fd && !address.is_unix() {
        return Err(usage("descriptors come through unix sockets only"));
    }
    if kind == SockType::Stream && (!matches!(format, Format::Line | Format::Raw) || args.max_size.is_some()) {
        return Err(usage("a stream has no messages; its bytes are written as they are, whatever their number"));
    }
    let binding = args.bind.binding(address)?;
    // Nothing is taken if there is no place for it.
    ctx.ui.out.payload(b"").map_err(|(_, failed)| lost(failed))?;
    let waiter = Waiter::new(args.wait.wait());
    let left = if args.follow { u64::MAX } else { args.count.unwrap_or(1) };
    let backlog = if left == 1 { 0 } else { BACKLOG };
    let listener = Listener::bind(address, kind, binding, backlog, &waiter).doing(ACT)?;
    let all = args.fd || format == Format::Json;
    if address.is_unix() && (all || kind == SockType::Seqpacket) {
        listener.want_credentials().doing(ACT)?;
    }
    ctx.ui.note(format_args!("listening on {}", listener.address));
    let descriptors = match listener.kind() {
        SockType::Stream if args.fd => stream_with_descriptors(listener, &waiter, ctx)?,
        SockType::Stream => return streams(listener, left, args.follow, &waiter, ctx),
        SockType::Datagram | SockType::Seqpacket => messages(args, all, left, listener, &waiter, ctx)?,
    };
    if !args.fd {
        return Ok(Status::Done);
    }
    if descriptors.is_empty() {
        return Err(Error::refused(address, Status::NoSuch, "no descriptor came along").doing(ACT));
    }
    if !args.command.is_empty() {
        drop(waiter);
        return Err(become_with(&args.command, descriptors));
    }
    if format != Format::Json {
        for (number, fd) in (3..).zip(&descriptors) {
            let shown = sock::described(fd);
            ctx.ui.out.line(format_args!("{number} {} {} {}", shown.kind, shown.place(), shown.name.escaped()))?;
        }
        ctx.ui.out.flush_buffer()?;
    }
    Ok(Status::Done)
}

/// Becomes a command that has the descriptors; comes back only with the reason why it could not.
fn become_with(command: &[OsString], descriptors: Vec<OwnedFd>) -> anyhow::Error {
    let variables = [("IPCX_FDS", descriptors.len().to_string())];
    let start = Start { argv: command, variables: &variables, ..Start::default() };
    match child::exec_with(start, descriptors) {
        Err(Stop::Errno(errno)) => verbs::cannot_run(command, errno),
        Err(Stop::Signal(signal)) => Error::refused("", Status::Signal(signal), "interrupted").into(),
        Err(Stop::TimedOut) => Error::refused("", Status::TimedOut, "timed out").into(),
    }
}

/// What so many connections bring, one after another. One that is broken off does not end the others.
fn streams(listener: Listener, mut left: u64, follow: bool, waiter: &Waiter, ctx: &mut Context) -> Outcome {
    let mut status = Status::Done;
    let mut listener = Some(listener);
    let address = listener.as_ref().map(|listener| listener.address.clone());
    while let (Some(open), Some(address)) = (&listener, &address) {
        let accepted = open.accept(waiter).doing(ACT)?;
        left -= 1;
        if left == 0 {
            // Nobody else is to wait for us in vain.
            listener = None;
        }
        let out = ctx.ui.out.stream().map_err(lost)?;
        let line = Line { socket: &accepted.socket, records: false, tells: address.is_unix() };
        match line.drain(out, waiter) {
            Ok(()) => {}
            // Of those who come and go for ever, none is the reason for our end.
            Err(Broken::Receiving(errno)) if follow => {
                ctx.ui.warn(format_args!("a peer broke its connection off ({errno:?})"));
            }
            Err(Broken::Receiving(errno)) => status = ctx.ui.report(&broken_off(errno, address).doing(ACT)),
            Err(stop) => return Err(broken(stop, address)),
        }
    }
    Ok(status)
}

/// All that one connection brings; the descriptors among it.
fn stream_with_descriptors(listener: Listener, waiter: &Waiter, ctx: &mut Context) -> anyhow::Result<Vec<OwnedFd>> {
    let accepted = listener.accept(waiter).doing(ACT)?;
    let address = listener.address.clone();
    drop(listener);
    let (mut bytes, mut descriptors) = (Vec::new(), Vec::new());
    loop {
        let message = sock::receive_part(&accepted.socket, &address, &mut bytes, waiter).doing(ACT)?;
        if bytes.is_empty() && message.descriptors.is_empty() {
            return Ok(descriptors);
        }
        descriptors.extend(message.descriptors);
        ctx.ui.out.payload(&bytes).map_err(|(_, failed)| lost(failed))?;
    }
}

/// So many messages; the descriptors that came with the last one.
fn messages(
    args: &RecvArgs,
    all: bool,
    mut left: u64,
    listener: Listener,
    waiter: &Waiter,
    ctx: &mut Context,
) -> anyhow::Result<Vec<OwnedFd>> {
    let (kind, address, format) = (listener.kind(), listener.address.clone(), args.format.format());
    let limit = Limits {
        max_size: args.max_size.map(|size| usize::try_from(size).unwrap_or(usize::MAX)),
        truncate: args.truncate,
    };
    let mut connection: Option<Accepted> = None;
    let (mut bytes, mut line) = (Vec::new(), Vec::new());
    let mut descriptors = Vec::new();
    while left > 0 {
        let taken = match (&connection, kind) {
            (Some(accepted), _) => sock::receive(&accepted.socket, kind, &address, &mut bytes, all, limit, waiter),
            (None, SockType::Datagram) => sock::receive(&listener, kind, &address, &mut bytes, all, limit, waiter),
            (None, _) => {
                connection = Some(listener.accept_with_credentials(waiter).doing(ACT)?);
                continue;
            }
        };
        let Some(mut message) = taken.doing(ACT)? else {
            connection = None;
            continue;
        };
        if let (None, Some(accepted)) = (&message.from, &connection) {
            message.from.clone_from(&accepted.address);
        }
        line.clear();
        let written = match format.tail() {
            // The usual forms need no second buffer.
            Some(tail) => {
                let length = bytes.len();
                bytes.extend_from_slice(tail);
                let written = ctx.ui.out.payload(&bytes);
                bytes.truncate(length);
                written
            }
            None => {
                format.write(&mut line, || known(&message, args.fd, address.is_unix()), &bytes)?;
                ctx.ui.out.payload(&line)
            }
        };
        if let Err((written, failed)) = written {
            keep(&bytes, written, ctx);
            return Err(lost(failed));
        }
        if args.fd {
            descriptors = message.descriptors;
        }
        left -= 1;
    }
    Ok(descriptors)
}

/// What JSON says of a message.
fn known(message: &Message, fd: bool, unix: bool) -> Known {
    let count = |number: u32| Value::Count(number.into());
    let from = message.from.as_ref().map(|address| Value::Phrase(address.to_string()));
    let mut known: Known = vec![("from", from.into())];
    if unix {
        let sender = message.credentials;
        known.push(("pid", sender.map(|sender| Value::Pid(sender.pid)).into()));
        known.push(("uid", sender.map(|sender| count(sender.uid)).into()));
        known.push(("gid", sender.map(|sender| count(sender.gid)).into()));
    }
    if fd {
        let records = (3..).zip(&message.descriptors).map(|(number, fd)| {
            let shown = sock::described(fd);
            Value::Record(vec![
                ("number", Some(Value::Count(number)).into()),
                ("type", Some(Value::Word(shown.kind)).into()),
                ("device", Some(Value::Phrase(shown.device())).into()),
                ("inode", Some(Value::Count(shown.inode)).into()),
                ("name", Some(Value::Phrase(shown.name.escaped().to_string())).into()),
            ])
        });
        known.push(("fds", Some(Value::List(records.collect())).into()));
    }
    known
}

/// Shows a message that has been taken and could not be written; nobody can send it again.
fn keep(message: &[u8], written: usize, ctx: &Context) {
    let part = if written > 0 { format!(", although {written} bytes of it were written") } else { String::new() };
    ctx.ui.warn(format_args!("a message was taken and could not be written; here it is, escaped{part}:"));
    ctx.ui.last_line(format_args!("{}", Escaped(message)));
}
