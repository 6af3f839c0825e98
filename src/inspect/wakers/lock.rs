//! Locks: of files, and of the C library in shared memory.

use super::super::facts::Facts;
use super::{Nature, Need, Waker, note_stopped};
use crate::model::{Blocked, Futex, Grade, Hold, How, Kind, LockKind, Owner, Range, Resource};
use crate::proc::locks::Lock;
use std::collections::HashSet;

/// A lock that a thread waits for.
pub(super) struct Wanted {
    /// The descriptor through which it does.
    pub(super) fd: i32,
    pub(super) lock: LockKind,
    pub(super) exclusive: bool,
    /// The bytes, as the arguments of its call have them.
    pub(super) range: Option<Range>,
}

/// A lock on a file. Whoever wants it alone needs all others to let go of the bytes that it wants.
pub(super) fn file(facts: &Facts<'_>, blocked: &Blocked, file: Resource, wanted: &Wanted) -> Vec<Need> {
    let pid = blocked.task.pid;
    let range = listed(facts.scene().locks_awaited(file), pid, wanted).or(wanted.range).unwrap_or(Range::ALL);
    let kind = if wanted.exclusive { "exclusive" } else { "shared" };
    let part = if range == Range::ALL { String::new() } else { format!("{range} of ") };
    let what = format!("the {kind} {} on {part}{}", wanted.lock.word(), facts.name(blocked, file));
    let (shared, mut sole): (Vec<&Hold>, Vec<&Hold>) = facts
        .scene()
        .holds_of(file)
        .into_iter()
        .filter(|hold| hinders(hold, pid, wanted, range))
        .partition(|hold| matches!(hold.how, How::Lock { exclusive: false, .. }));
    let waker = |hold: &Hold| Waker {
        pid: hold.end.pid,
        tid: None,
        command: hold.end.command.clone(),
        grade: hold.grade,
        does: "holds",
        because: wanted.lock.word().to_owned(),
    };
    let need = |holds: &[&Hold]| {
        let mut need = Need::new(what.clone(), Nature::Held);
        for hold in holds {
            if need.by.iter().all(|known: &Waker| known.pid != hold.end.pid) {
                need.by.push(waker(hold));
            }
        }
        need.closed = !need.by.is_empty();
        note_stopped(facts, &mut need);
        need
    };
    // One that is exclusive is held once; several processes share it by fork(2), and any of them can let go.
    let key = |hold: &&Hold| match hold.how {
        How::Lock { lock, range, .. } => Some((lock, range)),
        _ => None,
    };
    sole.sort_by_key(key);
    let shares = sole.chunk_by(|one, other| one.how == other.how).chain(shared.chunks(1));
    // Of several parts that the same processes hold, one is enough.
    let mut known: HashSet<Vec<i32>> = HashSet::new();
    let mut pids = |holds: &&[&Hold]| known.insert(holds.iter().map(|hold| hold.end.pid).collect());
    let mut needs: Vec<Need> = shares.filter(&mut pids).map(need).collect();
    if needs.is_empty() {
        let mut nobody = need(&[]);
        nobody.odd.push("no process that holds it can be seen".to_owned());
        needs.push(nobody);
    }
    needs
}

/// The bytes that a process waits for, by the kernel's own list. `None` if it is not in it, or if several threads
/// of it wait and the arguments do not tell which this one is.
fn listed(awaited: &[Lock], pid: i32, wanted: &Wanted) -> Option<Range> {
    // Who waits for an OFD lock is not said.
    let whose = (wanted.lock != LockKind::Ofd).then_some(pid);
    let mut ranges: Vec<Range> = awaited
        .iter()
        .filter(|lock| (lock.kind, lock.exclusive, lock.pid) == (wanted.lock, wanted.exclusive, whose))
        .map(|lock| lock.range)
        .collect();
    ranges.sort_unstable();
    ranges.dedup();
    match (wanted.range, &ranges[..]) {
        (Some(range), ranges) if ranges.contains(&range) => Some(range),
        (None, [one]) => Some(*one),
        // Another thread of it may have written to the arguments since.
        (Some(_), [one]) if whose.is_some() => Some(*one),
        _ => None,
    }
}

/// Whether a hold stands in the way of a lock on these bytes: flock(2) knows nothing of fcntl(2), a process's own
/// POSIX locks never hinder it, and nobody hinders himself through the same descriptor.
fn hinders(hold: &Hold, pid: i32, wanted: &Wanted, range: Range) -> bool {
    let How::Lock { lock, exclusive, range: held } = hold.how else { return false };
    let own = hold.end.pid == pid;
    let same = own && hold.end.fd == Some(wanted.fd);
    let meets = match wanted.lock {
        LockKind::Flock => lock == LockKind::Flock && !same,
        LockKind::Lease => lock == LockKind::Lease,
        LockKind::Posix => lock == LockKind::Ofd || lock == LockKind::Posix && !own,
        LockKind::Ofd => lock == LockKind::Posix || lock == LockKind::Ofd && !same,
    };
    meets && (exclusive || wanted.exclusive) && held.overlaps(range)
}

