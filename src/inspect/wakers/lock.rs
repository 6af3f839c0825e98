//! Locks: of files, and of the C library in shared memory.

use super::super::facts::Facts;
use super::{Nature, Need, Waker, note_stopped};
use crate::model::{Blocked, Futex, Grade, Hold, How, Kind, LockKind, Owner, Resource};

/// A lock on a file. Whoever wants it alone needs all others to let go.
pub(super) fn file(facts: &Facts<'_>, blocked: &Blocked, file: Resource, lock: LockKind, exclusive: bool) -> Vec<Need> {
    let kind = if exclusive { "exclusive" } else { "shared" };
    let what = format!("the {kind} {} on {}", lock.word(), facts.name(blocked, file));
    let (shared, sole): (Vec<&Hold>, Vec<&Hold>) = facts
        .scene()
        .holds_of(file)
        .into_iter()
        .filter(|hold| hinders(hold, blocked.task.pid, lock))
        .partition(|hold| matches!(hold.how, How::Lock { exclusive: false, .. }));
    let waker = |hold: &Hold| Waker {
        pid: hold.end.pid,
        tid: None,
        command: hold.end.command.clone(),
        grade: hold.grade,
        does: "holds",
        because: lock.word().to_owned(),
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
    let mut needs: Vec<Need> = Vec::new();
    // One that is exclusive is held once; several processes share it by fork(2), and any of them can let go.
    if !sole.is_empty() {
        needs.push(need(&sole));
    }
    if exclusive {
        needs.extend(shared.iter().map(|hold| need(&[*hold])));
    }
    if needs.is_empty() {
        let mut nobody = need(&[]);
        nobody.odd.push("no process that holds it can be seen".to_owned());
        needs.push(nobody);
    }
    needs
}

/// Whether a hold stands in the way of a lock of this kind: flock(2) knows nothing of fcntl(2), and a
/// process's own POSIX locks never hinder it.
fn hinders(hold: &Hold, pid: i32, wanted: LockKind) -> bool {
    let How::Lock { lock, .. } = hold.how else { return false };
    match wanted {
        LockKind::Flock => lock == LockKind::Flock,
        LockKind::Lease => lock == LockKind::Lease,
        LockKind::Posix => lock == LockKind::Ofd || lock == LockKind::Posix && hold.end.pid != pid,
        LockKind::Ofd => matches!(lock, LockKind::Ofd | LockKind::Posix),
    }
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
            let agrees = |hold: &&Hold| (hold.end.pid, hold.how, hold.grade) == (pid, How::Owner, Grade::Exact);
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
    use crate::model::{Awaits, Needs};
    use crate::proc::holders::Holders;
    use crate::sys::staged::Shared;
    use std::sync::Arc;

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
