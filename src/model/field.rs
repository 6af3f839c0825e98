//! Columns as data: one entry is a table column, a JSON key, a sort key, a line of `-o help` and a
//! completion.

use super::{Kind, Object, Seen, Text, Value};

/// What a listing has to look up. Each bit costs system calls per object, so nobody sets more than
/// the shown columns ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Needs(u16);

impl Needs {
    /// What the scan of a kind gives by itself.
    pub const SCAN: Needs = Needs(0);
    /// A further call for each object, such as IPC_STAT.
    pub const STAT: Needs = Needs(1);
    /// What is inside the object: first bytes, queued messages, every semaphore.
    pub const CONTENTS: Needs = Needs(2);
    /// The processes that the object records, from /proc/PID.
    pub const PROCESSES: Needs = Needs(4);
    /// The names of users and groups, from the system's databases.
    pub const NAMES: Needs = Needs(8);
    /// The processes that have the object open, from the descriptors of all processes.
    pub const HOLDERS: Needs = Needs(16);
    /// Everything that can be looked at without a trace.
    pub const ALL: Needs = Needs(31 | 64 | 256);
    /// The inside of System V segments, which have to be attached for it and record that.
    pub const ATTACH: Needs = Needs(32);
    /// The processes that use the object in any way: have it mapped or open, or wait for it.
    pub const USERS: Needs = Needs(64);
    /// The namespace in which the object is.
    pub const NAMESPACE: Needs = Needs(128);

    /// Whether anybody can still be using the object: everything that speaks for or against it.
    pub const VERDICT: Needs = Needs(256);

    pub fn has(self, other: Needs) -> bool {
        self.0 & other.0 == other.0
    }

    #[must_use]
    pub fn and(self, other: Needs) -> Needs {
        Needs(self.0 | other.0)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    Left,
    Right,
}

/// One column of rows of type `T`.
pub struct Field<T: 'static = Object> {
    /// The word for it everywhere; its capitals are the table title.
    pub key: &'static str,
    /// One line for `-o help` and the completions.
    pub help: &'static str,
    /// The kinds that have it.
    pub kinds: &'static [Kind],
    /// What must be looked up for it.
    pub needs: Needs,
    /// Whether it is shown when nothing was chosen.
    pub default: bool,
    pub align: Align,
    /// The value; the second argument is `key`.
    pub get: fn(&T, &'static str) -> Seen<Value>,
}

/// A row that carries its own keys, as those of a table within another output.
pub type Record = Vec<(&'static str, Seen<Value>)>;

impl Field<Record> {
    /// The column of a key of records.
    pub fn of_records(key: &'static str, align: Align) -> Field<Record> {
        Field {
            key,
            help: "",
            kinds: &[],
            needs: Needs::SCAN,
            default: true,
            align,
            get: |record, key| {
                record.iter().find(|(known, _)| *known == key).map_or(Seen::Absent, |(_, value)| value.clone())
            },
        }
    }
}

impl<T> Field<T> {
    /// A column of rows that are no objects: always shown, and in no `-o help`.
    pub const fn plain(key: &'static str, get: fn(&T, &'static str) -> Seen<Value>) -> Field<T> {
        Field::aligned(key, Align::Left, get)
    }

    /// The same, with numbers under each other or not.
    pub const fn aligned(key: &'static str, align: Align, get: fn(&T, &'static str) -> Seen<Value>) -> Field<T> {
        Field { key, help: "", kinds: &[], needs: Needs::SCAN, default: true, align, get }
    }

    pub fn value(&self, row: &T) -> Seen<Value> {
        (self.get)(row, self.key)
    }

    pub fn title(&self) -> String {
        self.key.to_uppercase()
    }
}

impl Field {
    /// A column of facts that a mechanism records, with numbers under each other.
    pub const fn number(
        kinds: &'static [Kind],
        key: &'static str,
        help: &'static str,
        needs: Needs,
        default: bool,
    ) -> Field {
        Field { key, help, kinds, needs, default, align: Align::Right, get: fact }
    }

