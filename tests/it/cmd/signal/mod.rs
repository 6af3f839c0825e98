//! `ipcx signal`: a file for each verb.

mod access;
mod block;
mod list;
mod name;
mod queue;
mod send;
mod show;
mod trap;
mod trap_exec;

use crate::kit::{Env, Running, until};
use serde_json::Value;
use std::fs;

/// A trap that is ready: nothing that is sent from now on is lost.
#[track_caller]
fn trapping(env: &Env, args: &str) -> Running {
    let mut trap = env.start(["signal", "trap"].into_iter().chain(args.split_whitespace()));
    trap.wait_blocked("sigtimedwait");
    trap
}

/// A process that has blocked signals and never looks at them.
#[track_caller]
fn holding(env: &Env, signals: &str) -> Running {
    let mut holder = env.start(["signal", "block"].into_iter().chain(signals.split_whitespace()).chain(["--", "cat"]));
    holder.wait_blocked("pipe_read");
    holder
}

/// A process that sleeps until a signal ends it.
#[track_caller]
fn sleeping(env: &Env) -> Running {
    let mut sleeper = env.start(["shm", "attach", &env.out(["shm", "create", "--size", "1"])]);
    sleeper.wait_blocked("pipe_read");
    sleeper
}

/// The lines of a program of JSON lines.
#[track_caller]
fn records(output: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(output).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What `show` knows of a process.
#[track_caller]
fn shown(env: &Env, pid: u32) -> Value {
    env.json(["signal", "show", &pid.to_string(), "--json"])["objects"][0].clone()
}

#[track_caller]
fn send(env: &Env, args: &[&str], pid: u32) {
    env.ipcx(["signal", "send"].iter().chain(args).copied().chain([pid.to_string().as_str()])).assert().success();
}

/// The signals that are pending for a process, by name.
fn pending(env: &Env, pid: u32) -> Vec<String> {
    let names =
        |value: &Value| value.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    names(&shown(env, pid)["pending"])
}

/// How many signals a sender that ended early says it has sent.
#[track_caller]
fn sent(stderr: &[u8]) -> u64 {
    let said = std::str::from_utf8(stderr).unwrap();
    let (before, _) = said.split_once(" had been sent before").unwrap_or_else(|| panic!("{said}"));
    before.split_ascii_whitespace().rev().nth(1).and_then(|number| number.parse().ok()).unwrap()
}

/// Whether a process has ended and waits to be asked for its status.
fn is_zombie(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}
