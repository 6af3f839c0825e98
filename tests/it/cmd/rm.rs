use crate::kit::look::{refs, refused};
use crate::kit::{Env, Running, until};
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

/// Runs `rm`, which must end with this status, and gives what it said.
#[track_caller]
fn rm(env: &Env, status: i32, args: &[&str]) -> String {
    refused(env, status, ["rm"].iter().chain(args))
}

fn there(env: &Env) -> Vec<String> {
    env.out(["ls", "-o", "ref", "--raw", "--no-headings"]).lines().map(str::to_owned).collect()
}

#[test]
fn objects_of_all_kinds_are_removed_by_one_command_and_each_is_named() {
    let env = Env::new();
    env.out(["shm", "create", "0x4d2", "--size", "10"]);
    env.out(["shm", "create", "/frames", "--size", "10"]);
    env.out(["shm", "create", "./file", "--size", "10"]);
    env.out(["msgq", "create"]);
    env.out(["msgq", "create", "/jobs", "--max-messages", "1", "--message-size", "8"]);
    env.out(["sem", "create"]);
    env.out(["sem", "create", "/lock"]);
    let all = ["shm/0x4d2", "shm//frames", "shm/./file", "msgq/0", "msgq//jobs", "sem/0", "sem//lock"];
    let said = rm(&env, 0, &all);
    assert_eq!(there(&env), [""; 0]);
    assert!(!env.path("file").exists());
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), all.len(), "{said}");
    for (line, reference) in lines.iter().zip(all) {
        assert!(line.starts_with("ipcx: removed ") && line.contains(reference), "{line}");
    }
    assert!(lines[0].contains("shm/0") && lines[0].contains("shm/0x4d2"), "which one the key was: {said}");
}

#[test]
fn what_was_lost_in_a_queue_is_said() {
    let env = Env::new();
    env.out(["msgq", "create"]);
    env.out(["msgq", "send", "0", "hello", "you"]);
    env.out(["msgq", "create", "/jobs", "--max-messages", "2", "--message-size", "8"]);
    env.out(["msgq", "send", "/jobs", "four"]);
    let said = rm(&env, 0, &["msgq/0", "msgq//jobs"]);
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].contains("2 messages") && lines[0].contains("8 bytes"), "{said}");
    assert!(lines[1].contains("1 message ") && lines[1].contains("4 bytes"), "{said}");
    env.out(["msgq", "create"]);
    let quiet = rm(&env, 0, &["msgq/1", "--quiet"]);
    assert_eq!(quiet, "");
}

#[test]
fn all_are_tried_and_the_status_is_that_of_the_first_failure() {
    let env = Env::new();
    env.out(["msgq", "create"]);
    env.out(["sem", "create", "/lock"]);
    let said = rm(&env, 3, &["shm//missing", "msgq/0", "sem/77", "sem//lock"]);
    assert_eq!(there(&env), [""; 0]);
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("ipcx: cannot remove ")).collect();
    assert_eq!(errors.len(), 2, "{said}");
    assert!(errors[0].contains("shm//missing") && errors[1].contains("sem/77"), "{said}");
}

#[test]
fn the_first_failure_gives_the_status_when_failures_differ() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("there is no second user");
    }
    env.out(["msgq", "create"]);
    env.out(["shm", "create", "/roots", "--size", "1"]);
    env.ipcx_as_nobody(["rm", "msgq/0", "msgq/5"]).assert().code(4);
    env.ipcx_as_nobody(["rm", "msgq/5", "msgq/0"]).assert().code(3);
    let denied = env.ipcx_as_nobody(["rm", "--force", "shm//roots"]).assert().code(4).get_output().stderr.clone();
    assert!(String::from_utf8(denied).unwrap().contains("root"), "whose it is, is said");
    assert_eq!(there(&env), ["shm//roots", "msgq/0"]);
}

