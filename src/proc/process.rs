//! What /proc says of one process that an object has recorded.

use super::processes::{self, Clock};
use super::status;
use super::task;
use crate::model::Text;
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use procfs::process::Process;

/// What a pid names now.
#[derive(Clone, Debug)]
pub enum Look {
    /// No process.
    Gone,
    /// A process that we may not look at, as under /proc mounted with hidepid.
    Hidden,
    Seen(Running),
}

/// A process as it is now.
#[derive(Clone, Debug)]
pub struct Running {
    /// When it started, seconds since the epoch.
    pub started: i64,
    /// When the machine started by the same clock.
    pub booted: i64,
    /// Its command line, arguments separated by spaces; its short name where it has none.
    pub command: Text,
}

/// Looks at the process that has a pid. Only the kernel's word that there is none is taken for it:
/// /proc may hide what is there.
pub fn look(pid: i32) -> Look {
    if kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
        return Look::Gone;
    }
    let Some(stat) = Process::new(pid).ok().and_then(|process| process.stat().ok()) else { return Look::Hidden };
    if matches!(stat.state, 'Z' | 'X') && living_thread(pid).is_none() {
        return Look::Gone;
    }
    match started(&stat) {
        Some((booted, started)) => Look::Seen(Running { started, booted, command: command(pid, stat.comm.as_bytes()) }),
        None => Look::Hidden,
    }
}

/// A thread that lives of a process whose first one has ended: the others go on after pthread_exit(3) in main(),
/// and the process is shown as a zombie.
pub fn living_thread(pid: i32) -> Option<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let others = tasks.flatten().filter_map(|task| task.file_name().to_str()?.parse().ok()).filter(|tid| *tid != pid);
    let state = |tid: i32| task::state(&std::fs::read(format!("/proc/{pid}/task/{tid}/stat")).ok()?);
    others.into_iter().find(|tid| state(*tid).is_some_and(|state| !task::is_over(state)))
}

/// When the machine and the process started.
fn started(stat: &procfs::process::Stat) -> Option<(i64, i64)> {
    let per_second = procfs::ticks_per_second().max(1);
    let boot = procfs::boot_time_secs().ok()?;
    Some((i64::try_from(boot).ok()?, i64::try_from(boot + stat.starttime / per_second).ok()?))
}

/// The command line of a process, arguments separated by spaces; its short name in brackets where it
/// has none. It is read from bytes: arguments need not be UTF-8.
pub fn command(pid: i32, comm: &[u8]) -> Text {
    line(std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default(), comm)
}

/// The real user and the command line of a process of which the short name and the start are known; `None` if it
/// has ended. All of it is that process's, be it that its pid is given to another meanwhile.
pub fn owner(pid: i32, (comm, started): (&Text, i64)) -> Option<(Option<u32>, Text)> {
    let process = processes::directory(pid).ok()?;
    let file = |name| processes::read(&process, name).ok();
    let now = Clock::now().read(&file("stat")?)?;
    let uid = status::parse(&file("status")?).uid;
    (now == (comm.clone(), started)).then(|| (uid, line(file("cmdline").unwrap_or_default(), comm.raw())))
}

pub(super) fn line(mut bytes: Vec<u8>, comm: &[u8]) -> Text {
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    if bytes.is_empty() {
        return Text::from([b"[", comm, b"]"].concat());
    }
    for byte in &mut bytes {
        if *byte == 0 {
            *byte = b' ';
        }
    }
    Text::from(bytes)
}
