use super::*;
use std::fs;

#[test]
fn a_fifo_in_use_is_refused_without_force() {
    let env = Env::new();
    let (path, file) = held(&env);
    let said = env.fails(1, ["fifo", "rm", path]);
    assert!(said.contains("it is in use: process") && said.contains("EBUSY"), "{said}");
    drop(file);
    // Another one: a process that a test beside us starts right now may have this one open still.
    env.out(["mkfifo", "./g"]);
    let mut sender = env.start(["fifo", "send", "./g", "x"]);
    sender.wait_blocked(OPENING);
    let said = env.fails(1, ["rm", "fifo/./g"]);
    assert!(said.contains("waits in open"), "{said}");
    let said = env.fails(0, ["rm", "--force", "fifo/./g"]);
    assert_eq!(said, "ipcx: removed fifo/./g\n");
    assert!(!env.path("g").exists());
}

#[test]
fn only_a_fifo_is_removed() {
    let env = Env::new();
    fs::write(env.path("file"), "data").unwrap();
    fifo(&env);
    std::os::unix::fs::symlink("f", env.path("link")).unwrap();
    assert!(env.fails(1, ["fifo", "rm", "./file", "--force"]).contains("not a FIFO"));
    assert!(env.fails(1, ["fifo", "rm", "./link", "--force"]).contains("symbolic link"));
    assert_eq!(fs::read(env.path("file")).unwrap(), b"data");
    assert!(env.path("f").exists());
    env.ipcx(["fifo", "rm", "./f"]).assert().success();
    env.ipcx(["fifo", "rm", "./f", "--missing-ok"]).assert().success().stderr("");
}

#[test]
fn what_could_not_be_seen_is_said() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("needs a second user");
    }
    let directory = env.path("theirs");
    fs::create_dir(&directory).unwrap();
    std::os::unix::fs::chown(&directory, Some(crate::kit::NOBODY), None).unwrap();
    env.ipcx_as_nobody(["mkfifo", "theirs/f", "-m", "666"]).assert().success();
    let _file = OpenOptions::new().read(true).write(true).open(directory.join("f")).unwrap();
    let output = env.ipcx_as_nobody(["fifo", "rm", "theirs/f"]).assert().success().get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("whether it was in use could not be seen (open: EACCES)"), "{said}");
}
