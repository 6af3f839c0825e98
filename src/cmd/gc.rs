//! `ipcx gc`: remove what nobody can be using any more.

use super::ls::say;
use super::stale::{Choice, EVIDENCE, Look, column, identity, sentences, size};
use super::{Context, Outcome};
use crate::error::{Doing as _, Error};
use crate::exit::Status;
use crate::inspect::Scene;
use crate::inventory::judged::{self, Judged};
use crate::inventory::{self, Holders, saved};
use crate::mech::{self, Usage};
use crate::model::{Align, Condemned, Field, Needs, Object, ObjectRef, Seen, Value, Wait};
use crate::render::text::count;
use crate::sys::waiter::{self, Waiter};
use clap::Args;
use nix::errno::Errno;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx gc                            what would be removed, and why
  ipcx gc --yes
  ipcx gc --yes --owner www-data --kind sem --older 1d
  ipcx gc --yes --mine --match 'shm//torch_*'
  ipcx gc --yes --older 1d --json    for cron
  ipcx gc --yes --save removed.tar   `ipcx restore removed.tar` makes them again

Only what `ipcx stale` grades `orphan` is removed, never a suspect. Just before each
removal the object is looked at and judged again: one that is gone, was replaced,
changed or used, or is no orphan any more is left alone, which is no failure. There is
no call that removes only an unused object. What the object itself shows of its use is
looked at last, microseconds before; the look at all processes is up to 10 ms older, and
takes some itself, so a process that appears since is seen only by what it has done.
No symbolic link is followed on the way to the file of a socket, and as root directories
that everybody may write to without the sticky bit are left out.

Only this IPC namespace is cleaned. To clean another one, such as that of a container
(`ipcx stale --all-namespaces`), run it there: nsenter --target PID --ipc ipcx gc; POSIX
shared memory and semaphores take --mount, too.

The status is 0 if all that could be removed was, or that of the first failure. Without
--yes nothing is removed.")]
pub struct GcArgs {
    #[command(flatten)]
    choice: Choice,

    /// Remove them; without it the plan is printed and nothing is done
    #[arg(short, long)]
    yes: bool,

    /// First save them in this archive, as `ipcx save` does; if that fails, nothing is removed
    #[arg(long, value_name = "FILE", requires = "yes")]
    save: Option<PathBuf>,

    #[command(flatten)]
    look: Look,
}

/// One orphan, and what became of it.
struct Row {
    judged: Judged,
    result: &'static str,
    /// What was lost with it, why it was left, or why it could not be removed.
    detail: Option<String>,
}

static FIELDS: &[Field<Row>] = &[
    column("kind", false, |row, key| identity(&row.judged.object, key)),
    column("family", false, |row, key| identity(&row.judged.object, key)),
    column("ref", true, |row, key| identity(&row.judged.object, key)),
    column("uid", false, |row, key| identity(&row.judged.object, key)),
    column("user", true, |row, key| identity(&row.judged.object, key)),
    Field { align: Align::Right, ..column("size", true, |row, _| size(&row.judged.object)) },
    column("last_use", true, |row, _| row.judged.last_use.map(Value::Time).into()),
    column("verdict", false, |row, _| Seen::Is(Value::Word(row.judged.verdict.word()))),
    column("result", true, |row, _| Seen::Is(Value::Word(row.result))),
    column("detail", false, |row, _| row.detail.clone().map(Value::Phrase).into()),
    column(EVIDENCE, true, |row, _| sentences(row.judged.verdict.because())),
    column("pattern", false, |row, _| row.judged.known.as_ref().map(|known| Value::Word(known.maker)).into()),
];

/// How old a look at all processes may be when an object is judged by it. What the object itself says is looked
/// at anew each time.
const FRESH: Duration = Duration::from_millis(10);

