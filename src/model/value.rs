//! One fact about an object, and what can be said when there is none.

use super::{Blocked, End, Hold, Kind, Text};
use std::sync::Arc;
use std::time::Duration;

/// A fact as a machine would want it; how it looks is the renderer's business.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// A number of things.
    Count(u64),
    /// A signed number.
    Int(i64),
    /// A size in bytes.
    Size(u64),
    /// A reference to an object by its identifier or inode number.
    Ref(Kind, u64),
    /// A System V key.
    Key(i32),
    /// Permission bits.
    Mode(u32),
    /// Seconds since the epoch.
    Time(i64),
    /// How long something lasts.
    Duration(Duration),
    /// A process id; 0 is a process that cannot be seen from this pid namespace.
    Pid(i32),
    /// A share of a limit, in percent.
    Percent(f64),
    /// A yes or a no.
    Flag(bool),
    /// A word of our own.
    Word(&'static str),
    /// A sentence of our own, which may quote escaped text.
    Phrase(String),
    /// Bytes that somebody else chose.
    Text(Text),
    /// Several facts of one shape, such as the messages of a queue.
    List(Vec<Value>),
    /// A process that has the object open.
    End(Arc<End>),
    /// A process that holds the object in some way.
    Hold(Box<Hold>),
    /// A thread that waits for it.
    Blocked(Box<Blocked>),
    /// Named facts, such as one semaphore of a set.
    Record(Vec<(&'static str, Seen<Value>)>),
}

/// What we know of a fact. "It is 0", "there is none", "we may not see it" and "nobody asked" are
/// four different answers and never look alike.
#[derive(Clone, PartialEq, Debug)]
pub enum Seen<T> {
    /// This is the fact.
    Is(T),
    /// The object has no such thing.
    Absent,
    /// It has one, and we could not see it, for this reason. It is rare, so it is kept apart: the
    /// size of a fact decides how much memory a listing takes.
    Hidden(Box<Reason>),
    /// It was not looked up.
    Skipped,
}

impl<T> Seen<T> {
    /// Something that `call` refused to show.
    pub fn hidden(call: &'static str, errno: i32) -> Seen<T> {
        Seen::Hidden(Box::new(Reason { call, errno }))
    }

    pub fn known(&self) -> Option<&T> {
        match self {
            Seen::Is(value) => Some(value),
            _ => None,
        }
    }

    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Seen<U> {
        match self {
            Seen::Is(value) => Seen::Is(f(value)),
            Seen::Absent => Seen::Absent,
            Seen::Hidden(reason) => Seen::Hidden(reason),
            Seen::Skipped => Seen::Skipped,
        }
    }
}

impl<T> From<Option<T>> for Seen<T> {
    fn from(value: Option<T>) -> Seen<T> {
        value.map_or(Seen::Absent, Seen::Is)
    }
}

/// Why something could not be seen: the call that was refused, and its errno.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reason {
    pub call: &'static str,
    pub errno: i32,
}

/// Something that a scan could not see, said beside its result.
#[derive(Clone, PartialEq, Debug)]
pub struct Gap {
    /// What could not be seen: an object's reference, a file of /proc, or a whole mechanism.
    pub subject: String,
    /// The field that is null because of it, when it is one field of one object.
    pub field: Option<&'static str>,
    pub reason: Reason,
    /// More, in words, where the errno alone would mislead.
    pub note: Option<String>,
}
