//! POSIX message queues, mq_overview(7).

mod directory;
mod queue;

use super::sys;
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::mech::{
    Access, Change, Created, Found, Limit, Mechanism, Opened, Root, Scope, Spec, Unit, Usage, What, devshm, processes,
    recorded, replaced, soft_limit, unsupported,
};
use crate::model::{
    Family, Fingerprint, Gap, Ident, Kind, Needs, Object, ObjectRef, Reason, Recorded, Seen, Text, Value,
};
use crate::proc::holders::Holders;
use crate::proc::sysctl;
use crate::sys::lease;
use directory::directory;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::resource::Resource;
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, fchmodat, fstat, fstatat};
use queue::Queue;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd as _, OwnedFd};

pub struct PosixMsgq;

/// What the kernel charges for each message besides its text: struct msg_msg and the tree's leaf.
pub const MESSAGE_OVERHEAD: u64 = 96;

fn reference(name: &Text) -> ObjectRef {
    ObjectRef { kind: Kind::Msgq, id: Ident::Name(name.clone()) }
}

fn c_name(name: &Text) -> Result<CString> {
    CString::new(name.raw()).map_err(|_| Error::new("mq_open", Errno::EINVAL, reference(name)))
}

fn name_of(id: &Ident) -> Result<&Text> {
    match id {
        Ident::Name(name) => Ok(name),
        _ => Err(Error::new("mq_open", Errno::EINVAL, "")),
    }
}

/// Opens a queue; who may not is told whose it is.
fn open_queue(name: &Text, flags: i32) -> Result<OwnedFd> {
    let file = c_name(name)?;
    sys::mq_open(&file, flags, 0, None).map_err(|errno| {
        let error = failed("mq_open", errno, &reference(name));
        if errno != Errno::EACCES {
            return error;
        }
        // Another right, or the directory, still shows whose it is.
        let other =
            [libc::O_RDONLY, libc::O_WRONLY].into_iter().find_map(|flags| sys::mq_open(&file, flags, 0, None).ok());
        let seen = match other {
            Some(queue) => fstat(&queue).ok().map(|stat| object(name, &stat)),
            None => entry(name).ok(),
        };
        crate::mech::sysv::denied(error, seen.as_ref())
    })
}

/// A descriptor of a queue that we may not open, good for changing it (O_PATH, open(2)).
fn handle(name: &Text) -> Option<OwnedFd> {
    let file = CString::new(name.raw().get(1..)?).ok()?;
    openat(
        &directory(&Root::Ours).ok()?,
        file.as_c_str(),
        OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
    .ok()
}

/// A queue that we may not open, as its entry in the directory shows it.
fn entry(name: &Text) -> Result<Object> {
    let directory = directory(&Root::Ours).map_err(|_| failed("mq_open", Errno::EACCES, &reference(name)))?;
    let file = CString::new(&name.raw()[1..]).map_err(|_| failed("mq_open", Errno::EINVAL, &reference(name)))?;
    look(&directory, &file).map_err(|errno| failed("mq_open", errno, &reference(name)))
}

fn failed(call: &'static str, errno: Errno, reference: &ObjectRef) -> Error {
    let error = Error::new(call, errno, reference);
    match errno {
        Errno::ENOENT => error.because("no such object"),
        _ => error,
    }
}

/// What a file of the mqueue file system says of its queue.
fn object(name: &Text, stat: &FileStat) -> Object {
    // The change time moves when the status is read, so it is no part of the identity.
    let fingerprint = Fingerprint::Inode { dev: stat.st_dev, ino: stat.st_ino, ctime: 0, ctime_nsec: 0 };
    let mut object = Object::new(reference(name), Family::Posix, fingerprint);
    devshm::permissions(&mut object, stat);
    object.facts.push("mtime", Value::Time(stat.st_mtime));
    object
}

/// Attributes and status, from a descriptor that is a queue and a file at once.
fn inside(object: &mut Object, queue: &OwnedFd) {
    let facts = &mut object.facts;
    let count = |n: libc::c_long| Value::Count(u64::try_from(n).unwrap_or(0));
    match sys::mq_attr(queue) {
        Ok(attr) => {
            facts.push("messages", count(attr.mq_curmsgs));
            facts.push("max_messages", count(attr.mq_maxmsg));
            facts.push("message_size", Value::Size(u64::try_from(attr.mq_msgsize).unwrap_or(0)));
        }
        Err(errno) => hide(object, "mq_getattr", errno),
    }
    status(object, queue);
}

/// The text of a queue's file: `QSIZE:7  NOTIFY:0  SIGNO:10  NOTIFY_PID:27180` (mqueue_read_file).
fn status(object: &mut Object, queue: &OwnedFd) {
    let mut text = [0; 128];
    let got = match nix::sys::uio::pread(queue, &mut text, 0) {
        Ok(got) => got,
        Err(errno) => {
            object.facts.set("bytes", Seen::hidden("read", errno as i32));
            return;
        }
    };
    let words = String::from_utf8_lossy(&text[..got]).into_owned();
    let field = |name: &str| {
        words.split_ascii_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix(':')?.parse::<u64>().ok())
    };
    let facts = &mut object.facts;
    facts.set("bytes", field("QSIZE").map(Value::Size).into());
    let pid = field("NOTIFY_PID").and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0);
    if pid == 0 {
        return;
    }
    let how = match field("NOTIFY") {
        Some(0) => "signal",
        Some(1) => "none",
        Some(2) => "thread",
        _ => "unknown",
    };
    facts.set("notify", Seen::Is(Value::Word(how)));
    facts.set("notify_pid", Seen::Is(Value::Pid(pid)));
    if how == "signal" {
        facts.set("notify_signal", field("SIGNO").map(Value::Count).into());
    }
}

