//! Named semaphores as files: those of two C libraries, and files that are none.

use super::{shown, values};
use crate::kit::{Env, refusal};
use crate::skip;
use serde_json::{Value, json};
use std::fs;

/// The 32 bytes of a semaphore: its first three words, the rest zero.
fn file(words: [u32; 3]) -> Vec<u8> {
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    bytes.resize(32, 0);
    bytes
}

/// Files that sem_open(3) did not make, under names that it would use.
fn odd() -> [&'static str; 5] {
    fs::write("/dev/shm/sem.empty", "").unwrap();
    fs::write("/dev/shm/sem.short", "short").unwrap();
    fs::write("/dev/shm/sem.foreign", [b'x'; 32]).unwrap();
    fs::write("/dev/shm/sem.long", [0; 5000]).unwrap();
    fs::create_dir("/dev/shm/sem.directory").unwrap();
    ["/empty", "/short", "/foreign", "/long", "/directory"]
}

fn by_name<'a>(document: &'a Value, name: &str) -> Option<&'a Value> {
    document["objects"].as_array().unwrap().iter().find(|object| object["name"] == name)
}

#[test]
fn a_listing_shows_files_that_are_no_semaphores_without_a_value_and_says_why() {
    let env = Env::new();
    odd();
    env.out(["sem", "create", "/slots", "--value", "4"]);
    for args in [&["sem", "ls", "--json"][..], &["ls", "sem", "--json"], &["ls", "--json"]] {
        let document = env.json(args);
        assert_eq!(by_name(&document, "/slots").unwrap()["value"], 4);
        for name in ["/empty", "/short", "/foreign"] {
            let object = by_name(&document, name).unwrap();
            assert_eq!((&object["kind"], &object["value"]), (&json!("sem"), &Value::Null), "{object}");
            let gaps = document["gaps"].as_array().unwrap();
            let subject = format!("sem/{name}");
            assert!(gaps.iter().any(|gap| gap["subject"] == *subject && gap["field"] == "value"), "{document}");
        }
        assert!(by_name(&document, "/directory").is_none(), "{document}");
    }
    env.ipcx(["sem", "ls"]).assert().success();
}

#[test]
fn no_verb_dies_of_a_file_that_is_no_semaphore() {
    let env = Env::new();
    for name in odd() {
        for args in [
            &["get", name][..],
            &["get", name, "-i", "0"],
            &["get", name, "--json"],
            &["wait", name],
            &["wait", name, "--nowait"],
            &["post", name],
            &["set", name, "0=1"],
            &["zero", name],
            &["op", name, "0=1"],
        ] {
            let said = env.fails(1, ["sem"].iter().chain(args));
            assert!(said.contains("semaphore"), "{args:?}: {said}");
        }
        env.fails(125, ["sem", "run", name, "--", "touch", "ran"]);
        env.fails(5, ["sem", "create", name]);
    }
    assert!(!env.path("ran").exists());
    assert_eq!(fs::read("/dev/shm/sem.foreign").unwrap(), [b'x'; 32]);
    assert_eq!(fs::read("/dev/shm/sem.empty").unwrap(), b"");
}

#[test]
fn show_tells_what_is_known_of_a_file_that_is_no_semaphore() {
    let env = Env::new();
    odd();
    for name in ["/empty", "/short", "/foreign"] {
        let object = shown(&env, name);
        assert!(object["value"].is_null() && object["semaphores"].is_null(), "{object}");
        env.ipcx(["sem", "show", name]).assert().success();
        env.fails(0, ["sem", "rm", name]);
        env.fails(3, ["sem", "show", name]);
    }
    env.fails(1, ["sem", "show", "/directory"]);
    env.fails(1, ["sem", "rm", "--force", "/directory"]);
    assert!(fs::exists("/dev/shm/sem.directory").unwrap());
}

#[test]
fn a_file_is_shared_memory_or_a_semaphore_and_never_both() {
    let env = Env::new();
    odd();
    let document = env.json(["ls", "--json"]);
    let long = by_name(&document, "/sem.long").unwrap();
    assert_eq!((&long["kind"], &long["size"]), (&json!("shm"), &json!(5000)));
    // So it is no semaphore for `show` and `rm` either.
    env.fails(1, ["sem", "rm", "/long"]);
    assert_eq!(fs::metadata("/dev/shm/sem.long").unwrap().len(), 5000);
}

