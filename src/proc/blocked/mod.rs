//! What every blocked thread waits for: /proc/PID/task/TID/syscall gives the call and its registers,
//! /proc/PID/mem what they point to. Nothing is stopped or traced, and the thread cannot notice.
//!
//! It needs the right to trace a process (PTRACE_MODE_ATTACH, ptrace(2)).

mod address;
mod calls;
mod files;
mod futex;
mod layout;
mod memory;
pub(super) mod open;
mod owner;
pub mod robust;
mod since;
pub(super) mod target;

use super::processes::{Clock, INIT, hidden, leaves_out, pids, share, unlisted_gap};
use super::shared::Identities;
use super::task::{self, Blocked as Call, Doing};
use crate::model::{Awaits, Blocked, Gap, Reason, Resource, Task, Text, Timeout};
use nix::errno::Errno;
use nix::sys::uio::pread;
use owner::{Foreigners, Mapped};
use since::{Clocks, LastRan};
use std::collections::HashMap;
use target::{Target, Thread};

/// The threads that are blocked, and what could not be seen.
#[derive(Default, Debug)]
pub struct Blocking {
    /// In order of process and thread.
    pub tasks: Vec<Blocked>,
    pub gaps: Vec<Gap>,
    /// By the object that is waited for.
    index: HashMap<Resource, Vec<usize>>,
}

impl Blocking {
    fn new(mut found: Vec<Found>, gaps: Vec<Gap>) -> Blocking {
        let processors = found.iter().filter_map(|found| Some(found.last_ran?.processor)).collect();
        let clocks = Clocks::read(processors);
        for Found { blocked, last_ran } in &mut found {
            blocked.since = last_ran.and_then(|last_ran| clocks.since(last_ran));
        }
        let mut tasks: Vec<Blocked> = found.into_iter().map(|found| found.blocked).collect();
        tasks.sort_by_key(|blocked| (blocked.task.pid, blocked.task.tid));
        let mut index: HashMap<Resource, Vec<usize>> = HashMap::new();
        for (at, blocked) in tasks.iter().enumerate() {
            for resource in blocked.awaits.resources() {
                let waiting = index.entry(resource.object()).or_default();
                if waiting.last() != Some(&at) {
                    waiting.push(at);
                }
            }
        }
        Blocking { tasks, gaps, index }
    }

    /// Those that wait for an object or, of memory, for a word in it; with poll(2) also among others.
    pub fn on(&self, object: Resource) -> impl Iterator<Item = &Blocked> {
        self.index.get(&object).into_iter().flatten().map(|at| &self.tasks[*at])
    }

    /// The threads of a process.
    pub fn of_process(&self, pid: i32) -> &[Blocked] {
        let from = self.tasks.partition_point(|blocked| blocked.task.pid < pid);
        let to = self.tasks.partition_point(|blocked| blocked.task.pid <= pid);
        &self.tasks[from..to]
    }
}

/// The blocked threads of all processes.
pub fn all() -> Blocking {
    let unknown = |call, errno, why: &str| {
        let note = Some(format!("{why}; what processes wait for is not known"));
        Blocking::new(Vec::new(), vec![gap("calls of processes".to_owned(), call, errno, note)])
    };
    let pids = match pids() {
        Ok(pids) => pids,
        Err(errno) => return unknown("open", errno, "could not look at /proc"),
    };
    let walk = Walk::start();
    // What they wait for would pass for something else.
    if let Some((call, errno)) = walk.identities.devices.failed {
        return unknown(call, errno, "could not learn what descriptors and memory there are");
    }
    let part = walk.over(&pids);
    let unseen = |(pid, errno): &&(i32, Errno)| matches!(errno, Errno::EACCES | Errno::EPERM) && *pid != INIT;
    let unseen = part.failed.iter().filter(unseen).count();
    let note = || Some("they belong to others; what they wait for is not known".to_owned());
    let gaps =
        hidden(unseen, !leaves_out(&pids)).map(|who| gap(format!("calls of {who}"), "open", Errno::EACCES, note()));
    Blocking::new(part.found, gaps.into_iter().chain(unlisted_gap()).collect())
}

fn gap(subject: String, call: &'static str, errno: Errno, note: Option<String>) -> Gap {
    Gap { subject, field: None, reason: Reason { call, errno: errno as i32 }, note }
}

/// What does not change from process to process.
struct Walk {
    identities: Identities,
    clock: Clock,
    foreigners: Foreigners,
    /// Who has which memory mapped.
    mapped: Mapped,
}

/// What one thread of ours has seen.
#[derive(Default)]
struct Part {
    found: Vec<Found>,
    /// Processes that could not be looked at.
    failed: Vec<(i32, Errno)>,
}

struct Found {
    blocked: Blocked,
    last_ran: Option<LastRan>,
}

/// A thread while its call is looked at.
struct Look<'a> {
    walk: &'a Walk,
    target: &'a Target,
    thread: &'a Thread,
}

impl Walk {
    fn start() -> Walk {
        Walk {
            identities: Identities::learn(),
            clock: Clock::now(),
            foreigners: Foreigners::default(),
            mapped: Mapped::default(),
        }
    }

    fn over(&self, pids: &[i32]) -> Part {
        let look = |part: &mut Part, pid| {
            if let Err(errno) = self.process(pid, &mut part.found) {
                part.failed.push((pid, errno));
            }
        };
        let mut whole = Part::default();
        for part in share(pids, Part::default, look) {
            whole.found.extend(part.found);
            whole.failed.extend(part.failed);
        }
        whole
    }