/// The directory of all queues could not be read to its end, or one of them not be looked at.
fn unseen(call: &'static str, errno: Errno) -> Gap {
    let reason = Reason { call, errno: errno as i32 };
    Gap { subject: "POSIX message queues".to_owned(), field: None, reason, note: None }
}

/// We may not look inside: what is known stays, the rest is named with its reason.
fn hide(object: &mut Object, call: &'static str, errno: Errno) {
    for key in ["messages", "bytes", "max_messages", "message_size"] {
        object.facts.set(key, Seen::hidden(call, errno as i32));
    }
}

fn look(directory: &OwnedFd, file: &CStr) -> nix::Result<Object> {
    let stat = fstatat(directory, file, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    let mut name = b"/".to_vec();
    name.extend_from_slice(file.to_bytes());
    let mut object = object(&Text::from(name), &stat);
    match openat(directory, file, OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty()) {
        Ok(queue) => inside(&mut object, &queue),
        Err(Errno::ENOENT) => return Err(Errno::ENOENT),
        Err(errno) => hide(&mut object, "open", errno),
    }
    Ok(object)
}

impl Mechanism for PosixMsgq {
    fn kind(&self) -> Kind {
        Kind::Msgq
    }

    fn family(&self) -> Family {
        Family::Posix
    }

    fn takes(&self, id: &Ident) -> bool {
        matches!(id, Ident::Name(_))
    }

    fn scope(&self) -> Scope {
        Scope::Ipc
    }

    fn scan(&self, needs: Needs, holders: &Holders) -> Found {
        self.scan_under(&Root::Ours, needs, holders)
    }

    fn scan_under(&self, root: &Root, needs: Needs, _: &Holders) -> Found {
        let mut found = Found::default();
        let directory = match directory(root) {
            Ok(directory) => directory,
            Err(gap) => {
                found.gaps.push(gap);
                return found;
            }
        };
        let entries = match Dir::openat(&directory, ".", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()) {
            Ok(entries) => entries,
            Err(errno) => {
                found.gaps.push(unseen("readdir", errno));
                return found;
            }
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(errno) => {
                    found.gaps.push(unseen("readdir", errno));
                    return found;
                }
            };
            let file = entry.file_name();
            if matches!(file.to_bytes(), b"." | b"..") {
                continue;
            }
            match look(&directory, file) {
                Ok(mut object) => {
                    if needs.has(Needs::PROCESSES) {
                        object.facts.set("processes", processes(self.recorded(&object)));
                    }
                    found.objects.push(object);
                }
                // A queue that vanished in between is not an error.
                Err(Errno::ENOENT) => {}
                Err(errno) => found.gaps.push(unseen("stat", errno)),
            }
        }
        found
    }

    fn find(&self, id: &Ident, needs: Needs, _: &Holders) -> Result<Object> {
        let name = name_of(id)?;
        let mut object = match sys::mq_open(&c_name(name)?, libc::O_RDONLY, 0, None) {
            Ok(queue) => {
                let stat = fstat(&queue).map_err(|errno| failed("fstat", errno, &reference(name)))?;
                let mut object = object(name, &stat);
                inside(&mut object, &queue);
                object
            }
            // It is there, and we may not read it: its entry in the directory is still to be seen.
            Err(Errno::EACCES) => entry(name)?,
            Err(errno) => return Err(failed("mq_open", errno, &reference(name))),
        };
        if needs.has(Needs::PROCESSES) {
            object.facts.set("processes", processes(self.recorded(&object)));
        }
        if needs.has(Needs::CONTENTS) {
            // There is no call that reads a POSIX message without taking it.
            object.facts.set("first_messages", Seen::Absent);
        }
        Ok(object)
    }

    fn create(&self, id: Option<&Ident>, spec: &Spec) -> Result<Created> {
        let What::Channel { max_bytes, max_messages, message_size } = spec.what else {
            unreachable!("a queue is made from the shape of a channel")
        };
        let name = match id {
            Some(id) => name_of(id)?,
            None => return Err(Error::refused("msgq", Status::Usage, "a POSIX queue needs a name")),
        };
        let reference = reference(name);
        if max_bytes.is_some() {
            return Err(Error::refused(
                &reference,
                Status::Usage,
                "a POSIX queue is bounded by messages and their size, not in bytes",
            )
            .hinting("use --max-messages and --message-size"));
        }
        let shape = match (max_messages, message_size) {
            (None, None) => None,
            (messages, size) => {
                let default = |name| sysctl::number(name).unwrap_or(10);
                let number = |n: u64| i64::try_from(n).map_err(|_| Error::new("mq_open", Errno::EINVAL, &reference));
                Some((
                    number(messages.unwrap_or_else(|| default("fs.mqueue.msg_default")))?,
                    number(size.unwrap_or_else(|| default("fs.mqueue.msgsize_default")))?,
                ))
            }
        };
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
        match sys::mq_open(&c_name(name)?, flags, spec.permissions(), shape) {
            Ok(_) => Ok(Created { reference, new: true }),
            Err(Errno::EEXIST) if spec.exist_ok => {
                // That it is there is enough, even if we may not open it.
                Ok(Created { reference, new: false })
            }
            Err(errno @ Errno::EINVAL) => {
                let cause = match shape {
                    Some((messages, size)) => {
                        format!("a queue of {messages} messages of {size} bytes is not permitted")
                    }
                    None => String::new(),
                };
                Err(Error::new("mq_open", errno, &reference).because(cause).with_status(Status::Limit))
            }
            Err(errno) => Err(failed("mq_open", errno, &reference)),
        }
    }

    fn open(&self, id: &Ident, access: Access) -> Result<Opened> {
        let name = name_of(id)?;
        let flags = match access {
            Access::Read => libc::O_RDONLY,
            Access::Write => libc::O_WRONLY,
            Access::Both => libc::O_RDWR,
        };
        let queue = open_queue(name, flags)?;
        let reference = reference(name);
        let attr = sys::mq_attr(&queue).map_err(|errno| failed("mq_getattr", errno, &reference))?;
        let message_size = usize::try_from(attr.mq_msgsize).unwrap_or(0);
        Ok(Opened::Channel(Box::new(Queue::new(queue, name, message_size))))
    }

    fn usage(&self, object: &Object, _: &Holders) -> Seen<Usage> {
        let Some(name) = object.name() else { return Seen::Skipped };
        let hidden = |call, errno: Errno| Seen::hidden(call, errno as i32);
        let queue = match c_name(name).map(|name| sys::mq_open(&name, libc::O_RDONLY, 0, None)) {
            Ok(Ok(queue)) => queue,
            Ok(Err(errno)) => return hidden("mq_open", errno),
            Err(_) => return Seen::Skipped,
        };
        // A queue of another namespace is another one, be it of the same name.
        let is_it = |stat: FileStat| matches!(object.fingerprint, Fingerprint::Inode { dev, ino, .. } if (dev, ino) == (stat.st_dev, stat.st_ino));
        if !nix::sys::stat::fstat(&queue).is_ok_and(is_it) {
            return hidden("mq_open", Errno::ESTALE);
        }
        match lease::is_open_elsewhere(&queue) {
            Ok(true) => Seen::Is(Usage::Somebody("a process has it open".to_owned())),
            Ok(false) => Seen::Is(Usage::Nobody),
            Err(errno) => hidden("fcntl", errno),
        }
    }

    fn recorded(&self, object: &Object) -> Seen<Vec<Recorded>> {
        let notified = object.pid("notify_pid").map(|pid| recorded("notified", pid, None, false));
        Seen::Is(notified.into_iter().collect())
    }

    fn remove(&self, object: &Object) -> Result<Option<String>> {
        let name = object.name().ok_or_else(|| Error::new("mq_unlink", Errno::EINVAL, &object.reference))?;
        let now = self.find(&Ident::Name(name.clone()), Needs::SCAN, &Holders::default())?;
        if now.fingerprint != object.fingerprint {
            return Err(replaced(&object.reference));
        }
        sys::mq_unlink(&c_name(name)?)
            .map_err(|errno| crate::mech::sysv::denied(failed("mq_unlink", errno, &object.reference), Some(object)))?;
        Ok(match (now.number("messages"), now.number("bytes")) {
            (None | Some(0), _) => None,
            (Some(1), bytes) => Some(format!("1 message of {} bytes was in it", bytes.unwrap_or(0))),
            (Some(n), bytes) => Some(format!("{n} messages of {} bytes together were in it", bytes.unwrap_or(0))),
        })
    }

    fn remove_named(&self, id: &Ident) -> Result<()> {
        // A look at it may want permissions that its owner has taken away; this wants none.
        sys::mq_unlink(&c_name(name_of(id)?)?).map_err(|errno| failed("mq_unlink", errno, &self.named(id)))
    }

    fn set(&self, object: &Object, change: &Change) -> Result<()> {
        let name = object.name().ok_or_else(|| Error::new("mq_open", Errno::EINVAL, &object.reference))?;
        if change.max_bytes.is_some() {
            return Err(unsupported(
                &object.reference,
                "the capacity of a POSIX queue is fixed when it is made",
                "make another with --max-messages and --message-size",
            ));
        }
        let denied = |error| crate::mech::sysv::denied(error, Some(object));
        // Any of its rights gives the owner a descriptor; without one its entry has to do.
        let opened = open_queue(name, libc::O_RDONLY).or_else(|_| open_queue(name, libc::O_WRONLY));
        let queue = opened.or_else(|error| handle(name).ok_or(error)).map_err(denied)?;
        let path = format!("/proc/self/fd/{}", queue.as_raw_fd());
        devshm::change(
            object,
            change,
            |mode| fchmodat(AT_FDCWD, path.as_str(), mode, FchmodatFlags::FollowSymlink),
            |uid, gid| nix::unistd::chown(path.as_str(), uid, gid),
        )
        .map_err(denied)
    }

    fn limits(&self) -> Vec<Limit> {
        self.limits_under(&Root::Ours)
    }

    fn limits_under(&self, root: &Root) -> Vec<Limit> {
        let limit = |name, help, unit, limit, used, setting| Limit {
            noun: Kind::Msgq.noun(),
            family: Family::Posix,
            name,
            help,
            limit,
            used,
            unit,
            setting,
        };
        let sysctl = |setting| sysctl::limit(setting, 0);
        let found = self.scan_under(root, Needs::SCAN, &Holders::default());
        let blind = found.gaps.first().map(|gap| gap.reason);
        let used = |n: u64| blind.map_or(Seen::Is(n), |reason| Seen::hidden(reason.call, reason.errno));
        let me = nix::unistd::getuid().as_raw();
        let charged = found.objects.iter().filter(|queue| queue.uid.known() == Some(&me)).filter_map(|queue| {
            let (messages, size) = (queue.number("max_messages")?, queue.number("message_size")?);
            Some(messages.saturating_mul(size.saturating_add(MESSAGE_OVERHEAD)))
        });
        let rlimit = soft_limit(Resource::RLIMIT_MSGQUEUE);
        vec![
            limit(
                "queues_max",
                "queues in this IPC namespace",
                Unit::Objects,
                sysctl("fs.mqueue.queues_max"),
                used(found.objects.len() as u64),
                "fs.mqueue.queues_max",
            ),
            limit(
                "msg_max",
                "messages that one queue may hold",
                Unit::Objects,
                sysctl("fs.mqueue.msg_max"),
                Seen::Absent,
                "fs.mqueue.msg_max",
            ),
            limit(
                "msgsize_max",
                "bytes of one message",
                Unit::Bytes,
                sysctl("fs.mqueue.msgsize_max"),
                Seen::Absent,
                "fs.mqueue.msgsize_max",
            ),
            limit(
                "RLIMIT_MSGQUEUE",
                "bytes of all queues of this user, maxmsg*(msgsize+96) each",
                Unit::Bytes,
                rlimit,
                used(charged.sum()),
                "ulimit -q",
            ),
        ]
    }
}
