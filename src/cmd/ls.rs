//! `ipcx ls`: what is there.

use super::{Context, Outcome, usage};
use crate::args::listing::kinds;
use crate::args::{ListArgs, Refs};
use crate::error::Doing as _;
use crate::exit::Status;
use crate::inventory::{self, columns, namespaces};
use crate::mech::Found;
use crate::model::{Align, Field, Gap, Kind, Needs, Seen, Value};
use crate::render::{self, Document, Layout};
use clap::Args;
use nix::errno::Errno;
use std::io;
use std::marker::PhantomData;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx ls                            every segment, queue and semaphore
  ipcx ls msgq --mine --sort bytes   my queues, the fullest last
  ipcx ls --json | jq '.objects[].ref'
  ipcx ls -o ref,user,ctime --raw --no-headings
  ipcx ls -a                         with pipes, FIFOs, sockets and who has them open
  ipcx ls --all-namespaces           those of all containers, too
  ipcx ls --namespace 4711           as that process has them
  ipcx ls shm -o help                the columns there are

In a table `-` means that the object has no such thing, `?` that it may not be seen. Names
with control characters or other bytes than UTF-8 are escaped (`printf %b` gives them
back); in JSON the latter are {\"base64\":…}. A reference holds within its namespace: to
remove what is in another, run ipcx there (nsenter --target PID --ipc ipcx rm REF). CONTAINER
is empty in the namespace of ipcx itself.")]
pub struct LsArgs {
    /// Kinds to list; shm, msgq and sem by default
    #[arg(value_name = "KIND", value_parser = kinds(Kind::ALL))]
    kinds: Vec<Kind>,

    /// Also FIFOs, pipes, unix sockets, memory files and event counters that processes have open
    #[arg(short, long, conflicts_with = "kinds")]
    all: bool,

    #[command(flatten)]
    list: ListArgs,
}

/// The help of a noun.
fn kind_help(noun: Option<Kind>) -> &'static str {
    noun.and_then(super::nouns::of).map_or(KIND_HELP, |texts| texts.ls)
}

const KIND_HELP: &str = "\
Examples:
  ipcx shm ls --mine --sort size
  ipcx msgq ls --json
  ipcx sem ls -o help       the columns there are

`ipcx ls --help` tells more.";

#[derive(Args, Debug)]
#[command(after_help = kind_help(R::KIND))]
pub struct KindLsArgs<R: Refs> {
    #[command(flatten)]
    list: ListArgs,

    /// What else stands under the noun.
    #[arg(skip)]
    noun: PhantomData<R>,
}

/// `ls` under a noun.
pub fn run_kind<R: Refs>(kind: Kind, args: &KindLsArgs<R>, ctx: &mut Context) -> Outcome {
    list(&[kind], &args.list, ctx)
}

pub fn run(args: &LsArgs, ctx: &mut Context) -> Outcome {
    let wanted = match (args.all, &args.kinds[..]) {
        (true, _) => Kind::ALL,
        (false, []) => Kind::LASTING,
        (false, some) => some,
    };
    // In the order of the table of kinds, each once, however they were typed.
    let chosen: Vec<Kind> = Kind::ALL.iter().copied().filter(|kind| wanted.contains(kind)).collect();
    list(&chosen, &args.list, ctx)
}

