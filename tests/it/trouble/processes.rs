//! Processes that end, change, hide or are stopped.

use super::{COLUMNS, Eyes, OURS, attach, blocked, gaps, pids};
use crate::kit::look::by_ref;
use crate::kit::{Env, Running, program, until};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// A shell that starts processes and sees them end for as long as it lives, each with this script.
fn churn(env: &Env, script: &str) -> Vec<Running> {
    (0..2).map(|_| env.start_sh(&format!("while :; do {script}; done"))).collect()
}

#[test]
fn processes_that_vanish_while_they_are_looked_at_are_no_failure() {
    let env = Env::new();
    env.out(["shm", "create", "--size", "4096", "--mode", "666"]);
    env.out(["sem", "create", "--value", "1"]);
    env.out(["mkfifo", "./f"]);
    let holder = attach(&env, "0");
    let _churn = churn(&env, "(exec 3<>f; flock -n 3; exec true) & cat </dev/null | cat; wait");
    for _ in 0..3 {
        let found = OURS.json(&env, &["ls", "-a", "--json", "-o", COLUMNS]);
        assert_eq!(pids(&by_ref(&found["objects"], "shm/0")["holders"]), [holder.pid]);
        OURS.look_at(&env, &["shm/0"], &[holder.pid]);
        let status = env.ipcx(["why", "--deadlocks", "--json"]).output().unwrap().status;
        assert!(matches!(status.code(), Some(0 | 1)), "{status}");
    }
}

#[test]
fn a_process_that_is_gone_is_said_to_be_and_the_others_are_told() {
    let env = Env::new();
    env.out(["shm", "create", "--size", "1"]);
    let holder = attach(&env, "0");
    let gone = env.start_sh("exit 0");
    let pid = gone.pid.to_string();
    assert!(gone.status().success());
    for verb in ["ps", "why"] {
        let output = env.ipcx([verb, "--json", &pid, &holder.pid.to_string()]).assert().code(3).get_output().clone();
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(!document["objects"].as_array().unwrap().is_empty(), "{verb}: {document:#}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("(ESRCH)"), "{verb}");
    }
}

/// Whoever has the segment or the FIFO is called `holder`; whoever is given its pid afterwards is called `other`.
#[test]
fn a_pid_that_is_given_to_another_process_mixes_nothing_up() {
    let env = Env::new();
    for name in ["holder", "other"] {
        std::os::unix::fs::symlink("/bin/sleep", env.path(name)).unwrap();
    }
    env.out(["mkfifo", "./f"]);
    let script = "next() { echo 9 >/proc/sys/kernel/ns_last_pid; }
        next
        (while :; do next; ./holder 0 3<>f; next; ./other 0; done) 2>&- &
        i=0
        : >out
        while [ $i -lt 12 ] || ! grep -q command.:.holder out; do ipcx ls -a --jsonl -o ref,processes,holders; ipcx ps --jsonl; i=$((i + 1)); done >>out";
    let apart = format!("exec unshare --pid --fork --mount-proc --kill-child sh -euc '{script}'");
    let output = env.sh(&apart).output().unwrap();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("ermission") || said.contains("ermitted"), "{said}");
        crate::skip!("no PID namespace can be made here, or no pid be chosen in it");
    }
    let out = fs::read_to_string(env.path("out")).unwrap();
    let fifo = format!("fifo/{}", env.path("f").display());
    let mut seen = 0;
    for line in out.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        if row["ref"] == fifo.as_str() {
            for end in ["processes", "holders"].iter().flat_map(|key| row[*key].as_array().into_iter().flatten()) {
                // Until it executes its program it is the shell.
                assert!(["holder", "sh"].contains(&end["command"].as_str().unwrap()), "{row:#}");
                seen += 1;
            }
        }
        let holds = row["holds"].as_array().into_iter().flatten();
        if row["command"].as_str().is_some_and(|line| line.starts_with("./other")) {
            assert_eq!(holds.filter(|link| link["ref"] == fifo.as_str()).count(), 0, "{row:#}");
        }
    }
    assert!(seen > 0 && out.lines().count() >= 12, "{out}");
}

