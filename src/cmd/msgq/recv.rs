//! `ipcx msgq recv`.

use super::{durable, known};
use crate::args::{MsgqRef, WaitArgs, units};
use crate::cmd::payload::FormatArgs;
use crate::cmd::{Context, Outcome, verbs};
use crate::error::{Doing as _, Error, ResultLost, StdoutFailed};
use crate::exit::Status;
use crate::mech::{Access, Channel, Limits, Pick, Tag};
use crate::model::{Escaped, Wait};
use crate::sys::waiter::Waiter;
use crate::ui::Ui;
use clap::Args;
use std::path::PathBuf;

pub(super) const ACT: &str = "cannot receive from";

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx msgq recv $q                      one message, waiting for it
  ipcx msgq recv $q --timeout 2s || echo none
  ipcx msgq recv $q --type 2             the first of type 2
  ipcx msgq recv $q --all                what is there now
  ipcx msgq recv /jobs --follow --json | jq .text
  ipcx msgq recv $q -n 3 --null | xargs -0 -n1 work

  ipcx msgq recv $q --follow --durable /dev/shm/worker1.slot | worker

A message is written before the next one is taken. If standard output fails, a message
that was taken goes back to the end of the queue, or escaped to standard error.

Who is killed (kill -9) between taking a message and writing it loses that message. With
--durable the kernel puts it straight into FILE: at any instant it is in the queue or in
FILE, and the next start with FILE delivers it first, whatever else is asked for. FILE lies
on a tmpfs and is for one receiver at a time. A message that was written, but not yet
forgotten when the kill came, is delivered twice, with the same \"id\" in --json. A kill
in the microsecond before the length is noted can cost binary data its last byte, with a
chance of 1 in 256; of text nothing is lost. FILE does not outlive the machine, nor do queues.")]
pub struct RecvArgs {
    #[command(flatten)]
    pub(super) target: MsgqRef,

    /// Only messages of this type (System V)
    #[arg(short = 't', long = "type", value_name = "N", group = "pick", value_parser = units::message_type)]
    kind: Option<i64>,

    /// Only the lowest type up to this one (System V)
    #[arg(long, value_name = "N", group = "pick", value_parser = units::message_type)]
    type_up_to: Option<i64>,

    /// Only messages of another type (System V)
    #[arg(long, value_name = "N", group = "pick", value_parser = units::message_type)]
    except: Option<i64>,

    /// How many messages to take [default: 1]
    #[arg(short = 'n', long, value_name = "N", group = "many", value_parser = units::count)]
    count: Option<u64>,

    /// Take what is there and end
    #[arg(long, group = "many")]
    pub(super) all: bool,

    /// Take messages until a signal or the timeout ends it
    #[arg(short, long, group = "many", conflicts_with = "nowait")]
    follow: bool,

    #[command(flatten)]
    pub(super) format: FormatArgs,

    /// Take no message longer than this
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    max_size: Option<u64>,

    /// Cut a longer message; the rest of it is lost
    #[arg(long, requires = "max_size")]
    truncate: bool,

    /// Receive into this file in memory (made if missing), so that no kill loses a message
    #[arg(long, value_name = "FILE", conflicts_with = "truncate")]
    durable: Option<PathBuf>,

    #[command(flatten)]
    wait: WaitArgs,
}

impl RecvArgs {
    pub(super) fn pick(&self) -> Pick {
        match (self.kind, self.type_up_to, self.except) {
            (Some(kind), ..) => Pick::Type(kind),
            (_, Some(kind), _) => Pick::UpTo(kind),
            (.., Some(kind)) => Pick::Except(kind),
            _ => Pick::First,
        }
    }

    pub(super) fn limit(&self) -> Limits {
        let max_size = self.max_size.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        Limits { max_size, truncate: self.truncate }
    }

    /// How many messages to take, unless it is what is there.
    pub(super) fn wanted(&self) -> u64 {
        if self.all || self.follow { u64::MAX } else { self.count.unwrap_or(1) }
    }
}

/// What is there now, however fast others send.
pub(super) fn there(channel: &dyn Channel) -> anyhow::Result<u64> {
    Ok(channel.generation().doing(ACT)?.0)
}

pub fn run(args: &RecvArgs, ctx: &mut Context) -> Outcome {
    let waiter = Waiter::new(if args.all { Wait::Never } else { args.wait.wait() });
    if let Some(path) = &args.durable {
        return durable::run(args, path, &waiter, ctx);
    }
    let mut channel = verbs::open(&args.target.reference, Access::Read, ACT)?.channel();
    let format = args.format.format();
    let limit = args.limit();
    let mut left = if args.all { there(&*channel)? } else { args.wanted() };
    // Nothing is taken if there is no place for it.
    ctx.ui.out.payload(b"").map_err(|(_, failed)| lost(failed))?;
    let mut message = Vec::new();
    let mut line = Vec::new();
    while left > 0 {
        message.clear();
        let tag = match channel.recv(&mut message, args.pick(), limit, &waiter) {
            Ok(tag) => tag,
            Err(Error { status: Status::WouldBlock, .. }) if args.all => break,
            Err(error) => return Err(error.doing(ACT)),
        };
        let written = match format.tail() {
            // The usual forms need no second buffer.
            Some(tail) => {
                let length = message.len();
                message.extend_from_slice(tail);
                let written = ctx.ui.out.payload(&message);
                message.truncate(length);
                written
            }
            None => {
                line.clear();
                format.write(&mut line, || known(None, tag), &message)?;
                ctx.ui.out.payload(&line)
            }
        };
        if let Err((written, failed)) = written {
            keep(&mut *channel, &message, tag, written, &ctx.ui);
            return Err(lost(failed));
        }
        left -= 1;
    }
    Ok(Status::Done)
}

pub(super) fn lost(failed: StdoutFailed) -> anyhow::Error {
    anyhow::Error::from(failed).context(ResultLost)
}

/// Puts a message that could not be written where it is not lost.
fn keep(channel: &mut dyn Channel, message: &[u8], tag: Tag, written: usize, ui: &Ui) {
    let part = if written > 0 { format!(", although {written} bytes of it were written") } else { String::new() };
    match channel.send(message, tag, &Waiter::last_act()) {
        Ok(()) => ui.warn(format_args!("the message was put back at the end of the queue{part}")),
        Err(error) => {
            let tag = match tag {
                Tag::Type(kind) => format!("type {kind}"),
                Tag::Priority(priority) => format!("priority {priority}"),
            };
            ui.warn(format_args!("the message ({tag}) could not be put back into {error}; here it is, escaped{part}:"));
            ui.last_line(format_args!("{}", Escaped(message)));
        }
    }
}
