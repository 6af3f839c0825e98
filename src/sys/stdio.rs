//! The standard streams as file descriptors.
#![allow(unsafe_code)]

use super::waiter;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll, ppoll};
use nix::sys::time::TimeSpec;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// Bit N is set when descriptor N was closed when the program started.
static CLOSED: AtomicU8 = AtomicU8::new(0);

/// The dynamic loader calls this before anything else, also before Rust's own start-up code where
/// there is that: it opens /dev/null on standard descriptors that are closed, and then nobody can
/// tell output that was thrown away on purpose from output that is lost.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = note_closed;

/// A command that we run finds them closed again, as it would without us: each is closed on exec.
extern "C" fn note_closed() {
    for fd in 0..3u8 {
        // SAFETY: F_GETFD reads a flag of a descriptor number and touches no memory; the path ends
        // with NUL. Of the descriptors below this one all are open, so it is the one that is taken:
        // no file that we open later becomes our standard output.
        unsafe {
            if libc::fcntl(fd.into(), libc::F_GETFD) < 0 {
                CLOSED.fetch_or(1 << fd, Ordering::Relaxed);
                libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
            }
        }
    }
}

/// Makes a write to a pipe that nobody reads, or behind RLIMIT_FSIZE, an error instead of our death.
/// Commands that we run get the default back.
pub fn ignore_deadly_writes() {
    for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
        // SAFETY: SIG_IGN runs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Whether descriptor `fd` (0, 1 or 2) was closed when the program started.
pub fn was_closed(fd: u8) -> bool {
    CLOSED.load(Ordering::Relaxed) & (1 << fd) != 0
}

/// Standard output as a descriptor.
pub fn stdout() -> BorrowedFd<'static> {
    // SAFETY: descriptor 1 is open from start to end: `note_closed` opens it when it was closed,
    // and nothing in this program closes it.
    unsafe { BorrowedFd::borrow_raw(1) }
}

/// Standard input as a descriptor.
pub fn stdin() -> BorrowedFd<'static> {
    // SAFETY: as for `stdout`.
    unsafe { BorrowedFd::borrow_raw(0) }
}

/// Gives up standard output, so that whoever reads it sees its end; /dev/null takes its place.
pub fn end_output() {
    replace(1);
}

/// Gives up standard input, so that whoever writes it learns that nobody reads; /dev/null takes its place.
pub fn end_input() {
    replace(0);
}

fn replace(fd: libc::c_int) {
    // SAFETY: the path ends with NUL; dup2 takes the place of `fd` in one step, so that it stays open, and
    // the descriptor that is closed is the one that was opened here.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        if null >= 0 {
            libc::dup2(null, fd);
            libc::close(null);
        }
    }
}

/// Writes all of `bytes`. On failure it says how many were written before.
///
/// A signal that asks us to stop ends it with EINTR; a descriptor that somebody made non-blocking
/// is waited for.
pub fn write_all(fd: impl AsFd, bytes: &[u8]) -> Result<(), (usize, Errno)> {
    let fd = fd.as_fd();
    let mut done = 0;
    while done < bytes.len() {
        match nix::unistd::write(fd, &bytes[done..]) {
            Ok(0) => return Err((done, Errno::EIO)),
            Ok(n) => done += n,
            Err(Errno::EINTR) if waiter::caught().is_none() => {}
            Err(Errno::EAGAIN) => match ready(fd, PollFlags::POLLOUT) {
                Err(Errno::EINTR) if waiter::caught().is_none() => {}
                result => result.map_err(|errno| (done, errno))?,
            },
            Err(errno) => return Err((done, errno)),
        }
    }
    Ok(())
}

/// Writes all of `bytes` even if a signal asks us to stop: for what is lost if it is not said.
pub fn write_whole(fd: impl AsFd, bytes: &[u8]) -> nix::Result<()> {
    let fd = fd.as_fd();
    let mut done = 0;
    loop {
        match write_all(fd, &bytes[done..]) {
            Ok(()) => return Ok(()),
            Err((more, Errno::EINTR)) => done += more,
            Err((_, errno)) => return Err(errno),
        }
    }
}

/// Reads some bytes; 0 is the end. EINTR is left to the caller, whose wait it may end.
pub fn read(fd: impl AsFd, buffer: &mut [u8]) -> nix::Result<usize> {
    let fd = fd.as_fd();
    loop {
        match nix::unistd::read(fd, buffer) {
            Err(Errno::EAGAIN) => ready(fd, PollFlags::POLLIN)?,
            result => return result,
        }
    }
}

/// Gives a pipe room for much at once, so that its two ends change places less often. It is a favour:
/// what is no pipe stays as it is, and so does one that the user's limits keep small (pipe(7)).
pub fn widen(fd: impl AsFd) {
    const WIDE: libc::c_int = 1 << 20;
    let fd = fd.as_fd();
    if fcntl(fd, FcntlArg::F_GETPIPE_SZ).is_ok_and(|size| size < WIDE) {
        let _ = fcntl(fd, FcntlArg::F_SETPIPE_SZ(WIDE));
    }
}

/// Waits until a descriptor that is non-blocking can be read.
pub fn wait_readable(fd: impl AsFd) -> nix::Result<()> {
    ready(fd.as_fd(), PollFlags::POLLIN)
}

/// Waits until a descriptor that is non-blocking can be written.
pub fn wait_writable(fd: impl AsFd) -> nix::Result<()> {
    ready(fd.as_fd(), PollFlags::POLLOUT)
}

/// Whether a descriptor can be read, or is at its end, before the time is over.
pub fn readable_within(fd: impl AsFd, time: Duration) -> nix::Result<bool> {
    let mut waited = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    ppoll(&mut waited, Some(TimeSpec::from(time)), None).map(|ready| ready > 0)
}

/// Whether a descriptor can be written, or has nobody who reads, before the time is over.
pub fn writable_within(fd: impl AsFd, time: Duration) -> nix::Result<bool> {
    let mut waited = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
    ppoll(&mut waited, Some(TimeSpec::from(time)), None).map(|ready| ready > 0)
}

/// Does nothing for a time. EINTR after a signal.
pub fn sleep(time: Duration) -> nix::Result<()> {
    ppoll(&mut [], Some(TimeSpec::from(time)), None).map(drop)
}

fn ready(fd: BorrowedFd<'_>, events: PollFlags) -> nix::Result<()> {
    poll(&mut [PollFd::new(fd, events)], PollTimeout::NONE).map(drop)
}
