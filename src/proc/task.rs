//! What a task does at this moment: /proc/PID/task/TID/{stat,syscall,children} and /proc/PID/fd. Nothing is
//! stopped for it, and the task cannot notice.

use crate::model::Text;
use crate::sys::file;
use crate::sys::pidfd::PidFd;
use nix::errno::Errno;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;

/// What a task does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doing {
    /// It runs or waits for a processor.
    Running,
    /// It sleeps in a system call.
    Blocked(Blocked),
    /// It sleeps outside of any system call, such as on a page of memory.
    Sleeping,
    /// A signal or a debugger has stopped it.
    Stopped,
    /// It has ended.
    Ended,
}

/// The system call that a task sleeps in. After SIGSTOP and SIGCONT some calls show as restart_syscall(2)
/// with the arguments of the call that goes on. A 32-bit process shows the numbers of its own table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Blocked {
    /// The number of the call on this architecture, `libc::SYS_…`.
    pub nr: i64,
    /// The registers, unused ones included.
    pub args: [u64; 6],
}

/// A call that moves bytes, with its descriptors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transfer {
    Read(i32),
    Write(i32),
    /// splice(2) and tee(2), which the kernel does not count in /proc/PID/io.
    Splice {
        from: i32,
        to: i32,
    },
    /// vmsplice(2), not counted either; its direction is that of the descriptor.
    Vmsplice(i32),
}

impl Blocked {
    /// An argument that is a descriptor or another `int`: the upper half of its register means nothing.
    #[allow(clippy::cast_possible_truncation)]
    pub fn int(&self, at: usize) -> i32 {
        self.args[at] as i32
    }

    /// What it moves between which descriptors, if it is a call that does.
    pub fn transfer(&self) -> Option<Transfer> {
        match self.nr {
            libc::SYS_read | libc::SYS_readv => Some(Transfer::Read(self.int(0))),
            libc::SYS_write | libc::SYS_writev => Some(Transfer::Write(self.int(0))),
            // Its input is a file, which does not let it wait.
            libc::SYS_sendfile => Some(Transfer::Write(self.int(0))),
            libc::SYS_splice => Some(Transfer::Splice { from: self.int(0), to: self.int(2) }),
            libc::SYS_tee => Some(Transfer::Splice { from: self.int(0), to: self.int(1) }),
            libc::SYS_vmsplice => Some(Transfer::Vmsplice(self.int(0))),
            _ => None,
        }
    }
}

/// What a task of a process does.
///
/// `syscall` needs PTRACE_MODE_ATTACH (ptrace(2)): EACCES or EPERM for processes of others and those that
/// run setuid. ENOENT or ESRCH when it is gone.
pub fn look(pid: i32, tid: i32) -> nix::Result<Doing> {
    let read = |name: &str| fs::read(format!("/proc/{pid}/task/{tid}/{name}")).map_err(|error| file::errno(&error));
    match state(&read("stat")?).ok_or(Errno::EBADMSG)? {
        b'R' => Ok(Doing::Running),
        b'T' | b't' => Ok(Doing::Stopped),
        over if is_over(over) => Ok(Doing::Ended),
        _ => call(&read("syscall")?).ok_or(Errno::EBADMSG),
    }
}

/// The state in /proc/PID/stat, the letter behind the name: `7 (a) b) S 1 …`. The name may hold anything.
pub fn state(stat: &[u8]) -> Option<u8> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    stat.get(end + 2).copied().filter(u8::is_ascii_alphabetic)
}

/// Whether a task in this state has ended: a zombie, or dead.
pub fn is_over(state: u8) -> bool {
    matches!(state, b'Z' | b'X' | b'x')
}

/// The words of /proc/PID/stat behind the name, proc_pid_stat(5); the first one is the state.
pub(super) fn words(stat: &[u8]) -> Option<impl Iterator<Item = &str>> {
    let behind = stat.get(memchr::memrchr(b')', stat)? + 1..)?;
    Some(std::str::from_utf8(behind).ok()?.split_ascii_whitespace())
}

/// The same of the process that has a pid now.
pub fn state_of(pid: i32) -> Option<u8> {
    state(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// A line of /proc/PID/syscall: `running`, `-1 SP PC` outside of a call, or the number in decimal and six
/// arguments, the stack pointer and the program counter in hexadecimal.
pub(super) fn call(text: &[u8]) -> Option<Doing> {
    let text = std::str::from_utf8(text).ok()?.trim_end();
    if text == "running" {
        return Some(Doing::Running);
    }
    let mut words = text.split(' ');
    let nr: i64 = words.next()?.parse().ok()?;
    if nr < 0 {
        return Some(Doing::Sleeping);
    }
    let mut args = [0; 6];
    for arg in &mut args {
        *arg = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    }
    Some(Doing::Blocked(Blocked { nr, args }))
}

/// The threads of a process, in ascending order. ESRCH when there is none.
pub fn threads(pid: i32) -> nix::Result<Vec<i32>> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).map_err(|error| match file::errno(&error) {
        Errno::ENOENT => Errno::ESRCH,
        errno => errno,
    })?;
    let mut tids: Vec<i32> = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    tids.sort_unstable();
    Ok(tids)
}

