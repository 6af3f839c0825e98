use super::*;
use crate::kit::until;
use std::io::Write as _;

#[test]
fn it_reads_until_all_writers_have_closed_it() {
    let env = Env::new();
    let path = fifo(&env);
    let mut receiver = env.start(["fifo", "recv", path]);
    receiver.wait_blocked(OPENING);
    let mut first = OpenOptions::new().write(true).open(env.path("f")).unwrap();
    let mut second = first.try_clone().unwrap();
    first.write_all(b"one\0").unwrap();
    drop(first);
    second.write_all(b"\xfftwo").unwrap();
    drop(second);
    let output = receiver.end();
    assert!(output.status.success());
    assert_eq!(output.stdout, b"one\0\xfftwo");
}

#[test]
fn a_writer_that_never_comes_is_a_timeout_and_an_empty_fifo_would_block() {
    let env = Env::new();
    let path = fifo(&env);
    for options in [&[][..], &["-n", "1"], &["--lines"]] {
        let said = env.fails(124, ["fifo", "recv", path, "--timeout", "60ms"].iter().chain(options));
        assert!(said.contains("waited for a writer"), "{said}");
        env.fails(6, ["fifo", "recv", path, "--nowait"].iter().chain(options));
    }
    env.fails(124, ["fifo", "recv", path, "--follow", "--timeout", "60ms"]);
    let (_, _file) = held_again(&env);
    for options in [&[][..], &["-n", "1"]] {
        assert!(!env.fails(6, ["fifo", "recv", path, "--nowait"].iter().chain(options)).contains("ENXIO"));
        let said = env.fails(124, ["fifo", "recv", path, "--timeout", "60ms"].iter().chain(options));
        assert!(said.contains("timed out"), "{said}");
    }
}

fn held_again(env: &Env) -> ((), File) {
    ((), OpenOptions::new().read(true).write(true).open(env.path("f")).unwrap())
}

#[test]
fn so_many_lines_are_taken_and_the_rest_stays() {
    let env = Env::new();
    let (path, mut file) = held(&env);
    file.write_all(b"a\nb\n\nd\npart").unwrap();
    assert_eq!(env.out(["fifo", "recv", path, "-n", "1"]), "a");
    assert_eq!(env.ipcx(["fifo", "recv", path, "-n", "2"]).output().unwrap().stdout, b"b\n\n");
    // The third has no end yet: what is whole is taken, the part stays.
    let output = env.ipcx(["fifo", "recv", path, "-n", "2", "--timeout", "60ms"]).output().unwrap();
    assert_eq!((output.stdout, output.status.code()), (b"d\n".to_vec(), Some(124)));
    assert_eq!(env.ipcx(["fifo", "peek", path, "--raw"]).output().unwrap().stdout, b"part");
    assert!(env.fails(6, ["fifo", "recv", path, "-n", "1", "--nowait"]).contains("no whole line"));
    file.write_all(b"ed\n").unwrap();
    assert_eq!(env.out(["fifo", "recv", path, "--lines", "-n", "1"]), "parted");
}

#[test]
fn a_line_that_comes_in_pieces_is_waited_for() {
    let env = Env::new();
    let (path, mut file) = held(&env);
    file.write_all(b"be").unwrap();
    let mut receiver = env.start(["fifo", "recv", path, "-n", "1"]);
    receiver.wait_blocked("epoll");
    file.write_all(b"gin").unwrap();
    file.write_all(b"ning\nnext\n").unwrap();
    assert_eq!(ended(receiver), (0, "beginning\n".to_owned(), String::new()));
    assert_eq!(env.out(["fifo", "recv", path, "-n", "1"]), "next");
}

#[test]
fn a_line_longer_than_the_pipe_is_taken_whole() {
    let env = Env::new();
    let path = fifo(&env);
    let script = format!(
        "{{ head -c 200000 /dev/zero | tr '\\0' x; echo; echo next; }} | ipcx fifo send {path} -q 2>/dev/null &
        exec 3<>f; ipcx fifo recv {path} -n 1 | wc -c; ipcx fifo recv {path} -n 1; wait"
    );
    assert_eq!(env.sh(&script).output().unwrap().stdout, b"200001\nnext\n");
}

