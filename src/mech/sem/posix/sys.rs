//! The named semaphores of glibc, from any C library: what a program with another one calls by these names are other
//! files with another layout, and a static program must work with those of its machine all the same.
//!
//! struct new_sem of glibc 2.21 and later where there are 64-bit atomics (sysdeps/nptl/internaltypes.h): the value
//! in the lower half of a word, the number of those who wait in the upper one, both changed in one step
//! (nptl/sem_post.c, nptl/sem_waitcommon.c); who waits does so on the lower half, futex(2).
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::time::Duration;

/// How long the file is: a sem_t.
pub(super) const SIZE: usize = 32;
/// What marks one that processes share.
const SHARED: u32 = 0x80;
const SHARED_AT: usize = 8;

const VALUE: u64 = 0xffff_ffff;
const VALUE_MAX: u64 = 0x7fff_ffff;
const WAITER: u64 = 1 << 32;

/// What the file of a new semaphore holds.
pub(super) fn initial(value: u32) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    bytes[..8].copy_from_slice(&u64::from(value).to_ne_bytes());
    bytes[SHARED_AT..SHARED_AT + 4].copy_from_slice(&SHARED.to_ne_bytes());
    bytes
}

/// A named semaphore, mapped as sem_open(3) would, but only after its file was found to be one: the
/// C library maps an empty file as well, and dies of SIGBUS when it is used.
pub(super) struct Semaphore(*mut u8);

impl Semaphore {
    /// `fd` must be open for reading and writing and be as long as a semaphore.
    pub(super) fn map(fd: BorrowedFd<'_>) -> nix::Result<Semaphore> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: with a null address the kernel chooses a range that nothing else uses.
        let at = unsafe { libc::mmap(ptr::null_mut(), SIZE, protection, libc::MAP_SHARED, fd.as_raw_fd(), 0) };
        if at == libc::MAP_FAILED { Err(Errno::last()) } else { Ok(Semaphore(at.cast())) }
    }

    fn data(&self) -> &AtomicU64 {
        // SAFETY: the mapping begins with a page, is long enough, and lives as long as we; everybody who maps it
        // changes this word by atomic instructions only.
        unsafe { &*self.0.cast() }
    }

    /// The half that has the value, on which the kernel lets us wait.
    fn value_at(&self) -> *mut u8 {
        let offset = if cfg!(target_endian = "big") { 4 } else { 0 };
        // SAFETY: it lies inside the mapping.
        unsafe { self.0.add(offset) }
    }

    /// EOVERFLOW beyond SEM_VALUE_MAX.
    pub(super) fn post(&self) -> nix::Result<()> {
        let more = |data: u64| (data & VALUE < VALUE_MAX).then_some(data + 1);
        let before = self.data().fetch_update(AcqRel, Relaxed, more).map_err(|_| Errno::EOVERFLOW)?;
        if before >= WAITER {
            // SAFETY: the address is that of four mapped bytes.
            unsafe { libc::syscall(libc::SYS_futex, self.value_at(), libc::FUTEX_WAKE, 1) };
        }
        Ok(())
    }

    /// EAGAIN if the value is zero.
    pub(super) fn try_wait(&self) -> nix::Result<()> {
        let less = |data: u64| (data & VALUE > 0).then(|| data - 1);
        self.data().fetch_update(Acquire, Relaxed, less).map(drop).map_err(|_| Errno::EAGAIN)
    }

    /// Waits; with `left`, no longer than that.
    pub(super) fn wait(&self, left: Option<Duration>) -> nix::Result<()> {
        if self.try_wait().is_ok() {
            return Ok(());
        }
        let until = match left {
            Some(left) => Some(Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?).saturating_add(left)),
            None => None,
        };
        self.data().fetch_add(WAITER, Relaxed);
        loop {
            // Who takes one stops waiting in the same step.
            let less = |data: u64| (data & VALUE > 0).then(|| data - 1 - WAITER);
            if self.data().fetch_update(Acquire, Relaxed, less).is_ok() {
                return Ok(());
            }
            match self.sleep(until) {
                // It is no longer zero, or somebody woke us.
                Ok(()) | Err(Errno::EAGAIN) => {}
                Err(errno) => {
                    self.data().fetch_sub(WAITER, Relaxed);
                    return Err(errno);
                }
            }
        }
    }

    /// Sleeps while the value is zero, until it is posted or, by CLOCK_MONOTONIC, this moment has come.
    fn sleep(&self, until: Option<Duration>) -> nix::Result<()> {
        let until = until.map(crate::sys::waiter::timespec);
        let until = until.as_ref().map_or(ptr::null(), ptr::from_ref);
        // As glibc does it, so that whoever looks at us knows what we wait for: without an end by the other clock.
        let clock = if until.is_null() { libc::FUTEX_CLOCK_REALTIME } else { 0 };
        let (call, anybody) = (libc::FUTEX_WAIT_BITSET | clock, libc::FUTEX_BITSET_MATCH_ANY);
        // SAFETY: the address is that of four mapped bytes, and the time outlives the call.
        let slept =
            unsafe { libc::syscall(libc::SYS_futex, self.value_at(), call, 0, until, ptr::null::<u32>(), anybody) };
        Errno::result(slept).map(drop)
    }

    pub(super) fn value(&self) -> u32 {
        u32::try_from(self.data().load(Relaxed) & VALUE_MAX).unwrap_or(0)
    }
}

impl Drop for Semaphore {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and of this length.
        unsafe { libc::munmap(self.0.cast(), SIZE) };
    }
}
