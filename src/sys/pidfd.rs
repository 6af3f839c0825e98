//! Processes by descriptor: what is done through a pidfd can never hit another process that was
//! given the pid meanwhile. pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2).
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll, ppoll};
use nix::sys::stat::fstat;
use nix::sys::statfs::fstatfs;
use nix::sys::time::TimeSpec;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd};
use std::time::Duration;

/// A process that we hold on to. Readable in the sense of poll(2) once it has ended.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// The process that has this pid now. ESRCH where there is none, ENOSYS before Linux 5.3.
    pub fn open(pid: i32) -> nix::Result<PidFd> {
        Self::open_with(pid, 0)
    }

    /// One thread, be it that the first one of its process has ended. EINVAL before Linux 6.9.
    pub fn open_thread(tid: i32) -> nix::Result<PidFd> {
        Self::open_with(tid, libc::PIDFD_THREAD)
    }

    fn open_with(pid: i32, flags: u32) -> nix::Result<PidFd> {
        // SAFETY: pidfd_open takes two numbers; the kernel sets the close-on-exec flag by itself.
        let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, flags) })?;
        let fd = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
        // SAFETY: the descriptor was opened just now and belongs to nobody else.
        Ok(PidFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The inode of the process, which no other process gets until the next boot (pidfs). EOPNOTSUPP
    /// before Linux 6.9, where all processes share one.
    pub fn inode(&self) -> nix::Result<u64> {
        const PID_FS_MAGIC: u32 = 0x5049_4446;
        // The type of the number differs between C libraries.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::unnecessary_cast)]
        if fstatfs(&self.0)?.filesystem_type().0 as u32 != PID_FS_MAGIC {
            return Err(Errno::EOPNOTSUPP);
        }
        fstat(&self.0).map(|stat| stat.st_ino)
    }

    /// Whether the process has ended, be it that nobody has asked for its status yet.
    pub fn ended(&self) -> nix::Result<bool> {
        let mut fds = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
        loop {
            match poll(&mut fds, PollTimeout::ZERO) {
                Err(Errno::EINTR) => {}
                result => return result.map(|ready| ready > 0),
            }
        }
    }

    /// Sends a signal, as kill(2) does; 0 only asks. `info` may carry a value.
    pub fn send(&self, signal: i32, info: Option<&libc::siginfo_t>) -> nix::Result<()> {
        let info = info.map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: `info` is null or a valid siginfo that outlives the call.
        let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), signal, info, 0) };
        Errno::result(sent).map(drop)
    }

    /// A duplicate of a descriptor of the process. The open file is shared while we hold it, so a pipe
    /// does not end meanwhile: hold it for microseconds.
    ///
    /// Needs PTRACE_MODE_ATTACH (ptrace(2)): our own processes, or CAP_SYS_PTRACE. EBADF where the
    /// process has no such descriptor, ESRCH when it is gone or its first thread has ended, ENOSYS before
    /// Linux 5.6.
    pub fn descriptor(&self, number: i32) -> nix::Result<OwnedFd> {
        // SAFETY: pidfd_getfd takes three numbers; the kernel sets the close-on-exec flag by itself.
        let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_getfd, self.0.as_raw_fd(), number, 0) })?;
        let fd = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
        // SAFETY: as in `open`.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Blocks until one of these processes has ended, or what else is there can be read; whether that was before
/// the time was over. EINTR when a signal came first.
pub fn wait_any<'a>(fds: impl Iterator<Item = BorrowedFd<'a>>, time: Option<Duration>) -> nix::Result<bool> {
    let mut fds: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    ppoll(&mut fds, time.map(TimeSpec::from), None).map(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_process_has_an_inode_and_takes_signal_zero() {
        let me = PidFd::open(nix::unistd::getpid().as_raw()).unwrap();
        assert_eq!(me.send(0, None), Ok(()));
        assert_eq!(me.ended(), Ok(false));
        assert_eq!(me.inode(), PidFd::open(nix::unistd::getpid().as_raw()).unwrap().inode());
        assert!(me.descriptor(0).is_ok());
        assert_eq!(me.descriptor(i32::MAX).err(), Some(Errno::EBADF));
    }

    #[test]
    fn a_pid_that_no_process_has_is_an_error() {
        assert_eq!(PidFd::open(i32::MAX).err(), Some(Errno::ESRCH));
        assert_eq!(PidFd::open(-1).err(), Some(Errno::EINVAL));
    }
}
