//! The evidence about one object, gathered from the kernel and from the scene.
//!
//! What is cheap and decides is looked at first; once somebody is known to use the object, nothing more is
//! asked. That costs: a System V segment two looks at /proc/PID; a set three calls of semctl(2) for each
//! semaphore, and where nobody is found one pass over all processes, which all objects share; a queue the
//! threads that are blocked, shared too; a POSIX object one lease (10 µs); a FIFO the open descriptors; a
//! socket one look at the kernel's list.

use super::patterns;
use super::scene::Scene;
use crate::mech::{self, Usage};
use crate::model::{
    Awaits, Blocked, End, Evidence, Finding, Fingerprint, Hold, How, Kind, Known, Nature, Object, Reason, Recorded,
    Seen, Verdict, judge,
};
use crate::proc::population::Living;
use crate::sys::file;
use nix::errno::Errno;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long an object must have rested to be an orphan, if nothing else was asked for. Programs that are run
/// again and again with one object between them, such as jobs of cron(8), mostly come back within the hour.
pub const PATIENCE: Duration = Duration::from_secs(3600);

/// Whether anybody can still be using an object.
pub fn verdict(object: &Object, scene: &Scene<'_>) -> Verdict {
    verdict_after(object, scene, PATIENCE)
}

/// The same, where an orphan must have rested for so long.
pub fn verdict_after(object: &Object, scene: &Scene<'_>, patience: Duration) -> Verdict {
    judge(&gather(object, scene, patience))
}

/// When an object was last used or changed, as far as it records that.
pub fn last_use(object: &Object) -> Option<i64> {
    let times = ["atime", "dtime", "otime", "stime", "rtime", "mtime", "ctime"];
    let inode = match object.fingerprint {
        Fingerprint::Inode { ctime, .. } if ctime > 0 => Some(ctime),
        _ => None,
    };
    times.into_iter().filter_map(|key| object.time(key)).chain(inode).max()
}

/// What a known program says of such an object, and the process that it was made by.
pub fn known(object: &Object, scene: &Scene<'_>) -> Option<Known> {
    let hit = patterns::of(object)?;
    let process = hit.pid.map(|pid| {
        // 0 is a process of another PID namespace.
        let pid = if scene.counts_as_we_do() { pid } else { 0 };
        mech::recorded("maker", pid, last_use(object), false)
    });
    Some(Known { maker: hit.pattern.maker, advice: hit.pattern.advice, process })
}

fn gather<'a>(object: &'a Object, scene: &Scene<'_>, patience: Duration) -> Evidence<'a> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut evidence = Evidence {
        object,
        now: i64::try_from(now).unwrap_or(i64::MAX),
        patience,
        last_use: last_use(object),
        usage: usage(object, scene),
        waiters: Finding::NotAsked,
        undo: Finding::NotAsked,
        recorded: Finding::NotAsked,
        acquaintance: Finding::NotAsked,
        messages: messages(object),
        known: None,
    };
    if matches!(evidence.usage, Finding::Is(Some(_))) {
        return evidence;
    }
    evidence.known = known(object, scene);
    let nature = Nature::of(object);
    if !matches!(nature, Nature::Attached | Nature::Called) {
        return evidence;
    }
    evidence.recorded = match mech::of(&object.reference).recorded(object) {
        Seen::Is(records) => Finding::Is(records),
        Seen::Hidden(reason) => Finding::Unseen(words(*reason)),
        Seen::Absent | Seen::Skipped => Finding::NotAsked,
    };
    if nature == Nature::Called {
        called(&mut evidence, scene);
    }
    evidence
}

