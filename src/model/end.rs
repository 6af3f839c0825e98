//! A process at one end of an object.

use super::{Seen, Text, Value};

/// A process that has an object open, or waits to open it. The pid alone is no identity: the start
/// time tells another process that was given the same one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct End {
    pub pid: i32,
    /// When it started, seconds since the epoch.
    pub started: i64,
    /// Its short name, proc_pid_comm(5).
    pub command: Text,
    /// The descriptor; none for a process that waits in open(2).
    pub fd: Option<i32>,
    pub role: Role,
}

/// What a process does at its end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    Read,
    Write,
    /// Opened for both, as a socket always is.
    Both,
    /// It waits in open(2) for a writer to come.
    OpeningToRead,
    /// It waits in open(2) for a reader to come.
    OpeningToWrite,
    /// It has it mapped or attached, to read alone.
    MapRead,
    /// It has it mapped or attached, to read and write.
    MapWrite,
    /// A socket that takes connections.
    Listen,
    /// It holds a lock on it, a semaphore of it or a mutex in it.
    Holder,
    /// It is blocked on it.
    Waiter,
    /// It made it.
    Creator,
    /// It was the last to use it.
    LastUser,
}

impl Role {
    pub fn word(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Write => "write",
            Role::Both => "both",
            Role::OpeningToRead => "opening to read",
            Role::OpeningToWrite => "opening to write",
            Role::MapRead => "mapped to read",
            Role::MapWrite => "mapped",
            Role::Listen => "listening",
            Role::Holder => "holds",
            Role::Waiter => "waits",
            Role::Creator => "creator",
            Role::LastUser => "last user",
        }
    }

    /// The letter behind a descriptor, as lsof(8) and lsfd(1) have it.
    pub fn letter(self) -> char {
        match self {
            Role::Read | Role::OpeningToRead => 'r',
            Role::Write | Role::OpeningToWrite => 'w',
            Role::Both | Role::Listen => 'u',
            Role::MapRead | Role::MapWrite => 'm',
            Role::Holder => 'h',
            Role::Waiter => 'b',
            Role::Creator => 'c',
            Role::LastUser => 'l',
        }
    }

    pub fn reads(self) -> bool {
        matches!(self, Role::Read | Role::Both)
    }

    pub fn writes(self) -> bool {
        matches!(self, Role::Write | Role::Both)
    }
}

impl End {
    /// The facts of it, as JSON and `show` list them.
    pub fn record(&self) -> Vec<(&'static str, Seen<Value>)> {
        vec![
            ("role", Seen::Is(Value::Word(self.role.word()))),
            ("pid", Seen::Is(Value::Pid(self.pid))),
            ("fd", self.fd.map(|fd| Value::Int(fd.into())).into()),
            ("started", Seen::Is(Value::Time(self.started))),
            ("command", Seen::Is(Value::Text(self.command.clone()))),
        ]
    }
}
