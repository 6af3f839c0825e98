//! semget(2), semop(2), semctl(2) and the semaphores of sem_overview(7).
#![allow(unsafe_code)]

use crate::mech::{Op, sysv};
use nix::errno::Errno;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr;
use std::time::Duration;

/// IPC_STAT by index and without permission, Linux 4.17 (include/uapi/linux/sem.h).
const SEM_STAT_ANY: libc::c_int = 20;
const SEM_INFO: libc::c_int = 19;

pub(super) fn get(key: i32, count: u16, flags: i32) -> nix::Result<i32> {
    // SAFETY: semget takes three numbers.
    Errno::result(unsafe { libc::semget(key, count.into(), flags) })
}

fn ctl(id: i32, command: libc::c_int, set: &mut libc::semid_ds) -> nix::Result<i32> {
    // SAFETY: `set` is a whole semid_ds, which every command used here reads or fills; the fourth
    // argument of semctl is a union whose widest members are pointers.
    Errno::result(unsafe { libc::semctl(id, 0, command, ptr::from_mut(set)) })
}

/// The state of a set by identifier, without needing permission where the kernel can do that.
pub(super) fn stat(id: i32) -> nix::Result<libc::semid_ds> {
    // SAFETY: all bytes zero is a valid semid_ds.
    let mut set: libc::semid_ds = unsafe { MaybeUninit::zeroed().assume_init() };
    for index in sysv::indices(id) {
        if ctl(index, SEM_STAT_ANY, &mut set) == Ok(id) {
            return Ok(set);
        }
    }
    ctl(id, libc::IPC_STAT, &mut set).map(|_| set)
}

pub(super) fn set(id: i32, set: &mut libc::semid_ds) -> nix::Result<()> {
    ctl(id, libc::IPC_SET, set).map(drop)
}

pub(super) fn remove(id: i32) -> nix::Result<()> {
    // SAFETY: IPC_RMID has no fourth argument (semctl(2)).
    Errno::result(unsafe { libc::semctl(id, 0, libc::IPC_RMID) }).map(drop)
}

/// GETVAL, GETPID, GETNCNT or GETZCNT of one semaphore.
pub(super) fn one(id: i32, index: u16, command: libc::c_int) -> nix::Result<u32> {
    // SAFETY: these commands have no fourth argument.
    let value = Errno::result(unsafe { libc::semctl(id, index.into(), command) })?;
    Ok(value.unsigned_abs())
}

pub(super) fn set_one(id: i32, index: u16, value: u16) -> nix::Result<()> {
    // SAFETY: SETVAL takes an int as its fourth argument.
    Errno::result(unsafe { libc::semctl(id, index.into(), libc::SETVAL, libc::c_int::from(value)) }).map(drop)
}

/// The values of all `count` semaphores of a set.
pub(super) fn all(id: i32, count: u16) -> nix::Result<Vec<u16>> {
    let mut values = vec![0u16; count.into()];
    // SAFETY: GETALL writes one u16 for each semaphore; the caller has just read how many there are,
    // and the number of a set never changes.
    Errno::result(unsafe { libc::semctl(id, 0, libc::GETALL, values.as_mut_ptr()) })?;
    Ok(values)
}

pub(super) fn set_all(id: i32, values: &[u16]) -> nix::Result<()> {
    // SAFETY: SETALL reads one u16 for each semaphore; the caller gives as many as the set has.
    Errno::result(unsafe { libc::semctl(id, 0, libc::SETALL, values.as_ptr()) }).map(drop)
}

/// semtimedop(2).
pub(super) fn operate(id: i32, ops: &[Op], nowait: bool, left: Option<Duration>) -> nix::Result<()> {
    let flag = |on: bool, flag: i32| if on { flag } else { 0 };
    let mut array: Vec<libc::sembuf> = ops
        .iter()
        .map(|op| libc::sembuf {
            sem_num: op.index,
            sem_op: op.amount,
            // The flags fit into 16 bits: SEM_UNDO is 0x1000, IPC_NOWAIT 0x800.
            #[allow(clippy::cast_possible_truncation)]
            sem_flg: (flag(op.undo, libc::SEM_UNDO) | flag(op.nowait || nowait, libc::IPC_NOWAIT)) as i16,
        })
        .collect();
    let left = left.map(crate::sys::waiter::timespec);
    let left = left.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: `array` holds as many operations as we say, and it and the time outlive the call.
    Errno::result(unsafe { semtimedop(id, array.as_mut_ptr(), array.len(), left) }).map(drop)
}

/// The sets and semaphores in this namespace, and what bounds them.
#[derive(Clone, Copy)]
pub(super) struct Info {
    pub sets: u64,
    pub semaphores: u64,
    /// The numbers of kernel.sem, by their names in the man pages.
    pub semmsl: u64,
    pub semmns: u64,
    pub semopm: u64,
    pub semmni: u64,
}

