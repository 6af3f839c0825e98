//! Namespaces: new ones, unshare(2), and those behind a descriptor, setns(2) and ioctl_nsfs(2).
#![allow(unsafe_code)]

use super::file::errno;
use nix::errno::Errno;
use std::ffi::CStr;
use std::fs;
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

/// What `isolate` has done.
#[derive(Clone, Copy, Debug)]
pub struct Isolated {
    /// Whether it took a user namespace, in which we are the same user and nobody else is known.
    pub users: bool,
    /// Why /dev/shm is not a new one, if it is not.
    pub shm: nix::Result<()>,
}

/// Moves the process, which must have a single thread, into a new IPC namespace with a /dev/shm and a
/// /dev/mqueue of its own. An ordinary user gets a user namespace as well, where those are permitted.
///
/// EPERM or ENOSPC where they are not, or where there are too many (user_namespaces(7)); EINVAL on a kernel
/// without IPC namespaces.
pub fn isolate() -> nix::Result<Isolated> {
    let own = libc::CLONE_NEWIPC | libc::CLONE_NEWNS;
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let users = match unshare(own) {
        Err(Errno::EPERM) => {
            unshare(own | libc::CLONE_NEWUSER)?;
            // A group can be mapped only by one who has given up to change the list of his groups.
            let maps = [
                ("setgroups", "deny".to_owned()),
                ("uid_map", format!("{uid} {uid} 1")),
                ("gid_map", format!("{gid} {gid} 1")),
            ];
            for (file, content) in maps {
                fs::write(format!("/proc/self/{file}"), content).map_err(|error| errno(&error))?;
            }
            true
        }
        result => result.map(|()| false)?,
    };
    // What is mounted from now on must not be seen outside, in the namespace that this one is a copy of.
    mount(c"/", None, libc::MS_REC | libc::MS_SLAVE)?;
    let plain = libc::MS_NOSUID | libc::MS_NODEV;
    let shm = mount(c"/dev/shm", Some((c"tmpfs", c"mode=1777")), plain);
    // The queues are new ones in any case; this is where they can be looked at.
    let _ = mount(c"/dev/mqueue", Some((c"mqueue", c"")), plain | libc::MS_NOEXEC);
    Ok(Isolated { users, shm })
}

fn unshare(flags: libc::c_int) -> nix::Result<()> {
    // SAFETY: unshare takes a number.
    Errno::result(unsafe { libc::unshare(flags) }).map(drop)
}

/// Mounts a new file system of this type and with these options, or changes how a mount spreads.
fn mount(target: &CStr, new: Option<(&CStr, &CStr)>, flags: libc::c_ulong) -> nix::Result<()> {
    let (kind, options) =
        new.map_or((std::ptr::null(), std::ptr::null()), |(kind, options)| (kind.as_ptr(), options.as_ptr()));
    // SAFETY: the strings end with NUL and outlive the call; where there is no new file system, the kernel reads
    // neither its type nor its options.
    Errno::result(unsafe { libc::mount(c"ipcx".as_ptr(), target.as_ptr(), kind, flags, options.cast()) }).map(drop)
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
