use crate::kit::elsewhere::{Elsewhere, inode};
use crate::kit::look::{assert_harmless, refused};
use crate::kit::{Env, Running, program, until};
use serde_json::{Value, json};

/// The row of a process, once it waits.
#[track_caller]
fn waiting(env: &Env, process: &Running) -> Value {
    let mut last = Value::Null;
    until(&format!("pid {} to wait", process.pid), || {
        let rows = env.json(["ps", "--json"])["objects"].clone();
        last = rows.as_array().unwrap().iter().find(|row| row["pid"] == process.pid).cloned().unwrap_or_default();
        last["waits"].as_array().is_some_and(|waits| !waits.is_empty())
    });
    last
}

#[test]
fn a_process_is_listed_with_what_it_holds_and_waits_for() {
    let env = Env::new();
    env.out(["sem", "create"]);
    env.out(["mkfifo", "./f"]);
    let process = env.start_sh("exec 3<>f; exec ipcx sem wait 0");
    let row = waiting(&env, &process);
    assert!(row["command"].as_str().unwrap().ends_with("ipcx sem wait 0"), "{row:#}");
    assert!(row["uid"].is_u64() && row["user"].is_string(), "{row:#}");
    let held = row["holds"].as_array().unwrap();
    let fifo = format!("fifo/{}", env.path("f").display());
    let hold = held.iter().find(|hold| hold["ref"] == fifo.as_str()).unwrap_or_else(|| panic!("{row:#}"));
    assert_eq!(
        (&hold["role"], &hold["detail"], &hold["grade"]),
        (&json!("both"), &json!("descriptor 3"), &json!("exact"))
    );
    let wait = &row["waits"][0];
    assert_eq!(
        (&wait["ref"], &wait["call"], &wait["tid"]),
        (&json!("sem/0"), &json!("semtimedop"), &json!(process.pid))
    );
    assert_eq!(wait["detail"], "0=-1");
    let table = env.out(["ps"]);
    let line = table.lines().find(|line| line.trim_start().starts_with(&format!("{} ", process.pid))).unwrap();
    assert!(line.contains(&fifo) && line.contains("semtimedop: sem/0"), "{table}");
}

#[test]
fn with_a_pid_there_is_a_row_for_each_object_also_pipes() {
    let env = Env::new();
    env.out(["sem", "create"]);
    let process = env.start(["sem", "wait", "0"]);
    waiting(&env, &process);
    let pid = process.pid.to_string();
    let rows = env.json(["ps", "--json", &pid])["objects"].clone();
    let rows = rows.as_array().unwrap();
    assert!(rows.iter().all(|row| row["pid"] == process.pid && row["command"] == "ipcx"), "{rows:#?}");
    let pipes = rows.iter().filter(|row| row["ref"].as_str().unwrap().starts_with("pipe/"));
    assert!(pipes.count() >= 3, "its standard streams: {rows:#?}");
    let waits: Vec<&Value> = rows.iter().filter(|row| row["role"] == "waits").collect();
    assert_eq!(waits.len(), 1, "{rows:#?}");
    assert_eq!((&waits[0]["ref"], &waits[0]["call"]), (&json!("sem/0"), &json!("semtimedop")));
    let lines = env.out(["ps", &pid, "--raw", "--no-headings", "-o", "pid,role,ref"]);
    assert!(lines.lines().any(|line| line == format!("{pid}\twaits\tsem/0")), "{lines}");
    let lines = env.out(["ps", &pid, "--jsonl"]);
    assert_eq!(lines.lines().count(), rows.len());
    // Without PIDs pipes are shown only when all is wanted.
    let usual = env.json(["ps", "--json"])["objects"].to_string();
    assert!(!usual.contains("pipe/"), "{usual}");
    assert!(env.json(["ps", "-a", "--json"])["objects"].to_string().contains("pipe/"));
}

