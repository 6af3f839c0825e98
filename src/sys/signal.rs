//! Signals as the kernel knows them: masks, what is sent with one, and waiting for one.
//! rt_sigprocmask(2), rt_sigtimedwait(2), rt_sigqueueinfo(2).
//!
//! These are bare system calls: the C library hides the real-time signals that it keeps for its
//! threads, and reports a signal of tkill(2) as one of kill(2).
#![allow(unsafe_code)]

use super::waiter::timespec;
use crate::model::{Origin, RealTime, Signal, SignalSet};
use nix::errno::Errno;
use std::mem::MaybeUninit;
use std::ptr;
use std::time::Duration;

/// The real-time signals that the C library leaves to programs.
pub fn real_time() -> RealTime {
    RealTime { min: libc::SIGRTMIN(), max: libc::SIGRTMAX() }
}

/// Blocks signals, beside those that are blocked. The kernel leaves KILL and STOP out.
pub fn block(set: SignalSet) -> nix::Result<()> {
    // SAFETY: the set is of the size that is given and outlives the call; the mask before is not asked
    // for. It changes the mask of the only thread.
    let done = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_BLOCK,
            &raw const set.0,
            ptr::null_mut::<u64>(),
            size_of::<u64>(),
        )
    };
    Errno::result(done).map(drop)
}

/// The part of a siginfo that a queued signal has, at the place where 64-bit kernels have it
/// (include/uapi/asm-generic/siginfo.h).
#[repr(C)]
#[derive(Clone, Copy)]
struct Fields {
    first: [libc::c_int; 4],
    /// The number of the timer, for a signal of one.
    pid: libc::pid_t,
    /// The overruns, for a signal of a timer.
    uid: libc::uid_t,
    value: libc::c_int,
}

/// What sigqueue(3) sends with a signal: our pid, our real user and a value.
pub struct Queued(libc::siginfo_t);

impl Queued {
    pub fn new(signal: Signal) -> Queued {
        // SAFETY: all bytes zero is a valid siginfo.
        let mut info: libc::siginfo_t = unsafe { MaybeUninit::zeroed().assume_init() };
        info.si_signo = signal.0;
        info.si_code = libc::SI_QUEUE;
        let mut queued = Queued(info);
        queued.fields().pid = nix::unistd::getpid().as_raw();
        queued.fields().uid = nix::unistd::getuid().as_raw();
        queued
    }

    fn fields(&mut self) -> &mut Fields {
        // SAFETY: a siginfo is larger than `Fields` and aligned more strictly; all its bytes are
        // initialised, and every pattern of them is valid numbers.
        unsafe { &mut *(&raw mut self.0).cast::<Fields>() }
    }

    /// The same signal with this value.
    pub fn carrying(&mut self, value: i32) -> &libc::siginfo_t {
        self.fields().value = value;
        &self.0
    }
}

/// A signal that was taken.
#[derive(Clone, Copy, Debug)]
pub struct Arrived {
    pub signal: Signal,
    pub origin: Origin,
    /// Sender or child; 0 where it is in another pid namespace, or the kernel had no room to note it.
    /// Whoever uses sigqueue(3)'s system call may claim any.
    pub pid: Option<i32>,
    /// The real user of the sender.
    pub uid: Option<u32>,
    pub value: Option<i32>,
    /// How often a timer expired again before its signal was taken.
    pub overrun: Option<i32>,
}

/// Takes one of these signals, which must be blocked, waiting for it no longer than this. ETIMEDOUT
/// when none came, EINTR when another one was handled meanwhile.
pub fn take(set: SignalSet, within: Option<Duration>) -> nix::Result<Arrived> {
    let within = within.map(timespec);
    let within = within.as_ref().map_or(ptr::null(), ptr::from_ref);
    let set = set.0;
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: the set is of the size that is given; it, the time and the place for the result outlive
    // the call. On 64-bit kernels the time has the layout of the C library.
    let taken = unsafe {
        libc::syscall(libc::SYS_rt_sigtimedwait, &raw const set, info.as_mut_ptr(), within, size_of::<u64>())
    };
    match Errno::result(taken) {
        Err(Errno::EAGAIN) => return Err(Errno::ETIMEDOUT),
        Err(errno) => return Err(errno),
        Ok(_) => {}
    }
    // SAFETY: it was zeroed, which is a valid siginfo, and the kernel has filled it.
    let info = unsafe { info.assume_init() };
    // SAFETY: as in `Queued::fields`.
    let fields = unsafe { *(&raw const info).cast::<Fields>() };
    let signal = Signal(info.si_signo);
    let origin = Origin::of(signal, info.si_code);
    let sender = origin.has_sender();
    Ok(Arrived {
        signal,
        origin,
        pid: sender.then_some(fields.pid),
        uid: sender.then_some(fields.uid),
        value: origin.has_value().then_some(fields.value),
        overrun: (origin == Origin::Timer).then_some(fields.uid.cast_signed()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_tells_its_overruns_and_no_sender() {
        let rt = real_time();
        let set: SignalSet = [Signal(rt.max - 3)].into_iter().collect();
        block(set).unwrap();
        // SAFETY: all structures are initialised and outlive the calls; the signal goes to this thread,
        // which has blocked it, and the timer is deleted before it ends.
        unsafe {
            let mut event: libc::sigevent = MaybeUninit::zeroed().assume_init();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = rt.max - 3;
            event.sigev_value.sival_ptr = ptr::without_provenance_mut(77);
            event.sigev_notify_thread_id = libc::gettid();
            let mut timer: libc::timer_t = ptr::null_mut();
            assert_eq!(libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer), 0);
            let often = libc::timespec { tv_sec: 0, tv_nsec: 1000 };
            let spec = libc::itimerspec { it_interval: often, it_value: often };
            assert_eq!(libc::timer_settime(timer, 0, &raw const spec, ptr::null_mut()), 0);
            let mut taken = take(set, None).unwrap();
            while taken.overrun == Some(0) {
                taken = take(set, None).unwrap();
            }
            libc::timer_delete(timer);
            assert_eq!((taken.origin, taken.pid, taken.uid), (Origin::Timer, None, None));
            assert!(taken.overrun.is_some_and(|overrun| overrun > 0), "{taken:?}");
            if cfg!(target_endian = "little") {
                assert_eq!(taken.value, Some(77));
            }
        }
    }

    #[test]
    fn the_fields_stand_where_the_c_library_has_them() {
        let mut queued = Queued::new(Signal(40));
        let info = queued.carrying(-7);
        // SAFETY: these read the fields of a queued signal, which it is.
        unsafe {
            assert_eq!((info.si_signo, info.si_pid()), (40, nix::unistd::getpid().as_raw()));
            assert_eq!(info.si_uid(), nix::unistd::getuid().as_raw());
            let value = info.si_value();
            assert_eq!(*(&raw const value).cast::<i32>(), -7);
        }
    }
}
