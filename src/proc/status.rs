//! /proc/PID/status: who a process is to the kernel, and its signals. proc_pid_status(5);
//! fs/proc/array.c prints it.

use crate::model::SignalSet;
use crate::sys::file;
use nix::errno::Errno;
use std::fs;

/// What the file says. A line that is missing or has another form is `None` and spoils no other.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Status {
    pub parent: Option<i32>,
    /// The real user, to whom queued signals are charged.
    pub uid: Option<u32>,
    /// Signals that are queued for all processes of this user, and RLIMIT_SIGPENDING of this one.
    pub queue: Option<(u64, u64)>,
    /// Pending for this thread alone.
    pub thread_pending: Option<SignalSet>,
    /// Pending for the process.
    pub pending: Option<SignalSet>,
    pub blocked: Option<SignalSet>,
    pub ignored: Option<SignalSet>,
    pub caught: Option<SignalSet>,
    /// The thread that traces it, ptrace(2).
    pub tracer: Option<i32>,
    /// How often the thread has gone to sleep.
    pub sleeps: Option<u64>,
}

/// What is known of a process. ESRCH when there is none.
pub fn read(pid: i32) -> nix::Result<Status> {
    read_file(&format!("/proc/{pid}/status"))
}

/// The same of ourselves, whatever PID namespace /proc is mounted for.
pub fn own() -> nix::Result<Status> {
    read_file("/proc/self/status")
}

/// The same of one of its threads.
pub fn read_thread(pid: i32, tid: i32) -> nix::Result<Status> {
    read_file(&format!("/proc/{pid}/task/{tid}/status"))
}

fn read_file(path: &str) -> nix::Result<Status> {
    match fs::read(path) {
        Ok(bytes) => Ok(parse(&bytes)),
        Err(error) => Err(match file::errno(&error) {
            Errno::ENOENT => Errno::ESRCH,
            errno => errno,
        }),
    }
}

pub(super) fn parse(bytes: &[u8]) -> Status {
    let mut status = Status::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        // The name of the process is the one line that somebody else chooses; the kernel escapes it.
        let Some((key, value)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once(':')) else { continue };
        let value = value.trim();
        let mask = || Some(SignalSet(u64::from_str_radix(value, 16).ok()?));
        match key {
            "PPid" => status.parent = value.parse().ok(),
            "Uid" => status.uid = value.split_ascii_whitespace().next().and_then(|uid| uid.parse().ok()),
            "SigQ" => {
                let (queued, limit) = value.split_once('/').unwrap_or_default();
                status.queue = queued.parse().ok().zip(limit.parse().ok());
            }
            "SigPnd" => status.thread_pending = mask(),
            "ShdPnd" => status.pending = mask(),
            "SigBlk" => status.blocked = mask(),
            "SigIgn" => status.ignored = mask(),
            "SigCgt" => status.caught = mask(),
            "TracerPid" => status.tracer = value.parse().ok().filter(|tid| *tid > 0),
            "voluntary_ctxt_switches" => status.sleeps = value.parse().ok(),
            _ => {}
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Name:\tSigBlk:\\n\nUmask:\t0022\nPPid:\t7\nUid:\t1000\t0\t0\t0\nSigQ:\t3/96365\n\
        SigPnd:\t0000000000000200\nShdPnd:\t8000000000000001\nSigBlk:\t0000000000014002\n\
        SigIgn:\t0000000000000000\nSigCgt:\t0000000180000000\nSeccomp:\t0\n\
        TracerPid:\t9\nvoluntary_ctxt_switches:\t150\n";

    #[test]
    fn the_lines_of_signals_are_read() {
        let expected = Status {
            parent: Some(7),
            uid: Some(1000),
            queue: Some((3, 96365)),
            thread_pending: Some(SignalSet(0x200)),
            pending: Some(SignalSet(1 << 63 | 1)),
            blocked: Some(SignalSet(0x14002)),
            ignored: Some(SignalSet(0)),
            caught: Some(SignalSet(0x1_8000_0000)),
            tracer: Some(9),
            sleeps: Some(150),
        };
        assert_eq!(parse(TEXT.as_bytes()), expected);
    }

    #[test]
    fn a_bad_line_spoils_no_other() {
        let broken = TEXT.replace("3/96365", "many").replace("0000000000014002", "0x14002").replace("\t7", "\t-");
        let status = parse(&[broken.as_bytes(), b"\xff\xfe\nSigIgn:\t1\n"].concat());
        assert_eq!((status.queue, status.blocked, status.parent), (None, None, None));
        assert_eq!((status.pending, status.ignored), (Some(SignalSet(1 << 63 | 1)), Some(SignalSet(1))));
        assert_eq!(parse(b""), Status::default());
    }

    #[test]
    fn our_own_status_is_read_and_no_process_is_esrch() {
        let me = nix::unistd::getpid().as_raw();
        let status = read(me).unwrap();
        assert_eq!(status.uid, Some(nix::unistd::getuid().as_raw()));
        assert!(status.queue.is_some() && status.caught.is_some());
        assert_eq!(read(i32::MAX), Err(Errno::ESRCH));
    }
}