/// How many threads of a process have not ended. ESRCH when there is none.
pub fn living(pid: i32) -> nix::Result<usize> {
    let tids = threads(pid)?;
    if let [_] = tids[..] {
        // One thread that is there needs no second look.
        return Ok(1);
    }
    let lives = |tid: &&i32| {
        let stat = fs::read(format!("/proc/{pid}/task/{tid}/stat"));
        stat.is_ok_and(|stat| !matches!(state(&stat), Some(b'Z' | b'X')))
    };
    Ok(tids.iter().filter(lives).count())
}

/// In which function of the kernel a thread sleeps, wchan of proc_pid_wchan(5); `None` where that may not be
/// seen.
pub fn place(pid: i32, tid: i32) -> Option<Text> {
    let function = fs::read(format!("/proc/{pid}/task/{tid}/wchan")).ok()?;
    (!matches!(&function[..], b"" | b"0")).then(|| Text::from(function))
}

/// Whether it sleeps so that no signal ends it (state D).
pub fn is_uninterruptible(pid: i32, tid: i32) -> bool {
    fs::read(format!("/proc/{pid}/task/{tid}/stat")).is_ok_and(|stat| state(&stat) == Some(b'D'))
}

/// The directory that a process is in.
pub fn directory(pid: i32) -> Option<Text> {
    link(&format!("/proc/{pid}/cwd"))
}

/// What the link of a descriptor says: a path, or what the kernel calls it. A process can choose it.
pub fn label(pid: i32, number: i32) -> Option<Text> {
    link(&format!("/proc/{pid}/fd/{number}"))
}

fn link(path: &str) -> Option<Text> {
    fs::read_link(path).ok().map(|path| Text::from(path.into_os_string().into_vec()))
}

/// The processes that a process has started and not yet waited for. Empty on a kernel without
/// CONFIG_PROC_CHILDREN.
pub fn children(pid: i32) -> Vec<i32> {
    let mut found = Vec::new();
    for thread in threads(pid).unwrap_or_default() {
        let children = fs::read(format!("/proc/{pid}/task/{thread}/children")).unwrap_or_default();
        let words = children.split(|byte| *byte == b' ');
        found.extend(words.filter_map(|word| std::str::from_utf8(word).ok()?.parse::<i32>().ok()));
    }
    found
}

/// The processes that a process has started, with theirs, the nearest first; not those whose parent has
/// ended. Empty on a kernel without CONFIG_PROC_CHILDREN.
pub fn descendants(pid: i32) -> Vec<i32> {
    let mut found = vec![pid];
    let mut at = 0;
    while let Some(pid) = found.get(at).copied() {
        found.extend(children(pid));
        at += 1;
    }
    found.remove(0);
    found
}

/// The same, held on to, so that a signal through one meets no other process that was given the pid.
pub fn hold_descendants(pid: i32) -> Vec<(i32, PidFd)> {
    hold(pid, descendants(pid))
}

/// A pid that was listed may have been given to another process before it was opened. One that is still
/// listed afterwards was not, or its process has ended, and then nothing meets it.
fn hold(pid: i32, listed: Vec<i32>) -> Vec<(i32, PidFd)> {
    let mut held: Vec<(i32, PidFd)> =
        listed.into_iter().filter_map(|listed| Some((listed, PidFd::open(listed).ok()?))).collect();
    if !held.is_empty() {
        let still = descendants(pid);
        held.retain(|(listed, _)| still.contains(listed));
    }
    held
}

/// The device and the inode of what a process has open under a number.
pub fn descriptor(pid: i32, number: i32) -> Option<(u64, u64)> {
    fs::metadata(format!("/proc/{pid}/fd/{number}")).ok().map(|data| (data.dev(), data.ino()))
}

/// Whether it may be seen what a process has open: ENOENT if not or there is none, EACCES or EPERM if not.
pub fn may_see_descriptors(pid: i32) -> nix::Result<()> {
    fs::read_dir(format!("/proc/{pid}/fd")).map(drop).map_err(|error| file::errno(&error))
}

