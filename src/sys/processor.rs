//! On which processor a thread runs, sched_setaffinity(2).
#![allow(unsafe_code)]

use nix::errno::Errno;
use std::mem::MaybeUninit;

/// Binds the calling thread to one of the processors that it may run on, and moves it there. EINVAL for
/// any other: those that somebody has set apart (`isolcpus`, cpuset(7), taskset(1)) are left alone.
pub fn bind(processor: usize) -> nix::Result<()> {
    if !may_run_on(processor)? {
        return Err(Errno::EINVAL);
    }
    // SAFETY: all bytes zero is the empty set; `may_run_on` has seen that the number lies within a set, and
    // the call reads no more than the set.
    Errno::result(unsafe {
        let mut only: libc::cpu_set_t = MaybeUninit::zeroed().assume_init();
        libc::CPU_SET(processor, &mut only);
        libc::sched_setaffinity(0, size_of_val(&only), &raw const only)
    })
    .map(drop)
}

/// Whether the calling thread may run on a processor.
fn may_run_on(processor: usize) -> nix::Result<bool> {
    if processor >= 8 * size_of::<libc::cpu_set_t>() {
        return Ok(false);
    }
    // SAFETY: all bytes zero is the empty set, which the call fills; the number lies within it.
    unsafe {
        let mut set: libc::cpu_set_t = MaybeUninit::zeroed().assume_init();
        Errno::result(libc::sched_getaffinity(0, size_of_val(&set), &raw mut set))?;
        Ok(libc::CPU_ISSET(processor, &set))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_is_bound_to_a_processor_may_run_on_no_other() {
        std::thread::spawn(|| {
            let mine = (0..1024).find(|processor| may_run_on(*processor).unwrap()).unwrap();
            bind(mine).unwrap();
            assert_eq!((0..1024).filter(|processor| may_run_on(*processor).unwrap()).collect::<Vec<_>>(), [mine]);
            assert_eq!(bind(mine + 1), Err(Errno::EINVAL));
            assert_eq!(bind(1 << 20), Err(Errno::EINVAL));
        })
        .join()
        .unwrap();
    }
}
