//! Every process as all users may see it: whose it is, when it started, and in which namespaces it is.

use super::processes::{self, Clock, INIT, directory, leaves_out, pids, share};
use super::{namespace, process, task};
use crate::model::Text;
use nix::errno::Errno;
use nix::sys::stat::stat;

/// All processes of this PID namespace but ours, without the kernel's own, and without an init that may not be
/// looked into.
///
/// With that one nothing could ever be said to be unused; it starts and reaps others.
#[derive(Debug)]
pub struct Population {
    pub living: Vec<Living>,
    /// Why there may be others that use the same objects.
    pub hidden: Option<&'static str>,
}

/// One process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Living {
    pub pid: i32,
    /// Its short name, proc_pid_comm(5).
    pub command: Text,
    /// Seconds since the epoch.
    pub started: i64,
    /// Real, effective, saved and file system user.
    pub users: Vec<u32>,
    /// The same of groups, and the supplementary ones.
    pub groups: Vec<u32>,
    /// Its IPC namespace; `None` where that may not be seen.
    pub namespace: Option<u64>,
    /// Its PID namespace, likewise.
    pub pid_namespace: Option<u64>,
    /// Whether it may be seen in which calls its threads are.
    pub open: bool,
}

impl Population {
    pub fn now() -> Population {
        let clock = Clock::now();
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        let Ok(mut pids) = pids() else {
            return Population { living: Vec::new(), hidden: Some("/proc may not be read") };
        };
        let hidden = hidden(&pids);
        pids.retain(|pid| *pid != own);
        let start = || (Vec::new(), false);
        let look = |(seen, unread): &mut (Vec<Living>, bool), pid| match read(pid, clock) {
            Ok(living) => seen.extend(living),
            // It has ended meanwhile.
            Err(Errno::ENOENT | Errno::ESRCH) => {}
            Err(_) => *unread = true,
        };
        let parts = share(&pids, start, look);
        let unread = parts.iter().any(|(_, unread)| *unread).then_some("some processes may not be looked at");
        let mut living: Vec<Living> = parts.into_iter().flat_map(|(seen, _)| seen).collect();
        living.retain(|process| process.pid != INIT || process.namespace.is_some());
        living.sort_by_key(|process| process.pid);
        Population { living, hidden: hidden.or(unread) }
    }
}

/// Why a list of pids may not be all that share our IPC objects.
fn hidden(pids: &[i32]) -> Option<&'static str> {
    if !is_first_pid_namespace() {
        return Some("processes of other PID namespaces may use it");
    }
    leaves_out(pids).then_some("/proc does not list the processes of others (hidepid)")
}

/// Whether this is the first PID namespace, which sees the processes of all others. Its inode is fixed,
/// PROC_PID_INIT_INO in include/linux/proc_ns.h.
pub fn is_first_pid_namespace() -> bool {
    stat("/proc/self/ns/pid").is_ok_and(|stat| stat.st_ino == 0xefff_fffc)
}

impl Living {
    /// Whether it may have names in the /dev/shm that we see and another number for itself than we see: a process
    /// of another PID namespace that shares the directory with us.
    pub fn may_name_elsewhere(&self) -> bool {
        let directory = |path: &str| stat(path).map(|stat| (stat.st_dev, stat.st_ino));
        if self.pid_namespace.is_some() && self.pid_namespace == namespace::pid(None).ok() {
            return false;
        }
        match (directory("/dev/shm"), directory(&format!("/proc/{}/root/dev/shm", self.pid))) {
            (Ok(ours), Ok(its)) => ours == its,
            // It has none, or has ended.
            (_, Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ESRCH)) => false,
            _ => true,
        }
    }
}

/// The flag of the kernel's own processes, PF_KTHREAD in include/linux/sched.h.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// `None` for a process of the kernel and for one that has ended and is only not waited for. Of one whose first
/// thread has ended, and with it what /proc/PID tells, another thread is looked at.
fn read(pid: i32, clock: Clock) -> nix::Result<Option<Living>> {
    // All of it is that of one process, be it that its pid is given to another meanwhile.
    let directory = directory(pid)?;
    let file = |of: &str, name: &str| processes::read(&directory, &format!("{of}{name}"));
    let mut of = String::new();
    let mut line = file(&of, "stat")?;
    if task::state(&line).is_some_and(task::is_over) {
        let Some(tid) = process::living_thread(pid) else { return Ok(None) };
        of = format!("task/{tid}/");
        line = file(&of, "stat")?;
    }
    let Some(living) = parse(pid, &line, &file(&of, "status")?, clock) else { return Ok(None) };
    let namespace = |kind: &str| namespace::at(&directory, &format!("{of}ns/{kind}"));
    match namespace("ipc") {
        Ok(ipc) => {
            // That takes another right, of which Yama bereaves, ptrace(2). Where the first thread has ended, not all
            // that the others do can be told.
            let open = match file(&of, "syscall") {
                Ok(_) => of.is_empty(),
                Err(Errno::ESRCH) => return Ok(None),
                Err(_) => false,
            };
            Ok(Some(Living { namespace: Some(ipc), pid_namespace: namespace("pid").ok(), open, ..living }))
        }
        // It has just ended, and left its namespaces before anything else.
        Err(Errno::ENOENT | Errno::ESRCH) => Ok(None),
        Err(_) => Ok(Some(living)),
    }
}

pub(super) fn parse(pid: i32, stat: &[u8], status: &[u8], clock: Clock) -> Option<Living> {
    let (command, started) = clock.read(stat)?;
    let words: Vec<&str> = task::words(stat)?.collect();
    let flags: u64 = words.get(6)?.parse().ok()?;
    if task::state(stat).is_none_or(task::is_over) || flags & KERNEL_THREAD != 0 {
        return None;
    }
    let ids = |key: &str| -> Vec<u32> {
        let lines = status.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
        let values = lines.filter_map(|line| line.strip_prefix(key)).flat_map(str::split_ascii_whitespace);
        values.filter_map(|id| id.parse().ok()).collect()
    };
    Some(Living {
        pid,
        command,
        started,
        users: ids("Uid:"),
        groups: [ids("Gid:"), ids("Groups:")].concat(),
        namespace: None,
        pid_namespace: None,
        open: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &[u8] = b"Name:\tUid:\\n7\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t9 10 \n";

    #[test]
    fn the_files_of_a_process_are_read() {
        let clock = Clock::now();
        let stat = |state: &str, flags: u64| {
            format!("42 (a) b) {state} 7 8 9 0 -1 {flags} 1 2 3 4 5 6 7 8 20 0 1 0 0 1 2\n").into_bytes()
        };
        let living = parse(42, &stat("S", 0x40_0000), STATUS, clock).unwrap();
        assert_eq!(living.command, Text::from("a) b"));
        assert_eq!(living.users, [1, 2, 3, 4]);
        assert_eq!(living.groups, [5, 6, 7, 8, 9, 10]);
        assert_eq!(parse(42, &stat("Z", 0), STATUS, clock), None);
        assert_eq!(parse(42, &stat("S", KERNEL_THREAD), STATUS, clock), None);
        assert_eq!(parse(42, b"42 (x) S", STATUS, clock), None);
        assert_eq!(parse(42, b"", b"\xff", clock), None);
    }

    #[test]
    fn our_parent_lives_and_we_are_left_out() {
        let population = Population::now();
        let parent = std::os::unix::process::parent_id();
        let own = std::process::id();
        let has = |pid: u32| population.living.iter().any(|living| u32::try_from(living.pid) == Ok(pid));
        assert!(has(parent) && !has(own));
    }
}
