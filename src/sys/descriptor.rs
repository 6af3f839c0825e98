//! What a descriptor is, told from where its inode lives: the kernel keeps pipes, sockets, anonymous
//! inodes and memory files on file systems of their own, whose device numbers differ from boot to boot.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::sys::stat::fstat;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::sync::LazyLock;

/// The device numbers of the kernel's own file systems; `None` where this kernel lacks one.
#[derive(Clone, Copy, Default, Debug)]
pub struct Devices {
    pub pipe: Option<u64>,
    pub socket: Option<u64>,
    /// Memory files, System V segments and shared anonymous mappings.
    pub memory: Option<u64>,
    /// eventfd, epoll, timers and others share it, and most of them one inode.
    pub anonymous: Option<u64>,
    /// The call that did not tell although the kernel has it, as where there are too many open files.
    pub failed: Option<(&'static str, Errno)>,
}

impl Devices {
    /// Asks the kernel by making one of each.
    pub fn learn() -> Devices {
        let mut failed = None;
        let mut told = |call, made: nix::Result<OwnedFd>| match made.and_then(|fd| device(&fd)) {
            Ok(device) => Some(device),
            Err(Errno::ENOSYS | Errno::EAFNOSUPPORT) => None,
            Err(errno) => {
                failed = Some((call, errno));
                None
            }
        };
        Devices {
            pipe: told("pipe", super::pipe::pair().map(|(read, _)| read)),
            // SAFETY: each call takes numbers or a string that ends with NUL and gives a new descriptor.
            socket: told("socket", unsafe {
                made(libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0))
            }),
            // SAFETY: as above.
            memory: told("memfd_create", unsafe { made(libc::memfd_create(c"ipcx".as_ptr(), libc::MFD_CLOEXEC)) }),
            // SAFETY: as above.
            anonymous: told("eventfd", unsafe { made(libc::eventfd(0, libc::EFD_CLOEXEC)) }),
            failed,
        }
    }
}

/// Where memory of huge pages lies, System V segments among it: the device for each size of page, which is
/// given in bytes. None on a kernel without them.
pub fn huge_memory() -> &'static [(u64, u64)] {
    static KNOWN: LazyLock<Vec<(u64, u64)>> = LazyLock::new(|| {
        let names = std::fs::read_dir("/sys/kernel/mm/hugepages").into_iter().flatten().flatten();
        // A directory for each size: hugepages-2048kB.
        let sizes = names.filter_map(|entry| {
            let kilobytes = entry.file_name().to_str()?.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
            u64::checked_mul(kilobytes, 1024)
        });
        let of_size = |size: u64| {
            let flags = libc::MFD_CLOEXEC | libc::MFD_HUGETLB | (size.checked_ilog2()? << libc::MFD_HUGE_SHIFT);
            // SAFETY: it takes a string that ends with NUL and a number, and gives a new descriptor.
            unsafe { made(libc::memfd_create(c"ipcx".as_ptr(), flags)) }.and_then(|fd| device(&fd)).ok()
        };
        sizes.filter_map(|size| Some((of_size(size)?, size))).collect()
    });
    &KNOWN
}

/// The descriptor that a call has just given.
///
/// # Safety
///
/// It belongs to nobody else.
unsafe fn made(fd: libc::c_int) -> nix::Result<OwnedFd> {
    // SAFETY: the caller says that the descriptor is ours alone.
    Errno::result(fd).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

fn device(fd: &OwnedFd) -> nix::Result<u64> {
    fstat(fd).map(|stat| stat.st_dev)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_descriptor_has_a_device_of_its_own() {
        let Devices { pipe, socket, memory, anonymous, failed } = Devices::learn();
        assert_eq!(failed, None);
        let mut all: Vec<u64> = [pipe, socket, memory, anonymous].into_iter().flatten().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 4);
    }
}
