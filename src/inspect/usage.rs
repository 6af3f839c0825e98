//! What processes hold and wait for, from their side.

use super::facts::Facts;
use super::wakers;
use crate::error::{Error, Result};
use crate::model::{Awaits, Blocked, Grade, Hold, How, Kind, ObjectRef, Resource, Role, Seen, Text, Value};
use crate::proc::holders::{FileId, What};
use crate::proc::{process, task};
use crate::sys::users::Names;
use nix::errno::Errno;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// A process and an object that it holds or waits for.
#[derive(Clone, Debug)]
pub struct Link {
    pub pid: i32,
    /// The thread that waits.
    pub tid: Option<i32>,
    /// The short name of the process, and when it started, seconds since the epoch.
    pub command: Text,
    pub started: i64,
    pub resource: Resource,
    pub reference: Option<ObjectRef>,
    /// What the object is called; escaped.
    pub name: String,
    /// How it is held, or `waits`.
    pub role: &'static str,
    /// The call in which it waits.
    pub call: Option<&'static str>,
    pub detail: Option<String>,
    pub grade: Grade,
    pub since: Option<Duration>,
    /// Whether it is more than what nearly every process has: pipes, sockets and event counters.
    notable: bool,
}

/// A process with all its links.
#[derive(Clone, Debug)]
pub struct Usage {
    pub pid: i32,
    pub uid: Option<u32>,
    pub user: Option<Text>,
    /// The command line.
    pub command: Text,
    pub links: Vec<Link>,
}

/// Which links are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// Those of these processes; of all if there are none.
    pub pids: &'a [i32],
    /// Also pipes, sockets and event counters.
    pub all: bool,
}

impl Choice<'_> {
    fn takes(self, pid: i32) -> bool {
        self.pids.is_empty() || self.pids.contains(&pid)
    }
}

impl Link {
    pub fn waits(&self) -> bool {
        self.tid.is_some()
    }

    /// The reference as listings have it, or what the object is called.
    pub fn object(&self) -> Value {
        self.reference.as_ref().map_or_else(|| Value::Phrase(self.name.clone()), ObjectRef::value)
    }

    /// The facts of it within those of its process.
    pub fn record(&self) -> Vec<(&'static str, Seen<Value>)> {
        let mut record = vec![
            ("ref", self.reference.as_ref().map(ObjectRef::value).into()),
            ("object", Seen::Is(Value::Phrase(self.name.clone()))),
            ("role", Seen::Is(Value::Word(self.role))),
        ];
        if self.waits() {
            record.push(("tid", self.tid.map(Value::Pid).into()));
            record.push(("call", self.call.map(Value::Word).into()));
        }
        record.push(("detail", self.detail.clone().map(Value::Phrase).into()));
        if self.waits() {
            record.push(("since", self.since.map(Value::Duration).into()));
        } else {
            record.push(("grade", Seen::Is(Value::Word(self.grade.word()))));
        }
        record
    }
}

impl Usage {
    pub fn holds(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|link| !link.waits())
    }

    pub fn waits(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|link| link.waits())
    }
}

/// Every link that is wanted, by object.
pub fn links(facts: &Facts<'_>, choice: Choice<'_>) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    let mut holds: Vec<&Hold> = facts.scene().holds();
    holds.retain(|hold| choice.takes(hold.end.pid));
    holds.sort_by_key(|hold| (hold.resource, hold.end.pid, hold.end.role, hold.end.fd));
    for (at, hold) in holds.iter().enumerate() {
        // One row for all descriptors of one kind.
        let same = |other: &&Hold| {
            (other.resource, other.end.pid, other.end.role, other.how)
                == (hold.resource, hold.end.pid, hold.end.role, hold.how)
        };
        if at > 0 && same(&holds[at - 1]) || is_mere_file(facts, hold) {
            continue;
        }
        let descriptors: Vec<i32> =
            holds[at..].iter().take_while(|other| same(other)).filter_map(|one| one.end.fd).collect();
        links.push(held(facts, hold, &descriptors));
    }
    for blocked in facts.scene().blocked().iter().filter(|blocked| choice.takes(blocked.task.pid)) {
        links.extend(blocked.awaits.resources().into_iter().map(|resource| waiting(facts, blocked, resource)));
    }
    let owners = owners(facts, choice, &links);
    links.extend(owners);
    if choice.pids.is_empty() && !choice.all {
        links.retain(|link| link.notable);
    }
    links
}

/// Whether a hold is of a file that is mapped to read alone and is no object of ours, such as the tables of a C
/// library that nearly every process has.
fn is_mere_file(facts: &Facts<'_>, hold: &Hold) -> bool {
    matches!((hold.resource, hold.how), (Resource::File { .. }, How::Mapped { write: false, .. }))
        && facts.scene().reference(hold.resource).is_none()
        && !had_a_name(facts, hold.resource)
}

/// Whether it is an object of POSIX that has lost its name, or has it under another mount: its memory is in use
/// all the same.
fn had_a_name(facts: &Facts<'_>, resource: Resource) -> bool {
    facts.scene().is_queue(resource) || facts.scene().name(resource).starts_with("/dev/shm/")
}

