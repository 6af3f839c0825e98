//! What an open descriptor is.

use crate::model::Text;
use nix::sys::stat::{SFlag, fstat, major, minor};
use std::fs::read_link;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

/// A descriptor, as far as the kernel says what it is.
pub struct Described {
    /// file, directory, fifo, socket, device or other.
    pub kind: &'static str,
    /// What /proc calls it; a label that may be forged, unlike device and inode.
    pub name: Text,
    pub inode: u64,
    device: u64,
}

impl Described {
    /// The device that the file is on: MAJOR:MINOR.
    pub fn device(&self) -> String {
        format!("{}:{}", major(self.device), minor(self.device))
    }

    /// Device and inode: MAJOR:MINOR:INODE.
    pub fn place(&self) -> String {
        format!("{}:{}", self.device(), self.inode)
    }
}

pub fn described(fd: &OwnedFd) -> Described {
    let link = read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    let name = link.map_or_else(|_| Text::from("?"), |name| Text::from(name.as_os_str().as_bytes()));
    let stat = fstat(fd).ok();
    let kind = stat.map(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT);
    let kind = match kind {
        Some(SFlag::S_IFREG) => "file",
        Some(SFlag::S_IFDIR) => "directory",
        Some(SFlag::S_IFIFO) => "fifo",
        Some(SFlag::S_IFSOCK) => "socket",
        Some(SFlag::S_IFCHR | SFlag::S_IFBLK) => "device",
        _ => "other",
    };
    let (device, inode) = stat.map_or((0, 0), |stat| (stat.st_dev, stat.st_ino));
    Described { kind, name, inode, device }
}
