//! The mechanisms: how each kind of object is found, made, used, changed and removed.
//!
//! A mechanism is one kind in one family, such as System V message queues. The floors above know
//! only the traits below and reach a mechanism through its reference; there is no `match kind`
//! above this floor. Nothing here knows of arguments, tables or colours.

pub mod devshm;
mod eventfd;
pub mod fifo;
mod memfd;
pub mod msgq;
mod opened;
mod pipe;
mod root;
pub mod sem;
pub mod shm;
mod signal;
pub mod sock;
mod sysv;

pub use msgq::posix::MESSAGE_OVERHEAD;
pub use msgq::{Slot, Source};
pub use root::Root;
pub use sysv::{ftok, key};

use crate::error::{Error, Result};
use crate::exit::Status;
use crate::model::{Family, Field, Gap, Ident, Kind, Needs, Object, ObjectRef, Past, Recorded, Seen, Value};
use crate::proc::holders::Holders;
use crate::proc::process::{self, Look};
use crate::sys::waiter::{Stop, Waiter};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};
use std::os::fd::BorrowedFd;

/// All mechanisms, in the order in which a listing asks them.
pub static ALL: &[&dyn Mechanism] = &[
    &shm::sysv::SysvShm,
    &shm::posix::PosixShm,
    &shm::file::FileShm,
    &msgq::sysv::SysvMsgq,
    &msgq::posix::PosixMsgq,
    &sem::sysv::SysvSem,
    &sem::posix::PosixSem,
    &fifo::Fifo,
    &pipe::PIPE,
    &sock::UnixSock,
    &memfd::MEMFD,
    &eventfd::EVENTFD,
];

/// The columns of each kind beyond those that every object has.
pub static FIELDS: &[&[Field]] = &[
    shm::fields::FIELDS,
    msgq::fields::FIELDS,
    sem::fields::FIELDS,
    opened::FIELDS,
    fifo::fields::FIELDS,
    sock::fields::FIELDS,
    memfd::FIELDS,
    eventfd::FIELDS,
    opened::PROCESSES,
    sock::fields::PEERS,
];

/// One kind of object in one family.
pub trait Mechanism: Sync {
    fn kind(&self) -> Kind;
    fn family(&self) -> Family;
    /// Whether this mechanism is the one that `id` names.
    fn takes(&self, id: &Ident) -> bool;
    /// About how many objects a scan will find, if the kernel says so at no cost.
    fn estimate(&self) -> u64 {
        0
    }
    /// To what its names and numbers belong.
    fn scope(&self) -> Scope {
        Scope::Machine
    }
    /// Every object that can be seen, and what could not be seen. Of an IPC namespace it is that of the calling
    /// thread.
    fn scan(&self, needs: Needs, holders: &Holders) -> Found;
    /// The same where files are looked for under another root.
    fn scan_under(&self, _root: &Root, needs: Needs, holders: &Holders) -> Found {
        self.scan(needs, holders)
    }
    /// One object; status 3 when there is none.
    fn find(&self, id: &Ident, needs: Needs, holders: &Holders) -> Result<Object>;
    /// Makes an object. Without an identifier it is a private one.
    fn create(&self, id: Option<&Ident>, _spec: &Spec) -> Result<Created> {
        let name = id.map_or_else(|| self.kind().noun().to_owned(), |id| self.named(id).to_string());
        Err(Error::refused(name, Status::Usage, "it is made by the processes that use it"))
    }
    /// Asks the kernel to give the next object that is made the identifier `id`. It is a wish, which cannot be
    /// taken back: who else makes one meanwhile gets it, and where its place is taken another is given. EACCES or
    /// EPERM without CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN over the IPC namespace.
    fn next_id(&self, _id: i32) -> nix::Result<()> {
        Err(Errno::EOPNOTSUPP)
    }
    /// Opens an object for its verbs.
    fn open(&self, id: &Ident, _access: Access) -> Result<Opened> {
        Err(unsupported(&self.named(id), "only the processes that have it can use it", ""))
    }
    /// Who uses the object now; processes are looked at only where nothing else tells.
    fn usage(&self, object: &Object, holders: &Holders) -> Seen<Usage>;
    /// The same where files are looked for under another root.
    fn usage_under(&self, _root: &Root, object: &Object, holders: &Holders) -> Seen<Usage> {
        self.usage(object, holders)
    }
    /// The processes that the object remembers.
    fn recorded(&self, _object: &Object) -> Seen<Vec<Recorded>> {
        Seen::Absent
    }
    /// Says why such an object can never be removed, if it cannot.
    fn can_remove(&self, _object: &Object) -> Result<()> {
        Ok(())
    }
    /// Removes an object if it still is the one described. What is lost with it is said.
    fn remove(&self, object: &Object) -> Result<Option<String>>;
    /// Removes whatever a name that nobody else would choose leads to.
    fn remove_named(&self, id: &Ident) -> Result<()> {
        let object = self.find(id, Needs::SCAN, &Holders::default())?;
        self.remove(&object).map(drop)
    }
    /// Removes an object that was not named but found to be of use to nobody: only if it was neither changed nor used
    /// since it was looked at (EBUSY of no call). There is no call that does both at once.
    fn remove_unused(&self, object: &Object) -> Result<Option<String>> {
        still_unused(self, object)?;
        self.remove(object)
    }
    /// Changes the live object.
    fn set(&self, object: &Object, _change: &Change) -> Result<()> {
        Err(unsupported(&object.reference, "it has nothing that could be changed from outside", ""))
    }
    /// Keeps an object in memory, or lets it be swapped again.
    fn lock(&self, object: &Object, _locked: bool) -> Result<()> {
        let cause = "only System V segments can be locked for good; another lock ends with its process";
        Err(unsupported(&object.reference, cause, ""))
    }
    /// The limits that bound this mechanism, with their use.
    fn limits(&self) -> Vec<Limit> {
        Vec::new()
    }
    /// The same where files are looked for under another root.
    fn limits_under(&self, _root: &Root) -> Vec<Limit> {
        self.limits()
    }
    /// The reference for a name of this kind.
    fn named(&self, id: &Ident) -> ObjectRef {
        ObjectRef { kind: self.kind(), id: id.clone() }
    }
}

