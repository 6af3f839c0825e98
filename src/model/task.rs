//! A thread, and what it is blocked on.

use super::{Resource, Seen, SignalSet, Text, Value};
use std::fmt;
use std::time::Duration;

/// A thread of a process. The numbers alone are no identity: the start time tells another process that was
/// given the same pid.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Task {
    pub pid: i32,
    /// The thread; that of the first one is the pid.
    pub tid: i32,
    /// When the process started, seconds since the epoch.
    pub started: i64,
    /// The short name of the process, proc_pid_comm(5).
    pub command: Text,
}

/// A thread that sleeps in a system call, or is stopped in one.
#[derive(Clone, PartialEq, Debug)]
pub struct Blocked {
    pub task: Task,
    /// The system call as its man page calls it: `semop`, `msgrcv`, `futex`.
    pub call: &'static str,
    pub awaits: Awaits,
    /// How long it has not run: at least so long it has been blocked. `None` where the kernel does not tell.
    /// A processor that is taken away from a virtual machine stands still for it.
    pub since: Option<Duration>,
    /// When the call gives up by itself; `None` if its arguments set no time. That of a socket (SO_RCVTIMEO)
    /// cannot be seen.
    pub timeout: Option<Timeout>,
    /// The IPC namespace of the process, by the inode of /proc/PID/ns/ipc; 0 where that may not be seen.
    pub namespace: u64,
    /// A signal or a debugger has stopped it (state T or t); the call goes on when it is continued.
    pub stopped: bool,
}

impl Blocked {
    /// The facts of it, as JSON and `show` list them.
    pub fn record(&self) -> Vec<(&'static str, Seen<Value>)> {
        vec![
            ("pid", Seen::Is(Value::Pid(self.task.pid))),
            ("tid", Seen::Is(Value::Pid(self.task.tid))),
            ("call", Seen::Is(Value::Word(self.call))),
            ("detail", self.awaits.detail().map(Value::Phrase).into()),
            ("since", self.since.map(Value::Duration).into()),
            ("started", Seen::Is(Value::Time(self.task.started))),
            ("command", Seen::Is(Value::Text(self.task.command.clone()))),
        ]
    }
}

/// A unix socket as a call names it, unix(7).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SocketName {
    /// The file that it is bound to.
    File { dev: u64, ino: u64 },
    /// What stands behind the NUL of an abstract name.
    Abstract(Text),
}

/// The timeout of a blocked call, as it was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timeout {
    /// This long from the start of the call.
    After(Duration),
    /// At this time since the epoch (CLOCK_REALTIME).
    At(Duration),
    /// At this time of CLOCK_MONOTONIC.
    AtMonotonic(Duration),
}

/// What a blocked thread waits for.
#[derive(Clone, PartialEq, Debug)]
pub enum Awaits {
    /// semop(2), semtimedop(2): until all operations can be done at once.
    Semaphores { set: Resource, ops: Vec<SemOp> },
    /// msgrcv(2): a message of this type, as in its argument (0 any, negative the lowest up to its amount).
    Receive { queue: Resource, mtype: i64, except: bool },
    /// msgsnd(2): room for this many bytes.
    Send { queue: Resource, mtype: i64, size: u64 },
    /// mq_receive(3).
    MqReceive { fd: i32, queue: Resource },
    /// mq_send(3).
    MqSend { fd: i32, queue: Resource, size: u64 },
    /// Bytes or a message from a pipe, FIFO, socket, eventfd or other file.
    Read { fd: i32, file: Resource },
    /// Room in one, for this many bytes; `None` if the call has several messages. `to` is the unix socket that
    /// a message is sent to, if the call names one: the room is in that.
    Write { fd: i32, file: Resource, size: Option<u64>, to: Option<SocketName> },
    /// accept(2): a connection.
    Accept { fd: i32, file: Resource },
    /// connect(2): room in the backlog of the listener, which has this name.
    Connect { fd: i32, file: Resource, to: Option<SocketName> },
    /// open(2) of a FIFO: the other side. `write` if it opens to write.
    Open { file: Resource, path: Text, write: bool },
    /// futex(2) on a word in shared memory; `None` if only this process can see the word.
    Futex { word: Option<Resource>, what: Futex },
    /// flock(2), fcntl(2): a lock on these bytes of a file; `None` where they count from a place that only the
    /// kernel knows (SEEK_CUR, SEEK_END).
    Lock { fd: i32, file: Resource, lock: LockKind, exclusive: bool, range: Option<Range> },
    /// wait4(2), waitid(2): what becomes of a child, of this one as our PID namespace counts; of any (-1), or of
    /// one of a process group (its number negated, 0 for its own) as its own namespace counts.
    Child { pid: i32, change: Change },
    /// poll(2), select(2), epoll_wait(2): any of these descriptors; splice(2), tee(2): both. `more` if there are
    /// others that cannot be told apart, such as timers.
    Any { files: Vec<Polled>, more: bool },
    /// sigtimedwait(2), sigsuspend(2), pause(2), read(2) of a signalfd: a signal; `None` for any.
    Signal { set: Option<SignalSet> },
    /// clock_nanosleep(2), read(2) of a timerfd: nothing but time.
    Sleep,
    /// A call that is none of these, or whose arguments may not be read; by its number if it has no name here.
    Other { nr: i64 },
}

