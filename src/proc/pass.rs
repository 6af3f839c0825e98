//! The pass over the descriptors of all processes.

use super::holders::{Counter, Descriptors, FileId, Files, Fill, Mix, OpenFile, What, borrow};
use super::process::living_thread;
use super::processes::{Clock, INIT, hidden, leaves_out, number, pids, share};
use crate::model::{End, Gap, Reason, Role, Text};
use crate::sys::descriptor::Devices;
use crate::sys::pidfd::PidFd;
use crate::sys::pipe;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, FcntlArg, OFlag, fcntl, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, stat};
use nix::sys::statfs::{FsType, TMPFS_MAGIC, fstatfs};
use std::collections::HashMap;
use std::ffi::CStr;
use std::hash::BuildHasherDefault;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::sync::Arc;

/// What is looked at beyond what every descriptor tells by itself.
#[derive(Clone, Copy, Default)]
pub(super) struct Wanted {
    /// How full pipes are.
    pub(super) fill: bool,
    /// Which regular files are POSIX objects.
    pub(super) files: bool,
}

/// Looks at what every process has open.
pub(super) fn run(wanted: Wanted) -> Descriptors {
    let unknown = |call, errno, why: &str| {
        let reason = Reason { call, errno: errno as i32 };
        let note = Some(format!("{why}; what processes have open is not known"));
        let gap = Gap { subject: "open descriptors".to_owned(), field: None, reason, note };
        Descriptors { gaps: vec![gap], ..Descriptors::default() }
    };
    let mut pids = match pids() {
        Ok(pids) => pids,
        Err(errno) => return unknown("open", errno, "could not look at /proc"),
    };
    let (devices, clock) = (Devices::learn(), Clock::now());
    // A pipe would pass for a FIFO, and a socket for nothing.
    if let Some((call, errno)) = devices.failed {
        return unknown(call, errno, "could not learn what descriptors there are");
    }
    let start = || Part { devices, clock, wanted, systems: HashMap::default(), files: Files::default(), hidden: 0 };
    let listed = !leaves_out(&pids);
    let mut whole = start();
    // We come first: what the threads borrow from others is none of ours.
    if let Some(own) = own_pid() {
        pids.retain(|pid| *pid != own);
        whole.look(own);
    }
    for part in share(&pids, start, Part::look) {
        whole.merge(part);
    }
    whole.finish(listed)
}

/// Our pid as this /proc counts, which may be mounted for another PID namespace.
fn own_pid() -> Option<i32> {
    std::fs::read_link("/proc/self").ok()?.to_str()?.parse().ok()
}

/// What one thread has seen.
struct Part {
    devices: Devices,
    clock: Clock,
    wanted: Wanted,
    /// What the regular files of a device are, of those that were met.
    systems: HashMap<u64, Option<What>, BuildHasherDefault<Mix>>,
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
    /// A descriptor of it, to see what only an open pipe tells.
    fn borrow(&mut self, fd: i32, id: FileId) -> nix::Result<OwnedFd> {
        let process = self.handle.get_or_insert_with(|| PidFd::open(self.pid));
        process.as_ref().map_err(|errno| *errno).and_then(|process| borrow(self.pid, process, fd, id))
    }
}

fn fill(pipe: &OwnedFd) -> nix::Result<Fill> {
    Ok(Fill { unread: pipe::fill(pipe)? as u64, capacity: pipe::capacity(pipe)? as u64 })
}

impl Part {
    fn look(&mut self, pid: i32) {
        // Of a process whose first thread has ended, another one tells what is open. One with one thread, such as
        // each of the kernel's, just has nothing open; its directory of threads has three links, as any with one.
        if self.look_at(pid, &pid.to_string()) == Some(0)
            && stat(format!("/proc/{pid}/task").as_str()).is_ok_and(|tasks| tasks.st_nlink > 3)
            && let Some(tid) = living_thread(pid)
        {
            self.look_at(pid, &format!("{pid}/task/{tid}"));
        }
    }

