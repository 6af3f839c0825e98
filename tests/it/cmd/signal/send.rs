use super::*;
use crate::kit::look::refused;
use std::time::Duration;

#[test]
fn a_signal_arrives_with_its_sender() {
    let env = Env::new();
    let trap = trapping(&env, "USR1 -n 1 --json");
    // It waits for the end of the trap, so that its name can be seen.
    let sender = env.start(["signal", "send", "USR1", &trap.pid.to_string(), "--wait", "20s"]);
    let record = &records(&trap.end().stdout)[0];
    assert_eq!((&record["signal"], &record["number"]), (&"USR1".into(), &10.into()));
    assert_eq!((&record["command"], &record["origin"]), (&"ipcx".into(), &"kill".into()));
    assert_eq!((&record["uid"], &record["user"]), (&0.into(), &"root".into()));
    assert_eq!(record["pid"], sender.pid);
    assert_eq!(sender.status().code(), Some(0));
    assert_eq!((&record["value"], &record["overrun"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_value_arrives_whatever_its_sign() {
    let env = Env::new();
    for (signal, value) in [("RTMIN+1", "7"), ("RTMAX", "-2147483648"), ("USR2", "2147483647"), ("64", "0")] {
        let trap = trapping(&env, &format!("{signal} -n 1 --json"));
        send(&env, &[signal, "--value", value], trap.pid);
        let record = &records(&trap.end().stdout)[0];
        assert_eq!(record["value"], value.parse::<i64>().unwrap(), "{record}");
        assert_eq!(record["origin"], "sigqueue", "{record}");
    }
}

#[test]
fn real_time_signals_are_counted_and_standard_ones_are_not() {
    let env = Env::new();
    let holder = holding(&env, "RTMIN USR1");
    send(&env, &["USR1", "-n", "5"], holder.pid);
    send(&env, &["RTMIN", "-n", "5"], holder.pid);
    assert_eq!(pending(&env, holder.pid), ["USR1", "RTMIN"]);
    let trap = trapping(&env, "RTMIN -n 5 --json");
    send(&env, &["RTMIN", "-n", "5"], trap.pid);
    let values: Vec<Value> = records(&trap.end().stdout).iter().map(|record| record["value"].clone()).collect();
    assert_eq!(values, [0; 5]);
}

#[test]
fn each_line_is_a_value_and_the_last_one_needs_no_newline() {
    let env = Env::new();
    let trap = trapping(&env, "RTMIN+1 -n 4 --json");
    let pid = trap.pid.to_string();
    let mut sending = env.ipcx(["signal", "send", "RTMIN+1", &pid, "--lines"]);
    sending.write_stdin("1\n -2 \n2147483647\n4").assert().success().stdout("").stderr("");
    let values: Vec<Value> = records(&trap.end().stdout).iter().map(|record| record["value"].clone()).collect();
    assert_eq!(values, [1, -2, 2_147_483_647, 4]);
}

#[test]
fn a_line_is_sent_as_soon_as_it_is_complete() {
    let env = Env::new();
    let mut trap = trapping(&env, "RTMIN+1 -n 2");
    let pid = trap.pid.to_string();
    let mut sending = env.start(["signal", "send", "RTMIN+1", &pid, "--lines"]);
    sending.write(b"17\n1");
    assert!(trap.line().contains(" value=17 "));
    sending.write(b"8\n");
    assert!(trap.line().contains(" value=18 "));
    assert_eq!(sending.status().code(), Some(0));
}

#[test]
fn a_line_that_is_no_value_ends_it_and_is_named() {
    let env = Env::new();
    let holder = holding(&env, "RTMIN+1");
    let pid = holder.pid.to_string();
    for (input, line, before) in
        [("1\n2\nx\x1b\n4\n", 3, 2), ("\n", 1, 0), ("2147483648\n", 1, 0), (&"1".repeat(300_000), 1, 0)]
    {
        let mut sending = env.ipcx(["signal", "send", "RTMIN+1", &pid, "--lines"]);
        let output = sending.write_stdin(input).assert().code(2).stdout("").get_output().clone();
        let said = String::from_utf8(output.stderr.clone()).unwrap();
        assert!(said.contains(&format!("line {line} of standard input")) && !said.contains('\x1b'), "{said}");
        assert_eq!(sent(&output.stderr), before, "{said}");
    }
    env.sh(&format!("ipcx signal send RTMIN+1 {pid} --lines <&-")).assert().code(1);
}

#[test]
fn a_process_that_is_gone_is_status_3() {
    let env = Env::new();
    let mut gone = env.start(["--version"]);
    gone.wait_end();
    let said = env.fails(3, ["signal", "send", "TERM", &gone.pid.to_string()]);
    assert!(said.contains("no such process (ESRCH)"), "{said}");
    let said = env.fails(3, ["signal", "send", "TERM", "2147483647"]);
    assert!(said.contains("cannot send TERM to 2147483647"), "{said}");
}

#[test]
fn the_inode_of_another_process_is_refused_and_the_own_one_is_not() {
    let env = Env::new();
    let sleeper = sleeping(&env);
    let pid = sleeper.pid.to_string();
    let listed = env.json(["signal", "send", "TERM", &pid, "--dry-run", "--json"]);
    let reference = listed["objects"][0]["ref"].as_str().unwrap().to_owned();
    let Some((_, inode)) = reference.split_once(':') else { crate::skip!("processes have no inode here") };
    let other = format!("{pid}:{}", inode.parse::<u64>().unwrap() + 1);
    for verb in [&["send", "TERM"][..], &["show"]] {
        let said = env.fails(3, ["signal"].iter().chain(verb).copied().chain([other.as_str()]));
        assert!(said.contains("another process has this pid now") && said.contains(&reference), "{said}");
    }
    assert!(!is_zombie(sleeper.pid));
    assert_eq!(env.out(["signal", "send", "TERM", &reference, "--wait", "20s"]), "");
    assert_eq!(sleeper.status().code(), Some(143));
}

#[test]
fn every_process_is_tried_and_the_first_failure_is_the_status() {
    let env = Env::new();
    let (first, second) = (sleeping(&env), sleeping(&env));
    let (a, b) = (first.pid.to_string(), second.pid.to_string());
    let said = env.fails(3, ["signal", "send", "TERM", &a, "2147483647", &b]);
    assert_eq!(said.lines().count(), 1, "{said}");
    for sleeper in [first, second] {
        assert_eq!(sleeper.status().code(), Some(143));
    }
}

#[test]
fn zero_only_asks() {
    let env = Env::new();
    let sleeper = sleeping(&env);
    env.ipcx(["signal", "send", "0", &sleeper.pid.to_string()]).assert().success().stdout("").stderr("");
    assert!(!is_zombie(sleeper.pid));
    env.fails(3, ["signal", "send", "0", "2147483647"]);
}

#[test]
fn what_is_no_signal_process_or_value_is_wrong_usage_and_says_why() {
    let env = Env::new();
    let holder = holding(&env, "RTMIN USR1");
    let pid = holder.pid.to_string();
    for (line, why) in [
        (&["send", "NOSUCH", &pid][..], "no signal of this name"),
        (&["send", "RTMIN+40", &pid], "RTMIN to RTMIN+"),
        (&["send", "RTMAX-40", &pid], "RTMIN to RTMIN+"),
        (&["send", "65", &pid], "signals are 1 to 64"),
        (&["send", "4294967306", &pid], "signals are 1 to 64"),
        (&["send", "-9", &pid], "without a dash: 9"),
        (&["send", "a\x1b[31m", &pid], "\\x1b"),
        (&["send", "USR1", "0"], "process group"),
        (&["send", "USR1", "-1"], "process group"),
        (&["send", "USR1", "4294967297"], "a pid is 1 to"),
        (&["send", "USR1", "1:"], "PID or PID:INODE"),
        (&["send", "USR1", "x"], "PID or PID:INODE"),
        (&["send", "USR1"], "TARGET"),
        (&["send", "RTMIN", &pid, "--value", "2147483648"], "values are -2147483648 to 2147483647"),
        (&["send", "RTMIN", &pid, "--value", "-2147483649"], "values are"),
        (&["send", "RTMIN", &pid, "--value", "1", "--lines"], "--lines"),
        (&["send", "RTMIN", &pid, "-n", "0"], "no count"),
        (&["send", "RTMIN", &pid, "-n", "1", "--lines"], "--lines"),
        (&["send", "RTMIN", &pid, "--nowait", "--timeout", "1s"], "--timeout"),
        (&["send", "RTMIN", &pid, "--json"], "--dry-run"),
        (&["send", "RTMIN", &pid, "--full"], "--name"),
        (&["send", "RTMIN", "--name", "("], "--name"),
        (&["trap"], "SIG"),
        (&["trap", "0"], "signals are 1 to 64"),
        (&["trap", "USR1", "KILL"], "catch, block or ignore KILL"),
        (&["trap", "SIGSTOP"], "catch, block or ignore STOP"),
        (&["trap", "USR1", "--json", "--exec", "true"], "--exec"),
        (&["block", "KILL", "--", "true"], "catch, block or ignore KILL"),
        (&["block", "USR1"], "CMD"),
        (&["block", "--", "true"], "SIG"),
        (&["show"], "PID"),
        (&["show", "-1"], "process group"),
    ] {
        let said = refused(&env, 2, ["signal"].iter().chain(line));
        assert!(said.starts_with("ipcx: ") && said.contains(why) && !said.contains('\x1b'), "{line:?}: {said}");
    }
    assert_eq!(pending(&env, holder.pid), [""; 0]);
}

#[test]
fn it_waits_until_all_are_gone() {
    let env = Env::new();
    let (first, second) = (sleeping(&env), sleeping(&env));
    let (a, b) = (first.pid.to_string(), second.pid.to_string());
    // Nobody asks for their status, so they stay as zombies: they count as gone.
    env.ipcx(["signal", "send", "TERM", &a, &b, "--wait", "20s"]).assert().success().stderr("");
    assert!(is_zombie(first.pid) && is_zombie(second.pid));
    env.ipcx(["signal", "send", "TERM", &a, "--wait", "20s"]).assert().success();
}

#[test]
fn those_that_are_still_there_at_the_timeout_are_named() {
    let env = Env::new();
    let (stays, goes) = (holding(&env, "TERM"), sleeping(&env));
    let (a, b) = (stays.pid.to_string(), goes.pid.to_string());
    let said = env.fails(124, ["signal", "send", "TERM", &a, &b, "--wait", "300ms"]);
    assert!(said.contains(&format!("{a} (cat): still there after 300ms")) && !said.contains(&b), "{said}");
    assert_eq!(goes.status().code(), Some(143));
    let mut waiting = env.start(["signal", "send", "0", &a, "--wait", "1h"]);
    waiting.wait_blocked("poll");
    waiting.signal(libc::SIGTERM);
    assert_eq!(waiting.status().code(), Some(143));
    let mut waiting = env.start(["signal", "send", "0", &a, "--wait", "1h"]);
    waiting.wait_blocked("poll");
    send(&env, &["KILL"], stays.pid);
    assert_eq!(waiting.status().code(), Some(0));
}

#[test]
fn a_thread_is_no_process() {
    let env = Env::new();
    // The thread of this test is not the first one of its process.
    let tid = nix::unistd::gettid().to_string();
    let said = env.fails(3, ["signal", "send", "0", &tid]);
    assert!(said.contains("thread"), "{said}");
}

#[test]
fn a_kernel_without_pidfd_is_told() {
    use crate::kit::Refusal;
    let env = Env::new();
    let refusal = [Refusal::of(libc::SYS_pidfd_open, libc::ENOSYS)];
    let said = crate::kit::refusal(
        env.ipcx_refused(&refusal, ["signal", "send", "0", "1"]).timeout(Duration::from_secs(30)),
        1,
    );
    assert!(said.contains("ENOSYS") && said.contains("hint: ") && said.contains("Linux 5.3"), "{said}");
}
