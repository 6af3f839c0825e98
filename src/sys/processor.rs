//! On which processor a thread runs, sched_setaffinity(2).
#![allow(unsafe_code)]

use nix::errno::Errno;
use std::mem::MaybeUninit;

/// The processors that a thread may run on. Those that somebody has set apart (`isolcpus`, cpuset(7),
/// taskset(1)) are none of them.
#[derive(Clone, Copy)]
pub struct Processors(libc::cpu_set_t);

impl Processors {
    /// Those of the calling thread.
    pub fn ours() -> nix::Result<Processors> {
        // SAFETY: all bytes zero is the empty set, which the call fills and no more than it.
        unsafe {
            let mut set: libc::cpu_set_t = MaybeUninit::zeroed().assume_init();
            Errno::result(libc::sched_getaffinity(0, size_of_val(&set), &raw mut set))?;
            Ok(Processors(set))
        }
    }

    /// Whether this is one of them.
    pub fn has(&self, processor: usize) -> bool {
        // SAFETY: the number lies within the set.
        processor < 8 * size_of::<libc::cpu_set_t>() && unsafe { libc::CPU_ISSET(processor, &self.0) }
    }

    /// Binds the calling thread to one of these processors, and moves it there. EINVAL for any other.
    pub fn bind(&self, processor: usize) -> nix::Result<()> {
        if !self.has(processor) {
            return Err(Errno::EINVAL);
        }
        // SAFETY: all bytes zero is the empty set; the number lies within it, as `has` has seen, and the call
        // reads no more than the set.
        Errno::result(unsafe {
            let mut only: libc::cpu_set_t = MaybeUninit::zeroed().assume_init();
            libc::CPU_SET(processor, &mut only);
            libc::sched_setaffinity(0, size_of_val(&only), &raw const only)
        })
        .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_goes_from_each_of_its_processors_to_the_next_and_to_no_other() {
        std::thread::spawn(|| {
            let ours = Processors::ours().unwrap();
            let all: Vec<usize> = (0..8 * size_of::<libc::cpu_set_t>()).filter(|at| ours.has(*at)).collect();
            for processor in &all {
                ours.bind(*processor).unwrap();
                let now = Processors::ours().unwrap();
                assert_eq!(all.iter().filter(|at| now.has(**at)).collect::<Vec<_>>(), [processor]);
            }
            assert_eq!(ours.bind(1 << 20), Err(Errno::EINVAL));
            let only = Processors::ours().unwrap();
            for processor in &all[..all.len() - 1] {
                assert_eq!(only.bind(*processor), Err(Errno::EINVAL));
            }
        })
        .join()
        .unwrap();
    }
}
