//! What bounds queued signals: signal(7), setrlimit(2).

use super::{Limit, Unit};
use crate::model::{Family, Seen};
use crate::proc::status;
use nix::errno::Errno;

/// The noun of signals, which are no objects.
pub(super) const NOUN: &str = "signal";

pub(super) fn limits() -> Vec<Limit> {
    let hidden = |errno: Errno| (Seen::hidden("read", errno as i32), Seen::hidden("read", errno as i32));
    let (used, limit) = match status::own().map(|status| status.queue) {
        // RLIM_INFINITY is no limit.
        Ok(Some((queued, libc::RLIM_INFINITY))) => (Seen::Is(queued), Seen::Absent),
        Ok(Some((queued, limit))) => (Seen::Is(queued), Seen::Is(limit)),
        Ok(None) => hidden(Errno::EBADMSG),
        Err(errno) => hidden(errno),
    };
    vec![Limit {
        noun: NOUN,
        family: Family::Posix,
        name: "RLIMIT_SIGPENDING",
        help: "signals queued and timers of all processes of this user",
        limit,
        used,
        unit: Unit::Objects,
        setting: "ulimit -i",
    }]
}
