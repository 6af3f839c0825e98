use super::*;

/// Whether we have CAP_SYS_RESOURCE, bit 24.
fn may_pass_limits() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(effective.trim(), 16).unwrap() & (1 << 24) != 0
}

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
    // Root of a container may be no more than an ordinary user in this.
    if may_pass_limits() {
        env.ipcx(["msgq", "set", &queue, "--max-bytes", "1M"]).assert().success();
        assert_eq!(shown(&env, &queue)["max_bytes"], 1 << 20);
    }
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

/// (uid_t) -1: chown(2) takes it for "leave it as it is", msgctl(2) refuses it.
fn refuses_the_owner_that_is_none(queue_of: fn(&Env) -> String) {
    let env = Env::new();
    let queue = queue_of(&env);
    let before = shown(&env, &queue);
    for owner in ["4294967295", "0:4294967295"] {
        env.ipcx(["msgq", "set", &queue, "--owner", owner]).assert().code(2).stderr(says("4294967295"));
    }
    assert_eq!(shown(&env, &queue), before);
}

#[test]
fn the_owner_that_means_none_to_the_kernel_is_refused_for_a_system_v_queue() {
    refuses_the_owner_that_is_none(private);
}

#[test]
fn the_owner_that_means_none_to_the_kernel_is_refused_for_a_posix_queue() {
    refuses_the_owner_that_is_none(|env| env.out(["msgq", "create", "/q"]));
}

#[test]
fn a_capacity_that_the_kernel_would_cut_to_32_bits_is_refused() {
    let env = Env::new();
    let queue = private(&env);
    // The kernel takes it as an int (msgctl_down, ipc/msg.c): 4 GiB and a byte would be one byte.
    for size in ["4294967296", "4294967297", "8E", "18446744073709551615"] {
        let refused = env.ipcx(["msgq", "set", &queue, "--max-bytes", size]).assert();
        assert_eq!(shown(&env, &queue)["max_bytes"], 16384, "{size}");
        refused.failure();
        env.ipcx(["msgq", "create", "key/7", "--max-bytes", size]).assert().failure().stdout("");
    }
    assert_eq!(queues(&env).len(), 1);
}

#[test]
fn a_queue_that_is_not_there_is_status_3() {
    let env = Env::new();
    for queue in ["7", "0x4d2", "/absent"] {
        env.ipcx(["msgq", "set", queue, "--mode", "600"]).assert().code(3).stderr(says("no such object"));
    }
}