#[test]
fn a_stopped_process_has_attached_what_it_has_attached_and_waits_for_what_it_waits_for() {
    let env = Env::new();
    env.out(["shm", "create", "--size", "4096"]);
    env.out(["msgq", "create"]);
    let mut holder = attach(&env, "0");
    let mut receiver = env.start(["msgq", "recv", "0"]);
    blocked(&env, &receiver, "msgrcv");
    holder.signal(libc::SIGSTOP);
    receiver.signal(libc::SIGSTOP);
    let stopped = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.starts_with('T')
    };
    until("both to be stopped", || stopped(holder.pid) && stopped(receiver.pid));
    OURS.look_at(&env, &["shm/0", "msgq/0"], &[holder.pid, receiver.pid]);
    assert_eq!(pids(&OURS.show(&env, "shm/0")["holders"]), [holder.pid]);
    assert_eq!(pids(&OURS.show(&env, "msgq/0")["waiters"]), [receiver.pid]);
    assert_eq!(OURS.verdict(&env, "shm/0"), "in use");
    assert_eq!(OURS.verdict(&env, "msgq/0"), "in use");
    let said = env.out(["why", &receiver.pid.to_string()]);
    assert!(said.contains("it is stopped by a signal or a debugger"), "{said}");
}

#[test]
fn processes_of_others_are_hidden_and_what_they_may_use_is_unknown() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("there is no second user");
    }
    let eyes = Eyes { nobody: true, ..OURS };
    for kind in ["shm", "sem", "msgq"] {
        let size: &[&str] = if kind == "shm" { &["--size", "4096"] } else { &[] };
        env.out([&[kind, "create", "--mode", "666"], size].concat());
    }
    env.out(["shm", "create", "/frames", "--size", "4096", "--mode", "666"]);
    let holders = [attach(&env, "0"), attach(&env, "/frames")];
    let waiters = [env.start(["sem", "wait", "0"]), env.start(["msgq", "recv", "0"])];
    blocked(&env, &waiters[0], "semtimedop");
    blocked(&env, &waiters[1], "msgrcv");
    let found = eyes.json(&env, &["ls", "--json", "-o", COLUMNS]);
    for (reference, key) in [("shm/0", "holders"), ("shm//frames", "holders"), ("msgq/0", "waiters")] {
        assert_eq!(by_ref(&found["objects"], reference)[key], Value::Null, "{reference}: {found:#}");
    }
    for (reference, verdicts) in [
        ("shm/0", &["in use"][..]),
        // The kernel counts who waits.
        ("sem/0", &["in use"]),
        ("msgq/0", &["unknown", "suspect"]),
        ("shm//frames", &["unknown", "in use"]),
    ] {
        let verdict = by_ref(&found["objects"], reference)["verdict"].as_str().unwrap();
        assert!(verdicts.contains(&verdict), "{reference}: {verdict}");
        assert!(verdicts.contains(&eyes.verdict(&env, reference).as_str()), "{reference}");
    }
    assert!(gaps(&found).contains("EACCES") && gaps(&found).contains("mappings of "), "{found:#}");
    for holder in &holders {
        for verb in ["ps", "why"] {
            let output = eyes.command(&env, &[verb, &holder.pid.to_string()]).output().unwrap();
            assert_eq!(output.status.code(), Some(4), "{verb}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn processes_that_proc_does_not_list_are_not_taken_for_gone() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("there is no second user");
    }
    env.out(["msgq", "create", "--mode", "666"]);
    env.out(["shm", "create", "--size", "4096", "--mode", "666"]);
    let (holder, receiver) = (attach(&env, "0"), env.start(["msgq", "recv", "0"]));
    blocked(&env, &receiver, "msgrcv");
    if !env
        .sh("mount -t proc -o hidepid=invisible,subset= proc /proc || mount -t proc -o hidepid=2 proc /proc")
        .output()
        .unwrap()
        .status
        .success()
    {
        crate::skip!("/proc cannot be mounted with hidepid here");
    }
    let eyes = Eyes { nobody: true, ..OURS };
    let hidden = eyes.command(&env, &["why", &receiver.pid.to_string()]).output().unwrap();
    if hidden.status.success() {
        crate::skip!("hidepid hides nothing here");
    }
    assert_eq!(hidden.status.code(), Some(4), "{}", String::from_utf8_lossy(&hidden.stderr));
    let found = eyes.json(&env, &["ls", "--json", "-o", COLUMNS]);
    assert_eq!(by_ref(&found["objects"], "shm/0")["holders"], Value::Null, "{found:#}");
    assert_eq!(by_ref(&found["objects"], "msgq/0")["waiters"], Value::Null, "{found:#}");
    assert_ne!(found["gaps"], json!([]));
    assert_eq!(eyes.verdict(&env, "shm/0"), "in use");
    assert_ne!(eyes.verdict(&env, "msgq/0"), "orphan");
    drop(holder);
}

#[test]
fn maps_of_the_same_user_that_may_not_be_read_are_a_gap() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("there is no second user");
    }
    let eyes = Eyes { nobody: true, ..OURS };
    assert!(eyes.command(&env, &["shm", "create", "--size", "4096"]).output().unwrap().status.success());
    // Whoever runs a program that he may not read is not to read it from its memory either.
    let blind = env.path("blind");
    fs::copy(program(), &blind).unwrap();
    fs::set_permissions(&blind, fs::Permissions::from_mode(0o711)).unwrap();
    let mut command = std::process::Command::new(&blind);
    command.args(["shm", "attach", "0"]).current_dir(env.path("")).env_clear();
    std::os::unix::process::CommandExt::uid(&mut command, crate::kit::NOBODY);
    std::os::unix::process::CommandExt::gid(&mut command, crate::kit::NOBODY);
    let holder = Running::start(command);
    until("the attachment", || OURS.show(&env, "shm/0")["nattch"] == 1);
    let document = eyes.json(&env, &["show", "shm/0", "--json"]);
    assert_eq!(document["objects"][0]["holders"], Value::Null, "{document:#}");
    assert!(gaps(&document).contains("EACCES"), "{document:#}");
    assert_eq!(eyes.verdict(&env, "shm/0"), "in use");
    assert_eq!(pids(&OURS.show(&env, "shm/0")["holders"]), [holder.pid]);
}