#[test]
fn links_fifos_and_sockets_are_neither_opened_nor_waited_for() {
    let env = Env::new();
    env.sh("mkfifo /dev/shm/sem.fifo; ln -s /dev/shm/sem.slots /dev/shm/sem.link").assert().success();
    env.out(["sem", "create", "/slots", "--value", "4"]);
    let document = env.json(["sem", "ls", "--json"]);
    assert_eq!(document["objects"].as_array().unwrap().len(), 1, "{document}");
    for name in ["/fifo", "/link"] {
        for args in [&["get", name][..], &["wait", name, "--nowait"], &["post", name], &["show", name], &["rm", name]] {
            env.fails(1, ["sem"].iter().chain(args));
        }
    }
    assert_eq!(values(&env, "/slots"), [4]);
}

#[test]
fn a_musl_semaphore_is_told_by_its_bytes() {
    let env = Env::new();
    fs::write("/dev/shm/slots", file([5, 0, 0])).unwrap();
    fs::write("/dev/shm/busy", file([0x8000_0000, 2, 0])).unwrap();
    fs::write("/dev/shm/picture", [7; 32]).unwrap();
    env.out(["shm", "create", "/fresh", "--size", "32"]);
    let document = env.json(["sem", "ls", "--json", "-o", "+layout,waiters"]);
    let slots = by_name(&document, "/slots").unwrap();
    assert_eq!((&slots["layout"], &slots["value"]), (&json!("musl"), &json!(5)), "{document}");
    let busy = by_name(&document, "/busy").unwrap();
    assert_eq!((&busy["value"], &busy["waiting"]), (&json!(0), &json!(2)), "{document}");
    assert_eq!(document["objects"].as_array().unwrap().len(), 2, "{document}");
    let memory = env.json(["shm", "ls", "--json"]);
    assert_eq!(memory["objects"].as_array().unwrap().len(), 2, "{memory}");
    assert!(by_name(&memory, "/picture").is_some() && by_name(&memory, "/fresh").is_some(), "{memory}");
    assert_eq!(env.out(["sem", "get", "/slots", "-i", "0"]), "5");
    let said = env.fails(1, ["sem", "post", "/slots"]);
    assert!(said.contains("musl") && said.contains("hint: "), "{said}");
    assert_eq!(fs::read("/dev/shm/slots").unwrap(), file([5, 0, 0]));
    env.fails(0, ["sem", "rm", "/slots"]);
    assert!(!fs::exists("/dev/shm/slots").unwrap());
}

#[test]
fn the_file_of_a_glibc_semaphore_has_value_and_waiters() {
    let env = Env::new();
    fs::write("/dev/shm/sem.made", file([6, 3, 0x80])).unwrap();
    let object = shown(&env, "/made");
    assert_eq!((&object["layout"], &object["value"], &object["waiting"]), (&json!("glibc"), &json!(6), &json!(3)));
}

#[test]
fn an_unreadable_semaphore_is_listed_without_its_value_and_says_why() {
    let env = Env::new();
    if !env.has_users() {
        skip!("needs a second user");
    }
    env.out(["sem", "create", "/slots", "--value", "4"]);
    let output = env.ipcx_as_nobody(["sem", "ls", "--json"]).assert().success();
    let document: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let object = by_name(&document, "/slots").unwrap();
    assert_eq!((&object["user"], &object["value"]), (&json!("root"), &Value::Null), "{document}");
    let gaps = document["gaps"].as_array().unwrap();
    assert!(gaps.iter().any(|gap| gap["subject"] == "sem//slots" && gap["errno"] == "EACCES"), "{document}");
    refusal(&mut env.ipcx_as_nobody(["sem", "get", "/slots"]), 4);
    env.ipcx_as_nobody(["sem", "show", "/slots"]).assert().success();
    // Of a set, too, everything but its values is known.
    let id = env.out(["sem", "create", "--value", "1,2"]);
    let output = env.ipcx_as_nobody(["sem", "show", "--json", &id]).assert().success();
    let document: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let object = &document["objects"][0];
    assert_eq!((&object["nsems"], &object["semaphores"]), (&json!(2), &Value::Null), "{document}");
    assert!(!document["gaps"].as_array().unwrap().is_empty(), "{document}");
}

#[test]
fn looking_at_a_semaphore_changes_nothing_of_its_file() {
    let env = Env::new();
    env.out(["sem", "create", "/slots", "--value", "4"]);
    let before = fs::metadata("/dev/shm/sem.slots").unwrap().modified().unwrap();
    let bytes = fs::read("/dev/shm/sem.slots").unwrap();
    values(&env, "/slots");
    shown(&env, "/slots");
    env.out(["sem", "ls"]);
    assert_eq!(fs::metadata("/dev/shm/sem.slots").unwrap().modified().unwrap(), before);
    assert_eq!(fs::read("/dev/shm/sem.slots").unwrap(), bytes);
}
