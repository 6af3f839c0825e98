//! `ipcx sock send`.

use crate::args::{AddressArgs, WaitArgs};
use crate::cmd::{Context, Outcome, input, usage};
use crate::error::{Doing as _, Error};
use crate::exit::Status;
use crate::mech::sock::{self, Sender};
use crate::model::SockType;
use crate::render::text::count;
use crate::sys::stdio;
use crate::sys::waiter::Waiter;
use clap::Args;
use nix::errno::Errno;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

const ACT: &str = "cannot send to";
const CHUNK: usize = 1 << 16;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx sock send ./s 'one line' 'another'              to a stream: each with a newline
  ipcx sock send ./s < file                            its bytes as they are
  ipcx sock send @log --type dgram 'one datagram'
  ipcx sock send udp:localhost:5140 --lines < events   a datagram for each line
  ipcx sock send ./s --fd 3 'read this' 3< file        descriptor 3 goes along

A message is sent whole or not at all; a full receiver is waited for, unless --nowait or
--timeout is given. Of a connection it waits until the peer has read everything (over TCP:
until its machine has it), and fails if the peer closes before; with --nowait it does not. What
the peer answers is thrown away. If it stops early, it says how many messages, or bytes, were sent.")]
pub struct SendArgs {
    #[command(flatten)]
    target: AddressArgs,

    /// Messages; without any, standard input is one message, or the bytes of a stream
    #[arg(value_name = "MESSAGE")]
    messages: Vec<OsString>,

    /// Every line of standard input is a message
    #[arg(long, conflicts_with_all = ["messages", "null"])]
    lines: bool,

    /// Every NUL-terminated record of standard input is a message
    #[arg(short = '0', long, conflicts_with = "messages")]
    null: bool,

    /// Send this open descriptor along with the first message (unix)
    #[arg(long = "fd", value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    descriptors: Vec<i32>,

    #[command(flatten)]
    wait: WaitArgs,
}

pub fn run(args: &SendArgs, ctx: &mut Context) -> Outcome {
    let (address, kind) = (&args.target.address, args.target.kind().map_err(usage)?);
    let stream = kind == SockType::Stream;
    if stream && (args.lines || args.null) {
        return Err(usage("a stream has no messages; leave --lines and --null out, or give another --type"));
    }
    if !args.descriptors.is_empty() && !address.is_unix() {
        return Err(usage("descriptors go through unix sockets only"));
    }
    // Looked up before anything of ours is open.
    let descriptors = args.descriptors.iter().map(|number| sock::descriptor(*number)).collect::<Result<_, _>>();
    let descriptors = descriptors.doing("cannot send")?;
    let waiter = Waiter::new(args.wait.wait());
    let socket = sock::connect(address, kind, &waiter).doing(ACT)?;
    let mut sender = Sender { socket: &socket, kind, address, descriptors, bytes: 0 };
    let mut sent = 0;
    let mut send = |message: &[u8]| {
        sender.send(message, &waiter).doing(ACT)?;
        sent += 1;
        Ok(())
    };
    let result = if args.lines || args.null {
        input::records(if args.null { 0 } else { b'\n' }, &waiter, send)
    } else if !args.messages.is_empty() {
        args.messages.iter().try_for_each(|message| {
            if stream { send(&[message.as_bytes(), b"\n"].concat()) } else { send(message.as_bytes()) }
        })
    } else if stream {
        copy(&waiter, send)
    } else {
        input::whole(&waiter).and_then(|message| send(&message))
    };
    let result = result.and_then(|()| {
        if !sender.descriptors.is_empty() {
            let cause = "nothing was sent, and descriptors go along with at least one byte of a stream";
            return Err(Error::new("sendmsg", Errno::ENODATA, address).because(cause).doing(ACT));
        }
        sender.finish(&waiter).doing(ACT)
    });
    match result {
        Ok(()) => Ok(Status::Done),
        Err(error) => {
            let status = ctx.ui.report(&error);
            if stream {
                ctx.ui.note(format_args!("{} had been sent before", count(sender.bytes, "byte", "bytes")));
            } else if args.lines || args.null || args.messages.len() > 1 {
                ctx.ui.note(format_args!("{} had been sent before", count(sent, "message", "messages")));
            }
            Ok(status)
        }
    }
}

/// Standard input as it is.
fn copy(waiter: &Waiter, mut send: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut buffer = vec![0; CHUNK];
    stdio::widen(stdio::stdin());
    loop {
        match input::read(waiter, &mut buffer)? {
            0 => return Ok(()),
            got => send(&buffer[..got])?,
        }
    }
}
