//! Objects out of an archive.

use crate::archive::{Archive, Content, Entry};
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::inventory::{Holders, find_with};
use crate::mech::{self, Access, Change, Created, Mechanism, Spec, Tag, What};
use crate::model::{Ident, Needs, Object, ObjectRef, Wait};
use crate::sys::users::Names;
use crate::sys::waiter::Waiter;
use nix::errno::Errno;

/// An object that was made again.
pub struct Restored {
    pub reference: ObjectRef,
    /// What could not be as it was.
    pub notes: Vec<String>,
}

/// Whether a reference names this object of an archive.
pub fn named(reference: &ObjectRef, entry: &Entry) -> Result<bool> {
    let key = mech::key(reference.kind, &reference.id)?;
    let is_it = match key {
        Some(_) => entry.key == key,
        None => entry.reference().id == reference.id,
    };
    Ok(entry.kind == reference.kind && is_it)
}

/// Makes one object of an archive again, or nothing of it. Status 5 if there is one of its key or name.
pub fn restore(archive: &Archive, at: usize) -> Result<Restored> {
    let entry = &archive.manifest.objects[at];
    let mechanism = mech::of(&entry.reference());
    let mut notes = Vec::new();
    let Created { reference, .. } = create(archive, at, mechanism, &mut notes)?;
    let made = fill(archive, at, mechanism, &reference).and_then(|object| {
        own(entry, mechanism, &object, &mut notes)?;
        archive.unchanged()
    });
    if let Err(error) = made {
        // Nobody has been told of it: it goes again.
        let removed = find(&reference).and_then(|object| mechanism.remove(&object));
        return Err(match removed {
            Ok(_) => error,
            Err(left) => error.hinting(format!("{reference} was made and could not be removed again: {left}")),
        });
    }
    Ok(Restored { reference, notes })
}

fn find(reference: &ObjectRef) -> Result<Object> {
    find_with(reference, Needs::SCAN, &Holders::default())
}

/// Makes the object. Until it is filled and has its owner, it is for us alone.
fn create(archive: &Archive, at: usize, mechanism: &dyn Mechanism, notes: &mut Vec<String>) -> Result<Created> {
    let entry = &archive.manifest.objects[at];
    let what = match &entry.content {
        Content::Region(bytes) => What::Region {
            size: bytes.size,
            huge: None,
            content: if bytes.size > 0 { Some(archive.region(at)?) } else { None },
        },
        Content::Channel { max_bytes, max_messages, message_size, messages } => {
            // The capacity may have been lowered below what was in it; at first all must go in.
            let bytes = entry.size().max(messages.len() as u64);
            let (max_messages, message_size) = (*max_messages, *message_size);
            What::Channel { max_bytes: max_bytes.map(|most| most.max(bytes)), max_messages, message_size }
        }
        Content::Counter { values } => What::Counter { values: values.clone() },
    };
    let id = match (&entry.name, entry.key) {
        (Some(name), _) => Some(Ident::Name(name.clone())),
        (None, key) => key.map(Ident::Key),
    };
    if let Some(key) = entry.key
        && mechanism.find(&Ident::Key(key), Needs::SCAN, &Holders::default()).is_ok()
    {
        // Before an identifier is wished for, which then somebody else would get.
        return Err(of(entry, Error::new("", Errno::EEXIST, &entry.shown)));
    }
    let wish = entry.id.map(|id| (id, mechanism.next_id(id)));
    let spec = Spec { mode: Some(0o600), exist_ok: false, what };
    let created = mechanism.create(id.as_ref(), &spec).map_err(|error| of(entry, error))?;
    match (wish, &created.reference.id) {
        (Some((id, wished)), Ident::Id(given)) if id != *given => notes.push(match wished {
            Ok(()) => format!("it had the identifier {id}, whose place is taken"),
            Err(errno) => format!("it had the identifier {id}, which we may not choose ({errno:?})"),
        }),
        _ => {}
    }
    Ok(created)
}

/// The error of an object that could not be made, under the name that it had.
fn of(entry: &Entry, error: Error) -> Error {
    let error = Error { object: entry.shown.clone(), ..error };
    match (error.status, entry.key) {
        (Status::Exists, Some(key)) => error.because(format!("another object has its key, {key:#x}")),
        (Status::Exists, None) => error.because("another object has its name"),
        _ => error,
    }
}

/// Puts the messages into a queue.
fn fill(archive: &Archive, at: usize, mechanism: &dyn Mechanism, reference: &ObjectRef) -> Result<Object> {
    let entry = &archive.manifest.objects[at];
    if let Content::Channel { messages, .. } = &entry.content
        && !messages.is_empty()
    {
        let mut queue = mechanism.open(&reference.id, Access::Write)?.channel();
        let waiter = Waiter::new(Wait::Never);
        for (number, message) in messages.iter().enumerate() {
            let tag = match (message.kind, message.priority) {
                (Some(kind), _) => Tag::Type(kind),
                (None, priority) => Tag::Priority(priority.unwrap_or(0)),
            };
            queue.send(&archive.message(at, number)?, tag, &waiter)?;
        }
    }
    find(reference)
}

/// Gives it its owner, its mode and its capacity: in one step where the kernel has one.
fn own(entry: &Entry, mechanism: &dyn Mechanism, object: &Object, notes: &mut Vec<String>) -> Result<()> {
    let changed = |now: Option<&u32>, wanted: u32| (now != Some(&wanted)).then_some(wanted);
    let max_bytes = match &entry.content {
        Content::Channel { max_bytes, .. } => *max_bytes,
        _ => None,
    };
    let all = Change {
        mode: Some(entry.mode),
        uid: changed(object.uid.known(), entry.uid),
        gid: changed(object.gid.known(), entry.gid),
        max_bytes,
    };
    let has_owner = all.uid.is_none() && all.gid.is_none();
    match mechanism.set(object, &all) {
        Ok(()) => {}
        Err(error) if has_owner => return Err(error),
        // An ordinary user gives nothing away, and in a user namespace not all users exist.
        Err(error) => {
            let same_owner = Change { uid: None, gid: None, ..all };
            mechanism.set(object, &same_owner)?;
            let errno = error.errno;
            notes.push(format!(
                "it belonged to {}:{} ({}:{}), to whom we may not give it ({errno:?})",
                entry.user.escaped(),
                entry.group.escaped(),
                entry.uid,
                entry.gid
            ));
            return Ok(());
        }
    }
    let mut names = Names::default();
    let here = (names.user(entry.uid), names.group(entry.gid));
    if !entry.user.raw().is_empty() && here != (entry.user.clone(), entry.group.clone()) {
        notes.push(format!(
            "its owner {}:{} ({}:{}) is called {}:{} here",
            entry.user.escaped(),
            entry.group.escaped(),
            entry.uid,
            entry.gid,
            here.0.escaped(),
            here.1.escaped()
        ));
    }
    Ok(())
}