/// Who uses it now, as its mechanism tells. Of another user's file only what we can see of processes tells.
fn usage(object: &Object, scene: &Scene<'_>) -> Finding<Option<String>> {
    match mech::of(&object.reference).usage_under(scene.root(), object, scene.holders()) {
        Seen::Is(Usage::Somebody(how)) => Finding::Is(Some(how)),
        Seen::Is(Usage::Nobody) if is_shared(object) => {
            Finding::Unseen("its file system may be shared with another machine".to_owned())
        }
        Seen::Is(Usage::Nobody) => Finding::Is(None),
        Seen::Hidden(reason) => {
            match holds(object, scene).into_iter().find(|hold| !matches!(hold.how, How::LastOperator { .. })) {
                Some(hold) => Finding::Is(Some(format!("{} has it open or mapped", process(&hold.end)))),
                None => Finding::Unseen(words(*reason)),
            }
        }
        Seen::Absent | Seen::Skipped => Finding::NotAsked,
    }
}

/// Whether a file by which processes meet may be one of another machine, too.
fn is_shared(object: &Object) -> bool {
    let meets = matches!(Nature::of(object), Nature::Socket | Nature::Stream);
    meets && object.name().is_some_and(|path| !file::is_of_this_machine(file::path(path.raw())))
}

fn holds<'s>(object: &Object, scene: &'s Scene<'_>) -> Vec<&'s Hold> {
    scene.resource(object).map_or_else(Vec::new, |resource| scene.holds_of(resource))
}

fn messages(object: &Object) -> Finding<u64> {
    match object.facts.get("messages") {
        Some(Seen::Is(_)) => object.number("messages").map_or(Finding::NotAsked, Finding::Is),
        Some(Seen::Hidden(reason)) => Finding::Unseen(words(**reason)),
        Some(Seen::Absent | Seen::Skipped) | None => Finding::NotAsked,
    }
}

/// What is asked of an object that is used by calls alone.
fn called(evidence: &mut Evidence<'_>, scene: &Scene<'_>) {
    let object = evidence.object;
    // A set counts those that wait on it, in every namespace; a queue does not.
    if evidence.usage == Finding::NotAsked {
        evidence.waiters = waiters(object, scene);
    }
    if object.kind() == Kind::Sem {
        evidence.undo = undo(object, scene);
    }
    if let Finding::Is(records) = &evidence.recorded {
        evidence.acquaintance = acquaintance(object, records, evidence.last_use, scene);
    }
}

/// The processes whose operations on a set the kernel will undo.
fn undo(object: &Object, scene: &Scene<'_>) -> Finding<Vec<String>> {
    let Some(resource) = scene.resource(object) else { return Finding::NotAsked };
    let holds = scene.holds_of(resource);
    let pending = holds.iter().filter(|hold| matches!(hold.how, How::Undo(_)));
    let said: Vec<String> = pending.map(|hold| format!("{} has SEM_UNDO pending on it", process(&hold.end))).collect();
    match scene.unseen_undo().filter(|_| said.is_empty()) {
        Some(reason) => Finding::Unseen(words(reason)),
        None => Finding::Is(said),
    }
}

/// The threads that are blocked on a queue. Where processes may not be looked into, one of them may be.
fn waiters(object: &Object, scene: &Scene<'_>) -> Finding<Vec<String>> {
    let Some(resource) = scene.resource(object) else { return Finding::NotAsked };
    let blocked: Vec<&Blocked> = scene.waiters_of(resource).collect();
    if !blocked.is_empty() {
        let said = blocked.iter().map(|blocked| {
            let (task, call) = (&blocked.task, blocked.call);
            format!("process {} ({}) waits on it in {call}", task.pid, task.command.escaped())
        });
        return Finding::Is(said.collect());
    }
    let population = scene.population();
    if let Some(why) = population.hidden {
        return Finding::Unseen(why.to_owned());
    }
    // Programs of 32 bits have other calls; of some no arguments can be read.
    let unread: Vec<i32> = scene
        .blocked()
        .iter()
        .filter(|blocked| matches!(blocked.awaits, Awaits::Other { .. }))
        .map(|blocked| blocked.task.pid)
        .collect();
    let may_wait = |living: &&Living| {
        let here = living.namespace.is_none_or(|namespace| namespace == scene.namespace());
        let seen = living.namespace.is_some() && living.open && !unread.contains(&living.pid);
        here && !seen && is_let_in(object, living, true)
    };
    let hidden: Vec<&Living> = population.living.iter().filter(may_wait).collect();
    match &hidden[..] {
        [] => Finding::Is(Vec::new()),
        [first, others @ ..] => Finding::Unseen(format!("{} may not be looked into", several(first, others.len()))),
    }
}