fn held(facts: &Facts<'_>, hold: &Hold, descriptors: &[i32]) -> Link {
    let reference = facts.scene().reference(hold.resource);
    let kept = lasts(facts, hold.resource, reference.as_ref());
    let detail = match (hold.how.detail(), descriptors) {
        (Some(detail), _) => Some(detail),
        (None, []) => None,
        (None, [one]) => Some(format!("descriptor {one}")),
        (None, several) => {
            let several: Vec<String> = several.iter().map(i32::to_string).collect();
            Some(format!("descriptors {}", several.join(", ")))
        }
    };
    Link {
        pid: hold.end.pid,
        tid: None,
        command: hold.end.command.clone(),
        started: hold.end.started,
        resource: hold.resource,
        name: match (hold.how, hold.end.fd) {
            (How::Lock { .. }, Some(fd)) if reference.is_none() => facts.path(hold.end.pid, fd),
            _ => None,
        }
        .or_else(|| reference.as_ref().map(ObjectRef::to_string))
        .unwrap_or_else(|| facts.scene().name(hold.resource)),
        role: hold.end.role.word(),
        call: None,
        detail,
        grade: hold.grade,
        since: None,
        notable: kept
            || matches!(hold.how, How::Lock { .. } | How::Owner { .. } | How::Undo(_))
            || reference.is_none() && had_a_name(facts, hold.resource),
        reference,
    }
}

/// Those who hold what others wait for and of whom nothing else tells: owners of mutexes, and the last to
/// operate on semaphores.
fn owners(facts: &Facts<'_>, choice: Choice<'_>, known: &[Link]) -> Vec<Link> {
    let holders: HashSet<(i32, Resource)> =
        known.iter().filter(|link| !link.waits()).map(|link| (link.pid, link.resource)).collect();
    let mut links: Vec<Link> = Vec::new();
    for blocked in facts.scene().blocked() {
        let (Awaits::Semaphores { set: resource, .. } | Awaits::Futex { word: Some(resource), .. }) = blocked.awaits
        else {
            continue;
        };
        let needs = wakers::of(facts, blocked);
        let by = needs.iter().filter(|need| need.closed).flat_map(|need| &need.by);
        for waker in by.filter(|waker| choice.takes(waker.pid)) {
            let detail = Some(waker.because.clone());
            let same = |link: &Link| (link.pid, link.resource, &link.detail) == (waker.pid, resource, &detail);
            if holders.contains(&(waker.pid, resource)) || links.iter().any(same) {
                continue;
            }
            links.push(Link {
                pid: waker.pid,
                tid: None,
                command: waker.command.clone(),
                started: facts.who(waker.pid).map_or(0, |(_, started)| started),
                resource,
                reference: facts.scene().reference(resource),
                name: facts.scene().name(resource),
                role: Role::Holder.word(),
                call: None,
                detail,
                grade: waker.grade,
                since: None,
                notable: true,
            });
        }
    }
    links
}

/// Whether an object is one that stays when its processes end. One of another namespace has no reference here.
fn lasts(facts: &Facts<'_>, resource: Resource, reference: Option<&ObjectRef>) -> bool {
    match (reference, resource.object()) {
        (Some(reference), _) => Kind::LASTING.contains(&reference.kind) || reference.kind == Kind::Fifo,
        (None, Resource::Sysv { .. }) => true,
        (None, Resource::File { dev, ino }) => {
            let open = facts.scene().holders().descriptors().find(FileId { dev, ino });
            open.is_some_and(|open| open.what == What::Queue)
        }
        (None, _) => false,
    }
}

fn waiting(facts: &Facts<'_>, blocked: &Blocked, resource: Resource) -> Link {
    let reference = facts.reference(blocked, resource);
    let kept = lasts(facts, resource, reference.as_ref());
    let known =
        kept || matches!(blocked.awaits, Awaits::Semaphores { .. } | Awaits::Lock { .. } | Awaits::Futex { .. });
    Link {
        pid: blocked.task.pid,
        tid: Some(blocked.task.tid),
        command: blocked.task.command.clone(),
        started: blocked.task.started,
        resource,
        name: facts.name(blocked, resource),
        role: "waits",
        call: Some(blocked.call),
        detail: blocked.awaits.detail(),
        grade: Grade::Exact,
        since: blocked.since,
        notable: known,
        reference,
    }
}

/// The processes of these links, in the order of their pids.
pub fn by_process(links: Vec<Link>) -> Vec<Usage> {
    let mut processes: BTreeMap<i32, Vec<Link>> = BTreeMap::new();
    for link in links {
        processes.entry(link.pid).or_default().push(link);
    }
    let mut names = Names::default();
    let usage = |(pid, links): (i32, Vec<Link>)| {
        let (comm, started) = links.first().map_or((Text::from(""), 0), |link| (link.command.clone(), link.started));
        // The pid of one that has ended may be that of another process by now.
        let gone = || (None, Text::from([b"[", comm.raw(), b"]"].concat()));
        let (uid, command) = process::owner(pid, (&comm, started)).unwrap_or_else(gone);
        Usage { pid, uid, user: uid.map(|uid| names.user(uid)), command, links }
    };
    processes.into_iter().map(usage).collect()
}

/// Whether a process is there and what it has open may be seen: status 3 or 4 if not.
pub fn visible(pid: i32) -> Result<()> {
    let object = format!("process {pid}");
    let there = task::threads(pid) != Err(Errno::ESRCH);
    if !there && matches!(process::look(pid), process::Look::Gone) {
        return Err(Error::new("open", Errno::ESRCH, object).because("there is no such process"));
    }
    match task::may_see_descriptors(pid) {
        // /proc may hide what is there.
        Err(Errno::EACCES | Errno::EPERM | Errno::ENOENT) => Err(Error::new("open", Errno::EACCES, object)
            .because("what it has open may not be seen")
            .hinting("it takes the right to look into it (PTRACE_MODE_READ, ptrace(2)): the same user, or root")),
        _ => Ok(()),
    }
}
