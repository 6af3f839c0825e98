//! The system calls that wait, by their number on this architecture: their names, what they wait for, and
//! when they give up.

use super::{Look, futex, open};
use crate::model::{Awaits, Change, Kind, LockKind, Range, Resource, SemOp, SignalSet, Text, Timeout};
use crate::proc::task::{Blocked as Call, Transfer};
use std::os::unix::ffi::OsStringExt as _;
use std::time::Duration;

/// SEMOPM, the most operations that the kernel allows unless somebody has raised it.
const MOST_OPERATIONS: usize = 500;

/// The name of a call of a 32-bit program, whose numbers are those of another table.
pub(super) const OF_32_BITS: &str = "a 32-bit system call";

/// What a call waits for; `None` where its arguments may not be read or say too little.
pub(super) fn awaits(look: &Look, call: &Call) -> Option<Awaits> {
    let (fd, [first, second, third, fourth, ..]) = (call.int(0), call.args);
    match call.transfer() {
        Some(Transfer::Read(fd)) => return look.read(fd),
        Some(Transfer::Splice { from, to }) => return look.moves(from, to),
        Some(Transfer::Vmsplice(_)) => return look.vmsplice(call),
        Some(Transfer::Write(_)) | None => {}
    }
    Some(match call.nr {
        libc::SYS_semop | libc::SYS_semtimedop => {
            let ops = look.target.memory()?.array::<6>(second, third & 0xffff_ffff, MOST_OPERATIONS)?;
            Awaits::Semaphores { set: look.sysv(Kind::Sem, fd), ops: ops.into_iter().map(operation).collect() }
        }
        libc::SYS_msgrcv => {
            let (mtype, except) = (fourth.cast_signed(), call.int(4) & libc::MSG_EXCEPT != 0);
            Awaits::Receive { queue: look.sysv(Kind::Msgq, fd), mtype, except }
        }
        libc::SYS_msgsnd => {
            let mtype = look.target.memory()?.u64(second)?.cast_signed();
            Awaits::Send { queue: look.sysv(Kind::Msgq, fd), mtype, size: third }
        }
        libc::SYS_mq_timedreceive => Awaits::MqReceive { fd, queue: look.file(fd)? },
        libc::SYS_mq_timedsend => Awaits::MqSend { fd, queue: look.file(fd)?, size: third },
        libc::SYS_preadv2 | libc::SYS_recvfrom | libc::SYS_recvmsg | libc::SYS_recvmmsg => look.read(fd)?,
        libc::SYS_write => look.write(fd, Some(third))?,
        libc::SYS_sendto => look.send(fd, Some(third), look.socket_name(call.args[4], call.args[5]))?,
        libc::SYS_writev | libc::SYS_pwritev2 => look.write(fd, look.amount(second, third))?,
        libc::SYS_sendmsg => look.send(fd, look.message(second), look.message_name(second))?,
        libc::SYS_sendmmsg => look.write(fd, None)?,
        libc::SYS_sendfile => look.write(fd, Some(fourth))?,
        libc::SYS_accept | libc::SYS_accept4 => Awaits::Accept { fd, file: look.file(fd)? },
        libc::SYS_connect => Awaits::Connect { fd, file: look.file(fd)?, to: look.socket_name(second, third) },
        libc::SYS_futex => return futex::awaits(look, call),
        libc::SYS_flock => {
            let exclusive = call.int(1) & libc::LOCK_EX != 0;
            let range = Some(Range::ALL);
            Awaits::Lock { fd, file: look.file(fd)?, lock: LockKind::Flock, exclusive, range }
        }
        libc::SYS_fcntl => {
            let lock = match call.int(1) {
                libc::F_SETLKW => LockKind::Posix,
                libc::F_OFD_SETLKW => LockKind::Ofd,
                _ => return None,
            };
            let (exclusive, range) = wanted(&look.target.memory()?.bytes(third)?);
            Awaits::Lock { fd, file: look.file(fd)?, lock, exclusive, range }
        }
        // It waits for the end, whatever its options add.
        libc::SYS_wait4 => Awaits::Child { pid: child(look, call.int(0))?, change: Change::End },
        libc::SYS_waitid => Awaits::Child { pid: child_of(look, first, call.int(1))?, change: change(call.int(3)) },
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll => look.poll(first, second)?,
        libc::SYS_ppoll => look.poll(first, second)?,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_select => look.select(call.int(0), [second, third, fourth])?,
        libc::SYS_pselect6 => look.select(call.int(0), [second, third, fourth])?,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait => look.epoll(fd)?,
        libc::SYS_epoll_pwait | libc::SYS_epoll_pwait2 => look.epoll(fd)?,
        libc::SYS_rt_sigtimedwait => Awaits::Signal { set: Some(SignalSet(look.target.memory()?.u64(first)?)) },
        // What it does not block meanwhile ends it.
        libc::SYS_rt_sigsuspend => Awaits::Signal { set: Some(SignalSet(!look.target.memory()?.u64(first)?)) },
        #[cfg(target_arch = "x86_64")]
        libc::SYS_pause => Awaits::Signal { set: None },
        libc::SYS_nanosleep | libc::SYS_clock_nanosleep => Awaits::Sleep,
        libc::SYS_openat | libc::SYS_openat2 => opening(look, call)?,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open => opening(look, call)?,
        _ => return None,
    })
}

