//! `ipcx signal list`.

use crate::args::signal as words;
use crate::cmd::{Context, Outcome};
use crate::exit::Status;
use crate::model::{Align, Field, Seen, Signal, SignalSet, Value};
use crate::render::{self, Document, Layout, Style, TimeFormat};
use crate::sys::signal::real_time;
use clap::Args;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx signal list
  ipcx signal list 143                  a command ended with status 143: of TERM
  ipcx signal list 0x4002               a mask, as /proc/PID/status has them
  ipcx signal list int RTMIN+3 --json

ACTION is what becomes of a process that has not said what to do.")]
pub struct ListArgs {
    /// Only these: a name, a number, a status 128+N, or a mask 0x…
    #[arg(value_name = "SIG", allow_negative_numbers = true, value_parser = words::signals, add = words::names())]
    signals: Vec<SignalSet>,

    /// One JSON document
    #[arg(long)]
    json: bool,

    /// No line of titles
    #[arg(long)]
    no_headings: bool,
}

static FIELDS: [Field<Signal>; 4] = [
    Field::aligned("number", Align::Right, |signal, _| Seen::Is(Value::Int(signal.0.into()))),
    Field::aligned("name", Align::Left, |signal, _| signal.name(real_time()).map(Value::Phrase).into()),
    Field::aligned("action", Align::Left, |signal, _| Seen::Is(Value::Word(signal.action().word()))),
    Field::aligned("description", Align::Left, |signal, _| {
        Seen::Is(Value::Phrase(signal.description(real_time()).to_owned()))
    }),
];

pub fn run(args: &ListArgs, ctx: &mut Context) -> Outcome {
    let wanted = |signal: &Signal| args.signals.is_empty() || args.signals.iter().any(|set| set.contains(*signal));
    let signals: Vec<Signal> = Signal::all().filter(wanted).collect();
    let fields: Vec<&Field<Signal>> = FIELDS.iter().collect();
    let layout = Layout { headings: !args.no_headings, width: ctx.ui.width(), color: ctx.ui.color };
    let out = &mut ctx.ui.out;
    if args.json {
        let mut document = Document::begin(out)?;
        document.rows(&fields, &signals)?;
        document.end()?;
    } else {
        render::table(out, &fields, &signals, &Style::new(true, TimeFormat::Unix), layout)?;
    }
    out.flush_buffer()?;
    Ok(Status::Done)
}
