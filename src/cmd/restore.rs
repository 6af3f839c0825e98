//! `ipcx restore`: make the objects of an archive again.

use super::stale::column;
use super::{Context, Outcome, verbs};
use crate::archive::{Archive, Content, Entry, Host};
use crate::args::SomeRefs;
use crate::error::{Doing as _, Error, ResultLost};
use crate::exit::Status;
use crate::inventory::saved::{self, Restored};
use crate::model::{Align, Escaped, Field, Ident, ObjectRef, Seen, Text, Value, Wait};
use crate::render::text::count;
use crate::render::{self, Document, Layout, Style, TimeFormat};
use crate::sys::waiter::Waiter;
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx restore before.tar --list
  ipcx restore before.tar                  prints the reference of each object
  ipcx restore before.tar shm//frames msgq/0x4d2
  ipcx restore jobs.tar.drain              what `ipcx save --drain` had taken when it ended early

The whole archive is checked before anything is made. An object gets back its key or name,
its content, mode, owner and limits; the identifier of a System V object only where
root of the IPC namespace runs this and its place is free, otherwise it is said. Whose
owner cannot be given is ours. The times and the pids that it recorded are not given back.

An object whose key or name is taken is not made (status 5) and the other one is left as
it is. Of one that fails midway nothing is left; the others go on, and the status is that
of the first failure. kill -9 can leave the one in hand, half filled and for its owner alone
(600): its reference was not printed; remove it and run this again. Whoever can write an
archive decides what is in it and whose it becomes: look with --list before root restores
the archive of somebody else.")]
pub struct RestoreArgs {
    /// An archive that `ipcx save` has written, or the journal of one
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    only: SomeRefs,

    /// Show what is in it and make nothing
    #[arg(short, long)]
    list: bool,

    /// One JSON document
    #[arg(long, requires = "list")]
    json: bool,

    /// Sizes in bytes
    #[arg(short, long, requires = "list")]
    bytes: bool,
}

pub fn run(args: &RestoreArgs, ctx: &mut Context) -> Outcome {
    let _waiter = Waiter::new(Wait::Forever);
    let mut archive = Archive::open(&args.file).doing("cannot read")?;
    saved::complete(&mut archive, !args.list).iter().for_each(|note| ctx.ui.note(note));
    let (there, here) = (&archive.manifest.host, Host::here());
    if *there != here {
        let told = |host: &Host| {
            let [machine, order] = [&host.machine, &host.byte_order].map(|word| Escaped(word.as_bytes()).to_string());
            format!("{machine} ({order}-endian, pages of {} bytes)", host.page_size)
        };
        let (there, here) = (told(there), told(&here));
        ctx.ui.note(format_args!("it was saved on {there}, this is {here}: its bytes may mean something else here"));
    }
    let mut status = Status::Done;
    let mut chosen = Vec::new();
    for reference in &args.only.references {
        match find(reference, &archive) {
            Ok(at) if chosen.contains(&at) => {}
            Ok(at) => chosen.push(at),
            Err(error) => {
                let failed = ctx.ui.report(&error.doing("cannot restore"));
                status = if status == Status::Done { failed } else { status };
            }
        }
    }
    if args.only.references.is_empty() {
        chosen = (0..archive.manifest.objects.len()).collect();
    }
    if args.list {
        list(args, &archive, &chosen, ctx)?;
        return Ok(status);
    }
    for at in chosen {
        match saved::restore(&archive, at) {
            Ok(restored) => {
                if let Err(lost) = say(&archive.manifest.objects[at], &restored, ctx) {
                    ctx.ui.warn(verbs::take_back(&restored.reference));
                    return Err(lost);
                }
            }
            Err(error) => {
                let failed = ctx.ui.report(&error.doing("cannot restore"));
                status = if status == Status::Done { failed } else { status };
                if let Status::Signal(_) = failed {
                    return Ok(failed);
                }
            }
        }
    }
    Ok(status)
}

/// The object of an archive that a reference names.
fn find(reference: &ObjectRef, archive: &Archive) -> crate::error::Result<usize> {
    for (at, entry) in archive.manifest.objects.iter().enumerate() {
        if saved::named(reference, entry)? {
            return Ok(at);
        }
    }
    Err(Error::refused(reference, Status::NoSuch, "there is no such object in the archive"))
}

