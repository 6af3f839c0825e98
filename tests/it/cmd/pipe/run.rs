use super::{gone, line_of, report, reported};
use crate::kit::look::{assert_harmless, refused};
use crate::kit::{Env, Running};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;

fn sysctl(name: &str) -> u64 {
    fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).unwrap().trim().parse().unwrap()
}

/// A file with these permissions.
fn program(env: &Env, name: &OsStr, text: &str, mode: u32) {
    let path = env.path("x").parent().unwrap().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_one_command_writes_the_next_one_reads() {
    let env = Env::new();
    assert_eq!(env.out(["pipe", "seq", "5", ":::", "sort", "-r", ":::", "head", "-n", "2"]), "5\n4");
    env.ipcx(["pipe", "cat", ":::", "tr", "a-z", "A-Z"]).write_stdin("hello").assert().success().stdout("HELLO");
    env.ipcx(["pipe", "cat"]).write_stdin("alone").assert().success().stdout("alone").stderr("");
}

#[test]
fn what_stands_behind_the_first_word_of_a_command_is_the_commands_own() {
    let env = Env::new();
    let words = ["pipe", "printf", "%s\n", "--json", "-q", "--", "::", ":::", "grep", "-v", "--", "-q"];
    assert_eq!(env.out(words), "--json\n--\n::");
    assert_eq!(env.out(["pipe", "--", "echo", "--", ":::", "cat", "-"]), "--");
    assert_eq!(env.out(["pipe", "-q", "--meter", "never", "printf", "%s", "-v"]), "-v");
}

#[test]
fn a_missing_command_is_wrong_usage_and_runs_nothing() {
    let env = Env::new();
    let mistakes: [&[&str]; 12] = [
        &[":::", "touch", "ran"],
        &["touch", "ran", ":::"],
        &["touch", "ran", ":::", ":::", "cat"],
        &[":::"],
        &["--capacity", "1K,2K", "touch", "ran", ":::", "cat"],
        &["--capacity", "1K", "touch", "ran"],
        &["--capacity", "0", "touch", "ran", ":::", "cat"],
        &["--capacity", "x", "touch", "ran", ":::", "cat"],
        &["--capacity", "1K"],
        &["--rate", "1K", "touch", "ran"],
        &["--report", "--json", "touch", "ran"],
        &["--nonsense", "touch", "ran"],
    ];
    for mistake in mistakes {
        let said = refused(&env, 2, [&["pipe"], mistake].concat());
        assert!(said.starts_with("ipcx: "), "{mistake:?}: {said}");
    }
    assert!(!env.path("ran").exists());
}

#[test]
fn the_status_is_that_of_the_last_command_or_of_the_first_that_failed() {
    let env = Env::new();
    let run = |first: &str, second: &str, third: &str, pipefail: bool, status: i32| {
        let option: &[&str] = if pipefail { &["--pipefail"] } else { &[] };
        let script = |text| ["sh", "-c", text];
        let words = [&["pipe", "-q"], option, &script(first), &[":::"], &script(second), &[":::"], &script(third)];
        env.ipcx(words.concat()).assert().code(status);
    };
    run("exit 3", "exit 4", "exit 0", false, 0);
    run("exit 3", "exit 4", "exit 5", false, 5);
    run("exit 3", "exit 4", "exit 5", true, 3);
    run("exit 0", "exit 4", "exit 5", true, 4);
    run("exit 0", "exit 0", "exit 0", true, 0);
    run("exit 0", "exit 0", "kill -TERM $$", false, 143);
    run("exit 0", "kill -KILL $$", "exit 0", true, 137);
    // Its reader has left: no failure.
    run("kill -PIPE $$", "exit 0", "exit 0", true, 0);
    run("exit 0", "exit 0", "kill -PIPE $$", true, 141);
}

#[test]
fn a_reader_that_has_enough_ends_a_pipeline_quietly() {
    let env = Env::new();
    for option in ["--meter=never", "--pipefail"] {
        let run = ["pipe", option, "yes", ":::", "cat", ":::", "head", "-n", "1"];
        env.ipcx(run).assert().success().stdout("y\n").stderr("");
    }
    // The reader of the pipeline itself.
    env.sh("ipcx pipe yes ::: cat | head -n 1").assert().success().stdout("y\n").stderr("");
}

#[test]
fn a_command_that_closes_its_input_ends_the_one_before() {
    let env = Env::new();
    let run = ["pipe", "yes", ":::", "sh", "-c", "exec <&-; echo closed"];
    env.ipcx(run).assert().success().stdout("closed\n").stderr("");
}

#[test]
fn a_killed_command_is_said_by_its_name_and_its_signal() {
    let env = Env::new();
    program(&env, OsStr::from_bytes(b"a\x1b[2J\n\xff"), "#!/bin/sh\nkill -KILL $$\n", 0o755);
    let hostile = OsStr::from_bytes(b"./a\x1b[2J\n\xff");
    let words = ["pipe", "--report"].map(OsStr::new).into_iter().chain([hostile]);
    let output = env.ipcx(words.chain([":::", "cat"].map(OsStr::new))).assert().success().get_output().clone();
    assert_harmless("stderr", &output.stderr);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("command 1 (./a\\x1b[2J\\x0a\\xff) was killed by SIGKILL"), "{said}");
    let said = env.ipcx(["pipe", "sh", "-c", "kill -SEGV $$"]).assert().code(139).get_output().stderr.clone();
    assert!(String::from_utf8_lossy(&said).contains("SIGSEGV"));
}

