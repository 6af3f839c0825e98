//! System V semaphore sets.

use super::*;
use crate::kit::{finish_set, half_made_set};

fn set() -> Option<String> {
    Some("sem/0".to_owned())
}

/// A set of one, used by processes that are gone.
fn used(stage: &Stage) -> Option<String> {
    stage.out(&["sem", "create", "--value", "1"]);
    stage.sh("ipcx sem wait 0; ipcx sem post 0");
    set()
}

fn waiting(stage: &Stage, start: fn(&Stage, &[&str]) -> u32) -> Option<String> {
    stage.out(&["sem", "create"]);
    start(stage, &["sem", "wait", "0"]);
    until("a waiter", || stage.fact("sem/0", "semaphores")[0]["waiting_for_increase"] == 1);
    set()
}

pub(super) static ALL: &[Situation] = &[
    situation("a set on which a process waits for an increase", IN_USE, Now, |stage| waiting(stage, Stage::start)),
    situation("a set on which a process waits for zero", IN_USE, Now, |stage| {
        stage.out(&["sem", "create", "--value", "1"]);
        stage.start(&["sem", "zero", "0"]);
        until("a waiter", || stage.fact("sem/0", "semaphores")[0]["waiting_for_zero"] == 1);
        set()
    }),
    situation("a set on which a process of another PID namespace waits", IN_USE, Now, |stage| {
        waiting(stage, Stage::apart)
    }),
    situation("a set on which somebody waits outside the judge's PID namespace", IN_USE, Apart, |stage| {
        waiting(stage, Stage::start)
    }),
    // A stopped process does not wait; it begins anew when it is continued.
    situation("a set on which a stopped process waited", WANTED, Now, |stage| {
        waiting(stage, Stage::start)?;
        stage.stop();
        set()
    }),
    situation("a set that a process holds with undo", IN_USE, Now, |stage| {
        stage.out(&["sem", "create", "--value", "1"]);
        stage.start(&["sem", "run", "0", "--", "sleep", "1000"]);
        until("it to be held", || stage.fact("sem/0", "semaphores")[0]["value"] == 0);
        set()
    }),
    situation("a set that a process holds without undo", IN_USE, Now, |stage| {
        stage.out(&["sem", "create", "--value", "1"]);
        stage.start(&["sem", "op", "0", "0=-1", "--", "sleep", "1000"]);
        until("it to be held", || stage.fact("sem/0", "semaphores")[0]["value"] == 0);
        set()
    }),
    // Only root sees what the kernel will undo.
    situation("a set that a process holds and others used after it", WANTED, Now, |stage| {
        stage.out(&["sem", "create", "--value", "2"]);
        stage.start(&["sem", "op", "0", "--undo", "0=-1", "--", "sleep", "1000"]);
        until("it to be held", || stage.fact("sem/0", "semaphores")[0]["value"] == 1);
        stage.sh("ipcx sem wait 0; ipcx sem post 0");
        set()
    }),
    situation("a set whose last operator lives", IN_USE, Now, |stage| {
        used(stage)?;
        finish_set(0);
        set()
    }),
    situation("a set of which one operator of many lives", IN_USE, Now, |stage| {
        stage.out(&["sem", "create", "--value", "1,1,1"]);
        finish_set(0);
        stage.sh("ipcx sem wait 0 -i 1; ipcx sem wait 0 -i 2");
        set()
    }),
    situation("a set whose users are gone", ORPHAN, Now, used),
    situation("a set with a key whose users are gone", ORPHAN, Now, |stage| {
        stage.out(&["sem", "create", "0x4d2", "--value", "0,5,1"]);
        set()
    }),
    situation("a set whose holder was killed", ORPHAN, Now, |stage| {
        stage.out(&["sem", "create", "--value", "1"]);
        stage.start(&["sem", "op", "0", "0=-1", "--", "sleep", "1000"]);
        until("it to be held", || stage.fact("sem/0", "semaphores")[0]["value"] == 0);
        drop(stage.running.borrow_mut().pop());
        set()
    }),
    situation("a set whose waiter was killed", ORPHAN, Now, |stage| {
        waiting(stage, Stage::start)?;
        drop(stage.running.borrow_mut().pop());
        until("the waiter to be gone", || stage.fact("sem/0", "semaphores")[0]["waiting_for_increase"] == 0);
        set()
    }),
    situation("a set of very many semaphores whose users are gone", ORPHAN, Now, |stage| {
        stage.sh("ipcx sem create --value 1 -n 20000");
        set()
    }),
    situation("a set whose operator was in a PID namespace that is gone", ORPHAN, Now, |stage| {
        stage.sh("unshare --pid --fork ipcx sem create --value 1");
        set()
    }),
    situation("a set whose operator's pid was given to a process of another IPC namespace", ORPHAN, Now, |stage| {
        stage.out(&["sem", "create", "--value", "1"]);
        let operator = stage.fact("sem/0", "semaphores")[0]["last_pid"].as_i64().unwrap();
        stage.reuse(operator, true).then(set).flatten()
    }),
    // That it started later is what the clock says, which may have been set.
    situation("a set whose operator's pid was given to a process of its user", SUSPECT, Now, |stage| {
        stage.out(&["sem", "create", "--value", "1"]);
        let operator = stage.fact("sem/0", "semaphores")[0]["last_pid"].as_i64().unwrap();
        stage.reuse(operator, false).then(set).flatten()
    }),
    situation("a set while its owner runs programs in another IPC namespace", ORPHAN, Now, |stage| {
        stage.program(&["unshare", "--ipc", "sh", "-c", "touch moved; read wait"]);
        until("the program to have moved", || stage.env.path("moved").exists());
        used(stage)
    }),
    // It may have been told the number, and times tell nothing once the clock was set.
    situation("a set while its owner runs a program that was started later", SUSPECT, Now, |stage| {
        used(stage)?;
        let last = now();
        until("time to pass", || now() > last + 2);
        stage.program(&["sleep", "1000"]);
        set()
    }),
    situation("a private set while another user runs programs", ORPHAN, Now, |stage| {
        stage.program_of_nobody()?;
        used(stage)
    }),
    situation("a set for everybody while another user runs programs", SUSPECT, Now, |stage| {
        stage.program_of_nobody()?;
        stage.out(&["sem", "create", "--mode", "666", "--value", "1"]);
        set()
    }),
    situation("a set that was used just now", SUSPECT, Patient, used),
    situation("a set that nobody has operated on", SUSPECT, Now, |_| Some(format!("sem/{}", half_made_set(0x77, 1)))),
    situation("a set of a script between two runs", SUSPECT, Now, |stage| {
        stage.script("ipcx sem create --value 1; ipcx sem wait 0");
        set()
    }),
    situation("a set whose operator is gone and has left a child", SUSPECT, Now, |stage| {
        stage.leave_child("ipcx sem create --value 1; ipcx sem wait 0");
        set()
    }),
    situation("a set whose operator has ended its first thread alone", IN_USE, Now, |stage| {
        used(stage)?;
        stage.headless("set 0");
        set()
    }),
    situation("a set whose operator is outside the judge's PID namespace", UNKNOWN, Apart, used),
    situation("a set that may not be read", UNKNOWN, Nobody, used),
];

#[test]
fn sets_are_judged_rightly() {
    check(ALL);
}
