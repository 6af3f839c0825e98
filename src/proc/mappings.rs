//! Who has what memory mapped or attached: one pass over the shared mappings of all processes.
//!
//! A System V segment shows in /proc/PID/maps with its identifier as the inode and its key in the name, on a
//! device of the kernel's own that no path leads to. Identifiers are per IPC namespace, so it is told apart by
//! the namespace of the process. One that attached a segment and then left the namespace (unshare(2)) still
//! has it: that is seen in our own namespace, whose table has no such segment.

use super::mapped::{Found, Part};
use super::namespace;
use super::processes::{Clock, hidden, leaves_out, pids, share};
use super::shared::Identities;
use super::sysvipc::{self, Shm};
use crate::model::{End, Gap, Memory, Reason, Text};
use nix::errno::Errno;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// The mappings that one process has of one memory.
#[derive(Clone, PartialEq, Debug)]
pub struct Mapping {
    /// A segment whose namespace cannot be told has namespace 0.
    pub memory: Memory,
    /// The process, without a descriptor; its role says whether one of the mappings may be written to.
    pub end: Arc<End>,
    /// How many mappings: a partial munmap(2) or mprotect(2) makes several of one. The kernel counts each of
    /// them as an attachment of a segment.
    pub count: u32,
    /// The name in /proc/PID/maps.
    pub label: Text,
    /// The key that a segment had when it was made, be it that it is removed by now.
    pub key: Option<i32>,
}

/// What one pass has found.
#[derive(Clone, Default, Debug)]
pub struct Mappings {
    /// By memory, then by process.
    pub list: Vec<Mapping>,
    /// What could not be seen.
    pub gaps: Vec<Gap>,
}

impl Mappings {
    /// Those of one memory, by process.
    pub fn of(&self, memory: Memory) -> impl Iterator<Item = &Mapping> {
        let start = self.list.partition_point(|mapping| mapping.memory < memory);
        self.list[start..].iter().take_while(move |mapping| mapping.memory == memory)
    }
}

/// Everything that processes share through mappings: segments, memory files, other files. Not shared
/// anonymous memory, which has no name by which anybody could come to it, nor files of the kernel without an
/// inode of their own.
pub fn all() -> Mappings {
    Scan::new(None).run()
}

/// The processes that have a segment of an IPC namespace attached, which has `nattch` attachments. It ends as
/// soon as so many were found, and then they are all; if fewer were found, a gap says so.
pub fn of_segment(namespace: u64, id: i32, nattch: u64) -> Mappings {
    if nattch == 0 {
        return Mappings::default();
    }
    Scan::new(Some(Segment { namespace, id, nattch })).run()
}

/// The segment that is looked for.
#[derive(Clone, Copy)]
pub(super) struct Segment {
    pub(super) namespace: u64,
    pub(super) id: i32,
    pub(super) nattch: u64,
}

/// What all threads of a pass need to know.
pub(super) struct Scan {
    pub(super) segment: Option<Segment>,
    /// How many attachments of the segment were found.
    pub(super) found: AtomicU64,
    pub(super) identities: Identities,
    pub(super) clock: Clock,
    /// Our own IPC namespace.
    ours: Option<u64>,
    /// Its segments, if one of them is looked for.
    pub(super) table: Option<Table>,
}

impl Scan {
    pub(super) fn new(segment: Option<Segment>) -> Scan {
        let ours = namespace::ours().ok();
        Scan {
            segment,
            found: AtomicU64::new(0),
            identities: Identities::learn(),
            clock: Clock::now(),
            ours,
            table: segment.filter(|segment| Some(segment.namespace) == ours).and_then(|_| Table::read()),
        }
    }

    fn run(self) -> Mappings {
        let unknown = |call, errno: Errno, why: &str| {
            let reason = Reason { call, errno: errno as i32 };
            let note = Some(format!("{why}; what processes have mapped is not known"));
            let gap = Gap { subject: "mappings".to_owned(), field: None, reason, note };
            Mappings { list: Vec::new(), gaps: vec![gap] }
        };
        // A segment would pass for a file.
        if let Some((call, errno)) = self.identities.devices.failed {
            return unknown(call, errno, "could not learn what memory there is");
        }
        let mut pids = match pids() {
            Ok(pids) => pids,
            Err(errno) => return unknown("open", errno, "could not look at /proc"),
        };
        if let Some((segment, table)) = self.segment.zip(self.table.as_ref()) {
            // Most likely it is one of these, and then nobody else is looked at.
            let likely = table.0.get(&segment.id).map_or([0; 2], |row| [row.cpid, row.lpid]);
            pids.sort_by_key(|pid| !likely.contains(pid));
        }
        let listed = !leaves_out(&pids);
        let mut list = Vec::new();
        let mut unseen = 0;
        for part in share(&pids, || Part::new(&self), Part::look) {
            list.extend(part.list);
            unseen += part.hidden;
        }
        self.finish(list, unseen, listed)
    }

