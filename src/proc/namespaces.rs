//! IPC namespaces, ipc_namespaces(7): which there are, who is in them, and the way into each.
//!
//! The kernel has no list of them. They are found where they can be held: by a process, by a descriptor that
//! some process has open, by a mount of ours. One that only a single thread of a process is in, or only a
//! mount of another mount namespace, or a descriptor under way in a socket, is not found.

use super::processes::{directory, number, pids, read_line, share};
use super::{container, mounts};
use crate::model::Text;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{Mode, fstat, fstatat, stat};
use std::collections::{BTreeMap, HashSet};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// One IPC namespace.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Namespace {
    /// The inode number in the file system of namespaces; it is given out again after the namespace has gone.
    pub inode: u64,
    /// The processes in it, in ascending order.
    pub pids: Vec<i32>,
    /// Of each mount namespace among them the first process.
    pub mounts: Vec<i32>,
    /// What else holds it.
    pub held: Vec<Held>,
}

/// What holds a namespace besides the processes in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Held {
    Descriptor { pid: i32, fd: i32 },
    Mount(PathBuf),
}

/// All of them, in the order of their inodes.
#[derive(Default, Debug)]
pub struct Namespaces {
    pub list: Vec<Namespace>,
    /// How many processes did not let us see in which one they are.
    pub hidden: usize,
}

/// The number in `ipc:[4026532222]`, as the kernel calls such a namespace in links and in mountinfo.
pub fn inode(name: &[u8]) -> Option<u64> {
    let digits = name.strip_prefix(b"ipc:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|c| c.is_ascii_digit()))?.parse().ok()
}

/// That of one process. ESRCH where there is no such process, EACCES where it does not let us see it.
pub fn of_process(pid: i32) -> nix::Result<Namespace> {
    let look = || fstatat(&directory(pid)?, "ns/ipc", AtFlags::empty());
    let inode = look().map_err(|errno| if errno == Errno::ENOENT { Errno::ESRCH } else { errno })?.st_ino;
    Ok(Namespace { inode, pids: vec![pid], mounts: vec![pid], held: Vec::new() })
}

/// Every IPC namespace that we can find.
pub fn all() -> nix::Result<Namespaces> {
    let device = stat("/proc/self/ns/ipc")?.st_dev;
    let parts = share(&pids()?, Part::default, |part, pid| part.look(pid, device));
    Ok(merge(parts, mounts::ipc_namespaces()))
}

/// What one thread has seen.
#[derive(Default)]
struct Part {
    members: Vec<Member>,
    held: Vec<(u64, Held)>,
    hidden: usize,
}

/// A process with the inodes of its namespaces.
struct Member {
    pid: i32,
    ipc: u64,
    mount: Option<u64>,
}

impl Part {
    fn look(&mut self, pid: i32, device: u64) {
        let Ok(process) = directory(pid) else { return };
        match fstatat(&process, "ns/ipc", AtFlags::empty()) {
            Ok(stat) => {
                let mount = fstatat(&process, "ns/mnt", AtFlags::empty()).ok().map(|stat| stat.st_ino);
                self.members.push(Member { pid, ipc: stat.st_ino, mount });
            }
            Err(Errno::EACCES | Errno::EPERM) => self.hidden += 1,
            // It has ended.
            Err(_) => return,
        }
        self.descriptors(&process, pid, device);
    }

    /// The namespaces that a process has open. The text of a link costs its file system no look at the file, and
    /// the device says that it is the kernel's.
    fn descriptors(&mut self, process: &OwnedFd, pid: i32, device: u64) -> Option<()> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut directory = Dir::openat(process, "fd", flags, Mode::empty()).ok()?;
        let open: Vec<i32> =
            directory.iter().map_while(Result::ok).filter_map(|entry| number(entry.file_name())).collect();
        for fd in open {
            let name = fd.to_string();
            let Ok(link) = readlinkat(&directory, name.as_str()) else { continue };
            if let Some(inode) = inode(link.as_bytes())
                && fstatat(&directory, name.as_str(), AtFlags::empty()).is_ok_and(|stat| is(&stat, device, inode))
            {
                self.held.push((inode, Held::Descriptor { pid, fd }));
            }
        }
        Some(())
    }
}

