//! `ipcx sock`: a file for each verb, and for what several verbs share.

mod address;
mod connect;
mod converse;
mod exec;
mod file;
mod listen;
mod messages;
mod pair;
mod pass;
mod peek;
mod send;

use crate::kit::{Env, Running, leave_stale};
use std::ffi::OsStr;
use std::net::{Ipv6Addr, TcpListener};
use std::path::Path;

/// Starts a listener or a receiver, and waits until others can come to it; its address too.
#[track_caller]
fn listening<S: AsRef<OsStr>>(env: &Env, args: impl IntoIterator<Item = S>) -> (Running, String) {
    let (mut running, address) = listening_with_input(env, args);
    // As long as it may have something to say, its peer waits for that.
    running.close_stdin();
    (running, address)
}

/// The same with its standard input left open.
#[track_caller]
fn listening_with_input<S: AsRef<OsStr>>(env: &Env, args: impl IntoIterator<Item = S>) -> (Running, String) {
    let mut running = Running::start(env.command(args));
    let said = running.said();
    let address = said.strip_prefix("ipcx: listening on ").unwrap_or_else(|| panic!("{said}")).to_owned();
    (running, address)
}

/// An abstract name that no other test has: they share a network namespace.
fn unique(env: &Env, name: &str) -> String {
    format!("@{}-{name}", env.path("").display())
}

fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

#[track_caller]
fn success(running: Running) -> String {
    let ended = running.end();
    assert!(ended.status.success(), "{}: {}", ended.status, String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).unwrap()
}
