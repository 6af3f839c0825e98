//! Running a command: in our place, or as a child whose end we wait for.
#![allow(unsafe_code)]

use super::file::errno;
use super::waiter::{self, Waiter};
use crate::model::Wait;
use nix::errno::Errno;
use std::ffi::OsString;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus};

fn command(argv: &[OsString]) -> Command {
    let mut command = Command::new(&argv[0]);
    command.args(&argv[1..]);
    command
}

/// Becomes the command. Returns only on failure. The standard library gives SIGPIPE and the signal
/// mask back to their defaults; handlers are reset by execve(2).
pub fn exec(argv: &[OsString]) -> Errno {
    errno(&command(argv).exec())
}

/// Starts the command as a child.
pub fn spawn(argv: &[OsString]) -> nix::Result<Child> {
    command(argv).spawn().map_err(|error| errno(&error))
}

/// Waits for a child. A signal that asks us to stop is handed to the child (the terminal has sent
/// SIGINT to it already), and its end is still waited for.
pub fn wait(child: &mut Child, waiter: &Waiter) -> nix::Result<ExitStatus> {
    let mut passed = false;
    loop {
        // `Child::wait` retries EINTR by itself, so the signal would not be seen.
        let mut status = 0;
        let pid = libc::pid_t::try_from(child.id()).map_err(|_| Errno::ECHILD)?;
        // SAFETY: `status` is a valid place for the result and outlives the call.
        let result = Errno::result(unsafe { libc::waitpid(pid, &mut status, 0) });
        match result {
            Ok(_) => return Ok(ExitStatus::from_raw(status)),
            Err(Errno::EINTR) => {
                if let Some(signal) = waiter::caught().filter(|_| !passed) {
                    passed = true;
                    waiter.quiet();
                    // SAFETY: kill takes two numbers; the child is ours and not yet reaped.
                    unsafe { libc::kill(pid, signal) };
                } else if waiter.over() && !passed {
                    return Err(Errno::ETIMEDOUT);
                }
            }
            Err(errno) => return Err(errno),
        }
    }
}

/// Ends a child that has had its time, as timeout(1) does, and waits for it; further signals reach it.
pub fn terminate(child: &mut Child) -> nix::Result<()> {
    let pid = libc::pid_t::try_from(child.id()).map_err(|_| Errno::ECHILD)?;
    // SAFETY: kill takes two numbers; the child is ours and not yet reaped.
    Errno::result(unsafe { libc::kill(pid, libc::SIGTERM) })?;
    wait(child, &Waiter::new(Wait::Forever)).map(drop)
}

/// Runs a command that reads `input` and waits for its end; an error if it failed.
pub fn pipe_to(argv: &[&str], input: &[u8]) -> nix::Result<()> {
    use std::io::Write as _;
    let mut child = Command::new(argv[0])
        .args(&argv[1..])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .map_err(|error| errno(&error))?;
    if let Some(mut pipe) = child.stdin.take() {
        // A reader that has seen enough is no failure.
        drop(pipe.write_all(input));
    }
    let status = child.wait().map_err(|error| errno(&error))?;
    if status.success() { Ok(()) } else { Err(Errno::ECHILD) }
}
