//! Objects into an archive.

use super::copy::{Messages, copied};
use super::drain::Drain;
use crate::archive::{Content, Entry, Manifest, Member, Writer};
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::inventory::{Holders, find_with};
use crate::mech::{self, Access};
use crate::model::{Ident, Kind, Needs, Object, ObjectRef, Seen, Text, Value};
use crate::sys::waiter;
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::path::Path;

/// What was saved.
pub struct Saved {
    /// The objects as they were when they were read.
    pub objects: Vec<Object>,
    /// The size of the archive.
    pub bytes: u64,
    /// What else is to be said.
    pub notes: Vec<String>,
}

/// An object that was read as far as it can be before the archive is written.
struct Part {
    object: Object,
    entry: Entry,
    messages: Vec<Vec<u8>>,
}

/// What needs a sum before there is one.
const NO_SUM: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Says whether there is something to be kept of an object: of a FIFO or a socket there is nothing but its
/// name, and a file is copied as a file.
pub fn can_save(reference: &ObjectRef) -> Result<()> {
    if !Kind::LASTING.contains(&reference.kind) {
        let cause = format!("of {} nothing can be saved", reference.kind.title());
        return Err(Error::refused(reference, Status::Failed, cause));
    }
    if let Ident::Path(_) = reference.id {
        let error = Error::refused(reference, Status::Failed, "it is a file of its own");
        return Err(error.hinting("copy it with cp(1)"));
    }
    Ok(())
}

/// Saves objects in a new archive. `failed` is told of each that cannot be saved: with `Ok` it is left out of the
/// archive, with `Err` there is none. `drain` permits to take messages that cannot be copied.
///
/// When this comes back, the archive is whole, on the disk, and has its name; or nothing has that name. If
/// messages were taken and then something fails, they are in the journal beside it, which the error names.
pub fn save(
    references: &[ObjectRef],
    path: &Path,
    drain: bool,
    failed: &mut dyn FnMut(Error) -> Result<()>,
) -> Result<Saved> {
    let mut writer = Writer::create(path)?;
    let mut drain = if drain { Some(Drain::create(path)?) } else { None };
    let saved = write(references, &mut writer, drain.as_mut(), failed).and_then(|(manifest, objects, notes)| {
        let bytes = writer.finish(&manifest)?;
        Ok(Saved { objects, bytes, notes })
    });
    match (saved, drain) {
        (Err(error), Some(drain)) if drain.taken() > 0 => {
            let place = crate::model::Escaped(drain.path().as_os_str().as_encoded_bytes()).to_string();
            Err(error.hinting(format!("the messages that were taken are in {place}, which `ipcx restore` takes")))
        }
        (saved, Some(drain)) => {
            let removed = drain.remove();
            saved.and_then(|saved| removed.map(|()| saved))
        }
        (saved, None) => saved,
    }
}

/// Reads the objects and writes all but the manifest, which is given back with them.
fn write(
    references: &[ObjectRef],
    writer: &mut Writer,
    mut drain: Option<&mut Drain>,
    failed: &mut dyn FnMut(Error) -> Result<()>,
) -> Result<(Manifest, Vec<Object>, Vec<String>)> {
    let mut notes = Vec::new();
    let mut parts: Vec<Part> = Vec::new();
    let holders = Holders::default();
    for reference in references {
        let object = match find(reference, &holders) {
            Ok(object) => object,
            Err(error) => {
                failed(error)?;
                continue;
            }
        };
        // The same object may be named by its key and by its identifier.
        if parts.iter().any(|part| part.object.reference == object.reference) {
            continue;
        }
        let taken = drain.as_ref().map_or(0, |drain| drain.taken());
        match read(object, drain.as_deref_mut(), &mut notes) {
            Ok(part) => parts.push(part),
            // Messages that are in the journal alone are no longer the affair of one object.
            Err(error) if drain.as_ref().is_some_and(|drain| drain.taken() > taken) => return Err(error),
            Err(error) if waiter::caught().is_some() => return Err(error),
            Err(error) => failed(error)?,
        }
    }
    let mut entries: Vec<Entry> = parts.iter().map(|part| part.entry.clone()).collect();
    entries.iter_mut().enumerate().for_each(|(at, entry)| entry.name_members(at));
    writer.begin(&Manifest::new(entries))?;
    let (mut manifest, mut objects) = (Manifest::new(Vec::new()), Vec::new());
    for part in parts {
        let mut entry = part.entry;
        entry.name_members(manifest.objects.len());
        match contents(&mut entry, &part.messages, writer)? {
            Ok(()) => {
                manifest.objects.push(entry);
                objects.push(part.object);
            }
            Err(error) => failed(error)?,
        }
    }
    Ok((manifest, objects, notes))
}

fn find(reference: &ObjectRef, holders: &Holders) -> Result<Object> {
    can_save(reference)?;
    find_with(reference, Needs::NAMES.and(Needs::CONTENTS), holders)
}

/// Reads all of an object but the bytes of a segment, which may be many.
fn read(object: Object, drain: Option<&mut Drain>, notes: &mut Vec<String>) -> Result<Part> {
    let mut messages = Messages::default();
    let content = if let Some(members) = object.facts.get("semaphores") {
        Content::Counter { values: values(members, &object)? }
    } else if let Some(size) = object.number("size") {
        Content::Region(Member { member: String::new(), size, sha256: NO_SUM.to_owned() })
    } else {
        messages = of_queue(&object, drain, notes)?;
        channel(&object, std::mem::take(&mut messages.list))
    };
    let entry = entry(&object, content)?;
    Ok(Part { object, entry, messages: messages.texts })
}

