//! Pipes, pipe(7): their capacity, what is in them, and moving bytes between them inside the kernel.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::fstat;
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr;

/// What a new pipe holds, unless the user's pipes together are past fs.pipe-user-pages-soft.
pub const USUAL_SLOTS: usize = 16;
/// More than any pipe holds.
const ALL: usize = 1 << 30;

/// Which pipe it is: the device and the inode of it.
pub type Identity = (u64, u64);

/// A new pipe: its end to read from and its end to write to, both closed on exec.
pub fn pair() -> nix::Result<(OwnedFd, OwnedFd)> {
    nix::unistd::pipe2(OFlag::O_CLOEXEC)
}

pub fn identity(fd: impl AsFd) -> nix::Result<Identity> {
    fstat(&fd).map(|stat| (stat.st_dev, stat.st_ino))
}

/// Whether a descriptor is one to read from.
pub fn reads(fd: impl AsFd) -> bool {
    let flags = fcntl(fd, FcntlArg::F_GETFL).unwrap_or(libc::O_WRONLY);
    flags & libc::O_ACCMODE != libc::O_WRONLY
}

/// The bytes of a page, and so of a slot: what one write puts into a pipe may take a slot of its own.
pub fn page() -> usize {
    // SAFETY: sysconf takes a number.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096).max(1)
}

/// The capacity in bytes. EBADF where it is no pipe.
pub fn capacity(fd: impl AsFd) -> nix::Result<usize> {
    fcntl(fd, FcntlArg::F_GETPIPE_SZ).map(|size| usize::try_from(size).unwrap_or(0))
}

/// Sets the capacity, which the kernel rounds up to a power of two pages, and gives what it became.
///
/// Errors: EPERM where fs.pipe-max-size or the user's limits forbid it, EBUSY where more than that is
/// inside, ENOMEM, EINVAL where it is 2³¹ or more.
pub fn set_capacity(fd: impl AsFd, size: u64) -> nix::Result<usize> {
    let size = i32::try_from(size).map_err(|_| Errno::EINVAL)?;
    fcntl(fd, FcntlArg::F_SETPIPE_SZ(size)).map(|size| usize::try_from(size).unwrap_or(0))
}

/// How many bytes are inside, by either end.
pub fn fill(fd: impl AsFd) -> nix::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int, and `bytes` outlives the call.
    Errno::result(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::FIONREAD, &raw mut bytes) })?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// Moves up to `length` bytes between two descriptors, one of which is a pipe, without copying what can
/// be moved: splice(2). 0 is the end of the input. EINVAL where the kernel cannot: no pipe, a terminal,
/// a file that is appended to.
pub fn splice(from: impl AsFd, to: impl AsFd, length: usize, blocks: bool) -> nix::Result<usize> {
    let flags = libc::SPLICE_F_MOVE | if blocks { 0 } else { libc::SPLICE_F_NONBLOCK };
    let (from, to) = (from.as_fd().as_raw_fd(), to.as_fd().as_raw_fd());
    // SAFETY: both descriptors are open, and without offsets no memory of ours is touched.
    let moved = unsafe { libc::splice(from, ptr::null_mut(), to, ptr::null_mut(), length, flags) };
    Errno::result(moved).map(isize::unsigned_abs)
}

/// Duplicates what is in a pipe into another one, as far as there is room, and takes nothing: tee(2).
fn tee(from: impl AsFd, to: impl AsFd) -> nix::Result<usize> {
    let (from, to) = (from.as_fd().as_raw_fd(), to.as_fd().as_raw_fd());
    // SAFETY: both descriptors are open; no memory of ours is touched.
    let copied = unsafe { libc::tee(from, to, ALL, libc::SPLICE_F_NONBLOCK) };
    match Errno::result(copied) {
        Err(Errno::EAGAIN) => Ok(0),
        result => result.map(isize::unsigned_abs),
    }
}

/// Counts the slots of pipes that are in use. A pipe is full when its slots are, and a slot may hold a
/// single byte, so bytes alone do not tell how full it is.
///
/// The kernel shows the number nowhere. What is inside is duplicated, not taken, into a pipe of ours, and
/// from there goes through another one that has a single slot.
pub struct Slots {
    copy: (OwnedFd, OwnedFd),
    room: usize,
    single: (OwnedFd, OwnedFd),
    nowhere: File,
}