/// The mechanism that a reference names.
pub fn of(reference: &ObjectRef) -> &'static dyn Mechanism {
    let found = ALL.iter().find(|mech| mech.kind() == reference.kind && mech.takes(&reference.id));
    // Parsing gives only identifiers that some mechanism of the kind takes.
    *found.unwrap_or(&ALL[0])
}

/// Within what the names and numbers of objects are their own, so that the same ones elsewhere are others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// An IPC namespace, ipc_namespaces(7).
    Ipc,
    /// The file system of /dev/shm, which mount namespaces may have of their own.
    Shm,
    /// All processes, by whom the objects are found.
    Machine,
}

/// The result of a scan.
#[derive(Default)]
pub struct Found {
    pub objects: Vec<Object>,
    pub gaps: Vec<Gap>,
}

/// What `create` is to make.
pub struct Spec {
    /// Permission bits; `None` is 0600.
    pub mode: Option<u32>,
    pub exist_ok: bool,
    pub what: What,
}

impl Spec {
    pub fn permissions(&self) -> u32 {
        self.mode.unwrap_or(0o600)
    }
}

pub enum What {
    Region { size: u64, huge: Option<Huge>, content: Option<std::fs::File> },
    Channel { max_bytes: Option<u64>, max_messages: Option<u64>, message_size: Option<u64> },
    Counter { values: Vec<u32> },
    Stream,
}

/// Huge pages: the system's default size, or this one in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Huge {
    Default,
    Size(u64),
}

/// An object that `create` made, or found with `exist_ok`.
pub struct Created {
    pub reference: ObjectRef,
    /// False when it was there already.
    pub new: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    Read,
    Write,
    Both,
}

/// An object, open. A noun's verbs are what it opens to.
pub enum Opened {
    Channel(Box<dyn Channel>),
    Region(Box<dyn Region>),
    Counter(Box<dyn Counter>),
}

impl Opened {
    pub fn channel(self) -> Box<dyn Channel> {
        match self {
            Opened::Channel(channel) => channel,
            _ => unreachable!("a message queue opens to a channel"),
        }
    }

    pub fn region(self) -> Box<dyn Region> {
        match self {
            Opened::Region(region) => region,
            _ => unreachable!("shared memory opens to a region"),
        }
    }

    pub fn counter(self) -> Box<dyn Counter> {
        match self {
            Opened::Counter(counter) => counter,
            _ => unreachable!("a semaphore opens to a counter"),
        }
    }
}

/// The number that goes with a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tag {
    /// System V: a positive type, by which receivers choose.
    Type(i64),
    /// POSIX: a priority, the highest first.
    Priority(u32),
}

