//! Pipes and FIFOs: what is in them, how much they hold, pipe(7).
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// How many bytes wait to be read; either end tells.
pub fn unread(fd: impl AsFd) -> nix::Result<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: FIONREAD stores one int, and `bytes` outlives the call.
    Errno::result(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::FIONREAD, &raw mut bytes) })?;
    u64::try_from(bytes).map_err(|_| Errno::EOVERFLOW)
}

/// How many bytes a pipe holds if each page is filled.
pub fn capacity(fd: impl AsFd) -> nix::Result<u64> {
    let bytes = fcntl(fd.as_fd(), FcntlArg::F_GETPIPE_SZ)?;
    u64::try_from(bytes).map_err(|_| Errno::EOVERFLOW)
}

/// Looks into pipes without taking anything, by way of a private pipe (tee(2)).
pub struct Looker {
    ours: OwnedFd,
    into: OwnedFd,
}

impl Looker {
    pub fn new() -> nix::Result<Looker> {
        let (ours, into) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        Ok(Looker { ours, into })
    }

    /// A copy of what is in a pipe, given its read end. A reader that takes some of it meanwhile takes it
    /// from the pipe and not from the copy.
    pub fn look(&self, read_end: impl AsFd) -> nix::Result<Vec<u8>> {
        let read_end = read_end.as_fd();
        let capacity = fcntl(read_end, FcntlArg::F_GETPIPE_SZ)?;
        if fcntl(&self.into, FcntlArg::F_GETPIPE_SZ)? < capacity {
            // Room for as many pages; where a user may not have it, what fits is copied.
            let _ = fcntl(&self.into, FcntlArg::F_SETPIPE_SZ(capacity));
        }
        let length = usize::try_from(capacity).map_err(|_| Errno::EOVERFLOW)?;
        let (from, to) = (read_end.as_raw_fd(), self.into.as_raw_fd());
        // SAFETY: tee takes numbers and touches no memory of ours.
        match Errno::result(unsafe { libc::tee(from, to, length, libc::SPLICE_F_NONBLOCK) }) {
            Ok(copied) => take(&self.ours, copied.unsigned_abs()),
            Err(Errno::EAGAIN) => Ok(Vec::new()),
            Err(errno) => Err(errno),
        }
    }
}

fn take(pipe: &OwnedFd, length: usize) -> nix::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut done = 0;
    while done < length {
        match nix::unistd::read(pipe, &mut bytes[done..]) {
            Ok(0) => break,
            Ok(got) => done += got,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_takes_nothing() {
        let (read, write) = nix::unistd::pipe().unwrap();
        let looker = Looker::new().unwrap();
        let look = |fd| looker.look(fd);
        assert_eq!((unread(&read), look(&read)), (Ok(0), Ok(Vec::new())));
        nix::unistd::write(&write, b"hello").unwrap();
        assert_eq!(look(&read).unwrap(), b"hello");
        assert_eq!(unread(&write), Ok(5));
        assert!(capacity(&read).unwrap() >= 4096);
        let mut bytes = [0; 8];
        assert_eq!(nix::unistd::read(&read, &mut bytes), Ok(5));
        nix::unistd::write(&write, &[b'x'; 65536][..usize::try_from(capacity(&read).unwrap()).unwrap()]).unwrap();
        assert_eq!(look(&read).unwrap().len() as u64, capacity(&read).unwrap());
    }
}
