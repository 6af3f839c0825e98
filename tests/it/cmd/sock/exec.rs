//! Listening with a command for each connection.

use super::*;
use crate::kit::until;
use std::fs;

#[test]
fn the_command_has_the_connection_and_knows_its_peer() {
    let env = Env::new();
    let command = "echo $IPCX_PEER_PID $IPCX_PEER_UID $IPCX_PEER_GID ${IPCX_PEER_ADDRESS-none}; cat";
    let (server, _) = listening(&env, ["sock", "listen", "./s", "--exec", command]);
    let mut client = env.start(["sock", "connect", "./s"]);
    let expected = format!("{} 0 0 none", client.pid);
    assert_eq!(client.line(), expected);
    client.write(b"echo\n");
    assert_eq!(client.line(), "echo");
    success(client);
    success(server);
    let command = "echo ${IPCX_PEER_PID-none} $IPCX_PEER_ADDRESS";
    let (server, address) = listening(&env, ["sock", "listen", "tcp:127.0.0.1:0", "--exec", command]);
    let said = env.out(["sock", "connect", &address]);
    assert!(said.starts_with("none tcp:127.0.0.1:"), "{said}");
    success(server);
}

#[test]
fn without_keep_the_status_is_that_of_the_command() {
    let env = Env::new();
    for (command, status) in [("exit 42", 42), ("kill -9 $$", 137), ("no-such-command 2>&-", 127)] {
        let (mut server, _) = listening(&env, ["sock", "listen", "./s", "--exec", command]);
        env.ipcx(["sock", "connect", "./s"]).assert().success();
        server.wait_end();
        assert_eq!(server.status().code(), Some(status), "{command}");
        assert!(!env.path("s").exists());
    }
}

#[test]
fn no_more_than_max_commands_run_at_once() {
    let env = Env::new();
    let args = ["sock", "listen", "./s", "--keep", "--max", "2", "--exec", "echo in; exec cat"];
    let (mut server, _) = listening(&env, args);
    let mut first = env.start(["sock", "connect", "./s"]);
    let mut second = env.start(["sock", "connect", "./s"]);
    assert_eq!((first.line(), second.line()), ("in".to_owned(), "in".to_owned()));
    let mut third = env.start(["sock", "connect", "./s"]);
    third.wait_blocked("unix_stream");
    server.wait_blocked("poll");
    let children = || fs::read_to_string(format!("/proc/{0}/task/{0}/children", server.pid)).unwrap();
    assert_eq!(children().split_whitespace().count(), 2);
    success(first);
    assert_eq!(third.line(), "in");
    until("the one that ended to be reaped", || children().split_whitespace().count() == 2);
    success(second);
    success(third);
    until("all to be reaped", || children().is_empty());
    server.signal(libc::SIGTERM);
    server.wait_end();
    assert_eq!(server.status().code(), Some(143));
}

#[test]
fn when_it_is_asked_to_stop_its_commands_are_ended_with_all_that_they_started() {
    let env = Env::new();
    for (signal, status) in [(libc::SIGTERM, 143), (libc::SIGHUP, 129)] {
        let command = "sleep 1000 & echo $!; cat >&2";
        let (mut server, _) = listening(&env, ["sock", "listen", "./s", "--keep", "--exec", command]);
        let mut clients = [env.start(["sock", "connect", "./s"]), env.start(["sock", "connect", "./s"])];
        let sleepers = clients.each_mut().map(Running::line);
        server.signal(signal);
        server.wait_end();
        assert_eq!(server.status().code(), Some(status));
        assert!(!env.path("s").exists());
        for sleeper in sleepers {
            let stat = format!("/proc/{sleeper}/stat");
            until("the sleeper to end", || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z ")));
        }
    }
}

#[test]
fn the_timeout_ends_the_commands() {
    let env = Env::new();
    for keep in [&["--keep"][..], &[]] {
        let args = ["sock", "listen", "./s", "--exec", "echo in; cat", "--timeout", "300ms"];
        let (mut server, _) = listening(&env, args.iter().chain(keep));
        let mut client = env.start(["sock", "connect", "./s"]);
        assert_eq!(client.line(), "in");
        server.wait_end();
        assert_eq!(server.status().code(), Some(124));
        client.wait_end();
    }
}

#[test]
fn many_clients_are_served() {
    let env = Env::new();
    let (mut server, _) = listening(&env, ["sock", "listen", "./s", "--keep", "--max", "4", "--exec", "cat"]);
    let script = "for n in $(seq 30); do echo $n | ipcx sock connect ./s & done | sort -n | cmp - expected";
    env.sh(&format!("seq 30 >expected; {script}; wait")).assert().success();
    server.signal(libc::SIGTERM);
    server.wait_end();
}

#[test]
fn max_wants_commands_to_be_bounded() {
    let env = Env::new();
    for args in [&["--max", "2"][..], &["--max", "2", "--keep"], &["--keep", "--exec", "cat", "--max", "0"]] {
        env.fails(2, ["sock", "listen", "./s"].iter().chain(args));
    }
}
