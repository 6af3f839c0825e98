//! /proc/PID/maps, proc_pid_maps(5): the mappings of a process that share a file with others.

use crate::sys::procmap::{self, LONGEST_NAME, Vma};
use nix::errno::Errno;
use nix::sys::stat::makedev;
use std::borrow::Cow;
use std::fs::File;
use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this kernel has been found to give the mappings as text alone.
static TEXT_ALONE: AtomicBool = AtomicBool::new(false);

/// Reads the mappings of one process after the other; the memory for it is kept.
pub(super) struct Reader {
    name: Vec<u8>,
    text: Vec<u8>,
}

impl Reader {
    pub(super) fn new() -> Reader {
        Reader { name: vec![0; LONGEST_NAME], text: Vec::new() }
    }

    /// Calls `see` with each shared mapping of a file and with its name, in ascending order of addresses; with
    /// `only` those of files with this inode number. ESRCH when the process has ended or has no memory.
    ///
    /// As records if the kernel can, which is several times as fast where most mappings are private, and
    /// else from the text.
    pub(super) fn each(
        &mut self,
        maps: &mut File,
        only: Option<u64>,
        mut see: impl FnMut(Vma, &[u8]),
    ) -> nix::Result<()> {
        if TEXT_ALONE.load(Ordering::Relaxed) {
            return self.by_text(maps, only, see);
        }
        match self.by_record(maps, only, &mut see) {
            Err((errno, 0)) if errno != Errno::ESRCH => {
                if matches!(errno, Errno::ENOTTY | Errno::EINVAL) {
                    TEXT_ALONE.store(true, Ordering::Relaxed);
                }
                self.by_text(maps, only, see)
            }
            result => result.map_err(|(errno, _)| errno),
        }
    }

    /// On failure also the address up to which it was looked.
    fn by_record(
        &mut self,
        maps: &File,
        only: Option<u64>,
        mut see: impl FnMut(Vma, &[u8]),
    ) -> Result<(), (Errno, u64)> {
        let mut at = 0;
        let fail = |at| move |errno| (errno, at);
        // To ask for a name costs as much again, so if most are not wanted it is asked for afterwards.
        let room = if only.is_some() { 0 } else { self.name.len() };
        while let Some((vma, name)) = procmap::next(maps, at, &mut self.name[..room]).map_err(fail(at))? {
            if only.is_none() {
                see(vma, name);
            } else if only == Some(vma.ino)
                && let Some((again, name)) = procmap::next(maps, vma.start, &mut self.name).map_err(fail(at))?
                && again == vma
            {
                see(vma, name);
            }
            at = vma.end.max(at + 1);
        }
        Ok(())
    }

    fn by_text(&mut self, maps: &mut File, only: Option<u64>, mut see: impl FnMut(Vma, &[u8])) -> nix::Result<()> {
        self.text.clear();
        maps.read_to_end(&mut self.text).map_err(|error| crate::sys::file::errno(&error))?;
        let lines = self.text.split(|byte| *byte == b'\n').filter_map(parse);
        for (vma, name) in lines.filter(|(vma, _)| only.is_none_or(|ino| vma.ino == ino)) {
            see(vma, &name);
        }
        Ok(())
    }
}

/// A line, if it is of a shared mapping of a file: `START-END rw-s OFFSET MAJOR:MINOR INODE   NAME`, all
/// numbers but the inode hexadecimal. A line of another form is passed over.
pub(super) fn parse(line: &[u8]) -> Option<(Vma, Cow<'_, [u8]>)> {
    let mut words = line.splitn(6, |byte| *byte == b' ');
    let (start, end) = pair(words.next()?, '-')?;
    let permissions = words.next()?;
    if permissions.len() != 4 || permissions[3] != b's' || end <= start {
        return None;
    }
    let offset = u64::from_str_radix(std::str::from_utf8(words.next()?).ok()?, 16).ok()?;
    let (major, minor) = pair(words.next()?, ':')?;
    let ino = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    let name = words.next().unwrap_or_default();
    let padding = name.iter().take_while(|byte| **byte == b' ').count();
    let vma = Vma { start, end, offset, dev: makedev(major, minor), ino, write: permissions[1] == b'w' };
    Some((vma, unescape(&name[padding..])))
}

fn pair(word: &[u8], between: char) -> Option<(u64, u64)> {
    let (first, second) = std::str::from_utf8(word).ok()?.split_once(between)?;
    Some((u64::from_str_radix(first, 16).ok()?, u64::from_str_radix(second, 16).ok()?))
}

