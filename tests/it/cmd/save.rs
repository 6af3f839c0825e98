use crate::kit::look::{by_ref, refs, refused};
use crate::kit::{Env, NOBODY, Refusal, Starts as _, until};
use crate::skip;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;

/// Runs ipcx, which must end with this status; what it said.
#[track_caller]
fn said(env: &Env, status: i32, args: &[&str]) -> String {
    refused(env, status, args)
}

fn there(env: &Env) -> Vec<String> {
    env.out(["ls", "-o", "ref", "--raw", "--no-headings"]).lines().map(str::to_owned).collect()
}

/// What is in the test's directory, hidden files too.
fn files(env: &Env, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(env.path(directory)).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The manifest as tar(1) gives it.
fn manifest(env: &Env, archive: &str) -> Value {
    let text = env.sh(&format!("tar -xOf {archive} manifest.json")).assert().success().get_output().stdout.clone();
    serde_json::from_slice(&text).unwrap()
}

fn queue(env: &Env, messages: &[(&str, &str)]) {
    env.out(["msgq", "create", "/jobs", "--max-messages", "8", "--message-size", "4096"]);
    for (priority, text) in messages {
        env.out(["msgq", "send", "/jobs", "-p", priority, text]);
    }
}

#[test]
fn tar_lists_and_unpacks_an_archive() {
    let env = Env::new();
    env.out(["msgq", "create", "0x4d2"]);
    env.out(["msgq", "send", "0", "-t", "7", "first"]);
    env.out(["msgq", "send", "0", "-t", "3", ""]);
    env.out(["shm", "create", "/frames", "--size", "700"]);
    env.out(["shm", "write", "/frames", "picture"]);
    env.out(["sem", "create", "-n", "2", "--value", "5,0"]);
    let told = said(&env, 0, &["save", "msgq", "shm//frames", "sem/0", "-f", "a.tar"]);
    assert!(told.starts_with("ipcx: saved 3 objects"), "{told}");
    assert_eq!(fs::metadata(env.path("a.tar")).unwrap().permissions().mode() & 0o7777, 0o600);
    let names = env.sh("tar -tf a.tar").assert().success().get_output().stdout.clone();
    let names = String::from_utf8(names).unwrap();
    assert_eq!(
        names.lines().collect::<Vec<_>>(),
        ["manifest.json", "shm/posix/frames", "msgq/0/000000", "msgq/0/000001"]
    );
    env.sh("mkdir out; tar -xf a.tar -C out; cmp out/shm/posix/frames /dev/shm/frames").assert().success();
    assert_eq!(fs::read(env.path("out/msgq/0/000000")).unwrap(), b"first");
    let manifest = manifest(&env, "a.tar");
    assert_eq!(manifest["version"], 1);
    let queue = by_ref(&manifest["objects"], "msgq/0");
    assert_eq!((&queue["key"], &queue["mode"]), (&"0x000004d2".into(), &"0600".into()));
    let messages = queue["content"]["channel"]["messages"].as_array().unwrap();
    assert_eq!((&messages[0]["type"], &messages[1]["type"]), (&7.into(), &3.into()));
    // The sums can be compared without ipcx.
    env.sh(&format!("echo '{}  out/msgq/0/000000' | sha256sum -c", messages[0]["text"]["sha256"].as_str().unwrap()))
        .assert()
        .success();
    let sems = by_ref(&manifest["objects"], "sem/0");
    assert_eq!(sems["content"]["counter"]["values"], serde_json::json!([5, 0]));
    // Nothing was taken, and no trace left in the queue.
    let queue = env.json(["show", "msgq/0", "--json"]);
    assert_eq!((&queue["objects"][0]["messages"], &queue["objects"][0]["lrpid"]), (&2.into(), &0.into()));
}

#[test]
fn no_file_is_overwritten_and_no_link_followed() {
    let env = Env::new();
    env.out(["sem", "create"]);
    fs::write(env.path("old.tar"), "precious").unwrap();
    symlink("old.tar", env.path("link.tar")).unwrap();
    symlink("elsewhere", env.path("dangling.tar")).unwrap();
    fs::create_dir(env.path("dir")).unwrap();
    for name in ["old.tar", "link.tar", "dangling.tar", "dir"] {
        let told = said(&env, 5, &["save", "sem/0", "-f", name]);
        assert!(told.contains(name) && told.contains("EEXIST"), "{told}");
        said(&env, 5, &["rm", "sem/0", "--save", name]);
    }
    assert_eq!(fs::read(env.path("old.tar")).unwrap(), b"precious");
    assert!(!env.path("elsewhere").exists());
    let told = said(&env, 1, &["save", "sem/0", "-f", "missing/a.tar"]);
    assert!(told.contains("no such directory"), "{told}");
    assert_eq!(files(&env, "."), ["dangling.tar", "dir", "link.tar", "old.tar"]);
    assert_eq!(there(&env), ["sem/0"]);
}

#[test]
fn what_cannot_be_saved_is_said_and_the_others_are_saved() {
    let env = Env::new();
    env.out(["sem", "create"]);
    env.out(["mkfifo", "./f"]);
    env.out(["shm", "create", "./file", "--size", "1"]);
    queue(&env, &[("0", "a")]);
    let args = ["save", "shm/77", "msgq//jobs", "fifo/./f", "shm/./file", "sem/0", "-f", "a.tar"];
    let told = said(&env, 3, &args);
    for part in ["shm/77: no such object", "cannot be read without being taken", "--drain", "of FIFOs nothing", "cp(1)"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(told.ends_with("bytes\n") && told.contains("saved 1 object"), "{told}");
    assert_eq!(refs(&env.json(["restore", "a.tar", "--list", "--json"])["objects"]), ["sem/0"]);
    // Of nothing there is no archive.
    said(&env, 3, &["save", "shm/77", "-f", "b.tar"]);
    said(&env, 1, &["save", "msgq//jobs", "-f", "b.tar"]);
    said(&env, 2, &["save", "-f", "b.tar"]);
    said(&env, 2, &["save", "sem/0"]);
    said(&env, 2, &["save", "sem/0", "--mine", "-f", "b.tar"]);
    said(&env, 2, &["save", "fifo", "-f", "b.tar"]);
    assert!(!env.path("b.tar").exists());
    // An empty POSIX queue has nothing that would have to be taken.
    env.out(["msgq", "recv", "/jobs"]);
    said(&env, 0, &["save", "msgq", "-f", "c.tar"]);
}

#[test]
fn kinds_are_saved_whole_or_only_what_is_mine() {
    let env = Env::new();
    env.out(["sem", "create"]);
    env.out(["sem", "create", "/lock"]);
    env.out(["msgq", "create"]);
    said(&env, 0, &["save", "sem", "sem/0", "-f", "a.tar"]);
    assert_eq!(refs(&env.json(["restore", "a.tar", "--list", "--json"])["objects"]).len(), 2, "each once");
    said(&env, 0, &["save", "shm", "-f", "none.tar"]);
    assert_eq!(env.json(["restore", "none.tar", "--list", "--json"])["objects"], serde_json::json!([]));
    if !env.has_users() {
        skip!("there is no second user");
    }
    env.out(["msgq", "set", "0", "--owner", "nobody"]);
    said(&env, 0, &["save", "sem", "msgq", "--mine", "-f", "b.tar"]);
    assert_eq!(refs(&env.json(["restore", "b.tar", "--list", "--json"])["objects"]).len(), 2);
    // What may not be read is not saved.
    fs::set_permissions(env.path("."), fs::Permissions::from_mode(0o777)).unwrap();
    let told = env.ipcx_as_nobody(["save", "sem", "msgq", "-f", "c.tar"]).assert().code(4).get_output().stderr.clone();
    assert!(String::from_utf8(told).unwrap().contains("permission denied"));
    assert_eq!(refs(&env.json(["restore", "c.tar", "--list", "--json"])["objects"]), ["msgq/0"]);
}

#[test]
fn a_posix_queue_is_drained_into_the_archive() {
    let env = Env::new();
    queue(&env, &[("1", "low"), ("9", "high"), ("1", "later"), ("0", "")]);
    said(&env, 0, &["save", "msgq//jobs", "--drain", "-f", "a.tar"]);
    assert_eq!(env.json(["show", "msgq//jobs", "--json"])["objects"][0]["messages"], 0);
    assert_eq!(files(&env, "."), ["a.tar"], "the journal has done its work");
    said(&env, 0, &["rm", "msgq//jobs"]);
    assert_eq!(env.out(["restore", "a.tar"]), "msgq//jobs");
    let got = env.out(["msgq", "recv", "/jobs", "--all", "--json"]);
    let got: Vec<Value> = got.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let got: Vec<(&str, i64)> =
        got.iter().map(|one| (one["text"].as_str().unwrap(), one["priority"].as_i64().unwrap())).collect();
    assert_eq!(got, [("high", 9), ("low", 1), ("later", 1), ("", 0)]);
    // A journal of before is never overwritten: what is in it is nowhere else.
    fs::write(env.path("b.tar.drain"), "precious").unwrap();
    env.out(["msgq", "send", "/jobs", "x"]);
    let told = said(&env, 5, &["save", "msgq//jobs", "--drain", "-f", "b.tar"]);
    assert!(told.contains("b.tar.drain") && told.contains("hint: "), "{told}");
    assert_eq!(env.out(["msgq", "recv", "/jobs"]), "x");
    assert_eq!(fs::read(env.path("b.tar.drain")).unwrap(), b"precious");
}

/// A file system of so many bytes.
fn small(env: &Env, size: &str) {
    env.sh(&format!("mkdir small; mount -t tmpfs -o size={size} none small")).assert().success();
}

#[test]
fn without_room_there_is_no_archive_and_nothing_is_removed() {
    let env = Env::new();
    small(&env, "64k");
    env.out(["shm", "create", "/frames", "--size", "1M"]);
    env.sh("yes | head -c 1M > /dev/shm/frames").assert().success();
    env.out(["sem", "create"]);
    for args in [
        &["save", "shm//frames", "sem/0", "-f", "small/a.tar"][..],
        &["rm", "shm//frames", "sem/0", "--save", "small/a.tar"],
    ] {
        let told = said(&env, 7, args);
        assert!(told.contains("ENOSPC") && told.contains("small/a.tar"), "{told}");
        assert_eq!(files(&env, "small"), [""; 0]);
    }
    assert_eq!(there(&env), ["shm//frames", "sem/0"]);
    // Less than the space that is left is enough.
    said(&env, 0, &["save", "sem/0", "-f", "small/a.tar"]);
}

#[test]
fn without_room_for_the_journal_no_message_is_lost() {
    let env = Env::new();
    small(&env, "24k");
    let texts: Vec<String> = (0..8).map(|n| format!("{n}{}", "x".repeat(3999))).collect();
    queue(&env, &texts.iter().map(|text| ("3", text.as_str())).collect::<Vec<_>>());
    let told = said(&env, 7, &["save", "msgq//jobs", "--drain", "-f", "small/a.tar"]);
    assert!(told.contains("ENOSPC") && told.contains("put back") && told.contains("a.tar.drain"), "{told}");
    assert_eq!(files(&env, "small"), ["a.tar.drain"]);
    let mut found: Vec<String> = env.out(["msgq", "recv", "/jobs", "--all"]).lines().map(str::to_owned).collect();
    let left = found.len();
    assert!(left > 0 && left < 8, "{left}");
    said(&env, 0, &["rm", "msgq//jobs"]);
    let output = env.ipcx(["restore", "small/a.tar.drain"]).assert().success().get_output().clone();
    assert_eq!(output.stdout, b"msgq//jobs\n");
    // The last line of the journal was cut off, of a message that went back.
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    found.extend(env.out(["msgq", "recv", "/jobs", "--all"]).lines().map(str::to_owned));
    found.sort();
    assert_eq!(found, texts);
}

/// The file without a name that a process writes, if it has one and some of it is written.
fn written(pid: u32) -> bool {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    links.map(|entry| entry.path()).any(|path: PathBuf| {
        let is_new = fs::read_link(&path).is_ok_and(|to| to.to_string_lossy().ends_with("(deleted)"));
        is_new && fs::metadata(&path).is_ok_and(|file| file.len() > 1 << 20)
    })
}

#[test]
fn whoever_is_stopped_in_the_middle_leaves_nothing() {
    let env = Env::new();
    env.out(["shm", "create", "/frames", "--size", "48M"]);
    env.sh("yes | head -c 48M > /dev/shm/frames").assert().success();
    for signal in [libc::SIGKILL, libc::SIGINT, libc::SIGTERM] {
        let mut saving = env.start(["rm", "shm//frames", "--save", "a.tar"]);
        until("the archive to grow", || written(saving.pid));
        saving.signal(signal);
        let status = saving.status();
        assert!(!status.success(), "{status}");
        if signal == libc::SIGINT {
            assert_eq!(status.code(), Some(130));
        }
        assert_eq!(files(&env, "."), [""; 0], "signal {signal}");
        assert_eq!(there(&env), ["shm//frames"]);
    }
}

#[test]
fn a_drain_that_is_killed_leaves_what_was_taken_in_the_journal() {
    let env = Env::new();
    queue(&env, &[("0", "a"), ("5", "b"), ("0", "c")]);
    env.out(["shm", "create", "/frames", "--size", "48M"]);
    env.sh("yes | head -c 48M > /dev/shm/frames").assert().success();
    let mut saving = env.start(["save", "msgq//jobs", "shm//frames", "--drain", "-f", "a.tar"]);
    until("the archive to grow", || written(saving.pid));
    saving.signal(libc::SIGKILL);
    saving.status();
    assert_eq!(files(&env, "."), ["a.tar.drain"]);
    assert_eq!(env.json(["show", "msgq//jobs", "--json"])["objects"][0]["messages"], 0);
    said(&env, 0, &["rm", "msgq//jobs"]);
    assert_eq!(env.out(["restore", "a.tar.drain"]), "msgq//jobs");
    assert_eq!(env.out(["msgq", "recv", "/jobs", "--all"]), "b\na\nc");
    // Who is asked to stop says where they are.
    env.out(["msgq", "send", "/jobs", "again"]);
    fs::remove_file(env.path("a.tar.drain")).unwrap();
    let mut saving = env.start(["save", "msgq//jobs", "shm//frames", "--drain", "-f", "a.tar"]);
    until("the archive to grow", || written(saving.pid));
    saving.signal(libc::SIGTERM);
    let output = saving.end();
    assert_eq!(output.status.code(), Some(143));
    assert!(String::from_utf8(output.stderr).unwrap().contains("a.tar.drain"));
    assert_eq!(files(&env, "."), ["a.tar.drain"]);
}

#[test]
fn a_queue_that_changes_is_saved_as_it_was_at_one_moment_or_not_at_all() {
    let env = Env::new();
    for name in ["0x1", "0x2"] {
        env.out(["msgq", "create", name]);
    }
    // Numbers in a row go through the queues: a copy with a gap or a repetition was torn.
    let _heavy =
        env.start_sh("seq 9999999 | ipcx msgq send 0x1 --lines & exec ipcx msgq recv 0x1 --follow > /dev/null");
    let _light = env.start_sh(
        "n=100; while :; do n=$((n + 1)); ipcx msgq send 0x2 $n; [ $n -lt 105 ] || ipcx msgq recv 0x2 > /dev/null; done",
    );
    let has_traffic = |name: &str| env.json(["show", name, "--json"])["objects"][0]["lrpid"] != 0;
    until("traffic", || has_traffic("msgq/0x1") && has_traffic("msgq/0x2"));
    let mut whole = 0;
    for round in 0..16 {
        let archive = format!("{round}.tar");
        let output = env.ipcx(["save", ["msgq/0x1", "msgq/0x2"][round % 2], "-f", &archive]).output().unwrap();
        if output.status.code() == Some(1) {
            assert!(String::from_utf8_lossy(&output.stderr).contains("changed each"), "{output:?}");
            assert!(!env.path(&archive).exists());
            continue;
        }
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let unpack = format!(
            "mkdir d{round}; tar -xf {archive} -C d{round}; for m in $(find d{round} -path '*/msgq/*' -type f | sort); do cat $m; echo; done"
        );
        let texts = env.sh(&unpack).assert().success().get_output().stdout.clone();
        let numbers: Vec<u64> = String::from_utf8(texts).unwrap().lines().map(|line| line.parse().unwrap()).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
        whole += 1;
    }
    assert!(whole > 0, "a queue of a few messages is read between two of them");
    said(&env, 0, &["rm", "msgq/0x1", "msgq/0x2"]);
}

#[test]
fn an_empty_segment_takes_no_room_in_the_archive_nor_afterwards() {
    let env = Env::new();
    env.out(["shm", "create", "0x1", "--size", "64M"]);
    env.out(["shm", "create", "/frames", "--size", "32M"]);
    env.out(["shm", "write", "/frames", "end", "--offset", "30M"]);
    said(&env, 0, &["save", "shm", "-f", "a.tar"]);
    let archive = fs::metadata(env.path("a.tar")).unwrap();
    assert!(archive.len() > 96 << 20, "tar(1) reads it whole");
    assert!(archive.blocks() * 512 < 4 << 20, "{} bytes on the disk", archive.blocks() * 512);
    said(&env, 0, &["rm", "shm/0x1", "shm//frames"]);
    env.ipcx(["restore", "a.tar"]).assert().success();
    let restored = env.json(["ls", "shm", "--json", "-o", "+rss"])["objects"].clone();
    for one in restored.as_array().unwrap() {
        assert!(one["rss"].as_u64().unwrap() < 4 << 20, "{one}");
    }
    assert_eq!(env.out(["shm", "read", "/frames", "--offset", "30M", "--length", "3"]), "end");
    assert_eq!(fs::read("/dev/shm/frames").unwrap().iter().filter(|byte| **byte != 0).count(), 3);
}

#[test]
fn rm_saves_first_and_removes_only_what_was_saved() {
    let env = Env::new();
    env.out(["msgq", "create", "0x4d2"]);
    env.out(["msgq", "send", "0", "kept"]);
    env.out(["shm", "create", "--size", "100"]);
    env.out(["sem", "create"]);
    env.out(["sem", "create", "/lock"]);
    let holder = env.start(["sem", "wait", "0"]);
    until("the waiter", || env.json(["sem", "get", "0", "--json"])["semaphores"][0]["waiting_for_increase"] == 1);
    let told = said(&env, 1, &["rm", "msgq/0x4d2", "shm/0", "sem/0", "sem//lock", "--save", "a.tar"]);
    assert!(told.contains("saved 3 objects") && told.contains("sem/0: it is in use"), "{told}");
    assert_eq!(there(&env), ["sem/0"]);
    drop(holder);
    env.ipcx(["restore", "a.tar"]).assert().success();
    assert_eq!(there(&env), ["shm/0", "msgq/0", "sem/0", "sem//lock"]);
    assert_eq!(env.out(["msgq", "recv", "0x4d2"]), "kept");
    // If one of them cannot be saved, none is removed.
    queue(&env, &[("0", "x")]);
    let told = said(&env, 1, &["rm", "shm/0", "msgq//jobs", "--save", "b.tar"]);
    assert!(told.contains("nothing is removed"), "{told}");
    assert_eq!(there(&env), ["shm/0", "msgq/0", "msgq//jobs", "sem/0", "sem//lock"]);
    assert_eq!(files(&env, "."), ["a.tar"]);
}

#[test]
fn gc_saves_the_orphans_first_and_still_takes_them_for_orphans() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("an ordinary user cannot see that nobody else may use a segment");
    }
    env.out(["shm", "create", "0x4d2", "--size", "100"]);
    env.out(["shm", "write", "0x4d2", "orphaned"]);
    env.out(["shm", "create", "/torch_4194305_1_0", "--size", "10"]);
    env.out(["shm", "create", "/frames", "--size", "10"]);
    crate::kit::leave_stale(&env.path("dead"));
    fs::write(env.path("there.tar"), "").unwrap();
    let gc = ["gc", "--idle", "0s", "--in", "."];
    said(&env, 2, &[&gc[..], &["--save", "a.tar"]].concat());
    said(&env, 5, &[&gc[..], &["--yes", "--save", "there.tar"]].concat());
    assert_eq!(there(&env), ["shm/0", "shm//frames", "shm//torch_4194305_1_0"]);
    assert!(env.path("dead").exists());
    let rows = env.json([&gc[..], &["--yes", "--json", "--save", "a.tar"]].concat())["objects"].clone();
    let results: Vec<&Value> = rows.as_array().unwrap().iter().map(|row| &row["result"]).collect();
    assert_eq!(results, ["removed", "removed", "removed"], "{rows:#}");
    assert_eq!(there(&env), ["shm//frames"]);
    assert!(!env.path("dead").exists(), "of a socket there is nothing to be saved");
    env.ipcx(["restore", "a.tar"]).assert().success();
    assert_eq!(env.out(["shm", "read", "0x4d2", "--length", "8"]), "orphaned");
    assert_eq!(there(&env), ["shm/0", "shm//frames", "shm//torch_4194305_1_0"]);
    // Without an orphan there is no archive.
    said(&env, 0, &["gc", "--yes", "sem", "--save", "none.tar"]);
    assert!(!env.path("none.tar").exists());
}

