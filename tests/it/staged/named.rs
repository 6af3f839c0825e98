//! POSIX shared memory, semaphores and message queues.

use super::*;
use crate::kit::look::mount_mqueue;

/// A pid that no process can have: it is over the largest pid_max, proc_sys_kernel(5).
const NO_PID: &str = "4194305";

fn region(stage: &Stage, name: &str) -> Option<String> {
    stage.out(&["shm", "create", name, "--size", "4K"]);
    Some(format!("shm/{name}"))
}

fn torch(stage: &Stage, pid: impl std::fmt::Display) -> Option<String> {
    region(stage, &format!("/torch_{pid}_1_0"))
}

fn mapped(stage: &Stage, reference: String) -> Option<String> {
    let name = reference.strip_prefix("shm/").unwrap().to_owned();
    stage.start(&["shm", "attach", &name]);
    stage.until(&reference, "in_use", true);
    Some(reference)
}

fn semaphore(stage: &Stage, name: &str) -> Option<String> {
    stage.out(&["sem", "create", name]);
    Some(format!("sem/{name}"))
}

fn queue(stage: &Stage) -> Option<String> {
    stage.out(&["msgq", "create", "/jobs", "--max-messages", "2", "--message-size", "8"]);
    Some("msgq//jobs".to_owned())
}

pub(super) static ALL: &[Situation] = &[
    situation("a region that is mapped", IN_USE, Now, |stage| mapped(stage, region(stage, "/frames")?)),
    situation("a region that is open and not mapped", IN_USE, Now, |stage| {
        let reference = region(stage, "/frames");
        stage.script("exec 3</dev/shm/frames");
        reference
    }),
    situation("a region mapped by a stopped process", IN_USE, Now, |stage| {
        let reference = mapped(stage, region(stage, "/frames")?);
        stage.stop();
        reference
    }),
    situation("a region mapped from other PID and mount namespaces", IN_USE, Now, |stage| {
        let reference = region(stage, "/frames")?;
        stage.program(&["unshare", "--pid", "--mount", "--fork", "--kill-child", "ipcx", "shm", "attach", "/frames"]);
        stage.until(&reference, "in_use", true);
        Some(reference)
    }),
    situation("a region of PyTorch that is mapped while its maker is gone", IN_USE, Now, |stage| {
        mapped(stage, torch(stage, NO_PID)?)
    }),
    situation("a region of PyTorch whose maker is gone", ORPHAN, Now, |stage| torch(stage, NO_PID)),
    // That it started later is what the clock says, which may have been set.
    situation("a region of PyTorch whose maker's pid was given to a process of its user", SUSPECT, Now, |stage| {
        let gone = Running::start(std::process::Command::new("true"));
        let pid = i64::from(gone.pid);
        gone.status();
        let reference = torch(stage, pid);
        stage.reuse(pid, false).then_some(reference).flatten()
    }),
    // By that number another PID namespace may know its maker.
    situation("a region of PyTorch while its user has a process in another PID namespace", SUSPECT, Now, |stage| {
        stage.apart(&["signal", "trap", "USR1"]);
        torch(stage, NO_PID)
    }),
    situation("a region of PyTorch while a PID namespace has a /dev/shm of its own", ORPHAN, Now, |stage| {
        let script = "mount -t tmpfs none /dev/shm; touch moved; read wait";
        let words = ["unshare", "--pid", "--mount", "--fork", "--kill-child", "sh", "-euc", script];
        stage.program(&words);
        until("the directory to be mounted", || stage.env.path("moved").exists());
        // unshare(1) itself stays where it was, but its PID namespace too.
        torch(stage, NO_PID)
    }),
    situation("a region of PyTorch whose maker lives", SUSPECT, Now, |stage| {
        let pid = stage.program(&["sleep", "1000"]);
        torch(stage, pid)
    }),
    situation("a region of PyTorch that was made just now", SUSPECT, Patient, |stage| torch(stage, NO_PID)),
    situation("a region of NCCL, whose names tell no pid", SUSPECT, Now, |stage| region(stage, "/nccl-Ab12cD")),
    situation("a region of no known program that nobody has open", SUSPECT, Now, |stage| region(stage, "/frames")),
    situation("a region that only looks like one of PyTorch", SUSPECT, Now, |stage| region(stage, "/torch_x_1")),
    situation("a region of another user", UNKNOWN, Nobody, |stage| region(stage, "/frames")),
    situation("a region of another user that everybody may read", UNKNOWN, Nobody, |stage| {
        stage.out(&["shm", "create", &format!("/torch_{NO_PID}_1_0"), "--size", "1", "--mode", "666"]);
        Some(format!("shm//torch_{NO_PID}_1_0"))
    }),
    situation("a named semaphore that a process waits on", IN_USE, Now, |stage| {
        let reference = semaphore(stage, "/lock");
        stage.start(&["sem", "wait", "/lock"]);
        stage.wait_blocked("futex");
        reference
    }),
    situation("a named semaphore that a process holds", IN_USE, Now, |stage| {
        stage.out(&["sem", "create", "/lock", "--value", "1"]);
        stage.start(&["sem", "run", "/lock", "--", "sleep", "1000"]);
        stage.until("sem//lock", "value", 0);
        Some("sem//lock".to_owned())
    }),
    situation("a named semaphore of loky whose maker is gone", ORPHAN, Now, |stage| {
        semaphore(stage, &format!("/loky-{NO_PID}-x7z"))
    }),
    situation("a named semaphore of loky whose maker lives", SUSPECT, Now, |stage| {
        semaphore(stage, &format!("/loky-{}-x7z", std::process::id()))
    }),
    situation("a named semaphore that nobody has open", SUSPECT, Now, |stage| semaphore(stage, "/lock")),
    situation("a named semaphore whose waiter was killed", SUSPECT, Now, |stage| {
        let reference = semaphore(stage, "/lock");
        stage.start(&["sem", "wait", "/lock"]);
        stage.wait_blocked("futex");
        drop(stage.running.borrow_mut().pop());
        reference
    }),
    situation("a named semaphore of another user", UNKNOWN, Nobody, |stage| semaphore(stage, "/lock")),
    situation("a POSIX queue that a process waits on", IN_USE, Now, |stage| {
        let reference = queue(stage);
        stage.start(&["msgq", "recv", "/jobs"]);
        stage.wait_blocked("wq_sleep");
        reference
    }),
    situation("a POSIX queue that a process of another PID namespace waits on", IN_USE, Now, |stage| {
        let reference = queue(stage);
        stage.out(&["msgq", "send", "/jobs", "first"]);
        stage.apart(&["msgq", "recv", "/jobs", "-n", "2"]);
        stage.until("msgq//jobs", "messages", 0);
        reference
    }),
    situation("a POSIX queue that nobody has open", SUSPECT, Now, queue),
    situation("a POSIX queue with messages that nobody has open", SUSPECT, Now, |stage| {
        let reference = queue(stage);
        stage.out(&["msgq", "send", "/jobs", "hello"]);
        reference
    }),
    situation("a POSIX queue of another user", UNKNOWN, Nobody, |stage| {
        mount_mqueue(&stage.env);
        queue(stage)
    }),
];

#[test]
fn named_objects_are_judged_rightly() {
    check(ALL);
}