pub(super) fn futex(facts: &Facts<'_>, blocked: &Blocked, word: Resource, what: Futex) -> Need {
    let name = facts.scene().name(word);
    match what {
        Futex::Mutex { owner, robust } => match owner {
            Some(owner) => owned(facts, format!("the mutex that is {name}"), word, owner, robust),
            None => mapped(facts, blocked, format!("the mutex that is {name}"), word, "it does not say who owns it"),
        },
        Futex::Rwlock { writer: Some(writer) } => {
            owned(facts, format!("the rwlock that is {name}"), word, writer, false)
        }
        Futex::Rwlock { writer: None } => mapped(
            facts,
            blocked,
            format!("the rwlock that is {name}"),
            word,
            "those that hold it to read are not recorded",
        ),
        Futex::Semaphore { value, .. } => {
            let named = facts.scene().reference(word.object()).filter(|named| named.kind == Kind::Sem);
            let what = named.map_or_else(|| format!("the semaphore that is {name}"), |named| named.to_string());
            let mut need = mapped(facts, blocked, what, word, "a POSIX semaphore records no holder");
            need.state = format!("Its value is {value}.");
            need
        }
        Futex::Condition => {
            mapped(facts, blocked, format!("the condition variable that is {name}"), word, "anybody can signal it")
        }
        Futex::Barrier => {
            mapped(facts, blocked, format!("the barrier that is {name}"), word, "it waits for more to come")
        }
        Futex::Unknown => mapped(facts, blocked, format!("a futex, {name}"), word, "it is no lock of the C library"),
    }
}

/// What one thread holds until it gives it back.
fn owned(facts: &Facts<'_>, what: String, word: Resource, owner: Owner, robust: bool) -> Need {
    let mut need = Need::new(what, Nature::Held);
    need.closed = true;
    match owner.pid.and_then(|pid| Some((pid, facts.who(pid)?))) {
        Some((pid, (command, _))) => {
            // The owner's own list of robust mutexes says the same.
            let agrees = |hold: &&Hold| {
                hold.end.pid == pid && hold.grade == Grade::Exact && matches!(hold.how, How::Owner { .. })
            };
            let is_sure = owner.checked || facts.scene().holds_of(word).iter().any(agrees);
            need.by.push(Waker {
                pid,
                tid: Some(owner.tid),
                command,
                grade: if is_sure { Grade::Exact } else { Grade::Strong },
                does: "holds",
                because: "its owner in memory".to_owned(),
            });
        }
        None if robust => {
            need.closed = false;
            need.odd
                .push(format!("its owner, thread {}, is dead; it is robust, so the kernel wakes a waiter", owner.tid));
        }
        None => need.odd.push(format!("its owner, thread {}, is dead: nobody will ever give it back", owner.tid)),
    }
    note_stopped(facts, &mut need);
    need
}

/// What anybody can change who has the memory mapped.
fn mapped(facts: &Facts<'_>, blocked: &Blocked, what: String, word: Resource, others: &'static str) -> Need {
    let mut need = Need::new(what, Nature::Held);
    for hold in facts.scene().holds_of(word.object()) {
        let How::Mapped { write, .. } = hold.how else { continue };
        let other = hold.end.pid != blocked.task.pid;
        if write && other && need.by.iter().all(|waker| waker.pid != hold.end.pid) {
            need.by.push(Waker {
                pid: hold.end.pid,
                tid: None,
                command: hold.end.command.clone(),
                grade: Grade::Weak,
                does: "could change",
                because: "has the memory mapped".to_owned(),
            });
        }
    }
    need.others = Some(others);
    if need.by.is_empty() {
        need.odd.push("no other process that has the memory mapped can be seen".to_owned());
    }
    note_stopped(facts, &mut need);
    need
}

#[cfg(test)]
mod tests {
    use super::super::of;
    use super::*;
    use crate::inspect::Scene;
    use crate::model::{Awaits, End, Needs, Role, Text};
    use crate::proc::holders::Holders;
    use crate::sys::staged::Shared;
    use std::sync::Arc;

    const FILE: Resource = Resource::File { dev: 1, ino: 2 };

    fn range(start: u64, end: u64) -> Range {
        Range { start, end: Some(end) }
    }

    fn wanted(lock: LockKind, range: Option<Range>) -> Wanted {
        Wanted { fd: 3, lock, exclusive: true, range }
    }

