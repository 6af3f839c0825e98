use super::{line_of, report, reported};
use crate::kit::look::assert_harmless;
use crate::kit::{Env, Running, until};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;

#[test]
fn bytes_and_statuses_are_those_of_the_commands() {
    let env = Env::new();
    let words = ["head", "-c", "3000000", "/dev/zero", ":::", "cat", ":::", "sh", "-c", "wc -c; exit 0"];
    let (report, out) = reported(&env, &words);
    assert_eq!(out, "3000000\n");
    assert_eq!(report["version"], 1);
    let stages = report["stages"].as_array().unwrap();
    let of = |key: &str| stages.iter().map(|stage| stage[key].clone()).collect::<Vec<Value>>();
    assert_eq!(of("stage"), [1, 2, 3]);
    assert_eq!(of("status"), [0, 0, 0]);
    assert_eq!(of("signal"), [Value::Null, Value::Null, Value::Null]);
    assert_eq!(of("bytes_in")[1..], [3_000_000, 3_000_000]);
    assert_eq!(of("bytes_out"), [3_000_000, 3_000_000, 8]);
    assert_eq!(stages[0]["command"], json!(["head", "-c", "3000000", "/dev/zero"]));
    assert!(stages.iter().all(|stage| stage["max_memory"].as_u64() > Some(1 << 16)));
    assert!(stages.iter().all(|stage| stage["user_ms"].is_u64() && stage["system_ms"].is_u64()));
    let edges = report["edges"].as_array().unwrap();
    assert_eq!(edges.len(), 2);
    for (at, edge) in edges.iter().enumerate() {
        assert_eq!((&edge["from"], &edge["to"]), (&json!(at + 1), &json!(at + 2)));
        assert_eq!((&edge["bytes"], &edge["capacity"]), (&json!(3_000_000), &json!(1 << 16)));
        assert!(edge["max_fill"].as_u64() <= Some(1 << 16) && edge["max_used"].as_u64() <= Some(16));
    }
    assert!(report["bottleneck"]["text"].as_str().unwrap().starts_with("bottleneck: "));
}

#[test]
fn a_death_is_a_signal_and_no_status() {
    let env = Env::new();
    let (report, _) = reported(&env, &["-q", "sh", "-c", "kill -TERM $$", ":::", "cat"]);
    assert_eq!(report["stages"][0]["status"], Value::Null);
    assert_eq!(report["stages"][0]["signal"], "SIGTERM");
    assert_eq!(report["stages"][1]["status"], 0);
}

#[test]
fn a_command_alone_has_a_report_without_pipes() {
    let env = Env::new();
    let (report, out) = reported(&env, &["sh", "-c", "printf 12345; exec cat"]);
    assert_eq!(out, "12345");
    assert_eq!(report["edges"], json!([]));
    assert_eq!(report["stages"][0]["bytes_out"], 5);
}

#[test]
fn the_report_for_people_is_a_table_of_stages_and_one_of_pipes() {
    let env = Env::new();
    let run = ["pipe", "--report", "printf", "a\x1b[31m", ":::", "cat", ":::", "true"];
    let output = env.ipcx(run).assert().success().get_output().clone();
    assert_harmless("the report", &output.stderr);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.lines().next().unwrap().starts_with("STAGE  COMMAND"), "{said}");
    assert!(said.contains("printf a\\x1b[31m"), "{said}");
    assert!(said.contains("FROM  TO"), "{said}");
    assert!(said.lines().last().unwrap().starts_with("bottleneck: "), "{said}");
    // To a file nothing goes to standard error; --output alone is such a report.
    env.ipcx(["pipe", "-o", "report", "true", ":::", "true"]).assert().success().stderr("");
    assert!(fs::read_to_string(env.path("report")).unwrap().starts_with("STAGE  COMMAND"));
}

/// A pipeline whose middle stage keeps a processor busy until the file `go` is there. It is looked at often
/// when the meter, which shows a line each second, has shown one.
#[test]
fn the_stage_that_the_others_wait_for_is_named() {
    let env = Env::new();
    let busy = "while ! [ -e go ]; do :; done; exec head -c 100000";
    let words = ["pipe", "--meter", "always", "--json", "-o", "report.json"];
    let mut run = env.command([&words[..], &["yes", ":::", "sh", "-c", busy, ":::", "wc", "-c"]].concat());
    run.stderr(fs::File::create(env.path("meter")).unwrap());
    run.stdout(fs::File::create(env.path("out")).unwrap());
    let mut child = run.spawn().unwrap();
    until("the meter", || fs::read_to_string(env.path("meter")).unwrap().contains("*sh ▸ wc"));
    let meter = fs::read_to_string(env.path("meter")).unwrap();
    fs::write(env.path("go"), "").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(fs::read_to_string(env.path("out")).unwrap(), "100000\n");
    assert!(meter.contains("yes ▸ *sh") && meter.contains("yes waits for sh"), "{meter}");
    assert!(meter.contains("*sh ▸ wc") && meter.contains("wc waits for sh"), "{meter}");
    let report = report(&env);
    assert_eq!(report["bottleneck"]["place"], "stage");
    assert_eq!(report["bottleneck"]["stage"], 2);
    assert!(report["bottleneck"]["text"].as_str().unwrap().contains("stage 2 (sh)"));
    let share = |stage: usize, key: &str| report["stages"][stage][key].as_f64().unwrap();
    assert!(share(0, "blocked_percent") > 50.0, "{report:#}");
    assert!(share(1, "blocked_percent") + share(1, "starved_percent") < 50.0, "{report:#}");
    assert!(share(2, "starved_percent") > 50.0, "{report:#}");
    // What nobody read while it was busy filled the pipe.
    assert_eq!(report["edges"][0]["max_fill"], 1 << 16);
    assert_eq!(report["edges"][0]["max_used"], 16);
}

