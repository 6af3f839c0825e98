//! Kernels that lack something: a filter refuses the calls as such a kernel does.

use crate::kit::look::{mount_mqueue, named, refs, unmount_mqueue};
use crate::kit::{Env, NOBODY, Refusal, Starts as _, half_made_set, refusal};
use libc::{EAGAIN, EINVAL, ENODEV, ENOSYS};
use serde_json::json;
use std::os::unix::process::CommandExt as _;

fn missing(calls: &[libc::c_long]) -> Vec<Refusal> {
    calls.iter().map(|call| Refusal::of(*call, ENOSYS)).collect()
}

/// Every one of these ends with status 1 and an error with its errno and this hint.
#[track_caller]
fn all_refused(env: &Env, refusals: &[Refusal], hint: &str, lines: &[&str]) {
    let mut wrong = Vec::new();
    for line in lines {
        let output = env.ipcx_refused(refusals, line.split(' ')).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let told = said.starts_with("ipcx: cannot ") && said.contains("(ENOSYS)") && said.contains(hint);
        if output.status.code() != Some(1) || !output.stdout.is_empty() || !told {
            wrong.push(format!("{line}: {}\n{said}", output.status));
        }
    }
    assert!(wrong.is_empty(), "a kernel without it is not told:\n{}", wrong.join("\n"));
}

const SYSV: &str = "CONFIG_SYSVIPC";

#[test]
fn a_kernel_without_system_v_queues_is_told_by_every_verb() {
    let env = Env::new();
    env.out(["msgq", "create", "0x4d2"]);
    env.out(["msgq", "send", "0", "one"]);
    let calls = missing(&[libc::SYS_msgget, libc::SYS_msgctl, libc::SYS_msgsnd, libc::SYS_msgrcv]);
    let lines = [
        "msgq create",
        "msgq create 0x4d3",
        "msgq create 0x4d2 --exist-ok",
        "msgq send 0 two",
        "msgq send 0x4d2 two --nowait",
        "msgq send 0 two --timeout 1h",
        "msgq recv 0",
        "msgq recv 0x4d2 --all",
        "msgq recv 0 --timeout 1h",
        "msgq peek 0",
        "msgq set 0 --mode 666",
        "msgq show 0",
        "show msgq/0x4d2",
        "rm msgq/0",
        "msgq rm 0x4d2 --force",
    ];
    all_refused(&env, &calls, SYSV, &lines);
    assert_eq!(env.out(["msgq", "recv", "0", "--all"]), "one");
    assert_eq!(env.json(["msgq", "show", "0", "--json"])["objects"][0]["mode"], "0600");
}

#[test]
fn one_missing_call_of_system_v_queues_is_told_by_the_verb_that_needs_it() {
    let env = Env::new();
    env.out(["msgq", "create", "0x4d2"]);
    env.out(["msgq", "send", "0", "one"]);
    for (call, lines) in [
        (libc::SYS_msgget, &["msgq create", "msgq recv 0x4d2"][..]),
        (libc::SYS_msgctl, &["msgq show 0", "msgq rm 0", "msgq set 0 --mode 666"]),
        (libc::SYS_msgsnd, &["msgq send 0 two", "msgq send 0x4d2 two --timeout 1h"]),
        (libc::SYS_msgrcv, &["msgq recv 0", "msgq recv 0x4d2 --nowait"]),
    ] {
        all_refused(&env, &missing(&[call]), SYSV, lines);
    }
    assert_eq!(env.out(["msgq", "recv", "0", "--all"]), "one");
}

#[test]
fn a_kernel_without_system_v_shared_memory_is_told_by_every_verb() {
    let env = Env::new();
    env.out(["shm", "create", "0x4d2", "--size", "3"]);
    env.out(["shm", "write", "0", "one"]);
    let calls = missing(&[libc::SYS_shmget, libc::SYS_shmctl, libc::SYS_shmat]);
    let lines = [
        "shm create --size 1",
        "shm create 0x4d3 --size 1 --exist-ok",
        "shm create 0x4d3 --size 1 --huge",
        "shm write 0 two",
        "shm write 0x4d2 two",
        "shm read 0",
        "shm dump 0x4d2",
        "shm attach 0 --timeout 1h",
        "shm lock 0",
        "shm unlock 0",
        "shm set 0 --mode 666",
        "shm show 0",
        "show shm/0x4d2 --attach",
        "rm shm/0",
        "shm rm 0x4d2 --force",
    ];
    all_refused(&env, &calls, SYSV, &lines);
    all_refused(&env, &missing(&[libc::SYS_shmat]), SYSV, &["shm read 0", "shm write 0 two", "shm attach 0"]);
    all_refused(&env, &missing(&[libc::SYS_shmget]), SYSV, &["shm create --size 1", "shm read 0x4d2"]);
    all_refused(&env, &missing(&[libc::SYS_shmctl]), SYSV, &["shm show 0", "shm rm 0", "shm set 0 --mode 666"]);
    assert_eq!(env.out(["shm", "read", "0"]), "one");
    assert_eq!(env.json(["shm", "show", "0", "--json"])["objects"][0]["mode"], "0600");
}

