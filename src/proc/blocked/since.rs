//! How long a thread has not run: `se.exec_start` of /proc/PID/sched, proc_sched_show_task in
//! kernel/sched/debug.c, which any user may read. Missing on kernels without CONFIG_SCHED_DEBUG before 6.15.
//!
//! It is a time of the clock of one processor, which stands still while it serves interrupts or is taken
//! from a virtual machine: the clocks of two processors lie seconds apart. So a thread is compared with
//! one of ours that runs on the same processor.

use crate::sys::processor::Processors;
use memchr::memmem;
use std::collections::{BTreeSet, HashMap};
use std::sync::mpsc;
use std::time::Duration;

/// Longer than a processor keeps an ordinary thread waiting. One that real-time threads have taken
/// altogether does not hold us up.
const PATIENCE: Duration = Duration::from_secs(1);

/// When a thread last ran.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LastRan {
    pub processor: usize,
    /// By the clock of that processor.
    pub at: Duration,
}

/// The time in the text of the file, `se.exec_start : 11526034.355865`, milliseconds.
pub(super) fn exec_start(sched: &[u8]) -> Option<Duration> {
    let from = memmem::find(sched, b"\nse.exec_start")?;
    let line = sched[from + 1..].split(|byte| *byte == b'\n').next()?;
    let (_, time) = std::str::from_utf8(line).ok()?.split_once(':')?;
    let (milliseconds, rest) = time.trim().split_once('.')?;
    if rest.len() != 6 {
        return None;
    }
    let nanoseconds: u64 = rest.parse().ok()?;
    Some(Duration::from_millis(milliseconds.parse().ok()?) + Duration::from_nanos(nanoseconds))
}

/// The clocks of processors at one moment.
pub(super) struct Clocks(HashMap<usize, Duration>);

impl Clocks {
    /// Reads those of these processors that we may run on, by a thread that goes from one to the next.
    pub fn read(processors: BTreeSet<usize>) -> Clocks {
        let (tell, told) = mpsc::channel();
        let visit = move || {
            let Ok(ours) = Processors::ours() else { return };
            for processor in processors {
                let clock = ours.bind(processor).ok().and_then(|()| own());
                if tell.send((processor, clock)).is_err() {
                    break;
                }
            }
        };
        let mut clocks = HashMap::new();
        // A thread that is kept waiting for ever ends with us.
        if std::thread::Builder::new().spawn(visit).is_ok() {
            while let Ok((processor, clock)) = told.recv_timeout(PATIENCE) {
                clocks.extend(clock.map(|clock| (processor, clock)));
            }
        }
        Clocks(clocks)
    }

    pub fn since(&self, last: LastRan) -> Option<Duration> {
        Some(self.0.get(&last.processor)?.saturating_sub(last.at))
    }
}

/// The clock of the processor on which the calling thread runs.
fn own() -> Option<Duration> {
    exec_start(&std::fs::read("/proc/thread-self/sched").ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_read_in_nanoseconds() {
        let text = b"se.exec_start (7, #threads: 1)\n----\nse.exec_start                  :   11526034.355865\nse.vruntime : 1.0\n";
        assert_eq!(exec_start(text), Some(Duration::from_nanos(11_526_034_355_865)));
        for odd in
            ["", "se.exec_start", "\nse.exec_start : x.000000", "\nse.exec_start : 1.0", "\nse.vruntime : 1.000000"]
        {
            assert_eq!(exec_start(odd.as_bytes()), None, "{odd}");
        }
    }

    #[test]
    fn a_thread_is_compared_with_the_clock_of_its_processor_alone() {
        let clocks = Clocks(HashMap::from([(0, Duration::from_secs(50)), (1, Duration::from_secs(10))]));
        let since = |processor, at| clocks.since(LastRan { processor, at: Duration::from_secs(at) });
        assert_eq!(since(0, 20), Some(Duration::from_secs(30)));
        // It has run between the two looks.
        assert_eq!(since(1, 20), Some(Duration::ZERO));
        assert_eq!(since(2, 20), None);
    }

    #[test]
    fn each_processor_of_ours_has_a_clock() {
        let processors: BTreeSet<usize> = (0..2).filter(|at| Processors::ours().unwrap().has(*at)).collect();
        let read = || Clocks::read(processors.clone()).0.into_keys().collect::<BTreeSet<usize>>();
        // Where others keep them busy, it may take more than one try.
        while read() != processors {}
    }

    #[test]
    fn processors_that_are_not_there_have_no_clock() {
        assert!(Clocks::read(BTreeSet::from([1 << 20])).0.is_empty());
    }
}
