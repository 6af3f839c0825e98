use super::*;
use std::time::{Duration, Instant};

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[test]
fn a_timeout_is_status_124_and_not_too_early() {
    let env = Env::new();
    let [sysv, posix] = both(&env);
    let [sysv_full, posix_full] = both_full(&env);
    for line in [
        ["recv", &sysv, "-n1"],
        ["recv", &posix, "-n1"],
        ["send", &sysv_full, "x"],
        ["send", &posix_full, "x"],
        ["recv", &sysv, "--follow"],
        ["recv", &posix, "--follow"],
    ] {
        for (asked, least) in [("120ms", 120), ("0.05", 50), ("0", 0)] {
            let start = Instant::now();
            let ended = env.ipcx(["msgq"].iter().chain(&line).chain(&["--timeout", asked])).assert().code(124);
            assert!(start.elapsed() >= Duration::from_millis(least), "{line:?} {asked}: {:?}", start.elapsed());
            ended.stdout("").stderr(says("timed out"));
        }
    }
    assert_eq!(drain(&env, &sysv_full), ["full"]);
    assert_eq!(drain(&env, &posix_full), ["full"]);
}

#[test]
fn a_timeout_of_many_messages_keeps_those_that_came() {
    let env = Env::new();
    for queue in both(&env) {
        send(&env, &queue, &["a", "b"]);
        let ended = env.ipcx(["msgq", "recv", &queue, "-n", "3", "--timeout", "50ms"]).assert().code(124);
        ended.stdout("a\nb\n");
    }
}

#[test]
fn a_timeout_bounds_a_whole_stream_and_says_how_much_was_sent() {
    let env = Env::new();
    for queue in both(&env) {
        // Input that never ends and never comes is within the bound, too.
        let mut sending = env.start(["msgq", "send", &queue, "--lines", "--timeout", "300ms"]);
        sending.write(b"a\nb\nincomplete");
        wait_ended(&sending);
        let ended = sending.end();
        assert_eq!(status(ended.status), 124);
        assert!(String::from_utf8_lossy(&ended.stderr).contains("2 messages had been sent"));
        assert_eq!(drain(&env, &queue), ["a", "b"]);
    }
}

#[test]
fn very_short_timeouts_never_miss_the_call_they_are_to_end() {
    let env = Env::new();
    let queues = both(&env);
    let full = both_full(&env);
    for round in 0..60u32 {
        let timeout = format!("{}us", 1 + round * round);
        for (empty, full) in queues.iter().zip(&full) {
            env.ipcx(["msgq", "recv", empty, "--timeout", &timeout]).assert().code(124);
            env.ipcx(["msgq", "send", full, "x", "--timeout", &timeout]).assert().code(124);
        }
    }
}

#[test]
fn nothing_is_lost_when_a_timeout_meets_a_message() {
    let env = Env::new();
    for queue in both(&env) {
        let mut received = 0;
        let mut dice = Dice(7);
        for _ in 0..40 {
            let timeout = format!("{}us", 500 + dice.roll(4000));
            let receiving = env.start(["msgq", "recv", &queue, "--timeout", &timeout]);
            send(&env, &queue, &["x"]);
            let ended = receiving.end();
            match status(ended.status) {
                0 => received += 1,
                124 => assert!(ended.stdout.is_empty()),
                other => panic!("status {other}"),
            }
            if count(&env, &queue) == 9 {
                received += drain(&env, &queue).len();
            }
        }
        assert_eq!(received as u64 + count(&env, &queue), 40);
    }
}

#[test]
fn a_signal_ends_a_wait_with_128_and_its_number() {
    let env = Env::new();
    let [sysv, posix] = both(&env);
    let [sysv_full, posix_full] = both_full(&env);
    for (signal, expected) in [(SIGINT, 130), (SIGTERM, 143)] {
        for queue in [&sysv, &posix] {
            for how in ["", "--follow", "--timeout 1h"] {
                let mut receiving = interruptible(&env, &format!("msgq recv {queue} {how}"));
                receiving.wait_blocked(empty_wait(queue));
                receiving.signal(signal);
                let ended = receiving.end();
                assert_eq!(status(ended.status), expected, "{queue} {how}");
                assert!(ended.stdout.is_empty());
            }
            // It is no longer there to take what comes.
            send(&env, queue, &["kept"]);
            assert_eq!(drain(&env, queue), ["kept"]);
        }
        for queue in [&sysv_full, &posix_full] {
            let mut sending = interruptible(&env, &format!("msgq send {queue} more"));
            sending.wait_blocked(full_wait(queue));
            sending.signal(signal);
            assert_eq!(status(sending.status()), expected);
            assert_eq!(count(&env, queue), 1);
        }
    }
}

#[test]
fn a_signal_while_input_is_read_ends_a_stream_and_says_how_much_was_sent() {
    let env = Env::new();
    for queue in both(&env) {
        let mut sending = interruptible(&env, &format!("msgq send {queue} --lines"));
        sending.write(b"a\nb\npart");
        until("two messages", || count(&env, &queue) == 2);
        sending.wait_blocked("pipe_read");
        sending.signal(SIGTERM);
        let ended = sending.end();
        assert_eq!(status(ended.status), 143);
        assert!(String::from_utf8_lossy(&ended.stderr).contains("2 messages had been sent"));
        assert_eq!(drain(&env, &queue), ["a", "b"]);
    }
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let env = Env::new();
    let queue = private(&env);
    let mut receiving = start(&env, &format!("trap '' HUP INT; exec ipcx msgq recv {queue}"));
    receiving.wait_blocked("do_msgrcv");
    receiving.signal(1);
    receiving.signal(SIGINT);
    send(&env, &queue, &["still there"]);
    assert_eq!(receiving.end().stdout, b"still there\n");
}