#[test]
fn a_missing_object_is_status_3_unless_that_is_welcome() {
    let env = Env::new();
    for reference in ["shm/5", "shm/0x4d2", "shm//x", "shm/./x", "msgq/5", "msgq//x", "sem/5", "sem//x"] {
        let said = rm(&env, 3, &[reference]);
        assert!(said.contains(reference), "{said}");
        assert_eq!(rm(&env, 0, &[reference, "--missing-ok"]), "");
    }
    env.out(["msgq", "create"]);
    let said = rm(&env, 0, &["--missing-ok", "shm/9", "msgq/0"]);
    assert_eq!(said, "ipcx: removed msgq/0\n");
}

/// `rm` refuses it while it is used, removes it all the same with --force.
#[track_caller]
fn refused_and_then_forced(env: &Env, reference: &str) {
    let said = rm(env, 1, &[reference]);
    assert!(said.contains(reference) && said.contains("in use"), "{said}");
    assert!(said.lines().any(|line| line.starts_with("hint: ") && line.contains("--force")), "{said}");
    assert!(there(env).contains(&reference.to_owned()));
    rm(env, 0, &[reference, "--force"]);
}

#[test]
fn an_attached_segment_is_removed_only_by_force() {
    let env = Env::new();
    env.out(["shm", "create", "--size", "10"]);
    let holder = env.start(["shm", "attach", "0"]);
    until("the attachment", || env.json(["ls", "shm", "--json"])["objects"][0]["nattch"] == 1);
    refused_and_then_forced(&env, "shm/0");
    assert_eq!(env.json(["ls", "shm", "--json"])["objects"][0]["status"], "dest");
    for line in [&["shm/0"][..], &["shm/0", "--force"]] {
        let said = rm(&env, 1, line);
        assert!(said.contains("it is removed already; its memory is freed at the last of 1 detaches"), "{said}");
    }
    drop(holder);
    assert_eq!(there(&env), [""; 0]);
}

#[test]
fn posix_shared_memory_that_is_mapped_is_removed_only_by_force() {
    let env = Env::new();
    env.out(["shm", "create", "/frames", "--size", "10"]);
    let holder = env.start(["shm", "attach", "/frames"]);
    until("the mapping", || env.json(["show", "shm//frames", "--json"])["objects"][0]["in_use"] == true);
    refused_and_then_forced(&env, "shm//frames");
    assert_eq!(there(&env), [""; 0]);
    drop(holder);
}

#[test]
fn a_file_that_is_mapped_is_removed_only_by_force() {
    let env = Env::new();
    env.out(["shm", "create", "./file", "--size", "10"]);
    let holder = env.start(["shm", "attach", "./file"]);
    until("the mapping", || env.json(["show", "shm/./file", "--json"])["objects"][0]["in_use"] == true);
    rm(&env, 1, &["shm/./file"]);
    assert!(env.path("file").exists());
    rm(&env, 0, &["shm/./file", "--force"]);
    assert!(!env.path("file").exists());
    drop(holder);
}

fn blocked(env: &Env, args: &[&str], function: &str) -> Running {
    let mut waiting = env.start(args);
    waiting.wait_blocked(function);
    waiting
}

#[test]
fn a_posix_queue_that_is_open_is_removed_only_by_force() {
    let env = Env::new();
    env.out(["msgq", "create", "/jobs", "--max-messages", "1", "--message-size", "8"]);
    let _waiting = blocked(&env, &["msgq", "recv", "/jobs"], "wq_sleep");
    refused_and_then_forced(&env, "msgq//jobs");
    assert_eq!(there(&env), [""; 0]);
}

#[test]
fn a_set_that_processes_wait_on_is_removed_only_by_force_and_ends_their_wait() {
    let env = Env::new();
    env.out(["sem", "create"]);
    let waiting = blocked(&env, &["sem", "wait", "0"], "do_semtimedop");
    refused_and_then_forced(&env, "sem/0");
    assert_eq!(waiting.status().code(), Some(3));
}

#[test]
fn a_named_semaphore_that_processes_wait_on_is_removed_only_by_force() {
    let env = Env::new();
    env.out(["sem", "create", "/lock"]);
    let _waiting = blocked(&env, &["sem", "wait", "/lock"], "futex");
    refused_and_then_forced(&env, "sem//lock");
    assert_eq!(there(&env), [""; 0]);
}

