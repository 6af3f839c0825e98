//! The commands that ipcx runs, whichever verb runs them: what they inherit and how they are ended.

use crate::kit::{Env, Starts as _};
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
