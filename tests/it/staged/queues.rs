//! System V message queues.

use super::*;

fn queue() -> Option<String> {
    Some("msgq/0".to_owned())
}

/// An empty queue, used by processes that are gone.
fn used(stage: &Stage) -> Option<String> {
    stage.sh("ipcx msgq create; ipcx msgq send 0 hello; ipcx msgq recv 0");
    queue()
}

pub(super) static ALL: &[Situation] = &[
    situation("a queue on which a process waits for a message", IN_USE, Now, |stage| {
        used(stage)?;
        stage.start(&["msgq", "recv", "0"]);
        stage.wait_blocked("do_msgrcv");
        queue()
    }),
    situation("a queue on which a process waits for a message of another type", IN_USE, Now, |stage| {
        used(stage)?;
        stage.out(&["msgq", "send", "0", "-t", "5", "hello"]);
        stage.start(&["msgq", "recv", "0", "-t", "7"]);
        stage.wait_blocked("do_msgrcv");
        queue()
    }),
    situation("a queue on which a process waits for room", IN_USE, Now, |stage| {
        stage.out(&["msgq", "create", "--max-bytes", "4"]);
        stage.out(&["msgq", "send", "0", "1234"]);
        stage.start(&["msgq", "send", "0", "5678"]);
        stage.wait_blocked("do_msgsnd");
        queue()
    }),
    situation("a queue on which a stopped process waits", IN_USE, Now, |stage| {
        used(stage)?;
        stage.start(&["msgq", "recv", "0"]);
        stage.wait_blocked("do_msgrcv");
        stage.stop();
        queue()
    }),
    situation("a queue on which a process of another PID namespace waits", IN_USE, Now, |stage| {
        used(stage)?;
        // It receives one first, so that it is known to have got there.
        stage.out(&["msgq", "send", "0", "first"]);
        stage.apart(&["msgq", "recv", "0", "-n", "2"]);
        stage.until("msgq/0", "messages", 0);
        queue()
    }),
    situation("a queue whose last receiver lives", IN_USE, Now, |stage| {
        stage.sh("ipcx msgq create; ipcx msgq send 0 first");
        stage.start(&["msgq", "recv", "0", "-n", "2"]);
        stage.until("msgq/0", "messages", 0);
        queue()
    }),
    situation("a queue whose last sender lives", IN_USE, Now, |stage| {
        stage.out(&["msgq", "create", "--max-bytes", "4"]);
        stage.start(&["msgq", "send", "0", "1234", "5678", "9012"]);
        stage.until("msgq/0", "messages", 1);
        // It has sent two and waits with the third, while the last receiver is gone.
        stage.out(&["msgq", "recv", "0"]);
        stage.until("msgq/0", "messages", 1);
        queue()
    }),
    situation("an empty queue whose users are gone", ORPHAN, Now, used),
    situation("a queue with a key whose users are gone", ORPHAN, Now, |stage| {
        stage.sh("ipcx msgq create 0x4d2; ipcx msgq send 0 hello; ipcx msgq recv 0");
        queue()
    }),
    situation("a queue whose receiver was killed", ORPHAN, Now, |stage| {
        used(stage)?;
        stage.start(&["msgq", "recv", "0"]);
        stage.wait_blocked("do_msgrcv");
        drop(stage.running.borrow_mut().pop());
        queue()
    }),
    situation("a queue whose users were in a PID namespace that is gone", ORPHAN, Now, |stage| {
        stage.sh("unshare --pid --fork sh -euc 'ipcx msgq create; ipcx msgq send 0 hello; ipcx msgq recv 0'");
        queue()
    }),
    situation("a queue whose sender's pid was given to a process of another IPC namespace", ORPHAN, Now, |stage| {
        used(stage)?;
        let sender = stage.fact("msgq/0", "lspid").as_i64().unwrap();
        stage.reuse(sender, true).then(queue).flatten()
    }),
    situation("a queue whose sender's pid was given to a process of its user", SUSPECT, Now, |stage| {
        used(stage)?;
        let sender = stage.fact("msgq/0", "lspid").as_i64().unwrap();
        stage.reuse(sender, false).then(queue).flatten()
    }),
    situation("a queue that another user made while root waits on it", UNKNOWN, Nobody, |stage| {
        if !stage.env.has_users() {
            return None;
        }
        let made = stage.env.ipcx_as_nobody(["msgq", "create", "--mode", "600"]).assert().success();
        assert_eq!(made.get_output().stdout, b"0\n");
        for args in [&["msgq", "send", "0", "hello"][..], &["msgq", "recv", "0"]] {
            stage.env.ipcx_as_nobody(args).assert().success();
        }
        stage.start(&["msgq", "recv", "0"]);
        stage.wait_blocked("do_msgrcv");
        queue()
    }),
    situation("a queue while its owner runs programs in another IPC namespace", ORPHAN, Now, |stage| {
        stage.program(&["unshare", "--ipc", "sh", "-c", "touch moved; read wait"]);
        until("the program to have moved", || stage.env.path("moved").exists());
        used(stage)
    }),
    situation("a queue with a message in it", SUSPECT, Now, |stage| {
        stage.sh("ipcx msgq create; ipcx msgq send 0 hello");
        queue()
    }),
    situation("a queue with an empty message in it", SUSPECT, Now, |stage| {
        stage.sh("ipcx msgq create; ipcx msgq send 0 ''");
        queue()
    }),
    situation("a queue that nobody has used", SUSPECT, Now, |stage| {
        stage.out(&["msgq", "create"]);
        queue()
    }),
    situation("a queue that was used just now", SUSPECT, Patient, used),
    situation("a queue of a script between two runs", SUSPECT, Now, |stage| {
        stage.script("ipcx msgq create; ipcx msgq send 0 hello; ipcx msgq recv 0");
        queue()
    }),
    situation("a queue whose user is gone and has left a child", SUSPECT, Now, |stage| {
        stage.leave_child("ipcx msgq create; ipcx msgq send 0 hello; ipcx msgq recv 0");
        queue()
    }),
    situation("a queue whose users are outside the judge's PID namespace", UNKNOWN, Apart, used),
    situation("a queue of another user that may not be looked into", UNKNOWN, Nobody, |stage| {
        used(stage)?;
        stage.program(&["sleep", "1000"]);
        queue()
    }),
];

#[test]
fn queues_are_judged_rightly() {
    check(ALL);
}
