//! Why a process does not go on.

mod chain;
mod circle;
mod prose;

pub use circle::{Told, deadlocks};
pub use prose::paragraphs;

use super::facts::{Facts, process_name};
use super::wakers::{self, Need};
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::model::{Awaits, Blocked, Escaped, How, Kind, ObjectRef, Resource, Text, Timeout};
use crate::proc::process::{Look, look};
use crate::proc::sysctl;
use crate::proc::task::{self, Doing};
use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

/// What is to be said of one thread.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    pub pid: i32,
    pub tid: i32,
    pub command: Text,
    /// blocked, running, sleeping, stopped or ended.
    pub state: &'static str,
    /// The call that it is blocked in.
    pub call: Option<&'static str>,
    /// What it waits for, a word.
    pub waits_for: Option<&'static str>,
    /// The object, if it waits for one that has a reference here.
    pub reference: Option<ObjectRef>,
    /// At least so long it has been blocked.
    pub since: Option<Duration>,
    /// When the call gives up, from now.
    pub left: Option<Duration>,
    /// What it needs, and who could bring it.
    pub needs: Vec<Need>,
    /// What those wait for themselves, a sentence each.
    pub chain: Vec<String>,
    /// What is unusual about the thread itself.
    pub odd: Vec<String>,
    /// What it does, as the rest of a sentence, and what there is to say beside its needs.
    does: String,
}

/// A process as it is said in a sentence, or one of its threads.
fn thread_name(pid: i32, tid: i32, command: &Text) -> String {
    let process = process_name(pid, command);
    if tid == pid { process } else { format!("thread {tid} of {process}") }
}

/// Of every thread of a process. Status 3 if there is none, 4 if it may not be looked into.
pub fn process(facts: &Facts<'_>, pid: i32) -> Result<Vec<Answer>> {
    let object = format!("process {pid}");
    let failed = |call, errno| match errno {
        Errno::ESRCH | Errno::ENOENT if matches!(look(pid), Look::Gone) => {
            Error::new(call, Errno::ESRCH, &object).because("there is no such process")
        }
        // /proc may hide what is there.
        Errno::ESRCH | Errno::ENOENT | Errno::EACCES | Errno::EPERM => {
            let errno = if errno == Errno::EPERM { errno } else { Errno::EACCES };
            Error::new(call, errno, &object).because("what it does may not be seen").hinting(needed())
        }
        errno => Error::new(call, errno, &object),
    };
    let threads = task::threads(pid).map_err(|errno| failed("open", errno))?;
    let mut answers = Vec::new();
    let mut first = None;
    for tid in threads {
        match facts.blocked_of(pid).iter().find(|blocked| blocked.task.tid == tid) {
            Some(blocked) => answers.push(thread(facts, blocked)),
            None => match task::look(pid, tid) {
                Ok(doing) => answers.push(other(facts, pid, tid, doing)),
                Err(errno) => first = first.or(Some(errno)),
            },
        }
    }
    match first {
        // A thread that is gone since is none.
        Some(errno) if answers.is_empty() => Err(failed("read", errno)),
        _ => Ok(answers),
    }
}

/// What it takes to look into a process.
fn needed() -> String {
    let mut needed =
        "it takes the right to trace it (PTRACE_MODE_ATTACH, ptrace(2)): the same user, or root".to_owned();
    if let Some(scope) = sysctl::number("kernel.yama.ptrace_scope").filter(|scope| *scope > 0) {
        needed.push_str(&format!(
            "; kernel.yama.ptrace_scope = {scope} forbids it for processes that we have not started"
        ));
    }
    needed
}

/// More threads than this that wait for one object are a crowd.
const CROWD: usize = 64;

/// Of a blocked thread, and of those that it waits for.
pub fn thread(facts: &Facts<'_>, blocked: &Blocked) -> Answer {
    let answer = alone(facts, blocked);
    Answer { chain: chain::chain(facts, blocked, &answer.needs), ..answer }
}

/// Of a blocked thread alone.
fn alone(facts: &Facts<'_>, blocked: &Blocked) -> Answer {
    let needs = wakers::of(facts, blocked);
    let mut odd = Vec::new();
    if blocked.stopped {
        odd.push("it is stopped by a signal or a debugger, so nothing lets it go on before SIGCONT".to_owned());
    }
    let resource = facts.receiver(blocked).or_else(|| blocked.awaits.resources().first().copied());
    let reference = resource.and_then(|resource| facts.reference(blocked, resource));
    Answer {
        pid: blocked.task.pid,
        tid: blocked.task.tid,
        command: blocked.task.command.clone(),
        state: "blocked",
        call: Some(blocked.call),
        waits_for: Some(word(&blocked.awaits)),
        reference,
        since: blocked.since,
        left: left(blocked),
        does: prose::waits(blocked, &needs),
        chain: Vec::new(),
        needs,
        odd,
    }
}