#[test]
fn writers_that_leave_too_early_are_a_failure_and_what_came_is_written() {
    let env = Env::new();
    let path = fifo(&env);
    let script = format!("printf 'a\\nb' >f & ipcx fifo recv {path} -n 3");
    let output = env.sh(&script).assert().code(1).get_output().clone();
    assert_eq!(output.stdout, b"a\nb");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("closed it after 2 of 3 lines"), "{said}");
    // A last line without a newline is a line.
    let script = format!(
        "printf 'a\\nb' >f & ipcx fifo recv {path} -n 2; ipcx fifo recv {path} --lines & printf 'x\\ny' >f; wait"
    );
    assert_eq!(env.sh(&script).output().unwrap().stdout, b"a\nbx\ny");
}

#[test]
fn follow_survives_writers_that_come_and_go() {
    let env = Env::new();
    let path = fifo(&env);
    for options in [&["--follow"][..], &["--follow", "--lines"]] {
        let mut receiver = env.start(["fifo", "recv", path].iter().chain(options));
        for text in ["first", "second", "third"] {
            env.ipcx(["fifo", "send", path, text, "--timeout", "20s"]).assert().success();
            assert_eq!(receiver.line(), text);
        }
        receiver.wait_blocked(if options.len() == 1 { "poll" } else { "epoll" });
        receiver.signal(15);
        assert_eq!(ended(receiver).0, 143);
    }
    let receiver = env.start(["fifo", "recv", path, "--follow", "-n", "3"]);
    for text in ["1", "2", "3"] {
        env.ipcx(["fifo", "send", path, text, "--timeout", "20s"]).assert().success();
    }
    assert_eq!(ended(receiver), (0, "1\n2\n3\n".to_owned(), String::new()));
}

#[test]
fn a_receiver_that_follows_sleeps_while_no_writer_is_there() {
    let env = Env::new();
    let path = fifo(&env);
    let mut receiver = env.start(["fifo", "recv", path, "--follow"]);
    env.ipcx(["fifo", "send", path, "x", "--timeout", "20s"]).assert().success();
    assert_eq!(receiver.line(), "x");
    receiver.wait_blocked("poll");
    let switches = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", receiver.pid)).unwrap();
        status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap().to_owned()
    };
    let before = switches();
    // Time for a loop that did not sleep to show itself: other processes start and end.
    for _ in 0..5 {
        env.ipcx(["--version"]).assert().success();
    }
    assert_eq!(switches(), before);
}

#[test]
fn several_receivers_share_the_lines_and_none_is_lost_or_torn() {
    let env = Env::new();
    let path = fifo(&env);
    let script = format!(
        "exec 3<>f
        for worker in 1 2 3 4; do
            while line=$(ipcx fifo recv {path} -n 1) && [ \"$line\" != stop ]; do echo \"$line\" >>out.$worker; done &
        done
        seq 1 200 | sed 's/$/ {long}/' | ipcx fifo send {path}
        for worker in 1 2 3 4; do ipcx fifo send {path} stop; done
        wait; cat out.* | sort -n",
        long = "x".repeat(50)
    );
    let output = env.sh(&script).assert().success().get_output().stdout.clone();
    let expected: String = (1..=200).map(|n| format!("{n} {}\n", "x".repeat(50))).collect();
    assert_eq!(String::from_utf8(output).unwrap(), expected);
}

#[test]
fn a_receiver_that_waits_for_a_line_is_ended_by_a_signal_and_lets_the_next_one_in() {
    let env = Env::new();
    let (path, mut file) = held(&env);
    let mut first = env.start(["fifo", "recv", path, "-n", "1"]);
    first.wait_blocked("epoll");
    let mut second = env.start(["fifo", "recv", path, "-n", "1"]);
    second.wait_blocked("lock");
    let said = env.fails(6, ["fifo", "recv", path, "-n", "1", "--nowait"]);
    assert!(said.contains("another receiver"), "{said}");
    env.fails(124, ["fifo", "recv", path, "-n", "1", "--timeout", "60ms"]);
    first.signal(9);
    first.wait_end();
    second.wait_blocked("epoll");
    file.write_all(b"for the second\n").unwrap();
    assert_eq!(ended(second), (0, "for the second\n".to_owned(), String::new()));
}

#[test]
fn nothing_is_taken_when_there_is_no_place_for_it() {
    let env = Env::new();
    let (path, mut file) = held(&env);
    file.write_all(b"kept\n").unwrap();
    for option in ["", "-n 1"] {
        let output = env.sh(&format!("exec ipcx fifo recv {path} {option} --timeout 20s >&-")).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8(output.stderr).unwrap().contains("standard output"));
    }
    until("the line to be there still", || {
        env.ipcx(["fifo", "peek", path, "--raw"]).output().unwrap().stdout == b"kept\n"
    });
}

