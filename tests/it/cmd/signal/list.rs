use super::*;

fn names(env: &Env, args: &[&str]) -> Vec<String> {
    let listed = env.json(["signal", "list", "--json"].iter().chain(args));
    let objects = listed["objects"].as_array().unwrap();
    objects.iter().map(|signal| signal["name"].as_str().unwrap_or("?").to_owned()).collect()
}

#[test]
fn the_table_has_every_signal_with_its_action() {
    let env = Env::new();
    let table = env.out(["signal", "list"]);
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NUMBER", "NAME", "ACTION", "DESCRIPTION"]);
    assert_eq!(rows.len(), 65);
    for (number, name, action) in [
        ("1", "HUP", "terminate"),
        ("3", "QUIT", "core"),
        ("17", "CHLD", "ignore"),
        ("18", "CONT", "continue"),
        ("19", "STOP", "stop"),
        ("64", "RTMAX", "terminate"),
    ] {
        assert!(rows.iter().any(|row| row[..3] == [number, name, action]), "{number} {name} {action}: {table}");
    }
    assert_eq!(env.out(["signal", "list", "--no-headings"]).lines().count(), 64);
}

#[test]
fn the_shell_agrees_about_every_number() {
    let env = Env::new();
    let known = env.sh("kill -l 1 >/dev/null && for n in $(seq 1 31); do kill -l $n; done").assert().success();
    let known = String::from_utf8(known.get_output().stdout.clone()).unwrap();
    let ours = &names(&env, &[])[..31];
    for (shell, ours) in known.lines().zip(ours) {
        let shell = if shell == "POLL" { "IO" } else { shell };
        // Some shells do not know all of them, and print the number again.
        if shell.parse::<i32>().is_err() {
            assert_eq!(shell, ours);
        }
    }
}

#[test]
fn names_numbers_statuses_and_masks_are_looked_up() {
    let env = Env::new();
    for (args, expected) in [
        (&["sigterm"][..], &["TERM"][..]),
        (&["15"], &["TERM"]),
        (&["143"], &["TERM"]),
        (&["0x4002"], &["INT", "TERM"]),
        (&["0000000000004002"], &["INT", "TERM"]),
        (&["0x8000000000000000"], &["RTMAX"]),
        (&["TERM", "INT", "130"], &["INT", "TERM"]),
        (&["POLL", "CLD", "IOT"], &["ABRT", "CHLD", "IO"]),
        (&["0x0"], &[]),
        (&["32"], &["?"]),
    ] {
        assert_eq!(names(&env, args), expected, "{args:?}");
    }
    for wrong in ["0", "65", "128", "193", "0x", "0x10000000000000000", "SIGSIG", "-9", "RTMIN+40"] {
        env.fails(2, ["signal", "list", wrong]);
    }
}

#[test]
fn names_and_processes_are_completed() {
    let env = Env::new();
    let holder = holding(&env, "USR1");
    let complete = |words: &[&str]| {
        let mut command = env.ipcx(["--", "ipcx", "signal"].iter().chain(words));
        command.env("IPCX_COMPLETE", "bash").env("_CLAP_IFS", "\n");
        command.env("_CLAP_COMPLETE_INDEX", (words.len() + 1).to_string());
        let output = command.assert().success().get_output().stdout.clone();
        String::from_utf8(output).unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete(&["trap", "WI"]), ["WINCH"]);
    assert_eq!(complete(&["send", "sigst"]), ["SIGSTKFLT", "SIGSTOP"]);
    let pid = holder.pid.to_string();
    assert!(complete(&["send", "USR1", &pid]).contains(&pid));
    assert!(complete(&["show", &pid]).contains(&pid));
}

#[test]
fn a_closed_output_is_a_failure_and_a_closed_pipe_is_not() {
    let env = Env::new();
    env.sh("ipcx signal list >&-").assert().code(1);
    env.sh("ipcx signal list --json | head -c 1 >/dev/null").assert().success().stderr("");
}
