//! What the kinds share that processes have open: who has them, and what their descriptors tell.

use super::{Found, Limit, Mechanism, Usage, devshm};
use crate::error::{Error, Result};
use crate::model::{Family, Field, Ident, Kind, Needs, Object, ObjectRef, Role, Seen, Value};
use crate::proc::holders::{Descriptors, Fill, Holders, OpenFile, What};
use crate::sys::pipe;
use nix::errno::Errno;
use std::sync::Arc;

const STREAMS: &[Kind] = &[Kind::Fifo, Kind::Pipe];
const ALL: &[Kind] = &[Kind::Fifo, Kind::Pipe, Kind::Sock, Kind::Memfd, Kind::Eventfd];
const SOCK: &[Kind] = &[Kind::Sock];
const OTHERS: &[Kind] = &[Kind::Fifo, Kind::Pipe, Kind::Memfd, Kind::Eventfd];
const INODES: &[Kind] = &[Kind::Fifo, Kind::Pipe, Kind::Sock, Kind::Memfd];

/// Columns of facts that several of these kinds have.
pub(super) static FIELDS: &[Field] = &[
    Field::number(INODES, "inode", "inode number", Needs::SCAN, false),
    Field::number(STREAMS, "bytes", "bytes that wait to be read", Needs::STAT, true),
    Field::number(STREAMS, "capacity", "bytes that it holds (F_GETPIPE_SZ)", Needs::STAT, true),
    Field::number(STREAMS, "slots", "pages that it holds, each of one write or more (pipe(7))", Needs::CONTENTS, false),
    Field::number(STREAMS, "used_slots", "slots in use; it is full when all are", Needs::CONTENTS, false),
    Field::number(STREAMS, "readers", "processes that have it open to read", Needs::SCAN, true),
    Field::number(STREAMS, "writers", "processes that have it open to write", Needs::SCAN, true),
];

/// The processes come last: they are the longest column.
pub(super) static PROCESSES: &[Field] = &[
    Field::word(OTHERS, "processes", "processes that have it open: pid, command, descriptor", Needs::SCAN, true),
    Field::word(SOCK, "processes", "processes that have it open: pid, command, descriptor", Needs::HOLDERS, true),
];

/// An object of a kind that only descriptors lead to.
pub(super) fn object(reference: ObjectRef, family: Family, file: &OpenFile, descriptors: &Descriptors) -> Object {
    debug_assert!(ALL.contains(&reference.kind));
    let mut object = devshm::object(reference, family, &file.stat);
    ends(&mut object, "processes", Some(file), descriptors);
    object
}

/// Records who has a file open, as this fact. Where nobody is seen, and there are processes that we may not
/// look into, it is not known.
pub(super) fn ends(object: &mut Object, key: &'static str, file: Option<&OpenFile>, descriptors: &Descriptors) {
    let ends = file.map_or(&[][..], |file| &file.ends);
    let list = || Value::List(ends.iter().map(|end| Value::End(Arc::clone(end))).collect());
    object.facts.set(key, unless_hidden(ends.is_empty(), descriptors, list));
}

/// A fact that is only known to be nothing if all processes could be looked into.
pub(super) fn unless_hidden(nothing: bool, descriptors: &Descriptors, value: impl FnOnce() -> Value) -> Seen<Value> {
    match descriptors.gaps.first() {
        Some(gap) if nothing => Seen::Hidden(Box::new(gap.reason)),
        _ => Seen::Is(value()),
    }
}

/// Records the ends and the fill of a pipe or FIFO. Where nobody is seen to have it open, and there are
/// processes that we may not look into, nothing is known of it.
pub(super) fn stream(object: &mut Object, file: Option<&OpenFile>, descriptors: &Descriptors, needs: Needs) {
    let facts = &mut object.facts;
    let unknown = descriptors.gaps.first().filter(|_| file.is_none()).map(|gap| gap.reason);
    let ends = file.map_or(&[][..], |file| &file.ends);
    let count = |wanted: fn(Role) -> bool| {
        let mut pids: Vec<i32> = ends.iter().filter(|end| wanted(end.role)).map(|end| end.pid).collect();
        pids.dedup();
        unless_hidden(pids.is_empty(), descriptors, || Value::Count(pids.len() as u64))
    };
    facts.set("readers", count(Role::reads));
    facts.set("writers", count(Role::writes));
    if !needs.has(Needs::STAT) {
        return;
    }
    let fill = match (file, unknown) {
        (Some(file), _) => file.fill.unwrap_or(Ok(Fill::default())),
        (None, Some(reason)) => Err(reason),
        // The kernel keeps nothing for a FIFO that nobody has open.
        (None, None) => Ok(Fill::default()),
    };
    let size = |part: fn(Fill) -> u64| match fill {
        Ok(fill) => Seen::Is(Value::Size(part(fill))),
        Err(reason) => Seen::Hidden(Box::new(reason)),
    };
    if let (Some(file), Ok(fill), true) = (file, fill, needs.has(Needs::CONTENTS)) {
        facts.push("slots", Value::Count(fill.capacity / pipe::page() as u64));
        facts.set("used_slots", used_slots(file, fill));
    }
    facts.set("bytes", size(|fill| fill.unread));
    facts.set("capacity", if fill == Ok(Fill::default()) { Seen::Absent } else { size(|fill| fill.capacity) });
}

