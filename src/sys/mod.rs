//! System calls that know no kind of IPC: waiting, signals, standard streams, leases, users.
//!
//! This floor and `mech/*/sys.rs` are the only places with `unsafe`.

pub mod bpf;
pub mod buffer;
pub mod child;
pub mod descriptor;
pub mod duplex;
pub mod feeder;
pub mod file;
pub mod guardian;
pub mod inotify;
pub mod lease;
pub mod locked;
pub mod namespace;
pub mod netlink;
pub mod newfile;
pub mod pidfd;
pub mod pipe;
pub mod processor;
pub mod procmap;
pub mod random;
pub mod robust;
pub mod run;
pub mod signal;
#[cfg(test)]
pub mod staged;
pub mod stdio;
pub mod terminal;
pub mod users;
pub mod waiter;
pub mod walk;
