//! `ipcx fifo`, `ipcx mkfifo`.

mod create;
mod peek;
mod recv;
mod rm;
mod send;

use crate::kit::{Env, Running};
use std::fs::{File, OpenOptions};

/// A FIFO in the test's own directory.
fn fifo(env: &Env) -> &'static str {
    assert_eq!(env.out(["mkfifo", "./f"]), "./f");
    "./f"
}

/// A FIFO that the test holds open at both ends: what is in it stays, and nobody waits in open.
fn held(env: &Env) -> (&'static str, File) {
    let path = fifo(env);
    let file = OpenOptions::new().read(true).write(true).open(env.path("f")).unwrap();
    (path, file)
}

/// Where a process sleeps that waits in open(2) for the other side.
const OPENING: &str = "wait_for_partner";

/// What ended a process and what it wrote.
#[track_caller]
fn ended(running: Running) -> (i32, String, String) {
    let output = running.end();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}
