//! Pages of a file that are in memory and stay there: mmap(2) with MAP_POPULATE, and mlock(2). What the kernel
//! copies into them needs no page to be fetched, so the copy cannot fail half-way.
#![allow(unsafe_code)]

use nix::errno::Errno;
use std::os::fd::{AsFd, AsRawFd as _};
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// The pages, shared with whoever else maps the file.
#[derive(Debug)]
pub struct Locked {
    start: *mut u8,
    length: usize,
}

impl Locked {
    /// Maps the first `length` bytes of a file, which must have them. EPERM, ENOMEM or EAGAIN if they are more than
    /// RLIMIT_MEMLOCK lets this process keep in memory.
    pub fn map(file: impl AsFd, length: usize) -> nix::Result<Locked> {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_POPULATE);
        // SAFETY: with a null address the kernel chooses a range that nothing else uses.
        let start = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, file.as_fd().as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let pages = Locked { start: start.cast(), length };
        // SAFETY: the range is the mapping.
        Errno::result(unsafe { libc::mlock(start, length) })?;
        Ok(pages)
    }

    fn within(&self, at: usize, length: usize) -> *mut u8 {
        assert!(at <= self.length && length <= self.length - at, "outside the pages");
        // SAFETY: the assertion keeps the result inside the mapping or at its end.
        unsafe { self.start.add(at) }
    }

    /// Eight bytes, which change in one step.
    pub fn word(&self, at: usize) -> &AtomicU64 {
        assert!(at.is_multiple_of(align_of::<AtomicU64>()));
        // SAFETY: they lie inside the mapping, are aligned since that begins with a page, and live as long as it.
        unsafe { &*self.within(at, size_of::<u64>()).cast() }
    }

    /// Four bytes, which change in one step.
    pub fn half(&self, at: usize) -> &AtomicU32 {
        assert!(at.is_multiple_of(align_of::<AtomicU32>()));
        // SAFETY: as in `word`.
        unsafe { &*self.within(at, size_of::<u32>()).cast() }
    }

    /// Bytes that nobody changes: whoever maps the file for other than to read them must be kept away, by a lock.
    pub fn bytes(&self, at: usize, length: usize) -> &[u8] {
        // SAFETY: they lie inside the mapping and live as long as it; see above for the rest.
        unsafe { std::slice::from_raw_parts(self.within(at, length), length) }
    }

    /// The same, to change them.
    pub fn bytes_mut(&mut self, at: usize, length: usize) -> &mut [u8] {
        // SAFETY: as in `bytes`, and we are borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.within(at, length), length) }
    }

    /// Where the kernel may write `length` bytes.
    pub fn place(&mut self, at: usize, length: usize) -> *mut u8 {
        self.within(at, length)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and nothing borrows from it any more.
        unsafe { libc::munmap(self.start.cast(), self.length) };
    }
}
