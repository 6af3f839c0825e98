//! Looking at a pipeline while it runs: how full its pipes are, and who waits for whom.
//!
//! Nothing stands between the stages, and nothing is stopped. What a stage does is read from /proc; a pipe is
//! looked at through a duplicate of a stage's descriptor that is held for microseconds, because a pipe does
//! not end while somebody holds it. All of it is sampled.

use super::tally::{Now, Range, Tally, louder};
use crate::proc::io::{self, Account, Io};
use crate::proc::task::{self, Doing, Transfer};
use crate::sys::child::Child;
use crate::sys::pidfd::PidFd;
use crate::sys::pipe::{self, Identity, Slots};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// The time between two samples. Where one sample takes long, because there are many stages, it is longer, so
/// that all of them together take little of one processor.
const INTERVAL: Duration = Duration::from_millis(20);
const COST: u32 = 50;
/// Every so many samples a pipe is searched for among all descriptors of a stage.
const SEARCH: u64 = 16;

/// What was seen of a stage.
#[derive(Default)]
pub struct Seen {
    pub now: Now,
    pub all: Tally,
    /// Since somebody last looked.
    pub recent: Tally,
    /// What it read and wrote, with its descendants; nothing where it may not be seen.
    pub io: Option<Io>,
    /// Whether it was seen to move bytes in a way that the kernel does not count.
    pub splices_in: bool,
    pub splices_out: bool,
    descendants: Vec<i32>,
    account: Option<Account>,
}

/// What was seen of the pipe between two stages.
pub struct Edge {
    identity: Identity,
    /// What it held when it was made; a stage may change it.
    pub capacity: usize,
    /// Bytes and slots that are in use now; nothing where it cannot be known.
    pub fill: Option<usize>,
    pub used: Option<usize>,
    pub fills: Range,
    pub slots: Range,
    /// The process and the descriptor by which it was found last.
    found: Option<(i32, i32)>,
}

impl Edge {
    /// The slots that it has.
    pub fn room(&self) -> usize {
        self.capacity / pipe::page()
    }
}

/// A pipeline under observation.
pub struct Watch {
    pub stages: Vec<Seen>,
    pub edges: Vec<Edge>,
    /// What the first stage reads and the last one writes, if it is something to wait for.
    ends: (Option<Identity>, Option<Identity>),
    slots: Option<Slots>,
    next: Instant,
    turn: u64,
}

impl Watch {
    /// `edges` are the pipes with their capacities.
    pub fn new(edges: &[(Identity, usize)], ends: (Option<Identity>, Option<Identity>)) -> Watch {
        let edge = |(identity, capacity): &(Identity, usize)| Edge {
            identity: *identity,
            capacity: *capacity,
            fill: None,
            used: None,
            fills: Range::default(),
            slots: Range::default(),
            found: None,
        };
        let stages = (0..=edges.len()).map(|_| Seen::default()).collect();
        let edges = edges.iter().map(edge).collect();
        Watch { stages, edges, ends, slots: Slots::new().ok(), next: Instant::now(), turn: 0 }
    }

