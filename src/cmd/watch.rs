//! `ipcx watch`: what happens to objects, a line each.

use super::{Context, Outcome, limits, ls};
use crate::args::listing::{kinds, owner};
use crate::args::units;
use crate::error::Error;
use crate::exit::Status;
use crate::inventory::Select;
use crate::inventory::diff::{Event, Step};
use crate::inventory::watcher::Watcher;
use crate::mech;
use crate::model::{Field, Kind, ObjectRef, Seen, Text, Value, Wait};
use crate::proc::find;
use crate::render::text::{Moment, list};
use crate::render::{self, Style, TimeFormat};
use crate::sys::users;
use crate::sys::waiter::{Stop, Waiter};
use clap::Args;
use std::io::Write as _;
use std::time::Duration;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx watch                             segments, queues and semaphores
  ipcx watch shm --mine --interval 100ms
  ipcx watch msgq --jsonl | jq .event
  ipcx watch sem --over 80 -n 1          until 80 % of a limit of semaphores are used
  ipcx watch fifo pipe sock              what processes open and close

Events are created, removed, replaced (another object has the name now), attached and
detached (of pipes and FIFOs: readers and writers), grew and shrank (bytes), filled and
emptied (0 to some and back), and with --over also over and under a limit.

A POSIX segment or semaphore that comes or goes is told at once, even if it was there for a
moment only. All else is compared every interval: what came and went between two looks is
not seen. The process is the last that the object recorded, command what has its pid now.
It ends after N events, at the timeout with status 124, or by a signal.")]
pub struct WatchArgs {
    /// Kinds to watch; shm, msgq and sem by default
    #[arg(value_name = "KIND", value_parser = kinds(Kind::ALL))]
    kinds: Vec<Kind>,

    /// How often to look; 10ms or more
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    interval: Duration,

    /// Also tell when more than this share of a limit is used, and when no longer
    #[arg(long, value_name = "PCT", value_parser = limits::percent)]
    over: Option<f64>,

    /// End after so many events [default: no end]
    #[arg(short = 'n', long, value_name = "N", value_parser = units::count)]
    count: Option<u64>,

    /// End after this time with status 124: 500ms, 2s, 1m30s
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    timeout: Option<Duration>,

    /// Only objects that I own
    #[arg(long, conflicts_with = "owner")]
    mine: bool,

    /// Only objects of this user, a name or a number
    #[arg(long, value_name = "USER", value_parser = owner)]
    owner: Option<u32>,

    /// One JSON object a line
    #[arg(long)]
    jsonl: bool,
}

/// The shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(10);

fn interval(text: &str) -> Result<Duration, String> {
    let interval = units::duration(text)?;
    if interval < SHORTEST { Err("the shortest interval is 10ms".to_owned()) } else { Ok(interval) }
}

