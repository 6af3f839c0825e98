//! Descriptors that go along with a message.

use super::*;
use crate::kit::Starts as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

#[test]
fn a_command_gets_the_descriptors_from_3_on() {
    let env = Env::new();
    env.sh("echo one >one; echo two >two").assert().success();
    for kind in ["stream", "dgram", "seqpacket"] {
        let args = ["sock", "recv", "./s", "-t", kind, "--fd", "--", "sh", "-c"];
        let script = "echo $IPCX_FDS; cat <&3; cat <&4; cat <&5; ls -l /proc/self/fd | grep -c socket:; exit 3";
        let (receiver, _) = listening(&env, args.iter().chain(&[script]));
        env.sh(&format!("ipcx sock send ./s -t {kind} --fd 3 --fd 9 --fd 3 message 3<one 9<two")).assert().success();
        let ended = receiver.end();
        let out = String::from_utf8(ended.stdout).unwrap();
        // The third is the first one again, which has been read to its end.
        assert_eq!(out, "message\n3\none\ntwo\n0\n", "{kind}");
        assert_eq!(ended.status.code(), Some(3), "{kind}");
    }
}

#[test]
fn without_a_command_they_are_shown() {
    let env = Env::new();
    fs::write(env.path("a file"), "x").unwrap();
    let stat = fs::metadata(env.path("a file")).unwrap();
    let place = format!("{}:{}:{}", libc::major(stat.dev()), libc::minor(stat.dev()), stat.ino());
    let (receiver, _) = listening(&env, ["sock", "recv", "./s", "-t", "dgram", "--fd"]);
    env.sh("ipcx sock send ./s -t dgram --fd 5 --fd 0 here 5<'a file' </dev/null").assert().success();
    let out = success(receiver);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "here");
    assert_eq!(lines[1], format!("3 file {place} {}", env.path("a file").display()));
    assert!(lines[2].starts_with("4 device ") && lines[2].ends_with(" /dev/null"), "{out}");
    let (receiver, _) = listening(&env, ["sock", "recv", "./s", "-t", "dgram", "--fd", "--json"]);
    env.sh("ipcx sock send ./s -t dgram --fd 5 here 5<'a file'").assert().success();
    let got: serde_json::Value = serde_json::from_str(&success(receiver)).unwrap();
    assert_eq!(got["fds"][0]["inode"], stat.ino());
    assert_eq!(got["fds"][0]["number"], 3);
}

#[test]
fn a_message_without_any_is_written_and_then_a_failure() {
    let env = Env::new();
    for (kind, expected) in [("stream", "alone\n"), ("dgram", "alone\n")] {
        let args = ["sock", "recv", "./s", "-t", kind, "--fd", "--", "echo", "must not run"];
        let (receiver, _) = listening(&env, args);
        env.ipcx(["sock", "send", "./s", "-t", kind, "alone"]).assert().success();
        let ended = receiver.end();
        assert_eq!(String::from_utf8(ended.stdout).unwrap(), expected);
        assert_eq!(ended.status.code(), Some(3));
        assert!(String::from_utf8(ended.stderr).unwrap().contains("no descriptor came along"));
    }
}

#[test]
fn those_that_nobody_asked_for_are_not_kept() {
    let env = Env::new();
    for form in [&[][..], &["--json"]] {
        let args = ["sock", "recv", "./s", "-t", "dgram", "--follow"];
        let (mut receiver, _) = listening(&env, args.iter().chain(form));
        let count = || fs::read_dir(format!("/proc/{}/fd", receiver.pid)).unwrap().count();
        let before = count();
        env.sh("for n in 1 2 3; do ipcx sock send ./s -t dgram --fd 0 --fd 0 x </dev/null; done").assert().success();
        for _ in 0..3 {
            receiver.line();
        }
        receiver.wait_blocked("wait_for_more_packets");
        assert_eq!(fs::read_dir(format!("/proc/{}/fd", receiver.pid)).unwrap().count(), before, "{form:?}");
        receiver.signal(libc::SIGTERM);
        receiver.wait_end();
    }
}

#[test]
fn more_than_may_be_open_are_a_failure_and_not_fewer() {
    let env = Env::new();
    let mut command = env.command(["sock", "recv", "./s", "-t", "dgram", "--fd"]);
    command.limited(libc::RLIMIT_NOFILE, 12);
    let mut receiver = Running::start(command);
    assert_eq!(receiver.said(), "ipcx: listening on ./s");
    let fds = "--fd 0 ".repeat(20);
    env.sh(&format!("ipcx sock send ./s -t dgram {fds} x </dev/null")).assert().success();
    let ended = receiver.end();
    assert_eq!(ended.status.code(), Some(7), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(String::from_utf8(ended.stderr).unwrap().contains("EMFILE"));
}

#[test]
fn what_cannot_be_passed_is_refused_first() {
    let env = Env::new();
    let said = env.fails(3, ["sock", "send", "./s", "--fd", "9", "x"]);
    assert!(said.contains("descriptor 9: it is not open (EBADF)"), "{said}");
    // What stands in for a closed standard stream is not passed.
    let _other = std::os::unix::net::UnixDatagram::bind(env.path("other")).unwrap();
    for (number, closed) in [(0, "<&-"), (1, ">&-"), (2, "2>&-")] {
        let script = format!("ipcx sock send ./other -t dgram --fd {number} x {closed}");
        let failed = env.sh(&script).assert().code(3).get_output().clone();
        let said = String::from_utf8(failed.stderr).unwrap();
        assert!(number == 2 || said.contains(&format!("descriptor {number}: it is not open (EBADF)")), "{said}");
    }
    let said = env.fails(2, ["sock", "send", "tcp:127.0.0.1:1", "--fd", "0", "x"]);
    assert!(said.contains("unix sockets only"), "{said}");
    env.fails(2, ["sock", "recv", "udp::0", "--fd"]);
    env.fails(2, ["sock", "recv", "./s", "--", "cat"]);
    env.fails(2, ["sock", "send", "./s", "--fd", "-1", "x"]);
    let (receiver, _) = listening(&env, ["sock", "recv", "./s", "-t", "dgram"]);
    let many: Vec<String> = std::iter::repeat_n(["--fd".to_owned(), "0".to_owned()], 254).flatten().collect();
    let args = ["sock", "send", "./s", "-t", "dgram", "x"].map(str::to_owned).into_iter();
    let said = env.fails(7, args.chain(many));
    assert!(said.contains("at most 253"), "{said}");
    drop(receiver);
    let (receiver, _) = listening(&env, ["sock", "recv", "./t"]);
    let said = env.sh("ipcx sock send ./t --fd 0 </dev/null").assert().code(1).get_output().stderr.clone();
    assert!(String::from_utf8(said).unwrap().contains("at least one byte"));
    success(receiver);
}
