//! The columns of unix sockets.

use crate::model::{Field, Kind, Needs};

const SOCK: &[Kind] = &[Kind::Sock];

pub static FIELDS: &[Field] = &[
    Field::word(SOCK, "type", "stream, dgram or seqpacket", Needs::SCAN, true),
    Field::word(
        SOCK,
        "state",
        "listening, connected, unconnected, foreign (of another network namespace) or dead (a file alone)",
        Needs::SCAN,
        true,
    ),
    Field::number(SOCK, "recvq", "bytes to read; of datagrams those of the first", Needs::SCAN, true),
    Field::number(SOCK, "sendq", "memory of what it sent and its peer has not read", Needs::SCAN, true),
    Field::number(SOCK, "pending", "connections that wait to be accepted", Needs::SCAN, false),
    Field::number(SOCK, "backlog", "most connections that may wait", Needs::SCAN, false),
    Field::word(SOCK, "bound", "the name that it or its listener was bound to", Needs::SCAN, false),
    Field::word(SOCK, "peer", "the socket at the other end", Needs::SCAN, true),
];

/// Behind the processes of the socket itself.
pub static PEERS: &[Field] =
    &[Field::word(SOCK, "peer_processes", "processes that have the other end open", Needs::HOLDERS, true)];
