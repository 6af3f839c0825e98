use super::*;
use crate::kit::until;
use std::io::Write as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};

/// Another test's sockets have other names.
fn abstract_name(what: &str) -> Vec<u8> {
    format!("ipcx-it-{}-{what}", std::process::id()).into_bytes()
}

fn listen(name: &[u8]) -> UnixListener {
    UnixListener::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap()
}

#[test]
fn a_listener_and_its_connections_are_told_apart() {
    let env = Env::new();
    let listener = UnixListener::bind(env.path("s")).unwrap();
    let mut client = UnixStream::connect(env.path("s")).unwrap();
    let reference = format!("sock/{}", env.path("s").display());
    let waiting = listed(&env, "sock", &reference);
    assert_eq!(
        (&waiting["state"], &waiting["type"], &waiting["pending"]),
        (&"listening".into(), &"stream".into(), &1.into())
    );
    assert_eq!((&waiting["family"], &waiting["inode"]), (&"unix".into(), &inode(&listener).into()));
    let (server, _) = listener.accept().unwrap();
    client.write_all(b"hello").unwrap();
    let object = listed(&env, "sock", &format!("sock/{}", inode(&server)));
    assert_eq!((&object["state"], &object["recvq"]), (&"connected".into(), &5.into()));
    assert_eq!(object["peer"], format!("sock/{}", inode(&client)));
    assert_eq!(object["bound"], env.path("s").to_str().unwrap());
    let shown = env.json(["show", &format!("sock/{}", inode(&server)), "--json"])["objects"][0].clone();
    our_end(&shown, "processes", &server);
    our_end(&shown, "peer_processes", &client);
    assert_eq!(listed(&env, "sock", &reference)["pending"], 0);
    // By its path the listener is meant, however it is written.
    let shown = env.json(["sock", "show", "./s", "--json"])["objects"][0].clone();
    assert_eq!((&shown["ref"], &shown["inode"]), (&"sock/./s".into(), &inode(&listener).into()));
    assert_eq!(shown["mode"], format!("{:04o}", nix::sys::stat::stat(&env.path("s")).unwrap().st_mode & 0o7777));
}

#[test]
fn a_relative_path_counts_from_the_directory_of_who_bound_it() {
    let env = Env::new();
    let mut listener = env.start(["sock", "listen", "./s"]);
    until("the socket file", || env.path("s").exists());
    let reference = format!("sock/{}", env.path("s").canonicalize().unwrap().display());
    let refs = || env.out(["sock", "ls", "-o", "ref,processes", "--raw", "--no-headings"]);
    until("it to be listed by its path", || refs().lines().any(|line| line.starts_with(&format!("{reference}\t"))));
    listener.signal(15);
    listener.wait_end();
}

#[test]
fn abstract_names_are_shown_with_an_at_sign_and_taken_back() {
    let env = Env::new();
    let name = abstract_name("plain");
    let listener = listen(&name);
    let reference = format!("sock/@{}", String::from_utf8(name).unwrap());
    let shown = env.json(["show", &reference, "--json"])["objects"][0].clone();
    assert_eq!((&shown["inode"], &shown["mode"]), (&inode(&listener).into(), &Value::Null));
    assert!(env.fails(1, ["rm", "--force", &reference]).contains("no name to remove"));
    drop(listener);
    env.fails(3, ["show", &reference]);
}

#[test]
fn names_that_would_break_a_list_of_lines_break_nothing() {
    let env = Env::new();
    let hostile = [&abstract_name("h")[..], b"\n0000000000000000: 1\x1b[2J\xff\0end"].concat();
    let listener = listen(&hostile);
    let plain = listen(&abstract_name("beside"));
    let output = env.ipcx(["ls", "sock", "-o", "+bound"]).assert().success().get_output().stdout.clone();
    crate::kit::look::assert_harmless("ls sock", &output);
    let text = String::from_utf8(output).unwrap();
    assert!(text.contains(r"h\x0a0000000000000000: 1\x1b[2J\xff\x00end"), "{text}");
    // A NUL cannot be typed, so this one goes by its inode number.
    assert_eq!(listed(&env, "sock", &format!("sock/{}", inode(&listener)))["state"], "listening");
    let beside = String::from_utf8(abstract_name("beside")).unwrap();
    assert_eq!(listed(&env, "sock", &format!("sock/@{beside}"))["inode"], inode(&plain));
}

#[test]
fn datagrams_have_the_size_of_the_first_that_waits() {
    let env = Env::new();
    let receiver = UnixDatagram::bind(env.path("d")).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    for message in ["four", "longer one"] {
        sender.send_to(message.as_bytes(), env.path("d")).unwrap();
    }
    let object = listed(&env, "sock", &format!("sock/{}", env.path("d").display()));
    assert_eq!(
        (&object["type"], &object["state"], &object["recvq"]),
        (&"dgram".into(), &"unconnected".into(), &4.into())
    );
    drop(receiver);
}

#[test]
fn a_file_without_a_socket_is_dead_and_may_be_removed() {
    let env = Env::new();
    crate::kit::leave_stale(&env.path("dead"));
    assert_eq!(env.json(["sock", "show", "./dead", "--json"])["objects"][0]["state"], "dead");
    env.ipcx(["sock", "rm", "./dead"]).assert().success();
    assert!(!env.path("dead").exists());
    let listener = UnixListener::bind(env.path("live")).unwrap();
    assert!(env.fails(1, ["sock", "rm", "./live"]).contains("it is in use"));
    assert!(env.path("live").exists());
    drop(listener);
    std::fs::write(env.path("file"), "data").unwrap();
    assert!(env.fails(1, ["sock", "rm", "./file", "--force"]).contains("a file, not a socket"));
    env.fails(3, ["sock", "show", "./none"]);
}

#[test]
fn a_socket_of_another_network_namespace_is_in_use() {
    let env = Env::new();
    let mut command = std::process::Command::new("unshare");
    command.arg("--net").arg(crate::kit::program()).args(["sock", "listen", "./s"]).current_dir(env.path(""));
    let _listener = crate::kit::Running::start(command);
    until("the socket file", || env.path("s").exists());
    let state = || env.json(["sock", "show", "./s", "--json"])["objects"][0]["state"].clone();
    until("it to be bound", || state() == "foreign");
    let said = env.fails(1, ["sock", "rm", "./s"]);
    assert!(said.contains("another network namespace"), "{said}");
    assert!(env.path("s").exists());
}

#[test]
fn a_kernel_without_unix_diag_is_a_gap() {
    let env = Env::new();
    let refused = [crate::kit::Refusal {
        call: libc::SYS_socket,
        argument: Some((0, u32::MAX, libc::AF_NETLINK.try_into().unwrap())),
        errno: libc::EPROTONOSUPPORT,
    }];
    let output = env.ipcx_refused(&refused, ["ls", "-a", "--json"]).assert().success().get_output().clone();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let gap = document["gaps"].as_array().unwrap().iter().find(|gap| gap["subject"] == "unix sockets").unwrap();
    assert_eq!((&gap["call"], &gap["errno"]), (&"sock_diag".into(), &"EPROTONOSUPPORT".into()));
}

#[test]
fn an_ordinary_user_sees_all_sockets_and_his_own_processes() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("needs a second user");
    }
    let name = abstract_name("seen");
    let listener = listen(&name);
    let reference = format!("sock/@{}", String::from_utf8(name).unwrap());
    until("it to be listed", || {
        let output = env.ipcx_as_nobody(["ls", "sock", "-o", "ref,uid", "--raw", "--no-headings"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().any(|line| line == format!("{reference}\t0"))
    });
    drop(listener);
}
