use super::*;

#[test]
fn a_queue_is_removed_by_any_of_its_names() {
    let env = Env::new();
    let identifier = private(&env);
    fs::write(env.path("file"), "").unwrap();
    for reference in ["key/7", "0x8", "/q", "ftok/file"] {
        env.out(["msgq", "create", reference]);
    }
    let line = ["msgq", "rm", &identifier, "0x7", "key/8", "msgq//q", "ftok/file,1"];
    env.ipcx(line).assert().success().stdout("");
    assert!(queues(&env).is_empty());
}

#[test]
fn what_was_in_it_is_said() {
    let env = Env::new();
    let queue = private(&env);
    send(&env, &queue, &["abc", "de"]);
    env.ipcx(["msgq", "rm", &queue]).assert().success().stderr(says("2 messages").and(says("5 bytes")));
}

#[test]
fn a_queue_that_is_not_there_is_status_3_unless_that_is_fine() {
    let env = Env::new();
    let queue = private(&env);
    env.ipcx(["msgq", "rm", &queue]).assert().success();
    for queue in [&queue, "7", "0x4d2", "/absent"] {
        env.ipcx(["msgq", "rm", queue]).assert().code(3).stderr(says("no such object"));
        env.ipcx(["msgq", "rm", "--missing-ok", queue]).assert().success().stderr("");
    }
}

#[test]
fn of_several_all_are_tried_and_the_first_failure_is_the_status() {
    let env = Env::new();
    let [sysv, posix] = both(&env);
    let failed = env.ipcx(["msgq", "rm", "/absent", &sysv, "0x4d2", &posix]).assert().code(3);
    failed.stderr(says("msgq//absent").and(says("msgq/0x4d2")));
    assert!(queues(&env).is_empty());
    let [sysv, posix] = both(&env);
    env.ipcx(["msgq", "rm", "--missing-ok", "/absent", &sysv, &posix]).assert().success();
    assert!(queues(&env).is_empty());
}

#[test]
fn of_several_failures_the_first_one_counts() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("root is needed for a second user");
    }
    let queue = private(&env);
    env.ipcx_as_nobody(["msgq", "create", "key/7"]).assert().success();
    env.ipcx_as_nobody(["msgq", "rm", &queue, "/absent"]).assert().code(4);
    env.ipcx_as_nobody(["msgq", "rm", "/absent", &queue, "key/7"]).assert().code(3);
    assert_eq!(queues(&env), [format!("msgq/{queue}")]);
}

#[test]
fn a_number_out_of_range_is_wrong_usage_and_removes_nothing() {
    let env = Env::new();
    assert_eq!(private(&env), "0");
    env.out(["msgq", "create", "key/1"]);
    for reference in [
        "4294967296",
        "0x100000001",
        "-1",
        "key/4294967297",
        "2147483648",
        "18446744073709551616",
        "0x0",
        "1x",
        "+0",
        " 0",
        "0 ",
        "",
    ] {
        // Not even what was named rightly beside it.
        env.ipcx(["msgq", "rm", "0", reference]).assert().code(2).stdout("");
        env.ipcx(["msgq", "rm", "--missing-ok", "--force", "--", reference, "0"]).assert().code(2);
    }
    env.ipcx(["msgq", "rm"]).assert().code(2);
    assert_eq!(queues(&env).len(), 2);
}

#[test]
fn a_posix_queue_that_is_open_is_in_use() {
    let env = Env::new();
    env.out(["msgq", "create", "/q"]);
    let mut receiving = env.start(["msgq", "recv", "/q"]);
    receiving.wait_blocked("wq_sleep");
    env.ipcx(["msgq", "rm", "/q"]).assert().code(1).stderr(says("in use").and(says("--force")));
    assert_eq!(queues(&env), ["msgq//q"]);
    env.ipcx(["msgq", "rm", "--force", "/q"]).assert().success();
    assert!(queues(&env).is_empty());
}
