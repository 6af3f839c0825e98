use super::*;

#[test]
fn each_argument_is_a_message() {
    let env = Env::new();
    for queue in both(&env) {
        env.ipcx(["msgq", "send", &queue, "one", "", "three words here"]).assert().success().stdout("").stderr("");
        assert_eq!(drain(&env, &queue), ["one", "", "three words here"]);
    }
}

#[test]
fn a_message_may_look_like_an_option_behind_two_dashes() {
    let env = Env::new();
    let queue = private(&env);
    env.ipcx(["msgq", "send", &queue, "--", "-t", "--lines"]).assert().success();
    assert_eq!(drain(&env, &queue), ["-t", "--lines"]);
}

#[test]
fn standard_input_as_a_whole_is_one_message() {
    let env = Env::new();
    for queue in both(&env) {
        for input in [&b"two\nlines\n"[..], b"no newline", b"\xff\x00\n\x1b", b""] {
            env.ipcx(["msgq", "send", &queue]).write_stdin(input).assert().success();
            env.ipcx(["msgq", "recv", &queue, "--raw"]).assert().success().stdout(input);
        }
        assert_eq!(count(&env, &queue), 0);
    }
}

#[test]
fn lines_may_be_empty_and_the_last_one_needs_no_newline() {
    let env = Env::new();
    for queue in both(&env) {
        env.ipcx(["msgq", "send", &queue, "--lines"]).write_stdin("a\n\n\nb").assert().success();
        env.ipcx(["msgq", "recv", &queue, "--all", "-0"]).assert().success().stdout("a\0\0\0b\0");
        env.ipcx(["msgq", "send", &queue, "--lines"]).write_stdin("a\nb\n").assert().success();
        env.ipcx(["msgq", "recv", &queue, "--all", "-0"]).assert().success().stdout("a\0b\0");
        env.ipcx(["msgq", "send", &queue, "--lines"]).write_stdin("").assert().success();
        assert_eq!(count(&env, &queue), 0);
    }
}

#[test]
fn nul_terminated_records_may_hold_newlines() {
    let env = Env::new();
    for queue in both(&env) {
        env.ipcx(["msgq", "send", &queue, "-0"]).write_stdin("a\nb\0\0c\n\0last").assert().success();
        env.ipcx(["msgq", "recv", &queue, "--all", "--null"]).assert().success().stdout("a\nb\0\0c\n\0last\0");
    }
}

#[test]
fn a_line_is_sent_as_soon_as_it_is_complete() {
    let env = Env::new();
    for queue in both(&env) {
        let mut sending = env.start(["msgq", "send", &queue, "--lines"]);
        sending.write(b"first\nsec");
        assert_eq!(env.out(["msgq", "recv", &queue]), "first");
        sending.write(b"ond\n");
        assert_eq!(env.out(["msgq", "recv", &queue]), "second");
        assert_eq!(status(sending.status()), 0);
    }
}

#[test]
fn a_line_longer_than_any_buffer_is_still_one_message() {
    let env = Env::new();
    if !sysctl("kernel/msgmax", "1000000") || !sysctl("kernel/msgmnb", "2000000") {
        crate::skip!("kernel.msgmax cannot be set here");
    }
    let queue = private(&env);
    let long = "x".repeat(300_000);
    env.ipcx(["msgq", "send", &queue, "--lines"]).write_stdin(format!("a\n{long}\nb\n")).assert().success();
    // It is received whole without being asked to, too.
    assert_eq!(drain(&env, &queue), ["a", &long, "b"]);
}

#[test]
fn a_message_has_the_type_that_was_given() {
    let env = Env::new();
    let queue = private(&env);
    send(&env, &queue, &["plain"]);
    env.ipcx(["msgq", "send", &queue, "-t", "9223372036854775807", "most"]).assert().success();
    env.ipcx(["msgq", "send", &queue, "--type", "7", "--lines"]).write_stdin("a\nb\n").assert().success();
    let types: Vec<i64> = env
        .out(["msgq", "recv", &queue, "--all", "--json"])
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["type"].as_i64().unwrap())
        .collect();
    assert_eq!(types, [1, i64::MAX, 7, 7]);
}

