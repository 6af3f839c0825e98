use super::*;

#[test]
fn a_table_shows_every_message_with_position_type_and_size() {
    let env = Env::new();
    let queue = private(&env);
    send(&env, &queue, &["first"]);
    env.ipcx(["msgq", "send", &queue, "-t", "70", "second one"]).assert().success();
    let out = env.out(["msgq", "peek", &queue]);
    let rows: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["POSITION", "TYPE", "SIZE", "TEXT"]);
    assert_eq!(rows[1], ["0", "1", "5", "first"]);
    assert_eq!(rows[2], ["1", "70", "10", "second", "one"]);
    assert_eq!(rows.len(), 3);
}

#[test]
fn escape_sequences_and_newlines_of_messages_do_not_reach_the_table() {
    let env = Env::new();
    let queue = private(&env);
    send(&env, &queue, &["\x1b[2Jgone", "two\nlines", "ri\u{202e}ght"]);
    env.ipcx(["msgq", "send", &queue]).write_stdin(&b"\xff\x00"[..]).assert().success();
    let out = env.out(["msgq", "peek", &queue]);
    assert_eq!(out.lines().count(), 5);
    for shown in ["\\x1b[2Jgone", "two\\x0alines", "ri\\xe2\\x80\\xaeght", "\\xff\\x00"] {
        assert!(out.contains(shown), "{shown} in {out}");
    }
    assert!(!out.contains(['\x1b', '\u{202e}']));
}

#[test]
fn a_long_message_is_not_cut_in_a_pipe() {
    let env = Env::new();
    let queue = private(&env);
    let long = "word ".repeat(1600);
    send(&env, &queue, &[&long]);
    env.ipcx(["msgq", "peek", &queue]).assert().success().stdout(says(long.trim_end()));
}

#[test]
fn nothing_is_taken_and_no_time_or_pid_changes() {
    let env = Env::new();
    let queue = private(&env);
    send(&env, &queue, &["a", "b", "c"]);
    env.ipcx(["msgq", "recv", &queue]).assert().success();
    let before = shown(&env, &queue);
    for how in [&[][..], &["--raw"], &["-0"], &["--hex"], &["--json"], &["-n", "1"]] {
        env.ipcx(["msgq", "peek", &queue].iter().chain(how)).assert().success().stderr("");
    }
    let after = shown(&env, &queue);
    for fact in ["messages", "bytes", "lspid", "lrpid", "stime", "rtime", "ctime"] {
        assert_eq!(before[fact], after[fact], "{fact}");
    }
    assert_eq!(drain(&env, &queue), ["b", "c"]);
}

#[test]
fn the_formats_are_those_of_recv_and_json_has_the_position_too() {
    let env = Env::new();
    let queue = private(&env);
    send(&env, &queue, &["a\nb", "c"]);
    env.ipcx(["msgq", "send", &queue, "-t", "5"]).write_stdin(&b"\xff"[..]).assert().success();
    env.ipcx(["msgq", "peek", &queue, "--raw"]).assert().success().stdout(&b"a\nbc\xff"[..]);
    env.ipcx(["msgq", "peek", &queue, "-0"]).assert().success().stdout(&b"a\nb\0c\0\xff\0"[..]);
    env.ipcx(["msgq", "peek", &queue, "--hex"]).assert().success().stdout("610a62\n63\nff\n");
    let out = env.out(["msgq", "peek", &queue, "--json"]);
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], serde_json::json!({"position": 0, "type": 1, "size": 3, "text": "a\nb"}));
    assert_eq!(lines[2], serde_json::json!({"position": 2, "type": 5, "size": 1, "base64": "/w=="}));
    assert_eq!(lines.len(), 3);
}

#[test]
fn a_count_ends_it_early_and_may_be_more_than_there_are() {
    let env = Env::new();
    let queue = private(&env);
    send(&env, &queue, &["a", "b", "c"]);
    env.ipcx(["msgq", "peek", &queue, "-n", "2", "-0"]).assert().success().stdout("a\0b\0");
    env.ipcx(["msgq", "peek", &queue, "-n", "18446744073709551615", "-0"]).assert().success().stdout("a\0b\0c\0");
    env.ipcx(["msgq", "peek", &queue, "-n", "0"]).assert().code(2);
}

#[test]
fn an_empty_queue_has_nothing_to_show_and_does_not_block() {
    let env = Env::new();
    let queue = private(&env);
    for how in ["--raw", "-0", "--hex", "--json"] {
        env.ipcx(["msgq", "peek", &queue, how]).assert().success().stdout("").stderr("");
    }
    assert!(env.out(["msgq", "peek", &queue]).lines().count() <= 1);
}

#[test]
fn a_posix_queue_cannot_be_peeked_and_that_is_explained() {
    let env = Env::new();
    env.out(["msgq", "create", "/q"]);
    send(&env, "/q", &["kept"]);
    for how in [&[][..], &["--json"], &["-n", "1"]] {
        let refused = env.ipcx(["msgq", "peek", "/q"].iter().chain(how)).assert().code(1).stdout("");
        refused.stderr(says("POSIX").and(says("without taking it")).and(says("hint:")));
    }
    assert_eq!(drain(&env, "/q"), ["kept"]);
}

#[test]
fn a_message_as_long_as_msgmax_allows_is_shown_whole() {
    let env = Env::new();
    if !sysctl("kernel/msgmax", "100000") || !sysctl("kernel/msgmnb", "200000") {
        crate::skip!("kernel.msgmax cannot be set here");
    }
    let queue = private(&env);
    let long = "abcdefghij".repeat(9000);
    env.ipcx(["msgq", "send", &queue]).write_stdin(long.clone()).assert().success();
    env.ipcx(["msgq", "peek", &queue, "--raw"]).assert().success().stdout(long);
    // A message over a msgmax that was lowered since cannot be copied, only taken.
    assert!(sysctl("kernel/msgmax", "50000"));
    let refused = env.ipcx(["msgq", "peek", &queue, "--raw"]).assert().code(7).stdout("");
    refused.stderr(says("kernel.msgmax").and(says("50000")).and(says("hint:")));
    assert_eq!(env.out(["msgq", "recv", &queue, "--raw"]).len(), 90_000);
}

#[test]
fn messages_before_one_that_cannot_be_copied_are_shown() {
    let env = Env::new();
    if !sysctl("kernel/msgmax", "10000") {
        crate::skip!("kernel.msgmax cannot be set here");
    }
    let queue = private(&env);
    send(&env, &queue, &["short"]);
    env.ipcx(["msgq", "send", &queue]).write_stdin("x".repeat(9000)).assert().success();
    assert!(sysctl("kernel/msgmax", "1000"));
    for how in [&[][..], &["-0"], &["--json"]] {
        let refused = env.ipcx(["msgq", "peek", &queue].iter().chain(how)).assert().code(7);
        refused.stdout(says("short")).stderr(says("message 1 "));
    }
}

#[test]
fn a_queue_that_is_not_there_is_status_3() {
    let env = Env::new();
    for queue in ["7", "0x4d2", "/absent"] {
        env.ipcx(["msgq", "peek", queue]).assert().code(3).stdout("").stderr(says("no such object"));
    }
}