impl Awaits {
    /// What it waits for, as far as other processes can see it too; several where any or all of them will do.
    pub fn resources(&self) -> Vec<Resource> {
        match self {
            Awaits::Semaphores { set: one, .. }
            | Awaits::Receive { queue: one, .. }
            | Awaits::Send { queue: one, .. }
            | Awaits::MqReceive { queue: one, .. }
            | Awaits::MqSend { queue: one, .. }
            | Awaits::Read { file: one, .. }
            | Awaits::Write { file: one, .. }
            | Awaits::Accept { file: one, .. }
            | Awaits::Connect { file: one, .. }
            | Awaits::Open { file: one, .. }
            | Awaits::Futex { word: Some(one), .. }
            | Awaits::Lock { file: one, .. } => vec![*one],
            Awaits::Child { pid, .. } if *pid > 0 => vec![Resource::Process(*pid)],
            Awaits::Any { files, .. } => files.iter().map(|polled| polled.file).collect(),
            Awaits::Futex { word: None, .. }
            | Awaits::Child { .. }
            | Awaits::Signal { .. }
            | Awaits::Sleep
            | Awaits::Other { .. } => Vec::new(),
        }
    }
}

impl Awaits {
    /// With which arguments it waits, in words.
    pub fn detail(&self) -> Option<String> {
        Some(match self {
            Awaits::Semaphores { ops, .. } => {
                let ops: Vec<String> = ops.iter().map(SemOp::to_string).collect();
                ops.join(" ")
            }
            Awaits::Receive { mtype: 0, .. } => "any type".to_owned(),
            Awaits::Receive { mtype, except: true, .. } => format!("any type but {mtype}"),
            Awaits::Receive { mtype, .. } if *mtype < 0 => format!("types up to {}", mtype.unsigned_abs()),
            Awaits::Receive { mtype, .. } => format!("type {mtype}"),
            Awaits::Send { mtype, size, .. } => format!("type {mtype}, {size} bytes"),
            Awaits::MqSend { size, .. } | Awaits::Write { size: Some(size), .. } => format!("{size} bytes"),
            Awaits::Open { write: true, .. } => "to write".to_owned(),
            Awaits::Open { write: false, .. } => "to read".to_owned(),
            Awaits::Futex { what, .. } => what.word().to_owned(),
            Awaits::Lock { lock, exclusive, range, .. } => lock.detail(*exclusive, range.unwrap_or(Range::ALL)),
            _ => return None,
        })
    }
}

impl Futex {
    /// What a person calls it.
    pub fn word(self) -> &'static str {
        match self {
            Futex::Mutex { robust: true, .. } => "robust mutex",
            Futex::Mutex { robust: false, .. } => "mutex",
            Futex::Semaphore { .. } => "semaphore",
            Futex::Rwlock { .. } => "rwlock",
            Futex::Condition => "condition variable",
            Futex::Barrier => "barrier",
            Futex::Unknown => "futex",
        }
    }
}

/// As `sem op` takes it: `0=-1u`.
impl fmt::Display for SemOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={:+}{}", self.index, self.amount, if self.undo { "u" } else { "" })
    }
}

/// What becomes of a child for which its parent waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// That it ends, whatever else is waited for (WEXITED).
    End,
    /// That a signal stops it, and not its end (WSTOPPED).
    Stop,
    /// That it goes on, or either of the two (WCONTINUED).
    Other,
}

impl Change {
    pub fn words(self) -> &'static str {
        match self {
            Change::End => "the end",
            Change::Stop => "a stop",
            Change::Other => "a change of the state",
        }
    }
}

