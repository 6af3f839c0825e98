//! PROCMAP_QUERY: the mappings of a process one at a time, as records instead of text, and only those of
//! files that are shared. Linux 6.11; struct procmap_query in include/uapi/linux/fs.h, do_procmap_query in
//! fs/proc/task_mmu.c.
#![allow(unsafe_code)]

use nix::errno::Errno;
use std::os::fd::{AsFd, AsRawFd as _};

/// The longest name that the kernel gives, with the NUL at its end: PATH_MAX.
pub const LONGEST_NAME: usize = 4096;

/// A mapping of a file whose writes others see: MAP_SHARED, or an attached segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vma {
    pub start: u64,
    pub end: u64,
    /// Where in the file it begins.
    pub offset: u64,
    /// The device of the file's superblock. On btrfs and overlayfs stat(2) shows another one.
    pub dev: u64,
    pub ino: u64,
    /// Whether it may be written to now.
    pub write: bool,
}

impl Vma {
    /// Where in the file it ends.
    pub fn reach(&self) -> u64 {
        self.offset.saturating_add(self.end.saturating_sub(self.start))
    }
}

#[repr(C)]
#[derive(Default)]
struct Query {
    size: u64,
    flags: u64,
    address: u64,
    start: u64,
    end: u64,
    permissions: u64,
    page_size: u64,
    offset: u64,
    inode: u64,
    major: u32,
    minor: u32,
    name_size: u32,
    build_id_size: u32,
    name: u64,
    build_id: u64,
}

const WRITABLE: u64 = 0x02;
const SHARED: u64 = 0x08;
const COVERING_OR_NEXT: u64 = 0x10;
const FILE_BACKED: u64 = 0x20;

/// The first shared mapping of a file at or behind an address, by an open /proc/PID/maps; `None` behind the
/// last one. Its name, as /proc/PID/maps has it but not escaped, is written to `name`; to ask for none, which
/// is faster, that is empty. A name that does not fit is given as none.
///
/// ENOTTY before Linux 6.11, ESRCH when the process has ended or has no memory, as a kernel thread.
pub fn next(maps: impl AsFd, address: u64, name: &mut [u8]) -> nix::Result<Option<(Vma, &[u8])>> {
    let (found, length) = match query(&maps, address, name) {
        Err(Errno::ENAMETOOLONG) => query(&maps, address, &mut [])?,
        other => other?,
    }
    .unzip();
    let length = length.unwrap_or(0).min(name.len());
    Ok(found.map(|vma| (vma, &name[..length])))
}

fn query(maps: impl AsFd, address: u64, name: &mut [u8]) -> nix::Result<Option<(Vma, usize)>> {
    let mut query = Query {
        size: size_of::<Query>() as u64,
        flags: COVERING_OR_NEXT | FILE_BACKED | SHARED,
        address,
        ..Query::default()
    };
    if !name.is_empty() {
        query.name = name.as_mut_ptr().expose_provenance() as u64;
        query.name_size = u32::try_from(name.len()).unwrap_or(u32::MAX);
    }
    const PROCMAP_QUERY: libc::Ioctl = libc::_IOWR::<Query>(b'f' as u32, 17);
    // SAFETY: `query` has the layout of struct procmap_query and says its size. The kernel writes to it, and to
    // `name` no more bytes than it is long; both outlive the call.
    let asked = unsafe { libc::ioctl(maps.as_fd().as_raw_fd(), PROCMAP_QUERY, &raw mut query) };
    match Errno::result(asked) {
        Ok(_) => {}
        Err(Errno::ENOENT) => return Ok(None),
        Err(errno) => return Err(errno),
    }
    let vma = Vma {
        start: query.start,
        end: query.end,
        offset: query.offset,
        dev: libc::makedev(query.major, query.minor),
        ino: query.inode,
        write: query.permissions & WRITABLE != 0,
    };
    // Its length counts the NUL.
    Ok(Some((vma, (query.name_size as usize).saturating_sub(1))))
}

/// Whether two processes have one memory and not one each, as between vfork(2) and execve(2): kcmp(2). Not
/// known, and so no, without the right to look into both.
pub fn same_memory(first: i32, second: i32) -> bool {
    const KCMP_VM: libc::c_int = 1;
    // SAFETY: kcmp takes numbers; the last two mean nothing here.
    unsafe { libc::syscall(libc::SYS_kcmp, first, second, KCMP_VM, 0, 0) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_have_our_memory_and_our_parent_has_another() {
        let (me, parent) = (nix::unistd::getpid().as_raw(), nix::unistd::getppid().as_raw());
        assert!(same_memory(me, me));
        assert!(!same_memory(me, parent));
        assert!(!same_memory(me, i32::MAX));
    }
    use nix::sys::stat::fstat;
    use std::fs::File;
    use std::os::fd::{FromRawFd as _, OwnedFd};

    #[test]
    fn the_record_has_the_size_of_the_kernel_s() {
        assert_eq!(size_of::<Query>(), 104);
    }

    #[test]
    fn a_shared_mapping_is_found_and_a_private_one_is_not() {
        // SAFETY: the name ends with NUL, and the descriptor is nobody else's.
        let file = unsafe { OwnedFd::from_raw_fd(libc::memfd_create(c"ipcx test".as_ptr(), libc::MFD_CLOEXEC)) };
        nix::unistd::ftruncate(&file, 3 * 4096).unwrap();
        let map = |protection, flags, offset| {
            // SAFETY: with a null address the kernel chooses a range that nothing else uses.
            unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, file.as_raw_fd(), offset) }
        };
        let read = map(libc::PROT_READ, libc::MAP_SHARED, 8192);
        let write = map(libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, 0);
        let private = map(libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE, 4096);
        let maps = File::open("/proc/self/maps").unwrap();
        let mut name = [0; LONGEST_NAME];
        let (mut at, mut seen) = (0, Vec::new());
        loop {
            match next(&maps, at, &mut name) {
                Ok(Some((vma, name))) => {
                    at = vma.end;
                    seen.push((vma, name.to_vec()));
                }
                Ok(None) => break,
                // An older kernel.
                Err(errno) => return assert_eq!(errno, Errno::ENOTTY),
            }
        }
        let stat = fstat(&file).unwrap();
        let mut ours: Vec<_> =
            seen.iter().filter(|(vma, _)| vma.ino == stat.st_ino && vma.dev == stat.st_dev).collect();
        ours.sort_by_key(|(vma, _)| vma.offset);
        let facts: Vec<_> = ours.iter().map(|(vma, _)| (vma.start, vma.offset, vma.reach(), vma.write)).collect();
        assert_eq!(facts, [(write as u64, 0, 4096, true), (read as u64, 8192, 12288, false)]);
        assert!(ours.iter().all(|(_, name)| name == b"/memfd:ipcx test (deleted)"));
        // Without a name, and with one that does not fit.
        assert_eq!(next(&maps, ours[0].0.start, &mut []), Ok(Some((ours[0].0, &[][..]))));
        assert_eq!(next(&maps, ours[0].0.start, &mut [0; 4]), Ok(Some((ours[0].0, &[][..]))));
        for range in [read, write, private] {
            // SAFETY: the range is one of the three mappings, and nothing points into it.
            unsafe { libc::munmap(range, 4096) };
        }
    }
}