#[test]
fn the_graph_leads_from_who_waits_over_the_object_to_who_holds_it() {
    let env = Env::new();
    env.out(["mkfifo", "./f"]);
    let writer = env.start_sh("exec 3>f; exec sleep 1000");
    let reader = env.start_sh("exec cat <f");
    let fifo = env.path("f").display().to_string();
    let pids = [writer.pid.to_string(), reader.pid.to_string()];
    let args = |form: &'static str| ["ps", form, &pids[0], &pids[1]].map(str::to_owned);
    let mut text = String::new();
    until("the reader to wait", || {
        text = env.out(args("--graph"));
        text.contains(&format!("  <-- {} (cat)  waits in read", reader.pid)) && text.contains("(sleep)")
    });
    let paragraph =
        text.split("\n\n").find(|part| part.starts_with(&format!("fifo/{fifo}\n"))).unwrap_or_else(|| panic!("{text}"));
    assert!(paragraph.contains(&format!("  --> {} (sleep)  write, descriptor 3 [exact]", writer.pid)), "{text}");
    assert!(paragraph.contains(&format!("  <-- {} (cat)  waits in read", reader.pid)), "{text}");
    let dot = env.out(args("--dot"));
    assert!(dot.starts_with("digraph ipcx {\n") && dot.ends_with('}'), "{dot}");
    let node = dot.lines().find(|line| line.contains(&format!("label=\"fifo/{fifo}\""))).unwrap();
    let node = node.split_whitespace().next().unwrap();
    assert!(dot.contains(&format!("  p{} -> {node} [style=dashed, label=\"waits in read\"];", reader.pid)), "{dot}");
    assert!(dot.contains(&format!("  {node} -> p{} [label=\"write, descriptor 3 [exact]\"];", writer.pid)), "{dot}");
}

#[test]
fn columns_are_chosen_and_listed() {
    let env = Env::new();
    let help = env.out(["ps", "-o", "help"]);
    let columns: Vec<&str> = help.lines().skip(1).map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(columns, ["pid", "uid", "user", "holds", "waits", "since", "command"]);
    let pid = std::process::id().to_string();
    assert!(env.out(["ps", &pid, "-o", "+grade"]).lines().next().unwrap().ends_with("GRADE"));
    let said = refused(&env, 2, ["ps", "-o", "colour"]);
    assert!(said.contains("there is no column `colour`; there are pid, "), "{said}");
    refused(&env, 2, ["ps", "--dot", "--json"]);
    refused(&env, 2, ["ps", "x"]);
    refused(&env, 2, ["ps", "0"]);
}

#[test]
fn a_process_that_is_not_there_is_status_3_and_the_others_are_shown() {
    let env = Env::new();
    let pid = std::process::id().to_string();
    let output = env.ipcx(["ps", "4000000", &pid, "--json"]).assert().code(3).get_output().clone();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_ne!(document["objects"], json!([]));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("ipcx: cannot look into process 4000000: "));
    let none: Value =
        serde_json::from_slice(&env.ipcx(["ps", "4000000", "--json"]).assert().code(3).get_output().stdout).unwrap();
    assert_eq!(none["objects"], json!([]));
}

#[test]
fn a_process_of_another_user_is_status_4() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("there is no second user");
    }
    let process = env.start_sh("exec sleep 1000");
    let output = env.ipcx_as_nobody(["ps", &process.pid.to_string()]).assert().code(4).get_output().clone();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("what it has open may not be seen (EACCES)") && said.contains("hint: it takes the right"),
        "{said}"
    );
}

