//! A file for each mechanism, named as in `src/mech`.

mod eventfd;
mod fifo;
mod memfd;
mod pipe;
mod sock;

use crate::kit::Env;
use serde_json::Value;
use std::os::fd::{AsFd, AsRawFd as _};

/// The inode number behind a descriptor.
fn inode(fd: impl AsFd) -> u64 {
    nix::sys::stat::fstat(fd).unwrap().st_ino
}

/// The object of this reference, as the listing of its kind has it.
#[track_caller]
fn listed(env: &Env, kind: &str, reference: &str) -> Value {
    crate::kit::look::by_ref(&env.json(["ls", kind, "--json"])["objects"], reference).clone()
}

/// The end that the test itself has by this descriptor.
#[track_caller]
fn our_end(object: &Value, key: &str, fd: impl AsFd) -> Value {
    let (pid, fd) = (std::process::id(), fd.as_fd().as_raw_fd());
    let ends = object[key].as_array().unwrap();
    let ours = ends.iter().find(|end| end["pid"] == pid && end["fd"] == fd);
    ours.unwrap_or_else(|| panic!("no {pid},{fd} in {object:#}")).clone()
}
