//! `ipcx msgq peek`.

use super::known;
use crate::args::{MsgqRef, units};
use crate::cmd::payload::{Format, FormatArgs};
use crate::cmd::{Context, Outcome, verbs};
use crate::error::Doing as _;
use crate::exit::Status;
use crate::mech::{Access, Tag};
use crate::model::{Align, Field, Seen, Text, Value};
use crate::render::{self, Layout, Style, TimeFormat};
use clap::Args;
use std::io::Write as _;

const ACT: &str = "cannot peek into";

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx msgq peek $q                a table: position, type, size, text
  ipcx msgq peek $q -n 1 --raw
  ipcx msgq peek $q --json

Nothing is taken, and the times and pids of the queue stay as they are. A POSIX queue
cannot be peeked. Reading deep into a queue costs the kernel a walk for each message.")]
pub struct PeekArgs {
    #[command(flatten)]
    target: MsgqRef,

    /// No more than this many messages
    #[arg(short = 'n', long, value_name = "N", value_parser = units::count)]
    count: Option<u64>,

    #[command(flatten)]
    format: FormatArgs,
}

struct Message {
    position: u64,
    tag: Tag,
    text: Text,
}

static FIELDS: &[Field<Message>] = &[
    Field::aligned("position", Align::Right, |message, _| Seen::Is(Value::Count(message.position))),
    Field::aligned("type", Align::Right, |message, _| {
        Seen::Is(match message.tag {
            Tag::Type(kind) => Value::Int(kind),
            Tag::Priority(priority) => Value::Count(priority.into()),
        })
    }),
    Field::aligned("size", Align::Right, |message, _| Seen::Is(Value::Count(message.text.raw().len() as u64))),
    Field::aligned("text", Align::Left, |message, _| Seen::Is(Value::Text(message.text.clone()))),
];

pub fn run(args: &PeekArgs, ctx: &mut Context) -> Outcome {
    let mut channel = verbs::open(&args.target.reference, Access::Read, ACT)?.channel();
    let format = args.format.format();
    let before = channel.generation().doing(ACT)?;
    let mut rows = Vec::new();
    let mut failed = None;
    let mut message = Vec::new();
    let mut line = Vec::new();
    for position in 0..args.count.unwrap_or(u64::MAX) {
        message.clear();
        let tag = match channel.peek(position, &mut message) {
            Ok(Some(tag)) => tag,
            Ok(None) => break,
            // What was seen before it is shown first.
            Err(error) => {
                failed = Some(error);
                break;
            }
        };
        if format == Format::Line {
            rows.push(Message { position, tag, text: Text::from(&message[..]) });
        } else {
            line.clear();
            format.write(&mut line, || known(Some(position), tag), &message)?;
            ctx.ui.out.write_all(&line)?;
        }
    }
    if format == Format::Line && (failed.is_none() || !rows.is_empty()) {
        let fields: Vec<&Field<Message>> = FIELDS.iter().collect();
        let layout = Layout { headings: true, width: ctx.ui.width(), color: ctx.ui.color };
        render::table(&mut ctx.ui.out, &fields, &rows, &Style::new(true, TimeFormat::Unix), layout)?;
    }
    ctx.ui.out.flush_buffer()?;
    if let Some(error) = failed {
        return Err(error.doing(ACT));
    }
    // Positions shift when somebody receives meanwhile: a message may be missing or seen twice.
    if channel.generation().doing(ACT)? != before {
        ctx.ui.note("the queue changed while it was read; a message may be missing or shown twice");
    }
    Ok(Status::Done)
}
