//! Waiting that ends exactly at its deadline and at once on a signal, in any system call.
//!
//! msgsnd(2), msgrcv(2) and many others have no timed form, and "check the flag, then block" has a
//! gap in which a signal is lost. Both are closed by one POSIX timer whose signal interrupts the
//! call: it first fires at the deadline and then every millisecond, so an expiry that came between
//! the check and the call is followed by one inside the call. The handlers of SIGINT, SIGTERM and
//! SIGHUP start the same timer (timer_settime is async-signal-safe, signal-safety(7)). Nothing
//! runs before the deadline or the signal. The timer uses SIGURG, whose default is to be ignored,
//! and so leaves alarm(2) of a parent that executed us as it was. A verb that is about signals
//! takes those that it wants out of all this with `leave`.
#![allow(unsafe_code)]

use crate::model::{LAST_SIGNAL, Signal, SignalSet, Wait};
use nix::errno::Errno;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

static CAUGHT: AtomicI32 = AtomicI32::new(0);
/// The last signal that `take` gave.
static TAKEN: AtomicI32 = AtomicI32::new(0);
/// The signals that the verb has for itself.
static LEFT: AtomicU64 = AtomicU64::new(0);
static TIMER: AtomicPtr<libc::c_void> = AtomicPtr::new(ptr::null_mut());
static READY: AtomicBool = AtomicBool::new(false);
static HAS_TIMER: AtomicBool = AtomicBool::new(false);
/// Whether the signal in CAUGHT came from the terminal, which sends it to a child of ours as well.
static FROM_TERMINAL: AtomicBool = AtomicBool::new(false);
/// Bit N is set when we handle the Nth of STOPS.
static HANDLED: AtomicU8 = AtomicU8::new(0);

/// The signals of the timer, the first that is free. All but the last two are ignored by default, so
/// that one which comes too late does no harm.
const KICKS: [libc::c_int; 4] = [libc::SIGURG, libc::SIGWINCH, libc::SIGIO, libc::SIGPWR];
const KICK_EVERY: Duration = Duration::from_millis(1);
/// The signals that end a wait. One that is ignored when we start stays ignored (nohup(1)).
const STOPS: [libc::c_int; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// Why a call did not finish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    Errno(Errno),
    /// The deadline passed, or the call would block and may not.
    TimedOut,
    /// This signal ended the wait.
    Signal(i32),
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Stop {
        Stop::Errno(errno)
    }
}

/// The right to block, for as long as `wait` says. From the first one on, SIGINT, SIGTERM and SIGHUP
/// do not kill the process but are noted, so that what a call has taken can be put somewhere.
pub struct Waiter {
    wait: Wait,
    /// Whether a signal that asks us to stop ends a call.
    heeds: bool,
}

impl Waiter {
    pub fn new(wait: Wait) -> Waiter {
        install();
        let waiter = Waiter { wait, heeds: true };
        waiter.arm();
        waiter
    }

    /// Starts the timer, or sets it back after a signal has been dealt with.
    pub fn arm(&self) {
        match self.wait {
            // Zero would disarm the timer.
            Wait::Until(_) => settime(self.wait.left().unwrap_or_default().max(Duration::from_nanos(1)), KICK_EVERY),
            Wait::Never | Wait::Forever => settime(Duration::ZERO, Duration::ZERO),
        }
    }

    /// For what must still be done after a signal: it does not block, and no signal keeps it from
    /// being tried.
    pub fn last_act() -> Waiter {
        Waiter { wait: Wait::Never, heeds: false }
    }

    /// Whether a call that would block must fail instead (`--nowait`).
    pub fn never(&self) -> bool {
        self.wait == Wait::Never
    }

    /// The time that is left, for calls that have a timed form.
    pub fn left(&self) -> Option<Duration> {
        self.wait.left()
    }

    pub fn forever(&self) -> bool {
        self.wait == Wait::Forever
    }

