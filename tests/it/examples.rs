//! The scripts of examples/, run as a reader would run them.

use crate::kit::Env;
use std::fs;
use std::path::{Path, PathBuf};

/// The scripts that have a test below.
const TESTED: [&str; 11] = [
    "bounded-buffer.sh",
    "conversation.sh",
    "countdown.sh",
    "crash-safe-lock.sh",
    "dining-philosophers.sh",
    "echo-server.sh",
    "fifo-job-server.sh",
    "job-queue.sh",
    "metered-pipeline.sh",
    "request-reply.sh",
    "shared-memory.sh",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// Runs a script, which must succeed and leave no object behind; what it printed.
#[track_caller]
fn run(name: &str) -> String {
    let env = Env::new();
    let output = env.sh(r#"exec "$0""#).arg(folder().join(name)).assert().success().get_output().clone();
    let left = env.json(["ls", "--json"]);
    assert_eq!(left["objects"], serde_json::json!([]), "{name} left something behind");
    String::from_utf8(output.stdout).unwrap()
}

/// The lines that begin with this word, sorted, because processes print them in any order.
fn lines(output: &str, word: &str) -> Vec<String> {
    let mut lines: Vec<_> = output.lines().filter(|line| line.starts_with(word)).map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn every_script_has_a_test_and_a_line_in_the_table() {
    let table = fs::read_to_string(folder().join("README.md")).unwrap();
    let mut names = Vec::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name != "README.md" {
            assert!(table.contains(&format!("[{name}]({name})")), "examples/README.md does not name {name}");
            names.push(name);
        }
    }
    names.sort();
    assert_eq!(names, TESTED);
}

#[test]
fn a_reader_sees_what_a_writer_wrote_under_key_1234() {
    let output = run("shared-memory.sh");
    assert_eq!(lines(&output, "reader:"), ["reader: and a second line", "reader: hello from the writer"]);
    assert!(output.contains("|hello from the w|"), "{output}");
}

#[test]
fn a_script_does_not_touch_what_belongs_to_somebody_else() {
    let env = Env::new();
    env.out(["shm", "create", "key/1234", "--size", "8"]);
    env.out(["shm", "write", "key/1234", "theirs"]);
    env.sh(r#"exec "$0""#).arg(folder().join("shared-memory.sh")).assert().code(5);
    assert_eq!(env.out(["shm", "read", "key/1234", "--length", "6"]), "theirs");
}

#[test]
fn replies_answer_their_requests() {
    assert_eq!(
        run("request-reply.sh"),
        "client: the square of 3 is 9\n\
         client: the square of 12 is 144\n\
         client: the square of 111 is 12321\n\
         server: stopped\n"
    );
}

#[test]
fn a_bounded_buffer_hands_on_every_item_once_and_in_order() {
    let output = run("bounded-buffer.sh");
    let items = |who| {
        let lines = output.lines().filter_map(|line: &str| line.strip_prefix(who));
        lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let put = items("producer: ");
    assert_eq!(put.len(), 12);
    // The lock is held while a line is printed, so that the lines are in the order of the buffer.
    assert_eq!(put, items("consumer: "));
    assert!(output.ends_with("free slots: 4, filled slots: 0\n"), "{output}");
}

#[test]
fn five_philosophers_eat_and_put_down_their_forks() {
    let output = run("dining-philosophers.sh");
    let meals = lines(&output, "philosopher");
    assert_eq!(meals.len(), 15);
    assert_eq!(meals[0], "philosopher 0 eats meal 1 with forks 0 and 1");
    assert_eq!(meals[14], "philosopher 4 eats meal 3 with forks 4 and 0");
    let forks: Vec<_> = output.lines().rev().take(5).map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(forks, ["1"; 5]);
}

#[test]
fn five_workers_do_twenty_jobs_once_each() {
    let output = run("job-queue.sh");
    let jobs: Vec<_> = output.lines().filter(|line| line.starts_with("job ")).collect();
    assert_eq!(jobs.len(), 20);
    for (number, job) in (1..).zip(jobs) {
        assert!(job.starts_with(&format!("job {number} done by worker ")), "{job}");
        assert!(job.ends_with(&format!(": {}", number * number)), "{job}");
    }
    assert!(output.ends_with("jobs left: 0\n"), "{output}");
}

#[test]
fn workers_share_the_lines_of_a_fifo_and_none_is_torn() {
    let output = run("fifo-job-server.sh");
    for (number, job) in (1..).zip(output.lines().take(20)) {
        assert!(job.starts_with(&format!("job {number} done by worker ")), "{output}");
        assert!(job.ends_with(&format!(": {}", number * number)), "{output}");
    }
    assert!(output.ends_with("bytes left: 0\n"), "{output}");
}

#[test]
fn the_slow_stage_of_a_pipeline_is_named() {
    assert_eq!(
        run("metered-pipeline.sh"),
        "300\n\
         bottleneck: stage 2\n\
         the pipe in front of it: up to 16 of its 16 slots were in use\n"
    );
}

#[test]
fn signals_count_down_in_order() {
    assert_eq!(
        run("countdown.sh"),
        "ready: ipcx: waiting\n5\n4\n3\n2\n1\nlift-off, says RTMIN+1\n\
         the receiver has got six signals: status 0\n\
         a seventh finds nobody: status 3 (no such process)\n"
    );
}

#[test]
fn two_clients_hear_their_echo() {
    assert_eq!(
        run("echo-server.sh"),
        "first: hello, you\nfirst: 1\nfirst: 2\nfirst: 3\n\
         second: hello, you\nsecond: one\nsecond: two\n\
         the server ended with status 143\nits socket file is gone\n"
    );
}

#[test]
fn two_commands_find_a_number_together() {
    let output = run("conversation.sh");
    let lines: Vec<_> = output.lines().collect();
    assert_eq!((lines.len(), lines[0]), (8, "is it 50? less"), "{output}");
    assert_eq!(lines[6..], ["is it 42? yes", "found"], "{output}");
}

#[test]
fn a_lock_comes_back_when_its_holder_is_killed() {
    assert_eq!(
        run("crash-safe-lock.sh"),
        "the lock is taken\n\
         somebody else does not get it: status 6 (would block)\n\
         the holder is killed: status 137\n\
         and the next one has the lock\n\
         the semaphore is 1 again\n"
    );
}