    /// ESRCH if there is no such process, EACCES or EPERM if its calls may not be seen.
    fn process(&self, pid: i32, found: &mut Vec<Found>) -> nix::Result<()> {
        let gone = |errno| if errno == Errno::ENOENT { Errno::ESRCH } else { errno };
        let target = Target::open(pid).map_err(gone)?;
        let mut line = [0; 1024];
        let line = target.line("stat", &mut line).map_err(gone)?;
        let (command, started) = self.clock.read(line).ok_or(Errno::EBADMSG)?;
        let stat = Stat::parse(line).ok_or(Errno::EBADMSG)?;
        if stat.is_of_kernel {
            return Ok(());
        }
        let who = |tid| Task { pid, tid, started, command: Text::clone(&command) };
        let threads = target.threads();
        let is_alone = threads.len() == 1;
        for thread in &threads {
            let look = Look { walk: self, target: &target, thread };
            let stat = if is_alone { Some(stat) } else { look.stat() };
            match stat.map(|stat| look.at(stat, who(thread.tid))) {
                Some(Ok(blocked)) => found.extend(blocked),
                // A thread that has ended is none.
                Some(Err(Errno::ESRCH | Errno::ENOENT)) | None => {}
                Some(Err(errno)) => return Err(errno),
            }
        }
        Ok(())
    }
}

impl Look<'_> {
    fn stat(&self) -> Option<Stat> {
        let mut line = [0; 1024];
        Stat::parse(self.target.line(&self.thread.path("stat"), &mut line).ok()?)
    }

    /// What the thread is blocked in, if it is, from before the look to its end.
    fn at(&self, stat: Stat, task: Task) -> nix::Result<Option<Found>> {
        if stat.is_of_kernel || matches!(stat.state, b'R' | b'Z' | b'X' | b'x') {
            return Ok(None);
        }
        let file = self.target.file(&self.thread.path("syscall"))?;
        let (mut before, mut after) = ([0; 256], [0; 256]);
        let mut got = pread(&file, &mut before, 0)?;
        // One that has gone on meanwhile is looked at once more; it may have to do with a busy one.
        for _ in 0..2 {
            let line = &before[..got];
            let Some(Doing::Blocked(call)) = task::call(line) else { return Ok(None) };
            let decoded = self.decode(call, line);
            let last_ran = self.last_ran(stat.processor);
            got = pread(&file, &mut after, 0)?;
            if line == &after[..got] {
                let Decoded { call, awaits, timeout } = decoded;
                let (namespace, stopped) = (self.target.namespace(), matches!(stat.state, b'T' | b't'));
                let blocked = Blocked { task, call, awaits, since: None, timeout, namespace, stopped };
                return Ok(Some(Found { blocked, last_ran }));
            }
            before = after;
        }
        Ok(None)
    }

    fn last_ran(&self, processor: usize) -> Option<LastRan> {
        let mut text = [0; 512];
        let text = self.target.line(&self.thread.path("sched"), &mut text).ok()?;
        Some(LastRan { processor, at: since::exec_start(text)? })
    }

    fn decode(&self, call: Call, line: &[u8]) -> Decoded {
        // The numbers of a 32-bit program are those of another table.
        if is_low(line) && self.target.is_32_bit() {
            return Decoded { call: calls::OF_32_BITS, awaits: Awaits::Other { nr: call.nr }, timeout: None };
        }
        let call = calls::restarted(self, call);
        Decoded {
            call: calls::name(call.nr),
            awaits: calls::awaits(self, &call).unwrap_or(Awaits::Other { nr: call.nr }),
            timeout: calls::timeout(self, &call),
        }
    }
}

struct Decoded {
    call: &'static str,
    awaits: Awaits,
    timeout: Option<Timeout>,
}

/// Whether stack and program counter, the last words of a line of /proc/PID/syscall, lie within 32 bits, as they
/// do in every 32-bit program and in hardly any other.
fn is_low(line: &[u8]) -> bool {
    let pointer = |word: &[u8]| u64::from_str_radix(std::str::from_utf8(word).ok()?.strip_prefix("0x")?, 16).ok();
    let pointers = line.trim_ascii_end().rsplit(|byte| *byte == b' ').take(2).map(pointer);
    pointers.flatten().filter(|pointer| u32::try_from(*pointer).is_ok()).count() == 2
}

/// What is needed of /proc/PID/stat, proc_pid_stat(5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stat {
    state: u8,
    /// Made by the kernel for itself: what stands in its registers is no call.
    is_of_kernel: bool,
    /// On which it ran last.
    processor: usize,
}

/// PF_KTHREAD, PF_IO_WORKER and PF_USER_WORKER of include/linux/sched.h.
const OF_KERNEL: u32 = 0x0020_0000 | 0x10 | 0x4000;

impl Stat {
    fn parse(stat: &[u8]) -> Option<Stat> {
        let state = task::state(stat)?;
        let mut words = task::words(stat)?;
        let flags: u32 = words.nth(6)?.parse().ok()?;
        let processor = words.nth(29)?.parse().ok()?;
        Some(Stat { state, is_of_kernel: flags & OF_KERNEL != 0, processor })
    }
}

/// The parsers of this room, for tests with bytes that nobody would write.
#[cfg(any(test, fuzzing))]
pub(super) fn probe(bytes: &[u8]) {
    std::hint::black_box((is_low(bytes), Stat::parse(bytes), since::exec_start(bytes), owner::probe(bytes)));
    address::probe(bytes);
}

#[cfg(any(test, fuzzing))]
pub(super) fn probe_fdinfo(bytes: &[u8]) {
    files::probe(bytes);
}

#[cfg(test)]
mod tests;
