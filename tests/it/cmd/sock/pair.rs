//! Two commands in conversation.

use super::*;
use crate::kit::until;
use std::fs;

#[test]
fn each_reads_what_the_other_writes() {
    let env = Env::new();
    let left = "echo 6; read answer; echo $answer >&2";
    let right = "read n; echo $((n * 7))";
    let args = ["sock", "pair", "sh", "-c", left, ":::", "sh", "-c", right];
    env.ipcx(args).assert().success().stdout("").stderr("42\n");
    for kind in ["dgram", "seqpacket"] {
        // A message is read at once or cut: a shell reads byte by byte.
        let args = ["sock", "pair", "-t", kind, "printf", "whole", ":::", "dd", "bs=100", "count=1", "of=got"];
        env.ipcx(args).assert().success();
        assert_eq!(fs::read_to_string(env.path("got")).unwrap(), "whole", "{kind}");
    }
}

#[test]
fn what_is_typed_on_the_terminal_ends_both_and_the_script() {
    use std::io::Write as _;
    use std::os::unix::process::ExitStatusExt as _;
    let env = Env::new();
    let sleep = |name: &str| format!("echo >{name}; exec sleep 1000");
    let command = env.command(["sock", "pair", "sh", "-c", &sleep("one"), ":::", "sh", "-c", &sleep("two")]);
    let (run, mut terminal) = Running::in_terminal(command, false);
    until("both to run", || env.path("one").exists() && env.path("two").exists());
    terminal.write_all(b"\x03").unwrap();
    assert_eq!(run.status().signal(), Some(libc::SIGINT));
}

#[test]
fn when_one_ends_the_other_sees_the_end() {
    let env = Env::new();
    env.ipcx(["sock", "pair", "echo", "all", ":::", "sh", "-c", "cat >got"]).assert().success();
    assert_eq!(fs::read_to_string(env.path("got")).unwrap(), "all\n");
    env.ipcx(["sock", "pair", "sh", "-c", "cat >got", ":::", "echo", "all"]).assert().success();
    assert_eq!(fs::read_to_string(env.path("got")).unwrap(), "all\n");
}

#[test]
fn the_status_is_that_of_the_second_or_of_the_first_that_fails() {
    let env = Env::new();
    let cases = [
        ("exit 3", "exit 4", 4, 3),
        ("exit 3", "exit 0", 0, 3),
        ("exit 0", "exit 4", 4, 4),
        ("kill -9 $$", "exit 0", 0, 137),
    ];
    for (left, right, plain, pipefail) in cases {
        let commands = ["sh", "-c", left, ":::", "sh", "-c", right];
        env.ipcx(["sock", "pair"].iter().chain(&commands)).assert().code(plain);
        env.ipcx(["sock", "pair", "--pipefail"].iter().chain(&commands)).assert().code(pipefail);
    }
}

#[test]
fn a_command_that_cannot_start_ends_the_other() {
    let env = Env::new();
    fs::write(env.path("plain"), "").unwrap();
    for (command, status) in [("no-such-command", 127), ("./plain", 126)] {
        let said = env.fails(status, ["sock", "pair", "sleep", "1000", ":::", command]);
        assert!(said.contains("cannot run"), "{said}");
        env.fails(status, ["sock", "pair", command, ":::", "sleep", "1000"]);
    }
}

#[test]
fn signals_and_the_timeout_end_both() {
    let env = Env::new();
    let commands = ["sh", "-c", "echo $$ >&2; exec sleep 1000", ":::", "sleep", "1000"];
    let mut pair = env.start(["sock", "pair"].iter().chain(&commands));
    let first = pair.said();
    pair.wait_blocked("poll");
    pair.signal(libc::SIGTERM);
    pair.wait_end();
    assert_eq!(pair.status().code(), Some(143));
    until("the first to end", || !fs::exists(format!("/proc/{first}")).unwrap());
    env.ipcx(["sock", "pair", "--timeout", "50ms", "sleep", "1000", ":::", "sleep", "1000"]).assert().code(124);
}

#[test]
fn no_end_stays_open_in_ipcx() {
    let env = Env::new();
    let mut pair =
        env.start(["sock", "pair", "sh", "-c", "read x; exec sleep 1000", ":::", "sh", "-c", "echo; exec sleep 1000"]);
    pair.wait_blocked("poll");
    let sockets = || {
        let all = fs::read_dir(format!("/proc/{}/fd", pair.pid)).unwrap();
        all.filter(|fd| {
            fs::read_link(fd.as_ref().unwrap().path()).is_ok_and(|to| to.to_string_lossy().contains("socket:"))
        })
        .count()
    };
    assert_eq!(sockets(), 0);
    pair.signal(libc::SIGTERM);
    pair.wait_end();
}

#[test]
fn two_commands_are_wanted() {
    let env = Env::new();
    for args in [&["true"][..], &["true", ":::"], &[":::", "true"], &["a", ":::", "b", ":::", "c"], &[]] {
        env.fails(2, ["sock", "pair"].iter().chain(args));
    }
}
