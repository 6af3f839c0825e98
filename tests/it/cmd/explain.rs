use crate::kit::{Env, Starts as _};
use crate::skip;
use serde_json::{Value, json};
use std::fs;

fn set(name: &str, value: &str) {
    fs::write(format!("/proc/sys/{}", name.replace('.', "/")), value).unwrap();
}

fn causes(env: &Env, args: &[&str]) -> Vec<Value> {
    let document = env.json(["explain", "--json"].iter().chain(args));
    document["objects"].as_array().unwrap().clone()
}

/// The names of the limits that bind.
fn binding(causes: &[Value]) -> Vec<&str> {
    causes.iter().filter(|cause| cause["binds"] == true).map(|cause| cause["limit"].as_str().unwrap()).collect()
}

/// Makes sets of so many semaphores until one is refused for want of room.
fn fill(env: &Env, semaphores: &str) {
    for _ in 0..100 {
        let made = env.ipcx(["sem", "create", "-n", semaphores]).output().unwrap();
        if !made.status.success() {
            let said = String::from_utf8(made.stderr).unwrap();
            assert!(said.contains("ENOSPC"), "{said}");
            return;
        }
    }
    panic!("there was room for 100 sets");
}

#[test]
fn the_number_of_sets_is_named_and_the_remedy_makes_room() {
    let env = Env::new();
    set("kernel.sem", "10 1000 20 4");
    fill(&env, "1");
    let causes = causes(&env, &["ENOSPC", "semget"]);
    assert_eq!(binding(&causes), ["SEMMNI"]);
    assert_eq!((&causes[0]["used"], &causes[0]["value"]), (&json!(4), &json!(4)));
    let other = causes.iter().find(|cause| cause["limit"] == "SEMMNS").unwrap();
    assert_eq!((&other["used"], &other["binds"]), (&json!(4), &json!(false)));
    let text = env.out(["explain", "ENOSPC", "semget"]);
    let remedy = text.lines().find_map(|line| line.trim().strip_prefix("raise it: ")).unwrap();
    assert_eq!(remedy, causes[0]["remedy"]);
    assert_eq!(remedy, "sysctl -w kernel.sem=\"10 1000 20 8\"", "the other numbers stay");
    if env.sh("command -v sysctl").output().unwrap().status.success() {
        env.sh(remedy).assert().success();
        env.out(["sem", "create"]);
    } else {
        skip!("there is no sysctl(8)");
    }
}

#[test]
fn the_number_of_semaphores_is_named_and_the_remedy_makes_room() {
    let env = Env::new();
    set("kernel.sem", "10 25 20 100");
    fill(&env, "10");
    let causes = causes(&env, &["ENOSPC", "semget", "--count", "10"]);
    assert_eq!(binding(&causes), ["SEMMNS"]);
    assert_eq!((&causes[0]["used"], &causes[0]["value"]), (&json!(20), &json!(25)));
    // For one more there is room: then none binds, and that is said.
    let text = env.out(["explain", "ENOSPC", "semget"]);
    assert!(text.contains("No limit is known to bind now; the nearest is SEMMNS, used to 80.0%."), "{text}");
    assert!(!text.contains("raise it"), "{text}");
    if env.sh("command -v sysctl").output().unwrap().status.success() {
        env.sh(causes[0]["remedy"].as_str().unwrap()).assert().success();
        env.out(["sem", "create", "-n", "10"]);
    } else {
        skip!("there is no sysctl(8)");
    }
}

#[test]
fn the_limits_of_the_namespace_are_told_apart_for_every_kind() {
    let env = Env::new();
    set("kernel.shmmni", "1");
    set("kernel.msgmni", "1");
    set("fs.mqueue.queues_max", "1");
    env.out(["shm", "create", "--size", "1"]);
    env.out(["msgq", "create"]);
    env.out(["msgq", "create", "/a", "--max-messages", "1", "--message-size", "8"]);
    assert_eq!(binding(&causes(&env, &["enospc", "SHMGET"])), ["SHMMNI"]);
    assert_eq!(binding(&causes(&env, &["28", "msgget(2)"])), ["MSGMNI"]);
    assert_eq!(binding(&causes(&env, &["ENOSPC", "mq_open"])), ["queues_max"]);
    let mut all = causes(&env, &["ENOSPC"]);
    let mut first: Vec<Value> = all.drain(..3).map(|cause| cause["limit"].clone()).collect();
    first.sort_by_key(Value::to_string);
    assert_eq!(first, ["MSGMNI", "SHMMNI", "queues_max"]);
    assert!(all.iter().all(|cause| cause["binds"] != true), "{all:#?}");
    set("kernel.shmmni", "100");
    set("kernel.shmall", "2");
    assert_eq!(binding(&causes(&env, &["ENOSPC", "shmget", "--size", "4097"])), ["SHMALL"]);
    assert_eq!(binding(&causes(&env, &["ENOSPC", "shmget", "--size", "4096"])), [""; 0]);
}

