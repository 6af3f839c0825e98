//! The evidence about one object, gathered from the kernel and from the scene.
//!
//! What is cheap and decides is looked at first; once somebody is known to use the object, nothing more is
//! asked. That costs: a System V segment two looks at /proc/PID, and where nobody is found one pass over all
//! processes, which all objects share; a set three calls of semctl(2) for each semaphore more; a queue the
//! threads that are blocked, shared too; a POSIX object one lease (10 µs); a FIFO the open descriptors; a
//! socket one look at the kernel's list.

use super::patterns;
use super::scene::Scene;
use crate::mech::{self, Usage};
use crate::model::{
    Awaits, Blocked, End, Evidence, Family, Finding, Fingerprint, Hold, How, Kind, Known, Nature, Object, Past, Reason,
    Recorded, Seen, Verdict, judge,
};
use crate::proc::mounts;
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
        maybe_same: Vec::new(),
        acquaintance: Finding::NotAsked,
        messages: messages(object),
        doubts: Vec::new(),
        known: None,
    };
    if matches!(evidence.usage, Finding::Is(Some(_))) {
        return evidence;
    }
    evidence.known = known(object, scene);
    let nature = Nature::of(object);
    if matches!(nature, Nature::Attached | Nature::Called) {
        evidence.recorded = match mech::of(&object.reference).recorded(object) {
            Seen::Is(records) => Finding::Is(records),
            Seen::Hidden(reason) => Finding::Unseen(words(*reason)),
            Seen::Absent | Seen::Skipped => Finding::NotAsked,
        };
        if matches!(evidence.recorded, Finding::Is(_)) {
            evidence.acquaintance = acquaintance(object, scene);
        }
    }
    if nature == Nature::Called {
        called(&mut evidence, scene);
    }
    let named = evidence.known.as_ref().and_then(|known| known.process.as_ref());
    if named.is_some() {
        evidence.doubts.extend(foreign_name(object, scene));
    }
    if nature == Nature::Socket {
        evidence.doubts.extend(overlaid(object, scene));
    }
    let recorded = match &evidence.recorded {
        Finding::Is(records) => &records[..],
        Finding::Unseen(_) | Finding::NotAsked => &[],
    };
    let records = recorded.iter().chain(named).filter(|record| may_be_same(object, record, scene));
    evidence.maybe_same = records.map(|record| record.pid).collect();
    evidence
}

/// Whether a process that seems to be another one than was recorded may still be it: start times are kept as
/// time since the boot, and seem later when the clock was set forward since.
fn may_be_same(object: &Object, record: &Recorded, scene: &Scene<'_>) -> bool {
    let population = scene.population();
    let is_it =
        |living: &Living| living.pid == record.pid && is_here(object, living, scene) && is_let_in(object, living);
    record.past == Past::Reused && (population.hidden.is_some() || population.living.iter().any(is_it))
}

/// That the pid in an object's name may be one of another PID namespace: whether there is such a process here
/// says nothing then.
fn foreign_name(object: &Object, scene: &Scene<'_>) -> Option<String> {
    let population = scene.population();
    if population.hidden.is_some() {
        return Some("the pid in its name may be of another PID namespace".to_owned());
    }
    let foreign = |living: &&Living| is_let_in(object, living) && living.may_name_elsewhere();
    let first = population.living.iter().find(foreign)?;
    let (pid, command) = (first.pid, first.command.escaped());
    Some(format!("the pid in its name may be of the PID namespace of process {pid} ({command})"))
}

/// That a socket may be bound to a file by another path, which is another file to the kernel: that of an overlay,
/// of which the directory is a part.
fn overlaid(object: &Object, scene: &Scene<'_>) -> Option<String> {
    let path = file::path(object.name()?.raw());
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => std::path::Path::new("."),
    };
    match directory.canonicalize() {
        Ok(directory) => {
            let overlaid = scene.layers().iter().any(|layer| mounts::is_within(&directory, layer));
            overlaid.then(|| "its directory is part of an overlay, in which a socket may be bound to it".to_owned())
        }
        Err(_) => Some("in which directory it lies could not be seen".to_owned()),
    }
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
}

