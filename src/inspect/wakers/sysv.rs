//! Semaphore sets and message queues of System V: the kernel knows who took something with SEM_UNDO and who
//! was the last to use it, and nothing else.

use super::super::facts::Facts;
use super::{Nature, Need, Waker, note_stopped};
use crate::model::{Adjustment, Blocked, Grade, How, Resource, SemOp};

/// An operation that cannot be done now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stop {
    op: SemOp,
    /// The value that it meets, where it is known.
    value: Option<i64>,
}

/// The operations that cannot be done, each after those before it, as `perform_atomic_semop` in ipc/sem.c
/// does them. Without the values any of those that can block at all may be it.
fn stops(ops: &[SemOp], values: Option<&[u16]>) -> Vec<Stop> {
    let Some(values) = values else {
        return ops.iter().filter(|op| op.amount <= 0).map(|op| Stop { op: *op, value: None }).collect();
    };
    let mut stops = Vec::new();
    for (at, op) in ops.iter().enumerate() {
        let Some(value) = values.get(usize::from(op.index)) else { continue };
        let before = ops[..at].iter().filter(|before| before.index == op.index).map(|before| i64::from(before.amount));
        let value = i64::from(*value) + before.sum::<i64>();
        let stopped = if op.amount == 0 { value != 0 } else { value + i64::from(op.amount) < 0 };
        if stopped {
            stops.push(Stop { op: *op, value: Some(value) });
        }
    }
    stops
}

pub(super) fn semaphores(facts: &Facts<'_>, blocked: &Blocked, set: Resource, ops: &[SemOp]) -> Vec<Need> {
    let look = facts.own(set).map(|id| facts.set(id));
    let look = look.as_ref().and_then(|look| look.as_ref().as_ref().ok());
    let mut stops = stops(ops, look.map(|look| &look.values[..]));
    // What had to be waited for has come since.
    let passed = stops.is_empty();
    if passed {
        stops = ops.iter().filter(|op| op.amount <= 0).map(|op| Stop { op: *op, value: None }).collect();
    }
    let certain = !passed && (look.is_some() || stops.len() == 1);
    let otime = look.map_or(0, |look| look.otime);
    stops.into_iter().map(|stop| semaphore(facts, blocked, set, stop, otime, certain)).collect()
}

fn semaphore(facts: &Facts<'_>, blocked: &Blocked, set: Resource, stop: Stop, otime: i64, certain: bool) -> Need {
    let name = facts.scene().name(set);
    let Stop { op: SemOp { index, amount, .. }, value } = stop;
    let mut need = if amount == 0 {
        let mut need = Need::new(format!("semaphore {index} of {name} to become zero"), Nature::Idle);
        need.others = Some("anybody who may alter the set can take from it");
        need.state = value.map_or_else(String::new, |value| format!("Its value is {value}."));
        need
    } else {
        let mut need = Need::new(format!("semaphore {index} of {name}"), Nature::Held);
        need.others = Some("anybody who may alter the set can post to it");
        let takes = -i32::from(amount);
        need.state =
            value.map_or_else(String::new, |value| format!("Its value is {value}, and it wants to take {takes}."));
        need
    };
    if amount < 0 {
        for hold in facts.scene().holds_of(set) {
            let How::Undo(Some(Adjustment { index: of, amount })) = hold.how else { continue };
            if of == index && amount > 0 && need.by.iter().all(|waker| waker.pid != hold.end.pid) {
                // A consumer that takes what others post with undo looks just as one that waits for itself.
                let own = hold.end.pid == blocked.task.pid;
                need.by.push(Waker {
                    pid: hold.end.pid,
                    tid: None,
                    command: hold.end.command.clone(),
                    grade: if own { Grade::Strong } else { Grade::Exact },
                    does: "holds",
                    because: format!("took {amount} with SEM_UNDO"),
                });
            }
        }
    }
    if need.by.is_empty() {
        last_operator(facts, blocked, set, index, otime, &mut need);
    }
    need.closed = certain && amount < 0 && !need.by.is_empty();
    note_stopped(facts, &mut need);
    need
}

/// Without undo the last to operate on it holds it by convention.
fn last_operator(facts: &Facts<'_>, blocked: &Blocked, set: Resource, index: u16, otime: i64, need: &mut Need) {
    let Some(pid) = facts.own(set).and_then(|id| facts.last_operator(id, index)) else { return };
    // It took what somebody has posted and waits for the next: that is how consumers are.
    if pid == blocked.task.pid {
        return;
    }
    // Both clocks are whole seconds: allow one of difference.
    let Some((command, _)) = facts.who(pid).filter(|(_, started)| otime == 0 || *started <= otime + 1) else {
        need.odd.push(format!("the last process to operate on it (pid {pid}) is gone"));
        return;
    };
    need.by.push(Waker {
        pid,
        tid: None,
        command,
        // It may have posted as well, and so may anybody else.
        grade: Grade::Weak,
        does: "was the last to operate on",
        because: "last operator".to_owned(),
    });
}

