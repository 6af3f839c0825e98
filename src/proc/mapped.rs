//! What one process has mapped and shares, and what that is.

use super::mappings::{Mapping, Scan};
use super::maps::Reader;
use super::namespace;
use super::processes::{INIT, directory};
use super::task;
use crate::model::{End, Memory, Role, Text};
use crate::sys::procmap::{Vma, same_memory};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A mapping with what tells segments of the same identifier apart.
pub(super) struct Found {
    pub(super) mapping: Mapping,
    /// Up to which byte of it the process has mapped.
    pub(super) reach: u64,
    /// The size of its pages.
    pub(super) page: u64,
}

/// The mappings of one process that are of the same file.
struct Group {
    first: Vma,
    key: Option<i32>,
    count: u32,
    write: bool,
    reach: u64,
    page: u64,
    name: Text,
}

impl Group {
    fn file(&self) -> (Option<i32>, u64, u64) {
        (self.key, self.first.dev, self.first.ino)
    }

    fn join(&mut self, other: &Group) {
        self.count = self.count.saturating_add(other.count);
        self.write |= other.write;
        self.reach = self.reach.max(other.reach);
    }
}

/// What one thread has seen.
pub(super) struct Part<'a> {
    scan: &'a Scan,
    reader: Reader,
    pub(super) list: Vec<Found>,
    /// Processes whose mappings we may not see.
    pub(super) hidden: usize,
}

impl<'a> Part<'a> {
    pub(super) fn new(scan: &'a Scan) -> Part<'a> {
        Part { scan, reader: Reader::new(), list: Vec::new(), hidden: 0 }
    }

    pub(super) fn look(&mut self, pid: i32) {
        if self.scan.segment.is_some_and(|segment| self.scan.found.load(Ordering::Relaxed) >= segment.nattch) {
            return;
        }
        match self.groups(pid) {
            // One that has ended meanwhile, or a thread of the kernel.
            Err(Errno::ENOENT | Errno::ESRCH) => {}
            Err(_) => self.hidden += usize::from(pid != INIT),
            Ok((_, groups)) if groups.is_empty() => {}
            Ok((process, groups)) => {
                self.keep(pid, &process, groups);
            }
        }
    }

    /// The shared files that a process has mapped, and the process.
    fn groups(&mut self, pid: i32) -> nix::Result<(OwnedFd, Vec<Group>)> {
        let process = directory(pid)?;
        let mut maps = File::from(openat(&process, "maps", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?);
        let mut groups: Vec<Group> = Vec::new();
        let scan = self.scan;
        let only = scan.segment.and_then(|segment| u64::try_from(segment.id).ok());
        self.reader.each(&mut maps, only, |vma, name| {
            let Some((key, page)) = scan.identities.judge(&vma, name) else { return };
            if scan.segment.is_some() && key.is_none() {
                return;
            }
            let alike = groups.last().filter(|last| last.file() == (key, vma.dev, vma.ino));
            let name = alike.map_or_else(|| Text::from(name), |last| last.name.clone());
            groups.push(Group { first: vma, key, count: 1, write: vma.write, reach: vma.reach(), page, name });
        })?;
        groups.sort_by_key(Group::file);
        groups.dedup_by(|next, first| {
            let same = next.file() == first.file();
            if same {
                first.join(next);
            }
            same
        });
        Ok((process, groups))
    }

    /// `None` if the process has ended meanwhile or has no memory of its own.
    fn keep(&mut self, pid: i32, process: &OwnedFd, groups: Vec<Group>) -> Option<()> {
        let scan = self.scan;
        let stat = read(process, "stat")?;
        let (command, started) = scan.clock.read(&stat)?;
        // A child that has not executed its program yet has but borrowed the memory of its parent.
        if parent(&stat).is_some_and(|parent| same_memory(parent, pid)) {
            return None;
        }
        let end = |role| Arc::new(End { pid, started, command: command.clone(), fd: None, role });
        // All mappings share the one that says how.
        let (mut reads, mut writes) = (None, None);
        let mut namespace = None;
        for group in groups {
            let memory = match group.key {
                Some(_) => {
                    let namespace = *namespace.get_or_insert_with(|| namespace::of(process).unwrap_or(0));
                    // An identifier is an int.
                    let Ok(id) = i32::try_from(group.first.ino) else { continue };
                    Memory::Sysv { namespace, id }
                }
                None => {
                    let (dev, ino) = scan.identities.file(process, &group.first, group.name.raw());
                    Memory::File { dev, ino }
                }
            };
            let end = match group.write {
                true => writes.get_or_insert_with(|| end(Role::MapWrite)),
                false => reads.get_or_insert_with(|| end(Role::MapRead)),
            };
            let mapping =
                Mapping { memory, end: Arc::clone(end), count: group.count, label: group.name, key: group.key };
            let found = Found { mapping, reach: group.reach, page: group.page };
            if let Some(segment) = scan.segment {
                if memory != segment.memory() || scan.table.as_ref().is_some_and(|table| !table.has(segment.id, &found))
                {
                    continue;
                }
                scan.found.fetch_add(group.count.into(), Ordering::Relaxed);
            }
            self.list.push(found);
        }
        Some(())
    }
}

/// The parent in a stat file.
fn parent(stat: &[u8]) -> Option<i32> {
    task::words(stat)?.nth(1)?.parse().ok()
}

/// A short file of a process.
fn read(process: &OwnedFd, file: &str) -> Option<Vec<u8>> {
    let file = openat(process, file, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
    let mut bytes = vec![0; 1024];
    let got = nix::unistd::read(&file, &mut bytes).ok()?;
    bytes.truncate(got);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_stands_behind_a_name_that_may_hold_anything() {
        assert_eq!(parent(b"7 (a) S 5 (b) S 1 7 7"), Some(1));
        for odd in [&b""[..], b"7 (a", b"7 (a)", b"7 (a) S", b"7 (a) S x"] {
            assert_eq!(parent(odd), None);
        }
    }
}
