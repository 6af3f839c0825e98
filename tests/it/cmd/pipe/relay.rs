use crate::kit::look::refused;
use crate::kit::{Env, until};
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::Stdio;

#[test]
fn everything_goes_from_one_side_to_the_other() {
    let env = Env::new();
    env.sh("seq 300000 >in; printf before >appended").assert().success();
    let bytes = fs::read(env.path("in")).unwrap();
    let ways = [
        "cat in | ipcx pipe | cat >out",
        "ipcx pipe <in | cat >out",
        "cat in | ipcx pipe >out",
        "ipcx pipe <in >out",
        "ipcx pipe --meter always <in 2>/dev/null | cat >out",
        "ipcx pipe --rate 1G <in >out",
        "cat in | ipcx pipe --report 2>/dev/null | ipcx pipe --json 2>/dev/null >out",
    ];
    for way in ways {
        env.sh(&format!("rm -f out; {way}")).assert().success().stderr("");
        assert!(fs::read(env.path("out")).unwrap() == bytes, "{way}");
    }
    // A file that is appended to takes no splice(2).
    env.sh("cat in | ipcx pipe >>appended; ipcx pipe <in >>appended").assert().success();
    assert!(fs::read(env.path("appended")).unwrap() == [b"before", &bytes[..], &bytes].concat());
    // Neither does a file of /proc.
    let output = env.sh("ipcx pipe </proc/self/mountinfo | grep -c ^").assert().success().get_output().clone();
    assert_ne!(output.stdout, b"0\n");
    env.sh("ipcx pipe </dev/null >out").assert().success().stderr("");
    assert_eq!(fs::read(env.path("out")).unwrap(), b"");
}

#[test]
fn a_file_is_relayed_from_where_it_stands() {
    let env = Env::new();
    env.sh("printf 'one\\ntwo\\n' >in; { read x; ipcx pipe | cat; } <in").assert().success().stdout("two\n");
}

#[test]
fn what_cannot_be_read_or_written_is_said() {
    let env = Env::new();
    let said = |script: &str, status: i32| {
        let output = env.sh(script).assert().code(status).get_output().clone();
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said("ipcx pipe </", 1).contains("cannot read standard input: is a directory (EISDIR)"));
    assert!(said("ipcx pipe <&-", 1).contains("cannot read standard input: it is closed (EBADF)"));
    assert!(said("ipcx pipe </dev/null >&-", 1).contains("cannot write standard output: it is closed (EBADF)"));
    assert!(said("head -c 1000000 /dev/zero | ipcx pipe >/dev/full", 1).contains("ENOSPC"));
    assert!(said("ipcx pipe </dev/zero >/dev/full", 1).contains("ENOSPC"));
    assert!(said("ulimit -f 1; ipcx pipe </dev/zero >out", 1).contains("EFBIG"));
    assert!(said("ipcx pipe --report </", 1).contains("0 bytes in"));
}

#[test]
fn a_reader_that_has_enough_ends_it_quietly() {
    let env = Env::new();
    let script =
        "{ yes | ipcx pipe || echo $? >failed; } | head -n 1; { ipcx pipe </dev/zero || echo $? >failed; } | head -c 1";
    env.sh(script).assert().success().stdout("y\n\0").stderr("");
    assert!(!env.path("failed").exists());
}

#[test]
fn a_signal_and_a_timeout_end_it_while_nothing_comes() {
    let env = Env::new();
    for meter in ["never", "always"] {
        for (signal, status) in [(libc::SIGINT, 130), (libc::SIGTERM, 143)] {
            let mut run = env.start(["pipe", "--meter", meter]);
            run.write(b"x\n");
            assert_eq!(run.line(), "x");
            run.signal(signal);
            run.wait_end();
            assert_eq!(run.status().code(), Some(status));
        }
        let mut run = env.start(["pipe", "--meter", meter, "--timeout", "50ms"]);
        run.wait_end();
        assert_eq!(run.status().code(), Some(124));
    }
    // Nobody reads: what fills the pipe is waited for no longer than that.
    for script in [
        "ipcx pipe --timeout 50ms </dev/zero >hold",
        "yes | ipcx pipe --timeout 50ms >hold",
        "ipcx pipe --timeout 50ms --meter always 2>/dev/null </dev/zero >hold",
    ] {
        env.sh(&format!("rm -f hold; mkfifo hold; exec 3<>hold; {script}")).assert().code(124);
    }
}