    /// The time until the next sample.
    pub fn left(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Takes a sample when it is time for it. A stage that has ended is none.
    pub fn sample(&mut self, stages: &[Option<Child>]) {
        let start = Instant::now();
        if start < self.next {
            return;
        }
        for at in 0..self.edges.len() {
            self.look_at_edge(at, stages);
        }
        for (at, stage) in stages.iter().enumerate() {
            if let Some(stage) = stage {
                self.look_at_stage(at, stage);
            }
        }
        self.turn += 1;
        self.next = start + INTERVAL.max(start.elapsed() * COST);
    }

    /// A stage was started: what it reads and writes is counted from now on.
    pub fn started(&mut self, at: usize, pid: i32) {
        self.stages[at].account = Account::open(pid).ok();
    }

    /// What is still to be known of a stage that has ended and is not reaped yet.
    pub fn ended(&mut self, at: usize) {
        let seen = &mut self.stages[at];
        seen.now = Now::Ended;
        let last = seen.account.take().and_then(|account| account.read().ok());
        // With its descendants more may have been seen, if it did not wait for them.
        seen.io = last.map(|last| seen.io.map_or(last, |before| most(before, last)));
        if seen.io.is_none() {
            // It may not be looked at. What was seen was ourselves, about to become the command.
            seen.all = Tally::default();
        }
    }

    fn look_at_edge(&mut self, at: usize, stages: &[Option<Child>]) {
        let (fill, used) = match self.open(at, stages) {
            None => (None, None),
            Some(end) => {
                let edge = &mut self.edges[at];
                edge.capacity = pipe::capacity(&end).unwrap_or(edge.capacity);
                let fill = pipe::fill(&end).ok();
                let counted =
                    self.slots.as_mut().filter(|_| pipe::reads(&end)).map(|slots| slots.count(&end, edge.capacity));
                if let Some(Err(_)) = counted {
                    // What it duplicated is still in it.
                    self.slots = Slots::new().ok();
                }
                (fill, counted.and_then(Result::ok))
            }
        };
        let edge = &mut self.edges[at];
        (edge.fill, edge.used) = (fill, used);
        fill.into_iter().for_each(|fill| edge.fills.add(fill));
        used.into_iter().for_each(|used| edge.slots.add(used));
    }

    /// A duplicate of an end of the pipe, rather of that to read from: it tells more. A stage may have
    /// redirected it away, or started a process that holds it instead.
    fn open(&mut self, at: usize, stages: &[Option<Child>]) -> Option<OwnedFd> {
        let identity = self.edges[at].identity;
        let duplicate = |stage: &Child, pid: i32, number: i32| {
            let opened = (pid != stage.pid).then(|| PidFd::open(pid).ok()).flatten();
            let handle = opened.as_ref().or(stage.handle.as_ref().filter(|_| pid == stage.pid))?;
            let fd = handle.descriptor(number).ok()?;
            (pipe::identity(&fd) == Ok(identity)).then_some(fd)
        };
        let mut found = None;
        let sides = [(at + 1, 0), (at, 1)];
        for (stage, usual) in sides {
            let Some(stage_now) = &stages[stage] else { continue };
            let processes = [stage_now.pid].into_iter().chain(self.stages[stage].descendants.iter().copied());
            let known = self.edges[at].found.filter(|(pid, _)| processes.clone().any(|process| process == *pid));
            let candidates = known.into_iter().chain(processes.clone().map(|pid| (pid, usual)));
            found = candidates.filter_map(|place| Some((place, duplicate(stage_now, place.0, place.1)?))).next();
            if found.is_none() && self.turn.is_multiple_of(SEARCH) {
                let every = processes.flat_map(|pid| task::descriptors(pid).into_iter().map(move |fd| (pid, fd)));
                let same = every.filter(|(pid, fd)| task::descriptor(*pid, *fd) == Some(identity));
                found = same.filter_map(|place| Some((place, duplicate(stage_now, place.0, place.1)?))).next();
            }
            if found.is_some() {
                break;
            }
        }
        let (place, fd) = found?;
        self.edges[at].found = Some(place);
        Some(fd)
    }

    fn look_at_stage(&mut self, at: usize, stage: &Child) {
        let input = if at == 0 { self.ends.0 } else { Some(self.edges[at - 1].identity) };
        let output = self.edges.get(at).map_or(self.ends.1, |edge| Some(edge.identity));
        let empty = at > 0 && self.edges[at - 1].fill == Some(0);
        let full = self.edges.get(at).is_some_and(|edge| edge.used.is_some_and(|used| used >= edge.room()));
        let ends = Ends { input, output, empty, full };
        let seen = &mut self.stages[at];
        let mut now = ends.look(stage.pid, seen);
        if now == Now::Waits {
            seen.descendants = task::descendants(stage.pid);
            for pid in std::mem::take(&mut seen.descendants) {
                now = louder(now, ends.look(pid, seen));
                seen.descendants.push(pid);
            }
        } else {
            seen.descendants.clear();
        }
        let own = seen.account.as_ref().and_then(|account| account.read().ok());
        let all = seen.descendants.iter().filter_map(|pid| io::of(*pid).ok()).fold(own, |sum, more| {
            sum.map(|sum| Io { read: sum.read + more.read, written: sum.written + more.written })
        });
        // The descendants that ended since and were not waited for took their numbers with them.
        seen.io = all.map(|all| seen.io.map_or(all, |before| most(before, all)));
        seen.now = now;
        seen.all.add(now);
        seen.recent.add(now);
    }

    /// What the stage `at` wrote, if the kernel counted it: a stage that wrote nothing while its pipe had
    /// something in it did so by splice(2).
    pub fn written(&self, at: usize) -> Option<u64> {
        let seen = &self.stages[at];
        let io = seen.io.filter(|_| !seen.splices_out)?;
        let spliced = io.written == 0 && self.edges.get(at).is_some_and(|edge| edge.fills.max > Some(0));
        (!spliced).then_some(io.written)
    }

    /// What the stage `at` read, if the kernel counted it. Loading its program counts too.
    pub fn read(&self, at: usize) -> Option<u64> {
        let seen = &self.stages[at];
        seen.io.filter(|_| !seen.splices_in).map(|io| io.read)
    }

    /// What went over an edge at most: no more than was written on one side and read on the other.
    pub fn moved(&self, edge: usize) -> Option<u64> {
        match (self.written(edge), self.read(edge + 1)) {
            (Some(written), Some(read)) => Some(written.min(read)),
            (one, other) => one.or(other),
        }
    }
}

fn most(a: Io, b: Io) -> Io {
    Io { read: a.read.max(b.read), written: a.written.max(b.written) }
}

/// What a stage reads from and writes to, and how that is now.
struct Ends {
    input: Option<Identity>,
    output: Option<Identity>,
    empty: bool,
    full: bool,
}

impl Ends {
    /// What a process does, of which all threads are looked at.
    fn look(&self, pid: i32, seen: &mut Seen) -> Now {
        let threads = task::threads(pid).unwrap_or_default();
        threads.into_iter().fold(Now::Unknown, |now, tid| louder(now, self.thread(pid, tid, seen)))
    }

