//! Which memory a shared mapping shows: the same for every process that has it mapped.

use super::maps::Reader;
use super::namespace;
use crate::model::{Memory, Resource};
use crate::sys::descriptor::{Devices, huge_memory};
use crate::sys::procmap::Vma;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fstatat, major, stat};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// What tells one memory from another, learnt once.
#[derive(Clone, Copy)]
pub(super) struct Identities {
    pub(super) devices: Devices,
    /// The device of /dev/shm.
    shared: Option<u64>,
}

impl Identities {
    pub(super) fn learn() -> Identities {
        Identities {
            devices: Devices::learn(),
            shared: statfs("/dev/shm")
                .is_ok_and(|system| system.filesystem_type() == TMPFS_MAGIC)
                .then(|| stat("/dev/shm").ok().map(|stat| stat.st_dev))
                .flatten(),
        }
    }

    /// The key of a segment, `None` for another file, and the size of its pages; nothing for what has no name by
    /// which anybody could come to it.
    ///
    /// The device decides: any file can be called like a segment.
    pub(super) fn judge(&self, vma: &Vma, name: &[u8]) -> Option<(Option<i32>, u64)> {
        let dev = Some(vma.dev);
        if dev == self.devices.anonymous {
            return None;
        }
        let small = procfs::page_size();
        let page = if dev == self.devices.memory {
            Some(small)
        } else if has_name_of_the_kernel(name) {
            // Only then is it worth to learn where memory of huge pages lies.
            huge_memory().iter().find(|(dev, _)| *dev == vma.dev).map(|(_, page)| *page)
        } else {
            None
        };
        let Some(page) = page else { return Some((None, small)) };
        match segment_key(name) {
            Some(key) => Some((Some(key), page)),
            // The others are anonymous: /dev/zero, /anon_hugepage.
            None => name.starts_with(b"/memfd:").then_some((None, page)),
        }
    }

    /// The device and the inode of a mapped file as stat(2) shows them. Those of the mapping are others on btrfs
    /// and overlayfs, which have no disk of their own behind the device, as all that have major number 0.
    pub(super) fn file(&self, process: &OwnedFd, vma: &Vma, name: &[u8]) -> (u64, u64) {
        let shown = (vma.dev, vma.ino);
        let known = [self.devices.memory, self.shared].contains(&Some(vma.dev));
        if major(vma.dev) != 0 || known {
            return shown;
        }
        // Needs CAP_CHECKPOINT_RESTORE.
        let link = format!("map_files/{:x}-{:x}", vma.start, vma.end);
        if let Ok(stat) = fstatat(process, link.as_str(), AtFlags::empty()) {
            return (stat.st_dev, stat.st_ino);
        }
        let path = [b"root", name].concat();
        match fstatat(process, Path::new(OsStr::from_bytes(&path)), AtFlags::empty()) {
            Ok(stat) if stat.st_ino == vma.ino => (stat.st_dev, stat.st_ino),
            _ => shown,
        }
    }
}

/// What a process shares through its mappings, by address.
#[derive(Default)]
pub(super) struct Shared {
    /// In ascending order of addresses, none above another.
    list: Vec<(Vma, Memory)>,
    memories: HashSet<Memory>,
}

