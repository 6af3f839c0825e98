//! What ipcx inherits when it starts: signals, limits, environment, arguments.

use crate::kit::look::refs;
use crate::kit::{Env, Running, Starts as _};
use serde_json::json;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGALRM: i32 = 14;
const SIGTERM: i32 = 15;
const SIGURG: i32 = 23;

/// A queue 0 that is empty, a set 0 of value 0, a segment 0, a queue /q and a semaphore /s.
fn objects(env: &Env) {
    for line in [
        "msgq create",
        "msgq create /q --max-messages 8 --message-size 64",
        "sem create",
        "sem create /s",
        "shm create --size 8",
    ] {
        env.out(line.split(' '));
    }
}

/// What waits for ever on these, and the function of the kernel that it waits in.
const WAITS: [(&str, &str); 5] = [
    ("msgq recv 0", "do_msgrcv"),
    ("msgq recv /q", "wq_sleep"),
    ("sem wait 0", "semtimedop"),
    ("sem wait /s", "futex"),
    ("shm attach 0", "pipe_read"),
];

#[test]
fn a_hangup_ends_every_wait_with_129() {
    let env = Env::new();
    objects(&env);
    for (line, function) in WAITS {
        let mut waiting = env.start(line.split(' '));
        waiting.wait_blocked(function);
        let attached = u32::from(line.starts_with("shm"));
        assert_eq!(env.json(["show", "shm/0", "--json"])["objects"][0]["nattch"], attached);
        waiting.signal(SIGHUP);
        waiting.wait_end();
        let ended = waiting.end();
        assert_eq!(ended.status.code(), Some(129), "{line}: {}", ended.status);
        assert_eq!(ended.stdout, b"", "{line}");
    }
    assert_eq!(env.json(["show", "shm/0", "--json"])["objects"][0]["nattch"], 0);
}

#[test]
fn signals_that_were_ignored_at_the_start_do_not_end_a_wait() {
    let env = Env::new();
    objects(&env);
    for (line, function) in &WAITS[..4] {
        let mut command = env.command(line.split(' '));
        command.ignoring(SIGHUP).ignoring(SIGINT);
        let mut waiting = Running::start(command);
        waiting.wait_blocked(function);
        waiting.signal(SIGHUP);
        waiting.signal(SIGINT);
        waiting.signal(SIGTERM);
        assert_eq!(waiting.status().code(), Some(143), "{line}");
    }
}

#[test]
fn a_timeout_comes_whatever_the_parent_did_to_the_signal_behind_it() {
    let env = Env::new();
    objects(&env);
    for (line, _) in WAITS {
        let line = format!("{line} --timeout 60ms");
        for ignore in [false, true] {
            let mut command = env.command(line.split(' '));
            if ignore {
                command.ignoring(SIGURG).ignoring(SIGALRM);
            } else {
                command.blocking(SIGURG);
            }
            let mut waiting = Running::start(command);
            waiting.wait_end();
            assert_eq!(waiting.status().code(), Some(124), "{line}");
        }
    }
}

#[test]
fn an_alarm_that_the_parent_set_still_kills_it() {
    let env = Env::new();
    objects(&env);
    let waits = WAITS.map(|(line, _)| {
        let mut command = env.command(format!("{line} --timeout 1h").split(' '));
        command.alarmed(1);
        Running::start(command)
    });
    for mut waiting in waits {
        waiting.wait_end();
        // A shell calls this status 142.
        assert_eq!(waiting.status().signal(), Some(SIGALRM));
    }
}

#[test]
fn a_message_that_a_limit_of_file_sizes_keeps_from_its_file_is_not_lost() {
    let env = Env::new();
    for queue in ["0x4d2", "/q"] {
        let queue = env.out(["msgq", "create", queue]);
        env.out(["msgq", "send", &queue, "one", "two"]);
        let mut command = env.command(["msgq", "recv", &queue]);
        command.limited(libc::RLIMIT_FSIZE, 0).stdout(fs::File::create(env.path("out")).unwrap());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let queued = env.out(["msgq", "recv", &queue, "--all"]);
        let kept = queued.lines().any(|line| line == "one") || said.contains("one");
        assert!(kept && !output.status.success(), "{queue}: {}: {said}; queued: {queued}", output.status);
    }
}

#[test]
fn memory_over_the_limit_of_file_sizes_is_a_limit_and_leaves_nothing() {
    let env = Env::new();
    for reference in ["/frames", "./data.bin"] {
        let mut command = env.command(["shm", "create", reference, "--size", "8K"]);
        let output = command.limited(libc::RLIMIT_FSIZE, 4096).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(7), "{reference}: {}: {said}", output.status);
        assert!(said.contains("EFBIG"), "{said}");
        assert_eq!(output.stdout, b"");
    }
    assert_eq!(fs::read_dir("/dev/shm").unwrap().count(), 0);
    assert!(!env.path("data.bin").exists());
}