#[test]
fn a_number_out_of_range_is_wrong_usage_and_removes_nothing() {
    let env = Env::new();
    assert_eq!(env.out(["shm", "create", "0x1", "--size", "1"]), "0");
    assert_eq!(env.out(["msgq", "create", "0x1"]), "0");
    assert_eq!(env.out(["sem", "create", "0x1"]), "0");
    for kind in ["shm", "msgq", "sem"] {
        for id in [
            "4294967296",
            "18446744073709551616",
            "-4294967296",
            "2147483648",
            "-0",
            "+0",
            "0x100000001",
            "key/0",
            "0x0",
            "key/4294967297",
            "",
            "0 ",
            "00x1",
            "all",
        ] {
            let reference = format!("{kind}/{id}");
            rm(&env, 2, &[&reference]);
            // Not even those that are right are removed when one is a mistake.
            rm(&env, 2, &[&format!("{kind}/0"), &reference]);
        }
    }
    assert_eq!(there(&env), ["shm/0", "msgq/0", "sem/0"]);
    rm(&env, 2, &[]);
}

#[test]
fn only_the_object_that_was_named_is_removed() {
    let env = Env::new();
    for name in ["/a", "/ab", "/a.b"] {
        env.out(["shm", "create", name, "--size", "1"]);
    }
    env.out(["sem", "create", "/a"]);
    env.out(["msgq", "create", "/a", "--max-messages", "1", "--message-size", "8"]);
    rm(&env, 0, &["shm//a"]);
    assert_eq!(there(&env), ["shm//a.b", "shm//ab", "msgq//a", "sem//a"]);
}

#[test]
fn what_is_no_object_is_not_removed() {
    let env = Env::new();
    fs::create_dir("/dev/shm/dir").unwrap();
    fs::create_dir("/dev/shm/sem.dir").unwrap();
    fs::write(env.path("target"), "precious").unwrap();
    std::os::unix::fs::symlink(env.path("target"), "/dev/shm/link").unwrap();
    for reference in ["shm//dir", "sem//dir", "shm//link", "shm/./", "shm//dev/shm/dir", "shm//dev/shm/link"] {
        let status = env.ipcx(["rm", "--force", reference]).output().unwrap().status.code();
        assert!(matches!(status, Some(1..=3)), "{reference}: {status:?}");
    }
    assert!(Path::new("/dev/shm/dir").is_dir() && Path::new("/dev/shm/sem.dir").is_dir());
    assert!(Path::new("/dev/shm/link").is_symlink() && env.path("target").exists());
}

#[test]
fn hostile_names_are_removed_by_their_bytes() {
    let env = Env::new();
    let names: [&[u8]; 6] = [b"\x1b[31m", b"\xff\xfe", b"a\nb", b"a b", b"-rf", "\u{202e}x".as_bytes()];
    for name in names {
        let path = OsString::from_vec([b"/dev/shm/", name].concat());
        fs::write(&path, "x").unwrap();
        fs::write("/dev/shm/innocent", "x").unwrap();
        let said = refused(&env, 0, [OsString::from("rm"), OsString::from_vec([b"shm//", name].concat())]);
        crate::kit::look::assert_harmless("rm", said.as_bytes());
        assert!(said.starts_with("ipcx: removed shm//"), "{said}");
        assert!(!Path::new(&path).exists());
        assert_eq!(there(&env), ["shm//innocent"]);
    }
}

#[test]
fn what_ls_prints_can_be_piped_into_rm() {
    let env = Env::new();
    for name in ["/a", "/b"] {
        env.out(["shm", "create", name, "--size", "1"]);
    }
    env.out(["shm", "create", "--size", "1"]);
    env.out(["msgq", "create"]);
    env.sh("ipcx ls shm --mine -o ref --raw --no-headings | xargs ipcx rm").assert().success();
    assert_eq!(refs(&env.json(["ls", "--json"])["objects"]), ["msgq/0"]);
    let document: Value = env.json(["ls", "shm", "--json"]);
    assert_eq!(document["objects"], serde_json::json!([]));
}