    fn finish(self, mut list: Vec<Found>, unseen: usize, listed: bool) -> Mappings {
        let ours = |memory| matches!(memory, Memory::Sysv { namespace, .. } if Some(namespace) == self.ours);
        // The table is read after the pass, so that it has what was made meanwhile.
        if self.segment.is_none()
            && list.iter().any(|found| ours(found.mapping.memory))
            && let Some(table) = Table::read()
        {
            for found in list.iter_mut().filter(|found| ours(found.mapping.memory)) {
                if let Memory::Sysv { id, .. } = found.mapping.memory
                    && !table.has(id, found)
                {
                    found.mapping.memory = Memory::Sysv { namespace: 0, id };
                }
            }
        }
        let mut list: Vec<Mapping> = list.into_iter().map(|found| found.mapping).collect();
        disown(&mut list);
        list.sort_by_key(|mapping| (mapping.memory, mapping.end.pid));
        let gap = match self.segment {
            Some(segment) => segment.missing(&list, unseen),
            None => hidden(unseen, listed).map(|who| Gap {
                subject: format!("mappings of {who}"),
                field: None,
                reason: Reason { call: "open", errno: libc::EACCES },
                note: Some("they belong to others; what they have mapped is not known".to_owned()),
            }),
        };
        Mappings { list, gaps: gap.into_iter().collect() }
    }
}

/// A segment has one key. Where mappings of one identifier in one namespace have several, somebody brought
/// one along from another namespace, and without the table nobody can say who.
fn disown(list: &mut [Mapping]) {
    let mut keys: HashMap<Memory, Option<i32>> = HashMap::new();
    let mut mixed: HashSet<Memory> = HashSet::new();
    for mapping in list.iter() {
        if *keys.entry(mapping.memory).or_insert(mapping.key) != mapping.key {
            mixed.insert(mapping.memory);
        }
    }
    for mapping in list {
        if let Memory::Sysv { id, .. } = mapping.memory
            && mixed.contains(&mapping.memory)
        {
            mapping.memory = Memory::Sysv { namespace: 0, id };
        }
    }
}

impl Segment {
    pub(super) fn memory(self) -> Memory {
        Memory::Sysv { namespace: self.namespace, id: self.id }
    }

    /// What was not found of it.
    fn missing(self, list: &[Mapping], hidden: usize) -> Option<Gap> {
        let ours = list.iter().filter(|mapping| mapping.memory == self.memory());
        let found = ours.map(|mapping| u64::from(mapping.count)).sum();
        let missing = self.nattch.checked_sub(found).filter(|missing| *missing > 0)?;
        let (errno, note) = match hidden {
            0 => (
                libc::ESRCH,
                "their processes are not shown here, have left the IPC namespace or ended meanwhile".to_owned(),
            ),
            _ => (
                libc::EACCES,
                format!(
                    "they may be among {hidden} processes that we may not look into, or have left the IPC namespace"
                ),
            ),
        };
        Some(Gap {
            subject: format!("{missing} of {} attachments of shm/{}", self.nattch, self.id),
            field: None,
            reason: Reason { call: "open", errno },
            note: Some(note),
        })
    }
}

/// /proc/sysvipc/shm by identifier.
pub(super) struct Table(HashMap<i32, Shm>);

impl Table {
    fn read() -> Option<Table> {
        let table = sysvipc::read(Path::new("/proc/sysvipc/shm"), sysvipc::shm).ok()?;
        Some(Table(table.rows.into_iter().map(|row| (row.perm.id, row)).collect()))
    }