pub(super) fn info() -> nix::Result<Info> {
    // struct seminfo is ten ints (include/uapi/linux/sem.h); SEM_INFO puts the sets in use into
    // semusz and the semaphores into semaem.
    let mut info = [0i32; 10];
    // SAFETY: SEM_INFO fills a struct seminfo, which `info` is as large as.
    Errno::result(unsafe { libc::semctl(0, 0, SEM_INFO, info.as_mut_ptr()) })?;
    let [_, semmni, semmns, _, semmsl, semopm, _, sets, _, semaphores] = info.map(|n| u64::try_from(n).unwrap_or(0));
    Ok(Info { sets, semaphores, semmsl, semmns, semopm, semmni })
}

/// What the file of a new named semaphore holds, which is what sem_init(3) makes of one that processes share.
pub(super) fn initial(value: u32) -> nix::Result<[u8; SIZE]> {
    let mut semaphore = MaybeUninit::<libc::sem_t>::zeroed();
    // SAFETY: the call fills the semaphore, whose bytes were all initialised before.
    unsafe {
        Errno::result(libc::sem_init(semaphore.as_mut_ptr(), 1, value))?;
        Ok(semaphore.as_ptr().cast::<[u8; SIZE]>().read())
    }
}

unsafe extern "C" {
    /// Both C libraries have it; the libc crate does not declare it.
    fn semtimedop(
        id: libc::c_int,
        ops: *mut libc::sembuf,
        count: libc::size_t,
        left: *const libc::timespec,
    ) -> libc::c_int;
}

#[cfg(target_env = "gnu")]
unsafe extern "C" {
    /// glibc 2.30: sem_timedwait(3) on a clock of choice.
    fn sem_clockwait(semaphore: *mut libc::sem_t, clock: libc::clockid_t, until: *const libc::timespec) -> libc::c_int;
}

/// A named semaphore, mapped as sem_open(3) would, but only after its file was found to be one: the
/// C library maps an empty file as well, and dies of SIGBUS when it is used.
pub(super) struct Semaphore(*mut libc::sem_t);

impl Semaphore {
    /// `fd` must be open for reading and writing and be as long as a sem_t.
    pub(super) fn map(fd: BorrowedFd<'_>) -> nix::Result<Semaphore> {
        // SAFETY: with a null address the kernel chooses a range that nothing else uses.
        let at = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size_of::<libc::sem_t>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        Ok(Semaphore(at.cast()))
    }

    pub(super) fn post(&self) -> nix::Result<()> {
        // SAFETY: the pointer is a mapped semaphore of this C library's layout, here and below.
        Errno::result(unsafe { libc::sem_post(self.0) }).map(drop)
    }

    pub(super) fn try_wait(&self) -> nix::Result<()> {
        // SAFETY: as above.
        Errno::result(unsafe { libc::sem_trywait(self.0) }).map(drop)
    }

    /// Waits; with `left`, no longer than that.
    pub(super) fn wait(&self, left: Option<Duration>) -> nix::Result<()> {
        let Some(left) = left else {
            // SAFETY: as above.
            return Errno::result(unsafe { libc::sem_wait(self.0) }).map(drop);
        };
        #[cfg(target_env = "gnu")]
        let clock = libc::CLOCK_MONOTONIC;
        #[cfg(not(target_env = "gnu"))]
        let clock = libc::CLOCK_REALTIME;
        let now = nix::time::clock_gettime(nix::time::ClockId::from_raw(clock))?;
        let until = Duration::from(now).saturating_add(left);
        let until = crate::sys::waiter::timespec(until);
        // SAFETY: as above, and `until` outlives the call.
        #[cfg(target_env = "gnu")]
        let result = unsafe { sem_clockwait(self.0, clock, &until) };
        // SAFETY: as above.
        #[cfg(not(target_env = "gnu"))]
        let result = unsafe { libc::sem_timedwait(self.0, &until) };
        Errno::result(result).map(drop)
    }

    pub(super) fn value(&self) -> nix::Result<u32> {
        let mut value = 0;
        // SAFETY: as above, and `value` outlives the call.
        Errno::result(unsafe { libc::sem_getvalue(self.0, &mut value) })?;
        Ok(u32::try_from(value).unwrap_or(0))
    }
}

impl Drop for Semaphore {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and of this length.
        unsafe { libc::munmap(self.0.cast(), size_of::<libc::sem_t>()) };
    }
}

/// How long the file of a semaphore of this C library is.
pub(super) const SIZE: usize = size_of::<libc::sem_t>();
