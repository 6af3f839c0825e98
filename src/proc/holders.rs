//! Who has what open: one pass over the descriptors of all processes, shared by every kind of object.
//!
//! What a descriptor is comes from stat(2) through /proc/PID/fd, never from the text of the link, which
//! a process can choose. Objects are told apart by device and inode; the text is a label.

use crate::model::{End, Gap, Needs, Reason, Role, Text};
use crate::sys::descriptor::Devices;
use crate::sys::pidfd::PidFd;
use crate::sys::pipe;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use std::collections::HashMap;
use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::ScopedJoinHandle;

/// What a look at processes has found, looked up when it is first asked for and then kept.
#[derive(Default)]
pub struct Holders {
    fill: bool,
    descriptors: OnceLock<Descriptors>,
}

impl Holders {
    /// With these needs the fill of pipes is looked up in the same pass: it takes a descriptor of theirs.
    pub fn new(needs: Needs) -> Holders {
        Holders { fill: needs.has(Needs::STAT), descriptors: OnceLock::new() }
    }

    /// Everything that processes have open and that is a kind of object.
    pub fn descriptors(&self) -> &Descriptors {
        self.descriptors.get_or_init(|| pass(self.fill))
    }

    /// What could not be seen, if somebody looked.
    pub fn gaps(&self) -> &[Gap] {
        self.descriptors.get().map_or(&[], |descriptors| &descriptors.gaps)
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
    /// The text of a link to it: the path of a FIFO, the name of a memory file.
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
            match PidFd::open(end.pid).and_then(|process| borrow(&process, fd, self.id)) {
                Ok(ours) => return Ok(ours),
                Err(why) => errno = why,
            }
        }
        Err(Reason { call: "pidfd_getfd", errno: errno as i32 })
    }
}

/// A descriptor of a process, if it still leads to this file: its number may have been given to another.
fn borrow(process: &PidFd, fd: i32, id: FileId) -> nix::Result<OwnedFd> {
    let ours = process.descriptor(fd)?;
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
    devices: Devices,
    files: Files,
    pub gaps: Vec<Gap>,
}

/// Files in the order in which they were found, and where each is.
#[derive(Default, Debug)]
struct Files {
    list: Vec<OpenFile>,
    index: HashMap<(What, FileId), usize>,
}

impl Files {
    fn entry(&mut self, what: What, id: FileId, make: impl FnOnce() -> OpenFile) -> &mut OpenFile {
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

    pub fn get(&self, what: What, id: FileId) -> Option<&OpenFile> {
        self.files.index.get(&(what, id)).map(|at| &self.files.list[*at])
    }

    /// The file of this number. One file system holds all of a kind, but for FIFOs.
    pub fn numbered(&self, what: What, ino: u64) -> Option<&OpenFile> {
        let dev = match what {
            What::Fifo => None,
            What::Pipe => self.devices.pipe,
            What::Socket => self.devices.socket,
            What::Memfd => self.devices.memory,
            What::Eventfd => self.devices.anonymous,
        };
        self.get(what, FileId { dev: dev?, ino })
    }
}

/// The pids that /proc shows.
pub fn pids() -> nix::Result<Vec<i32>> {
    let entries = Dir::open("/proc", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    Ok(entries.into_iter().flatten().filter_map(|entry| number(entry.file_name())).collect())
}

fn number(name: &CStr) -> Option<i32> {
    name.to_str().ok()?.parse().ok().filter(|number| *number >= 0)
}

/// From this many processes on, several threads share the work: it is all system calls.
const WORTH_THREADS: usize = 64;
const MOST_THREADS: usize = 8;

/// Looks at every process, on several threads if there are many; what each thread has gathered.
pub fn share<T: Send>(pids: &[i32], start: impl Fn() -> T + Sync, look: impl Fn(&mut T, i32) + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut gathered = start();
        while let Some(pid) = pids.get(next.fetch_add(1, Ordering::Relaxed)) {
            look(&mut gathered, *pid);
        }
        gathered
    };
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let helpers = if pids.len() < WORTH_THREADS { 0 } else { processors.min(MOST_THREADS) - 1 };
    std::thread::scope(|scope| {
        // Where no thread can be made, the others do its part.
        let spawn = || std::thread::Builder::new().spawn_scoped(scope, work).ok();
        let others: Vec<_> = (0..helpers).filter_map(|_| spawn()).collect();
        let mut all = vec![work()];
        let join = |thread: ScopedJoinHandle<'_, T>| thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        all.extend(others.into_iter().map(join));
        all
    })
}

fn pass(fill: bool) -> Descriptors {
    let pids = match pids() {
        Ok(pids) => pids,
        Err(errno) => {
            let reason = Reason { call: "open", errno: errno as i32 };
            let note = Some("could not look at /proc; what processes have open is not known".to_owned());
            let gap = Gap { subject: "open descriptors".to_owned(), field: None, reason, note };
            return Descriptors { gaps: vec![gap], ..Descriptors::default() };
        }
    };
    let (devices, clock) = (Devices::learn(), Clock::now());
    let start = || Part { devices, clock, fill, files: Files::default(), hidden: 0 };
    let mut parts = share(&pids, start, Part::look).into_iter();
    let mut whole = parts.next().unwrap_or_else(start);
    for part in parts {
        whole.merge(part);
    }
    whole.finish()
}

/// The clock of start times, proc_pid_stat(5).
#[derive(Clone, Copy)]
pub struct Clock {
    boot: u64,
    per_second: u64,
}

impl Clock {
    pub fn now() -> Clock {
        Clock { boot: procfs::boot_time_secs().unwrap_or(0), per_second: procfs::ticks_per_second().max(1) }
    }

