//! shmget(2), shmat(2), shmctl(2) and mappings of files.
#![allow(unsafe_code)]

use crate::mech::sysv;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::ptr;

/// IPC_STAT by index and without permission, Linux 4.17 (include/uapi/linux/shm.h).
const SHM_STAT_ANY: libc::c_int = 15;
const SHM_INFO: libc::c_int = 14;
const IPC_INFO: libc::c_int = 3;

pub(super) fn get(key: i32, size: usize, flags: i32) -> nix::Result<i32> {
    // SAFETY: shmget takes three numbers.
    Errno::result(unsafe { libc::shmget(key, size, flags) })
}

fn ctl(id: i32, command: libc::c_int, segment: &mut libc::shmid_ds) -> nix::Result<i32> {
    // SAFETY: `segment` is a whole shmid_ds, which every command used here reads or fills.
    Errno::result(unsafe { libc::shmctl(id, command, segment) })
}

/// The state of a segment by identifier, without needing permission where the kernel can do that.
pub(super) fn stat(id: i32) -> nix::Result<libc::shmid_ds> {
    // SAFETY: all bytes zero is a valid shmid_ds.
    let mut segment: libc::shmid_ds = unsafe { MaybeUninit::zeroed().assume_init() };
    for index in sysv::indices(id) {
        if ctl(index, SHM_STAT_ANY, &mut segment) == Ok(id) {
            return Ok(segment);
        }
    }
    ctl(id, libc::IPC_STAT, &mut segment).map(|_| segment)
}

pub(super) fn set(id: i32, segment: &mut libc::shmid_ds) -> nix::Result<()> {
    ctl(id, libc::IPC_SET, segment).map(drop)
}

/// IPC_RMID, SHM_LOCK or SHM_UNLOCK.
pub(super) fn command(id: i32, command: libc::c_int) -> nix::Result<()> {
    // SAFETY: these commands ignore the last argument (shmctl(2)).
    Errno::result(unsafe { libc::shmctl(id, command, ptr::null_mut()) }).map(drop)
}

/// Segments and pages in this namespace: struct shm_info.
pub(super) fn info() -> nix::Result<(u64, u64)> {
    #[repr(C)]
    #[derive(Default)]
    struct ShmInfo {
        used_ids: libc::c_int,
        total: libc::c_ulong,
        resident: libc::c_ulong,
        swapped: libc::c_ulong,
        swap_attempts: libc::c_ulong,
        swap_successes: libc::c_ulong,
    }
    let mut info = ShmInfo::default();
    // SAFETY: SHM_INFO fills a struct shm_info (include/uapi/linux/shm.h), whose layout this is; libc
    // declares the parameter as shmid_ds for all commands.
    Errno::result(unsafe { libc::shmctl(0, SHM_INFO, (&raw mut info).cast()) })?;
    Ok((u64::try_from(info.used_ids).unwrap_or(0), info.total))
}

/// What bounds the segments of this namespace.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub shmmax: u64,
    pub shmmni: u64,
    pub shmall: u64,
}

pub(super) fn bounds() -> nix::Result<Bounds> {
    // struct shminfo64 is nine longs (include/uapi/asm-generic/shmbuf.h).
    let mut info: [libc::c_ulong; 9] = [0; 9];
    // SAFETY: IPC_INFO fills a struct shminfo64, which `info` is as large as; libc declares the parameter as
    // shmid_ds for all commands.
    Errno::result(unsafe { libc::shmctl(0, IPC_INFO, info.as_mut_ptr().cast()) })?;
    let [shmmax, _, shmmni, _, shmall, ..] = info;
    Ok(Bounds { shmmax, shmmni, shmall })
}

/// How much is moved and made present at once.
const STEP: usize = 1 << 20;

/// Memory that other processes write to while we look: never a slice, always raw copies.
pub(super) struct Memory {
    start: *mut u8,
    length: usize,
    kind: Mapping,
    /// Up to where the pages were made present.
    present: usize,
}

enum Mapping {
    Attached,
    Mapped,
}

impl Memory {
    /// Attaches a System V segment of `length` bytes.
    pub(super) fn attach(id: i32, length: usize, read_only: bool) -> nix::Result<Memory> {
        let flags = if read_only { libc::SHM_RDONLY } else { 0 };
        // SAFETY: with a null address the kernel chooses a range that nothing else uses.
        let start = unsafe { libc::shmat(id, ptr::null(), flags) };
        if start.addr() == usize::MAX {
            return Err(Errno::last());
        }
        Ok(Memory { start: start.cast(), length, kind: Mapping::Attached, present: 0 })
    }