#[test]
fn descriptors_that_do_not_block_are_waited_for() {
    let env = Env::new();
    // The other process makes our ends non-blocking: they are shared.
    let script = "mkfifo a b; exec 3<>a 4<>b
        ipcx pipe <&3 >&4 2>/dev/null & relay=$!
        dd iflag=nonblock count=0 <&3 >/dev/null 2>&1
        echo hello >&3; read -r line <&4; echo $line; kill $relay";
    env.sh(script).assert().success().stdout("hello\n");
    let script = "rm -f a; mkfifo a; { dd iflag=nonblock count=0 2>/dev/null; ipcx pipe; } <a & exec 3>a; echo x >&3; exec 3>&-; wait";
    env.sh(script).assert().success().stdout("x\n");
}

#[test]
fn a_report_says_how_much_and_how_fast() {
    let env = Env::new();
    env.sh("head -c 300000 /dev/zero >in").assert().success();
    let script = "ipcx pipe --json -o report <in >out; cat in | ipcx pipe --json -o piped --size 1M >out";
    env.sh(script).assert().success().stderr("");
    let read = |name: &str| serde_json::from_slice::<Value>(&fs::read(env.path(name)).unwrap()).unwrap();
    let (report, piped) = (read("report"), read("piped"));
    assert_eq!((&report["version"], &report["bytes"], &report["size"]), (&1.into(), &300_000.into(), &300_000.into()));
    assert!(report["elapsed_ms"].is_u64() && report["rate"].is_u64());
    assert_eq!((&piped["bytes"], &piped["size"]), (&300_000.into(), &(1 << 20).into()));
    let output = env.sh("ipcx pipe --report <in >out").assert().success().get_output().clone();
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("300000 bytes in "));
}

#[test]
fn a_limit_is_kept() {
    let env = Env::new();
    for input in ["<in", "<&0"] {
        let script =
            format!("head -c 100000 /dev/zero >in; cat in | ipcx pipe --rate 400K --json -o report {input} >out");
        env.sh(&script).assert().success();
        let report: Value = serde_json::from_slice(&fs::read(env.path("report")).unwrap()).unwrap();
        assert_eq!(report["bytes"], 100_000);
        // It never goes faster, however fast the machine is.
        assert!(report["elapsed_ms"].as_u64() >= Some(244), "{report}");
    }
    refused(&env, 2, ["pipe", "--rate", "0"]);
    // A limit does not keep a signal waiting.
    let mut run = env.start(["pipe", "--rate", "1"]);
    run.write(b"xyz\n");
    until("it to wait", || fs::read_to_string(format!("/proc/{}/wchan", run.pid)).unwrap().contains("poll"));
    run.signal(libc::SIGTERM);
    run.wait_end();
    assert_eq!(run.status().code(), Some(143));
}

#[test]
fn the_progress_of_a_file_is_a_share_of_it() {
    let env = Env::new();
    let script = "head -c 100000 /dev/zero >in; ipcx pipe --meter always --rate 50K <in 2>meter >out";
    env.sh(script).assert().success();
    let meter = fs::read_to_string(env.path("meter")).unwrap();
    assert!(meter.contains('%') && meter.contains(" left") && meter.contains("on average"), "{meter}");
}

/// One end of a connection that was broken off, because what it had sent was never read.
fn broken(bytes: &[u8]) -> Stdio {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut ours, _) = listener.accept().unwrap();
    theirs.write_all(b"never read").unwrap();
    ours.write_all(bytes).unwrap();
    until("it to arrive", || ours.peek(&mut [0]).unwrap() == 1);
    drop(ours);
    Stdio::from(OwnedFd::from(theirs))
}

#[test]
fn a_connection_that_breaks_off_is_a_failure_and_not_the_end() {
    let env = Env::new();
    let input = env.command(["pipe"]).stdin(broken(&[b'x'; 1000])).output().unwrap();
    let said = String::from_utf8(input.stderr).unwrap();
    assert_eq!(input.status.code(), Some(1), "{said}");
    assert!(said.contains("ECONNRESET"), "{said}");

    let mut command = env.command(["pipe"]);
    command.stdin(Stdio::piped()).stdout(broken(b"")).stderr(Stdio::piped());
    let mut relay = command.spawn().unwrap();
    relay.stdin.take().unwrap().write_all(&[b'x'; 1000]).unwrap();
    let output = relay.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("ECONNRESET"), "{said}");
}
