//! The commands that run beside ipcx, with all that they start: handed signals, and ended.

use crate::model::Wait;
use crate::proc::task;
use crate::sys::child::{Child, wait_any};
use crate::sys::pidfd::PidFd;
use crate::sys::waiter::{self, Stop, Waiter};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpgid};
use std::os::fd::AsFd as _;
use std::process::ExitStatus;
use std::time::Duration;

/// What stands between two commands on the command line.
pub const BETWEEN: &str = ":::";

/// How long a command has to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);

/// A signal that asked us to stop, and whether it came from the terminal.
pub type Asked = (i32, bool);

/// Waits for the end of a command and takes it. A signal that asks us to stop is handed on, and the end is
/// still waited for. `None` if the time was over before: then it was ended. Beside it the last such signal.
pub fn attend(child: &mut Child, waiter: &Waiter) -> nix::Result<(Option<ExitStatus>, Option<Asked>)> {
    let mut asked = None;
    loop {
        match wait_any([&*child].into_iter(), [].into_iter(), waiter) {
            Ok(()) => return child.reap().map(|end| (Some(end.status), asked)),
            Err(Stop::TimedOut) => {
                asked = end(&[child])?.or(asked);
                return child.reap().map(|_| (None, asked));
            }
            Err(Stop::Signal(_)) => asked = hand_on(&[child], waiter).or(asked),
            Err(Stop::Errno(errno)) => return Err(errno),
        }
    }
}

/// Hands what asks us to stop to the children, unless the terminal has sent it to them as well; the last of
/// such signals.
pub fn hand_on(children: &[&Child], waiter: &Waiter) -> Option<Asked> {
    let mut last = None;
    while let Some((number, from_terminal)) = waiter::take() {
        waiter.arm();
        last = Some((number, from_terminal));
        let deaf: Vec<&Child> = children.iter().copied().filter(|child| child.group || !from_terminal).collect();
        send(&deaf, &[number]);
    }
    last
}

/// Ends children with all that they have started: SIGTERM, and SIGKILL for those that are still there after a
/// while. One that is stopped gets to see it. Their ends are left to be taken; the last signal that asked us
/// to stop meanwhile.
pub fn end(children: &[&Child]) -> nix::Result<Option<Asked>> {
    let mut asked = None;
    let mut started = send(children, &[Signal::SIGTERM as i32, Signal::SIGCONT as i32]);
    for wait in [Wait::within(Some(GRACE)), Wait::Forever] {
        let waiter = Waiter::new(wait);
        loop {
            let running = running(children)?;
            started.retain(|process| process.ended() == Ok(false));
            if running.is_empty() && started.is_empty() {
                return Ok(asked);
            }
            match wait_any(running.into_iter(), started.iter().map(PidFd::as_fd), &waiter) {
                Ok(()) => {}
                Err(Stop::TimedOut) => break,
                Err(Stop::Signal(_)) => asked = hand_on(children, &waiter).or(asked),
                Err(Stop::Errno(errno)) => return Err(errno),
            }
        }
        drop(send(children, &[Signal::SIGKILL as i32]));
        // Some may have lost their parent since, and are found no more.
        for process in started.drain(..) {
            let _ = process.send(Signal::SIGKILL as i32, None);
        }
    }
    Ok(asked)
}

fn running<'a>(children: &[&'a Child]) -> nix::Result<Vec<&'a Child>> {
    let mut running = Vec::with_capacity(children.len());
    for child in children {
        if !child.has_ended()? {
            running.push(*child);
        }
    }
    Ok(running)
}

/// Sends signals to children and to what they have started; those of the latter that could be met. The last one
/// first: of commands in a row it reads from the others, and where they ended before it, it would end by itself, as if
/// all had gone well.
fn send(children: &[&Child], signals: &[i32]) -> Vec<PidFd> {
    let mut met = Vec::new();
    for child in children.iter().rev().filter(|child| !child.is_reaped()) {
        // What is in the group of the child gets the signal with it.
        let in_group = |pid| child.group && getpgid(Some(Pid::from_raw(pid))) == Ok(Pid::from_raw(child.pid));
        let started = task::hold_descendants(child.pid).into_iter();
        let mut started: Vec<(bool, PidFd)> = started.map(|(pid, process)| (in_group(pid), process)).collect();
        for signal in signals {
            child.signal(*signal);
            // One that is gone meanwhile needs no signal, and one that may not be met is not ours to end.
            started.retain(|(in_group, process)| process.send(if *in_group { 0 } else { *signal }, None).is_ok());
        }
        met.extend(started.into_iter().map(|(_, process)| process));
    }
    met
}