    /// Short name and start time of a process, from the bytes of its stat file: the name stands between
    /// the first and the last parenthesis and may hold any others.
    pub fn read(self, stat: &[u8]) -> Option<(Text, i64)> {
        let (open, close) = (memchr::memchr(b'(', stat)?, memchr::memrchr(b')', stat)?);
        let name = stat.get(open + 1..close)?;
        let started: u64 =
            stat[close..].split(|byte| *byte == b' ').nth(20)?.utf8_chunks().next()?.valid().parse().ok()?;
        Some((Text::from(name), i64::try_from(self.boot + started / self.per_second).ok()?))
    }

    /// Short name and start time of the process that has a pid now.
    pub fn process(self, pid: i32) -> Option<(Text, i64)> {
        self.read(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
    }
}

/// What one thread has seen.
struct Part {
    devices: Devices,
    clock: Clock,
    fill: bool,
    files: Files,
    /// Processes whose descriptors we may not see.
    hidden: usize,
}

/// One process while it is looked at; what costs a call is looked up when it has something open.
struct Process {
    pid: i32,
    who: Option<(Text, i64)>,
    handle: Option<nix::Result<PidFd>>,
}

impl Process {
    fn fill(&mut self, fd: i32, id: FileId) -> Result<Fill, Reason> {
        let process = self.handle.get_or_insert_with(|| PidFd::open(self.pid));
        let ours = process.as_ref().map_err(|errno| *errno).and_then(|process| borrow(process, fd, id));
        let filled = ours.and_then(|fd| Ok(Fill { unread: pipe::unread(&fd)?, capacity: pipe::capacity(&fd)? }));
        filled.map_err(|errno| Reason { call: "pidfd_getfd", errno: errno as i32 })
    }
}

impl Part {
    fn look(&mut self, pid: i32) {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let opened = openat(AT_FDCWD, format!("/proc/{pid}/fd").as_str(), flags, Mode::empty());
        let directory = match opened.and_then(|fd| Ok((Dir::from_fd(fd.try_clone().map_err(|_| Errno::EMFILE)?)?, fd)))
        {
            Ok(directory) => directory,
            Err(errno) => {
                self.hidden += usize::from(matches!(errno, Errno::EACCES | Errno::EPERM));
                return;
            }
        };
        let mut process = Process { pid, who: None, handle: None };
        let (entries, directory) = directory;
        for entry in entries.into_iter().flatten() {
            let name = entry.file_name();
            if let Some(fd) = number(name) {
                // A descriptor that was closed meanwhile is none.
                self.descriptor(&directory, name, fd, &mut process);
            }
        }
    }

    fn descriptor(&mut self, directory: &OwnedFd, name: &CStr, fd: i32, process: &mut Process) -> Option<()> {
        let stat = fstatat(directory, name, AtFlags::empty()).ok()?;
        let mut id = FileId::of(&stat);
        let device = Some(id.dev);
        let mut label = None;
        let mut counter = None;
        let what = match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFIFO if device == self.devices.pipe => What::Pipe,
            SFlag::S_IFIFO => What::Fifo,
            SFlag::S_IFSOCK if device == self.devices.socket => What::Socket,
            SFlag::S_IFREG if device == self.devices.memory => {
                label = Some(link(directory, name)?);
                label.as_ref()?.raw().starts_with(b"/memfd:").then_some(What::Memfd)?
            }
            // The anonymous inode has no type in its mode, or that of a regular file.
            _ if device == self.devices.anonymous => {
                (link(directory, name)?.raw() == b"anon_inode:[eventfd]").then_some(())?;
                let known = eventfd(&std::fs::read(format!("/proc/{}/fdinfo/{fd}", process.pid)).ok()?)?;
                id.ino = known.id;
                counter = Some(known);
                What::Eventfd
            }
            _ => return None,
        };
        let role = match what {
            What::Pipe | What::Fifo => role(&fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?)?,
            _ => Role::Both,
        };
        if process.who.is_none() {
            process.who = self.clock.process(process.pid);
        }
        let (command, started) = process.who.clone()?;
        let end = End { pid: process.pid, started, command, fd: Some(fd), role };
        let file = self.files.entry(what, id, || {
            if what == What::Fifo {
                label = link(directory, name);
            }
            let label = label.unwrap_or_else(|| Text::from(""));
            OpenFile { what, id, stat, label, counter, fill: None, ends: Vec::with_capacity(2) }
        });
        file.ends.push(Arc::new(end));
        if self.fill && matches!(what, What::Pipe | What::Fifo) && !matches!(file.fill, Some(Ok(_))) {
            file.fill = Some(process.fill(fd, id));
        }
        Some(())
    }

