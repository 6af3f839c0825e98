//! A thread for standard input, which may block for ever while another direction has work: standard streams
//! are shared with others and cannot be made non-blocking.

use nix::sys::signal::{SigSet, SigmaskHow};
use std::sync::atomic::{AtomicU8, Ordering};

/// Whose turn it is: whether the input is being read and sent, or may no longer be read. One word says it,
/// so that nothing is taken between the question and the answer.
#[derive(Default)]
pub struct Turn(AtomicU8);

impl Turn {
    const IDLE: u8 = 0;
    const BUSY: u8 = 1;
    const CLOSED: u8 = 2;

    /// Before the input is read; false if nobody would take what it brings.
    pub fn begin(&self) -> bool {
        self.change(Self::IDLE, Self::BUSY)
    }

    /// After all that was read has been sent; false if no more is to be read.
    pub fn end(&self) -> bool {
        self.change(Self::BUSY, Self::IDLE)
    }

    /// Keeps the input from being read from now on; false, and nothing is changed, if it is being read or has
    /// not been sent yet.
    pub fn close(&self) -> bool {
        self.change(Self::IDLE, Self::CLOSED)
    }

    /// Keeps the input from being read after this turn; false if there is one.
    pub fn close_after(&self) -> bool {
        self.0.swap(Self::CLOSED, Ordering::SeqCst) == Self::IDLE
    }

    fn change(&self, from: u8, to: u8) -> bool {
        self.0.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

/// Starts a thread that no signal interrupts: all of them, also that of the deadline, are for the one that
/// waits.
pub fn without_signals<T>(start: impl FnOnce() -> T) -> nix::Result<T> {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let started = start();
    before.thread_set_mask()?;
    Ok(started)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_read_keeps_the_turn_and_after_the_close_nothing_is_read() {
        let turn = Turn::default();
        assert!(turn.begin());
        assert!(!turn.close());
        turn.end();
        assert!(turn.begin());
        turn.end();
        assert!(turn.close());
        assert!(!turn.begin());
    }

    #[test]
    fn a_turn_that_is_to_be_the_last_one_is_not_cut_short() {
        let turn = Turn::default();
        assert!(turn.begin());
        assert!(!turn.close_after());
        assert!(!turn.end());
        assert!(!turn.begin());
        assert!(Turn::default().close_after());
    }
}
