use super::*;
use std::io::Read as _;

#[test]
fn messages_are_lines_and_standard_input_is_copied() {
    let env = Env::new();
    let (path, mut file) = held(&env);
    env.ipcx(["fifo", "send", path, "first job", "", "third"]).assert().success().stdout("").stderr("");
    env.ipcx(["fifo", "send", path]).write_stdin(&b"a\nb\0\xffno end"[..]).assert().success();
    let mut bytes = [0; 100];
    let got = file.read(&mut bytes).unwrap();
    assert_eq!(&bytes[..got], b"first job\n\nthird\na\nb\0\xffno end");
}

#[test]
fn it_waits_in_open_until_somebody_reads() {
    let env = Env::new();
    let path = fifo(&env);
    let mut sender = env.start(["fifo", "send", path, "hello"]);
    sender.wait_blocked(OPENING);
    assert_eq!(env.out(["fifo", "recv", path]), "hello");
    assert_eq!(ended(sender), (0, String::new(), String::new()));
}

#[test]
fn a_reader_that_never_comes_is_a_timeout_and_nowait_does_not_wait() {
    let env = Env::new();
    let path = fifo(&env);
    let said = env.fails(124, ["fifo", "send", path, "x", "--timeout", "60ms"]);
    assert!(said.contains("waited for a reader") && said.contains("ETIMEDOUT"), "{said}");
    let said = env.fails(6, ["fifo", "send", path, "x", "--nowait"]);
    assert!(said.contains("no process has it open to read (ENXIO)"), "{said}");
    let mut sender = env.start(["fifo", "send", path, "x"]);
    sender.wait_blocked(OPENING);
    sender.signal(15);
    assert_eq!(ended(sender).0, 143);
}

#[test]
fn a_full_fifo_is_waited_for_and_what_went_in_is_said() {
    let env = Env::new();
    let (path, _file) = held(&env);
    let line = "x".repeat(4095);
    for (option, status) in [("--timeout=60ms", 124), ("--nowait", 6)] {
        let lines = format!("{line}\n").repeat(17);
        let mut command = env.ipcx(["fifo", "send", path, option]);
        let said = crate::kit::refusal(command.write_stdin(lines), status);
        assert!(said.contains("full"), "{said}");
        let (sent, bytes) = if status == 124 { ("16 lines", 65536) } else { ("0 lines", 0) };
        assert!(said.contains(&format!("{sent} ({bytes} bytes) had been sent before")), "{said}");
    }
}

#[test]
fn a_reader_that_leaves_is_an_error_of_the_channel() {
    let env = Env::new();
    let path = fifo(&env);
    let mut sender = env.start(["fifo", "send", path]);
    let mut reader = std::fs::File::open(env.path("f")).unwrap();
    sender.write(b"one\n");
    let mut line = [0; 4];
    reader.read_exact(&mut line).unwrap();
    drop(reader);
    sender.write(b"two\n");
    let (status, _, said) = ended(sender);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("no process reads it any more (EPIPE)") && said.contains("1 line (4 bytes)"), "{said}");
}

#[test]
fn no_line_of_several_senders_is_torn() {
    let env = Env::new();
    let path = fifo(&env);
    let script = "for letter in a b c d; do
            awk -v c=$letter 'BEGIN { for (i = 0; i < 400; i++) { s = \"\"; for (j = 0; j < 300 + i; j++) s = s c; print s } }' |
                ipcx fifo send ./f &
        done
        wait";
    env.sh(&format!("{{ {script}; }} & ipcx fifo recv {path} >all; wait")).assert().success();
    let all = std::fs::read_to_string(env.path("all")).unwrap();
    let mut lengths: Vec<usize> = Vec::new();
    for line in all.lines() {
        let first = line.chars().next().unwrap();
        assert!(line.chars().all(|c| c == first), "torn: {line}");
        lengths.push(line.len());
    }
    lengths.sort_unstable();
    let expected: Vec<usize> = (300..700).flat_map(|n| [n; 4]).collect();
    assert_eq!(lengths, expected);
}

#[test]
fn a_line_that_can_be_torn_is_warned_of() {
    let env = Env::new();
    let (path, mut file) = held(&env);
    let line = format!("{}\n", "x".repeat(4096));
    let output = env.ipcx(["fifo", "send", path]).write_stdin(line.clone()).assert().success().get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("4097 bytes") && said.contains("PIPE_BUF"), "{said}");
    let mut got = vec![0; line.len()];
    file.read_exact(&mut got).unwrap();
    assert_eq!(got, line.as_bytes());
    let exact = format!("{}\n", "x".repeat(4095));
    env.ipcx(["fifo", "send", path]).write_stdin(exact).assert().success().stderr("");
}

#[test]
fn what_is_no_fifo_is_refused_and_not_opened() {
    let env = Env::new();
    std::fs::write(env.path("file"), "data").unwrap();
    std::fs::create_dir(env.path("dir")).unwrap();
    for verb in [&["fifo", "send", "./file", "x"][..], &["fifo", "recv", "./file"], &["fifo", "peek", "./file"]] {
        let said = env.fails(1, verb);
        assert!(said.contains("it is a file, not a FIFO"), "{said}");
    }
    assert!(env.fails(1, ["fifo", "send", "./dir", "x"]).contains("a directory"));
    assert!(env.fails(1, ["fifo", "recv", "/dev/null"]).contains("a device"));
    assert_eq!(std::fs::read(env.path("file")).unwrap(), b"data");
    for verb in ["send", "recv", "peek", "show", "rm"] {
        assert!(env.fails(3, ["fifo", verb, "./none"]).contains("no such object (ENOENT)"), "{verb}");
    }
}

#[test]
fn a_fifo_of_another_user_is_permission_denied_and_whose_it_is_is_said() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("needs a second user");
    }
    let (path, _file) = held(&env);
    for verb in [&["fifo", "send", path, "x"][..], &["fifo", "recv", path]] {
        let said = crate::kit::refusal(&mut env.ipcx_as_nobody(verb), 4);
        assert!(said.contains("belongs to root, mode 0600"), "{said}");
    }
}