/// Which message to take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pick {
    /// The first; of a POSIX queue the oldest of the highest priority.
    First,
    /// The first of this type.
    Type(i64),
    /// The first of the lowest type up to this one.
    UpTo(i64),
    /// The first of any other type.
    Except(i64),
}

/// Messages go in and come out whole.
pub trait Channel {
    /// The tag of a message when none was asked for; an error for one that the channel cannot have.
    fn tag(&self, kind: Option<i64>, priority: Option<u32>) -> Result<Tag>;
    fn send(&mut self, message: &[u8], tag: Tag, waiter: &Waiter) -> Result<()>;
    /// Appends the message that was taken to `into`.
    fn recv(&mut self, into: &mut Vec<u8>, pick: Pick, limit: Limits, waiter: &Waiter) -> Result<Tag>;
    /// Takes a message into a slot that was prepared for this channel.
    fn recv_into(&mut self, slot: &mut Slot, pick: Pick, limit: Limits, waiter: &Waiter) -> Result<()>;
    /// Bytes of text that a message may have.
    fn longest(&self) -> usize;
    /// Whether messages can be looked at without being taken.
    fn peeks(&self) -> bool;
    /// Copies the message at this position; `None` behind the last one. Nothing is taken.
    fn peek(&mut self, position: u64, into: &mut Vec<u8>) -> Result<Option<Tag>>;
    /// A number that differs when messages came or went.
    fn generation(&self) -> Result<(u64, i64, i64, i32)>;
}

/// How large a message may be.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Limits {
    /// No more than this many bytes; without it, whatever the queue may hold.
    pub max_size: Option<usize>,
    /// Cut a longer message instead of leaving it in the queue; the rest of it is lost.
    pub truncate: bool,
}

/// Bytes that several processes share.
pub trait Region {
    fn size(&self) -> Result<u64>;
    /// Copies from the region. The caller stays within `size`.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<()>;
    fn write_at(&mut self, offset: u64, from: &[u8]) -> Result<()>;
    /// Moves bytes from the region to a descriptor; how many, or the errno of the descriptor's side.
    fn pour(&mut self, offset: u64, length: usize, to: BorrowedFd<'_>) -> Result<nix::Result<usize>>;
    /// Moves bytes from a descriptor to the region; 0 at its end.
    fn fill(&mut self, offset: u64, length: usize, from: BorrowedFd<'_>) -> Result<nix::Result<usize>>;
    fn resize(&mut self, size: u64) -> Result<()>;
    /// Where it is mapped into this process.
    fn address(&mut self) -> Result<usize>;
}

/// One operation on one semaphore, as in struct sembuf.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Op {
    pub index: u16,
    pub amount: i16,
    pub undo: bool,
    pub nowait: bool,
}

/// Semaphores: counters that never go below zero.
pub trait Counter {
    /// How many semaphores there are.
    fn len(&self) -> u16;
    /// Takes `amount`, waiting until it is there.
    fn wait(&mut self, index: u16, amount: u16, waiter: &Waiter) -> Result<()>;
    /// Gives `amount`.
    fn post(&mut self, index: u16, amount: u16) -> Result<()>;
    /// Does all of it or nothing.
    fn operate(&mut self, ops: &[Op], waiter: &Waiter) -> Result<()>;
    /// Sets some of the values.
    fn set(&mut self, values: &[(u16, u32)]) -> Result<()>;
    /// Whether the kernel gives back what a process took with undo when it dies.
    fn undoes(&self) -> bool;
    /// Says whether `index` exists.
    fn check(&self, index: u16) -> Result<()>;
}

/// What to change of a live object.
#[derive(Clone, Default, Debug)]
pub struct Change {
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub max_bytes: Option<u64>,
}

/// Who uses an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Usage {
    Nobody,
    /// How it is used, in words.
    Somebody(String),
}

/// The nouns that have limits, in the order in which they are shown.
pub const LIMITED: &[&str] = &["shm", "msgq", "sem", "pipe", "sock", signal::NOUN];

/// The limits of the nouns that are wanted.
pub fn limits(wanted: impl Fn(&str) -> bool) -> Vec<Limit> {
    let mechanisms = ALL.iter().filter(|mech| wanted(mech.kind().noun()));
    let mut limits: Vec<Limit> = mechanisms.flat_map(|mech| mech.limits()).collect();
    // A signal is no object, so no mechanism has those.
    if wanted(signal::NOUN) {
        limits.extend(signal::limits());
    }
    limits
}