    /// Runs a call that may block until it is done, the deadline passes or a signal comes. The call
    /// is tried at least once.
    pub fn run<T>(&self, mut call: impl FnMut() -> nix::Result<T>) -> Result<T, Stop> {
        loop {
            if let Some(signal) = caught().filter(|_| self.heeds) {
                return Err(Stop::Signal(signal));
            }
            match call() {
                Err(Errno::EINTR) if self.over() => return Err(Stop::TimedOut),
                Err(Errno::EINTR) => {}
                // A clock that was set forward ends a timed call too early.
                Err(Errno::ETIMEDOUT) if self.never() || self.over() => return Err(Stop::TimedOut),
                Err(Errno::ETIMEDOUT) => {}
                Err(errno) => return Err(Stop::Errno(errno)),
                Ok(value) => return Ok(value),
            }
        }
    }

    /// Does nothing for this long, unless the deadline passes or a signal comes before: then why.
    pub fn pause(&self, span: Duration) -> Option<Stop> {
        let span = timespec(self.left().map_or(span, |left| span.min(left)));
        let slept = self.run(|| {
            // SAFETY: the time outlives the call, and what is left of it is not asked for.
            Errno::result(unsafe { libc::nanosleep(&span, ptr::null_mut()) }).map(drop)
        });
        slept.err().or_else(|| (self.never() || self.over()).then_some(Stop::TimedOut))
    }

    /// Does nothing until the deadline passes or a signal comes.
    pub fn sleep(&self) -> Stop {
        let slept = self.run(|| {
            nix::unistd::pause();
            Err::<(), Errno>(Errno::EINTR)
        });
        slept.err().unwrap_or(Stop::TimedOut)
    }

    pub fn over(&self) -> bool {
        matches!(self.wait, Wait::Until(_)) && self.wait.left() == Some(Duration::ZERO)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        settime(Duration::ZERO, Duration::ZERO);
    }
}

/// The signal that asked us to stop, if one did.
pub fn caught() -> Option<i32> {
    match CAUGHT.load(Ordering::Relaxed) {
        0 => None,
        signal => Some(signal),
    }
}

/// Takes the signal that asked us to stop, so that the next one is seen too, and says whether it came
/// from the terminal.
pub fn take() -> Option<(i32, bool)> {
    match CAUGHT.swap(0, Ordering::Relaxed) {
        0 => None,
        signal => {
            TAKEN.store(signal, Ordering::Relaxed);
            Some((signal, FROM_TERMINAL.load(Ordering::Relaxed)))
        }
    }
}

/// Leaves these signals to the verb, before its first wait: none of them ends a wait, and the timer
/// uses another one.
pub fn leave(signals: SignalSet) {
    LEFT.store(signals.0, Ordering::Relaxed);
}

fn is_left(signal: libc::c_int) -> bool {
    SignalSet(LEFT.load(Ordering::Relaxed)).contains(Signal(signal))
}

/// The signal of the timer. A verb that wants nearly all of them leaves a real-time signal, or none:
/// then no wait has a deadline of its own.
fn kick() -> Option<libc::c_int> {
    let real_time = (libc::SIGRTMIN()..=LAST_SIGNAL).rev();
    KICKS.into_iter().chain(real_time).find(|signal| !is_left(*signal))
}

/// Lets a signal that was taken, and handed to a child, ask us to stop as well: what was to be done first
/// is done.
pub fn put_back() {
    let _ = CAUGHT.compare_exchange(0, TAKEN.load(Ordering::Relaxed), Ordering::Relaxed, Ordering::Relaxed);
}

