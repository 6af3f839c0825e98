//! Names, texts and places that mean harm.

use crate::kit::look::{assert_harmless, refs};
use crate::kit::{Env, Running, until};
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;

/// A sequence that colours, one that writes the clipboard, line breaks, tabs, C1 controls, changes
/// of direction, invisible characters and bytes that are no text.
fn names() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = vec![
        b"a\x1b[31mred\x1b[2J".to_vec(),
        b"b\x1b]52;c;ZXZpbA==\x07".to_vec(),
        b"c\rover".to_vec(),
        b"d\nsem  0x00000001  root".to_vec(),
        b"e\ttab".to_vec(),
        "f\u{9b}31m\u{85}".into(),
        "g\u{202e}gnp.\u{200b}\u{2066}".into(),
        b"h\xff\xfe\xc3".to_vec(),
        b"i\x7f\x08\x01".to_vec(),
        b"j\\x1b".to_vec(),
        b"k\"',{}[]".to_vec(),
    ];
    names.push(vec![b'l'; 251]);
    names
}

fn path(parts: &[&[u8]]) -> OsString {
    OsString::from_vec(parts.concat())
}

/// Shared memory, queues and semaphores with all these names; the references of them.
fn objects(env: &Env) -> Vec<OsString> {
    env.out(["sem", "create", "/model", "--value", "1"]);
    let semaphore = fs::read("/dev/shm/sem.model").unwrap();
    env.out(["rm", "sem//model"]);
    let mut references = Vec::new();
    for name in names() {
        fs::write(path(&[b"/dev/shm/", &name]), "x").unwrap();
        fs::write(path(&[b"/dev/shm/sem.", &name]), &semaphore).unwrap();
        let queue = path(&[b"/", &name]);
        let shape = ["--max-messages", "1", "--message-size", "8"].map(OsStr::new);
        let args = [OsStr::new("msgq"), OsStr::new("create"), &queue].into_iter().chain(shape);
        env.ipcx(args).assert().success();
        for kind in [&b"shm/"[..], b"msgq/", b"sem/"] {
            references.push(path(&[kind, queue.as_bytes()]));
        }
    }
    references
}

fn escaped(reference: &OsStr) -> String {
    let mut text = String::new();
    for chunk in reference.as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            let plain = !c.is_control() && !matches!(c, '\u{200b}' | '\u{202e}' | '\u{2066}');
            match c {
                '\\' => text.push_str("\\\\"),
                c if plain => text.push(c),
                c => text.extend(c.to_string().bytes().map(|byte| format!("\\x{byte:02x}"))),
            }
        }
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

#[test]
fn a_table_shows_hostile_names_escaped_each_on_one_line() {
    let env = Env::new();
    let references = objects(&env);
    let output = env.ipcx(["ls", "-o", "+name"]).assert().success().get_output().clone();
    assert_harmless("ls", &output.stdout);
    assert_harmless("ls", &output.stderr);
    let text = String::from_utf8(output.stdout).unwrap();
    // Three headings and the two lines between three tables.
    assert_eq!(text.lines().count(), references.len() + 5);
    for reference in &references {
        let shown = escaped(reference);
        assert!(text.lines().any(|line| line.starts_with(&format!("{shown} "))), "{shown} is not in\n{text}");
    }
    let coloured = env.ipcx(["ls", "--color", "always"]).assert().success().get_output().stdout.clone();
    assert!(!String::from_utf8(coloured).unwrap().contains("\x1b[31m"));
}

#[test]
fn raw_lines_escape_hostile_names_and_keep_their_columns() {
    let env = Env::new();
    let references = objects(&env);
    let raw = env.out(["ls", "--raw", "--no-headings", "-o", "ref,name,uid"]);
    assert_harmless("ls --raw", raw.replace('\t', " ").as_bytes());
    assert_eq!(raw.lines().count(), references.len());
    for line in raw.lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        assert_eq!(cells.len(), 3, "{line}");
        assert_eq!(cells[0].split_once('/').unwrap().1, cells[1]);
    }
    for reference in &references {
        assert!(raw.contains(&format!("{}\t", escaped(reference))));
    }
}

