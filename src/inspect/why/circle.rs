//! Deadlocks, in words.

use super::prose::span;
use super::{left, thread_name, word};
use crate::inspect::Scene;
use crate::inspect::deadlock::{self, Cycle, Edge, Wait};
use crate::inspect::facts::Facts;
use crate::inspect::wakers;
use crate::model::{Blocked, Grade, Needs, ObjectRef, Seen, Value};
use crate::proc::holders::Holders;
use crate::proc::status;

/// One deadlock.
pub struct Told {
    pub grade: Grade,
    /// `cycle`, or `dead owner` if it waits for a thread that is no more.
    pub kind: &'static str,
    /// Who waits for whom: a sentence for each.
    pub lines: Vec<String>,
    /// The same as facts.
    pub edges: Vec<Value>,
    /// How many more threads wait in the same circle, or for it.
    pub more: usize,
    /// Those of the same circle.
    beside: Vec<i32>,
    /// Its threads, and how often each has gone to sleep until now.
    asleep: Vec<(i32, Option<u64>)>,
}

impl Told {
    /// Whether a thread waits in it.
    pub fn has(&self, tid: i32) -> bool {
        self.beside.contains(&tid) || self.asleep.iter().any(|(known, _)| *known == tid)
    }
}

/// Every deadlock that can be seen, and among how many threads was looked.
///
/// Not all threads are looked at in the same moment, so some that merely hand something on to each other may
/// look like a deadlock. Those that have slept from one look to the end of a second one, which finds them again,
/// wait for each other indeed.
pub fn deadlocks(facts: &Facts<'_>) -> (Vec<Told>, usize) {
    let (first, among) = look(facts);
    if first.is_empty() {
        return (first, among);
    }
    let holders = Holders::new(Needs::USERS);
    let scene = Scene::new(&holders);
    let (mut second, among) = look(&Facts::new(&scene));
    second.retain(|told| first.iter().any(|before| before.asleep == told.asleep));
    (second, among)
}

fn look(facts: &Facts<'_>) -> (Vec<Told>, usize) {
    let blocked = facts.scene().blocked();
    let waits: Vec<Wait<'_>> =
        blocked.iter().map(|blocked| Wait { blocked, needs: wakers::of(facts, blocked) }).collect();
    let cycles = deadlock::find(&waits, |pid| facts.threads(pid));
    let told = cycles.iter().map(|cycle| tell(facts, &waits, cycle)).collect();
    (told, blocked.len())
}

fn tell(facts: &Facts<'_>, waits: &[Wait<'_>], cycle: &Cycle) -> Told {
    let dead = cycle.edges.iter().any(|edge| edge.waker.is_none());
    Told {
        grade: cycle.grade(waits),
        kind: if dead { "dead owner" } else { "cycle" },
        lines: cycle.edges.iter().map(|edge| line(&waits[edge.wait], edge)).collect(),
        more: cycle.beside.len() + cycle.behind,
        beside: cycle.beside.iter().map(|at| waits[*at].blocked.task.tid).collect(),
        asleep: cycle.edges.iter().map(|edge| asleep(waits[edge.wait].blocked)).collect(),
        edges: cycle.edges.iter().map(|edge| Value::Record(record(facts, &waits[edge.wait], edge))).collect(),
    }
}

/// A thread, and how often it has gone to sleep.
fn asleep(blocked: &Blocked) -> (i32, Option<u64>) {
    let (pid, tid) = (blocked.task.pid, blocked.task.tid);
    (tid, status::read_thread(pid, tid).ok().and_then(|status| status.sleeps))
}

fn line(wait: &Wait<'_>, edge: &Edge) -> String {
    let (blocked, need) = (wait.blocked, &wait.needs[edge.need]);
    let task = &blocked.task;
    let who = thread_name(task.pid, task.tid, &task.command);
    let mut line = format!("{who} waits in {} for {}", blocked.call, need.what);
    match edge.waker.map(|at| &need.by[at]) {
        Some(waker) => {
            if !waker.does.is_empty() {
                line.push_str(&format!(", which {} {}", waker.name(), waker.does));
            }
            // Why it is not sure.
            let doubts = if need.besides.is_empty() { need.others.as_slice() } else { &need.besides };
            let doubts: String = match waker.grade {
                Grade::Exact => String::new(),
                _ => doubts.iter().map(|doubt| format!("; {doubt}")).collect(),
            };
            line.push_str(&format!(" [{}: {}{doubts}]", waker.grade.word(), waker.because));
        }
        None => line.push_str(&format!("; {} [{}: its owner in memory]", need.odd.join("; "), Grade::Strong.word())),
    }
    if let Some(left) = left(blocked) {
        line.push_str(&format!(", until it gives up after another {}", span(left)));
    }
    line
}

fn record(facts: &Facts<'_>, wait: &Wait<'_>, edge: &Edge) -> Vec<(&'static str, Seen<Value>)> {
    let (blocked, need) = (wait.blocked, &wait.needs[edge.need]);
    let waker = edge.waker.map(|at| &need.by[at]);
    let resource = blocked.awaits.resources().first().copied();
    let reference = resource.and_then(|resource| facts.reference(blocked, resource));
    let grade = waker.map_or(Grade::Strong, |waker| waker.grade);
    vec![
        ("pid", Seen::Is(Value::Pid(blocked.task.pid))),
        ("tid", Seen::Is(Value::Pid(blocked.task.tid))),
        ("command", Seen::Is(Value::Text(blocked.task.command.clone()))),
        ("call", Seen::Is(Value::Word(blocked.call))),
        ("waits_for", Seen::Is(Value::Word(word(&blocked.awaits)))),
        ("ref", reference.as_ref().map(ObjectRef::value).into()),
        ("timeout", left(blocked).map(Value::Duration).into()),
        ("holder_pid", waker.map(|waker| Value::Pid(waker.pid)).into()),
        ("holder_tid", waker.and_then(|waker| waker.tid).map(Value::Pid).into()),
        ("holder_command", waker.map(|waker| Value::Text(waker.command.clone())).into()),
        ("grade", Seen::Is(Value::Word(grade.word()))),
        ("why", waker.map(|waker| Value::Phrase(waker.because.clone())).into()),
        ("text", Seen::Is(Value::Phrase(line(wait, edge)))),
    ]
}
