//! Looking into sockets of others.

use super::*;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

fn reference(socket: impl AsFd) -> String {
    nix::sys::stat::fstat(socket).unwrap().st_ino.to_string()
}

fn peek(env: &Env, socket: impl AsFd, how: &[&str]) -> Vec<u8> {
    let reference = reference(socket);
    let args = ["sock", "peek", &reference];
    env.ipcx(args.iter().chain(how)).assert().success().get_output().stdout.clone()
}

#[test]
fn what_waits_is_shown_and_stays() {
    let env = Env::new();
    let (mut here, mut there) = UnixStream::pair().unwrap();
    assert_eq!(peek(&env, &there, &[]), b"");
    here.write_all(b"hello\x1b[2J\n").unwrap();
    let shown = "00000000  68 65 6c 6c 6f 1b 5b 32  4a 0a                    |hello.[2J.|\n";
    for _ in 0..2 {
        assert_eq!(peek(&env, &there, &[]), shown.as_bytes());
        assert_eq!(peek(&env, &there, &["--raw"]), b"hello\x1b[2J\n");
    }
    let mut got = [0; 10];
    there.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"hello\x1b[2J\n");
}

#[test]
fn of_messages_the_first_one_is_shown() {
    let env = Env::new();
    let (here, there) = UnixDatagram::pair().unwrap();
    here.send(b"first").unwrap();
    here.send(b"second").unwrap();
    assert_eq!(peek(&env, &there, &["--raw"]), b"first");
    let mut got = [0; 10];
    assert_eq!(there.recv(&mut got).unwrap(), 5);
}

#[test]
fn a_socket_is_reached_by_its_name() {
    let env = Env::new();
    let receiver = UnixDatagram::bind(env.path("d")).unwrap();
    UnixDatagram::unbound().unwrap().send_to(b"waiting", env.path("d")).unwrap();
    assert_eq!(env.out(["sock", "peek", "./d", "--raw"]), "waiting");
    assert!(env.out(["sock", "peek", "sock/./d"]).contains("|waiting|"));
    drop(receiver);
    assert!(env.fails(3, ["sock", "peek", "./d"]).contains("no such unix socket"));
}

#[test]
fn what_cannot_be_looked_into_is_said() {
    let env = Env::new();
    let listener = UnixListener::bind(env.path("s")).unwrap();
    assert!(env.fails(1, ["sock", "peek", "./s"]).contains("only listens"));
    assert!(env.fails(3, ["sock", "peek", "999999999999"]).contains("no such unix socket"));
    std::fs::write(env.path("file"), "").unwrap();
    assert!(env.fails(1, ["sock", "peek", "./file"]).contains("not a socket"));
    if !env.has_users() {
        crate::skip!("root is needed for a second user");
    }
    let (here, _there) = UnixStream::pair().unwrap();
    let refused = crate::kit::refusal(&mut env.ipcx_as_nobody(["sock", "peek", &reference(&here)]), 4);
    assert!(refused.contains("may look into"), "{refused}");
    drop(listener);
}