    /// Looks at what one thread of a process has open; how many descriptors were seen, if they may be.
    fn look_at(&mut self, pid: i32, of: &str) -> Option<usize> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let opened = openat(AT_FDCWD, format!("/proc/{of}/fd").as_str(), flags, Mode::empty());
        let opened = opened.and_then(|fd| Ok((Dir::from_fd(fd.try_clone().map_err(|_| Errno::EMFILE)?)?, fd)));
        let (entries, directory) = match opened {
            Ok(opened) => opened,
            Err(errno) => {
                self.hidden += usize::from(matches!(errno, Errno::EACCES | Errno::EPERM));
                return None;
            }
        };
        let mut process = Process { pid, who: None, handle: None };
        let mut seen = 0;
        for entry in entries.into_iter().map_while(Result::ok) {
            let name = entry.file_name();
            let Some(fd) = number(name) else { continue };
            seen += 1;
            match fstatat(&directory, name, AtFlags::empty()) {
                Ok(stat) => _ = self.descriptor(&directory, name, (fd, stat), &mut process),
                // The names may be seen, and not what they lead to, proc_pid_fd(5).
                Err(Errno::EACCES | Errno::EPERM) => {
                    self.hidden += usize::from(pid != INIT);
                    return None;
                }
                // A descriptor that was closed meanwhile is none.
                Err(_) => {}
            }
        }
        Some(seen)
    }

    fn descriptor(
        &mut self,
        directory: &OwnedFd,
        name: &CStr,
        (fd, stat): (i32, FileStat),
        process: &mut Process,
    ) -> Option<()> {
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
                let mut text = [0; 1024];
                let known = eventfd(beside(directory, &format!("fdinfo/{fd}"), &mut text)?)?;
                id.ino = known.id;
                counter = Some(known);
                What::Eventfd
            }
            SFlag::S_IFREG if self.wanted.files => self.of_system(id.dev, directory, name)?,
            _ => return None,
        };
        let is_pipe = matches!(what, What::Pipe | What::Fifo);
        let borrowed = (is_pipe && self.wanted.fill).then(|| process.borrow(fd, id));
        let role = match &borrowed {
            _ if matches!(what, What::Socket | What::Memfd | What::Eventfd) => Role::Both,
            // Faster than another look at the link.
            Some(Ok(ours)) => role_of_flags(OFlag::from_bits_retain(fcntl(ours, FcntlArg::F_GETFL).ok()?))?,
            _ => role(&fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?)?,
        };
        if process.who.is_none() {
            process.who = self.clock.read(beside(directory, "stat", &mut [0; 1024])?);
        }
        let (command, started) = process.who.clone()?;
        let end = End { pid: process.pid, started, command, fd: Some(fd), role };
        let file = self.files.entry(what, id, || {
            if matches!(what, What::Fifo | What::Shared | What::Queue) {
                label = link(directory, name);
            }
            let label = label.unwrap_or_else(|| Text::from(""));
            OpenFile { what, id, stat, label, counter, fill: None, ends: Vec::with_capacity(2) }
        });
        file.ends.push(Arc::new(end));
        if let Some(borrowed) = borrowed
            && !matches!(file.fill, Some(Ok(_)))
        {
            let filled = borrowed.and_then(|ours| fill(&ours));
            file.fill = Some(filled.map_err(|errno| Reason { call: "pidfd_getfd", errno: errno as i32 }));
        }
        Some(())
    }

    /// What a regular file is by the file system that it lies in, which is asked once for each.
    fn of_system(&mut self, dev: u64, directory: &OwnedFd, name: &CStr) -> Option<What> {
        if let Some(known) = self.systems.get(&dev) {
            return *known;
        }
        /// include/uapi/linux/magic.h has none for it: MQUEUE_MAGIC in ipc/mqueue.c.
        const MQUEUE: FsType = FsType(0x1980_0202);
        // O_PATH opens nothing. What the number leads to now may lie elsewhere, and says nothing of this device.
        let file = openat(directory, name, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
        if fstat(&file).ok()?.st_dev != dev {
            return None;
        }
        let what = match fstatfs(&file).ok()?.filesystem_type() {
            TMPFS_MAGIC => Some(What::Shared),
            MQUEUE => Some(What::Queue),
            _ => None,
        };
        self.systems.insert(dev, what);
        what
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

    fn finish(mut self, listed: bool) -> Descriptors {
        for file in &mut self.files.list {
            file.ends.sort_by_key(|end| (end.pid, end.fd));
        }
        let gap = |who| Gap {
            subject: format!("open descriptors of {who}"),
            field: None,
            reason: Reason { call: "open", errno: libc::EACCES },
            note: Some("they belong to others; what they have open is not known".to_owned()),
        };
        let gaps = hidden(self.hidden, listed).map(gap).into_iter().collect();
        Descriptors { devices: self.devices, files: self.files, gaps }
    }
}

/// A short file of the process whose descriptors a directory has. It is reached from there, for the pid may be that
/// of another process by now.
fn beside<'a>(directory: &OwnedFd, file: &str, text: &'a mut [u8]) -> Option<&'a [u8]> {
    let file = openat(directory, format!("../{file}").as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
    let got = nix::unistd::read(&file.ok()?, text).ok()?;
    Some(&text[..got])
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

fn role_of_flags(flags: OFlag) -> Option<Role> {
    match flags & OFlag::O_ACCMODE {
        _ if flags.contains(OFlag::O_PATH) => None,
        OFlag::O_RDONLY => Some(Role::Read),
        OFlag::O_WRONLY => Some(Role::Write),
        _ => Some(Role::Both),
    }
}

/// `eventfd-count` is hexadecimal, `eventfd-id` decimal. Kernels before 5.2 have no id, and then nobody
/// can tell one from another.
pub(super) fn eventfd(fdinfo: &[u8]) -> Option<Counter> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eventfd_is_read_from_its_fdinfo() {
        let text = b"pos:\t0\nflags:\t02\nmnt_id:\t15\nino:\t1050\neventfd-count:               1f\neventfd-id: 7\neventfd-semaphore: 1\n";
        assert_eq!(eventfd(text), Some(Counter { id: 7, count: 31, semaphore: true }));
        assert_eq!(eventfd(b"eventfd-count: 1\n"), None);
        assert_eq!(eventfd(b"eventfd-count: x\neventfd-id: 7\n"), None);
        assert_eq!(eventfd(b"\xff"), None);
    }
}
