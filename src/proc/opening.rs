//! Who waits in open(2) of a FIFO: no descriptor leads to it yet, so the call itself is looked at, as that of any
//! blocked thread.

use super::blocked::open;
use super::blocked::target::{Target, Thread};
use super::holders::FileId;
use super::processes::{Clock, pids, share};
use super::task::{self, Doing};
use crate::model::{End, Role};
use nix::sys::stat::FileStat;
use std::path::PathBuf;

/// A process that waits for the other side of a FIFO.
#[derive(Clone, Debug)]
pub struct Opening {
    pub stat: FileStat,
    /// The path as a process of the same root directory sees it.
    pub path: PathBuf,
    pub end: End,
}

/// Every process that waits in open(2) of a FIFO, of those that we may look into.
pub fn all() -> Vec<Opening> {
    let clock = Clock::now();
    let pids = pids().unwrap_or_default();
    share(&pids, Vec::new, |found, pid| found.extend(of(pid, clock))).into_iter().flatten().collect()
}

/// Those among the threads of one process.
fn of(pid: i32, clock: Clock) -> Vec<Opening> {
    let Ok(target) = Target::open(pid) else { return Vec::new() };
    target.threads().iter().filter_map(|thread| waits(&target, thread, clock)).collect()
}

fn waits(target: &Target, thread: &Thread, clock: Clock) -> Option<Opening> {
    let mut line = [0; 256];
    let line = target.line(&thread.path("syscall"), &mut line).ok()?;
    let Doing::Blocked(call) = task::call(line)? else { return None };
    let open::Opening { stat, path, write } = open::opening(target, thread, &call)?;
    let (command, started) = clock.process(target.pid)?;
    let role = if write { Role::OpeningToWrite } else { Role::OpeningToRead };
    let end = End { pid: target.pid, started, command, fd: None, role };
    Some(Opening { stat, path, end })
}

/// Those that wait for the other side of one FIFO.
pub fn of_file(openings: &[Opening], id: FileId) -> impl Iterator<Item = &Opening> {
    openings.iter().filter(move |opening| FileId::of(&opening.stat) == id)
}
