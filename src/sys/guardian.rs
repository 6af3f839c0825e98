//! A process that outlives us and a command of ours, to do what must be done after both, however they end.
//!
//! It learns of our end as the end of a socket, and of the end of the command through a pidfd which the command
//! itself sends before it is executed. So there is no moment at which it can be too late: before the message
//! there is no command, and after it the kernel keeps the message for the guardian, whoever is killed.
#![allow(unsafe_code)]

use super::pidfd;
use super::run;
use nix::errno::Errno;
use std::io;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

/// What it is called in /proc/PID/comm, which has room for 15 bytes.
const NAME: &std::ffi::CStr = c"ipcx-guardian";

/// The descriptor of the socket in the guardian.
const SOCKET: RawFd = 3;

/// The guardian as its maker sees it. When this is dropped, or the maker ends, it does its work.
pub struct Guardian {
    socket: OwnedFd,
    pid: libc::pid_t,
}

impl Guardian {
    /// Starts it, and waits until it is out of reach of what ends us: in a session of its own, deaf to all
    /// signals but SIGKILL and SIGSTOP, in the root directory and with no descriptor of ours.
    ///
    /// `work` runs in it when we have ended and the command that was announced as well. Nothing may have made a
    /// thread before. EAGAIN behind RLIMIT_NPROC, ECHILD if it was killed at once.
    pub fn start(work: impl FnOnce()) -> nix::Result<Guardian> {
        let (ours, theirs) = pair()?;
        run::keep_statuses();
        // What the terminal sends to us must not reach it either, not even at its beginning.
        let before = block_all();
        // SAFETY: there is no other thread, whose locks would stay locked in the new process for ever.
        let pid = Errno::result(unsafe { libc::fork() });
        if pid == Ok(0) {
            guard(&ManuallyDrop::new(theirs), work);
        }
        restore(&before);
        drop(theirs);
        let guardian = Guardian { socket: ours, pid: pid? };
        match receive(&guardian.socket)? {
            Some(_) => Ok(guardian),
            None => {
                guardian.dismiss();
                Err(Errno::ECHILD)
            }
        }
    }

    /// What a command is told to announce itself over.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Has it do its work now, after the end of the command, and waits until it is done, or it was killed.
    pub fn finish(self) {
        drop(self.socket);
        // SAFETY: waitpid may be given no room for the status; the guardian is our child and not yet reaped.
        while Errno::result(unsafe { libc::waitpid(self.pid, ptr::null_mut(), 0) }) == Err(Errno::EINTR) {}
    }

    /// Ends it with its work undone.
    pub fn dismiss(self) {
        // SAFETY: kill takes numbers and waitpid may be given no room for the status. The guardian is our child
        // and not yet reaped, so that no other process has its pid.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            while Errno::result(libc::waitpid(self.pid, ptr::null_mut(), 0)) == Err(Errno::EINTR) {}
        }
    }
}

/// A number that a guardian and its maker share.
pub struct Tally(NonNull<AtomicU32>);

impl Tally {
    /// Zero. ENOMEM without memory.
    pub fn new() -> nix::Result<Tally> {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: with a null address the kernel chooses a range that nothing else uses.
        let at = unsafe { libc::mmap(ptr::null_mut(), size_of::<AtomicU32>(), protection, flags, -1, 0) };
        if at == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        NonNull::new(at.cast()).map(Tally).ok_or(Errno::EFAULT)
    }

    fn word(&self) -> &AtomicU32 {
        // SAFETY: the mapping begins with a page of zeros and lives as long as we.
        unsafe { self.0.as_ref() }
    }

    pub fn add(&self, more: u32) {
        self.word().fetch_add(more, Ordering::AcqRel);
    }

    /// All of it, which is zero then: of two who take it one has it.
    pub fn take(&self) -> u32 {
        self.word().swap(0, Ordering::AcqRel)
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and of this length.
        unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<AtomicU32>()) };
    }
}

/// The life of the guardian.
fn guard(socket: &OwnedFd, work: impl FnOnce()) -> ! {
    // A panic must not go on in code that the maker is running.
    let done = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the calls take numbers and strings that end with NUL. Nothing that runs from here on uses a
        // descriptor from before, so that their owners, who are never dropped, do not matter.
        unsafe {
            libc::setsid();
            libc::prctl(libc::PR_SET_NAME, NAME.as_ptr());
            libc::chdir(c"/".as_ptr());
            libc::dup2(socket.as_raw_fd(), SOCKET);
            close_from(SOCKET + 1);
            let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            for fd in 0..SOCKET {
                // Without /dev/null they are closed.
                if libc::dup2(null, fd) < 0 {
                    libc::close(fd);
                }
            }
            libc::close(null);
        }
        // SAFETY: the descriptor was made just now.
        let socket = unsafe { OwnedFd::from_raw_fd(SOCKET) };
        if send(&socket, b"r").is_ok() {
            wait(&socket);
        }
        work();
    }));
    // SAFETY: nothing of the maker is torn down twice: _exit runs no code.
    unsafe { libc::_exit(i32::from(done.is_err())) }
}

