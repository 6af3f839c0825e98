//! Looking into sockets of others.

use super::*;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

fn peek(env: &Env, fd: i32, how: &[&str]) -> Vec<u8> {
    let (pid, fd) = (std::process::id().to_string(), fd.to_string());
    let args = ["sock", "peek", "--pid", &pid, "--fd", &fd];
    env.ipcx(args.iter().chain(how)).assert().success().get_output().stdout.clone()
}

#[test]
fn what_waits_is_shown_and_stays() {
    let env = Env::new();
    let (mut here, mut there) = UnixStream::pair().unwrap();
    assert_eq!(peek(&env, there.as_raw_fd(), &[]), b"");
    here.write_all(b"hello\x1b[2J\n").unwrap();
    let shown = "00000000  68 65 6c 6c 6f 1b 5b 32  4a 0a                    |hello.[2J.|\n";
    for _ in 0..2 {
        assert_eq!(peek(&env, there.as_raw_fd(), &[]), shown.as_bytes());
        assert_eq!(peek(&env, there.as_raw_fd(), &["--raw"]), b"hello\x1b[2J\n");
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
    assert_eq!(peek(&env, there.as_raw_fd(), &["--raw"]), b"first");
    let mut got = [0; 10];
    assert_eq!(there.recv(&mut got).unwrap(), 5);
}

#[test]
fn what_is_not_there_is_said() {
    let env = Env::new();
    let listener = UnixListener::bind(env.path("s")).unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    let pid = std::process::id().to_string();
    let number = |fd: i32| fd.to_string();
    let cases = [
        (pid.clone(), number(listener.as_raw_fd()), 1, "only listens"),
        (pid.clone(), number(file.as_raw_fd()), 1, "not a socket"),
        (pid, "999999".to_owned(), 3, "no such descriptor"),
        (i32::MAX.to_string(), "0".to_owned(), 3, "no such process"),
    ];
    for (pid, fd, status, words) in cases {
        let said = env.fails(status, ["sock", "peek", "--pid", &pid, "--fd", &fd]);
        assert!(said.contains(words), "{said}");
    }
    if !env.has_users() {
        crate::skip!("root is needed for a second user");
    }
    let pid = std::process::id().to_string();
    let refused = crate::kit::refusal(&mut env.ipcx_as_nobody(["sock", "peek", "--pid", &pid, "--fd", "0"]), 4);
    assert!(refused.contains("EPERM"), "{refused}");
}