    fn merge(&mut self, other: Part) {
        self.hidden += other.hidden;
        for file in other.files.list {
            let Some(at) = self.files.index.get(&(file.what, file.id)) else {
                self.files.entry(file.what, file.id, || file);
                continue;
            };
            let known = &mut self.files.list[*at];
            known.ends.extend(file.ends);
            if !matches!(known.fill, Some(Ok(_))) {
                known.fill = file.fill;
            }
        }
    }

    fn finish(mut self) -> Descriptors {
        for file in &mut self.files.list {
            file.ends.sort_by_key(|end| (end.pid, end.fd));
        }
        let gap = || Gap {
            subject: format!("open descriptors of {} processes", self.hidden),
            field: None,
            reason: Reason { call: "open", errno: libc::EACCES },
            note: Some("they belong to others; what they have open is not known".to_owned()),
        };
        let gaps = if self.hidden > 0 { vec![gap()] } else { Vec::new() };
        Descriptors { devices: self.devices, files: self.files, gaps }
    }
}

fn link(directory: &OwnedFd, name: &CStr) -> Option<Text> {
    readlinkat(directory, name).ok().map(|text| Text::from(text.into_vec()))
}

/// The kernel shows in the mode of the link for what the file was opened (proc_pid_fd(5)); a descriptor
/// of O_PATH has neither and is no end.
fn role(link: &FileStat) -> Option<Role> {
    let mode = Mode::from_bits_truncate(link.st_mode);
    match (mode.contains(Mode::S_IRUSR), mode.contains(Mode::S_IWUSR)) {
        (true, true) => Some(Role::Both),
        (true, false) => Some(Role::Read),
        (false, true) => Some(Role::Write),
        (false, false) => None,
    }
}

/// `eventfd-count` is hexadecimal, `eventfd-id` decimal. Kernels before 5.2 have no id, and then nobody
/// can tell one from another.
fn eventfd(fdinfo: &[u8]) -> Option<Counter> {
    let mut counter = Counter::default();
    let mut id = None;
    for line in fdinfo.split(|byte| *byte == b'\n') {
        let line = std::str::from_utf8(line).ok()?;
        let Some((key, value)) = line.split_once(':') else { continue };
        match (key, value.trim()) {
            ("eventfd-count", count) => counter.count = u64::from_str_radix(count, 16).ok()?,
            ("eventfd-id", number) => id = number.parse().ok(),
            ("eventfd-semaphore", flag) => counter.semaphore = flag != "0",
            _ => {}
        }
    }
    id.map(|id| Counter { id, ..counter })
}

/// Opens a directory of /proc/PID relative to which it is read, so that a pid that is given to another
/// process meanwhile mixes nothing up.
pub fn directory(pid: i32) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    openat(AT_FDCWD, format!("/proc/{pid}").as_str(), flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: Clock = Clock { boot: 1000, per_second: 100 };

    #[test]
    fn a_short_name_may_hold_parentheses_spaces_and_other_bytes() {
        let mut stat = b"42 (a) (b \xff\n) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 ".to_vec();
        stat.extend_from_slice(b"12345 1 2 3\n");
        assert_eq!(CLOCK.read(&stat), Some((Text::from(&b"a) (b \xff\n"[..]), 1123)));
        for odd in [
            &b""[..],
            b"42",
            b"42 (x",
            b"42 )x(",
            b"42 (x) S 1 2",
            b"42 (x) S 1 42 42 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 x",
        ] {
            assert_eq!(CLOCK.read(odd), None, "{}", odd.escape_ascii());
        }
    }

    #[test]
    fn an_eventfd_is_read_from_its_fdinfo() {
        let text = b"pos:\t0\nflags:\t02\nmnt_id:\t15\nino:\t1050\neventfd-count:               1f\neventfd-id: 7\neventfd-semaphore: 1\n";
        assert_eq!(eventfd(text), Some(Counter { id: 7, count: 31, semaphore: true }));
        assert_eq!(eventfd(b"eventfd-count: 1\n"), None);
        assert_eq!(eventfd(b"eventfd-count: x\neventfd-id: 7\n"), None);
        assert_eq!(eventfd(b"\xff"), None);
    }

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
}