/// What is waited for, a word.
fn word(awaits: &Awaits) -> &'static str {
    match awaits {
        Awaits::Semaphores { .. } => "semaphore",
        Awaits::Receive { .. } | Awaits::MqReceive { .. } => "message",
        Awaits::Send { .. } | Awaits::MqSend { .. } | Awaits::Write { .. } => "room",
        Awaits::Read { .. } => "bytes",
        Awaits::Accept { .. } | Awaits::Connect { .. } => "connection",
        Awaits::Open { write: true, .. } => "reader",
        Awaits::Open { write: false, .. } => "writer",
        Awaits::Futex { what, .. } => what.word(),
        Awaits::Lock { lock, .. } => lock.word(),
        Awaits::Child { .. } => "child",
        Awaits::Any { .. } => "any",
        Awaits::Signal { .. } => "signal",
        Awaits::Sleep => "time",
        Awaits::Other { .. } => "kernel",
    }
}

/// How long until the call gives up by itself; zero if that is over.
fn left(blocked: &Blocked) -> Option<Duration> {
    let until = |clock: ClockId, at: Duration| {
        let now = clock_gettime(clock).map_or(Duration::ZERO, Duration::from);
        at.saturating_sub(now)
    };
    Some(match blocked.timeout? {
        Timeout::After(time) => time.saturating_sub(blocked.since.unwrap_or_default()),
        Timeout::At(at) => until(ClockId::CLOCK_REALTIME, at),
        Timeout::AtMonotonic(at) => until(ClockId::CLOCK_MONOTONIC, at),
    })
}

/// Of a thread that is not blocked in a call that can be told.
fn other(facts: &Facts<'_>, pid: i32, tid: i32, doing: Doing) -> Answer {
    let (state, does) = match doing {
        Doing::Running => ("running", "is running, or ready to: it waits for nothing but a processor".to_owned()),
        Doing::Stopped => ("stopped", "is stopped by a signal or a debugger; SIGCONT lets it go on".to_owned()),
        Doing::Ended if pid == tid && task::threads(pid).is_ok_and(|tids| tids.len() > 1) => {
            ("ended", "has ended, and the process goes on with its other threads".to_owned())
        }
        Doing::Ended => (
            "ended",
            match facts.parent(pid) {
                Some(parent) => {
                    format!("has ended, and {} has not yet waited for it (a zombie)", facts.process(parent))
                }
                None => "has ended (a zombie)".to_owned(),
            },
        ),
        Doing::Sleeping => ("sleeping", format!("sleeps in the kernel, in no system call{}", place(pid, tid))),
        Doing::Blocked(call) => ("sleeping", format!("sleeps in system call {}{}", call.nr, place(pid, tid))),
    };
    let command = facts.who(pid).map_or_else(|| Text::from(""), |(command, _)| command);
    Answer {
        pid,
        tid,
        command,
        state,
        call: None,
        waits_for: None,
        reference: None,
        since: None,
        left: None,
        needs: Vec::new(),
        chain: Vec::new(),
        odd: Vec::new(),
        does,
    }
}

/// Where in the kernel a thread sleeps, and whether a signal could end that.
fn place(pid: i32, tid: i32) -> String {
    let function = task::place(pid, tid);
    let mut place = function.map_or_else(String::new, |function| format!(", in its function {}", function.escaped()));
    if task::is_uninterruptible(pid, tid) {
        place.push_str(", and no signal can end that (state D)");
    }
    place
}

/// The threads that wait for an object, or in it.
pub fn object(facts: &Facts<'_>, reference: &ObjectRef) -> Result<Vec<Answer>> {
    let scene = facts.scene();
    let object = crate::mech::of(reference).find(&reference.id, crate::model::Needs::STAT, scene.holders())?;
    let resource = scene
        .resource(&object)
        .ok_or_else(|| Error::refused(reference, Status::NoSuch, "no process has it open, so none can wait for it"))?;
    let mut waiters: Vec<&Blocked> = scene.waiters_of(resource).collect();
    if object.kind() == Kind::Sock {
        waiters.extend(scene.blocked().iter().filter(|blocked| facts.receiver(blocked) == Some(resource)));
    }
    // Of a crowd each would be told the same story, and to know it takes a look at all descriptors.
    let told = if waiters.len() > CROWD { alone } else { thread };
    Ok(waiters.into_iter().map(|blocked| told(facts, blocked)).collect())
}

/// The threads that wait for a lock on a file, or for something in it, and who holds locks on it, a sentence for
/// each.
pub fn file(facts: &Facts<'_>, path: &Path) -> Result<(Vec<Answer>, Vec<String>)> {
    let shown = Escaped(path.as_os_str().as_bytes()).to_string();
    let found = nix::sys::stat::stat(path).map_err(|errno| Error::new("stat", errno, &shown))?;
    let resource = Resource::File { dev: found.st_dev, ino: found.st_ino };
    let answers = facts.scene().waiters_of(resource).map(|blocked| thread(facts, blocked)).collect();
    let holds = facts.scene().holds_of(resource).into_iter().filter(|hold| matches!(hold.how, How::Lock { .. }));
    let said = holds.map(|hold| {
        let who = process_name(hold.end.pid, &hold.end.command);
        format!("{who} has {} on {shown}", hold.how.detail().unwrap_or_default())
    });
    Ok((answers, said.collect()))
}

/// The processes that have this short name.
pub fn named(name: &[u8]) -> Vec<i32> {
    let pids = crate::proc::processes::pids().unwrap_or_default();
    pids.into_iter().filter(|pid| crate::proc::find::name(*pid).is_some_and(|known| known.raw() == name)).collect()
}
