//! Addresses of every form, and what is none.

use super::*;

#[test]
fn bytes_go_through_every_kind_of_address() {
    let env = Env::new();
    let name = unique(&env, "every");
    for address in ["./s", &name, "tcp:127.0.0.1:0", "tcp:localhost:0", "tcp::0", "tcp:*:0"] {
        let (listener, address) = listening(&env, ["sock", "listen", address]);
        env.ipcx(["sock", "connect", &address]).write_stdin("hello").assert().success();
        assert_eq!(success(listener), "hello", "{address}");
    }
}

#[test]
fn a_listener_on_all_addresses_takes_both_families() {
    if !has_ipv6() {
        crate::skip!("there is no IPv6 here");
    }
    let env = Env::new();
    for host in ["127.0.0.1", "[::1]", ""] {
        let (listener, address) = listening(&env, ["sock", "listen", "tcp::0"]);
        let port = address.strip_prefix("tcp::").unwrap();
        env.ipcx(["sock", "connect", &format!("tcp:{host}:{port}")]).write_stdin("x").assert().success();
        assert_eq!(success(listener), "x", "{host}");
    }
    let (listener, address) = listening(&env, ["sock", "listen", "tcp:[::1]:0"]);
    assert!(address.starts_with("tcp:[::1]:"), "{address}");
    env.ipcx(["sock", "connect", &address]).write_stdin("v6").assert().success();
    assert_eq!(success(listener), "v6");
}

#[test]
fn all_addresses_of_a_name_are_tried() {
    let env = Env::new();
    // localhost is ::1 first, where nobody listens.
    let (listener, address) = listening(&env, ["sock", "listen", "tcp:127.0.0.1:0"]);
    let port = address.strip_prefix("tcp:127.0.0.1:").unwrap();
    env.ipcx(["sock", "connect", &format!("tcp:localhost:{port}")]).write_stdin("x").assert().success();
    assert_eq!(success(listener), "x");
}

#[test]
fn what_is_no_address_is_wrong_usage() {
    let env = Env::new();
    for bad in ["s", "", "@", "tcp:host", "tcp:1.2.3.4:65536", "tcp:::1:80", "udp:[::1]", "tcp:[::1"] {
        for verb in ["listen", "connect", "send", "recv"] {
            env.fails(2, ["sock", verb, bad]);
        }
    }
    let said = env.fails(2, ["sock", "connect", "noslash"]);
    assert!(said.contains("tcp:HOST:PORT") && said.contains("@NAME"), "{said}");
    for (address, option) in [("@x", "--mode=600"), ("tcp::0", "--replace-stale")] {
        for verb in ["listen", "recv"] {
            let said = env.fails(2, ["sock", verb, address, option]);
            assert!(said.contains("has no socket file"), "{said}");
        }
    }
    for (verb, address, kind) in [("listen", "tcp::0", "dgram"), ("send", "udp::1", "stream")] {
        let said = env.fails(2, ["sock", verb, address, "--type", kind]);
        assert!(said.contains("always of type"), "{said}");
    }
    for args in [["udp:127.0.0.1:1", "-v"], ["./s", "--type=dgram"]] {
        let said = env.fails(2, ["sock", "listen", args[0], args[1]]);
        assert!(said.contains("datagrams have no connections"), "{said}");
    }
}

#[test]
fn a_path_of_107_bytes_fits_and_a_longer_one_says_the_limit() {
    let env = Env::new();
    let longest = format!("./{}", "x".repeat(105));
    let (listener, _) = listening(&env, ["sock", "listen", &longest]);
    env.ipcx(["sock", "connect", &longest]).write_stdin("fits").assert().success();
    assert_eq!(success(listener), "fits");
    for long in [format!("{longest}y"), format!("@{}", "x".repeat(108))] {
        for args in [&["listen"][..], &["connect"], &["send", "-t", "dgram"], &["recv", "-t", "dgram"]] {
            let said = env.fails(7, ["sock", args[0], &long].iter().chain(&args[1..]));
            assert!(said.contains("108 bytes") && said.contains("at most 107"), "{said}");
        }
    }
    assert_eq!(std::fs::read_dir(env.path("")).unwrap().count(), 0);
}

#[test]
fn hostile_names_are_escaped_wherever_they_are_said() {
    use std::os::unix::ffi::OsStringExt as _;
    let env = Env::new();
    let hostile = b"\x1b]0;x\x07\xff\n\xe2\x80\xae";
    let own = env.path("").into_os_string().into_vec();
    for name in [[b"@", &own[..], hostile].concat(), [b"./", &hostile[..]].concat()] {
        let name = std::ffi::OsString::from_vec(name);
        let words = |verb: &str| [std::ffi::OsString::from("sock"), verb.into(), name.clone()];
        let refused = env.ipcx(words("connect")).assert().code(3).get_output().stderr.clone();
        crate::kit::look::assert_harmless("the error", &refused);
        let (listener, address) = listening(&env, words("listen"));
        crate::kit::look::assert_harmless("the address", address.as_bytes());
        assert!(address.ends_with("\\x1b]0;x\\x07\\xff\\x0a\\xe2\\x80\\xae"), "{address}");
        env.ipcx(words("connect")).write_stdin("x").assert().success();
        assert_eq!(success(listener), "x");
    }
}

#[test]
fn who_is_not_there_is_status_3() {
    let env = Env::new();
    let said = env.fails(3, ["sock", "connect", "./none"]);
    assert!(said.contains("no such socket file (ENOENT)"), "{said}");
    let name = unique(&env, "none");
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    for address in [name, format!("tcp:{free}")] {
        let said = env.fails(3, ["sock", "connect", &address]);
        assert!(said.contains("nobody listens there (ECONNREFUSED)"), "{said}");
    }
    leave_stale(&env.path("stale"));
    let said = env.fails(3, ["sock", "connect", "./stale"]);
    assert!(said.contains("stale"), "{said}");
    std::fs::write(env.path("file"), "").unwrap();
    let said = env.fails(3, ["sock", "connect", "./file"]);
    assert!(said.contains("a regular file is there"), "{said}");
    let said = env.fails(3, ["sock", "connect", "tcp:127.0.0.1:no-such-service"]);
    assert!(said.contains("no service `no-such-service`"), "{said}");
}

#[test]
fn a_socket_of_another_type_is_said_to_be_one() {
    let env = Env::new();
    let (receiver, _) = listening(&env, ["sock", "recv", "./d", "--type", "dgram"]);
    let said = env.fails(1, ["sock", "connect", "./d"]);
    assert!(said.contains("another type") && said.contains("--type"), "{said}");
    env.ipcx(["sock", "send", "./d", "--type", "dgram", "x"]).assert().success();
    assert_eq!(success(receiver), "x\n");
}
