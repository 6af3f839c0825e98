use super::*;
use crate::kit::{NOBODY, program};
use std::os::unix::process::CommandExt as _;

#[test]
fn a_private_queue_is_its_bare_identifier_which_ipcrm_takes_too() {
    let env = Env::new();
    let queue = private(&env);
    assert!(queue.bytes().all(|byte| byte.is_ascii_digit()), "{queue}");
    send(&env, &queue, &["hello"]);
    assert_eq!(env.out(["msgq", "recv", &queue]), "hello");
    let created = env.sh("q=$(ipcx msgq create); ipcrm -q $q; ipcx msgq send $q x").assert().code(3);
    created.stderr(says("no such object"));
}

#[test]
fn the_first_queue_of_a_namespace_has_the_identifier_0_and_is_as_good_as_any() {
    let env = Env::new();
    assert_eq!(private(&env), "0");
    send(&env, "0", &["a", "b"]);
    assert_eq!(env.out(["msgq", "recv", "0"]), "a");
    env.ipcx(["msgq", "peek", "0", "--raw"]).assert().success().stdout("b");
    env.ipcx(["msgq", "rm", "0"]).assert().success();
    assert!(queues(&env).is_empty());
}

#[test]
fn a_posix_queue_is_its_name() {
    let env = Env::new();
    assert_eq!(env.out(["msgq", "create", "/jobs"]), "/jobs");
    assert_eq!(queues(&env), ["msgq//jobs"]);
}

#[test]
fn every_form_of_a_key_names_the_same_queue() {
    let env = Env::new();
    let queue = env.out(["msgq", "create", "0x4d2"]);
    for key in ["key/1234", "key/0x4d2", "key/02322", "0x4D2", "msgq/0x4d2"] {
        send(&env, key, &[key]);
        assert_eq!(env.out(["msgq", "recv", &queue]), key);
    }
}

#[test]
fn an_ftok_reference_is_the_key_that_ftok_prints() {
    let env = Env::new();
    fs::write(env.path("file"), "").unwrap();
    let queue = env.out(["msgq", "create", "ftok/file,a"]);
    let key = env.out(["ftok", "file", "a"]);
    send(&env, &key, &["by key"]);
    assert_eq!(env.out(["msgq", "recv", &queue]), "by key");
    // Another project is another queue.
    env.ipcx(["msgq", "recv", "ftok/file,b", "--nowait"]).assert().code(3);
    env.ipcx(["msgq", "create", "ftok/absent"]).assert().code(3).stderr(says("absent"));
}

#[test]
fn a_private_queue_is_open_to_its_owner_alone() {
    let env = Env::new();
    for queue in both(&env) {
        assert_eq!(shown(&env, &queue)["mode"], "0600", "{queue}");
    }
}

#[test]
fn system_v_ignores_the_umask_and_posix_applies_it() {
    let env = Env::new();
    let queue = env.sh("umask 077; ipcx msgq create key/7 --mode 666; ipcx msgq create /q --mode 666");
    { queue }.assert().success();
    assert_eq!(shown(&env, "key/7")["mode"], "0666");
    assert_eq!(shown(&env, "/q")["mode"], "0600");
}

#[test]
fn what_exists_is_status_5_and_stays_as_it_was() {
    let env = Env::new();
    env.out(["msgq", "create", "key/7", "--mode", "640", "--max-bytes", "100"]);
    env.out(["msgq", "create", "/q", "--mode", "640", "--max-messages", "3", "--message-size", "9"]);
    for (queue, shape) in [("key/7", vec!["--max-bytes", "50"]), ("/q", vec!["--max-messages", "2"])] {
        send(&env, queue, &["kept"]);
        let before = shown(&env, queue);
        let again = ["msgq", "create", queue, "--mode", "666"];
        let failed = env.ipcx(again.iter().chain(&shape)).assert().code(5).stdout("");
        failed.stderr(says("exists"));
        assert_eq!(shown(&env, queue), before);
        env.ipcx(again.iter().chain(&shape).chain(&["--exist-ok"])).assert().success();
        assert_eq!(shown(&env, queue), before);
        assert_eq!(drain(&env, queue), ["kept"]);
    }
}

#[test]
fn exist_ok_prints_the_reference_of_what_is_there() {
    let env = Env::new();
    let queue = env.out(["msgq", "create", "key/7", "--exist-ok"]);
    assert_eq!(env.out(["msgq", "create", "key/7", "--exist-ok"]), queue);
    assert_eq!(env.out(["msgq", "create", "/q", "--exist-ok"]), "/q");
    assert_eq!(env.out(["msgq", "create", "/q", "--exist-ok"]), "/q");
    assert_eq!(queues(&env).len(), 2);
}

#[test]
fn a_capacity_in_bytes_is_kept() {
    let env = Env::new();
    let queue = env.out(["msgq", "create", "--max-bytes", "1K"]);
    assert_eq!(shown(&env, &queue)["max_bytes"], 1024);
    send(&env, &queue, &[&"x".repeat(1000)]);
    env.ipcx(["msgq", "send", &queue, &"x".repeat(100), "--nowait"]).assert().code(6);
}

