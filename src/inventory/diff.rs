//! What has happened between two scans. Nothing here looks at the system.

use crate::model::{Fingerprint, Object, ObjectRef, Seen, Text};
use std::collections::BTreeMap;

/// The objects of a scan.
pub type Snapshot = BTreeMap<ObjectRef, Object>;

/// Something that happened to one object.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    pub what: What,
    pub reference: ObjectRef,
    /// The owner; `Skipped` if the object was gone before it could be looked at.
    pub user: Seen<Text>,
    /// The number that says it.
    pub step: Option<Step>,
    /// Who did it last, as the object records it.
    pub pid: Option<i32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    Created,
    Removed,
    /// Another object has its name now.
    Replaced,
    Attached,
    Detached,
    Grew,
    Shrank,
    Filled,
    Emptied,
}

impl What {
    pub fn word(self) -> &'static str {
        match self {
            What::Created => "created",
            What::Removed => "removed",
            What::Replaced => "replaced",
            What::Attached => "attached",
            What::Detached => "detached",
            What::Grew => "grew",
            What::Shrank => "shrank",
            What::Filled => "filled",
            What::Emptied => "emptied",
        }
    }
}

/// A fact of an object before and after; `None` where there was no object or it could not be seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    pub key: &'static str,
    pub before: Option<u64>,
    pub after: Option<u64>,
}

/// How large an object is: what is said of one that came or went.
const EXTENT: [&str; 2] = ["size", "nsems"];
/// How many use it.
const USERS: [&str; 3] = ["nattch", "readers", "writers"];
/// What it holds: a queue messages, a pipe bytes alone.
const CONTENTS: [&str; 2] = ["messages", "bytes"];

/// The facts that are compared.
pub fn keys() -> impl Iterator<Item = &'static str> {
    EXTENT.into_iter().chain(USERS).chain(CONTENTS)
}

/// An object that was made, or removed, while nobody could look at it.
pub fn unseen(what: What, reference: ObjectRef) -> Event {
    Event { what, reference, user: Seen::Skipped, step: None, pid: None }
}

/// What has happened: first what is gone, then the others in the order of their references.
pub fn diff(before: &Snapshot, after: &Snapshot) -> Vec<Event> {
    let gone = before.iter().filter(|(reference, _)| !after.contains_key(reference));
    let mut events: Vec<Event> =
        gone.map(|(_, old)| event(What::Removed, old, extent(Some(old), None), None)).collect();
    for (reference, new) in after {
        match before.get(reference) {
            None => events.push(event(What::Created, new, extent(None, Some(new)), new.pid("cpid"))),
            Some(old) if !same(old, new) => {
                events.push(event(What::Replaced, new, extent(Some(old), Some(new)), new.pid("cpid")));
            }
            Some(old) => events.extend(steps(old, new)),
        }
    }
    events
}

fn event(what: What, object: &Object, step: Option<Step>, pid: Option<i32>) -> Event {
    let pid = pid.filter(|pid| *pid > 0);
    Event { what, reference: object.reference.clone(), user: object.user.clone(), step, pid }
}

/// Whether two objects of one name are one. A change of the mode or of the contents makes no other of it.
fn same(old: &Object, new: &Object) -> bool {
    match (&old.fingerprint, &new.fingerprint) {
        (Fingerprint::Sysv { key: a, cuid: b, .. }, Fingerprint::Sysv { key: c, cuid: d, .. }) => (a, b) == (c, d),
        (Fingerprint::Inode { dev: a, ino: b, .. }, Fingerprint::Inode { dev: c, ino: d, .. }) => (a, b) == (c, d),
        _ => false,
    }
}

fn extent(old: Option<&Object>, new: Option<&Object>) -> Option<Step> {
    let number = |object: Option<&Object>, key| object.and_then(|object| object.number(key));
    let step = |key| Step { key, before: number(old, key), after: number(new, key) };
    EXTENT.into_iter().map(step).find(|step| step.before.is_some() || step.after.is_some())
}

/// A fact that is known of both and has changed.
fn changed(old: &Object, new: &Object, key: &'static str) -> Option<(u64, u64)> {
    old.number(key).zip(new.number(key)).filter(|(before, after)| before != after)
}

