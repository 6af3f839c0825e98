//! `ipcx shm`, for its three families: System V, POSIX and file.

mod attach;
mod change;
mod create;
mod dump;
mod odd;
mod read;
mod write;

use crate::kit::Env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// One reference of each family.
const FAMILIES: [&str; 3] = ["0x4d2", "/frames", "./data.bin"];

/// A segment of each family.
fn each_family(env: &Env, size: &str) -> [&'static str; 3] {
    for reference in FAMILIES {
        env.out(["shm", "create", reference, "--size", size]);
    }
    FAMILIES
}

fn bytes(env: &Env, reference: &str) -> Vec<u8> {
    env.ipcx(["shm", "read", reference]).assert().success().get_output().stdout.clone()
}

fn shown(env: &Env, reference: &str) -> serde_json::Value {
    env.json(["shm", "show", "--json", reference])["objects"][0].clone()
}

fn size(env: &Env, reference: &str) -> u64 {
    shown(env, reference)["size"].as_u64().unwrap()
}

fn mode(env: &Env, reference: &str) -> String {
    shown(env, reference)["mode"].as_str().unwrap().to_owned()
}

/// How many segments a listing shows.
fn listed(env: &Env) -> usize {
    env.json(["shm", "ls", "--json"])["objects"].as_array().unwrap().len()
}

/// Nothing is left of what a test tried to make: no segment, no file in /dev/shm, no `./data.bin`.
#[track_caller]
fn assert_nothing_made(env: &Env) {
    assert_eq!(env.json(["shm", "ls", "--json"])["objects"], serde_json::json!([]));
    assert_eq!(fs::read_dir("/dev/shm").unwrap().count(), 0, "something is left in /dev/shm");
    assert!(!env.path("data.bin").exists(), "data.bin is left");
}

/// A file of zeros that takes no space.
fn sparse(env: &Env, name: &str, length: u64) {
    fs::File::create(env.path(name)).unwrap().set_len(length).unwrap();
}

fn chmod(path: impl AsRef<std::path::Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