/// An event as it is shown.
struct Row {
    at: Moment,
    event: &'static str,
    kind: &'static str,
    reference: Option<ObjectRef>,
    user: Seen<Text>,
    step: Option<Step>,
    pid: Option<i32>,
    command: Option<Text>,
    /// The name and the value of a limit.
    limit: Option<(&'static str, u64)>,
}

impl Row {
    fn of_object(event: Event) -> Row {
        Row {
            at: Moment::now(),
            event: event.what.word(),
            kind: event.reference.kind.noun(),
            user: event.user,
            step: event.step,
            command: event.pid.and_then(find::comm),
            pid: event.pid,
            reference: Some(event.reference),
            limit: None,
        }
    }
}

fn of_step(row: &Row, get: fn(&Step) -> Option<Value>) -> Seen<Value> {
    row.step.as_ref().and_then(get).into()
}

/// The JSON of an event.
static FIELDS: [Field<Row>; 12] = [
    Field::plain("time", |row, _| Seen::Is(Value::Phrase(row.at.rfc3339()))),
    Field::plain("event", |row, _| Seen::Is(Value::Word(row.event))),
    Field::plain("kind", |row, _| Seen::Is(Value::Word(row.kind))),
    Field::plain("ref", |row, _| row.reference.as_ref().map(ObjectRef::value).into()),
    Field::plain("user", |row, _| match &row.user {
        // A key is never left out of a line.
        Seen::Skipped => Seen::Absent,
        user => user.clone().map(Value::Text),
    }),
    Field::plain("field", |row, _| of_step(row, |step| Some(Value::Word(step.key)))),
    Field::plain("before", |row, _| of_step(row, |step| step.before.map(Value::Count))),
    Field::plain("after", |row, _| of_step(row, |step| step.after.map(Value::Count))),
    Field::plain("pid", |row, _| row.pid.map(Value::Pid).into()),
    Field::plain("command", |row, _| row.command.clone().map(Value::Text).into()),
    Field::plain("limit", |row, _| row.limit.map(|(name, _)| Value::Word(name)).into()),
    Field::plain("value", |row, _| row.limit.map(|(_, value)| Value::Count(value)).into()),
];

/// One line for people: the time, what, which object, whose, and what has changed.
fn line(row: &Row, style: &Style) -> String {
    let object = row
        .limit
        .map(|(name, _)| name.to_owned())
        .or_else(|| row.reference.as_ref().map(ObjectRef::to_string))
        .unwrap_or_default();
    let user = style.text(&row.user.clone().map(Value::Text));
    let mut line = format!("{} {:<8} {object} {user}", row.at.clock(), row.event);
    if let Some(Step { key, before, after }) = row.step {
        line.push_str(&match (before, after) {
            (Some(before), Some(after)) => format!(" {key} {before} → {after}"),
            (Some(only), None) | (None, Some(only)) => format!(" {key} {only}"),
            (None, None) => String::new(),
        });
    }
    if let Some((_, value)) = row.limit {
        line.push_str(&format!(" of {value}"));
    }
    if let Some(pid) = row.pid {
        line.push_str(&format!(" by {pid}"));
        if let Some(command) = &row.command {
            line.push_str(&format!(" ({})", command.escaped()));
        }
    }
    line
}

/// The limits of which more than a share is used.
struct Thresholds {
    percent: f64,
    nouns: Vec<&'static str>,
    /// Those that were over it at the last look, with what was used.
    over: Vec<(&'static str, u64)>,
}

impl Thresholds {
    /// Those that have gone over it or under it since the last look; at the first one all that are over it.
    fn look(&mut self) -> Vec<Row> {
        let mut rows = Vec::new();
        for limit in mech::limits(|noun| self.nouns.contains(&noun)) {
            // What cannot be seen has not moved.
            let (Some(percent), Some(used), Some(value)) = (limit.percent(), limit.used.known(), limit.limit.known())
            else {
                continue;
            };
            let before = self.over.iter().position(|(name, _)| *name == limit.name);
            let event = match (before, percent > self.percent) {
                (None, true) => "over",
                (Some(_), false) => "under",
                (Some(at), true) => {
                    self.over[at].1 = *used;
                    continue;
                }
                (None, false) => continue,
            };
            let before = before.map(|at| self.over.swap_remove(at).1);
            if event == "over" {
                self.over.push((limit.name, *used));
            }
            rows.push(Row {
                at: Moment::now(),
                event,
                kind: limit.noun,
                reference: None,
                user: Seen::Absent,
                step: Some(Step { key: "used", before, after: Some(*used) }),
                pid: None,
                command: None,
                limit: Some((limit.name, *value)),
            });
        }
        rows
    }
}

pub fn run(args: &WatchArgs, ctx: &mut Context) -> Outcome {
    let wanted = if args.kinds.is_empty() { Kind::LASTING } else { &args.kinds[..] };
    let kinds: Vec<Kind> = Kind::ALL.iter().copied().filter(|kind| wanted.contains(kind)).collect();
    let nouns: Vec<&'static str> = kinds.iter().map(|kind| kind.noun()).collect();
    let select = Select { owner: if args.mine { Some(users::me()) } else { args.owner } };
    let mut thresholds = args.over.map(|percent| Thresholds { percent, nouns: nouns.clone(), over: Vec::new() });
    let waiter = Waiter::new(Wait::within(args.timeout));
    let (mut watcher, gaps) = Watcher::new(kinds, select);
    ls::say(&gaps, ctx);
    ctx.ui.note(format_args!("watching {} every {:?}", list(&nouns), args.interval));
    let mut form = Form { jsonl: args.jsonl, left: args.count };
    let mut stop = None;
    loop {
        let rows = thresholds.as_mut().map_or_else(Vec::new, Thresholds::look);
        if form.write(rows, ctx)? {
            return Ok(Status::Done);
        }
        match stop {
            Some(Stop::TimedOut) => return Ok(Status::TimedOut),
            Some(Stop::Signal(signal)) => return Ok(Status::Signal(signal)),
            Some(Stop::Errno(errno)) => return Err(Error::new("poll", errno, "").doing("cannot watch")),
            None => {}
        }
        // What happened until the end is told before it.
        stop = watcher.wait(&waiter, args.interval).err();
        let (events, gaps) = watcher.look();
        ls::say(&gaps, ctx);
        if form.write(events.into_iter().map(Row::of_object).collect(), ctx)? {
            return Ok(Status::Done);
        }
    }
}

/// How events are written, and how many more.
struct Form {
    jsonl: bool,
    left: Option<u64>,
}

impl Form {
    /// Writes each event by itself; whether it was the last one.
    fn write(&mut self, rows: Vec<Row>, ctx: &mut Context) -> anyhow::Result<bool> {
        let fields: Vec<&Field<Row>> = FIELDS.iter().collect();
        let style = Style::new(true, TimeFormat::Unix);
        let out = &mut ctx.ui.out;
        for row in rows {
            if self.jsonl {
                render::json_line(out, &fields, &row)?;
            } else {
                out.line(format_args!("{}", line(&row, &style)))?;
            }
            out.flush()?;
            if let Some(left) = &mut self.left {
                *left -= 1;
                if *left == 0 {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
