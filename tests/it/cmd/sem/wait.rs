//! `sem wait`, `sem post`, `sem zero`.

use super::{FAMILIES, blocked_in, each_family, members, values};
use crate::kit::{Env, post_named, refusal, until};
use crate::skip;
use std::time::{Duration, Instant};

#[test]
fn waiting_takes_and_posting_gives() {
    let env = Env::new();
    for reference in each_family(&env, "3") {
        env.ipcx(["sem", "wait", reference]).assert().success().stdout("").stderr("");
        assert_eq!(values(&env, reference), [2], "{reference}");
        env.out(["sem", "wait", reference, "-n", "2"]);
        assert_eq!(values(&env, reference), [0], "{reference}");
        env.ipcx(["sem", "post", reference]).assert().success().stdout("").stderr("");
        env.out(["sem", "post", reference, "-n", "4"]);
        assert_eq!(values(&env, reference), [5], "{reference}");
    }
}

#[test]
fn an_index_chooses_one_of_a_set() {
    let env = Env::new();
    let id = env.out(["sem", "create", "--value", "1,2,3"]);
    env.out(["sem", "wait", &id, "-i", "2"]);
    env.out(["sem", "post", &id, "-i", "1", "-n", "5"]);
    assert_eq!(values(&env, &id), [1, 7, 2]);
}

#[test]
fn an_index_outside_is_no_such_object_and_nothing_is_changed() {
    let env = Env::new();
    for reference in each_family(&env, "3") {
        for args in [
            &["wait", reference, "-i", "1"][..],
            &["wait", reference, "-i", "1", "--nowait"],
            &["post", reference, "-i", "1"],
            &["post", reference, "-i", "65535"],
            &["get", reference, "-i", "1"],
            &["set", reference, "1=5"],
            &["set", reference, "0=5", "1=5"],
            &["set", reference, "0-1=5"],
            &["run", reference, "-i", "1", "--", "true"],
        ] {
            let said = env.fails(3, ["sem"].iter().chain(args));
            assert!(said.contains("no semaphore"), "{args:?}: {said}");
        }
        env.fails(2, ["sem", "wait", reference, "-i", "65536"]);
        assert_eq!(values(&env, reference), [3], "{reference}");
    }
    env.fails(3, ["sem", "zero", "0x4d2", "-i", "1"]);
    env.fails(3, ["sem", "op", "0x4d2", "0=-1", "1=-1"]);
    assert_eq!(values(&env, "0x4d2"), [3]);
}

#[test]
fn nowait_is_status_6_and_takes_nothing() {
    let env = Env::new();
    for reference in each_family(&env, "2") {
        env.out(["sem", "wait", reference, "--nowait"]);
        let said = env.fails(6, ["sem", "wait", reference, "-n", "2", "--nowait"]);
        assert!(said.contains("EAGAIN"), "{said}");
        assert_eq!(values(&env, reference), [1], "{reference}");
        env.fails(2, ["sem", "wait", reference, "--nowait", "--timeout", "1s"]);
    }
}

#[test]
fn the_timeout_is_status_124_not_early_and_takes_nothing() {
    let env = Env::new();
    for reference in each_family(&env, "2") {
        let start = Instant::now();
        let said = env.fails(124, ["sem", "wait", reference, "-n", "3", "--timeout", "120ms"]);
        assert!(start.elapsed() >= Duration::from_millis(120), "{reference}: {:?}", start.elapsed());
        assert!(said.contains("timed out"), "{said}");
        assert_eq!(values(&env, reference), [2], "{reference}");
        env.out(["sem", "wait", reference, "-n", "2", "--timeout", "0"]);
        env.fails(124, ["sem", "wait", reference, "--timeout", "0"]);
    }
}

#[test]
fn a_blocked_wait_is_released_by_a_post() {
    let env = Env::new();
    for reference in each_family(&env, "0") {
        for more in [&[][..], &["--timeout", "60s"]] {
            let mut wait = env.start(["sem", "wait", reference].iter().chain(more));
            wait.wait_blocked(blocked_in(reference));
            env.out(["sem", "post", reference]);
            assert_eq!(wait.status().code(), Some(0), "{reference}");
            assert_eq!(values(&env, reference), [0], "{reference}");
        }
    }
}

