//! `ipcx ps`: what processes hold and wait for.

use super::ls::say;
use super::{Context, Outcome, usage};
use crate::args::listing;
use crate::error::Doing as _;
use crate::exit::Status;
use crate::inspect::usage::{self as used, Choice, Link, Usage};
use crate::inspect::{Facts, Scene};
use crate::inventory::Holders;
use crate::model::{Align, Field, Needs, Seen, Value};
use crate::render::graph::{Arrow, Graph, Node};
use crate::render::{self, Document, Layout};
use clap::Args;
use std::collections::BTreeMap;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx ps                       processes that hold an object or wait for one
  ipcx ps 4711 4712             every object of these, a row for each
  ipcx ps --graph               objects with who holds them (-->) and who waits for them (<--)
  ipcx ps -a --dot | dot -Tsvg >ipc.svg
  ipcx ps --json | jq '.objects[] | select(.waits != [])'

Without PIDs it shows what nearly every process has only with --all: pipes, sockets, memory
files and event counters, and waits for children.")]
pub struct PsArgs {
    /// Processes whose objects to list, a row for each object
    #[arg(value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pids: Vec<i32>,

    /// Also pipes, sockets, memory files and event counters, and waits for children
    #[arg(short, long)]
    all: bool,

    /// Draw who holds what and who waits for it, as text
    #[arg(long, group = "format")]
    graph: bool,

    /// The same for Graphviz
    #[arg(long, group = "format")]
    dot: bool,

    /// Columns, or more of them with a plus in front; `help` lists them
    #[arg(short, long = "output", value_name = "COL[,COL…]", conflicts_with_all = ["graph", "dot"])]
    output: Option<String>,

    /// One JSON document
    #[arg(long, group = "format")]
    json: bool,

    /// One JSON object a line
    #[arg(long, group = "format")]
    jsonl: bool,

    /// Tab-separated exact values, control bytes escaped
    #[arg(long, group = "format")]
    raw: bool,

    /// No line of titles
    #[arg(long)]
    no_headings: bool,
}

