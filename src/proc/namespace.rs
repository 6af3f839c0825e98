//! Which IPC namespace a process is in, namespaces(7).

use nix::sys::stat::stat;

/// The inode of the namespace of a process: the same number is the same namespace.
///
/// Needs PTRACE_MODE_READ (ptrace(2)): EACCES for processes of others, ENOENT or ESRCH when it is gone.
pub fn ipc(pid: i32) -> nix::Result<u64> {
    stat(format!("/proc/{pid}/ns/ipc").as_str()).map(|stat| stat.st_ino)
}

/// That of the calling thread; 0 where /proc does not tell.
pub fn own() -> u64 {
    stat("/proc/thread-self/ns/ipc").map_or(0, |stat| stat.st_ino)
}
