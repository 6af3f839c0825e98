//! What the kernel itself says of objects, and processes that are stopped at a system call: nothing here goes
//! through ipcx.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::ptr;
use std::time::{Duration, Instant};

fn number(pid: u32) -> libc::pid_t {
    pid.try_into().unwrap()
}

/// A System V segment: its identifier, its permissions and its bytes.
pub fn segment(key: i32) -> Option<(i32, u32, Vec<u8>)> {
    // SAFETY: the structure outlives the call that fills it; the bytes are read while the segment is attached.
    unsafe {
        let id = libc::shmget(key, 0, 0);
        if id < 0 {
            return None;
        }
        let mut stat = std::mem::zeroed::<libc::shmid_ds>();
        assert_eq!(libc::shmctl(id, libc::IPC_STAT, &raw mut stat), 0);
        let at = libc::shmat(id, ptr::null(), libc::SHM_RDONLY);
        assert!(at.addr() != usize::MAX, "shmat: {}", std::io::Error::last_os_error());
        let bytes = std::slice::from_raw_parts(at.cast::<u8>(), stat.shm_segsz).to_vec();
        libc::shmdt(at);
        Some((id, u32::from(stat.shm_perm.mode) & 0o777, bytes))
    }
}

/// A System V queue: its identifier, its permissions and its capacity.
pub fn queue(key: i32) -> Option<(i32, u32, u64)> {
    // SAFETY: the structure outlives the call that fills it.
    unsafe {
        let id = libc::msgget(key, 0);
        if id < 0 {
            return None;
        }
        let mut stat = std::mem::zeroed::<libc::msqid_ds>();
        assert_eq!(libc::msgctl(id, libc::IPC_STAT, &raw mut stat), 0);
        Some((id, u32::from(stat.msg_perm.mode) & 0o777, stat.msg_qbytes))
    }
}

/// Takes all messages of a System V queue.
pub fn drain(id: i32) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut buffer = vec![0u64; 1 << 13];
    loop {
        // SAFETY: the buffer has room for a type and as many bytes as are asked for.
        unsafe {
            let got = libc::msgrcv(id, buffer.as_mut_ptr().cast(), (1 << 16) - 8, 0, libc::IPC_NOWAIT);
            let Ok(length) = usize::try_from(got) else { return messages };
            messages.push(std::slice::from_raw_parts(buffer.as_ptr().add(1).cast::<u8>(), length).to_vec());
        }
    }
}

/// Puts a message into a System V queue.
pub fn put(id: i32, text: &[u8]) -> bool {
    let mut buffer = 1i64.to_ne_bytes().to_vec();
    buffer.extend_from_slice(text);
    // SAFETY: the buffer has a type and as many bytes as are sent.
    unsafe { libc::msgsnd(id, buffer.as_ptr().cast(), text.len(), libc::IPC_NOWAIT) == 0 }
}

/// A System V set: its identifier, its permissions, whether it was ever operated on, and its values.
pub fn set(key: i32) -> Option<(i32, u32, bool, Vec<u16>)> {
    // SAFETY: the structures outlive the calls that fill them; there are as many values as the set has members.
    unsafe {
        let id = libc::semget(key, 0, 0);
        if id < 0 {
            return None;
        }
        let mut stat = std::mem::zeroed::<libc::semid_ds>();
        assert_eq!(libc::semctl(id, 0, libc::IPC_STAT, &raw mut stat), 0);
        let mut values = vec![0u16; stat.sem_nsems.try_into().unwrap()];
        assert_eq!(libc::semctl(id, 0, libc::GETALL, values.as_mut_ptr()), 0);
        Some((id, u32::from(stat.sem_perm.mode) & 0o777, stat.sem_otime != 0, values))
    }
}

/// Messages, each with its priority.
pub type Messages = Vec<(u32, Vec<u8>)>;

