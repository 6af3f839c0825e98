//! Pipes, FIFOs, sockets and POSIX queues: whoever has the other side open.

use super::super::facts::Facts;
use super::{Nature, Need, Waker, note_stopped};
use crate::model::{Blocked, Grade, Hold, How, Polled, Resource, Role};
use crate::proc::holders::{FileId, What};

const WRITES: &str = "can write to";
const READS: &str = "can read from";
const OTHER_SIDE: &str = "has the other side of";
const RECEIVES: &str = "can receive from";
const ACCEPTS: &str = "can accept connections to";

/// What kind of file it is, if it is one that joins processes.
fn what(facts: &Facts<'_>, file: Resource) -> Option<What> {
    match file {
        Resource::Eventfd(_) => Some(What::Eventfd),
        Resource::File { dev, ino } => {
            facts.scene().holders().descriptors().find(FileId { dev, ino }).map(|open| open.what)
        }
        _ => None,
    }
}

pub(super) fn read(facts: &Facts<'_>, blocked: &Blocked, file: Resource) -> Need {
    alone(side(facts, blocked.task.pid, file, true), facts, file)
}

pub(super) fn write(facts: &Facts<'_>, blocked: &Blocked, file: Resource) -> Need {
    let need = match facts.receiver(blocked) {
        Some(receiver) => received(facts, format!("room in {}", facts.receiver_name(receiver)), receiver, RECEIVES),
        None => side(facts, blocked.task.pid, file, false),
    };
    alone(need, facts, file)
}

/// Room for a connection.
pub(super) fn connect(facts: &Facts<'_>, blocked: &Blocked, file: Resource) -> Need {
    let what = |queue| format!("room in the queue of {queue}");
    let need = match facts.receiver(blocked) {
        Some(listener) => received(facts, what(facts.receiver_name(listener)), listener, ACCEPTS),
        None => {
            let mut need = Need::new(what("a listening socket".to_owned()), Nature::Flow);
            need.others = Some("the process that listens there can, by accepting connections");
            need
        }
    };
    alone(need, facts, file)
}

/// What those bring who have a socket open that others send or connect to.
fn received(facts: &Facts<'_>, what: String, socket: Resource, does: &'static str) -> Need {
    let mut need = Need::new(what, Nature::Flow);
    need.by = openers(facts, socket, |_| true, does, Grade::Strong);
    need.closed = !need.by.is_empty();
    if need.by.is_empty() {
        need.odd.push("no process that has it open can be seen".to_owned());
    }
    note_stopped(facts, &mut need);
    need
}

/// What is to be said of a call that waits for one file, and not of poll(2).
fn alone(mut need: Need, facts: &Facts<'_>, file: Resource) -> Need {
    if what(facts, file) == Some(What::Socket) {
        need.doubt("a timeout of the socket (SO_RCVTIMEO, SO_SNDTIMEO) cannot be seen");
    }
    need
}

/// Bytes to read from a file, or room to write.
fn side(facts: &Facts<'_>, pid: i32, file: Resource, read: bool) -> Need {
    let name = facts.scene().name(file);
    let what_for = if read { format!("bytes from {name}") } else { format!("room in {name}") };
    let mut need = Need::new(what_for, Nature::Flow);
    match what(facts, file) {
        // Who cannot be seen may have it open, too.
        Some(What::Pipe) if !facts.blind() => pipe(facts, pid, file, read, Grade::Exact, &mut need),
        Some(What::Pipe) => pipe(facts, pid, file, read, Grade::Strong, &mut need),
        Some(What::Fifo) => {
            pipe(facts, pid, file, read, Grade::Strong, &mut need);
            need.others = Some("anybody who may open it can come");
        }
        Some(What::Socket) => socket(facts, file, &mut need),
        Some(What::Eventfd) => {
            need.by = openers(facts, file, |_| true, if read { WRITES } else { READS }, Grade::Strong);
            need.others = Some("the kernel can, if it was told to");
        }
        _ => {}
    }
    note_stopped(facts, &mut need);
    need
}

fn pipe(facts: &Facts<'_>, pid: i32, file: Resource, read: bool, grade: Grade, need: &mut Need) {
    let other: fn(Role) -> bool = if read { Role::writes } else { Role::reads };
    need.by = openers(facts, file, other, if read { WRITES } else { READS }, grade);
    need.closed = !need.by.is_empty();
    let role = if read { "writer" } else { "reader" };
    if need.only(pid) {
        need.odd.push(format!("the only {role} is the waiting process itself"));
    } else if need.by.is_empty() {
        need.odd.push(format!("no {role} of it can be seen"));
    }
}

