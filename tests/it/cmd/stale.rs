use crate::kit::elsewhere::{Elsewhere, inode, stay, within};
use crate::kit::look::{assert_harmless, by_ref, refs};
use crate::kit::{Env, Running, Starts as _, program, until};
use assert_cmd::Command;
use serde_json::{Value, json};
use std::fs;
use std::io::Read as _;
use std::os::unix::net::UnixListener;

/// A pid that no process can have: it is over the largest pid_max, proc_sys_kernel(5).
const NO_PID: &str = "4194305";

/// What is listed with these arguments, of this environment alone.
fn stale(env: &Env, args: &[&str]) -> Value {
    env.json(["stale", "--json", "--in", "."].iter().chain(args))["objects"].clone()
}

/// The file of a socket that is an orphan, a segment that is in use, a region that is a suspect.
fn three(env: &Env) -> Running {
    crate::kit::leave_stale(&env.path("dead"));
    env.out(["shm", "create", "0x4d2", "--size", "4K"]);
    env.out(["shm", "create", "/frames", "--size", "10"]);
    let holder = env.start(["shm", "attach", "0"]);
    until("the attachment", || env.json(["show", "shm/0", "--json"])["objects"][0]["nattch"] == 1);
    holder
}

#[test]
fn orphans_come_first_and_what_is_in_use_is_only_counted() {
    let env = Env::new();
    let _holder = three(&env);
    let output = env.ipcx(["stale", "--idle", "0s", "--in", "."]).assert().success().get_output().clone();
    let (shown, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 3, "{shown}");
    assert!(lines[0].starts_with("REF") && lines[0].contains("VERDICT") && lines[0].contains("EVIDENCE"), "{shown}");
    assert!(lines[1].starts_with("sock/./dead ") && lines[1].contains("orphan"), "{shown}");
    assert!(lines[1].contains("no socket is bound to it (connections are refused); it was last used "), "{shown}");
    assert!(lines[2].starts_with("shm//frames ") && lines[2].contains("suspect"), "{shown}");
    assert_eq!(said, "ipcx: 2 objects; not shown: 1 in use\n");
}

#[test]
fn on_a_terminal_the_evidence_stands_whole_below_its_object() {
    let env = Env::new();
    crate::kit::leave_stale(&env.path("dead"));
    let args = ["stale", "--idle", "0s", "--in", ".", "--color", "never"];
    let (running, mut terminal) = Running::in_terminal(env.command(args), true);
    let mut shown = String::new();
    // The other side is closed at the end, which a terminal says with EIO.
    drop(terminal.read_to_string(&mut shown));
    drop(running);
    let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
    assert!(lines[0].starts_with("REF") && !lines[0].contains("EVIDENCE"), "{shown}");
    assert!(lines[1].starts_with("sock/./dead ") && lines[1].ends_with("orphan"), "{shown}");
    assert_eq!(lines[2], "    no socket is bound to it (connections are refused)", "{shown}");
    assert!(lines[3].starts_with("    it was last used"), "{shown}");
}

#[test]
fn a_document_has_every_piece_of_evidence_as_a_sentence() {
    let env = Env::new();
    let _holder = three(&env);
    let all = stale(&env, &["--all", "--idle", "0s"]);
    assert_eq!(refs(&all), ["sock/./dead", "shm//frames", "shm/0"]);
    let orphan = &all[0];
    assert_eq!(orphan["verdict"], "orphan");
    assert_eq!(orphan["evidence"][0], "no socket is bound to it (connections are refused)");
    assert!(orphan["last_use"].as_str().unwrap().ends_with('Z'), "{orphan:#}");
    let used = by_ref(&all, "shm/0");
    assert_eq!((&used["key"], &used["size"]), (&json!("0x000004d2"), &json!(4096)));
    assert_eq!(used["evidence"], json!(["1 attachment"]));
    for line in env.out(["stale", "--all", "--jsonl", "--in", "."]).lines() {
        assert!(serde_json::from_str::<Value>(line).unwrap()["verdict"].is_string(), "{line}");
    }
    let raw = env.out(["stale", "--grade", "in use", "--raw", "--no-headings", "--in", "."]);
    assert_eq!(raw.split('\t').next(), Some("shm/0"), "{raw}");
}

