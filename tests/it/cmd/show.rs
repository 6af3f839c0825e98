use crate::kit::look::{by_ref, refs, refused};
use crate::kit::{Env, Running, until};
use serde_json::{Value, json};

fn shown(env: &Env, reference: &str) -> Value {
    env.json(["show", reference, "--json"])["objects"][0].clone()
}

/// The recorded process of this role.
#[track_caller]
fn process<'a>(object: &'a Value, role: &str) -> &'a Value {
    let found = object["processes"].as_array().unwrap().iter().find(|process| process["role"] == role);
    found.unwrap_or_else(|| panic!("no {role} in {object:#}"))
}

#[test]
fn a_queue_is_shown_with_its_capacity_and_its_first_messages_and_none_is_taken() {
    let env = Env::new();
    env.out(["msgq", "create", "0x4d2", "--max-bytes", "9000"]);
    for n in 1..=7 {
        env.out(["msgq", "send", "0", &format!("message {n}"), "-t", &n.to_string()]);
    }
    for _ in 0..2 {
        let queue = shown(&env, "msgq/0x4d2");
        assert_eq!(queue["ref"], "msgq/0");
        assert_eq!((&queue["messages"], &queue["bytes"], &queue["max_bytes"]), (&json!(7), &json!(63), &json!(9000)));
        let messages = queue["first_messages"].as_array().unwrap();
        assert!(!messages.is_empty() && messages.len() < 7, "the first few: {queue:#}");
        for (at, message) in messages.iter().enumerate() {
            let expected = json!({"position": at, "type": at + 1, "size": 9, "text": format!("message {}", at + 1)});
            assert_eq!(message, &expected);
        }
    }
    let page = env.out(["msgq", "show", "0"]);
    assert!(page.starts_with("msgq/0\n") && page.contains("message 1"), "{page}");
    assert_eq!(env.out(["msgq", "recv", "0", "--all"]).lines().count(), 7);
    assert_eq!(shown(&env, "msgq/0")["first_messages"], json!([]));
}

#[test]
fn a_message_that_is_not_text_is_shown_whole_in_json_and_escaped_on_the_page() {
    let env = Env::new();
    env.out(["msgq", "create"]);
    env.sh(r"printf '\377\033[2J' | ipcx msgq send 0").assert().success();
    assert_eq!(shown(&env, "msgq/0")["first_messages"][0]["base64"], "/xtbMko=");
    assert!(env.out(["show", "msgq/0"]).contains(r"\xff\x1b[2J"));
}

#[test]
fn a_segment_is_shown_with_its_first_bytes() {
    let env = Env::new();
    env.out(["shm", "create", "--size", "5000"]);
    env.out(["shm", "create", "/frames", "--size", "3"]);
    env.out(["shm", "create", "./file", "--size", "5"]);
    env.out(["shm", "write", "0", "hello, world"]);
    env.out(["shm", "write", "/frames", "abc"]);
    env.out(["shm", "write", "./file", "12345"]);
    let segment = env.json(["show", "--attach", "--json", "shm/0"])["objects"][0].clone();
    assert_eq!(segment["size"], 5000);
    assert_eq!(segment["first_bytes"][0]["text"], "hello, world....");
    assert!(segment["first_bytes"][0]["hex"].as_str().unwrap().starts_with("68656c6c6f"), "{segment:#}");
    let frames = shown(&env, "shm//frames");
    assert_eq!(frames["first_bytes"], json!([{"offset": 0, "hex": "616263", "text": "abc"}]));
    assert_eq!(frames["in_use"], false);
    let file = shown(&env, "shm/./file");
    assert_eq!((&file["family"], &file["size"]), (&json!("file"), &json!(5)));
    assert_eq!(file["first_bytes"][0]["text"], "12345");
}

#[test]
fn every_semaphore_of_a_set_is_shown_with_its_waiters() {
    let env = Env::new();
    env.out(["sem", "create", "key/7", "--value", "0,5,1"]);
    let mut waiting = env.start(["sem", "wait", "0", "-i", "0"]);
    let mut for_zero = env.start(["sem", "zero", "0", "-i", "2"]);
    until("both to wait", || {
        let semaphores = &shown(&env, "sem/0")["semaphores"];
        semaphores[0]["waiting_for_increase"] == 1 && semaphores[2]["waiting_for_zero"] == 1
    });
    let set = shown(&env, "sem/key/7");
    assert_eq!(set["nsems"], 3);
    let values: Vec<&Value> = set["semaphores"].as_array().unwrap().iter().map(|one| &one["value"]).collect();
    assert_eq!(values, [0, 5, 1]);
    let waiters: Vec<_> = set["semaphores"].as_array().unwrap().iter().map(|one| &one["waiting_for_zero"]).collect();
    assert_eq!(waiters, [0, 0, 1]);
    env.out(["sem", "post", "0", "-i", "0"]);
    env.out(["sem", "wait", "0", "-i", "2"]);
    until("both to be done", || {
        let semaphores = &shown(&env, "sem/0")["semaphores"];
        semaphores[0]["waiting_for_increase"] == 0 && semaphores[2]["waiting_for_zero"] == 0
    });
    for done in [&mut waiting, &mut for_zero] {
        done.close_stdin();
    }
    assert!(waiting.status().success() && for_zero.status().success());
}