/// The numbers of the descriptors of a process.
pub fn descriptors(pid: i32) -> Vec<i32> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_stands_behind_a_name_that_may_hold_anything() {
        assert_eq!(state(b"7 (cat) S 1 7 7"), Some(b'S'));
        assert_eq!(state(b"7 (a) R (b\n) T 1"), Some(b'T'));
        for bad in [&b""[..], b"7 (cat", b"7 (cat)", b"7 (cat) ", b"7 (cat) 1"] {
            assert_eq!(state(bad), None);
        }
    }

    #[test]
    fn a_line_gives_the_call_and_its_arguments() {
        let line = b"0 0x0 0x7ffd1000 0x20000 0x22 0x0 0xffffffffffffffff 0x7ffd0f58 0x7f3a\n";
        let blocked = Blocked { nr: 0, args: [0, 0x7ffd_1000, 0x20000, 0x22, 0, u64::MAX] };
        assert_eq!(call(line), Some(Doing::Blocked(blocked)));
        assert_eq!(call(b"running\n"), Some(Doing::Running));
        assert_eq!(call(b"-1 0x7ffd0f58 0x7f3a\n"), Some(Doing::Sleeping));
        for bad in [&b""[..], b"\n", b"x", b"0", b"0 0x0 0x1", b"0 1 2 3 4 5 6", b"0 0x 0x 0x 0x 0x 0x", b"\xff"] {
            assert_eq!(call(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn reads_and_writes_are_known_by_the_numbers_of_this_architecture() {
        let (read, write) = if cfg!(target_arch = "x86_64") { (0, 1) } else { (63, 64) };
        let blocked = |nr, args| Blocked { nr, args };
        assert_eq!(blocked(read, [3, 0, 0, 0, 0, 0]).transfer(), Some(Transfer::Read(3)));
        // A descriptor is an int; what stands above it in the register is rubbish.
        assert_eq!(blocked(write, [0xdead_beef_0000_0001, 0, 0, 0, 0, 0]).transfer(), Some(Transfer::Write(1)));
        let splice = blocked(libc::SYS_splice, [0, 0, 1, 0, 0, 0]);
        assert_eq!(splice.transfer(), Some(Transfer::Splice { from: 0, to: 1 }));
        assert_eq!(blocked(libc::SYS_tee, [4, 5, 0, 0, 0, 0]).transfer(), Some(Transfer::Splice { from: 4, to: 5 }));
        assert_eq!(blocked(libc::SYS_wait4, [0; 6]).transfer(), None);
    }

    #[test]
    fn what_is_no_descendant_any_more_is_not_held() {
        use std::io::{Read as _, Write as _};
        use std::process::{Command, Stdio};
        let mut shell = Command::new("sh");
        shell.args(["-c", "cat; :"]);
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // What comes back shows that cat is there.
        shell.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        shell.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let (me, pid) = (nix::unistd::getpid().as_raw(), i32::try_from(shell.id()).unwrap());
        let cat = descendants(pid);
        let pids = |held: Vec<(i32, PidFd)>| held.into_iter().map(|(pid, _)| pid).collect::<Vec<_>>();
        assert_eq!(cat.len(), 1);
        assert_eq!(pids(hold_descendants(pid)), cat);
        // As if the pids of two that have ended were now ours and that of our parent.
        assert_eq!(pids(hold(pid, vec![me, cat[0], nix::unistd::getppid().as_raw(), i32::MAX])), cat);
        drop(shell.stdin.take());
        shell.wait().unwrap();
        assert_eq!(pids(hold(pid, cat)), [0; 0]);
    }

    #[test]
    fn a_thread_that_waits_for_a_pipe_is_seen_with_its_descriptor() {
        use std::os::fd::AsRawFd as _;
        let (read, write) = crate::sys::pipe::pair().unwrap();
        let number = read.as_raw_fd();
        let (tell, told) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            tell.send(nix::unistd::gettid().as_raw()).unwrap();
            nix::unistd::read(&read, &mut [0; 1])
        });
        let (pid, tid) = (i32::try_from(std::process::id()).unwrap(), told.recv().unwrap());
        assert!(threads(pid).unwrap().contains(&tid));
        assert_eq!(threads(i32::MAX), Err(Errno::ESRCH));
        let waits = || match look(pid, tid) {
            Ok(Doing::Blocked(blocked)) => blocked.transfer() == Some(Transfer::Read(number)),
            _ => false,
        };
        while !waits() {
            std::thread::yield_now();
        }
        assert_eq!(descriptor(pid, number), crate::sys::pipe::identity(&write).ok());
        assert!(descriptors(pid).contains(&number));
        drop(write);
        assert_eq!(reader.join().unwrap(), Ok(0));
    }
}
