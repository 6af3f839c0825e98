//! Which shared memory an address lies in: one line of /proc/PID/maps, proc_pid_maps(5).

use crate::model::{Memory, Resource};
use std::io::BufRead;

/// One line. fs/proc/task_mmu.c prints it: `start-end perms offset dev inode   name`, with a newline in the
/// name as `\012`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mapping {
    start: u64,
    end: u64,
    offset: u64,
    /// MAP_SHARED: what one process writes the others see.
    shared: bool,
    dev: u64,
    ino: u64,
    /// A System V segment, whose inode number is its identifier.
    sysv: bool,
}

impl Mapping {
    fn parse(line: &[u8]) -> Option<Mapping> {
        // The name is the sixth word and all behind it.
        let mut words = line.splitn(6, |byte| *byte == b' ');
        let mut word = || std::str::from_utf8(words.next()?).ok();
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        let (start, end) = word()?.split_once('-')?;
        let (start, end) = (number(start)?, number(end)?);
        let shared = word()?.as_bytes().get(3) == Some(&b's');
        let offset = number(word()?)?;
        let (major, minor) = word()?.split_once(':')?;
        let (major, minor) = (number(major)?, number(minor)?);
        let ino = word()?.parse().ok()?;
        let name = words.next().unwrap_or_default().trim_ascii();
        // Only file systems of the kernel have no device of their own; a file of this name on another
        // one is a file.
        let sysv = shared && major == 0 && is_segment(name);
        let dev = libc::makedev(u32::try_from(major).ok()?, u32::try_from(minor).ok()?);
        Some(Mapping { start, end, offset, shared, dev, ino, sysv })
    }

    /// The memory that it shows, for a process of this IPC namespace; `None` if others do not see it.
    fn memory(&self, namespace: u64) -> Option<Memory> {
        if !self.shared || self.ino == 0 && !self.sysv {
            return None;
        }
        Some(match i32::try_from(self.ino) {
            Ok(id) if self.sysv => Memory::Sysv { namespace, id },
            _ => Memory::File { dev: self.dev, ino: self.ino },
        })
    }
}

/// `/SYSV`, the key in eight hexadecimal digits, and always ` (deleted)`: newseg in ipc/shm.c.
fn is_segment(name: &[u8]) -> bool {
    let key = name.strip_prefix(b"/SYSV").and_then(|rest| rest.strip_suffix(b" (deleted)"));
    key.is_some_and(|key| key.len() == 8 && key.iter().all(u8::is_ascii_hexdigit))
}

/// The mappings in a file of them. A line that cannot be read is left out.
fn mappings(maps: impl BufRead) -> impl Iterator<Item = Mapping> {
    maps.split(b'\n').map_while(Result::ok).filter_map(|line| Mapping::parse(&line))
}

/// The word at an address as other processes can see it too, and no further than there is the file read;
/// `None` if it is in no memory that is shared.
pub(super) fn word(maps: impl BufRead, address: u64, namespace: u64) -> Option<Resource> {
    let mapping = mappings(maps).find(|mapping| address < mapping.end)?;
    let within = address.checked_sub(mapping.start)?;
    Some(Resource::Word { memory: mapping.memory(namespace)?, offset: mapping.offset + within })
}

/// Whether a process has this memory mapped.
pub(super) fn has(maps: impl BufRead, memory: Memory) -> bool {
    let namespace = match memory {
        Memory::Sysv { namespace, .. } => namespace,
        Memory::File { .. } => 0,
    };
    mappings(maps).any(|mapping| mapping.memory(namespace) == Some(memory))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &[u8] = b"\
55d0c0a00000-55d0c0a02000 r--p 00000000 fe:00 1234                       /usr/bin/a b\n\
an odd line\n\
7f0000000000-7f0000002000 rw-s 00001000 00:1a 77                         /dev/shm/x-s 00000000 00:01 5 /SYSV00000000\\012 (deleted)\n\
7f0000010000-7f0000012000 rw-s 00000000 00:01 32769                      /SYSV0000beef (deleted)\n\
7f0000020000-7f0000021000 rw-s 00000000 00:01 9                          /memfd:/SYSV0000beef (deleted)\n\
7f0000030000-7f0000031000 rw-s 00000000 fe:00 10                         /SYSV0000beef (deleted)\n\
7f0000040000-7f0000041000 rw-s 00000000 00:01 0                          /SYSV00000000 (deleted)\n\
7f0000050000-7f0000051000 rw-p 00000000 00:00 0 \n\
7f0000060000-7f0000061000 r--s 00000000 00:1a 78                         /dev/shm/\xff\xfe\n\
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";

    #[test]
    fn a_word_is_found_by_its_address() {
        let at = |address| word(MAPS, address, 4);
        let file = |dev, ino| Memory::File { dev, ino };
        let at_offset = |memory, offset| Some(Resource::Word { memory, offset });
        assert_eq!(at(0x7f00_0000_0040), at_offset(file(0x1a, 77), 0x1040));
        assert_eq!(at(0x7f00_0000_1ffc), at_offset(file(0x1a, 77), 0x2ffc));
        assert_eq!(at(0x7f00_0001_1040), at_offset(Memory::Sysv { namespace: 4, id: 32769 }, 0x1040));
        assert_eq!(at(0x7f00_0006_0000), at_offset(file(0x1a, 78), 0));
        // Names that look like that of a segment make none.
        assert_eq!(at(0x7f00_0002_0000), at_offset(file(1, 9), 0));
        assert_eq!(at(0x7f00_0003_0000), at_offset(file(libc::makedev(0xfe, 0), 10), 0));
        // The first segment of a namespace has the identifier 0.
        assert_eq!(at(0x7f00_0004_0000), at_offset(Memory::Sysv { namespace: 4, id: 0 }, 0));
    }

    #[test]
    fn memory_of_one_process_and_holes_are_no_shared_word() {
        for address in [0, 0x55d0_c0a0_0000, 0x7f00_0000_2000, 0x7f00_0005_0000, 0xffff_ffff_ff60_0000, u64::MAX] {
            assert_eq!(word(MAPS, address, 4), None, "{address:x}");
        }
        assert_eq!(word(&b""[..], 0x7f00_0000_0000, 4), None);
        for odd in ["", "-", "1-2", "1-2 rw-s", "1-2 rw-s 0", "1-2 rw-s 0 0", "1-2 rw-s 0 0:0", "x-2 rw-s 0 0:0 1"] {
            assert_eq!(Mapping::parse(odd.as_bytes()), None, "{odd}");
        }
    }

    #[test]
    fn a_process_has_what_it_maps_and_nothing_else() {
        assert!(has(MAPS, Memory::Sysv { namespace: 9, id: 32769 }));
        assert!(!has(MAPS, Memory::Sysv { namespace: 9, id: 9 }));
        assert!(has(MAPS, Memory::File { dev: 0x1a, ino: 78 }));
        assert!(!has(MAPS, Memory::File { dev: libc::makedev(0xfe, 0), ino: 1234 }));
    }
}