pub(super) fn receive(facts: &Facts<'_>, queue: Resource, mtype: i64, except: bool) -> Need {
    let name = facts.scene().name(queue);
    let what = match mtype {
        0 => format!("a message in {name}"),
        _ if except => format!("a message of another type than {mtype} in {name}"),
        _ if mtype < 0 => format!("a message of a type up to {} in {name}", mtype.unsigned_abs()),
        _ => format!("a message of type {mtype} in {name}"),
    };
    let mut need = Need::new(what, Nature::Idle);
    need.others = Some("anybody who may write to the queue can send one");
    if let Some(object) = facts.object(queue) {
        match object.number("messages") {
            Some(0) => "The queue is empty.".clone_into(&mut need.state),
            Some(messages) => {
                let types = facts.own(queue).map(|id| facts.types(id));
                if let Some(types) = types.as_deref().and_then(Option::as_ref) {
                    others_only(&mut need, messages, types, mtype, except);
                }
            }
            None => {}
        }
        user(facts, object.pid("lspid"), object.time("stime"), "was the last to send to", "last sender", &mut need);
    }
    need.closed = !need.by.is_empty();
    note_stopped(facts, &mut need);
    need
}

/// Says if the queue holds messages, but none that is waited for.
fn others_only(need: &mut Need, messages: u64, types: &[i64], mtype: i64, except: bool) {
    if types.is_empty() || types.iter().any(|kind| wanted(*kind, mtype, except)) {
        return;
    }
    const MOST: usize = 5;
    let mut kinds = types.to_vec();
    kinds.sort_unstable();
    kinds.dedup();
    let mut shown: Vec<String> = kinds.iter().take(MOST).map(i64::to_string).collect();
    if kinds.len() > MOST {
        shown.push("…".to_owned());
    }
    let looked_at =
        if types.len() as u64 == messages { String::new() } else { format!("the first {} of ", types.len()) };
    need.odd.push(format!(
        "the queue holds only messages of other types: {looked_at}{messages} {}, of type {}",
        if messages == 1 { "message" } else { "messages" },
        shown.join(", ")
    ));
}

/// Whether msgrcv(2) takes a message of this type.
fn wanted(kind: i64, mtype: i64, except: bool) -> bool {
    match mtype {
        0 => true,
        _ if except => kind != mtype,
        _ if mtype < 0 => kind.unsigned_abs() <= mtype.unsigned_abs(),
        _ => kind == mtype,
    }
}

pub(super) fn send(facts: &Facts<'_>, queue: Resource, size: u64) -> Need {
    let name = facts.scene().name(queue);
    let mut need = Need::new(format!("room for {size} bytes in {name}"), Nature::Held);
    need.others = Some("anybody who may read from the queue can receive");
    if let Some(object) = facts.object(queue) {
        if let (Some(messages), Some(bytes), Some(most)) =
            (object.number("messages"), object.number("bytes"), object.number("max_bytes"))
        {
            need.state = format!("It holds {messages} messages with {bytes} bytes, and takes at most {most}.");
            if size > most {
                need.odd.push(format!("the message is longer than the whole queue ({most} bytes)"));
            }
        }
        user(
            facts,
            object.pid("lrpid"),
            object.time("rtime"),
            "was the last to receive from",
            "last receiver",
            &mut need,
        );
    }
    need.closed = !need.by.is_empty();
    note_stopped(facts, &mut need);
    need
}

/// The last process that used a queue from the other side.
fn user(facts: &Facts<'_>, pid: Option<i32>, at: Option<i64>, does: &'static str, role: &str, need: &mut Need) {
    let (Some(pid), Some(at)) = (pid.filter(|pid| *pid > 0), at) else { return };
    match facts.who(pid).filter(|(_, started)| *started <= at + 1) {
        Some((command, _)) => {
            need.by.push(Waker { pid, tid: None, command, grade: Grade::Weak, does, because: role.to_owned() });
        }
        None => need.odd.push(format!("the {role} (pid {pid}) is gone")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(index: u16, amount: i16) -> SemOp {
        SemOp { index, amount, undo: false }
    }

    fn stopped(ops: &[SemOp], values: &[u16]) -> Vec<(u16, i64)> {
        stops(ops, Some(values)).iter().map(|stop| (stop.op.index, stop.value.unwrap())).collect()
    }

    #[test]
    fn the_operations_that_block_are_those_that_the_values_do_not_allow() {
        assert_eq!(stopped(&[op(0, -1), op(1, -1)], &[1, 0]), [(1, 0)]);
        assert_eq!(stopped(&[op(0, 0), op(0, 1)], &[2]), [(0, 2)]);
        // What an operation before it has given or taken counts.
        assert_eq!(stopped(&[op(0, 1), op(0, -1)], &[0]), []);
        assert_eq!(stopped(&[op(0, -1), op(0, -1)], &[1]), [(0, 0)]);
        assert_eq!(stopped(&[op(9, -1)], &[1]), []);
        assert_eq!(stops(&[op(0, -1), op(1, 2), op(2, 0)], None).len(), 2);
    }

    #[test]
    fn a_message_is_wanted_as_msgrcv_chooses() {
        assert!(wanted(3, 0, false) && wanted(3, 3, false) && wanted(3, -3, false) && wanted(3, 4, true));
        assert!(!wanted(3, 4, false) && !wanted(3, -2, false) && !wanted(3, 3, true));
    }

    #[test]
    fn a_queue_that_holds_only_other_types_says_which() {
        let odd = |messages, types: &[i64], mtype| {
            let mut need = Need::new(String::new(), Nature::Idle);
            others_only(&mut need, messages, types, mtype, false);
            need.odd.pop()
        };
        let said = odd(3, &[2, 1, 2], 7).unwrap();
        assert!(said.ends_with(": 3 messages, of type 1, 2"), "{said}");
        assert!(odd(2000, &[1; 1000], 7).unwrap().contains("the first 1000 of 2000 messages"));
        assert_eq!(odd(1, &[7], 7), None);
        assert_eq!(odd(1, &[], 7), None);
    }
}
