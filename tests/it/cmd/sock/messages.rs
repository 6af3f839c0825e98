//! Datagrams and records: whole, in order, in every form.

use super::*;
use crate::kit::reset;
use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixDatagram;

#[test]
fn each_message_is_one_datagram_in_every_form() {
    let env = Env::new();
    let forms =
        [(&[][..], "a\n\nb c\n"), (&["--raw"], "ab c"), (&["--null"], "a\0\0b c\0"), (&["--hex"], "61\n\n622063\n")];
    for kind in ["dgram", "seqpacket"] {
        for (form, expected) in forms {
            let args = ["sock", "recv", "./s", "--type", kind, "-n", "3"];
            let (receiver, _) = listening(&env, args.iter().chain(form));
            env.ipcx(["sock", "send", "./s", "--type", kind, "a", "", "b c"]).assert().success();
            assert_eq!(success(receiver), expected, "{kind} {form:?}");
        }
    }
}

#[test]
fn json_tells_the_sender() {
    let env = Env::new();
    for kind in ["dgram", "seqpacket"] {
        let (receiver, _) = listening(&env, ["sock", "recv", "./s", "--type", kind, "--json", "-n", "2"]);
        let mut sender = env.command(["sock", "send", "./s", "--type", kind, "text"]);
        sender.arg(std::ffi::OsStr::from_bytes(b"\xff\x00"[..1].as_ref()));
        let sender = Running::start(sender);
        let pid = sender.pid;
        success(sender);
        let from = format!(r#""from":null,"pid":{pid},"uid":0,"gid":0"#);
        let expected = format!("{{{from},\"size\":4,\"text\":\"text\"}}\n{{{from},\"size\":1,\"base64\":\"/w==\"}}\n");
        assert_eq!(success(receiver), expected, "{kind}");
    }
    let (receiver, _) = listening(&env, ["sock", "recv", "./s", "--type", "dgram", "--json"]);
    let named = UnixDatagram::bind(env.path("me")).unwrap();
    named.send_to(b"x", env.path("s")).unwrap();
    let from = format!("{}", env.path("me").display());
    let got: serde_json::Value = serde_json::from_str(&success(receiver)).unwrap();
    assert_eq!(got["from"], from);
    let (receiver, address) = listening(&env, ["sock", "recv", "udp:127.0.0.1:0", "--json"]);
    env.ipcx(["sock", "send", &address, "x"]).assert().success();
    let got: serde_json::Value = serde_json::from_str(&success(receiver)).unwrap();
    assert!(got["from"].as_str().unwrap().starts_with("udp:127.0.0.1:"), "{got}");
    assert!(got.get("pid").is_none());
}

#[test]
fn many_datagrams_arrive_in_order_and_none_is_lost() {
    let env = Env::new();
    env.sh("seq 50000 >in").assert().success();
    let (receiver, _) = listening(&env, ["sock", "recv", "./s", "--type", "dgram", "-n", "50000"]);
    let receiver = std::thread::spawn(move || success(receiver));
    env.sh("ipcx sock send ./s --type dgram --lines <in").assert().success();
    assert!(receiver.join().unwrap() == fs::read_to_string(env.path("in")).unwrap());
}

#[test]
fn records_of_the_input_are_messages() {
    let env = Env::new();
    for (how, input) in [("--lines", &b"a\n\nb"[..]), ("--null", b"a\0\0b\0"), ("-0", b"a\0\0b")] {
        let (receiver, _) = listening(&env, ["sock", "recv", "./s", "-t", "dgram", "-n", "3", "--hex"]);
        env.ipcx(["sock", "send", "./s", "-t", "dgram", how]).write_stdin(input).assert().success();
        assert_eq!(success(receiver), "61\n\n62\n", "{how}");
    }
    let (receiver, _) = listening(&env, ["sock", "recv", "./s", "-t", "dgram", "--raw"]);
    env.ipcx(["sock", "send", "./s", "-t", "dgram"]).write_stdin("a\nb\0c\n").assert().success();
    assert_eq!(success(receiver), "a\nb\0c\n");
}

#[test]
fn udp_carries_datagrams() {
    let env = Env::new();
    let (receiver, address) = listening(&env, ["sock", "recv", "udp:127.0.0.1:0", "-n", "2"]);
    env.ipcx(["sock", "send", &address, "a", "b"]).assert().success();
    assert_eq!(success(receiver), "a\nb\n");
    let said = env.fails(3, ["sock", "send", &address, "nobody"]);
    assert!(said.contains("nobody listens there"), "{said}");
}

#[test]
fn a_datagram_goes_to_a_broadcast_address() {
    let env = Env::new();
    let receiver = std::net::UdpSocket::bind(("0.0.0.0", 0)).unwrap();
    let address = format!("udp:127.255.255.255:{}", receiver.local_addr().unwrap().port());
    env.ipcx(["sock", "send", &address, "to all"]).assert().success();
    let mut got = [0; 10];
    let (length, _) = receiver.recv_from(&mut got).unwrap();
    assert_eq!(&got[..length], b"to all");
}

#[test]
fn a_datagram_that_is_too_long_is_refused_and_never_cut() {
    let env = Env::new();
    let (receiver, address) = listening(&env, ["sock", "recv", "udp:127.0.0.1:0", "--raw"]);
    let said = env.ipcx(["sock", "send", &address]).write_stdin(vec![b'x'; 65508]).assert().code(7);
    let said = String::from_utf8(said.get_output().stderr.clone()).unwrap();
    assert!(said.contains("65508 bytes") && said.contains("at most 65507"), "{said}");
    env.ipcx(["sock", "send", &address]).write_stdin(vec![b'x'; 65507]).assert().success();
    assert_eq!(success(receiver).len(), 65507);
    let most: usize = fs::read_to_string("/proc/sys/net/core/wmem_max").unwrap().trim().parse().unwrap();
    if most > 2_000_000 {
        crate::skip!("net.core.wmem_max is too large here to send more at once");
    }
    let (receiver, _) = listening(&env, ["sock", "recv", "./s", "-t", "dgram", "--raw"]);
    let said = env.ipcx(["sock", "send", "./s", "-t", "dgram"]).write_stdin(vec![b'x'; 2 * most]).assert().code(7);
    let said = String::from_utf8(said.get_output().stderr.clone()).unwrap();
    assert!(said.contains(&format!("{} bytes", 2 * most)) && said.contains("EMSGSIZE"), "{said}");
    assert!(said.contains(&format!("net.core.wmem_max = {most}")), "{said}");
    // Up to that, it makes room by itself.
    env.ipcx(["sock", "send", "./s", "-t", "dgram"]).write_stdin(vec![b'x'; 2 * most - 32]).assert().success();
    assert_eq!(success(receiver).len(), 2 * most - 32);
}

#[test]
fn what_the_receiver_does_not_want_so_long_is_refused_or_cut_as_asked() {
    let env = Env::new();
    for kind in ["dgram", "seqpacket"] {
        let args = ["sock", "recv", "./s", "-t", kind, "--max-size", "4"];
        let (receiver, _) = listening(&env, args);
        drop(env.ipcx(["sock", "send", "./s", "-t", kind, "12345"]).output().unwrap());
        let ended = receiver.end();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!((ended.status.code(), ended.stdout.len()), (Some(7), 0), "{said}");
        assert!(said.contains("message is 5 bytes, --max-size allows 4"), "{said}");
        let (receiver, _) = listening(&env, args.iter().chain(&["--truncate"]));
        env.ipcx(["sock", "send", "./s", "-t", kind, "12345"]).assert().success();
        assert_eq!(success(receiver), "1234\n");
        let (receiver, _) = listening(&env, args);
        env.ipcx(["sock", "send", "./s", "-t", kind, "1234"]).assert().success();
        assert_eq!(success(receiver), "1234\n");
    }
}

#[test]
fn a_receiver_of_records_goes_on_with_the_next_connection() {
    let env = Env::new();
    let (receiver, _) = listening(&env, ["sock", "recv", "./s", "-t", "seqpacket", "-n", "3"]);
    for messages in [&["a", ""][..], &[], &["b"]] {
        if messages.is_empty() {
            env.ipcx(["sock", "send", "./s", "-t", "seqpacket", "--lines"]).assert().success();
        } else {
            env.ipcx(["sock", "send", "./s", "-t", "seqpacket"].iter().chain(messages)).assert().success();
        }
    }
    assert_eq!(success(receiver), "a\n\nb\n");
}

#[test]
fn each_message_is_written_before_the_next_one_is_taken() {
    let env = Env::new();
    let (mut receiver, _) = listening(&env, ["sock", "recv", "./s", "-t", "dgram", "--follow"]);
    for message in ["a", "b", "c"] {
        env.ipcx(["sock", "send", "./s", "-t", "dgram", message]).assert().success();
        assert_eq!(receiver.line(), message);
    }
    receiver.signal(libc::SIGTERM);
    receiver.wait_end();
    assert_eq!(receiver.status().code(), Some(143));
}

#[test]
fn a_message_that_cannot_be_written_is_on_standard_error() {
    let env = Env::new();
    for form in ["", "--json"] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = env.command(["sock", "recv", "./s", "-t", "dgram"]);
        command.args(Some(form).filter(|form| !form.is_empty()));
        let child = command.stdout(full).stderr(std::process::Stdio::piped()).spawn().unwrap();
        crate::kit::until("it to listen", || env.path("s").exists());
        env.ipcx(["sock", "send", "./s", "-t", "dgram", "esc\x1b[2J"]).assert().success();
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.contains("\nesc\\x1b[2J\n") && said.contains("standard output"), "{said}");
    }
}