const fn column<T>(key: &'static str, help: &'static str, get: fn(&T, &'static str) -> Seen<Value>) -> Field<T> {
    Field { help, ..Field::plain(key, get) }
}

const fn number<T>(key: &'static str, help: &'static str, get: fn(&T, &'static str) -> Seen<Value>) -> Field<T> {
    Field { align: Align::Right, ..column(key, help, get) }
}

/// A row for each process. Lists of objects are short in a table and whole for a machine.
static PROCESSES: &[Field<Usage>] = &[
    number("pid", "process", |usage, _| Seen::Is(Value::Pid(usage.pid))),
    Field {
        default: false,
        ..number("uid", "user id", |usage, _| usage.uid.map(|uid| Value::Count(uid.into())).into())
    },
    column("user", "user name", |usage, _| usage.user.clone().map(Value::Text).into()),
    column("holds", "objects that it holds", |usage, _| records(usage.holds())),
    column("waits", "objects that it waits for", |usage, _| records(usage.waits())),
    column("since", "how long it has waited", |usage, _| since(usage)),
    column("command", "command line", |usage, _| Seen::Is(Value::Text(usage.command.clone()))),
];

static SHORT: &[Field<Usage>] = &[
    column("holds", "", |usage, _| few(usage.holds().map(|link| link.name.clone()))),
    column("waits", "", |usage, _| {
        few(usage.waits().map(|link| format!("{}: {}", link.call.unwrap_or_default(), link.name)))
    }),
];

/// A row for each object of a process.
static OBJECTS: &[Field<Link>] = &[
    number("pid", "process", |link, _| Seen::Is(Value::Pid(link.pid))),
    Field { default: false, ..number("tid", "thread that waits", |link, _| link.tid.map(Value::Pid).into()) },
    column("command", "short name of the process", |link, _| Seen::Is(Value::Text(link.command.clone()))),
    column("role", "how it is held, or `waits`", |link, _| Seen::Is(Value::Word(link.role))),
    column("ref", "reference of the object, or what it is", |link, _| Seen::Is(link.object())),
    column("call", "system call in which it waits", |link, _| link.call.map(Value::Word).into()),
    column("detail", "more, in words", |link, _| link.detail.clone().map(Value::Phrase).into()),
    column("since", "how long it has waited", |link, _| link.since.map(Value::Duration).into()),
    Field { default: false, ..column("grade", "how sure it is", |link, _| Seen::Is(Value::Word(link.grade.word()))) },
];

fn records<'a>(links: impl Iterator<Item = &'a Link>) -> Seen<Value> {
    Seen::Is(Value::List(links.map(|link| Value::Record(link.record())).collect()))
}

fn since(usage: &Usage) -> Seen<Value> {
    usage.waits().filter_map(|link| link.since).max().map(Value::Duration).into()
}

/// The first few of a list, and how many more there are.
fn few(names: impl Iterator<Item = String>) -> Seen<Value> {
    const MOST: usize = 3;
    let mut all: Vec<String> = Vec::new();
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    if all.is_empty() {
        return Seen::Absent;
    }
    let more = all.len().saturating_sub(MOST);
    all.truncate(MOST);
    let more = if more == 0 { String::new() } else { format!(" +{more}") };
    Seen::Is(Value::Phrase(format!("{}{more}", all.join(", "))))
}

pub fn run(args: &PsArgs, ctx: &mut Context) -> Outcome {
    let objects = !args.pids.is_empty();
    if args.output.as_deref().is_some_and(|text| text.trim_start_matches('+').eq_ignore_ascii_case("help")) {
        return if objects { help(OBJECTS, ctx) } else { help(PROCESSES, ctx) };
    }
    let mut status = Status::Done;
    let mut pids = Vec::new();
    for pid in &args.pids {
        match used::visible(*pid).doing("cannot look into") {
            Ok(()) => pids.push(*pid),
            Err(error) => {
                let failed = ctx.ui.report(&error);
                status = if status == Status::Done { failed } else { status };
            }
        }
    }
    let holders = Holders::new(Needs::SCAN);
    let scene = Scene::new(&holders);
    let facts = Facts::new(&scene);
    let links = if objects && pids.is_empty() {
        Vec::new()
    } else {
        used::links(&facts, Choice { pids: &pids, all: args.all })
    };
    if args.graph || args.dot {
        let graph = graph(&links);
        let mut text = Vec::new();
        if args.dot {
            graph.dot(&mut text)?
        } else {
            graph.text(&mut text)?
        }
        ctx.ui.out.payload(&text).map_err(|(_, failed)| failed)?;
    } else if objects {
        let mut links = links;
        links.sort_by_key(|link| (link.pid, link.resource, link.waits()));
        list(args, OBJECTS, &[], &links, &scene, ctx)?;
    } else {
        list(args, PROCESSES, SHORT, &used::by_process(&facts, links), &scene, ctx)?;
    }
    ctx.ui.out.flush_buffer()?;
    say(&scene.gaps(), ctx);
    Ok(status)
}

/// Prints rows in the form that is wanted; `short` are columns that look otherwise for people.
fn list<T: Sync>(
    args: &PsArgs,
    fields: &'static [Field<T>],
    short: &'static [Field<T>],
    rows: &[T],
    scene: &Scene<'_>,
    ctx: &mut Context,
) -> anyhow::Result<()> {
    let machine = args.json || args.jsonl;
    let mut shown: Vec<&Field<T>> = chosen(fields, args.output.as_deref(), machine).map_err(usage)?;
    if !machine {
        for field in &mut shown {
            *field = short.iter().find(|short| short.key == field.key).unwrap_or(field);
        }
    }
    let out = &mut ctx.ui.out;
    if args.json {
        let mut document = Document::begin(out)?;
        document.rows(&shown, rows)?;
        document.gaps(scene.gaps());
        document.end()?;
    } else if args.jsonl {
        rows.iter().try_for_each(|row| render::json_line(out, &shown, row))?;
    } else if args.raw {
        render::raw(out, &shown, rows, !args.no_headings, render::TimeFormat::Unix, 0)?;
    } else {
        let style = render::Style::new(false, render::TimeFormat::Relative);
        let layout = Layout { headings: !args.no_headings, width: ctx.ui.width(), color: ctx.ui.color };
        render::table(&mut ctx.ui.out, &shown, rows, &style, layout)?;
    }
    Ok(())
}

/// The columns that were asked for; without that the usual ones, and all for a machine.
fn chosen<T>(
    fields: &'static [Field<T>],
    output: Option<&str>,
    machine: bool,
) -> Result<Vec<&'static Field<T>>, String> {
    let usual = fields.iter().filter(|field| machine || field.default).collect();
    let named = |key: &str| fields.iter().find(|field| field.key == key);
    listing::chosen(output, usual, named, || fields.iter().map(|field| field.key).collect())
}

/// `-o help`.
fn help<T: 'static>(fields: &'static [Field<T>], ctx: &mut Context) -> Outcome {
    let rows: Vec<(&str, &str)> = fields.iter().map(|field| (field.key, field.help)).collect();
    let columns = [
        column("column", "", |row: &(&'static str, &'static str), _| Seen::Is(Value::Word(row.0))),
        column("help", "", |row: &(&'static str, &'static str), _| Seen::Is(Value::Word(row.1))),
    ];
    let columns: Vec<_> = columns.iter().collect();
    let layout = Layout { headings: true, width: None, color: ctx.ui.color };
    let style = render::Style::new(true, render::TimeFormat::Unix);
    render::table(&mut ctx.ui.out, &columns, &rows, &style, layout)?;
    ctx.ui.out.flush_buffer()?;
    Ok(Status::Done)
}

fn graph(links: &[Link]) -> Graph {
    let mut objects: BTreeMap<_, Vec<&Link>> = BTreeMap::new();
    for link in links {
        // A word stands with the memory in which it is.
        objects.entry((link.resource.object(), link.resource)).or_default().push(link);
    }
    let mut graph = Graph::default();
    for mut links in objects.into_values() {
        links.sort_by_key(|link| (link.waits(), link.pid, link.tid));
        let arrow = |link: &&Link| Arrow {
            pid: link.pid,
            command: link.command.escaped().to_string(),
            waits: link.waits(),
            label: label(link),
        };
        let name = links.first().map_or_else(String::new, |link| link.name.clone());
        graph.objects.push(Node { name, edges: links.iter().map(arrow).collect() });
    }
    graph
}

fn label(link: &Link) -> String {
    let mut label = match link.call {
        Some(call) => format!("waits in {call}"),
        None => link.role.to_owned(),
    };
    if let Some(detail) = &link.detail {
        label.push_str(&format!(", {detail}"));
    }
    if !link.waits() {
        label.push_str(&format!(" [{}]", link.grade.word()));
    }
    label
}
