//! Which object of the C library a futex word belongs to, by the bytes around it: the structures of 64-bit
//! glibc 2.25 and later (sysdeps/nptl/bits/struct_mutex.h, struct_rwlock.h, thread-shared-types.h,
//! nptl/semaphoreP.h) and of musl 1.2 (src/internal/pthread_impl.h), and the ways in which they wait.
//!
//! A word says nothing of its kind, so all that is known of a structure must agree, and no other structure
//! may fit as well.

/// How a thread waits, from the arguments of futex(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Wait {
    /// FUTEX_WAIT, …, without flags.
    pub command: i32,
    /// Without FUTEX_PRIVATE_FLAG.
    pub shared: bool,
    /// FUTEX_CLOCK_REALTIME.
    pub realtime: bool,
    /// Without a timeout.
    pub forever: bool,
    /// What it has seen in the word.
    pub expected: u32,
}

/// The bytes around a word.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub bytes: &'a [u8],
    /// Where the word stands among them.
    pub at: usize,
}

/// What was recognised. Owners are threads as they call themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Layout {
    Mutex { owner: Option<i32>, robust: bool },
    Semaphore { value: u32, waiters: u32 },
    Rwlock { writer: Option<i32> },
    Condition,
    Barrier,
}

/// The bits of a word that a lock shares with the kernel, include/uapi/linux/futex.h.
const WAITERS: u32 = 0x8000_0000;
const TID: u32 = 0x3fff_ffff;
/// PID_MAX_LIMIT, include/linux/threads.h: no thread and no number of threads is higher.
const MOST: u32 = 1 << 22;

impl Around<'_> {
    /// Reaches of both sides that belong to any of the structures.
    pub const BEFORE: u64 = 48;
    pub const SIZE: usize = 112;

    /// The number at a distance from the word.
    fn u32(self, distance: isize) -> Option<u32> {
        let from = self.at.checked_add_signed(distance)?;
        Some(u32::from_ne_bytes(self.bytes.get(from..from + 4)?.try_into().ok()?))
    }

    fn u64(self, distance: isize) -> Option<u64> {
        let from = self.at.checked_add_signed(distance)?;
        Some(u64::from_ne_bytes(self.bytes.get(from..from + 8)?.try_into().ok()?))
    }
}

/// The one structure that fits; `None` if there is none, or several.
pub(super) fn classify(wait: Wait, around: Around) -> Option<Layout> {
    if wait.is_pi() {
        return pi(around);
    }
    let every = [glibc_mutex, glibc_semaphore, glibc_rwlock, glibc_condition, glibc_barrier];
    let musl = [musl_mutex, musl_semaphore, musl_rwlock, musl_condition];
    let mut fitting = every.iter().chain(&musl).filter_map(|fits| fits(wait, around));
    let first = fitting.next()?;
    fitting.all(|other| other == first).then_some(first)
}

impl Wait {
    pub fn is_pi(self) -> bool {
        matches!(self.command, libc::FUTEX_LOCK_PI | libc::FUTEX_LOCK_PI2)
    }

    /// A plain wait, or one until a time, as the locks of glibc do.
    fn is_lock(self) -> bool {
        match self.command {
            libc::FUTEX_WAIT => true,
            libc::FUTEX_WAIT_BITSET => !self.forever,
            _ => false,
        }
    }

    /// __futex_abstimed_wait_common of glibc: with a bit set, and without a timeout by the real-time clock.
    fn is_abstimed(self) -> bool {
        self.command == libc::FUTEX_WAIT_BITSET && (self.realtime || !self.forever)
    }

    /// How musl waits.
    fn is_plain(self) -> bool {
        self.command == libc::FUTEX_WAIT
    }
}

fn thread(tid: u32) -> Option<i32> {
    i32::try_from(tid).ok().filter(|tid| *tid > 0 && tid.unsigned_abs() < MOST)
}

