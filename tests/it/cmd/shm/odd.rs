//! What is in /dev/shm and is no shared memory, or no whole one.

use super::{chmod, listed};
use crate::kit::{Env, refusal};
use crate::skip;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

/// A directory, links, a FIFO and a socket, and what each is called in a message.
fn odd(env: &Env) -> [(&'static str, &'static str); 5] {
    fs::create_dir("/dev/shm/directory").unwrap();
    fs::write(env.path("target"), "secret").unwrap();
    symlink(env.path("target"), "/dev/shm/link").unwrap();
    symlink("/dev/shm/nowhere", "/dev/shm/dangling").unwrap();
    env.sh("mkfifo /dev/shm/fifo").assert().success();
    drop(UnixListener::bind("/dev/shm/socket").unwrap());
    [
        ("/directory", "directory"),
        ("/link", "symbolic link"),
        ("/dangling", "symbolic link"),
        ("/fifo", "FIFO"),
        ("/socket", "socket"),
    ]
}

#[test]
fn a_listing_passes_over_what_is_no_shared_memory() {
    let env = Env::new();
    odd(&env);
    env.out(["shm", "create", "/frames", "--size", "1"]);
    for args in [&["shm", "ls", "--json"][..], &["ls", "--json"], &["ls", "shm", "--json"]] {
        let document = env.json(args);
        assert_eq!(document["objects"].as_array().unwrap().len(), 1, "{document}");
        assert_eq!(document["objects"][0]["name"], "/frames");
        assert_eq!(document["gaps"], serde_json::json!([]));
    }
}

#[test]
fn no_verb_opens_or_removes_it_or_hangs() {
    let env = Env::new();
    for (reference, word) in odd(&env) {
        for args in [
            &["shm", "read", reference][..],
            &["shm", "write", reference, "x"],
            &["shm", "dump", reference],
            &["shm", "attach", reference],
            &["shm", "resize", reference, "0"],
            &["shm", "show", reference],
            &["shm", "rm", "--force", reference],
            &["shm", "set", reference, "--mode", "777"],
        ] {
            let said = env.fails(1, args);
            assert!(said.contains(word), "{args:?}: {said}");
        }
        env.fails(5, ["shm", "create", reference, "--size", "1"]);
        assert!(fs::symlink_metadata(format!("/dev/shm{reference}")).is_ok(), "{reference} is gone");
    }
    assert_eq!(fs::read(env.path("target")).unwrap(), b"secret");
}

#[test]
fn a_path_to_something_else_is_refused_as_well() {
    let env = Env::new();
    env.sh("mkfifo fifo; mkdir directory").assert().success();
    for (reference, word) in [("./fifo", "FIFO"), ("./directory", "directory"), ("/dev/null", "device")] {
        // A name with one slash is a POSIX object, so the device is reached by another path.
        let reference = if reference == "/dev/null" { "/dev/../dev/null" } else { reference };
        for args in [&["shm", "read", reference][..], &["shm", "show", reference], &["shm", "rm", reference]] {
            let said = env.fails(1, args);
            assert!(said.contains(word), "{args:?}: {said}");
        }
    }
}

#[test]
fn an_unreadable_object_is_listed_with_what_is_known_of_it() {
    let env = Env::new();
    if !env.has_users() {
        skip!("needs a second user");
    }
    for reference in super::each_family(&env, "5") {
        if reference == "./data.bin" {
            continue;
        }
        let output = env.ipcx_as_nobody(["shm", "show", "--attach", "--json", reference]).assert().success();
        let document: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
        let object = &document["objects"][0];
        assert_eq!((&object["size"], &object["user"]), (&5.into(), &"root".into()), "{object}");
        assert!(object["first_bytes"].is_null(), "{object}");
        let gaps = document["gaps"].as_array().unwrap();
        assert!(gaps.iter().any(|gap| gap["field"] == "first_bytes" && gap["errno"] == "EACCES"), "{document}");
    }
    let output = env.ipcx_as_nobody(["shm", "ls", "--json"]).assert().success();
    let document: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(document["objects"].as_array().unwrap().len(), 2);
}

#[test]
fn a_dev_shm_that_cannot_be_looked_at_is_a_gap() {
    let env = Env::new();
    if !env.has_users() {
        skip!("needs a second user");
    }
    env.out(["shm", "create", "--size", "1", "--mode", "644"]);
    chmod("/dev/shm", 0o700);
    let output = env.ipcx_as_nobody(["shm", "ls", "--json"]).assert().success();
    let document: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(document["objects"].as_array().unwrap().len(), 1, "{document}");
    assert_eq!(document["gaps"][0]["subject"], "/dev/shm", "{document}");
    refusal(&mut env.ipcx_as_nobody(["shm", "read", "/frames"]), 4);
}

#[test]
fn identifier_zero_is_an_object_like_any_other() {
    let env = Env::new();
    let id = env.out(["shm", "create", "--size", "1"]);
    assert_eq!(id, "0", "the first of a new namespace");
    env.out(["shm", "write", "0", "x"]);
    assert_eq!(env.out(["shm", "read", "0"]), "x");
    env.fails(2, ["shm", "rm", "4294967296"]);
    env.fails(2, ["shm", "read", "0x100000001"]);
    assert_eq!(listed(&env), 1);
    env.fails(0, ["shm", "rm", "0"]);
    assert_eq!(listed(&env), 0);
}

#[test]
fn the_writer_of_a_fifo_is_left_alone() {
    let env = Env::new();
    let script = "mkfifo ./pipe; echo precious > ./pipe & \\
        for verb in 'read ./pipe' 'write ./pipe x' 'dump ./pipe' 'attach ./pipe' 'show ./pipe' 'rm ./pipe'; do \\
        ipcx shm $verb < /dev/null && exit 1; done; cat ./pipe; wait $!";
    env.sh(script).assert().success().stdout("precious\n");
}