#[test]
fn a_named_semaphore_is_shown_with_value_waiters_and_use() {
    let env = Env::new();
    env.out(["sem", "create", "/lock", "--value", "0"]);
    assert_eq!(shown(&env, "sem//lock")["in_use"], false);
    let waiting = env.start(["sem", "wait", "/lock"]);
    until("it to wait", || shown(&env, "sem//lock")["waiting"] == 1);
    let semaphore = shown(&env, "sem//lock");
    assert_eq!((&semaphore["value"], &semaphore["in_use"]), (&json!(0), &json!(true)));
    assert_eq!(semaphore["semaphores"][0]["waiting_for_increase"], 1);
    env.out(["sem", "post", "/lock"]);
    assert!(waiting.status().success());
}

#[test]
fn a_recorded_process_that_lives_is_the_same_and_is_shown_with_its_command() {
    let env = Env::new();
    env.out(["msgq", "create"]);
    let mut sender = env.start(["msgq", "send", "0", "--lines"]);
    sender.write(b"one\n");
    until("the message", || shown(&env, "msgq/0")["messages"] == 1);
    let queue = shown(&env, "msgq/0");
    let last = process(&queue, "last sender");
    assert_eq!((&last["pid"], &last["state"]), (&json!(sender.pid), &json!("same")));
    assert!(last["command"].as_str().unwrap().ends_with("ipcx msgq send 0 --lines"), "{last:#}");
    assert!(last["started"].as_str().unwrap().ends_with('Z'), "{last:#}");
    assert_eq!(queue["lspid"], sender.pid);
    let page = env.out(["show", "msgq/0"]);
    assert!(page.lines().any(|line| line.contains("last sender") && line.contains("same")), "{page}");
    assert!(sender.status().success());
    let queue = shown(&env, "msgq/0");
    let last = process(&queue, "last sender");
    assert_eq!((&last["state"], &last["command"]), (&json!("gone"), &Value::Null));
}

#[test]
fn the_last_to_attach_is_recorded_and_the_creator_is_gone() {
    let env = Env::new();
    env.out(["shm", "create", "--size", "10"]);
    let holder = env.start(["shm", "attach", "0"]);
    until("the attachment", || env.json(["ls", "shm", "--json"])["objects"][0]["nattch"] == 1);
    let segment = shown(&env, "shm/0");
    assert_eq!(process(&segment, "creator")["state"], "gone");
    assert_eq!(process(&segment, "last attach or detach")["pid"], holder.pid);
    assert_eq!(process(&segment, "last attach or detach")["state"], "same");
}

#[test]
fn showing_a_segment_leaves_its_times_and_its_last_user_as_they_were() {
    let env = Env::new();
    env.out(["shm", "create", "--size", "10"]);
    let before = env.out(["ls", "shm", "--jsonl"]);
    env.out(["show", "shm/0"]);
    assert_eq!(env.out(["ls", "shm", "--jsonl", "-o", "atime,dtime,lpid"]), {
        let object: Value = serde_json::from_str(&before).unwrap();
        json!({"atime": object["atime"], "dtime": object["dtime"], "lpid": object["lpid"]}).to_string()
    });
}

#[test]
fn a_process_whose_name_and_arguments_are_no_text_still_is_the_same() {
    use std::os::unix::ffi::OsStringExt as _;
    let env = Env::new();
    env.out(["msgq", "create"]);
    let path = env.path("x").with_file_name(std::ffi::OsString::from_vec(b"\xff\x1b[31m)(\n".to_vec()));
    std::os::unix::fs::symlink(crate::kit::program(), &path).unwrap();
    let mut command = std::process::Command::new(&path);
    command.args(["msgq", "send", "0", "--lines"]).env_clear();
    let mut sender = Running::start(command);
    sender.write(b"one\n");
    until("the message", || shown(&env, "msgq/0")["messages"] == 1);
    let queue = shown(&env, "msgq/0");
    let last = process(&queue, "last sender");
    assert_eq!((&last["pid"], &last["state"]), (&json!(sender.pid), &json!("same")), "{last:#}");
    let page = env.out(["show", "msgq/0"]);
    assert!(page.contains(r"\xff\x1b[31m)(\x0a"), "{page}");
}