/// By the interface of the kernel such a word holds its owner, whoever has made the lock.
fn pi(around: Around) -> Option<Layout> {
    let glibc = around.u32(16).is_some_and(|kind| kind & !KIND == 0 && kind & (ROBUST | PI) == ROBUST | PI);
    let musl = around.u32(-4).is_some_and(|kind| kind & !MUSL_KIND == 0 && kind & 12 == 12);
    Some(Layout::Mutex { owner: thread(around.u32(0)? & TID), robust: glibc || musl })
}

/// Bits of the kind of a glibc mutex: type, robust, priority inheritance, shared, elision.
const KIND: u32 = 0x3f3 & !PROTECT;
const ROBUST: u32 = 0x10;
const PI: u32 = 0x20;
/// Its word holds a priority.
const PROTECT: u32 = 0x40;
const SHARED: u32 = 0x80;

/// { int lock; unsigned count; int owner; unsigned nusers; int kind; …; list @24 }.
fn glibc_mutex(wait: Wait, around: Around) -> Option<Layout> {
    let (word, owner, users, kind) = (around.u32(0)?, around.u32(8)?, around.u32(12)?, around.u32(16)?);
    if !wait.is_lock() || kind & !KIND != 0 || kind & PI != 0 {
        return None;
    }
    if kind & ROBUST != 0 {
        // The word names the owner for the kernel. A robust mutex always waits as if it were shared.
        // INT_MAX is an owner who has died, the number below one who could not be recovered from.
        let tid = word & TID;
        let agrees = owner == tid || matches!(owner, 0 | 0x7fff_ffff | 0x7fff_fffe);
        let fits = wait.shared && word & WAITERS != 0 && tid < MOST && agrees;
        return fits.then_some(Layout::Mutex { owner: thread(tid), robust: true });
    }
    let is_held = wait.expected == 2 && word <= 2 && (1..MOST).contains(&users);
    let fits = is_held && (kind & SHARED != 0) == wait.shared && around.u64(24)? == 0 && around.u64(32)? == 0;
    Some(Layout::Mutex { owner: Some(thread(owner).filter(|_| fits)?), robust: false })
}

/// { unsigned value; unsigned nwaiters; int private; }, where `private` is FUTEX_PRIVATE_FLAG if it is not.
fn glibc_semaphore(wait: Wait, around: Around) -> Option<Layout> {
    let (value, waiters, private) = (around.u32(0)?, around.u32(4)?, around.u32(8)?);
    let fits = wait.is_abstimed() && wait.expected == 0 && (1..MOST).contains(&waiters);
    (fits && private == if wait.shared { SHARED } else { 0 }).then_some(Layout::Semaphore { value, waiters })
}

/// { unsigned readers, writers, wrphase_futex, writers_futex, pad3, pad4; int cur_writer, shared; …; unsigned
/// flags @48 }. Threads wait on the third or the fourth word, in which 2 says that somebody waits.
fn glibc_rwlock(wait: Wait, around: Around) -> Option<Layout> {
    if !wait.is_abstimed() || !matches!(wait.expected, 2 | 3) || around.u32(0)? != wait.expected {
        return None;
    }
    [-8, -12].into_iter().find_map(|base| {
        let at = |offset: isize| around.u32(base + offset);
        let (readers, writer) = (at(0)?, at(24)?);
        let is_shared = at(28)? != 0;
        if is_shared != wait.shared || at(16)? != 0 || at(20)? != 0 || at(48)? > 2 {
            return None;
        }
        // In the write phase (1) and locked to write (2); or so many readers above the three flags.
        let fits = if writer == 0 { (1..MOST).contains(&(readers >> 3)) } else { readers & 3 == 3 };
        (fits && writer < MOST).then_some(Layout::Rwlock { writer: thread(writer) })
    })
}

