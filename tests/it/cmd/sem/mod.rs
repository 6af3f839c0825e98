//! `ipcx sem`, for System V sets and POSIX semaphores.

mod change;
mod create;
mod get;
mod named;
mod op;
mod run;
mod wait;

use crate::kit::Env;
use std::fs;

/// One reference of each family.
const FAMILIES: [&str; 2] = ["0x4d2", "/slots"];

/// A semaphore of each family.
fn each_family(env: &Env, value: &str) -> [&'static str; 2] {
    for reference in FAMILIES {
        env.out(["sem", "create", reference, "--value", value]);
    }
    FAMILIES
}

/// The function in which the kernel lets a process wait for a semaphore of this family.
fn blocked_in(reference: &str) -> &'static str {
    if reference.starts_with('/') { "futex" } else { "semtimedop" }
}

fn members(env: &Env, reference: &str) -> Vec<serde_json::Value> {
    env.json(["sem", "get", "--json", reference])["semaphores"].as_array().unwrap().clone()
}

fn values(env: &Env, reference: &str) -> Vec<u64> {
    members(env, reference).iter().map(|member| member["value"].as_u64().unwrap()).collect()
}

fn shown(env: &Env, reference: &str) -> serde_json::Value {
    env.json(["sem", "show", "--json", reference])["objects"][0].clone()
}

#[track_caller]
fn assert_nothing_made(env: &Env) {
    assert_eq!(env.json(["sem", "ls", "--json"])["objects"], serde_json::json!([]));
    assert_eq!(fs::read_dir("/dev/shm").unwrap().count(), 0, "something is left in /dev/shm");
}
