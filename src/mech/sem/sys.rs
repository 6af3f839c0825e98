//! semget(2), semop(2) and semctl(2).
#![allow(unsafe_code)]

use crate::mech::{Op, sysv};
use nix::errno::Errno;
use std::mem::MaybeUninit;
use std::ptr;
use std::time::Duration;

/// IPC_STAT by index and without permission, Linux 4.17 (include/uapi/linux/sem.h).
const SEM_STAT_ANY: libc::c_int = 20;
const SEM_INFO: libc::c_int = 19;

/// struct semid64_ds, include/uapi/asm-generic/sembuf.h and that of x86, with times and counts as the kernel writes
/// them. The libc crate has none for musl.
#[repr(C)]
pub(super) struct State {
    pub sem_perm: libc::ipc_perm,
    pub sem_otime: i64,
    #[cfg(target_arch = "x86_64")]
    unused1: u64,
    pub sem_ctime: i64,
    #[cfg(target_arch = "x86_64")]
    unused2: u64,
    pub sem_nsems: u64,
    unused: [u64; 2],
}

pub(super) fn get(key: i32, count: u16, flags: i32) -> nix::Result<i32> {
    // SAFETY: semget takes three numbers.
    Errno::result(unsafe { libc::semget(key, count.into(), flags) })
}

fn ctl(id: i32, command: libc::c_int, set: &mut State) -> nix::Result<i32> {
    // SAFETY: `set` is a whole State, which every command used here reads or fills; the fourth
    // argument of semctl is a union whose widest members are pointers.
    Errno::result(unsafe { libc::semctl(id, 0, command, ptr::from_mut(set)) })
}

/// The state of a set by identifier, without needing permission where the kernel can do that.
pub(super) fn stat(id: i32) -> nix::Result<State> {
    // SAFETY: all bytes zero is a valid State.
    let mut set: State = unsafe { MaybeUninit::zeroed().assume_init() };
    for index in sysv::indices(id) {
        if ctl(index, SEM_STAT_ANY, &mut set) == Ok(id) {
            return Ok(set);
        }
    }
    ctl(id, libc::IPC_STAT, &mut set).map(|_| set)
}

pub(super) fn set(id: i32, set: &mut State) -> nix::Result<()> {
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

unsafe extern "C" {
    /// Both C libraries have it; the libc crate does not declare it.
    fn semtimedop(
        id: libc::c_int,
        ops: *mut libc::sembuf,
        count: libc::size_t,
        left: *const libc::timespec,
    ) -> libc::c_int;
}
