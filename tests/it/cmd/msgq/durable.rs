use super::*;
use crate::kit::Refusal;
use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

const SLOT: &str = "/dev/shm/slot";
/// Where the length of the message is in the file.
const LENGTH_AT: u64 = 40;

fn durable<'a>(queue: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["msgq", "recv", queue, "--durable", SLOT], more].concat()
}

/// A message that was received and could not be written.
fn undelivered(env: &Env, queue: &str, text: &str) {
    send(env, queue, &[text]);
    let said = env.sh(&format!("ipcx {} >/dev/full", durable(queue, &[]).join(" "))).assert().code(1);
    let said = String::from_utf8_lossy(&said.get_output().stderr).into_owned();
    assert!(said.contains("the message stays in the slot"), "{said}");
    assert_eq!(count(env, queue), 0);
}

fn json(env: &Env, args: &[&str]) -> serde_json::Value {
    serde_json::from_str(&env.out(args)).unwrap()
}

#[test]
fn messages_go_through_the_slot_whole_with_their_type_and_an_identifier_each() {
    let env = Env::new();
    for queue in both(&env) {
        send(&env, &queue, &["a", "", "ccc"]);
        env.ipcx(durable(&queue, &["-n", "2"])).assert().success().stdout("a\n\n").stderr("");
        let first = json(&env, &durable(&queue, &["--json"]));
        assert_eq!((&first["text"], &first["again"]), (&"ccc".into(), &false.into()));
        send(&env, &queue, &["d"]);
        let second = json(&env, &durable(&queue, &["--json"]));
        assert_ne!(first["id"], second["id"]);
        let uuid = |message: &serde_json::Value| message["id"].as_str().unwrap().split_once(':').unwrap().0.to_owned();
        assert_eq!(uuid(&first), uuid(&second));
        let slot = fs::metadata(SLOT).unwrap();
        assert_eq!((slot.mode() & 0o777, slot.nlink()), (0o600, 1));
        fs::remove_file(SLOT).unwrap();
        send(&env, &queue, &["e"]);
        assert_ne!(uuid(&json(&env, &durable(&queue, &["--json"]))), uuid(&first));
        fs::remove_file(SLOT).unwrap();
    }
}

#[test]
fn a_message_that_could_not_be_written_is_delivered_first_by_the_next_start() {
    let env = Env::new();
    for queue in both(&env) {
        undelivered(&env, &queue, "first");
        send(&env, &queue, &["second"]);
        let said = env.ipcx(durable(&queue, &["--all"])).assert().success().stdout("first\nsecond\n");
        assert!(String::from_utf8_lossy(&said.get_output().stderr).contains("was in the slot"));
        env.ipcx(durable(&queue, &["--nowait"])).assert().code(6).stdout("");
        undelivered(&env, &queue, "third");
        send(&env, &queue, &["fourth"]);
        // It counts as one of those that were asked for, and has its identifier.
        let third = json(&env, &durable(&queue, &["--json"]));
        assert_eq!((&third["text"], &third["again"]), (&"third".into(), &true.into()));
        assert_eq!(count(&env, &queue), 1);
        fs::remove_file(SLOT).unwrap();
    }
}

#[test]
fn a_receiver_that_is_killed_while_it_writes_leaves_the_message_in_the_slot() {
    let env = Env::new();
    for queue in both(&env) {
        env.out(["mkfifo", "./out"]);
        // Nobody reads: it blocks while it writes more than the pipe takes.
        let script = format!("exec ipcx {} >out", durable(&queue, &["-n", "100"]).join(" "));
        let holder = fs::OpenOptions::new().read(true).write(true).open(env.path("out")).unwrap();
        let mut receiver = env.start_sh(&script);
        let text = "x".repeat(1500);
        let messages: Vec<String> = (0..100).map(|at| format!("{at}{text}")).collect();
        let mut sender = env.start(["msgq", "send", &queue, "--lines"]);
        sender.write((messages.join("\n") + "\n").as_bytes());
        sender.close_stdin();
        receiver.wait_blocked("pipe_write");
        receiver.signal(libc::SIGKILL);
        receiver.wait_end();
        let next = json(&env, &durable(&queue, &["--json"]));
        let taken: usize = next["text"].as_str().unwrap().trim_end_matches('x').parse().unwrap();
        assert!(next["again"] == true && taken > 20, "{taken}");
        // And those behind it are all there.
        let rest = env.out(durable(&queue, &["-n", &(99 - taken).to_string()]));
        let rest: Vec<&str> = rest.lines().collect();
        assert_eq!(rest, messages[taken + 1..].iter().map(String::as_str).collect::<Vec<_>>());
        assert!(sender.status().success());
        drop(holder);
        fs::remove_file(env.path("out")).unwrap();
        fs::remove_file(SLOT).unwrap();
    }
}

