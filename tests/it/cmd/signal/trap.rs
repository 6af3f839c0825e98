use super::*;
use crate::kit::Starts as _;

/// All but KILL and STOP.
fn all() -> impl Iterator<Item = i32> {
    (1..=64).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal))
}

fn words(signals: impl Iterator<Item = i32>) -> String {
    signals.map(|signal| signal.to_string()).collect::<Vec<_>>().join(" ")
}

#[test]
fn it_says_when_it_is_ready_and_each_signal_is_one_line() {
    let env = Env::new();
    let mut trap = trapping(&env, "USR1 RTMIN+1 -n 2");
    trap.signal(libc::SIGUSR1);
    // Written before the next one is taken, and at once.
    let (me, name) = (std::process::id(), fs::read_to_string("/proc/self/comm").unwrap());
    assert_eq!(trap.line(), format!("USR1 origin=kill pid={me} user=root value=- command={}", name.trim_end()));
    send(&env, &["RTMIN+1", "--value", "-3"], trap.pid);
    let line = trap.line();
    assert!(line.starts_with("RTMIN+1 origin=sigqueue pid=") && line.contains(" value=-3 "), "{line}");
    let pid = trap.pid;
    let output = trap.end();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), format!("ipcx: waiting as pid {pid}\n"));
    let quiet = trapping(&env, "-q USR1 -n 1");
    send(&env, &["USR1"], quiet.pid);
    assert_eq!(quiet.end().stderr, b"");
}

#[test]
fn what_was_pending_before_is_not_lost() {
    let env = Env::new();
    let script = "exec ipcx signal block USR1 -- sh -c 'kill -USR1 $$; exec ipcx signal trap USR1 -n 1'";
    let output = env.sh(script).assert().success().get_output().clone();
    assert!(output.stdout.starts_with(b"USR1 origin=kill "));
}

#[test]
fn every_signal_can_be_trapped_but_kill_and_stop() {
    let env = Env::new();
    let mut trap = trapping(&env, &format!("{} -n 62", words(all())));
    for signal in all() {
        trap.signal(signal);
        let line = trap.line();
        assert!(line.contains(" origin=kill "), "{signal}: {line}");
        let listed = env.json(["signal", "list", &signal.to_string(), "--json"]);
        let name = listed["objects"][0]["name"].as_str().map_or(signal.to_string(), str::to_owned);
        assert_eq!(line.split(' ').next(), Some(name.as_str()));
    }
    assert_eq!(trap.status().code(), Some(0));
}

#[test]
fn the_timeout_comes_whatever_is_trapped() {
    let env = Env::new();
    for signals in ["USR1".to_owned(), "URG".to_owned(), "URG WINCH IO PWR ALRM".to_owned(), words(all())] {
        let line = format!("signal trap {signals} --timeout 60ms");
        let output = env.ipcx(line.split(' ')).assert().code(124).stdout("").get_output().clone();
        assert_eq!(
            String::from_utf8(output.stderr).unwrap().lines().count(),
            1,
            "an end without a count is no failure"
        );
        let line = format!("{line} -n 1");
        let output = env.ipcx(line.split(' ')).assert().code(124).stdout("").get_output().clone();
        assert!(String::from_utf8(output.stderr).unwrap().contains("timed out (ETIMEDOUT)"));
    }
}

#[test]
fn signals_that_are_not_trapped_end_it() {
    let env = Env::new();
    for trapped in ["USR1", "URG WINCH IO PWR ALRM CHLD"] {
        for (signal, status) in [(libc::SIGTERM, 143), (libc::SIGINT, 130), (libc::SIGHUP, 129)] {
            let mut trap = trapping(&env, trapped);
            trap.signal(signal);
            trap.wait_end();
            let output = trap.end();
            assert_eq!((output.status.code(), &output.stdout[..]), (Some(status), &b""[..]));
        }
    }
}

#[test]
fn a_signal_that_ends_others_is_trapped_like_any() {
    let env = Env::new();
    let mut trap = trapping(&env, "TERM HUP");
    for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGTERM] {
        trap.signal(signal);
        assert!(trap.line().contains("origin=kill"));
    }
    trap.signal(libc::SIGINT);
    assert_eq!(trap.status().code(), Some(130));
}

#[test]
fn what_the_parent_ignored_or_blocked_is_trapped_too() {
    let env = Env::new();
    let mut command = env.command(["signal", "trap", "HUP", "INT", "USR1", "-n", "3"]);
    command.ignoring(libc::SIGHUP).ignoring(libc::SIGINT).blocking(libc::SIGUSR1);
    let mut trap = Running::start(command);
    trap.wait_blocked("sigtimedwait");
    for (signal, name) in [(libc::SIGHUP, "HUP "), (libc::SIGINT, "INT "), (libc::SIGUSR1, "USR1 ")] {
        trap.signal(signal);
        assert!(trap.line().starts_with(name));
    }
    assert_eq!(trap.status().code(), Some(0));
}

#[test]
fn a_signal_that_is_named_twice_is_one() {
    let env = Env::new();
    let mut trap = trapping(&env, "USR1 SIGUSR1 10 -n 2");
    for _ in 0..2 {
        trap.signal(libc::SIGUSR1);
        assert!(trap.line().starts_with("USR1 "));
    }
    assert_eq!(trap.status().code(), Some(0));
}

