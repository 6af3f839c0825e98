//! Waiting for a receiver, and what is said when there is none any more.

use super::*;
use std::io::Read as _;
use std::os::unix::net::{UnixDatagram, UnixListener};

#[test]
fn a_full_receiver_is_waited_for() {
    let env = Env::new();
    let receiver = UnixDatagram::bind(env.path("s")).unwrap();
    let all: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    let args = ["sock", "send", "./s", "-t", "dgram"];
    let mut sender = env.start(args.iter().map(|arg| (*arg).to_owned()).chain(all.clone()));
    sender.wait_blocked("unix_wait_for_peer");
    let mut got = Vec::new();
    for _ in 0..40 {
        let mut buffer = [0; 16];
        let length = receiver.recv(&mut buffer).unwrap();
        got.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
    }
    assert_eq!(got, all);
    success(sender);
}

#[test]
fn a_full_receiver_is_status_6_or_124_with_the_limit_and_the_count() {
    let env = Env::new();
    let _receiver = UnixDatagram::bind(env.path("s")).unwrap();
    let all: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
    for (how, status) in [("--nowait", 6), ("--timeout=50ms", 124)] {
        let args = ["sock", "send", "./s", "-t", "dgram", how].map(str::to_owned).into_iter();
        let said = env.fails(status, args.chain(all.clone()));
        assert!(said.contains("net.unix.max_dgram_qlen = "), "{said}");
        assert!(said.contains("had been sent before"), "{said}");
    }
}

#[test]
fn a_receiver_that_goes_while_it_is_waited_for_is_status_3() {
    let env = Env::new();
    let receiver = UnixDatagram::bind(env.path("s")).unwrap();
    let mut sender = env.start(["sock", "send", "./s", "-t", "dgram", "--lines"]);
    sender.write("x\n".repeat(1000).as_bytes());
    sender.wait_blocked("unix_wait_for_peer");
    drop(receiver);
    sender.wait_end();
    let ended = sender.end();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(3), "{said}");
    assert!(said.contains("had been sent before"), "{said}");
}

#[test]
fn a_stream_is_done_when_the_peer_has_read_it() {
    let env = Env::new();
    let listener = UnixListener::bind(env.path("s")).unwrap();
    let mut sender = env.start(["sock", "send", "./s", "hello"]);
    let (mut peer, _) = listener.accept().unwrap();
    sender.wait_blocked("poll");
    let mut got = String::new();
    peer.read_to_string(&mut got).unwrap();
    assert_eq!(got, "hello\n");
    // The peer keeps its side open; what counts is that it has read.
    success(sender);
}

#[test]
fn a_peer_that_closes_before_it_has_read_everything_is_a_failure() {
    let env = Env::new();
    let listener = UnixListener::bind(env.path("s")).unwrap();
    let mut sender = env.start(["sock", "send", "./s", "hello"]);
    let (peer, _) = listener.accept().unwrap();
    sender.wait_blocked("poll");
    drop(peer);
    let ended = sender.end();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("closed before it had read everything (ECONNRESET)"), "{said}");
}

#[test]
fn a_peer_that_never_reads_is_waited_for_until_the_timeout() {
    let env = Env::new();
    let listener = UnixListener::bind(env.path("s")).unwrap();
    let said = env.fails(124, ["sock", "send", "./s", "hello", "--timeout", "50ms"]);
    assert!(said.contains("timed out before the peer had read everything"), "{said}");
    env.ipcx(["sock", "send", "./s", "hello", "--nowait"]).assert().success();
    drop(listener);
}

#[test]
fn tcp_is_done_when_the_other_machine_has_it() {
    let env = Env::new();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = format!("tcp:{}", listener.local_addr().unwrap());
    env.ipcx(["sock", "send", &address, "hello"]).assert().success();
    let mut got = String::new();
    listener.accept().unwrap().0.read_to_string(&mut got).unwrap();
    assert_eq!(got, "hello\n");
}

#[test]
fn a_peer_that_answers_does_not_hold_the_sender_up() {
    let env = Env::new();
    let (server, _) = listening(&env, ["sock", "listen", "./s", "--exec", "seq 500000; cat >got"]);
    env.ipcx(["sock", "send", "./s", "hello"]).assert().success().stdout("");
    success(server);
    assert_eq!(std::fs::read_to_string(env.path("got")).unwrap(), "hello\n");
}

#[test]
fn closed_input_is_a_failure_and_not_an_empty_message() {
    let env = Env::new();
    let _receiver = UnixDatagram::bind(env.path("s")).unwrap();
    let failed = env.sh("ipcx sock send ./s -t dgram <&-").assert().code(1).get_output().clone();
    assert!(String::from_utf8(failed.stderr).unwrap().contains("standard input: it is closed"));
}

#[test]
fn of_a_stream_that_stops_early_it_is_said_how_much_went() {
    let env = Env::new();
    let listener = UnixListener::bind(env.path("s")).unwrap();
    for (how, status) in [("--nowait", 6), ("--timeout=100ms", 124)] {
        let script = format!("head -c 3000000 /dev/zero | ipcx sock send ./s {how}");
        let failed = env.sh(&script).assert().code(status).get_output().clone();
        let said = String::from_utf8(failed.stderr).unwrap();
        let sent =
            said.lines().find_map(|line| line.strip_prefix("ipcx: ")?.strip_suffix(" bytes had been sent before"));
        // All of it, and nothing else, is there to be read.
        let mut got = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut got).unwrap();
        assert!(!got.is_empty());
        assert_eq!(sent, Some(got.len().to_string().as_str()), "{said}");
    }
}
