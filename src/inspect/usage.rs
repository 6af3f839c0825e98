//! What processes hold and wait for, from their side.

use super::facts::{Facts, reference_value};
use super::wakers;
use crate::error::{Error, Result};
use crate::model::{Awaits, Blocked, Grade, Hold, How, Kind, ObjectRef, Resource, Role, Seen, Text, Value};
use crate::proc::{process, status, task};
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
    /// The short name of the process.
    pub command: Text,
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
        self.reference.as_ref().map_or_else(|| Value::Phrase(self.name.clone()), reference_value)
    }

    /// The facts of it within those of its process.
    pub fn record(&self) -> Vec<(&'static str, Seen<Value>)> {
        let mut record = vec![
            ("ref", self.reference.as_ref().map(reference_value).into()),
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
        if at > 0 && same(&holds[at - 1]) {
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

fn held(facts: &Facts<'_>, hold: &Hold, descriptors: &[i32]) -> Link {
    let reference = facts.scene().reference(hold.resource);
    let kept = reference.as_ref().is_some_and(|reference| lasting(reference.kind));
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
        resource: hold.resource,
        name: match (hold.how, hold.end.fd) {
            (How::Lock { .. }, Some(fd)) if reference.is_none() => facts.path(hold.end.pid, fd),
            _ => None,
        }
        .unwrap_or_else(|| facts.scene().name(hold.resource)),
        role: hold.end.role.word(),
        call: None,
        detail,
        grade: hold.grade,
        since: None,
        notable: kept || matches!(hold.how, How::Lock { .. } | How::Owner | How::Undo { .. }),
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

fn lasting(kind: Kind) -> bool {
    Kind::LASTING.contains(&kind) || kind == Kind::Fifo
}

fn waiting(facts: &Facts<'_>, blocked: &Blocked, resource: Resource) -> Link {
    let reference = facts.reference(blocked, resource);
    let kept = reference.as_ref().is_some_and(|reference| lasting(reference.kind));
    let known =
        kept || matches!(blocked.awaits, Awaits::Semaphores { .. } | Awaits::Lock { .. } | Awaits::Futex { .. });
    Link {
        pid: blocked.task.pid,
        tid: Some(blocked.task.tid),
        command: blocked.task.command.clone(),
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
pub fn by_process(facts: &Facts<'_>, links: Vec<Link>) -> Vec<Usage> {
    let mut processes: BTreeMap<i32, Vec<Link>> = BTreeMap::new();
    for link in links {
        processes.entry(link.pid).or_default().push(link);
    }
    let mut names = Names::default();
    let usage = |(pid, links): (i32, Vec<Link>)| {
        let uid = status::read(pid).ok().and_then(|status| status.uid);
        let comm = links.first().map_or_else(|| Text::from(""), |link| link.command.clone());
        let line = facts.line(pid);
        // A kernel thread and what has just ended have no command line.
        let command = if line.raw() == b"[]" { process::command(pid, comm.raw()) } else { line };
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
