//! Unix sockets as objects, unix(7).

use super::bind;
use super::diag::{self, Record, State};
use super::name::{LONGEST_NAME, Name};
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::mech::{Found, Limit, Mechanism, Usage, devshm, opened, still_unused, sysv};
use crate::model::{Facts, Family, Fingerprint, Gap, Ident, Kind, Needs, Object, ObjectRef, Reason, Seen, Text, Value};
use crate::proc::holders::{Holders, What};
use crate::sys::file;
use nix::errno::Errno;
use nix::sys::stat::{FileStat, SFlag, stat};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

pub struct UnixSock;

/// How many facts a socket has.
const FACTS: usize = 9;

/// The states of a file without a socket of ours.
const FOREIGN: &str = "foreign";
const DEAD: &str = "dead";

/// The file that a socket is bound to, if its path leads there from here. A relative path counts from the
/// directory of the process that bound it; those that have it open are asked for theirs.
fn file_of(record: &Record, holders: Option<&Holders>) -> Option<(Text, FileStat)> {
    let name = record.name.as_deref().filter(|name| name[0] != 0)?;
    let name = &name[..memchr::memchr(0, name).unwrap_or(name.len())];
    let leads = |path: &Path| stat(path).ok().filter(|stat| record.may_have(stat.st_dev, stat.st_ino));
    let named = |path: &Path, stat| (Text::from(path.as_os_str().as_bytes()), stat);
    let path = file::path(name);
    if path.is_absolute() {
        return leads(path).map(|stat| named(path, stat));
    }
    let open = holders?.descriptors().numbered(What::Socket, record.ino)?;
    open.ends.iter().find_map(|end| {
        let directory = std::fs::read_link(format!("/proc/{}/cwd", end.pid)).ok()?;
        let path = directory.join(path.strip_prefix(".").unwrap_or(path));
        leads(&path).map(|stat| named(&path, stat))
    })
}

/// Whether a socket is bound to this file, given the one that its name leads to.
fn is_bound_to(record: &Record, file: &FileStat, own: impl FnOnce() -> Option<FileStat>) -> bool {
    let same = |own: FileStat| (own.st_dev, own.st_ino) == (file.st_dev, file.st_ino);
    record.may_have(file.st_dev, file.st_ino) && (u32::try_from(file.st_ino).is_ok() || own().is_some_and(same))
}

/// The name as it is shown: an abstract one begins with `@`.
fn shown(name: &[u8]) -> Text {
    match name.split_first() {
        Some((0, rest)) => [b"@", rest].concat().into(),
        _ => name[..memchr::memchr(0, name).unwrap_or(name.len())].into(),
    }
}

/// Whether the name is the socket's own. One that was accepted only has that of its listener.
fn owns_name(record: &Record) -> bool {
    record.state != State::Connected || record.kind == libc::SOCK_DGRAM
}

fn kind(record: &Record) -> &'static str {
    match record.kind {
        libc::SOCK_STREAM => "stream",
        libc::SOCK_DGRAM => "dgram",
        libc::SOCK_SEQPACKET => "seqpacket",
        _ => "other",
    }
}

fn reference(id: Ident) -> ObjectRef {
    ObjectRef { kind: Kind::Sock, id }
}

fn object(record: &Record, needs: Needs, holders: &Holders) -> Object {
    let file = file_of(record, needs.has(Needs::HOLDERS).then_some(holders));
    let id = match (&file, &record.name) {
        (Some((path, _)), _) if owns_name(record) => Ident::Path(path.clone()),
        // A NUL cannot be typed.
        (None, Some(name)) if owns_name(record) && name[0] == 0 && !name[1..].contains(&0) => {
            Ident::Abstract(shown(name))
        }
        _ => Ident::Inode(record.ino),
    };
    let mut object = match &file {
        Some((_, stat)) => devshm::object(reference(id), Family::Unix, stat),
        None => {
            let fingerprint = Fingerprint::Inode { dev: 0, ino: record.ino, ctime: 0, ctime_nsec: 0 };
            Object::new(reference(id), Family::Unix, fingerprint)
        }
    };
    if let Some(uid) = record.uid {
        object.uid = Seen::Is(uid);
    }
    // There may be tens of thousands of them.
    object.facts = Facts::with_capacity(FACTS);
    let facts = &mut object.facts;
    facts.push("inode", Value::Count(record.ino));
    facts.push("type", Value::Word(kind(record)));
    let number = |n: Option<u32>| n.map(|n| Value::Size(n.into())).into();
    let count = |n: Option<u32>| n.map(|n| Value::Count(n.into())).into();
    if record.state == State::Listening {
        facts.push("state", Value::Word("listening"));
        facts.set("pending", count(record.received));
        facts.set("backlog", count(record.sent));
    } else {
        facts.push("state", Value::Word(if record.state == State::Connected { "connected" } else { "unconnected" }));
        facts.set("recvq", number(record.received));
        facts.set("sendq", number(record.sent));
    }
    facts.set("bound", record.name.as_deref().map(|name| Value::Text(shown(name))).into());
    facts.set("peer", record.peer.map(|peer| Value::Ref(Kind::Sock, peer)).into());
    if needs.has(Needs::HOLDERS) {
        let descriptors = holders.descriptors();
        opened::ends(&mut object, "processes", descriptors.numbered(What::Socket, record.ino), descriptors);
        if let Some(peer) = record.peer {
            opened::ends(&mut object, "peer_processes", descriptors.numbered(What::Socket, peer), descriptors);
        }
    }
    object
}

