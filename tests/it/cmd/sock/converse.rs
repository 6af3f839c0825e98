//! Datagrams to a server that answers, and what ends that.

use super::*;
use crate::kit::until;
use std::net::UdpSocket;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::UnixDatagram;
use std::thread::JoinHandle;

/// A server of UDP that answers so many datagrams with themselves; its address, and what it got.
fn udp_echo(times: usize) -> (String, JoinHandle<Vec<Vec<u8>>>) {
    let server = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let address = format!("udp:{}", server.local_addr().unwrap());
    let echo = move || {
        let mut buffer = vec![0; 1 << 16];
        let mut one = |_| {
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            server.send_to(&buffer[..length], from).unwrap();
            buffer[..length].to_vec()
        };
        (0..times).map(&mut one).collect()
    };
    (address, std::thread::spawn(echo))
}

/// The same of a unix socket.
fn unix_echo(path: &Path, times: usize) -> JoinHandle<()> {
    let server = UnixDatagram::bind(path).unwrap();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 20];
        for _ in 0..times {
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            assert!(from.as_abstract_name().is_some(), "{from:?}");
            server.send_to_addr(&buffer[..length], &from).unwrap();
        }
    })
}

#[test]
fn every_line_is_a_datagram_and_every_answer_is_a_line() {
    let env = Env::new();
    let (address, echo) = udp_echo(4);
    let client = env.ipcx(["sock", "connect", &address, "-n", "4"]).write_stdin("one\n\n two\0\nlast").assert();
    client.success().stdout("one\n\n two\0\nlast\n").stderr("");
    assert_eq!(echo.join().unwrap(), [&b"one"[..], b"", b" two\0", b"last"]);
    let (address, echo) = udp_echo(3);
    let client = env.ipcx(["sock", "connect", &address, "-0n", "3"]).write_stdin("a\nb\n\0\0c").assert();
    client.success().stdout("a\nb\n\0\0c\0").stderr("");
    assert_eq!(echo.join().unwrap(), [&b"a\nb\n"[..], b"", b"c"]);
}

#[test]
fn a_unix_server_can_answer_too() {
    let env = Env::new();
    let echo = unix_echo(&env.path("s"), 1);
    let args = ["sock", "connect", "./s", "--type", "dgram", "-n", "1"];
    env.ipcx(args).write_stdin("question\n").assert().success().stdout("question\n").stderr("");
    echo.join().unwrap();
}

#[test]
fn each_answer_is_written_as_it_comes() {
    let env = Env::new();
    let (address, echo) = udp_echo(3);
    let mut client = env.start(["sock", "connect", &address]);
    for question in ["a", "b", "c"] {
        client.write(format!("{question}\n").as_bytes());
        assert_eq!(client.line(), question);
    }
    echo.join().unwrap();
    // Nothing else holds it.
    assert_eq!(success(client), "");
}

#[test]
fn many_datagrams_go_both_ways_and_neither_side_holds_the_other_up() {
    let env = Env::new();
    env.sh("seq 50000 >in").assert().success();
    let echo = unix_echo(&env.path("s"), 50_000);
    env.sh("ipcx sock connect ./s -t dgram -n 50000 <in | cmp - in").assert().success();
    echo.join().unwrap();
}

#[test]
fn a_count_ends_it_though_the_input_is_open_and_what_was_read_is_sent() {
    let env = Env::new();
    let (address, echo) = udp_echo(1);
    let mut client = env.start(["sock", "connect", &address, "--count", "1"]);
    client.write(b"x\n");
    client.wait_end();
    assert_eq!(success(client), "x\n");
    echo.join().unwrap();
    // Also if more answers come than were asked for, so many that they fill every queue.
    env.sh("seq 5000 >in").assert().success();
    let server = UnixDatagram::bind(env.path("s")).unwrap();
    let echo = std::thread::spawn(move || {
        let (mut buffer, mut got) = ([0; 100], 0);
        while got < 5000 {
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            got += 1;
            // It may have ended after the last one.
            if let Err(error) = server.send_to_addr(&buffer[..length], &from) {
                assert!(got > 1, "{error}");
            }
        }
    });
    env.sh("ipcx sock connect ./s -t dgram -n 1 <in").assert().success().stdout("1\n");
    until("all lines to come", || echo.is_finished());
    echo.join().unwrap();
}