impl Shared {
    /// Reads the mappings of a process by its directory in /proc: once, however many threads of it are looked at.
    /// ESRCH when it has ended.
    pub(super) fn read(process: &OwnedFd, identities: &Identities) -> nix::Result<Shared> {
        let mut maps = File::from(openat(process, "maps", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?);
        let mut known: HashMap<(Option<i32>, u64, u64), Memory> = HashMap::new();
        let mut list = Vec::new();
        let mut ours = None;
        Reader::new().each(&mut maps, None, |vma, name| {
            // Here anonymous memory counts, too: a child has that of its parent.
            let key = identities.judge(&vma, name).and_then(|(key, _)| key);
            let memory = *known.entry((key, vma.dev, vma.ino)).or_insert_with(|| {
                // An identifier is an int.
                match key.and_then(|_| i32::try_from(vma.ino).ok()) {
                    Some(id) => {
                        let namespace = *ours.get_or_insert_with(|| namespace::of(process).unwrap_or(0));
                        Memory::Sysv { namespace, id }
                    }
                    None => {
                        let (dev, ino) = identities.file(process, &vma, name);
                        Memory::File { dev, ino }
                    }
                }
            });
            list.push((vma, memory));
        })?;
        Ok(Shared { list, memories: known.into_values().collect() })
    }

    /// The word at an address as other processes can see it, too; `None` if it is in no memory that is shared.
    pub(super) fn word(&self, address: u64) -> Option<Resource> {
        let (vma, memory) = self.list.get(self.list.partition_point(|(vma, _)| vma.end <= address))?;
        let within = address.checked_sub(vma.start)?;
        Some(Resource::Word { memory: *memory, offset: vma.offset.saturating_add(within) })
    }

    /// Whether the process has this memory mapped.
    pub(super) fn has(&self, memory: Memory) -> bool {
        self.memories.contains(&memory)
    }
}

fn has_name_of_the_kernel(name: &[u8]) -> bool {
    [&b"/SYSV"[..], b"/memfd:", b"/anon_hugepage"].iter().any(|start| name.starts_with(start))
}

/// The key in the name of a segment, `SYSV%08x` in newseg, ipc/shm.c. Such a file never has a path, so the
/// kernel adds that it is deleted.
fn segment_key(name: &[u8]) -> Option<i32> {
    let digits = name.strip_prefix(b"/SYSV")?;
    let digits = digits.strip_suffix(b" (deleted)").unwrap_or(digits);
    if digits.len() != 8 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok().map(u32::cast_signed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc::processes::directory;

    #[test]
    fn a_key_is_read_from_the_name_of_a_segment_alone() {
        assert_eq!(segment_key(b"/SYSV00005eed (deleted)"), Some(0x5eed));
        assert_eq!(segment_key(b"/SYSVffffffff"), Some(-1));
        for other in
            [&b""[..], b"/SYSV", b"/SYSV0000000 (deleted)", b"/SYSV000000000", b"/SYSV+0000001", b"/SYSV0000000g"]
        {
            assert_eq!(segment_key(other), None, "{}", other.escape_ascii());
        }
        assert_eq!(segment_key(b"/tmp/SYSV00000000"), None);
    }

    #[test]
    fn the_device_decides_what_is_a_segment() {
        let identities = Identities::learn();
        let vma = |dev| Vma { start: 0, end: 4096, offset: 0, dev, ino: 7, write: true };
        let memory = identities.devices.memory.unwrap();
        let name = b"/SYSV00005eed (deleted)";
        let key = |dev, name: &[u8]| identities.judge(&vma(dev), name).map(|(key, _)| key);
        assert_eq!(key(memory, name), Some(Some(0x5eed)));
        assert_eq!(key(memory, b"/memfd:SYSV00005eed (deleted)"), Some(None));
        assert_eq!(key(memory, b"/dev/zero (deleted)"), None);
        // A file of that name on a disk, and on any other file system that has none.
        assert_eq!(key(nix::sys::stat::makedev(8, 1), name), Some(None));
        assert_eq!(key(nix::sys::stat::makedev(0, 9999), name), Some(None));
        assert_eq!(key(identities.devices.anonymous.unwrap(), b"anon_inode:[io_uring]"), None);
        for (dev, page) in huge_memory() {
            assert_eq!(identities.judge(&vma(*dev), name), Some((Some(0x5eed), *page)));
            assert_eq!(key(*dev, b"/anon_hugepage (deleted)"), None);
        }
    }

    #[test]
    fn a_word_is_found_by_its_address() {
        let vma = |start, end, offset| Vma { start, end, offset, dev: 1, ino: 2, write: true };
        let (one, two) = (Memory::File { dev: 1, ino: 2 }, Memory::Sysv { namespace: 4, id: 0 });
        let list = vec![(vma(0x1000, 0x3000, 0x1000), one), (vma(0x3000, 0x4000, 0), two)];
        let shared = Shared { list, memories: HashSet::from([one, two]) };
        let word = |memory, offset| Some(Resource::Word { memory, offset });
        assert_eq!(shared.word(0x1040), word(one, 0x1040));
        assert_eq!(shared.word(0x2ffc), word(one, 0x2ffc));
        assert_eq!(shared.word(0x3000), word(two, 0));
        for hole in [0, 0xffc, 0x4000, u64::MAX] {
            assert_eq!(shared.word(hole), None, "{hole:x}");
        }
        assert!(shared.has(two) && !shared.has(Memory::File { dev: 1, ino: 3 }));
    }

    #[test]
    fn a_process_has_what_it_maps_and_no_more() {
        let us = directory(nix::unistd::getpid().as_raw()).unwrap();
        let read = || Shared::read(&us, &Identities::learn()).unwrap();
        let page = crate::sys::staged::Shared::new();
        let file = nix::sys::stat::fstat(&page.file).unwrap();
        let memory = Memory::File { dev: file.st_dev, ino: file.st_ino };
        assert!(read().has(memory));
        drop(page);
        assert!(!read().has(memory));
    }
}
