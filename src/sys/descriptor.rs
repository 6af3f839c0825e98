//! What a descriptor is, told from where its inode lives: the kernel keeps pipes, sockets, anonymous
//! inodes and memory files on file systems of their own, whose device numbers differ from boot to boot.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::sys::stat::fstat;
use std::os::fd::{FromRawFd as _, OwnedFd};

/// The device numbers of the kernel's own file systems; `None` where this kernel lacks one.
#[derive(Clone, Copy, Default, Debug)]
pub struct Devices {
    pub pipe: Option<u64>,
    pub socket: Option<u64>,
    /// Memory files, System V segments and shared anonymous mappings.
    pub memory: Option<u64>,
    /// eventfd, epoll, timers and others share it, and most of them one inode.
    pub anonymous: Option<u64>,
}

impl Devices {
    /// Asks the kernel by making one of each.
    pub fn learn() -> Devices {
        Devices {
            pipe: nix::unistd::pipe().ok().and_then(|(read, _)| device(&read)),
            // SAFETY: each call takes numbers or a string that ends with NUL and gives a new descriptor.
            socket: unsafe { made(libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0)) },
            // SAFETY: as above.
            memory: unsafe { made(libc::memfd_create(c"ipcx".as_ptr(), libc::MFD_CLOEXEC)) },
            // SAFETY: as above.
            anonymous: unsafe { made(libc::eventfd(0, libc::EFD_CLOEXEC)) },
        }
    }
}

/// The device of a descriptor that a call has just given.
///
/// # Safety
/// `fd` is negative or a descriptor that belongs to nobody else.
unsafe fn made(fd: libc::c_int) -> Option<u64> {
    let fd = Errno::result(fd).ok()?;
    // SAFETY: the caller says that the descriptor is ours alone.
    device(&unsafe { OwnedFd::from_raw_fd(fd) })
}

fn device(fd: &OwnedFd) -> Option<u64> {
    fstat(fd).ok().map(|stat| stat.st_dev)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_descriptor_has_a_device_of_its_own() {
        let Devices { pipe, socket, memory, anonymous } = Devices::learn();
        let mut all: Vec<u64> = [pipe, socket, memory, anonymous].into_iter().flatten().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 4);
    }
}
