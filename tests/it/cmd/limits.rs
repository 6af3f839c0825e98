use crate::kit::look::named;
use crate::kit::{Env, Running, until};
use crate::skip;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::process::CommandExt as _;

fn limits(env: &Env) -> Value {
    env.json(["limits", "--json"])["objects"].clone()
}

/// The numbers in a file of /proc/sys.
fn sysctl(name: &str) -> Vec<u64> {
    let text = fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).unwrap();
    text.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

fn set(name: &str, value: &str) {
    fs::write(format!("/proc/sys/{}", name.replace('.', "/")), value).unwrap();
}

#[test]
fn the_limits_are_those_of_the_kernel() {
    let env = Env::new();
    set("kernel.msgmni", "4321");
    set("kernel.sem", "100 2000 30 40");
    set("fs.mqueue.queues_max", "77");
    let limits = limits(&env);
    let sem = sysctl("kernel.sem");
    assert_eq!(sem, [100, 2000, 30, 40]);
    for (name, limit, setting) in [
        ("SHMMNI", sysctl("kernel.shmmni")[0], "kernel.shmmni"),
        ("SHMALL", sysctl("kernel.shmall")[0], "kernel.shmall"),
        ("SHMMAX", sysctl("kernel.shmmax")[0], "kernel.shmmax"),
        ("MSGMNI", 4321, "kernel.msgmni"),
        ("MSGMAX", sysctl("kernel.msgmax")[0], "kernel.msgmax"),
        ("MSGMNB", sysctl("kernel.msgmnb")[0], "kernel.msgmnb"),
        ("queues_max", 77, "fs.mqueue.queues_max"),
        ("msg_max", sysctl("fs.mqueue.msg_max")[0], "fs.mqueue.msg_max"),
        ("msgsize_max", sysctl("fs.mqueue.msgsize_max")[0], "fs.mqueue.msgsize_max"),
        ("SEMMSL", 100, "kernel.sem"),
        ("SEMMNS", 2000, "kernel.sem"),
        ("SEMOPM", 30, "kernel.sem"),
        ("SEMMNI", 40, "kernel.sem"),
        ("SEMVMX", 32767, ""),
        ("pipe-max-size", sysctl("fs.pipe-max-size")[0], "fs.pipe-max-size"),
        ("max_dgram_qlen", sysctl("net.unix.max_dgram_qlen")[0], "net.unix.max_dgram_qlen"),
        ("somaxconn", sysctl("net.core.somaxconn")[0], "net.core.somaxconn"),
    ] {
        let row = named(&limits, name);
        assert_eq!(row["limit"], limit, "{row:#}");
        assert!(row["setting"].as_str().unwrap().contains(setting), "{row:#}");
    }
}

#[test]
fn a_document_of_limits_has_numbers_and_says_what_sets_them() {
    let env = Env::new();
    // How many pages the pipes of this user have changes while other tests run, and may not be seen from here.
    const FIXED: [&str; 4] = ["shm", "msgq", "sem", "sock"];
    let all = env.json(["limits", "--json"]);
    let document = env.json(["limits", "--json"].iter().chain(&FIXED));
    assert_eq!((&document["version"], &document["gaps"]), (&json!(1), &json!([])));
    for row in all["objects"].as_array().unwrap() {
        assert!(row["used"].is_u64() || row["used"].is_null(), "{row:#}");
        assert!(row["limit"].is_u64() || row["limit"].is_null(), "{row:#}");
        assert!(row["percent"].is_number() || row["percent"].is_null(), "{row:#}");
        for key in ["kind", "family", "name", "unit", "setting", "help"] {
            assert!(row[key].as_str().is_some_and(|text| !text.is_empty()), "{key} of {row:#}");
        }
    }
    let lines = env.out(["limits", "--jsonl"].iter().chain(&FIXED));
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json!(lines), document["objects"]);
}

#[test]
fn what_is_used_is_counted() {
    let env = Env::new();
    let before = limits(&env);
    for name in ["SHMMNI", "SHMALL", "MSGMNI", "queues_max", "RLIMIT_MSGQUEUE", "SEMMNI", "SEMMNS"] {
        assert_eq!(named(&before, name)["used"], 0, "{name}");
    }
    env.out(["msgq", "create"]);
    env.out(["msgq", "create", "/a", "--max-messages", "1", "--message-size", "8"]);
    env.out(["sem", "create", "-n", "3"]);
    env.out(["sem", "create", "-n", "4"]);
    env.out(["shm", "create", "/frames", "--size", "100K"]);
    env.sh("head -c 102400 /dev/zero | ipcx shm write /frames").assert().success();
    let after = limits(&env);
    for (name, used) in [("MSGMNI", 1), ("queues_max", 1), ("SEMMNI", 2), ("SEMMNS", 7), ("/dev/shm size", 102_400)] {
        assert_eq!(named(&after, name)["used"], used, "{name}");
    }
    assert_eq!(named(&after, "/dev/shm size")["limit"], 64 << 20);
    let files = |limits: &Value| named(limits, "/dev/shm inodes")["used"].as_u64().unwrap();
    assert_eq!(files(&after), files(&before) + 1);
    let percent = named(&after, "queues_max")["percent"].as_f64().unwrap();
    let most = named(&after, "queues_max")["limit"].as_f64().unwrap();
    assert!((percent - 100.0 / most).abs() < 0.01, "{percent}");
}

