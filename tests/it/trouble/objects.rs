//! Objects that are hard to tell apart, removed, or large.

use super::{COLUMNS, OURS, attach, blocked, gaps, pids};
use crate::kit::look::{by_ref, refs};
use crate::kit::{Env, Running, until};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt as _;

#[test]
fn a_removed_segment_that_is_still_attached_is_in_use_until_it_is_gone() {
    let env = Env::new();
    env.out(["shm", "create", "0x4d2", "--size", "4096"]);
    let holder = attach(&env, "0");
    env.out(["rm", "shm/0", "--force"]);
    // Another one with the key that it had.
    env.out(["shm", "create", "0x4d2", "--size", "8192"]);
    let found = OURS.json(&env, &["ls", "shm", "--json", "-o", COLUMNS]);
    assert_eq!(refs(&found["objects"]), ["shm/0", "shm/1"]);
    let (old, new) = (by_ref(&found["objects"], "shm/0"), by_ref(&found["objects"], "shm/1"));
    assert_eq!((pids(&old["holders"]), &old["verdict"]), (vec![holder.pid], &json!("in use")));
    assert_eq!((&new["holders"], &new["key"]), (&json!([]), &json!("0x000004d2")));
    assert_eq!(pids(&OURS.show(&env, "shm/0")["holders"]), [holder.pid]);
    OURS.look_at(&env, &["shm/0"], &[holder.pid]);
    let ps = OURS.json(&env, &["ps", "--json", &holder.pid.to_string()]);
    assert!(refs(&ps["objects"]).contains(&"shm/0"), "{ps:#}");
    drop(holder);
    until("it to be gone", || refs(&env.json(["ls", "shm", "--json"])["objects"]) == ["shm/1"]);
}

#[test]
fn the_same_identifier_in_two_namespaces_is_two_objects() {
    let env = Env::new();
    let create = |env: &Env| {
        env.out(["shm", "create", "0x4d2", "--size", "4096"]);
        env.out(["sem", "create", "--value", "1"]);
        env.out(["msgq", "create"]);
    };
    create(&env);
    let script = "ipcx shm create 0x4d2 --size 4096; ipcx sem create; ipcx msgq create; ipcx msgq recv 0 &
        ipcx sem wait 0 & exec ipcx shm attach 0";
    let theirs = env.start_sh(&format!("exec unshare --ipc sh -euc '{script}'"));
    let all = || env.json(["ps", "--json", "-a"])["objects"].to_string();
    until("the others", || {
        let all = all();
        ["shm/0 of IPC namespace ", "sem/0 of IPC namespace ", "msgq/0 of IPC namespace "]
            .iter()
            .all(|one| all.contains(one))
    });
    let found = OURS.json(&env, &["ls", "--json", "-o", COLUMNS]);
    for reference in ["shm/0", "sem/0", "msgq/0"] {
        let object = by_ref(&found["objects"], reference);
        let none = [json!([]), Value::Null];
        assert!(none.contains(&object["holders"]) && none.contains(&object["waiters"]), "{object:#}");
    }
    assert_eq!(OURS.show(&env, "shm/0")["holders"], json!([]));
    let holder = attach(&env, "0");
    assert_eq!(pids(&OURS.show(&env, "shm/0")["holders"]), [holder.pid]);
    assert_eq!(
        pids(&by_ref(&OURS.json(&env, &["ls", "shm", "--json", "-o", COLUMNS])["objects"], "shm/0")["holders"]),
        [holder.pid]
    );
    // Those that wait there would outlive their shell.
    env.sh(&format!("nsenter --target {} --ipc ipcx rm --force msgq/0 sem/0", theirs.pid)).assert().success();
    drop(theirs);
}