#[test]
fn hostile_names_are_escaped_in_every_form() {
    use std::os::unix::ffi::OsStringExt as _;
    let env = Env::new();
    env.out(["sem", "create"]);
    let path = env.path("x").with_file_name(std::ffi::OsString::from_vec(b"\x1b\"\\\n".to_vec()));
    std::os::unix::fs::symlink(crate::kit::program(), &path).unwrap();
    let mut command = std::process::Command::new(&path);
    command.args(["sem", "wait", "0"]).env_clear();
    let process = Running::start(command);
    waiting(&env, &process);
    let pid = process.pid.to_string();
    for form in [&["ps"][..], &["ps", &pid], &["ps", "--graph", &pid], &["ps", "--dot", &pid], &["ps", "--raw"]] {
        let output = env.ipcx(form).assert().success().get_output().stdout.clone();
        let text = String::from_utf8_lossy(&output).replace('\t', " ");
        assert_harmless(&format!("{form:?}"), text.as_bytes());
    }
    let dot = env.out(["ps", "--dot", &pid]);
    assert!(dot.contains(&format!(r#"p{pid} [label="{pid} (\\x1b\"\\\\\\x0a)"];"#)), "{dot}");
}

/// A process in a namespace of its own that uses an object there.
fn waits_elsewhere(make: &'static [&'static str], args: &'static [&'static str]) -> Elsewhere {
    let mut command = std::process::Command::new(program());
    command.args(args);
    Elsewhere::with(move |env| drop(env.out(make)), command)
}

/// The rows of a process once it waits.
#[track_caller]
fn rows(env: &Env, pid: u32, args: &[&str]) -> Vec<Value> {
    let mut found = Vec::new();
    until(&format!("pid {pid} to wait"), || {
        let all = env.json(["ps", "--json"].iter().chain(args))["objects"].clone();
        found = all.as_array().unwrap().iter().filter(|row| row["pid"] == pid).cloned().collect();
        found.iter().any(|row| row["role"] == "waits" || row["waits"].as_array().is_some_and(|waits| !waits.is_empty()))
    });
    found
}

#[test]
fn the_namespace_of_each_process_is_told_when_it_is_asked_for() {
    let env = Env::new();
    env.out(["sem", "create"]);
    let here = env.start(["sem", "wait", "0"]);
    let there = waits_elsewhere(&["sem", "create"], &["sem", "wait", "0"]);
    let (ours, pid) = (inode(here.pid), there.pid.to_string());
    let row = |pid| rows(&env, pid, &["--all-namespaces"]).remove(0);
    assert_eq!((&row(here.pid)["namespace"], &row(here.pid)["container"]), (&json!(ours), &Value::Null));
    assert_eq!(row(there.pid)["namespace"], there.inode);
    assert!(row(there.pid)["container"].is_string());
    let waits = rows(&env, there.pid, &[&pid, "--all-namespaces"]);
    assert!(waits.iter().all(|row| row["namespace"] == there.inode), "{waits:#?}");
    // One namespace alone, by a process or by its number.
    for name in [pid.clone(), there.inode.to_string()] {
        assert_eq!(rows(&env, there.pid, &["--namespace", &name]).len(), 1);
        let all = env.json(["ps", "--json", "--namespace", &name])["objects"].clone();
        assert!(all.as_array().unwrap().iter().all(|row| row["namespace"] == there.inode), "{all:#}");
    }
    let of_ours = env.out(["ps", "--namespace", &ours.to_string(), "--raw", "--no-headings"]);
    let starts = |pid: u32| of_ours.lines().any(|line| line.starts_with(&format!("{ours}\t-\t{pid}\t")));
    assert!(starts(here.pid) && !starts(there.pid), "{of_ours}");
    assert!(rows(&env, there.pid, &[])[0].get("namespace").is_none());
    env.fails(2, ["ps", "-o", "namespace"]);
    env.fails(2, ["ps", "--namespace", "1", "--all-namespaces"]);
    env.fails(3, ["ps", "--namespace", "2147483647"]);
}

#[test]
fn a_set_of_the_same_number_in_another_namespace_is_not_taken_for_ours() {
    let env = Env::new();
    // Ours has another value, and one who has taken of it lives.
    env.out(["sem", "create", "--value", "5"]);
    let mut user = env.start(["sem", "op", "0", "--undo", "0=-1", "--", "sh", "-c", "echo; read x"]);
    assert_eq!(user.line(), "");
    let there = waits_elsewhere(&["sem", "create"], &["sem", "wait", "0"]);
    let pid = there.pid.to_string();
    let waits = rows(&env, there.pid, &[])[0]["waits"][0].clone();
    let name = format!("sem/0 of IPC namespace {}", there.inode);
    assert_eq!((&waits["ref"], &waits["object"]), (&Value::Null, &json!(name)));
    let said = env.json(["why", &pid, "--json"])["objects"][0].clone();
    let text = said["text"].as_str().unwrap();
    assert!(text.contains(&format!("in semtimedop for semaphore 0 of {name}.")), "{text}");
    assert!(!text.contains("Its value is"), "the value of ours says nothing: {text}");
    assert_eq!((&said["ref"], &said["wakers"], &said["odd"]), (&Value::Null, &json!([]), &json!([])), "{said:#}");
    let users = env.json(["ps", "--json", &user.pid.to_string()])["objects"].to_string();
    assert!(!users.contains("of IPC namespace"), "{users}");
    let ours = env.json(["show", "sem/0", "--json"])["objects"][0]["waiters"].clone();
    // An ordinary user does not see all who may wait.
    assert!(ours == json!([]) || ours.is_null(), "{ours:#}");
    let graph = env.out(["ps", "--graph"]);
    let paragraph = |first: &str| graph.split("\n\n").find(|part| part.lines().next() == Some(first));
    let theirs = paragraph(&name).unwrap_or_else(|| panic!("{graph}"));
    assert!(theirs.contains(&format!("<-- {pid} ")) && !theirs.contains("-->"), "{graph}");
}

#[test]
fn a_queue_of_the_same_number_in_another_namespace_is_not_taken_for_ours() {
    let env = Env::new();
    env.out(["msgq", "create"]);
    env.out(["msgq", "send", "0", "-t", "3", "x"]);
    let there = waits_elsewhere(&["msgq", "create"], &["msgq", "recv", "0", "-t", "7"]);
    let pid = there.pid.to_string();
    rows(&env, there.pid, &[]);
    let said = env.json(["why", &pid, "--json"])["objects"][0].clone();
    let name = format!("a message of type 7 in msgq/0 of IPC namespace {}.", there.inode);
    assert!(said["text"].as_str().unwrap().contains(&name), "{said:#}");
    assert_eq!((&said["ref"], &said["wakers"], &said["odd"]), (&Value::Null, &json!([]), &json!([])), "{said:#}");
    assert!(!said["text"].as_str().unwrap().contains("The queue"), "{said:#}");
}

#[test]
fn what_is_used_in_another_namespace_is_listed_by_its_name_there() {
    let env = Env::new();
    env.sh("ipcx shm create --size 1; ipcx msgq create /jobs").assert().success();
    let there = waits_elsewhere(&["shm", "create", "--size", "1"], &["shm", "attach", "0"]);
    let segment = format!("shm/0 of IPC namespace {}", there.inode);
    let mut holds = Value::Null;
    until("the segment to be attached", || {
        let all = env.json(["ps", "--json"])["objects"].clone();
        let row = all.as_array().unwrap().iter().find(|row| row["pid"] == there.pid).cloned();
        holds = row.unwrap_or_default()["holds"].clone();
        holds.is_array()
    });
    assert_eq!((&holds[0]["object"], &holds[0]["ref"]), (&json!(segment), &Value::Null), "{holds:#}");
    let there = waits_elsewhere(&["msgq", "create", "/jobs"], &["msgq", "recv", "/jobs"]);
    let waits = rows(&env, there.pid, &[])[0]["waits"][0].clone();
    assert_eq!((&waits["object"], &waits["ref"]), (&json!("/jobs"), &Value::Null), "{waits:#}");
}
