//! What an unprivileged user may do, and what he is told.

use super::*;

/// Queues of root with this mode, whatever the umask.
fn of_root(env: &Env, mode: &str) -> [String; 2] {
    let queues = both(env);
    for queue in &queues {
        env.ipcx(["msgq", "set", queue, "--mode", mode]).assert().success();
    }
    queues
}

#[test]
fn a_queue_of_another_user_is_status_4_for_every_verb() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("root is needed for a second user");
    }
    for queue in of_root(&env, "600") {
        send(&env, &queue, &["secret"]);
        for line in [
            &["send", &queue, "x"][..],
            &["recv", &queue],
            &["recv", &queue, "--all"],
            &["peek", &queue],
            &["set", &queue, "--mode", "666"],
            &["rm", &queue],
            &["rm", "--force", &queue],
        ] {
            let refused = env.ipcx_as_nobody(["msgq"].iter().chain(line)).assert().code(4);
            refused.stdout("").stderr(says("cannot ").and(says(&queue)).and(says("secret").not()));
        }
        assert_eq!(shown(&env, &queue)["mode"], "0600");
        assert_eq!(drain(&env, &queue), ["secret"]);
    }
}

#[test]
fn who_is_refused_a_system_v_queue_is_told_its_owner_and_mode() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("root is needed for a second user");
    }
    let [queue, _] = of_root(&env, "640");
    for line in [
        &["send", &queue, "x"][..],
        &["recv", &queue],
        &["peek", &queue],
        &["set", &queue, "--mode", "666"],
        &["rm", &queue],
    ] {
        let refused = env.ipcx_as_nobody(["msgq"].iter().chain(line)).assert().code(4);
        refused.stderr(says("root").and(says("0640")));
    }
}

#[test]
fn who_is_refused_a_posix_queue_is_told_its_owner_and_mode() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("root is needed for a second user");
    }
    // As far as it can be known: with one of the two rights the queue can be looked at.
    for (mode, line) in [("644", ["send", "/q", "x"]), ("622", ["recv", "/q", "--nowait"])] {
        env.out(["msgq", "create", "/q", "--exist-ok"]);
        env.ipcx(["msgq", "set", "/q", "--mode", mode]).assert().success();
        let refused = env.ipcx_as_nobody(["msgq"].iter().chain(&line)).assert().code(4);
        refused.stderr(says("root").and(says(format!("0{mode}"))));
    }
}

#[test]
fn the_right_to_send_needs_no_right_to_receive() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("root is needed for a second user");
    }
    for queue in of_root(&env, "622") {
        env.ipcx_as_nobody(["msgq", "send", &queue, "a", "b"]).assert().success();
        env.ipcx_as_nobody(["msgq", "recv", &queue]).assert().code(4).stdout("");
        assert_eq!(drain(&env, &queue), ["a", "b"]);
    }
}

#[test]
fn the_right_to_receive_needs_no_right_to_send() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("root is needed for a second user");
    }
    for queue in of_root(&env, "644") {
        send(&env, &queue, &["a", "b"]);
        if !queue.starts_with('/') {
            env.ipcx_as_nobody(["msgq", "peek", &queue, "-0"]).assert().success().stdout("a\0b\0");
        }
        env.ipcx_as_nobody(["msgq", "recv", &queue]).assert().success().stdout("a\n");
        env.ipcx_as_nobody(["msgq", "send", &queue, "x"]).assert().code(4);
        assert_eq!(drain(&env, &queue), ["b"]);
    }
}

#[test]
fn exist_ok_is_content_with_a_queue_that_may_not_be_opened() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("root is needed for a second user");
    }
    let queue = env.out(["msgq", "create", "key/7"]);
    env.out(["msgq", "create", "/q"]);
    for (reference, bare) in [("key/7", queue.as_str()), ("/q", "/q")] {
        env.ipcx_as_nobody(["msgq", "create", reference]).assert().code(5);
        let done = env.ipcx_as_nobody(["msgq", "create", reference, "--exist-ok"]).assert().success();
        done.stdout(format!("{bare}\n"));
    }
}

#[test]
fn an_owner_without_rights_can_give_them_back_to_himself() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("root is needed for a second user");
    }
    env.ipcx_as_nobody(["msgq", "create", "key/7", "--mode", "000"]).assert().success();
    env.ipcx_as_nobody(["msgq", "send", "key/7", "x"]).assert().code(4);
    env.ipcx_as_nobody(["msgq", "set", "key/7", "--mode", "600"]).assert().success();
    env.ipcx_as_nobody(["msgq", "send", "key/7", "x"]).assert().success();
    assert_eq!(drain(&env, "key/7"), ["x"]);
}

#[test]
fn an_unreadable_queue_is_shown_with_what_is_known() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("root is needed for a second user");
    }
    let [queue, _] = of_root(&env, "600");
    send(&env, &queue, &["secret"]);
    let shown = env.ipcx_as_nobody(["msgq", "show", &queue, "--json"]).assert().success();
    let out = String::from_utf8(shown.get_output().stdout.clone()).unwrap();
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["objects"][0]["messages"], 1);
    assert_eq!(document["objects"][0]["first_messages"], serde_json::Value::Null);
    assert!(!out.contains("secret"));
    let gaps = document["gaps"].as_array().unwrap();
    assert!(gaps.iter().any(|gap| gap["field"] == "first_messages"), "{out}");
}
