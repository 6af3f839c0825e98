use super::{FAMILIES, blocked_in, each_family, values};
use crate::cmd::with::guardian;
use crate::cmd::with::killed::kill;
use crate::kit::{Env, until};
use std::fs;

#[test]
fn it_takes_while_the_command_runs_and_gives_back_after_it() {
    let env = Env::new();
    for reference in each_family(&env, "3") {
        let run = ["sem", "run", reference, "-n", "2", "--", "ipcx", "sem", "get", reference, "-i", "0"];
        env.ipcx(run).assert().success().stdout("1\n");
        assert_eq!(values(&env, reference), [3], "{reference}");
    }
    let id = env.out(["sem", "create", "--value", "1,1"]);
    env.ipcx(["sem", "run", &id, "-i", "1", "--", "ipcx", "sem", "get", &id, "-i", "1"]).assert().stdout("0\n");
    assert_eq!(values(&env, &id), [1, 1]);
}

#[test]
fn the_status_is_that_of_the_command() {
    let env = Env::new();
    fs::write(env.path("plain"), "").unwrap();
    for reference in each_family(&env, "1") {
        let run = ["sem", "run", reference, "--"];
        for status in [0, 1, 42, 125, 255] {
            env.ipcx(run.iter().chain(&["sh", "-c", &format!("exit {status}")])).assert().code(status);
        }
        let said = env.fails(127, run.iter().chain(&["no-such-command"]));
        assert!(said.contains("no-such-command: command not found"), "{said}");
        let said = env.fails(126, run.iter().chain(&["./plain"]));
        assert!(said.contains("EACCES"), "{said}");
        assert_eq!(values(&env, reference), [1], "{reference}");
    }
}

#[test]
fn a_command_that_dies_of_a_signal_gives_back() {
    let env = Env::new();
    for reference in each_family(&env, "1") {
        for (name, signal) in [("KILL", 9), ("TERM", 15), ("SEGV", 11)] {
            let script = format!("ipcx sem run {reference} -- sh -c 'kill -{name} $$'; echo $?");
            let output = env.sh(&script.replace("; echo", " || echo")).assert().success();
            output.stdout(format!("{}\n", 128 + signal));
            assert_eq!(values(&env, reference), [1], "{reference} {name}");
        }
    }
}

#[test]
fn a_killed_holder_of_a_set_gives_back() {
    let env = Env::new();
    let id = env.out(["sem", "create", "--value", "1"]);
    let mut run = env.start(["sem", "run", &id, "--", "cat"]);
    run.wait_blocked("pipe_read");
    assert_eq!(values(&env, &id), [0]);
    let mut next = env.start(["sem", "run", &id, "--", "echo", "mine"]);
    next.wait_blocked("semtimedop");
    run.signal(libc::SIGKILL);
    assert_eq!(next.line(), "mine");
    assert_eq!(next.status().code(), Some(0));
    run.wait_end();
    assert_eq!(values(&env, &id), [1]);
}

#[test]
fn of_a_posix_semaphore_it_says_what_it_cannot_promise_and_does_its_best() {
    let env = Env::new();
    env.out(["sem", "create", "/slots", "--value", "1"]);
    let output = env.ipcx(["sem", "run", "/slots", "--", "true"]).assert().success().stdout("");
    let said = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(said.contains("-9") && said.contains("System V"), "{said}");
    env.ipcx(["sem", "run", "-q", "/slots", "--", "true"]).assert().success().stderr("");
    // A set needs no such words.
    let id = env.out(["sem", "create", "--value", "1"]);
    env.ipcx(["sem", "run", &id, "--", "true"]).assert().success().stderr("");
    for (signal, status) in [(libc::SIGTERM, 143), (libc::SIGINT, 130), (libc::SIGHUP, 129)] {
        let mut run = env.start(["sem", "run", "/slots", "--", "sh", "-c", "echo held; exec cat"]);
        assert_eq!(run.line(), "held");
        assert_eq!(values(&env, "/slots"), [0]);
        run.wait_blocked("poll");
        run.signal(signal);
        run.wait_end();
        assert_eq!(run.status().code(), Some(status));
        assert_eq!(values(&env, "/slots"), [1]);
    }
}

#[test]
fn a_posix_semaphore_comes_back_when_ipcx_or_the_guardian_is_killed() {
    let env = Env::new();
    env.out(["sem", "create", "/slots", "--value", "3"]);
    let held = || {
        let mut run =
            env.start(["sem", "run", "-q", "/slots", "-n", "2", "--", "sh", "-c", "echo held; read x; exit 5"]);
        assert_eq!(run.line(), "held");
        assert_eq!(values(&env, "/slots"), [1]);
        run
    };
    let mut run = held();
    run.signal(libc::SIGKILL);
    run.wait_end();
    until("it to be given back", || values(&env, "/slots") == [3]);
    let mut run = held();
    kill(guardian(run.pid));
    run.write(b"\n");
    assert_eq!(run.status().code(), Some(5));
    assert_eq!(values(&env, "/slots"), [3]);
}

