//! Which IPC namespace a process is in, by the inode of its file in /proc (namespaces(7)).

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::stat::fstatat;
use std::os::fd::AsFd;

/// That of a process, `PID`, or of one of its threads, `PID/task/TID`. EACCES without the right to look into it
/// (PTRACE_MODE_READ, ptrace(2)), ENOENT when it has ended.
pub fn ipc(of: &str) -> nix::Result<u64> {
    inode(AT_FDCWD, &format!("/proc/{of}/ns/ipc"))
}

/// The PID namespace of the same.
pub fn pid(of: &str) -> nix::Result<u64> {
    inode(AT_FDCWD, &format!("/proc/{of}/ns/pid"))
}

/// That of the thread that asks: one thread of a process may have entered another.
pub fn ours() -> nix::Result<u64> {
    inode(AT_FDCWD, "/proc/thread-self/ns/ipc")
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
        assert_eq!((ipc(&me.to_string()), of(directory(me).unwrap())), (ours(), ours()));
        assert_eq!(ipc("2147483647"), Err(nix::errno::Errno::ENOENT));
    }
}
