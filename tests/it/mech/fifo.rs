use super::*;
use crate::kit::{Running, until};
use std::fs::{self, OpenOptions};
use std::io::Write as _;

fn both_ends(env: &Env, name: &str) -> fs::File {
    OpenOptions::new().read(true).write(true).open(env.path(name)).unwrap()
}

#[test]
fn readers_writers_bytes_and_those_stuck_in_open_are_named() {
    let env = Env::new();
    env.out(["mkfifo", "./f"]);
    let mut stuck = env.start(["fifo", "send", "./f", "x"]);
    stuck.wait_blocked("wait_for_partner");
    let path = env.path("f").canonicalize().unwrap();
    let reference = format!("fifo/{}", path.display());
    let alone = listed(&env, "fifo", &reference);
    assert_eq!((&alone["opening"], &alone["capacity"]), (&1.into(), &Value::Null));
    // Who may not look into the processes of others does not know that nobody has it open.
    let nobody = if env.has_users() { 0.into() } else { Value::Null };
    assert_eq!((&alone["readers"], &alone["writers"], &alone["bytes"]), (&nobody, &nobody, &nobody));
    let end = &alone["processes"][0];
    assert_eq!((&end["role"], &end["pid"]), (&"opening to write".into(), &stuck.pid.into()));
    assert_eq!((&end["fd"], &end["command"]), (&Value::Null, &"ipcx".into()));
    let shown = env.json(["fifo", "show", "./f", "--json"])["objects"][0].clone();
    assert_eq!((&shown["ref"], &shown["opening"]), (&"fifo/./f".into(), &1.into()));
    stuck.signal(15);
    stuck.wait_end();

    let mut file = both_ends(&env, "f");
    file.write_all(b"hello").unwrap();
    let open = listed(&env, "fifo", &reference);
    assert_eq!((&open["readers"], &open["writers"], &open["opening"]), (&1.into(), &1.into(), &nobody));
    assert_eq!((&open["bytes"], &open["capacity"], &open["family"]), (&5.into(), &65536.into(), &"file".into()));
    assert_eq!(our_end(&open, "processes", &file)["role"], "both");
}

#[test]
fn a_receiver_in_open_is_told_from_a_sender() {
    let env = Env::new();
    env.out(["mkfifo", "./f"]);
    let mut stuck = env.start(["fifo", "recv", "./f"]);
    stuck.wait_blocked("wait_for_partner");
    let shown = env.json(["fifo", "show", "./f", "--json"])["objects"][0].clone();
    assert_eq!(shown["processes"][0]["role"], "opening to read");
}

#[test]
fn a_thread_that_is_not_the_first_is_found_in_open_too() {
    let env = Env::new();
    env.out(["mkfifo", "./f"]);
    let path = env.path("f");
    let thread = std::thread::spawn(move || fs::read(path));
    let opening = || env.json(["fifo", "show", "./f", "--json"])["objects"][0]["opening"].clone();
    until("the thread to wait in open", || opening() == 1);
    drop(OpenOptions::new().write(true).open(env.path("f")).unwrap());
    thread.join().unwrap().unwrap();
    assert_eq!(opening(), if env.has_users() { 0.into() } else { Value::Null });
}

#[test]
fn two_file_systems_with_one_inode_number_are_two_fifos() {
    let env = Env::new();
    let script = "mkdir a b; mount -t tmpfs ipcx-it a; mount -t tmpfs ipcx-it b; chmod 755 a b; mkfifo a/f b/f; stat -c %i a/f b/f";
    let output = env.sh(script).assert().success().get_output().stdout.clone();
    let numbers = String::from_utf8(output).unwrap();
    let (first, second) = numbers.trim().split_once('\n').unwrap();
    assert_eq!(first, second, "both are the first file of a new tmpfs");
    let (mut a, _b) = (both_ends(&env, "a/f"), both_ends(&env, "b/f"));
    a.write_all(b"only here").unwrap();
    let shown = |path: &str| env.json(["fifo", "show", path, "--json"])["objects"][0].clone();
    assert_eq!((&shown("a/f")["bytes"], &shown("b/f")["bytes"]), (&9.into(), &0.into()));
    assert_eq!(shown("a/f")["processes"].as_array().unwrap().len(), 1);
    assert_ne!(shown("a/f")["device"], shown("b/f")["device"]);
}