/// The processes whose operations on a set the kernel will undo.
fn undo(object: &Object, scene: &Scene<'_>) -> Finding<Vec<String>> {
    let Some(resource) = scene.resource(object) else { return Finding::NotAsked };
    let holds = scene.holds_of(resource);
    let pending = holds.iter().filter(|hold| matches!(hold.how, How::Undo(_)));
    let said: Vec<String> = pending.map(|hold| format!("{} has SEM_UNDO pending on it", process(&hold.end))).collect();
    let Some(reason) = scene.unseen_undo().filter(|_| said.is_empty()) else { return Finding::Is(said) };
    let population = scene.population();
    // Where nobody lives who could have one pending, nobody has.
    let may_have = |living: &Living| is_here(object, living, scene) && may_use(object, living);
    match population.hidden.is_some() || population.living.iter().any(may_have) {
        true => Finding::Unseen(words(reason)),
        false => Finding::NotAsked,
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
        let seen = living.namespace.is_some() && living.open && !unread.contains(&living.pid);
        is_here(object, living, scene) && !seen && may_use(object, living)
    };
    let hidden: Vec<&Living> = population.living.iter().filter(may_wait).collect();
    match &hidden[..] {
        [] => Finding::Is(Vec::new()),
        [first, others @ ..] => Finding::Unseen(format!("{} may not be looked into", several(first, others.len()))),
    }
}

/// A process that may still know an object that nobody uses now.
///
/// Identifiers of System V objects are handed on: from the process that made it to its children, in a message or
/// on a command line, or through the key; and a shell knows what its earlier commands have made. So every process
/// of this IPC namespace that the permissions let in may use it again, whenever it was started and by whom.
fn acquaintance(object: &Object, scene: &Scene<'_>) -> Finding<Option<String>> {
    let population = scene.population();
    if let Some(why) = population.hidden {
        return Finding::Unseen(format!("who may use it could not be seen: {why}"));
    }
    let may_know =
        population.living.iter().filter(|living| is_here(object, living, scene) && is_let_in(object, living));
    let (seen, hidden): (Vec<&Living>, Vec<&Living>) = may_know.partition(|living| living.namespace.is_some());
    // The youngest of them is the least likely to be a process that runs as long as the machine.
    let youngest = |those: &[&Living]| those.iter().copied().max_by_key(|living| living.started).cloned();
    if let Some(first) = youngest(&seen) {
        return Finding::Is(Some(format!("{} may know it: its user may use it", several(&first, seen.len() - 1))));
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

/// Whether a process may be where an object is: of a System V one in its IPC namespace.
fn is_here(object: &Object, living: &Living, scene: &Scene<'_>) -> bool {
    object.family != Family::Sysv || living.namespace.is_none_or(|namespace| namespace == scene.namespace())
}

/// Whether the permissions of an object let a process in, as ipcperms() in ipc/util.c has it.
///
/// That root may use everything says nothing: it is counted for what it owns or has made alone.
fn is_let_in(object: &Object, living: &Living) -> bool {
    let (Some(uid), Some(gid), Some(mode)) = (object.uid.known(), object.gid.known(), object.mode.known()) else {
        return true;
    };
    let made = match object.fingerprint {
        Fingerprint::Sysv { cuid, .. } => living.users.contains(&cuid),
        Fingerprint::Inode { .. } => false,
    };
    let owns = made || living.users.contains(uid);
    let of_creator = object.number("cgid").and_then(|cgid| u32::try_from(cgid).ok());
    let in_group = living.groups.contains(gid) || of_creator.is_some_and(|cgid| living.groups.contains(&cgid));
    owns || (in_group && mode & 0o060 != 0) || mode & 0o006 != 0
}

/// The same of what a process may do all in all: root may use everything. A user of another user namespace, who
/// may be root too, is seen as this one, proc_sys_kernel(5).
fn may_use(object: &Object, living: &Living) -> bool {
    const OVERFLOW: u32 = 65534;
    is_let_in(object, living) || living.users.iter().any(|user| matches!(*user, 0 | OVERFLOW))
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