pub fn run(args: &GcArgs, ctx: &mut Context) -> Outcome {
    let (judged, gaps) = args.choice.judge(None)?;
    let mut orphans: Vec<Judged> = judged.into_iter().filter(|one| one.verdict.condemned().is_some()).collect();
    let mut status = Status::Done;
    let mut rows = Vec::new();
    let mut done = |(row, failed): Outcomes, ctx: &mut Context| {
        if let Some(error) = failed {
            let failed = ctx.ui.report(&error.doing("cannot remove"));
            status = if status == Status::Done { failed } else { status };
        }
        rows.push(row);
    };
    if !args.yes {
        let planned = orphans.drain(..).map(|judged| Row { judged, result: "planned", detail: None });
        planned.for_each(|row| done((row, None), ctx));
    }
    if let Some(file) = &args.save {
        let savable;
        (savable, orphans) = orphans.into_iter().partition(|one| saved::can_save(&one.object.reference).is_ok());
        for (one, before) in save(file, savable, args.choice.patience(), &mut done, ctx)? {
            // To save takes its time, in which a signal is noted.
            let stopped = waiter::caught().is_some();
            done(if stopped { row(one, "left", None) } else { remove_saved(one, &before) }, ctx);
        }
    }
    let mut orphans = orphans.into_iter().peekable();
    while orphans.peek().is_some() && waiter::caught().is_none() {
        let (holders, looked) = (Holders::default(), Instant::now());
        let scene = Scene::new(&holders);
        while looked.elapsed() < FRESH
            && let Some(orphan) = orphans.next()
        {
            done(remove(orphan, args.choice.patience(), &scene), ctx);
        }
    }
    args.look.show(&FIELDS.iter().collect::<Vec<_>>(), &rows, |row| row.judged.verdict.because(), &gaps, ctx)?;
    conclude(&rows, args.yes, ctx);
    if !args.look.form.json {
        say(&gaps, ctx);
    }
    Ok(waiter::caught().map_or(status, Status::Signal))
}

/// How it went, in one line.
fn conclude(rows: &[Row], acted: bool, ctx: &Context) {
    let orphans = count(rows.len() as u64, "orphan", "orphans");
    let bytes: u64 = rows.iter().filter_map(|row| row.judged.object.number("size")).sum();
    let removed = rows.iter().filter(|row| row.result == "removed").count();
    match (rows, acted) {
        ([], _) => ctx.ui.note("there is no orphan"),
        (_, true) => ctx.ui.note(format_args!("{removed} of {orphans} removed")),
        (_, false) => ctx.ui.note(format_args!("{orphans}, {bytes} bytes; nothing was removed: --yes removes")),
    }
}

/// What became of an orphan, and the error if that is one.
type Outcomes = (Row, Option<Error>);

fn row(judged: Judged, result: &'static str, detail: Option<String>) -> Outcomes {
    (Row { judged, result, detail }, None)
}

fn failed(judged: Judged, error: Error) -> Outcomes {
    let detail = Some(error.to_string());
    match error.status {
        Status::NoSuch => row(judged, "gone", None),
        _ if error.call.is_empty() && error.errno == Errno::EBUSY => row(judged, "changed", Some(error.cause)),
        Status::Denied => (Row { judged, result: "denied", detail }, Some(error)),
        _ => (Row { judged, result: "failed", detail }, Some(error)),
    }
}

/// Looks at an orphan again and removes it if it still is one. An object that changed, is gone or is used again
/// is left alone, and that is no failure.
fn remove(before: Judged, patience: Duration, scene: &Scene<'_>) -> Outcomes {
    match again(before, patience, scene) {
        Ok(now) => act(now),
        Err(outcome) => *outcome,
    }
}

/// An orphan that still is one, or what else became of it.
fn again(before: Judged, patience: Duration, scene: &Scene<'_>) -> Result<Judged, Box<Outcomes>> {
    let now = match judged::judge_again(&before.object.reference, patience, scene) {
        Ok(now) => now,
        Err(error) => return Err(failed(before, error).into()),
    };
    if now.object.fingerprint != before.object.fingerprint {
        return Err(row(now, "changed", Some("it is another object, or was changed since".to_owned())).into());
    }
    if now.verdict.condemned().is_none() {
        let word = now.verdict.word();
        return Err(row(now, word, Some("it is no orphan any more".to_owned())).into());
    }
    Ok(now)
}

fn act(now: Judged) -> Outcomes {
    act_on(now, judged::remove)
}

fn act_on(now: Judged, remove: impl Fn(&Condemned) -> crate::error::Result<Option<String>>) -> Outcomes {
    let Some(condemned) = now.verdict.condemned() else { return row(now, "failed", None) };
    match remove(condemned) {
        Ok(lost) => row(now, "removed", lost),
        Err(error) => failed(now, error),
    }
}

