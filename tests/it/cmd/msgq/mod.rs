//! `ipcx msgq`: a file for each verb, and for what several verbs share.

mod access;
mod create;
mod durable;
mod loss;
mod peek;
mod recv;
mod rm;
mod send;
mod set;
mod wait;

use crate::kit::{Env, Running, until};
use predicates::prelude::*;
use std::fs;
use std::process::Command;

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// The status of a process that a signal ended is none, and must not be mistaken for one.
#[track_caller]
fn status(ended: std::process::ExitStatus) -> i32 {
    ended.code().unwrap_or_else(|| panic!("{ended}"))
}

/// A private System V queue.
fn private(env: &Env) -> String {
    env.out(["msgq", "create"])
}

/// A queue of each family.
fn both(env: &Env) -> [String; 2] {
    [private(env), env.out(["msgq", "create", "/q"])]
}

/// A System V queue of four bytes and a POSIX queue of one message, both full.
fn both_full(env: &Env) -> [String; 2] {
    let queues = [
        env.out(["msgq", "create", "--max-bytes", "4"]),
        env.out(["msgq", "create", "/full", "--max-messages", "1", "--message-size", "4"]),
    ];
    for queue in &queues {
        send(env, queue, &["full"]);
    }
    queues
}

#[track_caller]
fn send(env: &Env, queue: &str, messages: &[&str]) {
    env.ipcx(["msgq", "send", queue, "--nowait"].iter().chain(messages)).assert().success();
}

/// Takes all that is left, one a line.
#[track_caller]
fn drain(env: &Env, queue: &str) -> Vec<String> {
    env.out(["msgq", "recv", queue, "--all"]).lines().map(str::to_owned).collect()
}

/// What `show` knows of a queue, but for the evidence, which tells how long ago it was used.
#[track_caller]
fn shown(env: &Env, queue: &str) -> serde_json::Value {
    let mut queue = env.json(["msgq", "show", queue, "--json"])["objects"][0].clone();
    queue.as_object_mut().unwrap().remove("evidence");
    queue
}

#[track_caller]
fn count(env: &Env, queue: &str) -> u64 {
    shown(env, queue)["messages"].as_u64().unwrap()
}

/// The references of all queues there are.
fn queues(env: &Env) -> Vec<String> {
    let found = env.json(["msgq", "ls", "--json"]);
    found["objects"].as_array().unwrap().iter().map(|queue| queue["ref"].as_str().unwrap().to_owned()).collect()
}

/// Sets a limit of this test's own IPC namespace; false where the kernel reserves that to real root.
fn sysctl(name: &str, value: &str) -> bool {
    fs::write(format!("/proc/sys/{name}"), value).is_ok()
}

fn says(text: impl Into<String>) -> impl Predicate<str> {
    predicates::str::contains(text)
}

/// A line of the shell that is left running; `exec` makes its pid that of ipcx.
fn start(env: &Env, script: &str) -> Running {
    let plain = env.command(["--version"]);
    let mut shell = Command::new("sh");
    let variables = plain.get_envs().filter_map(|(name, value)| Some((name, value?)));
    shell.args(["-euc", script]).env_clear().envs(variables).current_dir(env.path(""));
    Running::start(shell)
}

/// ipcx with the signals as at a terminal: a job in the background ignores SIGINT.
fn interruptible(env: &Env, line: &str) -> Running {
    start(env, &format!("exec env --default-signal=INT,TERM ipcx {line}"))
}

/// Where a process sleeps that waits on a queue of this family to be filled.
fn empty_wait(queue: &str) -> &'static str {
    if queue.starts_with('/') { "wq_sleep" } else { "do_msgrcv" }
}

/// Where a process sleeps that waits on a queue of this family to have room.
fn full_wait(queue: &str) -> &'static str {
    if queue.starts_with('/') { "wq_sleep" } else { "do_msgsnd" }
}

/// Waits for its end without closing or reading its streams.
#[track_caller]
fn wait_ended(running: &Running) {
    let stat = format!("/proc/{}/stat", running.pid);
    until("it to end", || fs::read_to_string(&stat).unwrap().contains(") Z "));
}

/// How many messages a sender that ended early says it has sent.
#[track_caller]
fn sent(stderr: &[u8]) -> u64 {
    let said = String::from_utf8(stderr.to_vec()).unwrap();
    let (before, _) = said.split_once(" had been sent before").unwrap_or_else(|| panic!("{said}"));
    before.split_ascii_whitespace().rev().nth(1).and_then(|number| number.parse().ok()).unwrap()
}
