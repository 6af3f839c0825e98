//! `ipcx stale`: what no living process can be using, with the evidence.

use super::ls::say;
use super::{Context, Outcome, usage};
use crate::args::listing::{FormArgs, NamespaceArgs, Whose, kinds};
use crate::args::units;
use crate::error::Doing as _;
use crate::exit::Status;
use crate::inspect::evidence::PATIENCE;
use crate::inventory::judged::{self, Judged, Wanted};
use crate::inventory::namespaces::Which;
use crate::model::{Align, Escaped, Field, Gap, IDENTITY, Kind, Needs, Object, Seen, Value, Verdict};
use crate::render::text::count;
use crate::render::{self, Document, Layout, Style, TimeFormat};
use clap::Args;
use clap::builder::PossibleValuesParser;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wildmatch::WildMatch;

/// The kinds that stay when their processes end.
const KINDS: &[Kind] = &[Kind::Shm, Kind::Msgq, Kind::Sem, Kind::Fifo, Kind::Sock];

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx stale
  ipcx stale shm --mine --older 1d
  ipcx stale --json | jq -r '.objects[] | select(.verdict == \"orphan\").ref'
  ipcx stale --all --match 'shm//torch_*'
  ipcx stale sock fifo --in /var/lib/app
  ipcx stale --all-namespaces        in all containers, too

An `orphan` is what no living process can be using: a segment that nobody has attached,
or a set or queue on which nobody waits and that is empty, if the users that it remembers
are gone and no process of its IPC namespace is let in by its permissions; the file of a
socket that no socket is bound to; a POSIX object that nobody has open and whose name
holds the pid of its dead maker. All of them must have rested for --idle, too.
A `suspect` is not used now, but a process that lives may know it, or it may be meant to
stay. `unknown` is what processes could be using that may not be looked at; as root
there is less of it.

Every process may know what its permissions let it use: a shell knows what its earlier
commands have made. Root's count for what root owns or made. So root's own leftovers are
mostly suspects on a host, with the evidence who may know them, while leaks of users and
services none of whose processes live are orphans.

A pid that another process seems to have been given, by its start time, does not count
as gone where that process may be the same one, for start times move when the clock is
set. The verdict is that of one moment; `ipcx gc` removes orphans and looks again before
each, in its own IPC namespace alone: to clean up in another one, run it there (nsenter
--target PID --ipc ipcx gc; with --mount, too, for POSIX shared memory and semaphores).
FIFOs and sockets are looked for in our own directories, and not with --namespace. The
status is 0 whatever is found.")]
pub struct StaleArgs {
    #[command(flatten)]
    choice: Choice,

    #[command(flatten)]
    namespaces: NamespaceArgs,

    /// Only what has this verdict; orphan and suspect by default
    #[arg(long, value_name = "VERDICT", value_delimiter = ',', conflicts_with = "all", value_parser = words())]
    grade: Vec<String>,

    /// Whatever the verdict
    #[arg(short, long)]
    all: bool,

    #[command(flatten)]
    look: Look,
}

/// A value parser for the words of the verdicts.
fn words() -> PossibleValuesParser {
    PossibleValuesParser::new(Verdict::WORDS)
}

// Which objects to look at. (A doc comment here would become the help of every command with it.)
#[derive(Args, Debug)]
pub struct Choice {
    /// Kinds to look at; all of them by default
    #[arg(value_name = "KIND", value_parser = kinds(KINDS))]
    kinds: Vec<Kind>,

    /// The same as an option
    #[arg(long = "kind", value_name = "KIND", value_delimiter = ',', value_parser = kinds(KINDS))]
    more_kinds: Vec<Kind>,

    #[command(flatten)]
    whose: Whose,

    /// Only what was not used or changed for so long
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    older: Option<Duration>,

    /// Only what has such a reference or name: `*` is any text, `?` one character
    #[arg(long = "match", value_name = "GLOB")]
    pattern: Option<String>,

    /// How long an orphan must have rested; one hour by default
    ///
    /// A script that is run again and again uses an object that in between looks like an orphan.
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    idle: Option<Duration>,

    /// Look for FIFOs and sockets in this directory, instead of /tmp, /run and $XDG_RUNTIME_DIR
    ///
    /// And three levels below it, but not behind links and in what is mounted there.
    #[arg(long = "in", value_name = "DIR")]
    places: Vec<PathBuf>,
}