fn failed(errno: Errno) -> Gap {
    let note = match errno {
        Errno::ENOENT => "this kernel has no unix_diag (CONFIG_UNIX_DIAG)".to_owned(),
        errno => format!("the kernel does not list them: {}", crate::error::describe(errno)),
    };
    Gap {
        subject: "unix sockets".to_owned(),
        field: None,
        reason: Reason { call: "sock_diag", errno: errno as i32 },
        note: Some(note),
    }
}

/// The socket that a reference names; of several with one name the one that others reach by it.
fn pick<'a>(records: &'a [Record], id: &Ident, file: Option<&FileStat>) -> Option<&'a Record> {
    let named = |record: &&Record| match id {
        Ident::Inode(ino) => record.ino == *ino,
        Ident::Abstract(name) => record.name.as_deref().is_some_and(|known| known[0] == 0 && shown(known) == *name),
        _ => file.is_some_and(|stat| is_bound_to(record, stat, || file_of(record, None).map(|(_, own)| own))),
    };
    records.iter().filter(named).max_by_key(|record| owns_name(record))
}

/// The file of a reference that is a path.
fn locate(id: &Ident) -> Result<Option<FileStat>> {
    let Ident::Path(path) = id else { return Ok(None) };
    let reference = reference(id.clone());
    let found = stat(file::path(path.raw()));
    let found = found.map_err(|errno| sysv::denied(devshm::failed("stat", errno, &reference), None))?;
    if SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFSOCK {
        return Ok(Some(found));
    }
    let cause = format!("it is {}, not a socket", devshm::type_of(&found));
    Err(Error::refused(reference, Status::Failed, cause))
}

/// A file that no socket of this network namespace is bound to. Whether one of another is, the kernel tells
/// who asks for it as a datagram socket, which disturbs nobody.
fn unbound(path: &Text, stat: &FileStat) -> Object {
    let id = Ident::Path(path.clone());
    let mut object = devshm::object(reference(id), Family::Unix, stat);
    let state = match asked(path.raw()) {
        Ok(()) => Seen::Is(Value::Word(FOREIGN)),
        Err(Errno::ECONNREFUSED) => Seen::Is(Value::Word(DEAD)),
        Err(errno) => Seen::hidden("connect", errno as i32),
    };
    object.facts.set("state", state);
    object
}

/// Whether a bound socket is behind a file: ECONNREFUSED if there is none.
fn asked(path: &[u8]) -> nix::Result<()> {
    match path.len() {
        0..=LONGEST_NAME => bind::probe(&Name::unix(path, false)),
        _ => Err(Errno::ENAMETOOLONG),
    }
}

fn look(id: &Ident) -> Result<(Option<FileStat>, Option<Record>)> {
    let file = locate(id)?;
    let records = diag::all().map_err(|errno| {
        Error::new("sock_diag", errno, reference(id.clone())).because(failed(errno).note.unwrap_or_default())
    })?;
    Ok((file, pick(&records, id, file.as_ref()).cloned()))
}

fn absent(id: &Ident) -> Error {
    Error::new("sock_diag", Errno::ENOENT, reference(id.clone()))
        .because("there is no such unix socket in this network namespace")
}

/// A descriptor of the socket, borrowed from a process that has it open; to be held for microseconds.
pub fn borrow(id: &Ident, holders: &Holders) -> Result<OwnedFd> {
    let record = look(id)?.1.ok_or_else(|| absent(id))?;
    let descriptors = holders.descriptors();
    let hidden = || {
        let cause = match descriptors.gaps.first() {
            Some(gap) => format!("no process that we may look into has it open ({})", gap.subject),
            None => "no process has it open".to_owned(),
        };
        Error::new("open", Errno::EACCES, reference(id.clone())).because(cause)
    };
    let file = descriptors.numbered(What::Socket, record.ino).ok_or_else(hidden)?;
    file.reach(|_| true).map_err(|reason| {
        Error::new(reason.call, Errno::from_raw(reason.errno), reference(id.clone()))
            .because("the process that has it open may not be looked into")
    })
}

