use super::{ALL, guardian, left, nothing_is_left, runtime, stat, with};
use crate::kit::{Env, NOBODY, Refusal, Running, Starts as _, program, until};
use assert_cmd::Command;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;

fn run(command: std::process::Command) -> Command {
    Command::from_std(command)
}

#[test]
fn the_command_finds_the_objects_in_its_environment_and_arguments_and_they_go_with_it() {
    let env = Env::new();
    let script = r#"test "$1" = "<$a>" -a "$2" = "$d" -a "$3" = "{h}{}{$a"
        ipcx msgq send $a hello; ipcx msgq recv $a
        ipcx shm read $b | wc -c; ipcx sem get $c -i 1
        test -p $d; stat -c %a $d "${d%/*}"
        ipcx shm read $e | wc -c; ipcx sem get $f -i 0; ipcx msgq send $g posix; ipcx msgq recv $g"#;
    let command = ["sh", "-euc", script, "sh", "<{a}>", "{d}", "{h}{}{{a}"];
    let output = run(with(&env, &ALL, &command)).assert().success().stderr("");
    output.stdout("hello\n65536\n2\n600\n700\n4096\n3\nposix\n");
    nothing_is_left(&env);
}

#[test]
fn only_their_owner_may_use_them_and_their_names_cannot_be_guessed() {
    let env = Env::new();
    let script = "umask 0; ipcx ls shm msgq sem -o mode,ref --no-headings --raw; dirname $d";
    let twice: Vec<String> = (0..2)
        .map(|_| {
            let output = run(with(&env, &ALL, &["sh", "-euc", script])).assert().success().get_output().stdout.clone();
            String::from_utf8(output).unwrap()
        })
        .collect();
    for said in &twice {
        let modes: Vec<&str> = said.lines().filter_map(|line| line.split_once('\t')).map(|(mode, _)| mode).collect();
        assert_eq!(modes, ["0600"; 6], "{said}");
    }
    let names =
        |said: &str| -> Vec<String> { said.lines().filter(|line| line.contains("ipcx-")).map(str::to_owned).collect() };
    assert_eq!(names(&twice[0]).len(), 4, "{}", twice[0]);
    assert!(names(&twice[0]).iter().all(|name| !names(&twice[1]).contains(name)));
}

#[test]
fn the_status_is_that_of_the_command() {
    let env = Env::new();
    for status in [0, 1, 42, 125, 255] {
        run(with(&env, &["a=msgq"], &["sh", "-c", &format!("exit {status}")])).assert().code(status);
    }
    for (name, signal) in [("KILL", 9), ("TERM", 15), ("SEGV", 11), ("INT", 2)] {
        run(with(&env, &["a=msgq"], &["sh", "-c", &format!("kill -{name} $$")])).assert().code(128 + signal);
    }
    fs::write(env.path("plain"), "").unwrap();
    for (status, command, cause) in [(127, "no-such-command", "command not found"), (126, "./plain", "EACCES")] {
        let output = run(with(&env, &["--keep-on-failure", "a=msgq", "d=fifo"], &[command])).assert().code(status);
        let said = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        assert!(said.contains(cause), "{said}");
    }
    nothing_is_left(&env);
}

#[test]
fn wrong_usage_is_said_before_anything_is_made() {
    let env = Env::new();
    let command = ["--", "touch", "ran"];
    for objects in [
        &["a=nonsense"][..],
        &["a=msgq", "a=sem"],
        &["a=msgq", "1=sem"],
        &["a=shm"],
        &["a=sem,1,2,posix"],
        &["a=fifo,x"],
        &[],
        &["--isolate", "--keep-on-failure", "a=msgq"],
    ] {
        env.fails(2, ["with"].iter().chain(objects).chain(&command));
    }
    env.fails(2, ["with", "a=msgq"]);
    assert!(!env.path("ran").exists());
    nothing_is_left(&env);
}

