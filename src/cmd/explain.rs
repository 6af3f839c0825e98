//! `ipcx explain`: what an errno means, and which limit is behind it now.

use super::{Context, Outcome};
use crate::args::units;
use crate::diagnose::{self, Binds, Diagnosis, Request};
use crate::error::{Error, describe};
use crate::exit::Status;
use crate::mech::Limit;
use crate::model::{Escaped, Field, Seen, Value};
use crate::render::{self, Document, Style, TimeFormat};
use clap::Args;
use nix::errno::Errno;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx explain ENOSPC semget            which limit it is, and what raises it
  ipcx explain EMFILE mq_open
  ipcx explain EINVAL msgsnd --size 9000
  ipcx explain 28                       every call that can fail so

Each limit that can be behind the error is compared with its use at this moment, those
that bind come first. Limits of users and processes are those of the caller: run it as the
user whose program failed, and with the same ulimits. What bounds one object or one call
can only be told from its size or number: give --size or --count.

Status 0 if a cause is known, 1 if none is.")]
pub struct ExplainArgs {
    /// The error: ENOSPC or its number
    #[arg(value_name = "ERRNO", value_parser = errno)]
    errno: Errno,

    /// The call that failed: semget, mq_open, F_SETPIPE_SZ; all that can fail so by default
    #[arg(value_name = "CALL")]
    call: Option<String>,

    /// Bytes that the call asked for: of a message, a segment, a pipe
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    size: Option<u64>,

    /// How many it asked for: semaphores, operations, messages of a queue
    #[arg(short = 'n', long, value_name = "N", value_parser = units::count)]
    count: Option<u64>,

    /// One JSON document
    #[arg(long, group = "format")]
    json: bool,

    /// One JSON object a line
    #[arg(long, group = "format")]
    jsonl: bool,
}

fn errno(word: &str) -> Result<Errno, String> {
    let unknown =
        || format!("`{}` is no errno; they are called as in errno(3), such as ENOSPC", Escaped(word.as_bytes()));
    diagnose::errno(word).ok_or_else(unknown)
}

/// Of the limit, if the cause is one.
fn of_limit(diagnosis: &Diagnosis, get: fn(&Limit) -> Seen<Value>) -> Seen<Value> {
    diagnosis.limit.as_ref().map_or(Seen::Absent, get)
}

static FIELDS: [Field<Diagnosis>; 10] = [
    Field::plain("errno", |diagnosis, _| Seen::Is(Value::Phrase(format!("{:?}", diagnosis.errno)))),
    Field::plain("call", |diagnosis, _| Seen::Is(Value::Word(diagnosis.call))),
    Field::plain("cause", |diagnosis, _| Seen::Is(Value::Word(diagnosis.cause))),
    Field::plain("limit", |diagnosis, _| of_limit(diagnosis, |limit| Seen::Is(Value::Word(limit.name)))),
    Field::plain("used", |diagnosis, _| of_limit(diagnosis, |limit| limit.amount(&limit.used))),
    Field::plain("value", |diagnosis, _| of_limit(diagnosis, |limit| limit.amount(&limit.limit))),
    Field::plain("binds", |diagnosis, _| match diagnosis.binds {
        Binds::Yes => Seen::Is(Value::Flag(true)),
        Binds::No => Seen::Is(Value::Flag(false)),
        Binds::NoLimit | Binds::Depends | Binds::Hidden => Seen::Absent,
    }),
    Field::plain("setting", |diagnosis, _| of_limit(diagnosis, |limit| Seen::Is(Value::Word(limit.setting)))),
    Field::plain("remedy", |diagnosis, _| diagnosis.remedy.clone().map(Value::Phrase).into()),
    Field::plain("advice", |diagnosis, _| {
        Seen::Is(Value::List(diagnosis.advice.iter().cloned().map(Value::Phrase).collect()))
    }),
];

