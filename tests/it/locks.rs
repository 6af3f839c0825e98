//! Who holds locks: of parts of files, and in shared memory.

use crate::kit::{Env, Running, until};
use serde_json::Value;

/// What is said of a process once it is blocked in a call.
#[track_caller]
fn answer(env: &Env, process: &Running, call: &str) -> Value {
    let mut last = Value::Null;
    until(&format!("pid {} to block in {call}", process.pid), || {
        last = env.json(["why", "--json", &process.pid.to_string()])["objects"][0].clone();
        last["call"] == call
    });
    last
}

/// The pids that could let a thread go on, each with how sure that is.
fn wakers(answer: &Value) -> Vec<(u64, &str)> {
    let wakers = answer["wakers"].as_array().unwrap().iter();
    wakers.map(|waker| (waker["pid"].as_u64().unwrap(), waker["grade"].as_str().unwrap())).collect()
}

/// A process that has played the first half of its part.
fn part(part: &str) -> Running {
    let mut running = Env::start_part(part);
    assert_eq!(running.line(), "");
    running
}

#[test]
fn whoever_waits_for_a_part_of_a_file_waits_for_those_that_hold_it_alone() {
    let env = Env::new();
    let path = env.path("file").display().to_string();
    let on = |first: &str, second: &str| part(&format!("lock {first} {second} {path}"));
    for kind in ["posix", "ofd"] {
        let (low, high) = (on(&format!("{kind},w,0,10"), "-"), on(&format!("{kind},w,10,10"), "-"));
        let _elsewhere = on(&format!("{kind},w,100,0"), "-");
        let mut one = on("-", &format!("{kind},w,15,1"));
        one.write(b"\n");
        let said = answer(&env, &one, "fcntl");
        assert_eq!(wakers(&said), [(high.pid.into(), "exact")], "{said:#}");
        let word = if kind == "ofd" { "OFD" } else { "POSIX" };
        let expected = format!("for the exclusive {word} lock on byte 15 of {path}. Process {} ", high.pid);
        assert!(said["text"].as_str().unwrap().contains(&expected), "{said:#}");
        // It wants to share what two have for themselves.
        let mut both = on("-", &format!("{kind},r,5,10"));
        both.write(b"\n");
        let said = answer(&env, &both, "fcntl");
        let mut expected = [(low.pid.into(), "exact"), (high.pid.into(), "exact")];
        expected.sort_unstable();
        let mut found = wakers(&said);
        found.sort_unstable();
        assert_eq!(found, expected, "{said:#}");
        // Only what the kernel has queued behind the one that goes is let go on.
        drop(high);
        one.wait_end();
        assert_eq!(wakers(&answer(&env, &both, "fcntl")), [(low.pid.into(), "exact")]);
        let ps = env.json(["ps", "--json", &low.pid.to_string()]);
        let detail = format!("{word} lock, exclusive, bytes 0 to 9");
        assert!(ps["objects"].as_array().unwrap().iter().any(|link| link["detail"] == detail.as_str()), "{ps:#}");
    }
}

#[test]
fn two_that_hold_other_parts_of_a_file_than_the_other_wants_are_no_deadlock() {
    let env = Env::new();
    let path = env.path("file").display().to_string();
    let third = part(&format!("lock ofd,w,2,2 - {path}"));
    let mut a = part(&format!("lock ofd,w,0,1 ofd,w,2,1 {path}"));
    let mut b = part(&format!("lock ofd,w,1,1 ofd,w,3,1 {path}"));
    a.write(b"\n");
    b.write(b"\n");
    for waiter in [&a, &b] {
        let said = answer(&env, waiter, "fcntl");
        assert_eq!(wakers(&said), [(third.pid.into(), "exact")], "{said:#}");
    }
    let found = env.ipcx(["why", "--deadlocks", "--json"]).output().unwrap();
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    let ours = |edge: &Value| [a.pid, b.pid].iter().any(|pid| edge["pid"] == *pid);
    let cycles = found["objects"].as_array().unwrap().iter();
    assert_eq!(cycles.filter(|cycle| cycle["edges"].as_array().unwrap().iter().any(ours)).count(), 0, "{found:#}");
}

#[test]
fn two_that_want_what_the_other_has_of_a_file_are_a_deadlock() {
    let env = Env::new();
    let path = env.path("file").display().to_string();
    // Of OFD locks the kernel itself finds no deadlock.
    let mut a = part(&format!("lock ofd,w,0,1 ofd,w,1,1 {path}"));
    let mut b = part(&format!("lock ofd,w,1,1 ofd,w,0,1 {path}"));
    a.write(b"\n");
    b.write(b"\n");
    assert_eq!(wakers(&answer(&env, &a, "fcntl")), [(b.pid.into(), "exact")]);
    assert_eq!(wakers(&answer(&env, &b, "fcntl")), [(a.pid.into(), "exact")]);
    let ours = |edge: &Value| edge["pid"] == a.pid && edge["holder_pid"] == b.pid;
    until("the deadlock", || {
        let found = env.ipcx(["why", "--deadlocks", "--json"]).output().unwrap();
        let found: Value = serde_json::from_slice(&found.stdout).unwrap();
        found["objects"].as_array().unwrap().iter().any(|cycle| cycle["edges"].as_array().unwrap().iter().any(ours))
    });
}

