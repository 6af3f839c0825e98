//! `ipcx rm`: remove objects, one by one, and only those that were meant.

use super::{Context, Outcome};
use crate::args::Refs;
use crate::error::{Doing as _, Error};
use crate::exit::Status;
use crate::inventory::{self, Holders, saved};
use crate::mech::{self, Usage};
use crate::model::{Kind, Needs, Object, ObjectRef, Seen, Wait};
use crate::sys::waiter::{self, Waiter};
use clap::Args;
use nix::errno::Errno;
use std::path::{Path, PathBuf};

/// The general help, or that of a noun to which it does not apply.
fn help(noun: Option<Kind>) -> &'static str {
    noun.and_then(super::nouns::of).map_or(HELP, |texts| texts.rm)
}

const HELP: &str = "\
Examples:
  ipcx rm msgq/65536 shm//frames
  ipcx rm --force shm/0x4d2
  ipcx rm --save before.tar msgq/65536
  ipcx ls shm --mine -o ref --raw --no-headings | xargs -d '\\n' ipcx rm

An attached segment, a POSIX object that a process has open and a set that processes
wait on are in use and refused without --force. Removal itself differs: a System V
queue or set is gone at once and its waiters fail with EIDRM; a segment and a POSIX
object lose their name at once and their memory when the last user lets go.";

#[derive(Args, Debug)]
#[command(after_help = help(R::KIND))]
pub struct RmArgs<R: Refs> {
    #[command(flatten)]
    refs: R,

    /// Remove it even if it is in use
    #[arg(short, long)]
    force: bool,

    /// It is no error if there is no such object
    #[arg(long)]
    missing_ok: bool,

    /// First save what is to be removed in this archive, as `ipcx save` does; if that fails, nothing is removed
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

pub fn run<R: Refs>(args: &RmArgs<R>, ctx: &mut Context) -> Outcome {
    let mut status = Status::Done;
    let holders = Holders::default();
    let saved = match &args.save {
        Some(file) => save(file, args, &holders, ctx)?,
        None => Vec::new(),
    };
    for reference in args.refs.list() {
        // To save takes its time, in which a signal is noted.
        if let Some(signal) = waiter::caught() {
            return Ok(Status::Signal(signal));
        }
        let saved = args.save.as_ref().map(|_| &saved[..]);
        match remove(reference, args.force, saved, &holders).doing("cannot remove") {
            Ok(said) => ctx.ui.note(said),
            Err(error) => {
                let missing = error.downcast_ref::<Error>().is_some_and(|error| error.status == Status::NoSuch);
                if missing && args.missing_ok {
                    continue;
                }
                let failed = ctx.ui.report(&error);
                status = if status == Status::Done { failed } else { status };
            }
        }
    }
    Ok(status)
}

/// Saves the objects that are to be removed; as they were then. Those that cannot be removed are not saved, and are
/// reported when their removal is tried.
fn save<R: Refs>(file: &Path, args: &RmArgs<R>, holders: &Holders, ctx: &Context) -> anyhow::Result<Vec<Object>> {
    let _waiter = Waiter::new(Wait::Forever);
    let is_removable = |reference: &&ObjectRef| look(reference, args.force, holders).is_ok();
    let references: Vec<ObjectRef> = args.refs.list().iter().filter(is_removable).cloned().collect();
    if references.is_empty() {
        return Ok(Vec::new());
    }
    let saved = saved::save(&references, file, false, &mut Err).doing("nothing is removed: cannot save")?;
    ctx.ui.note(super::save::said(&saved));
    Ok(saved.objects)
}

/// An object that may be removed, and whether it is used.
fn look(reference: &ObjectRef, force: bool, holders: &Holders) -> crate::error::Result<(Object, Seen<Usage>)> {
    let object = inventory::find_with(reference, Needs::SCAN, holders)?;
    let mechanism = mech::of(reference);
    mechanism.can_remove(&object)?;
    let usage = if force { Seen::Skipped } else { mechanism.usage(&object, holders) };
    if let Seen::Is(Usage::Somebody(how)) = usage {
        return Err(Error::new("", Errno::EBUSY, reference)
            .because(format!("it is in use: {how}"))
            .hinting("`ipcx show` tells more; --force removes it all the same"));
    }
    Ok((object, usage))
}

/// Removes one object; what was removed, in words. With `saved` only if it is among these and as it was then.
fn remove(
    reference: &ObjectRef,
    force: bool,
    saved: Option<&[Object]>,
    holders: &Holders,
) -> crate::error::Result<String> {
    let (object, usage) = look(reference, force, holders)?;
    if let Some(saved) = saved {
        let before = saved.iter().find(|before| before.reference == object.reference);
        let not_saved = || Error::refused(&object.reference, Status::Failed, "it was not saved, and is left as it is");
        saved::unchanged(before.ok_or_else(not_saved)?, &object)?;
    }
    let more = mech::of(reference).remove(&object)?;
    // Under a key or a path, say which object that was.
    let mut said = format!("removed {}", object.reference);
    if object.reference != *reference {
        said.push_str(&format!(", which was {reference}"));
    }
    if let Some(more) = more {
        said.push_str(&format!("; {more}"));
    }
    if let Seen::Hidden(reason) = usage {
        let errno = Errno::from_raw(reason.errno);
        said.push_str(&format!("; whether it was in use could not be seen ({}: {errno:?})", reason.call));
    }
    Ok(said)
}