#[test]
fn several_places_are_taken_together_or_not_at_all() {
    let env = Env::new();
    env.out(["sem", "create", "/slots", "--value", "2"]);
    let refused = |how: &[&str], status| {
        let args = ["sem", "run", "-q", "/slots", "-n", "3"].into_iter().chain(how.iter().copied());
        env.ipcx(args.chain(["--", "touch", "ran"])).assert().code(status);
        assert_eq!(values(&env, "/slots"), [2]);
        assert!(!env.path("ran").exists());
    };
    refused(&["--nowait"], 6);
    refused(&["--timeout", "10ms"], 124);
}

#[test]
fn who_takes_several_never_waits_for_another_with_a_part_of_them() {
    let env = Env::new();
    env.out(["sem", "create", "/slots", "--value", "3"]);
    let many = |amount: &str| {
        env.start_sh(&format!(
            "n=0; while [ $n -lt 60 ]; do ipcx sem run -q /slots -n {amount} --timeout 30s -- true || exit; n=$((n + 1)); done"
        ))
    };
    let all: Vec<_> = ["2", "3", "1", "2", "1", "3"].map(many).into_iter().collect();
    for one in all {
        assert_eq!(one.status().code(), Some(0));
    }
    assert_eq!(values(&env, "/slots"), [3]);
}

#[test]
fn a_post_that_is_too_little_for_one_goes_to_the_next() {
    let env = Env::new();
    env.out(["sem", "create", "/slots"]);
    let waits = |amount: &str| {
        let mut wait = env.start(["sem", "wait", "/slots", "-n", amount]);
        wait.wait_blocked("futex");
        wait
    };
    let (three, two, one) = (waits("3"), waits("2"), waits("1"));
    env.out(["sem", "post", "/slots"]);
    assert_eq!(one.status().code(), Some(0));
    // The same value again, which both others have seen.
    let one = waits("1");
    env.out(["sem", "post", "/slots"]);
    assert_eq!(one.status().code(), Some(0));
    let said = env.json(["why", "--json", "sem//slots"]);
    assert_eq!(said["objects"].as_array().unwrap().len(), 2, "{said:#}");
    env.out(["sem", "post", "/slots", "-n", "2"]);
    assert_eq!(two.status().code(), Some(0));
    env.out(["sem", "post", "/slots", "-n", "3"]);
    assert_eq!(three.status().code(), Some(0));
    assert_eq!(values(&env, "/slots"), [0]);
}

#[test]
fn a_command_that_refuses_to_die_is_still_waited_for() {
    let env = Env::new();
    env.out(["sem", "create", "/slots", "--value", "1"]);
    let script = "trap '' TERM; echo held; read -r _; echo done; exit 5";
    let mut run = env.start(["sem", "run", "/slots", "--", "sh", "-c", script]);
    assert_eq!(run.line(), "held");
    run.wait_blocked("poll");
    run.signal(libc::SIGTERM);
    run.wait_blocked("poll");
    assert_eq!(values(&env, "/slots"), [0]);
    run.write(b"\n");
    assert_eq!(run.line(), "done");
    assert_eq!(run.status().code(), Some(5));
    assert_eq!(values(&env, "/slots"), [1]);
}

#[test]
fn a_busy_one_does_not_run_the_command() {
    let env = Env::new();
    for reference in each_family(&env, "0") {
        env.ipcx(["sem", "run", "-q", reference, "--nowait", "--", "touch", "ran"]).assert().code(6);
        env.ipcx(["sem", "run", "-q", reference, "--timeout", "10ms", "--", "touch", "ran"]).assert().code(124);
        for (signal, status) in [(libc::SIGINT, 130), (libc::SIGTERM, 143)] {
            let mut run = env.start(["sem", "run", reference, "--", "touch", "ran"]);
            run.wait_blocked(blocked_in(reference));
            run.signal(signal);
            assert_eq!(run.status().code(), Some(status), "{reference}");
        }
        assert_eq!(values(&env, reference), [0], "{reference}");
        assert!(!env.path("ran").exists(), "{reference}");
    }
}

#[test]
fn the_timeout_is_for_taking_and_not_for_the_command() {
    let env = Env::new();
    for reference in each_family(&env, "1") {
        let mut run =
            env.start(["sem", "run", reference, "--timeout", "50ms", "--", "sh", "-c", "echo held; read -r x"]);
        assert_eq!(run.line(), "held");
        // Somebody else's timeout of the same length passes meanwhile.
        env.fails(124, ["sem", "wait", reference, "--timeout", "60ms"]);
        run.write(b"x\n");
        assert_eq!(run.status().code(), Some(0), "{reference}");
        assert_eq!(values(&env, reference), [1], "{reference}");
    }
}

#[test]
fn two_runs_exclude_each_other() {
    let env = Env::new();
    for reference in each_family(&env, "1") {
        let mut first = env.start(["sem", "run", reference, "--", "sh", "-c", "echo in; read -r x; touch first"]);
        assert_eq!(first.line(), "in");
        let mut second = env.start(["sem", "run", reference, "--", "sh", "-c", "ls; rm first"]);
        second.wait_blocked(blocked_in(reference));
        first.write(b"x\n");
        assert_eq!(second.line(), "first");
        assert_eq!(second.status().code(), Some(0), "{reference}");
        assert_eq!(first.status().code(), Some(0), "{reference}");
    }
}

