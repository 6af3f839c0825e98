use super::each_family;
use crate::kit::Env;

#[test]
fn lines_are_offset_hexadecimal_and_text_and_the_last_is_the_end() {
    let env = Env::new();
    for reference in each_family(&env, "20") {
        env.out(["shm", "write", reference, "hello\x1b[31m|\u{7f}"]);
        assert_eq!(
            env.out(["shm", "dump", reference]),
            "00000000  68 65 6c 6c 6f 1b 5b 33  31 6d 7c 7f 00 00 00 00  |hello.[31m|.....|\n\
             00000010  00 00 00 00                                       |....|\n\
             00000014",
            "{reference}"
        );
    }
}

#[test]
fn equal_lines_are_shown_once_and_then_as_one_star() {
    let env = Env::new();
    for reference in each_family(&env, "200K") {
        env.out(["shm", "write", reference, "x", "--offset", "204784"]);
        assert_eq!(
            env.out(["shm", "dump", reference]),
            "00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n\
             *\n\
             00031ff0  78 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |x...............|\n\
             00032000",
            "{reference}"
        );
    }
}

#[test]
fn a_range_keeps_its_own_offsets() {
    let env = Env::new();
    for reference in each_family(&env, "40") {
        env.out(["shm", "write", reference, "abcdef", "--offset", "30"]);
        assert_eq!(
            env.out(["shm", "dump", reference, "--offset", "31", "--length", "2"]),
            "0000001f  62 63                                             |bc|\n00000021"
        );
        env.fails(1, ["shm", "dump", reference, "--offset", "41"]);
    }
}

#[test]
fn an_empty_file_is_only_its_end() {
    let env = Env::new();
    env.out(["shm", "create", "/frames", "--size", "0"]);
    assert_eq!(env.out(["shm", "dump", "/frames"]), "00000000");
}

#[test]
fn watch_into_a_pipe_writes_all_lines_once_and_then_those_that_changed() {
    let env = Env::new();
    for reference in each_family(&env, "32") {
        let mut dump = env.start(["shm", "dump", reference, "--watch=5ms"]);
        let empty = "00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|";
        assert_eq!(dump.line(), format!("00000000  {empty}"));
        assert_eq!(dump.line(), format!("00000010  {empty}"));
        env.out(["shm", "write", reference, "new", "--offset", "16"]);
        assert_eq!(dump.line(), "00000010  6e 65 77 00 00 00 00 00  00 00 00 00 00 00 00 00  |new.............|");
        env.out(["shm", "write", reference, "old"]);
        assert_eq!(dump.line(), "00000000  6f 6c 64 00 00 00 00 00  00 00 00 00 00 00 00 00  |old.............|");
        dump.signal(libc::SIGINT);
        let output = dump.end();
        assert_eq!((output.status.code(), output.stdout, output.stderr), (Some(130), vec![], vec![]), "{reference}");
    }
}

#[test]
fn watching_ends_quietly_with_its_reader() {
    let env = Env::new();
    for reference in each_family(&env, "16") {
        let mut dump = env.start(["shm", "dump", reference, "--watch=5ms"]);
        dump.line();
        dump.close_stdout();
        env.out(["shm", "write", reference, "x"]);
        let output = dump.end();
        assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]), "{reference}");
    }
}

#[test]
fn a_watched_file_that_is_truncated_ends_with_an_error_and_not_with_sigbus() {
    let env = Env::new();
    for reference in ["/frames", "./data.bin"] {
        env.out(["shm", "create", reference, "--size", "16"]);
        let mut dump = env.start(["shm", "dump", reference, "--watch=5ms"]);
        dump.line();
        env.out(["shm", "resize", reference, "0"]);
        let output = dump.end();
        assert_eq!(output.status.code(), Some(1), "{reference}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("truncated"), "{output:?}");
    }
}

#[test]
fn more_than_can_be_watched_is_wrong_usage() {
    let env = Env::new();
    env.out(["shm", "create", "/frames", "--size", "17M"]);
    let said = env.fails(2, ["shm", "dump", "/frames", "--watch"]);
    assert!(said.contains("--length"), "{said}");
}
