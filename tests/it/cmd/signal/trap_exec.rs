//! `ipcx signal trap --exec`.

use super::*;

/// A trap that runs a line of the shell.
#[track_caller]
fn executing(env: &Env, args: &str, line: &str) -> Running {
    let mut trap = env.start(["signal", "trap"].into_iter().chain(args.split_whitespace()).chain(["--exec", line]));
    trap.wait_blocked("sigtimedwait");
    trap
}

#[test]
fn the_command_knows_the_signal() {
    let env = Env::new();
    let line = "echo \"$IPCX_SIGNAL/$IPCX_SENDER_PID/$IPCX_VALUE\"";
    let mut trap = executing(&env, "USR1 RTMIN+2 -n 2", line);
    trap.signal(libc::SIGUSR1);
    assert_eq!(trap.line(), format!("USR1/{}/", std::process::id()));
    send(&env, &["RTMIN+2", "--value", "-9"], trap.pid);
    let said = trap.line();
    assert!(said.starts_with("RTMIN+2/") && said.ends_with("/-9"), "{said}");
    assert_eq!(trap.status().code(), Some(0));
}

#[test]
fn the_command_has_nothing_blocked() {
    let env = Env::new();
    let mut trap = executing(&env, "USR1 TERM RTMIN -n 1", "grep ^SigBlk /proc/self/status");
    trap.signal(libc::SIGUSR1);
    assert_eq!(trap.line(), "SigBlk:\t0000000000000000");
    assert_eq!(trap.status().code(), Some(0));
}

#[test]
fn a_command_that_fails_is_said_and_ends_nothing() {
    let env = Env::new();
    let mut trap =
        executing(&env, "RTMIN -n 3", "[ $IPCX_VALUE != 2 ] || kill -9 $$; echo $IPCX_VALUE; exit $IPCX_VALUE");
    for value in ["3", "2", "0"] {
        send(&env, &["RTMIN", "--value", value], trap.pid);
    }
    assert_eq!((trap.line(), trap.line()), ("3".to_owned(), "0".to_owned()));
    let output = trap.end();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("the command for RTMIN ended with status 3"), "{said}");
    assert!(said.contains("the command for RTMIN ended with KILL"), "{said}");
}

#[test]
fn signals_that_come_meanwhile_stay_queued() {
    let env = Env::new();
    let mut trap = executing(&env, "RTMIN -n 3", "echo $IPCX_VALUE; read -r x");
    for value in ["1", "2", "3"] {
        send(&env, &["RTMIN", "--value", value], trap.pid);
    }
    for value in ["1", "2", "3"] {
        assert_eq!(trap.line(), value);
        trap.write(b"\n");
    }
    assert_eq!(trap.status().code(), Some(0));
}

#[test]
fn the_end_of_its_own_commands_is_no_signal_of_others() {
    let env = Env::new();
    let mut trap = executing(&env, "CHLD USR1 -n 3", "echo $IPCX_SIGNAL");
    trap.signal(libc::SIGUSR1);
    assert_eq!(trap.line(), "USR1");
    // Its own command has ended when it waits again.
    trap.wait_blocked("sigtimedwait");
    for (signal, name) in [(libc::SIGCHLD, "CHLD"), (libc::SIGUSR1, "USR1")] {
        trap.signal(signal);
        assert_eq!(trap.line(), name);
    }
    let output = trap.end();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b""[..]));
}

#[test]
fn a_signal_that_ends_the_trap_ends_its_command_too() {
    let env = Env::new();
    for (signal, status) in [(libc::SIGTERM, 143), (libc::SIGHUP, 129)] {
        let mut trap = executing(&env, "USR1", "echo $$; exec sleep 1000");
        trap.signal(libc::SIGUSR1);
        let child: u32 = trap.line().parse().unwrap();
        trap.wait_blocked("poll");
        trap.signal(signal);
        trap.wait_end();
        assert_eq!(trap.status().code(), Some(status));
        assert!(!std::path::Path::new(&format!("/proc/{child}")).exists());
    }
}

#[test]
fn the_timeout_ends_its_command_too() {
    let env = Env::new();
    let mut trap = executing(&env, "USR1 --timeout 300ms", "exec sleep 1000");
    trap.signal(libc::SIGUSR1);
    trap.wait_end();
    assert_eq!(trap.status().code(), Some(124));
}
