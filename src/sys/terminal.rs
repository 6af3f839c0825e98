//! What we may do with a terminal.
#![allow(unsafe_code)]

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, AsRawFd as _};

/// Whether a terminal is ours to paint on now: we are its foreground, or it is not the one that controls
/// us; and it takes output, which it does not while somebody holds it with ^S.
pub fn is_ours(terminal: impl AsFd) -> bool {
    let terminal = terminal.as_fd();
    // SAFETY: both calls take and give numbers.
    let (foreground, us) = unsafe { (libc::tcgetpgrp(terminal.as_raw_fd()), libc::getpgrp()) };
    let mut ready = [PollFd::new(terminal, PollFlags::POLLOUT)];
    (foreground == us || foreground < 0) && poll(&mut ready, PollTimeout::ZERO) == Ok(1)
}
