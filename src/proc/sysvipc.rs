//! /proc/sysvipc/{shm,msg,sem}, as the kernel prints them: `sysvipc_shm_proc_show` in ipc/shm.c,
//! `sysvipc_msg_proc_show` in ipc/msg.c, `sysvipc_sem_proc_show` in ipc/sem.c.
//!
//! The files are the caller's IPC namespace, need no permission, print keys as signed decimals and
//! user ids up to 2³²−1. A line that cannot be read is counted and passed over.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// A line longer than this is not one of the kernel's.
const LONGEST_LINE: usize = 4096;
/// After so many bytes that end no line, what is read is no table and may never end.
const MOST_SKIPPED: usize = 1 << 26;

/// One file of /proc/sysvipc, read to its end.
#[derive(Debug)]
pub struct Table<T> {
    pub rows: Vec<T>,
    /// How many lines could not be read.
    pub bad: usize,
}

/// The permissions that every System V object has, struct ipc_perm.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Perm {
    pub key: i32,
    pub id: i32,
    /// With the kernel's flags above the permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub cuid: u32,
    pub cgid: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Shm {
    pub perm: Perm,
    pub size: u64,
    pub cpid: i32,
    pub lpid: i32,
    pub nattch: u64,
    pub atime: i64,
    pub dtime: i64,
    pub ctime: i64,
    /// Bytes in memory and in swap.
    pub rss: u64,
    pub swap: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Msg {
    pub perm: Perm,
    pub cbytes: u64,
    pub qnum: u64,
    pub lspid: i32,
    pub lrpid: i32,
    pub stime: i64,
    pub rtime: i64,
    pub ctime: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sem {
    pub perm: Perm,
    pub nsems: u64,
    pub otime: i64,
    pub ctime: i64,
}

/// Reads a file of /proc/sysvipc with `row` as the parser of one line.
pub fn read<T>(path: &Path, row: fn(&mut Words<'_>) -> Option<T>) -> io::Result<Table<T>> {
    let mut file = File::open(path)?;
    let mut table = Table { rows: Vec::new(), bad: 0 };
    // seq_file gives at most a page at a time; a larger buffer only moves the same pages.
    let mut buffer = vec![0; 1 << 16];
    let mut filled = 0;
    let mut heading = true;
    let mut skipped = 0;
    loop {
        let got = match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        filled += got;
        let mut start = 0;
        while let Some(end) = find_newline(&buffer[start..filled]) {
            table.take(&buffer[start..start + end], &mut heading, row);
            start += end + 1;
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
        if filled > LONGEST_LINE {
            // A line without an end: count it once, and look for the next.
            table.bad += 1;
            skipped += filled;
            filled = 0;
            if skipped > MOST_SKIPPED {
                break;
            }
        }
    }
    if filled > 0 {
        table.take(&buffer[..filled], &mut heading, row);
    }
    Ok(table)
}

impl<T> Table<T> {
    fn take(&mut self, line: &[u8], heading: &mut bool, row: fn(&mut Words<'_>) -> Option<T>) {
        if std::mem::take(heading)
            && line.first().is_none_or(|c| !c.is_ascii_digit() && *c != b'-')
            && line.trim_ascii_start().first().is_some_and(u8::is_ascii_alphabetic)
        {
            return;
        }
        match row(&mut Words(line)) {
            Some(parsed) => self.rows.push(parsed),
            None => self.bad += 1,
        }
    }
}

fn find_newline(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

/// The words of one line, read as numbers from the left.
pub struct Words<'a>(&'a [u8]);

impl Words<'_> {
    #[cfg(any(test, fuzzing))]
    pub(super) fn of(line: &[u8]) -> Words<'_> {
        Words(line)
    }

    fn digits(&mut self, base: u64) -> Option<(bool, u64)> {
        let mut at = 0;
        while self.0.get(at).is_some_and(|c| *c == b' ' || *c == b'\t') {
            at += 1;
        }
        let negative = self.0.get(at) == Some(&b'-');
        at += usize::from(negative);
        let first = at;
        let mut value: u64 = 0;
        while let Some(digit) = self.0.get(at).map(|c| c.wrapping_sub(b'0')).filter(|d| u64::from(*d) < base) {
            value = value.checked_mul(base)?.checked_add(digit.into())?;
            at += 1;
        }
        let ended = self.0.get(at).is_none_or(|c| *c == b' ' || *c == b'\t');
        if at == first || !ended {
            return None;
        }
        self.0 = &self.0[at..];
        Some((negative, value))
    }

    fn unsigned<T: TryFrom<u64>>(&mut self) -> Option<T> {
        let (negative, value) = self.digits(10)?;
        if negative { None } else { T::try_from(value).ok() }
    }

    fn signed<T: TryFrom<i64>>(&mut self) -> Option<T> {
        let (negative, value) = self.digits(10)?;
        let value = i64::try_from(value).ok()?;
        T::try_from(if negative { -value } else { value }).ok()
    }

    fn octal(&mut self) -> Option<u32> {
        let (negative, value) = self.digits(8)?;
        if negative { None } else { u32::try_from(value).ok() }
    }
}

pub fn shm(words: &mut Words<'_>) -> Option<Shm> {
    let (key, id, mode) = (words.signed()?, words.signed()?, words.octal()?);
    let (size, cpid, lpid, nattch) = (words.unsigned()?, words.signed()?, words.signed()?, words.unsigned()?);
    let (uid, gid, cuid, cgid) = (words.unsigned()?, words.unsigned()?, words.unsigned()?, words.unsigned()?);
    let (atime, dtime, ctime) = (words.signed()?, words.signed()?, words.signed()?);
    // Kernels before 2.6.35 end here.
    let (rss, swap) = (words.unsigned().unwrap_or(0), words.unsigned().unwrap_or(0));
    let perm = Perm { key, id, mode, uid, gid, cuid, cgid };
    Some(Shm { perm, size, cpid, lpid, nattch, atime, dtime, ctime, rss, swap })
}

pub fn msg(words: &mut Words<'_>) -> Option<Msg> {
    let (key, id, mode) = (words.signed()?, words.signed()?, words.octal()?);
    let (cbytes, qnum, lspid, lrpid) = (words.unsigned()?, words.unsigned()?, words.signed()?, words.signed()?);
    let (uid, gid, cuid, cgid) = (words.unsigned()?, words.unsigned()?, words.unsigned()?, words.unsigned()?);
    let (stime, rtime, ctime) = (words.signed()?, words.signed()?, words.signed()?);
    let perm = Perm { key, id, mode, uid, gid, cuid, cgid };
    Some(Msg { perm, cbytes, qnum, lspid, lrpid, stime, rtime, ctime })
}

pub fn sem(words: &mut Words<'_>) -> Option<Sem> {
    let (key, id, mode, nsems) = (words.signed()?, words.signed()?, words.octal()?, words.unsigned()?);
    let (uid, gid, cuid, cgid) = (words.unsigned()?, words.unsigned()?, words.unsigned()?, words.unsigned()?);
    let (otime, ctime) = (words.signed()?, words.signed()?);
    let perm = Perm { key, id, mode, uid, gid, cuid, cgid };
    Some(Sem { perm, nsems, otime, ctime })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn parse<T>(bytes: &[u8], row: fn(&mut Words<'_>) -> Option<T>) -> Table<T> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        read(file.path(), row).unwrap()
    }

    const SHM: &[u8] = b"       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n\
        -794880278     229379  1600                  4096 12345     0      3 4294967295 65536     0     0 1763700000          0 1763690000                  4096                     0\n";

    #[test]
    fn a_segment_with_a_negative_key_and_the_largest_uid() {
        let table = parse(SHM, shm);
        assert_eq!(table.bad, 0);
        let row = table.rows[0];
        assert_eq!((row.perm.key, row.perm.id, row.perm.mode), (-794880278, 229379, 0o1600));
        assert_eq!((row.perm.uid, row.perm.gid), (u32::MAX, 65536));
        assert_eq!((row.size, row.nattch, row.atime, row.rss), (4096, 3, 1763700000, 4096));
    }

    #[test]
    fn an_empty_file_and_a_file_with_only_a_heading_are_empty_tables() {
        assert_eq!(parse(b"", msg).rows.len(), 0);
        let heading =
            parse(b"       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n", sem);
        assert_eq!((heading.rows.len(), heading.bad), (0, 0));
    }

    #[test]
    fn bad_lines_are_counted_and_the_good_ones_kept() {
        let text = b"key msqid\n1 2 644 0 0 0 0 0 0 0 0 0 0 0\ngarbage\n1 99999999999 644 0 0 0 0 0 0 0 0 0 0 0\n\n7 8 600 5 1 3 4 1 1 1 1 10 11 12";
        let table = parse(text, msg);
        assert_eq!((table.rows.len(), table.bad), (2, 3));
        assert_eq!((table.rows[1].perm.key, table.rows[1].cbytes, table.rows[1].ctime), (7, 5, 12));
    }

    #[test]
    fn a_line_without_an_end_is_a_bad_line_and_not_a_loop() {
        let table = parse(&vec![b'9'; 1 << 20], sem);
        assert_eq!(table.rows.len(), 0);
        assert!(table.bad >= 1);
        let zeros = parse(&vec![0; 100_000], shm);
        assert_eq!(zeros.rows.len(), 0);
    }

    #[test]
    fn a_table_longer_than_the_buffer_is_read_whole() {
        let mut text = b"key semid\n".to_vec();
        for id in 0..5000 {
            text.extend_from_slice(
                format!("{:>10} {id:>10}   600          1     0     0     0     0          0 1763690000\n", -id)
                    .as_bytes(),
            );
        }
        let table = parse(&text, sem);
        assert_eq!((table.rows.len(), table.bad), (5000, 0));
        assert!(table.rows.iter().enumerate().all(|(at, row)| row.perm.id == i32::try_from(at).unwrap()));
    }
}