#[test]
fn without_waiting_no_foreign_writer_is_released() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("who may not look into all processes cannot know of the writer");
    }
    let path = fifo(&env);
    let mut sender = env.start(["fifo", "send", path, "precious"]);
    sender.wait_blocked(OPENING);
    for options in [&[][..], &["-n", "1"]] {
        let said = env.fails(6, ["fifo", "recv", path, "--nowait"].iter().chain(options));
        assert!(said.contains("no process writes to it"), "{said}");
        sender.wait_blocked(OPENING);
    }
    assert_eq!(env.out(["fifo", "recv", path]), "precious");
    assert_eq!(ended(sender).0, 0);
}

#[test]
fn what_nobody_holds_is_said_to_be_lost() {
    let env = Env::new();
    let path = fifo(&env);
    let script = format!("printf 'a\\nbc\\n' >f & ipcx fifo recv {path} -n 1; wait");
    let output = env.sh(&script).assert().success().stdout("a\n").get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("3 bytes behind it will be lost"), "{said}");
    let (_, mut file) = (path, held_again(&env).1);
    file.write_all(b"a\nb\n").unwrap();
    env.ipcx(["fifo", "recv", path, "-n", "1"]).assert().success().stdout("a\n").stderr("");
}

#[test]
fn a_pipe_whose_slots_are_full_of_single_bytes_is_no_deadlock() {
    let env = Env::new();
    let (path, file) = held(&env);
    // In packet mode every write takes a slot of its own: sixteen bytes fill the pipe.
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_DIRECT)).unwrap();
    let mut writer = file.try_clone().unwrap();
    let writing = std::thread::spawn(move || (0..40).for_each(|_| writer.write_all(b"ab").unwrap()));
    until("the pipe to be full", || env.json(["fifo", "show", path, "--json"])["objects"][0]["used_slots"] == 16);
    let receiver = env.start(["fifo", "recv", path, "-n", "1"]);
    writing.join().unwrap();
    let mut writer = file.try_clone().unwrap();
    writer.write_all(b"\n").unwrap();
    assert_eq!(ended(receiver), (0, format!("{}\n", "ab".repeat(40)), String::new()));
}

#[test]
fn lines_that_were_taken_and_find_no_reader_are_shown_and_a_failure() {
    let env = Env::new();
    let (path, mut file) = held(&env);
    let mut receiver = env.start(["fifo", "recv", path, "-n", "2"]);
    receiver.wait_blocked("epoll");
    receiver.close_stdout();
    file.write_all(b"one\n\x1b[2Jtwo\n").unwrap();
    let (status, _, said) = ended(receiver);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("could not be written") && said.contains("\none\n"), "{said}");
}

#[test]
fn bytes_that_were_taken_and_find_no_reader_are_a_failure() {
    let env = Env::new();
    let (path, mut file) = held(&env);
    let mut receiver = env.start(["fifo", "recv", path]);
    receiver.wait_blocked("pipe");
    receiver.close_stdout();
    file.write_all(b"lost").unwrap();
    let (status, _, said) = ended(receiver);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("4 bytes were taken and could not be written") && said.contains("EPIPE"), "{said}");
}

#[test]
fn a_reader_of_ours_that_stops_reading_does_not_hold_it_past_the_timeout() {
    let env = Env::new();
    let (path, mut file) = held(&env);
    // Nobody reads the standard output of this one, which fills up.
    let mut receiver = env.start(["fifo", "recv", path, "--timeout", "300ms"]);
    let chunk = vec![b'x'; 4096];
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK)).unwrap();
    until("it to end", || {
        drop(file.write(&chunk));
        std::fs::read_to_string(format!("/proc/{}/stat", receiver.pid)).unwrap().contains(") Z ")
    });
    receiver.wait_end();
    let (status, _, said) = ended(receiver);
    assert_eq!(status, 124, "{said}");
}
