use super::*;
use std::fs;

#[test]
fn a_fifo_in_use_is_refused_without_force() {
    let env = Env::new();
    let (path, file) = held(&env);
    let said = env.fails(1, ["fifo", "rm", path]);
    assert!(said.contains("it is in use: process") && said.contains("EBUSY"), "{said}");
    drop(file);
    let mut sender = env.start(["fifo", "send", path, "x"]);
    sender.wait_blocked(OPENING);
    let said = env.fails(1, ["rm", "fifo/./f"]);
    assert!(said.contains("waits in open"), "{said}");
    let said = env.fails(0, ["rm", "--force", "fifo/./f"]);
    assert_eq!(said, "ipcx: removed fifo/./f\n");
    assert!(!env.path("f").exists());
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
