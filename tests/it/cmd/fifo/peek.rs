use super::*;
use crate::kit::look::assert_harmless;
use std::fs;
use std::io::{Read as _, Write as _};

#[test]
fn what_waits_is_shown_and_nothing_taken() {
    let env = Env::new();
    let (path, mut file) = held(&env);
    assert_eq!(env.out(["fifo", "peek", path]), "");
    file.write_all(b"hello\x1b[2J\n\xff").unwrap();
    for _ in 0..2 {
        let output = env.ipcx(["fifo", "peek", path]).assert().success().get_output().stdout.clone();
        assert_harmless("peek", &output);
        let text = String::from_utf8(output).unwrap();
        assert_eq!(text, "00000000  68 65 6c 6c 6f 1b 5b 32  4a 0a ff                 |hello.[2J..|\n");
        assert_eq!(env.ipcx(["fifo", "peek", path, "--raw"]).output().unwrap().stdout, b"hello\x1b[2J\n\xff");
    }
    let mut bytes = [0; 20];
    assert_eq!(file.read(&mut bytes).unwrap(), 11);
}

#[test]
fn a_fifo_that_nobody_has_open_holds_nothing_and_is_not_opened() {
    let env = Env::new();
    let path = fifo(&env);
    let mut sender = env.start(["fifo", "send", path, "hello"]);
    sender.wait_blocked(OPENING);
    // Who may not look into the processes of others cannot say that nobody has it open.
    let peeked = if env.has_users() { 0 } else { 4 };
    for (verb, status) in [("peek", peeked), ("show", 0)] {
        env.ipcx(["fifo", verb, path]).assert().code(status);
        // Had it been opened to read, the sender would have gone on.
        sender.wait_blocked(OPENING);
    }
    env.ipcx(["ls", "-a"]).assert().success();
    sender.wait_blocked(OPENING);
    assert_eq!(env.out(["fifo", "recv", path]), "hello");
}

#[test]
fn a_fifo_that_is_open_to_write_alone_cannot_be_peeked() {
    let env = Env::new();
    let path = fifo(&env);
    let reader = OpenOptions::new().read(true).write(true).open(env.path("f")).unwrap();
    let mut writer = OpenOptions::new().write(true).open(env.path("f")).unwrap();
    writer.write_all(b"left").unwrap();
    drop(reader);
    assert!(env.fails(1, ["fifo", "peek", path]).contains("open to write alone"));
    assert_eq!(env.json(["fifo", "show", path, "--json"])["objects"][0]["bytes"], 4);
}

#[test]
fn a_process_of_another_user_may_not_be_looked_into() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("needs a second user");
    }
    let (path, mut file) = held(&env);
    file.write_all(b"secret").unwrap();
    let said = crate::kit::refusal(&mut env.ipcx_as_nobody(["fifo", "peek", path]), 4);
    assert!(said.contains("may look into"), "{said}");
    let output = env.ipcx_as_nobody(["fifo", "show", path, "--json"]).assert().success().get_output().clone();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!document["gaps"].as_array().unwrap().is_empty(), "{document:#}");
    drop(fs::remove_file(env.path("f")));
}