#[test]
fn a_stream_is_taken_as_it_is() {
    let env = Env::new();
    let (receiver, _) = listening(&env, ["sock", "recv", "./s", "-n", "2"]);
    env.ipcx(["sock", "send", "./s", "a", "b"]).assert().success();
    env.ipcx(["sock", "send", "./s"]).write_stdin("no newline").assert().success();
    assert_eq!(success(receiver), "a\nb\nno newline");
    for wrong in ["--json", "--hex", "-0", "--max-size=4"] {
        let said = env.fails(2, ["sock", "recv", "./s", wrong]);
        assert!(said.contains("a stream has no messages"), "{said}");
    }
    for wrong in ["--lines", "--null"] {
        let said = env.fails(2, ["sock", "send", "./s", wrong]);
        assert!(said.contains("a stream has no messages"), "{said}");
    }
}

#[test]
fn a_connection_that_is_broken_off_does_not_end_a_receiver_of_several() {
    let env = Env::new();
    let run = |how: &[&str]| {
        let args = ["sock", "recv", "tcp:127.0.0.1:0"];
        let (mut receiver, address) = listening(&env, args.iter().chain(how));
        let mut peer = TcpStream::connect(address.strip_prefix("tcp:").unwrap()).unwrap();
        peer.write_all(b"cut o\n").unwrap();
        assert_eq!(receiver.line(), "cut o");
        reset(peer);
        if how != ["-n", "1"] {
            env.ipcx(["sock", "send", &address, "next"]).assert().success();
            assert_eq!(receiver.line(), "next");
        }
        if how == ["--follow"] {
            receiver.signal(libc::SIGTERM);
        }
        let ended = receiver.end();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    };
    let (status, said) = run(&["--follow"]);
    assert!(said.contains("warning: a peer broke its connection off (ECONNRESET)"), "{said}");
    assert_eq!(status, Some(143));
    for how in [["-n", "2"], ["-n", "1"]] {
        let (status, said) = run(&how);
        assert!(said.contains("cannot receive from tcp:127.0.0.1:"), "{said}");
        assert!(said.contains(": the peer broke the connection off (ECONNRESET)"), "{said}");
        assert_eq!(status, Some(1), "{how:?}");
    }
}