#[test]
fn grades_kinds_names_and_ages_select() {
    let env = Env::new();
    let _holder = three(&env);
    env.out(["sem", "create", "/lock"]);
    env.out(["mkfifo", "./f"]);
    let listed = |args: &[&str]| refs(&stale(&env, args)).into_iter().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(listed(&["--idle", "0", "--grade", "orphan"]), ["sock/./dead"]);
    assert_eq!(listed(&["shm", "--grade", "in use,unknown"]), ["shm/0"]);
    // An ordinary user does not see who may have a FIFO open.
    assert_eq!(listed(&["sem", "fifo", "--grade", "suspect,unknown"]), ["sem//lock", "fifo/./f"]);
    assert_eq!(listed(&["--kind", "sem,fifo", "--all"]), ["sem//lock", "fifo/./f"]);
    assert_eq!(listed(&["--all", "--match", "shm/?"]), ["shm/0"]);
    assert_eq!(listed(&["--all", "--match", "/*"]), ["shm//frames", "sem//lock"]);
    assert_eq!(listed(&["--all", "--older", "1h"]), [""; 0]);
    assert_eq!(listed(&["--all", "--older", "0s", "shm"]).len(), 2);
    assert_eq!(listed(&["--all", "--owner", "54321"]), [""; 0]);
    assert_eq!(listed(&["--all", "--mine", "sem"]), ["sem//lock"]);
    env.fails(2, ["stale", "--in", "missing"]);
    env.fails(2, ["stale", "pipe"]);
    env.fails(2, ["stale", "--grade", "old"]);
    env.fails(2, ["stale", "--older", "yesterday"]);
}

#[test]
fn what_was_used_within_the_hour_is_no_orphan_yet() {
    let env = Env::new();
    crate::kit::leave_stale(&env.path("dead"));
    let young = stale(&env, &[]);
    assert_eq!(young[0]["verdict"], "suspect");
    assert!(young[0]["evidence"][0].as_str().unwrap().ends_with("ago: a program may be between two runs"));
    assert_eq!(stale(&env, &["--idle", "0"])[0]["verdict"], "orphan");
}

#[test]
fn known_leaks_are_named_with_what_their_makers_advise() {
    let env = Env::new();
    let torch = format!("/torch_{NO_PID}_1_0");
    for name in [&torch, "/nccl-Ab12cD", "/fastrtps_port7412", "/frames"] {
        env.out(["shm", "create", name, "--size", "1"]);
    }
    let all = stale(&env, &["--idle", "0"]);
    let of = |name: &str| by_ref(&all, &format!("shm/{name}")).clone();
    // A process of this user that an ordinary user may not look into may be in another PID namespace.
    let orphan = of(&torch)["verdict"] == "orphan" || !env.has_users() && of(&torch)["verdict"] == "suspect";
    assert!(orphan && of(&torch)["pattern"] == "PyTorch", "{:#}", of(&torch));
    assert_eq!((&of("/nccl-Ab12cD")["verdict"], &of("/nccl-Ab12cD")["pattern"]), (&json!("suspect"), &json!("NCCL")));
    assert!(of("/fastrtps_port7412")["advice"].as_str().unwrap().contains("fastdds shm clean"));
    assert_eq!(of("/frames")["pattern"], Value::Null);
    let said = env.ipcx(["stale", "--in", "."]).assert().success().get_output().stderr.clone();
    assert!(String::from_utf8(said).unwrap().contains("ipcx: Fast-DDS: `fastdds shm clean` removes"));
}