#[test]
fn it_tells_how_a_signal_was_sent() {
    let env = Env::new();
    let trap = trapping(&env, "USR1 -n 1 --json");
    crate::kit::tkill(trap.pid, libc::SIGUSR1);
    let record = &records(&trap.end().stdout)[0];
    assert_eq!((&record["origin"], &record["pid"]), (&"tkill".into(), &std::process::id().into()));

    // What the kernel sends has no sender.
    let mut command = env.command(["signal", "trap", "ALRM", "-n", "1", "--json"]);
    command.alarmed(1);
    let record = &records(&Running::start(command).end().stdout)[0];
    assert_eq!(record["origin"], "kernel");
    for key in ["pid", "command", "uid", "user", "value", "overrun"] {
        assert_eq!(record[key], Value::Null, "{key}");
    }

    env.sh("mkfifo hold").assert().success();
    let script = "cat hold & exec ipcx signal trap CHLD -n 1 --json";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script]).current_dir(env.path(""));
    let path = format!("{}:/usr/bin:/bin", crate::kit::program().parent().unwrap().display());
    command.env_clear().env("PATH", path);
    let mut trap = Running::start(command);
    trap.wait_blocked("sigtimedwait");
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", trap.pid));
    env.sh(": >hold").assert().success();
    let record = &records(&trap.end().stdout)[0];
    assert_eq!((&record["origin"], &record["command"]), (&"child".into(), &"cat".into()));
    if let Ok(children) = children {
        assert_eq!(record["pid"], children.trim().parse::<u64>().unwrap());
    }
}

#[test]
fn a_sender_that_is_gone_has_no_name_any_more() {
    let env = Env::new();
    let script = "read -r x; exec ipcx signal trap USR1 -n 1 --json";
    let mut later = env.start(["signal", "block", "USR1", "--", "sh", "-c", script]);
    later.wait_blocked("pipe_read");
    send(&env, &["USR1"], later.pid);
    later.write(b"x\n");
    let record = &records(&later.end().stdout)[0];
    assert_eq!(record["command"], Value::Null, "{record}");
    assert!(record["pid"].as_u64().unwrap() > 0, "{record}");
}

#[test]
fn nothing_is_taken_without_a_place_for_it() {
    let env = Env::new();
    let script = "exec ipcx signal block USR1 -- sh -c 'kill -USR1 $$; exec ipcx signal trap USR1 -n 1 >&-'";
    let output = env.sh(script).assert().code(1).get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("standard output: it is closed") && !said.contains("was taken"), "{said}");
}

#[test]
fn a_signal_that_could_not_be_written_is_said() {
    let env = Env::new();
    for (output, errno) in [("/dev/full", "ENOSPC"), ("pipe", "EPIPE")] {
        let mut trap = if output == "pipe" {
            let mut trap = trapping(&env, "RTMIN+1");
            trap.close_stdout();
            trap
        } else {
            let mut command = std::process::Command::new("sh");
            command.args(["-c", "exec \"$0\" signal trap RTMIN+1 >/dev/full"]).arg(crate::kit::program());
            let mut trap = Running::start(command);
            trap.wait_blocked("sigtimedwait");
            trap
        };
        send(&env, &["RTMIN+1", "--value", "41"], trap.pid);
        trap.wait_end();
        let ended = trap.end();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.contains("could not be written") && said.contains("\nRTMIN+1 origin=sigqueue "), "{said}");
        assert!(said.contains(" value=41 ") && said.contains(errno), "{said}");
    }
}

#[test]
fn a_stopped_trap_goes_on() {
    let env = Env::new();
    let mut trap = trapping(&env, "USR1 -n 1 --timeout 1h");
    trap.signal(libc::SIGSTOP);
    until("it to stop", || fs::read_to_string(format!("/proc/{}/stat", trap.pid)).unwrap().contains(") T "));
    trap.signal(libc::SIGCONT);
    trap.wait_blocked("sigtimedwait");
    trap.signal(libc::SIGUSR1);
    assert!(trap.line().starts_with("USR1 "));
    assert_eq!(trap.status().code(), Some(0));
}

#[test]
fn a_signal_from_the_keyboard_is_trapped() {
    let _env = Env::new();
    let script = "setsid --ctty --wait ipcx signal trap INT -n 1; echo $?";
    let mut command = std::process::Command::new("sh");
    let path = format!("{}:/usr/bin:/bin", crate::kit::program().parent().unwrap().display());
    command.args(["-c", script]).env_clear().env("PATH", path);
    let (mut shell, mut keyboard) = Running::on_terminal(command);
    let children = format!("/proc/{0}/task/{0}/children", shell.pid);
    if !std::path::Path::new(&children).exists() {
        crate::skip!("children are not listed here");
    }
    let blocked = || {
        let mut pids = vec![shell.pid];
        while let Some(pid) = pids.pop() {
            if fs::read_to_string(format!("/proc/{pid}/wchan")).is_ok_and(|place| place.contains("sigtimedwait")) {
                return true;
            }
            let below = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            pids.extend(below.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
        false
    };
    until("the trap to wait", blocked);
    std::io::Write::write_all(&mut keyboard, b"\x03").unwrap();
    assert_eq!(shell.line(), "INT origin=kernel pid=- user=- value=- command=-");
    assert_eq!(shell.line(), "0");
}