impl Mechanism for UnixSock {
    fn kind(&self) -> Kind {
        Kind::Sock
    }

    fn family(&self) -> Family {
        Family::Unix
    }

    fn estimate(&self) -> u64 {
        diag::count()
    }

    fn takes(&self, id: &Ident) -> bool {
        matches!(id, Ident::Path(_) | Ident::Abstract(_) | Ident::Inode(_))
    }

    fn scan(&self, needs: Needs, holders: &Holders) -> Found {
        let records = match diag::all() {
            Ok(records) => records,
            Err(errno) => return Found { objects: Vec::new(), gaps: vec![failed(errno)] },
        };
        let gaps = if needs.has(Needs::HOLDERS) { holders.descriptors().gaps.clone() } else { Vec::new() };
        Found { objects: records.iter().map(|record| object(record, needs, holders)).collect(), gaps }
    }

    fn find(&self, id: &Ident, needs: Needs, holders: &Holders) -> Result<Object> {
        match look(id)? {
            (file, Some(record)) => {
                let mut found = object(&record, needs, holders);
                if let (Ident::Path(_), Some(stat)) = (id, file) {
                    // As it was written: a relative path, or another name of the file.
                    found.reference = reference(id.clone());
                    found.fingerprint = devshm::fingerprint(&stat);
                    found.mode = Seen::Is(stat.st_mode & 0o7777);
                }
                Ok(found)
            }
            (file, None) => match (id, file) {
                (Ident::Path(path), Some(stat)) => Ok(unbound(path, &stat)),
                _ => Err(absent(id)),
            },
        }
    }

    fn usage(&self, object: &Object, holders: &Holders) -> Seen<Usage> {
        match object.number("inode") {
            Some(inode) => {
                match opened::usage(holders.descriptors().numbered(What::Socket, inode), holders.descriptors()) {
                    Seen::Is(Usage::Nobody) | Seen::Hidden(_) => {
                        Seen::Is(Usage::Somebody("a socket is bound to it".to_owned()))
                    }
                    usage => usage,
                }
            }
            None => match object.facts.get("state") {
                Some(Seen::Is(Value::Word(DEAD))) => Seen::Is(Usage::Nobody),
                Some(Seen::Hidden(reason)) => {
                    let errno = Errno::from_raw(reason.errno);
                    let cause = format!("whether a socket is bound to it cannot be seen ({}: {errno:?})", reason.call);
                    Seen::Is(Usage::Somebody(cause))
                }
                _ => Seen::Is(Usage::Somebody("a socket of another network namespace is bound to it".to_owned())),
            },
        }
    }

    fn can_remove(&self, object: &Object) -> Result<()> {
        match &object.reference.id {
            Ident::Path(_) => Ok(()),
            _ => Err(opened::nameless(&object.reference)),
        }
    }

    fn limits(&self) -> Vec<Limit> {
        super::limits::limits()
    }

    fn remove(&self, object: &Object) -> Result<Option<String>> {
        self.can_remove(object)?;
        let path = object.name().map_or(&b""[..], Text::raw);
        devshm::remove(file::path(path), object).map(|()| None)
    }

    fn remove_unused(&self, object: &Object) -> Result<Option<String>> {
        self.can_remove(object)?;
        still_unused(self, object)?;
        let path = object.name().map_or(&b""[..], Text::raw);
        let is_dead = |through: &Path| asked(through.as_os_str().as_bytes()) == Err(Errno::ECONNREFUSED);
        devshm::remove_unused(file::path(path), object, is_dead).map(|()| None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_inode_the_name_tells_what_the_kernel_does_not() {
        let record = |low| Record {
            ino: 7,
            kind: libc::SOCK_STREAM,
            state: State::Listening,
            name: Some(b"/nowhere/s".to_vec()),
            file: Some((8, low)),
            peer: None,
            received: None,
            sent: None,
            uid: None,
        };
        let file = |inode| {
            let mut stat = stat("/").unwrap();
            (stat.st_dev, stat.st_ino) = (8, inode);
            stat
        };
        let (short, long, other) = (file(5), file((3 << 32) | 5), file((4 << 32) | 5));
        assert!(is_bound_to(&record(5), &long, || Some(long)));
        assert!(!is_bound_to(&record(5), &long, || Some(other)));
        assert!(!is_bound_to(&record(5), &long, || None));
        assert!(!is_bound_to(&record(6), &long, || Some(long)));
        // As it is nearly everywhere; a name that was relative leads nowhere.
        assert!(is_bound_to(&record(5), &short, || None));
        assert!(pick(&[record(5)], &Ident::Path("x".into()), Some(&long)).is_none());
        assert!(pick(&[record(5)], &Ident::Path("x".into()), Some(&short)).is_some());
    }
}