#[test]
fn a_kernel_without_system_v_semaphores_is_told_by_every_verb() {
    let env = Env::new();
    env.out(["sem", "create", "0x4d2", "--value", "1"]);
    let calls = missing(&[libc::SYS_semget, libc::SYS_semctl, libc::SYS_semop, libc::SYS_semtimedop]);
    let lines = [
        "sem create",
        "sem create 0x4d3 --value 1",
        "sem create 0x4d2 --exist-ok",
        "sem wait 0",
        "sem wait 0x4d2 --nowait",
        "sem wait 0 --timeout 1h",
        "sem post 0",
        "sem zero 0 --timeout 1h",
        "sem get 0",
        "sem set 0 0=3",
        "sem set 0 --mode 666",
        "sem op 0 0=+1",
        "sem show 0",
        "show sem/0x4d2",
        "rm sem/0",
        "sem rm 0x4d2 --force",
    ];
    all_refused(&env, &calls, SYSV, &lines);
    let no_operation = missing(&[libc::SYS_semop, libc::SYS_semtimedop]);
    all_refused(&env, &no_operation, SYSV, &["sem wait 0", "sem post 0x4d2", "sem op 0 all=+1"]);
    all_refused(&env, &missing(&[libc::SYS_semget]), SYSV, &["sem create", "sem wait 0x4d2"]);
    all_refused(&env, &missing(&[libc::SYS_semctl]), SYSV, &["sem get 0", "sem set 0 0=2", "sem rm 0"]);
    // The status of a command that is not run is 125.
    let said = refusal(&mut env.ipcx_refused(&calls, ["sem", "run", "0", "--", "echo", "run"]), 125);
    assert!(said.contains("(ENOSYS)") && said.contains(SYSV), "{said}");
    assert_eq!(env.out(["sem", "get", "0", "--index", "0"]), "1");
    assert_eq!(env.json(["sem", "show", "0", "--json"])["objects"][0]["mode"], "0600");
}

#[test]
fn a_set_that_cannot_get_its_values_is_not_left_behind() {
    let env = Env::new();
    let calls = missing(&[libc::SYS_semop, libc::SYS_semtimedop]);
    let said = refusal(&mut env.ipcx_refused(&calls, ["sem", "create", "0x4d2", "--value", "1"]), 1);
    assert!(said.contains("(ENOSYS)"), "{said}");
    assert_eq!(env.json(["sem", "ls", "--json"])["objects"], json!([]));
}

#[test]
fn a_kernel_without_posix_queues_is_told_by_every_verb_and_the_rest_is_listed() {
    let env = Env::new();
    unmount_mqueue(&env);
    env.out(["msgq", "create"]);
    let calls = [libc::SYS_mq_open, libc::SYS_mq_unlink, libc::SYS_mq_timedsend, libc::SYS_mq_timedreceive];
    let mut calls = missing(&calls);
    // There is no file system of that name either.
    calls.push(Refusal::of(libc::SYS_fsopen, ENODEV));
    let lines = [
        "msgq create /q",
        "msgq create /q --exist-ok",
        "msgq create /q --max-messages 1 --message-size 1",
        "msgq send /q one",
        "msgq recv /q",
        "msgq recv /q --timeout 1h",
        "msgq set /q --mode 666",
        "msgq show /q",
        "show msgq//q",
        "rm msgq//q",
        "msgq rm /q --force",
    ];
    all_refused(&env, &calls, "CONFIG_POSIX_MQUEUE", &lines);
    let output = env.ipcx_refused(&calls, ["ls", "--json"]).assert().success().get_output().clone();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(refs(&document["objects"]), ["msgq/0"]);
    let gaps = document["gaps"].as_array().unwrap();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(gaps[0].to_string().contains("ENODEV"), "{gaps:?}");
}