#[test]
fn a_fifo_that_lost_its_name_is_still_reached() {
    let env = Env::new();
    env.out(["mkfifo", "./f"]);
    let mut file = both_ends(&env, "f");
    fs::remove_file(env.path("f")).unwrap();
    file.write_all(b"left").unwrap();
    let document = env.json(["ls", "fifo", "--json"]);
    let ino = inode(&file);
    let fifos = document["objects"].as_array().unwrap();
    let ours = fifos.iter().find(|fifo| fifo["inode"] == ino && fifo["bytes"] == 4).unwrap();
    let reference = ours["ref"].as_str().unwrap();
    assert!(reference.starts_with("fifo//proc/"), "{ours:#}");
    assert_eq!(env.json(["show", reference, "--json"])["objects"][0]["bytes"], 4);
}

#[test]
fn a_path_of_hostile_bytes_is_shown_escaped_and_taken_back() {
    use std::os::unix::ffi::OsStringExt as _;
    let env = Env::new();
    let name = std::ffi::OsString::from_vec(b"x\x1b[2J\n (deleted)".to_vec());
    env.ipcx([std::ffi::OsStr::new("mkfifo"), &name]).assert().success();
    let _file = OpenOptions::new().read(true).write(true).open(env.path("").join(&name)).unwrap();
    let output = env.ipcx(["ls", "fifo"]).assert().success().get_output().stdout.clone();
    crate::kit::look::assert_harmless("ls fifo", &output);
    let text = String::from_utf8(output).unwrap();
    assert!(text.contains(r"/x\x1b[2J\x0a (deleted) "), "{text}");
    env.ipcx([std::ffi::OsStr::new("fifo"), "rm".as_ref(), "--force".as_ref(), &name]).assert().success();
}

#[test]
fn a_process_with_a_hostile_short_name_does_not_disturb_the_list() {
    let env = Env::new();
    env.out(["mkfifo", "./f"]);
    std::os::unix::fs::symlink("/bin/cat", env.path("x) 1 (\x1b[31m")).unwrap();
    let mut command = std::process::Command::new(env.path("x) 1 (\x1b[31m"));
    command.arg(env.path("f"));
    let mut running = Running::start(command);
    running.wait_blocked("wait_for_partner");
    let _file = both_ends(&env, "f");
    running.wait_blocked("pipe_read");
    let shown = env.json(["fifo", "show", "./f", "--json"])["objects"][0].clone();
    let ends = shown["processes"].as_array().unwrap();
    assert!(ends.iter().any(|end| end["command"] == "x) 1 (\x1b[31m"), "{shown:#}");
    let output = env.ipcx(["fifo", "show", "./f"]).assert().success().get_output().stdout.clone();
    crate::kit::look::assert_harmless("show", &output);
}

#[test]
fn a_directory_that_cannot_be_read_to_its_end_is_no_empty_one() {
    let env = Env::new();
    env.out(["mkfifo", "./f"]);
    let broken = crate::kit::Refusal::of(libc::SYS_getdents64, libc::EIO);
    let run = |args: &[&str]| -> Value {
        let output = env.ipcx_refused(&[broken], args).assert().success().get_output().stdout.clone();
        serde_json::from_slice(&output).unwrap()
    };
    // Who waits in open is looked for among all processes.
    let shown = run(&["fifo", "show", "./f", "--json"]);
    assert_eq!(shown["objects"][0]["opening"], Value::Null, "{shown:#}");
    let judged = run(&["stale", "fifo", "--json", "--in", "."]);
    let unread = |gap: &Value| gap.to_string().contains("could not be searched");
    assert!(judged["gaps"].as_array().unwrap().iter().any(unread), "{judged:#}");
}

#[test]
fn the_fill_of_a_fifo_that_only_a_process_without_its_first_thread_has_open_is_known() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("a process without its first thread may be looked into by root alone");
    }
    env.out(["mkfifo", "./f"]);
    let _holder = env.start_headless("file f");
    let fifo = env.json(["show", "fifo/./f", "--json"]);
    assert_eq!(fifo["objects"][0]["capacity"], 65536, "{fifo:#}");
}
