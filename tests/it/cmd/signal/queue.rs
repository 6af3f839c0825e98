//! The queue of signals and its limit, RLIMIT_SIGPENDING. It counts for all processes of a user, so
//! what these tests find in it depends on what else runs.

use super::*;
use crate::kit::Starts as _;

const LIMIT: u64 = 500;

/// A process with a small queue, which this line of arguments makes.
fn limited(env: &Env, line: &str, blocked_in: &str) -> Running {
    let mut command = env.command(line.split_whitespace());
    command.limited(libc::RLIMIT_SIGPENDING, LIMIT);
    let mut running = Running::start(command);
    running.wait_blocked(blocked_in);
    running
}

#[test]
fn a_full_queue_is_status_6_with_nowait_and_its_limit_is_named() {
    let env = Env::new();
    let holder = limited(&env, "signal block RTMIN -- cat", "pipe_read");
    let pid = holder.pid.to_string();
    let output = env.ipcx(["signal", "send", "RTMIN", &pid, "-n", "1000", "--nowait"]).assert().code(6).stdout("");
    let stderr = &output.get_output().stderr;
    let said = String::from_utf8_lossy(stderr);
    assert!(said.contains("queue of signals is full (EAGAIN)"), "{said}");
    assert!(said.contains(&format!("hint: RLIMIT_SIGPENDING = {LIMIT} ")) && said.contains("root"), "{said}");
    assert!(sent(stderr) <= LIMIT, "{said}");
    // One signal alone has not sent others before. (Others may have made room meanwhile.)
    let said = loop {
        let output = env.ipcx(["signal", "send", "RTMIN", &pid, "--nowait"]).output().unwrap();
        if !output.status.success() {
            assert_eq!(output.status.code(), Some(6));
            break String::from_utf8(output.stderr).unwrap();
        }
    };
    assert!(said.contains("(EAGAIN)") && !said.contains("had been sent"), "{said}");
}

#[test]
fn a_full_queue_is_waited_for_until_the_timeout() {
    let env = Env::new();
    let holder = limited(&env, "signal block RTMIN -- cat", "pipe_read");
    let pid = holder.pid.to_string();
    let line = ["signal", "send", "RTMIN", &pid, "-n", "1000", "--timeout", "200ms"];
    let output = env.ipcx(line).assert().code(124).stdout("").get_output().clone();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("timed out") && said.contains("RLIMIT_SIGPENDING"), "{said}");
    assert!(sent(&output.stderr) <= LIMIT);
    for (signal, status) in [(libc::SIGINT, 130), (libc::SIGTERM, 143), (libc::SIGHUP, 129)] {
        let mut waiting = env.start(["signal", "send", "RTMIN", &pid, "-n", "1000"]);
        waiting.wait_blocked("nanosleep");
        waiting.signal(signal);
        waiting.wait_end();
        let output = waiting.end();
        assert_eq!(output.status.code(), Some(status));
        assert!(sent(&output.stderr) <= LIMIT);
    }
}

#[test]
fn more_signals_than_the_queue_holds_arrive_when_they_are_taken() {
    let env = Env::new();
    let count = (LIMIT * 4).to_string();
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "exec \"$0\" signal trap RTMIN+1 -n \"$1\" --json >trapped"]);
    command.arg(crate::kit::program()).arg(&count).current_dir(env.path(""));
    command.limited(libc::RLIMIT_SIGPENDING, LIMIT);
    let mut trap = Running::start(command);
    trap.wait_blocked("sigtimedwait");
    let pid = trap.pid.to_string();
    let values: String = (1..=LIMIT * 4).map(|n| format!("{n}\n")).collect();
    env.ipcx(["signal", "send", "RTMIN+1", &pid, "--lines"]).write_stdin(values).assert().success().stderr("");
    assert_eq!(trap.status().code(), Some(0));
    let got = records(&fs::read(env.path("trapped")).unwrap());
    let got: Vec<u64> = got.iter().map(|record| record["value"].as_u64().unwrap()).collect();
    assert_eq!(got, (1..=LIMIT * 4).collect::<Vec<_>>());
}

#[test]
fn a_hundred_thousand_signals_arrive_complete_and_in_order() {
    let env = Env::new();
    let script = ": >said; ipcx signal trap RTMIN+1 -n 100000 >trapped 2>said & trap=$!
        until grep -q waiting said; do :; done
        seq 100000 >values
        ipcx signal send RTMIN+1 $trap --lines <values
        wait $trap
        sed 's/.* value=\\([0-9]*\\) .*/\\1/' trapped >got
        cmp values got";
    env.sh(script).assert().success().stdout("").stderr("");
}

#[test]
fn a_receiver_that_ends_while_its_queue_is_full_is_gone() {
    let env = Env::new();
    let mut holder = limited(&env, "signal block RTMIN -- cat", "pipe_read");
    let pid = holder.pid.to_string();
    // The kernel takes and drops what is sent to a process that is just ending.
    let mut waiting = env.start(["signal", "send", "RTMIN", &pid, "-n", "1000000000"]);
    waiting.wait_blocked("nanosleep");
    holder.close_stdin();
    holder.wait_end();
    waiting.wait_end();
    let output = waiting.end();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("no such process") && sent(&output.stderr) < 1_000_000_000, "{said}");
}

#[test]
fn without_any_queue_signals_are_still_trapped_and_the_timeout_still_comes() {
    let env = Env::new();
    for signals in ["USR1", "USR1 ALRM URG"] {
        let trap = |args: &str| {
            let mut command = env.command("signal trap".split(' ').chain(signals.split(' ')).chain(args.split(' ')));
            command.limited(libc::RLIMIT_SIGPENDING, 0);
            Running::start(command)
        };
        let mut one = trap("-n 1");
        one.wait_blocked("sigtimedwait");
        one.signal(libc::SIGUSR1);
        assert_eq!(one.status().code(), Some(0), "{signals}");
        assert_eq!(trap("--timeout 50ms").status().code(), Some(124), "{signals}");
        let mut stopped = trap("--timeout 1h");
        stopped.wait_blocked("sigtimedwait");
        stopped.signal(libc::SIGTERM);
        assert_eq!(stopped.status().code(), Some(143), "{signals}");
    }
}
