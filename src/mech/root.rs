//! Where POSIX objects are looked for: shared memory and named semaphores are files in the /dev/shm of a
//! mount namespace, and the names of queues can be seen where mqueue is mounted.

use crate::proc::holders::FileId;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{fstat, stat};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

/// A root directory with its mounts.
pub enum Root {
    /// Our own.
    Ours,
    /// That of another process, opened with O_PATH.
    Process(OwnedFd),
    /// None: nobody is there whose directories could be looked at.
    Nowhere,
}

impl Root {
    /// Which directory /dev/shm is here: two roots may share it. ENOENT where there is none.
    pub fn shm(&self) -> nix::Result<FileId> {
        let directory = self.directory(super::devshm::DIRECTORY)?;
        let stat = match &directory.open {
            Some(open) => fstat(open)?,
            None => stat(&directory.path)?,
        };
        Ok(FileId::of(&stat))
    }

    /// A directory by its absolute path. Symbolic links of another root lead nowhere outside of it, and what
    /// is no directory is not opened. ENOSYS before Linux 5.6, for other roots than ours.
    pub(super) fn directory(&self, path: &str) -> nix::Result<Directory> {
        let root = match self {
            Root::Ours => return Ok(Directory { path: path.into(), open: None }),
            Root::Nowhere => return Err(Errno::ENOENT),
            Root::Process(root) => root,
        };
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let open = openat2(root, path, how)?;
        Ok(Directory { path: format!("/proc/self/fd/{}", open.as_raw_fd()).into(), open: Some(open) })
    }
}

/// A directory, for as long as it is held.
pub(super) struct Directory {
    path: PathBuf,
    /// What the path leads through, for a directory of another root.
    open: Option<OwnedFd>,
}

impl Directory {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;

    #[test]
    fn links_of_another_root_stay_within_it() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("run")).unwrap();
        std::os::unix::fs::symlink("/run", root.path().join("inside")).unwrap();
        std::os::unix::fs::symlink("/../../../../../../proc", root.path().join("outside")).unwrap();
        std::fs::write(root.path().join("file"), "").unwrap();
        let open = nix::fcntl::open(root.path(), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).unwrap();
        let other = Root::Process(open);
        let run = other.directory("/inside").unwrap();
        assert_eq!(stat(run.path()).unwrap().st_ino, stat(&root.path().join("run")).unwrap().st_ino);
        assert_eq!(other.directory("/outside").map(drop), Err(Errno::ENOENT));
        assert_eq!(other.directory("/file").map(drop), Err(Errno::ENOTDIR));
        assert_eq!(other.shm(), Err(Errno::ENOENT));
        assert_eq!(Root::Nowhere.shm(), Err(Errno::ENOENT));
    }
}