#[test]
fn all_are_made_or_none() {
    let env = Env::new();
    // The last one is over a limit: SEMVMX, SEM_VALUE_MAX, and the size of a file system.
    for (last, errno) in [("x=sem,40000", "ERANGE"), ("x=sem,4000000000,posix", "ERANGE"), ("x=shm,8E,posix", "EFBIG")]
    {
        let objects: Vec<&str> = ALL.iter().copied().chain([last]).collect();
        let output = run(with(&env, &objects, &["touch", "ran"])).assert().code(7).stdout("");
        let said = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        assert!(said.starts_with("ipcx: cannot create ") && said.contains(errno), "{said}");
        assert_eq!(left(&env), [""; 0]);
    }
    if fs::write("/proc/sys/kernel/msgmni", "1").is_err() {
        crate::skip!("kernel.msgmni cannot be set here");
    }
    let output = run(with(&env, &["d=fifo", "a=msgq", "b=msgq"], &["touch", "ran"])).assert().code(7).stdout("");
    let said = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(said.contains("ENOSPC") && said.contains("hint: kernel.msgmni = 1 "), "{said}");
    assert!(!env.path("ran").exists());
    nothing_is_left(&env);
}

#[test]
fn a_failure_of_ours_that_has_no_status_of_its_own_is_125() {
    let env = Env::new();
    let mut command = with(&env, &["a=msgq"], &["touch", "ran"]);
    command.refused(&[Refusal::of(libc::SYS_socketpair, libc::EOPNOTSUPP)]);
    let output = run(command).assert().code(125).stdout("");
    let said = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(said.contains("cannot start the guardian"), "{said}");
    assert!(!env.path("ran").exists());
}

#[test]
fn the_command_gets_signals_and_descriptors_as_it_would_without() {
    let env = Env::new();
    // Without signals 32 and 33: what becomes of them is the C library's affair.
    let signals = r"sed -n 's/^\(Sig[BI].*:\).*\(.......\)$/\1\2/p' /proc/self/status";
    for script in [signals, "ls /proc/self/fd", "cat"] {
        let plain = env.sh(script).write_stdin("input").assert().success().get_output().stdout.clone();
        let command = with(&env, &["a=msgq", "d=fifo"], &["sh", "-euc", script]);
        run(command).write_stdin("input").assert().success().stdout(plain);
    }
    let mut running = Running::start(with(&env, &["a=msgq"], &["sh", "-c", "cut -d' ' -f5,6 /proc/self/stat; cat"]));
    let own = stat(running.pid).unwrap().1;
    assert_eq!(running.line(), format!("{} {}", own[2], own[3]), "the process group and the session");
}

#[test]
fn the_guardian_holds_nothing_of_ours() {
    let env = Env::new();
    let mut running = Running::start(with(&env, &ALL, &["sh", "-c", "echo ready; read x"]));
    assert_eq!(running.line(), "ready");
    let pid = guardian(running.pid);
    let (_, fields) = stat(pid).unwrap();
    // Group, session and terminal.
    assert_eq!((&fields[2], &fields[3], &fields[4][..]), (&pid.to_string(), &pid.to_string(), "0"));
    let link = |name: &str| fs::read_link(format!("/proc/{pid}/{name}")).unwrap();
    assert_eq!(link("cwd").to_str(), Some("/"));
    // The socket by which it learns of our end, and the command, once it was told of that.
    let mut others = Vec::new();
    until("it to know the command", || {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let files = files.filter_map(|entry| Some(fs::read_link(entry.unwrap().path()).ok()?.display().to_string()));
        let (null, rest): (Vec<String>, Vec<String>) = files.partition(|file| file == "/dev/null");
        assert_eq!(null.len(), 3);
        others = rest;
        others.len() >= 2
    });
    assert_eq!(others.len(), 2, "{others:?}");
    assert!(others[0].starts_with("socket:") && others[1].contains("pidfd"), "{others:?}");
    running.write(b"\n");
    assert_eq!(running.status().code(), Some(0));
    assert_eq!(stat(pid), None, "it is gone when ipcx is");
    nothing_is_left(&env);
}

#[test]
fn signals_are_handed_to_the_command() {
    let env = Env::new();
    for (signal, status) in [(libc::SIGTERM, 143), (libc::SIGINT, 130), (libc::SIGHUP, 129)] {
        let mut running = Running::start(with(&env, &ALL, &["sh", "-c", "echo ready; exec cat"]));
        assert_eq!(running.line(), "ready");
        running.wait_blocked("poll");
        running.signal(signal);
        running.wait_end();
        assert_eq!(running.status().code(), Some(status));
        nothing_is_left(&env);
    }
    // One that deals with it itself is waited for.
    let script =
        "trap 'ipcx msgq send $a late; ipcx msgq recv $a; exit 5' TERM; echo ready; while :; do read x <hold; done";
    env.sh("mkfifo hold").assert().success();
    let mut running = Running::start(with(&env, &["a=msgq"], &["sh", "-c", script]));
    assert_eq!(running.line(), "ready");
    running.signal(libc::SIGTERM);
    assert_eq!(running.line(), "late");
    assert_eq!(running.status().code(), Some(5));
    nothing_is_left(&env);
}

