//! Running a command in our place; `child` has those that run beside us.
#![allow(unsafe_code)]

use super::file::errno;
use super::waiter::{self, Stop};
use super::{signal, stdio};
use crate::model::SignalSet;
use nix::errno::Errno;
use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// A command that gets the default of the signals that we ignore: the standard library gives back SIGPIPE
/// alone.
pub(super) fn command<S: AsRef<OsStr>>(argv: &[S]) -> Command {
    let mut command = Command::new(&argv[0]);
    command.args(&argv[1..]);
    let give_back = || {
        // SAFETY: SIG_DFL runs no code of ours.
        unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_DFL) };
        Ok(())
    };
    // SAFETY: between fork and exec it makes one system call and allocates nothing.
    unsafe { command.pre_exec(give_back) };
    command
}

/// Becomes the command. Returns only on failure. The standard library gives SIGPIPE and the signal
/// mask back to their defaults; handlers are reset by execve(2).
///
/// A signal from now on kills us as it would kill the command.
pub fn exec(argv: &[OsString]) -> Result<Infallible, Stop> {
    before_exec()?;
    Err(Stop::Errno(become_it(command(argv))))
}

/// Executes a command in our place. Returns only on failure, of which we must live to tell.
pub(super) fn become_it(mut command: Command) -> Errno {
    let failed = command.exec();
    stdio::ignore_deadly_writes();
    errno(&failed)
}

/// Becomes the command, with these signals blocked beside those that are. Returns only on failure.
///
/// The standard library would empty the mask before it executes anything, and a signal that came
/// meanwhile would kill us in that gap.
pub fn exec_blocking(argv: &[OsString], blocked: SignalSet) -> nix::Result<Infallible> {
    signal::block(blocked)?;
    let argv: Result<Vec<CString>, _> = argv.iter().map(|word| CString::new(word.as_bytes())).collect();
    let argv = argv.map_err(|_| Errno::EINVAL)?;
    let mut words: Vec<*const libc::c_char> = argv.iter().map(|word| word.as_ptr()).collect();
    words.push(std::ptr::null());
    // SAFETY: SIG_DFL runs no code of ours; every word ends with NUL, the list of them with a null
    // pointer, and both outlive the call.
    unsafe {
        for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
            libc::signal(signal, libc::SIG_DFL);
        }
        libc::execvp(words[0], words.as_ptr());
    }
    let failed = Errno::last();
    stdio::ignore_deadly_writes();
    Err(failed)
}

/// Leaves the signals to the command that we are about to become.
pub(super) fn before_exec() -> Result<(), Stop> {
    waiter::give_back_signals();
    match waiter::caught() {
        // It came after the last wait: the command must not start as if nothing had happened.
        Some(signal) => Err(Stop::Signal(signal)),
        None => Ok(()),
    }
}

/// Where SIGCHLD is ignored, as it may be when we start, the kernel keeps no status of a child.
pub(super) fn keep_statuses() {
    // SAFETY: SIG_DFL runs no code of ours.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// Runs a command that reads `input` and waits for its end; an error if it failed.
pub fn pipe_to(argv: &[&str], input: &[u8]) -> nix::Result<()> {
    use std::io::Write as _;
    let mut child = command(argv).stdin(std::process::Stdio::piped()).spawn().map_err(|error| errno(&error))?;
    if let Some(mut pipe) = child.stdin.take() {
        // A reader that has seen enough is no failure.
        drop(pipe.write_all(input));
    }
    let status = child.wait().map_err(|error| errno(&error))?;
    if status.success() { Ok(()) } else { Err(Errno::ECHILD) }
}
