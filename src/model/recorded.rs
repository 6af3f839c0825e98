//! A process that an object remembers, judged against the process that has its pid now.

use super::{Seen, Text, Value};

/// A record of one process, such as the creator of a segment or the last sender to a queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recorded {
    /// What it was to the object: `creator`, `last sender`.
    pub role: &'static str,
    /// As our PID namespace counts; 0 for a process of another one.
    pub pid: i32,
    pub past: Past,
    /// When the process that has the pid now started, seconds since the epoch, if there is one to be seen.
    pub started: Option<i64>,
    /// The command line of the process that has the pid now.
    pub command: Option<Text>,
}

/// What became of a recorded process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Past {
    /// There is no process of that pid.
    Gone,
    /// Another process has the pid: it started after the record was made.
    Reused,
    /// It lives: the process has run since before the record.
    Same,
    /// So it seems, but the time of the record may have moved since.
    Probable,
    /// It is in another PID namespace, or the time does not tell.
    Unknown,
}

impl Past {
    pub fn word(self) -> &'static str {
        match self {
            Past::Gone => "gone",
            Past::Reused => "reused",
            Past::Same => "same",
            Past::Probable => "probable",
            Past::Unknown => "unknown",
        }
    }
}

impl Recorded {
    /// The facts of it, as JSON and `show` list them.
    pub fn value(self) -> Value {
        Value::Record(vec![
            ("role", Seen::Is(Value::Word(self.role))),
            ("pid", Seen::Is(Value::Pid(self.pid))),
            ("state", Seen::Is(Value::Word(self.past.word()))),
            ("started", self.started.map(Value::Time).into()),
            ("command", self.command.map(Value::Text).into()),
        ])
    }
}