#[test]
fn without_a_count_or_a_timeout_it_ends_with_the_input_and_says_that_no_answer_came() {
    let env = Env::new();
    let server = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let address = format!("udp:{}", server.local_addr().unwrap());
    let ended = env.ipcx(["sock", "connect", &address]).write_stdin("x\n").assert().success().stdout("");
    let said = String::from_utf8(ended.get_output().stderr.clone()).unwrap();
    assert!(said.contains("before an answer came; --count or --timeout"), "{said}");
    assert_eq!(server.recv(&mut [0; 10]).unwrap(), 1);
    env.sh(&format!("ipcx -q sock connect {address} <&-")).assert().success().stdout("").stderr("");
}

#[test]
fn what_has_come_when_the_input_ends_is_written() {
    let env = Env::new();
    let server = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let mut client = env.start(["sock", "connect", &format!("udp:{}", server.local_addr().unwrap())]);
    client.write(b"x\n");
    let (_, from) = server.recv_from(&mut [0; 10]).unwrap();
    client.signal(libc::SIGSTOP);
    for answer in ["a", "b", "c"] {
        server.send_to(answer.as_bytes(), from).unwrap();
    }
    client.close_stdin();
    client.signal(libc::SIGCONT);
    assert_eq!(success(client), "a\nb\nc\n");
}

#[test]
fn the_timeout_ends_it_and_what_came_is_written() {
    let env = Env::new();
    let (address, echo) = udp_echo(1);
    let mut client = env.start(["sock", "connect", &address, "-n", "2", "--timeout", "200ms"]);
    client.write(b"x\n");
    client.close_stdin();
    client.wait_end();
    let ended = client.end();
    assert_eq!((ended.status.code(), &ended.stdout[..]), (Some(124), &b"x\n"[..]));
    assert!(String::from_utf8(ended.stderr).unwrap().contains("timed out (ETIMEDOUT)"));
    echo.join().unwrap();
    // Also while the input stays open, and while a full receiver is waited for.
    let _server = UnixDatagram::bind(env.path("s")).unwrap();
    let mut client = env.start(["sock", "connect", "./s", "-t", "dgram", "--timeout", "50ms"]);
    client.wait_end();
    assert_eq!(client.status().code(), Some(124));
    env.sh("yes | ipcx sock connect ./s -t dgram --timeout 50ms").assert().code(124);
}

#[test]
fn a_peer_that_never_pauses_does_not_outlast_the_timeout() {
    let env = Env::new();
    let server = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let mut client =
        env.start(["sock", "connect", &format!("udp:{}", server.local_addr().unwrap()), "--timeout", "100ms"]);
    client.write(b"x\n");
    let (_, from) = server.recv_from(&mut [0; 10]).unwrap();
    // Until nobody has the port any more.
    server.connect(from).unwrap();
    let flood = std::thread::spawn(move || while server.send(b"flood").is_ok() {});
    let ended = client.end();
    assert_eq!(ended.status.code(), Some(124));
    flood.join().unwrap();
}

#[test]
fn only_the_peer_is_heard() {
    let env = Env::new();
    let server = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let mut client = env.start(["sock", "connect", &format!("udp:{}", server.local_addr().unwrap()), "-n", "1"]);
    client.write(b"x\n");
    let (_, from) = server.recv_from(&mut [0; 10]).unwrap();
    drop(UdpSocket::bind(("127.0.0.1", 0)).unwrap().send_to(b"forged", from));
    server.send_to(b"true", from).unwrap();
    assert_eq!(success(client), "true\n");
}

#[test]
fn a_port_that_nobody_has_is_a_failure() {
    let env = Env::new();
    let free = UdpSocket::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    for how in [&[][..], &["-n", "1"], &["--timeout", "1h"]] {
        let address = format!("udp:{free}");
        let args = ["sock", "connect", &address].into_iter().chain(how.iter().copied());
        let ended = env.ipcx(args).write_stdin("x\n").assert().code(3).stdout("");
        let said = String::from_utf8(ended.get_output().stderr.clone()).unwrap();
        assert!(said.contains("nobody listens there (ECONNREFUSED)"), "{said}");
    }
    crate::kit::leave_stale(&env.path("s"));
    let said = env.fails(3, ["sock", "connect", "./s", "--type=dgram"]);
    assert!(said.contains("nobody listens there; the socket file is stale"), "{said}");
}