/// Lets signals kill us again, as they did before the first wait.
pub fn give_back_signals() {
    for (at, signal) in STOPS.into_iter().enumerate() {
        if HANDLED.load(Ordering::Relaxed) & (1 << at) != 0 {
            // SAFETY: SIG_DFL runs no code of ours.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}

/// Dies of the signal if it came from the terminal: a shell goes on with its script when a command
/// has dealt with ^C itself, and stops when the command died of it.
pub fn die_of_terminal_signal() {
    if let Some(signal) = caught().filter(|_| FROM_TERMINAL.load(Ordering::Relaxed)) {
        give_back_signals();
        // SAFETY: raise takes a number.
        unsafe { libc::raise(signal) };
    }
}

extern "C" fn on_stop(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    if CAUGHT.compare_exchange(0, signal, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        // SAFETY: with SA_SIGINFO the kernel gives a valid siginfo.
        let code = unsafe { (*info).si_code };
        FROM_TERMINAL.store(code == libc::SI_KERNEL, Ordering::Relaxed);
    }
    settime(KICK_EVERY, KICK_EVERY);
}

extern "C" fn on_kick(_: libc::c_int) {}

fn settime(first: Duration, every: Duration) {
    if !READY.load(Ordering::Acquire) {
        return;
    }
    let timer = TIMER.load(Ordering::Relaxed);
    let spec = libc::itimerspec { it_interval: timespec(every), it_value: timespec(first) };
    let plain = libc::itimerval { it_interval: timeval(every), it_value: timeval(first) };
    // SAFETY: a TIMER that is set is one that timer_create gave and nobody deletes; both
    // specifications outlive the calls. The calls are async-signal-safe, and errno is restored for
    // the code that a signal handler interrupted.
    unsafe {
        let errno = *libc::__errno_location();
        if HAS_TIMER.load(Ordering::Relaxed) {
            libc::timer_settime(timer, 0, &spec, ptr::null_mut());
        } else if !is_left(libc::SIGALRM) {
            libc::setitimer(libc::ITIMER_REAL, &plain, ptr::null_mut());
        }
        *libc::__errno_location() = errno;
    }
}

/// Rounded up: a timer of zero would be none.
fn timeval(duration: Duration) -> libc::timeval {
    let micros = duration.as_nanos().div_ceil(1000);
    libc::timeval {
        tv_sec: i64::try_from(micros / 1_000_000).unwrap_or(i64::MAX),
        tv_usec: i64::try_from(micros % 1_000_000).unwrap_or(0),
    }
}

/// A duration as the kernel takes it; a longer one than time_t holds is as good as forever.
pub fn timespec(duration: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

fn install() {
    if READY.load(Ordering::Acquire) {
        return;
    }
    // SAFETY: every structure is initialised before the call that reads it, handlers are
    // async-signal-safe functions that live as long as the program, and this runs on the main
    // thread before any other exists.
    unsafe {
        let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
        libc::sigemptyset(&mut action.sa_mask);
        action.sa_sigaction = on_kick as *const () as usize;
        let mut timer: libc::timer_t = ptr::null_mut();
        let made = kick().is_some_and(|kick| {
            handle(kick, &action);
            let mut event: libc::sigevent = MaybeUninit::zeroed().assume_init();
            event.sigev_notify = libc::SIGEV_SIGNAL;
            event.sigev_signo = kick;
            libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer) == 0
        });
        if made {
            TIMER.store(timer, Ordering::Relaxed);
            HAS_TIMER.store(true, Ordering::Relaxed);
        } else if !is_left(libc::SIGALRM) {
            // Timers count against RLIMIT_SIGPENDING; the one of setitimer(2) is always there.
            handle(libc::SIGALRM, &action);
        }
        READY.store(true, Ordering::Release);

        // No SA_RESTART: a blocked call must come back to look at the flag.
        action.sa_sigaction = on_stop as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        for (at, signal) in STOPS.into_iter().enumerate().filter(|(_, signal)| !is_left(*signal)) {
            let mut before: libc::sigaction = MaybeUninit::zeroed().assume_init();
            libc::sigaction(signal, ptr::null(), &mut before);
            if before.sa_sigaction != libc::SIG_IGN {
                libc::sigaction(signal, &action, ptr::null_mut());
                HANDLED.fetch_or(1 << at, Ordering::Relaxed);
            }
        }
    }
}

/// Handles a signal of the timer, whatever the parent did to it.
///
/// # Safety
///
/// The action must be one that may interrupt any code.
unsafe fn handle(signal: libc::c_int, action: &libc::sigaction) {
    // SAFETY: the set is initialised before it is read, and everything outlives the calls; the action
    // is the caller's promise.
    unsafe {
        libc::sigaction(signal, action, ptr::null_mut());
        let mut set: libc::sigset_t = MaybeUninit::zeroed().assume_init();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, ptr::null_mut());
    }
}