/// Their directories of descriptors open, and what is in them may not be looked at.
#[test]
fn processes_that_show_the_numbers_of_their_descriptors_alone_are_hidden() {
    let env = Env::new();
    if !env.has_users() || !env.sh("setpriv --help").output().unwrap().status.success() {
        crate::skip!("there is no second user, or no setpriv");
    }
    env.out(["mkfifo", "./f"]);
    let holder = env.start_sh("exec 3<>f; flock 3; exec sleep 1000");
    let fifo = format!("fifo/{}", env.path("f").display());
    until("the FIFO to be open", || OURS.show(&env, "fifo/./f")["readers"] == 1);
    let eyes = Eyes { without_ptrace: true, ..OURS };
    let listed = fs::read_dir(format!("/proc/{}/fd", holder.pid)).unwrap().count();
    assert!(listed > 3);
    let document = eyes.json(&env, &["show", "fifo/./f", "--json"]);
    let object = &document["objects"][0];
    for key in ["readers", "writers", "processes", "waiters"] {
        assert_eq!(object[key], Value::Null, "{key}: {document:#}");
    }
    for what in ["open descriptors of ", "calls of "] {
        let said = document["gaps"].as_array().unwrap().iter().filter(|gap| gap.to_string().contains(what)).count();
        assert_eq!(said, 1, "{what}: {document:#}");
    }
    let ps = eyes.json(&env, &["ps", "--json"]);
    // Mappings are shown to whoever may watch the performance of others, too (CAP_PERFMON).
    assert!(gaps(&ps).contains("locks of "), "{ps:#}");
    let found = eyes.json(&env, &["ls", "fifo", "--json", "-o", COLUMNS]);
    assert!(!found["objects"].to_string().contains(&fifo), "{found:#}");
    assert!(["unknown", "suspect"].contains(&eyes.verdict(&env, "fifo/./f").as_str()));
}
