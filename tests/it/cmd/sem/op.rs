use super::{members, values};
use crate::kit::{Env, until};
use std::fs;
use std::time::{Duration, Instant};

fn set(env: &Env, value: &str) -> String {
    env.out(["sem", "create", "--value", value])
}

#[test]
fn operations_have_ranges_and_all() {
    let env = Env::new();
    let id = set(&env, "1,1,1,1,1");
    env.ipcx(["sem", "op", &id, "0=-1", "1=+2", "2-3=4"]).assert().success().stdout("").stderr("");
    assert_eq!(values(&env, &id), [0, 3, 5, 5, 1]);
    env.out(["sem", "op", &id, "all=+1"]);
    assert_eq!(values(&env, &id), [1, 4, 6, 6, 2]);
    env.out(["sem", "op", &id, "all=-1"]);
    assert_eq!(values(&env, &id), [0, 3, 5, 5, 1]);
}

#[test]
fn all_of_it_is_done_or_nothing() {
    let env = Env::new();
    let id = set(&env, "1,0");
    let said = env.fails(6, ["sem", "op", &id, "0=-1", "1=-1", "--nowait"]);
    assert!(said.contains("EAGAIN"), "{said}");
    assert_eq!(values(&env, &id), [1, 0]);
    env.fails(6, ["sem", "op", &id, "0=-1", "1=-1n"]);
    let start = Instant::now();
    env.fails(124, ["sem", "op", &id, "0=-1", "1=-1", "--timeout", "80ms"]);
    assert!(start.elapsed() >= Duration::from_millis(80));
    assert_eq!(values(&env, &id), [1, 0]);
    env.fails(7, ["sem", "op", &id, "0=-1", "1=+32767", "1=+1"]);
    assert_eq!(values(&env, &id), [1, 0]);
}

#[test]
fn it_waits_until_all_of_it_can_be_done() {
    let env = Env::new();
    let id = set(&env, "0,0");
    let mut op = env.start(["sem", "op", &id, "0=-1", "1=-1"]);
    op.wait_blocked("semtimedop");
    env.out(["sem", "post", &id, "-i", "0"]);
    until("it to wait for the second", || members(&env, &id)[1]["waiting_for_increase"] == 1);
    assert_eq!(values(&env, &id), [1, 0]);
    env.out(["sem", "post", &id, "-i", "1"]);
    assert_eq!(op.status().code(), Some(0));
    assert_eq!(values(&env, &id), [0, 0]);
}

#[test]
fn zero_then_take_is_a_lock_that_is_free_at_zero() {
    let env = Env::new();
    let id = set(&env, "0");
    env.out(["sem", "op", &id, "0=0", "0=+1", "--nowait"]);
    env.fails(6, ["sem", "op", &id, "0=0", "0=+1", "--nowait"]);
    let mut op = env.start(["sem", "op", &id, "0=0", "0=+1"]);
    op.wait_blocked("semtimedop");
    env.out(["sem", "op", &id, "0=-1"]);
    assert_eq!(op.status().code(), Some(0));
    assert_eq!(values(&env, &id), [1]);
}

#[test]
fn an_interrupted_operation_has_done_nothing() {
    let env = Env::new();
    let id = set(&env, "1,0");
    let mut op = env.start(["sem", "op", &id, "0=-1", "1=-1"]);
    op.wait_blocked("semtimedop");
    op.signal(libc::SIGINT);
    assert_eq!(op.status().code(), Some(130));
    assert_eq!(values(&env, &id), [1, 0]);
}

#[test]
fn too_many_operations_are_a_limit_that_is_named_with_its_value() {
    let env = Env::new();
    let id = set(&env, "0,0,0,0");
    fs::write("/proc/sys/kernel/sem", "250 1000 3 100").unwrap();
    let said = env.fails(7, ["sem", "op", &id, "all=+1"]);
    assert!(said.contains("4 operations") && said.contains("E2BIG"), "{said}");
    assert!(said.contains("hint: SEMOPM = 3 "), "{said}");
    assert_eq!(values(&env, &id), [0; 4]);
    env.out(["sem", "op", &id, "0-2=+1"]);
}

