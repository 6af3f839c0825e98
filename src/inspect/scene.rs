//! One picture of all processes and the resources that they hold and wait for.

use super::name;
use crate::model::{Blocked, Fingerprint, Gap, Grade, Hold, How, Ident, Kind, Object, ObjectRef, Resource};
use crate::proc::holders::{FileId, Holders, OpenFile, What};
use crate::proc::population::Population;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

type ByResource<T> = HashMap<Resource, Vec<T>>;

/// What one look at the system has shown. Each part is looked up when it is first asked for.
pub struct Scene<'a> {
    holders: &'a Holders,
    /// Our IPC namespace, by its inode.
    namespace: u64,
    open: OnceLock<ByResource<Hold>>,
    waiters: OnceLock<ByResource<usize>>,
    population: OnceLock<Population>,
}

impl<'a> Scene<'a> {
    pub fn new(holders: &'a Holders) -> Scene<'a> {
        let namespace = crate::proc::namespace::own();
        Scene { holders, namespace, open: OnceLock::new(), waiters: OnceLock::new(), population: OnceLock::new() }
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
        &[]
    }

    /// The threads that wait for a resource or for a word in it.
    pub fn waiters_of(&self, resource: Resource) -> Vec<&Blocked> {
        let index = self.waiters.get_or_init(|| {
            let mut index: ByResource<usize> = HashMap::new();
            for (at, blocked) in self.blocked().iter().enumerate() {
                for resource in blocked.awaits.resources() {
                    index.entry(resource).or_default().push(at);
                    if resource.object() != resource {
                        index.entry(resource.object()).or_default().push(at);
                    }
                }
            }
            index
        });
        index.get(&resource).into_iter().flatten().map(|at| &self.blocked()[*at]).collect()
    }

    /// Everything that any process holds.
    pub fn holds(&self) -> Vec<&Hold> {
        self.open().values().flatten().collect()
    }

    /// Who holds a resource, and how.
    pub fn holds_of(&self, resource: Resource) -> Vec<&Hold> {
        self.open().get(&resource).into_iter().flatten().collect()
    }

    fn open(&self) -> &ByResource<Hold> {
        self.open.get_or_init(|| {
            let mut holds: ByResource<Hold> = HashMap::new();
            for file in self.holders.descriptors().all() {
                let resource = of_file(file);
                let held = file.ends.iter().map(|end| Hold {
                    resource,
                    how: How::Open,
                    grade: Grade::Exact,
                    end: Arc::clone(end),
                });
                holds.entry(resource).or_default().extend(held);
            }
            holds
        })
    }

    /// What could not be seen, of what was looked at.
    pub fn gaps(&self) -> Vec<Gap> {
        self.holders.gaps().to_vec()
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

/// The resource that an open file is.
pub(super) fn of_file(file: &OpenFile) -> Resource {
    let FileId { dev, ino } = file.id;
    if file.what == What::Eventfd { Resource::Eventfd(ino) } else { Resource::File { dev, ino } }
}
