//! System V segments.

use super::*;
use crate::kit::{attach_once, segment};

fn create(stage: &Stage) -> Option<String> {
    stage.out(&["shm", "create", "--size", "4K"]);
    Some("shm/0".to_owned())
}

fn attached(stage: &Stage, args: &[&str]) -> Option<String> {
    stage.start(args);
    stage.until("shm/0", "nattch", 1);
    Some("shm/0".to_owned())
}

pub(super) static ALL: &[Situation] = &[
    situation("a segment that its only user has attached", IN_USE, Now, |stage| {
        create(stage)?;
        attached(stage, &["shm", "attach", "0"])
    }),
    situation("a segment that is attached to read alone", IN_USE, Now, |stage| {
        create(stage)?;
        attached(stage, &["shm", "attach", "0", "--read-only"])
    }),
    situation("a removed segment that is still attached", IN_USE, Now, |stage| {
        create(stage)?;
        attached(stage, &["shm", "attach", "0"])?;
        stage.sh("ipcx rm --force shm/0");
        Some("shm/0".to_owned())
    }),
    situation("a segment attached by a stopped process", IN_USE, Now, |stage| {
        create(stage)?;
        attached(stage, &["shm", "attach", "0"])?;
        stage.stop();
        Some("shm/0".to_owned())
    }),
    situation("a segment whose creator is gone and that another process has attached", IN_USE, Now, |stage| {
        stage.script("ipcx shm create --size 4K; exec 3<&0; ipcx shm attach 0 <&3 2>said &");
        stage.until("shm/0", "nattch", 1);
        Some("shm/0".to_owned())
    }),
    situation("a segment attached from another PID namespace", IN_USE, Now, |stage| {
        create(stage)?;
        stage.apart(&["shm", "attach", "0"]);
        stage.until("shm/0", "nattch", 1);
        Some("shm/0".to_owned())
    }),
    situation("a segment attached outside the judge's PID namespace", IN_USE, Apart, |stage| {
        create(stage)?;
        attached(stage, &["shm", "attach", "0"])
    }),
    situation("a segment that nobody ever attached, its creator gone", ORPHAN, Now, create),
    situation("a segment that was used by processes that are gone", ORPHAN, Now, |stage| {
        create(stage)?;
        stage.sh("ipcx shm write 0 hello; ipcx shm read 0 >seen");
        Some("shm/0".to_owned())
    }),
    situation("a segment whose user was killed", ORPHAN, Now, |stage| {
        create(stage)?;
        attached(stage, &["shm", "attach", "0"])?;
        drop(stage.running.borrow_mut().pop());
        stage.until("shm/0", "nattch", 0);
        Some("shm/0".to_owned())
    }),
    situation("a segment with a key, its creator gone", ORPHAN, Now, |stage| {
        stage.out(&["shm", "create", "0x4d2", "--size", "1M"]);
        Some("shm/0".to_owned())
    }),
    situation("a segment that nobody may read, its creator gone", ORPHAN, Now, |stage| {
        stage.out(&["shm", "create", "--size", "1", "--mode", "0"]);
        Some("shm/0".to_owned())
    }),
    situation("a segment whose creator was in a PID namespace that is gone", ORPHAN, Now, |stage| {
        stage.sh("unshare --pid --fork ipcx shm create --size 4K");
        Some("shm/0".to_owned())
    }),
    situation("a segment whose creator's pid was given to a process of another IPC namespace", ORPHAN, Now, |stage| {
        create(stage)?;
        let creator = stage.fact("shm/0", "cpid").as_i64().unwrap();
        stage.reuse(creator, true).then(|| "shm/0".to_owned())
    }),
    // That it started later is what the clock says, which may have been set.
    situation("a segment whose creator's pid was given to a process of its user", SUSPECT, Now, |stage| {
        create(stage)?;
        let creator = stage.fact("shm/0", "cpid").as_i64().unwrap();
        stage.reuse(creator, false).then(|| "shm/0".to_owned())
    }),
    situation("a segment whose last user's pid was given to a process of its user", SUSPECT, Now, |stage| {
        create(stage)?;
        stage.sh("ipcx shm write 0 hello");
        let user = stage.fact("shm/0", "lpid").as_i64().unwrap();
        stage.reuse(user, false).then(|| "shm/0".to_owned())
    }),
    situation("a segment while another user runs programs", ORPHAN, Now, |stage| {
        stage.program_of_nobody()?;
        create(stage)
    }),
    // What an earlier command has made and filled, the shell may come back to.
    situation("a segment that a script has filled and that its shell knows", SUSPECT, Now, |stage| {
        stage.script("ipcx shm create --size 4K; ipcx shm write 0 hello");
        Some("shm/0".to_owned())
    }),
    situation("a segment whose creator is gone and has left a child", SUSPECT, Now, |stage| {
        stage.leave_child("ipcx shm create --size 4K");
        Some("shm/0".to_owned())
    }),
    situation("a segment that another user may know by its creator's group", SUSPECT, Now, |stage| {
        if !stage.env.has_users() {
            return None;
        }
        // The group of the creator counts as that of the owner does.
        let mut create = stage.env.command(["shm", "create", "--size", "4K", "--mode", "660"]);
        std::os::unix::process::CommandExt::gid(&mut create, crate::kit::NOBODY);
        assert!(create.output().unwrap().status.success());
        stage.out(&["shm", "set", "0", "--owner", "root:root"]);
        let mut command = stage.env.command(["signal", "trap", "USR1"]);
        std::os::unix::process::CommandExt::uid(&mut command, crate::kit::NOBODY);
        std::os::unix::process::CommandExt::gid(&mut command, crate::kit::NOBODY);
        stage.keep(Running::start(command));
        Some("shm/0".to_owned())
    }),
    situation("a segment that root made for another user while root runs programs", SUSPECT, Now, |stage| {
        if !stage.env.has_users() {
            return None;
        }
        create(stage)?;
        stage.out(&["shm", "set", "0", "--owner", "nobody"]);
        stage.program(&["sleep", "1000"]);
        Some("shm/0".to_owned())
    }),
    situation("a segment that a process knows whose first thread has ended", SUSPECT, Now, |stage| {
        create(stage)?;
        stage.headless("");
        Some("shm/0".to_owned())
    }),
    // Who may know it, of the processes of its user, may not be seen.
    situation("a segment of a user that another one judges", UNKNOWN, Nobody, create),
    situation("a segment that was made just now", SUSPECT, Patient, create),
    situation("a segment whose creator lives and has it not attached", SUSPECT, Now, |_| {
        Some(format!("shm/{}", segment(100)))
    }),
    situation("a segment whose last user lives and has detached it", SUSPECT, Now, |stage| {
        create(stage)?;
        attach_once(0);
        Some("shm/0".to_owned())
    }),
    situation("a segment that is locked in memory", SUSPECT, Now, |stage| {
        create(stage)?;
        let locked = stage.env.ipcx(["shm", "lock", "0"]).output().unwrap().status.success();
        locked.then(|| "shm/0".to_owned())
    }),
    situation("a segment whose creator is outside the judge's PID namespace", UNKNOWN, Apart, create),
];

#[test]
fn segments_are_judged_rightly() {
    check(ALL);
}