#[test]
fn the_terminal_stops_and_interrupts_it_as_it_would_the_command() {
    let env = Env::new();
    let command = with(&env, &ALL, &["sh", "-c", "echo $$ >ready; exec sleep 1000"]);
    let (running, mut terminal) = Running::in_terminal(command, false);
    until("the command to run", || fs::read_to_string(env.path("ready")).is_ok_and(|text| text.ends_with('\n')));
    terminal.write_all(b"\x03").unwrap();
    // A script that runs it ends as well.
    assert_eq!(running.status().signal(), Some(libc::SIGINT));
    nothing_is_left(&env);

    fs::remove_file(env.path("ready")).unwrap();
    let mut shell = std::process::Command::new("bash");
    let path = format!("{}:/usr/bin:/bin", program().parent().unwrap().display());
    shell.args(["--norc", "-i"]).env_clear().env("PATH", path).env("XDG_RUNTIME_DIR", runtime(&env));
    shell.current_dir(env.path(""));
    let (_shell, mut terminal) = Running::in_terminal(shell, true);
    terminal.write_all(b"ipcx with a=msgq d=fifo -- sh -c 'echo $PPID $$ >ready; read x; echo $x >got'\n").unwrap();
    // What is echoed must be read, or the terminal is full one day.
    let mut reader = terminal.try_clone().unwrap();
    std::thread::spawn(move || while reader.read(&mut [0; 4096]).is_ok_and(|got| got > 0) {});
    let pids = || -> Option<Vec<u32>> {
        let text = fs::read_to_string(env.path("ready")).ok().filter(|text| text.ends_with('\n'))?;
        Some(text.split_whitespace().map(|pid| pid.parse().unwrap()).collect())
    };
    until("the command to run", || pids().is_some());
    let pids = pids().unwrap();
    let guardian = guardian(pids[0]);
    let state = |pid: u32| stat(pid).map(|(_, fields)| fields[0].clone()).unwrap_or_default();
    terminal.write_all(b"\x1a").unwrap();
    until("both to stop", || pids.iter().all(|pid| state(*pid) == "T"));
    assert_eq!(state(guardian), "S");
    terminal.write_all(b"fg\n").unwrap();
    until("both to go on", || pids.iter().all(|pid| state(*pid) == "S"));
    terminal.write_all(b"typed\n").unwrap();
    until("the answer", || fs::read_to_string(env.path("got")).is_ok_and(|text| text == "typed\n"));
    nothing_is_left(&env);
}

#[test]
fn what_the_command_has_removed_changed_or_left_in_use_is_no_error() {
    let env = Env::new();
    let removes = "ipcx msgq rm -q $a; ipcx shm rm -q $b; ipcx sem rm -q $c; rm -r ${d%/*}; ipcx shm rm -q $e
        ipcx sem rm -q $f; ipcx msgq rm -q $g";
    let changes = "ipcx msgq set $a --mode 0; ipcx shm set $b --mode 0; ipcx sem set $c --mode 0; chmod 0 $d
        ipcx shm set $e --mode 0; ipcx sem set $f --mode 0; ipcx msgq set $g --mode 0";
    let fills = "ipcx msgq send $a lost; ipcx msgq send $g lost";
    for script in [removes, changes, fills] {
        run(with(&env, &ALL, &["sh", "-euc", script])).assert().success().stdout("").stderr("");
        nothing_is_left(&env);
    }
    // Who outlives the command loses the names, and the memory with the last detach.
    env.sh("mkfifo hold").assert().success();
    let attach = "ipcx shm attach $b <>hold >out 2>&1 & echo $! >background; until grep -q attached out; do :; done";
    let mut running = Running::start(with(&env, &ALL, &["sh", "-c", attach]));
    running.wait_end();
    assert_eq!(running.status().code(), Some(0));
    until("all but the attached segment to be gone", || left(&env).len() == 1);
    env.sh("kill $(cat background)").assert().success();
    nothing_is_left(&env);
}

