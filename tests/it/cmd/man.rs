use crate::kit::Env;
use crate::kit::look::{assert_harmless, refused};
use std::fs;

#[test]
fn the_page_of_a_command_is_printed_as_its_source_in_a_pipe() {
    let env = Env::new();
    let page = env.out(["man"]);
    assert!(page.contains(".TH") && page.contains("ipcx"), "{page}");
    let page = env.out(["man", "msgq", "send"]);
    assert!(page.contains("IPCX-MSGQ-SEND"), "{page}");
    assert!(page.contains("ipcx msgq send"), "the synopsis is what one types: {page}");
}

#[test]
fn an_unknown_command_has_no_page() {
    let env = Env::new();
    let said = refused(&env, 2, ["man", "nothing"]);
    assert!(said.contains("nothing"), "{said}");
    let said = refused(&env, 2, ["man", "\x1b[31m"]);
    assert_harmless("man", said.as_bytes());
}

#[test]
fn every_command_has_a_page_in_the_directory() {
    let env = Env::new();
    fs::create_dir(env.path("man1")).unwrap();
    env.out(["man", "--dir", "man1"]);
    for name in ["ipcx", "ipcx-ls", "ipcx-msgq", "ipcx-msgq-send", "ipcx-shm-attach", "ipcx-sem-op", "ipcx-ftok"] {
        let page = fs::read_to_string(env.path(&format!("man1/{name}.1"))).unwrap();
        assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{name}: {page}");
    }
    assert!(!env.path("man1/ipcx-help.1").exists());
}

#[test]
fn a_directory_that_is_not_there_or_may_not_be_written_is_said() {
    let env = Env::new();
    let said = refused(&env, 3, ["man", "--dir", "missing"]);
    assert!(said.starts_with("ipcx: cannot write ") && said.contains("missing") && said.contains("ENOENT"), "{said}");
    let said = refused(&env, 3, ["man", "--dir", "\x1b[31m\n"]);
    assert_harmless("man --dir", said.as_bytes());
    assert_eq!(said.lines().count(), 1, "{said}");
}