/// Waits for the end of the maker, and then for that of the command.
fn wait(socket: &OwnedFd) {
    let mut command = None;
    // An error tells no more of the maker, so it is taken for the end.
    while let Ok(Some(announced)) = receive(socket) {
        command = announced.or(command);
    }
    if let Some(command) = command {
        while pidfd::wait_any([command.as_fd()].into_iter(), None) == Err(Errno::EINTR) {}
    }
}

/// Sends a pidfd of the calling process to the guardian. For a command between fork and exec: system calls alone.
///
/// A guardian that is gone has nothing to learn; before Linux 5.3 there are no pidfds, and the guardian then does
/// not wait for the command.
pub(super) fn announce(socket: RawFd) -> io::Result<()> {
    /// Aligned as a cmsghdr, with room for one and a descriptor.
    #[repr(C, align(8))]
    struct Control([u8; 64]);
    // SAFETY: pidfd_open and getpid take numbers. All bytes zero is a valid msghdr; the control buffer has room for
    // one descriptor and is aligned, so that CMSG_FIRSTHDR is not null. All of it outlives the call.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0);
        let fd = match Errno::result(fd) {
            Err(Errno::ENOSYS) => return Ok(()),
            result => RawFd::try_from(result?).unwrap_or(-1),
        };
        let mut control = Control([0; 64]);
        let mut part = libc::iovec { iov_base: c"c".as_ptr().cast_mut().cast(), iov_len: 1 };
        let mut message: libc::msghdr = MaybeUninit::zeroed().assume_init();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(DESCRIPTOR) as _;
        let head = libc::CMSG_FIRSTHDR(&raw const message);
        (*head).cmsg_level = libc::SOL_SOCKET;
        (*head).cmsg_type = libc::SCM_RIGHTS;
        (*head).cmsg_len = libc::CMSG_LEN(DESCRIPTOR) as _;
        libc::CMSG_DATA(head).cast::<RawFd>().write_unaligned(fd);
        let sent = Errno::result(libc::sendmsg(socket, &raw const message, libc::MSG_NOSIGNAL));
        libc::close(fd);
        match sent {
            Ok(_) | Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// The bytes of one descriptor in a control message.
#[allow(clippy::cast_possible_truncation)]
const DESCRIPTOR: u32 = size_of::<RawFd>() as u32;

/// Takes one message: the descriptor in it, if it has one. `None` when the other side has ended.
fn receive(socket: &OwnedFd) -> nix::Result<Option<Option<OwnedFd>>> {
    #[repr(C, align(8))]
    struct Control([u8; 64]);
    let (mut control, mut byte) = (Control([0; 64]), [0u8]);
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    // SAFETY: all bytes zero is a valid msghdr; the kernel writes into the two buffers alone, which outlive the
    // call. A descriptor that it has put there is new and belongs to nobody else.
    unsafe {
        let mut message: libc::msghdr = MaybeUninit::zeroed().assume_init();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = control.0.len() as _;
        let got = loop {
            match Errno::result(libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC)) {
                Err(Errno::EINTR) => {}
                // A process that was killed with something unread in its end of the socket.
                Err(Errno::ECONNRESET) => break 0,
                result => break result?,
            }
        };
        let head = libc::CMSG_FIRSTHDR(&raw const message);
        let carries = !head.is_null() && (*head).cmsg_type == libc::SCM_RIGHTS;
        let descriptor = carries.then(|| OwnedFd::from_raw_fd(libc::CMSG_DATA(head).cast::<RawFd>().read_unaligned()));
        Ok((got > 0).then_some(descriptor))
    }
}

fn send(socket: &OwnedFd, bytes: &[u8]) -> nix::Result<()> {
    // SAFETY: the bytes outlive the call, which reads no more of them than it is told.
    let sent = unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) };
    Errno::result(sent).map(drop)
}

/// Two ends of a socket that keeps messages apart.
fn pair() -> nix::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [-1; 2];
    let flags = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: the call writes two descriptors, which are new and belong to nobody else.
    unsafe {
        Errno::result(libc::socketpair(libc::AF_UNIX, flags, 0, fds.as_mut_ptr()))?;
        Ok((OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])))
    }
}

/// Closes every descriptor from this one on.
fn close_from(first: RawFd) {
    // SAFETY: the call takes numbers; whoever owned the descriptors is not used any more, as in `guard`.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    if closed < 0 {
        // Before Linux 5.9. None can be above the limit, unless that was lowered since.
        let most =
            nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
        for fd in first..RawFd::try_from(most).unwrap_or(RawFd::MAX) {
            // SAFETY: as above.
            unsafe { libc::close(fd) };
        }
    }
}

/// Blocks all signals that can be blocked; the mask before.
fn block_all() -> libc::sigset_t {
    // SAFETY: all bytes zero is a valid set, which is filled before it is read; both outlive the calls.
    unsafe {
        let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = MaybeUninit::zeroed().assume_init();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    }
}

fn restore(before: &libc::sigset_t) {
    // SAFETY: the set outlives the call.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, ptr::null_mut()) };
}
