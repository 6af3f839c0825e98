//! Standard output fails when a message has been taken already.

use super::*;
use crate::kit::NOBODY;
use std::os::unix::process::CommandExt as _;

/// Puts a message where it cannot be put back: the queue may hold less than it since.
fn too_large_to_go_back(env: &Env, message: &[u8]) -> String {
    let queue = private(env);
    env.ipcx(["msgq", "send", &queue, "-t", "7"]).write_stdin(message).assert().success();
    env.ipcx(["msgq", "set", &queue, "--max-bytes", "1"]).assert().success();
    queue
}

#[test]
fn a_message_that_could_not_be_written_goes_back_into_the_queue() {
    let env = Env::new();
    for queue in both(&env) {
        for output in [">/dev/full", ">&-"] {
            for how in ["", "--raw", "-0", "--hex", "--json", "-n 2", "--all", "--follow"] {
                send(&env, &queue, &["a", "b"]);
                let failed = env.sh(&format!("ipcx msgq recv {queue} {how} {output}")).assert().code(1);
                let mut left = drain(&env, &queue);
                if output == ">&-" {
                    // Known before anything is taken: not even the order changes.
                    failed.stderr(says("standard output").and(says("put back").not()));
                } else {
                    failed.stderr(says("put back").and(says("standard output")));
                    left.sort();
                }
                assert_eq!(left, ["a", "b"], "{queue} {how} {output}");
            }
        }
    }
}

#[test]
fn what_goes_back_keeps_its_type_or_priority() {
    let env = Env::new();
    let [sysv, posix] = both(&env);
    env.ipcx(["msgq", "send", &sysv, "-t", "7", "x"]).assert().success();
    env.ipcx(["msgq", "send", &posix, "-p", "9", "x"]).assert().success();
    for queue in [&sysv, &posix] {
        env.sh(&format!("ipcx msgq recv {queue} >/dev/full")).assert().code(1);
    }
    assert_eq!(env.out(["msgq", "recv", &sysv, "--json"]), r#"{"type":7,"size":1,"text":"x"}"#);
    assert_eq!(env.out(["msgq", "recv", &posix, "--json"]), r#"{"priority":9,"size":1,"text":"x"}"#);
}

#[test]
fn a_message_that_comes_when_the_reader_is_gone_goes_back() {
    let env = Env::new();
    for queue in both(&env) {
        let mut following = env.start(["msgq", "recv", &queue, "--follow"]);
        send(&env, &queue, &["read"]);
        assert_eq!(following.line(), "read");
        following.wait_blocked(empty_wait(&queue));
        following.close_stdout();
        send(&env, &queue, &["unread"]);
        let ended = following.end();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(status(ended.status), 1, "{said}");
        assert!(said.contains("put back") && said.contains("EPIPE"), "{said}");
        assert_eq!(drain(&env, &queue), ["unread"]);
    }
}

#[test]
fn quiet_does_not_hide_that_a_message_was_put_back() {
    let env = Env::new();
    for queue in both(&env) {
        send(&env, &queue, &["a"]);
        env.sh(&format!("ipcx -q msgq recv {queue} >/dev/full")).assert().code(1).stderr(says("put back"));
    }
}

#[test]
fn a_message_that_cannot_go_back_is_on_standard_error_escaped() {
    let env = Env::new();
    for how in ["", "--json"] {
        let queue = too_large_to_go_back(&env, b"esc\x1b[2J\n\xff\\");
        let failed = env.sh(&format!("ipcx msgq recv {queue} {how} >/dev/full")).assert().code(1);
        failed.stderr(says("\nesc\\x1b[2J\\x0a\\xff\\\\\n").and(says("type 7")).and(says("\x1b").not()));
        assert_eq!(count(&env, &queue), 0);
    }
}

#[test]
fn a_message_taken_without_the_right_to_send_is_on_standard_error() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("root is needed for a second user");
    }
    for queue in both(&env) {
        env.ipcx(["msgq", "set", &queue, "--mode", "644"]).assert().success();
        send(&env, &queue, &["only\tread"]);
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = env.command(["msgq", "recv", &queue]);
        let ended = command.uid(NOBODY).gid(NOBODY).stdout(full).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(status(ended.status), 1, "{said}");
        assert!(said.contains("\nonly\\x09read\n") && said.contains("could not be put back"), "{said}");
        assert_eq!(count(&env, &queue), 0);
    }
}