#[test]
fn every_post_releases_one_of_many() {
    let env = Env::new();
    for reference in each_family(&env, "0") {
        let mut waits: Vec<_> = (0..3).map(|_| env.start(["sem", "wait", reference])).collect();
        waits.iter_mut().for_each(|wait| wait.wait_blocked(blocked_in(reference)));
        env.out(["sem", "post", reference, "-n", "3"]);
        for wait in waits {
            assert_eq!(wait.status().code(), Some(0), "{reference}");
        }
        assert_eq!(values(&env, reference), [0], "{reference}");
    }
}

#[test]
fn who_waits_is_counted() {
    let env = Env::new();
    for reference in each_family(&env, "0") {
        let mut waits = [env.start(["sem", "wait", reference]), env.start(["sem", "wait", reference])];
        waits.iter_mut().for_each(|wait| wait.wait_blocked(blocked_in(reference)));
        assert_eq!(members(&env, reference)[0]["waiting_for_increase"], 2, "{reference}");
        for mut wait in waits {
            wait.signal(libc::SIGTERM);
            wait.wait_end();
        }
        assert_eq!(members(&env, reference)[0]["waiting_for_increase"], 0, "{reference}");
    }
}

#[test]
fn an_interrupted_wait_has_taken_nothing() {
    let env = Env::new();
    for reference in each_family(&env, "2") {
        for (signal, status) in [(libc::SIGINT, 130), (libc::SIGTERM, 143)] {
            let mut wait = env.start(["sem", "wait", reference, "-n", "3"]);
            wait.wait_blocked(blocked_in(reference));
            wait.signal(signal);
            let output = wait.end();
            assert_eq!((output.status.code(), output.stdout), (Some(status), vec![]), "{reference}");
            assert_eq!(values(&env, reference), [2], "{reference}");
        }
    }
}

#[test]
fn an_amount_of_a_set_is_taken_at_once_or_not_at_all() {
    let env = Env::new();
    env.out(["sem", "create", "0x4d2", "--value", "2"]);
    let mut wait = env.start(["sem", "wait", "0x4d2", "-n", "3"]);
    wait.wait_blocked("semtimedop");
    assert_eq!(values(&env, "0x4d2"), [2]);
    env.out(["sem", "post", "0x4d2"]);
    assert_eq!(wait.status().code(), Some(0));
    assert_eq!(values(&env, "0x4d2"), [0]);
}

