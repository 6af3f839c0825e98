use crate::kit::look::assert_harmless;
use crate::kit::{Env, Running};
use crate::skip;
use serde_json::{Value, json};
use std::fs;

/// A watch that is ready, with one JSON object a line.
fn watch(env: &Env, args: &[&str]) -> Running {
    let mut watch = env.start(["watch", "--jsonl"].iter().chain(args));
    // An ordinary user is told first what he cannot see.
    loop {
        let said = watch.said();
        assert!(!said.is_empty(), "it ended before it watched");
        if said.starts_with("ipcx: watching ") {
            return watch;
        }
    }
}

fn next(watch: &mut Running) -> Value {
    let line = watch.line();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

/// The next event must be this one, of this object, with this field before and after.
#[track_caller]
fn expect(watch: &mut Running, event: &str, reference: &str, step: Value) -> Value {
    let next = next(watch);
    assert_eq!((&next["event"], &next["ref"]), (&json!(event), &json!(reference)), "{next:#}");
    assert_eq!(json!([next["field"], next["before"], next["after"]]), step, "{next:#}");
    next
}

/// No other than the events that were read may have been told.
fn end(mut watch: Running) {
    watch.signal(libc::SIGTERM);
    let output = watch.end();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert_eq!(output.status.code(), Some(128 + libc::SIGTERM));
}

#[test]
fn a_segment_is_followed_from_its_making_to_its_end() {
    let env = Env::new();
    let mut watch = watch(&env, &["shm", "--interval", "10ms"]);
    let id = env.out(["shm", "create", "--size", "5000"]);
    let reference = format!("shm/{id}");
    let made = expect(&mut watch, "created", &reference, json!(["size", null, 5000]));
    assert!(made["pid"].is_u64() && made["kind"] == "shm" && made["user"].is_string(), "{made:#}");
    let mut holder = env.start(["shm", "attach", &id]);
    holder.wait_blocked("");
    let attached = expect(&mut watch, "attached", &reference, json!(["nattch", 0, 1]));
    assert_eq!((&attached["pid"], &attached["command"]), (&json!(holder.pid), &json!("ipcx")));
    holder.end();
    expect(&mut watch, "detached", &reference, json!(["nattch", 1, 0]));
    env.out(["shm", "rm", &id]);
    expect(&mut watch, "removed", &reference, json!(["size", 5000, null]));
    end(watch);
}

#[test]
fn queues_fill_grow_and_empty() {
    let env = Env::new();
    let mut watch = watch(&env, &["msgq", "--interval", "10ms"]);
    for (name, reference) in [("/q", "msgq//q"), ("key/77", "msgq/0")] {
        env.out(["msgq", "create", name]);
        expect(&mut watch, "created", reference, json!([null, null, null]));
        env.out(["msgq", "send", name, "hello"]);
        expect(&mut watch, "filled", reference, json!(["messages", 0, 1]));
        env.out(["msgq", "send", name, "you"]);
        expect(&mut watch, "grew", reference, json!(["messages", 1, 2]));
        env.out(["msgq", "recv", name]);
        expect(&mut watch, "shrank", reference, json!(["messages", 2, 1]));
        env.out(["msgq", "recv", name]);
        expect(&mut watch, "emptied", reference, json!(["messages", 1, 0]));
        env.out(["msgq", "rm", name]);
        expect(&mut watch, "removed", reference, json!([null, null, null]));
    }
    end(watch);
}

#[test]
fn posix_objects_are_told_at_once_even_if_they_last_for_a_moment() {
    let env = Env::new();
    let mut watch = watch(&env, &["shm", "sem", "--interval", "1h"]);
    env.out(["shm", "create", "/frames", "--size", "4096"]);
    let made = next(&mut watch);
    assert_eq!((&made["event"], &made["ref"]), (&json!("created"), &json!("shm//frames")));
    for round in 0..20 {
        let name = format!("/dev/shm/brief{round}");
        fs::write(&name, "x").unwrap();
        fs::remove_file(&name).unwrap();
        for event in ["created", "removed"] {
            let seen = next(&mut watch);
            assert_eq!(seen["ref"], format!("shm//brief{round}"), "{seen:#}");
            assert_eq!(seen["event"], event, "{seen:#}");
        }
    }
    // The C library makes it under another name first, which is nobody's business.
    env.out(["sem", "create", "/lock", "--value", "1"]);
    let made = next(&mut watch);
    assert_eq!((&made["event"], &made["ref"]), (&json!("created"), &json!("sem//lock")));
    env.out(["sem", "rm", "/lock"]);
    let gone = next(&mut watch);
    assert_eq!((&gone["event"], &gone["ref"]), (&json!("removed"), &json!("sem//lock")));
    end(watch);
}

#[test]
fn what_is_no_object_in_dev_shm_is_passed_over() {
    let env = Env::new();
    let mut watch = watch(&env, &["shm", "--interval", "1h"]);
    fs::create_dir("/dev/shm/directory").unwrap();
    std::os::unix::fs::symlink("/", "/dev/shm/link").unwrap();
    env.out(["sem", "create", "/lock"]);
    fs::write("/dev/shm/real", "x").unwrap();
    let made = next(&mut watch);
    assert_eq!(made["ref"], "shm//real", "{made:#}");
    end(watch);
}

#[test]
fn a_file_that_takes_the_name_of_another_replaces_it() {
    let env = Env::new();
    env.out(["shm", "create", "/old", "--size", "1000"]);
    env.out(["shm", "create", "/new", "--size", "2000"]);
    let mut watch = watch(&env, &["shm", "--interval", "1h"]);
    fs::rename("/dev/shm/new", "/dev/shm/old").unwrap();
    expect(&mut watch, "removed", "shm//new", json!(["size", 2000, null]));
    expect(&mut watch, "replaced", "shm//old", json!(["size", 1000, 2000]));
    end(watch);
}

#[test]
fn what_grows_is_said_with_its_sizes() {
    let env = Env::new();
    env.out(["shm", "create", "/frames", "--size", "1000"]);
    let mut watch = watch(&env, &["shm", "--interval", "10ms"]);
    env.out(["shm", "resize", "/frames", "9000"]);
    expect(&mut watch, "grew", "shm//frames", json!(["size", 1000, 9000]));
    env.out(["shm", "resize", "/frames", "10"]);
    expect(&mut watch, "shrank", "shm//frames", json!(["size", 9000, 10]));
    end(watch);
}

#[test]
fn fifos_are_seen_while_processes_have_them_open() {
    let env = Env::new();
    env.out(["mkfifo", "./f"]);
    let reference = format!("fifo/{}", env.path("f").display());
    let mut watch = watch(&env, &["fifo", "--interval", "20ms"]);
    // Other tests have FIFOs, too.
    let mut until = |event: &str| {
        loop {
            let seen = next(&mut watch);
            if seen["ref"] == reference && seen["event"] == event {
                return seen;
            }
        }
    };
    // One process with both ends.
    let mut holder = Running::start({
        let mut command = std::process::Command::new("sh");
        command.current_dir(env.path("")).args(["-c", "exec 3<>f; echo hello >&3; read go; read line <&3; read go"]);
        command
    });
    until("created");
    holder.write(b"\n");
    until("emptied");
    holder.end();
    until("removed");
}

#[test]
fn a_limit_is_told_when_it_is_crossed_either_way() {
    let env = Env::new();
    fs::write("/proc/sys/kernel/msgmni", "4").unwrap();
    let mut watch = watch(&env, &["msgq", "--interval", "10ms", "--over", "70"]);
    let ids: Vec<String> = (0..3).map(|_| env.out(["msgq", "create"])).collect();
    let mut seen: Vec<Value> = (0..4).map(|_| next(&mut watch)).collect();
    seen.retain(|event| event["event"] != "created");
    let [over] = &seen[..] else { panic!("{seen:#?}") };
    assert_eq!((&over["event"], &over["limit"], &over["value"]), (&json!("over"), &json!("MSGMNI"), &json!(4)));
    assert_eq!(json!([over["ref"], over["kind"], over["field"], over["after"]]), json!([null, "msgq", "used", 3]));
    env.out(["msgq", "rm", &ids[0]]);
    // Limits are looked at a moment after the objects: either may come first.
    let mut two = [next(&mut watch), next(&mut watch)];
    two.sort_by_key(|event| event["event"].to_string());
    let [removed, under] = two;
    assert_eq!((&removed["event"], &removed["ref"]), (&json!("removed"), &json!(format!("msgq/{}", ids[0]))));
    assert_eq!((&under["event"], &under["limit"]), (&json!("under"), &json!("MSGMNI")));
    assert_eq!((&under["before"], &under["after"]), (&json!(3), &json!(2)));
    end(watch);
    // What is over it from the beginning is told at once.
    env.out(["msgq", "create"]);
    let text = env.out(["watch", "msgq", "--over", "70", "-n", "1"]);
    assert!(text.contains(" over ") && text.contains("MSGMNI") && text.ends_with("used 3 of 4"), "{text}");
}

#[test]
fn it_ends_after_the_events_at_the_timeout_or_by_a_signal() {
    let env = Env::new();
    let mut one = watch(&env, &["sem", "--interval", "10ms", "-n", "2"]);
    env.out(["sem", "create", "-n", "3"]);
    expect(&mut one, "created", "sem/0", json!(["nsems", null, 3]));
    env.out(["sem", "rm", "0"]);
    expect(&mut one, "removed", "sem/0", json!(["nsems", 3, null]));
    assert_eq!(one.status().code(), Some(0));
    env.ipcx(["watch", "--timeout", "20ms"]).assert().code(124).stdout("");
    let mut signalled = watch(&env, &[]);
    signalled.signal(libc::SIGINT);
    assert_eq!(signalled.status().code(), Some(128 + libc::SIGINT));
    for bad in [&["--interval", "9ms"][..], &["--interval", "0"], &["-n", "0"], &["--over", "101"], &["signal"]] {
        env.fails(2, ["watch"].iter().chain(bad));
    }
}

#[test]
fn the_last_interval_before_the_timeout_is_told_too() {
    let env = Env::new();
    let mut watch = watch(&env, &["msgq", "--interval", "1h", "--timeout", "1500ms"]);
    env.out(["msgq", "create"]);
    expect(&mut watch, "created", "msgq/0", json!([null, null, null]));
    assert_eq!(watch.status().code(), Some(124));
}

#[test]
fn a_line_for_people_has_the_time_and_is_harmless() {
    let env = Env::new();
    let mut watch = env.start(["watch", "--interval", "10ms"]);
    assert_eq!(watch.said(), "ipcx: watching shm, msgq and sem every 10ms");
    fs::write("/dev/shm/a\x1b[31m\u{202e}b\nc", "hello").unwrap();
    let line = watch.line();
    assert_harmless("an event", line.as_bytes());
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[1], "created", "{line}");
    assert!(words[2].starts_with(r"shm//a\x1b[31m") && line.ends_with(" size 5"), "{line}");
    let time: Vec<&str> = words[0].split([':', '.']).collect();
    assert_eq!(time.iter().map(|part| part.len()).collect::<Vec<_>>(), [2, 2, 2, 3], "{line}");
    let quiet = env.ipcx(["watch", "--quiet", "--timeout", "10ms"]).assert().code(124).get_output().clone();
    assert!(quiet.stderr.is_empty());
}

#[test]
fn only_what_belongs_to_the_user_is_told() {
    let env = Env::new();
    if !env.has_users() {
        skip!("another user is needed");
    }
    let mut watch = watch(&env, &["msgq", "shm", "--owner", "nobody", "--interval", "10ms"]);
    env.out(["msgq", "create"]);
    env.out(["shm", "create", "/mine", "--size", "1"]);
    env.ipcx_as_nobody(["msgq", "create"]).assert().success();
    let made = next(&mut watch);
    assert_eq!((&made["event"], &made["user"]), (&json!("created"), &json!("nobody")), "{made:#}");
    assert_eq!(made["ref"], "msgq/1");
    end(watch);
}
