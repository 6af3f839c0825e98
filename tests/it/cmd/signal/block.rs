use super::*;

/// The bits of a line of /proc/self/status, as a script sees it behind `ipcx signal block`.
fn mask(env: &Env, line: &str, key: &str) -> u64 {
    let script = format!("{line} sed -n 's/^{key}:.//p' /proc/self/status");
    let output = env.sh(&script).assert().success().get_output().stdout.clone();
    u64::from_str_radix(String::from_utf8(output).unwrap().trim(), 16).unwrap()
}

#[test]
fn the_command_starts_with_the_signals_blocked() {
    let env = Env::new();
    assert_eq!(mask(&env, "", "SigBlk"), 0);
    assert_eq!(mask(&env, "ipcx signal block USR1 --", "SigBlk"), 1 << 9);
    assert_eq!(mask(&env, "ipcx signal block USR1 10 64 --", "SigBlk"), 1 << 63 | 1 << 9);
    assert_eq!(mask(&env, "ipcx signal block USR1 -- ipcx signal block USR2 --", "SigBlk"), 1 << 9 | 1 << 11);
    // Writing to a pipe without readers kills it as it would without ipcx.
    assert_eq!(mask(&env, "ipcx signal block USR1 --", "SigIgn"), mask(&env, "", "SigIgn"));
}

#[test]
fn a_signal_stays_pending_until_it_is_taken() {
    let env = Env::new();
    let mut holder =
        env.start(["signal", "block", "TERM", "--", "sh", "-c", "read -r x; exec ipcx signal trap TERM -n 1"]);
    holder.wait_blocked("pipe_read");
    holder.signal(libc::SIGTERM);
    assert_eq!(pending(&env, holder.pid), ["TERM"]);
    holder.write(b"x\n");
    assert!(holder.line().starts_with("TERM origin=kill "));
    assert_eq!(holder.status().code(), Some(0));
}

#[test]
fn a_signal_that_is_pending_already_survives() {
    let env = Env::new();
    let script = "exec ipcx signal block TERM -- sh -c '
        kill -TERM $$
        exec ipcx signal block USR1 -- ipcx signal trap TERM -n 1'";
    let output = env.sh(script).assert().success().get_output().clone();
    assert!(output.stdout.starts_with(b"TERM "));
}

#[test]
fn the_status_is_that_of_the_command() {
    let env = Env::new();
    fs::write(env.path("plain"), "").unwrap();
    for status in [0, 1, 42, 125, 255] {
        env.ipcx(["signal", "block", "USR1", "--", "sh", "-c", &format!("exit {status}")]).assert().code(status);
    }
    let said = env.fails(127, ["signal", "block", "USR1", "--", "no-such-command"]);
    assert!(said.contains("no-such-command: command not found"), "{said}");
    let said = env.fails(126, ["signal", "block", "USR1", "--", "./plain"]);
    assert!(said.contains("EACCES"), "{said}");
    env.ipcx(["signal", "block", "USR1", "--", "sh", "-c", "echo \"$1\"", "sh", "-- a"]).assert().stdout("-- a\n");
}
