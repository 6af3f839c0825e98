//! The commands that a socket is given to: started, looked after, ended.

use crate::cmd::{children, verbs};
use crate::error::Error;
use crate::exit::Status;
use crate::sys::child::{Child, wait_any};
use crate::sys::waiter::{self, Stop, Waiter};
use nix::errno::Errno;
use std::os::fd::BorrowedFd;

/// Waits until a child ends or `other` can be read.
pub fn wait(children: &[Child], other: Option<BorrowedFd<'_>>, waiter: &Waiter) -> Result<(), Stop> {
    wait_any(children.iter(), other.into_iter(), waiter)
}

/// How a child ended, once it has.
pub fn status(child: &mut Child) -> anyhow::Result<Option<Status>> {
    let ended = child.status().map_err(cannot_wait)?;
    Ok(ended.map(verbs::passed_on))
}

/// Waits for all children; a signal is handed on to them and to what they have started, unless the terminal
/// has sent it to all of us. Their statuses, in their order; 124 for all of them when their time was over and
/// they were ended.
pub fn attend(children: &mut [Child], waiter: &Waiter) -> anyhow::Result<Vec<Status>> {
    let mut asked = None;
    loop {
        if let Some(all) = statuses(children)? {
            if let Some((signal, true)) = waiter::take().or(asked)
                && all.iter().any(|status| matches!(status, Status::Signal(died) if *died == signal))
            {
                // ^C ended the commands; so that a script ends as well, we die of it too.
                waiter::put_back();
            }
            return Ok(all);
        }
        match wait(children, None, waiter) {
            Ok(()) => {}
            Err(Stop::TimedOut) => {
                end(children)?;
                return Ok(vec![Status::TimedOut; children.len()]);
            }
            Err(Stop::Signal(_)) => {
                asked = children::hand_on(&children.iter().collect::<Vec<_>>(), waiter).or(asked);
            }
            Err(Stop::Errno(errno)) => return Err(cannot_wait(errno)),
        }
    }
}

/// Ends all children with all that they have started, and waits for them. What has asked us to stop is known
/// afterwards, too.
pub fn end(children: &mut [Child]) -> anyhow::Result<()> {
    let before = waiter::take();
    let meanwhile = children::end(&children.iter().collect::<Vec<_>>()).map_err(cannot_wait)?;
    statuses(children)?;
    if before.or(meanwhile).is_some() {
        waiter::put_back();
    }
    Ok(())
}

fn statuses(children: &mut [Child]) -> anyhow::Result<Option<Vec<Status>>> {
    children.iter_mut().map(status).collect()
}

fn cannot_wait(errno: Errno) -> anyhow::Error {
    Error::new("waitid", errno, "the command").doing("cannot wait for")
}