/// { u64 wseq, g1_start; unsigned g_refs[2], g_size[2], g1_orig_size, wrefs, g_signals[2]; }; since 2.41 without
/// g_refs and with two words of 0 at the end. Threads wait on g_signals.
fn glibc_condition(wait: Wait, around: Around) -> Option<Layout> {
    if !wait.is_abstimed() || around.u32(0)? != wait.expected {
        return None;
    }
    let fits = |base: isize, wrefs: isize| {
        let (sequence, first) = (around.u64(base)? >> 1, around.u64(base + 8)? >> 1);
        let wrefs = around.u32(base + wrefs)?;
        // Three flags, the first of which is that it is shared; above them how many wait.
        let waiters = wrefs >> 3;
        let plausible = sequence >= 1 && sequence >= first && sequence < 1 << 40 && (1..MOST).contains(&waiters);
        (plausible && (wrefs & 1 == 1) == wait.shared).then_some(waiters)
    };
    let old = |group: isize| {
        let base = -40 - 4 * group;
        let refs = around.u32(base + 16 + 4 * group)? >> 1;
        fits(base, 36).filter(|waiters| wait.expected == 0 && (1..=*waiters).contains(&refs))
    };
    let new = |group: isize| {
        let base = -32 - 4 * group;
        let is_small = |offset| around.u32(base + offset).is_some_and(|size| size < MOST);
        fits(base, 28).filter(|_| is_small(16) && is_small(20) && around.u64(base + 40) == Some(0))
    };
    [old(0), old(1), new(0), new(1)].into_iter().flatten().next().map(|_| Layout::Condition)
}

/// { unsigned in, current_round, count; int shared; unsigned out; }. Threads wait on the second word. That of one
/// process alone fits too much else.
fn glibc_barrier(wait: Wait, around: Around) -> Option<Layout> {
    let (entered, round, count, shared) = (around.u32(-4)?, around.u32(0)?, around.u32(4)?, around.u32(8)?);
    let fits = wait.command == libc::FUTEX_WAIT && wait.forever && wait.shared && wait.expected == round;
    let here = entered.wrapping_sub(round);
    (fits && shared == SHARED && count < MOST && (1..count).contains(&here)).then_some(Layout::Barrier)
}

/// Bits of the type of a musl mutex: type, robust (4), priority inheritance (8), shared (128).
const MUSL_KIND: u32 = 0x8f;

/// { int type; int lock; int waiters; … }, waits on the second.
fn musl_mutex(wait: Wait, around: Around) -> Option<Layout> {
    let (kind, word, waiters) = (around.u32(-4)?, around.u32(0)?, around.u32(4)?);
    let fits = wait.is_plain() && kind & !MUSL_KIND == 0 && (kind & SHARED != 0) == wait.shared;
    if !fits || word & WAITERS == 0 || !(1..MOST).contains(&waiters) {
        return None;
    }
    let tid = word & TID;
    match kind & 0xf {
        // The normal type has EBUSY in the place of an owner.
        0 => (word == WAITERS | 16).then_some(Layout::Mutex { owner: None, robust: false }),
        kind => (tid < MOST).then_some(Layout::Mutex { owner: thread(tid), robust: kind & 4 != 0 }),
    }
}

/// { int value, waiters, private; }. The value is −1 while somebody waits, since 1.2.4 its sign alone.
fn musl_semaphore(wait: Wait, around: Around) -> Option<Layout> {
    let (word, waiters, private) = (around.u32(0)?, around.u32(4)?, around.u32(8)?);
    let fits = wait.is_plain() && matches!(wait.expected, u32::MAX | WAITERS) && word == wait.expected;
    let is_shared = private == if wait.shared { 0 } else { SHARED };
    (fits && is_shared && (1..MOST).contains(&waiters)).then_some(Layout::Semaphore { value: 0, waiters })
}