    #[test]
    fn a_request_is_found_in_the_list_of_the_kernel() {
        let lock = |kind, pid, range| Lock { kind, exclusive: true, file: FILE, pid, range, waits_for: Some(0) };
        let (posix, ofd) = (LockKind::Posix, LockKind::Ofd);
        let list = [
            lock(posix, Some(7), range(0, 4)),
            lock(posix, Some(8), range(5, 9)),
            lock(posix, Some(7), range(0, 4)),
            lock(ofd, None, range(1, 1)),
        ];
        assert_eq!(listed(&list, 7, &wanted(posix, None)), Some(range(0, 4)));
        // The kernel knows better than the arguments, but of whom an OFD lock is it does not say.
        assert_eq!(listed(&list, 7, &wanted(posix, Some(range(6, 6)))), Some(range(0, 4)));
        assert_eq!(listed(&list, 7, &wanted(ofd, Some(range(6, 6)))), None);
        assert_eq!(listed(&list, 7, &wanted(ofd, None)), Some(range(1, 1)));
        assert_eq!(listed(&list, 9, &wanted(posix, None)), None);
        assert_eq!(listed(&list, 7, &Wanted { exclusive: false, ..wanted(posix, None) }), None);
        // Two threads of one process, told apart by their arguments alone.
        let two = [lock(posix, Some(7), range(0, 4)), lock(posix, Some(7), range(5, 9))];
        assert_eq!(listed(&two, 7, &wanted(posix, Some(range(5, 9)))), Some(range(5, 9)));
        assert_eq!(listed(&two, 7, &wanted(posix, None)), None);
        assert_eq!(listed(&two, 7, &wanted(posix, Some(range(1, 1)))), None);
    }

    #[test]
    fn only_locks_of_others_on_the_same_bytes_hinder() {
        let held = |pid, lock, exclusive, range| {
            let end = End { pid, started: 0, command: Text::from("x"), fd: Some(3), role: Role::Holder };
            Hold { resource: FILE, how: How::Lock { lock, exclusive, range }, grade: Grade::Exact, end: Arc::new(end) }
        };
        let (flock, posix, ofd) = (LockKind::Flock, LockKind::Posix, LockKind::Ofd);
        let meets = |hold: &Hold, lock| hinders(hold, 7, &wanted(lock, None), range(5, 9));
        assert!(meets(&held(8, posix, true, range(9, 20)), posix) && meets(&held(8, posix, true, range(9, 20)), ofd));
        assert!(!meets(&held(8, posix, true, range(10, 20)), posix));
        assert!(!meets(&held(8, posix, true, range(0, 20)), flock));
        // Our own: through another descriptor, this is no hindrance to POSIX locks alone.
        let own = |lock, fd| {
            let hold = held(7, lock, true, range(5, 9));
            Hold { end: Arc::new(End { fd: Some(fd), ..End::clone(&hold.end) }), ..hold }
        };
        assert!(!meets(&own(posix, 4), posix) && meets(&own(posix, 4), ofd) && meets(&own(ofd, 4), posix));
        assert!(meets(&own(ofd, 4), ofd) && !meets(&own(ofd, 3), ofd) && !meets(&own(flock, 3), flock));
        // Who wants to share is hindered by nobody who shares.
        let share = Wanted { exclusive: false, ..wanted(posix, None) };
        assert!(!hinders(&held(8, posix, false, range(5, 9)), 7, &share, range(5, 9)));
        assert!(hinders(&held(8, posix, true, range(5, 9)), 7, &share, range(5, 9)));
    }

    /// How sure it is who owns a mutex on which a thread of ours waits.
    fn sure(is_robust: bool, inherits: bool) -> Grade {
        let shared = Arc::new(Shared::new());
        shared.mutex(0, is_robust, inherits);
        shared.lock(0);
        let (ours, (tell, told)) = (Arc::clone(&shared), std::sync::mpsc::channel());
        let thread = std::thread::spawn(move || {
            tell.send(nix::unistd::gettid().as_raw()).unwrap();
            ours.lock(0);
            ours.unlock(0);
        });
        let (me, tid) = (nix::unistd::getpid().as_raw(), told.recv().unwrap());
        let grade = loop {
            let holders = Holders::new(Needs::SCAN);
            let scene = Scene::new(&holders);
            let waits = |blocked: &&Blocked| {
                let what = matches!(blocked.awaits, Awaits::Futex { word: Some(_), what: Futex::Mutex { .. } });
                blocked.task.tid == tid && what
            };
            if let Some(blocked) = scene.blocked_of(me).iter().find(waits) {
                break of(&Facts::new(&scene), blocked)[0].by[0].grade;
            }
        };
        shared.unlock(0);
        thread.join().unwrap();
        grade
    }

    #[test]
    #[cfg(target_env = "gnu")]
    fn only_what_the_kernel_knows_of_an_owner_is_exact() {
        assert_eq!(sure(false, false), Grade::Strong);
        assert_eq!([sure(true, false), sure(false, true)], [Grade::Exact; 2]);
    }
}
