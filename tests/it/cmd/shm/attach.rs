use super::{bytes, each_family, shown};
use crate::kit::{Env, Running, refusal, until};
use crate::skip;
use std::fs;
use std::io::Write as _;
use std::time::{Duration, Instant};

fn nattch(env: &Env, reference: &str) -> u64 {
    shown(env, reference)["nattch"].as_u64().unwrap()
}

/// Whether somebody has it: attached, or open where attachments are not counted.
fn in_use(env: &Env, reference: &str) -> bool {
    let object = shown(env, reference);
    object["nattch"].as_u64().map_or_else(|| object["in_use"].as_bool().unwrap(), |n| n > 0)
}

/// An attach that holds the segment and waits for its input.
fn held(env: &Env, args: &[&str]) -> Running {
    let mut attach = env.start(["shm", "attach"].iter().chain(args));
    attach.wait_blocked("pipe_read");
    attach
}

#[test]
fn it_counts_as_an_attachment_until_the_end_of_its_input() {
    let env = Env::new();
    for reference in each_family(&env, "4096") {
        assert!(!in_use(&env, reference), "{reference}");
        let mut attach = held(&env, &[reference]);
        assert!(in_use(&env, reference), "{reference}");
        attach.write(b"whatever\n");
        attach.wait_blocked("pipe_read");
        let output = attach.end();
        assert_eq!((output.status.code(), output.stdout), (Some(0), vec![]), "{reference}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("is attached at 0x") && said.contains("4096 bytes"), "{said}");
        assert!(!in_use(&env, reference), "{reference}");
    }
}

#[test]
fn attachments_of_a_system_v_segment_are_counted_and_told() {
    let env = Env::new();
    env.out(["shm", "create", "0x4d2", "--size", "1"]);
    let first = held(&env, &["0x4d2"]);
    let second = held(&env, &["0x4d2"]);
    assert_eq!(nattch(&env, "0x4d2"), 2);
    let listed = env.json(["ls", "shm", "--json"]);
    assert_eq!(listed["objects"][0]["nattch"], 2);
    let said = String::from_utf8(second.end().stderr).unwrap();
    assert!(said.contains("nattch 2"), "{said}");
    assert_eq!(nattch(&env, "0x4d2"), 1);
    drop(first);
    until("the killed process to be detached", || nattch(&env, "0x4d2") == 0);
}

#[test]
fn a_file_is_mapped_and_not_only_open() {
    let env = Env::new();
    for (reference, path) in [("/frames", "/dev/shm/frames"), ("./data.bin", "/data.bin")] {
        env.out(["shm", "create", reference, "--size", "1"]);
        let attach = held(&env, &[reference]);
        let maps = fs::read_to_string(format!("/proc/{}/maps", attach.pid)).unwrap();
        assert!(maps.lines().any(|line| line.ends_with(path) && line.contains(" rw-s ")), "{reference} in {maps}");
        drop(attach);
        let attach = held(&env, &[reference, "--read-only"]);
        let maps = fs::read_to_string(format!("/proc/{}/maps", attach.pid)).unwrap();
        assert!(maps.lines().any(|line| line.ends_with(path) && line.contains(" r--s ")), "{reference} in {maps}");
    }
}

#[test]
fn a_signal_ends_it_and_detaches() {
    let env = Env::new();
    for reference in each_family(&env, "1") {
        for (signal, status) in [(libc::SIGTERM, 143), (libc::SIGINT, 130), (libc::SIGHUP, 129)] {
            let mut attach = held(&env, &[reference]);
            attach.signal(signal);
            attach.wait_end();
            assert_eq!(attach.status().code(), Some(status), "{reference}");
            assert!(!in_use(&env, reference), "{reference}");
        }
    }
}

#[test]
fn the_timeout_is_status_124_and_not_early() {
    let env = Env::new();
    for reference in each_family(&env, "1") {
        let start = Instant::now();
        let attach = held(&env, &[reference, "--timeout", "150ms"]);
        until("the timeout", || !in_use(&env, reference));
        assert!(start.elapsed() >= Duration::from_millis(150), "{reference}");
        assert_eq!(attach.status().code(), Some(124), "{reference}");
    }
}

#[test]
fn it_holds_the_segment_while_a_command_runs_and_passes_its_status_on() {
    let env = Env::new();
    let id = env.out(["shm", "create", "--size", "1"]);
    let script = "ipcx shm ls -o nattch --raw --no-headings; exit 42";
    let output = env.ipcx(["shm", "attach", &id, "--", "sh", "-c", script]).assert().code(42);
    output.stdout("1\n");
    assert_eq!(nattch(&env, &id), 0);
    env.out(["shm", "create", "/frames", "--size", "1"]);
    let script = "ipcx shm show --json /frames";
    let output = env.ipcx(["shm", "attach", "/frames", "--", "sh", "-c", script]).assert().success();
    let document: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(document["objects"][0]["in_use"], true);
}

#[test]
fn the_ways_in_which_a_command_can_fail_have_their_own_statuses() {
    let env = Env::new();
    fs::write(env.path("plain"), "").unwrap();
    for reference in each_family(&env, "1") {
        let attach = ["shm", "attach", reference, "--"];
        env.ipcx(attach.iter().chain(&["sh", "-c", "kill -9 $$"])).assert().code(137);
        env.ipcx(attach.iter().chain(&["sh", "-c", "exit 255"])).assert().code(255);
        let said = env.fails(127, attach.iter().chain(&["no-such-command"]));
        assert!(said.contains("no-such-command: command not found"), "{said}");
        let said = env.fails(126, attach.iter().chain(&["./plain"]));
        assert!(said.contains("./plain") && said.contains("EACCES"), "{said}");
        assert!(!in_use(&env, reference), "{reference}");
    }
}

#[test]
fn a_signal_is_handed_to_the_command_whose_end_is_waited_for() {
    let env = Env::new();
    let id = env.out(["shm", "create", "--size", "1"]);
    let script = "trap 'echo got it; exit 3' TERM; echo ready; while :; do read -r _ || exit 9; done";
    let mut attach = env.start(["shm", "attach", &id, "--", "sh", "-c", script]);
    assert_eq!(attach.line(), "ready");
    assert_eq!(nattch(&env, &id), 1);
    attach.wait_blocked("poll");
    attach.signal(libc::SIGTERM);
    assert_eq!(attach.line(), "got it");
    assert_eq!(attach.status().code(), Some(3));
    assert_eq!(nattch(&env, &id), 0);
}

#[test]
fn the_timeout_ends_the_command_too() {
    let env = Env::new();
    let id = env.out(["shm", "create", "--size", "1"]);
    let mut attach = env.start(["shm", "attach", &id, "--timeout", "100ms", "--", "sh", "-c", "echo $$; exec cat"]);
    let command = attach.line();
    until("the timeout", || nattch(&env, &id) == 0);
    assert!(!fs::exists(format!("/proc/{command}")).unwrap(), "the command is left behind");
    assert_eq!(attach.status().code(), Some(124));
}

#[test]
fn reading_only_needs_read_permission_alone() {
    let env = Env::new();
    if !env.has_users() {
        skip!("needs a second user");
    }
    for reference in each_family(&env, "1") {
        env.out(["shm", "set", reference, "--mode", "644"]);
        refusal(&mut env.ipcx_as_nobody(["shm", "attach", reference]), 4);
        env.ipcx_as_nobody(["shm", "attach", reference, "--read-only"]).assert().success().stdout("");
    }
}

#[test]
fn what_cannot_be_attached_is_said() {
    let env = Env::new();
    for reference in ["0x4d2", "/frames", "./data.bin"] {
        env.fails(3, ["shm", "attach", reference]);
    }
    env.out(["shm", "create", "/frames", "--size", "0"]);
    let said = env.fails(1, ["shm", "attach", "/frames"]);
    assert!(said.contains("0 bytes"), "{said}");
    let said = env.fails(125, ["shm", "attach", "/frames", "--", "true"]);
    assert!(said.contains("0 bytes"), "{said}");
}

#[test]
fn on_a_terminal_it_reads_writes_and_tells_until_quit() {
    let env = Env::new();
    for reference in each_family(&env, "32") {
        let (attach, mut terminal) = Running::on_terminal(env.command(["shm", "attach", reference]));
        terminal.write_all(b"write 4 hello world\nread 4 5\nread 30 3\nnonsense\nstat\nquit\nread 0 1\n").unwrap();
        let output = attach.end();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{reference}: {said}");
        let shown = String::from_utf8(output.stdout).unwrap();
        assert_eq!(shown.lines().count(), 1, "{shown}");
        assert!(shown.starts_with("00000004  68 65 6c 6c 6f ") && shown.ends_with("|hello|\n"), "{shown}");
        assert!(said.contains("outside its 32 bytes") && said.contains("commands: read OFFSET LENGTH"), "{said}");
        assert_eq!(said.matches("is attached at 0x").count(), 2, "{said}");
        assert!(bytes(&env, reference).starts_with(b"\0\0\0\0hello world\0"), "{reference}");
    }
}

#[test]
fn on_a_terminal_what_is_attached_for_reading_is_not_written_to() {
    let env = Env::new();
    for reference in each_family(&env, "8") {
        let attach = env.command(["shm", "attach", reference, "--read-only"]);
        let (attach, mut terminal) = Running::on_terminal(attach);
        terminal.write_all(b"write 0 x\nread 0 1\n\x04").unwrap();
        let output = attach.end();
        assert_eq!(output.status.code(), Some(0), "{reference}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("for reading only"), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).starts_with("00000000  00 "), "{output:?}");
    }
}