impl Choice {
    pub fn patience(&self) -> Duration {
        self.idle.unwrap_or(PATIENCE)
    }

    /// Every object that was chosen, judged; and what could not be seen. `which` for other IPC namespaces than
    /// ours.
    pub fn judge(&self, which: Option<Which>) -> anyhow::Result<(Vec<Judged>, Vec<Gap>)> {
        let chosen = |kind: &Kind| self.kinds.contains(kind) || self.more_kinds.contains(kind);
        let any = self.kinds.is_empty() && self.more_kinds.is_empty();
        let kinds: Vec<Kind> = KINDS.iter().copied().filter(|kind| any || chosen(kind)).collect();
        if let Some(place) = self.places.iter().find(|place| !place.is_dir()) {
            return Err(usage(format!("--in: {} is no directory", Escaped(place.as_os_str().as_encoded_bytes()))));
        }
        let places = if self.places.is_empty() { judged::usual_places() } else { self.places.clone() };
        let patience = self.patience();
        let wanted = Wanted { kinds: &kinds, select: self.whose.select(), which, places: &places, patience };
        let glob = self.pattern.as_deref().map(WildMatch::new);
        let keep =
            |object: &Object, last_use| self.is_old(last_use) && glob.as_ref().is_none_or(|glob| fits(glob, object));
        judged::judge(&wanted, keep).doing("cannot look into other namespaces:")
    }

    /// Whether the last use is long enough ago. Where it is not known, and in the future, it is not.
    fn is_old(&self, last_use: Option<i64>) -> bool {
        let Some(older) = self.older else { return true };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let past = last_use.and_then(|last| u64::try_from(last).ok());
        past.and_then(|last| now.checked_sub(last)).is_some_and(|age| age >= older.as_secs())
    }
}

fn fits(glob: &WildMatch, object: &Object) -> bool {
    glob.matches(&object.reference.to_string()) || glob.matches(&object.reference.bare().to_string())
}

// How to show them.
#[derive(Args, Debug)]
pub struct Look {
    #[command(flatten)]
    pub form: FormArgs,

    /// Sizes in bytes
    #[arg(short, long)]
    bytes: bool,

    /// How times look; relative in tables, unix with --raw
    #[arg(long, value_name = "FORMAT")]
    time_format: Option<TimeFormat>,
}

impl Look {
    /// Shows rows, each with its evidence; in JSON with all fields and with the gaps.
    pub fn show<T: Sync>(
        &self,
        all: &[&Field<T>],
        rows: &[T],
        because: fn(&T) -> &[String],
        gaps: &[Gap],
        ctx: &mut Context,
    ) -> anyhow::Result<()> {
        let usual = if self.form.raw { TimeFormat::Unix } else { TimeFormat::Relative };
        let times = self.time_format.unwrap_or(usual);
        let style = Style::new(self.bytes, times);
        let layout = Layout { headings: !self.form.no_headings, width: ctx.ui.width(), color: ctx.ui.color };
        let usual: Vec<&Field<T>> = all.iter().copied().filter(|field| field.default).collect();
        let out = &mut ctx.ui.out;
        if self.form.json {
            let mut document = Document::begin(out)?;
            document.rows(all, rows)?;
            document.gaps(gaps.to_vec());
            document.end()?;
        } else if self.form.jsonl {
            rows.iter().try_for_each(|row| render::json_line(out, all, row))?;
        } else if self.form.raw {
            render::raw(out, &usual, rows, layout.headings, times, style.now)?;
        } else if layout.width.is_some() && !rows.is_empty() {
            // Evidence is not cut to fit: it stands below its row.
            let narrow: Vec<&Field<T>> = usual.into_iter().filter(|field| field.key != EVIDENCE).collect();
            let mut table = Vec::new();
            render::table(&mut table, &narrow, rows, &style, layout)?;
            let table = String::from_utf8_lossy(&table);
            let titles = usize::from(layout.headings);
            for (at, line) in table.lines().enumerate() {
                out.line(format_args!("{line}"))?;
                let row = at.checked_sub(titles).and_then(|at| rows.get(at));
                for said in row.into_iter().flat_map(because) {
                    out.line(format_args!("    {said}"))?;
                }
            }
        } else if !rows.is_empty() {
            render::table(out, &usual, rows, &style, layout)?;
        }
        out.flush_buffer()?;
        Ok(())
    }
}

