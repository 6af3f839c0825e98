//! Which unix sockets are connected with each other.

use super::diag::{self, Record, State};
use crate::model::{SocketName, Text};
use std::collections::HashMap;

/// The other side of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its inode; none of a listener and of one that is not connected, or whose other side is closed.
    pub inode: Option<u64>,
    pub listening: bool,
    /// Whether it is for datagrams: they wait where they are sent to, and whoever knows its name can send some.
    pub datagrams: bool,
    /// Whether nobody but the other side can send to it: it is a connection, or has no name to send to.
    pub private: bool,
}

/// All unix sockets of a network namespace.
#[derive(Debug)]
pub struct Sockets {
    peers: HashMap<u64, Peer>,
    /// Those that have a name to send or connect to.
    named: Vec<Record>,
}

impl Sockets {
    /// Those of our own namespace. ENOENT where the kernel lacks unix_diag.
    pub fn all() -> nix::Result<Sockets> {
        let mut all = diag::all()?;
        let peers = all.iter().map(|record| (record.ino, peer(record))).collect();
        // What a listener has accepted has its name, too.
        all.retain(|record| record.name.is_some() && (is_for_datagrams(record) || record.state == State::Listening));
        Ok(Sockets { peers, named: all })
    }

    /// What is known of a socket, by its inode.
    pub fn peer(&self, inode: u64) -> Option<Peer> {
        self.peers.get(&inode).copied()
    }

    /// The name of a socket, if it has one to send or connect to: a path as it was bound, or `@` and an abstract
    /// name.
    pub fn name(&self, inode: u64) -> Option<Text> {
        let name = self.named.iter().find(|record| record.ino == inode)?.name.as_deref()?;
        Some(match name.strip_prefix(b"\0") {
            Some(name) => Text::from([b"@", name].concat()),
            None => Text::from(name.strip_suffix(b"\0").unwrap_or(name)),
        })
    }

    /// The inode of the socket that has a name.
    pub fn named(&self, name: &SocketName) -> Option<u64> {
        let has = |record: &&Record| match name {
            SocketName::File { dev, ino } => record.may_have(*dev, *ino),
            SocketName::Abstract(name) => {
                record.name.as_deref().and_then(|known| known.strip_prefix(b"\0")) == Some(name.raw())
            }
        };
        self.named.iter().find(has).map(|record| record.ino)
    }
}

fn peer(record: &Record) -> Peer {
    Peer {
        inode: record.peer,
        listening: record.state == State::Listening,
        datagrams: is_for_datagrams(record),
        private: !is_for_datagrams(record) || record.name.is_none(),
    }
}

fn is_for_datagrams(record: &Record) -> bool {
    record.kind == libc::SOCK_DGRAM
}
