//! A command as one stage of a pipeline: started between pipes, watched, and reaped with what it cost.
#![allow(unsafe_code)]

use super::file::errno;
use super::pidfd::PidFd;
use super::run;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::ffi::OsString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

/// A child that is running, or has ended and is not reaped yet: its pid names no other process.
pub struct Stage {
    pub pid: i32,
    /// Not there before Linux 5.3.
    pub handle: Option<PidFd>,
}

/// What a stage took, with the children that it waited for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Usage {
    pub user: Duration,
    pub system: Duration,
    /// The most memory that one of its processes held, in bytes. The kernel counts from before the command
    /// was executed, so it is at least what we hold ourselves.
    pub memory: u64,
}

/// Lets stages be waited for. Call it before the first is started.
pub fn prepare() {
    run::keep_statuses();
}

impl Stage {
    /// Starts a command. Without a descriptor it has our standard input or output, closed if ours was.
    ///
    /// It stays in our process group, so that what is typed on the terminal reaches it. It is sent SIGTERM
    /// if we die before it, also of -9: nobody else would end it.
    pub fn start(argv: &[OsString], input: Option<OwnedFd>, output: Option<OwnedFd>) -> nix::Result<Stage> {
        let mut command = run::command(argv);
        if let Some(input) = input {
            command.stdin(Stdio::from(input));
        }
        if let Some(output) = output {
            command.stdout(Stdio::from(output));
        }
        let parent = nix::unistd::getpid();
        let prepare = move || {
            // SAFETY: prctl takes numbers here.
            if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) } < 0 {
                return Err(io::Error::last_os_error());
            }
            // The signal is for a death from now on.
            if nix::unistd::getppid() == parent { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
        };
        // SAFETY: between fork and exec it makes system calls alone and allocates nothing.
        unsafe { command.pre_exec(prepare) };
        let child = command.spawn().map_err(|error| errno(&error))?;
        let pid = i32::try_from(child.id()).map_err(|_| Errno::ESRCH)?;
        Ok(Stage { pid, handle: PidFd::open(pid).ok() })
    }

    /// Whether it has ended; it is left to be reaped, so that the kernel still tells about it.
    pub fn has_ended(&self) -> nix::Result<bool> {
        self.look(libc::WNOHANG)
    }

    /// Waits for its end, without reaping it.
    pub fn wait(&self) -> nix::Result<()> {
        self.look(0).map(drop)
    }

    fn look(&self, more: libc::c_int) -> nix::Result<bool> {
        let id = libc::id_t::try_from(self.pid).map_err(|_| Errno::ECHILD)?;
        // SAFETY: all bytes zero is a valid siginfo; the call fills it, and it outlives the call.
        unsafe {
            let mut info: libc::siginfo_t = MaybeUninit::zeroed().assume_init();
            let options = libc::WEXITED | libc::WNOWAIT | more;
            Errno::result(libc::waitid(libc::P_PID, id, &raw mut info, options))?;
            Ok(info.si_pid() == self.pid)
        }
    }

    /// Takes the status of a stage that has ended, and what it cost.
    pub fn reap(&self) -> nix::Result<(ExitStatus, Usage)> {
        let mut status = 0;
        loop {
            // SAFETY: all bytes zero is a valid rusage; the call fills it and `status`, which outlive it.
            let (result, usage) = unsafe {
                let mut usage: libc::rusage = MaybeUninit::zeroed().assume_init();
                (Errno::result(libc::wait4(self.pid, &raw mut status, 0, &raw mut usage)), usage)
            };
            match result {
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
                Ok(_) => {
                    let memory = u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024;
                    let (user, system) = (duration(usage.ru_utime), duration(usage.ru_stime));
                    return Ok((ExitStatus::from_raw(status), Usage { user, system, memory }));
                }
            }
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: kill takes two numbers; the child is ours and not reaped.
        unsafe { libc::kill(self.pid, signal) };
    }
}

fn duration(time: libc::timeval) -> Duration {
    let (seconds, micros) = (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_usec).unwrap_or(0));
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

/// Waits until one of the stages ends or the time is over. EINTR after a signal. Where stages have no
/// handle it only sees the time pass.
pub fn wait_any<'a>(stages: impl Iterator<Item = &'a Stage>, time: Duration) -> nix::Result<()> {
    let handles = stages.filter_map(|stage| stage.handle.as_ref());
    let mut handles: Vec<PollFd<'_>> = handles.map(|handle| PollFd::new(handle.as_fd(), PollFlags::POLLIN)).collect();
    ppoll(&mut handles, Some(TimeSpec::from(time)), None).map(drop)
}