/// The column of sentences.
pub const EVIDENCE: &str = "evidence";

pub const fn column<T>(key: &'static str, default: bool, get: fn(&T, &'static str) -> Seen<Value>) -> Field<T> {
    Field { key, help: "", kinds: KINDS, needs: Needs::SCAN, default, align: Align::Left, get }
}

/// The value of a column that every object has.
pub fn identity(object: &Object, key: &'static str) -> Seen<Value> {
    IDENTITY.iter().find(|field| field.key == key).map_or(Seen::Absent, |field| field.value(object))
}

/// Sentences as a list.
pub fn sentences(because: &[String]) -> Seen<Value> {
    Seen::Is(Value::List(because.iter().cloned().map(Value::Phrase).collect()))
}

/// How much memory an object takes, if its kind has a size.
pub fn size(object: &Object) -> Seen<Value> {
    fact(object, "size")
}

fn fact(object: &Object, key: &'static str) -> Seen<Value> {
    object.facts.get(key).cloned().unwrap_or(Seen::Absent)
}

/// Where an object is; only with objects of other namespaces.
static PLACE: &[Field<Judged>] = &[
    Field { align: Align::Right, ..column("namespace", true, |row, key| fact(&row.object, key)) },
    column("container", true, |row, key| fact(&row.object, key)),
];

static FIELDS: &[Field<Judged>] = &[
    column("kind", false, |row, key| identity(&row.object, key)),
    column("family", false, |row, key| identity(&row.object, key)),
    column("ref", true, |row, key| identity(&row.object, key)),
    column("id", false, |row, key| identity(&row.object, key)),
    column("key", false, |row, key| identity(&row.object, key)),
    column("name", false, |row, key| identity(&row.object, key)),
    column("uid", false, |row, key| identity(&row.object, key)),
    column("user", true, |row, key| identity(&row.object, key)),
    Field { align: Align::Right, ..column("size", true, |row, _| size(&row.object)) },
    column("last_use", true, |row, _| row.last_use.map(Value::Time).into()),
    column("verdict", true, |row, _| Seen::Is(Value::Word(row.verdict.word()))),
    column(EVIDENCE, true, |row, _| sentences(row.verdict.because())),
    column("pattern", false, |row, _| row.known.as_ref().map(|known| Value::Word(known.maker)).into()),
    column("advice", false, |row, _| row.known.as_ref().map(|known| Value::Word(known.advice)).into()),
];

pub fn run(args: &StaleArgs, ctx: &mut Context) -> Outcome {
    let which = args.namespaces.which();
    let (judged, gaps) = args.choice.judge(which)?;
    let chosen = |word: &str| match &args.grade[..] {
        [] => args.all || word == "orphan" || word == "suspect",
        some => some.iter().any(|one| one == word),
    };
    let (mut shown, others): (Vec<Judged>, Vec<Judged>) =
        judged.into_iter().partition(|one| chosen(one.verdict.word()));
    let rank = |one: &Judged| Verdict::WORDS.iter().position(|word| *word == one.verdict.word());
    shown.sort_by_key(rank);
    let place = PLACE.iter().filter(|_| which.is_some());
    let fields: Vec<&Field<Judged>> = place.chain(FIELDS).collect();
    args.look.show(&fields, &shown, |one| one.verdict.because(), &gaps, ctx)?;
    let mut rest = Vec::new();
    for word in Verdict::WORDS {
        match others.iter().filter(|one| one.verdict.word() == word).count() {
            0 => {}
            n => rest.push(format!("{n} {word}")),
        }
    }
    let more = if rest.is_empty() { String::new() } else { format!("; not shown: {}", rest.join(", ")) };
    ctx.ui.note(format_args!("{}{more}", count(shown.len() as u64, "object", "objects")));
    advise(&shown, ctx);
    if !args.look.form.json {
        say(&gaps, ctx);
    }
    Ok(Status::Done)
}

/// What the makers of what was found advise, each once.
pub fn advise(judged: &[Judged], ctx: &Context) {
    let mut said: Vec<&str> = Vec::new();
    for known in judged.iter().filter_map(|one| one.known.as_ref()) {
        if !said.contains(&known.advice) {
            said.push(known.advice);
            ctx.ui.note(format_args!("{}: {}", known.maker, known.advice));
        }
    }
}
