//! All processes: which there are, who they are, and work that several threads share.

use super::population::is_first_pid_namespace;
use super::task;
use crate::model::{Gap, Reason, Text};
use crate::sys::file;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::signal::kill;
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use std::ffi::CStr;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ScopedJoinHandle;

/// The first process of a PID namespace. It may mostly not be looked into, so that with it nothing could ever be
/// said to be all; it starts and reaps others and has no use for the objects of programs, but for sockets.
pub(super) const INIT: i32 = 1;

/// `1 process`, `7 processes`.
fn counted(number: usize) -> String {
    if number == 1 { "1 process".to_owned() } else { format!("{number} processes") }
}

/// Whether /proc leaves out the processes of others, as under hidepid, proc(5): there is an init, and it is not listed.
pub(super) fn leaves_out(listed: &[i32]) -> bool {
    !listed.contains(&INIT) && kill(Pid::from_raw(INIT), None) != Err(Errno::ESRCH)
}

/// The processes that could not be looked into, in words; `None` if there are none. So many, or all of others where
/// they are not even `listed`.
pub(super) fn hidden(count: usize, listed: bool) -> Option<String> {
    if !listed {
        return Some("the processes of others, which /proc does not list (hidepid)".to_owned());
    }
    (count > 0).then(|| counted(count))
}

/// The pids that /proc shows, in ascending order, in which the kernel lists them.
pub fn pids() -> nix::Result<Vec<i32>> {
    let entries = Dir::open("/proc", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    entries.into_iter().filter_map(|entry| entry.map(|entry| number(entry.file_name())).transpose()).collect()
}

/// That there are processes which /proc does not list because they are of other PID namespaces: only the first one
/// sees all.
pub fn unlisted_gap() -> Option<Gap> {
    (!is_first_pid_namespace()).then(|| Gap {
        subject: "processes of other PID namespaces".to_owned(),
        field: None,
        reason: Reason { call: "readdir", errno: libc::ESRCH },
        note: Some("/proc does not list them here".to_owned()),
    })
}

/// The number that is a file name in /proc.
pub(super) fn number(name: &CStr) -> Option<i32> {
    name.to_str().ok()?.parse().ok().filter(|number| *number >= 0)
}

/// From this many processes on, several threads share the work: it is all system calls.
const WORTH_THREADS: usize = 64;
const MOST_THREADS: usize = 8;

/// Looks at every process, on several threads if there are many; what each thread has gathered.
pub fn share<T: Send>(pids: &[i32], start: impl Fn() -> T + Sync, look: impl Fn(&mut T, i32) + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut gathered = start();
        while let Some(pid) = pids.get(next.fetch_add(1, Ordering::Relaxed)) {
            look(&mut gathered, *pid);
        }
        gathered
    };
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let helpers = if pids.len() < WORTH_THREADS { 0 } else { processors.min(MOST_THREADS) - 1 };
    std::thread::scope(|scope| {
        // Where no thread can be made, the others do its part.
        let spawn = || std::thread::Builder::new().spawn_scoped(scope, work).ok();
        let others: Vec<_> = (0..helpers).filter_map(|_| spawn()).collect();
        let mut all = vec![work()];
        let join = |thread: ScopedJoinHandle<'_, T>| thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        all.extend(others.into_iter().map(join));
        all
    })
}

/// Opens a directory of /proc/PID relative to which it is read, so that a pid that is given to another
/// process meanwhile mixes nothing up.
pub fn directory(pid: i32) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    openat(AT_FDCWD, format!("/proc/{pid}").as_str(), flags, Mode::empty())
}

/// A file of the process whose directory in /proc is open.
pub(super) fn read(process: &OwnedFd, name: &str) -> nix::Result<Vec<u8>> {
    let opened = openat(process, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let mut bytes = Vec::new();
    File::from(opened).read_to_end(&mut bytes).map_err(|error| file::errno(&error))?;
    Ok(bytes)
}

/// Reads a file of /proc that has one short line, in as few calls as there can be.
pub(super) fn read_line<'a>(path: &str, line: &'a mut [u8]) -> Option<&'a [u8]> {
    let file = openat(AT_FDCWD, path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
    let got = nix::unistd::read(&file, line).ok()?;
    Some(&line[..got])
}

/// The clock of start times, proc_pid_stat(5).
#[derive(Clone, Copy)]
pub struct Clock {
    boot: u64,
    per_second: u64,
}

impl Clock {
    pub fn now() -> Clock {
        Clock { boot: procfs::boot_time_secs().unwrap_or(0), per_second: procfs::ticks_per_second().max(1) }
    }

    /// Short name and start time of a process, from the bytes of its stat file: the name stands between
    /// the first and the last parenthesis and may hold any others.
    pub fn read(self, stat: &[u8]) -> Option<(Text, i64)> {
        let (open, close) = (memchr::memchr(b'(', stat)?, memchr::memrchr(b')', stat)?);
        let name = stat.get(open + 1..close)?;
        let started: u64 = task::words(stat)?.nth(19)?.parse().ok()?;
        Some((Text::from(name), i64::try_from(self.boot + started / self.per_second).ok()?))
    }

    /// Short name and start time of the process that has a pid now.
    pub fn process(self, pid: i32) -> Option<(Text, i64)> {
        let mut line = [0; 1024];
        self.read(read_line(&format!("/proc/{pid}/stat"), &mut line)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: Clock = Clock { boot: 1000, per_second: 100 };

    #[test]
    fn a_short_name_may_hold_parentheses_spaces_and_other_bytes() {
        let mut stat = b"42 (a) (b \xff\n) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 ".to_vec();
        stat.extend_from_slice(b"12345 1 2 3\n");
        assert_eq!(CLOCK.read(&stat), Some((Text::from(&b"a) (b \xff\n"[..]), 1123)));
        for odd in [
            &b""[..],
            b"42",
            b"42 (x",
            b"42 )x(",
            b"42 (x) S 1 2",
            b"42 (x) S 1 42 42 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 x",
        ] {
            assert_eq!(CLOCK.read(odd), None, "{}", odd.escape_ascii());
        }
    }
}