fn socket(facts: &Facts<'_>, file: Resource, need: &mut Need) {
    let Resource::File { dev, ino } = file else { return };
    let peer = match facts.socket(ino) {
        Ok(Some(peer)) => peer,
        Ok(None) => {
            need.others = Some("the other side, which is not on this machine or in another network namespace, can");
            return;
        }
        Err(_) => {
            need.others = Some("the other side, which could not be looked up (sock_diag(7)), can");
            return;
        }
    };
    if peer.listening {
        need.others = Some("anybody who may connect can");
        return;
    }
    let Some(other) = peer.inode else {
        need.others = Some("anybody who may send to it can");
        return;
    };
    // All sockets lie on one device.
    let other = Resource::File { dev, ino: other };
    need.by = openers(facts, other, |_| true, OTHER_SIDE, Grade::Strong);
    need.closed = peer.private && !need.by.is_empty();
    if need.by.is_empty() {
        need.odd.push(format!("no process that has the other side ({}) open can be seen", facts.scene().name(other)));
    }
}

/// The processes that have a file open in a way, each once.
fn openers(
    facts: &Facts<'_>,
    file: Resource,
    wanted: fn(Role) -> bool,
    does: &'static str,
    grade: Grade,
) -> Vec<Waker> {
    let mut by: Vec<Waker> = Vec::new();
    let holds = facts.scene().holds_of(file);
    for Hold { end, .. } in holds.into_iter().filter(|hold| hold.how == How::Open && wanted(hold.end.role)) {
        if by.iter().any(|waker| waker.pid == end.pid) {
            continue;
        }
        let fd = end.fd.map_or_else(String::new, |fd| format!(", descriptor {fd}"));
        by.push(Waker {
            pid: end.pid,
            tid: None,
            command: end.command.clone(),
            grade,
            does,
            because: format!("open to {}{fd}", if end.role == Role::Both { "read and write" } else { end.role.word() }),
        });
    }
    by.sort_by_key(|waker| waker.pid);
    by
}

/// Any of the descriptors of poll(2). With a timeout it is a loop that looks again by itself, and says
/// nothing of a deadlock.
pub(super) fn any(facts: &Facts<'_>, blocked: &Blocked, files: &[Polled], more: bool) -> Option<Need> {
    let mut sides = Vec::new();
    for polled in files {
        if polled.read || !polled.write {
            sides.push(side(facts, blocked.task.pid, polled.file, true));
        }
        if polled.write {
            sides.push(side(facts, blocked.task.pid, polled.file, false));
        }
    }
    const MOST: usize = 3;
    let what = match &sides[..] {
        [] => return None,
        few if few.len() <= MOST => few.iter().map(|side| side.what.clone()).collect::<Vec<_>>().join(" or "),
        _ => format!("any of {} descriptors", files.len()),
    };
    let mut need = Need::new(what, Nature::Flow);
    need.closed = blocked.timeout.is_none() && !more && sides.iter().all(|side| side.closed);
    need.others = sides.iter().find_map(|side| side.others);
    for side in sides {
        for waker in side.by {
            if need.by.iter().all(|known| (known.pid, known.does) != (waker.pid, waker.does)) {
                need.by.push(waker);
            }
        }
    }
    if need.only(blocked.task.pid) {
        need.odd.push("only the waiting process itself has the other sides open".to_owned());
    }
    Some(need)
}

pub(super) fn mq_receive(facts: &Facts<'_>, queue: Resource) -> Need {
    let mut need = Need::new(format!("a message in {}", facts.scene().name(queue)), Nature::Idle);
    need.others = Some("anybody who may open the queue can send one");
    need.by = openers(facts, queue, Role::writes, "can send to", Grade::Strong);
    if facts.object(queue).is_some_and(|object| object.number("messages") == Some(0)) {
        "The queue is empty.".clone_into(&mut need.state);
    }
    need.closed = !need.by.is_empty();
    if need.by.is_empty() {
        need.odd.push("no process that has it open to send can be seen".to_owned());
    }
    note_stopped(facts, &mut need);
    need
}

pub(super) fn mq_send(facts: &Facts<'_>, queue: Resource) -> Need {
    let mut need = Need::new(format!("room in {}", facts.scene().name(queue)), Nature::Held);
    need.others = Some("anybody who may open the queue can receive");
    need.by = openers(facts, queue, Role::reads, "can receive from", Grade::Strong);
    need.closed = !need.by.is_empty();
    if let Some(object) = facts.object(queue)
        && let (Some(messages), Some(most)) = (object.number("messages"), object.number("max_messages"))
    {
        need.state = format!("It holds {messages} of at most {most} messages.");
    }
    if need.by.is_empty() {
        need.odd.push("no process that has it open to receive can be seen".to_owned());
    }
    note_stopped(facts, &mut need);
    need
}
