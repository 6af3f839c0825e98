//! Who has what open or mapped: one pass over the descriptors of all processes and one over their mappings,
//! shared by every kind of object.
//!
//! What a descriptor is comes from stat(2) through /proc/PID/fd, never from the text of the link, which
//! a process can choose. Objects are told apart by device and inode; the text is a label.

use super::mappings::{self, Mappings};
use super::pass::{self, Wanted};
use super::process::living_thread;
use super::processes::unlisted_gap;
use crate::model::{End, Gap, Needs, Reason, Role, Text};
use crate::sys::descriptor::Devices;
use crate::sys::pidfd::PidFd;
use nix::errno::Errno;
use nix::sys::stat::{FileStat, fstat};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};

/// What a look at processes has found, looked up when it is first asked for and then kept.
#[derive(Default)]
pub struct Holders {
    wanted: Wanted,
    descriptors: OnceLock<Descriptors>,
    mappings: OnceLock<Mappings>,
}

impl Holders {
    /// With STAT the fill of pipes is looked up in the same pass: it takes a descriptor of theirs. With USERS
    /// POSIX objects are told from other files.
    pub fn new(needs: Needs) -> Holders {
        let wanted =
            Wanted { fill: needs.has(Needs::STAT), files: needs.has(Needs::USERS) || needs.has(Needs::VERDICT) };
        Holders { wanted, ..Holders::default() }
    }

    /// Everything that processes have open and that is a kind of object.
    pub fn descriptors(&self) -> &Descriptors {
        self.descriptors.get_or_init(|| {
            let mut found = pass::run(self.wanted);
            found.gaps.extend(unlisted_gap());
            found
        })
    }

    /// Everything that processes have mapped and share.
    pub fn mappings(&self) -> &Mappings {
        self.mappings.get_or_init(|| {
            let mut found = mappings::all();
            found.gaps.extend(unlisted_gap());
            found
        })
    }

    /// What could not be seen, if somebody looked.
    pub fn gaps(&self) -> Vec<Gap> {
        let open = self.descriptors.get().map_or(&[][..], |descriptors| &descriptors.gaps);
        let mapped = self.mappings.get().map_or(&[][..], |mappings| &mappings.gaps);
        let mut gaps = open.to_vec();
        gaps.extend(mapped.iter().filter(|gap| !open.contains(gap)).cloned());
        gaps
    }
}

/// Which kind of open file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum What {
    Fifo,
    Pipe,
    Socket,
    Memfd,
    Eventfd,
    /// A regular file of a tmpfs, as POSIX shared memory and named semaphores are in /dev/shm. Its label tells
    /// in which.
    Shared,
    /// A POSIX message queue.
    Queue,
}

impl What {
    pub const ALL: &[What] =
        &[What::Fifo, What::Pipe, What::Socket, What::Memfd, What::Eventfd, What::Shared, What::Queue];
}

/// An inode by its device and number; of an eventfd the number that the kernel gives it, because all of
/// them share one inode.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FileId {
    pub dev: u64,
    pub ino: u64,
}

impl FileId {
    pub fn of(stat: &FileStat) -> FileId {
        FileId { dev: stat.st_dev, ino: stat.st_ino }
    }
}

/// A file that at least one process has open.
#[derive(Clone, Debug)]
pub struct OpenFile {
    pub what: What,
    pub id: FileId,
    pub stat: FileStat,
    /// The text of a link to it: the path of a FIFO or file, the name of a memory file or queue.
    pub label: Text,
    /// Of an eventfd, what its fdinfo says.
    pub counter: Option<Counter>,
    /// Of a pipe or FIFO, if it was asked for; why not, if it may not be seen.
    pub fill: Option<Result<Fill, Reason>>,
    pub ends: Vec<Arc<End>>,
}

/// How full a pipe is, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Fill {
    pub unread: u64,
    pub capacity: u64,
}

impl OpenFile {
    /// A descriptor of the file, borrowed from a process that has it open; to be held for microseconds.
    ///
    /// Opening it by its path instead would make a new end of it: a reader that lets a waiting writer go
    /// on, or a writer that keeps the end of the stream away.
    pub fn reach(&self, wanted: fn(Role) -> bool) -> Result<OwnedFd, Reason> {
        let mut errno = Errno::EBADF;
        for end in self.ends.iter().filter(|end| wanted(end.role)) {
            let Some(fd) = end.fd else { continue };
            match PidFd::open(end.pid).and_then(|process| borrow(end.pid, &process, fd, self.id)) {
                Ok(ours) => return Ok(ours),
                Err(why) => errno = why,
            }
        }
        Err(Reason { call: "pidfd_getfd", errno: errno as i32 })
    }
}

/// A descriptor of a process, if it still leads to this file: its number may have been given to another.
pub(super) fn borrow(pid: i32, process: &PidFd, fd: i32, id: FileId) -> nix::Result<OwnedFd> {
    let ours = match process.descriptor(fd) {
        // Where only the first thread has ended, another one tells.
        Err(Errno::ESRCH) => PidFd::open_thread(living_thread(pid).ok_or(Errno::ESRCH)?)?.descriptor(fd)?,
        other => other?,
    };
    if FileId::of(&fstat(&ours)?) == id { Ok(ours) } else { Err(Errno::EBADF) }
}

/// What /proc/PID/fdinfo says of an eventfd, eventfd_show_fdinfo in fs/eventfd.c.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counter {
    pub id: u64,
    pub count: u64,
    /// Whether reads take one instead of all.
    pub semaphore: bool,
}

/// The result of one pass.
#[derive(Default, Debug)]
pub struct Descriptors {
    pub(super) devices: Devices,
    pub(super) files: Files,
    pub gaps: Vec<Gap>,
}

