//! /proc/PID/io: what a process has read and written, proc_pid_io(5).

use crate::sys::file;
use nix::errno::Errno;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// Bytes through read(2), write(2), sendfile(2) and their kin, of all threads and of the children that
/// were waited for. What splice(2), tee(2) and vmsplice(2) move is not counted by the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Io {
    pub read: u64,
    pub written: u64,
}

/// The account of one process. Once it has ended its files belong to root until it is reaped, but one that
/// was opened before is still read.
pub struct Account(File);

impl Account {
    /// Needs PTRACE_MODE_READ (ptrace(2)), now and at each look: EACCES for processes of others and those that
    /// run setuid. ENOENT on a kernel without CONFIG_TASK_IO_ACCOUNTING.
    pub fn open(pid: i32) -> nix::Result<Account> {
        File::open(format!("/proc/{pid}/io")).map(Account).map_err(|error| file::errno(&error))
    }

    pub fn read(&self) -> nix::Result<Io> {
        let mut text = [0; 512];
        let got = self.0.read_at(&mut text, 0).map_err(|error| file::errno(&error))?;
        parse(&text[..got]).ok_or(Errno::EBADMSG)
    }
}

/// What a process has read and written until now.
pub fn of(pid: i32) -> nix::Result<Io> {
    Account::open(pid)?.read()
}

pub(super) fn parse(text: &[u8]) -> Option<Io> {
    let number = |name: &[u8]| {
        let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name))?;
        std::str::from_utf8(line.trim_ascii()).ok()?.parse().ok()
    };
    Some(Io { read: number(b"rchar:")?, written: number(b"wchar:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_characters_are_read_and_not_the_blocks() {
        let text = b"rchar: 110956\nwchar: 100000\nsyscr: 31\nsyscw: 24\nread_bytes: 57344\nwrite_bytes: 1\n";
        assert_eq!(parse(text), Some(Io { read: 110_956, written: 100_000 }));
    }

    #[test]
    fn a_file_of_another_form_is_none() {
        for text in [&b""[..], b"rchar: 1\n", b"rchar: x\nwchar: 1\n", b"rchar: -1\nwchar: 1\n"] {
            assert_eq!(parse(text), None);
        }
        assert!(of(i32::try_from(std::process::id()).unwrap()).unwrap().read > 0);
    }
}