#[test]
fn a_posix_queue_over_rlimit_msgqueue_is_a_limit_that_is_named_with_its_value() {
    let env = Env::new();
    let mut command = env.command(["msgq", "create", "/q", "--max-messages", "4", "--message-size", "8K"]);
    let output = command.limited(libc::RLIMIT_MSGQUEUE, 10_000).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert!(said.contains("(EMFILE)") && said.contains("RLIMIT_MSGQUEUE = 10000"), "{said}");
    assert_eq!(env.json(["ls", "--json"])["objects"], json!([]));
}

#[test]
fn with_few_descriptors_a_listing_is_whole_or_says_what_is_missing() {
    let env = Env::new();
    objects(&env);
    env.out(["shm", "create", "/frames", "--size", "8"]);
    let all = refs(&env.json(["ls", "--json"])["objects"]).len();
    assert_eq!(all, 6);
    let mut whole = 0;
    // The dynamic loader needs one beside the three standard ones.
    for descriptors in 4..10 {
        let mut command = env.command(["ls", "--json"]);
        let output = command.limited(libc::RLIMIT_NOFILE, descriptors).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{descriptors}: {said}");
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let listed = document["objects"].as_array().unwrap().len();
        let told = document["gaps"].to_string().contains("EMFILE");
        assert!(listed == all || told, "{descriptors}: {document:#}");
        whole += u32::from(listed == all && !told);
    }
    assert!(whole > 0, "ten descriptors are enough");
}

#[test]
fn with_few_descriptors_a_verb_works_or_says_why_not() {
    let env = Env::new();
    objects(&env);
    env.out(["shm", "create", "/frames", "--size", "8"]);
    let lines = [
        "show msgq/0 msgq//q sem/0 sem//s shm/0 shm//frames",
        "show --json msgq//q shm//frames",
        "msgq send /q one --nowait",
        "msgq recv /q --nowait",
        "sem post /s",
        "shm write /frames one",
        "shm read 0",
        "shm dump /frames",
        "limits",
    ];
    for line in lines {
        for descriptors in 4..8 {
            let mut command = env.command(line.split(' '));
            let output = command.limited(libc::RLIMIT_NOFILE, descriptors).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.code().is_some() && !said.contains("panicked"), "{line}: {}: {said}", output.status);
            assert!(
                output.status.success() || said.contains("EMFILE"),
                "{line} with {descriptors}: {}: {said}",
                output.status
            );
        }
    }
}

#[test]
fn an_empty_environment_changes_no_output() {
    let env = Env::new();
    objects(&env);
    env.out(["msgq", "send", "0", "gr\u{fc}n"]);
    for line in [
        "ls --json",
        "ls --raw -o ref,user,mode",
        "ls -o ref,user,mode",
        "show msgq/0 --time-format unix",
        "limits sem",
        "msgq peek 0",
        "man",
        "--help",
        "sem run 0 --nowait -- /bin/echo run",
    ] {
        let usual = env.ipcx(line.split(' ')).output().unwrap();
        for locale in [None, Some("C"), Some("POSIX"), Some("xx_XX.nonsense")] {
            let mut command = env.command(line.split(' '));
            command.env_clear().envs(locale.map(|locale| ("LC_ALL", locale)));
            let output = command.output().unwrap();
            assert_eq!(output.status, usual.status, "{line}");
            // The age of an object is a second more at some moment between two commands.
            let text = |bytes: &[u8]| {
                let text = String::from_utf8(bytes.to_vec()).unwrap();
                text.lines()
                    .filter(|line| !line.contains("it was last used"))
                    .fold(String::new(), |all, line| all + line + "\n")
            };
            assert_eq!(text(&output.stdout), text(&usual.stdout), "{line} {locale:?}");
            assert_eq!(text(&output.stderr), text(&usual.stderr), "{line} {locale:?}");
        }
    }
}

#[test]
fn ten_thousand_arguments_are_ten_thousand_messages() {
    let env = Env::new();
    for queue in ["0x4d2", "/q"] {
        let queue = env.out(["msgq", "create", queue]);
        let messages: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
        let mut sending = env.command(["msgq", "send", &queue]);
        sending.args(&messages);
        let sending = Running::start(sending);
        let received = env.out(["msgq", "recv", &queue, "-n", "10000"]);
        assert!(received.lines().eq(messages.iter()), "{queue}");
        assert!(sending.status().success());
        assert_eq!(env.out(["msgq", "recv", &queue, "--all"]), "");
    }
}

#[test]
fn thousands_of_references_are_removed_by_one_command() {
    let env = Env::new();
    let references: Vec<String> = (0..3000).map(|n| format!("shm//{n}")).collect();
    for reference in &references {
        fs::write(format!("/dev/shm/{}", &reference[5..]), "").unwrap();
    }
    env.ipcx(["rm", "--quiet"].into_iter().chain(references.iter().map(String::as_str))).assert().success();
    assert_eq!(env.json(["ls", "--json"])["objects"], json!([]));
}