/// Files in the order in which they were found, and where each is.
#[derive(Default, Debug)]
pub(super) struct Files {
    pub(super) list: Vec<OpenFile>,
    pub(super) index: HashMap<(What, FileId), usize, BuildHasherDefault<Mix>>,
}

/// A hash of few instructions, for numbers that the kernel has given out: nobody can choose them so that
/// many fall together.
#[derive(Default)]
pub(super) struct Mix(u64);

impl Hasher for Mix {
    fn write_u64(&mut self, number: u64) {
        // The odd number of FxHash, in which bits are spread well.
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64((*byte).into()));
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number.unsigned_abs() as u64);
    }

    fn finish(&self) -> u64 {
        // Tables look at the low bits first.
        self.0.rotate_left(26)
    }
}

impl Files {
    pub(super) fn entry(&mut self, what: What, id: FileId, make: impl FnOnce() -> OpenFile) -> &mut OpenFile {
        let list = &mut self.list;
        let at = *self.index.entry((what, id)).or_insert_with(|| {
            list.push(make());
            list.len() - 1
        });
        &mut self.list[at]
    }
}

impl Descriptors {
    pub fn of(&self, what: What) -> impl Iterator<Item = &OpenFile> {
        self.files.list.iter().filter(move |file| file.what == what)
    }

    pub fn all(&self) -> impl Iterator<Item = &OpenFile> {
        self.files.list.iter()
    }

    /// The file with this inode, whatever it is.
    pub fn find(&self, id: FileId) -> Option<&OpenFile> {
        What::ALL.iter().find_map(|what| self.get(*what, id))
    }

    pub fn get(&self, what: What, id: FileId) -> Option<&OpenFile> {
        self.files.index.get(&(what, id)).map(|at| &self.files.list[*at])
    }

    /// The file of this number, of a kind that lies in one file system.
    pub fn numbered(&self, what: What, ino: u64) -> Option<&OpenFile> {
        let dev = match what {
            What::Fifo | What::Shared | What::Queue => None,
            What::Pipe => self.devices.pipe,
            What::Socket => self.devices.socket,
            What::Memfd => self.devices.memory,
            What::Eventfd => self.devices.anonymous,
        };
        self.get(what, FileId { dev: dev?, ino })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd as _;

    #[test]
    fn our_own_pipe_is_found_with_both_ends() {
        let (read, write) = nix::unistd::pipe().unwrap();
        let id = FileId::of(&nix::sys::stat::fstat(&read).unwrap());
        let holders = Holders::default();
        let file = holders.descriptors().get(What::Pipe, id).unwrap();
        let mut roles: Vec<Role> = file.ends.iter().map(|end| end.role).collect();
        roles.sort();
        assert_eq!(roles, [Role::Read, Role::Write]);
        assert!(file.ends.iter().all(|end| u32::try_from(end.pid) == Ok(std::process::id())));
        drop((read, write));
    }

    #[test]
    fn an_open_file_of_a_tmpfs_is_found_if_it_is_asked_for() {
        use std::os::unix::fs::OpenOptionsExt as _;
        let made = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(made.path()).unwrap();
        let path = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(made.path()).unwrap();
        let id = FileId::of(&fstat(&file).unwrap());
        let holders = Holders::new(Needs::USERS);
        let found = holders.descriptors().get(What::Shared, id).unwrap();
        // Other tests start processes, which have it open too until they execute their program.
        let me = nix::unistd::getpid().as_raw();
        let ours = found.ends.iter().filter(|end| end.pid == me);
        let mut ends: Vec<_> = ours.map(|end| (end.fd, end.role)).collect();
        ends.sort();
        let mut wanted = [(Some(file.as_raw_fd()), Role::Write), (Some(made.as_file().as_raw_fd()), Role::Both)];
        wanted.sort();
        assert_eq!(ends, wanted);
        assert_eq!(found.label.raw(), made.path().as_os_str().as_encoded_bytes());
        let without = Holders::new(Needs::HOLDERS);
        assert!(without.descriptors().get(What::Shared, id).is_none());
        drop(path);
    }

    #[test]
    fn an_open_queue_is_found() {
        use crate::mech::msgq::posix::PosixMsgq;
        use crate::mech::{Access, Mechanism as _, Spec, What as Shape};
        use crate::model::Ident;
        let name = format!("/ipcx-holders-{}", std::process::id());
        let id = Ident::Name(Text::from(name.as_str()));
        let what = Shape::Channel { max_bytes: None, max_messages: Some(1), message_size: Some(8) };
        if PosixMsgq.create(Some(&id), &Spec { mode: None, exist_ok: false, what }).is_err() {
            // A kernel without them.
            return;
        }
        let open = PosixMsgq.open(&id, Access::Read);
        let object = PosixMsgq.find(&id, Needs::SCAN, &Holders::default()).unwrap();
        PosixMsgq.remove(&object).unwrap();
        let holders = Holders::new(Needs::USERS);
        let label = Text::from(format!("{name} (deleted)").as_str());
        let found: Vec<&OpenFile> = holders.descriptors().of(What::Queue).filter(|file| file.label == label).collect();
        assert_eq!(found.len(), 1);
        assert!(found[0].ends.iter().all(|end| end.role == Role::Read));
        drop(open);
    }

    #[test]
    fn what_mappings_could_not_be_seen_is_said_if_they_were_looked_at() {
        let holders = Holders::new(Needs::USERS);
        assert_eq!(holders.gaps(), []);
        assert_eq!(holders.mappings().gaps, holders.gaps());
        let gaps = [&holders.descriptors().gaps[..], &holders.mappings().gaps].concat();
        assert!(gaps.iter().all(|gap| holders.gaps().iter().filter(|said| *said == gap).count() == 1));
    }
}