/// Saves the orphans that still are some, each with what it was when it was saved. Nothing was removed before.
fn save(
    file: &Path,
    orphans: Vec<Judged>,
    patience: Duration,
    done: &mut impl FnMut(Outcomes, &mut Context),
    ctx: &mut Context,
) -> anyhow::Result<Vec<(Judged, Object)>> {
    let _waiter = Waiter::new(Wait::Forever);
    let holders = Holders::default();
    let scene = Scene::new(&holders);
    let mut still = Vec::new();
    for orphan in orphans {
        match again(orphan, patience, &scene) {
            Ok(now) => still.push(now),
            Err(outcome) => done(*outcome, ctx),
        }
    }
    if still.is_empty() {
        return Ok(Vec::new());
    }
    let references: Vec<ObjectRef> = still.iter().map(|one| one.object.reference.clone()).collect();
    let saved = saved::save(&references, file, false, &mut Err).doing("nothing is removed: cannot save")?;
    ctx.ui.note(super::save::said(&saved));
    // Every one was saved, in this order.
    Ok(still.into_iter().zip(saved.objects).collect())
}

/// Removes an orphan that was saved after it was judged, if it is as it was then and nobody uses it. To judge it
/// again would not do: who reads a segment has just used it.
fn remove_saved(judged: Judged, saved: &Object) -> Outcomes {
    let now = match inventory::find(&saved.reference, Needs::SCAN) {
        Ok(now) => now,
        Err(error) => return failed(judged, error),
    };
    if let Err(changed) = saved::unchanged(saved, &now) {
        return row(judged, "changed", Some(changed.cause));
    }
    match mech::of(&now.reference).usage(&now, &Holders::default()) {
        Seen::Is(Usage::Somebody(how)) => row(judged, "in use", Some(how)),
        _ => act_on(judged, |condemned| judged::remove_saved(condemned, saved)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Ident, Kind, ObjectRef, Text};
    use std::fs;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::PathBuf;
    use tempfile::TempDir;

    /// The file of a socket that is gone.
    struct Orphan {
        directory: TempDir,
    }

    impl Orphan {
        fn new() -> Orphan {
            let orphan = Orphan { directory: tempfile::tempdir().unwrap() };
            drop(UnixListener::bind(orphan.path()).unwrap());
            // What another test has forked has the socket, too, until it executes its program.
            while UnixStream::connect(orphan.path()).is_ok() {
                std::thread::yield_now();
            }
            orphan
        }

        fn path(&self) -> PathBuf {
            self.directory.path().join("s")
        }

        fn judge(&self) -> Judged {
            let holders = Holders::default();
            let id = Ident::Path(Text::from(self.path().as_os_str().as_bytes()));
            let reference = ObjectRef { kind: Kind::Sock, id };
            judged::judge_again(&reference, Duration::ZERO, &Scene::new(&holders)).unwrap()
        }
    }

    /// What becomes of an orphan when this happens between the plan and the act.
    #[track_caller]
    fn result<T>(happens: impl FnOnce(&Orphan) -> T) -> (&'static str, bool) {
        let orphan = Orphan::new();
        let before = orphan.judge();
        assert_eq!(before.verdict.word(), "orphan", "{:?}", before.verdict);
        let happened = happens(&orphan);
        let holders = Holders::default();
        let (row, failed) = remove(before, Duration::ZERO, &Scene::new(&holders));
        assert!(failed.is_none());
        drop(happened);
        (row.result, orphan.path().exists())
    }

    #[test]
    fn an_orphan_is_looked_at_again_before_it_is_removed() {
        assert_eq!(result(|_| {}), ("removed", false));
        assert_eq!(result(|orphan| fs::remove_file(orphan.path()).unwrap()), ("gone", false));
        let touched = |orphan: &Orphan| fs::hard_link(orphan.path(), orphan.path().with_extension("other")).unwrap();
        assert_eq!(result(touched), ("changed", true));
        // Both at once, so that the other one has another inode.
        let replaced = |orphan: &Orphan| {
            let other = UnixListener::bind(orphan.path().with_extension("new")).unwrap();
            fs::rename(orphan.path().with_extension("new"), orphan.path()).unwrap();
            other
        };
        assert_eq!(result(replaced), ("changed", true));
    }

    #[test]
    fn what_was_used_since_the_last_look_is_left() {
        let judged = Orphan::new().judge();
        let busy = Error::new("", Errno::EBUSY, "x").because("it was used meanwhile");
        let (row, failed) = super::failed(judged, busy);
        assert_eq!((row.result, row.detail.as_deref(), failed), ("changed", Some("it was used meanwhile"), None));
    }
}
