//! `ipcx why`: what processes are blocked on, and who could wake them.

use super::ls::say;
use super::{Context, Outcome, usage};
use crate::args::reference;
use crate::error::{Doing as _, Error};
use crate::exit::Status;
use crate::inspect::why::{self, Answer, Told};
use crate::inspect::{Facts, Scene};
use crate::inventory::Holders;
use crate::model::{Field, Kind, Needs, ObjectRef, Seen, Text, Value};
use crate::render::{self, Document};
use clap::Args;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx why 4711                 what each of its threads waits for, and who could wake it
  ipcx why postgres             every process of this name
  ipcx why sem/5 fifo/./jobs    whoever waits for these objects
  ipcx why /run/app.lock        whoever waits for a lock on this file, and who has one
  ipcx why --deadlocks          who waits for whom in a circle; status 1 if somebody does,
                                however sure it is
  ipcx why --deadlocks 4711     only the circles in which this one waits
  ipcx why --json 4711 | jq '.objects[].wakers'

How sure it is that a process could wake another: `exact`, the kernel says so; `strong`,
what is known fits nothing else that is seen, but a timeout or a newcomer that cannot be
seen may end the wait; `weak`, by convention or by name alone, so that others may well end
it. A circle is as sure as its weakest part. Of those that wait for each other in several
ways the shortest circle is told, and how many more there are.

Nothing is stopped or traced to find out. What processes do is read from /proc, their
memory included (/proc/PID/mem); no FIFO, device or socket of theirs is opened.")]
pub struct WhyArgs {
    /// Processes, by pid or name, objects, their kind in front: sem/5, fifo/./jobs, or paths of locked files
    #[arg(value_name = "PID|NAME|REF|PATH", required_unless_present = "deadlocks")]
    what: Vec<OsString>,

    /// Find threads that wait for each other in a circle, or for one that is dead; status 1 if there are
    #[arg(long)]
    deadlocks: bool,

    /// One JSON document
    #[arg(long, conflicts_with = "jsonl")]
    json: bool,

    /// One JSON object a line
    #[arg(long)]
    jsonl: bool,
}

static ANSWER: &[Field<Answer>] = &[
    Field::plain("pid", |answer, _| Seen::Is(Value::Pid(answer.pid))),
    Field::plain("tid", |answer, _| Seen::Is(Value::Pid(answer.tid))),
    Field::plain("command", |answer, _| Seen::Is(Value::Text(answer.command.clone()))),
    Field::plain("state", |answer, _| Seen::Is(Value::Word(answer.state))),
    Field::plain("call", |answer, _| answer.call.map(Value::Word).into()),
    Field::plain("waits_for", |answer, _| answer.waits_for.map(Value::Word).into()),
    Field::plain("ref", |answer, _| answer.reference.as_ref().map(ObjectRef::value).into()),
    Field::plain("since", |answer, _| answer.since.map(Value::Duration).into()),
    Field::plain("timeout", |answer, _| answer.left.map(Value::Duration).into()),
    Field::plain("wakers", |answer, _| Seen::Is(Value::List(wakers(answer)))),
    Field::plain("chain", |answer, _| Seen::Is(Value::List(answer.chain.iter().cloned().map(Value::Phrase).collect()))),
    Field::plain("odd", |answer, _| {
        let odd = answer.needs.iter().flat_map(|need| &need.odd).chain(&answer.odd);
        Seen::Is(Value::List(odd.cloned().map(Value::Phrase).collect()))
    }),
    Field::plain("text", |answer, _| Seen::Is(Value::Phrase(answer.text()))),
];

fn wakers(answer: &Answer) -> Vec<Value> {
    let by = answer.needs.iter().flat_map(|need| &need.by);
    by.map(|waker| {
        Value::Record(vec![
            ("pid", Seen::Is(Value::Pid(waker.pid))),
            ("tid", waker.tid.map(Value::Pid).into()),
            ("command", Seen::Is(Value::Text(waker.command.clone()))),
            ("grade", Seen::Is(Value::Word(waker.grade.word()))),
            ("why", Seen::Is(Value::Phrase(waker.because.clone()))),
        ])
    })
    .collect()
}

static TOLD: &[Field<Told>] = &[
    Field::plain("kind", |told, _| Seen::Is(Value::Word(told.kind))),
    Field::plain("grade", |told, _| Seen::Is(Value::Word(told.grade.word()))),
    Field::plain("edges", |told, _| Seen::Is(Value::List(told.edges.clone()))),
    Field::plain("more", |told, _| Seen::Is(Value::Count(told.more as u64))),
];

pub fn run(args: &WhyArgs, ctx: &mut Context) -> Outcome {
    let holders = Holders::new(Needs::USERS);
    let scene = Scene::new(&holders);
    let facts = Facts::new(&scene);
    let status = if args.deadlocks { deadlocks(args, &facts, ctx)? } else { answers(args, &facts, ctx)? };
    ctx.ui.out.flush_buffer()?;
    say(&scene.gaps(), ctx);
    Ok(status)
}