#[test]
fn a_value_over_the_highest_is_a_limit() {
    let env = Env::new();
    let id = set(&env, "32767");
    let said = env.fails(7, ["sem", "op", &id, "0=+1"]);
    assert!(said.contains("32767") && said.contains("ERANGE"), "{said}");
    env.fails(2, ["sem", "op", &id, "0=32768"]);
    assert_eq!(values(&env, &id), [32767]);
}

#[test]
fn malformed_operations_and_undo_without_a_command_are_wrong_usage() {
    let env = Env::new();
    let id = set(&env, "1");
    for args in [&["0"][..], &["0=x"], &["=1"], &["1-0=1"], &["0=-1u"], &["0=-1", "--undo"], &["0=-1uu"], &[]] {
        env.fails(2, ["sem", "op", &id].iter().copied().chain(args.iter().copied()));
    }
    assert_eq!(values(&env, &id), [1]);
}

#[test]
fn a_posix_semaphore_has_no_arrays_of_operations() {
    let env = Env::new();
    env.out(["sem", "create", "/slots", "--value", "1"]);
    let said = env.fails(1, ["sem", "op", "/slots", "0=-1"]);
    assert!(said.contains("hint: "), "{said}");
    let said = env.fails(125, ["sem", "op", "/slots", "0=-1", "--", "true"]);
    assert!(said.contains("hint: "), "{said}");
    assert_eq!(values(&env, "/slots"), [1]);
}

#[test]
fn what_was_taken_with_undo_is_held_as_long_as_the_command_lives() {
    let env = Env::new();
    let id = set(&env, "1,1,5");
    let script = format!("ipcx sem get {id} --raw --no-headings | cut -f2");
    let held = env.ipcx(["sem", "op", &id, "0=-1u", "1=-1", "2=+2u", "--", "sh", "-c", &script]).assert().success();
    held.stdout("0\n0\n7\n");
    // The second was taken for good.
    assert_eq!(values(&env, &id), [1, 0, 5]);
    env.ipcx(["sem", "op", &id, "--undo", "0=-1", "2=-5", "--", "sh", "-c", &script])
        .assert()
        .success()
        .stdout("0\n0\n0\n");
    assert_eq!(values(&env, &id), [1, 0, 5]);
}

#[test]
fn a_command_that_is_killed_or_cannot_start_gives_back_as_well() {
    let env = Env::new();
    fs::write(env.path("plain"), "").unwrap();
    let id = set(&env, "1");
    let mut op = env.start(["sem", "op", &id, "0=-1u", "--", "cat"]);
    op.wait_blocked("pipe_read");
    assert_eq!(values(&env, &id), [0]);
    op.signal(libc::SIGKILL);
    op.wait_end();
    assert_eq!(values(&env, &id), [1]);
    env.fails(127, ["sem", "op", &id, "0=-1u", "--", "no-such-command"]);
    assert_eq!(values(&env, &id), [1]);
    env.fails(126, ["sem", "op", &id, "0=-1u", "--", "./plain"]);
    assert_eq!(values(&env, &id), [1]);
}

#[test]
fn the_command_is_not_run_when_the_operations_fail() {
    let env = Env::new();
    let id = set(&env, "0");
    env.fails(6, ["sem", "op", &id, "0=-1u", "--nowait", "--", "touch", "ran"]);
    env.fails(124, ["sem", "op", &id, "0=-1u", "--timeout", "10ms", "--", "touch", "ran"]);
    let mut op = env.start(["sem", "op", &id, "0=-1u", "--", "touch", "ran"]);
    op.wait_blocked("semtimedop");
    op.signal(libc::SIGTERM);
    assert_eq!(op.status().code(), Some(143));
    assert!(!env.path("ran").exists());
}