/// Prints the reference of an object that was made, and says in what it is another than it was.
fn say(entry: &Entry, restored: &Restored, ctx: &mut Context) -> anyhow::Result<()> {
    let Restored { reference, notes } = restored;
    let mut line = match &reference.id {
        // What is read by a script must be the name itself, not its escaped form.
        Ident::Name(name) if !ctx.ui.terminal => [reference.kind.noun().as_bytes(), b"/", name.raw()].concat(),
        _ => reference.to_string().into_bytes(),
    };
    line.push(b'\n');
    ctx.ui.out.payload(&line).map_err(|(_, failed)| anyhow::Error::from(failed).context(ResultLost))?;
    for note in notes {
        ctx.ui.note(format_args!("{} was restored as {reference}: {note}", entry.shown));
    }
    Ok(())
}

/// What is in it, in words.
fn inside(entry: &Entry) -> Value {
    Value::Phrase(match &entry.content {
        Content::Region(_) => "bytes".to_owned(),
        Content::Channel { messages, .. } => count(messages.len() as u64, "message", "messages"),
        Content::Counter { values } if values.len() > 8 => count(values.len() as u64, "value", "values"),
        Content::Counter { values } => {
            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
            format!("values {}", values.join(", "))
        }
    })
}

/// How many bytes are in it; a semaphore is a number.
fn size(entry: &Entry, _: &'static str) -> Seen<Value> {
    let is_number = matches!(entry.content, Content::Counter { .. });
    if is_number { Seen::Absent } else { Seen::Is(Value::Size(entry.size())) }
}

fn reference(entry: &Entry) -> Value {
    let reference = entry.reference();
    match (&reference.id, entry.id.and_then(|id| u64::try_from(id).ok())) {
        (Ident::Name(name), _) => Value::Text(Text::from([entry.kind.noun().as_bytes(), b"/", name.raw()].concat())),
        (_, id) => Value::Ref(entry.kind, id.unwrap_or(0)),
    }
}

static FIELDS: &[Field<Entry>] = &[
    column("kind", false, |entry, _| Seen::Is(Value::Word(entry.kind.noun()))),
    column("family", false, |entry, _| Seen::Is(Value::Word(entry.family.word()))),
    column("ref", true, |entry, _| Seen::Is(reference(entry))),
    column("id", false, |entry, _| entry.id.map(|id| Value::Int(id.into())).into()),
    column("key", true, |entry, _| entry.key.map(Value::Key).into()),
    column("name", false, |entry, _| entry.name.clone().map(Value::Text).into()),
    column("uid", false, |entry, _| Seen::Is(Value::Count(entry.uid.into()))),
    column("user", true, |entry, _| Seen::Is(Value::Text(entry.user.clone()))),
    column("gid", false, |entry, _| Seen::Is(Value::Count(entry.gid.into()))),
    column("group", true, |entry, _| Seen::Is(Value::Text(entry.group.clone()))),
    column("mode", true, |entry, _| Seen::Is(Value::Mode(entry.mode))),
    Field { align: Align::Right, ..column("size", true, size) },
    column("content", true, |entry, _| Seen::Is(inside(entry))),
];

fn list(args: &RestoreArgs, archive: &Archive, chosen: &[usize], ctx: &mut Context) -> anyhow::Result<()> {
    let rows: Vec<Entry> = chosen.iter().map(|at| archive.manifest.objects[*at].clone()).collect();
    if args.json {
        let mut document = Document::begin(&mut ctx.ui.out)?;
        document.rows(&FIELDS.iter().collect::<Vec<_>>(), &rows)?;
        document.end()?;
    } else if !rows.is_empty() {
        let fields: Vec<&Field<Entry>> = FIELDS.iter().filter(|field| field.default).collect();
        let layout = Layout { headings: true, width: ctx.ui.width(), color: ctx.ui.color };
        let style = Style::new(args.bytes, TimeFormat::Relative);
        render::table(&mut ctx.ui.out, &fields, &rows, &style, layout)?;
    }
    ctx.ui.out.flush_buffer()?;
    Ok(())
}
