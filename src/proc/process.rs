//! What /proc says of one process that an object has recorded.

use crate::model::Text;
use procfs::process::Process;

/// A process as it is now.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When it started, seconds since the epoch.
    pub started: i64,
    /// Its command line, arguments separated by spaces; its short name where it has none.
    pub command: Text,
}

/// Looks at a process; `None` when there is none with this pid.
pub fn look(pid: i32) -> Option<Seen> {
    let stat = Process::new(pid).ok()?.stat().ok()?;
    if matches!(stat.state, 'Z' | 'X') {
        return None;
    }
    let started = started(&stat)?;
    Some(Seen { started, command: command(pid, &stat.comm) })
}

fn started(stat: &procfs::process::Stat) -> Option<i64> {
    let per_second = procfs::ticks_per_second().max(1);
    let boot = procfs::boot_time_secs().ok()?;
    i64::try_from(boot + stat.starttime / per_second).ok()
}

/// The command line is read from bytes: arguments need not be UTF-8.
fn command(pid: i32, comm: &str) -> Text {
    let mut bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    if bytes.is_empty() {
        return Text::from(format!("[{comm}]").into_bytes());
    }
    for byte in &mut bytes {
        if *byte == 0 {
            *byte = b' ';
        }
    }
    Text::from(bytes)
}