/// Takes all messages of a POSIX queue; its permissions come first.
pub fn drain_posix(name: &str) -> Option<(u32, Messages)> {
    let name = CString::new(name).unwrap();
    // SAFETY: the name ends with NUL; the structures outlive the calls; the buffer has the length that is said.
    unsafe {
        let queue = libc::mq_open(name.as_ptr(), libc::O_RDONLY | libc::O_NONBLOCK);
        if queue < 0 {
            return None;
        }
        let _owner = OwnedFd::from_raw_fd(queue);
        let mut attr = std::mem::zeroed::<libc::mq_attr>();
        assert_eq!(libc::mq_getattr(queue, &raw mut attr), 0);
        let mut stat = std::mem::zeroed::<libc::stat>();
        assert_eq!(libc::fstat(queue, &raw mut stat), 0);
        let mut buffer = vec![0u8; attr.mq_msgsize.try_into().unwrap()];
        let mut messages = Vec::new();
        loop {
            let mut priority = 0;
            let got = libc::mq_receive(queue, buffer.as_mut_ptr().cast(), buffer.len(), &raw mut priority);
            let Ok(length) = usize::try_from(got) else { return Some((stat.st_mode & 0o777, messages)) };
            messages.push((priority, buffer[..length].to_vec()));
        }
    }
}

/// Removes a POSIX queue.
pub fn unlink_posix(name: &str) {
    let name = CString::new(name).unwrap();
    // SAFETY: the name ends with NUL.
    unsafe { libc::mq_unlink(name.as_ptr()) };
}

/// A table of /proc/sysvipc: key and identifier of each object.
pub fn table(name: &str) -> Vec<(i32, i32)> {
    let text = fs::read_to_string(format!("/proc/sysvipc/{name}")).unwrap();
    let number = |word: Option<&str>| word.unwrap().parse().unwrap();
    text.lines().skip(1).map(|line| line.split_whitespace()).map(|mut w| (number(w.next()), number(w.next()))).collect()
}

/// Removes a System V object of a table.
pub fn remove(name: &str, id: i32) {
    // SAFETY: removal takes numbers; the null pointers are not read.
    unsafe {
        match name {
            "shm" => libc::shmctl(id, libc::IPC_RMID, ptr::null_mut()),
            "msg" => libc::msgctl(id, libc::IPC_RMID, ptr::null_mut()),
            _ => libc::semctl(id, 0, libc::IPC_RMID),
        };
    }
}

/// Makes an object of a table with this key, or a private one; its identifier.
pub fn make(name: &str, key: i32) -> i32 {
    let flags = libc::IPC_CREAT | libc::IPC_EXCL | 0o600;
    // SAFETY: the calls take numbers.
    let id = unsafe {
        match name {
            "shm" => libc::shmget(key, 4096, flags),
            "msg" => libc::msgget(key, flags),
            _ => libc::semget(key, 1, flags),
        }
    };
    assert!(id >= 0, "{name}get: {}", std::io::Error::last_os_error());
    id
}

pub fn send_signal(pid: u32, signal: i32) {
    // SAFETY: kill takes two numbers.
    unsafe { libc::kill(number(pid), signal) };
}

/// Whether a process group has a member that has not ended. Who reaps those that have is none of ours.
pub fn group_lives(pid: u32) -> bool {
    // SAFETY: kill takes two numbers; signal 0 only asks.
    if unsafe { libc::kill(-number(pid), 0) } != 0 {
        return false;
    }
    let all = fs::read_dir("/proc").unwrap().flatten();
    let stats = all.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    // After the name, which may hold anything: state, parent, group.
    stats.filter_map(|stat| stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned())).any(|rest| {
        let words: Vec<&str> = rest.split(' ').take(3).collect();
        words[0] != "Z" && words[2] == pid.to_string()
    })
}

/// Waits for the end of a child of ours, but not for ever: its status as wait(2) gives it.
pub fn wait(pid: u32, most: Duration) -> Option<i32> {
    // SAFETY: the descriptor is new and ours; the structures outlive the calls.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, number(pid), 0);
        assert!(fd >= 0, "pidfd_open: {}", std::io::Error::last_os_error());
        let _owner = OwnedFd::from_raw_fd(fd.try_into().unwrap());
        let mut poll = libc::pollfd { fd: fd.try_into().unwrap(), events: libc::POLLIN, revents: 0 };
        let until = Instant::now() + most;
        let ready = loop {
            let left = until.saturating_duration_since(Instant::now());
            let ready = libc::poll(&raw mut poll, 1, left.as_millis().try_into().unwrap());
            if ready >= 0 {
                break ready;
            }
        };
        let mut status = 0;
        (ready == 1 && libc::waitpid(number(pid), &raw mut status, 0) == number(pid)).then_some(status)
    }
}