#[test]
fn pages_are_counted_with_each_segment_rounded_up() {
    let env = Env::new();
    for _ in 0..10 {
        env.out(["shm", "create", "--size", "1"]);
    }
    env.out(["shm", "create", "--size", "8193"]);
    let limits = limits(&env);
    let pages = named(&limits, "SHMALL");
    assert_eq!((&pages["used"], &pages["unit"]), (&json!(13), &json!("pages")));
    assert_eq!(named(&limits, "SHMMNI")["used"], 11);
}

#[test]
fn posix_queues_cost_their_owner_whether_they_hold_messages_or_not() {
    let env = Env::new();
    env.out(["msgq", "create", "/a", "--max-messages", "3", "--message-size", "100"]);
    env.out(["msgq", "create", "/b", "--max-messages", "1", "--message-size", "8"]);
    env.out(["msgq", "send", "/a", "hello"]);
    let row = named(&limits(&env), "RLIMIT_MSGQUEUE").clone();
    assert_eq!(row["used"], 3 * (100 + 96) + (8 + 96));
    let soft = env.sh("ulimit -q 2>/dev/null || bash -c 'ulimit -q'").output().unwrap().stdout;
    assert_eq!(row["limit"].to_string(), String::from_utf8(soft).unwrap().trim());
    if env.has_users() {
        let output = env.ipcx_as_nobody(["limits", "--json"]).assert().success().get_output().stdout.clone();
        let document: Value = serde_json::from_slice(&output).unwrap();
        // Either it may look and has none, or it may not look and says so; it never has root's.
        let used = &named(&document["objects"], "RLIMIT_MSGQUEUE")["used"];
        assert!(*used == 0 || used.is_null(), "{used}");
        assert_eq!(used.is_null(), !document["gaps"].as_array().unwrap().is_empty());
    }
}

#[test]
fn a_warning_names_what_is_above_and_is_status_1() {
    let env = Env::new();
    set("kernel.msgmni", "4");
    for _ in 0..3 {
        env.out(["msgq", "create"]);
    }
    // Those of the whole machine are what they are.
    let lasting = |args: &[&str]| env.ipcx(["limits", "shm", "msgq", "sem"].iter().chain(args));
    let output = lasting(&["--warn", "70"]).assert().code(1).get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    for part in ["MSGMNI", "75", "kernel.msgmni", "3", "4"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(String::from_utf8(output.stdout).unwrap().contains("MSGMNI"), "the table is printed all the same");
    lasting(&["--warn", "80"]).assert().success().stderr("");
    lasting(&["--warn", "75"]).assert().success().stderr("");
    lasting(&["--warn", "70%"]).assert().code(1);
    env.ipcx(["limits", "sem", "--warn", "70"]).assert().success();
    lasting(&["--warn", "70", "--quiet"]).assert().code(1);
    for bad in ["-1", "101", "many", "", "nan", "inf"] {
        env.ipcx(["limits", &format!("--warn={bad}")]).assert().code(2);
    }
}

#[test]
fn a_limit_of_nothing_is_used_up_and_divides_nothing() {
    let env = Env::new();
    set("fs.mqueue.queues_max", "0");
    set("kernel.msgmni", "0");
    for form in [&["limits"][..], &["limits", "--raw"], &["limits", "--json"], &["limits", "--jsonl"]] {
        let text = env.out(form).to_lowercase();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        assert!(!words.clone().any(|word| word == "inf" || word == "nan" || word == "infinity"), "{text}");
    }
    assert_eq!(named(&limits(&env), "queues_max")["limit"], 0);
}

#[test]
fn the_limits_of_one_kind_are_its_own() {
    let env = Env::new();
    for kind in ["shm", "msgq", "sem", "pipe", "sock", "signal"] {
        let document = env.json(["limits", kind, "--json"]);
        let rows = document["objects"].as_array().unwrap();
        assert!(!rows.is_empty() && rows.iter().all(|row| row["kind"] == kind), "{document:#}");
    }
    env.ipcx(["limits", "pipes"]).assert().code(2);
}

#[test]
fn raw_limits_are_exact_and_tab_separated() {
    let env = Env::new();
    let raw = env.out(["limits", "--raw", "--no-headings"]);
    let row = raw.lines().find(|line| line.contains("\tSHMMAX\t")).unwrap();
    let cells: Vec<&str> = row.split('\t').collect();
    assert_eq!(cells[..5], ["shm", "sysv", "SHMMAX", "-", &sysctl("kernel.shmmax")[0].to_string()]);
    let human = env.out(["limits", "msgq"]);
    assert!(human.lines().any(|line| line.contains("msgsize_max") && line.contains("8.0K")), "{human}");
    let exact = env.out(["limits", "msgq", "-b"]);
    assert!(exact.lines().any(|line| line.contains("msgsize_max") && line.contains("8192")), "{exact}");
}

#[test]
fn a_missing_dev_shm_or_table_is_unknown_and_not_zero() {
    let env = Env::new();
    fs::create_dir(env.path("empty")).unwrap();
    env.sh("mount --bind empty /dev").assert().success();
    let output = env.ipcx(["limits", "--json"]).assert().success().get_output().stdout.clone();
    let document: Value = serde_json::from_slice(&output).unwrap();
    let row = named(&document["objects"], "/dev/shm size");
    assert_eq!((&row["used"], &row["limit"]), (&Value::Null, &Value::Null));
    let gap = document["gaps"].as_array().unwrap().iter().find(|gap| gap["subject"] == "/dev/shm size");
    assert_eq!(gap.map(|gap| &gap["errno"]), Some(&json!("ENOENT")), "{document:#}");
    let table = env.out(["limits", "shm", "--raw"]);
    assert!(table.contains("/dev/shm size\t?\t?\t"), "{table}");
}

#[test]
fn a_limit_that_cannot_be_read_is_unknown_and_no_warning_passes_over_it() {
    let env = Env::new();
    env.out(["msgq", "create", "/jobs"]);
    fs::create_dir(env.path("empty")).unwrap();
    env.sh("mount --bind empty /proc/sys/fs/mqueue").assert().success();
    let document = env.json(["limits", "msgq", "--json"]);
    assert_eq!(named(&document["objects"], "queues_max")["limit"], Value::Null);
    assert_eq!(named(&document["objects"], "queues_max")["used"], 1);
    let gaps = document["gaps"].as_array().unwrap();
    let gap = gaps.iter().find(|gap| gap["subject"] == "queues_max" && gap["field"] == "limit");
    assert_eq!(gap.map(|gap| &gap["errno"]), Some(&json!("ENOENT")), "{document:#}");
    let said = env.ipcx(["limits", "msgq", "--warn", "50"]).output().unwrap().stderr;
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("queues_max"), "a check that could not check says so: {said}");
}