#[test]
fn many_runs_count_without_losing_one() {
    let env = Env::new();
    for reference in each_family(&env, "1") {
        fs::write(env.path("counter"), "0").unwrap();
        fs::write(
            env.path("add"),
            "mkdir inside || exit 9; read -r n < counter; echo $((n + 1)) > counter; rmdir inside\n",
        )
        .unwrap();
        let script = format!(
            "for worker in 1 2 3 4; do (for turn in 1 2 3 4 5; do ipcx sem run -q {reference} -- sh ./add || echo >> failed; done) & done; wait"
        );
        env.sh(&script).assert().success();
        assert!(!env.path("failed").exists(), "{reference}");
        assert_eq!(fs::read_to_string(env.path("counter")).unwrap(), "20\n", "{reference}");
        assert_eq!(values(&env, reference), [1], "{reference}");
    }
}

#[test]
fn as_many_run_as_there_are_places() {
    let env = Env::new();
    for reference in each_family(&env, "2") {
        let hold = ["sem", "run", reference, "--", "sh", "-c", "echo in; read -r x"];
        let (mut first, mut second) = (env.start(hold), env.start(hold));
        assert_eq!((first.line(), second.line()), ("in".to_owned(), "in".to_owned()), "{reference}");
        let mut third = env.start(hold);
        third.wait_blocked(blocked_in(reference));
        first.write(b"x\n");
        assert_eq!(third.line(), "in", "{reference}");
        drop((second, third));
    }
}

#[test]
fn a_set_that_is_removed_while_it_is_held_is_no_failure_of_the_command() {
    let env = Env::new();
    for reference in FAMILIES {
        env.out(["sem", "create", reference, "--value", "1"]);
        let run = ["sem", "run", reference, "--", "ipcx", "sem", "rm", "-qf", reference];
        env.ipcx(run).assert().success();
        env.fails(3, ["sem", "get", reference]);
    }
}

#[test]
fn what_is_not_there_is_said_before_the_command() {
    let env = Env::new();
    for reference in FAMILIES {
        let said = env.fails(3, ["sem", "run", reference, "--", "touch", "ran"]);
        assert!(said.contains("no such object"), "{said}");
        env.fails(2, ["sem", "run", reference]);
    }
    assert!(!env.path("ran").exists());
}

#[test]
fn the_command_gets_signals_and_descriptors_as_it_would_without() {
    let env = Env::new();
    // Without signals 32 and 33: what becomes of them is the C library's affair.
    let signals = r"sed -n 's/^\(Sig[BI].*:\).*\(.......\)$/\1\2/p' /proc/self/status";
    for script in [signals, "ls /proc/self/fd"] {
        let plain = env.sh(script).assert().success().get_output().stdout.clone();
        for reference in super::FAMILIES {
            env.out(["sem", "create", reference, "--value", "1", "--exist-ok"]);
            let run = ["sem", "run", "-q", reference, "--", "sh", "-euc", script];
            env.ipcx(run).assert().success().stdout(plain.clone());
        }
    }
}

#[test]
fn a_waiting_run_is_counted_and_goes_on_when_the_holder_ends() {
    let env = Env::new();
    let id = env.out(["sem", "create", "--value", "1"]);
    let mut first = env.start(["sem", "run", &id, "--", "cat"]);
    first.wait_blocked("pipe_read");
    let second = env.start(["sem", "run", &id, "--", "true"]);
    until("the second to wait", || super::members(&env, &id)[0]["waiting_for_increase"] == 1);
    first.close_stdin();
    assert_eq!(second.status().code(), Some(0));
    assert_eq!(first.status().code(), Some(0));
}

#[test]
fn the_status_arrives_where_a_parent_has_ignored_the_end_of_children() {
    let env = Env::new();
    for reference in each_family(&env, "1") {
        let script = format!("trap '' CHLD; exec ipcx sem run {reference} -- sh -c 'exit 7'");
        env.sh(&script).assert().code(7);
        assert_eq!(values(&env, reference), [1], "{reference}");
    }
}

#[test]
fn every_signal_reaches_a_command_that_runs_beside_us() {
    let env = Env::new();
    env.out(["sem", "create", "/slots", "--value", "1"]);
    let script =
        "n=0; trap 'n=$((n+1)); echo $n; [ $n = 3 ] && exit 9' TERM; echo ready; while :; do read x < hold; done";
    env.sh("mkfifo hold").assert().success();
    let mut run = env.start(["sem", "run", "/slots", "--", "sh", "-c", script]);
    assert_eq!(run.line(), "ready");
    for n in 1..=3 {
        run.signal(15);
        assert_eq!(run.line(), n.to_string());
    }
    assert_eq!(run.status().code(), Some(9));
    assert_eq!(values(&env, "/slots"), [1]);
}
