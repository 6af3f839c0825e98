//! The commands that ipcx runs, whichever verb runs them: what they inherit and how they are ended.

use crate::kit::{Env, Running, Starts as _, until};
use std::fs;

/// A line of the shell as words of a command line.
type Line = fn(&str) -> String;

/// What runs a line of the shell in each of the ways that there are: in the place of ipcx, beside it, as a
/// stage, with a socket, for a signal. The line may hold no single quote.
fn runners(env: &Env) -> Vec<(String, Line)> {
    let (set, segment) = (env.out(["sem", "create"]), env.out(["shm", "create", "--size", "1"]));
    env.out(["sem", "create", "/s", "--value", "1"]);
    env.out(["sem", "post", &set]);
    let plain: Line = |line| format!("sh -c '{line}'");
    let trap: Line = |line| format!("sh -c 'kill -USR1 $$; exec ipcx signal trap USR1 -n 1 --exec \"$0\"' '{line}'");
    vec![
        ("signal block USR1 --".to_owned(), plain),
        (format!("sem run {set} --"), plain),
        ("sem run /s --".to_owned(), plain),
        (format!("shm attach {segment} --"), plain),
        ("pipe".to_owned(), plain),
        ("sock pair true :::".to_owned(), plain),
        ("signal block USR1 --".to_owned(), trap),
    ]
}

#[test]
fn a_stream_that_is_closed_is_closed_for_the_command() {
    let env = Env::new();
    // The shell itself looks, and what is open is named.
    let look = "for fd in 0 1 2; do [ ! -e /proc/self/fd/$fd ] || echo $fd >>open; done";
    for (runner, command) in runners(&env) {
        let script = format!("ipcx {runner} {}", command(look));
        for (closing, open) in [("<&-", "1\n2\n"), (">&-", "0\n2\n"), ("2>&-", "0\n1\n"), ("", "0\n1\n2\n")] {
            // The two ends of a socket are its input and output, whatever ours are.
            let open = if runner.starts_with("sock") && closing != "2>&-" { "0\n1\n2\n" } else { open };
            env.sh(&format!("{script} {closing}")).assert().success();
            assert_eq!(fs::read_to_string(env.path("open")).unwrap(), open, "{script} {closing}");
            fs::remove_file(env.path("open")).unwrap();
        }
    }
    // A command that loses its output says so, as it does without us.
    env.sh("ipcx signal block USR1 -- sh -c 'echo lost' >&- 2>said || echo $? >status").assert().success();
    assert_ne!(fs::read_to_string(env.path("status")).unwrap(), "0\n");
}

#[test]
fn a_command_has_the_signals_that_ipcx_ignores_for_itself() {
    let env = Env::new();
    // Without signals 32 and 33: what becomes of them is the C library's affair.
    let look = r#"sed -n "s/^SigIgn:.*\(.......\)/\1/p" /proc/self/status >ignored"#;
    let ignored = |script: &str| {
        env.sh(script).assert().success();
        fs::read_to_string(env.path("ignored")).unwrap()
    };
    let plain = ignored(&format!("sh -c '{look}'"));
    for (runner, command) in runners(&env) {
        assert_eq!(ignored(&format!("ipcx {runner} {}", command(look))), plain, "{runner}");
    }
}

#[test]
fn a_limit_of_file_sizes_kills_no_ipcx_that_runs_commands() {
    let env = Env::new();
    let set = env.out(["sem", "create"]);
    env.out(["sem", "post", &set]);
    let trap = "kill -USR1 $$; exec ipcx signal trap USR1 -n 1 --exec 'exit 3'";
    let lines: [(&[&str], i32); 5] = [
        // It has something to say after its command.
        (&["signal", "block", "USR1", "--", "sh", "-c", trap], 0),
        (&["signal", "block", "USR1", "--", "no-such-command"], 127),
        (&["sem", "run", &set, "--", "no-such-command"], 127),
        (&["sock", "pair", "true", ":::", "no-such-command"], 127),
        (&["pipe", "true", ":::", "no-such-command"], 127),
    ];
    for (line, status) in lines {
        let mut command = env.command(line);
        command.limited(libc::RLIMIT_FSIZE, 0).stderr(fs::File::create(env.path("said")).unwrap());
        assert_eq!(command.status().unwrap().code(), Some(status), "{line:?}");
    }
}

