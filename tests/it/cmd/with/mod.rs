mod isolate;
pub mod killed;
mod run;

use crate::kit::{Env, until};
use std::fs;
use std::path::PathBuf;

/// One object of every kind and family that there is, by the names a to g.
const ALL: [&str; 7] =
    ["a=msgq", "b=shm,64K", "c=sem,1,2", "d=fifo", "e=shm,4K,posix", "f=sem,3,posix", "g=msgq,posix"];

/// Where the FIFOs of a test lie.
fn runtime(env: &Env) -> PathBuf {
    let directory = env.path("run");
    if !directory.exists() {
        fs::create_dir(&directory).unwrap();
    }
    directory
}

/// `ipcx with` these objects for a command, whose FIFOs lie in `runtime`.
fn with(env: &Env, objects: &[&str], command: &[&str]) -> std::process::Command {
    let mut with = env.command(["with"].iter().chain(objects).chain(&["--"]).chain(command));
    with.env("XDG_RUNTIME_DIR", runtime(env));
    with
}

/// What is there of System V, in /dev/shm and in `runtime`; the queues of POSIX are left to `nothing_is_left`.
fn left(env: &Env) -> Vec<String> {
    let mut left = Vec::new();
    for table in ["shm", "msg", "sem"] {
        let text = fs::read_to_string(format!("/proc/sysvipc/{table}")).unwrap();
        left.extend(text.lines().skip(1).map(|line| format!("{table} {line}")));
    }
    for directory in ["/dev/shm".into(), runtime(env)] {
        left.extend(fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path().display().to_string()));
    }
    left
}

#[track_caller]
fn nothing_is_left(env: &Env) {
    until("all objects to be gone", || left(env).is_empty());
    until("all queues to be gone", || env.out(["ls", "msgq", "-o", "ref", "--no-headings"]).is_empty());
}

/// Fields of /proc/PID/stat behind the name, from the state on; `None` once there is no such process.
fn stat(pid: u32) -> Option<(String, Vec<String>)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (front, back) = text.rsplit_once(')')?;
    let name = front.split_once('(')?.1.to_owned();
    Some((name, back.split_whitespace().map(str::to_owned).collect()))
}

/// The children of a process that have this name.
fn children(parent: u32, name: &str) -> Vec<u32> {
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let parent = parent.to_string();
    pids.filter(|pid| stat(*pid).is_some_and(|(comm, fields)| comm == name && fields[1] == parent)).collect()
}

/// The guardian that a running `ipcx with` has, or a `sem run` of a POSIX semaphore.
#[track_caller]
pub fn guardian(of: u32) -> u32 {
    let found = children(of, "ipcx-guardian");
    assert_eq!(found.len(), 1, "guardians of {of}: {found:?}");
    found[0]
}
