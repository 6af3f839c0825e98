//! Who waits in open(2) of a FIFO: no descriptor leads to it yet, so the call itself is looked at, as that of any
//! blocked thread.

use super::blocked::open;
use super::blocked::target::{Target, Thread};
use super::holders::FileId;
use super::processes::{Clock, pids, share};
use super::task::{self, Doing};
use crate::model::{End, Reason, Role};
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

/// Who waits in open(2) of FIFOs.
#[derive(Default, Debug)]
pub struct Openings {
    pub list: Vec<Opening>,
    /// Why it is not known who does.
    pub unseen: Option<Reason>,
}

/// Every process that waits in open(2) of a FIFO, of those that we may look into.
pub fn all() -> Openings {
    let clock = Clock::now();
    let pids = match pids() {
        Ok(pids) => pids,
        Err(errno) => {
            let unseen = Some(Reason { call: "open", errno: errno as i32 });
            return Openings { list: Vec::new(), unseen };
        }
    };
    let found = share(&pids, Vec::new, |found, pid| found.extend(of(pid, clock)));
    Openings { list: found.into_iter().flatten().collect(), unseen: None }
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

impl Openings {
    /// Those that wait for the other side of one FIFO.
    pub fn of(&self, id: FileId) -> impl Iterator<Item = &Opening> {
        self.list.iter().filter(move |opening| FileId::of(&opening.stat) == id)
    }
}