#[test]
fn a_limit_of_one_object_is_compared_with_the_request() {
    let env = Env::new();
    set("kernel.msgmax", "1000");
    let of = |args: &[&str]| {
        let causes = causes(&env, args);
        causes.iter().find(|cause| cause["limit"] == "MSGMAX").unwrap()["binds"].clone()
    };
    assert_eq!(of(&["EINVAL", "msgsnd"]), Value::Null);
    assert_eq!(of(&["EINVAL", "msgsnd", "--size", "1000"]), false);
    assert_eq!(of(&["EINVAL", "msgsnd", "--size", "1001"]), true);
    let text = env.out(["explain", "EINVAL", "msgsnd"]);
    assert!(text.contains("it depends on the request: MSGMAX = 1000 bytes (kernel.msgmax)"), "{text}");
    set("kernel.sem", "10 1000 20 4");
    assert_eq!(binding(&causes(&env, &["E2BIG", "semop", "-n", "21"])), ["SEMOPM"]);
    assert_eq!(binding(&causes(&env, &["E2BIG", "semtimedop", "-n", "20"])), [""; 0]);
}

#[test]
fn too_many_open_files_of_mq_open_are_the_queues_of_the_user() {
    let env = Env::new();
    let explain = |more: &[&str]| {
        let mut command = env.command(["explain", "EMFILE", "mq_open", "--json"].iter().chain(more));
        let output = command.limited(libc::RLIMIT_MSGQUEUE, 10_000).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["objects"].as_array().unwrap().clone()
    };
    env.out(["msgq", "create", "/a", "--max-messages", "1", "--message-size", "8"]);
    let full = explain(&[]);
    assert_eq!(binding(&full), ["RLIMIT_MSGQUEUE"]);
    assert_eq!((&full[0]["value"], &full[0]["setting"]), (&json!(10_000), &json!("ulimit -q")));
    assert_eq!(full[0]["remedy"], "ulimit -q unlimited");
    // A small one fits.
    assert_eq!(binding(&explain(&["--count", "1", "--size", "8"])), [""; 0]);
    assert!(full.iter().any(|cause| cause["limit"] == "RLIMIT_NOFILE" && cause["binds"].is_null()), "{full:#?}");
}

#[test]
fn causes_that_are_no_limit_are_said_in_words() {
    let env = Env::new();
    for (line, part) in [
        ("EIDRM semop", "was removed"),
        ("ECONNREFUSED connect", "ipcx rm sock/PATH"),
        ("EADDRINUSE bind", "a file stays when its socket ends"),
        ("EPIPE write", "SIGPIPE"),
        ("ENXIO open", "nobody has the FIFO open to read"),
        ("EDEADLK fcntl", "a circle"),
        ("EOWNERDEAD pthread_mutex_lock", "pthread_mutex_consistent"),
        ("ENOTRECOVERABLE pthread_mutex_lock", "made anew"),
        ("EPERM fcntl(F_SETPIPE_SZ)", "fs.pipe-max-size"),
        ("EAGAIN sigqueue", "RLIMIT_SIGPENDING"),
        ("EAGAIN send", "net.unix.max_dgram_qlen"),
        ("ERANGE semop", "32767"),
        ("EEXIST shm_open", "O_EXCL"),
        ("EACCES msgget", "mode"),
        ("ENOMEM shmctl", "ulimit -l"),
    ] {
        let text = env.out(["explain"].into_iter().chain(line.split(' ')));
        assert!(text.contains(part), "{line}: {part} is not in\n{text}");
    }
}

#[test]
fn records_have_their_keys_and_those_of_no_limit_are_null() {
    let env = Env::new();
    let lines = env.out(["explain", "EINVAL", "shmget", "--jsonl"]);
    for line in lines.lines() {
        let cause: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&cause["errno"], &cause["call"]), (&json!("EINVAL"), &json!("shmget")));
        for key in ["cause", "limit", "used", "value", "binds", "setting", "remedy", "advice"] {
            assert!(cause.get(key).is_some(), "{key} of {line}");
        }
        assert_eq!(cause["limit"].is_null(), cause["setting"].is_null(), "{line}");
    }
    assert_eq!(lines.lines().count(), 2);
}

#[test]
fn an_unknown_pair_is_status_1_and_a_word_that_is_no_errno_is_wrong_usage() {
    let env = Env::new();
    let said = env.fails(1, ["explain", "ENOSPC", "semop"]);
    assert!(said.contains("semop: no cause of ENOSPC") && said.contains("hint:") && said.contains("semget"), "{said}");
    env.fails(1, ["explain", "EXDEV"]);
    env.fails(1, ["explain", "ENOSPC", "\x1b[31m"]);
    for bad in ["EFOO", "", "-1", "0", "99999", "\x1b"] {
        let said = env.fails(2, ["explain", "--", bad]);
        assert!(!said.contains('\x1b'), "{said:?}");
    }
    env.fails(2, ["explain"]);
    env.fails(2, ["explain", "ENOSPC", "semget", "--size", "x"]);
}