/// Whether a child of ours has ended; it is not reaped.
pub fn has_ended(pid: u32) -> bool {
    // SAFETY: all bytes zero is a valid siginfo, which outlives the call.
    unsafe {
        let mut info = std::mem::zeroed::<libc::siginfo_t>();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_PID, pid, &raw mut info, flags) == 0 && info.si_signo == libc::SIGCHLD
    }
}

/// Starts a command that is stopped at its first instruction, and lets it come to its `stop`th stop at a system call,
/// of which each has two: before and after it. There it is killed with -9. How many stops there were, if it ended
/// before, and its status as wait(2) gives it.
pub fn kill_at_stop(command: Command, stop: u64) -> (u32, u64, Option<i32>) {
    at_stop(command, stop, |pid| send_signal(pid, libc::SIGKILL))
}

/// The same, but at the stop something is done, and then it goes on.
pub fn at_stop(mut command: Command, stop: u64, act: impl FnOnce(u32)) -> (u32, u64, Option<i32>) {
    let traced = || {
        // SAFETY: ptrace takes numbers here.
        unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
        Ok(())
    };
    // SAFETY: between fork and exec it makes one system call.
    unsafe { command.pre_exec(traced) };
    let pid = command.spawn().unwrap().id();
    let (mut status, mut stops, mut signal) = (0, 0, 0);
    // SAFETY: the calls take numbers and a status that outlives them. The child is ours, and not yet reaped.
    unsafe {
        assert_eq!(libc::waitpid(number(pid), &raw mut status, 0), number(pid));
        let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL;
        libc::ptrace(libc::PTRACE_SETOPTIONS, number(pid), 0, options);
        while stops < stop {
            libc::ptrace(libc::PTRACE_SYSCALL, number(pid), 0, signal);
            assert_eq!(libc::waitpid(number(pid), &raw mut status, 0), number(pid));
            if !libc::WIFSTOPPED(status) {
                return (pid, stops, Some(status));
            }
            let stopped = libc::WSTOPSIG(status);
            let at_call = stopped == libc::SIGTRAP | 0x80;
            stops += u64::from(at_call);
            // Another signal is the command's own; the one after a further exec is not.
            signal = if at_call || stopped == libc::SIGTRAP { 0 } else { stopped };
        }
        act(pid);
        libc::ptrace(libc::PTRACE_DETACH, number(pid), 0, 0);
    }
    (pid, stops, wait(pid, Duration::from_secs(20)))
}

/// Lowers or raises the capacity of a System V queue, in bytes.
pub fn set_capacity(id: i32, bytes: u64) {
    // SAFETY: the structure outlives the calls.
    unsafe {
        let mut stat = std::mem::zeroed::<libc::msqid_ds>();
        assert_eq!(libc::msgctl(id, libc::IPC_STAT, &raw mut stat), 0);
        stat.msg_qbytes = bytes;
        assert_eq!(libc::msgctl(id, libc::IPC_SET, &raw mut stat), 0);
    }
}

/// Lets the next object of a table that is made have this identifier.
pub fn wish(table: &str, id: i32) {
    fs::write(format!("/proc/sys/kernel/{table}_next_id"), id.to_string()).unwrap();
}

/// Lets a command start with one of the standard descriptors closed.
pub fn close_at_start(command: &mut Command, fd: i32) {
    let close = move || {
        // SAFETY: close takes a number.
        unsafe { libc::close(fd) };
        Ok(())
    };
    // SAFETY: between fork and exec it makes one system call.
    unsafe { command.pre_exec(close) };
}

/// Makes a descriptor non-blocking, for all who share its description.
pub fn set_nonblocking(fd: &impl std::os::fd::AsRawFd) {
    // SAFETY: fcntl takes numbers here.
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
}