/// The kernel writes a newline in a name as `\012`, and every other byte as it is.
fn unescape(name: &[u8]) -> Cow<'_, [u8]> {
    const NEWLINE: &[u8] = b"\\012";
    if memchr::memmem::find(name, NEWLINE).is_none() {
        return Cow::Borrowed(name);
    }
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = memchr::memmem::find(rest, NEWLINE) {
        plain.extend_from_slice(&rest[..at]);
        plain.push(b'\n');
        rest = &rest[at + NEWLINE.len()..];
    }
    plain.extend_from_slice(rest);
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<(Vma, Vec<u8>)> {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, text).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let mut seen = Vec::new();
        Reader::new().by_text(&mut file, None, |vma, name| seen.push((vma, name.to_vec()))).unwrap();
        seen
    }

    #[test]
    fn shared_lines_are_read_and_private_ones_passed_over() {
        let text = b"55d0-55d1 r--p 00000000 fe:00 77                         /bin/cat\n\
            7f00-7f02 rw-s 00001000 00:01 32769                      /SYSV00005eed (deleted)\n\
            7f02-7f04 r--s 00000000 fe:10 9 /srv/a b \n\
            7f10-7f12 -w-s 00000000 00:05 0\n\
            7ffc-7ffd rw-p 00000000 00:00 0                          [stack]\n";
        let vma = |start, end, offset, dev, ino, write| Vma { start, end, offset, dev, ino, write };
        let wanted = [
            (vma(0x7f00, 0x7f02, 0x1000, 1, 32769, true), b"/SYSV00005eed (deleted)".to_vec()),
            (vma(0x7f02, 0x7f04, 0, makedev(0xfe, 0x10), 9, false), b"/srv/a b ".to_vec()),
            (vma(0x7f10, 0x7f12, 0, 5, 0, true), Vec::new()),
        ];
        assert_eq!(all(text), wanted);
    }

    #[test]
    fn an_odd_line_never_takes_the_others_along() {
        let good = b"1000-2000 rw-s 00000000 00:01 7 /SYSV00000000 (deleted)\n";
        for odd in [
            &b""[..],
            b" ",
            b"garbage",
            b"\xff\xfe\0\x1b[2J",
            b"-",
            b"1000-2000",
            b"1000-2000 rw-s",
            b"1000-2000 rw-s 0 00:01",
            b"1000-2000 rw-s 0 00:01 -1 /x",
            b"1000-2000 rw-s 0 00:01 99999999999999999999 /x",
            b"1000-2000 rw-s 0 0001 7 /x",
            b"1000-2000 s 0 00:01 7 /x",
            b"1000-2000 rw-ss 0 00:01 7 /x",
            b"2000-1000 rw-s 0 00:01 7 /x",
            b"fffffffffffffffff-1ffffffffffffffffff rw-s 0 00:01 7 /x",
            b"1000-2000 rw-s fffffffffffffffff 00:01 7 /x",
            b"1000-2000  rw-s 0 00:01 7 /x",
            b"10\xff0-2000 rw-s 0 00:01 7 /x",
        ] {
            let seen = all(&[good, odd, b"\n", good].concat());
            assert_eq!(seen.len(), 2, "{}", odd.escape_ascii());
        }
        // The highest address there is.
        let top = all(b"fffffffffffff000-ffffffffffffffff r--s fffffffffffff000 ff:ff 18446744073709551615 x");
        assert_eq!((top[0].0.end, top[0].0.reach()), (u64::MAX, u64::MAX));
    }

    #[test]
    fn a_newline_in_a_name_is_no_new_line() {
        let seen = all(b"1-2 r--s 0 fe:00 7 /tmp/a\\0123-4 rw-s 0 00:01 9 /SYSV00000000 (deleted)\\012\n");
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].1, b"/tmp/a\n3-4 rw-s 0 00:01 9 /SYSV00000000 (deleted)\n");
        assert_eq!(unescape(b"\\01\\012\\"), &b"\\01\n\\"[..]);
    }

    #[test]
    fn records_and_text_say_the_same_of_the_same_process() {
        use crate::mech::shm::sysv::SysvShm;
        use crate::mech::{Access, Mechanism as _, Spec, What};
        use crate::model::{Ident, Needs};
        use crate::proc::holders::Holders;
        let what = What::Region { size: 10_000, huge: None, content: None };
        let made = SysvShm.create(None, &Spec { mode: None, exist_ok: false, what }).unwrap().reference.id;
        let attached = [Access::Both, Access::Read].map(|access| SysvShm.open(&made, access).unwrap());
        // It stays as long as it is attached.
        SysvShm.remove(&SysvShm.find(&made, Needs::SCAN, &Holders::default()).unwrap()).unwrap();
        let Ident::Id(id) = made else { panic!("a private segment has no key") };
        let ino = u64::try_from(id).unwrap();
        // Threads of other tests map and unmap meanwhile.
        let ours = |vma: &Vma, name: &[u8]| vma.ino == ino && name.starts_with(b"/SYSV");
        let open = || File::open("/proc/self/maps").unwrap();
        let mut reader = Reader::new();
        let mut text = Vec::new();
        reader.by_text(&mut open(), None, |vma, name| text.push((vma, name.to_vec()))).unwrap();
        text.retain(|(vma, name)| ours(vma, name));
        let mut writable: Vec<bool> = text.iter().map(|(vma, _)| vma.write).collect();
        writable.sort_unstable();
        assert_eq!(writable, [false, true]);
        assert!(text.iter().all(|(vma, _)| vma.reach() == 12288));
        for only in [None, Some(ino)] {
            let mut records = Vec::new();
            if reader.by_record(&open(), only, |vma, name| records.push((vma, name.to_vec())))
                != Err((Errno::ENOTTY, 0))
            {
                records.retain(|(vma, name)| ours(vma, name));
                assert_eq!(records, text, "{only:?}");
            }
        }
        drop(attached);
        assert_eq!(reader.each(&mut open(), Some(u64::MAX), |_, _| panic!("no file has this inode")), Ok(()));
    }
}