#[test]
fn a_queue_that_is_removed_ends_the_waits_on_it_with_status_3() {
    let env = Env::new();
    let empty = private(&env);
    let full = env.out(["msgq", "create", "--max-bytes", "4"]);
    send(&env, &full, &["full"]);
    let mut receiving = env.start(["msgq", "recv", &empty]);
    let mut following = env.start(["msgq", "recv", &empty, "--follow", "--timeout", "1h"]);
    let mut sending = env.start(["msgq", "send", &full, "a", "b"]);
    receiving.wait_blocked("do_msgrcv");
    following.wait_blocked("do_msgrcv");
    sending.wait_blocked("do_msgsnd");
    env.ipcx(["msgq", "rm", &empty, &full]).assert().success();
    for running in [receiving, following, sending] {
        let ended = running.end();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(status(ended.status), 3, "{said}");
        assert!(said.contains("removed") && said.contains("EIDRM"), "{said}");
    }
}

/// Receivers are signalled at random moments while messages stream by; every message must be in
/// the output or in the queue, once.
fn storm(queue_of: fn(&Env) -> String) {
    const SENT: usize = 20_000;
    let env = Env::new();
    let queue = queue_of(&env);
    let expected: String = (1..=SENT).map(|n| format!("{n}\n")).collect();
    let output = env.path("received");
    fs::write(&output, "").unwrap();
    let received = || fs::metadata(&output).unwrap().len();
    let sender = start(&env, &format!("seq {SENT} | ipcx msgq send {queue} --lines"));
    let mut dice = Dice(42);
    loop {
        let goal = received() + 1 + dice.roll(2500);
        if goal > expected.len() as u64 {
            break;
        }
        let mut following = interruptible(&env, &format!("msgq recv {queue} --follow >>received"));
        until("some messages", || received() >= goal);
        (0..dice.roll(50)).for_each(|_| std::thread::yield_now());
        let signal = if dice.roll(2) == 0 { SIGINT } else { SIGTERM };
        following.signal(signal);
        // A second one must do no harm either.
        following.signal(signal);
        assert_eq!(status(following.status()), 128 + signal);
    }
    let mut last = interruptible(&env, &format!("msgq recv {queue} --follow >>received"));
    assert_eq!(status(sender.status()), 0);
    until("the queue to be empty", || count(&env, &queue) == 0);
    last.wait_blocked(empty_wait(&queue));
    last.signal(SIGTERM);
    assert_eq!(status(last.status()), 143);
    let received = fs::read_to_string(&output).unwrap();
    assert_eq!(received.lines().count(), SENT);
    assert!(received == expected, "messages are doubled or out of order");
}

#[test]
fn signals_at_random_moments_lose_nothing_of_a_system_v_stream() {
    storm(private);
}

#[test]
fn signals_at_random_moments_lose_nothing_of_a_posix_stream() {
    storm(|env| env.out(["msgq", "create", "/q"]));
}

#[test]
fn a_sender_that_is_signalled_says_exactly_how_many_it_sent() {
    let env = Env::new();
    env.sh("seq 1000000 >input").assert().success();
    for queue in both(&env) {
        let output = env.path("received");
        let mut receiving = interruptible(&env, &format!("msgq recv {queue} --follow >received"));
        until("the output file", || output.exists());
        let received = || fs::read(&output).unwrap().split(|byte| *byte == b'\n').count() as u64 - 1;
        let mut dice = Dice(3);
        let mut said = 0;
        for _ in 0..10 {
            // Only what the next sender sends may tell us that it is at work.
            until("the queue to be empty", || count(&env, &queue) == 0);
            receiving.wait_blocked(empty_wait(&queue));
            let goal = received() + 1 + dice.roll(2000);
            let mut sending = interruptible(&env, &format!("msgq send {queue} --lines <input"));
            until("some messages", || received() >= goal);
            sending.signal(SIGTERM);
            let ended = sending.end();
            assert_eq!(status(ended.status), 143);
            said += sent(&ended.stderr);
        }
        until("the queue to be empty", || count(&env, &queue) == 0);
        receiving.wait_blocked(empty_wait(&queue));
        receiving.signal(SIGTERM);
        assert_eq!(status(receiving.status()), 143);
        assert_eq!(received(), said, "{queue}");
        fs::remove_file(&output).unwrap();
    }
}

#[test]
fn a_timeout_is_kept_where_no_timer_can_be_made() {
    let env = Env::new();
    for queue in both(&env) {
        // Timers count against the signals that a user may have pending.
        env.sh(&format!("exec prlimit --sigpending=0 ipcx msgq recv {queue} --timeout 100ms")).assert().code(124);
    }
}

#[test]
fn an_interrupt_of_the_terminal_ends_a_shell_loop_as_well() {
    use std::io::Write as _;
    use std::os::unix::process::ExitStatusExt as _;
    let env = Env::new();
    for queue in both(&env) {
        let mut command = std::process::Command::new("setsid");
        command.arg("--ctty").arg(crate::kit::program()).args(["msgq", "recv", &queue]);
        let (mut waiting, mut terminal) = Running::on_terminal(command);
        waiting.wait_blocked(if queue.starts_with('/') { "wq_sleep" } else { "do_msgrcv" });
        terminal.write_all(b"\x03").unwrap();
        waiting.wait_end();
        let ended = waiting.status();
        // A shell stops its script only if the command died of the signal.
        assert_eq!(ended.signal(), Some(2), "{queue}");
    }
}
