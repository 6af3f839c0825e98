//! Event counters, eventfd(2). All of them share one inode; what tells them apart is the number in
//! their fdinfo (Linux 5.2).

use super::{Found, Mechanism, Usage, opened};
use crate::error::Result;
use crate::model::{Family, Field, Ident, Kind, Needs, Object, ObjectRef, Seen, Value};
use crate::proc::holders::{Holders, OpenFile, What};

pub struct Eventfd;

const EVENTFD: &[Kind] = &[Kind::Eventfd];

pub(super) static FIELDS: &[Field] = &[
    Field::number(EVENTFD, "count", "its counter", Needs::SCAN, true),
    Field::word(EVENTFD, "semaphore", "whether a read takes one instead of all (EFD_SEMAPHORE)", Needs::SCAN, true),
];

fn object(file: &OpenFile) -> Object {
    let reference = ObjectRef { kind: Kind::Eventfd, id: Ident::Inode(file.id.ino) };
    let mut object = opened::object(reference, Family::Anonymous, file);
    // Owner and mode are those of the inode that all of them share.
    (object.uid, object.gid, object.mode) = (Seen::Absent, Seen::Absent, Seen::Absent);
    let counter = file.counter.unwrap_or_default();
    object.facts.push("count", Value::Count(counter.count));
    object.facts.push("semaphore", Value::Flag(counter.semaphore));
    object
}

impl Mechanism for Eventfd {
    fn kind(&self) -> Kind {
        Kind::Eventfd
    }

    fn takes(&self, id: &Ident) -> bool {
        matches!(id, Ident::Inode(_))
    }

    fn scan(&self, _: Needs, holders: &Holders) -> Found {
        let descriptors = holders.descriptors();
        Found { objects: descriptors.of(What::Eventfd).map(object).collect(), gaps: descriptors.gaps.clone() }
    }

    fn find(&self, id: &Ident, _: Needs, holders: &Holders) -> Result<Object> {
        opened::numbered(self, What::Eventfd, id, holders).map(object)
    }

    fn usage(&self, object: &Object, holders: &Holders) -> Seen<Usage> {
        opened::usage(holders.descriptors().numbered(What::Eventfd, object.number_of_its_own()))
    }
}
