use super::{ALL, children, guardian, left, nothing_is_left, stat, with};
use crate::kit::{Env, Running, until};
use std::fs;
use std::time::{Duration, Instant};

pub fn kill(pid: u32) {
    let status = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    assert!(status.success());
}

/// One that runs a command which says its pid and waits for a line.
fn waiting(env: &Env, more: &str) -> (Running, u32) {
    let mut running =
        Running::start(with(env, &ALL, &["sh", "-euc", &format!("{more} echo $$; read x; {more} echo done")]));
    let pid = running.line().parse().unwrap();
    assert!(left(env).len() >= 6, "{:?}", left(env));
    (running, pid)
}

#[track_caller]
fn gone(pid: u32) {
    until(&format!("process {pid} to be gone"), || stat(pid).is_none_or(|(_, fields)| fields[0] == "Z"));
}

#[test]
fn of_ipcx_ends_the_command_and_leaves_nothing() {
    let env = Env::new();
    let (mut running, command) = waiting(&env, "");
    let guardian = guardian(running.pid);
    running.signal(libc::SIGKILL);
    running.wait_end();
    nothing_is_left(&env);
    gone(command);
    gone(guardian);
}

#[test]
fn of_ipcx_leaves_the_objects_to_a_command_that_goes_on() {
    let env = Env::new();
    let (mut running, command) = waiting(&env, "trap '' TERM; ipcx msgq send $a hello;");
    let guardian = guardian(running.pid);
    running.signal(libc::SIGKILL);
    running.wait_end();
    // The guardian waits for the command, no longer for us, and the command goes on to use a queue.
    until("the guardian to wait for the command", || {
        fs::read_to_string(format!("/proc/{guardian}/wchan")).is_ok_and(|place| place.contains("poll"))
    });
    running.write(b"\n");
    assert_eq!(running.line(), "done");
    drop(running);
    gone(command);
    nothing_is_left(&env);
}

#[test]
fn of_the_command_leaves_nothing() {
    let env = Env::new();
    let (mut running, command) = waiting(&env, "");
    kill(command);
    running.wait_end();
    assert_eq!(running.status().code(), Some(137));
    assert_eq!(left(&env), [""; 0]);
    nothing_is_left(&env);
}

#[test]
fn of_the_guardian_leaves_nothing_and_the_command_does_not_notice() {
    let env = Env::new();
    let (mut running, _) = waiting(&env, "");
    let guardian = guardian(running.pid);
    kill(guardian);
    gone(guardian);
    running.write(b"\n");
    assert_eq!(running.line(), "done");
    assert_eq!(running.status().code(), Some(0));
    assert_eq!(left(&env), [""; 0]);
    nothing_is_left(&env);
}

#[test]
fn no_other_signal_ends_the_guardian_before_its_time() {
    let env = Env::new();
    let (mut running, _) = waiting(&env, "");
    let guardian = guardian(running.pid).to_string();
    for signal in ["TERM", "INT", "HUP", "QUIT", "USR1", "ALRM", "PIPE", "SEGV", "TSTP"] {
        let status = std::process::Command::new("kill").args(["-s", signal, &guardian]).status().unwrap();
        assert!(status.success());
    }
    running.signal(libc::SIGKILL);
    running.wait_end();
    nothing_is_left(&env);
}

#[test]
fn of_a_stopped_guardian_is_the_end_of_it_as_well() {
    let env = Env::new();
    let (mut running, _) = waiting(&env, "");
    let guardian = guardian(running.pid);
    assert!(std::process::Command::new("kill").args(["-STOP", &guardian.to_string()]).status().unwrap().success());
    until("it to stop", || stat(guardian).is_some_and(|(_, fields)| fields[0] == "T"));
    running.write(b"\n");
    assert_eq!(running.line(), "done");
    assert_eq!(running.status().code(), Some(0));
    assert_eq!(stat(guardian), None);
    nothing_is_left(&env);
}

#[test]
fn of_ipcx_and_the_command_in_either_order_leaves_nothing() {
    let env = Env::new();
    for ipcx_first in [true, false] {
        for _ in 0..5 {
            let (mut running, command) = waiting(&env, "trap '' TERM;");
            if ipcx_first {
                running.signal(libc::SIGKILL);
                kill(command);
            } else {
                kill(command);
                running.signal(libc::SIGKILL);
            }
            running.wait_end();
            nothing_is_left(&env);
        }
    }
}

#[test]
fn of_the_whole_process_group_leaves_nothing() {
    let env = Env::new();
    let (mut running, _terminal) =
        Running::in_terminal(with(&env, &ALL, &["sh", "-c", "echo ready; exec sleep 1000"]), false);
    assert_eq!(running.line(), "ready");
    assert_eq!(stat(running.pid).unwrap().1[2], running.pid.to_string(), "it leads a group");
    let status = std::process::Command::new("kill").args(["-9", "--", &format!("-{}", running.pid)]).status().unwrap();
    assert!(status.success());
    running.wait_end();
    nothing_is_left(&env);
}

/// Lets a time pass in which something else happens: it is no wait for it.
fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// How long one takes from its start to its command.
fn start_up(env: &Env) -> Duration {
    let start = Instant::now();
    let (running, _) = waiting(env, "");
    let took = start.elapsed();
    drop(running);
    nothing_is_left(env);
    took
}

#[test]
fn of_ipcx_at_any_moment_leaves_nothing() {
    let env = Env::new();
    let whole = start_up(&env);
    let mut met = 0;
    for turn in 0..100 {
        let mut running = Running::start(with(&env, &ALL, &["sleep", "1000"]));
        spin(whole * turn / 100);
        running.signal(libc::SIGKILL);
        running.wait_end();
        met += u32::from(!left(&env).is_empty());
        until("all objects to be gone", || left(&env).is_empty());
    }
    nothing_is_left(&env);
    assert!(met > 0, "not one was killed while it had objects");
}

#[test]
fn of_the_guardian_at_any_moment_leaves_nothing() {
    let env = Env::new();
    let whole = start_up(&env);
    let mut met = 0;
    for turn in 0..100 {
        let mut running = Running::start(with(&env, &ALL, &["true"]));
        let own = running.pid;
        let children_of = || fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        // The first child is the guardian, whatever it is called yet.
        let mut first = None;
        while first.is_none() && stat(own).is_some_and(|(_, fields)| fields[0] != "Z") {
            first = children_of().split_whitespace().next().map(|pid| pid.parse::<u32>().unwrap());
        }
        spin(whole * (turn % 20) / 100);
        let is_guardian =
            |pid: &u32| stat(*pid).is_some_and(|(_, fields)| fields[1] == own.to_string() && fields[0] != "Z");
        if let Some(pid) = first.filter(is_guardian) {
            // It may have been dismissed meanwhile.
            drop(std::process::Command::new("kill").args(["-9", &pid.to_string()]).output().unwrap());
            met += 1;
        }
        running.wait_end();
        let code = running.status().code();
        assert!(matches!(code, Some(0 | 125)), "{code:?}");
        assert_eq!(left(&env), [""; 0]);
    }
    nothing_is_left(&env);
    if met == 0 {
        crate::skip!("this kernel does not list the children of a process, or it was always too late");
    }
}

#[test]
fn nobody_has_a_guardian_any_more_when_all_is_over() {
    let env = Env::new();
    let (mut running, _) = waiting(&env, "");
    let own = running.pid;
    running.write(b"\n");
    running.wait_end();
    assert_eq!(children(own, "ipcx-guardian"), [0; 0]);
    nothing_is_left(&env);
}