#[test]
fn a_message_on_standard_error_is_whole_even_if_a_signal_comes_while_it_is_written() {
    let env = Env::new();
    if !sysctl("kernel/msgmax", "200000") || !sysctl("kernel/msgmnb", "200000") {
        crate::skip!("kernel.msgmax cannot be set here");
    }
    let long = "abcdefghij".repeat(15_000);
    let queue = too_large_to_go_back(&env, long.as_bytes());
    let mut receiving = interruptible(&env, &format!("msgq recv {queue} >/dev/full"));
    // More than the pipe behind standard error holds, so it waits for us to read.
    receiving.wait_blocked("pipe_write");
    receiving.signal(SIGTERM);
    let ended = receiving.end();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.contains(&long), "only {} bytes came", said.len());
    assert_ne!(status(ended.status), 0);
}

#[test]
fn a_signal_while_nobody_reads_the_output_loses_no_message() {
    let env = Env::new();
    for queue in both(&env) {
        env.sh("seq 1000000 >input").assert().success();
        let mut sending = interruptible(&env, &format!("msgq send {queue} --lines <input"));
        let mut following = interruptible(&env, &format!("msgq recv {queue} --follow"));
        following.wait_blocked("pipe_write");
        sending.wait_blocked(full_wait(&queue));
        sending.signal(SIGTERM);
        let sent = sent(&sending.end().stderr);
        following.signal(SIGTERM);
        wait_ended(&following);
        let ended = following.end();
        assert_eq!(status(ended.status), 143);
        // The queue was full, so the last one could only go to standard error.
        let written = String::from_utf8(ended.stdout).unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        let kept = said.lines().last().unwrap();
        let left = drain(&env, &queue);
        let all: String = written.lines().chain([kept]).chain(left.iter().map(String::as_str)).collect();
        let expected: String = (1..=sent).map(|n| n.to_string()).collect();
        assert!(all == expected, "{sent} were sent; {said}");
    }
}

#[test]
fn a_message_written_in_part_goes_back_whole_and_that_is_said() {
    let env = Env::new();
    for queue in both(&env) {
        let long = "x".repeat(8000);
        let mut following = interruptible(&env, &format!("msgq recv {queue} --follow"));
        // Eight of them fit a pipe of 64 KiB, the ninth does not.
        for _ in 0..9 {
            env.ipcx(["msgq", "send", &queue, &long]).assert().success();
        }
        following.wait_blocked("pipe_write");
        following.signal(SIGTERM);
        wait_ended(&following);
        let ended = following.end();
        assert_eq!(status(ended.status), 143);
        let said = String::from_utf8(ended.stderr).unwrap();
        let part = ended.stdout.len() - 8 * 8001;
        assert!(said.contains("put back") && (part == 0 || said.contains(&format!("{part} bytes"))), "{part}: {said}");
        assert_eq!(drain(&env, &queue), [long]);
    }
}

#[test]
fn a_message_never_goes_back_into_another_queue_of_the_same_name() {
    let env = Env::new();
    env.out(["msgq", "create", "/q"]);
    let mut sending = env.start(["msgq", "send", "/q", "--lines"]);
    let mut following = env.start(["msgq", "recv", "/q", "--follow"]);
    sending.write(b"first\n");
    assert_eq!(following.line(), "first");
    following.wait_blocked("wq_sleep");
    env.ipcx(["msgq", "rm", "--force", "/q"]).assert().success();
    env.out(["msgq", "create", "/q"]);
    following.close_stdout();
    sending.write(b"for the old one\n");
    let ended = following.end();
    assert_eq!(status(ended.status), 1);
    assert_eq!(count(&env, "/q"), 0);
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.contains("for the old one"), "{said}");
}

#[test]
fn a_message_of_a_removed_posix_queue_is_on_standard_error() {
    let env = Env::new();
    env.out(["msgq", "create", "/q"]);
    let mut sending = env.start(["msgq", "send", "/q", "--lines"]);
    let mut following = env.start(["msgq", "recv", "/q", "--follow"]);
    sending.write(b"first\n");
    assert_eq!(following.line(), "first");
    env.ipcx(["msgq", "rm", "--force", "/q"]).assert().success();
    following.wait_blocked("wq_sleep");
    following.close_stdout();
    sending.write(b"last\n");
    let ended = following.end();
    assert_eq!(status(ended.status), 1);
    assert!(String::from_utf8(ended.stderr).unwrap().contains("\nlast\n"));
}

#[test]
fn peeking_into_a_failing_output_is_a_failure_and_takes_nothing() {
    let env = Env::new();
    let queue = private(&env);
    send(&env, &queue, &["a", "b"]);
    for how in ["", "--raw", "--json"] {
        for output in [">/dev/full", ">&-"] {
            let failed = env.sh(&format!("ipcx msgq peek {queue} {how} {output}")).assert().code(1);
            failed.stderr(says("standard output"));
        }
        // A closed pipe is the reader's way to say "enough": nothing was lost by it.
        env.sh(&format!("{{ ipcx msgq peek {queue} {how}; echo $? >&2; }} | true")).assert().stderr("0\n");
    }
    assert_eq!(drain(&env, &queue), ["a", "b"]);
}
