//! Pipes, pipe(7): what the shell puts between commands. They are found through the processes that
//! have an end open.

use super::opened::{self, Unnamed};
use super::{Limit, Unit};
use crate::model::{Family, Ident, Kind, Needs, Object, ObjectRef, Reason, Seen, Value};
use crate::proc::holders::{Descriptors, Holders, OpenFile, What};
use crate::proc::{processes, status, sysctl};
use crate::sys::pipe;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

pub(super) static PIPE: Unnamed = Unnamed { kind: Kind::Pipe, what: What::Pipe, object, limits };

fn object(file: &OpenFile, descriptors: &Descriptors, needs: Needs) -> Object {
    let reference = ObjectRef { kind: Kind::Pipe, id: Ident::Inode(file.id.ino) };
    let mut object = opened::object(reference, Family::Anonymous, file, descriptors);
    object.facts.push("inode", Value::Count(file.id.ino));
    opened::stream(&mut object, Some(file), descriptors, needs);
    object
}

/// pipe(7), "/proc files". Those of all pipes of a user do not bind a process with CAP_SYS_RESOURCE or
/// CAP_SYS_ADMIN.
fn limits() -> Vec<Limit> {
    let limit = |name, help, unit, used, setting| Limit {
        noun: Kind::Pipe.noun(),
        family: Family::Anonymous,
        name,
        help,
        limit: sysctl::limit(setting, 0),
        used,
        unit,
        setting,
    };
    let pages = pages_of(nix::unistd::getuid().as_raw());
    let of_user = |name, help, setting| {
        let mut limit = limit(name, help, Unit::Pages, pages.clone(), setting);
        // 0 is no limit.
        if limit.limit == Seen::Is(0) {
            limit.limit = Seen::Absent;
        }
        limit
    };
    vec![
        of_user(
            "pipe-user-pages-soft",
            "pages of the pipes of this user; beyond it a new one has two pages",
            "fs.pipe-user-pages-soft",
        ),
        of_user(
            "pipe-user-pages-hard",
            "pages of the pipes of this user; beyond it none is made",
            "fs.pipe-user-pages-hard",
        ),
        limit("pipe-max-size", "bytes that one pipe may hold", Unit::Bytes, Seen::Absent, "fs.pipe-max-size"),
    ]
}

/// The pages of the pipes and FIFOs that a user made. The kernel counts them and does not tell, so they are
/// added up over what processes have open (fs/pipe.c, account_pipe_buffers).
///
/// The kernel charges who called pipe(2), which is the owner of the inode, and for a FIFO who opened it first,
/// which is taken to be the owner of the file.
fn pages_of(uid: u32) -> Seen<u64> {
    let holders = Holders::new(Needs::STAT);
    let descriptors = holders.descriptors();
    if let Some(gap) = descriptors.gaps.first()
        && has_hidden_process(uid)
    {
        return Seen::Hidden(Box::new(gap.reason));
    }
    let files = descriptors.of(What::Pipe).chain(descriptors.of(What::Fifo));
    let pages = files.filter(|file| file.stat.st_uid == uid).map(|file| match file.fill {
        Some(Ok(fill)) => Ok(fill.capacity / pipe::page() as u64),
        Some(Err(reason)) => Err(reason),
        None => Err(Reason { call: "pidfd_getfd", errno: libc::EBADF }),
    });
    match pages.sum::<Result<u64, Reason>>() {
        Ok(pages) => Seen::Is(pages),
        Err(reason) => Seen::Hidden(Box::new(reason)),
    }
}

/// Whether there is a process of this user whose descriptors may not be seen: its pipes would be missing.
/// What the processes of others have open is most likely theirs.
fn has_hidden_process(uid: u32) -> bool {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let hidden = |pid: &i32| {
        let opened = Dir::open(format!("/proc/{pid}/fd").as_str(), flags, Mode::empty());
        matches!(opened, Err(Errno::EACCES | Errno::EPERM))
            && status::read(*pid).is_ok_and(|status| status.uid == Some(uid))
    };
    processes::pids().map_or(true, |pids| pids.iter().any(hidden))
}
