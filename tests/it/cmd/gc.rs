use crate::kit::look::refs;
use crate::kit::{Env, NOBODY, Running, until};
use serde_json::{Value, json};
use std::os::unix::process::CommandExt as _;

/// What is there, by reference.
fn there(env: &Env) -> Vec<String> {
    env.out(["ls", "-o", "ref", "--raw", "--no-headings"]).lines().map(str::to_owned).collect()
}

/// Runs `gc` on what this environment has alone; what it says of each object.
fn gc(env: &Env, args: &[&str]) -> Value {
    env.json(["gc", "--json", "--idle", "0s", "--in", "."].iter().chain(args))["objects"].clone()
}

/// The results by reference.
fn results(rows: &Value) -> Vec<(&str, &str)> {
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| (row["ref"].as_str().unwrap(), row["result"].as_str().unwrap())).collect()
}

fn start_as_nobody(env: &Env, args: &[&str]) -> Running {
    let mut command = env.command(args);
    command.uid(NOBODY).gid(NOBODY);
    Running::start(command)
}

#[test]
fn without_yes_the_plan_is_shown_and_nothing_is_done() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("other processes of this user are hidden");
    }
    env.out(["shm", "create", "--size", "4096"]);
    env.out(["shm", "create", "--size", "10"]);
    let output = env.ipcx(["gc", "--idle", "0s", "--in", "."]).assert().success().get_output().clone();
    let (plan, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(plan.lines().nth(1).unwrap().starts_with("shm/0 ") && plan.contains("planned"), "{plan}");
    assert!(plan.contains("nobody has it attached (nattch 0)"), "{plan}");
    assert_eq!(said, "ipcx: 2 orphans, 4106 bytes; nothing was removed: --yes removes\n");
    assert_eq!(results(&gc(&env, &[])), [("shm/0", "planned"), ("shm/1", "planned")]);
    assert_eq!(there(&env), ["shm/0", "shm/1"]);
}

#[test]
fn orphans_of_every_kind_are_removed_and_nothing_else() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("there is no second user");
    }
    env.out(["shm", "create", "--size", "1"]);
    env.out(["shm", "create", "--size", "1", "--mode", "666"]);
    env.out(["shm", "create", "/torch_4194305_1_0", "--size", "1"]);
    env.out(["shm", "create", "/frames", "--size", "1"]);
    env.out(["sem", "create", "/loky-4194305-x"]);
    env.out(["msgq", "create"]);
    env.out(["mkfifo", "./f"]);
    crate::kit::leave_stale(&env.path("dead"));
    let listener = std::os::unix::net::UnixListener::bind(env.path("live")).unwrap();
    // One of root might know the other segment.
    let holder = start_as_nobody(&env, &["shm", "attach", "1"]);
    until("the attachment", || env.json(["show", "shm/1", "--json"])["objects"][0]["nattch"] == 1);
    let removed = gc(&env, &["--yes"]);
    let all = ["shm/0", "shm//torch_4194305_1_0", "sem//loky-4194305-x", "sock/./dead"];
    assert_eq!(results(&removed), all.map(|reference| (reference, "removed")));
    assert_eq!(removed[0]["verdict"], "orphan");
    assert_eq!(removed[0]["evidence"][0], "nobody has it attached (nattch 0)");
    assert_eq!(there(&env), ["shm/1", "shm//frames", "msgq/0"]);
    assert!(env.path("f").exists() && env.path("live").exists() && !env.path("dead").exists());
    assert_eq!(gc(&env, &["--yes"]), json!([]));
    drop((listener, holder));
}

#[test]
fn sets_and_queues_are_removed_once_nobody_can_know_them() {
    let env = Env::new();
    env.sh("ipcx sem create --value 1; ipcx msgq create; ipcx msgq send 0 a; ipcx msgq recv 0 >seen")
        .assert()
        .success();
    let mut script = std::process::Command::new("sh");
    script.args(["-c", "read wait"]);
    let knows = Running::start(script);
    assert_eq!(gc(&env, &["--yes"]), json!([]));
    assert_eq!(there(&env), ["msgq/0", "sem/0"]);
    drop(knows);
    let removed = gc(&env, &["--yes"]);
    if removed == json!([]) && !env.has_users() {
        crate::skip!("other processes of this user are hidden");
    }
    assert_eq!(results(&removed), [("msgq/0", "removed"), ("sem/0", "removed")]);
    assert_eq!(there(&env), [""; 0]);
}

#[test]
fn what_a_shell_has_made_and_filled_stays_while_it_lives() {
    let env = Env::new();
    let knows = env.start_sh("m=$(ipcx shm create --size 4K); ipcx shm write $m hello; touch done; read wait");
    until("the segment to be filled", || env.path("done").exists());
    assert_eq!(gc(&env, &["--yes"]), json!([]));
    assert_eq!(there(&env), ["shm/0"]);
    drop(knows);
    if env.has_users() {
        assert_eq!(results(&gc(&env, &["--yes"])), [("shm/0", "removed")]);
    }
}