/// How many slots are in use; only the end to read tells.
fn used_slots(file: &OpenFile, fill: Fill) -> Seen<Value> {
    let capacity = usize::try_from(fill.capacity).unwrap_or(usize::MAX);
    let count = |reader| pipe::Slots::new()?.count(reader, capacity);
    match file.reach(Role::reads).map(count) {
        Ok(Ok(used)) => Seen::Is(Value::Count(used as u64)),
        Ok(Err(errno)) => Seen::hidden("tee", errno as i32),
        Err(reason) => Seen::Hidden(Box::new(reason)),
    }
}

/// Who uses it, in words.
pub(super) fn usage(file: Option<&OpenFile>, descriptors: &Descriptors) -> Seen<Usage> {
    let Some(end) = file.and_then(|file| file.ends.first()) else {
        return match descriptors.gaps.first() {
            Some(gap) => Seen::Hidden(Box::new(gap.reason)),
            None => Seen::Is(Usage::Nobody),
        };
    };
    let others = file.map_or(0, |file| {
        let mut pids: Vec<i32> = file.ends.iter().map(|end| end.pid).collect();
        pids.dedup();
        pids.len() - 1
    });
    let first = format!("process {} ({}) has it open", end.pid, end.command.escaped());
    Seen::Is(Usage::Somebody(match others {
        0 => first,
        1 => format!("{first}, and another one"),
        n => format!("{first}, and {n} others"),
    }))
}

/// The error of removing what has no name.
pub(super) fn nameless(reference: &ObjectRef) -> Error {
    let cause = "it has no name to remove; it ends with the last process that has it open";
    super::unsupported(reference, cause, "`ipcx show` names those processes")
}

/// A kind whose objects have no names: only descriptors lead to them.
pub struct Unnamed {
    pub kind: Kind,
    pub what: What,
    pub object: fn(&OpenFile, &Descriptors, Needs) -> Object,
    pub limits: fn() -> Vec<Limit>,
}

impl Mechanism for Unnamed {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn family(&self) -> Family {
        Family::Anonymous
    }

    fn takes(&self, id: &Ident) -> bool {
        matches!(id, Ident::Inode(_))
    }

    fn scan(&self, needs: Needs, holders: &Holders) -> Found {
        let descriptors = holders.descriptors();
        let objects = descriptors.of(self.what).map(|file| (self.object)(file, descriptors, needs)).collect();
        Found { objects, gaps: descriptors.gaps.clone() }
    }

    fn find(&self, id: &Ident, needs: Needs, holders: &Holders) -> Result<Object> {
        let descriptors = holders.descriptors();
        let found = match id {
            Ident::Inode(number) => descriptors.numbered(self.what, *number),
            _ => None,
        };
        found.map(|file| (self.object)(file, descriptors, needs)).ok_or_else(|| {
            let cause = match descriptors.gaps.first() {
                Some(gap) => format!("no process that we may look into has such an object open ({})", gap.subject),
                None => "no process has such an object open".to_owned(),
            };
            Error::new("stat", Errno::ENOENT, self.named(id)).because(cause)
        })
    }

    fn can_remove(&self, object: &Object) -> Result<()> {
        Err(nameless(&object.reference))
    }

    fn remove(&self, object: &Object) -> Result<Option<String>> {
        Err(nameless(&object.reference))
    }

    fn usage(&self, object: &Object, holders: &Holders) -> Seen<Usage> {
        usage(holders.descriptors().numbered(self.what, object.number_of_its_own()), holders.descriptors())
    }

    fn limits(&self) -> Vec<Limit> {
        (self.limits)()
    }
}