#[test]
fn a_command_that_cannot_start_ends_the_others() {
    let env = Env::new();
    program(&env, OsStr::new("plain"), "", 0o644);
    for (command, status, cause) in [("no-such-command", 127, "ENOENT"), ("./plain", 126, "EACCES")] {
        let said = env.fails(
            status,
            ["pipe", "sh", "-c", "echo $$ >pid; exec sleep 1000", ":::", "cat", ":::", command, ":::", "touch", "ran"],
        );
        assert!(said.contains(&format!("cannot run {command}")) && said.contains(cause), "{said}");
        // It may have been ended before it could say who it is.
        if fs::read_to_string(env.path("pid")).is_ok_and(|pid| pid.ends_with('\n')) {
            gone(&env, "pid");
        }
        assert!(!env.path("ran").exists());
    }
}

#[test]
fn each_pipe_gets_the_capacity_that_was_asked_for() {
    let env = Env::new();
    let capacities = |option: &str| {
        let (report, _) = reported(&env, &["--capacity", option, "true", ":::", "true", ":::", "true"]);
        [0, 1].map(|edge| report["edges"][edge]["capacity"].as_u64().unwrap())
    };
    assert_eq!(capacities("128K"), [1 << 17, 1 << 17]);
    assert_eq!(capacities("4K,256K"), [1 << 12, 1 << 18]);
    assert_eq!(capacities("5000,1"), [1 << 13, 1 << 12]);
    let (report, _) = reported(&env, &["true", ":::", "true"]);
    assert_eq!(report["edges"][0]["capacity"], 1 << 16);
    assert_eq!(report["edges"][0]["slots"], 16);
}

#[test]
fn a_capacity_that_cannot_be_had_is_refused_before_anything_runs() {
    let env = Env::new();
    let said = refused(&env, 125, ["pipe", "--capacity", "4G", "touch", "ran", ":::", "cat"]);
    assert!(said.contains("fs.pipe-max-size"), "{said}");
    if !env.has_users() {
        crate::skip!("another user is needed");
    }
    let most = sysctl("fs.pipe-max-size");
    let size = (2 * most).to_string();
    let run = ["pipe", "--capacity", &size, "sh", "-c", "echo ran", ":::", "cat"];
    let said = crate::kit::refusal(&mut env.ipcx_as_nobody(run), 4);
    assert!(said.contains("EPERM") && said.contains(&format!("fs.pipe-max-size = {most}")), "{said}");
}

