//! Exit statuses: the only place with their numbers.

use nix::errno::Errno;

/// How a command ended. The numbers are a promise to scripts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Done.
    Done,
    /// Failed for a cause that has no status of its own.
    Failed,
    /// Wrong usage.
    Usage,
    /// No such object, or it was removed while we waited.
    NoSuch,
    /// Permission denied.
    Denied,
    /// It already exists.
    Exists,
    /// It would block, and `--nowait` was given.
    WouldBlock,
    /// A limit: message too long, no space, too many objects.
    Limit,
    /// `--timeout` passed.
    TimedOut,
    /// We failed before the command that we were to run.
    BeforeCommand,
    /// A command could not be executed.
    CannotExecute,
    /// A command was not found.
    CommandNotFound,
    /// Ended by this signal, or the command that we ran was.
    Signal(i32),
    /// The status of the command that we ran.
    Command(u8),
}

impl Status {
    pub fn number(self) -> u8 {
        match self {
            Status::Done => 0,
            Status::Failed => 1,
            Status::Usage => 2,
            Status::NoSuch => 3,
            Status::Denied => 4,
            Status::Exists => 5,
            Status::WouldBlock => 6,
            Status::Limit => 7,
            Status::TimedOut => 124,
            Status::BeforeCommand => 125,
            Status::CannotExecute => 126,
            Status::CommandNotFound => 127,
            Status::Signal(signal) => 128u8.saturating_add(u8::try_from(signal).unwrap_or(0)),
            Status::Command(status) => status,
        }
    }

    /// What an errno means to a script, where the call that gave it says nothing more exact.
    pub fn of(errno: Errno) -> Status {
        match errno {
            Errno::ENOENT | Errno::EIDRM | Errno::ESRCH => Status::NoSuch,
            Errno::EACCES | Errno::EPERM => Status::Denied,
            Errno::EEXIST => Status::Exists,
            Errno::EAGAIN => Status::WouldBlock,
            Errno::ETIMEDOUT => Status::TimedOut,
            Errno::ENOSPC
            | Errno::EMFILE
            | Errno::ENFILE
            | Errno::E2BIG
            | Errno::EMSGSIZE
            | Errno::ENOMEM
            | Errno::ERANGE
            | Errno::EFBIG
            | Errno::EDQUOT
            | Errno::EOVERFLOW => Status::Limit,
            _ => Status::Failed,
        }
    }
}