#[test]
fn a_wrong_type_or_priority_is_wrong_usage_and_sends_nothing() {
    let env = Env::new();
    let [sysv, posix] = both(&env);
    for (queue, option, value) in [
        (&sysv, "--type", "0"),
        (&sysv, "--type=-1", ""),
        (&sysv, "--type", "9223372036854775808"),
        (&sysv, "--type", "4294967296x"),
        (&sysv, "--priority", "1"),
        (&posix, "--priority", "32768"),
        (&posix, "--priority", "4294967296"),
        (&posix, "--priority=-1", ""),
        (&posix, "--type", "1"),
    ] {
        let failed = env.ipcx(["msgq", "send", queue, "message", option, value]).assert().code(2);
        failed.stdout("").stderr(says("").and(predicates::str::is_empty().not()));
    }
    assert_eq!((count(&env, &sysv), count(&env, &posix)), (0, 0));
    let failed = env.ipcx(["msgq", "send", &sysv, "x", "-p", "1"]).assert().code(2);
    failed.stderr(says("hint: use --type"));
    let failed = env.ipcx(["msgq", "send", &posix, "x", "-t", "1"]).assert().code(2);
    failed.stderr(says("hint: use --priority"));
}

#[test]
fn sources_of_messages_exclude_each_other() {
    let env = Env::new();
    let queue = private(&env);
    for line in [&["x", "--lines"][..], &["x", "-0"], &["--lines", "-0"], &["x", "--nowait", "--timeout", "1s"]] {
        env.ipcx(["msgq", "send", &queue].iter().chain(line)).assert().code(2);
    }
    assert_eq!(count(&env, &queue), 0);
}

#[test]
fn a_message_over_msgmax_is_refused_with_the_limit_and_its_value() {
    let env = Env::new();
    let queue = private(&env);
    let refused = env.ipcx(["msgq", "send", &queue]).write_stdin("x".repeat(9000)).assert().code(7);
    refused.stderr(
        says("9000 bytes").and(says("8192")).and(says("EINVAL")).and(says("hint: kernel.msgmax = 8192 bounds")),
    );
    assert_eq!(count(&env, &queue), 0);
    env.ipcx(["msgq", "send", &queue]).write_stdin("x".repeat(8192)).assert().success();
    assert_eq!(count(&env, &queue), 1);
}

#[test]
fn a_message_over_the_size_of_a_posix_queue_is_refused_with_that_size() {
    let env = Env::new();
    env.out(["msgq", "create", "/q", "--message-size", "16"]);
    let refused = env.ipcx(["msgq", "send", "/q", &"x".repeat(17)]).assert().code(7);
    refused.stderr(says("17 bytes").and(says("at most 16")).and(says("--message-size")));
    assert_eq!(count(&env, "/q"), 0);
    send(&env, "/q", &[&"x".repeat(16)]);
}

#[test]
fn a_message_that_can_never_fit_is_refused_instead_of_waited_for() {
    let env = Env::new();
    let queue = env.out(["msgq", "create", "--max-bytes", "100"]);
    let refused = env.ipcx(["msgq", "send", &queue, &"x".repeat(101)]).assert().code(7);
    refused.stderr(says("101 bytes").and(says("at most 100")).and(says("--max-bytes")));
    assert_eq!(count(&env, &queue), 0);
    // And when the capacity was lowered behind the sender's back.
    let mut sending = env.start(["msgq", "send", &queue, "--lines"]);
    sending.write(b"12345\n");
    assert_eq!(env.out(["msgq", "recv", &queue]), "12345");
    env.ipcx(["msgq", "set", &queue, "--max-bytes", "4"]).assert().success();
    sending.write(b"1234\n");
    assert_eq!(env.out(["msgq", "recv", &queue]), "1234");
}

#[test]
fn a_queue_without_any_capacity_takes_not_even_an_empty_message_and_says_so() {
    let env = Env::new();
    let queue = env.out(["msgq", "create", "--max-bytes", "0"]);
    // The kernel also counts messages against the bytes (msg_fits_inqueue, ipc/msg.c).
    env.ipcx(["msgq", "send", &queue, "", "--timeout", "2s"]).assert().code(7).stderr(says("never fit"));
}

