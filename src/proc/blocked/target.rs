//! A process that is looked into.

use super::memory::Memory;
use crate::proc::processes::{directory, number};
use crate::proc::shared::{Identities, Shared};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, fstatat};
use std::cell::OnceCell;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A process by its directory in /proc: everything is read relative to it, so that a pid that is given to
/// another process meanwhile mixes nothing up. What has been opened or looked up is kept.
pub(in crate::proc) struct Target {
    pub pid: i32,
    directory: OwnedFd,
    memory: OnceCell<Option<Memory>>,
    namespace: OnceCell<u64>,
    shared: OnceCell<Option<Shared>>,
}

/// One of its threads.
#[derive(Clone, Debug)]
pub(in crate::proc) struct Thread {
    pub tid: i32,
    /// What stands before the names of its files; nothing for the first thread of a process that has no
    /// other.
    prefix: String,
}

impl Thread {
    /// A file of the thread, as a path in the directory of its process.
    pub fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

impl Target {
    pub fn open(pid: i32) -> nix::Result<Target> {
        let directory = directory(pid)?;
        Ok(Target { pid, directory, memory: OnceCell::new(), namespace: OnceCell::new(), shared: OnceCell::new() })
    }

    /// Its threads, in no order. Empty if it has ended.
    pub fn threads(&self) -> Vec<Thread> {
        // A directory has a link for each one below it.
        if self.stat("task").is_ok_and(|stat| stat.st_nlink <= 3) {
            return vec![Thread { tid: self.pid, prefix: String::new() }];
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let Ok(entries) = Dir::openat(&self.directory, "task", flags, Mode::empty()) else { return Vec::new() };
        let tids = entries.into_iter().map_while(Result::ok).filter_map(|entry| number(entry.file_name()));
        tids.map(|tid| Thread { tid, prefix: format!("task/{tid}/") }).collect()
    }

    /// Opens a file of /proc/PID to read it.
    pub fn file(&self, name: &str) -> nix::Result<OwnedFd> {
        openat(&self.directory, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
    }

    /// Reads a file that has one short line, in as few calls as there can be.
    pub fn line<'a>(&self, name: &str, line: &'a mut [u8]) -> nix::Result<&'a [u8]> {
        let got = nix::unistd::read(self.file(name)?, line)?;
        Ok(&line[..got])
    }

    /// The whole of a longer one.
    pub fn read(&self, name: &str) -> nix::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let got = File::from(self.file(name)?).read_to_end(&mut bytes);
        got.map(|_| bytes).map_err(|error| crate::sys::file::errno(&error))
    }

    pub fn stat(&self, name: impl AsRef<Path>) -> nix::Result<FileStat> {
        fstatat(&self.directory, name.as_ref(), AtFlags::empty())
    }

    /// What stands at the name itself, not what it leads to.
    pub fn stat_link(&self, name: &str) -> nix::Result<FileStat> {
        fstatat(&self.directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)
    }

    pub fn link(&self, name: &str) -> nix::Result<PathBuf> {
        readlinkat(&self.directory, name).map(PathBuf::from)
    }

    /// Its memory, opened once; `None` if it may not be read.
    pub fn memory(&self) -> Option<&Memory> {
        self.memory.get_or_init(|| self.file("mem").ok().map(Memory::from)).as_ref()
    }

    /// What it shares through its mappings, read once; `None` if that may not be seen.
    pub fn shared(&self, identities: &Identities) -> Option<&Shared> {
        self.shared.get_or_init(|| Shared::read(&self.directory, identities).ok()).as_ref()
    }

    /// Its IPC namespace; 0 where that may not be seen.
    pub fn namespace(&self) -> u64 {
        *self.namespace.get_or_init(|| self.stat("ns/ipc").map_or(0, |stat| stat.st_ino))
    }

    /// Whether it is a 32-bit program: the fifth byte of its executable file, EI_CLASS of elf(5). True also
    /// where that cannot be read.
    pub fn is_32_bit(&self) -> bool {
        let mut head = [0; 5];
        let class = self.line("exe", &mut head).and_then(|head| head.get(4).copied().ok_or(Errno::ENOEXEC));
        class.map_or(true, |class| class == 1)
    }
}
