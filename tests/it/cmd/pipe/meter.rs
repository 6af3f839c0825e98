use super::line_of;
use super::screen::Screen;
use crate::kit::{Env, Running, until};
use std::fs::{self, File};
use std::io::Read as _;
use std::sync::mpsc::{Receiver, channel};

/// Reads a terminal in a thread of its own, until nobody has it open any more.
fn watched(mut terminal: File) -> Receiver<Vec<u8>> {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(got @ 1..) = terminal.read(&mut buffer) {
            if tell.send(buffer[..got].to_vec()).is_err() {
                break;
            }
        }
    });
    told
}

/// What came so far, together with what came before.
fn take(told: &Receiver<Vec<u8>>, all: &mut Vec<u8>) {
    all.extend(told.try_iter().flatten());
}

fn shown(all: &[u8]) -> Vec<String> {
    let mut screen = Screen::new(24, 80);
    screen.feed(all);
    screen.text()
}

#[test]
fn a_line_for_each_pipe_is_painted_below_the_cursor_and_taken_away() {
    let env = Env::new();
    let words = ["pipe", "sh", "-c", "echo $$ >pid; exec cat hold", ":::", "cat", ":::", "cat"];
    env.sh("mkfifo hold").assert().success();
    let (run, terminal) = Running::in_terminal(env.command(words), false);
    let told = watched(terminal);
    line_of(&env, "pid");
    let mut all = Vec::new();
    until("the meter", || {
        take(&told, &mut all);
        shown(&all).len() == 3
    });
    let lines = shown(&all);
    assert_eq!(lines[0], "", "the line of the cursor stays free");
    assert!(lines[1].contains("sh ▸ cat") && lines[1].contains("slots"), "{lines:?}");
    assert!(lines[2].contains("cat ▸ cat") && lines[2].contains("cat waits for"), "{lines:?}");
    let start = String::from_utf8(all.clone()).unwrap();
    assert!(start.starts_with("\x1b[J\x1bD\x1bD\x1b[2A\x1b7\x1b[B\r"), "{start:?}");
    fs::write(env.path("hold"), "x\n").unwrap();
    assert_eq!(run.status().code(), Some(0));
    all.extend(told.iter().flatten());
    assert_eq!(shown(&all), [""; 0], "nothing is left of it");
}

#[test]
fn what_a_command_writes_to_the_terminal_stays_as_it_is() {
    let env = Env::new();
    env.sh("mkfifo hold").assert().success();
    // It begins at the foot of the screen, in the middle of a line, while the meter is shown.
    let last = "seq 30; printf middle; exec 2>&1; cat; printf 'one\\ntwo\\nthree\\n'";
    for shared in [true, false] {
        let last = if shared { "cat; printf 'one\\ntwo\\nthree\\n'" } else { last };
        let words = ["pipe", "sh", "-c", "echo $$ >pid; exec cat hold", ":::", "cat", ":::", "sh", "-c", last];
        let (run, terminal) = Running::in_terminal(env.command(words), true);
        let told = watched(terminal);
        line_of(&env, "pid");
        let mut all = Vec::new();
        until("the meter or the text", || {
            take(&told, &mut all);
            let text = String::from_utf8_lossy(&all).into_owned();
            if shared { text.contains("slots") } else { text.contains("middle") }
        });
        fs::write(env.path("hold"), "zero\n").unwrap();
        assert_eq!(run.status().code(), Some(0));
        all.extend(told.iter().flatten());
        let lines = shown(&all);
        let numbers: Vec<String> = (1..=30).map(|n| n.to_string()).collect();
        let mut wanted: Vec<&str> = numbers.iter().map(String::as_str).filter(|_| !shared).collect();
        wanted.push(if shared { "zero" } else { "middlezero" });
        wanted.extend(["one", "two", "three"]);
        assert_eq!(lines, wanted, "{}", String::from_utf8_lossy(&all).escape_debug());
        fs::remove_file(env.path("pid")).unwrap();
    }
}

#[test]
fn what_is_no_utf8_gets_no_other_characters_and_a_narrow_terminal_shorter_lines() {
    let env = Env::new();
    let words = ["pipe", "--meter", "always", "sh", "-c", "read x <hold", ":::", "cat"];
    env.sh("mkfifo hold").assert().success();
    let mut command = env.command(words);
    command.env("LC_ALL", "C").stderr(File::create(env.path("meter")).unwrap());
    let mut run = command.spawn().unwrap();
    until("the meter", || fs::read_to_string(env.path("meter")).unwrap().contains("slots"));
    fs::write(env.path("hold"), "x\n").unwrap();
    assert!(run.wait().unwrap().success());
    let meter = fs::read(env.path("meter")).unwrap();
    assert!(meter.is_ascii() && meter.starts_with(b"sh > *"[..5].as_ref()) || meter.starts_with(b"*sh > cat"));
    assert!(!meter.contains(&0x1b), "a file gets no sequences");
}

#[test]
fn nothing_is_shown_where_nobody_looks() {
    let env = Env::new();
    for option in ["--meter=never", "-q"] {
        let words = ["pipe", option, "sh", "-c", "echo $$ >pid; exec cat hold", ":::", "cat"];
        env.sh("rm -f hold pid; mkfifo hold").assert().success();
        let (run, terminal) = Running::in_terminal(env.command(words), false);
        let told = watched(terminal);
        line_of(&env, "pid");
        // A meter would wait for its time; without one ipcx sleeps until the end.
        until("ipcx to sleep", || fs::read_to_string(format!("/proc/{}/wchan", run.pid)).unwrap().contains("do_wait"));
        fs::write(env.path("hold"), "x\n").unwrap();
        assert_eq!(run.status().code(), Some(0));
        assert_eq!(told.iter().flatten().count(), 0, "{option}");
    }
}
