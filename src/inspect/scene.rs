//! One picture of all processes and the resources that they hold and wait for.

use super::name::{self, Names};
use super::owned;
use crate::mech::Root;
use crate::model::{
    Adjustment, Blocked, End, Fingerprint, Gap, Grade, Hold, How, Ident, Kind, Memory, Object, ObjectRef, Reason,
    Resource, Role, Text,
};
use crate::proc::blocked::{self, Blocking};
use crate::proc::holders::{FileId, Holders, OpenFile, What};
use crate::proc::locks::{self, Lock};
use crate::proc::mappings::Mapping;
use crate::proc::mounts;
use crate::proc::namespace;
use crate::proc::population::{Population, is_first_pid_namespace};
use crate::proc::processes::{Clock, unlisted_gap};
use crate::proc::undo::{self, Undo};
use nix::errno::Errno;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

type ByResource<T> = HashMap<Resource, Vec<T>>;

/// What one look at the system has shown. Each part is looked up when it is first asked for.
pub struct Scene<'a> {
    /// What is the same from wherever one looks.
    seen: Arc<Processes<'a>>,
    /// The IPC namespace that we are in, by its inode.
    namespace: u64,
    /// Where the files of POSIX objects are.
    root: &'a Root,
    /// The processes of that namespace, where it need not be our own.
    peers: Option<&'a [i32]>,
    names: OnceLock<Names>,
}

/// What is known of all processes.
struct Processes<'a> {
    holders: &'a Holders,
    open: OnceLock<ByResource<Hold>>,
    mapped: OnceLock<ByResource<Hold>>,
    undone: OnceLock<Seen>,
    locked: OnceLock<Locked>,
    owned: OnceLock<ByResource<Hold>>,
    blocking: OnceLock<Blocking>,
    population: OnceLock<Population>,
    layers: OnceLock<Vec<PathBuf>>,
}

/// Holds, and what could not be seen of them.
type Seen = (ByResource<Hold>, Vec<Gap>);

/// The locks of files.
#[derive(Default)]
struct Locked {
    holds: ByResource<Hold>,
    /// Those that are waited for, by the file.
    awaited: HashMap<Resource, Vec<Lock>>,
    gaps: Vec<Gap>,
}