#[test]
fn directories_are_searched_without_following_links_or_opening_a_fifo() {
    let env = Env::new();
    env.sh(
        "mkdir -p in/a/b/c/d other; ipcx mkfifo in/f in/a/b/c/deep in/a/b/c/d/deeper other/g; ln -s ../other in/link",
    )
    .assert()
    .success();
    // One who waits for the other side would go on if it were opened.
    let mut waiting = env.start(["fifo", "recv", "./in/f"]);
    waiting.wait_blocked("wait_for_partner");
    let all = env.json(["stale", "--json", "--all", "--in", "in", "--in", "in/a"]);
    let mut found = refs(&all["objects"]);
    found.sort_unstable();
    assert_eq!(found, ["fifo/in/a/b/c/d/deeper", "fifo/in/a/b/c/deep", "fifo/in/f"]);
    waiting.wait_blocked("wait_for_partner");
    assert_eq!(by_ref(&all["objects"], "fifo/in/f")["verdict"], "in use");
}

#[test]
fn a_directory_that_may_not_be_read_is_a_gap() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("there is no second user");
    }
    env.sh("mkdir -m 700 private; ipcx mkfifo private/f").assert().success();
    let output = env.ipcx_as_nobody(["stale", "fifo", "--json", "--in", "."]).assert().success().get_output().clone();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["objects"], json!([]));
    let gap = document["gaps"].as_array().unwrap().iter().find(|gap| gap["subject"] == "./private");
    assert_eq!(gap.unwrap_or_else(|| panic!("{document:#}"))["errno"], "EACCES");
    let said = env.ipcx_as_nobody(["stale", "fifo", "--in", "."]).assert().success().get_output().stderr.clone();
    assert!(String::from_utf8(said).unwrap().contains("./private"));
}

/// To the kernel the file in an overlay, to which the socket is bound, is another one than that below it.
#[test]
fn a_socket_of_an_overlay_is_no_orphan_in_the_directory_below_it() {
    let env = Env::new();
    let mount = "mkdir o; mount -t tmpfs none o; mkdir o/low o/up o/work o/all; \
         mount -t overlay none -o lowerdir=$PWD/o/low,upperdir=$PWD/o/up,workdir=$PWD/o/work $PWD/o/all";
    if !env.sh(mount).output().unwrap().status.success() {
        crate::skip!("no overlay can be mounted here");
    }
    let listener = UnixListener::bind(env.path("o/all/s")).unwrap();
    let seen = env.json(["stale", "sock", "--json", "--idle", "0s", "--in", "o/up"])["objects"].clone();
    assert_eq!((&seen[0]["ref"], &seen[0]["verdict"]), (&json!("sock/o/up/s"), &json!("suspect")), "{seen:#}");
    assert!(seen[0]["evidence"][0].as_str().unwrap().contains("part of an overlay"), "{seen:#}");
    drop(listener);
}

#[test]
fn hostile_names_are_harmless() {
    let env = Env::new();
    for name in ["torch_1\x1b[31m", "a\nb", "\u{202e}x"] {
        fs::write(format!("/dev/shm/{name}"), "x").unwrap();
        nix::unistd::mkfifo(&env.path(name), nix::sys::stat::Mode::S_IRUSR).unwrap();
    }
    for args in
        [&["--all"][..], &["--all", "--json"], &["--all", "--raw"], &["--grade", "\x1b[2J"], &["--in", "\x1b[2J"]]
    {
        let output = env.ipcx(["stale", "--in", "."].iter().chain(args)).output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap().replace('\t', " ");
        assert_harmless("stdout", shown.as_bytes());
        assert_harmless("stderr", &output.stderr);
    }
}

#[test]
fn nothing_is_stopped_and_nothing_is_changed_by_looking() {
    let env = Env::new();
    let _holder = three(&env);
    env.sh("ipcx sem create --value 1; ipcx msgq create; ipcx msgq send 0 hello").assert().success();
    let before = env.json(["show", "--json", "shm/0", "sem/0", "msgq/0"])["objects"].clone();
    stale(&env, &["--all"]);
    let after = env.json(["show", "--json", "shm/0", "sem/0", "msgq/0"])["objects"].clone();
    for (before, after) in before.as_array().unwrap().iter().zip(after.as_array().unwrap()) {
        for key in
            ["ctime", "atime", "dtime", "otime", "stime", "rtime", "lpid", "lspid", "lrpid", "nattch", "messages"]
        {
            assert_eq!(before[key], after[key], "{key} of {}", before["ref"]);
        }
    }
}