#[test]
fn a_kernel_that_cannot_mount_without_a_place_shows_what_is_mounted() {
    let env = Env::new();
    mount_mqueue(&env);
    env.out(["msgq", "create", "/jobs"]);
    for errno in [ENOSYS, libc::EPERM] {
        let refused = [Refusal::of(libc::SYS_fsopen, errno)];
        let output = env.ipcx_refused(&refused, ["ls", "--json"]).assert().success().get_output().stdout.clone();
        let document: serde_json::Value = serde_json::from_slice(&output).unwrap();
        assert_eq!((refs(&document["objects"]), &document["gaps"]), (vec!["msgq//jobs"], &json!([])));
        env.ipcx_refused(&refused, ["limits", "msgq"]).assert().success();
        env.ipcx_refused(&refused, ["show", "msgq//jobs"]).assert().success();
    }
    unmount_mqueue(&env);
    for call in [libc::SYS_fsopen, libc::SYS_fsconfig, libc::SYS_fsmount] {
        let output = env.ipcx_refused(&missing(&[call]), ["ls", "--json"]).assert().success().get_output().clone();
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["objects"], json!([]));
        let gap = document["gaps"][0].to_string();
        assert!(gap.contains("ENOSYS") && gap.contains("mqueue"), "{document:#}");
        env.ipcx_refused(&missing(&[call]), ["msgq", "send", "/jobs", "by name all the same"]).assert().success();
    }
}

#[test]
fn a_kernel_that_cannot_copy_messages_says_so_and_loses_none() {
    let env = Env::new();
    env.out(["msgq", "create"]);
    env.out(["msgq", "send", "0", "one", "two"]);
    let copy = Refusal { call: libc::SYS_msgrcv, argument: Some((4, 0o40000, 0o40000)), errno: ENOSYS };
    for line in ["msgq peek 0", "msgq peek 0 --json", "msgq peek 0 -n 1 --raw"] {
        all_refused(&env, &[copy], "CONFIG_CHECKPOINT_RESTORE", &[line]);
    }
    let output = env.ipcx_refused(&[copy], ["show", "msgq/0", "--json"]).assert().success().get_output().clone();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["objects"][0]["messages"], 2);
    assert_eq!(document["objects"][0]["first_messages"], json!(null));
    assert!(document["gaps"].to_string().contains("ENOSYS"), "{document:#}");
    let output = env.ipcx_refused(&[copy], ["msgq", "recv", "0", "--all"]).assert().success().get_output().clone();
    assert_eq!(output.stdout, b"one\ntwo\n");
}

/// The commands that look at an object by its index and without permission, as of Linux 4.17.
fn without_stat_any() -> [Refusal; 3] {
    let refused = |call, at, command| Refusal { call, argument: Some((at, 0xff, command)), errno: EINVAL };
    [refused(libc::SYS_shmctl, 1, 15), refused(libc::SYS_msgctl, 1, 13), refused(libc::SYS_semctl, 2, 20)]
}

#[test]
fn a_kernel_before_4_17_is_asked_the_older_way() {
    let env = Env::new();
    // More than one, so that an index and an identifier are not the same by chance.
    for _ in 0..2 {
        env.out(["shm", "create", "--size", "4096"]);
        env.out(["msgq", "create"]);
        env.out(["sem", "create", "--value", "7"]);
    }
    let old = without_stat_any();
    for id in ["0", "1"] {
        for kind in ["shm", "msgq", "sem"] {
            let reference = format!("{kind}/{id}");
            let output = env.ipcx_refused(&old, ["show", "--json", &reference]).assert().success().get_output().clone();
            let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(document["objects"][0]["ref"], reference.as_str());
            assert_eq!(document["objects"][0]["mode"], "0600");
            env.ipcx_refused(&old, [kind, "set", id, "--mode", "640"]).assert().success();
            assert_eq!(env.json(["show", "--json", &reference])["objects"][0]["mode"], "0640");
        }
        env.ipcx_refused(&old, ["msgq", "send", id, "one"]).assert().success();
        env.ipcx_refused(&old, ["msgq", "recv", id]).assert().success().stdout("one\n");
        env.ipcx_refused(&old, ["sem", "get", id, "--index", "0"]).assert().success().stdout("7\n");
        env.ipcx_refused(&old, ["shm", "write", id, "one"]).assert().success();
        env.ipcx_refused(&old, ["shm", "read", id, "--length", "3"]).assert().success().stdout("one");
    }
    let listed = env.ipcx_refused(&old, ["ls", "--raw", "-o", "ref", "--no-headings"]).assert().success();
    listed.stdout("shm/0\nshm/1\nmsgq/0\nmsgq/1\nsem/0\nsem/1\n");
    for reference in ["shm/0", "msgq/0", "sem/0"] {
        env.ipcx_refused(&old, ["rm", reference]).assert().success();
    }
    assert_eq!(refs(&env.json(["ls", "--json"])["objects"]), ["shm/1", "msgq/1", "sem/1"]);
}

