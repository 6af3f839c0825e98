//! `ipcx ps`: what processes hold and wait for.

use super::ls::say;
use super::{Context, Outcome, usage};
use crate::args::listing::{self, FormArgs, namespace};
use crate::error::Doing as _;
use crate::exit::Status;
use crate::inspect::usage::{self as used, Choice, Link, Usage};
use crate::inspect::{Facts, Scene};
use crate::inventory::Holders;
use crate::inventory::members::Members;
use crate::inventory::namespaces::{Which, Within};
use crate::model::{Align, Field, Gap, Needs, Seen, Value};
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
  ipcx ps --all-namespaces      with the IPC namespace and the container of each
  ipcx ps --namespace 4711      those that share the namespace of that one

Without PIDs it shows what nearly every process has only with --all: pipes, sockets, memory
files and event counters, and waits for children.

It shows the processes of all IPC namespaces. An object of another one is called so, as in
`sem/0 of IPC namespace 4026532222`: its reference means another object here, or none, and
the last to operate on it is not known here (nsenter --target PID --ipc ipcx ps). CONTAINER is
empty in the namespace of ipcx itself.")]
pub struct PsArgs {
    /// Processes whose objects to list, a row for each object
    #[arg(value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pids: Vec<i32>,

    /// Also pipes, sockets, memory files and event counters, and waits for children
    #[arg(short, long)]
    all: bool,

    /// Say of each process in which IPC namespace and container it is
    #[arg(long, conflicts_with_all = ["namespace", "graph", "dot"])]
    all_namespaces: bool,

    /// Only processes in the IPC namespace of this one, or the one of this number: 4026532222, ipc:[4026532222]
    #[arg(long, value_name = "PID", value_parser = namespace)]
    namespace: Option<Which>,

    /// Draw who holds what and who waits for it, as text
    #[arg(long, group = "format")]
    graph: bool,

    /// The same for Graphviz
    #[arg(long, group = "format")]
    dot: bool,

    /// Columns, or more of them with a plus in front; `help` lists them
    #[arg(short, long = "output", value_name = "COL[,COL…]", conflicts_with_all = ["graph", "dot"])]
    output: Option<String>,

    #[command(flatten)]
    form: FormArgs,
}