#[test]
fn a_message_in_hand_that_cannot_be_put_back_comes_from_the_slot() {
    let env = Env::new();
    small(&env, "24k");
    let texts: Vec<String> = (0..8).map(|n| format!("{n}{}", "x".repeat(3999))).collect();
    queue(&env, &texts.iter().map(|text| ("3", text.as_str())).collect::<Vec<_>>());
    let refusal = Refusal::of(libc::SYS_mq_timedsend, libc::EAGAIN);
    let mut saving = env.ipcx_refused(&[refusal], ["save", "msgq//jobs", "--drain", "-f", "small/a.tar"]);
    let output = saving.assert().code(7).get_output().clone();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("ENOSPC") && told.contains("is where the journal says"), "{told}");
    let mut found: Vec<String> = env.out(["msgq", "recv", "/jobs", "--all"]).lines().map(str::to_owned).collect();
    assert!(!found.is_empty() && found.len() < 8);
    said(&env, 0, &["rm", "msgq//jobs"]);
    let restored =
        env.ipcx(["restore", "small/a.tar.drain"]).assert().success().stdout("msgq//jobs\n").get_output().clone();
    let told = String::from_utf8(restored.stderr).unwrap();
    assert!(told.contains("/dev/shm/ipcx-drain-") && told.contains("taken last"), "{told}");
    found.extend(env.out(["msgq", "recv", "/jobs", "--all"]).lines().map(str::to_owned));
    found.sort();
    assert_eq!(found, texts);
}

