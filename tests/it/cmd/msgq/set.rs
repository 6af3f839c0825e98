use super::*;

#[test]
fn the_mode_of_a_live_queue_changes_and_nothing_else() {
    let env = Env::new();
    for queue in both(&env) {
        send(&env, &queue, &["kept"]);
        let before = shown(&env, &queue);
        env.ipcx(["msgq", "set", &queue, "--mode", "624"]).assert().success().stdout("").stderr("");
        let after = shown(&env, &queue);
        assert_eq!(after["mode"], "0624", "{queue}");
        for fact in ["uid", "gid", "max_bytes", "max_messages", "messages", "bytes", "stime"] {
            assert_eq!(before[fact], after[fact], "{fact}");
        }
        assert_eq!(drain(&env, &queue), ["kept"]);
    }
}

#[test]
fn owner_and_group_change_together_or_alone() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("root is needed for a second user");
    }
    for queue in both(&env) {
        for (owner, uid, gid) in [("1234:4321", 1234, 4321), (":77", 1234, 77), ("88", 88, 77), ("nobody", 65534, 77)] {
            env.ipcx(["msgq", "set", &queue, "--owner", owner]).assert().success();
            let queue = shown(&env, &queue);
            assert_eq!((&queue["uid"], &queue["gid"]), (&uid.into(), &gid.into()), "{owner}");
            assert_eq!(queue["mode"], "0600");
        }
    }
}

#[test]
fn a_larger_capacity_lets_a_waiting_sender_go_on() {
    let env = Env::new();
    let queue = env.out(["msgq", "create", "--max-bytes", "4"]);
    send(&env, &queue, &["full"]);
    let mut sending = env.start(["msgq", "send", &queue, "more"]);
    sending.wait_blocked("do_msgsnd");
    env.ipcx(["msgq", "set", &queue, "--max-bytes", "1K"]).assert().success();
    assert_eq!(status(sending.status()), 0);
    assert_eq!(shown(&env, &queue)["max_bytes"], 1024);
    assert_eq!(drain(&env, &queue), ["full", "more"]);
}

#[test]
fn a_capacity_over_msgmnb_is_for_root() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("root is needed for a second user");
    }
    let queue = private(&env);
    env.ipcx(["msgq", "set", &queue, "--max-bytes", "1M"]).assert().success();
    assert_eq!(shown(&env, &queue)["max_bytes"], 1 << 20);
    env.ipcx_as_nobody(["msgq", "create", "key/7"]).assert().success();
    let refused = env.ipcx_as_nobody(["msgq", "set", "key/7", "--max-bytes", "1M"]).assert().code(4);
    refused.stderr(says("hint: kernel.msgmnb = 16384 "));
    assert_eq!(shown(&env, "key/7")["max_bytes"], 16384);
    env.ipcx_as_nobody(["msgq", "set", "key/7", "--max-bytes", "16384"]).assert().success();
    // And a queue that cannot be as large as it was asked for is not made at all.
    let refused = env.ipcx_as_nobody(["msgq", "create", "key/8", "--max-bytes", "1M"]).assert().code(4);
    refused.stdout("").stderr(says("hint: kernel.msgmnb = 16384 "));
    assert_eq!(queues(&env).len(), 2);
}

#[test]
fn the_capacity_of_a_posix_queue_cannot_change() {
    let env = Env::new();
    env.out(["msgq", "create", "/q"]);
    let line = ["msgq", "set", "/q", "--max-bytes", "1K", "--mode", "666"];
    env.ipcx(line).assert().code(1).stderr(says("fixed"));
    assert_eq!(shown(&env, "/q")["mode"], "0600");
}

#[test]
fn wrong_changes_are_wrong_usage_and_change_nothing() {
    let env = Env::new();
    for queue in both(&env) {
        let before = shown(&env, &queue);
        for line in [
            &[][..],
            &["--mode", "rw"],
            &["--mode", "999"],
            &["--mode", "1777"],
            &["--owner", ""],
            &["--owner", ":"],
            &["--owner", "no-such-user-here"],
            &["--owner", "0:no-such-group-here"],
            &["--owner", "4294967296"],
            &["--owner", "4294967295"],
            &["--max-bytes", "lots"],
            &["--mode", "666", "--max-bytes", "18446744073709551616"],
        ] {
            let failed = env.ipcx(["msgq", "set", &queue].iter().chain(line)).assert();
            let output = failed.get_output();
            assert_eq!(status(output.status), 2, "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        assert_eq!(shown(&env, &queue), before);
    }
}

#[test]
fn a_capacity_that_the_kernel_cannot_hold_is_no_smaller_one() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("the kernel reserves this to real root");
    }
    let queue = private(&env);
    for size in ["4294967296", "8E"] {
        let done = env.ipcx(["msgq", "set", &queue, "--max-bytes", size]).assert();
        let set = done.get_output().status.success();
        let now = shown(&env, &queue)["max_bytes"].as_u64().unwrap();
        assert!(if set { now >= 4_294_967_296 } else { now == 16384 }, "{size}: {set} {now}");
        env.ipcx(["msgq", "set", &queue, "--max-bytes", "16384"]).assert().success();
    }
}

#[test]
fn a_queue_that_is_not_there_is_status_3() {
    let env = Env::new();
    for queue in ["7", "0x4d2", "/absent"] {
        env.ipcx(["msgq", "set", queue, "--mode", "600"]).assert().code(3).stderr(says("no such object"));
    }
}
