//! Every process as all users may see it: whose it is, when it started, what it comes from.

use super::processes::{self, Clock, INIT, directory, leaves_out, pids, share};
use super::{namespace, task};
use crate::model::Text;
use nix::errno::Errno;
use nix::sys::stat::stat;

/// All processes of this PID namespace but ours, without the kernel's own and without init.
///
/// With init, which may mostly not be looked into, nothing could ever be said to be unused.
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
    pub parent: i32,
    /// Its process group and session, by the pid of the process that made them.
    pub group: i32,
    pub session: i32,
    /// Real, effective, saved and file system user.
    pub users: Vec<u32>,
    /// The same of groups, and the supplementary ones.
    pub groups: Vec<u32>,
    /// Its IPC namespace; `None` where that may not be seen.
    pub namespace: Option<u64>,
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
        pids.retain(|pid| *pid != own && *pid != INIT);
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

/// The flag of the kernel's own processes, PF_KTHREAD in include/linux/sched.h.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// `None` for a process of the kernel and for one that has ended and is only not waited for.
fn read(pid: i32, clock: Clock) -> nix::Result<Option<Living>> {
    // All of it is that of one process, be it that its pid is given to another meanwhile.
    let process = directory(pid)?;
    let file = |name| processes::read(&process, name);
    let (line, status) = (file("stat")?, file("status")?);
    let Some(living) = parse(pid, &line, &status, clock) else { return Ok(None) };
    match namespace::of(&process) {
        Ok(namespace) => {
            // That takes another right, of which Yama bereaves, ptrace(2).
            let open = match file("syscall") {
                Ok(_) => true,
                Err(Errno::ESRCH) => return Ok(None),
                Err(_) => false,
            };
            Ok(Some(Living { namespace: Some(namespace), open, ..living }))
        }
        // It has just ended, and left its namespaces before anything else.
        Err(Errno::ENOENT | Errno::ESRCH) => Ok(None),
        Err(_) => Ok(Some(living)),
    }
}

fn parse(pid: i32, stat: &[u8], status: &[u8], clock: Clock) -> Option<Living> {
    let (command, started) = clock.read(stat)?;
    let words: Vec<&str> = task::words(stat)?.collect();
    let number = |at: usize| words.get(at)?.parse::<i32>().ok();
    let flags: u64 = words.get(6)?.parse().ok()?;
    if matches!(words.first(), Some(&("Z" | "X"))) || flags & KERNEL_THREAD != 0 {
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
        parent: number(1)?,
        group: number(2)?,
        session: number(3)?,
        users: ids("Uid:"),
        groups: [ids("Gid:"), ids("Groups:")].concat(),
        namespace: None,
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
        assert_eq!((living.parent, living.group, living.session), (7, 8, 9));
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