#[test]
fn a_kernel_that_refuses_leases_leaves_a_region_unknown() {
    let env = Env::new();
    let torch = format!("/torch_{NO_PID}_1_0");
    env.out(["shm", "create", &torch, "--size", "1"]);
    let refusal =
        crate::kit::Refusal { argument: Some((1, !0, 1024)), ..crate::kit::Refusal::of(libc::SYS_fcntl, libc::EINVAL) };
    let mut command = env.command(["stale", "--json", "--all", "--idle", "0", "--in", "."]);
    command.refused(&[refusal]);
    let output = Command::from_std(command).assert().success().get_output().stdout.clone();
    let document: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(document["objects"][0]["verdict"], "unknown", "{document:#}");
    assert!(document["objects"][0]["evidence"][0].as_str().unwrap().contains("fcntl: EINVAL"), "{document:#}");
}

/// The objects of all namespaces, whatever their verdict.
fn everywhere(env: &Env) -> Value {
    stale(env, &["--all", "--idle", "0", "--all-namespaces"])
}

/// A process that waits for a message.
fn receiver() -> std::process::Command {
    let mut command = std::process::Command::new(program());
    command.args(["msgq", "recv", "0"]);
    command
}

#[test]
fn objects_of_other_namespaces_are_judged_where_they_are() {
    let env = Env::new();
    let torch = format!("/torch_{NO_PID}_1_0");
    let make = {
        let torch = torch.clone();
        move |env: &Env| {
            env.out(["shm", "create", "0x77", "--size", "4096"]);
            env.out(["shm", "create", &torch, "--size", "11"]);
            env.out(["shm", "create", "/region", "--size", "11"]);
            env.out(["sem", "create", "/lock"]);
            env.out(["msgq", "create", "/jobs", "--max-messages", "3", "--message-size", "10"]);
            env.out(["msgq", "create"]);
        }
    };
    let there = Elsewhere::with(make.clone(), receiver());
    // The same here, where they are in use, but for the queue.
    make(&env);
    let _attached = env.start(["shm", "attach", "0"]);
    let _open = env.start_sh("exec 3</dev/shm/region; exec cat");
    let _torch = env.start_sh(&format!("exec 3</dev/shm{torch}; exec cat"));
    let verdict = |all: &Value, inode: u64, of: &str| by_ref(&within(all, inode), of)["verdict"].clone();
    let (stays, region, torch) = (stay(), "shm//region", format!("shm/{torch}"));
    let ours = inode(stays.pid);
    let mut all = Value::Null;
    until("all to be in use", || {
        all = everywhere(&env);
        let used = [(ours, "shm/0"), (ours, region), (ours, &torch), (there.inode, "msgq/0")];
        used.iter().all(|(inode, of)| verdict(&all, *inode, of) == "in use")
    });
    for (inode, of, expected) in [
        // The receiver may know it.
        (there.inode, "shm/0", "suspect"),
        (there.inode, region, "suspect"),
        // An ordinary user does not see whose pids those of others are.
        (there.inode, &torch, if env.has_users() { "orphan" } else { "suspect" }),
        (there.inode, "sem//lock", "suspect"),
        (there.inode, "msgq//jobs", "suspect"),
        (ours, "sem//lock", "suspect"),
        (ours, "msgq//jobs", "suspect"),
    ] {
        assert_eq!(verdict(&all, inode, of), expected, "{of} of {inode} in {all:#}");
    }
    assert_ne!(verdict(&all, ours, "msgq/0"), "in use", "that another one waits on its own queue is no use: {all:#}");
    let waits = by_ref(&within(&all, there.inode), "msgq/0")["evidence"][0].clone();
    assert!(waits.as_str().unwrap().starts_with(&format!("process {} (ipcx) waits on it", there.pid)), "{waits}");
    for of in [region, "sem//lock", "msgq//jobs"] {
        let evidence = by_ref(&within(&all, there.inode), of)["evidence"].to_string();
        assert!(evidence.contains("a write lease was granted"), "{of}: {evidence}");
    }
    assert!(by_ref(&within(&all, there.inode), "shm/0")["container"].is_string());
    assert_eq!(by_ref(&within(&all, ours), "shm/0")["container"], Value::Null);

    let pid = there.pid.to_string();
    let one = stale(&env, &["--all", "--idle", "0", "--namespace", &pid]);
    let judged = |all: &Value| -> Vec<Value> {
        all.as_array().unwrap().iter().map(|one| json!([one["ref"], one["namespace"], one["verdict"]])).collect()
    };
    assert_eq!(judged(&one), judged(&within(&all, there.inode)));
    let rows = env.out(["stale", "shm", "--idle", "0", "--namespace", &pid, "--raw", "--no-headings"]);
    let cells: Vec<Vec<&str>> = rows.lines().map(|row| row.split('\t').collect()).collect();
    assert!(cells.iter().all(|cells| cells[0] == there.inode.to_string()), "{rows}");
    assert!(cells.iter().any(|cells| cells[2] == "shm/0"), "{rows}");
    // What is elsewhere is left alone, and without the option there is no column.
    let planned = env.json(["gc", "--json", "--idle", "0", "--in", "."])["objects"].clone();
    assert_eq!(planned, json!([]), "of ours all are in use");
    assert!(stale(&env, &["--all"])[0].get("namespace").is_none());
}