/// What is seen of an object, or why it is not.
fn seen<T: Clone>(seen: &Seen<T>, object: &Object) -> Result<T> {
    match seen {
        Seen::Is(value) => Ok(value.clone()),
        Seen::Hidden(reason) => Err(Error::new(reason.call, Errno::from_raw(reason.errno), &object.reference)),
        Seen::Absent | Seen::Skipped => {
            Err(Error::refused(&object.reference, Status::Failed, "not all of it could be seen"))
        }
    }
}

fn entry(object: &Object, content: Content) -> Result<Entry> {
    if let Some(Seen::Is(Value::Word("musl"))) = object.facts.get("layout") {
        let cause = "it is a semaphore of musl, and would come back as one of glibc, which is another file";
        return Err(Error::refused(&object.reference, Status::Failed, cause));
    }
    let name = |name: &Seen<Text>| name.known().cloned().unwrap_or_else(|| Text::from(""));
    let mut times = BTreeMap::new();
    for key in ["ctime", "atime", "dtime", "mtime", "stime", "rtime", "otime"] {
        let time = object.time(key).and_then(|at| jiff::Timestamp::from_second(at).ok());
        times.extend(time.map(|time| (key.to_owned(), time.to_string())));
    }
    Ok(Entry {
        shown: object.reference.to_string(),
        kind: object.kind(),
        family: object.family,
        id: object.id(),
        key: object.key.known().copied().filter(|key| *key != 0),
        name: object.name().cloned(),
        mode: seen(&object.mode, object)? & 0o777,
        uid: seen(&object.uid, object)?,
        gid: seen(&object.gid, object)?,
        user: name(&object.user),
        group: name(&object.group),
        times,
        content,
    })
}

fn values(members: &Seen<Value>, object: &Object) -> Result<Vec<u32>> {
    let Value::List(members) = seen(members, object)? else { return Ok(Vec::new()) };
    let value = |member: &Value| {
        let Value::Record(facts) = member else { return None };
        let value = facts.iter().find_map(|(key, value)| (*key == "value").then_some(value))?;
        match value {
            Seen::Is(Value::Count(value)) => u32::try_from(*value).ok(),
            _ => None,
        }
    };
    let values: Option<Vec<u32>> = members.iter().map(value).collect();
    values.ok_or_else(|| Error::refused(&object.reference, Status::Failed, "a value of it could not be seen"))
}

fn channel(object: &Object, messages: Vec<crate::archive::Message>) -> Content {
    let [max_bytes, max_messages, message_size] =
        ["max_bytes", "max_messages", "message_size"].map(|key| object.number(key));
    Content::Channel { max_bytes, max_messages, message_size, messages }
}

fn of_queue(object: &Object, drain: Option<&mut Drain>, notes: &mut Vec<String>) -> Result<Messages> {
    let reference = &object.reference;
    let mut queue = mech::of(reference).open(&reference.id, Access::Read)?.channel();
    if queue.peeks() {
        return copied(&mut *queue, reference);
    }
    let (there, ..) = queue.generation()?;
    match drain {
        _ if there == 0 => Ok(Messages::default()),
        None => {
            let cause = format!("its messages ({there}) cannot be read without being taken");
            Err(Error::refused(reference, Status::Failed, cause)
                .hinting("`ipcx save --drain` takes them: then they are in the archive alone"))
        }
        Some(drain) => {
            let entry = entry(object, channel(object, Vec::new()))?;
            let (messages, emptied) = drain.take(&mut *queue, &entry, object.number("max_messages").unwrap_or(0))?;
            if !emptied {
                notes.push(format!("{reference} was filled again while it was drained; what came is still in it"));
            }
            Ok(messages)
        }
    }
}

/// Writes the members of an object. The inner error is the object's own.
fn contents(entry: &mut Entry, messages: &[Vec<u8>], writer: &mut Writer) -> Result<Result<()>> {
    let reference = entry.reference();
    if let Content::Region(bytes) = &mut entry.content {
        let region = match mech::of(&reference).open(&reference.id, Access::Read) {
            Ok(opened) => opened.region(),
            Err(error) => return Ok(Err(error)),
        };
        match region.size() {
            Ok(size) if size == bytes.size => {}
            Ok(_) => {
                let cause = "its size changed while it was saved";
                return Ok(Err(Error::refused(reference, Status::Failed, cause)));
            }
            Err(error) => return Ok(Err(error)),
        }
        match writer.member(&bytes.member, bytes.size, |offset, into| region.read_at(offset, into))? {
            Ok(sum) => bytes.sha256 = sum,
            Err(error) => return Ok(Err(error)),
        }
    }
    for (member, text) in entry.members().into_iter().zip(messages) {
        let read = |offset, into: &mut [u8]| {
            let offset = usize::try_from(offset).unwrap_or(usize::MAX);
            into.copy_from_slice(&text[offset..offset + into.len()]);
            Ok(())
        };
        if let Err(error) = writer.member(&member.member, member.size, read)? {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

/// Facts that change when what is inside an object does.
const INSIDE: &[&str] = &["messages", "bytes", "stime", "rtime", "lspid", "lrpid", "mtime", "otime", "value", "size"];

/// Says whether an object is as it was saved, as far as it tells. What processes write into memory that they
/// have mapped, it does not.
pub fn unchanged(saved: &Object, now: &Object) -> Result<()> {
    let is_same = saved.fingerprint == now.fingerprint
        && INSIDE.iter().all(|key| saved.facts.get(key) == now.facts.get(key))
        // Our own attachment is the last one.
        && [saved.pid("lpid"), Some(std::process::id().cast_signed())].contains(&now.pid("lpid"));
    if is_same {
        return Ok(());
    }
    Err(Error::refused(&now.reference, Status::Failed, "it changed after it was saved, and is left as it is"))
}
