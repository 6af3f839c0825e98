//! Event counters, eventfd(2). All of them share one inode; what tells them apart is the number in
//! their fdinfo (Linux 5.2).

use super::opened::{self, Unnamed};
use crate::model::{Family, Field, Ident, Kind, Needs, Object, ObjectRef, Seen, Value};
use crate::proc::holders::{Descriptors, OpenFile, What};

pub(super) static EVENTFD: Unnamed = Unnamed { kind: Kind::Eventfd, what: What::Eventfd, object, limits: Vec::new };

const KINDS: &[Kind] = &[Kind::Eventfd];

pub(super) static FIELDS: &[Field] = &[
    Field::number(KINDS, "count", "its counter", Needs::SCAN, true),
    Field::word(KINDS, "semaphore", "whether a read takes one instead of all (EFD_SEMAPHORE)", Needs::SCAN, true),
];

fn object(file: &OpenFile, descriptors: &Descriptors, _: Needs) -> Object {
    let reference = ObjectRef { kind: Kind::Eventfd, id: Ident::Inode(file.id.ino) };
    let mut object = opened::object(reference, Family::Anonymous, file, descriptors);
    // Owner and mode are those of the inode that all of them share.
    (object.uid, object.gid, object.mode) = (Seen::Absent, Seen::Absent, Seen::Absent);
    let counter = file.counter.unwrap_or_default();
    object.facts.push("count", Value::Count(counter.count));
    object.facts.push("semaphore", Value::Flag(counter.semaphore));
    object
}