    /// Whether the segment of that identifier can be the one that was found. Mappings keep the key of a
    /// removed segment, which has none in the table any more.
    pub(super) fn has(&self, id: i32, found: &Found) -> bool {
        /// The flag of a removed segment that is still attached (include/linux/shm.h).
        const SHM_DEST: u32 = 0o1000;
        self.0.get(&id).is_some_and(|row| {
            let removed = row.perm.mode & SHM_DEST != 0;
            let size = row.size.checked_next_multiple_of(found.page).unwrap_or(u64::MAX);
            (removed || found.mapping.key == Some(row.perm.key)) && found.reach <= size
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mech::shm::posix::PosixShm;
    use crate::mech::shm::sysv::SysvShm;
    use crate::mech::{Access, Mechanism, Opened, Region, Spec, What};
    use crate::model::{Ident, Needs, Role};
    use crate::proc::holders::Holders;
    use nix::sys::stat::stat;
    use nix::unistd::getpid;

    fn spec(size: u64) -> Spec {
        Spec { mode: None, exist_ok: false, what: What::Region { size, huge: None, content: None } }
    }

    /// A segment that we have attached and that is removed already, so that nothing can stay behind.
    fn attached(access: Access) -> (i32, Box<dyn Region>) {
        let made = SysvShm.create(None, &spec(10_000)).unwrap().reference.id;
        let Ident::Id(id) = made else { panic!("a private segment has no key") };
        let Opened::Region(region) = SysvShm.open(&made, access).unwrap() else { panic!("a region") };
        SysvShm.remove(&SysvShm.find(&made, Needs::SCAN, &Holders::default()).unwrap()).unwrap();
        (id, region)
    }

    #[test]
    fn our_own_segment_is_found_in_our_namespace() {
        let namespace = namespace::ours().unwrap();
        for (access, role) in [(Access::Read, Role::MapRead), (Access::Both, Role::MapWrite)] {
            let (id, region) = attached(access);
            let memory = Memory::Sysv { namespace, id };
            // Other tests start processes, which have it too until they execute their program.
            let ours = |found: &Mappings| found.of(memory).find(|found| found.end.pid == getpid().as_raw()).cloned();
            let found = of_segment(namespace, id, 1);
            assert_eq!(found.gaps, []);
            let mapping = ours(&found).unwrap();
            assert_eq!((mapping.memory, mapping.count, mapping.key), (memory, 1, Some(0)));
            assert_eq!((mapping.end.pid, mapping.end.fd, mapping.end.role), (getpid().as_raw(), None, role));
            assert_eq!(mapping.label, Text::from("/SYSV00000000 (deleted)"));
            assert_eq!(ours(&all()), Some(mapping));
            // Not those of a namespace that has another segment with this identifier.
            assert_eq!(of_segment(namespace + 1, id, 1).list, []);
            drop(region);
            assert_eq!(ours(&all()), None);
        }
    }

    #[test]
    fn what_was_not_found_of_a_segment_is_a_gap() {
        let namespace = namespace::ours().unwrap();
        let (id, _region) = attached(Access::Both);
        let found = of_segment(namespace, id, 1000);
        assert!(found.list.iter().any(|mapping| mapping.end.pid == getpid().as_raw()));
        assert_eq!(found.gaps.len(), 1);
        assert!(found.gaps[0].subject.ends_with(&format!(" of 1000 attachments of shm/{id}")), "{:?}", found.gaps);
        let none = of_segment(namespace, id, 0);
        assert_eq!((none.list.len(), none.gaps.len()), (0, 0));
    }

    #[test]
    fn a_mapped_file_is_found_by_its_device_and_inode() {
        let name = format!("/ipcx-mappings-{}", std::process::id());
        let (id, path) = (Ident::Name(Text::from(name.as_str())), format!("/dev/shm{name}"));
        PosixShm.create(Some(&id), &spec(4096)).unwrap();
        let stat = stat(path.as_str()).unwrap();
        let Opened::Region(mut region) = PosixShm.open(&id, Access::Both).unwrap() else { panic!("a region") };
        nix::unistd::unlink(path.as_str()).unwrap();
        let memory = Memory::File { dev: stat.st_dev, ino: stat.st_ino };
        // It is open, and not mapped.
        assert_eq!(all().of(memory).count(), 0);
        region.address().unwrap();
        let all = all();
        let found = all.of(memory).find(|found| found.end.pid == getpid().as_raw()).unwrap();
        assert_eq!((found.end.role, found.key, found.count), (Role::MapWrite, None, 1));
        assert_eq!(found.label, Text::from(format!("{path} (deleted)").as_str()));
    }

    fn mapping(namespace: u64, id: i32, key: i32) -> Mapping {
        let end = End { pid: 1, started: 0, command: Text::from("x"), fd: None, role: Role::MapRead };
        let memory = Memory::Sysv { namespace, id };
        Mapping { memory, end: Arc::new(end), count: 1, label: Text::from(""), key: Some(key) }
    }

    #[test]
    fn a_segment_that_has_two_keys_is_known_to_be_in_no_namespace() {
        let mut list = [mapping(8, 0, 5), mapping(8, 0, 6), mapping(9, 0, 5), mapping(8, 1, 7), mapping(8, 1, 7)];
        disown(&mut list);
        let namespaces = list.map(|mapping| match mapping.memory {
            Memory::Sysv { namespace, .. } => namespace,
            Memory::File { .. } => panic!("a segment"),
        });
        assert_eq!(namespaces, [0, 0, 9, 8, 8]);
    }

    #[test]
    fn a_segment_of_another_namespace_is_told_from_ours_by_key_and_size() {
        let row = |key, mode, size| {
            let perm = sysvipc::Perm { key, id: 7, mode, ..sysvipc::Perm::default() };
            Table(HashMap::from([(7, Shm { perm, size, ..Shm::default() })]))
        };
        let found = Found { mapping: mapping(1, 7, 5), reach: 8192, page: 4096 };
        assert!(row(5, 0o600, 4097).has(7, &found));
        assert!(!row(6, 0o600, 8192).has(7, &found));
        assert!(!row(0, 0o600, 8192).has(7, &found));
        assert!(!row(5, 0o600, 4096).has(7, &found));
        assert!(!row(5, 0o600, 8192).has(8, &found));
        // Removed: the table has no key any more.
        assert!(row(0, 0o1600, 8192).has(7, &found));
        assert!(!row(0, 0o1600, 4096).has(7, &found));
        assert!(row(5, 0o600, u64::MAX).has(7, &found));
    }
}