/// One limit of the kernel, and how much of it is used.
#[derive(Clone, Debug)]
pub struct Limit {
    /// The noun of the command line that it bounds.
    pub noun: &'static str,
    pub family: Family,
    /// The name in the man pages: SHMMNI, msg_max, RLIMIT_MSGQUEUE.
    pub name: &'static str,
    pub help: &'static str,
    pub limit: Seen<u64>,
    /// `Absent` for a limit of one object or one call, of which nothing is used up.
    pub used: Seen<u64>,
    pub unit: Unit,
    /// What sets it: a sysctl, a ulimit or a mount option.
    pub setting: &'static str,
}

impl Limit {
    /// Percent of it that is used, if both numbers are known; a limit of 0 is used up.
    pub fn percent(&self) -> Option<f64> {
        let (used, limit) = (*self.used.known()?, *self.limit.known()?);
        #[allow(clippy::cast_precision_loss)]
        let share = if limit == 0 { 100.0 } else { used as f64 * 100.0 / limit as f64 };
        Some(share)
    }

    /// A number of its unit.
    pub fn amount(&self, number: &Seen<u64>) -> Seen<Value> {
        number.clone().map(|n| if self.unit == Unit::Bytes { Value::Size(n) } else { Value::Count(n) })
    }
}

/// The soft limit of this process, setrlimit(2); `Absent` where there is none.
pub fn soft_limit(resource: Resource) -> Seen<u64> {
    match getrlimit(resource) {
        Ok((soft, _)) if soft != libc::RLIM_INFINITY => Seen::Is(soft),
        Ok(_) => Seen::Absent,
        Err(errno) => Seen::hidden("getrlimit", errno as i32),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    Objects,
    Bytes,
    Pages,
    Number,
}

impl Unit {
    pub fn word(self) -> &'static str {
        match self {
            Unit::Objects => "objects",
            Unit::Bytes => "bytes",
            Unit::Pages => "pages",
            Unit::Number => "number",
        }
    }
}

/// The error of a wait on `object`.
fn stopped(stop: Stop, call: &'static str, object: &impl std::fmt::Display) -> Error {
    match stop {
        Stop::Errno(errno) => Error::new(call, errno, object),
        Stop::TimedOut => Error::new(call, Errno::ETIMEDOUT, object).because("timed out"),
        Stop::Signal(signal) => Error::interrupted(call, signal, object),
    }
}

/// An operation that this mechanism cannot do, and what does it instead.
fn unsupported(reference: &ObjectRef, cause: &str, hint: &str) -> Error {
    let error = Error::refused(reference, Status::Failed, cause);
    if hint.is_empty() { error } else { error.hinting(hint) }
}

/// The object is no longer the one that was looked at.
fn replaced(reference: &ObjectRef) -> Error {
    let cause = "it was replaced by another object while we looked; that one is left as it is";
    Error::refused(reference, Status::Failed, cause)
}

/// What an object shows of its uses.
const TRACES: [&str; 11] =
    ["messages", "bytes", "nattch", "atime", "dtime", "otime", "stime", "rtime", "lpid", "lspid", "lrpid"];

/// Says whether an object is still as it was when it was looked at, and nobody uses it.
fn still_unused<M: Mechanism + ?Sized>(mechanism: &M, object: &Object) -> Result<()> {
    let holders = Holders::default();
    let now = mechanism.find(&object.reference.id, Needs::NAMES, &holders)?;
    if now.fingerprint != object.fingerprint {
        return Err(changed(&object.reference, "it is another object, or was changed since"));
    }
    let moved = TRACES.iter().any(|trace| now.facts.get(trace) != object.facts.get(trace));
    match mechanism.usage(&now, &holders) {
        Seen::Is(Usage::Nobody) | Seen::Skipped if !moved => Ok(()),
        _ => Err(changed(&object.reference, "it was used meanwhile")),
    }
}

/// What nobody has named is no longer as it was when it was looked at.
fn changed(reference: &ObjectRef, how: &str) -> Error {
    Error::new("", Errno::EBUSY, reference).because(how)
}

