//! Processes found by name. All tests see the processes of each other, so every name is of its own.

use super::*;
use crate::kit::look::assert_harmless;
use crate::kit::program;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// A program of this name that sleeps; the kernel names it as the path says that was executed.
fn named(env: &Env, name: &[u8]) -> Running {
    let path: PathBuf = env.path("").join(OsStr::from_bytes(name));
    std::os::unix::fs::symlink(program(), &path).unwrap();
    let mut command = std::process::Command::new(path);
    command.args(["signal", "trap", "TERM"]).env_clear();
    let mut running = Running::start(command);
    running.wait_blocked("sigtimedwait");
    running
}

/// A word that no other test uses.
fn word(env: &Env) -> String {
    let path = env.path("");
    path.file_name().unwrap().to_str().unwrap().trim_start_matches("ipcx-it-").replace('.', "")
}

#[test]
fn a_pattern_hits_names_and_says_which() {
    let env = Env::new();
    let name = format!("n-{}", word(&env));
    let (hit, other) = (named(&env, name.as_bytes()), named(&env, format!("x{name}").as_bytes()));
    let output = env.ipcx(["signal", "send", "TERM", "--name", &format!("^{name}$")]).assert().success().stdout("");
    let said = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(said.contains(&format!("ipcx: TERM for {} ({name}): ", hit.pid)), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    let mut hit = hit;
    assert!(hit.line().starts_with("TERM origin=kill "));
    // The other one has got nothing: the first that it gets is another one.
    let mut other = other;
    send(&env, &["TERM", "--value", "5"], other.pid);
    assert!(other.line().contains("value=5"));
    env.ipcx(["signal", "send", "KILL", "-q", "--name", &name]).assert().success().stderr("");
    assert_eq!((hit.status().code(), other.status().code()), (None, None));
}

#[test]
fn no_such_name_is_status_3() {
    let env = Env::new();
    let said = env.fails(3, ["signal", "send", "KILL", "--name", &format!("^n-{}$", word(&env))]);
    assert!(said.contains("no process has such a name"), "{said}");
}

#[test]
fn what_has_ended_is_not_found_any_more() {
    let env = Env::new();
    let name = format!("z-{}", word(&env));
    let mut running = named(&env, name.as_bytes());
    let pattern = format!("^{name}$");
    env.ipcx(["signal", "send", "0", "--name", &pattern]).assert().success();
    running.signal(libc::SIGKILL);
    until("it to end", || is_zombie(running.pid));
    env.fails(3, ["signal", "send", "0", "--name", &pattern]);
}

#[test]
fn a_name_that_the_kernel_has_cut_is_still_found() {
    let env = Env::new();
    let name = format!("a-very-long-name-{}", word(&env));
    let running = named(&env, name.as_bytes());
    let listed = env.json(["signal", "send", "TERM", "--name", &format!("^{name}$"), "--dry-run", "--json"]);
    assert_eq!(listed["objects"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed["objects"][0]["pid"], running.pid);
}

#[test]
fn a_script_that_names_the_pattern_hits_neither_itself_nor_ipcx() {
    let env = Env::new();
    let word = word(&env);
    // Twice, so that the shell cannot become ipcx; both shells and ipcx have the word in their line.
    let script = format!("sh -c 'ipcx signal send KILL --full --name {word}; echo $?'; echo here");
    let output = env.sh(&script).assert().success();
    output.stdout("3\nhere\n");
}

#[test]
fn the_whole_command_line_is_compared_if_asked_for() {
    let env = Env::new();
    let word = word(&env);
    let mut sleeper = env.start(["signal", "block", "USR1", "--", "sh", "-c", "read -r x", &word]);
    sleeper.wait_blocked("pipe_read");
    let pattern = format!("sh -c read -r x {word}$");
    env.fails(3, ["signal", "send", "0", "--name", &word]);
    let listed = env.json(["signal", "send", "0", "--full", "--name", &pattern, "--dry-run", "--json"]);
    assert_eq!(listed["objects"][0]["pid"], sleeper.pid, "{listed}");
    assert_eq!(listed["objects"].as_array().unwrap().len(), 1, "{listed}");
}

#[test]
fn a_dry_run_lists_and_sends_nothing() {
    let env = Env::new();
    let sleeper = sleeping(&env);
    let pid = sleeper.pid.to_string();
    let table = env.out(["signal", "send", "KILL", &pid, "--dry-run"]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["PID", "REF", "USER", "COMMAND"]);
    assert!(lines[1].contains(&format!("{pid}:")) && lines[1].contains("root") && lines[1].contains(" shm attach "));
    assert_eq!(lines.len(), 2);
    assert!(!is_zombie(sleeper.pid));
    env.fails(3, ["signal", "send", "KILL", "2147483647", "--dry-run", "--json", "-q"].iter().take(4));
}

#[test]
fn hostile_names_are_shown_escaped() {
    let env = Env::new();
    for (at, name) in [&b"a\x1b[31m"[..], b"b\nx y", b"c\xff\x9b", "d\u{202e}".as_bytes()].into_iter().enumerate() {
        let name = [format!("h{at}-").as_bytes(), name].concat();
        let running = named(&env, &name);
        let pid = running.pid.to_string();
        let listed = env.ipcx(["signal", "send", "0", &pid, "--dry-run"]).assert().success().get_output().clone();
        assert_harmless("dry run", &listed.stdout);
        assert_eq!(listed.stdout.iter().filter(|byte| **byte == b'\n').count(), 2);
        let page = env.ipcx(["signal", "show", &pid]).assert().success().get_output().clone();
        assert_harmless("show", &page.stdout);
        env.json(["signal", "show", &pid, "--json"]);
        let said = env.fails(124, ["signal", "send", "0", &pid, "--wait", "10ms"]);
        assert_harmless("wait", said.as_bytes());
        // And as a sender.
        for json in [false, true] {
            let trap = trapping(&env, if json { "RTMIN -n 1 --json" } else { "RTMIN -n 1" });
            let mut command = std::process::Command::new(env.path("").join(OsStr::from_bytes(&name)));
            // It waits for the end of the trap, so that its name can be seen.
            command.args(["signal", "send", "RTMIN", &trap.pid.to_string(), "--wait", "20s"]).env_clear();
            let sender = Running::start(command);
            let output = trap.end().stdout;
            assert_harmless("trap", &output);
            assert_eq!(output.iter().filter(|byte| **byte == b'\n').count(), 1);
            assert_eq!(sender.status().code(), Some(0));
            if json {
                let command = &records(&output)[0]["command"];
                assert!(command.is_string() || command["base64"].is_string(), "{command}");
            } else {
                let shown = String::from_utf8(output).unwrap();
                assert!(shown.contains(&format!(" command=h{at}-")) && shown.contains("\\x"), "{shown}");
            }
        }
    }
}