#[test]
fn pipes_that_are_small_because_the_user_has_too_many_are_said() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("another user is needed");
    }
    let (soft, most) = (sysctl("fs.pipe-user-pages-soft"), sysctl("fs.pipe-max-size"));
    if soft != 16384 || most != 1 << 20 {
        crate::skip!("the limits of pipes are not the usual ones");
    }
    // 63 pipes of 256 pages leave room for less than sixteen of the usual size.
    let mut hold = vec!["pipe", "--capacity", "1M", "cat"];
    for _ in 0..63 {
        hold.extend([":::", "cat"]);
    }
    let mut command = env.command(hold);
    command.uid(crate::kit::NOBODY).gid(crate::kit::NOBODY);
    let mut held = Running::start(command);
    held.write(b"x\n");
    assert_eq!(held.line(), "x");
    let mut many = vec!["pipe", "true"];
    for _ in 0..40 {
        many.extend([":::", "true"]);
    }
    let said = env.ipcx_as_nobody(&many).assert().success().get_output().stderr.clone();
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("instead of 65536") && said.contains("fs.pipe-user-pages-soft = 16384"), "{said}");
    let run = ["pipe", "--capacity", "1M", "touch", "ran", ":::", "true", ":::", "true"];
    let said = crate::kit::refusal(&mut env.ipcx_as_nobody(run), 4);
    assert!(said.contains("fs.pipe-user-pages-soft = 16384"), "{said}");
    assert_eq!(held.status().code(), Some(0));
}

#[test]
fn a_signal_to_ipcx_alone_reaches_every_command() {
    let env = Env::new();
    let script = |name: &str| {
        format!("trap 'echo $1 >{name}.got; exit 5' TERM; echo $$ >{name}; while :; do read x <hold; done")
    };
    env.sh("mkfifo hold").assert().success();
    let (one, two) = (script("one"), script("two"));
    let mut run = env.start(["pipe", "sh", "-c", &one, ":::", "sh", "-c", &two]);
    line_of(&env, "one");
    line_of(&env, "two");
    run.signal(libc::SIGTERM);
    assert_eq!(run.status().code(), Some(5));
    assert!(env.path("one.got").exists() && env.path("two.got").exists());
    gone(&env, "one");
    for (signal, status) in [(libc::SIGTERM, 143), (libc::SIGINT, 130), (libc::SIGHUP, 129)] {
        let mut run = env.start(["pipe", "sh", "-c", "echo $$ >pid; exec sleep 1000", ":::", "cat"]);
        line_of(&env, "pid");
        run.signal(signal);
        let output = run.end();
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(status), ""));
        gone(&env, "pid");
        fs::remove_file(env.path("pid")).unwrap();
    }
}

#[test]
fn the_last_command_is_ended_before_its_input_ends() {
    let env = Env::new();
    if !env.has_strace() {
        crate::skip!("strace cannot hold a process up here");
    }
    // Time enough between two signals for a command to see the end of another.
    let hold = "-e trace=pidfd_send_signal -e inject=pidfd_send_signal:delay_exit=300000";
    let pipe = "ipcx pipe sh -c 'echo $$ >pid; exec sleep 1000' ::: cat";
    let mut run = env.start_sh(&format!("exec strace -D -qq -o trace {hold} {pipe}"));
    line_of(&env, "pid");
    run.signal(libc::SIGTERM);
    assert_eq!(run.status().code(), Some(143));
}

#[test]
fn commands_end_when_ipcx_is_killed() {
    let env = Env::new();
    let run = ["pipe", "sh", "-c", "echo $$ >one; exec sleep 1000", ":::", "sh", "-c", "echo $$ >two; exec sleep 1000"];
    let mut run = env.start(run);
    line_of(&env, "one");
    line_of(&env, "two");
    run.signal(libc::SIGKILL);
    run.wait_end();
    gone(&env, "one");
    gone(&env, "two");
}