/// A process that an object remembers, judged against the process that now has the pid. `at` is when the
/// object recorded it, if that is known; `exact` that this time cannot have moved since.
pub fn recorded(role: &'static str, pid: i32, at: Option<i64>, exact: bool) -> Recorded {
    let now = if pid > 0 { process::look(pid) } else { Look::Hidden };
    // Both clocks are whole seconds and the boot time is rounded: allow one of difference.
    let past = match (&now, at.filter(|at| *at > 0)) {
        (Look::Gone, _) => Past::Gone,
        (Look::Hidden, _) | (_, None) => Past::Unknown,
        // Nothing that ends at a reboot is older than it: the clock was set since, and start times with it.
        (Look::Seen(process), Some(at)) if at + 1 < process.booted => Past::Unknown,
        (Look::Seen(process), Some(at)) if process.started > at + 1 => Past::Reused,
        (Look::Seen(_), Some(_)) if exact => Past::Same,
        (Look::Seen(_), Some(_)) => Past::Probable,
    };
    let now = match now {
        Look::Seen(process) => Some(process),
        Look::Gone | Look::Hidden => None,
    };
    let started = now.as_ref().map(|process| process.started);
    Recorded { role, pid, past, started, command: now.map(|process| process.command) }
}

/// The recorded processes as `show` lists them.
fn processes(recorded: Seen<Vec<Recorded>>) -> Seen<Value> {
    recorded.map(|records| Value::List(records.into_iter().map(Recorded::value).collect()))
}

/// One message of a queue, as `show` lists it.
fn message_record(position: u64, tag: Tag, message: &[u8]) -> Value {
    let (key, number) = match tag {
        Tag::Type(kind) => ("type", kind),
        Tag::Priority(priority) => ("priority", priority.into()),
    };
    Value::Record(vec![
        ("position", Seen::Is(Value::Count(position))),
        (key, Seen::Is(Value::Int(number))),
        ("size", Seen::Is(Value::Count(message.len() as u64))),
        ("text", Seen::Is(Value::Text(message.into()))),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::staged::{self, Sysv};
    use std::time::{Duration, Instant};

    /// Whether an object is still removed when this happens after the look at it.
    #[track_caller]
    fn is_removed(kind: Kind, object: &Sysv, happens: impl FnOnce()) -> bool {
        let reference = ObjectRef { kind, id: Ident::Id(object.id) };
        let mechanism = of(&reference);
        let seen = mechanism.find(&reference.id, Needs::NAMES, &Holders::default()).unwrap();
        happens();
        let removed = mechanism.remove_unused(&seen);
        if let Err(error) = &removed {
            assert_eq!((error.errno, error.cause.as_str()), (Errno::EBUSY, "it was used meanwhile"));
        }
        let there = mechanism.find(&reference.id, Needs::NAMES, &Holders::default()).is_ok();
        assert_eq!(there, removed.is_err());
        removed.is_ok()
    }

    #[test]
    fn what_was_not_named_is_removed_if_it_rests() {
        assert!(is_removed(Kind::Msgq, &staged::queue(), || {}));
        assert!(is_removed(Kind::Sem, &staged::semaphores(2), || {}));
        assert!(is_removed(Kind::Shm, &staged::segment(), || {}));
    }

    #[test]
    fn what_was_used_since_the_look_is_left() {
        let queue = staged::queue();
        assert!(!is_removed(Kind::Msgq, &queue, || staged::send_one(queue.id)));
        let set = staged::semaphores(2);
        assert!(!is_removed(Kind::Sem, &set, || staged::operate(set.id, &[(1, 1, 0)], 0)));
        let segment = staged::segment();
        assert!(!is_removed(Kind::Shm, &segment, || staged::attach(segment.id)));
    }

    #[test]
    fn a_set_on_which_somebody_waits_since_the_look_is_left() {
        let set = staged::semaphores(1);
        std::thread::scope(|scope| {
            let waits = || {
                scope.spawn(|| staged::operate(set.id, &[(0, -1, 0)], 30));
                let start = Instant::now();
                while !is_waited_for(set.id) && start.elapsed() < Duration::from_secs(30) {
                    std::thread::yield_now();
                }
            };
            assert!(!is_removed(Kind::Sem, &set, waits));
            staged::operate(set.id, &[(0, 1, 0)], 0);
        });
    }

    fn is_waited_for(set: i32) -> bool {
        let reference = ObjectRef { kind: Kind::Sem, id: Ident::Id(set) };
        let holders = Holders::default();
        let set = of(&reference).find(&reference.id, Needs::NAMES, &holders).unwrap();
        of(&reference).usage(&set, &holders) != Seen::Is(Usage::Nobody)
    }
}