impl Look<'_> {
    fn sysv(&self, kind: Kind, id: i32) -> Resource {
        Resource::Sysv { namespace: self.target.namespace(), kind, id }
    }
}

/// struct sembuf: { unsigned short sem_num; short sem_op; short sem_flg; }.
fn operation([a, b, c, d, e, f]: [u8; 6]) -> SemOp {
    let flags = i16::from_ne_bytes([e, f]);
    SemOp {
        index: u16::from_ne_bytes([a, b]),
        amount: i16::from_ne_bytes([c, d]),
        undo: i32::from(flags) & libc::SEM_UNDO != 0,
    }
}

/// Whether struct flock { short l_type, l_whence; long l_start, l_len; … } asks for an exclusive lock, and on which
/// bytes if they count from the start of the file.
fn wanted(flock: &[u8; 24]) -> (bool, Option<Range>) {
    let short = |at: usize| i32::from(i16::from_ne_bytes([flock[at], flock[at + 1]]));
    let long = |at: usize| flock[at..].first_chunk().map_or(0, |bytes| i64::from_ne_bytes(*bytes));
    let (start, length) = (long(8), long(16));
    let range = || {
        // A negative length is that of the bytes before the start.
        let first = u64::try_from(if length < 0 { start.checked_add(length)? } else { start }).ok()?;
        let end = length.unsigned_abs().checked_sub(1).map(|more| first.saturating_add(more));
        Some(Range { start: first, end })
    };
    (short(0) == libc::F_WRLCK, (short(2) == libc::SEEK_SET).then(range).flatten())
}

fn opening(look: &Look, call: &Call) -> Option<Awaits> {
    let opening = open::opening(look.target, look.thread, call)?;
    let file = Resource::File { dev: opening.stat.st_dev, ino: opening.stat.st_ino };
    let path = Text::from(opening.path.into_os_string().into_vec());
    Some(Awaits::Open { file, path, write: opening.write })
}

/// A child by the argument of waitpid(2).
fn child(look: &Look, pid: i32) -> Option<i32> {
    if pid <= 0 { Some(pid) } else { look.translate(pid) }
}

/// What is waited for by the options of waitid(2).
fn change(options: i32) -> Change {
    match options {
        options if options & libc::WEXITED != 0 => Change::End,
        options if options & libc::WCONTINUED == 0 => Change::Stop,
        _ => Change::Other,
    }
}

