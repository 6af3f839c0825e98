//! A connection joined to standard input and output: both ends of both directions.

use super::*;
use crate::kit::{reset, until};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener as Tcp};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixListener;

#[test]
fn the_end_of_the_input_ends_the_sending_side_and_the_answer_still_comes() {
    let env = Env::new();
    for address in ["./s", "tcp:127.0.0.1:0"] {
        let (server, address) = listening(&env, ["sock", "listen", address, "--exec", "wc -c; seq 100000"]);
        let answer = env.ipcx(["sock", "connect", &address]).write_stdin("12345").assert().success();
        let answer = String::from_utf8(answer.get_output().stdout.clone()).unwrap();
        assert!(answer.starts_with("5\n1\n2\n") && answer.ends_with("\n100000\n"), "{} bytes", answer.len());
        success(server);
    }
}

#[test]
fn without_any_input_the_peer_sees_the_end_at_once() {
    let env = Env::new();
    for closed in ["</dev/null", "<&-"] {
        let (server, _) = listening(&env, ["sock", "listen", "./s", "--exec", "wc -c"]);
        env.sh(&format!("ipcx sock connect ./s {closed}")).assert().success().stdout("0\n");
        success(server);
    }
}

#[test]
fn input_goes_on_after_a_unix_peer_has_ended_its_side() {
    let env = Env::new();
    let listener = UnixListener::bind(env.path("s")).unwrap();
    let mut client = env.start(["sock", "connect", "./s"]);
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(b"all of it\n").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.line(), "all of it");
    // The end of what the peer sends is the end of the output, though the input is open.
    assert_eq!(client.line(), "");
    client.write(b"and this still arrives");
    client.close_stdin();
    let mut got = String::new();
    peer.read_to_string(&mut got).unwrap();
    assert_eq!(got, "and this still arrives");
    success(client);
}

#[test]
fn input_goes_on_after_a_tcp_peer_has_ended_its_side() {
    let env = Env::new();
    let listener = Tcp::bind(("127.0.0.1", 0)).unwrap();
    let mut client = env.start(["sock", "connect", &format!("tcp:{}", listener.local_addr().unwrap())]);
    let (mut peer, _) = listener.accept().unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.line(), "");
    client.write(b"late");
    client.close_stdin();
    let mut got = String::new();
    peer.read_to_string(&mut got).unwrap();
    assert_eq!(got, "late");
    success(client);
}

#[test]
fn a_unix_peer_that_is_gone_ends_it_though_the_input_is_open() {
    let env = Env::new();
    let listener = UnixListener::bind(env.path("s")).unwrap();
    let mut client = env.start(["sock", "connect", "./s"]);
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(b"bye\n").unwrap();
    drop(peer);
    client.wait_end();
    assert_eq!(success(client), "bye\n");
}

#[test]
fn a_terminal_does_not_keep_a_connection_that_a_tcp_peer_has_ended() {
    let env = Env::new();
    let listener = Tcp::bind(("127.0.0.1", 0)).unwrap();
    let command = env.command(["sock", "connect", &format!("tcp:{}", listener.local_addr().unwrap())]);
    let (mut client, _typing) = Running::on_terminal(command);
    drop(listener.accept().unwrap());
    client.wait_end();
    assert_eq!(success(client), "");
}

#[test]
fn a_peer_that_closes_before_it_has_read_everything_is_a_failure() {
    let env = Env::new();
    let listener = UnixListener::bind(env.path("s")).unwrap();
    let client = std::thread::scope(|scope| {
        let client = scope.spawn(|| env.sh("yes | ipcx sock connect ./s").assert().code(1).get_output().clone());
        let (mut peer, _) = listener.accept().unwrap();
        peer.read_exact(&mut [0; 10]).unwrap();
        drop(peer);
        client.join().unwrap()
    });
    let said = String::from_utf8(client.stderr).unwrap();
    assert!(said.contains("before it had taken everything"), "{said}");
}

/// Whether something waits in a pipe.
fn holds_something(pipe: &std::fs::File) -> bool {
    poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO).unwrap() > 0
}

