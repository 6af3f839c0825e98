use super::*;
use data_encoding::BASE64;

/// A queue with messages of the types 5, 3, 9 and 3.
fn typed(env: &Env) -> String {
    let queue = private(env);
    for (kind, text) in [("5", "five"), ("3", "three"), ("9", "nine"), ("3", "again")] {
        env.ipcx(["msgq", "send", &queue, "-t", kind, text]).assert().success();
    }
    queue
}

#[track_caller]
fn json(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap()
}

#[test]
fn one_message_is_taken_and_the_oldest_first() {
    let env = Env::new();
    for queue in both(&env) {
        send(&env, &queue, &["a", "b", "c"]);
        env.ipcx(["msgq", "recv", &queue]).assert().success().stdout("a\n").stderr("");
        assert_eq!(count(&env, &queue), 2);
        env.ipcx(["msgq", "recv", &queue, "-n", "2"]).assert().success().stdout("b\nc\n");
    }
}

#[test]
fn an_exact_type_is_taken_from_among_the_others() {
    let env = Env::new();
    let queue = typed(&env);
    assert_eq!(env.out(["msgq", "recv", &queue, "-t", "3"]), "three");
    assert_eq!(env.out(["msgq", "recv", &queue, "--type", "9"]), "nine");
    env.ipcx(["msgq", "recv", &queue, "--type", "4", "--nowait"]).assert().code(6).stdout("");
    assert_eq!(drain(&env, &queue), ["five", "again"]);
}

#[test]
fn type_up_to_takes_the_lowest_type_first() {
    let env = Env::new();
    let queue = typed(&env);
    env.ipcx(["msgq", "recv", &queue, "--type-up-to", "2", "--nowait"]).assert().code(6);
    assert_eq!(env.out(["msgq", "recv", &queue, "--type-up-to", "5", "--all"]), "three\nagain\nfive");
    assert_eq!(env.out(["msgq", "recv", &queue, "--type-up-to", "9223372036854775807"]), "nine");
}

#[test]
fn except_takes_the_first_of_any_other_type() {
    let env = Env::new();
    let queue = typed(&env);
    assert_eq!(env.out(["msgq", "recv", &queue, "--except", "5"]), "three");
    assert_eq!(env.out(["msgq", "recv", &queue, "--except", "3", "--all"]), "five\nnine");
    assert_eq!(drain(&env, &queue), ["again"]);
}

#[test]
fn choosing_in_two_ways_or_by_a_wrong_type_is_wrong_usage() {
    let env = Env::new();
    let queue = typed(&env);
    for line in [
        &["-t", "3", "--except", "3"][..],
        &["--type-up-to", "3", "--except", "3"],
        &["-t", "0"],
        &["--type=-3"],
        &["--type-up-to", "0"],
        &["--except", "9223372036854775808"],
        &["-n", "0"],
        &["-n", "2", "--all"],
        &["--follow", "--all"],
        &["--follow", "--nowait"],
        &["--raw", "--json"],
        &["--hex", "-0"],
        &["--truncate"],
        &["--timeout", "-1s"],
        &["--timeout", "soon"],
    ] {
        env.ipcx(["msgq", "recv", &queue].iter().chain(line)).assert().code(2).stdout("");
    }
    assert_eq!(count(&env, &queue), 4);
}

#[test]
fn a_posix_queue_gives_the_highest_priority_first_and_the_oldest_of_each() {
    let env = Env::new();
    env.out(["msgq", "create", "/q"]);
    for (priority, text) in [("1", "low"), ("9", "high"), ("32767", "highest"), ("9", "high too"), ("0", "lowest")] {
        env.ipcx(["msgq", "send", "/q", "-p", priority, text]).assert().success();
    }
    assert_eq!(drain(&env, "/q"), ["highest", "high", "high too", "low", "lowest"]);
}

#[test]
fn a_posix_message_cannot_be_picked_by_type() {
    let env = Env::new();
    env.out(["msgq", "create", "/q"]);
    send(&env, "/q", &["kept"]);
    for pick in ["--type", "--type-up-to", "--except"] {
        env.ipcx(["msgq", "recv", "/q", pick, "1"]).assert().code(2).stdout("").stderr(says("priority"));
    }
    assert_eq!(drain(&env, "/q"), ["kept"]);
}

#[test]
fn all_of_an_empty_queue_is_nothing_and_no_failure() {
    let env = Env::new();
    for queue in both(&env) {
        env.ipcx(["msgq", "recv", &queue, "--all"]).assert().success().stdout("").stderr("");
    }
}