impl Slots {
    /// EPERM or EMFILE where we may have no such pipes.
    pub fn new() -> nix::Result<Slots> {
        let (copy, single) = (pair()?, pair()?);
        let room = capacity(&copy.1)?;
        if set_capacity(&single.1, page() as u64)? != page() {
            return Err(Errno::EINVAL);
        }
        let nowhere = OpenOptions::new().write(true).open("/dev/null").map_err(|error| super::file::errno(&error))?;
        Ok(Slots { copy, room, single, nowhere })
    }

    /// The slots in use of a pipe of this capacity, by its end to read from. After an error this counter is
    /// of no more use.
    pub fn count(&mut self, pipe: impl AsFd, capacity: usize) -> nix::Result<usize> {
        if capacity > self.room {
            self.room = set_capacity(&self.copy.1, capacity as u64)?;
        }
        tee(pipe, &self.copy.1)?;
        let mut slots = 0;
        loop {
            match splice(&self.copy.0, &self.single.1, ALL, false) {
                Ok(0) | Err(Errno::EAGAIN) => return Ok(slots),
                Ok(_) => {
                    slots += 1;
                    splice(&self.single.0, &self.nowhere, ALL, false)?;
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

/// Looks into pipes without taking anything, by way of a private pipe.
pub struct Looker {
    ours: File,
    into: OwnedFd,
}

impl Looker {
    pub fn new() -> nix::Result<Looker> {
        pair().map(|(ours, into)| Looker { ours: File::from(ours), into })
    }

    /// A copy of what is in a pipe, given its end to read. A reader that takes some of it meanwhile takes
    /// it from the pipe and not from the copy.
    pub fn look(&mut self, pipe: impl AsFd) -> nix::Result<Vec<u8>> {
        let pipe = pipe.as_fd();
        let wanted = capacity(pipe)?;
        if capacity(&self.into)? < wanted {
            // Where a user may not have it, what fits is copied.
            let _ = set_capacity(&self.into, wanted as u64);
        }
        let mut bytes = vec![0; tee(pipe, &self.into)?];
        self.ours.read_exact(&mut bytes).map_err(|error| super::file::errno(&error))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn slots_are_counted_and_nothing_is_taken() {
        let (read, write) = pair().unwrap();
        let (mut read, mut write) = (File::from(read), File::from(write));
        let mut slots = Slots::new().unwrap();
        assert_eq!(slots.count(&read, capacity(&read).unwrap()), Ok(0));
        let more_than_half = page() / 2 + 1;
        for n in 1..=3 {
            write.write_all(&vec![n; more_than_half]).unwrap();
            assert_eq!(slots.count(&read, capacity(&read).unwrap()), Ok(n.into()));
        }
        // A small write goes into what the last page has left.
        write.write_all(b"x").unwrap();
        assert_eq!(slots.count(&read, capacity(&read).unwrap()), Ok(3));
        assert_eq!(fill(&read), Ok(3 * more_than_half + 1));
        drop(write);
        let mut all = Vec::new();
        read.read_to_end(&mut all).unwrap();
        assert_eq!((all.len(), all[0], all[all.len() - 1]), (3 * more_than_half + 1, 1, b'x'));
    }

    #[test]
    fn a_wider_pipe_is_counted_whole() {
        let (read, write) = pair().unwrap();
        let wide = set_capacity(&write, 4 * (USUAL_SLOTS * page()) as u64).unwrap();
        let mut write = File::from(write);
        write.write_all(&vec![0; wide]).unwrap();
        assert_eq!(Slots::new().unwrap().count(&read, wide), Ok(wide / page()));
        assert_eq!(fill(&write), Ok(wide));
    }

    #[test]
    fn a_look_takes_nothing() {
        let (read, write) = pair().unwrap();
        let (mut looker, mut write) = (Looker::new().unwrap(), File::from(write));
        assert_eq!(looker.look(&read), Ok(Vec::new()));
        write.write_all(b"hello").unwrap();
        assert_eq!(looker.look(&read).unwrap(), b"hello");
        assert_eq!(looker.look(&read).unwrap(), b"hello");
        let wide = set_capacity(&read, 1 << 18).unwrap();
        write.write_all(&vec![b'x'; wide - page()]).unwrap();
        assert_eq!(looker.look(&read).unwrap().len(), 5 + wide - page());
        assert_eq!(fill(&read), Ok(5 + wide - page()));
    }

    #[test]
    fn what_is_no_capacity_is_refused() {
        let (read, _write) = pair().unwrap();
        assert_eq!(set_capacity(&read, 1 << 31), Err(Errno::EINVAL));
        assert_eq!(set_capacity(&read, 1), Ok(page()));
        assert_eq!(capacity(File::open("/dev/null").unwrap()), Err(Errno::EBADF));
    }
}