#[test]
fn links_are_followed_only_where_they_were_named() {
    let env = Env::new();
    env.sh("mkdir -p victim in; ln -s ../victim in/link; ln -s victim named; ln -s ../victim/s in/s")
        .assert()
        .success();
    crate::kit::leave_stale(&env.path("victim/s"));
    let in_place = |place: &str| env.json(["gc", "sock", "--yes", "--json", "--idle", "0s", "--in", place]);
    assert_eq!(in_place("in")["objects"], json!([]));
    assert!(env.path("victim/s").exists());
    let removed = in_place("named")["objects"].clone();
    assert_eq!(results(&removed)[0].1, "removed");
    assert!(!env.path("victim/s").exists());
    crate::kit::leave_stale(&env.path("victim/s"));
    env.out(["rm", "sock/named/s"]);
    assert!(!env.path("victim/s").exists());
}

#[test]
fn root_leaves_out_directories_that_everybody_may_write_to() {
    let env = Env::new();
    env.sh("mkdir -m 777 open; mkdir -m 1777 sticky").assert().success();
    for directory in ["open", "sticky"] {
        crate::kit::leave_stale(&env.path(directory).join("s"));
    }
    let document = env.json(["gc", "sock", "--yes", "--json", "--idle", "0s", "--in", "."]);
    assert_eq!(results(&document["objects"]), [("sock/./sticky/s", "removed")]);
    assert_eq!(document["gaps"][0]["subject"], "./open");
    assert!(env.path("open/s").exists());
}

#[test]
fn what_was_used_lately_stays_unless_that_is_said() {
    let env = Env::new();
    env.out(["shm", "create", "--size", "1"]);
    let said = env.ipcx(["gc", "--yes", "--in", "."]).assert().success().stdout("").get_output().stderr.clone();
    assert_eq!(String::from_utf8(said).unwrap(), "ipcx: there is no orphan\n");
    assert_eq!(gc(&env, &["--yes", "--older", "1h"]), json!([]));
    assert_eq!(there(&env), ["shm/0"]);
}

#[test]
fn options_choose_what_is_removed() {
    let env = Env::new();
    for name in ["/torch_4194305_1_0", "/torch_4194305_1_1", "/torch_4194305_2_0"] {
        env.out(["shm", "create", name, "--size", "1"]);
    }
    env.out(["sem", "create", "/loky-4194305-x"]);
    env.out(["shm", "create", "--size", "1"]);
    env.fails(2, ["gc", "--yes", "fifos"]);
    if !env.has_users() {
        crate::skip!("other processes of this user are hidden");
    }
    assert_eq!(refs(&gc(&env, &["--yes", "--owner", "54321"])), [""; 0]);
    assert_eq!(refs(&gc(&env, &["--yes", "--kind", "sem"])), ["sem//loky-4194305-x"]);
    assert_eq!(
        refs(&gc(&env, &["--yes", "--match", "/torch_*_1_?"])),
        ["shm//torch_4194305_1_0", "shm//torch_4194305_1_1"]
    );
    assert_eq!(refs(&gc(&env, &["--yes", "shm", "--mine", "--match", "shm/[0-9]"])), [""; 0]);
    assert_eq!(refs(&gc(&env, &["--yes", "shm", "--mine"])), ["shm/0", "shm//torch_4194305_2_0"]);
}

#[test]
fn what_may_not_be_removed_is_said_and_gives_the_status() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("there is no second user");
    }
    crate::kit::leave_stale(&env.path("s"));
    env.sh("chmod 777 s").assert().success();
    let args = ["gc", "sock", "--yes", "--idle", "0", "--json", "--in", "."];
    let output = env.ipcx_as_nobody(args).assert().code(4).get_output().clone();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(results(&document["objects"]), [("sock/./s", "denied")]);
    assert!(document["objects"][0]["detail"].as_str().unwrap().contains("EACCES"), "{document:#}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("ipcx: cannot remove sock/./s: ") && said.contains("belongs to root"), "{said}");
    assert!(env.path("s").exists());
}

#[test]
fn very_many_are_removed_one_by_one() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("other processes of this user are hidden");
    }
    env.sh("i=0; while [ $i -lt 300 ]; do ipcx shm create --size 1 >>ids; i=$((i+1)); done").assert().success();
    let removed = gc(&env, &["--yes"]);
    assert_eq!(removed.as_array().unwrap().len(), 300);
    assert!(removed.as_array().unwrap().iter().all(|row| row["result"] == "removed"));
    assert_eq!(there(&env), [""; 0]);
}