#[test]
fn a_region_that_a_process_of_another_namespace_has_open_is_in_use() {
    let env = Env::new();
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "exec 3</dev/shm/region 4</dev/shm/sem.lock; exec cat"]);
    let make = |env: &Env| {
        env.out(["shm", "create", "/region", "--size", "11"]);
        env.out(["sem", "create", "/lock"]);
    };
    let there = Elsewhere::with(make, command);
    make(&env);
    until("the files to be open", || {
        let all = within(&everywhere(&env), there.inode);
        ["shm//region", "sem//lock"].iter().all(|of| by_ref(&all, of)["verdict"] == "in use")
    });
    let ours = inode(stay().pid);
    let all = everywhere(&env);
    for of in ["shm//region", "sem//lock"] {
        assert_eq!(by_ref(&within(&all, ours), of)["verdict"], "suspect", "{all:#}");
    }
}

#[test]
fn a_pid_in_a_name_says_nothing_where_pids_are_counted_otherwise() {
    let env = Env::new();
    let torch = format!("/torch_{NO_PID}_1_0");
    let name = torch.clone();
    let mut command = std::process::Command::new("unshare");
    command.args(["--pid", "--fork", "cat"]);
    let there = Elsewhere::with(move |env| drop(env.out(["shm", "create", &name, "--size", "1"])), command);
    let children = format!("/proc/{0}/task/{0}/children", there.pid);
    until("its child", || {
        let child = fs::read_to_string(&children).unwrap_or_default();
        fs::read_to_string(format!("/proc/{}/comm", child.trim())).is_ok_and(|comm| comm == "cat\n")
    });
    let object = by_ref(&within(&everywhere(&env), there.inode), &format!("shm/{torch}")).clone();
    assert_eq!(object["verdict"], "unknown", "{object:#}");
    assert_eq!(object["evidence"][0], "its maker is in another PID namespace");
}

#[test]
fn what_may_be_entered_again_is_no_orphan() {
    let env = Env::new();
    let mut there = Elsewhere::new(|env| {
        env.sh("ipcx sem create; ipcx sem post 0; ipcx shm create --size 1").assert().success();
    });
    let namespace = fs::File::open(format!("/proc/{}/ns/ipc", there.pid)).unwrap();
    let mut command = std::process::Command::new("cat");
    command.stdin(std::process::Stdio::piped()).stdout(namespace);
    let mut holder = command.spawn().unwrap();
    // It holds what it has given.
    drop(command);
    there.leave();
    let all = within(&everywhere(&env), there.inode);
    let set = by_ref(&all, "sem/0");
    let expected = if env.has_users() { "suspect" } else { "unknown" };
    assert_eq!(set["verdict"], expected, "{set:#}");
    let deserted = set["evidence"].to_string().contains("nobody is in its IPC namespace");
    assert!(deserted || !env.has_users(), "{set:#}");
    holder.kill().unwrap();
    holder.wait().unwrap();
}