#[test]
fn a_posix_queue_has_the_messages_and_the_size_that_were_asked_for() {
    let env = Env::new();
    env.out(["msgq", "create", "/q", "--max-messages", "2", "--message-size", "16"]);
    let queue = shown(&env, "/q");
    assert_eq!((&queue["max_messages"], &queue["message_size"]), (&2.into(), &16.into()));
    // What is not given is the system's default.
    env.out(["msgq", "create", "/r", "--max-messages", "2"]);
    assert_eq!(shown(&env, "/r")["message_size"], 8192);
}

#[test]
fn an_option_of_the_other_family_is_wrong_usage_and_makes_nothing() {
    let env = Env::new();
    for line in [
        &["--max-messages", "3"][..],
        &["--message-size", "3"],
        &["key/7", "--max-messages", "3"],
        &["/q", "--max-bytes", "3"],
        &["/q", "--max-messages", "0"],
        &["--max-bytes", "-1"],
        &["--mode", "1777"],
        &["--mode", "rw"],
    ] {
        env.ipcx(["msgq", "create"].iter().chain(line)).assert().code(2).stdout("");
    }
    let refused = env.ipcx(["msgq", "create", "/q", "--max-bytes", "3"]).assert().code(2);
    refused.stderr(says("hint: use --max-messages"));
    assert!(queues(&env).is_empty());
}

#[test]
fn an_identifier_cannot_be_asked_for() {
    let env = Env::new();
    env.ipcx(["msgq", "create", "7"]).assert().code(2).stdout("").stderr(says("kernel chooses").and(says("hint:")));
    for reference in ["4294967296", "0x100000001", "0x0", "key/0", "jobs", "/a/b", "/", ""] {
        env.ipcx(["msgq", "create", reference]).assert().code(2).stdout("");
    }
    assert!(queues(&env).is_empty());
}

#[test]
fn a_reference_that_fits_no_form_says_which_forms_there_are() {
    let env = Env::new();
    env.ipcx(["msgq", "create", "jobs"]).assert().code(2).stderr(says("key/1234").and(says("/name")));
    // And is never shown as it came.
    env.ipcx(["msgq", "create", "a\x1b[2Jb"]).assert().code(2).stderr(says("a\\x1b[2Jb").and(says("\x1b[2J").not()));
}

#[test]
fn too_many_queues_are_a_limit_that_is_named_with_its_value() {
    let env = Env::new();
    private(&env);
    if !sysctl("kernel/msgmni", "1") {
        crate::skip!("kernel.msgmni cannot be set here");
    }
    env.ipcx(["msgq", "create"]).assert().code(7).stdout("").stderr(says("kernel.msgmni = 1 "));
    env.out(["msgq", "create", "/a"]);
    if !sysctl("fs/mqueue/queues_max", "1") {
        crate::skip!("fs.mqueue.queues_max cannot be set here");
    }
    // The kernel lets CAP_SYS_RESOURCE pass this limit.
    if env.has_users() {
        let refused = env.ipcx_as_nobody(["msgq", "create", "/b"]).assert().code(7).stdout("");
        refused.stderr(says("fs.mqueue.queues_max = 1 "));
    }
}

#[test]
fn a_posix_queue_over_the_limits_is_refused_with_their_values() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("root is needed for a second user");
    }
    let refused = env.ipcx_as_nobody(["msgq", "create", "/q", "--max-messages", "100000"]).assert().code(7);
    refused.stdout("").stderr(says("fs.mqueue.msg_max = 10 "));
    // RLIMIT_MSGQUEUE counts all queues of a user: maxmsg * (msgsize + 96).
    let mut command = Command::new("prlimit");
    command.arg("--msgqueue=1000").arg(program()).args(["msgq", "create", "/q"]).uid(NOBODY).gid(NOBODY);
    let Ok(output) = command.output() else { crate::skip!("there is no prlimit(1) here") };
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(status(output.status), 7, "{said}");
    assert!(said.contains("RLIMIT_MSGQUEUE = 1000 "), "{said}");
    assert!(queues(&env).is_empty());
}

#[test]
fn a_queue_whose_reference_nobody_could_read_is_removed_again() {
    let env = Env::new();
    for reference in ["", "key/7", "/q"] {
        for output in [">/dev/full", ">&-"] {
            let failed = env.sh(&format!("ipcx msgq create {reference} {output}")).assert().code(1);
            failed.stderr(says("removed again").and(says("standard output")));
            assert!(queues(&env).is_empty(), "{reference} {output}");
        }
    }
}

#[test]
fn a_queue_that_was_there_before_outlives_a_failing_standard_output() {
    let env = Env::new();
    for reference in ["key/7", "/q"] {
        env.out(["msgq", "create", reference]);
        send(&env, reference, &["kept"]);
        env.sh(&format!("ipcx msgq create {reference} --exist-ok >/dev/full")).assert().code(1);
        assert_eq!(drain(&env, reference), ["kept"]);
    }
}

#[test]
fn a_closed_pipe_behind_create_is_a_failure_that_leaves_no_queue() {
    let env = Env::new();
    let mut creating = start(&env, "read -r go; exec ipcx msgq create");
    creating.close_stdout();
    creating.write(b"\n");
    let ended = creating.end();
    assert_eq!(status(ended.status), 1);
    assert!(String::from_utf8(ended.stderr).unwrap().contains("removed again"));
    assert!(queues(&env).is_empty());
}
