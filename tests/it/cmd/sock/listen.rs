//! Listening without a command.

use super::*;

#[test]
fn one_connection_is_taken_and_the_file_is_gone_from_then_on() {
    let env = Env::new();
    let (mut listener, _) = listening_with_input(&env, ["sock", "listen", "./s"]);
    let mut client = env.start(["sock", "connect", "./s"]);
    client.write(b"first\n");
    assert_eq!(listener.line(), "first");
    env.fails(3, ["sock", "connect", "./s"]);
    listener.write(b"answer\n");
    assert_eq!(client.line(), "answer");
    client.close_stdin();
    success(listener);
    success(client);
}

#[test]
fn with_keep_the_connections_come_one_after_another() {
    let env = Env::new();
    let (mut listener, address) = listening(&env, ["sock", "listen", "tcp:127.0.0.1:0", "--keep"]);
    for text in ["a\n", "b\n", "c\n"] {
        env.ipcx(["sock", "connect", &address]).write_stdin(text).assert().success().stdout("");
        assert_eq!(listener.line(), text.trim());
    }
    listener.wait_blocked("accept");
    listener.signal(libc::SIGTERM);
    listener.wait_end();
    assert_eq!(listener.status().code(), Some(143));
}

#[test]
fn a_peer_that_vanishes_does_not_end_a_listener_that_keeps_on() {
    let env = Env::new();
    let (mut listener, _) = listening(&env, ["sock", "listen", "./s", "--keep"]);
    let mut client = env.start(["sock", "connect", "./s"]);
    client.write(b"cut o\n");
    assert_eq!(listener.line(), "cut o");
    client.signal(libc::SIGKILL);
    client.wait_end();
    env.ipcx(["sock", "connect", "./s"]).write_stdin("next\n").assert().success();
    assert_eq!(listener.line(), "next");
    listener.signal(libc::SIGTERM);
}

#[test]
fn a_peer_that_never_comes_is_waited_for_until_the_timeout() {
    let env = Env::new();
    for how in [&["listen", "./s"][..], &["recv", "./s"], &["recv", "./s", "-t", "dgram"], &["listen", "tcp::0"]] {
        let said = env.fails(124, ["sock"].iter().chain(how).chain(&["--timeout", "50ms"]));
        assert!(said.contains("listening on") && said.contains("timed out"), "{said}");
        assert!(!env.path("s").exists(), "{how:?}");
    }
    for kind in ["stream", "dgram", "seqpacket"] {
        let said = env.fails(6, ["sock", "recv", "./s", "--nowait", "--type", kind]);
        assert!(said.contains("EAGAIN"), "{said}");
    }
}

#[test]
fn quiet_keeps_silent() {
    let env = Env::new();
    env.ipcx(["-q", "sock", "listen", "./s", "--timeout", "20ms"]).assert().code(124);
    let output = env.ipcx(["-q", "sock", "recv", "./s", "--timeout", "20ms"]).output().unwrap();
    assert!(!String::from_utf8(output.stderr).unwrap().contains("listening"));
}

#[test]
fn an_address_in_use_is_status_5() {
    let env = Env::new();
    let name = unique(&env, "busy");
    for address in [name.as_str(), "tcp:127.0.0.1:0"] {
        let (_listener, address) = listening(&env, ["sock", "listen", address]);
        let said = env.fails(5, ["sock", "listen", &address]);
        assert!(said.contains("EADDRINUSE") && said.contains("hint: "), "{said}");
    }
    let (_receiver, address) = listening(&env, ["sock", "recv", "udp:127.0.0.1:0"]);
    let said = env.fails(5, ["sock", "recv", &address]);
    assert!(said.contains("EADDRINUSE"), "{said}");
}

#[test]
fn a_port_can_be_taken_again_at_once() {
    let env = Env::new();
    let (server, address) = listening(&env, ["sock", "listen", "tcp:127.0.0.1:0", "--exec", "true"]);
    let mut client = env.start(["sock", "connect", &address]);
    // The side that closes first keeps the port in TIME_WAIT.
    assert_eq!(client.line(), "");
    success(client);
    success(server);
    let (listener, _) = listening(&env, ["sock", "listen", &address]);
    env.ipcx(["sock", "connect", &address]).write_stdin("again").assert().success();
    assert_eq!(success(listener), "again");
}

#[test]
fn output_that_cannot_be_written_is_known_before_a_connection_is_taken() {
    let env = Env::new();
    for verb in ["listen", "recv"] {
        let failed = env.sh(&format!("ipcx sock {verb} ./s >&-")).assert().code(1).get_output().clone();
        let said = String::from_utf8(failed.stderr).unwrap();
        assert!(said.contains("standard output") && !said.contains("listening"), "{said}");
    }
}