#[test]
fn the_same_inode_number_on_two_file_systems_is_two_objects() {
    let env = Env::new();
    let script = "for d in a b; do mkdir $d; mount -t tmpfs ipcx-it $d; mkfifo $d/f; >$d/lock; chmod 755 $d; done";
    env.sh(script).assert().success();
    let inode = |path: &str| fs::metadata(env.path(path)).unwrap().ino();
    // A new file system counts from the same number on.
    assert_eq!((inode("a/f"), inode("a/lock")), (inode("b/f"), inode("b/lock")));
    let open = |d: &str| {
        let mut running = env.start_sh(&format!("exec 3<>{d}/f 4>{d}/lock; flock 4; echo; exec cat <&3"));
        assert_eq!(running.line(), "");
        blocked(&env, &running, "read");
        running
    };
    let (a, b) = (open("a"), open("b"));
    let waiter = env.start_sh("exec flock b/lock true");
    blocked(&env, &waiter, "flock");
    for (path, process) in [("fifo/./a/f", &a), ("fifo/./b/f", &b)] {
        let object = OURS.show(&env, path);
        assert_eq!((pids(&object["processes"]), pids(&object["waiters"])), (vec![process.pid], vec![process.pid]));
        assert_eq!(pids(&object["holders"]), [process.pid], "{object:#}");
    }
    let said = OURS.json(&env, &["why", "--json", &waiter.pid.to_string()]);
    assert_eq!(pids(&said["objects"][0]["wakers"]), [b.pid], "{said:#}");
    OURS.look_at(&env, &["fifo/./a/f", "fifo/./b/f"], &[a.pid, b.pid, waiter.pid]);
    drop((a, b, waiter));
    env.sh("umount a b").assert().success();
}

#[test]
fn a_set_with_as_many_semaphores_as_there_can_be() {
    let env = Env::new();
    let most = fs::read_to_string("/proc/sys/kernel/sem").unwrap();
    let most: usize = most.split_ascii_whitespace().next().unwrap().parse().unwrap();
    let count = most.min(32_000);
    env.out(["sem", "create", "-n", &count.to_string(), "--value", "1"]);
    let last = (count - 1).to_string();
    let mut holder = env.start(["sem", "run", "0", "-i", &last, "--", "sh", "-c", "echo; read x"]);
    assert_eq!(holder.line(), "");
    let waiter = env.start(["sem", "wait", "0", "-i", &last]);
    blocked(&env, &waiter, "semtimedop");
    OURS.look_at(&env, &["sem/0"], &[holder.pid, waiter.pid]);
    let document = OURS.json(&env, &["show", "sem/0", "--json"]);
    let object = &document["objects"][0];
    assert_eq!(object["semaphores"].as_array().unwrap().len(), count);
    assert_eq!(pids(&object["waiters"]), [waiter.pid]);
    // Without the right to load a BPF program nobody knows who holds it.
    if gaps(&document).contains("undo lists") {
        assert_eq!(object["holders"], Value::Null, "{}", object["holders"]);
    } else {
        assert_eq!(pids(&object["holders"]), [holder.pid]);
        let detail = format!("semaphore {last}: took 1 with SEM_UNDO");
        assert_eq!(object["holders"][0]["detail"], detail.as_str());
    }
    let said = OURS.json(&env, &["why", "--json", &waiter.pid.to_string()]);
    assert_eq!(pids(&said["objects"][0]["wakers"]), [holder.pid], "{said:#}");
    assert_eq!(OURS.verdict(&env, "sem/0"), "in use");
}

#[test]
fn a_process_with_twenty_thousand_descriptors() {
    let env = Env::new();
    let most = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap().1;
    let count = usize::try_from(most.min(20_008) - 8).unwrap();
    if count < 1000 {
        crate::skip!("a process may have {most} descriptors here");
    }
    env.out(["mkfifo", "./f"]);
    let mut holder: Running = Env::start_part(&format!("open {count} - {}", env.path("f").display()));
    assert_eq!(holder.line(), "");
    let all = OURS.look_at(&env, &["fifo/./f"], &[holder.pid]);
    let (object, rows, stale) = (&all[1]["objects"][0], &all[3], &all[5]);
    assert_eq!((&object["readers"], &object["writers"]), (&json!(1), &json!(1)));
    assert_eq!(object["processes"].as_array().unwrap().len(), count);
    assert_eq!(by_ref(&stale["objects"], "fifo/./f")["verdict"], "in use");
    let fifo = format!("fifo/{}", env.path("f").display());
    let rows: Vec<&Value> =
        rows["objects"].as_array().unwrap().iter().filter(|row| row["ref"] == fifo.as_str()).collect();
    assert_eq!(rows.len(), 1, "one row for all of them");
}