#[test]
fn what_it_did_not_make_stays_and_is_said() {
    let env = Env::new();
    let output = run(with(&env, &["d=fifo"], &["sh", "-c", "echo mine >${d%/*}/file; exit 3"])).assert().code(3);
    let said = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(said.contains("warning: cannot remove") && said.contains("ENOTEMPTY"), "{said}");
    let left = left(&env);
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(fs::read(format!("{}/file", left[0])).unwrap(), b"mine\n");
}

#[test]
fn a_directory_of_another_user_or_none_is_not_used_for_fifos() {
    let env = Env::new();
    let place = |directory: &str| {
        let output = env
            .ipcx(["with", "d=fifo", "--", "sh", "-c", "dirname ${d%/*}"])
            .env("XDG_RUNTIME_DIR", directory)
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    for directory in ["", "run", "/nowhere", "/dev/null"] {
        runtime(&env);
        assert_eq!(place(directory), "/tmp\n", "{directory}");
    }
    let own = runtime(&env).display().to_string();
    assert_eq!(place(&own), format!("{own}\n"));
    if !env.has_users() {
        crate::skip!("the directory of another user needs a second user");
    }
    fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).unwrap();
    std::os::unix::fs::chown(&own, Some(NOBODY), None).unwrap();
    assert_eq!(place(&own), "/tmp\n");
}

#[test]
fn on_failure_they_can_be_kept_and_it_says_which_and_how_to_remove_them() {
    let env = Env::new();
    let keep: Vec<&str> = ["--keep-on-failure"].into_iter().chain(ALL).collect();
    run(with(&env, &keep, &["true"])).assert().success().stderr("");
    nothing_is_left(&env);
    for (script, how) in [
        ("ipcx msgq send $a evidence; ipcx shm rm -q $b; exit 3", "ended with status 3"),
        ("ipcx msgq send $a evidence; ipcx shm rm -q $b; kill -9 $$", "was killed by signal 9"),
    ] {
        let output = run(with(&env, &keep, &["sh", "-euc", script])).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(&format!("sh {how}; its objects are kept: a=msgq/")), "{said}");
        assert!(!said.contains("b=") && said.contains("g=msgq//ipcx-"), "{said}");
        let mut lines = said.lines().skip(1).map(str::trim);
        // The lines are commands that work as they stand.
        let shown = env.sh(lines.next().unwrap()).assert().success().get_output().stdout.clone();
        assert!(String::from_utf8_lossy(&shown).contains("evidence"));
        let rest: Vec<&str> = lines.collect();
        assert!(rest[0].starts_with("ipcx rm ") && rest[1].starts_with("rmdir "), "{said}");
        env.sh(&rest.join("\n")).assert().success();
        nothing_is_left(&env);
    }
}

#[test]
fn a_timeout_ends_the_command() {
    let env = Env::new();
    run(with(&env, &["--timeout", "100ms", "a=msgq", "d=fifo"], &["sleep", "1000"])).assert().code(124);
    run(with(&env, &["--timeout", "1h", "a=msgq", "d=fifo"], &["true"])).assert().code(0);
    nothing_is_left(&env);
}

#[test]
fn one_within_another_has_objects_of_its_own() {
    let env = Env::new();
    let script = "ipcx with a=msgq b=sem -- sh -c 'test $a != $0; ipcx msgq send $a x'; ipcx ls -o ref --no-headings";
    let output = run(with(&env, &["a=msgq"], &["sh", "-euc", &format!("{script} | wc -l"), "{a}"])).assert().success();
    output.stdout("1\n");
    nothing_is_left(&env);
}

#[test]
fn an_ordinary_user_can_use_it() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("it needs a second user");
    }
    let all: Vec<&str> = ["with"].into_iter().chain(ALL).collect();
    let changes =
        "ipcx msgq set $a --mode 0; chmod 0 $d; ipcx shm set $e --mode 0; ipcx msgq set $g --mode 0; dirname ${d%/*}";
    env.ipcx_as_nobody(all.iter().chain(&["--", "sh", "-euc", changes])).assert().success().stdout("/tmp\n").stderr("");
    nothing_is_left(&env);
}
