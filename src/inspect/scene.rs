//! One picture of all processes and the resources that they hold and wait for.

use super::name::{self, Names};
use super::owned;
use crate::model::{
    Blocked, End, Fingerprint, Gap, Grade, Hold, How, Ident, Kind, Memory, Object, ObjectRef, Reason, Resource, Role,
    Text,
};
use crate::proc::blocked::{self, Blocking};
use crate::proc::holders::{FileId, Holders, OpenFile, What};
use crate::proc::locks;
use crate::proc::mappings::Mapping;
use crate::proc::population::Population;
use crate::proc::processes::{Clock, unlisted_gap};
use crate::proc::undo::{self, Undo};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

type ByResource<T> = HashMap<Resource, Vec<T>>;

/// What one look at the system has shown. Each part is looked up when it is first asked for.
pub struct Scene<'a> {
    holders: &'a Holders,
    /// Our IPC namespace, by its inode.
    namespace: u64,
    names: OnceLock<Names>,
    open: OnceLock<ByResource<Hold>>,
    mapped: OnceLock<ByResource<Hold>>,
    undone: OnceLock<Seen>,
    locked: OnceLock<Seen>,
    owned: OnceLock<ByResource<Hold>>,
    blocking: OnceLock<Blocking>,
    population: OnceLock<Population>,
}

/// Holds, and what could not be seen of them.
type Seen = (ByResource<Hold>, Vec<Gap>);

