//! Which namespaces a process is in, by the inode of its file in /proc (namespaces(7)).

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::stat::fstatat;
use std::os::fd::AsFd;

/// The IPC namespace of a process. EACCES without the right to look into it (PTRACE_MODE_READ, ptrace(2)), ENOENT when it
/// has ended.
pub fn ipc(pid: i32) -> nix::Result<u64> {
    inode(AT_FDCWD, &format!("/proc/{pid}/ns/ipc"))
}

/// That of the thread that asks: one thread of a process may have entered another.
pub fn ours() -> nix::Result<u64> {
    inode(AT_FDCWD, "/proc/thread-self/ns/ipc")
}

/// The PID namespace of a process, pid_namespaces(7), or our own.
pub fn pid(of: Option<i32>) -> nix::Result<u64> {
    let path = of.map_or_else(|| "/proc/self/ns/pid".to_owned(), |pid| format!("/proc/{pid}/ns/pid"));
    inode(AT_FDCWD, &path)
}

/// That of the process whose directory in /proc is open.
pub(super) fn of(directory: impl AsFd) -> nix::Result<u64> {
    inode(directory, "ns/ipc")
}

fn inode(directory: impl AsFd, path: &str) -> nix::Result<u64> {
    fstatat(directory, path, AtFlags::empty()).map(|stat| stat.st_ino)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc::processes::directory;

    #[test]
    fn it_is_the_number_that_the_link_shows() {
        let me = nix::unistd::getpid().as_raw();
        let shown = std::fs::read_link("/proc/self/ns/ipc").unwrap();
        assert_eq!(shown.to_str(), Some(format!("ipc:[{}]", ours().unwrap()).as_str()));
        assert_eq!(of(directory(me).unwrap()), ours());
    }
}
