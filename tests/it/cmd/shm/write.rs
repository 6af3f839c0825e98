use super::{bytes, each_family, sparse};
use crate::kit::{Env, refusal};
use crate::skip;
use std::fs;

#[test]
fn data_goes_to_the_start_or_to_an_offset() {
    let env = Env::new();
    for reference in each_family(&env, "8") {
        env.out(["shm", "write", reference, "hello"]);
        env.out(["shm", "write", reference, "XY", "--offset", "6"]);
        assert_eq!(bytes(&env, reference), b"hello\0XY", "{reference}");
        env.out(["shm", "write", reference, ""]);
        assert_eq!(bytes(&env, reference), b"hello\0XY", "{reference}");
    }
}

#[test]
fn without_data_standard_input_or_a_file_is_copied() {
    let env = Env::new();
    fs::write(env.path("input"), "0123").unwrap();
    for reference in each_family(&env, "4") {
        env.ipcx(["shm", "write", reference]).write_stdin("ab\0c").assert().success().stdout("");
        assert_eq!(bytes(&env, reference), b"ab\0c", "{reference}");
        env.sh(&format!("ipcx shm write {reference} < input")).assert().success();
        assert_eq!(bytes(&env, reference), b"0123", "{reference}");
        env.out(["shm", "write", reference, "--from", "/dev/null"]);
        assert_eq!(bytes(&env, reference), b"0123", "{reference}");
        fs::write(env.path("two"), "xy").unwrap();
        env.out(["shm", "write", reference, "--offset", "1", "--from", "two"]);
        assert_eq!(bytes(&env, reference), b"0xy3", "{reference}");
    }
}

