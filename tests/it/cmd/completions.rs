use crate::kit::Env;
use crate::kit::look::{assert_harmless, refused};
use std::fs;

/// What the shell would be offered for the last of these words.
fn offered(env: &Env, shell: &str, words: &[&str]) -> Vec<String> {
    let mut command = env.ipcx(["--", "ipcx"].iter().chain(words));
    command.env("IPCX_COMPLETE", shell).env("_CLAP_IFS", "\n").env("_CLAP_COMPLETE_INDEX", words.len().to_string());
    let output = command.assert().success().get_output().stdout.clone();
    String::from_utf8(output).unwrap().lines().map(str::to_owned).collect()
}

fn objects(env: &Env) {
    env.out(["msgq", "create", "0x4d2"]);
    env.out(["msgq", "send", "0", "hello", "you"]);
    env.out(["msgq", "create", "/jobs", "--max-messages", "1", "--message-size", "8"]);
    env.out(["shm", "create", "/frames", "--size", "64K"]);
    env.out(["sem", "create", "/lock"]);
}

#[test]
fn identifiers_keys_and_names_that_exist_are_offered() {
    let env = Env::new();
    objects(&env);
    let queues = offered(&env, "bash", &["msgq", "recv", ""]);
    for reference in ["0", "0x4d2", "/jobs"] {
        assert!(queues.iter().any(|line| line == reference), "{reference} is not in {queues:?}");
    }
    assert!(!queues.iter().any(|line| line == "/frames" || line == "/lock"), "other kinds: {queues:?}");
    assert_eq!(offered(&env, "bash", &["shm", "read", "/f"]), ["/frames"]);
    assert_eq!(offered(&env, "bash", &["msgq", "send", "0x"]), ["0x4d2"]);
    env.out(["rm", "msgq/0"]);
    assert_eq!(offered(&env, "bash", &["msgq", "recv", "0"]), [""; 0]);
}

#[test]
fn across_kinds_references_are_offered_with_their_kind() {
    let env = Env::new();
    objects(&env);
    for verb in ["rm", "show"] {
        let references = offered(&env, "bash", &[verb, ""]);
        for reference in ["msgq/0", "msgq/0x4d2", "msgq//jobs", "shm//frames", "sem//lock"] {
            assert!(references.iter().any(|line| line == reference), "{reference} is not in {references:?}");
        }
    }
    assert_eq!(offered(&env, "bash", &["rm", "sem/"]), ["sem//lock"]);
    assert_eq!(offered(&env, "bash", &["rm", "msgq/0", "shm/"]), ["shm//frames"], "the second reference too");
}

#[test]
fn owner_and_size_describe_what_is_offered() {
    let env = Env::new();
    objects(&env);
    for (shell, separator) in [("zsh", ':'), ("fish", '\t')] {
        let queues = offered(&env, shell, &["msgq", "recv", ""]);
        let described = |reference: &str| {
            let found = queues.iter().find(|line| line.starts_with(&format!("{reference}{separator}")));
            found.unwrap_or_else(|| panic!("{shell}: no {reference} in {queues:?}")).clone()
        };
        for reference in ["0", "0x4d2"] {
            assert!(described(reference).contains("root"), "{queues:?}");
            assert!(described(reference).contains("2 messages"), "{queues:?}");
        }
        let frames = offered(&env, shell, &["shm", "read", "/"]);
        assert!(frames[0].contains("root") && frames[0].contains("64.0K"), "{frames:?}");
        let lock = offered(&env, shell, &["sem", "get", "/"]);
        assert!(!lock[0].contains("1 semaphores"), "one is singular: {lock:?}");
    }
}

#[test]
fn columns_are_offered_and_the_last_of_several_is_completed() {
    let env = Env::new();
    assert!(offered(&env, "bash", &["ls", "--sort", "natt"]).contains(&"nattch".to_owned()));
    assert_eq!(offered(&env, "bash", &["ls", "-o", "ref,natt"]), ["ref,nattch"]);
    assert_eq!(offered(&env, "bash", &["ls", "-o", "+natt"]), ["+nattch"]);
}

#[test]
fn fifos_and_sockets_are_offered_by_their_paths() {
    let env = Env::new();
    env.out(["mkfifo", "./jobs", "./jo;b", "./dir-less"]);
    fs::write(env.path("jokes"), "").unwrap();
    fs::create_dir(env.path("jobdir")).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(env.path("sock")).unwrap();
    let offered = |words: &[&str]| {
        let mut all = offered(&env, "bash", words);
        all.sort();
        all
    };
    assert_eq!(offered(&["fifo", "recv", "./jo"]), ["./jobdir/", "./jobs"]);
    assert_eq!(offered(&["sock", "show", "./so"]), ["./sock"]);
    drop(listener);
}

#[test]
fn names_that_mean_harm_reach_no_shell() {
    use std::os::unix::ffi::OsStringExt as _;
    let env = Env::new();
    let names: [&[u8]; 11] = [
        b"x\x1b[31m",
        b"x\ninjected",
        b"x\t$(id)",
        b"x\x0bother",
        b"x\xff",
        b"x$(touch PWN)",
        b"x`id`",
        b"x;id",
        b"x&id",
        b"x y",
        b"x'*\"",
    ];
    for name in names {
        fs::write(std::ffi::OsString::from_vec([b"/dev/shm/", name].concat()), "x").unwrap();
    }
    fs::write("/dev/shm/xgood", "x").unwrap();
    for shell in ["bash", "zsh"] {
        let lines = offered(&env, shell, &["shm", "read", "/x"]);
        assert!(lines.iter().any(|line| line.starts_with("/xgood")), "{lines:?}");
        assert!(!lines.iter().any(|line| line.starts_with("injected")), "{shell}: {lines:?}");
        assert!(!lines.join("\n").contains(['$', '`', ';', '&', '*', '\'', '"']), "{shell}: {lines:?}");
        assert_harmless(shell, lines.join("\n").as_bytes());
    }
    let lines = offered(&env, "fish", &["shm", "read", "/x"]);
    assert!(!lines.iter().any(|line| line.starts_with("injected")), "fish: {lines:?}");
    assert!(!lines.iter().any(|line| line.contains('\x1b')), "fish: {lines:?}");
}

#[test]
fn a_shell_that_is_not_known_is_wrong_usage() {
    let env = Env::new();
    refused(&env, 2, ["completions", "tcsh"]);
    refused(&env, 2, ["completions"]);
}

#[test]
fn the_script_for_bash_is_read_by_bash_and_completes() {
    let env = Env::new();
    objects(&env);
    let script = r#"source <(ipcx completions bash)
        COMP_WORDS=(ipcx msgq recv ""); COMP_CWORD=3; COMP_TYPE=9
        name=$(complete -p ipcx | sed 's/.*-F \([^ ]*\) .*/\1/')
        $name ipcx "" recv; printf '%s\n' "${COMPREPLY[@]}""#;
    fs::write(env.path("script"), script).unwrap();
    let output = env.sh("bash script").assert().success().get_output().stdout.clone();
    let text = String::from_utf8(output).unwrap();
    for reference in ["0", "0x4d2", "/jobs"] {
        assert!(text.lines().any(|line| line == reference), "{text}");
    }
}
