//! Who waits in open(2) of a FIFO: no descriptor leads to it yet, so the call itself is looked at.
//!
//! /proc/PID/task/TID/syscall gives the call and its arguments, /proc/PID/mem the path. Nothing is
//! stopped or traced. It needs the right to trace the process (PTRACE_MODE_ATTACH, ptrace(2)).

use super::holders::FileId;
use super::processes::{Clock, directory, pids, read_line, share};
use super::task::{self, Doing};
use crate::model::{End, Role};
use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat, stat};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// A process that waits for the other side of a FIFO.
#[derive(Clone, Debug)]
pub struct Opening {
    pub stat: FileStat,
    /// The path as a process of the same root directory sees it.
    pub path: PathBuf,
    pub end: End,
}

/// Every process that waits in open(2) of a FIFO, of those that we may look into.
pub fn all() -> Vec<Opening> {
    let clock = Clock::now();
    let pids = pids().unwrap_or_default();
    share(&pids, Vec::new, |found, pid| found.extend(of(pid, clock))).into_iter().flatten().collect()
}

/// Those among the threads of one process.
fn of(pid: i32, clock: Clock) -> Vec<Opening> {
    let tasks = format!("/proc/{pid}/task");
    // A directory has a link for each one below it.
    if stat(tasks.as_str()).is_ok_and(|stat| stat.st_nlink <= 3) {
        return waits(pid, &format!("/proc/{pid}"), clock).into_iter().collect();
    }
    let Ok(threads) = Dir::open(tasks.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()) else {
        return Vec::new();
    };
    let names = threads.into_iter().flatten().filter_map(|entry| Some(entry.file_name().to_str().ok()?.to_owned()));
    names.filter_map(|name| waits(pid, &format!("{tasks}/{name}"), clock)).collect()
}

/// A thread, by its directory in /proc.
fn waits(pid: i32, thread: &str, clock: Clock) -> Option<Opening> {
    let mut line = [0; 256];
    let call = Call::parse(read_line(&format!("{thread}/syscall"), &mut line)?)?;
    // The numbers of a 32-bit process are others; the kernel function tells in any case.
    if read_line(&format!("{thread}/wchan"), &mut line)? != b"wait_for_partner" {
        return None;
    }
    let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    let path = string(&memory, call.path)?;
    let flags = match call.flags {
        Flags::Number(flags) => flags,
        // struct open_how begins with 64 bits of flags.
        Flags::At(address) => {
            let mut how = [0; 8];
            memory.read_exact_at(&mut how, address).ok()?;
            u64::from_ne_bytes(how)
        }
    };
    let process = directory(pid).ok()?;
    let stat = look(&process, call.directory, &path)?;
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFIFO {
        return None;
    }
    let (command, started) = clock.process(pid)?;
    // O_RDONLY is 0: of a FIFO nothing else blocks but O_WRONLY.
    let role = if flags & 3 == 1 { Role::OpeningToWrite } else { Role::OpeningToRead };
    let end = End { pid, started, command, fd: None, role };
    Some(Opening { stat, path: absolute(pid, call.directory, &path), end })
}

/// A path of the process as a path that it would give us: relative ones behind its directory.
fn absolute(pid: i32, at: i32, path: &Path) -> PathBuf {
    let behind = match at {
        _ if path.is_absolute() => return path.to_owned(),
        libc::AT_FDCWD => std::fs::read_link(format!("/proc/{pid}/cwd")),
        fd => std::fs::read_link(format!("/proc/{pid}/fd/{fd}")),
    };
    behind.map_or_else(|_| path.to_owned(), |directory| directory.join(path.strip_prefix(".").unwrap_or(path)))
}

/// What the path names for the process itself: in its root and its directory.
fn look(process: &OwnedFd, at: i32, path: &Path) -> Option<FileStat> {
    let bytes = path.as_os_str().as_bytes();
    let mut through = match at {
        _ if path.is_absolute() => b"root".to_vec(),
        libc::AT_FDCWD => b"cwd".to_vec(),
        fd => format!("fd/{fd}").into_bytes(),
    };
    through.push(b'/');
    through.extend_from_slice(bytes.strip_prefix(b"/").unwrap_or(bytes));
    fstatat(process, Path::new(std::ffi::OsStr::from_bytes(&through)), AtFlags::empty()).ok()
}

/// A string of the process that ends with NUL.
fn string(memory: &File, address: u64) -> Option<PathBuf> {
    let mut bytes = Vec::new();
    let mut part = [0; 256];
    while bytes.len() < 4096 {
        // Read up to the end of a page: the next one may not be there.
        let at = address.checked_add(bytes.len() as u64)?;
        let room = usize::try_from(4096 - at % 4096).unwrap_or(part.len()).min(part.len());
        let got = memory.read_at(&mut part[..room], at).ok().filter(|got| *got > 0)?;
        if let Some(end) = memchr::memchr(0, &part[..got]) {
            bytes.extend_from_slice(&part[..end]);
            return Some(PathBuf::from(std::ffi::OsString::from_vec(bytes)));
        }
        bytes.extend_from_slice(&part[..got]);
    }
    None
}

/// A call of open(2), openat(2) or openat2(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Call {
    directory: i32,
    /// The address of the path.
    path: u64,
    flags: Flags,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flags {
    Number(u64),
    At(u64),
}

impl Call {
    /// A line of /proc/PID/syscall, if it is of such a call.
    fn parse(line: &[u8]) -> Option<Call> {
        let Doing::Blocked(call) = task::call(line)? else { return None };
        let (directory, [first, second, third, ..]) = (call.int(0), call.args);
        Some(match call.nr {
            libc::SYS_openat => Call { directory, path: second, flags: Flags::Number(third) },
            libc::SYS_openat2 => Call { directory, path: second, flags: Flags::At(third) },
            #[cfg(target_arch = "x86_64")]
            libc::SYS_open => Call { directory: libc::AT_FDCWD, path: first, flags: Flags::Number(second) },
            _ => return None,
        })
    }
}

/// Those that wait for the other side of one FIFO.
pub fn of_file(openings: &[Opening], id: FileId) -> impl Iterator<Item = &Opening> {
    openings.iter().filter(move |opening| FileId::of(&opening.stat) == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_call_that_opens_is_read() {
        let line = format!("{} 0xffffff9c 0x7ffc12 0x80001 0x0 0x0 0x0 0x7ffc 0x7f12\n", libc::SYS_openat);
        let call = Call { directory: libc::AT_FDCWD, path: 0x7ffc12, flags: Flags::Number(0x80001) };
        assert_eq!(Call::parse(line.as_bytes()), Some(call));
        for odd in ["", "running\n", "-1 0x7ffc 0x7f12", "0 0x3 0x7f 0x1", "257 0x1", "257 x y z", "\u{fe}"] {
            assert_eq!(Call::parse(odd.as_bytes()), None, "{odd}");
        }
    }
}