/// The same by the arguments of waitid(2).
fn child_of(look: &Look, kind: u64, id: i32) -> Option<i32> {
    match u32::try_from(kind & 0xffff_ffff).ok()? {
        libc::P_ALL => Some(-1),
        libc::P_PID => child(look, id),
        libc::P_PGID => Some(-id),
        libc::P_PIDFD => look.process(id).filter(|pid| *pid > 0),
        _ => None,
    }
}

/// When a call gives up, as its arguments say.
pub(super) fn timeout(look: &Look, call: &Call) -> Option<Timeout> {
    let [_, _, third, fourth, fifth, _] = call.args;
    let after = |address| look.target.memory()?.timespec(address).map(Timeout::After);
    // Of poll(2) and epoll_wait(2), negative for never.
    let milliseconds = |at| u64::try_from(call.int(at)).ok().map(Duration::from_millis).map(Timeout::After);
    match call.nr {
        libc::SYS_semtimedop => after(fourth),
        libc::SYS_mq_timedreceive | libc::SYS_mq_timedsend => look.target.memory()?.timespec(fifth).map(Timeout::At),
        libc::SYS_futex => futex::timeout(look, call),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll => milliseconds(2),
        libc::SYS_ppoll | libc::SYS_rt_sigtimedwait => after(third),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_select => look.target.memory()?.timeval(fifth).map(Timeout::After),
        libc::SYS_pselect6 | libc::SYS_recvmmsg => after(fifth),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait => milliseconds(3),
        libc::SYS_epoll_pwait => milliseconds(3),
        libc::SYS_epoll_pwait2 => after(fourth),
        libc::SYS_nanosleep => after(call.args[0]),
        libc::SYS_clock_nanosleep => {
            let time = look.target.memory()?.timespec(third)?;
            match call.int(0) {
                _ if call.int(1) & libc::TIMER_ABSTIME == 0 => Some(Timeout::After(time)),
                libc::CLOCK_REALTIME => Some(Timeout::At(time)),
                libc::CLOCK_MONOTONIC => Some(Timeout::AtMonotonic(time)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// After SIGSTOP and SIGCONT some calls with a timeout go on as restart_syscall(2), with their arguments kept.
/// Where in the kernel the thread waits tells which one it was.
pub(super) fn restarted(look: &Look, call: Call) -> Call {
    if call.nr != libc::SYS_restart_syscall {
        return call;
    }
    let mut line = [0; 64];
    let wchan = look.target.line(&look.thread.path("wchan"), &mut line).unwrap_or_default();
    Call { nr: restarted_in(wchan, &call), ..call }
}

/// The compiler may add to the name of a function, such as `.constprop.0`.
fn restarted_in(wchan: &[u8], call: &Call) -> i64 {
    let within = |function: &[u8]| wchan.starts_with(function);
    match call.args[0] {
        // The kernel does not say where.
        _ if wchan.is_empty() || wchan == b"0" => call.nr,
        _ if within(b"futex") => libc::SYS_futex,
        #[cfg(target_arch = "x86_64")]
        _ if within(b"poll_schedule_timeout") || within(b"do_poll") || within(b"do_sys_poll") => libc::SYS_poll,
        // Elsewhere ppoll(2) has the place of poll(2), and that is not restarted so.
        _ if within(b"poll_schedule_timeout") => call.nr,
        // What is left are the sleeps, restart_block in include/linux/restart_block.h: the kernel passes over
        // its own functions that sleep and names whoever called them. The first argument is a clock or
        // a pointer.
        clock if clock < 4096 => libc::SYS_clock_nanosleep,
        _ => libc::SYS_nanosleep,
    }
}

/// The name of a call as its man page has it.
pub(super) fn name(nr: i64) -> &'static str {
    match nr {
        libc::SYS_semop => "semop",
        libc::SYS_semtimedop => "semtimedop",
        libc::SYS_msgrcv => "msgrcv",
        libc::SYS_msgsnd => "msgsnd",
        libc::SYS_mq_timedreceive => "mq_timedreceive",
        libc::SYS_mq_timedsend => "mq_timedsend",
        libc::SYS_read => "read",
        libc::SYS_pread64 => "pread",
        libc::SYS_readv => "readv",
        libc::SYS_preadv => "preadv",
        libc::SYS_preadv2 => "preadv2",
        libc::SYS_write => "write",
        libc::SYS_pwrite64 => "pwrite",
        libc::SYS_writev => "writev",
        libc::SYS_pwritev => "pwritev",
        libc::SYS_pwritev2 => "pwritev2",
        libc::SYS_recvfrom => "recvfrom",
        libc::SYS_recvmsg => "recvmsg",
        libc::SYS_recvmmsg => "recvmmsg",
        libc::SYS_sendto => "sendto",
        libc::SYS_sendmsg => "sendmsg",
        libc::SYS_sendmmsg => "sendmmsg",
        libc::SYS_sendfile => "sendfile",
        libc::SYS_splice => "splice",
        libc::SYS_tee => "tee",
        libc::SYS_vmsplice => "vmsplice",
        libc::SYS_copy_file_range => "copy_file_range",
        libc::SYS_accept => "accept",
        libc::SYS_accept4 => "accept4",
        libc::SYS_connect => "connect",
        libc::SYS_openat => "openat",
        libc::SYS_openat2 => "openat2",
        libc::SYS_futex => "futex",
        libc::SYS_futex_waitv => "futex_waitv",
        libc::SYS_flock => "flock",
        libc::SYS_fcntl => "fcntl",
        libc::SYS_wait4 => "wait4",
        libc::SYS_waitid => "waitid",
        libc::SYS_ppoll => "ppoll",
        libc::SYS_pselect6 => "pselect",
        libc::SYS_epoll_pwait => "epoll_pwait",
        libc::SYS_epoll_pwait2 => "epoll_pwait2",
        libc::SYS_rt_sigtimedwait => "sigtimedwait",
        libc::SYS_rt_sigsuspend => "sigsuspend",
        libc::SYS_nanosleep => "nanosleep",
        libc::SYS_clock_nanosleep => "clock_nanosleep",
        libc::SYS_restart_syscall => "restart_syscall",
        libc::SYS_io_getevents => "io_getevents",
        libc::SYS_io_uring_enter => "io_uring_enter",
        libc::SYS_ioctl => "ioctl",
        libc::SYS_close => "close",
        libc::SYS_fsync => "fsync",
        libc::SYS_fdatasync => "fdatasync",
        libc::SYS_sync => "sync",
        libc::SYS_fallocate => "fallocate",
        libc::SYS_getdents64 => "getdents",
        libc::SYS_newfstatat => "fstatat",
        libc::SYS_statx => "statx",
        libc::SYS_clone => "clone",
        libc::SYS_clone3 => "clone3",
        libc::SYS_execve => "execve",
        libc::SYS_exit => "_exit",
        libc::SYS_exit_group => "exit_group",
        libc::SYS_kill => "kill",
        libc::SYS_tkill => "tkill",
        libc::SYS_tgkill => "tgkill",
        libc::SYS_ptrace => "ptrace",
        libc::SYS_mmap => "mmap",
        libc::SYS_munmap => "munmap",
        libc::SYS_mount => "mount",
        libc::SYS_umount2 => "umount",
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open => "open",
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll => "poll",
        #[cfg(target_arch = "x86_64")]
        libc::SYS_select => "select",
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait => "epoll_wait",
        #[cfg(target_arch = "x86_64")]
        libc::SYS_pause => "pause",
        #[cfg(target_arch = "x86_64")]
        libc::SYS_vfork => "vfork",
        _ => "a system call",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_three_short_numbers() {
        let bytes = [2u16.to_ne_bytes(), (-3i16).to_ne_bytes(), 0x1800u16.to_ne_bytes()].concat();
        let op = operation(bytes.try_into().unwrap());
        assert_eq!(op, SemOp { index: 2, amount: -3, undo: true });
        assert_eq!(operation([0; 6]), SemOp { index: 0, amount: 0, undo: false });
    }

    #[test]
    fn a_parent_need_not_wait_for_the_end() {
        assert_eq!(change(libc::WEXITED), Change::End);
        assert_eq!(change(libc::WEXITED | libc::WSTOPPED | libc::WCONTINUED | libc::__WALL), Change::End);
        assert_eq!(change(libc::WSTOPPED | libc::WNOWAIT), Change::Stop);
        assert_eq!([change(libc::WCONTINUED), change(libc::WCONTINUED | libc::WSTOPPED)], [Change::Other; 2]);
    }

    #[test]
    fn the_bytes_of_a_lock_are_those_from_the_start_of_the_file_on() {
        let flock = |kind: i32, whence: i32, start: i64, length: i64| {
            let mut bytes = [0; 24];
            bytes[..2].copy_from_slice(&i16::try_from(kind).unwrap().to_ne_bytes());
            bytes[2..4].copy_from_slice(&i16::try_from(whence).unwrap().to_ne_bytes());
            bytes[8..16].copy_from_slice(&start.to_ne_bytes());
            bytes[16..].copy_from_slice(&length.to_ne_bytes());
            wanted(&bytes)
        };
        let range = |start, end| Some(Range { start, end });
        assert_eq!(flock(libc::F_WRLCK, libc::SEEK_SET, 10, 20), (true, range(10, Some(29))));
        assert_eq!(flock(libc::F_RDLCK, libc::SEEK_SET, 10, 0), (false, range(10, None)));
        assert_eq!(flock(libc::F_WRLCK, libc::SEEK_SET, 10, -4), (true, range(6, Some(9))));
        assert_eq!(flock(libc::F_WRLCK, libc::SEEK_END, 0, 1), (true, None));
        assert_eq!(flock(libc::F_WRLCK, libc::SEEK_SET, -1, 1), (true, None));
        assert_eq!(flock(libc::F_WRLCK, libc::SEEK_SET, i64::MIN, -1), (true, None));
    }

    #[test]
    fn a_restarted_call_is_told_by_where_it_waits() {
        let restarted = |wchan: &[u8], first| {
            restarted_in(wchan, &Call { nr: libc::SYS_restart_syscall, args: [first, 0, 0, 0, 0, 0] })
        };
        assert_eq!(restarted(b"futex_do_wait", 0x7ffc_0000), libc::SYS_futex);
        #[cfg(target_arch = "x86_64")]
        assert_eq!(restarted(b"poll_schedule_timeout.constprop.0", 0), libc::SYS_poll);
        assert_eq!(restarted(b"do_syscall_64", 1), libc::SYS_clock_nanosleep);
        assert_eq!(restarted(b"hrtimer_nanosleep", 0x7ffc_0000), libc::SYS_nanosleep);
        assert_eq!(restarted(b"0", 0), libc::SYS_restart_syscall);
        assert_eq!(restarted(b"", 0), libc::SYS_restart_syscall);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_numbers_are_those_of_x86_64() {
        let known = [(220, "semtimedop"), (65, "semop"), (70, "msgrcv"), (69, "msgsnd"), (202, "futex"), (7, "poll")];
        for (nr, word) in known {
            assert_eq!(name(nr), word);
        }
        assert_eq!(name(i64::MAX), "a system call");
    }

    #[test]
    #[cfg(target_arch = "aarch64")]
    fn the_numbers_are_those_of_aarch64() {
        let known =
            [(192, "semtimedop"), (193, "semop"), (188, "msgrcv"), (189, "msgsnd"), (98, "futex"), (73, "ppoll")];
        for (nr, word) in known {
            assert_eq!(name(nr), word);
        }
    }
}