#[test]
fn the_end_of_a_message_is_found_when_a_kill_came_before_its_length_was_noted() {
    let env = Env::new();
    for queue in both(&env) {
        undelivered(&env, &queue, "grüße, \u{10ffff}");
        let slot = fs::OpenOptions::new().write(true).open(SLOT).unwrap();
        slot.write_all_at(&u64::MAX.to_ne_bytes(), LENGTH_AT).unwrap();
        let said = env.ipcx(durable(&queue, &[])).assert().success().stdout("grüße, \u{10ffff}\n");
        assert!(String::from_utf8_lossy(&said.get_output().stderr).contains("its length was not noted"));
        env.ipcx(durable(&queue, &["--nowait"])).assert().code(6);
        fs::remove_file(SLOT).unwrap();
    }
}

#[test]
fn a_message_of_another_queue_is_not_mixed_up_and_not_lost() {
    let env = Env::new();
    let (old, new) = (private(&env), private(&env));
    undelivered(&env, &old, "old");
    send(&env, &new, &["new"]);
    let said = env.fails(1, durable(&new, &[]));
    assert!(said.contains(&format!("a message of msgq/{old} is in it")) && said.contains("recv msgq/"), "{said}");
    assert_eq!(count(&env, &new), 1);
    env.out(["msgq", "rm", &old]);
    assert_eq!(env.out(durable(&old, &[])), "old");
    env.fails(3, durable(&old, &[]));
    assert_eq!(env.out(durable(&new, &[])), "new");
}

#[test]
fn a_queue_of_the_same_key_is_the_same_queue() {
    let env = Env::new();
    env.out(["msgq", "create", "key/7"]);
    let id = env.json(["show", "msgq/key/7", "--json"])["objects"][0]["id"].to_string();
    undelivered(&env, "key/7", "x");
    // By its identifier too.
    assert_eq!(env.out(durable(&id, &[])), "x");
    undelivered(&env, &id, "y");
    env.out(["msgq", "rm", "key/7"]);
    env.out(["msgq", "create", "key/7"]);
    assert_eq!(env.out(durable("key/7", &[])), "y");
}

#[test]
fn one_receiver_at_a_time_has_the_slot() {
    let env = Env::new();
    let queue = private(&env);
    let mut first = env.start(durable(&queue, &[]));
    first.wait_blocked("do_msgrcv");
    let said = env.fails(6, durable(&queue, &["--nowait"]));
    assert!(said.contains("another process receives into it"), "{said}");
    env.fails(124, durable(&queue, &["--timeout", "50ms"]));
    let mut second = env.start(durable(&queue, &[]));
    second.wait_blocked("lock_inode_wait");
    // What the first one leaves is there for the second, or in the queue.
    first.signal(libc::SIGKILL);
    second.wait_blocked("do_msgrcv");
    send(&env, &queue, &["x"]);
    assert_eq!(second.line(), "x");
    assert!(second.status().success());
}

#[test]
fn a_slot_that_was_removed_while_another_one_waited_for_it_is_made_again() {
    let env = Env::new();
    let queue = private(&env);
    let mut first = env.start(durable(&queue, &[]));
    first.wait_blocked("do_msgrcv");
    let mut second = env.start(durable(&queue, &[]));
    second.wait_blocked("lock_inode_wait");
    fs::remove_file(SLOT).unwrap();
    first.signal(libc::SIGTERM);
    second.wait_blocked("do_msgrcv");
    assert!(Path::new(SLOT).exists());
}

#[test]
fn files_that_can_be_no_slot_are_left_as_they_are() {
    let env = Env::new();
    let queue = private(&env);
    send(&env, &queue, &["x"]);
    let refused = |what: &str| {
        let said = env.fails(if what.contains("others") { 4 } else { 1 }, durable(&queue, &[]));
        assert!(said.contains(what), "{said}");
        assert_eq!(count(&env, &queue), 1);
    };
    let private = |bytes: &[u8]| {
        fs::write(SLOT, bytes).unwrap();
        fs::set_permissions(SLOT, fs::Permissions::from_mode(0o600)).unwrap();
    };
    for bytes in [&b"notes of mine"[..], &[0; 4096], &[b'x'; 9000], b""] {
        private(bytes);
        refused("it is a file of another kind");
        assert_eq!(fs::read(SLOT).unwrap(), bytes);
    }
    fs::remove_file(SLOT).unwrap();
    fs::write("/dev/shm/real", "notes").unwrap();
    symlink("/dev/shm/real", SLOT).unwrap();
    refused("it is a symbolic link");
    fs::remove_file(SLOT).unwrap();
    symlink("/dev/shm/nothing", SLOT).unwrap();
    refused("it is a symbolic link");
    assert!(!Path::new("/dev/shm/nothing").exists());
    fs::remove_file(SLOT).unwrap();
    env.out(["mkfifo", SLOT]);
    refused("it is no regular file");
    fs::remove_file(SLOT).unwrap();
    fs::create_dir(SLOT).unwrap();
    env.fails(1, durable(&queue, &[]));
    fs::remove_dir(SLOT).unwrap();
    env.out(durable(&queue, &[]));
    send(&env, &queue, &["x"]);
    fs::hard_link(SLOT, "/dev/shm/other").unwrap();
    refused("it has another name");
    fs::remove_file("/dev/shm/other").unwrap();
    fs::set_permissions(SLOT, fs::Permissions::from_mode(0o640)).unwrap();
    refused("others may use it");
}

