//! System calls that know no kind of IPC: waiting, signals, standard streams, leases, users.
//!
//! This floor and `mech/*/sys.rs` are the only places with `unsafe`.

pub mod child;
pub mod duplex;
pub mod file;
pub mod lease;
pub mod pidfd;
pub mod run;
pub mod stdio;
pub mod users;
pub mod waiter;