#[test]
fn data_larger_than_a_pipe_and_larger_than_a_step_arrives_whole() {
    let env = Env::new();
    let data: Vec<u8> = (0..5_000_011u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    for reference in each_family(&env, "5000011") {
        env.ipcx(["shm", "write", reference]).write_stdin(data.clone()).assert().success();
        assert!(bytes(&env, reference) == data, "{reference}");
    }
}

#[test]
fn what_is_known_not_to_fit_is_refused_before_a_byte_is_written() {
    let env = Env::new();
    fs::write(env.path("input"), "0123456789").unwrap();
    for reference in each_family(&env, "9") {
        let told = |said: String, length: &str| {
            assert!(said.contains(length) && said.contains("nothing was written"), "{said}");
            assert_eq!(bytes(&env, reference), [0; 9], "{reference}");
        };
        told(env.fails(7, ["shm", "write", reference, "0123456789"]), "10 bytes");
        told(env.fails(7, ["shm", "write", reference, "012", "--offset", "7"]), "3 bytes");
        told(env.fails(7, ["shm", "write", reference, "--from", "input"]), "10 bytes");
        told(refusal(&mut env.sh(&format!("ipcx shm write {reference} < input")), 7), "10 bytes");
        // Of a file that was read before, only the rest counts.
        env.sh(&format!("{{ dd bs=1 count=1 status=none >/dev/null; ipcx shm write {reference}; }} < input"))
            .assert()
            .success();
        assert_eq!(bytes(&env, reference), b"123456789", "{reference}");
    }
}

#[test]
fn a_pipe_fills_it_to_the_end_and_what_was_left_out_is_counted() {
    let env = Env::new();
    for reference in each_family(&env, "5") {
        env.ipcx(["shm", "write", reference]).write_stdin("12345").assert().success();
        let said = refusal(env.ipcx(["shm", "write", reference, "--offset", "2"]).write_stdin("abcdefg"), 7);
        assert!(said.contains("4 bytes did not fit"), "{said}");
        assert!(said.contains("the first 3 were written"), "{said}");
        assert_eq!(bytes(&env, reference), b"12abc", "{reference}");
    }
}

#[test]
fn an_endless_input_comes_to_an_end() {
    let env = Env::new();
    for reference in each_family(&env, "5") {
        let said = env.fails(7, ["shm", "write", reference, "--from", "/dev/zero"]);
        assert!(said.contains("at least") && said.contains("the first 5 were written"), "{said}");
        let said = refusal(&mut env.sh(&format!("yes | ipcx shm write {reference}")), 7);
        assert!(said.contains("at least"), "{said}");
        assert_eq!(bytes(&env, reference), b"y\ny\ny");
    }
}

#[test]
fn a_pipe_that_stays_open_behind_the_end_can_be_interrupted() {
    let env = Env::new();
    for reference in each_family(&env, "5") {
        let mut write = env.start(["shm", "write", reference]);
        write.write(b"123");
        write.wait_blocked("pipe_read");
        write.signal(libc::SIGINT);
        write.wait_end();
        assert_eq!(write.status().code(), Some(130), "{reference}");
        assert_eq!(bytes(&env, reference), b"123\0\0", "{reference}");
    }
}

#[test]
fn an_interruption_while_the_rest_is_counted_is_no_success() {
    let env = Env::new();
    for reference in each_family(&env, "5") {
        let mut write = env.start(["shm", "write", reference]);
        write.write(b"12345");
        write.wait_blocked("pipe_read");
        write.signal(libc::SIGINT);
        write.wait_end();
        let output = write.end();
        assert_eq!(output.status.code(), Some(130), "{reference} {output:?}");
        assert_eq!(bytes(&env, reference), b"12345", "{reference}");
    }
}

#[test]
fn an_interrupt_that_ends_its_input_as_well_is_no_success() {
    let env = Env::new();
    for reference in each_family(&env, "5") {
        let mut write = env.start(["shm", "write", reference]);
        write.write(b"123");
        write.wait_blocked("pipe_read");
        // A terminal's ^C goes to the whole pipeline: the end of the input comes with it.
        write.signal(libc::SIGINT);
        write.close_stdin();
        assert_eq!(write.status().code(), Some(130), "{reference}");
    }
}

#[test]
fn an_offset_outside_is_refused() {
    let env = Env::new();
    for reference in each_family(&env, "5") {
        let said = env.fails(1, ["shm", "write", reference, "x", "--offset", "6"]);
        assert!(said.contains("offset 6 is outside its 5 bytes"), "{said}");
        env.fails(1, ["shm", "write", reference, "x", "--offset", "18446744073709551615"]);
        env.fails(7, ["shm", "write", reference, "x", "--offset", "5"]);
        env.out(["shm", "write", reference, "", "--offset", "5"]);
        assert_eq!(bytes(&env, reference), [0; 5], "{reference}");
    }
}

#[test]
fn a_closed_standard_input_is_an_error_and_not_an_empty_one() {
    let env = Env::new();
    for reference in each_family(&env, "5") {
        let said = refusal(&mut env.sh(&format!("ipcx shm write {reference} <&-")), 1);
        assert!(said.contains("standard input") && said.contains("EBADF"), "{said}");
    }
}

#[test]
fn an_input_that_cannot_be_read_is_said() {
    let env = Env::new();
    for reference in each_family(&env, "5") {
        let said = env.fails(1, ["shm", "write", reference, "--from", "."]);
        assert!(said.contains("cannot read") && said.contains("EISDIR"), "{said}");
        env.fails(3, ["shm", "write", reference, "--from", "missing"]);
    }
}

#[test]
fn memory_that_dev_shm_has_no_room_for_is_an_error_and_no_death_by_sigbus() {
    let env = Env::new();
    env.out(["shm", "create", "/frames", "--size", "80M"]);
    sparse(&env, "large", 70 << 20);
    let said = env.fails(7, ["shm", "write", "/frames", "--from", "large"]);
    assert!(said.contains("ENOSPC") && said.contains("hint: "), "{said}");
}

#[test]
fn a_segment_that_is_not_there_is_status_3() {
    let env = Env::new();
    for reference in ["0x4d2", "/frames", "./data.bin", "7", "0", "ftok/."] {
        let said = env.fails(3, ["shm", "write", reference, "x"]);
        assert!(said.contains("no such object"), "{said}");
    }
    assert!(!env.path("data.bin").exists());
}

#[test]
fn without_permission_it_names_the_owner_and_changes_nothing() {
    let env = Env::new();
    if !env.has_users() {
        skip!("needs a second user");
    }
    for reference in each_family(&env, "5") {
        for mode in ["600", "644"] {
            env.out(["shm", "set", reference, "--mode", mode]);
            let said = refusal(&mut env.ipcx_as_nobody(["shm", "write", reference, "x"]), 4);
            assert!(said.contains("EACCES") && said.contains("root") && said.contains(mode), "{said}");
        }
        assert_eq!(bytes(&env, reference), [0; 5], "{reference}");
    }
}
