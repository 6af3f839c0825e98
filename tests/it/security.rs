//! Nothing is wider than asked, nobody's rights are lent, and the environment decides nothing.

use crate::kit::{Env, NOBODY, Refusal};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Everything that makes something, and the files that it makes.
const MAKERS: &[(&str, &[&str])] = &[
    ("ipcx shm create /m --size 10", &["/dev/shm/m"]),
    ("ipcx shm create ./m --size 10", &["m"]),
    ("ipcx sem create /s", &["/dev/shm/sem.s"]),
    ("ipcx mkfifo ./f", &["f"]),
    ("ipcx fifo create ./g", &["g"]),
    ("ipcx shm create key/5 --size 10; ipcx save shm/key/5 -f a.tar", &["a.tar"]),
    ("ipcx rm shm/key/5 --save b.tar", &["b.tar"]),
    (
        "ipcx msgq create key/5; ipcx msgq send key/5 x; ipcx msgq recv key/5 --durable /dev/shm/slot",
        &["/dev/shm/slot"],
    ),
];

#[test]
fn what_is_made_is_for_its_owner_alone_whatever_the_umask_and_without_a_step_that_narrows_it() {
    for umask in ["0", "077"] {
        let env = Env::new();
        for (script, made) in MAKERS {
            // If it were made wider first, it would stay so, or the command would fail.
            let later = [libc::SYS_fchmod, libc::SYS_fchmodat, libc::SYS_fchown, libc::SYS_fchownat];
            let mut command = env.script(&format!("umask {umask}; {script}"));
            crate::kit::Starts::refused(&mut command, &later.map(|call| Refusal::of(call, libc::EPERM)));
            let done = command.output().unwrap();
            assert!(done.status.success(), "{script}: {}", String::from_utf8_lossy(&done.stderr));
            for file in *made {
                let mode = fs::metadata(env.path(file)).unwrap().mode() & 0o7777;
                assert_eq!(mode, 0o600, "{file} by {script} with the umask {umask}");
            }
        }
        for (kind, noun) in [("shm", "shm/key/6"), ("msgq", "msgq/key/6"), ("sem", "sem/key/6"), ("msgq", "msgq//q")] {
            let reference = noun.split_once('/').unwrap().1;
            let size: &[&str] = if kind == "shm" { &["--size", "10"] } else { &[] };
            let args: Vec<&str> = [&[kind, "create", reference], size].concat();
            env.script(&format!("umask {umask}; ipcx {}", args.join(" "))).status().unwrap();
            assert_eq!(env.json(["show", noun, "--json"])["objects"][0]["mode"], "0600", "{noun} with {umask}");
        }
    }
}

#[test]
fn a_socket_has_its_mode_from_the_moment_it_is_bound() {
    let env = Env::new();
    // Who could narrow it only later would fail here.
    let mut command = env.command(["sock", "listen", "./s", "--mode", "600"]);
    let later = [libc::SYS_fchmod, libc::SYS_fchmodat, libc::SYS_chmod];
    crate::kit::Starts::refused(&mut command, &later.map(|call| Refusal::of(call, libc::EPERM)));
    let _listener = crate::kit::Running::start(command);
    crate::kit::until("the socket to be there", || env.path("s").exists());
    assert_eq!(fs::metadata(env.path("s")).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_program_that_is_installed_setuid_or_setgid_does_nothing() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("there is no second user here");
    }
    let lent = env.path("lent");
    assert!(Command::new("cp").arg(crate::kit::program()).arg(&lent).status().unwrap().success());
    for mode in [0o4755, 0o2755] {
        fs::set_permissions(&lent, fs::Permissions::from_mode(mode)).unwrap();
        for args in [&["ls"][..], &["--version"], &["shm", "create", "key/1", "--size", "1"]] {
            let ended = Command::new(&lent).args(args).uid(NOBODY).gid(NOBODY).output().unwrap();
            let said = String::from_utf8_lossy(&ended.stderr).into_owned();
            if ended.status.success() && args == ["ls"] {
                crate::skip!("the file system for temporary files takes no notice of setuid");
            }
            assert_eq!(ended.status.code(), Some(4), "{mode:o} {args:?}: {said}");
            assert!(said.contains("setuid") && ended.stdout.is_empty(), "{said}");
        }
    }
    env.fails(3, ["show", "shm/key/1"]);
    // Root himself may do with it what he may anyway.
    assert!(Command::new(&lent).arg("ls").status().unwrap().success());
}

#[test]
fn no_variable_of_the_environment_changes_what_a_command_does() {
    let env = Env::new();
    env.out(["msgq", "create", "key/7"]);
    let listed = env.out(["ls", "--raw", "-o", "ref,key"]);
    let mut command = env.ipcx(["ls", "--raw", "-o", "ref,key"]);
    for (name, value) in [
        ("COMPLETE", "bash"),
        ("TZ", ":/dev/zero"),
        ("HOME", "/nonexistent"),
        ("TMPDIR", "/nonexistent"),
        ("XDG_RUNTIME_DIR", "/proc/self/fd"),
        ("PAGER", "false"),
        ("IFS", "x"),
        ("LD_BIND_NOW", "1"),
        ("RUST_BACKTRACE", "full"),
        ("CLICOLOR_FORCE", "1"),
        ("COLUMNS", "-1"),
        ("LC_ALL", "../../../../tmp"),
    ] {
        command.env(name, value);
    }
    assert_eq!(String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap().trim(), listed);
    // A zone that never ends is none.
    env.ipcx(["show", "msgq/key/7"]).env("TZ", "/dev/zero").assert().success();
    env.ipcx(["ls", "-o", "+ctime"]).env("TZ", ":/dev/zero").assert().success();
}

#[test]
fn a_directory_of_others_for_the_files_of_with_is_not_used() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("there is no second user here");
    }
    let theirs = env.path("theirs");
    fs::create_dir(&theirs).unwrap();
    std::os::unix::fs::chown(&theirs, Some(NOBODY), Some(NOBODY)).unwrap();
    let mut command = env.ipcx(["with", "f=fifo", "--", "sh", "-c", "echo $f"]);
    let done = command.env("XDG_RUNTIME_DIR", &theirs).assert().success();
    let path = String::from_utf8(done.get_output().stdout.clone()).unwrap();
    assert!(path.starts_with("/tmp/ipcx-"), "{path}");
}

#[test]
fn archives_and_journals_are_not_written_through_links() {
    let env = Env::new();
    env.out(["msgq", "create", "/q"]);
    env.out(["msgq", "send", "/q", "x"]);
    fs::write(env.path("precious"), "precious").unwrap();
    for link in ["a.tar", "b.tar.drain"] {
        std::os::unix::fs::symlink("precious", env.path(link)).unwrap();
    }
    env.fails(5, ["save", "msgq//q", "--drain", "-f", "a.tar"]);
    env.fails(5, ["save", "msgq//q", "--drain", "-f", "b.tar"]);
    std::os::unix::fs::symlink("nowhere", env.path("c.tar")).unwrap();
    env.fails(5, ["rm", "msgq//q", "--save", "c.tar"]);
    assert_eq!(fs::read_to_string(env.path("precious")).unwrap(), "precious");
    assert!(!env.path("nowhere").exists() && !env.path("b.tar").exists());
    assert_eq!(env.out(["msgq", "recv", "/q", "--nowait"]), "x");
}
