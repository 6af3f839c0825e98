//! What those wait for that a thread waits for.

use super::{prose, thread_name};
use crate::inspect::facts::Facts;
use crate::inspect::wakers::Need;
use crate::model::{Awaits, Blocked};

/// Nobody reads a longer story.
const MOST: usize = 8;

/// A sentence for each one behind a thread, as long as one alone could wake the one before and is blocked itself.
pub(super) fn chain(facts: &Facts<'_>, blocked: &Blocked, needs: &[Need]) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut seen = vec![blocked.task.pid];
    let mut next = behind(facts, needs);
    while let Some(one) = next {
        let (pid, tid) = (one.task.pid, one.task.tid);
        let name = thread_name(pid, tid, &one.task.command);
        if seen.contains(&pid) {
            let asked = blocked.task.pid;
            sentences.push(format!("so they wait for each other: see `ipcx why --deadlocks {asked}`"));
            break;
        }
        if sentences.len() == MOST {
            sentences.push("and so on".to_owned());
            break;
        }
        seen.push(pid);
        let needs = facts.needs(one);
        sentences.push(format!("{name} itself waits {}", prose::waits(one, &needs)));
        next = behind(facts, &needs);
    }
    sentences
}

/// The thread that one need alone waits for, if that is blocked on somebody else: of a process the only one that
/// it has.
fn behind<'a>(facts: &Facts<'a>, needs: &[Need]) -> Option<&'a Blocked> {
    let [need] = needs else { return None };
    let [waker] = &need.by[..] else { return None };
    let threads = facts.blocked_of(waker.pid);
    let one = match waker.tid {
        Some(tid) => threads.iter().find(|thread| thread.task.tid == tid)?,
        None if facts.threads(waker.pid) == 1 => threads.first()?,
        None => return None,
    };
    // Who sleeps for a while or waits for work goes on by itself.
    let ends = matches!(one.awaits, Awaits::Sleep | Awaits::Signal { .. } | Awaits::Any { .. });
    (!ends).then_some(one)
}
