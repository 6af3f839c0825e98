//! Commands that run beside us with descriptors of ours as their standard streams.
#![allow(unsafe_code)]

use super::file::errno;
use super::pidfd::PidFd;
use super::run;
use super::waiter::{Stop, Waiter};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::convert::Infallible;
use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::ExitStatus;

/// How a command starts.
#[derive(Default)]
pub struct Start<'a> {
    pub argv: &'a [OsString],
    /// Both standard input and standard output, where it is given.
    pub streams: Option<OwnedFd>,
    pub variables: &'a [(&'static str, String)],
    /// Whether it leads a process group of its own, so that a signal reaches all that it starts.
    pub group: bool,
}

impl Start<'_> {
    fn command(self) -> nix::Result<std::process::Command> {
        let mut command = run::command(self.argv);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Some(streams) = self.streams {
            command.stdin(streams.try_clone().map_err(|error| errno(&error))?).stdout(streams);
        }
        if self.group {
            command.process_group(0);
        }
        Ok(command)
    }
}

/// A command that runs.
pub struct Child {
    process: std::process::Child,
    held: PidFd,
    group: bool,
    status: Option<ExitStatus>,
}

impl Child {
    pub fn start(start: Start<'_>) -> nix::Result<Child> {
        run::keep_statuses();
        let group = start.group;
        let mut process = start.command()?.spawn().map_err(|error| errno(&error))?;
        match PidFd::open(i32::try_from(process.id()).unwrap_or(i32::MAX)) {
            Ok(held) => Ok(Child { process, held, group, status: None }),
            Err(errno) => {
                drop(process.kill());
                drop(process.wait());
                Err(errno)
            }
        }
    }

    /// How it ended, once it has.
    pub fn status(&mut self) -> nix::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.process.try_wait().map_err(|error| errno(&error))?;
        }
        Ok(self.status)
    }

    /// Sends a signal to it, or to its whole group; nothing once it has ended.
    pub fn signal(&self, signal: i32) {
        let Ok(pid) = libc::pid_t::try_from(self.process.id()) else { return };
        if self.status.is_some() {
            return;
        }
        if self.group {
            // SAFETY: kill takes two numbers; the child is ours and not yet reaped, so that no other group has
            // its number.
            unsafe { libc::kill(-pid, signal) };
        } else {
            let _ = self.held.send(signal, None);
        }
    }
}

/// Readable once it has ended.
impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.held.as_fd()
    }
}

/// Waits until one of these children ends or `other` can be read; the first never ends it too early.
pub fn wait_any<'a>(
    children: impl Iterator<Item = &'a Child>,
    other: Option<BorrowedFd<'a>>,
    waiter: &Waiter,
) -> Result<(), Stop> {
    let fds = children.filter(|child| child.status.is_none()).map(AsFd::as_fd).chain(other);
    let mut fds: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    waiter.run(|| poll(&mut fds, PollTimeout::NONE)).map(drop)
}

/// Becomes a command that has these descriptors as 3, 4 and so on. Returns only on failure.
pub fn exec_with(start: Start<'_>, descriptors: Vec<OwnedFd>) -> Result<Infallible, Stop> {
    let mut safe = Vec::with_capacity(descriptors.len());
    let above = 3 + libc::c_int::try_from(descriptors.len()).unwrap_or(libc::c_int::MAX);
    for fd in descriptors {
        // First out of the way of those that are to be taken.
        // SAFETY: F_DUPFD_CLOEXEC takes a number and makes a descriptor that only we know.
        let copy = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, above) };
        safe.push(nix::errno::Errno::result(copy)?);
    }
    let mut command = start.command()?;
    run::before_exec()?;
    // SAFETY: what runs between fork and exec, here in our own process, is dup2 alone, which is
    // async-signal-safe; the closure owns the list that it reads.
    unsafe {
        command.pre_exec(move || {
            for (wanted, copy) in (3..).zip(&safe) {
                if libc::dup2(*copy, wanted) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
    Err(Stop::Errno(run::become_it(command)))
}