#[test]
fn a_slot_with_impossible_contents_is_refused() {
    let env = Env::new();
    let queue = private(&env);
    undelivered(&env, &queue, "x");
    let good = fs::read(SLOT).unwrap();
    let private = Path::new(SLOT);
    for (at, word) in [(0, 0), (8, 99), (LENGTH_AT, 1 << 40), (LENGTH_AT, u64::MAX - 1), (4088, u64::MAX)] {
        let mut bytes = good.clone();
        let at = usize::try_from(at).unwrap();
        bytes[at..at + 8].copy_from_slice(&word.to_ne_bytes());
        fs::write(private, &bytes).unwrap();
        env.fails(1, durable(&queue, &[]));
        assert_eq!(fs::read(private).unwrap(), bytes);
    }
    for length in [1, 4095, 4096] {
        fs::write(private, &good[..length]).unwrap();
        drop(env.fails(1, durable(&queue, &["--nowait"])));
    }
    fs::write(private, &good).unwrap();
    assert_eq!(env.out(durable(&queue, &[])), "x");
}

#[test]
fn a_slot_on_a_disk_is_refused_and_not_made() {
    let env = Env::new();
    let queue = private(&env);
    let path = env.path("slot");
    // The test's directory may be in memory too.
    let disk = if env.path("").starts_with("/dev/shm") { return } else { path.to_str().unwrap() };
    let said = String::from_utf8_lossy(
        &env.ipcx(["msgq", "recv", &queue, "--durable", disk, "--nowait"]).output().unwrap().stderr,
    )
    .into_owned();
    if said.contains("the queue is empty") {
        crate::skip!("the directory for temporary files is in memory");
    }
    assert!(said.contains("it does not lie in memory") && said.contains("/dev/shm"), "{said}");
    assert!(!path.exists());
}

#[test]
fn a_full_file_system_and_a_limit_on_locked_memory_are_told_before_anything_is_taken() {
    let env = Env::new();
    let queue = private(&env);
    send(&env, &queue, &["x"]);
    let refusal = Refusal::of(libc::SYS_fallocate, libc::ENOSPC);
    let said = env.ipcx_refused(&[refusal], durable(&queue, &[])).assert().code(7).stdout("");
    assert!(String::from_utf8_lossy(&said.get_output().stderr).contains("ENOSPC"));
    let said = env
        .ipcx_refused(&[Refusal::of(libc::SYS_mlock, libc::ENOMEM)], durable(&queue, &[]))
        .assert()
        .code(7)
        .stdout("");
    assert!(String::from_utf8_lossy(&said.get_output().stderr).contains("ENOMEM"));
    assert_eq!(count(&env, &queue), 1);
    assert_eq!(env.out(durable(&queue, &[])), "x");
}

#[test]
fn the_slot_grows_with_a_message_that_is_longer_than_any_could_be() {
    let env = Env::new();
    let queue = private(&env);
    let mut receiver = env.start(durable(&queue, &[]));
    receiver.wait_blocked("do_msgrcv");
    for limit in ["msgmax", "msgmnb"] {
        fs::write(format!("/proc/sys/kernel/{limit}"), "100000").unwrap();
    }
    env.out(["msgq", "set", &queue, "--max-bytes", "100000"]);
    let long = "long".repeat(20_000);
    env.ipcx(["msgq", "send", &queue]).write_stdin(long.clone()).assert().success();
    assert_eq!(receiver.line(), long);
}

#[test]
fn an_ordinary_user_has_a_slot_too_and_nobody_elses() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("there is no second user here");
    }
    env.out(["msgq", "create", "key/9", "--mode", "666"]);
    send(&env, "key/9", &["x", "y"]);
    env.ipcx_as_nobody(durable("key/9", &[])).assert().success().stdout("x\n");
    // Neither root uses his, nor he root's.
    assert!(env.fails(4, durable("key/9", &[])).contains("it belongs to another user"));
    fs::remove_file(SLOT).unwrap();
    assert_eq!(env.out(durable("key/9", &[])), "y");
    env.ipcx_as_nobody(durable("key/9", &[])).assert().code(4);
}

#[test]
fn what_cannot_be_durable_is_wrong_usage() {
    let env = Env::new();
    env.fails(2, durable("key/1", &["--truncate", "--max-size", "3"]));
    env.fails(3, durable("key/1", &[]));
    let queue = private(&env);
    send(&env, &queue, &["long"]);
    env.ipcx(durable(&queue, &["--max-size", "3"])).assert().code(7);
    assert_eq!(count(&env, &queue), 1);
}