/// Of every thread that was asked for, and the status of the first that could not be found.
fn find(args: &WhyArgs, facts: &Facts<'_>, ctx: &mut Context) -> anyhow::Result<(Vec<Answer>, Status)> {
    let mut status = Status::Done;
    let mut answers: Vec<Answer> = Vec::new();
    for what in &args.what {
        let found = match target(what.as_bytes())? {
            Target::Object(reference) => why::object(facts, &reference).inspect(|found| {
                if found.is_empty() {
                    ctx.ui.note(format_args!("nobody is seen to wait for {reference}"));
                }
            }),
            Target::Process(pid) => why::process(facts, pid),
            Target::File(path) => why::file(facts, &path).map(|(found, holders)| {
                if found.is_empty() {
                    ctx.ui.note(format_args!("nobody is seen to wait for {}", Text::from(what.as_bytes()).escaped()));
                }
                holders.iter().for_each(|holder| ctx.ui.note(holder));
                found
            }),
            Target::Name(name) => named(facts, &name),
        };
        match found.doing("cannot say why") {
            Ok(found) => answers.extend(found),
            Err(error) => {
                let failed = ctx.ui.report(&error);
                status = if status == Status::Done { failed } else { status };
            }
        }
    }
    Ok((answers, status))
}

fn answers(args: &WhyArgs, facts: &Facts<'_>, ctx: &mut Context) -> Outcome {
    let (answers, status) = find(args, facts, ctx)?;
    let fields: Vec<&Field<Answer>> = ANSWER.iter().collect();
    let out = &mut ctx.ui.out;
    if args.json {
        let mut document = Document::begin(out)?;
        document.rows(&fields, &answers)?;
        document.gaps(facts.scene().gaps());
        document.end()?;
    } else if args.jsonl {
        answers.iter().try_for_each(|answer| render::json_line(out, &fields, answer))?;
    } else {
        for (at, paragraph) in why::paragraphs(&answers).iter().enumerate() {
            if at > 0 {
                out.line(format_args!(""))?;
            }
            out.line(format_args!("{paragraph}"))?;
        }
    }
    Ok(status)
}

/// Whoever waits is named by a pid, a name, or what he waits for.
enum Target {
    Process(i32),
    Name(Text),
    /// A file that is no object of ours, such as one that is locked.
    File(PathBuf),
    Object(crate::model::ObjectRef),
}

fn target(text: &[u8]) -> anyhow::Result<Target> {
    if let Some(pid) = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit())) {
        let pid = pid.parse().ok().filter(|pid| *pid > 0);
        return pid.map(Target::Process).ok_or_else(|| usage(format!("`{}` is no pid", Text::from(text).escaped())));
    }
    match reference::parse(text, None) {
        Ok(reference) => Ok(Target::Object(reference)),
        // Names of processes may hold a slash, too, but hardly behind the word for a kind.
        Err(cause) => {
            let front = text.split(|byte| *byte == b'/').next().unwrap_or_default();
            if text.contains(&b'/') && Kind::from_noun(front).is_some() {
                return Err(usage(cause));
            }
            let path = Path::new(OsStr::from_bytes(text));
            Ok(if text.contains(&b'/') && path.exists() {
                Target::File(path.into())
            } else {
                Target::Name(text.into())
            })
        }
    }
}

fn named(facts: &Facts<'_>, name: &Text) -> crate::error::Result<Vec<Answer>> {
    let pids = why::named(name.raw());
    if pids.is_empty() {
        let cause = "there is no process with this name, and it is no reference to an object";
        return Err(Error::refused(name.escaped(), Status::NoSuch, cause)
            .hinting("an object is named with its kind in front: sem/5, shm//frames, fifo/./jobs"));
    }
    let mut answers = Vec::new();
    let mut failed = None;
    for pid in pids {
        match why::process(facts, pid) {
            Ok(found) => answers.extend(found),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match failed {
        Some(error) if answers.is_empty() => Err(error),
        _ => Ok(answers),
    }
}

fn deadlocks(args: &WhyArgs, facts: &Facts<'_>, ctx: &mut Context) -> Outcome {
    let (asked, status) = find(args, facts, ctx)?;
    let (mut told, among) = why::deadlocks(facts);
    if !args.what.is_empty() {
        told.retain(|one| asked.iter().any(|answer| one.has(answer.tid)));
    }
    let fields: Vec<&Field<Told>> = TOLD.iter().collect();
    let out = &mut ctx.ui.out;
    if args.json {
        let mut document = Document::begin(out)?;
        document.rows(&fields, &told)?;
        document.gaps(facts.scene().gaps());
        document.end()?;
    } else if args.jsonl {
        told.iter().try_for_each(|one| render::json_line(out, &fields, one))?;
    } else {
        for (at, one) in told.iter().enumerate() {
            if at > 0 {
                out.line(format_args!(""))?;
            }
            out.line(format_args!("deadlock {} ({}):", at + 1, one.grade.word()))?;
            for (number, line) in one.lines.iter().enumerate() {
                out.line(format_args!("  {}. {line}", number + 1))?;
            }
            match one.more {
                0 => {}
                1 => out.line(format_args!("  and 1 more thread waits in the same circle, or for it"))?,
                more => out.line(format_args!("  and {more} more threads wait in the same circle, or for it"))?,
            }
        }
    }
    if told.is_empty() {
        let threads = if among == 1 { "thread" } else { "threads" };
        ctx.ui.note(match args.what[..] {
            [] => format!("no deadlock among {among} blocked {threads}"),
            _ => format!("none of these waits in a deadlock; {among} blocked {threads} were looked at"),
        });
        return Ok(status);
    }
    Ok(Status::Failed)
}
