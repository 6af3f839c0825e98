//! Sockets, unix(7).

mod diag;
pub(super) mod fields;
mod object;

pub use object::{UnixSock, descriptor};