/// A string of JSON as the bytes it stands for.
fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.clone().into_bytes(),
        value => data_encoding::BASE64.decode(value["base64"].as_str().unwrap().as_bytes()).unwrap(),
    }
}

#[test]
fn json_gives_every_byte_of_a_hostile_name() {
    let env = Env::new();
    let mut expected = objects(&env);
    expected.sort();
    let document = env.json(["ls", "--json"]);
    let mut listed: Vec<OsString> = document["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| path(&[object["kind"].as_str().unwrap().as_bytes(), b"/", &bytes(&object["name"])]))
        .collect();
    listed.sort();
    assert_eq!(listed, expected);
    let lines = env.out(["ls", "--jsonl"]);
    assert_eq!(lines.lines().count(), expected.len());
    for line in lines.lines() {
        let object: Value = serde_json::from_str(line).unwrap();
        let reference = path(&[object["kind"].as_str().unwrap().as_bytes(), b"/", &bytes(&object["name"])]);
        assert!(bytes(&object["ref"]) == reference.as_bytes(), "{line}");
    }
}

#[test]
fn json_on_a_terminal_acts_on_no_terminal() {
    let env = Env::new();
    objects(&env);
    for form in ["--json", "--jsonl"] {
        let output = env.ipcx(["ls", form]).assert().success().get_output().stdout.clone();
        let text = String::from_utf8(output).unwrap();
        let bad = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(bad, None, "{form} prints {bad:?}, which acts on a terminal");
    }
}

#[test]
fn show_and_rm_take_and_say_hostile_names() {
    let env = Env::new();
    for reference in objects(&env) {
        let shown = escaped(&reference);
        let output = env.ipcx([OsStr::new("show"), &reference]).assert().success().get_output().clone();
        assert_harmless("show", &output.stdout);
        assert!(String::from_utf8(output.stdout).unwrap().starts_with(&format!("{shown}\n")));
        let output = env.ipcx([OsStr::new("rm"), &reference]).assert().success().get_output().clone();
        assert_harmless("rm", &output.stderr);
        assert_eq!(String::from_utf8(output.stderr).unwrap(), format!("ipcx: removed {shown}\n"));
    }
    assert_eq!(refs(&env.json(["ls", "--json"])["objects"]), [""; 0]);
}

#[test]
fn errors_about_hostile_names_are_one_harmless_line() {
    let env = Env::new();
    let commands: [&[&str]; 17] = [
        &["show", "shm//"],
        &["rm", "msgq//"],
        &["shm", "read", "/"],
        &["shm", "dump", "./no/"],
        &["msgq", "recv", "/"],
        &["sem", "wait", "/"],
        &["sem", "get", "/"],
        &["ftok", "./"],
        &["msgq", "recv", "ftok/./"],
        &["fifo", "recv", "./no/"],
        &["fifo", "send", "./no/"],
        &["fifo", "peek", "./no/"],
        &["mkfifo", "./no/"],
        &["show", "fifo/./no/"],
        &["rm", "sock/./no/"],
        &["sock", "peek", "@no"],
        &["show", "sock/@no"],
    ];
    for name in names() {
        for command in commands {
            let (last, first) = command.split_last().unwrap();
            let object = path(&[last.as_bytes(), &name]);
            let args = first.iter().map(OsStr::new).chain([object.as_os_str()]);
            let output = env.ipcx(args).assert().code(3).get_output().clone();
            assert_eq!(output.stdout, b"");
            assert_harmless(command[0], &output.stderr);
            let said = String::from_utf8(output.stderr).unwrap();
            let lines: Vec<&str> = said.lines().collect();
            assert!(lines[0].starts_with("ipcx: cannot "), "{said}");
            assert!(lines[1..].iter().all(|line| line.starts_with("hint: ")), "{said}");
        }
    }
}

/// Wrong words in every place of the command line that takes one.
const WRONG: &[&[&str]] = &[
    &[""],
    &["ls", ""],
    &["ls", "-o", ""],
    &["ls", "--sort", ""],
    &["ls", "--owner", ""],
    &["ls", "--time-format", ""],
    &["ls", "--"],
    &["ls", "--color="],
    &["rm", ""],
    &["rm", "shm/"],
    &["show", "sem/0x"],
    &["msgq", ""],
    &["msgq", "recv", ""],
    &["msgq", "send", "0", "--type="],
    &["msgq", "recv", "0", "--timeout="],
    &["msgq", "create", "--mode="],
    &["shm", "create", "--size="],
    &["sem", "create", "--value="],
    &["sem", "op", "0", ""],
    &["limits", "--warn="],
    &["ftok", ".", ""],
    &["man", ""],
    &["completions", ""],
    &["msgq", "set", "0", "--owner="],
    &["show", "pipe/"],
    &["rm", "memfd/"],
    &["fifo", "recv", "./f", "-n"],
    &["mkfifo", "./f", "--mode="],
    &["pipe", "--capacity="],
    &["pipe", "--meter="],
    &["pipe", "--rate="],
    &["signal", "send", ""],
    &["signal", "send", "TERM", ""],
    &["signal", "send", "TERM", "1", "--value="],
    &["signal", "trap", ""],
    &["signal", "list", ""],
    &["signal", "show", ""],
    &["sock", "connect", "tcp:localhost"],
    &["sock", "connect", "udp"],
    &["sock", "listen", "./s", "--type="],
    &["sock", "listen", "./s", "--max="],
];

#[test]
fn wrong_words_on_the_command_line_are_quoted_harmlessly() {
    let env = Env::new();
    for name in names().iter().filter(|name| name.len() < 100) {
        for words in WRONG {
            let (last, first) = words.split_last().unwrap();
            let word = path(&[last.as_bytes(), name]);
            let args = first.iter().map(OsStr::new).chain([word.as_os_str()]);
            let output = env.ipcx(args).assert().code(2).get_output().clone();
            assert_harmless(&words.join(" "), &output.stderr);
        }
    }
}

#[test]
fn wrong_words_act_on_no_terminal_that_takes_colour() {
    let env = Env::new();
    for name in names().iter().filter(|name| name.len() < 100) {
        for words in WRONG {
            let (last, first) = words.split_last().unwrap();
            let word = path(&[last.as_bytes(), name]);
            let args = first.iter().map(OsStr::new).chain([word.as_os_str()]);
            // What is said to a terminal: colour of our own is welcome, that of the word is not.
            let output = env.ipcx(args).env("CLICOLOR_FORCE", "1").assert().code(2).get_output().clone();
            let said = String::from_utf8(output.stderr).unwrap();
            for theirs in ["\x1b[31mred", "\x1b[2J", "\x1b]52", "\x07", "\r", "\t", "\u{9b}", "\u{202e}", "\x7f"] {
                assert!(!said.contains(theirs), "{words:?}: {}", said.escape_debug());
            }
        }
    }
}

#[test]
fn queued_text_is_escaped_in_tables_and_on_pages() {
    let env = Env::new();
    env.out(["msgq", "create"]);
    env.out(["shm", "create", "--size", "100"]);
    for name in names().into_iter().take(9) {
        fs::write(env.path("text"), &name).unwrap();
        env.sh("ipcx msgq send 0 <text; ipcx shm write 0 <text").assert().success();
        for args in [&["msgq", "peek", "0"][..], &["show", "msgq/0"], &["show", "shm/0"], &["shm", "dump", "0"]] {
            let output = env.ipcx(args).assert().success().get_output().stdout.clone();
            assert_harmless(&args.join(" "), &output);
        }
        env.ipcx(["msgq", "recv", "0"]).assert().success();
    }
}

#[test]
fn the_command_line_of_a_recorded_process_is_escaped() {
    let env = Env::new();
    env.out(["msgq", "create"]);
    let mut command = env.command(["msgq", "send", "0", "--lines"]);
    command.arg0(path(&[b"\x1b]0;title\x07\n\xff", "\u{202e}".as_bytes()]));
    let mut sender = Running::start(command);
    sender.write(b"one\n");
    until("the message", || env.json(["ls", "msgq", "--json"])["objects"][0]["messages"] == 1);
    let output = env.ipcx(["show", "msgq/0"]).assert().success().get_output().stdout.clone();
    assert_harmless("show", &output);
    let text = String::from_utf8(output).unwrap();
    assert!(text.contains(r"\x1b]0;title\x07\x0a\xff\xe2\x80\xae msgq send 0 --lines"), "{text}");
    let document = env.json(["show", "msgq/0", "--json"]);
    assert_eq!(document["objects"][0]["processes"][0]["state"], "same");
}

#[test]
fn a_closed_standard_output_is_a_failure_that_is_said() {
    let env = Env::new();
    env.out(["msgq", "create"]);
    for command in [
        "ls",
        "ls --json",
        "ls --raw",
        "show msgq/0",
        "limits",
        "ftok .",
        "man",
        "completions bash",
        "--help",
        "ls --help",
        "--version",
        "ls -o help",
        "msgq create",
    ] {
        let output = env.sh(&format!("exec ipcx {command} >&-")).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{command}: {said}");
        assert!(said.contains("standard output") && said.contains("EBADF"), "{command}: {said}");
    }
}

#[test]
fn a_full_disk_behind_standard_output_is_a_failure_that_is_said() {
    let env = Env::new();
    env.out(["msgq", "create"]);
    for command in [
        "ls",
        "ls --json",
        "ls --jsonl",
        "ls --raw",
        "show msgq/0",
        "show --json msgq/0",
        "limits",
        "limits --json",
        "ftok .",
        "man",
        "completions bash",
        "--help",
        "ls --help",
        "--version",
        "ls -o help",
        "msgq create",
    ] {
        let output = env.sh(&format!("exec ipcx {command} >/dev/full")).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{command}: {said}");
        assert!(said.contains("standard output") && said.contains("ENOSPC"), "{command}: {said}");
    }
}

#[test]
fn a_reader_that_goes_away_ends_a_listing_quietly() {
    let env = Env::new();
    // More than a pipe holds.
    for n in 0..600 {
        fs::write(format!("/dev/shm/{}{n}", "x".repeat(200)), "").unwrap();
    }
    for form in ["", "--raw", "--json", "--jsonl"] {
        let script = format!("mkfifo f; {{ ipcx ls {form} >f; echo $? >status; }} & exec 3<f; exec 3<&-; wait; rm f");
        env.sh(&script).assert().success().stderr("");
        assert_eq!(fs::read_to_string(env.path("status")).unwrap(), "0\n", "{form}");
    }
}

#[test]
fn an_argument_with_invalid_text_is_an_error_and_no_panic() {
    let env = Env::new();
    for words in WRONG {
        let (last, first) = words.split_last().unwrap();
        let word = path(&[last.as_bytes(), b"\xff\xfe"]);
        let args = first.iter().map(OsStr::new).chain([word.as_os_str()]);
        let output = env.ipcx(args).assert().code(2).get_output().clone();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn errors_about_what_is_no_object_quote_its_path_harmlessly() {
    let env = Env::new();
    for name in names().iter().filter(|name| name.len() < 100) {
        let (directory, file) = (path(&[b"/dev/shm/sem.", name]), path(&[b"/dev/shm/sem.x", name]));
        fs::create_dir(&directory).unwrap();
        fs::create_dir(path(&[b"/dev/shm/", name])).unwrap();
        fs::write(&file, "no semaphore").unwrap();
        let bare = path(&[b"/", name]);
        let foreign = path(&[b"/x", name]);
        let commands = [
            (["shm", "read"], &bare),
            (["shm", "show"], &bare),
            (["sem", "show"], &bare),
            (["sem", "get"], &bare),
            (["sem", "wait"], &bare),
            (["sem", "rm"], &bare),
            (["sem", "wait"], &foreign),
            (["sem", "post"], &foreign),
        ];
        for (command, object) in commands {
            let args = command.iter().map(OsStr::new).chain([object.as_os_str()]);
            let output = env.ipcx(args).assert().failure().get_output().clone();
            assert_harmless(&command.join(" "), &output.stderr);
        }
    }
}