#[test]
fn what_is_typed_on_the_terminal_ends_all_of_them() {
    use std::io::Write as _;
    use std::os::unix::process::ExitStatusExt as _;
    let env = Env::new();
    let sleep = |name: &str| format!("echo $$ >{name}; exec sleep 1000");
    let (one, two) = (sleep("one"), sleep("two"));
    let command = env.command(["pipe", "--report", "sh", "-c", &one, ":::", "sh", "-c", &two]);
    let (run, mut terminal) = Running::in_terminal(command, false);
    line_of(&env, "one");
    line_of(&env, "two");
    terminal.write_all(b"\x03").unwrap();
    // A script that runs it ends as well.
    assert_eq!(run.status().signal(), Some(libc::SIGINT));
    gone(&env, "one");
    gone(&env, "two");
}

#[test]
fn a_timeout_ends_all_of_them_with_what_they_have_started() {
    let env = Env::new();
    let stubborn = "trap '' TERM; echo $$ >two; (echo $$ >/dev/null; exec sleep 1000) & while :; do read x <hold; done";
    env.sh("mkfifo hold").assert().success();
    let started = "sh -c 'echo $$ >child; exec sleep 1000'; true";
    let run = ["pipe", "--timeout", "500ms", "sh", "-c", started, ":::", "sh", "-c", stubborn];
    env.ipcx(run).assert().code(124).stderr("");
    gone(&env, "child");
    gone(&env, "two");
    env.ipcx(["pipe", "--timeout", "1h", "echo", "x", ":::", "cat"]).assert().success().stdout("x\n");
}

#[test]
fn a_stopped_command_is_ended_too() {
    let env = Env::new();
    let run = ["pipe", "--timeout", "300ms", "sh", "-c", "echo $$ >pid; kill -STOP $$", ":::", "cat"];
    env.ipcx(run).assert().code(124);
    gone(&env, "pid");
}

#[test]
fn ipcx_holds_no_end_of_a_pipe() {
    let env = Env::new();
    // A stage that redirects its output gives the next one the end of its input at once, also while it is
    // looked at.
    for option in ["--meter=never", "--report"] {
        let first = "exec >/dev/null; exec cat";
        let mut run = env.start(["pipe", option, "sh", "-c", first, ":::", "sh", "-c", "cat; echo end >ended"]);
        assert_eq!(line_of(&env, "ended"), "end");
        run.close_stdin();
        assert_eq!(run.status().code(), Some(0));
        fs::remove_file(env.path("ended")).unwrap();
    }
}

#[test]
fn a_command_gets_signals_and_descriptors_as_it_would_without() {
    let env = Env::new();
    // Without signals 32 and 33: what becomes of them is the C library's affair.
    let signals = r"sed -n 's/^\(Sig[BI].*:\).*\(.......\)$/\1\2/p' /proc/self/status";
    for script in [signals, "ls /proc/self/fd", "ulimit -a"] {
        let plain = env.sh(script).assert().success().get_output().stdout.clone();
        for option in ["--meter=never", "--meter=always"] {
            let run = ["pipe", option, "true", ":::", "sh", "-euc", script];
            env.ipcx(run).assert().success().stdout(plain.clone());
        }
    }
}

#[test]
fn a_stream_that_is_closed_is_closed_for_the_commands_too() {
    let env = Env::new();
    let look = "for fd in 0 1 2; do readlink /proc/self/fd/$fd >/dev/null || echo $fd >>closed; done";
    env.sh(&format!("ipcx pipe sh -c '{look}' <&-")).assert().success();
    assert_eq!(fs::read_to_string(env.path("closed")).unwrap(), "0\n");
    env.sh("ipcx pipe echo x ::: cat >&- 2>said || echo $?").assert().success().stdout("1\n");
    assert!(fs::read_to_string(env.path("said")).unwrap().contains("cat"), "cat itself says so");
    env.sh("ipcx pipe --report echo x ::: cat 2>&-").assert().success().stdout("x\n");
}

