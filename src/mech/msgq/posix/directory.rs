//! The mqueue file system, in which every POSIX queue of an IPC namespace is a file.

use crate::mech::msgq::sys;
use crate::mech::{Root, devshm};
use crate::model::{Gap, Reason};
use crate::proc::mounts;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{Mode, fstat, fstatat};
use nix::sys::statfs::fstatfs;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The queues of the calling thread's IPC namespace as a directory: without a mount point where we may, else by
/// way of wherever the file system is mounted.
pub(super) fn directory(root: &Root) -> std::result::Result<OwnedFd, Gap> {
    let unmounted = match sys::mqueue_directory() {
        Ok(directory) => return Ok(directory),
        Err(errno) => errno,
    };
    let gap = |call, errno: Errno, note: String| Gap {
        subject: "POSIX message queues".to_owned(),
        field: None,
        reason: Reason { call, errno: errno as i32 },
        note: Some(note),
    };
    if unmounted == Errno::ENODEV {
        return Err(gap(
            "fsopen",
            unmounted,
            "this kernel has no POSIX message queues (CONFIG_POSIX_MQUEUE)".to_owned(),
        ));
    }
    let mounted = match root {
        Root::Ours => mounts::of_type(b"mqueue").into_iter().next(),
        Root::Process(_) | Root::Nowhere => Some(PathBuf::from("/dev/mqueue")),
    };
    let Some(mounted) = mounted else {
        let note = "could not look: no mqueue file system is mounted (root can: mount -t mqueue none /dev/mqueue), and looking \
                    without one needs CAP_SYS_ADMIN";
        return Err(gap("fsopen", unmounted, note.to_owned()));
    };
    let directory = open(root, &mounted)
        .map_err(|errno| gap("open", errno, format!("could not look into {}", devshm::shown(&mounted))))?;
    if is_foreign(&directory) {
        let note = format!("could not look: {} is that of another IPC namespace", devshm::shown(&mounted));
        return Err(gap("fsopen", unmounted, note));
    }
    Ok(directory)
}

/// Opens a directory in which mqueue is mounted. ENOENT where in another root nothing, or something else, is.
fn open(root: &Root, mounted: &Path) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    if matches!(root, Root::Ours) {
        return nix::fcntl::open(mounted, flags, Mode::empty());
    }
    let place = root.directory(mounted.to_str().unwrap_or_default())?;
    let directory = nix::fcntl::open(place.path(), flags, Mode::empty())?;
    // ipc/mqueue.c. The type of the number differs between C libraries.
    const MQUEUE_MAGIC: u32 = 0x1980_0202;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::unnecessary_cast)]
    let kind = fstatfs(&directory)?.filesystem_type().0 as u32;
    if kind == MQUEUE_MAGIC { Ok(directory) } else { Err(Errno::ENOENT) }
}

/// Whether a mounted mqueue file system shows the queues of another IPC namespace: then its names
/// name nothing to mq_open(3), or another queue. An empty one says nothing.
fn is_foreign(directory: &OwnedFd) -> bool {
    let Ok(entries) = Dir::openat(directory, ".", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()) else {
        return false;
    };
    let device = fstat(directory).map(|stat| stat.st_dev);
    let names = entries.into_iter().map_while(Result::ok).map(|entry| entry.file_name().to_owned());
    let evidence = names.filter(|name| !matches!(name.to_bytes(), b"." | b"..")).find_map(|file| {
        let name = CString::new([b"/", file.to_bytes()].concat()).ok()?;
        match sys::mq_open(&name, libc::O_RDONLY, 0, None) {
            Ok(queue) => Some(fstat(&queue).map(|stat| stat.st_dev) != device),
            // It may have gone in between.
            Err(Errno::ENOENT) => Some(fstatat(directory, file.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()),
            Err(_) => None,
        }
    });
    evidence.unwrap_or(false)
}
