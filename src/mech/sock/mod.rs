//! Sockets: unix(7), tcp(7), udp(7). Bound to an address and removed again, connected, and the messages,
//! descriptors and credentials that go through them.

mod bind;
mod connect;
mod described;
mod diag;
pub(super) mod fields;
mod limits;
mod message;
mod name;
mod object;
mod peek;
mod peers;
mod sys;

pub use bind::{Accepted, Binding, Listener};
pub use connect::{connect, connect_datagrams};
pub use described::described;
pub use message::{Message, Sender, descriptor, receive, receive_part, receive_ready};
pub use object::{UnixSock, borrow};
pub use peek::peek;
pub use peers::{Peer, Sockets};

use crate::error::{Error, Result};
use crate::mech::stopped;
use crate::model::SockType;
use std::os::fd::OwnedFd;

/// Two sockets that are connected with each other and have no name.
pub fn pair(kind: SockType) -> Result<(OwnedFd, OwnedFd)> {
    sys::pair(kind).map_err(|errno| Error::new("socketpair", errno, ""))
}

/// Whether an answer of the kernel is a record of a socket, for tests with bytes that nobody would write.
#[cfg(any(test, fuzzing))]
pub fn record(answer: &[u8]) -> bool {
    diag::parse(answer).is_some()
}