impl<'a> Scene<'a> {
    pub fn new(holders: &'a Holders) -> Scene<'a> {
        Scene {
            holders,
            namespace: crate::proc::namespace::ours().unwrap_or(0),
            names: OnceLock::new(),
            open: OnceLock::new(),
            mapped: OnceLock::new(),
            undone: OnceLock::new(),
            locked: OnceLock::new(),
            owned: OnceLock::new(),
            blocking: OnceLock::new(),
            population: OnceLock::new(),
        }
    }

    pub fn holders(&self) -> &Holders {
        self.holders
    }

    /// The IPC namespace that we are in.
    pub fn namespace(&self) -> u64 {
        self.namespace
    }

    /// Every process, as far as all may see it.
    pub fn population(&self) -> &Population {
        self.population.get_or_init(Population::now)
    }

    /// Every thread that sleeps in a call, in the order of their pids.
    pub fn blocked(&self) -> &[Blocked] {
        &self.blocking().tasks
    }

    fn blocking(&self) -> &Blocking {
        self.blocking.get_or_init(blocked::all)
    }

    /// The blocked threads of a process.
    pub fn blocked_of(&self, pid: i32) -> &[Blocked] {
        self.blocking().of_process(pid)
    }

    /// The threads that wait for a resource or, if it is an object, for a word in it.
    pub fn waiters_of(&self, resource: Resource) -> impl Iterator<Item = &Blocked> {
        let object = resource.object();
        let it = move |blocked: &&Blocked| resource == object || blocked.awaits.resources().contains(&resource);
        self.blocking().on(object).filter(it)
    }

    /// Everything that any process holds, whatever it is.
    pub fn holds(&self) -> Vec<&Hold> {
        [self.open(), self.mapped(), self.undone(), self.locked(), self.owned()]
            .into_iter()
            .flat_map(HashMap::values)
            .flatten()
            .collect()
    }

    /// Who holds a resource, and how.
    pub fn holds_of(&self, resource: Resource) -> Vec<&Hold> {
        let sources: &[fn(&Self) -> &ByResource<Hold>] = match resource {
            // No descriptor leads to them.
            Resource::Sysv { kind: Kind::Shm, .. } => &[Self::mapped, Self::owned],
            Resource::Sysv { kind: Kind::Sem, .. } => &[Self::undone],
            Resource::File { .. } => &[Self::open, Self::mapped, Self::locked, Self::owned],
            Resource::Eventfd(_) => &[Self::open],
            Resource::Word { .. } => &[Self::owned],
            _ => &[],
        };
        sources.iter().flat_map(|source| source(self).get(&resource)).flatten().collect()
    }

    /// What processes have open.
    fn open(&self) -> &ByResource<Hold> {
        self.open.get_or_init(|| {
            let files = self.holders.descriptors().all();
            index(files.flat_map(|file| {
                let resource = of_file(file);
                file.ends.iter().map(move |end| Hold {
                    resource,
                    how: How::Open,
                    grade: Grade::Exact,
                    end: Arc::clone(end),
                })
            }))
        })
    }

    /// What processes have mapped.
    fn mapped(&self) -> &ByResource<Hold> {
        self.mapped.get_or_init(|| index(self.holders.mappings().list.iter().map(of_mapping)))
    }

    /// What processes have taken of semaphores with SEM_UNDO.
    fn undone(&self) -> &ByResource<Hold> {
        let look = || match undo::all() {
            Ok(undos) => (index(of_undos(undos)), Vec::new()),
            Err(reason) => {
                let note = "who holds semaphores with SEM_UNDO is not known; it takes CAP_BPF and CAP_PERFMON";
                let subject = "undo lists of semaphores".to_owned();
                (HashMap::new(), vec![Gap { subject, field: None, reason, note: Some(note.to_owned()) }])
            }
        };
        &self.undone.get_or_init(look).0
    }

    /// The locks that processes have on files.
    fn locked(&self) -> &ByResource<Hold> {
        let look = || match locks::all() {
            Ok(mut all) => {
                let (holds, mut gaps) = locks::holders(&mut all);
                gaps.extend(unlisted_gap());
                (index(holds.into_iter()), gaps)
            }
            Err(reason) => {
                let subject = "locks of files".to_owned();
                (HashMap::new(), vec![Gap { subject, field: None, reason, note: None }])
            }
        };
        &self.locked.get_or_init(look).0
    }

    /// The mutexes in shared memory that threads own: robust ones, which the kernel knows of, and those that
    /// somebody waits for. Each stands under its word and under the object that this lies in.
    fn owned(&self) -> &ByResource<Hold> {
        self.owned.get_or_init(|| {
            let mut owned = owned::robust(&self.holders.mappings().list);
            for hold in owned::awaited(self.blocked()) {
                let same = |known: &&mut Hold| (known.resource, known.end.pid) == (hold.resource, hold.end.pid);
                match owned.iter_mut().find(same) {
                    Some(known) => known.grade = known.grade.max(hold.grade),
                    None => owned.push(hold),
                }
            }
            let of_objects = owned.iter().map(|hold| Hold { resource: hold.resource.object(), ..hold.clone() });
            index(of_objects.collect::<Vec<_>>().into_iter().chain(owned))
        })
    }

    /// What could not be seen, of what was looked at.
    pub fn gaps(&self) -> Vec<Gap> {
        let mut gaps = self.holders.gaps();
        let blocking = self.blocking.get().into_iter().flat_map(|blocking| &blocking.gaps);
        let others = [&self.undone, &self.locked].into_iter().filter_map(OnceLock::get).flat_map(|(_, gaps)| gaps);
        // What is true of all processes was met by each look at them.
        for gap in blocking.chain(others) {
            if !gaps.contains(gap) {
                gaps.push(gap.clone());
            }
        }
        gaps
    }

    /// Why it is not known who else holds a resource, if some of those who might could not be looked into.
    pub(super) fn unseen_holders(&self, resource: Resource) -> Option<Reason> {
        let open = || self.holders.descriptors().gaps.first().map(|gap| gap.reason);
        let mapped = || self.holders.mappings().gaps.first().map(|gap| gap.reason);
        match resource {
            Resource::Sysv { kind: Kind::Shm, .. } => mapped(),
            Resource::File { .. } => open().or_else(mapped),
            Resource::Eventfd(_) => open(),
            _ => None,
        }
    }

    /// Why it is not known who has taken what of semaphores with SEM_UNDO.
    pub(super) fn unseen_undo(&self) -> Option<Reason> {
        self.undone();
        self.undone.get().and_then(|(_, gaps)| gaps.first()).map(|gap| gap.reason)
    }

    /// Why it is not known who else waits.
    pub(super) fn unseen_waiters(&self) -> Option<Reason> {
        self.blocking().gaps.first().map(|gap| gap.reason)
    }

    /// The POSIX objects that have a name here.
    pub(super) fn names(&self) -> &Names {
        self.names.get_or_init(|| name::names(self))
    }

    /// The path of a file as those that have it mapped show it.
    pub(super) fn label(&self, resource: Resource) -> Option<Text> {
        let Resource::File { dev, ino } = resource else { return None };
        self.holders.mappings().of(Memory::File { dev, ino }).next().map(|mapping| mapping.label.clone())
    }

    /// The reference of a resource, if it is an object that has one here.
    pub fn reference(&self, resource: Resource) -> Option<ObjectRef> {
        name::reference(self, resource)
    }

    /// What to call a resource in a sentence, escaped.
    pub fn name(&self, resource: Resource) -> String {
        name::name(self, resource)
    }

    /// The resource that an object of our own namespaces is.
    pub fn resource(&self, object: &Object) -> Option<Resource> {
        match (&object.fingerprint, object.kind()) {
            (Fingerprint::Sysv { id, .. }, kind) => Some(Resource::Sysv { namespace: self.namespace, kind, id: *id }),
            (_, Kind::Eventfd) => match object.reference.id {
                Ident::Inode(number) => Some(Resource::Eventfd(number)),
                _ => None,
            },
            // The inode of the file that a socket is bound to is not that of the socket.
            (_, Kind::Sock) => {
                let inode = object.number("inode")?;
                self.holders.descriptors().numbered(What::Socket, inode).map(of_file)
            }
            (Fingerprint::Inode { dev, ino, .. }, _) => Some(Resource::File { dev: *dev, ino: *ino }),
        }
    }
}

/// Holds by their resource.
fn index(holds: impl Iterator<Item = Hold>) -> ByResource<Hold> {
    let mut index: ByResource<Hold> = HashMap::new();
    for hold in holds {
        index.entry(hold.resource).or_default().push(hold);
    }
    index
}

/// The holds that undo lists are.
fn of_undos(undos: Vec<Undo>) -> impl Iterator<Item = Hold> {
    let clock = Clock::now();
    undos.into_iter().filter_map(move |undo| Some((clock.process(undo.pid)?, undo))).flat_map(
        |((command, started), undo)| {
            let end = Arc::new(End { pid: undo.pid, started, command, fd: None, role: Role::Holder });
            let resource = Resource::Sysv { namespace: undo.namespace, kind: Kind::Sem, id: undo.id };
            undo.adjustments.into_iter().map(move |(index, amount)| Hold {
                resource,
                how: How::Undo { index, amount: amount.into() },
                grade: Grade::Exact,
                end: Arc::clone(&end),
            })
        },
    )
}

/// The resource that an open file is.
pub(super) fn of_file(file: &OpenFile) -> Resource {
    let FileId { dev, ino } = file.id;
    if file.what == What::Eventfd { Resource::Eventfd(ino) } else { Resource::File { dev, ino } }
}

/// The hold that a mapping is.
pub(super) fn of_mapping(mapping: &Mapping) -> Hold {
    Hold {
        resource: mapping.memory.resource(),
        how: How::Mapped { count: mapping.count, write: mapping.end.role == Role::MapWrite },
        grade: Grade::Exact,
        end: Arc::clone(&mapping.end),
    }
}
