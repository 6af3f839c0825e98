//! Who owns the mutexes in shared memory.

use crate::model::{Awaits, Blocked, End, Futex, Grade, Hold, How, Owner, Resource, Role};
use crate::proc::blocked::robust::Robust;
use crate::proc::mappings::Mapping;
use crate::proc::processes::Clock;
use crate::proc::task;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The robust mutexes that threads own, of the processes that may write to shared memory.
pub(super) fn robust(mappings: &[Mapping]) -> Vec<Hold> {
    let writers = mappings.iter().filter(|mapping| mapping.end.role == Role::MapWrite);
    let writers: BTreeMap<i32, &Arc<End>> = writers.map(|mapping| (mapping.end.pid, &mapping.end)).collect();
    let robust = Robust::start();
    let mut holds = Vec::new();
    for (pid, end) in writers {
        let Ok(mut process) = robust.process(pid) else { continue };
        let end = Arc::new(End { role: Role::Holder, ..End::clone(end) });
        for thread in task::threads(pid).unwrap_or_default() {
            // One that may not be looked at is among the gaps of what is blocked.
            for word in process.held(thread).unwrap_or_default() {
                holds.extend(hold(word, Grade::Exact, Arc::clone(&end)));
            }
        }
    }
    holds
}

/// The owners that locks name on which threads wait.
pub(super) fn awaited(blocked: &[Blocked]) -> impl Iterator<Item = Hold> {
    let clock = Clock::now();
    blocked.iter().filter_map(move |blocked| {
        let Awaits::Futex { word: Some(word), what } = &blocked.awaits else { return None };
        let (Futex::Mutex { owner, .. } | Futex::Rwlock { writer: owner }) = what else { return None };
        let Some(Owner { pid: Some(pid), checked, .. }) = owner else { return None };
        let grade = if *checked { Grade::Exact } else { Grade::Strong };
        let (command, started) = clock.process(*pid)?;
        hold(*word, grade, Arc::new(End { pid: *pid, started, command, fd: None, role: Role::Holder }))
    })
}

fn hold(word: Resource, grade: Grade, end: Arc<End>) -> Option<Hold> {
    let Resource::Word { offset, .. } = word else { return None };
    Some(Hold { resource: word, how: How::Owner { offset }, grade, end })
}