    /// A column of facts that a mechanism records, of words or times.
    pub const fn word(
        kinds: &'static [Kind],
        key: &'static str,
        help: &'static str,
        needs: Needs,
        default: bool,
    ) -> Field {
        Field { align: Align::Left, ..Field::number(kinds, key, help, needs, default) }
    }
}

/// The getter of a field that a mechanism recorded as a fact.
fn fact(object: &Object, key: &'static str) -> Seen<Value> {
    object.facts.get(key).cloned().unwrap_or(Seen::Absent)
}

const EVERY: &[Kind] = Kind::ALL;

const fn identity(
    key: &'static str,
    help: &'static str,
    default: bool,
    get: fn(&Object, &'static str) -> Seen<Value>,
) -> Field {
    Field { key, help, kinds: EVERY, needs: Needs::SCAN, default, align: Align::Left, get }
}

/// The columns that every object has, in the order in which tables and JSON show them.
pub static IDENTITY: &[Field] = &[
    identity("kind", "kind of object: shm, msgq, sem, fifo, …", false, |o, _| Seen::Is(Value::Word(o.kind().noun()))),
    identity("family", "sysv, posix, file, unix or anonymous", false, |o, _| Seen::Is(Value::Word(o.family.word()))),
    identity("ref", "reference, as rm and show take it", true, |o, _| Seen::Is(reference(o))),
    Field {
        align: Align::Right,
        ..identity("id", "System V identifier", false, |o, _| o.id().map(|id| Value::Int(id.into())).into())
    },
    Field { kinds: Kind::LASTING, ..identity("key", "System V key", true, key) },
    identity("key", "System V key", false, key),
    identity("name", "POSIX name, path or abstract name", false, |o, _| o.name().cloned().map(Value::Text).into()),
    Field {
        align: Align::Right,
        ..identity("uid", "user id of the owner", false, |o, _| o.uid.clone().map(|id| Value::Count(id.into())))
    },
    Field {
        needs: Needs::NAMES,
        ..identity("user", "user name of the owner", true, |o, _| o.user.clone().map(Value::Text))
    },
    Field {
        align: Align::Right,
        ..identity("gid", "group id of the owner", false, |o, _| o.gid.clone().map(|id| Value::Count(id.into())))
    },
    Field {
        needs: Needs::NAMES,
        ..identity("group", "group name of the owner", false, |o, _| o.group.clone().map(Value::Text))
    },
    Field { kinds: WITH_MODE, ..identity("mode", "permission bits", true, mode) },
    identity("mode", "permission bits", false, mode),
    Field {
        needs: Needs::NAMESPACE,
        align: Align::Right,
        ..identity("namespace", "inode number of the IPC namespace in which it is", false, place)
    },
    Field {
        needs: Needs::NAMESPACE,
        ..identity("container", "container or leading process of another IPC namespace than ours", false, place)
    },
];

/// What only a look at namespaces records.
fn place(object: &Object, key: &'static str) -> Seen<Value> {
    object.facts.get(key).cloned().unwrap_or(Seen::Skipped)
}

/// Of the others the mode is always the same, or that of a file.
const WITH_MODE: &[Kind] = &[Kind::Shm, Kind::Msgq, Kind::Sem, Kind::Fifo];

fn mode(object: &Object, _: &'static str) -> Seen<Value> {
    object.mode.clone().map(Value::Mode)
}

fn key(object: &Object, _: &'static str) -> Seen<Value> {
    object.key.clone().map(Value::Key)
}

/// A reference with its name unescaped: whoever shows it escapes it once.
fn reference(object: &Object) -> Value {
    let Some(name) = object.name() else {
        return Value::Ref(object.kind(), object.number_of_its_own());
    };
    let mut bytes = object.kind().noun().as_bytes().to_vec();
    bytes.push(b'/');
    bytes.extend_from_slice(name.raw());
    Value::Text(Text::from(bytes))
}