    /// Maps `length` bytes of a file.
    pub(super) fn map(fd: BorrowedFd<'_>, length: usize, read_only: bool) -> nix::Result<Memory> {
        let protection = if read_only { libc::PROT_READ } else { libc::PROT_READ | libc::PROT_WRITE };
        // SAFETY: with a null address the kernel chooses a range that nothing else uses.
        let start = unsafe { libc::mmap(ptr::null_mut(), length, protection, libc::MAP_SHARED, fd.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        Ok(Memory { start: start.cast(), length, kind: Mapping::Mapped, present: 0 })
    }

    pub(super) fn address(&self) -> usize {
        self.start.addr()
    }

    fn within(&self, offset: usize, length: usize) -> *mut u8 {
        assert!(offset <= self.length && length <= self.length - offset, "outside the region");
        // SAFETY: the assertion keeps the result inside the mapping or at its end.
        unsafe { self.start.add(offset) }
    }

    pub(super) fn copy_out(&self, offset: usize, into: &mut [u8]) {
        let from = self.within(offset, into.len());
        // SAFETY: both ranges are valid for `into.len()` bytes and do not overlap; a value that
        // another process changes meanwhile is a plain byte whatever it is.
        unsafe { ptr::copy_nonoverlapping(from, into.as_mut_ptr(), into.len()) };
    }

    pub(super) fn copy_in(&self, offset: usize, from: &[u8]) {
        let to = self.within(offset, from.len());
        // SAFETY: as for `copy_out`; the caller has attached it for writing.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), to, from.len()) };
    }

    /// write(2) straight from the region. EFAULT where a mapped file has been truncated.
    pub(super) fn write_to(&mut self, offset: usize, length: usize, to: BorrowedFd<'_>) -> nix::Result<usize> {
        let length = length.min(STEP);
        self.populate(offset, length, libc::MADV_POPULATE_READ);
        let from = self.within(offset, length);
        // SAFETY: the range lies inside the mapping; the kernel copies it.
        Errno::result(unsafe { libc::write(to.as_raw_fd(), from.cast(), length) }).map(isize::unsigned_abs)
    }

    /// read(2) straight into the region.
    pub(super) fn read_from(&mut self, offset: usize, length: usize, from: BorrowedFd<'_>) -> nix::Result<usize> {
        let length = length.min(STEP);
        self.populate(offset, length, libc::MADV_POPULATE_WRITE);
        let to = self.within(offset, length);
        // SAFETY: the range lies inside a mapping that was attached for writing; the kernel copies.
        Errno::result(unsafe { libc::read(from.as_raw_fd(), to.cast(), length) }).map(isize::unsigned_abs)
    }

    /// Makes pages present a step at a time instead of by a fault each, where the kernel knows how
    /// (Linux 5.14). Regions are gone through from one end to the other.
    fn populate(&mut self, offset: usize, length: usize, advice: libc::c_int) {
        if offset + length <= self.present {
            return;
        }
        let start = offset.max(self.present) / page() * page();
        let end = (start + STEP).min(self.length).next_multiple_of(page());
        // SAFETY: the range is part of the mapping, rounded to whole pages of it; the advice changes
        // no contents.
        unsafe { libc::madvise(self.start.add(start).cast(), end - start, advice) };
        self.present = end;
    }

    /// The file behind the mapping, by proc_pid_map_files(5): EPERM without CAP_CHECKPOINT_RESTORE.
    pub(super) fn file(&self, read_only: bool) -> nix::Result<OwnedFd> {
        let (start, end) = (self.start.addr(), self.start.addr() + self.length.next_multiple_of(page()));
        let path = format!("/proc/self/map_files/{start:x}-{end:x}");
        let access = if read_only { OFlag::O_RDONLY } else { OFlag::O_RDWR };
        open(path.as_str(), access | OFlag::O_CLOEXEC, Mode::empty())
    }
}

fn page() -> usize {
    usize::try_from(procfs::page_size()).unwrap_or(4096)
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing points into it any more.
        unsafe {
            match self.kind {
                Mapping::Attached => libc::shmdt(self.start.cast()),
                Mapping::Mapped => libc::munmap(self.start.cast(), self.length),
            };
        }
    }
}