    fn thread(&self, pid: i32, tid: i32, seen: &mut Seen) -> Now {
        let Ok(doing) = task::look(pid, tid) else { return Now::Unknown };
        let is = |fd, end: Option<Identity>| end.is_some() && task::descriptor(pid, fd) == end;
        let blocked = match doing {
            Doing::Running => return Now::Runs,
            Doing::Stopped => return Now::Stopped,
            Doing::Ended => return Now::Unknown,
            Doing::Sleeping => return Now::Waits,
            Doing::Blocked(blocked) => blocked,
        };
        match blocked.transfer() {
            Some(Transfer::Read(fd)) if is(fd, self.input) => Now::Starved,
            Some(Transfer::Write(fd)) if is(fd, self.output) => Now::Blocked,
            Some(Transfer::Vmsplice(fd)) if is(fd, self.output) => {
                seen.splices_out = true;
                Now::Blocked
            }
            Some(Transfer::Splice { from, to }) => {
                let (input, output) = (is(from, self.input), is(to, self.output));
                seen.splices_in |= input;
                seen.splices_out |= output;
                match (input, output) {
                    // It sleeps on one of the two, and only what is in them tells on which.
                    (true, _) if self.empty => Now::Starved,
                    (_, true) if self.full || !input => Now::Blocked,
                    _ => Now::Waits,
                }
            }
            _ => Now::Waits,
        }
    }
}

/// The identity of an end of ours, if it is something that one waits for: no file and no block device.
pub fn end(fd: impl AsFd) -> Option<Identity> {
    let fd = fd.as_fd();
    let plain = crate::sys::file::is_plain(fd);
    pipe::identity(fd).ok().filter(|_| !plain)
}