#[test]
fn input_that_was_just_read_is_not_dropped_when_the_peer_goes() {
    let env = Env::new();
    if !env.has_strace() {
        crate::skip!("strace cannot hold a process up here");
    }
    let listener = UnixListener::bind(env.path("s")).unwrap();
    env.sh("mkfifo in").assert().success();
    let mut input = std::fs::File::options().read(true).write(true).open(env.path("in")).unwrap();
    // What it reads first is held back for a while on its way from the kernel.
    let hold = "-e trace=read -e inject=read:delay_exit=700000:when=1";
    let script = format!("strace -f -qq -o trace {hold} ipcx sock connect ./s <in");
    let ended = std::thread::scope(|scope| {
        let client = scope.spawn(|| env.sh(&script).output().unwrap());
        let (peer, _) = listener.accept().unwrap();
        input.write_all(b"precious data\n").unwrap();
        until("the input to be read", || !holds_something(&input));
        drop(peer);
        client.join().unwrap()
    });
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("before it had taken everything"), "{said}");
}

#[test]
fn a_peer_that_breaks_off_is_not_said_to_have_left_something_unread() {
    let env = Env::new();
    let listener = Tcp::bind(("127.0.0.1", 0)).unwrap();
    let mut client = env.start(["sock", "connect", &format!("tcp:{}", listener.local_addr().unwrap())]);
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(b"cut o\n").unwrap();
    assert_eq!(client.line(), "cut o");
    reset(peer);
    client.wait_end();
    let ended = client.end();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("the peer broke the connection off (ECONNRESET)"), "{said}");
}

#[test]
fn a_direction_that_is_blocked_does_not_hold_the_other_one_up() {
    let env = Env::new();
    let listener = UnixListener::bind(env.path("s")).unwrap();
    let mut client = env.start(["sock", "connect", "./s"]);
    let (mut peer, _) = listener.accept().unwrap();
    let sender = peer.try_clone().unwrap();
    // More than all buffers hold, and nobody reads our output yet.
    let flood = std::thread::spawn(move || (&sender).write_all(&vec![b'x'; 4 << 20]));
    client.wait_blocked("pipe_write");
    client.write(b"still here");
    let mut got = [0; 10];
    peer.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"still here");
    client.close_stdin();
    let out = std::thread::spawn(move || client.end());
    flood.join().unwrap().unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(out.join().unwrap().stdout.len(), 4 << 20);
}

#[test]
fn a_large_stream_arrives_whole_in_both_directions() {
    let env = Env::new();
    env.sh("seq 2000000 >in").assert().success();
    let (server, _) = listening(&env, ["sock", "listen", "./s", "--exec", "cat"]);
    env.sh("ipcx sock connect ./s <in | cmp - in").assert().success();
    success(server);
}

#[test]
fn the_timeout_bounds_the_whole_connection() {
    let env = Env::new();
    let listener = UnixListener::bind(env.path("s")).unwrap();
    let client = env.start(["sock", "connect", "./s", "--timeout", "50ms"]);
    let _peer = listener.accept().unwrap();
    let ended = client.end();
    assert_eq!(ended.status.code(), Some(124));
    assert!(String::from_utf8(ended.stderr).unwrap().contains("timed out (ETIMEDOUT)"));
    // Also while the output is blocked.
    let mut client = env.start(["sock", "connect", "./s", "--timeout", "300ms"]);
    let (peer, _) = listener.accept().unwrap();
    let flood = std::thread::spawn(move || (&peer).write_all(&vec![b'x'; 4 << 20]));
    client.wait_end();
    assert_eq!(client.status().code(), Some(124));
    assert!(flood.join().unwrap().is_err());
}

#[test]
fn a_full_backlog_is_waited_for_until_the_timeout() {
    let env = Env::new();
    let (listener, _) = listening(&env, ["sock", "listen", "./s", "--exec", "cat", "--keep", "--max", "1"]);
    let mut first = env.start(["sock", "connect", "./s"]);
    first.write(b"x\n");
    assert_eq!(first.line(), "x");
    // The next ones are connected by the kernel and not taken.
    let mut next = env.start(["sock", "connect", "./s", "--timeout", "100ms"]);
    next.write(b"y\n");
    next.wait_end();
    assert_eq!(next.status().code(), Some(124));
    success(first);
    drop(listener);
}