#[test]
fn before_4_17_what_may_not_be_read_is_denied_and_not_said_to_be_missing() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("there are no other users in a user namespace");
    }
    env.out(["shm", "create", "--size", "1"]);
    env.out(["msgq", "create"]);
    env.out(["sem", "create"]);
    for kind in ["shm", "msgq", "sem"] {
        for verb in ["show", "rm"] {
            let mut command = env.command([kind, verb, "0"]);
            command.uid(NOBODY).gid(NOBODY).refused(&without_stat_any());
            let output = command.output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(4), "{kind} {verb}: {said}");
        }
        assert_eq!(env.json([kind, "ls", "--json"])["objects"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn a_segment_is_filled_and_read_where_the_kernel_helps_with_nothing() {
    let env = Env::new();
    env.out(["shm", "create", "--size", "5M", "--mode", "666"]);
    env.sh("seq 1000000 | head -c 5242880 >data; chmod 644 data").assert().success();
    // Linux before 5.14 has no MADV_POPULATE_*; an ordinary user may not open /proc/PID/map_files.
    let refused = [Refusal::of(libc::SYS_madvise, EINVAL), Refusal::of(libc::SYS_copy_file_range, ENOSYS)];
    let run = |args: &[&str], input: &str, output: &str| {
        let mut command = env.command(args);
        command.stdin(std::fs::File::open(env.path(input)).unwrap());
        command.stdout(std::fs::File::create(env.path(output)).unwrap());
        if env.has_users() {
            command.uid(NOBODY).gid(NOBODY);
        }
        assert!(command.refused(&refused).status().unwrap().success(), "{args:?}");
    };
    run(&["shm", "write", "0"], "data", "none");
    run(&["shm", "read", "0"], "data", "copy");
    env.sh("cmp data copy").assert().success();
    run(&["shm", "write", "0", "--offset", "5242878", "zz"], "data", "none");
    run(&["shm", "read", "0", "--offset", "5242876"], "data", "end");
    assert!(std::fs::read(env.path("end")).unwrap().ends_with(b"zz"));
}

#[test]
fn a_kernel_without_timers_does_not_make_a_timeout_wait_for_ever() {
    let env = Env::new();
    env.out(["msgq", "create"]);
    env.out(["shm", "create", "--size", "1"]);
    // EAGAIN is what a user gets whose signals that may be queued are used up (RLIMIT_SIGPENDING).
    for errno in [ENOSYS, EAGAIN] {
        let refused = [Refusal::of(libc::SYS_timer_create, errno)];
        for line in ["msgq recv 0 --timeout 50ms", "shm attach 0 --read-only --timeout 50ms -- sleep 1000"] {
            let output = env.ipcx_refused(&refused, line.split(' ')).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let code = output.status.code();
            let told = said.contains("(ENOSYS)") || said.contains("(EAGAIN)");
            let timed_out = code == Some(124);
            assert!(timed_out || (told && code.is_some_and(|code| code != 0)), "{line}: {}\n{said}", output.status);
        }
    }
}

#[test]
fn a_long_listing_does_without_a_thread_that_cannot_be_started() {
    let env = Env::new();
    for _ in 0..2100 {
        half_made_set(0, 1);
    }
    let refused = [Refusal::of(libc::SYS_clone3, EAGAIN), Refusal::of(libc::SYS_clone, EAGAIN)];
    let output = env.ipcx_refused(&refused, ["ls", "--raw", "-o", "ref", "--no-headings"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{}: {said}", output.status);
    assert_eq!(output.stdout.split(|byte| *byte == b'\n').count(), 2101);
}

#[test]
fn limits_of_a_missing_facility_are_unknown_and_the_others_are_told() {
    let env = Env::new();
    env.out(["sem", "create"]);
    let refused = missing(&[libc::SYS_msgctl, libc::SYS_shmctl]);
    let output = env.ipcx_refused(&refused, ["limits", "--json"]).assert().success().get_output().stdout.clone();
    let document: serde_json::Value = serde_json::from_slice(&output).unwrap();
    let limits = &document["objects"];
    assert_eq!(named(limits, "SEMMNI")["used"], 1);
    for name in ["MSGMNI", "SHMMNI", "SHMALL"] {
        assert_eq!(named(limits, name)["used"], json!(null), "{name}");
        assert!(document["gaps"].to_string().contains("ENOSYS"), "{document:#}");
    }
}
