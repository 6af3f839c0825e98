//! One object: a row of `ls`, a page of `show`, an element of the JSON document.

use super::{Family, Ident, Kind, ObjectRef, Seen, Text, Value};

#[derive(Clone, Debug)]
pub struct Object {
    /// The reference that `rm` takes back.
    pub reference: ObjectRef,
    pub family: Family,
    /// The System V key; a private segment has key 0.
    pub key: Seen<i32>,
    pub uid: Seen<u32>,
    pub gid: Seen<u32>,
    /// Permission bits alone, without the kernel's flags.
    pub mode: Seen<u32>,
    /// The names of `uid` and `gid`; filled in by the inventory, which asks once per number.
    pub user: Seen<Text>,
    pub group: Seen<Text>,
    /// What its kind has beyond this, by field key.
    pub facts: Facts,
    pub fingerprint: Fingerprint,
}

impl Object {
    pub fn new(reference: ObjectRef, family: Family, fingerprint: Fingerprint) -> Object {
        Object {
            reference,
            family,
            key: Seen::Absent,
            uid: Seen::Absent,
            gid: Seen::Absent,
            mode: Seen::Absent,
            user: Seen::Skipped,
            group: Seen::Skipped,
            facts: Facts::default(),
            fingerprint,
        }
    }

    pub fn kind(&self) -> Kind {
        self.reference.kind
    }

    /// The System V identifier.
    pub fn id(&self) -> Option<i32> {
        match self.reference.id {
            Ident::Id(id) => Some(id),
            _ => None,
        }
    }

    /// The name or the path of an object that has one.
    pub fn name(&self) -> Option<&Text> {
        match &self.reference.id {
            Ident::Name(name) | Ident::Path(name) | Ident::Abstract(name) => Some(name),
            _ => None,
        }
    }

    /// The number of an object that has no name.
    pub fn number_of_its_own(&self) -> u64 {
        match self.reference.id {
            Ident::Id(id) => u64::try_from(id).unwrap_or(0),
            Ident::Inode(inode) => inode,
            _ => 0,
        }
    }

    /// A count or size that is known, for arithmetic.
    pub fn number(&self, key: &str) -> Option<u64> {
        match self.facts.get(key) {
            Some(Seen::Is(Value::Count(n) | Value::Size(n))) => Some(*n),
            _ => None,
        }
    }

    pub fn time(&self, key: &str) -> Option<i64> {
        match self.facts.get(key) {
            Some(Seen::Is(Value::Time(at))) => Some(*at),
            _ => None,
        }
    }

    pub fn pid(&self, key: &str) -> Option<i32> {
        match self.facts.get(key) {
            Some(Seen::Is(Value::Pid(pid))) => Some(*pid),
            _ => None,
        }
    }
}

/// The facts of one object by field key: a handful, so a list is faster than a map.
#[derive(Clone, Default, Debug)]
pub struct Facts(Vec<(&'static str, Seen<Value>)>);

impl Facts {
    pub fn with_capacity(n: usize) -> Facts {
        Facts(Vec::with_capacity(n))
    }

    /// Records a fact; a key is recorded once, a later answer replaces an earlier one.
    pub fn set(&mut self, key: &'static str, value: Seen<Value>) {
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some(slot) => slot.1 = value,
            None => self.0.push((key, value)),
        }
    }

    /// Records a fact under a key that is not there yet, without looking.
    pub fn push(&mut self, key: &'static str, value: Value) {
        self.0.push((key, Seen::Is(value)));
    }

    pub fn get(&self, key: &str) -> Option<&Seen<Value>> {
        self.0.iter().find(|(known, _)| std::ptr::eq(*known, key) || *known == key).map(|(_, value)| value)
    }
}

/// Identity beyond the reference: keys, names and (after millions of creations) identifiers are
/// given out again, so what was judged is compared with what is there just before it is removed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fingerprint {
    /// A System V object. Its ctime changes with IPC_SET too: then it is no longer what was judged.
    Sysv { id: i32, key: i32, cuid: u32, ctime: i64 },
    /// An object with an inode. The change time tells a reused inode number.
    Inode { dev: u64, ino: u64, ctime: i64, ctime_nsec: i64 },
}
