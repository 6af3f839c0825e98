//! Sockets: unix(7), tcp(7), udp(7). Bound to an address and removed again, connected, and the messages,
//! descriptors and credentials that go through them.

mod bind;
mod connect;
mod described;
mod diag;
pub(super) mod fields;
mod message;
mod name;
mod object;
mod peek;
mod sys;

pub use bind::{Accepted, Binding, Listener};
pub use connect::connect;
pub use described::described;
pub use message::{Message, Sender, descriptor, receive, receive_part};
pub use object::{UnixSock, borrow};
pub use peek::peek;

use crate::error::{Error, Result};
use crate::exit::Status;
use crate::model::{Address, SockType};
use crate::sys::waiter::Stop;
use nix::errno::Errno;
use std::os::fd::OwnedFd;

/// Two sockets that are connected with each other and have no name.
pub fn pair(kind: SockType) -> Result<(OwnedFd, OwnedFd)> {
    sys::pair(kind).map_err(|errno| Error::new("socketpair", errno, ""))
}

/// The error of a wait on a socket.
fn stopped(stop: Stop, call: &'static str, address: &Address) -> Error {
    match stop {
        Stop::Errno(errno) => Error::new(call, errno, address),
        Stop::TimedOut => Error::new(call, Errno::ETIMEDOUT, address).because("timed out"),
        Stop::Signal(signal) => Error::new(call, Errno::EINTR, address)
            .because(format!("interrupted by signal {signal}"))
            .with_status(Status::Signal(signal)),
    }
}
