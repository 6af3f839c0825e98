//! How long a verb may block.

use std::time::{Duration, Instant};

/// Every `--nowait` and `--timeout`, once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// Not at all: what would block is status 6.
    Never,
    /// Until this moment of the monotonic clock, then status 124.
    Until(Instant),
    /// Until it is done, a signal comes or the object is removed.
    Forever,
}

impl Wait {
    /// From now for this long, or without an end. A time that the clock cannot hold is no end.
    pub fn within(timeout: Option<Duration>) -> Wait {
        timeout.and_then(|timeout| Instant::now().checked_add(timeout)).map_or(Wait::Forever, Wait::Until)
    }

    /// The time that is left: zero when it is over, `None` when there is no end.
    pub fn left(self) -> Option<Duration> {
        match self {
            Wait::Never => Some(Duration::ZERO),
            Wait::Until(at) => Some(at.saturating_duration_since(Instant::now())),
            Wait::Forever => None,
        }
    }
}