/// The rows of a list in which a process owns a lock.
fn owned(rows: &Value, pid: u32) -> Vec<&str> {
    let details = rows.as_array().unwrap().iter().filter(|row| row["pid"] == pid && row["role"] == "holds");
    details.map(|row| row["detail"].as_str().unwrap()).collect()
}

#[test]
fn the_owner_of_a_robust_mutex_is_known_before_anybody_waits_for_it() {
    let env = Env::new();
    let owner = part("robust 0 - /dev/shm/x");
    let other = part("robust 1 - /dev/shm/x");
    let holders = env.json(["show", "shm//x", "--json"])["objects"][0]["holders"].clone();
    for process in [&owner, &other] {
        let pid = process.pid.to_string();
        let rows = env.json(["ps", "--json", &pid])["objects"].clone();
        let details = owned(&rows, process.pid);
        assert!(details.len() == 1 && details[0].starts_with("owns the lock at 0x"), "{rows:#}");
        assert_eq!(owned(&holders, process.pid), details, "{holders:#}");
        let shown = env.out(["ps", &pid]);
        assert!(shown.contains(" of shm//x"), "{shown}");
    }
    assert_ne!(owned(&holders, owner.pid), owned(&holders, other.pid));
}

#[test]
fn the_owner_of_a_robust_mutex_is_named_once_however_many_wait() {
    let env = Env::new();
    let owner = part("robust 0 - /dev/shm/x");
    let mut waiters = [part("robust 1 0 /dev/shm/x"), part("robust - 0 /dev/shm/x")];
    for waiter in &mut waiters {
        waiter.write(b"\n");
        let said = answer(&env, waiter, "futex");
        assert_eq!((wakers(&said), &said["waits_for"]), (vec![(owner.pid.into(), "exact")], &"robust mutex".into()));
        assert!(said["text"].as_str().unwrap().contains("of shm//x"), "{said:#}");
    }
    let object = env.json(["show", "shm//x", "--json"])["objects"][0].clone();
    assert_eq!(owned(&object["holders"], owner.pid).len(), 1, "{object:#}");
    assert_eq!(owned(&object["holders"], waiters[0].pid).len(), 1, "{object:#}");
    assert_eq!(object["waiters"].as_array().unwrap().len(), 2);
    assert_eq!(owned(&env.json(["ps", "--json", &owner.pid.to_string()])["objects"], owner.pid).len(), 1);
    // The kernel hands it on.
    drop(owner);
    let said = waiters.map(|waiter| String::from_utf8(waiter.end().stderr).unwrap());
    assert!(said.iter().any(|said| said.contains("robust 0")), "one of them is told that the owner has died: {said:?}");
}

#[test]
fn a_locked_file_is_asked_about_by_its_path() {
    let env = Env::new();
    let mut holder = env.start_sh("exec 3>lock; flock 3; echo; exec sleep 1000");
    assert_eq!(holder.line(), "");
    let said = |code: i32| {
        let output = env.ipcx(["why", "./lock"]).assert().code(code).get_output().clone();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let has_it = format!("process {} (sleep) has flock, exclusive on ./lock", holder.pid);
    let (out, err) = said(0);
    assert!(out.is_empty() && err.contains("nobody is seen to wait for ./lock") && err.contains(&has_it), "{out}{err}");
    let waiter = env.start_sh("exec 3>lock; exec flock 3");
    until("it to wait", || !said(0).0.is_empty());
    let (out, err) = said(0);
    assert!(out.starts_with(&format!("Process {} (flock) ", waiter.pid)) && err.contains(&has_it), "{out}{err}");
    assert!(out.contains(&format!("Process {} (sleep) holds it", holder.pid)), "{out}");
}

#[test]
fn the_owner_of_what_is_not_robust_is_known_when_somebody_waits() {
    let env = Env::new();
    for kind in ["mutex", "rwlock"] {
        let path = format!("/dev/shm/{kind}");
        let object = format!("shm//{kind}");
        let owner = part(&format!("{kind} 0 - {path}"));
        let holders = || env.json(["show", &object, "--json"])["objects"][0]["holders"].clone();
        assert_eq!(owned(&holders(), owner.pid), [""; 0]);
        let mut waiters = [part(&format!("{kind} - 0 {path}")), part(&format!("{kind} - 0 {path}"))];
        for waiter in &mut waiters {
            waiter.write(b"\n");
            let said = answer(&env, waiter, "futex");
            let expected = (vec![(owner.pid.into(), "strong")], &kind.into());
            assert_eq!((wakers(&said), &said["waits_for"]), expected, "{said:#}");
        }
        assert_eq!(owned(&holders(), owner.pid).len(), 1);
        assert_eq!(owned(&env.json(["ps", "--json", &owner.pid.to_string()])["objects"], owner.pid).len(), 1);
    }
}