/// A user that no other test is.
const OTHER: u32 = 54_321;

#[test]
fn the_pages_of_pipes_are_those_that_the_user_made() {
    let env = Env::new();
    if !env.has_users() {
        skip!("only root can be a user whom no other test is");
    }
    let as_other = |mut command: std::process::Command| {
        command.uid(OTHER).gid(OTHER);
        command
    };
    let used = || {
        let output = as_other(env.command(["limits", "pipe", "--json"])).output().unwrap();
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let (soft, hard) = ("pipe-user-pages-soft", "pipe-user-pages-hard");
        let (soft, hard) = (named(&document["objects"], soft), named(&document["objects"], hard));
        assert_eq!(soft["limit"], sysctl("fs.pipe-user-pages-soft")[0]);
        assert_eq!(hard["limit"].as_u64().unwrap_or(0), sysctl("fs.pipe-user-pages-hard")[0], "0 is no limit");
        assert_eq!(soft["used"], hard["used"]);
        soft["used"].clone()
    };
    let pipeline = || {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "cat | cat"]);
        Running::start(as_other(command))
    };
    let before = used();
    if before.is_null() {
        skip!("pipes may not be looked into here");
    }
    assert_eq!(before, 0);
    // A new pipe has 16 pages.
    let (first, second) = (pipeline(), pipeline());
    until("two pipes", || used() == 32);
    first.end();
    until("one pipe", || used() == 16);
    second.end();
    assert_eq!(used(), 0);
}

#[test]
fn queued_signals_are_those_of_the_kernel() {
    let env = Env::new();
    let row = named(&limits(&env), "RLIMIT_SIGPENDING").clone();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let queue = status.lines().find_map(|line| line.strip_prefix("SigQ:")).unwrap();
    let limit = queue.trim().split_once('/').unwrap().1;
    assert_eq!(row["limit"].to_string(), limit);
    assert!(row["used"].is_u64() && row["kind"] == "signal", "{row:#}");
    // A trap that leaves signals blocked keeps them in the queue.
    let mut blocked = env.start(["signal", "block", "RTMIN+3", "--", "sleep", "1000"]);
    blocked.wait_blocked("nanosleep");
    let pid = blocked.pid.to_string();
    for _ in 0..100 {
        env.out(["signal", "send", "RTMIN+3", &pid, "--value", "1"]);
    }
    let used = named(&limits(&env), "RLIMIT_SIGPENDING")["used"].as_u64().unwrap();
    assert!(used >= 100, "{used}");
}
