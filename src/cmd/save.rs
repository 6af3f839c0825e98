//! `ipcx save`: keep objects with all that is in them.

use super::{Context, Outcome, usage};
use crate::args::{KindOrRef, KindsOrRefs};
use crate::error::Error;
use crate::exit::Status;
use crate::inventory::{self, Select, saved};
use crate::model::{Kind, Needs, ObjectRef, Wait};
use crate::render::text::count;
use crate::sys::users;
use crate::sys::waiter::Waiter;
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx save msgq/65536 shm//frames -f before.tar
  ipcx save shm msgq sem --mine -f mine.tar    all that I own
  ipcx save msgq//jobs --drain -f jobs.tar     takes the messages out
  tar -tf before.tar; tar -xOf before.tar manifest.json
  ipcx restore before.tar

The archive is a tar file for its owner alone; it gets its name when it is whole and on
the disk, and never replaces a file. An object that cannot be saved is left out: the
status is that of the first failure.

Nothing is taken from a System V queue; it is read again if it changed meanwhile. A POSIX
queue that holds messages can only be emptied: with --drain each message is on the disk,
in FILE.drain, before the next one is taken, and the one in hand is in a slot in /dev/shm:
if ipcx is killed, `ipcx restore FILE.drain` gives back all of them. Memory that processes write to
meanwhile is saved as it is read. To read a System V segment it is attached, which the
segment records as its last use. FIFOs, sockets and files are not saved.")]
pub struct SaveArgs {
    #[command(flatten)]
    what: KindsOrRefs,

    /// The archive, a new file
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,

    /// Of the kinds only what I own
    #[arg(long)]
    mine: bool,

    /// Take the messages out of POSIX queues, which cannot be read otherwise
    #[arg(long)]
    drain: bool,
}

pub fn run(args: &SaveArgs, ctx: &mut Context) -> Outcome {
    // From here on a signal is noted, so that what is half done is undone.
    let _waiter = Waiter::new(Wait::Forever);
    let references = references(args, ctx)?;
    let mut status = Status::Done;
    let mut failures = 0;
    let mut failed = |error: Error| {
        let failed = ctx.ui.report(&error.doing("cannot save"));
        status = if status == Status::Done { failed } else { status };
        failures += 1;
        if failures == references.len() { Err(nothing()) } else { Ok(()) }
    };
    let saved = match saved::save(&references, &args.file, args.drain, &mut failed) {
        Ok(saved) => saved,
        // What failed has been said.
        Err(error) if error == nothing() => return Ok(status),
        Err(error) => {
            // Who stops us need not be told so, but must be told where what was taken is.
            if let (Status::Signal(_), Some(hint)) = (error.status, &error.hint) {
                ctx.ui.warn(hint);
            }
            return Err(error.doing("cannot write"));
        }
    };
    saved.notes.iter().for_each(|note| ctx.ui.note(note));
    ctx.ui.note(said(&saved));
    Ok(status)
}

/// What was saved, in one line.
pub fn said(saved: &saved::Saved) -> String {
    let objects = count(saved.objects.len() as u64, "object", "objects");
    format!("saved {objects} in an archive of {} bytes", saved.bytes)
}

/// Not one object could be saved.
fn nothing() -> Error {
    Error::refused("", Status::Failed, "nothing could be saved")
}

/// The objects that were named, and all of the kinds that were.
fn references(args: &SaveArgs, ctx: &Context) -> anyhow::Result<Vec<ObjectRef>> {
    let mut references = Vec::new();
    let mut kinds: Vec<Kind> = Vec::new();
    for one in &args.what.list {
        match one {
            KindOrRef::Kind(kind) => kinds.push(*kind),
            KindOrRef::Ref(reference) => references.push(reference.clone()),
        }
    }
    if args.mine && kinds.is_empty() {
        return Err(usage("--mine chooses among the objects of a kind; name one: shm, msgq or sem"));
    }
    let select = Select { owner: args.mine.then(users::me) };
    inventory::scan(&kinds, Needs::SCAN, select, None, |_, found| {
        super::ls::say(&found.gaps, ctx);
        references.extend(found.objects.into_iter().map(|object| object.reference));
        Ok::<(), anyhow::Error>(())
    })?;
    Ok(references)
}