pub fn run(args: &ExplainArgs, ctx: &mut Context) -> Outcome {
    let request = Request { size: args.size, count: args.count };
    let found = diagnose::diagnose(args.errno, args.call.as_deref(), request);
    if found.is_empty() {
        return Err(unknown(args).into());
    }
    let fields: Vec<&Field<Diagnosis>> = FIELDS.iter().collect();
    let out = &mut ctx.ui.out;
    if args.json {
        let mut document = Document::begin(out)?;
        document.rows(&fields, &found)?;
        document.end()?;
    } else if args.jsonl {
        found.iter().try_for_each(|diagnosis| render::json_line(out, &fields, diagnosis))?;
    } else {
        let what = args.call.as_ref().map_or(String::new(), |_| format!("{}: ", found[0].call));
        out.line(format_args!("{what}{} ({:?})", describe(args.errno), args.errno))?;
        if let Some(line) = nothing_binds(&found) {
            out.line(format_args!("{line}"))?;
        }
        let mut before = None;
        for diagnosis in &found {
            // Those that do not bind are a line each.
            if (before, diagnosis.binds) != (Some(Binds::No), Binds::No) {
                out.line(format_args!(""))?;
            }
            before = Some(diagnosis.binds);
            // Of all calls each says which it is.
            let call = if args.call.is_none() { format!("{}: ", diagnosis.call) } else { String::new() };
            out.line(format_args!("{call}{}", headline(diagnosis)))?;
            for line in remedies(diagnosis) {
                out.line(format_args!("  {line}"))?;
            }
        }
    }
    out.flush_buffer()?;
    Ok(Status::Done)
}

fn unknown(args: &ExplainArgs) -> Error {
    let errno = args.errno;
    let calls = diagnose::calls(errno);
    let object = args.call.as_ref().map_or(String::new(), |call| Escaped(call.as_bytes()).to_string());
    let cause = format!("no cause of {errno:?} ({}) is known", describe(errno));
    let error = Error::refused(object, Status::Failed, cause);
    if calls.is_empty() { error } else { error.hinting(format!("it is known of {}", calls.join(", "))) }
}

/// Says that no limit binds, if there are some and none does, and which is the nearest.
fn nothing_binds(found: &[Diagnosis]) -> Option<String> {
    let limits: Vec<&Diagnosis> = found.iter().filter(|diagnosis| diagnosis.limit.is_some()).collect();
    if limits.is_empty() || limits.iter().any(|diagnosis| diagnosis.binds == Binds::Yes) {
        return None;
    }
    let nearest = limits.iter().filter_map(|diagnosis| {
        let limit = diagnosis.limit.as_ref()?;
        Some((limit.percent()?, limit.name))
    });
    let nearest = nearest.max_by(|a, b| a.0.total_cmp(&b.0));
    let nearest = nearest.map(|(percent, name)| format!("; the nearest is {name}, used to {percent:.1}%"));
    Some(format!("No limit is known to bind now{}.", nearest.unwrap_or_default()))
}

/// What the cause is and whether it is the one now.
fn headline(diagnosis: &Diagnosis) -> String {
    let cause = diagnosis.cause;
    let Some(limit) = &diagnosis.limit else { return format!("it may be that {cause}") };
    let style = Style::new(true, TimeFormat::Unix);
    let human = Style { bytes: false, ..style };
    // What is over all that can be asked for is no number for people.
    let text = |number: &Seen<u64>| match number {
        Seen::Is(n) if *n >= 1 << 62 => human.text(&limit.amount(number)),
        number => style.text(&limit.amount(number)),
    };
    let most = match &limit.limit {
        Seen::Absent => "unlimited".to_owned(),
        most => text(most),
    };
    let unit = limit.unit.word();
    let value = match &limit.used {
        Seen::Absent => format!("{} = {most} {unit}", limit.name),
        used => format!("{}: {} of {most} {unit} used", limit.name, text(used)),
    };
    let verdict = match diagnosis.binds {
        Binds::Yes => "THIS BINDS NOW",
        Binds::No => "not this one",
        Binds::Depends => "it depends on the request",
        Binds::Hidden => "it cannot be seen whether it binds",
        Binds::NoLimit => "",
    };
    let line = format!("{verdict}: {value} ({})", limit.setting);
    // What it would mean is of no interest if it does not bind.
    if diagnosis.binds == Binds::No { line } else { format!("{line}\n  {cause}") }
}

/// What to do, a line each; for a limit that does not bind there is nothing.
fn remedies(diagnosis: &Diagnosis) -> Vec<String> {
    if diagnosis.binds == Binds::No {
        return Vec::new();
    }
    let raise = diagnosis.remedy.iter().map(|command| format!("raise it: {command}"));
    raise.chain(diagnosis.advice.iter().cloned()).collect()
}
