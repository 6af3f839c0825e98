use super::*;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};

#[test]
fn several_are_made_with_the_mode_asked_and_their_paths_printed() {
    let env = Env::new();
    let script = "umask 0; ipcx mkfifo ./a b --mode 622; ipcx fifo create ./c";
    assert_eq!(env.sh(script).output().unwrap().stdout, b"./a\nb\n./c\n");
    for (name, mode) in [("a", 0o622), ("b", 0o622), ("c", 0o600)] {
        let found = fs::symlink_metadata(env.path(name)).unwrap();
        assert!(found.file_type().is_fifo());
        assert_eq!(found.permissions().mode() & 0o7777, mode, "{name}");
    }
    // A mode that was asked for is exact; without one the umask applies.
    env.sh("umask 0277; ipcx mkfifo -m 666 ./d; ipcx mkfifo ./e").assert().success();
    for (name, mode) in [("d", 0o666), ("e", 0o400)] {
        assert_eq!(fs::metadata(env.path(name)).unwrap().permissions().mode() & 0o7777, mode);
    }
}

#[test]
fn what_is_there_is_never_changed() {
    let env = Env::new();
    let path = fifo(&env);
    fs::write(env.path("file"), "data").unwrap();
    fs::create_dir(env.path("dir")).unwrap();
    assert!(env.fails(5, ["mkfifo", path]).contains("EEXIST"));
    assert_eq!(env.out(["mkfifo", path, "--exist-ok", "--mode", "666"]), path);
    assert_eq!(fs::metadata(env.path("f")).unwrap().permissions().mode() & 0o777, 0o600);
    for (name, what) in [("./file", "a file"), ("./dir", "a directory")] {
        let said = env.fails(5, ["mkfifo", name, "--exist-ok"]);
        assert!(said.contains(what), "{said}");
    }
    assert_eq!(fs::read(env.path("file")).unwrap(), b"data");
}

#[test]
fn of_several_all_are_tried_and_the_first_failure_is_the_status() {
    let env = Env::new();
    let output = env.ipcx(["mkfifo", "./no/a", "./b", "./b"]).assert().code(3).get_output().clone();
    assert_eq!(output.stdout, b"./b\n");
    assert_eq!(String::from_utf8(output.stderr).unwrap().lines().count(), 2);
}

#[test]
fn a_directory_that_may_not_be_written_is_permission_denied() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("needs a second user");
    }
    let said = crate::kit::refusal(&mut env.ipcx_as_nobody(["mkfifo", "./x"]), 4);
    assert!(said.contains("EACCES"), "{said}");
}