/// The verbs that run a line of the shell beside them, with these options before it.
fn beside(env: &Env, options: &[&str], line: &str) -> Vec<Running> {
    let segment = env.out(["shm", "create", "--size", "1"]);
    let shell = ["sh", "-c", line];
    let trap = format!("kill -USR1 $$; exec ipcx signal trap USR1 {} --exec \"$0\"", options.join(" "));
    let commands: [&[&[&str]]; 5] = [
        &[&["shm", "attach", &segment], options, &["--"], &shell],
        &[&["pipe"], options, &shell],
        &[&["sock", "pair"], options, &shell, &[":::", "cat"]],
        &[&["sock", "pair"], options, &["cat", ":::"], &shell],
        &[&["signal", "block", "USR1", "--", "sh", "-c", &trap, line]],
    ];
    let mut running: Vec<Running> = commands.iter().map(|words| env.start(words.concat())).collect();
    for keep in [&["--keep"][..], &[]] {
        let address = format!("./s{}", keep.len());
        let mut server = env.start([&["sock", "listen", &address, "--exec", line], options, keep].concat());
        assert!(server.said().starts_with("ipcx: listening on "));
        running.extend([server, env.start(["sock", "connect", &address])]);
    }
    running
}

/// How many of `beside` run the line; the others are the peers of the last two.
const BESIDE: usize = 7;

/// The pids that the lines have written, each to the end of one file.
#[track_caller]
fn pids(env: &Env, count: usize) -> Vec<String> {
    let mut text = String::new();
    until("all commands to run", || {
        text = fs::read_to_string(env.path("pids")).unwrap_or_default();
        text.lines().count() == count
    });
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn gone(pids: &[String]) {
    for pid in pids {
        let stat = format!("/proc/{pid}/stat");
        until(&format!("{pid} to be gone"), || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z ")));
    }
}

/// Runs a line with a timeout beside each verb, which must end with all that it has started.
#[track_caller]
fn ends_at_the_timeout(line: &str) {
    let env = Env::new();
    let running = beside(&env, &["--timeout", "2s"], line);
    let pids = pids(&env, BESIDE);
    for (at, mut running) in running.into_iter().enumerate() {
        running.wait_end();
        let code = running.status().code();
        assert!(code == Some(124) || [6, 8].contains(&at), "{at}: {code:?}");
    }
    gone(&pids);
}

#[test]
fn a_timeout_ends_what_a_command_has_started() {
    ends_at_the_timeout("sleep 1000 & echo $! >>pids; wait; :");
}

#[test]
fn a_timeout_ends_a_command_that_ignores_the_signal() {
    ends_at_the_timeout(r#"trap "" TERM; sleep 1000 & echo $! >>pids; wait; wait"#);
}

#[test]
fn a_timeout_ends_what_ignores_the_signal_when_its_parent_did_not() {
    ends_at_the_timeout(r#"(trap "" TERM; exec sleep 1000) & echo $! >>pids; wait; :"#);
}

#[test]
fn a_timeout_ends_what_has_a_session_of_its_own() {
    ends_at_the_timeout(r#"setsid sh -c "echo \$\$ >>pids; exec sleep 1000"; :"#);
}

#[test]
fn a_timeout_ends_a_command_that_is_stopped() {
    ends_at_the_timeout("echo $$ >>pids; kill -STOP $$; :");
}

#[test]
fn a_signal_is_handed_to_what_a_command_has_started_too() {
    let env = Env::new();
    let running = beside(&env, &[], "sleep 1000 & echo $! >>pids; wait; :");
    let pids = pids(&env, BESIDE);
    for (at, mut running) in running.into_iter().enumerate() {
        running.signal(libc::SIGTERM);
        running.wait_end();
        let code = running.status().code();
        // One of a pair has ended by itself; its status is that of the other.
        assert!(code == Some(143) || [2, 6, 8].contains(&at), "{at}: {code:?}");
    }
    gone(&pids);
}

#[test]
fn a_command_ends_when_ipcx_is_killed() {
    let env = Env::new();
    let running = beside(&env, &[], "echo $$ >>pids; exec sleep 1000");
    let pids = pids(&env, BESIDE);
    for mut running in running {
        running.signal(libc::SIGKILL);
        running.wait_end();
    }
    gone(&pids);
    env.out(["sem", "create", "/s", "--value", "1"]);
    let mut run = env.start(["sem", "run", "/s", "--", "sh", "-c", "echo $$; exec sleep 1000"]);
    let pid = run.line();
    run.signal(libc::SIGKILL);
    gone(&[pid]);
}

#[test]
fn on_a_kernel_without_handles_of_processes_commands_run_and_end() {
    use crate::kit::Refusal;
    let env = Env::new();
    let refusals = [Refusal::of(libc::SYS_pidfd_open, libc::ENOSYS)];
    let pair = ["sock", "pair", "sh", "-c", "exit 3", ":::", "sh", "-c", "cat; exit 4"];
    env.ipcx_refused(&refusals, pair).assert().code(4);
    let stubborn = r#"trap "" TERM; while :; do read x; done"#;
    let pair = ["sock", "pair", "--timeout", "300ms", "sh", "-c", stubborn, ":::", "sleep", "1000"];
    env.ipcx_refused(&refusals, pair).assert().code(124);
}