fn list(kinds: &[Kind], args: &ListArgs, ctx: &mut Context) -> Outcome {
    let output = &args.output;
    if output.help() {
        return help(kinds, ctx);
    }
    let machine = output.form.json || output.form.jsonl;
    let which = args.namespaces.which();
    let mut shown = Vec::new();
    for kind in kinds {
        let usual = if machine { columns::all(&[*kind]) } else { columns::default(*kind) };
        let usual = usual.into_iter().filter(|field| !machine || field.default || cheap(field));
        let place = columns::all(&[*kind]).into_iter().filter(|field| field.needs == Needs::NAMESPACE);
        let usual = place.filter(|_| which.is_some()).chain(usual).collect();
        shown.push((*kind, output.columns(kinds, *kind, usual).map_err(usage)?));
    }
    let needs = shown.iter().fold(Needs::SCAN, |needs, (_, fields)| needs.and(columns::needs(fields)));
    let order = args.order(kinds).map_err(usage)?;
    let style = output.style();
    let layout = Layout { headings: !output.form.no_headings, width: ctx.ui.width(), color: ctx.ui.color };
    let fields_of = |kind: Kind| shown.iter().find(|(of, _)| *of == kind).map_or(&[][..], |(_, fields)| fields);

    let elsewhere = which.map(|which| namespaces::scan(which, kinds, needs, args.select(), order));
    let elsewhere = elsewhere.transpose().doing("cannot look into other namespaces:")?;
    let scan = |mut see: &mut dyn FnMut(Kind, Found) -> io::Result<()>| match elsewhere {
        Some(found) => found.into_iter().try_for_each(|(kind, found)| see(kind, found)),
        None => inventory::scan(kinds, needs, args.select(), order, &mut see),
    };
    let ui = &mut ctx.ui;
    let mut gaps = Vec::new();
    let mut tables = 0;
    let mut rows = 0;
    let titled = kinds.len() > 1 && ui.terminal;
    if output.form.json {
        let mut document = Document::begin(&mut ui.out)?;
        scan(&mut |kind, found| {
            document.gaps(found.gaps);
            document.rows(fields_of(kind), &found.objects)
        })?;
        document.end()?;
    } else {
        scan(&mut |kind, found| {
            gaps.extend(found.gaps);
            rows += found.objects.len();
            let fields = fields_of(kind);
            if output.form.jsonl {
                return found.objects.iter().try_for_each(|object| render::json_line(&mut ui.out, fields, object));
            }
            if output.form.raw {
                return render::raw(
                    &mut ui.out,
                    fields,
                    &found.objects,
                    !output.form.no_headings,
                    output.times(),
                    style.now,
                );
            }
            if found.objects.is_empty() && (kinds.len() > 1 || ui.terminal) {
                return Ok(());
            }
            if tables > 0 {
                ui.out.line(format_args!(""))?;
            }
            tables += 1;
            if titled {
                ui.out.line(format_args!("{}", kind.title()))?;
            }
            render::table(&mut ui.out, fields, &found.objects, &style, layout)
        })?;
        if (tables == 0 || rows == 0) && ui.terminal && !output.form.raw && !output.form.jsonl {
            let place = if which.is_some() { "there" } else { "in this IPC namespace" };
            ui.note(format_args!("there are no such objects {place}"));
        }
    }
    ui.out.flush_buffer()?;
    say(&gaps, ctx);
    Ok(Status::Done)
}

/// Whether a field costs no call for each object; the names of users are looked up once.
fn cheap(field: &Field) -> bool {
    field.needs == Needs::SCAN || field.needs == Needs::NAMES
}

/// What could not be seen, for people.
pub fn say(gaps: &[Gap], ctx: &Context) {
    let mut said: Vec<String> = Vec::new();
    for gap in gaps {
        let errno = Errno::from_raw(gap.reason.errno);
        let why = gap.note.clone().unwrap_or_else(|| crate::error::describe(errno));
        // A kernel without System V IPC lacks three files for one reason.
        if !said.contains(&why) {
            ctx.ui.note(format_args!("{}: {why} ({}: {errno:?})", gap.subject, gap.reason.call));
            said.push(why);
        }
    }
}

/// One line of `-o help`.
struct Column {
    key: &'static str,
    kinds: Vec<&'static str>,
    /// What it is, once for each kind in which it is another thing.
    helps: Vec<&'static str>,
}

impl Column {
    fn help(&self) -> String {
        match &self.helps[..] {
            [same] => (*same).to_owned(),
            each => {
                let each = self.kinds.iter().zip(each).map(|(kind, help)| format!("{kind}: {help}"));
                each.collect::<Vec<_>>().join("; ")
            }
        }
    }
}

/// `-o help`.
fn help(kinds: &[Kind], ctx: &mut Context) -> Outcome {
    let mut rows: Vec<Column> = Vec::new();
    for field in columns::each(kinds) {
        let nouns = field.kinds.iter().filter(|kind| kinds.contains(kind)).map(|kind| kind.noun());
        match rows.iter_mut().find(|row| row.key == field.key) {
            Some(row) => {
                row.kinds.extend(nouns);
                row.helps.push(field.help);
            }
            None => rows.push(Column { key: field.key, kinds: nouns.collect(), helps: vec![field.help] }),
        }
    }
    for row in &mut rows {
        if row.helps.iter().all(|help| *help == row.helps[0]) {
            row.helps.truncate(1);
        }
    }
    let column = |key, get| Field::<Column> {
        key,
        help: "",
        kinds: &[],
        needs: Needs::SCAN,
        default: true,
        align: Align::Left,
        get,
    };
    let fields = [
        column("column", |column, _| Seen::Is(Value::Word(column.key))),
        column("kinds", |column, _| Seen::Is(Value::Phrase(column.kinds.join(",")))),
        column("help", |column, _| Seen::Is(Value::Phrase(column.help()))),
    ];
    let fields: Vec<_> = fields.iter().collect();
    let layout = Layout { headings: true, width: None, color: ctx.ui.color };
    let style = render::Style::new(true, render::TimeFormat::Unix);
    render::table(&mut ctx.ui.out, &fields, &rows, &style, layout)?;
    ctx.ui.out.flush_buffer()?;
    Ok(Status::Done)
}