#[test]
fn an_empty_queue_is_status_6_with_nowait() {
    let env = Env::new();
    for queue in both(&env) {
        env.ipcx(["msgq", "recv", &queue, "--nowait"]).assert().code(6).stdout("").stderr(says("empty"));
        // What came before is not kept back.
        send(&env, &queue, &["only"]);
        env.ipcx(["msgq", "recv", &queue, "-n", "2", "--nowait"]).assert().code(6).stdout("only\n");
    }
}

#[test]
fn follow_writes_each_message_as_it_comes() {
    let env = Env::new();
    for queue in both(&env) {
        let mut following = interruptible(&env, &format!("msgq recv {queue} --follow"));
        for round in 0..5 {
            following.wait_blocked(empty_wait(&queue));
            send(&env, &queue, &[&format!("message {round}")]);
            assert_eq!(following.line(), format!("message {round}"));
        }
        following.signal(SIGTERM);
        assert_eq!(status(following.status()), 143);
    }
}

#[test]
fn raw_is_the_bytes_alone_and_null_puts_a_nul_behind_them() {
    let env = Env::new();
    let message = b"a\n\x00\xff\x1b[2J";
    for queue in both(&env) {
        for (format, tail) in [("--raw", &b""[..]), ("-0", b"\0"), ("--null", b"\0")] {
            env.ipcx(["msgq", "send", &queue]).write_stdin(&message[..]).assert().success();
            let expected = [&message[..], tail].concat();
            env.ipcx(["msgq", "recv", &queue, format]).assert().success().stdout(expected);
        }
        // The plain form is the payload too, with a newline.
        env.ipcx(["msgq", "send", &queue]).write_stdin(&message[..]).assert().success();
        env.ipcx(["msgq", "recv", &queue]).assert().success().stdout([&message[..], b"\n"].concat());
    }
}

#[test]
fn hex_is_two_digits_a_byte_and_a_line_a_message() {
    let env = Env::new();
    for queue in both(&env) {
        env.ipcx(["msgq", "send", &queue, "-0"]).write_stdin(&b"\x01\xffA\0\0"[..]).assert().success();
        env.ipcx(["msgq", "recv", &queue, "--all", "--hex"]).assert().success().stdout("01ff41\n\n");
    }
}