fn is(stat: &nix::sys::stat::FileStat, device: u64, inode: u64) -> bool {
    (stat.st_dev, stat.st_ino) == (device, inode)
}

fn merge(parts: Vec<Part>, mounted: Vec<(u64, PathBuf)>) -> Namespaces {
    let mut members = Vec::new();
    let mut held = Vec::new();
    let mut hidden = 0;
    for part in parts {
        members.extend(part.members);
        held.extend(part.held);
        hidden += part.hidden;
    }
    members.sort_by_key(|member| member.pid);
    held.extend(mounted.into_iter().map(|(inode, path)| (inode, Held::Mount(path))));
    let mut found: BTreeMap<u64, Namespace> = BTreeMap::new();
    let mut seen = HashSet::new();
    for Member { pid, ipc, mount } in members {
        let namespace = found.entry(ipc).or_default();
        namespace.pids.push(pid);
        if seen.insert((ipc, mount)) {
            namespace.mounts.push(pid);
        }
    }
    for (inode, held) in held {
        found.entry(inode).or_default().held.push(held);
    }
    let list = found.into_iter().map(|(inode, namespace)| Namespace { inode, ..namespace });
    Namespaces { list: list.collect(), hidden }
}

impl Namespace {
    /// The process that stands for all of them: one that is the init of its PID namespace, as in a container, or
    /// else the first.
    pub fn leader(&self) -> Option<i32> {
        match self.pids[..] {
            [] => None,
            [only] => Some(only),
            [first, ..] => Some(self.pids.iter().copied().find(|pid| is_init(*pid)).unwrap_or(first)),
        }
    }

    /// A descriptor of it; `None` once nothing of what held it does so any more.
    pub fn open(&self) -> nix::Result<Option<OwnedFd>> {
        let of_process = |pid: &i32| {
            let namespace = openat(AT_FDCWD, format!("/proc/{pid}/ns/ipc").as_str(), READ, Mode::empty())?;
            Ok((fstat(&namespace)?.st_ino == self.inode).then_some(namespace))
        };
        let of_holder = |held: &Held| match held {
            Held::Descriptor { pid, fd } => open(format!("/proc/{pid}/fd/{fd}").as_ref(), self.inode),
            Held::Mount(path) => open(path, self.inode),
        };
        let mut refused = None;
        for opened in self.pids.iter().map(of_process).chain(self.held.iter().map(of_holder)) {
            match opened {
                Ok(Some(namespace)) => return Ok(Some(namespace)),
                Ok(None) | Err(Errno::ENOENT | Errno::ESRCH) => {}
                Err(errno) => refused = Some(errno),
            }
        }
        refused.map_or(Ok(None), Err)
    }

    /// What people know it by: its leading process, if it has one, or else what holds it.
    pub fn label(&self, leader: Option<i32>) -> Option<Text> {
        let of_holder = |held: &Held| match held {
            Held::Descriptor { pid, .. } => label(*pid),
            Held::Mount(path) => Some(Text::from(path.as_os_str().as_bytes())),
        };
        leader.and_then(label).or_else(|| self.held.iter().find_map(of_holder))
    }
}

const READ: OFlag = OFlag::O_RDONLY.union(OFlag::O_CLOEXEC);

/// The container in which a process runs, or else its short name.
pub fn label(pid: i32) -> Option<Text> {
    let process = directory(pid).ok()?;
    let within = |name: &str| Some(format!("/proc/self/fd/{}/{name}", process.as_raw_fd()));
    let mut groups = [0; 4096];
    let container = within("cgroup").and_then(|path| container::of(read_line(&path, &mut groups)?));
    container.or_else(|| {
        let mut line = [0; 64];
        let name = read_line(&within("comm")?, &mut line)?;
        Some(Text::from(name.strip_suffix(b"\n").unwrap_or(name)))
    })
}

