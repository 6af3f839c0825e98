//! `ipcx msgq send`.

use crate::args::{MsgqRef, WaitArgs, units};
use crate::cmd::{Context, Outcome, verbs};
use crate::error::{Doing as _, Error};
use crate::exit::Status;
use crate::mech::{Access, Channel, Tag};
use crate::render::text::count;
use crate::sys::waiter::Waiter;
use clap::Args;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

const ACT: &str = "cannot send to";
/// How much is read at once.
const CHUNK: usize = 1 << 16;
/// A record longer than this is no message of any queue.
const LONGEST: usize = 1 << 28;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx msgq send $q 'first job' 'second job'
  ipcx msgq send $q --type 2 reply
  ipcx msgq send $q -- -5                 a message that begins with a dash
  ipcx msgq send /jobs --priority 9 urgent --timeout 2s
  find . -print0 | ipcx msgq send $q --null
  seq 1000000 | ipcx msgq send key/1234 --lines

A full queue is waited for, unless --nowait or --timeout is given. If it stops early, it
says how many messages were sent.")]
pub struct SendArgs {
    #[command(flatten)]
    target: MsgqRef,

    /// Messages; without any, standard input is one message
    #[arg(value_name = "MESSAGE")]
    messages: Vec<OsString>,

    /// Type of the messages, 1 or more (System V) [default: 1]
    #[arg(short = 't', long = "type", value_name = "N", value_parser = units::message_type)]
    kind: Option<i64>,

    /// Priority of the messages, 0 to 32767 (POSIX) [default: 0]
    #[arg(short, long, value_name = "N")]
    priority: Option<u32>,

    /// Every line of standard input is a message
    #[arg(long, conflicts_with_all = ["messages", "null"])]
    lines: bool,

    /// Every NUL-terminated record of standard input is a message
    #[arg(short = '0', long, conflicts_with = "messages")]
    null: bool,

    #[command(flatten)]
    wait: WaitArgs,
}

pub fn run(args: &SendArgs, ctx: &mut Context) -> Outcome {
    let mut channel = verbs::open(&args.target.reference, Access::Write, ACT)?.channel();
    let tag = channel.tag(args.kind, args.priority).doing(ACT)?;
    let waiter = Waiter::new(args.wait.wait());
    let mut sent = 0;
    let result = if args.lines || args.null {
        stream(&mut *channel, tag, if args.null { 0 } else { b'\n' }, &waiter, &mut sent)
    } else if args.messages.is_empty() {
        whole_input(&waiter).and_then(|message| channel.send(&message, tag, &waiter).doing(ACT))
    } else {
        args.messages.iter().try_for_each(|message| {
            channel.send(message.as_bytes(), tag, &waiter).doing(ACT)?;
            sent += 1;
            Ok(())
        })
    };
    match result {
        Ok(()) => Ok(Status::Done),
        Err(error) => {
            let status = ctx.ui.report(&error);
            if args.lines || args.null || args.messages.len() > 1 {
                ctx.ui.note(format_args!("{} had been sent before", count(sent, "message", "messages")));
            }
            Ok(status)
        }
    }
}

fn too_long() -> anyhow::Error {
    Error::refused("standard input", Status::Limit, format!("a message of more than {LONGEST} bytes fits no queue"))
        .doing("cannot read")
}

fn whole_input(waiter: &Waiter) -> anyhow::Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let start = message.len();
        if start > LONGEST {
            return Err(too_long());
        }
        message.resize(start + CHUNK, 0);
        let got = verbs::read_input(waiter, &mut message[start..])?;
        message.truncate(start + got);
        if got == 0 {
            return Ok(message);
        }
    }
}

/// Sends every record of standard input as it comes; the last one needs no terminator.
fn stream(channel: &mut dyn Channel, tag: Tag, end: u8, waiter: &Waiter, sent: &mut u64) -> anyhow::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut filled = 0;
    loop {
        if filled == buffer.len() {
            if filled > LONGEST {
                return Err(too_long());
            }
            buffer.resize(filled * 2, 0);
        }
        let got = verbs::read_input(waiter, &mut buffer[filled..])?;
        let mut start = 0;
        // What was there before holds no terminator.
        let mut look = filled;
        filled += got;
        while let Some(length) = memchr::memchr(end, &buffer[look..filled]) {
            channel.send(&buffer[start..look + length], tag, waiter).doing(ACT)?;
            *sent += 1;
            look += length + 1;
            start = look;
        }
        if got == 0 {
            if start < filled {
                channel.send(&buffer[start..filled], tag, waiter).doing(ACT)?;
                *sent += 1;
            }
            return Ok(());
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
    }
}