#[test]
fn json_is_an_object_a_line_with_what_the_family_has() {
    let env = Env::new();
    let queue = private(&env);
    env.ipcx(["msgq", "send", &queue, "-t", "7", "line\n\x1b\"ö"]).assert().success();
    send(&env, &queue, &[""]);
    let out = env.out(["msgq", "recv", &queue, "--all", "--json"]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(json(lines[0]), serde_json::json!({"type": 7, "size": 9, "text": "line\n\x1b\"ö"}));
    assert_eq!(json(lines[1]), serde_json::json!({"type": 1, "size": 0, "text": ""}));
    assert_eq!(lines.len(), 2);
    env.out(["msgq", "create", "/q"]);
    env.ipcx(["msgq", "send", "/q", "-p", "3", "x"]).assert().success();
    let record = json(&env.out(["msgq", "recv", "/q", "--json"]));
    assert_eq!(record, serde_json::json!({"priority": 3, "size": 1, "text": "x"}));
}

#[test]
fn json_of_a_message_that_is_not_utf8_is_base64() {
    let env = Env::new();
    for queue in both(&env) {
        let message = b"\xff\xfe\x00ab";
        env.ipcx(["msgq", "send", &queue]).write_stdin(&message[..]).assert().success();
        let record = json(&env.out(["msgq", "recv", &queue, "--json"]));
        assert_eq!(record["base64"], BASE64.encode(message));
        assert_eq!(record["size"], 5);
        assert!(record.get("text").is_none(), "{record}");
    }
}

#[test]
fn a_message_over_max_size_stays_in_the_queue() {
    let env = Env::new();
    let queue = private(&env);
    send(&env, &queue, &["0123456789", "next"]);
    let refused = env.ipcx(["msgq", "recv", &queue, "--max-size", "9"]).assert().code(7).stdout("");
    refused.stderr(says("left in the queue").and(says("--truncate")));
    assert_eq!(count(&env, &queue), 2);
    assert_eq!(env.out(["msgq", "recv", &queue, "--max-size", "10"]), "0123456789");
}

#[test]
fn truncate_cuts_a_message_and_takes_it() {
    let env = Env::new();
    for queue in both(&env) {
        for size in ["4", "0"] {
            send(&env, &queue, &["0123456789"]);
            let cut = &"0123"[..size.parse().unwrap()];
            assert_eq!(env.out(["msgq", "recv", &queue, "--max-size", size, "--truncate"]), cut);
            assert_eq!(count(&env, &queue), 0);
        }
    }
}

#[test]
fn a_posix_queue_that_may_hold_a_longer_message_is_not_read_with_max_size() {
    let env = Env::new();
    env.out(["msgq", "create", "/q", "--message-size", "16"]);
    send(&env, "/q", &["0123456789"]);
    let refused = env.ipcx(["msgq", "recv", "/q", "--max-size", "9"]).assert().code(7).stdout("");
    refused.stderr(says("16 bytes").and(says("--truncate")));
    assert_eq!(count(&env, "/q"), 1);
    assert_eq!(env.out(["msgq", "recv", "/q", "--max-size", "16"]), "0123456789");
}

#[test]
fn a_max_size_beyond_any_message_is_as_good_as_none() {
    let env = Env::new();
    for queue in both(&env) {
        for size in ["8E", "18446744073709551615", "4G", "1G"] {
            send(&env, &queue, &["small"]);
            let took = env.ipcx(["msgq", "recv", &queue, "--max-size", size]).assert();
            took.success().stdout("small\n").stderr("");
        }
    }
}

#[test]
fn a_receiver_gets_a_message_that_comes_while_it_waits() {
    let env = Env::new();
    for queue in both(&env) {
        let mut receiving = env.start(["msgq", "recv", &queue]);
        receiving.wait_blocked(empty_wait(&queue));
        send(&env, &queue, &["at last", "later"]);
        let ended = receiving.end();
        assert_eq!((status(ended.status), &ended.stdout[..]), (0, &b"at last\n"[..]));
        assert_eq!(drain(&env, &queue), ["later"]);
    }
}

#[test]
fn a_receiver_of_one_type_sleeps_through_the_others() {
    let env = Env::new();
    let queue = private(&env);
    let mut receiving = env.start(["msgq", "recv", &queue, "-t", "2"]);
    receiving.wait_blocked("do_msgrcv");
    send(&env, &queue, &["not this"]);
    receiving.wait_blocked("do_msgrcv");
    env.ipcx(["msgq", "send", &queue, "-t", "2", "this"]).assert().success();
    assert_eq!(receiving.end().stdout, b"this\n");
    assert_eq!(drain(&env, &queue), ["not this"]);
}

#[test]
fn a_message_longer_than_the_first_buffer_is_received_whole() {
    let env = Env::new();
    if !sysctl("kernel/msgmax", "100000") || !sysctl("kernel/msgmnb", "200000") {
        crate::skip!("kernel.msgmax cannot be set here");
    }
    let queue = private(&env);
    let long = "abcdefghij".repeat(9000);
    let mut receiving = env.start(["msgq", "recv", &queue]);
    receiving.wait_blocked("do_msgrcv");
    env.ipcx(["msgq", "send", &queue]).write_stdin(long.clone()).assert().success();
    let ended = receiving.end();
    assert_eq!(status(ended.status), 0);
    assert!(ended.stdout == format!("{long}\n").as_bytes());
}

#[test]
fn a_queue_that_is_not_there_is_status_3() {
    let env = Env::new();
    for queue in ["7", "0x4d2", "/absent"] {
        env.ipcx(["msgq", "recv", queue]).assert().code(3).stdout("").stderr(says("no such object"));
    }
}

#[test]
fn all_of_a_type_leaves_the_others() {
    let env = Env::new();
    let queue = typed(&env);
    assert_eq!(env.out(["msgq", "recv", &queue, "-t", "3", "--all"]), "three\nagain");
    assert_eq!(drain(&env, &queue), ["five", "nine"]);
}

#[test]
fn two_receivers_share_a_queue_and_no_message_goes_to_both() {
    let env = Env::new();
    for queue in both(&env) {
        let script = format!(
            "ipcx msgq recv {queue} -n 2000 >one & a=$!; ipcx msgq recv {queue} -n 2000 >two & b=$!; \
             seq 4000 | ipcx msgq send {queue} --lines; wait $a; wait $b; seq 4000 >sent; sort -n one two | cmp - sent"
        );
        env.sh(&script).assert().success().stderr("");
        assert_eq!(count(&env, &queue), 0);
    }
}