const fn column<T>(key: &'static str, help: &'static str, get: fn(&T, &'static str) -> Seen<Value>) -> Field<T> {
    Field { help, ..Field::plain(key, get) }
}

const fn number<T>(key: &'static str, help: &'static str, get: fn(&T, &'static str) -> Seen<Value>) -> Field<T> {
    Field { align: Align::Right, ..column(key, help, get) }
}

/// Where a process is.
const fn of_namespace<T>() -> Field<Within<T>> {
    number("namespace", "IPC namespace of the process", |row, _| row.namespace.clone().map(Value::Count))
}

const fn of_container<T>() -> Field<Within<T>> {
    let get: fn(&Within<T>, &'static str) -> Seen<Value> = |row, _| row.container.clone().map(Value::Text);
    column("container", "container or leading process of another namespace", get)
}

/// A row for each process. Lists of objects are short in a table and whole for a machine.
static PROCESSES: &[Field<Within<Usage>>] = &[
    of_namespace(),
    of_container(),
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

static SHORT: &[Field<Within<Usage>>] = &[
    column("holds", "", |usage, _| few(usage.holds().map(|link| link.name.clone()))),
    column("waits", "", |usage, _| {
        few(usage.waits().map(|link| format!("{}: {}", link.call.unwrap_or_default(), link.name)))
    }),
];

/// A row for each object of a process.
static OBJECTS: &[Field<Within<Link>>] = &[
    of_namespace(),
    of_container(),
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
    // A list gives way where the terminal is narrow.
    Seen::Is(Value::List(vec![Value::Phrase(format!("{}{more}", all.join(", ")))]))
}

pub fn run(args: &PsArgs, ctx: &mut Context) -> Outcome {
    let objects = !args.pids.is_empty();
    if args.output.as_deref().is_some_and(|text| text.trim_start_matches('+').eq_ignore_ascii_case("help")) {
        return if objects { help(&args.fields(OBJECTS), ctx) } else { help(&args.fields(PROCESSES), ctx) };
    }
    let members = args.which().map(Members::of).transpose().doing("cannot look into other namespaces:")?;
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
    let holders = Holders::new(Needs::USERS);
    let scene = Scene::new(&holders);
    let facts = Facts::new(&scene);
    let mut links = if objects && pids.is_empty() {
        Vec::new()
    } else {
        used::links(&facts, Choice { pids: &pids, all: args.all })
    };
    if let Some(members) = &members {
        links.retain(|link| members.has(link.pid));
    }
    let gaps = || members.iter().flat_map(|members| members.gaps.clone()).chain(scene.gaps()).collect::<Vec<_>>();
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
        links.sort_by_key(|link| (link.pid, link.resource, link.waits()));
        list(args, OBJECTS, &[], &placed(members.as_ref(), links, |link| link.pid), gaps(), ctx)?;
    } else {
        let processes = used::by_process(links);
        list(args, PROCESSES, SHORT, &placed(members.as_ref(), processes, |usage| usage.pid), gaps(), ctx)?;
    }
    ctx.ui.out.flush_buffer()?;
    say(&gaps(), ctx);
    Ok(status)
}

impl PsArgs {
    /// `None` if nobody asked where processes are.
    fn which(&self) -> Option<Which> {
        if self.all_namespaces { Some(Which::All) } else { self.namespace }
    }

    /// The columns there are.
    fn fields<T>(&self, all: &'static [Field<T>]) -> Vec<&'static Field<T>> {
        let tells_where = |field: &&Field<T>| matches!(field.key, "namespace" | "container");
        all.iter().filter(|field| self.which().is_some() || !tells_where(field)).collect()
    }
}

/// Rows with the namespace of the process, if that is wanted.
fn placed<T>(members: Option<&Members>, rows: Vec<T>, pid: fn(&T) -> i32) -> Vec<Within<T>> {
    let place = |row: T| match members {
        Some(members) => members.place(pid(&row), row),
        None => Within::here(row),
    };
    rows.into_iter().map(place).collect()
}

/// Prints rows in the form that is wanted; `short` are columns that look otherwise for people.
fn list<T: Sync>(
    args: &PsArgs,
    fields: &'static [Field<T>],
    short: &'static [Field<T>],
    rows: &[T],
    gaps: Vec<Gap>,
    ctx: &mut Context,
) -> anyhow::Result<()> {
    let machine = args.form.json || args.form.jsonl;
    let mut shown: Vec<&Field<T>> = chosen(&args.fields(fields), args.output.as_deref(), machine).map_err(usage)?;
    if !machine {
        for field in &mut shown {
            *field = short.iter().find(|short| short.key == field.key).unwrap_or(field);
        }
    }
    let out = &mut ctx.ui.out;
    if args.form.json {
        let mut document = Document::begin(out)?;
        document.rows(&shown, rows)?;
        document.gaps(gaps);
        document.end()?;
    } else if args.form.jsonl {
        rows.iter().try_for_each(|row| render::json_line(out, &shown, row))?;
    } else if args.form.raw {
        render::raw(out, &shown, rows, !args.form.no_headings, render::TimeFormat::Unix, 0)?;
    } else {
        let style = render::Style::new(false, render::TimeFormat::Relative);
        let layout = Layout { headings: !args.form.no_headings, width: ctx.ui.width(), color: ctx.ui.color };
        render::table(&mut ctx.ui.out, &shown, rows, &style, layout)?;
    }
    Ok(())
}

/// The columns that were asked for; without that the usual ones, and all for a machine.
fn chosen<T>(
    fields: &[&'static Field<T>],
    output: Option<&str>,
    machine: bool,
) -> Result<Vec<&'static Field<T>>, String> {
    let usual = fields.iter().copied().filter(|field| machine || field.default).collect();
    let named = |key: &str| fields.iter().copied().find(|field| field.key == key);
    listing::chosen(output, usual, named, || fields.iter().map(|field| field.key).collect())
}

/// `-o help`.
fn help<T>(fields: &[&'static Field<T>], ctx: &mut Context) -> Outcome {
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