#[test]
fn being_stopped_for_a_while_changes_nothing() {
    let env = Env::new();
    let (mut receiver, _) = listening(&env, ["sock", "recv", "./s", "-t", "dgram", "--follow"]);
    let (mut server, _) = listening(&env, ["sock", "listen", "./t", "--keep", "--exec", "cat"]);
    let mut client = env.start(["sock", "connect", "./t"]);
    for text in ["a", "b"] {
        for (running, place) in [(&mut receiver, "packets"), (&mut server, "poll"), (&mut client, "unix_stream")] {
            running.wait_blocked(place);
            running.signal(libc::SIGSTOP);
            running.signal(libc::SIGCONT);
        }
        env.ipcx(["sock", "send", "./s", "-t", "dgram", text]).assert().success();
        assert_eq!(receiver.line(), text);
        client.write(format!("{text}\n").as_bytes());
        assert_eq!(client.line(), text);
    }
    success(client);
}

#[test]
fn a_signal_ends_it_with_its_status() {
    let env = Env::new();
    let listener = UnixListener::bind(env.path("s")).unwrap();
    for (signal, status) in [(libc::SIGTERM, 143), (libc::SIGHUP, 129)] {
        let mut client = env.start(["sock", "connect", "./s"]);
        let _peer = listener.accept().unwrap();
        client.wait_blocked("unix_stream");
        client.signal(signal);
        client.wait_end();
        assert_eq!(client.status().code(), Some(status));
    }
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let env = Env::new();
    for output in [">/dev/full", ">&-"] {
        let (server, _) = listening(&env, ["sock", "listen", "./s", "--keep", "--exec", "echo x"]);
        let failed = env.sh(&format!("ipcx sock connect ./s {output}")).assert().code(1).get_output().clone();
        assert!(String::from_utf8(failed.stderr).unwrap().contains("standard output"), "{output}");
        drop(server);
        std::fs::remove_file(env.path("s")).unwrap();
    }
}

#[test]
fn an_input_that_cannot_be_read_is_a_failure() {
    let env = Env::new();
    let (server, _) = listening(&env, ["sock", "listen", "./s"]);
    let failed = env.sh("ipcx sock connect ./s </").assert().code(1).get_output().clone();
    let said = String::from_utf8(failed.stderr).unwrap();
    assert!(said.contains("cannot read standard input") && said.contains("EISDIR"), "{said}");
    success(server);
}

#[test]
fn a_command_gets_the_connection() {
    let env = Env::new();
    let (server, _) = listening(&env, ["sock", "listen", "./s", "--exec", "read n; echo $((n * 7))"]);
    let command = "echo 6; read answer; echo $answer >&2; exit 3";
    let output = env.ipcx(["sock", "connect", "./s", "--", "sh", "-c", command]).assert().code(3);
    output.stdout("").stderr("42\n");
    success(server);
    let (server, _) = listening(&env, ["sock", "listen", "./s"]);
    env.fails(127, ["sock", "connect", "./s", "--", "no-such-command"]);
    success(server);
    let (server, _) = listening(&env, ["sock", "listen", "./s"]);
    let status = env.ipcx(["sock", "connect", "./s", "--timeout", "50ms", "--", "sleep", "1000"]).assert();
    status.code(124);
    success(server);
    until("the file to go", || !env.path("s").exists());
}

#[test]
fn seqpacket_connections_keep_their_records() {
    let env = Env::new();
    let args = ["sock", "listen", "./s", "--type", "seqpacket"];
    let (listener, _) = listening(&env, args);
    let mut client = env.start(["sock", "connect", "./s", "-t", "seqpacket"]);
    client.write(b"one record");
    client.close_stdin();
    success(client);
    assert_eq!(success(listener), "one record");
}

#[test]
fn an_empty_record_is_not_the_end() {
    let env = Env::new();
    let send = ["sock", "send", "./s", "-t", "seqpacket"];
    let (listener, _) = listening(&env, ["sock", "listen", "./s", "-t", "seqpacket"]);
    env.ipcx(send.iter().chain(&["one", "", "two", ""])).assert().success();
    assert_eq!(success(listener), "onetwo");
    // Also of a connection that stays open, and of one that has ended before anything of it is taken.
    let (mut listener, _) = listening(&env, ["sock", "listen", "./s", "-t", "seqpacket", "--keep"]);
    let mut first = env.start(send.iter().chain(&["--null"]));
    first.write(b"\0\0first\n\0");
    assert_eq!(listener.line(), "first");
    env.ipcx(send.iter().chain(&["--null", "--nowait"])).write_stdin("one\n\0\0two\n\0").assert().success();
    success(first);
    assert_eq!(listener.line(), "one");
    assert_eq!(listener.line(), "two");
}
