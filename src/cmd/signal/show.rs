//! `ipcx signal show`.

use super::process::Process;
use crate::args::signal::{self as words, Target};
use crate::cmd::{Context, Outcome};
use crate::error::{Doing as _, Error, Result};
use crate::exit::Status;
use crate::model::{Field, Seen, SignalSet, Text, Value};
use crate::proc::status::{self, Status as Signals};
use crate::proc::task;
use crate::render::{self, Document, Layout, Style, TimeFormat};
use crate::sys::signal::real_time;
use crate::sys::users::Names;
use clap::Args;
use nix::errno::Errno;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx signal show 4242
  ipcx signal show $$ --json | jq '.objects[0].blocked'

blocked is what the first thread has blocked; threads that block others, or have signals
of their own pending, are listed. queued and limit are those of RLIMIT_SIGPENDING: queued
counts for all processes of the user, limit is that of this process. The kernel takes a
signal that a thread waits for in sigwait(3) off its blocked ones for that time.")]
pub struct ShowArgs {
    /// Processes: PID or PID:INODE
    #[arg(value_name = "PID", required = true, allow_negative_numbers = true, value_parser = words::target, add = words::processes())]
    targets: Vec<Target>,

    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// A process and its signals.
struct Row {
    pid: i32,
    reference: String,
    command: Text,
    user: Option<Text>,
    signals: Signals,
    threads: Seen<Value>,
    /// Whether sets are lists, for machines, or words in a row.
    lists: bool,
}

/// The kernel has always printed these lines.
fn unread<T>() -> Seen<T> {
    Seen::hidden("read", Errno::EBADMSG as i32)
}

fn set(set: Option<SignalSet>, lists: bool) -> Seen<Value> {
    let Some(set) = set else { return unread() };
    let mut labels = set.iter().map(|signal| signal.label(real_time()));
    if lists {
        Seen::Is(Value::List(labels.map(Value::Phrase).collect()))
    } else if set.is_empty() {
        Seen::Is(Value::Word("-"))
    } else {
        let first = labels.next().unwrap_or_default();
        Seen::Is(Value::Phrase(labels.fold(first, |all, label| all + " " + &label)))
    }
}

fn queue(row: &Row, get: fn((u64, u64)) -> Value) -> Seen<Value> {
    row.signals.queue.map_or_else(unread, |queue| Seen::Is(get(queue)))
}

#[allow(clippy::cast_precision_loss)]
fn percent((queued, limit): (u64, u64)) -> Value {
    Value::Percent(if limit == 0 { 100.0 } else { queued as f64 * 100.0 / limit as f64 })
}

static FIELDS: [Field<Row>; 13] = [
    Field::plain("pid", |row, _| Seen::Is(Value::Pid(row.pid))),
    Field::plain("ref", |row, _| Seen::Is(Value::Phrase(row.reference.clone()))),
    Field::plain("command", |row, _| Seen::Is(Value::Text(row.command.clone()))),
    Field::plain("uid", |row, _| row.signals.uid.map_or_else(unread, |uid| Seen::Is(Value::Count(uid.into())))),
    Field::plain("user", |row, _| row.user.clone().map_or_else(unread, |user| Seen::Is(Value::Text(user)))),
    Field::plain("blocked", |row, _| set(row.signals.blocked, row.lists)),
    Field::plain("ignored", |row, _| set(row.signals.ignored, row.lists)),
    Field::plain("caught", |row, _| set(row.signals.caught, row.lists)),
    Field::plain("pending", |row, _| set(row.signals.pending, row.lists)),
    Field::plain("queued", |row, _| queue(row, |(queued, _)| Value::Count(queued))),
    Field::plain("limit", |row, _| queue(row, |(_, limit)| Value::Count(limit))),
    Field::plain("percent", |row, _| queue(row, percent)),
    Field::plain("threads", |row, _| row.threads.clone()),
];

pub fn run(args: &ShowArgs, ctx: &mut Context) -> Outcome {
    let mut names = Names::default();
    let mut status = Status::Done;
    let mut rows = Vec::new();
    for target in &args.targets {
        match look(*target, args.json, &mut names).doing("cannot show") {
            Ok(row) => rows.push(row),
            Err(error) => {
                let failed = ctx.ui.report(&error);
                status = if status == Status::Done { failed } else { status };
            }
        }
    }
    let fields: Vec<&Field<Row>> = FIELDS.iter().collect();
    let layout = Layout { headings: true, width: ctx.ui.width(), color: ctx.ui.color };
    let out = &mut ctx.ui.out;
    if args.json {
        let mut document = Document::begin(out)?;
        document.rows(&fields, &rows)?;
        document.end()?;
    } else {
        // A limit that nothing can reach is shown as none.
        let style = Style::new(false, TimeFormat::Unix);
        for (at, row) in rows.iter().enumerate() {
            if at > 0 {
                out.line(format_args!(""))?;
            }
            render::page(out, &format!("process {}", row.pid), &fields, row, &style, layout)?;
        }
    }
    out.flush_buffer()?;
    Ok(status)
}

fn look(target: Target, lists: bool, names: &mut Names) -> Result<Row> {
    let process = Process::open(target)?;
    let pid = process.pid;
    let signals = status::read(pid);
    // What was read was said of the process that we hold only if that still has its pid.
    let there = process.fd.send(0, None) != Err(Errno::ESRCH);
    let signals = signals.map_err(|errno| match errno {
        Errno::ESRCH if there => {
            Error::new("open", Errno::EACCES, pid).because("/proc does not show it to us (hidepid)")
        }
        errno => Error::new("open", errno, pid),
    })?;
    if !there {
        return Err(Error::new("open", Errno::ESRCH, pid));
    }
    Ok(Row {
        pid,
        reference: process.reference(),
        command: process.command(),
        user: signals.uid.map(|uid| names.user(uid)),
        threads: threads(pid, &signals, lists),
        signals,
        lists,
    })
}

/// The threads that block other signals than the first one, or have signals of their own pending.
fn threads(pid: i32, first: &Signals, lists: bool) -> Seen<Value> {
    let tids = match task::threads(pid) {
        Ok(tids) => tids,
        Err(errno) => return Seen::hidden("opendir", errno as i32),
    };
    let mut list = Vec::new();
    for tid in tids {
        // One that has ended meanwhile has nothing pending.
        let Ok(thread) = status::read_thread(pid, tid) else { continue };
        let pending = thread.thread_pending.is_some_and(|set| !set.is_empty());
        if pending || thread.blocked != first.blocked {
            list.push(Value::Record(vec![
                ("tid", Seen::Is(Value::Pid(tid))),
                ("pending", set(thread.thread_pending, lists)),
                ("blocked", set(thread.blocked, lists)),
            ]));
        }
    }
    Seen::Is(Value::List(list))
}
