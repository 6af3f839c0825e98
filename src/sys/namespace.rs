//! Namespaces by descriptor: setns(2), ioctl_nsfs(2).
#![allow(unsafe_code)]

use nix::errno::Errno;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};

/// Moves the calling thread, and no other, into the IPC namespace of a descriptor. Threads that it makes
/// from then on are born there.
///
/// EPERM without CAP_SYS_ADMIN in the user namespace that owns it and in our own; EINVAL where the
/// descriptor is none of an IPC namespace.
pub fn enter_ipc(namespace: impl AsFd) -> nix::Result<()> {
    // SAFETY: setns takes two numbers, and the descriptor is open.
    Errno::result(unsafe { libc::setns(namespace.as_fd().as_raw_fd(), libc::CLONE_NEWIPC) }).map(drop)
}

/// The user who made the user namespace that owns a namespace. EPERM where that is neither ours nor below it.
pub fn owner(namespace: impl AsFd) -> nix::Result<u32> {
    const NS_GET_USERNS: libc::Ioctl = 0xb701;
    const NS_GET_OWNER_UID: libc::Ioctl = 0xb704;
    // SAFETY: this request takes no argument and gives a new descriptor, which belongs to nobody else.
    let users =
        unsafe { OwnedFd::from_raw_fd(Errno::result(libc::ioctl(namespace.as_fd().as_raw_fd(), NS_GET_USERNS))?) };
    let mut uid: libc::uid_t = 0;
    // SAFETY: the request writes one uid_t, which outlives the call.
    Errno::result(unsafe { libc::ioctl(users.as_raw_fd(), NS_GET_OWNER_UID, &raw mut uid) })?;
    Ok(uid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn our_own_namespace_has_an_owner_and_a_file_is_no_namespace() {
        let ours = File::open("/proc/self/ns/ipc").unwrap();
        // In a container the owner may be above our user namespace.
        assert!(matches!(owner(&ours), Ok(_) | Err(Errno::EPERM)));
        assert!(owner(File::open("/proc/self/status").unwrap()).is_err());
        assert_eq!(enter_ipc(File::open("/proc/self/status").unwrap()), Err(Errno::EINVAL));
    }
}
