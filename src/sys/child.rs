//! Commands that run beside us: started with descriptors of ours, watched, and reaped with what they cost.
#![allow(unsafe_code)]

use super::file::errno;
use super::guardian;
use super::pidfd::{self, PidFd};
use super::run;
use super::waiter::{self, Stop, Waiter};
use nix::errno::Errno;
use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus};
use std::time::Duration;

/// How a command starts. Without descriptors it has our standard input and output, closed if ours were.
#[derive(Default)]
pub struct Start<'a> {
    pub argv: &'a [OsString],
    /// Both standard input and standard output, where it is given.
    pub streams: Option<OwnedFd>,
    pub variables: &'a [(&'a str, String)],
    /// A socket of a guardian that is to know of the command before it is executed.
    pub announced: Option<BorrowedFd<'a>>,
    /// Whether it leads a process group of its own, so that a signal reaches all that it starts. In ours, it is
    /// reached by what is typed on the terminal.
    pub group: bool,
}

impl Start<'_> {
    fn command(self) -> nix::Result<Command> {
        let mut command = run::command(self.argv);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Some(streams) = self.streams {
            command.stdin(streams.try_clone().map_err(|error| errno(&error))?).stdout(streams);
        }
        if self.group {
            command.process_group(0);
        }
        if let Some(socket) = self.announced {
            let socket = socket.as_raw_fd();
            // SAFETY: between fork and exec it makes system calls alone and allocates nothing.
            unsafe { command.pre_exec(move || guardian::announce(socket)) };
        }
        Ok(command)
    }
}

/// A command that runs, or has ended. Until it is reaped, its pid names no other process.
pub struct Child {
    pub pid: i32,
    /// Not there before Linux 5.3.
    pub handle: Option<PidFd>,
    /// Whether it leads a process group of its own.
    pub group: bool,
    end: Option<End>,
}

/// How a command ended.
#[derive(Clone, Copy, Debug)]
pub struct End {
    pub status: ExitStatus,
    pub usage: Usage,
}

/// What a command took, with the children that it waited for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Usage {
    pub user: Duration,
    pub system: Duration,
    /// The most memory that one of its processes held, in bytes. The kernel counts from before the command
    /// was executed, so it is at least what we hold ourselves.
    pub memory: u64,
}

impl Child {
    pub fn start(start: Start<'_>) -> nix::Result<Child> {
        let group = start.group;
        Child::spawn(start.command()?, group)
    }

    /// Starts a command of a pipeline. Without a descriptor it has our standard input or output.
    pub fn between(argv: &[OsString], input: Option<OwnedFd>, output: Option<OwnedFd>) -> nix::Result<Child> {
        let mut command = run::command(argv);
        if let Some(input) = input {
            command.stdin(input);
        }
        if let Some(output) = output {
            command.stdout(output);
        }
        Child::spawn(command, false)
    }

    /// The command is sent SIGTERM if we die before it, also of -9: nobody else would end it.
    fn spawn(mut command: Command, group: bool) -> nix::Result<Child> {
        run::keep_statuses();
        let (parent, before) = (nix::unistd::getpid(), waiter::caught());
        let prepare = move || {
            // Our handlers are here until the command is executed: what they note meanwhile the command would never
            // see.
            waiter::give_back_signals();
            if let Some(signal) = waiter::caught().filter(|_| before.is_none()) {
                // SAFETY: raise takes a number. It ends this process, as it would have ended the command.
                unsafe { libc::raise(signal) };
            }
            // SAFETY: prctl takes numbers here.
            if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) } < 0 {
                return Err(io::Error::last_os_error());
            }
            // The signal is for a death from now on.
            if nix::unistd::getppid() == parent { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
        };
        // SAFETY: between fork and exec it makes system calls alone and allocates nothing.
        unsafe { command.pre_exec(prepare) };
        let process = command.spawn().map_err(|error| errno(&error))?;
        let pid = i32::try_from(process.id()).map_err(|_| Errno::ESRCH)?;
        Ok(Child { pid, handle: PidFd::open(pid).ok(), group, end: None })
    }

    /// Whether it has ended; it is left to be reaped, so that the kernel still tells about it.
    pub fn has_ended(&self) -> nix::Result<bool> {
        loop {
            match if self.is_reaped() { Ok(true) } else { self.look(libc::WNOHANG) } {
                Err(Errno::EINTR) => {}
                ended => return ended,
            }
        }
    }

    /// Waits for its end, without reaping it. EINTR after a signal.
    pub fn wait(&self) -> nix::Result<()> {
        if self.is_reaped() { Ok(()) } else { self.look(0).map(drop) }
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

    /// Whether its end was taken, so that its pid may be that of another process.
    pub fn is_reaped(&self) -> bool {
        self.end.is_some()
    }

    /// Takes its end, for which it waits if it has not come yet.
    pub fn reap(&mut self) -> nix::Result<End> {
        if let Some(end) = self.end {
            return Ok(end);
        }
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
                    let end = End { status: ExitStatus::from_raw(status), usage: Usage { user, system, memory } };
                    self.end = Some(end);
                    return Ok(end);
                }
            }
        }
    }

    /// How it ended, once it has.
    pub fn status(&mut self) -> nix::Result<Option<ExitStatus>> {
        if self.has_ended()? { self.reap().map(|end| Some(end.status)) } else { Ok(None) }
    }

    /// Sends a signal to it, or to its whole group; nothing once it is reaped.
    pub fn signal(&self, signal: i32) {
        if !self.is_reaped() {
            // SAFETY: kill takes two numbers; the child is ours and not yet reaped, so that no other process and
            // no other group has its number.
            unsafe { libc::kill(if self.group { -self.pid } else { self.pid }, signal) };
        }
    }
}

fn duration(time: libc::timeval) -> Duration {
    let (seconds, micros) = (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_usec).unwrap_or(0));
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

/// Waits until one of these children ends or one of the others can be read. Children that are reaped are not
/// waited for.
///
/// One without a handle, on an old kernel, is waited for alone where there are no others, and not seen where
/// there are.
pub fn wait_any<'a>(
    children: impl Iterator<Item = &'a Child>,
    others: impl Iterator<Item = BorrowedFd<'a>>,
    waiter: &Waiter,
) -> Result<(), Stop> {
    let children: Vec<&Child> = children.filter(|child| !child.is_reaped()).collect();
    let others: Vec<BorrowedFd<'_>> = others.collect();
    if let Some(child) = children.iter().find(|child| child.handle.is_none() && others.is_empty()) {
        return waiter.run(|| child.wait());
    }
    let handles = || children.iter().filter_map(|child| child.handle.as_ref()).map(|handle| handle.as_fd());
    // The timer of the waiter has no signal where a verb has all of them for itself.
    waiter.run(|| match pidfd::wait_any(handles().chain(others.iter().copied()), waiter.left())? {
        true => Ok(()),
        false => Err(Errno::ETIMEDOUT),
    })
}

/// Becomes a command that has these descriptors as 3, 4 and so on. Returns only on failure.
pub fn exec_with(start: Start<'_>, descriptors: Vec<OwnedFd>) -> Result<Infallible, Stop> {
    let mut safe = Vec::with_capacity(descriptors.len());
    let above = 3 + libc::c_int::try_from(descriptors.len()).unwrap_or(libc::c_int::MAX);
    for fd in descriptors {
        // First out of the way of those that are to be taken.
        // SAFETY: F_DUPFD_CLOEXEC takes a number and makes a descriptor that only we know.
        let copy = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, above) };
        safe.push(Errno::result(copy)?);
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
