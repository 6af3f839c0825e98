//! Files: made in one step, looked at without being disturbed.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::sys::statfs::statfs;
use nix::unistd::{Whence, lseek};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

pub fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// Opens a file without following a symbolic link at its end and without blocking on a FIFO.
pub fn open_plain(path: &Path, flags: OFlag) -> nix::Result<(OwnedFd, FileStat)> {
    let fd =
        open(path, flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY, Mode::empty())?;
    let stat = fstat(&fd)?;
    Ok((fd, stat))
}

/// Whether only processes of this machine can use what a path leads to: it is on a file system that cannot be
/// shared with another kernel. Of one that is not known to be such, this is not known.
pub fn is_of_this_machine(path: &Path) -> bool {
    /// ext4, tmpfs, ramfs, xfs, btrfs, f2fs, overlay, zfs, bcachefs: include/uapi/linux/magic.h and theirs.
    const LOCAL: [i64; 9] = [
        0xef53,
        0x0102_1994,
        0x8584_58f6,
        0x5846_5342,
        0x9123_683e,
        0xf2f5_2010,
        0x794c_7630,
        0x2fc1_2fc1,
        0xca45_1a4e,
    ];
    // The width of the member differs between C libraries and machines.
    #[allow(clippy::unnecessary_cast)]
    statfs(path).is_ok_and(|fs| LOCAL.contains(&(fs.filesystem_type().0 as i64 & 0xffff_ffff)))
}

/// Makes a file that nobody can see before `fill` has prepared it: an unnamed file, then its name.
/// EEXIST if the name is taken; nothing is left behind on failure. The umask applies to `mode`.
///
/// Where the file system has no unnamed files (O_TMPFILE, open(2)), the file is made under its name,
/// and removed again when `fill` fails.
pub fn create(path: &Path, mode: u32, fill: impl Fn(&OwnedFd) -> nix::Result<()>) -> nix::Result<OwnedFd> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mode = Mode::from_bits_truncate(mode);
    match open(directory, OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC, mode) {
        Ok(fd) => {
            fill(&fd)?;
            let unnamed = format!("/proc/self/fd/{}", fd.as_raw_fd());
            match nix::unistd::linkat(
                nix::fcntl::AT_FDCWD,
                unnamed.as_str(),
                nix::fcntl::AT_FDCWD,
                path,
                AtFlags::AT_SYMLINK_FOLLOW,
            ) {
                // Without /proc there is no way from a descriptor to a name.
                Err(Errno::ENOENT) if !Path::new("/proc/self/fd").exists() => {}
                result => return result.map(|()| fd),
            }
        }
        Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL) => {}
        Err(errno) => return Err(errno),
    }
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_RDWR | OFlag::O_CLOEXEC;
    let fd = open(path, flags, mode)?;
    match fill(&fd) {
        Ok(()) => Ok(fd),
        Err(errno) => {
            let _ = nix::unistd::unlink(path);
            Err(errno)
        }
    }
}

/// Moves up to `length` bytes from one descriptor to another inside the kernel: sendfile(2). They come
/// from `offset` of `from`, or without one from where it stands. EINVAL where the kernel cannot.
pub fn send(to: impl AsFd, from: impl AsFd, offset: Option<u64>, length: usize) -> nix::Result<usize> {
    let mut at = libc::off_t::try_from(offset.unwrap_or(0)).map_err(|_| Errno::EOVERFLOW)?;
    let at = if offset.is_some() { &raw mut at } else { std::ptr::null_mut() };
    // SAFETY: `at` is null or a valid place for the offset that outlives the call; both descriptors
    // are open.
    let sent = unsafe { libc::sendfile(to.as_fd().as_raw_fd(), from.as_fd().as_raw_fd(), at, length) };
    Errno::result(sent).map(isize::unsigned_abs)
}

/// Whether a descriptor is that of a file or a disk: reading and writing it waits for nobody else.
pub fn is_plain(fd: impl AsFd) -> bool {
    let kind = fstat(&fd).map(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT);
    matches!(kind, Ok(SFlag::S_IFREG | SFlag::S_IFBLK | SFlag::S_IFDIR))
}

/// Whether bytes that are sent to a descriptor are copied, so that they no longer change: a regular file
/// or a device.
pub fn copies(fd: impl AsFd) -> bool {
    let kind = fstat(&fd).map(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT);
    matches!(kind, Ok(SFlag::S_IFREG | SFlag::S_IFCHR | SFlag::S_IFBLK))
}

/// Whether a descriptor is that of a socket.
pub fn is_socket(fd: impl AsFd) -> bool {
    let kind = fstat(&fd).map(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT);
    matches!(kind, Ok(SFlag::S_IFSOCK))
}

/// How many bytes are left to read of a regular file; `None` for anything else, also where it cannot be told.
pub fn left(fd: impl AsFd) -> Option<u64> {
    rest(fd).ok().flatten()
}

/// The same for whom it matters why it cannot be told.
pub fn rest(fd: impl AsFd) -> nix::Result<Option<u64>> {
    let stat = fstat(&fd)?;
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return Ok(None);
    }
    let at = lseek(&fd, 0, Whence::SeekCur)?;
    // /proc and /sys call their files regular and empty.
    Ok(u64::try_from(stat.st_size - at).ok().filter(|_| stat.st_size > 0))
}

/// Moves the position of a regular file over a hole, by at most so many bytes; by how many. What lies in it reads as
/// zeros. Other files have none, nor have file systems that know none (lseek(2), SEEK_DATA).
pub fn skip_hole(fd: impl AsFd, most: u64) -> u64 {
    let fd = fd.as_fd();
    let Ok(at) = lseek(fd, 0, Whence::SeekCur) else { return 0 };
    let most = at.saturating_add_unsigned(most);
    let data = match lseek(fd, at, Whence::SeekData) {
        Ok(data) => data.min(most),
        // A hole up to the end.
        Err(Errno::ENXIO) => most,
        Err(_) => at,
    };
    match lseek(fd, data, Whence::SeekSet) {
        Ok(now) => u64::try_from(now - at).unwrap_or(0),
        Err(_) => 0,
    }
}

/// Takes an exclusive lock on an open file, or waits for it (flock(2)); EWOULDBLOCK where it may not wait.
/// It ends with the descriptor, also when we are killed.
pub fn lock(fd: impl AsFd, wait: bool) -> nix::Result<()> {
    let how = libc::LOCK_EX | if wait { 0 } else { libc::LOCK_NB };
    // SAFETY: flock takes two numbers.
    Errno::result(unsafe { libc::flock(fd.as_fd().as_raw_fd(), how) }).map(drop)
}

/// Gives a lock back.
pub fn unlock(fd: impl AsFd) {
    // SAFETY: as above.
    unsafe { libc::flock(fd.as_fd().as_raw_fd(), libc::LOCK_UN) };
}

/// The errno behind an error of the standard library.
pub fn errno(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}
