//! System calls that fail where they hardly ever do: what is left behind then, and what is said.

use crate::kit::look::mount_mqueue;
use crate::kit::{Env, Refusal, refusal};
use std::fs;

/// lstat(2), but no other call that asks for the state of a file.
fn lstat(errno: i32) -> Refusal {
    Refusal::only(libc::SYS_newfstatat, 3, libc::AT_SYMLINK_NOFOLLOW.cast_unsigned(), errno)
}

#[test]
fn a_socket_that_cannot_be_looked_at_is_not_left_behind() {
    let env = Env::new();
    for verb in ["recv", "listen"] {
        let said = refusal(&mut env.ipcx_refused(&[lstat(libc::ENOMEM)], ["sock", verb, "./s"]), 7);
        assert!(said.contains("out of memory (ENOMEM)"), "{said}");
        assert!(!env.path("s").exists(), "{verb}");
    }
}

#[test]
fn an_object_that_cannot_be_looked_at_is_no_object_that_is_not_there() {
    let env = Env::new();
    env.out(["shm", "create", "/s", "--size", "1"]);
    let output = env.ipcx_refused(&[lstat(libc::ENOMEM)], ["shm", "ls"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("/dev/shm") && said.contains("(stat: ENOMEM)"), "{said}");
}

#[test]
fn without_descriptors_nobody_knows_what_processes_have_open() {
    let env = Env::new();
    for call in [libc::SYS_pipe2, libc::SYS_memfd_create] {
        let output = env.ipcx_refused(&[Refusal::of(call, libc::ENFILE)], ["ls", "pipe"]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("what processes have open is not known"), "{said}");
    }
}

#[test]
fn a_journal_that_is_not_on_the_disk_is_not_left_behind() {
    let env = Env::new();
    env.out(["msgq", "create", "/q"]);
    for call in [libc::SYS_fsync, libc::SYS_fdatasync] {
        let line = ["save", "--drain", "msgq//q", "-f", "a.tar"];
        refusal(&mut env.ipcx_refused(&[Refusal::of(call, libc::ENOSPC)], line), 7);
        let left: Vec<_> = fs::read_dir(env.path(".")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn a_file_whose_size_cannot_be_told_is_no_mistake_of_the_user() {
    let env = Env::new();
    fs::write(env.path("from"), "content").unwrap();
    let tell = Refusal::only(libc::SYS_lseek, 2, libc::SEEK_CUR.cast_unsigned(), libc::EIO);
    let said = refusal(&mut env.ipcx_refused(&[tell], ["shm", "create", "/s", "--from", "from"]), 1);
    assert!(said.contains("from: I/O error (EIO)"), "{said}");
}

#[test]
fn a_directory_that_cannot_be_read_is_not_empty() {
    let env = Env::new();
    mount_mqueue(&env);
    env.out(["msgq", "create", "/q"]);
    let refusals = [Refusal::of(libc::SYS_getdents64, libc::EIO)];
    let output = env.ipcx_refused(&refusals, ["msgq", "ls"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("POSIX message queues") && said.contains("(readdir: EIO)"), "{said}");
}