#[test]
fn a_receiver_that_goes_is_a_failure() {
    let env = Env::new();
    let server = UnixDatagram::bind(env.path("s")).unwrap();
    let mut client = env.start(["sock", "connect", "./s", "-t", "dgram"]);
    client.write(b"x\n");
    server.recv(&mut [0; 10]).unwrap();
    drop(server);
    client.write(b"y\n");
    client.wait_end();
    let ended = client.end();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(3), "{said}");
    assert!(said.contains("nobody receives there any more"), "{said}");
}

#[test]
fn a_line_that_is_too_long_is_a_failure_and_what_came_before_is_written() {
    let env = Env::new();
    let (address, echo) = udp_echo(1);
    let mut client = env.start(["sock", "connect", &address, "-n", "9"]);
    client.write(b"short\n");
    assert_eq!(client.line(), "short");
    client.write(&vec![b'x'; 65508]);
    client.close_stdin();
    client.wait_end();
    let ended = client.end();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(7), "{said}");
    assert!(said.contains("65508 bytes, a datagram of UDP has at most 65507"), "{said}");
    echo.join().unwrap();
    let server = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let address = format!("udp:{}", server.local_addr().unwrap());
    let script = format!("head -c 40000000 /dev/zero | ipcx sock connect {address} --timeout 1m");
    let ended = env.sh(&script).assert().code(7).get_output().clone();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.contains("fits nowhere"), "{said}");
    // The longest one goes through.
    let longest = "x".repeat(65507);
    let (address, echo) = udp_echo(1);
    let client = env.ipcx(["sock", "connect", &address, "-n1"]).write_stdin(longest.as_str()).assert().success();
    client.stdout(format!("{longest}\n"));
    echo.join().unwrap();
}

#[test]
fn a_signal_ends_the_conversation() {
    let env = Env::new();
    let server = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let address = format!("udp:{}", server.local_addr().unwrap());
    for (signal, status) in [(libc::SIGTERM, 143), (libc::SIGINT, 130), (libc::SIGHUP, 129)] {
        for how in [&[][..], &["-n", "1"]] {
            let mut client = env.start(["sock", "connect", &address].iter().chain(how));
            client.write(b"x\n");
            server.recv(&mut [0; 10]).unwrap();
            client.wait_blocked("poll");
            client.signal(signal);
            client.wait_end();
            assert_eq!(client.status().code(), Some(status));
        }
    }
}

#[test]
fn streams_that_cannot_be_used_are_failures() {
    let env = Env::new();
    let (address, echo) = udp_echo(1);
    let ended = env.sh(&format!("echo x | ipcx sock connect {address} -n 1 >/dev/full")).assert().code(1);
    let said = String::from_utf8(ended.get_output().stderr.clone()).unwrap();
    assert!(said.contains("standard output"), "{said}");
    echo.join().unwrap();
    for (streams, about) in [(">&-", "standard output"), ("</", "cannot read standard input")] {
        let ended = env.sh(&format!("ipcx sock connect {address} --timeout 1m {streams}")).assert().code(1);
        let said = String::from_utf8(ended.get_output().stderr.clone()).unwrap();
        assert!(said.contains(about), "{said}");
    }
}

#[test]
fn what_makes_no_sense_with_the_kind_of_socket_is_refused() {
    let env = Env::new();
    let said = env.fails(2, ["sock", "connect", "udp:127.0.0.1:1", "--", "cat"]);
    assert!(said.contains("no connection that a command"), "{said}");
    for (address, option) in [("./s", "-n1"), ("tcp:127.0.0.1:1", "-0")] {
        let said = env.fails(2, ["sock", "connect", address, option]);
        assert!(said.contains("are for datagrams"), "{said}");
    }
    env.fails(2, ["sock", "connect", "udp:127.0.0.1:1", "-n", "0"]);
}
