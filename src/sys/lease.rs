//! "Does anybody have this file open?" without looking at a single process.
#![allow(unsafe_code)]

use nix::errno::Errno;
use std::os::fd::{AsFd, AsRawFd};

/// Whether anybody besides the caller has the file behind `fd` open or mapped.
///
/// A write lease is granted only where nobody else has (fcntl(2), F_SETLEASE). It works on tmpfs
/// and on mqueue files, needs the file's owner or CAP_LEASE, and sees processes of every
/// namespace. `fd` must be open read-only. The lease is given back at once; who opens the file in
/// between waits for that.
///
/// Errors: EACCES where the file is not ours, EINVAL where the file system has no leases.
pub fn is_open_elsewhere(fd: impl AsFd) -> nix::Result<bool> {
    let fd = fd.as_fd().as_raw_fd();
    // Who opens the file while we hold the lease makes the kernel send us SIGIO, which would kill us.
    // SAFETY: SIG_IGN runs no code of ours, and what was there before is put back below.
    let before = unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
    let held = held(fd);
    // SAFETY: `before` is what signal(2) gave.
    unsafe { libc::signal(libc::SIGIO, before) };
    held
}

fn held(fd: libc::c_int) -> nix::Result<bool> {
    // SAFETY: F_SETLEASE takes an integer and touches no memory of ours.
    let result = Errno::result(unsafe { libc::fcntl(fd, libc::F_SETLEASE, libc::F_WRLCK) });
    match result {
        Ok(_) => {
            // SAFETY: as above.
            unsafe { libc::fcntl(fd, libc::F_SETLEASE, libc::F_UNLCK) };
            Ok(false)
        }
        Err(Errno::EAGAIN) => Ok(true),
        Err(errno) => Err(errno),
    }
}
