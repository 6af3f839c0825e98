//! What bounds unix sockets: unix(7), listen(2), socket(7).

use crate::mech::{Limit, Unit};
use crate::model::{Family, Kind, Seen};
use crate::proc::sysctl;

/// All of them bound one socket, so nothing of them is used up.
pub(super) fn limits() -> Vec<Limit> {
    let limit = |name, help, unit, setting| Limit {
        noun: Kind::Sock.noun(),
        family: Family::Unix,
        name,
        help,
        limit: sysctl::limit(setting, 0),
        used: Seen::Absent,
        unit,
        setting,
    };
    vec![
        limit(
            "max_dgram_qlen",
            "datagrams that wait at one socket, and one more",
            Unit::Objects,
            "net.unix.max_dgram_qlen",
        ),
        limit(
            "somaxconn",
            "connections that wait for accept(2) at one socket, and one more",
            Unit::Objects,
            "net.core.somaxconn",
        ),
        limit("wmem_max", "bytes of one send buffer (SO_SNDBUF)", Unit::Bytes, "net.core.wmem_max"),
        limit("rmem_max", "bytes of one receive buffer (SO_RCVBUF)", Unit::Bytes, "net.core.rmem_max"),
    ]
}
