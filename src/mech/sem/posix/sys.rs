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

/// What those who wait for one have, as in the C library, and what a post wakes.
const ANY: u32 = u32::MAX;
/// The last bit is for all who wait for so many or more.
const MANY: u64 = 31;

/// The bits with which to wait for so many: those of all values that are enough.
fn waits_for(amount: u64) -> u32 {
    if amount <= 1 { ANY } else { ANY << amount.min(MANY) }
}

/// The bit of those for whom so many are enough, so that nobody wakes another who must go on waiting, and that one him.
fn content_with(value: u64) -> u32 {
    1 << value.min(MANY - 1)
}

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
            self.wake(ANY);
        }
        Ok(())
    }

    /// Takes so many at once; EAGAIN if there are less.
    pub(super) fn try_wait(&self, amount: u16) -> nix::Result<()> {
        let amount = u64::from(amount);
        let less = |data: u64| (data & VALUE >= amount).then(|| data - amount);
        self.data().fetch_update(Acquire, Relaxed, less).map(drop).map_err(|_| Errno::EAGAIN)
    }

    /// Waits until there are so many and takes them at once; with `left`, no longer than that.
    pub(super) fn wait(&self, amount: u16, left: Option<Duration>) -> nix::Result<()> {
        if self.try_wait(amount).is_ok() {
            return Ok(());
        }
        let amount = u64::from(amount);
        let until = match left {
            Some(left) => Some(Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?).saturating_add(left)),
            None => None,
        };
        self.data().fetch_add(WAITER, Relaxed);
        loop {
            // Who takes them stops waiting in the same step.
            let less = |data: u64| (data & VALUE >= amount).then(|| data - amount - WAITER);
            let Err(data) = self.data().fetch_update(Acquire, Relaxed, less) else { return Ok(()) };
            let value = data & VALUE;
            if value > 0 {
                // The post that woke us is too little for us, and may be enough for somebody else.
                self.wake(content_with(value));
            }
            match self.sleep(u32::try_from(value).unwrap_or(0), waits_for(amount), until) {
                // It is no longer the same, or somebody woke us.
                Ok(()) | Err(Errno::EAGAIN) => {}
                Err(errno) => {
                    self.data().fetch_sub(WAITER, Relaxed);
                    return Err(errno);
                }
            }
        }
    }

    /// Wakes one of those who wait with any of these bits.
    fn wake(&self, bits: u32) {
        let (call, none) = (libc::FUTEX_WAKE_BITSET, ptr::null::<u32>());
        // SAFETY: the address is that of four mapped bytes; the two pointers are not used.
        unsafe { libc::syscall(libc::SYS_futex, self.value_at(), call, 1, none, none, bits) };
    }

    /// Sleeps while the value is this one, until it is posted or, by CLOCK_MONOTONIC, this moment has come.
    fn sleep(&self, value: u32, bits: u32, until: Option<Duration>) -> nix::Result<()> {
        let until = until.map(crate::sys::waiter::timespec);
        let until = until.as_ref().map_or(ptr::null(), ptr::from_ref);
        // As glibc does it, so that whoever looks at us knows what we wait for: without an end by the other clock.
        let clock = if until.is_null() { libc::FUTEX_CLOCK_REALTIME } else { 0 };
        let call = libc::FUTEX_WAIT_BITSET | clock;
        // SAFETY: the address is that of four mapped bytes, and the time outlives the call.
        let slept =
            unsafe { libc::syscall(libc::SYS_futex, self.value_at(), call, value, until, ptr::null::<u32>(), bits) };
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