impl<'a> Scene<'a> {
    pub fn new(holders: &'a Holders) -> Scene<'a> {
        let seen = Processes {
            holders,
            open: OnceLock::new(),
            mapped: OnceLock::new(),
            undone: OnceLock::new(),
            locked: OnceLock::new(),
            owned: OnceLock::new(),
            blocking: OnceLock::new(),
            population: OnceLock::new(),
            layers: OnceLock::new(),
        };
        Scene {
            seen: Arc::new(seen),
            namespace: namespace::ours().unwrap_or(0),
            root: &Root::Ours,
            peers: None,
            names: OnceLock::new(),
        }
    }

    /// The same processes, seen from the IPC namespace in which the calling thread is now, with its processes, and
    /// from a root directory.
    pub fn from<'b>(&self, root: &'b Root, peers: &'b [i32]) -> Scene<'b>
    where
        'a: 'b,
    {
        let seen: Arc<Processes<'b>> = Arc::<Processes<'a>>::clone(&self.seen);
        let namespace = namespace::ours().unwrap_or(0);
        Scene { seen, namespace, root, peers: Some(peers), names: OnceLock::new() }
    }

    pub fn holders(&self) -> &Holders {
        self.seen.holders
    }

    /// The IPC namespace that we are in.
    pub fn namespace(&self) -> u64 {
        self.namespace
    }

    /// Where the files of POSIX objects are.
    pub fn root(&self) -> &Root {
        self.root
    }

    /// Whether nobody is in this namespace, which something else keeps.
    pub(super) fn is_deserted(&self) -> bool {
        self.peers.is_some_and(<[i32]>::is_empty)
    }

    /// Whether those who use the objects here count processes as we do: a pid in a name is what its maker wrote.
    pub(super) fn counts_as_we_do(&self) -> bool {
        let Some(peers) = self.peers else { return true };
        let Ok(ours) = namespace::pid(None) else { return false };
        let counts = |pid: &i32| match namespace::pid(Some(*pid)) {
            Ok(theirs) => theirs == ours,
            // It has ended.
            Err(errno) => matches!(errno, Errno::ENOENT | Errno::ESRCH),
        };
        !peers.is_empty() && peers.iter().all(counts)
    }

    /// Every process, as far as all may see it.
    pub fn population(&self) -> &Population {
        self.seen.population.get_or_init(Population::now)
    }

    /// The directories that overlays are made of.
    pub(super) fn layers(&self) -> &[PathBuf] {
        self.seen.layers.get_or_init(mounts::layers)
    }

    /// Every thread that sleeps in a call, in the order of their pids.
    pub fn blocked(&self) -> &[Blocked] {
        &self.blocking().tasks
    }

    fn blocking(&self) -> &Blocking {
        self.seen.blocking.get_or_init(blocked::all)
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

    /// Everything that any process holds, whatever it is. A mutex is held by itself, and not once more the object
    /// that it lies in.
    pub fn holds(&self) -> Vec<&Hold> {
        [self.open(), self.mapped(), self.undone(), self.locked(), self.owned()]
            .into_iter()
            .flat_map(HashMap::values)
            .flatten()
            .filter(|hold| !matches!(hold.how, How::Owner { .. }) || matches!(hold.resource, Resource::Word { .. }))
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
        self.seen.open.get_or_init(|| {
            let files = self.seen.holders.descriptors().all();
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
        self.seen.mapped.get_or_init(|| index(self.seen.holders.mappings().list.iter().map(of_mapping)))
    }

    /// What processes have taken of semaphores with SEM_UNDO.
    fn undone(&self) -> &ByResource<Hold> {
        let gap = |reason, note: &str| {
            let subject = "undo lists of semaphores".to_owned();
            vec![Gap { subject, field: None, reason, note: Some(note.to_owned()) }]
        };
        let look = || match undo::all() {
            Ok(undos) if is_first_pid_namespace() => (index(of_undos(undos)), Vec::new()),
            Ok(undos) => {
                let note = "who holds semaphores with SEM_UNDO in other PID namespaces is not known";
                (index(of_undos(undos)), gap(Reason { call: "bpf", errno: libc::ESRCH }, note))
            }
            Err(reason) => {
                let note = match Errno::from_raw(reason.errno) {
                    Errno::EPERM | Errno::EACCES => "; it takes CAP_BPF and CAP_PERFMON",
                    Errno::ENOSYS => "; this kernel has no bpf(2)",
                    _ => "",
                };
                (HashMap::new(), gap(reason, &format!("who holds semaphores with SEM_UNDO is not known{note}")))
            }
        };
        &self.seen.undone.get_or_init(look).0
    }

    /// The locks that processes have on files.
    fn locked(&self) -> &ByResource<Hold> {
        &self.locks().holds
    }

    /// The locks of a file that are waited for, as the kernel lists them.
    pub(super) fn locks_awaited(&self, file: Resource) -> &[Lock] {
        self.locks().awaited.get(&file).map_or(&[], |locks| locks)
    }

    fn locks(&self) -> &Locked {
        self.seen.locked.get_or_init(|| match locks::all() {
            Ok(mut all) => {
                let (holds, mut gaps) = locks::holders(&mut all);
                gaps.extend(unlisted_gap());
                let mut awaited: HashMap<Resource, Vec<Lock>> = HashMap::new();
                for lock in all.into_iter().filter(|lock| lock.waits_for.is_some()) {
                    awaited.entry(lock.file).or_default().push(lock);
                }
                Locked { holds: index(holds.into_iter()), awaited, gaps }
            }
            Err(reason) => {
                let subject = "locks of files".to_owned();
                Locked { gaps: vec![Gap { subject, field: None, reason, note: None }], ..Locked::default() }
            }
        })
    }

    /// The mutexes in shared memory that threads own: robust ones, which the kernel knows of, and those that
    /// somebody waits for. Each stands under its word and under the object that this lies in.
    fn owned(&self) -> &ByResource<Hold> {
        self.seen.owned.get_or_init(|| {
            let mut owned = owned::robust(&self.seen.holders.mappings().list);
            owned.extend(owned::awaited(self.blocked()));
            // A robust one that several wait for is named by each of them, too; what is surest stays.
            owned.sort_by_key(|hold| (hold.resource, hold.end.pid, std::cmp::Reverse(hold.grade)));
            owned.dedup_by_key(|hold| (hold.resource, hold.end.pid));
            let of_objects = owned.iter().map(|hold| Hold { resource: hold.resource.object(), ..hold.clone() });
            index(of_objects.collect::<Vec<_>>().into_iter().chain(owned))
        })
    }

    /// What could not be seen, of what was looked at.
    pub fn gaps(&self) -> Vec<Gap> {
        let mut gaps = self.seen.holders.gaps();
        let blocking = self.seen.blocking.get().into_iter().flat_map(|blocking| &blocking.gaps);
        let undone = self.seen.undone.get().into_iter().flat_map(|(_, gaps)| gaps);
        let locked = self.seen.locked.get().into_iter().flat_map(|locked| &locked.gaps);
        // What is true of all processes was met by each look at them.
        for gap in blocking.chain(undone).chain(locked) {
            if !gaps.contains(gap) {
                gaps.push(gap.clone());
            }
        }
        gaps
    }

    /// Why it is not known who else holds a resource, if some of those who might could not be looked into.
    pub(super) fn unseen_holders(&self, resource: Resource) -> Option<Reason> {
        let open = || self.seen.holders.descriptors().gaps.first().map(|gap| gap.reason);
        let mapped = || self.seen.holders.mappings().gaps.first().map(|gap| gap.reason);
        match resource {
            Resource::Sysv { kind: Kind::Shm, .. } => mapped(),
            Resource::File { .. } => open().or_else(mapped),
            Resource::Eventfd(_) => open(),
            Resource::Sysv { kind: Kind::Sem, .. } => self.unseen_undo(),
            _ => None,
        }
    }

    /// Why it is not known who has taken what of semaphores with SEM_UNDO.
    pub(super) fn unseen_undo(&self) -> Option<Reason> {
        self.undone();
        self.seen.undone.get().and_then(|(_, gaps)| gaps.first()).map(|gap| gap.reason)
    }

    /// Why it is not known who else waits.
    pub(super) fn unseen_waiters(&self) -> Option<Reason> {
        self.blocking().gaps.first().map(|gap| gap.reason)
    }

    /// The POSIX objects that have a name here.
    pub(super) fn names(&self) -> &Names {
        self.names.get_or_init(|| name::names(self))
    }

    /// Whether it is a POSIX queue that a process has open.
    pub(super) fn is_queue(&self, resource: Resource) -> bool {
        let Resource::File { dev, ino } = resource else { return false };
        self.holders().descriptors().get(What::Queue, FileId { dev, ino }).is_some()
    }

    /// The path of a file as those that have it mapped show it.
    pub(super) fn label(&self, resource: Resource) -> Option<Text> {
        let Resource::File { dev, ino } = resource else { return None };
        self.seen.holders.mappings().of(Memory::File { dev, ino }).next().map(|mapping| mapping.label.clone())
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
                self.seen.holders.descriptors().numbered(What::Socket, inode).map(of_file)
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
            let known = undo.adjustments.into_iter();
            let mut known: Vec<_> =
                known.map(|(index, amount)| Some(Adjustment { index, amount: amount.into() })).collect();
            if known.is_empty() {
                known.push(None);
            }
            let end = move || Arc::clone(&end);
            known.into_iter().map(move |undone| Hold {
                resource,
                how: How::Undo(undone),
                grade: Grade::Exact,
                end: end(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undo_list_that_could_not_be_read_is_a_hold_all_the_same() {
        let pid = nix::unistd::getpid().as_raw();
        let undo = |adjustments| Undo { pid, namespace: 5, id: 7, adjustments };
        let holds: Vec<Hold> = of_undos(vec![undo(vec![(1, 2), (3, -4)]), undo(Vec::new())]).collect();
        let known = |index, amount| How::Undo(Some(Adjustment { index, amount }));
        let how: Vec<How> = holds.iter().map(|hold| hold.how).collect();
        assert_eq!(how, [known(1, 2), known(3, -4), How::Undo(None)]);
        let set = Resource::Sysv { namespace: 5, kind: Kind::Sem, id: 7 };
        assert!(holds.iter().all(|hold| hold.resource == set && hold.end.pid == pid));
        assert!(how[2].detail().unwrap().ends_with("what it holds is not known"));
    }
}
