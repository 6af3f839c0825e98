use super::each_family;
use crate::kit::{Env, refusal};
use crate::skip;
use std::fs;

#[test]
fn it_writes_the_bytes_of_a_range_and_nothing_else() {
    let env = Env::new();
    for reference in each_family(&env, "10") {
        env.out(["shm", "write", reference, "0123456789"]);
        for (range, expected) in [
            (&[][..], "0123456789"),
            (&["--offset", "7"], "789"),
            (&["--length", "3"], "012"),
            (&["--offset", "2", "--length", "4"], "2345"),
            (&["--offset", "10"], ""),
            (&["--length", "0"], ""),
        ] {
            let args = ["shm", "read", reference];
            env.ipcx(args.iter().chain(range)).assert().success().stdout(expected).stderr("");
        }
    }
}

#[test]
fn a_range_outside_is_an_error_before_any_output() {
    let env = Env::new();
    for reference in each_family(&env, "10") {
        for range in [
            &["--offset", "11"][..],
            &["--length", "11"],
            &["--offset", "9", "--length", "2"],
            &["--offset", "18446744073709551615", "--length", "2"],
        ] {
            let args = ["shm", "read", reference];
            let said = env.fails(1, args.iter().chain(range));
            assert!(said.contains("outside its 10 bytes"), "{said}");
        }
    }
}

#[test]
fn output_that_is_lost_is_an_error() {
    let env = Env::new();
    for reference in each_family(&env, "10") {
        let said = refusal(&mut env.sh(&format!("ipcx shm read {reference} > /dev/full")), 1);
        assert!(said.contains("standard output") && said.contains("ENOSPC"), "{said}");
        let said = refusal(&mut env.sh(&format!("ipcx shm read {reference} >&-")), 1);
        assert!(said.contains("standard output"), "{said}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_quietly() {
    let env = Env::new();
    for reference in each_family(&env, "1M") {
        env.out(["shm", "write", reference, "first\nsecond"]);
        let mut read = env.start(["shm", "read", reference]);
        assert_eq!(read.line(), "first");
        read.close_stdout();
        let output = read.end();
        assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]), "{reference}");
    }
}

#[test]
fn it_appends_to_a_file_that_is_open_to_append() {
    let env = Env::new();
    let mut expected = Vec::new();
    for reference in each_family(&env, "3") {
        env.out(["shm", "write", reference, "abc"]);
        env.sh(&format!("ipcx shm read {reference} >> all")).assert().success();
        expected.extend_from_slice(b"abc");
        assert_eq!(fs::read(env.path("all")).unwrap(), expected, "{reference}");
    }
}

#[test]
fn read_permission_is_enough() {
    let env = Env::new();
    if !env.has_users() {
        skip!("needs a second user");
    }
    for reference in each_family(&env, "3") {
        let said = refusal(&mut env.ipcx_as_nobody(["shm", "read", reference]), 4);
        assert!(said.contains("EACCES") && said.contains("root"), "{said}");
        env.out(["shm", "set", reference, "--mode", "644"]);
        env.ipcx_as_nobody(["shm", "read", reference]).assert().success().stdout("\0\0\0");
    }
}

#[test]
fn a_segment_that_is_not_there_is_status_3() {
    let env = Env::new();
    for reference in ["0x4d2", "/frames", "./data.bin", "7", "0"] {
        env.fails(3, ["shm", "read", reference]);
    }
}