#[test]
fn a_drain_that_may_not_keep_its_slot_in_memory_leaves_nothing() {
    let env = Env::new();
    if !env.has_users() {
        skip!("there is no second user");
    }
    queue(&env, &[("0", "a")]);
    env.sh("chmod 666 /dev/mqueue/jobs; mkdir -m 777 open").assert().success();
    let mut command = env.command(["save", "msgq//jobs", "--drain", "-f", "open/a.tar"]);
    let output = command.uid(NOBODY).gid(NOBODY).limited(libc::RLIMIT_MEMLOCK, 0).output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert_eq!(files(&env, "open"), [""; 0]);
    assert_eq!(files(&env, "/dev/shm"), [""; 0]);
    assert_eq!(env.out(["msgq", "recv", "/jobs"]), "a");
}

#[test]
fn a_semaphore_of_musl_would_come_back_as_another_and_is_not_saved() {
    let env = Env::new();
    let mut bytes = [0; 32];
    bytes[0] = 3;
    fs::write("/dev/shm/m", bytes).unwrap();
    assert_eq!(env.json(["show", "sem//m", "--json"])["objects"][0]["layout"], "musl");
    let told = said(&env, 1, &["save", "sem//m", "-f", "a.tar"]);
    assert!(told.contains("of musl"), "{told}");
    assert!(!env.path("a.tar").exists());
}