#[test]
fn of_several_references_the_missing_one_is_status_3_and_the_others_are_shown() {
    let env = Env::new();
    env.out(["msgq", "create"]);
    env.out(["sem", "create", "/lock"]);
    let args = ["show", "msgq/0", "shm//missing", "sem//lock", "sem/99"];
    let output = env.ipcx(args).assert().code(3).get_output().clone();
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(page.contains("msgq/0\n") && page.contains("sem//lock\n"), "{page}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().filter(|line| line.starts_with("ipcx: cannot show ")).count(), 2, "{said}");
    assert!(said.contains("shm//missing") && said.contains("sem/99"), "{said}");

    let output = env.ipcx(args.into_iter().chain(["--json"])).assert().code(3).get_output().stdout.clone();
    let document: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(refs(&document["objects"]), ["msgq/0", "sem//lock"]);
    by_ref(&document["objects"], "sem//lock");
}

#[test]
fn nothing_to_show_is_wrong_usage_and_a_number_alone_does_not_say_its_kind() {
    let env = Env::new();
    refused(&env, 2, ["show"]);
    let said = refused(&env, 2, ["show", "0"]);
    assert!(said.contains("kind"), "{said}");
}

#[test]
fn the_keys_of_a_shown_object_are_columns_of_the_listing() {
    let env = Env::new();
    for kind in ["shm", "msgq", "sem"] {
        let extra: &[&str] = if kind == "shm" { &["--size", "1"] } else { &[] };
        env.out([kind, "create"].iter().chain(extra));
        env.out([kind, "create", "/name"].iter().chain(extra));
        let help = env.out([kind, "ls", "-o", "help"]);
        let columns: Vec<&str> = help.lines().skip(1).map(|line| line.split_whitespace().next().unwrap()).collect();
        for reference in ["0", "/name"] {
            let document = env.json([kind, "show", reference, "--json"]);
            for key in document["objects"][0].as_object().unwrap().keys() {
                assert!(columns.contains(&key.as_str()), "{kind} {key}");
            }
            let line: Value = serde_json::from_str(&env.out([kind, "show", reference, "--jsonl"])).unwrap();
            let keys = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(&line), keys(&document["objects"][0]));
        }
    }
}

#[test]
fn what_may_not_be_read_is_shown_as_unknown_with_its_reason() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("root of a user namespace may read everything");
    }
    env.out(["msgq", "create"]);
    env.out(["msgq", "send", "0", "secret"]);
    env.out(["shm", "create", "--size", "10"]);
    env.out(["sem", "create", "--value", "3"]);
    let output = env.ipcx_as_nobody(["show", "msgq/0", "shm/0", "sem/0", "--attach", "--json"]).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(refs(&document["objects"]), ["msgq/0", "shm/0", "sem/0"], "shown with what is known");
    assert_eq!(by_ref(&document["objects"], "msgq/0")["messages"], 1);
    assert_eq!(by_ref(&document["objects"], "shm/0")["size"], 10);
    assert_eq!(by_ref(&document["objects"], "sem/0")["nsems"], 1);
    let gaps = document["gaps"].as_array().unwrap();
    for (subject, field) in [("msgq/0", "first_messages"), ("shm/0", "first_bytes"), ("sem/0", "semaphores")] {
        let gap = gaps.iter().find(|gap| gap["subject"] == subject && gap["field"] == field);
        assert_eq!(gap.map(|gap| &gap["errno"]), Some(&json!("EACCES")), "{document:#}");
    }
    assert_eq!(output.status.code(), Some(0));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("secret"));
}

#[test]
fn a_process_that_cannot_be_looked_at_is_not_said_to_be_gone() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("there is no second user");
    }
    env.out(["msgq", "create", "--mode", "644"]);
    let mut sender = env.start(["msgq", "send", "0", "--lines"]);
    sender.write(b"one\n");
    until("the message", || shown(&env, "msgq/0")["messages"] == 1);
    // An instance of its own, in the test's mount namespace, which hides the processes of others.
    if !env.sh("mount -t proc -o hidepid=invisible proc /proc").output().unwrap().status.success() {
        crate::skip!("this kernel has no hidepid=invisible");
    }
    let output = env.ipcx_as_nobody(["show", "msgq/0", "--json"]).assert().success().get_output().stdout.clone();
    let document: Value = serde_json::from_slice(&output).unwrap();
    let last = process(&document["objects"][0], "last sender");
    assert_eq!((&last["pid"], &last["state"]), (&json!(sender.pid), &json!("unknown")));
}