/// { int lock, waiters, shared; }. The lock counts readers, all bits below the sign are a writer. That of one
/// process alone fits too much else.
fn musl_rwlock(wait: Wait, around: Around) -> Option<Layout> {
    let (word, waiters, shared) = (around.u32(0)?, around.u32(4)?, around.u32(8)?);
    let is_held = word == u32::MAX || (1..MOST).contains(&(word & !WAITERS));
    let fits = wait.is_plain() && wait.shared && word & WAITERS != 0 && word == wait.expected && is_held;
    (fits && shared == SHARED && (1..MOST).contains(&waiters)).then_some(Layout::Rwlock { writer: None })
}

/// { void *shared; int seq, waiters, clock; … }, waits on the second if it is shared: then the first is −1.
fn musl_condition(wait: Wait, around: Around) -> Option<Layout> {
    let (shared, word, waiters, clock) = (around.u64(-8)?, around.u32(0)?, around.u32(4)?, around.u32(8)?);
    let fits = wait.is_plain() && wait.shared && shared == u64::MAX && word == wait.expected;
    (fits && (1..MOST).contains(&waiters) && clock <= 1).then_some(Layout::Condition)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Wait = Wait { command: libc::FUTEX_WAIT, shared: true, realtime: false, forever: true, expected: 2 };
    /// What __futex_abstimed_wait_common of glibc does without a timeout.
    const ABSTIMED: Wait = Wait { command: libc::FUTEX_WAIT_BITSET, realtime: true, expected: 0, ..WAIT };

    /// Numbers from `at` on, with rubbish before and nothing behind.
    fn classify_words(wait: Wait, words: &[u32], at: usize) -> Option<Layout> {
        let mut bytes = vec![0xa5; 48];
        words.iter().for_each(|word| bytes.extend_from_slice(&word.to_ne_bytes()));
        bytes.extend_from_slice(&[0; 16]);
        classify(wait, Around { bytes: &bytes, at: 48 + 4 * at })
    }

    const OWNER: u32 = 0x4111;

    #[test]
    fn a_mutex_of_glibc_names_its_owner() {
        let mutex = |kind| [2, 0, OWNER, 1, kind, 0, 0, 0, 0, 0];
        let held = Some(Layout::Mutex { owner: Some(0x4111), robust: false });
        assert_eq!(classify_words(WAIT, &mutex(0x80), 0), held);
        assert_eq!(classify_words(WAIT, &mutex(0x81), 0), held);
        let timed = Wait { command: libc::FUTEX_WAIT_BITSET, realtime: true, forever: false, ..WAIT };
        assert_eq!(classify_words(timed, &mutex(0x80), 0), held);
        let private = Wait { shared: false, ..WAIT };
        assert_eq!(classify_words(private, &mutex(0), 0), held);
    }

    #[test]
    fn what_does_not_agree_is_no_mutex() {
        let mutex = [2, 0, OWNER, 1, 0x80, 0, 0, 0, 0, 0];
        assert_eq!(classify_words(Wait { shared: false, ..WAIT }, &mutex, 0), None);
        assert_eq!(classify_words(Wait { expected: 7, ..WAIT }, &mutex, 0), None);
        // Locks of Rust wait so, and never those of glibc.
        let bitset = Wait { command: libc::FUTEX_WAIT_BITSET, ..WAIT };
        assert_eq!(classify_words(bitset, &mutex, 0), None);
        for (at, odd) in
            [(0, 3), (2, 0), (2, 1 << 23), (3, 0), (4, 0), (4, 0x84), (4, 0xc0), (4, 0x1080), (6, 1), (9, 1)]
        {
            let mut words = mutex;
            words[at] = odd;
            assert_eq!(classify_words(WAIT, &words, 0), None, "{odd:x} at {at}");
        }
        assert_eq!(classify_words(WAIT, &mutex[..4], 0), None);
    }

    #[test]
    fn a_robust_mutex_names_its_owner_in_the_word() {
        let mutex = |word, owner| [word, 0, owner, 1, 0x90, 0, 1, 2, 3, 4];
        let robust = |owner| Some(Layout::Mutex { owner, robust: true });
        let wait = Wait { expected: 0x8000_4111, ..WAIT };
        assert_eq!(classify_words(wait, &mutex(0x8000_4111, OWNER), 0), robust(Some(0x4111)));
        // The kernel has taken it from an owner that has died.
        assert_eq!(classify_words(wait, &mutex(0xc000_0000, OWNER), 0), None);
        assert_eq!(classify_words(wait, &mutex(0xc000_0000, 0x7fff_ffff), 0), robust(None));
        assert_eq!(classify_words(wait, &mutex(0x8000_4111, OWNER + 1), 0), None);
    }

    #[test]
    fn a_word_of_priority_inheritance_holds_its_owner_whoever_made_it() {
        let wait = Wait { command: libc::FUTEX_LOCK_PI, expected: 0, ..WAIT };
        let held = |robust| Some(Layout::Mutex { owner: Some(0x4111), robust });
        assert_eq!(classify_words(wait, &[0x8000_4111, 0, OWNER, 1, 0xa0], 0), held(false));
        assert_eq!(classify_words(wait, &[0x8000_4111, 0, OWNER, 1, 0xb0], 0), held(true));
        assert_eq!(classify_words(wait, &[0x8c, 0x8000_4111], 1), held(true));
        assert_eq!(classify_words(wait, &[0x8000_4111], 0), held(false));
        assert_eq!(classify_words(wait, &[0x8000_0000], 0), Some(Layout::Mutex { owner: None, robust: false }));
    }

    #[test]
    fn semaphores_of_both_libraries_tell_value_and_waiters() {
        let one = Some(Layout::Semaphore { value: 0, waiters: 1 });
        assert_eq!(classify_words(ABSTIMED, &[0, 1, 0x80], 0), one);
        assert_eq!(classify_words(ABSTIMED, &[0, 1, 0], 0), None);
        assert_eq!(classify_words(Wait { shared: false, ..ABSTIMED }, &[0, 1, 0], 0), one);
        assert_eq!(classify_words(ABSTIMED, &[0, 0, 0x80], 0), None);
        for negative in [u32::MAX, 0x8000_0000] {
            let wait = Wait { expected: negative, ..WAIT };
            assert_eq!(classify_words(wait, &[negative, 1, 0], 0), one);
            assert_eq!(classify_words(wait, &[negative, 0, 0], 0), None);
            assert_eq!(classify_words(Wait { shared: false, ..wait }, &[negative, 1, 0x80], 0), one);
        }
    }

    #[test]
    fn a_lock_of_readers_and_writers_names_who_writes() {
        let wait = |expected| Wait { expected, ..ABSTIMED };
        let lock = |readers, phase, writers, writer| [readers, 0, phase, writers, 0, 0, writer, 1, 0, 0, 0, 0, 0, 0];
        let written = Some(Layout::Rwlock { writer: Some(0x4111) });
        assert_eq!(classify_words(wait(3), &lock(0xb, 3, 1, OWNER), 2), written);
        assert_eq!(classify_words(wait(3), &lock(0x3, 1, 3, OWNER), 3), written);
        let is_read = Some(Layout::Rwlock { writer: None });
        assert_eq!(classify_words(wait(2), &lock(0xa, 2, 1, 0), 2), is_read);
        // Nobody holds it, or the parts contradict each other.
        assert_eq!(classify_words(wait(2), &lock(2, 2, 1, 0), 2), None);
        assert_eq!(classify_words(wait(3), &lock(8, 3, 1, OWNER), 2), None);
        assert_eq!(classify_words(Wait { shared: false, ..wait(3) }, &lock(0xb, 3, 1, OWNER), 2), None);
        let musl = |word| classify_words(Wait { expected: word, ..WAIT }, &[word, 1, 0x80], 0);
        assert_eq!((musl(u32::MAX), musl(0x8000_0002), musl(0x8000_0000)), (is_read, is_read, None));
    }

    #[test]
    fn conditions_are_known_in_the_layouts_of_three_libraries() {
        // Sequence 2, one waiter in the group of index 0.
        let old = [2, 0, 0, 0, 2, 0, 0, 0, 0, 9, 0, 0];
        let condition = Some(Layout::Condition);
        assert_eq!(classify_words(ABSTIMED, &old, 10), condition);
        let private = Wait { shared: false, ..ABSTIMED };
        assert_eq!(classify_words(private, &old, 10), None);
        assert_eq!(classify_words(private, &[2, 0, 0, 0, 2, 0, 0, 0, 0, 8, 0, 0], 10), condition);
        assert_eq!(classify_words(ABSTIMED, &[3, 0, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0], 11), condition);
        assert_eq!(classify_words(ABSTIMED, &[2, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0], 10), None);
        let new = [2, 0, 0, 0, 0, 1, 0, 9, 4, 0, 0, 0];
        assert_eq!(classify_words(Wait { expected: 4, ..ABSTIMED }, &new, 8), condition);
        let musl = [u32::MAX, u32::MAX, 5, 1, 0];
        assert_eq!(classify_words(Wait { expected: 5, ..WAIT }, &musl, 2), condition);
        assert_eq!(classify_words(Wait { expected: 5, ..WAIT }, &[0, 0, 5, 1, 0], 2), None);
    }

    #[test]
    fn a_barrier_waits_for_those_that_are_missing() {
        let wait = |round| Wait { expected: round, ..WAIT };
        assert_eq!(classify_words(wait(0), &[1, 0, 3, 0x80, 0], 1), Some(Layout::Barrier));
        assert_eq!(classify_words(wait(6), &[8, 6, 3, 0x80, 6], 1), Some(Layout::Barrier));
        assert_eq!(classify_words(wait(0), &[0, 0, 3, 0x80, 0], 1), None);
        assert_eq!(classify_words(wait(0), &[3, 0, 3, 0x80, 0], 1), None);
        assert_eq!(classify_words(Wait { shared: false, ..wait(0) }, &[1, 0, 3, 0, 0], 1), None);
    }

    #[test]
    fn a_mutex_of_musl_tells_its_owner_unless_it_is_normal() {
        let wait = |word| Wait { expected: word, ..WAIT };
        let normal = classify_words(wait(0x8000_0010), &[0x80, 0x8000_0010, 1], 1);
        assert_eq!(normal, Some(Layout::Mutex { owner: None, robust: false }));
        let robust = classify_words(wait(0x8000_4111), &[0x84, 0x8000_4111, 1], 1);
        assert_eq!(robust, Some(Layout::Mutex { owner: Some(0x4111), robust: true }));
        assert_eq!(classify_words(wait(0x8000_4111), &[0x80, 0x8000_4111, 1], 1), None);
        assert_eq!(classify_words(wait(0x8000_4111), &[0x04, 0x8000_4111, 1], 1), None);
        assert_eq!(classify_words(wait(0x8000_4111), &[0x84, 0x8000_4111, 0], 1), None);
    }

    #[test]
    fn a_word_that_fits_two_structures_is_none() {
        // A robust mutex of musl whose word is also that of one of glibc, with another owner of the same name.
        let words = [0x84, 0x8000_4111, 1, 0, 1, 0x90, 0, 0, 0, 0, 0, 0];
        let wait = Wait { expected: 0x8000_4111, ..WAIT };
        assert_eq!(classify_words(wait, &words, 1), Some(Layout::Mutex { owner: Some(0x4111), robust: true }));
        // The same words as a recursive one of musl: robust or not is not known.
        let words = [0x81, 0x8000_4111, 1, 0, 1, 0x90, 0, 0, 0, 0, 0, 0];
        assert_eq!(classify_words(wait, &words, 1), None);
        assert_eq!(classify_words(WAIT, &[77, 0, 0], 0), None);
        assert_eq!(classify(WAIT, Around { bytes: &[], at: 0 }), None);
    }
}
