//! open(2) of a FIFO: no descriptor leads to it yet, so the call itself is looked at.

use super::memory::Memory;
use super::target::{Target, Thread};
use crate::proc::task::Blocked as Call;
use nix::sys::stat::{FileStat, SFlag};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// A thread that waits for the other side of a FIFO.
pub(in crate::proc) struct Opening {
    pub stat: FileStat,
    /// The path as a process of the same root directory sees it.
    pub path: PathBuf,
    pub write: bool,
}

/// What a call waits for, if it is an open of a FIFO that waits.
pub(in crate::proc) fn opening(target: &Target, thread: &Thread, call: &Call) -> Option<Opening> {
    let call = Open::of(call)?;
    let mut line = [0; 64];
    if !target.line(&thread.path("wchan"), &mut line).is_ok_and(|wchan| wchan.starts_with(b"wait_for_partner")) {
        return None;
    }
    let memory = target.memory()?;
    let path = PathBuf::from(OsString::from_vec(memory.string(call.path)?));
    let flags = call.flags.read(memory)?;
    let stat = target.stat(through(thread, call.directory, &path)).ok()?;
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFIFO {
        return None;
    }
    // O_RDONLY is 0: of a FIFO nothing else blocks but O_WRONLY.
    Some(Opening { stat, path: absolute(target, thread, call.directory, path), write: flags & 3 == 1 })
}

/// The name of the directory to which a path is relative.
fn start(thread: &Thread, directory: i32) -> String {
    match directory {
        libc::AT_FDCWD => thread.path("cwd"),
        fd => thread.path(&format!("fd/{fd}")),
    }
}

/// The path as it leads through /proc/PID to what it names for the process itself: in its root and its
/// directory.
pub(super) fn through(thread: &Thread, directory: i32, path: &Path) -> PathBuf {
    let start = if path.is_absolute() { thread.path("root") } else { start(thread, directory) };
    // Names are counted from the start alone: join() would let an absolute path lead away from it.
    let mut whole = start.into_bytes();
    whole.push(b'/');
    whole.extend_from_slice(path.as_os_str().as_bytes());
    PathBuf::from(OsString::from_vec(whole))
}

/// A path of the process as a path that it would give us: relative ones behind its directory.
fn absolute(target: &Target, thread: &Thread, directory: i32, path: PathBuf) -> PathBuf {
    if path.is_absolute() {
        return path;
    }
    match target.link(&start(thread, directory)) {
        Ok(directory) => directory.join(path.strip_prefix(".").unwrap_or(&path)),
        Err(_) => path,
    }
}

/// A call of open(2), openat(2) or openat2(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Open {
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

impl Flags {
    fn read(self, memory: &Memory) -> Option<u64> {
        match self {
            Flags::Number(flags) => Some(flags),
            // struct open_how begins with 64 bits of flags.
            Flags::At(address) => memory.u64(address),
        }
    }
}

impl Open {
    fn of(call: &Call) -> Option<Open> {
        let (directory, [_, second, third, ..]) = (call.int(0), call.args);
        Some(match call.nr {
            libc::SYS_openat => Open { directory, path: second, flags: Flags::Number(third) },
            libc::SYS_openat2 => Open { directory, path: second, flags: Flags::At(third) },
            #[cfg(target_arch = "x86_64")]
            libc::SYS_open => Open { directory: libc::AT_FDCWD, path: call.args[0], flags: Flags::Number(second) },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_opens_is_told_from_others() {
        let args = [0xffff_ff9c, 0x7ffc12, 0x80001, 0, 0, 0];
        let open = Open { directory: libc::AT_FDCWD, path: 0x7ffc12, flags: Flags::Number(0x80001) };
        assert_eq!(Open::of(&Call { nr: libc::SYS_openat, args }), Some(open));
        let how = Open { flags: Flags::At(0x80001), ..open };
        assert_eq!(Open::of(&Call { nr: libc::SYS_openat2, args }), Some(how));
        assert_eq!(Open::of(&Call { nr: libc::SYS_read, args }), None);
    }
}
