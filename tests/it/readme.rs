//! README.md, held to its word: the sessions of the tour, and the commands that it tells users of
//! other tools to type.

use crate::kit::Env;

const README: &str = include_str!("../../README.md");
/// Printed before each command of a session, to tell the outputs apart.
const MARK: &str = "\u{1e}";

/// The objects that the table for users of other tools speaks of.
const OBJECTS: &str = "
    ipcx shm create 0x4d2 --size 4096
    ipcx msgq create 0x4d2
    ipcx msgq send 0 hello
    ipcx sem create 0x4d2 --value 1,1
    ipcx shm create /frames --size 4096
    ipcx msgq create /jobs --max-messages 2 --message-size 64
    ipcx sem create /slots
    echo data >file
    ipcx mkfifo log
";

/// One `console` block of the tour.
struct Session {
    line: usize,
    numbers_vary: bool,
    /// Whether it is about the processes of everybody.
    as_root: bool,
    /// Commands, and what each prints on either standard stream.
    steps: Vec<(String, String)>,
}

fn sessions() -> Vec<Session> {
    let mut sessions = Vec::new();
    let mut lines = (1..).zip(README.lines());
    while let Some((line, text)) = lines.next() {
        let Some(kind) = text.strip_prefix("<!-- tour") else { continue };
        assert_eq!(lines.next().unwrap().1, "```console", "line {line}");
        let mut session = Session {
            line,
            numbers_vary: kind.contains("numbers vary"),
            as_root: kind.contains("as root"),
            steps: Vec::new(),
        };
        for (_, text) in lines.by_ref().take_while(|(_, text)| *text != "```") {
            if let Some(command) = text.strip_prefix("$ ") {
                session.steps.push((command.to_owned(), String::new()));
            } else {
                let output = &mut session.steps.last_mut().unwrap().1;
                output.push_str(text);
                output.push('\n');
            }
        }
        sessions.push(session);
    }
    sessions
}

/// With every number written alike and columns of any width.
fn without_numbers(output: &str) -> String {
    let mut alike = String::new();
    // How long depends on the machine, and so does whether it is known.
    let waited = regex_lite::Regex::new(r"has waited for [0-9.]+ m?s in").unwrap();
    for line in waited.replace_all(output, "waits in").lines() {
        for word in line.split_whitespace() {
            let is_number = word.starts_with(|c: char| c.is_ascii_digit()) && !word.starts_with("0x");
            alike.push_str(if is_number { "N" } else { word });
            alike.push(' ');
        }
        alike.push('\n');
    }
    alike
}

#[test]
fn every_session_belongs_to_the_tour() {
    assert_eq!(sessions().len(), 23);
    assert_eq!(README.matches("```console").count(), 23);
}

#[test]
fn the_tour_prints_what_the_readme_says() {
    for session in sessions() {
        let env = Env::new();
        if session.as_root && !env.has_users() {
            crate::kit::skipped("a session of the tour needs root");
            continue;
        }
        let mut script = "set +eu; exec 2>&1\n".to_owned();
        for (command, _) in &session.steps {
            script.push_str(&format!("printf '{MARK}'\n{command}\n"));
        }
        let output = env.sh(&script).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut printed = text.split(MARK).skip(1);
        for (command, expected) in &session.steps {
            let printed = printed.next().unwrap_or_default();
            let (printed, expected) = if session.numbers_vary {
                (without_numbers(printed), without_numbers(expected))
            } else {
                (printed.to_owned(), expected.clone())
            };
            assert_eq!(printed, expected, "README.md, session at line {}: {command}\nall of it:\n{text}", session.line);
        }
    }
}

#[test]
fn what_the_readme_says_to_type_works() {
    let mut rows = 0;
    let table = README.split("| you know | type |").nth(1).unwrap();
    for row in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
        let command = row.trim_end_matches(" |").rsplit("| ").next().unwrap().trim_matches('`').replace("\\|", "|");
        let env = Env::new();
        env.sh(OBJECTS).assert().success();
        let output = env.sh(&command).output().unwrap();
        assert!(output.status.success(), "`{command}`: {}", String::from_utf8_lossy(&output.stderr));
        rows += 1;
    }
    assert!(rows > 20, "the table was not found");
}

#[test]
fn every_exit_status_of_the_readme_is_in_the_help() {
    let env = Env::new();
    let help = env.out(["--help"]);
    let table = README.split("| status | meaning |").nth(1).unwrap();
    for row in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
        let statuses = row.trim_start_matches("| ").split(" |").next().unwrap();
        for status in statuses.split(", ") {
            assert!(help.contains(&format!(" {status} ")) || help.contains(&format!("\n{status} ")), "{status}");
        }
    }
}
