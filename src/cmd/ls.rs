//! `ipcx ls`: what is there.

use super::{Context, Outcome, usage};
use crate::args::ListArgs;
use crate::exit::Status;
use crate::inventory::{self, columns};
use crate::model::{Field, Gap, Kind, Seen, Value};
use crate::render::{self, Document, Layout};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use nix::errno::Errno;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx ls                            every segment, queue and semaphore
  ipcx ls msgq --mine --sort bytes   my queues, the fullest last
  ipcx ls --json | jq '.objects[].ref'
  ipcx ls -o ref,user,ctime --raw --no-headings
  ipcx ls shm -o help                the columns there are

In a table `-` means that the object has no such thing, `?` that it may not be seen.")]
pub struct LsArgs {
    /// Kinds to list; all of them by default
    #[arg(value_name = "KIND", value_parser = kinds())]
    kinds: Vec<Kind>,

    #[command(flatten)]
    list: ListArgs,
}

fn kinds() -> impl TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(Kind::ALL.iter().map(|kind| kind.noun()))
        .map(|noun| Kind::from_noun(noun.as_bytes()).unwrap_or(Kind::Shm))
}

pub fn run(args: &LsArgs, ctx: &mut Context) -> Outcome {
    // In the order of the table of kinds, each once, however they were typed.
    let chosen: Vec<Kind> =
        Kind::ALL.iter().copied().filter(|kind| args.kinds.is_empty() || args.kinds.contains(kind)).collect();
    list(&chosen, &args.list, ctx)
}

/// Lists some kinds; also what `ls` under a noun does.
pub fn list(kinds: &[Kind], args: &ListArgs, ctx: &mut Context) -> Outcome {
    let output = &args.output;
    if output.help() {
        return help(&columns::all(kinds), ctx);
    }
    let machine = output.json || output.jsonl;
    let mut shown = Vec::new();
    for kind in kinds {
        let usual = if machine { columns::all(&[*kind]) } else { columns::default(*kind) };
        let usual = usual.into_iter().filter(|field| !machine || cheap(field)).collect();
        shown.push((*kind, output.columns(kinds, *kind, usual).map_err(usage)?));
    }
    let needs = shown.iter().fold(crate::model::Needs::SCAN, |needs, (_, fields)| needs.and(columns::needs(fields)));
    let order = args.order(kinds).map_err(usage)?;
    let style = output.style();
    let layout = Layout { headings: !output.no_headings, width: ctx.ui.width(), color: ctx.ui.color };
    let fields_of = |kind: Kind| shown.iter().find(|(of, _)| *of == kind).map_or(&[][..], |(_, fields)| fields);

    let ui = &mut ctx.ui;
    let mut gaps = Vec::new();
    let mut tables = 0;
    let titled = kinds.len() > 1 && ui.terminal;
    if output.json {
        let mut document = Document::begin(&mut ui.out, "objects")?;
        inventory::scan(kinds, needs, args.select(), order, |kind, found| {
            document.gaps(found.gaps);
            document.rows(fields_of(kind), &found.objects)
        })?;
        document.end()?;
    } else {
        inventory::scan(kinds, needs, args.select(), order, |kind, found| {
            gaps.extend(found.gaps);
            let fields = fields_of(kind);
            if output.jsonl {
                return found.objects.iter().try_for_each(|object| render::json_line(&mut ui.out, fields, object));
            }
            if output.raw {
                return render::raw(
                    &mut ui.out,
                    fields,
                    &found.objects,
                    !output.no_headings,
                    output.times(),
                    style.now,
                );
            }
            if found.objects.is_empty() && kinds.len() > 1 {
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
        if tables == 0 && ui.terminal && !output.raw && !output.jsonl {
            ui.note("there are no such objects in this IPC namespace");
        }
    }
    ui.out.flush_buffer()?;
    say(&gaps, ctx);
    Ok(Status::Done)
}

/// Whether a field costs no call for each object; the names of users are looked up once.
fn cheap(field: &Field) -> bool {
    field.needs == crate::model::Needs::SCAN || field.needs == crate::model::Needs::NAMES
}

/// What could not be seen, for people.
pub fn say(gaps: &[Gap], ctx: &Context) {
    let mut said: Vec<&str> = Vec::new();
    for gap in gaps {
        // Two mechanisms may share a directory that cannot be read.
        if said.contains(&gap.subject.as_str()) {
            continue;
        }
        said.push(&gap.subject);
        let errno = Errno::from_raw(gap.reason.errno);
        let why = gap.note.clone().unwrap_or_else(|| crate::error::describe(errno));
        ctx.ui.note(format_args!("{}: {why} ({}: {errno:?})", gap.subject, gap.reason.call));
    }
}

/// `-o help`.
fn help(fields: &[&'static Field], ctx: &mut Context) -> Outcome {
    let column = |key, get| Field::<&'static Field> {
        key,
        help: "",
        kinds: &[],
        needs: crate::model::Needs::SCAN,
        default: true,
        align: crate::model::Align::Left,
        get,
    };
    let columns = [
        column("column", |field, _| Seen::Is(Value::Word(field.key))),
        column("kinds", |field, _| {
            Seen::Is(Value::Phrase(field.kinds.iter().map(|kind| kind.noun()).collect::<Vec<_>>().join(",")))
        }),
        column("help", |field, _| Seen::Is(Value::Word(field.help))),
    ];
    let columns: Vec<_> = columns.iter().collect();
    let layout = Layout { headings: true, width: None, color: ctx.ui.color };
    let style = render::Style::new(true, render::TimeFormat::Unix);
    render::table(&mut ctx.ui.out, &columns, fields, &style, layout)?;
    ctx.ui.out.flush_buffer()?;
    Ok(Status::Done)
}
