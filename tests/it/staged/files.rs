//! FIFOs and the files of sockets.

use super::*;

fn fifo(stage: &Stage) -> Option<String> {
    stage.out(&["mkfifo", "./f"]);
    Some("fifo/./f".to_owned())
}

fn listening(stage: &Stage, kind: &str) -> Option<String> {
    let verb = if kind == "dgram" { "recv" } else { "listen" };
    stage.start(&["sock", verb, "./s", "--type", kind]);
    stage.running.borrow_mut().last_mut().unwrap().said();
    Some("sock/./s".to_owned())
}

pub(super) static ALL: &[Situation] = &[
    situation("a FIFO that a process waits to read", IN_USE, Now, |stage| {
        let reference = fifo(stage);
        stage.start(&["fifo", "recv", "./f"]);
        stage.wait_blocked("wait_for_partner");
        reference
    }),
    situation("a FIFO that a process waits to write", IN_USE, Now, |stage| {
        let reference = fifo(stage);
        stage.start(&["fifo", "send", "./f", "hello"]);
        stage.wait_blocked("wait_for_partner");
        reference
    }),
    situation("a FIFO that a process has open", IN_USE, Now, |stage| {
        let reference = fifo(stage);
        stage.script("exec 3<>f");
        reference
    }),
    situation("a FIFO that a stopped process of another PID namespace has open", IN_USE, Now, |stage| {
        let reference = fifo(stage);
        let hold = "exec 3<>f; touch done; kill -STOP $$";
        stage.program(&["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", &format!("sh -c '{hold}'; :")]);
        until("it to be open", || stage.env.path("done").exists());
        reference
    }),
    situation("a FIFO of a process whose first thread has ended", IN_USE, Now, |stage| {
        let reference = fifo(stage);
        stage.headless("file f");
        reference
    }),
    situation("a FIFO without ends", SUSPECT, Now, fifo),
    situation("a FIFO whose reader was killed", SUSPECT, Now, |stage| {
        let reference = fifo(stage);
        stage.start(&["fifo", "recv", "./f"]);
        stage.wait_blocked("wait_for_partner");
        drop(stage.running.borrow_mut().pop());
        reference
    }),
    situation("a FIFO that processes of another user may have open", UNKNOWN, Nobody, |stage| {
        let reference = fifo(stage);
        stage.script("exec 3<>f");
        reference
    }),
    situation("a socket that takes connections", IN_USE, Now, |stage| listening(stage, "stream")),
    situation("a socket for datagrams", IN_USE, Now, |stage| listening(stage, "dgram")),
    situation("a socket of a stopped process", IN_USE, Now, |stage| {
        let reference = listening(stage, "stream");
        stage.stop();
        reference
    }),
    situation("a socket of another network namespace", IN_USE, Now, |stage| {
        stage.program(&["unshare", "--net", "ipcx", "sock", "listen", "./s"]);
        stage.running.borrow_mut().last_mut().unwrap().said();
        Some("sock/./s".to_owned())
    }),
    situation("a socket of a process of another PID namespace", IN_USE, Now, |stage| {
        stage.apart(&["sock", "listen", "./s"]);
        stage.running.borrow_mut().last_mut().unwrap().said();
        Some("sock/./s".to_owned())
    }),
    situation("a socket that another user asks about", IN_USE, Nobody, |stage| listening(stage, "stream")),
    situation("a file of a socket whose process was killed", ORPHAN, Now, |stage| {
        let reference = listening(stage, "stream");
        drop(stage.running.borrow_mut().pop());
        reference
    }),
    situation("a file of a socket for datagrams whose process was killed", ORPHAN, Now, |stage| {
        let reference = listening(stage, "dgram");
        drop(stage.running.borrow_mut().pop());
        reference
    }),
    // A program may be between two runs.
    situation("a file of a socket whose process was killed just now", SUSPECT, Patient, |stage| {
        let reference = listening(stage, "stream");
        drop(stage.running.borrow_mut().pop());
        reference
    }),
    situation("a socket's file deep below", ORPHAN, Now, |stage| {
        stage.sh("mkdir -p a/b/c");
        crate::kit::leave_stale(&stage.env.path("a/b/c/s"));
        Some("sock/./a/b/c/s".to_owned())
    }),
];

#[test]
fn files_are_judged_rightly() {
    check(ALL);
}