/// The root directory of a process, if it still is in this IPC namespace; good for looking things up in.
pub fn root(pid: i32, ipc: u64) -> nix::Result<OwnedFd> {
    let process = directory(pid)?;
    if fstatat(&process, "ns/ipc", AtFlags::empty())?.st_ino != ipc {
        return Err(Errno::ESRCH);
    }
    openat(&process, "root", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
}

/// Opens a namespace by a path that may lead to something else by now, which is then left alone.
fn open(path: &Path, inode: u64) -> nix::Result<Option<OwnedFd>> {
    let device = stat("/proc/self/ns/ipc")?.st_dev;
    // What is opened with O_PATH does not notice.
    let seen = openat(AT_FDCWD, path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    if !is(&fstat(seen.as_fd())?, device, inode) {
        return Ok(None);
    }
    let through = format!("/proc/self/fd/{}", seen.as_raw_fd());
    openat(AT_FDCWD, through.as_str(), READ, Mode::empty()).map(Some)
}

/// Whether a process is number 1 of its PID namespace.
fn is_init(pid: i32) -> bool {
    let mut status = [0; 4096];
    read_line(&format!("/proc/{pid}/status"), &mut status).is_some_and(|status| innermost(status) == Some(1))
}

/// The pid in the PID namespace of the process itself, the last one in the line `NSpid` of its status.
fn innermost(status: &[u8]) -> Option<i32> {
    let line = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"NSpid:"))?;
    std::str::from_utf8(line).ok()?.split_ascii_whitespace().next_back()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_namespace_holds_its_number() {
        assert_eq!(inode(b"ipc:[4026531839]"), Some(4_026_531_839));
        for odd in [
            "",
            "ipc:[]",
            "ipc:[+1]",
            "ipc:[1",
            "mnt:[1]",
            "/ipc:[1]",
            "ipc:[1] (deleted)",
            "ipc:[99999999999999999999]",
        ] {
            assert_eq!(inode(odd.as_bytes()), None, "{odd}");
        }
    }

    #[test]
    fn the_last_pid_of_a_process_is_that_of_its_own_namespace() {
        assert_eq!(innermost(b"Name:\tx\nNSpid:\t4711\t1\nFDSize: 1\n"), Some(1));
        assert_eq!(innermost(b"NSpid:\t4711\n"), Some(4711));
        assert_eq!(innermost(b"NSpid:\n"), None);
        assert_eq!(innermost(b"Pid:\t1\n"), None);
    }

    #[test]
    fn processes_are_grouped_by_namespace_and_by_what_they_see_of_files() {
        let member = |pid, ipc, mount| Member { pid, ipc, mount: Some(mount) };
        let first = Part { members: vec![member(9, 1, 5), member(3, 2, 6)], held: Vec::new(), hidden: 1 };
        let held = vec![(7, Held::Descriptor { pid: 9, fd: 3 })];
        let second = Part { members: vec![member(4, 1, 5), member(11, 1, 6)], held, hidden: 2 };
        let found = merge(vec![first, second], vec![(2, PathBuf::from("/run/ns"))]);
        let expected = [
            Namespace { inode: 1, pids: vec![4, 9, 11], mounts: vec![4, 11], held: Vec::new() },
            Namespace { inode: 2, pids: vec![3], mounts: vec![3], held: vec![Held::Mount("/run/ns".into())] },
            Namespace { inode: 7, held: vec![Held::Descriptor { pid: 9, fd: 3 }], ..Namespace::default() },
        ];
        assert_eq!((&found.list[..], found.hidden), (&expected[..], 3));
    }

    #[test]
    fn our_own_namespace_is_among_them_and_can_be_opened() {
        let ours = crate::proc::namespace::ours().unwrap();
        let all = all().unwrap();
        let own = all.list.iter().find(|namespace| namespace.inode == ours).unwrap();
        assert!(own.pids.contains(&i32::try_from(std::process::id()).unwrap()));
        assert_eq!(fstat(own.open().unwrap().unwrap()).unwrap().st_ino, ours);
        assert_eq!(of_process(i32::MAX), Err(Errno::ESRCH));
    }

    #[test]
    fn a_namespace_that_has_gone_is_none_and_what_took_its_place_is_not_opened() {
        let process = i32::try_from(std::process::id()).unwrap();
        let (_read, write) = nix::unistd::pipe().unwrap();
        let held = vec![Held::Descriptor { pid: process, fd: write.as_raw_fd() }, Held::Mount("/nowhere".into())];
        let gone = Namespace { inode: 1, pids: vec![process, i32::MAX], mounts: Vec::new(), held };
        assert!(gone.open().unwrap().is_none());
    }
}