/// One of the descriptors of poll(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Polled {
    pub fd: i32,
    pub file: Resource,
    pub read: bool,
    pub write: bool,
}

/// An operation as in struct sembuf.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SemOp {
    pub index: u16,
    pub amount: i16,
    pub undo: bool,
}

/// Which object of the C library a futex word belongs to, judged by its layout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Futex {
    /// pthread_mutex_lock(3). `owner` is the thread that holds it as our PID namespace counts; `None` where
    /// the mutex does not say.
    Mutex { owner: Option<Owner>, robust: bool },
    /// sem_wait(3): value and number of waiters.
    Semaphore { value: u32, waiters: u32 },
    /// pthread_rwlock_rdlock(3), pthread_rwlock_wrlock(3); the thread that holds it to write, if one does and
    /// the lock says so (that of musl does not).
    Rwlock { writer: Option<Owner> },
    /// pthread_cond_wait(3).
    Condition,
    /// pthread_barrier_wait(3).
    Barrier,
    /// None that we know: the lock of another library.
    Unknown,
}

/// The thread that a lock in shared memory says holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner {
    /// The thread.
    pub tid: i32,
    /// Its process; `None` if there is no such thread any more.
    pub pid: Option<i32>,
    /// Whether the kernel checks it, as of a mutex that inherits priority. Any other word is memory to which
    /// everybody may write who has it mapped.
    pub checked: bool,
}

/// The interfaces of file locks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LockKind {
    /// flock(2): of an open file description.
    Flock,
    /// fcntl(2), F_SETLK: of a process.
    Posix,
    /// fcntl(2), F_OFD_SETLK: of an open file description.
    Ofd,
    /// fcntl(2), F_SETLEASE.
    Lease,
}

impl LockKind {
    pub fn word(self) -> &'static str {
        match self {
            LockKind::Flock => "flock",
            LockKind::Posix => "POSIX lock",
            LockKind::Ofd => "OFD lock",
            LockKind::Lease => "lease",
        }
    }

    /// A lock in words: `POSIX lock, exclusive, bytes 10 to 14`.
    pub fn detail(self, exclusive: bool, range: Range) -> String {
        let how = if exclusive { "exclusive" } else { "shared" };
        match range {
            Range::ALL => format!("{}, {how}", self.word()),
            part => format!("{}, {how}, {part}", self.word()),
        }
    }
}

/// The bytes of a file that are locked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Range {
    pub start: u64,
    /// The last one; `None` is as far as there are any.
    pub end: Option<u64>,
}

impl Range {
    /// The whole file, as flock(2) locks it.
    pub const ALL: Range = Range { start: 0, end: None };

    /// Whether the two have a byte in common.
    pub fn overlaps(self, other: Range) -> bool {
        let reaches = |end: Option<u64>, start| end.is_none_or(|end| end >= start);
        reaches(self.end, other.start) && reaches(other.end, self.start)
    }
}

/// `bytes 10 to 14`.
impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Range { start, end: None } => write!(f, "bytes from {start} on"),
            Range { start, end: Some(end) } if start == end => write!(f, "byte {start}"),
            Range { start, end: Some(end) } => write!(f, "bytes {start} to {end}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_overlap_if_they_have_a_byte_in_common() {
        let range = |start, end| Range { start, end };
        for (one, other, expected) in [
            (range(0, Some(4)), range(4, Some(9)), true),
            (range(0, Some(4)), range(5, Some(9)), false),
            (range(0, Some(9)), range(3, Some(3)), true),
            (range(5, None), range(0, Some(4)), false),
            (range(5, None), range(9, None), true),
            (Range::ALL, range(u64::MAX, Some(u64::MAX)), true),
        ] {
            assert_eq!((one.overlaps(other), other.overlaps(one)), (expected, expected), "{one:?} {other:?}");
        }
    }

    #[test]
    fn a_lock_says_what_it_covers_unless_that_is_all() {
        let detail = |range| LockKind::Posix.detail(true, range);
        assert_eq!(detail(Range::ALL), "POSIX lock, exclusive");
        assert_eq!(detail(Range { start: 7, end: None }), "POSIX lock, exclusive, bytes from 7 on");
        assert_eq!(detail(Range { start: 7, end: Some(7) }), "POSIX lock, exclusive, byte 7");
        assert_eq!(LockKind::Ofd.detail(false, Range { start: 0, end: Some(9) }), "OFD lock, shared, bytes 0 to 9");
    }
}