/// A process that may still know an object that none of its recorded users can use any more.
///
/// Identifiers of sets and queues are handed on: from the process that made it to its children, or through the
/// key. So every process of this IPC namespace that the permissions let in, and that has run since before the
/// last use, may use it again; and so may one that was forked since by a process that is gone. One that was
/// started since by another that lives would have to open it anew, which is no use that could be lost: it will
/// make another one.
fn acquaintance(
    object: &Object,
    records: &[Recorded],
    last_use: Option<i64>,
    scene: &Scene<'_>,
) -> Finding<Option<String>> {
    let population = scene.population();
    if let Some(why) = population.hidden {
        return Finding::Unseen(format!("who may use it could not be seen: {why}"));
    }
    let kin = |living: &Living| {
        let of = [living.parent, living.group, living.session];
        // Init takes in whoever has lost its parent.
        living.parent <= 1 || records.iter().any(|record| of.contains(&record.pid))
    };
    // Times are whole seconds: one that started in the same may have been there.
    let was_there = |living: &Living| last_use.is_none_or(|last| living.started <= last + 1);
    let may_know: Vec<&Living> = population
        .living
        .iter()
        .filter(|living| living.namespace.is_none_or(|namespace| namespace == scene.namespace()))
        .filter(|living| is_let_in(object, living, false) && (was_there(living) || kin(living)))
        .collect();
    let (seen, hidden): (Vec<&Living>, Vec<&Living>) =
        may_know.into_iter().partition(|living| living.namespace.is_some());
    // The youngest of them is the least likely to be a process that runs as long as the machine.
    let youngest = |those: &[&Living]| those.iter().copied().max_by_key(|living| living.started).cloned();
    if let Some(first) = youngest(&seen) {
        let how = if was_there(&first) { "has run since before its last use" } else { "has lost its parent" };
        let who = several(&first, seen.len() - 1);
        return Finding::Is(Some(format!("{who} may know it: its user may use it, and it {how}")));
    }
    match youngest(&hidden) {
        Some(first) => {
            let who = several(&first, hidden.len() - 1);
            Finding::Unseen(format!("whether {who} may use it could not be seen"))
        }
        None if scene.is_deserted() => {
            let who = "nobody is in its IPC namespace, but something keeps that: who enters it may use the object";
            Finding::Is(Some(who.to_owned()))
        }
        None => Finding::Is(None),
    }
}

/// Whether the permissions of a System V object let a process in, as ipcperms() in ipc/util.c has it.
///
/// That root may use everything says nothing: it is counted for its own objects alone, and for what it `made`
/// and gave to another user only if that is asked for.
fn is_let_in(object: &Object, living: &Living, made: bool) -> bool {
    let Fingerprint::Sysv { cuid, .. } = object.fingerprint else { return true };
    let (Some(uid), Some(gid), Some(mode)) = (object.uid.known(), object.gid.known(), object.mode.known()) else {
        return true;
    };
    let owns = living.users.contains(uid) || (living.users.contains(&cuid) && (made || cuid != 0));
    owns || (living.groups.contains(gid) && mode & 0o060 != 0) || mode & 0o006 != 0
}

fn process(end: &End) -> String {
    format!("process {} ({})", end.pid, end.command.escaped())
}

/// A process, and that there are more.
fn several(first: &Living, others: usize) -> String {
    let first = format!("process {} ({})", first.pid, first.command.escaped());
    match others {
        0 => first,
        1 => format!("{first} and another one"),
        n => format!("{first} and {n} others"),
    }
}

/// Why a call was refused.
fn words(reason: Reason) -> String {
    format!("{}: {:?}", reason.call, Errno::from_raw(reason.errno))
}