#[test]
fn slots_are_full_before_bytes_are() {
    let env = Env::new();
    // Writes of more than half a page take a page each.
    let writer = "echo $$ >writer; exec dd if=/dev/zero bs=2049 count=100 2>/dev/null";
    let reader = "while ! [ -e go ]; do read x <hold; done; exec wc -c";
    env.sh("mkfifo hold").assert().success();
    let words =
        ["pipe", "--meter", "always", "--json", "-o", "report.json", "sh", "-c", writer, ":::", "sh", "-c", reader];
    let mut run = env.command(words);
    run.stderr(fs::File::create(env.path("meter")).unwrap());
    let mut run = {
        run.stdout(fs::File::create(env.path("out")).unwrap());
        run.spawn().unwrap()
    };
    until("the meter", || fs::read_to_string(env.path("meter")).unwrap().contains("slots"));
    let meter = fs::read_to_string(env.path("meter")).unwrap();
    assert!(meter.contains("32.0K/64.0K  16/16 slots"), "{meter}");
    fs::write(env.path("go"), "").unwrap();
    fs::write(env.path("hold"), "\n").unwrap();
    assert!(run.wait().unwrap().success());
    assert_eq!(fs::read_to_string(env.path("out")).unwrap(), "204900\n");
    let report = report(&env);
    assert_eq!(report["edges"][0]["max_used"], 16);
}

#[test]
fn a_process_that_a_stage_has_started_is_looked_at_for_it() {
    let env = Env::new();
    let stage = "sh -c 'echo $$ >reader; exec cat'; true";
    let words = ["pipe", "--meter", "always", "sh", "-c", "echo x; exec cat", ":::", "sh", "-c", stage];
    let mut command = env.command(words);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
    command.stderr(fs::File::create(env.path("meter")).unwrap());
    let mut run = command.spawn().unwrap();
    line_of(&env, "reader");
    until("the meter", || fs::read_to_string(env.path("meter")).unwrap().contains("waits for"));
    drop(run.stdin.take());
    assert!(run.wait().unwrap().success());
    let meter = fs::read_to_string(env.path("meter")).unwrap();
    assert!(meter.contains("0/64.0K   0/16 slots  sh waits for sh"), "{meter}");
}

#[test]
fn a_stopped_stage_is_shown_as_stopped() {
    let env = Env::new();
    let words = ["pipe", "--meter", "always", "sh", "-c", "echo $$ >pid; exec cat", ":::", "cat"];
    let mut command = env.command(words);
    command.stdin(std::process::Stdio::piped()).stderr(fs::File::create(env.path("meter")).unwrap());
    let mut run = command.spawn().unwrap();
    let pid = line_of(&env, "pid");
    env.sh(&format!("kill -STOP {pid}")).assert().success();
    until("the meter", || fs::read_to_string(env.path("meter")).unwrap().contains("sh is stopped"));
    env.sh(&format!("kill -CONT {pid}")).assert().success();
    drop(run.stdin.take());
    assert!(run.wait().unwrap().success());
}

#[test]
fn what_a_relay_moves_unseen_by_the_kernel_is_taken_from_the_other_side() {
    let env = Env::new();
    let hold = "echo $$ >pid; while ! [ -e go ]; do read x <hold; done; exec wc -c";
    env.sh("mkfifo hold").assert().success();
    let words = ["pipe", "--meter", "always", "--json", "-o", "report.json"];
    let stages = ["head", "-c", "3000000", "/dev/zero", ":::", "ipcx", "pipe", ":::", "sh", "-c", hold];
    let mut run = env.command([&words[..], &stages].concat());
    run.stderr(fs::File::create(env.path("meter")).unwrap()).stdout(fs::File::create(env.path("out")).unwrap());
    let mut run = run.spawn().unwrap();
    // Until the relay waits in splice(2), because nobody reads what it has moved.
    until("the meter", || fs::read_to_string(env.path("meter")).unwrap().contains("ipcx waits for sh"));
    fs::write(env.path("go"), "").unwrap();
    fs::write(env.path("hold"), "\n").unwrap();
    assert!(run.wait().unwrap().success());
    assert_eq!(fs::read_to_string(env.path("out")).unwrap(), "3000000\n");
    assert_eq!(report(&env)["edges"][0]["bytes"], 3_000_000);
}

#[test]
fn a_command_that_runs_as_another_user_is_not_known_and_not_guessed() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("another user is needed");
    }
    let program = env.path("setuid-cat");
    fs::copy("/bin/cat", &program).unwrap();
    chown(&program, Some(0), Some(0)).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    if nix::sys::statvfs::statvfs(&program).unwrap().flags().contains(nix::sys::statvfs::FsFlags::ST_NOSUID) {
        crate::skip!("setuid means nothing where temporary files are");
    }
    fs::write(env.path("report.json"), "").unwrap();
    chown(env.path("report.json"), Some(crate::kit::NOBODY), None).unwrap();
    let words = ["pipe", "--json", "-o", "report.json", "cat", ":::", "./setuid-cat"];
    let mut command = env.command(words);
    command.uid(crate::kit::NOBODY).gid(crate::kit::NOBODY);
    let mut run = Running::start(command);
    run.write(b"hello\n");
    assert_eq!(run.line(), "hello");
    assert_eq!(run.status().code(), Some(0));
    let report = report(&env);
    let hidden = &report["stages"][1];
    assert_eq!((&hidden["bytes_out"], &hidden["starved_percent"]), (&Value::Null, &Value::Null));
    // What its neighbour wrote is known.
    assert_eq!((&hidden["bytes_in"], &hidden["status"]), (&json!(6), &json!(0)), "{report:#}");
}
