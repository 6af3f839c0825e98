//! Which unix sockets are connected with each other.

use super::diag::{self, State};
use std::collections::HashMap;

/// The other side of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its inode; none of a listener and of one that is not connected, or whose other side is closed.
    pub inode: Option<u64>,
    pub listening: bool,
    /// Whether nobody but the other side can send to it: it is a connection, or has no name to send to.
    pub private: bool,
}

/// All unix sockets of the network namespace by their inodes. ENOENT where the kernel lacks unix_diag.
pub fn peers() -> nix::Result<HashMap<u64, Peer>> {
    let peer = |record: &diag::Record| Peer {
        inode: record.peer,
        listening: record.state == State::Listening,
        private: record.kind != libc::SOCK_DGRAM || record.name.is_none(),
    };
    Ok(diag::all()?.iter().map(|record| (record.ino, peer(record))).collect())
}