/// What has changed in one object.
fn steps(old: &Object, new: &Object) -> Vec<Event> {
    let mut events = Vec::new();
    let mut push = |key, (before, after), (up, down): (What, What), pid: [Option<i32>; 2]| {
        let step = Step { key, before: Some(before), after: Some(after) };
        let (what, pid) = if after > before { (up, pid[0]) } else { (down, pid[1]) };
        events.push(event(what, new, Some(step), pid));
    };
    for key in USERS {
        if let Some(step) = changed(old, new, key) {
            push(key, step, (What::Attached, What::Detached), [new.pid("lpid"); 2]);
        }
    }
    if let Some(step) = changed(old, new, "size") {
        push("size", step, (What::Grew, What::Shrank), [None; 2]);
    }
    let contents = CONTENTS.into_iter().find_map(|key| Some((key, changed(old, new, key)?)));
    if let Some((key, step)) = contents {
        let users = [new.pid("lspid"), new.pid("lrpid")];
        match step {
            (0, _) | (_, 0) => push(key, step, (What::Filled, What::Emptied), users),
            _ => push(key, step, (What::Grew, What::Shrank), users),
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Family, Ident, Kind, Value};

    fn object(kind: Kind, id: i32, facts: &[(&'static str, u64)]) -> Object {
        let reference = ObjectRef { kind, id: Ident::Id(id) };
        let fingerprint = Fingerprint::Sysv { id, key: 7, cuid: 0, ctime: 1 };
        let mut object = Object::new(reference, Family::Sysv, fingerprint);
        facts.iter().for_each(|(key, number)| object.facts.push(key, Value::Count(*number)));
        object
    }

    fn snapshot(objects: &[Object]) -> Snapshot {
        objects.iter().map(|object| (object.reference.clone(), object.clone())).collect()
    }

    /// What is said of one object that has these facts before and after.
    fn said(kind: Kind, before: &[(&'static str, u64)], after: &[(&'static str, u64)]) -> Vec<(What, Step)> {
        let (before, after) = (snapshot(&[object(kind, 1, before)]), snapshot(&[object(kind, 1, after)]));
        diff(&before, &after).into_iter().map(|event| (event.what, event.step.unwrap())).collect()
    }

    fn step(key: &'static str, before: u64, after: u64) -> Step {
        Step { key, before: Some(before), after: Some(after) }
    }

    #[test]
    fn nothing_is_said_of_what_stays_as_it_is() {
        let all = snapshot(&[object(Kind::Shm, 1, &[("size", 5), ("nattch", 1)]), object(Kind::Sem, 1, &[])]);
        assert_eq!(diff(&all, &all), []);
        assert_eq!(diff(&Snapshot::new(), &Snapshot::new()), []);
    }

    #[test]
    fn what_came_and_what_went_is_said_with_its_size() {
        let (old, new) = (object(Kind::Shm, 1, &[("size", 5)]), object(Kind::Sem, 2, &[("nsems", 3)]));
        let events = diff(&snapshot(&[old]), &snapshot(&[new]));
        let shown: Vec<_> = events.iter().map(|event| (event.what, event.reference.to_string(), event.step)).collect();
        let (gone, came) =
            (Step { key: "size", before: Some(5), after: None }, Step { key: "nsems", before: None, after: Some(3) });
        let expected =
            [(What::Removed, "shm/1".to_owned(), Some(gone)), (What::Created, "sem/2".to_owned(), Some(came))];
        assert_eq!(shown, expected);
    }

    #[test]
    fn another_object_of_the_same_name_is_no_change_of_the_first() {
        let old = object(Kind::Shm, 1, &[("size", 5), ("nattch", 1)]);
        let mut new = object(Kind::Shm, 1, &[("size", 6), ("nattch", 0)]);
        new.fingerprint = Fingerprint::Sysv { id: 1, key: 8, cuid: 0, ctime: 1 };
        let events = diff(&snapshot(std::slice::from_ref(&old)), &snapshot(&[new]));
        assert_eq!(events.iter().map(|event| event.what).collect::<Vec<_>>(), [What::Replaced]);
        assert_eq!(events[0].step, Some(step("size", 5, 6)));
        // IPC_SET moves the change time.
        let mut set = old.clone();
        set.fingerprint = Fingerprint::Sysv { id: 1, key: 7, cuid: 0, ctime: 2 };
        assert_eq!(diff(&snapshot(&[old]), &snapshot(&[set])), []);
    }

    #[test]
    fn attaching_growing_and_filling_are_told_apart() {
        assert_eq!(said(Kind::Shm, &[("nattch", 1)], &[("nattch", 3)]), [(What::Attached, step("nattch", 1, 3))]);
        assert_eq!(said(Kind::Shm, &[("nattch", 1)], &[("nattch", 0)]), [(What::Detached, step("nattch", 1, 0))]);
        assert_eq!(said(Kind::Shm, &[("size", 0)], &[("size", 9)]), [(What::Grew, step("size", 0, 9))]);
        let queue = |before: [u64; 2], after: [u64; 2]| {
            let facts = |[messages, bytes]: [u64; 2]| [("messages", messages), ("bytes", bytes)];
            said(Kind::Msgq, &facts(before), &facts(after))
        };
        assert_eq!(queue([0, 0], [2, 10]), [(What::Filled, step("messages", 0, 2))]);
        assert_eq!(queue([2, 10], [0, 0]), [(What::Emptied, step("messages", 2, 0))]);
        assert_eq!(queue([2, 10], [3, 10]), [(What::Grew, step("messages", 2, 3))]);
        assert_eq!(queue([2, 10], [2, 4]), [(What::Shrank, step("bytes", 10, 4))]);
        assert_eq!(said(Kind::Pipe, &[("bytes", 0)], &[("bytes", 5)]), [(What::Filled, step("bytes", 0, 5))]);
        assert_eq!(said(Kind::Pipe, &[("bytes", 9)], &[("bytes", 5)]), [(What::Shrank, step("bytes", 9, 5))]);
    }

    #[test]
    fn what_could_not_be_seen_has_not_changed() {
        assert_eq!(said(Kind::Msgq, &[("messages", 3)], &[]), []);
        assert_eq!(said(Kind::Msgq, &[], &[("messages", 3)]), []);
    }

    #[test]
    fn the_process_is_the_one_that_did_it() {
        let mut old = object(Kind::Msgq, 1, &[("messages", 0)]);
        let mut new = object(Kind::Msgq, 1, &[("messages", 1)]);
        for object in [&mut old, &mut new] {
            object.facts.push("lspid", Value::Pid(11));
            object.facts.push("lrpid", Value::Pid(0));
        }
        let (old, new) = (snapshot(&[old]), snapshot(&[new]));
        assert_eq!(diff(&old, &new)[0].pid, Some(11));
        assert_eq!(diff(&new, &old)[0].pid, None);
    }
}