#[test]
fn a_full_disk_is_told_by_the_command_that_met_it() {
    let env = Env::new();
    let script = "ipcx pipe head -c 1M /dev/zero ::: cat >/dev/full || echo $?";
    let output = env.sh(script).assert().success().stdout("1\n").get_output().clone();
    assert!(String::from_utf8_lossy(&output.stderr).contains("No space left"));
    let said = env.ipcx(["pipe", "--report", "-o", "/dev/full", "true"]).assert().code(7).get_output().stderr.clone();
    assert!(String::from_utf8_lossy(&said).contains("cannot write the report to /dev/full"), "{said:?}");
    env.ipcx(["pipe", "-o", "/dev/full", "sh", "-c", "exit 9"]).assert().code(9);
    let said = env.fails(3, ["pipe", "-o", "no/such/file", "touch", "ran"]);
    assert!(said.contains("no/such/file") && !env.path("ran").exists(), "{said}");
}

#[test]
fn the_status_arrives_where_a_parent_has_ignored_the_end_of_children() {
    let env = Env::new();
    for option in ["--meter=never", "--meter=always"] {
        let script = format!("trap '' CHLD; exec ipcx pipe {option} true ::: sh -c 'exit 7'");
        env.sh(&script).assert().code(7);
    }
}

#[test]
fn a_child_that_was_there_before_is_left_alone() {
    let env = Env::new();
    let script =
        "mkfifo hold; (read x <hold; echo late >late) >/dev/null 2>&1 & exec ipcx pipe --report echo x ::: cat";
    env.sh(script).assert().success().stdout("x\n");
    fs::write(env.path("hold"), "go\n").unwrap();
    assert_eq!(line_of(&env, "late"), "late");
}

#[test]
fn a_hundred_commands_are_no_more_than_a_few() {
    let env = Env::new();
    let mut words = vec!["cat"];
    for _ in 0..99 {
        words.extend([":::", "cat"]);
    }
    let mut run = env.command([&["pipe", "--json", "-o", "report.json"], &words[..]].concat());
    let mut run = {
        run.env("LC_ALL", "C");
        Running::start(run)
    };
    run.write(&[b'x'; 1000]);
    run.write(b"\n");
    assert_eq!(run.line().len(), 1000);
    assert_eq!(run.status().code(), Some(0));
    let report = report(&env);
    assert_eq!(report["stages"].as_array().unwrap().len(), 100);
    assert_eq!(report["edges"][98]["bytes"], 1001);
}

#[test]
fn too_many_descriptors_are_an_error_before_anything_runs() {
    use crate::kit::Starts as _;
    let env = Env::new();
    let mut words = vec!["pipe", "touch", "ran"];
    for _ in 0..30 {
        words.extend([":::", "cat"]);
    }
    let mut command = env.command(words);
    command.limited(libc::RLIMIT_NOFILE, 20);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert!(said.contains("RLIMIT_NOFILE = 20"), "{said}");
    assert!(!env.path("ran").exists());
}

#[test]
fn a_stage_on_a_kernel_without_handles_of_processes_still_runs_and_reports() {
    use crate::kit::Refusal;
    let env = Env::new();
    let refusals = [Refusal::of(libc::SYS_pidfd_open, libc::ENOSYS)];
    let run = ["pipe", "--json", "-o", "report.json", "head", "-c", "100000", "/dev/zero", ":::", "wc", "-c"];
    env.ipcx_refused(&refusals, run).assert().success().stdout("100000\n");
    let report = report(&env);
    assert_eq!(report["edges"][0]["bytes"], 100_000);
    assert_eq!(report["edges"][0]["max_fill"], serde_json::Value::Null);
}

#[test]
fn it_waits_without_running() {
    let env = Env::new();
    let mut run = env.start(["pipe", "cat", ":::", "cat"]);
    run.wait_blocked("do_wait");
    run.write(b"x\n");
    assert_eq!(run.line(), "x");
    run.close_stdin();
    assert_eq!(run.status().code(), Some(0));
}