#[test]
fn a_sender_sees_a_capacity_that_was_lowered_since_it_began() {
    let env = Env::new();
    let queue = env.out(["msgq", "create", "--max-bytes", "100"]);
    let mut sending = env.start(["msgq", "send", &queue, "--lines", "--timeout", "10s"]);
    sending.write(b"12345\n");
    assert_eq!(env.out(["msgq", "recv", &queue]), "12345");
    env.ipcx(["msgq", "set", &queue, "--max-bytes", "4"]).assert().success();
    sending.write(b"12345\n");
    let ended = sending.end();
    assert_eq!(status(ended.status), 7, "{}", String::from_utf8_lossy(&ended.stderr));
}

#[test]
fn a_sender_sees_a_capacity_that_was_raised_since_it_began() {
    let env = Env::new();
    let queue = env.out(["msgq", "create", "--max-bytes", "4"]);
    let mut sending = env.start(["msgq", "send", &queue, "--lines"]);
    sending.write(b"1234\n");
    assert_eq!(env.out(["msgq", "recv", &queue]), "1234");
    env.ipcx(["msgq", "set", &queue, "--max-bytes", "100"]).assert().success();
    sending.write(b"12345\n");
    assert_eq!(env.out(["msgq", "recv", &queue]), "12345");
    assert_eq!(status(sending.status()), 0);
}

#[test]
fn a_full_queue_is_status_6_with_nowait() {
    let env = Env::new();
    for queue in both_full(&env) {
        env.ipcx(["msgq", "send", &queue, "more", "--nowait"])
            .assert()
            .code(6)
            .stderr(says("full").and(says("EAGAIN")));
        assert_eq!(drain(&env, &queue), ["full"]);
    }
}

#[test]
fn sending_that_stops_early_says_how_many_were_sent() {
    let env = Env::new();
    for queue in both(&env) {
        let long = "x".repeat(9000);
        let stopped = env.ipcx(["msgq", "send", &queue, "a", "b", &long, "c"]).assert().code(7);
        stopped.stderr(says("2 messages had been sent"));
        assert_eq!(drain(&env, &queue), ["a", "b"]);
        let input = format!("a\n{long}\nc\n");
        let stopped = env.ipcx(["msgq", "send", &queue, "--lines"]).write_stdin(input).assert().code(7);
        stopped.stderr(says("1 message had been sent"));
        assert_eq!(drain(&env, &queue), ["a"]);
    }
    for queue in both_full(&env) {
        let stopped = env.ipcx(["msgq", "send", &queue, "-0", "--nowait"]).write_stdin("a\0b\0").assert().code(6);
        stopped.stderr(says("0 messages had been sent"));
        assert_eq!(drain(&env, &queue), ["full"]);
    }
}

#[test]
fn a_waiting_sender_goes_on_as_soon_as_there_is_room() {
    let env = Env::new();
    for queue in both_full(&env) {
        let mut sending = env.start(["msgq", "send", &queue, "next"]);
        sending.wait_blocked(full_wait(&queue));
        assert_eq!(env.out(["msgq", "recv", &queue]), "full");
        assert_eq!(status(sending.status()), 0);
        assert_eq!(drain(&env, &queue), ["next"]);
    }
}

#[test]
fn a_queue_that_is_not_there_is_status_3() {
    let env = Env::new();
    for queue in ["7", "0x4d2", "/absent"] {
        env.ipcx(["msgq", "send", queue, "x"]).assert().code(3).stderr(says("no such object"));
    }
}

#[test]
fn an_input_that_cannot_be_read_is_a_failure_and_sends_nothing() {
    let env = Env::new();
    let queue = private(&env);
    for how in ["", "--lines", "-0"] {
        for input in ["<&-", "<."] {
            let failed = env.sh(&format!("ipcx msgq send {queue} {how} {input}")).assert().code(1);
            failed.stderr(says("standard input"));
        }
    }
    assert_eq!(count(&env, &queue), 0);
}

#[test]
fn a_hundred_thousand_messages_arrive_complete_and_in_order() {
    let env = Env::new();
    for queue in both(&env) {
        let script = format!(
            "seq 100000 >sent; ipcx msgq send {queue} --lines <sent & \
             ipcx msgq recv {queue} -n 100000 >received; wait $!; cmp sent received"
        );
        env.sh(&script).assert().success().stderr("");
        assert_eq!(count(&env, &queue), 0);
    }
}