#[test]
fn a_set_that_is_removed_meanwhile_is_status_3() {
    let env = Env::new();
    for verb in [&["wait", "0x4d2"][..], &["zero", "0x4d2", "-i", "1"], &["op", "0x4d2", "0=-1"]] {
        env.out(["sem", "create", "0x4d2", "--value", "0,1"]);
        let mut wait = env.start(["sem"].iter().chain(verb));
        wait.wait_blocked("semtimedop");
        let said = env.fails(1, ["sem", "rm", "0x4d2"]);
        assert!(said.contains("1 process waits"), "{said}");
        env.fails(0, ["sem", "rm", "--force", "0x4d2"]);
        let output = wait.end();
        assert_eq!(output.status.code(), Some(3), "{verb:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("removed (EIDRM)"), "{output:?}");
    }
}

#[test]
fn a_posix_semaphore_that_somebody_has_open_is_removed_by_force_alone() {
    let env = Env::new();
    env.out(["sem", "create", "/slots"]);
    let mut wait = env.start(["sem", "wait", "/slots"]);
    wait.wait_blocked("futex");
    let said = env.fails(1, ["sem", "rm", "/slots"]);
    assert!(said.contains("in use") && said.contains("--force"), "{said}");
    env.fails(0, ["sem", "rm", "--force", "/slots"]);
    env.fails(3, ["sem", "get", "/slots"]);
    wait.signal(libc::SIGINT);
    assert_eq!(wait.status().code(), Some(130));
}

#[test]
fn zero_waits_until_a_semaphore_is_zero() {
    let env = Env::new();
    let id = env.out(["sem", "create", "--value", "0,2"]);
    env.out(["sem", "zero", &id]);
    env.fails(6, ["sem", "zero", &id, "-i", "1", "--nowait"]);
    let start = Instant::now();
    env.fails(124, ["sem", "zero", &id, "-i", "1", "--timeout", "60ms"]);
    assert!(start.elapsed() >= Duration::from_millis(60));
    let mut zero = env.start(["sem", "zero", &id, "-i", "1"]);
    zero.wait_blocked("semtimedop");
    assert_eq!(members(&env, &id)[1]["waiting_for_zero"], 1);
    env.out(["sem", "wait", &id, "-i", "1"]);
    until("it to still wait", || members(&env, &id)[1]["waiting_for_zero"] == 1);
    env.out(["sem", "wait", &id, "-i", "1"]);
    assert_eq!(zero.status().code(), Some(0));
    assert_eq!(values(&env, &id), [0, 0]);
}

#[test]
fn a_posix_semaphore_cannot_be_waited_on_to_become_zero() {
    let env = Env::new();
    env.out(["sem", "create", "/slots"]);
    let said = env.fails(1, ["sem", "zero", "/slots"]);
    assert!(said.contains("POSIX") && said.contains("hint: "), "{said}");
}

#[test]
fn a_value_cannot_go_over_the_highest() {
    let env = Env::new();
    for (reference, highest) in [("0x4d2", 32767), ("/slots", 2_147_483_647u64)] {
        env.out(["sem", "create", reference, "--value", &highest.to_string()]);
        let said = env.fails(7, ["sem", "post", reference]);
        assert!(said.contains(&highest.to_string()), "{said}");
        assert_eq!(values(&env, reference), [highest]);
    }
    let said = env.fails(7, ["sem", "post", "0x4d2", "-n", "32768"]);
    assert!(said.contains("32767"), "{said}");
}

#[test]
fn an_amount_that_goes_over_the_highest_posts_nothing() {
    let env = Env::new();
    for (reference, almost) in [("0x4d2", 32766), ("/slots", 2_147_483_646u64)] {
        env.out(["sem", "create", reference, "--value", &almost.to_string()]);
        env.fails(7, ["sem", "post", reference, "-n", "2"]);
        assert_eq!(values(&env, reference), [almost], "{reference}");
    }
}

#[test]
fn amounts_are_at_least_one_and_fit() {
    let env = Env::new();
    for reference in each_family(&env, "3") {
        for verb in ["wait", "post"] {
            for amount in ["0", "-1", "65536", "x"] {
                env.fails(2, ["sem", verb, reference, &format!("-n{amount}")]);
            }
        }
        assert_eq!(values(&env, reference), [3], "{reference}");
    }
}

#[test]
fn a_semaphore_that_is_not_there_is_status_3() {
    let env = Env::new();
    for reference in FAMILIES.iter().chain(&["7", "0", "ftok/."]) {
        for args in [
            &["wait", reference][..],
            &["post", reference],
            &["zero", reference],
            &["get", reference],
            &["set", reference, "0=1"],
            &["set", reference, "--mode", "600"],
            &["op", reference, "0=1"],
            &["show", reference],
            &["rm", reference],
        ] {
            let said = env.fails(3, ["sem"].iter().chain(args));
            assert!(said.contains("no such object"), "{args:?}: {said}");
        }
    }
    super::assert_nothing_made(&env);
}

#[test]
fn a_post_of_another_program_releases_a_blocked_wait() {
    let env = Env::new();
    env.out(["sem", "create", "/slots"]);
    let mut wait = env.start(["sem", "wait", "/slots"]);
    wait.wait_blocked("futex");
    post_named("/slots");
    assert_eq!(wait.status().code(), Some(0));
    post_named("/slots");
    assert_eq!(values(&env, "/slots"), [1]);
}

#[test]
fn a_set_that_may_be_changed_and_not_read_can_be_posted_to() {
    let env = Env::new();
    if !env.has_users() {
        skip!("needs a second user");
    }
    let id = env.out(["sem", "create", "--value", "1", "--mode", "602"]);
    env.ipcx_as_nobody(["sem", "post", &id]).assert().success();
    env.ipcx_as_nobody(["sem", "wait", &id, "-n", "2"]).assert().success();
    refusal(&mut env.ipcx_as_nobody(["sem", "get", &id]), 4);
    assert_eq!(values(&env, &id), [0]);
}

#[test]
fn without_permission_it_names_the_owner_and_changes_nothing() {
    let env = Env::new();
    if !env.has_users() {
        skip!("needs a second user");
    }
    for reference in each_family(&env, "3") {
        for mode in ["600", "644"] {
            env.out(["sem", "set", reference, "--mode", mode]);
            for verb in ["wait", "post"] {
                let said = refusal(&mut env.ipcx_as_nobody(["sem", verb, reference]), 4);
                assert!(said.contains("EACCES") && said.contains("root") && said.contains(mode), "{said}");
            }
        }
        assert_eq!(values(&env, reference), [3], "{reference}");
        env.out(["sem", "set", reference, "--mode", "666"]);
        env.ipcx_as_nobody(["sem", "wait", reference]).assert().success();
        assert_eq!(values(&env, reference), [2], "{reference}");
    }
}
