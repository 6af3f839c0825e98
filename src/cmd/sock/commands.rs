//! The commands that a socket is given to: started, looked after, ended.

use crate::cmd::verbs;
use crate::error::Error;
use crate::exit::Status;
use crate::model::Wait;
use crate::sys::child::{Child, wait_any};
use crate::sys::waiter::{self, Stop, Waiter};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use std::os::fd::BorrowedFd;

/// Waits until a child ends or `other` can be read.
pub fn wait(children: &[Child], other: Option<BorrowedFd<'_>>, waiter: &Waiter) -> Result<(), Stop> {
    wait_any(children.iter(), other, waiter)
}

/// How a child ended, once it has.
pub fn status(child: &mut Child) -> anyhow::Result<Option<Status>> {
    let ended = child.status();
    let ended = ended.map_err(|errno| Error::new("waitpid", errno, "the command").doing("cannot wait for"))?;
    Ok(ended.map(verbs::passed_on))
}

/// Waits for all children; a signal is handed on to them, unless the terminal has sent it to all of us.
/// Their statuses, in their order; 124 for all of them when their time was over and they were ended.
pub fn attend(children: &mut [Child], own_groups: bool, waiter: &Waiter) -> anyhow::Result<Vec<Status>> {
    loop {
        if let Some(all) = statuses(children)? {
            return Ok(all);
        }
        match wait(children, None, waiter) {
            Ok(()) => {}
            Err(Stop::TimedOut) => {
                end(children)?;
                return Ok(vec![Status::TimedOut; children.len()]);
            }
            Err(Stop::Signal(_)) => {
                if let Some((signal, from_terminal)) = waiter::take() {
                    waiter.arm();
                    if own_groups || !from_terminal {
                        children.iter().for_each(|child| child.signal(signal));
                    }
                }
            }
            Err(Stop::Errno(errno)) => return Err(cannot_wait(errno)),
        }
    }
}

/// Ends all children and waits for them, as long as it takes. A signal that asks us to stop reminds them.
pub fn end(children: &mut [Child]) -> anyhow::Result<()> {
    let mut asked = waiter::take().map(|(signal, _)| signal);
    let waiter = Waiter::new(Wait::Forever);
    let remind = |children: &[Child]| children.iter().for_each(|child| child.signal(Signal::SIGTERM as i32));
    remind(children);
    while statuses(children)?.is_none() {
        match wait(children, None, &waiter) {
            Ok(()) | Err(Stop::TimedOut) => {}
            Err(Stop::Signal(_)) => {
                let (again, _) = waiter::take().unwrap_or_default();
                asked = asked.or(Some(again).filter(|signal| *signal != 0));
                waiter.arm();
                remind(children);
            }
            Err(Stop::Errno(errno)) => return Err(cannot_wait(errno)),
        }
    }
    if asked.is_some() {
        waiter::put_back();
    }
    Ok(())
}

fn statuses(children: &mut [Child]) -> anyhow::Result<Option<Vec<Status>>> {
    children.iter_mut().map(status).collect()
}

fn cannot_wait(errno: Errno) -> anyhow::Error {
    Error::new("poll", errno, "the command").doing("cannot wait for")
}
