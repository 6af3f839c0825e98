//! `ipcx msgq recv --durable`: no kill loses a message.

use super::known;
use super::recv::{ACT, RecvArgs, lost, there};
use crate::cmd::{Context, Outcome, verbs};
use crate::error::{Doing as _, Error};
use crate::exit::Status;
use crate::inventory;
use crate::mech::{Access, Slot, Source};
use crate::model::{Escaped, Ident, Needs, ObjectRef, Seen, Text, Value};
use crate::sys::waiter::Waiter;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Delivers what is in the slot, and then what comes through it.
pub fn run(args: &RecvArgs, path: &Path, waiter: &Waiter, ctx: &mut Context) -> Outcome {
    // Nothing is taken if there is no place for it.
    ctx.ui.out.payload(b"").map_err(|(_, failed)| lost(failed))?;
    let mut slot = Slot::open(path, waiter).doing(ACT)?;
    let reference = &args.target.reference;
    let source = source(reference);
    slot.belongs(&source).map_err(|other| not_delivered(path, other).doing(ACT))?;
    let mut left = args.wanted();
    if slot.message().is_some() {
        // Also if the queue is gone.
        deliver(args, &mut slot, true, ctx)?;
        left -= 1;
        if left == 0 {
            return Ok(Status::Done);
        }
    }
    let mut channel = verbs::open(reference, Access::Read, ACT)?.channel();
    if args.all {
        left = there(&*channel)?;
    }
    slot.prepare(&source, channel.longest()).doing(ACT)?;
    while left > 0 {
        match channel.recv_into(&mut slot, args.pick(), args.limit(), waiter) {
            Ok(()) => {}
            Err(Error { status: Status::WouldBlock, .. }) if args.all => break,
            Err(error) => return Err(error.doing(ACT)),
        }
        deliver(args, &mut slot, false, ctx)?;
        left -= 1;
    }
    Ok(Status::Done)
}

/// The names that the queue has, to know it again: what it was called here may be another name of it, and a private
/// one that was made again is another queue.
fn source(reference: &ObjectRef) -> Source {
    let mut names = vec![reference.clone()];
    if let Ok(object) = inventory::find(reference, Needs::SCAN) {
        let key = object.key.known().copied().filter(|key| *key != 0);
        names.extend(key.map(|key| ObjectRef { kind: reference.kind, id: Ident::Key(key) }));
        names.push(object.reference);
    }
    Source::new(&names)
}

fn not_delivered(path: &Path, of: Escaped<'_>) -> Error {
    let path = Escaped(path.as_os_str().as_bytes());
    Error::refused(&path, Status::Failed, format!("a message of {of} is in it, which was not delivered"))
        .hinting(format!("`ipcx msgq recv {of} --durable {path}` delivers it, also if that queue is gone"))
}

/// Writes the message and forgets it. If it cannot be written it stays in the slot.
fn deliver(args: &RecvArgs, slot: &mut Slot, again: bool, ctx: &mut Context) -> anyhow::Result<()> {
    let Some((id, tag, message, found)) = slot.message() else { return Ok(()) };
    let format = args.format.format();
    let mut line = Vec::with_capacity(message.len() + 1);
    let facts = || {
        let mut facts = known(None, tag);
        facts.push(("id", Seen::Is(Value::Text(Text::from(id.to_string().as_str())))));
        facts.push(("again", Seen::Is(Value::Flag(again))));
        facts
    };
    format.write(&mut line, facts, message)?;
    if again {
        ctx.ui.note(format_args!("message {id} was in the slot: it is delivered now, perhaps not for the first time"));
    }
    if found {
        ctx.ui.warn(format_args!("its length was not noted: if it is no text, its last byte may be missing"));
    }
    if let Err((written, failed)) = ctx.ui.out.payload(&line) {
        let part = if written > 0 { format!(", although {written} bytes of it were written") } else { String::new() };
        ctx.ui.warn(format_args!("the message stays in the slot, and the next start delivers it{part}"));
        return Err(lost(failed));
    }
    slot.clear();
    Ok(())
}
