use crate::kit::Env;
use crate::kit::look::{by_ref, mount_mqueue, refs, refused, unmount_mqueue};
use crate::skip;
use predicates::Predicate as _;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// One object of each kind and family, with what was asked for when it was made.
fn one_of_each(env: &Env) {
    env.out(["shm", "create", "key/1234", "--size", "5000", "--mode", "640"]);
    env.out(["shm", "create", "/frames", "--size", "4096", "--mode", "600"]);
    env.out(["msgq", "create", "0x4d2", "--max-bytes", "8K", "--mode", "606"]);
    env.out(["msgq", "create", "/jobs", "--max-messages", "3", "--message-size", "100"]);
    env.out(["sem", "create", "key/7", "--value", "1,2,3"]);
    env.out(["sem", "create", "/lock", "--value", "7"]);
    env.out(["msgq", "send", "0", "hello"]);
    env.out(["msgq", "send", "/jobs", "four"]);
}

#[track_caller]
fn assert_fields(object: &Value, expected: &Value) {
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&object[key], value, "{key} of {object:#}");
    }
}

#[test]
fn an_empty_namespace_is_an_empty_document_and_no_failure() {
    let env = Env::new();
    let document = env.json(["ls", "--json"]);
    assert_eq!(document, json!({"version": 1, "objects": [], "gaps": []}));
    assert_eq!(env.out(["ls"]), "");
    assert_eq!(env.out(["ls", "--jsonl"]), "");
    assert_eq!(env.out(["ls", "--raw", "--no-headings"]), "");
    for kind in ["shm", "msgq", "sem"] {
        assert_eq!(env.json([kind, "ls", "--json"])["objects"], json!([]));
    }
}

#[test]
fn every_kind_is_listed_with_what_was_asked_for() {
    let env = Env::new();
    one_of_each(&env);
    let document = env.json(["ls", "--json"]);
    assert_eq!(document["version"], 1);
    assert_eq!(document["gaps"], json!([]));
    let objects = &document["objects"];
    assert_eq!(refs(objects), ["shm/0", "shm//frames", "msgq/0", "msgq//jobs", "sem/0", "sem//lock"]);

    let none = Value::Null;
    let expected = json!({"kind": "shm", "family": "sysv", "id": 0, "key": "0x000004d2", "name": none, "uid": 0,
        "gid": 0, "user": "root", "mode": "0640", "size": 5000, "nattch": 0, "status": none, "atime": none});
    assert_fields(by_ref(objects, "shm/0"), &expected);
    let expected = json!({"kind": "shm", "family": "posix", "id": none, "key": none, "name": "/frames", "uid": 0,
        "mode": "0600", "size": 4096, "nattch": none, "cpid": none});
    assert_fields(by_ref(objects, "shm//frames"), &expected);
    let expected = json!({"kind": "msgq", "family": "sysv", "id": 0, "key": "0x000004d2", "mode": "0606",
        "messages": 1, "bytes": 5, "lrpid": 0, "rtime": none});
    assert_fields(by_ref(objects, "msgq/0"), &expected);
    let expected = json!({"kind": "msgq", "family": "posix", "name": "/jobs", "messages": 1, "bytes": 4,
        "max_messages": 3, "message_size": 100, "lspid": none, "notify": none});
    assert_fields(by_ref(objects, "msgq//jobs"), &expected);
    let expected = json!({"kind": "sem", "family": "sysv", "key": "0x00000007", "nsems": 3, "value": none});
    assert_fields(by_ref(objects, "sem/0"), &expected);
    let expected = json!({"kind": "sem", "family": "posix", "name": "/lock", "nsems": 1, "value": 7, "waiting": 0,
        "layout": "glibc"});
    assert_fields(by_ref(objects, "sem//lock"), &expected);
}

#[test]
fn every_object_begins_with_the_same_keys_whatever_its_kind() {
    let env = Env::new();
    one_of_each(&env);
    for line in env.out(["ls", "--jsonl"]).lines() {
        let object: Value = serde_json::from_str(line).unwrap();
        for key in ["kind", "family", "ref", "id", "key", "name", "uid", "user", "gid", "group", "mode"] {
            assert!(object.get(key).is_some(), "{key} is missing in {line}");
        }
        let start = line.split("\":").next().unwrap();
        assert_eq!(start, "{\"kind", "{line}");
    }
}

#[test]
fn times_in_json_are_rfc_3339_in_utc() {
    let env = Env::new();
    one_of_each(&env);
    let document = env.json(["ls", "--json"]);
    let unix = env.out(["ls", "msgq", "--raw", "--no-headings", "-o", "stime"]);
    let unix: i64 = unix.lines().next().unwrap().parse().unwrap();
    let stime = by_ref(&document["objects"], "msgq/0")["stime"].as_str().unwrap();
    assert!(predicates::str::is_match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$").unwrap().eval(stime), "{stime}");
    let date = env.sh(&format!("date -d '{stime}' +%s")).assert().success().get_output().stdout.clone();
    assert_eq!(String::from_utf8(date).unwrap().trim(), unix.to_string());
}

#[test]
fn a_kind_is_listed_under_its_noun_as_by_the_verb_across_kinds() {
    let env = Env::new();
    one_of_each(&env);
    for kind in ["shm", "msgq", "sem"] {
        let by_verb = env.json(["ls", kind, "--json"]);
        assert_eq!(by_verb["objects"].as_array().unwrap().len(), 2);
        assert_eq!(env.json([kind, "ls", "--json"]), by_verb);
    }
    assert_eq!(refs(&env.json(["ls", "sem", "shm", "--json"])["objects"]).len(), 4);
}

#[test]
fn an_unknown_kind_is_wrong_usage_and_names_the_kinds() {
    let env = Env::new();
    let said = refused(&env, 2, ["ls", "queues"]);
    assert!(said.contains("shm") && said.contains("msgq") && said.contains("sem"), "{said}");
}

#[test]
fn mine_and_owner_keep_only_the_objects_of_that_user() {
    let env = Env::new();
    if !env.has_users() {
        skip!("there is no second user");
    }
    env.out(["msgq", "create"]);
    env.out(["shm", "create", "/roots", "--size", "1"]);
    env.ipcx_as_nobody(["msgq", "create"]).assert().success();
    env.ipcx_as_nobody(["shm", "create", "/theirs", "--size", "1"]).assert().success();
    let mine = env.json(["ls", "--mine", "--json"]);
    assert_eq!(refs(&mine["objects"]), ["shm//roots", "msgq/0"]);
    for owner in ["nobody", "65534"] {
        let theirs = env.json(["ls", "--owner", owner, "--json"]);
        assert_eq!(refs(&theirs["objects"]), ["shm//theirs", "msgq/1"]);
    }
    let as_nobody = env.ipcx_as_nobody(["ls", "--mine", "-o", "ref", "--raw", "--no-headings"]).assert().success();
    as_nobody.stdout("shm//theirs\nmsgq/1\n");
    assert_eq!(env.json(["ls", "--owner", "4711", "--json"])["objects"], json!([]));
}

#[test]
fn an_unknown_user_is_wrong_usage() {
    let env = Env::new();
    let said = refused(&env, 2, ["ls", "--owner", "nosuchuser"]);
    assert!(said.contains("nosuchuser"), "{said}");
    for number in ["4294967296", "-1", ""] {
        refused(&env, 2, ["ls", &format!("--owner={number}")]);
    }
}

#[test]
fn a_column_of_numbers_is_sorted_as_numbers() {
    let env = Env::new();
    for size in ["900", "10000", "2000", "30"] {
        env.out(["shm", "create", "--size", size]);
    }
    let sizes = |args: &[&str]| {
        let fixed = ["ls", "shm", "-o", "size", "--raw", "--no-headings", "--sort", "size"];
        env.out(fixed.iter().chain(args)).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(sizes(&[]), ["30", "900", "2000", "10000"]);
    assert_eq!(sizes(&["-r"]), ["10000", "2000", "900", "30"]);
    assert_eq!(sizes(&["--reverse"]), ["10000", "2000", "900", "30"]);
}

#[test]
fn sorting_by_a_column_that_is_not_shown_works_and_what_is_unknown_comes_last() {
    let env = Env::new();
    one_of_each(&env);
    env.out(["shm", "create", "/big", "--size", "1M"]);
    let order = |args: &[&str]| env.out(["ls", "shm", "-o", "ref", "--raw", "--no-headings"].iter().chain(args));
    assert_eq!(order(&["--sort", "size"]), "shm//frames\nshm/0\nshm//big");
    assert_eq!(order(&["--sort", "id"]).lines().next(), Some("shm/0"));
    assert_eq!(order(&["--sort", "SIZE"]), "shm//frames\nshm/0\nshm//big", "names of columns in capitals");
    assert_eq!(order(&["-r"]), "shm//frames\nshm//big\nshm/0");
}

#[test]
fn reversed_order_without_a_column_turns_the_usual_one_round() {
    let env = Env::new();
    for _ in 0..3 {
        env.out(["msgq", "create"]);
    }
    env.out(["msgq", "create", "/a", "--max-messages", "1", "--message-size", "8"]);
    env.out(["msgq", "create", "/b", "--max-messages", "1", "--message-size", "8"]);
    let usual = env.out(["ls", "msgq", "-o", "ref", "--raw", "--no-headings"]);
    assert_eq!(usual, "msgq/0\nmsgq/1\nmsgq/2\nmsgq//a\nmsgq//b");
    let turned = env.out(["ls", "msgq", "-r", "-o", "ref", "--raw", "--no-headings"]);
    assert_eq!(turned, "msgq//b\nmsgq//a\nmsgq/2\nmsgq/1\nmsgq/0");
}

#[test]
fn an_unknown_column_is_wrong_usage_and_names_the_columns() {
    let env = Env::new();
    for args in [["ls", "--sort", "siz"], ["ls", "-o", "ref,siz"], ["ls", "-o", "+siz"]] {
        let said = refused(&env, 2, args);
        assert!(said.contains("siz") && said.contains("nattch") && said.contains("nsems"), "{said}");
        assert!(!said.contains("sizenattch"), "{said}");
    }
    let said = refused(&env, 2, ["ls", "sem", "-o", "nattch"]);
    assert!(said.contains("nsems") && !said.contains("cpid"), "the columns of that kind alone: {said}");
    refused(&env, 2, ["ls", "-o", ""]);
    refused(&env, 2, ["ls", "-o", "ref,"]);
}

#[test]
fn chosen_columns_are_shown_in_their_order_and_a_plus_adds_to_the_usual_ones() {
    let env = Env::new();
    one_of_each(&env);
    let chosen = env.out(["ls", "shm", "-o", "size,ref", "--raw"]);
    assert_eq!(chosen, "SIZE\tREF\n5000\tshm/0\n4096\tshm//frames");
    let usual = env.out(["ls", "shm", "--raw"]);
    let more = env.out(["ls", "shm", "--raw", "-o", "+gid,cgid"]);
    let heading = usual.lines().next().unwrap();
    assert_eq!(more.lines().next(), Some(&*format!("{heading}\tGID\tCGID")));
    let json = env.json(["ls", "shm", "--json", "-o", "ref,size"]);
    assert_eq!(json["objects"][0], json!({"ref": "shm/0", "size": 5000}));
}

#[test]
fn a_column_that_only_another_kind_has_is_empty_and_not_an_error() {
    let env = Env::new();
    one_of_each(&env);
    let rows = env.out(["ls", "--raw", "--no-headings", "-o", "ref,nsems"]);
    assert_eq!(rows, "shm/0\t-\nshm//frames\t-\nmsgq/0\t-\nmsgq//jobs\t-\nsem/0\t3\nsem//lock\t1");
}

#[test]
fn the_columns_are_listed_with_the_kinds_that_have_them() {
    let env = Env::new();
    let help = env.out(["ls", "-o", "help"]);
    let kinds_of = |column: &str| {
        let line = help.lines().find(|line| line.split_whitespace().next() == Some(column));
        line.unwrap_or_else(|| panic!("no {column} in {help}")).split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(kinds_of("ref"), "shm,msgq,sem");
    assert_eq!(kinds_of("nattch"), "shm");
    assert_eq!(kinds_of("nsems"), "sem");
    // One word, several kinds.
    assert_eq!(kinds_of("mtime"), "shm,msgq,sem");
    assert_eq!(kinds_of("ctime"), "shm,msgq,sem");
    assert_eq!(kinds_of("in_use"), "shm,sem");
    assert_eq!(kinds_of("processes"), "shm,msgq,sem");
    let of_sem = env.out(["sem", "ls", "-o", "help"]);
    assert!(of_sem.contains("nsems") && !of_sem.contains("nattch"), "{of_sem}");
}

#[test]
fn every_column_of_the_help_can_be_shown_and_sorted_by_and_is_a_key_of_json() {
    let env = Env::new();
    one_of_each(&env);
    let help = env.out(["ls", "-o", "help"]);
    let columns: Vec<&str> = help.lines().skip(1).map(|line| line.split_whitespace().next().unwrap()).collect();
    assert!(columns.len() > 30, "{help}");
    let all = columns.join(",");
    let document = env.json(["ls", "--json", "-o", &all]);
    for object in document["objects"].as_array().unwrap() {
        let keys: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
        // To look into a System V segment it would have to be attached, which a listing does not do.
        let untouched = |column: &str| column == "first_bytes" && object["family"] == "sysv";
        assert!(columns.iter().all(|column| keys.contains(column) || untouched(column)), "{object:#}");
    }
    for column in columns {
        env.out(["ls", "--sort", column, "-o", column]);
    }
}

#[test]
fn raw_lines_are_tab_separated_exact_and_complete() {
    let env = Env::new();
    env.out(["shm", "create", "key/1234", "--size", "5000"]);
    let raw = env.out(["shm", "ls", "--raw"]);
    let lines: Vec<&str> = raw.lines().collect();
    assert_eq!(lines.len(), 2);
    let (heading, row): (Vec<&str>, Vec<&str>) = (lines[0].split('\t').collect(), lines[1].split('\t').collect());
    assert_eq!(heading, ["REF", "KEY", "USER", "MODE", "SIZE", "NATTCH", "STATUS", "CPID", "LPID", "CTIME"]);
    assert_eq!(row.len(), heading.len());
    assert_eq!(row[..7], ["shm/0", "0x000004d2", "root", "0600", "5000", "0", "-"]);
    assert!(row[9].parse::<u64>().unwrap() > 1_600_000_000, "exact times are seconds: {row:?}");
    assert_eq!(env.out(["shm", "ls", "--raw", "--no-headings"]), lines[1]);
}

#[test]
fn sizes_are_human_in_tables_and_exact_with_bytes() {
    let env = Env::new();
    env.out(["shm", "create", "--size", "3M"]);
    let cell = |args: &[&str]| env.out(["ls", "shm", "-o", "size", "--no-headings"].iter().chain(args));
    assert_eq!(cell(&[]), "3.0M");
    assert_eq!(cell(&["-b"]), "3145728");
    assert_eq!(cell(&["--bytes"]), "3145728");
    assert_eq!(cell(&["--raw"]), "3145728");
}

#[test]
fn times_have_the_format_that_was_asked_for() {
    let env = Env::new();
    env.out(["msgq", "create"]);
    let cell = |format: &str| env.out(["ls", "msgq", "-o", "ctime", "--no-headings", "--time-format", format]);
    let matches = |pattern: &str, text: &str| predicates::str::is_match(pattern).unwrap().eval(text);
    assert!(matches(r"^\d+s$", &cell("relative")), "{}", cell("relative"));
    assert!(matches(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$", &cell("iso")), "{}", cell("iso"));
    assert!(matches(r"^\d{10}$", &cell("unix")), "{}", cell("unix"));
    assert!(matches(r"^\d+s$", &env.out(["ls", "msgq", "-o", "ctime", "--no-headings"])));
    refused(&env, 2, ["ls", "--time-format", "stardate"]);
}

#[test]
fn a_table_in_a_pipe_has_no_colour_unless_it_is_forced() {
    let env = Env::new();
    env.out(["msgq", "create"]);
    let coloured = |args: &[&str], vars: &[(&str, &str)]| {
        let mut command = env.ipcx(["ls"].iter().chain(args));
        command.envs(vars.iter().copied());
        command.assert().success().get_output().stdout.contains(&0x1b)
    };
    assert!(!coloured(&[], &[]));
    assert!(!coloured(&[], &[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]));
    assert!(coloured(&[], &[("CLICOLOR_FORCE", "1")]));
    assert!(coloured(&["--color", "always"], &[]));
    assert!(coloured(&["--color", "always"], &[("NO_COLOR", "1")]), "an option is stronger than the environment");
    assert!(!coloured(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[], &[("NO_COLOR", "1")]));
    assert!(!coloured(&["--json"], &[("CLICOLOR_FORCE", "1")]), "machines get no colour");
    assert!(!coloured(&["--raw"], &[("CLICOLOR_FORCE", "1")]), "machines get no colour");
}

#[test]
fn a_table_in_a_pipe_is_the_table_alone_and_never_cut() {
    let env = Env::new();
    let name = format!("/{}", "n".repeat(250));
    env.out(["shm", "create", &name, "--size", "1"]);
    let mut command = env.ipcx(["ls", "-o", "ref,size"]);
    let output = command.env("COLUMNS", "20").assert().success().get_output().clone();
    assert_eq!(output.stderr, b"", "nothing is said beside it");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].starts_with("REF"), "{text}");
    assert!(lines[1].starts_with(&format!("shm/{name}  ")), "{text}");
}

#[test]
fn an_unreadable_posix_queue_is_listed_with_what_is_known_and_why_not_more() {
    let env = Env::new();
    if !env.has_users() {
        skip!("root of a user namespace may read everything");
    }
    mount_mqueue(&env);
    env.out(["msgq", "create", "/secret", "--max-messages", "1", "--message-size", "8"]);
    env.out(["msgq", "send", "/secret", "x"]);
    let output = env.ipcx_as_nobody(["ls", "msgq", "--json"]).assert().success().get_output().stdout.clone();
    let document: Value = serde_json::from_slice(&output).unwrap();
    let queue = by_ref(&document["objects"], "msgq//secret");
    assert_fields(queue, &json!({"name": "/secret", "uid": 0, "mode": "0600", "messages": null, "bytes": null}));
    let gaps = document["gaps"].as_array().unwrap();
    for field in ["messages", "bytes", "max_messages", "message_size"] {
        let gap = gaps.iter().find(|gap| gap["field"] == field).unwrap_or_else(|| panic!("no gap for {field}"));
        assert_fields(gap, &json!({"subject": "msgq//secret", "errno": "EACCES"}));
        assert!(!gap["reason"].as_str().unwrap().is_empty());
    }
    let raw = env.ipcx_as_nobody(["ls", "msgq", "--raw", "--no-headings", "-o", "ref,messages,bytes"]);
    { raw }.assert().success().stdout("msgq//secret\t?\t?\n");
    let table = env.ipcx_as_nobody(["ls", "msgq", "--no-headings", "-o", "ref,messages"]).assert().success();
    table.stdout("msgq//secret  ?\n");
}

#[test]
fn unreadable_shared_memory_and_semaphores_are_listed_with_what_is_known() {
    let env = Env::new();
    if !env.has_users() {
        skip!("root of a user namespace may read everything");
    }
    env.out(["shm", "create", "/frames", "--size", "4096"]);
    env.out(["sem", "create", "/lock", "--value", "3"]);
    let output = env.ipcx_as_nobody(["ls", "--json"]).assert().success().get_output().stdout.clone();
    let document: Value = serde_json::from_slice(&output).unwrap();
    assert_fields(by_ref(&document["objects"], "shm//frames"), &json!({"size": 4096, "mode": "0600", "user": "root"}));
    assert_fields(by_ref(&document["objects"], "sem//lock"), &json!({"nsems": 1, "value": null, "uid": 0}));
    let gaps = document["gaps"].as_array().unwrap();
    assert!(
        gaps.iter().any(|gap| gap["subject"] == "sem//lock" && gap["field"] == "value" && gap["errno"] == "EACCES")
    );
}

#[test]
fn posix_queues_are_listed_without_a_mounted_mqueue() {
    let env = Env::new();
    env.out(["msgq", "create", "/jobs", "--max-messages", "1", "--message-size", "8"]);
    unmount_mqueue(&env);
    let document = env.json(["ls", "msgq", "--json"]);
    assert_eq!(refs(&document["objects"]), ["msgq//jobs"]);
    assert_eq!(document["gaps"], json!([]));
    assert_eq!(document["objects"][0]["max_messages"], 1);
}

#[test]
fn a_user_who_cannot_look_for_posix_queues_is_told_so() {
    let env = Env::new();
    if !env.has_users() {
        skip!("there is no second user");
    }
    env.out(["msgq", "create", "/jobs", "--max-messages", "1", "--message-size", "8"]);
    env.out(["msgq", "create"]);
    unmount_mqueue(&env);
    let output = env.ipcx_as_nobody(["ls", "msgq", "--json"]).assert().success().get_output().clone();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(refs(&document["objects"]), ["msgq/0"], "the rest is listed");
    assert_eq!(document["gaps"].as_array().unwrap().len(), 1, "{document:#}");
    assert_eq!(document["gaps"][0]["field"], Value::Null);
    assert!(document["gaps"][0]["reason"].as_str().unwrap().contains("could not look"), "{document:#}");
    for args in [&["ls", "msgq"][..], &["ls", "--raw"], &["ls", "--jsonl"]] {
        let output = env.ipcx_as_nobody(args).assert().success().get_output().clone();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("could not look") && said.contains("/dev/mqueue"), "{args:?}: {said}");
    }
}

#[test]
fn a_missing_or_unreadable_dev_shm_is_a_gap_and_the_rest_is_listed() {
    let env = Env::new();
    env.out(["msgq", "create"]);
    fs::create_dir(env.path("empty")).unwrap();
    env.sh("mount --bind empty /dev && ls /dev").assert().success().stdout("");
    let output = env.ipcx(["ls", "--json"]).assert().success().get_output().stdout.clone();
    let document: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(refs(&document["objects"]), ["msgq/0"]);
    let gaps = document["gaps"].as_array().unwrap();
    let gap = gaps.iter().find(|gap| gap["subject"] == "/dev/shm").unwrap_or_else(|| panic!("{document:#}"));
    assert_eq!(gap["errno"], "ENOENT");
    let of_shm: Vec<&Value> = gaps.iter().filter(|gap| gap["subject"] == "/dev/shm").collect();
    assert_eq!(of_shm.len(), 1, "said once: {document:#}");
    let said = String::from_utf8(env.ipcx(["ls"]).assert().success().get_output().stderr.clone()).unwrap();
    assert!(said.contains("/dev/shm"), "{said}");
    assert_eq!(said.matches("/dev/shm").count(), 1, "said once: {said}");
}

#[test]
fn a_dev_shm_that_may_not_be_read_is_a_gap_with_its_reason() {
    let env = Env::new();
    if !env.has_users() {
        skip!("there is no second user");
    }
    env.out(["shm", "create", "--size", "1"]);
    fs::set_permissions("/dev/shm", fs::Permissions::from_mode(0o000)).unwrap();
    let output = env.ipcx_as_nobody(["ls", "shm", "--json"]).assert().success().get_output().stdout.clone();
    let document: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(refs(&document["objects"]), ["shm/0"]);
    assert_fields(&document["gaps"][0], &json!({"subject": "/dev/shm", "errno": "EACCES", "field": null}));
}

#[test]
fn an_odd_file_or_directory_in_dev_shm_spoils_nothing() {
    let env = Env::new();
    env.out(["shm", "create", "/frames", "--size", "10"]);
    env.out(["sem", "create", "/lock", "--value", "1"]);
    let script = "cd /dev/shm; mkdir dir sem.dir; mkfifo fifo sem.fifo; ln -s frames link; ln -s nowhere sem.link;
        : >sem.empty; printf 1234567890 >sem.short; head -c 32 /dev/zero | tr '\\0' x >sem.foreign; : >empty";
    env.sh(script).assert().success();
    let document = env.json(["ls", "--json"]);
    let objects = &document["objects"];
    assert_eq!(by_ref(objects, "shm//frames")["size"], 10);
    assert_eq!(by_ref(objects, "shm//empty")["size"], 0);
    assert_eq!(by_ref(objects, "sem//lock")["value"], 1);
    for odd in ["sem//empty", "sem//short", "sem//foreign"] {
        assert_eq!(by_ref(objects, odd)["value"], Value::Null);
        let gap = document["gaps"].as_array().unwrap().iter().find(|gap| gap["subject"] == odd);
        assert!(gap.is_some(), "why {odd} has no value is said: {document:#}");
    }
    let listed = refs(objects);
    assert!(!listed.iter().any(|of| ["dir", "fifo", "link"].iter().any(|odd| of.ends_with(odd))), "{listed:?}");
}

/// Puts a file in the place of a table of the kernel.
fn replace(env: &Env, table: &str, content: &[u8]) {
    fs::write(env.path("table"), content).unwrap();
    env.sh(&format!("mount --bind table /proc/sysvipc/{table}")).assert().success();
}

#[test]
fn an_empty_table_of_the_kernel_is_an_empty_listing_and_no_loop() {
    let env = Env::new();
    for table in ["shm", "msg", "sem"] {
        replace(&env, table, b"");
    }
    assert_eq!(env.json(["ls", "--json"])["objects"], json!([]));
    assert_eq!(env.out(["ls", "--raw", "--no-headings"]), "");
}

#[test]
fn garbage_in_a_table_of_the_kernel_is_a_gap_and_the_good_lines_are_listed() {
    let env = Env::new();
    let good = "1234 7 600 0 0 0 0 0 0 0 0 0 0 1763690000";
    let text =
        format!("       key      msqid perms\n{good}\nno numbers at all\n\n1 99999999999 600 0 0 0 0 0\n\0\0\0\n");
    replace(&env, "msg", text.as_bytes());
    let document = env.json(["ls", "msgq", "--json"]);
    assert_eq!(refs(&document["objects"]), ["msgq/7"]);
    assert_eq!(document["objects"][0]["key"], "0x000004d2");
    assert_eq!(document["gaps"].as_array().unwrap().len(), 1, "{document:#}");
    assert_eq!(document["gaps"][0]["subject"], "/proc/sysvipc/msg");
    assert!(document["gaps"][0]["reason"].as_str().unwrap().contains('4'), "how many lines: {document:#}");
    let said = String::from_utf8(env.ipcx(["ls"]).assert().success().get_output().stderr.clone()).unwrap();
    assert!(said.contains("/proc/sysvipc/msg"), "{said}");
}

#[test]
fn a_line_of_many_megabytes_is_a_gap() {
    let env = Env::new();
    replace(&env, "sem", &vec![b'7'; 32 << 20]);
    let document = env.json(["ls", "sem", "--json"]);
    assert_eq!(document["objects"], json!([]));
    assert_eq!(document["gaps"][0]["subject"], "/proc/sysvipc/sem");
}

#[test]
fn a_table_without_an_end_is_a_gap_and_never_a_loop() {
    let env = Env::new();
    env.out(["shm", "create", "/frames", "--size", "1"]);
    env.sh("mount --bind /dev/zero /proc/sysvipc/shm").assert().success();
    let document = env.json(["ls", "shm", "--json"]);
    assert_eq!(refs(&document["objects"]), ["shm//frames"]);
    assert_eq!(document["gaps"][0]["subject"], "/proc/sysvipc/shm");
}

#[test]
fn a_kernel_without_system_v_ipc_is_said_and_the_rest_is_listed() {
    let env = Env::new();
    env.out(["shm", "create", "/frames", "--size", "1"]);
    fs::create_dir(env.path("empty")).unwrap();
    env.sh("mount --bind empty /proc/sysvipc").assert().success();
    let output = env.ipcx(["ls", "-o", "ref", "--no-headings"]).assert().success().get_output().clone();
    assert_eq!(output.stdout, b"shm//frames\n");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no System V IPC"), "{said}");
    let document = env.json(["ls", "--json"]);
    let subjects: Vec<&str> =
        document["gaps"].as_array().unwrap().iter().map(|gap| gap["subject"].as_str().unwrap()).collect();
    assert_eq!(subjects, ["/proc/sysvipc/shm", "/proc/sysvipc/msg", "/proc/sysvipc/sem"]);
    let quiet = env.ipcx(["ls", "--quiet"]).assert().success().get_output().stderr.clone();
    assert_eq!(quiet, b"");
}

#[test]
fn five_hundred_objects_of_each_kind_are_all_listed() {
    let env = Env::new();
    let script = "n=0; while [ $n -lt 500 ]; do
        ipcx shm create --size 1; ipcx msgq create; ipcx sem create; : >/dev/shm/s$n; n=$((n+1)); done >/dev/null";
    let mut command = env.sh(script);
    command.timeout(crate::kit::PATIENCE * 4).assert().success();
    for (kind, count) in [("shm", 1000), ("msgq", 500), ("sem", 500)] {
        let document = env.json(["ls", kind, "--json"]);
        assert_eq!(document["objects"].as_array().unwrap().len(), count);
        let mut listed = refs(&document["objects"]);
        listed.sort_unstable();
        listed.dedup();
        assert_eq!(listed.len(), count, "each once");
        assert_eq!(env.out(["ls", kind, "--no-headings"]).lines().count(), count);
        assert_eq!(env.out(["ls", kind, "--raw"]).lines().count(), count + 1);
    }
    assert_eq!(env.out(["ls", "--jsonl"]).lines().count(), 2000);
}

#[test]
fn the_largest_user_ids_are_listed_right() {
    let env = Env::new();
    if !env.has_users() {
        skip!("there is no second user");
    }
    env.out(["msgq", "create"]);
    env.out(["shm", "create", "--size", "1"]);
    env.out(["sem", "create"]);
    for object in ["msgq", "shm", "sem"] {
        env.out([object, "set", "0", "--owner", "4294967294:4294967294"]);
    }
    let document = env.json(["ls", "--json"]);
    for reference in ["msgq/0", "shm/0", "sem/0"] {
        let expected = json!({"uid": 4_294_967_294u32, "gid": 4_294_967_294u32, "user": "4294967294"});
        assert_fields(by_ref(&document["objects"], reference), &expected);
    }
    assert_eq!(refs(&env.json(["ls", "--owner", "4294967294", "--json"])["objects"]).len(), 3);
}

#[test]
fn a_key_with_its_top_bit_set_is_listed_as_it_can_be_typed() {
    let env = Env::new();
    for (key, shown) in [("0xffffffff", "0xffffffff"), ("key/-2", "0xfffffffe"), ("0x80000000", "0x80000000")] {
        let id = env.out(["msgq", "create", key]);
        let document = env.json(["ls", "msgq", "--json"]);
        assert_eq!(by_ref(&document["objects"], &format!("msgq/{id}"))["key"], shown);
        assert_eq!(env.json(["show", &format!("msgq/{shown}"), "--json"])["objects"][0]["id"].to_string(), id);
    }
    let keys = env.out(["ls", "msgq", "--sort", "key", "-o", "key", "--raw", "--no-headings"]);
    assert_eq!(keys, "0x80000000\n0xfffffffe\n0xffffffff");
}

#[test]
fn what_a_listing_prints_first_is_what_show_takes() {
    let env = Env::new();
    one_of_each(&env);
    let references = env.out(["ls", "-o", "ref", "--raw", "--no-headings"]);
    let shown = env.json(["show", "--json"].into_iter().chain(references.lines()));
    assert_eq!(refs(&shown["objects"]), references.lines().collect::<Vec<_>>());
}

#[test]
fn a_locked_and_a_removed_segment_say_so() {
    let env = Env::new();
    env.out(["shm", "create", "--size", "4096"]);
    env.out(["shm", "lock", "0"]);
    assert_eq!(env.json(["ls", "shm", "--json"])["objects"][0]["status"], "locked");
    let holder = env.start(["shm", "attach", "0"]);
    crate::kit::until("the attachment", || env.json(["ls", "shm", "--json"])["objects"][0]["nattch"] == 1);
    env.out(["rm", "--force", "shm/0"]);
    let row = &env.json(["ls", "shm", "--json"])["objects"][0];
    assert_fields(row, &json!({"status": "dest,locked", "key": "0x00000000", "mode": "0600", "nattch": 1}));
    drop(holder);
}

#[test]
fn two_forms_of_output_at_once_are_wrong_usage() {
    let env = Env::new();
    for pair in [["--json", "--raw"], ["--json", "--jsonl"], ["--raw", "--jsonl"]] {
        refused(&env, 2, ["ls"].into_iter().chain(pair));
    }
    refused(&env, 2, ["ls", "--mine", "--owner", "root"]);
}

/// What a command prints on a terminal of this width.
fn on_a_terminal(env: &Env, width: u32, command: &str) -> Option<String> {
    if !env.sh("command -v script").output().unwrap().status.success() {
        return None;
    }
    let script = format!("TERM=xterm script -qec 'stty cols {width} rows 24; {command}' /dev/null </dev/null");
    let output = env.sh(&script).assert().success().get_output().stdout.clone();
    Some(String::from_utf8(output).unwrap().replace("\r\n", "\n"))
}

#[test]
fn a_table_on_a_terminal_is_titled_cut_to_its_width_and_harmless() {
    let env = Env::new();
    env.out(["shm", "create", &format!("/{}", "n".repeat(150)), "--size", "1"]);
    env.out(["shm", "create", "/a\x1b[2Jb", "--size", "1"]);
    env.out(["msgq", "create"]);
    let Some(text) = on_a_terminal(&env, 80, "ipcx ls -o +name --color never") else {
        skip!("there is no script(1)");
    };
    crate::kit::look::assert_harmless("ls", text.as_bytes());
    assert!(text.starts_with("shared memory\n") && text.contains("\nmessage queues\n"), "{text}");
    let wide = text.lines().find(|line| line.chars().count() > 80 && !line.starts_with("shm/"));
    assert_eq!(wide, None, "{text}");
    assert!(text.contains(r"\x1b[2J"), "{text}");
    let coloured = on_a_terminal(&env, 80, "ipcx ls").unwrap_or_default();
    assert!(coloured.contains("\x1b["), "headings stand out: {coloured}");
}

#[test]
fn a_name_is_printed_escaped_when_it_is_created_on_a_terminal() {
    let env = Env::new();
    let script = r#"ipcx shm create "/a$(printf "\033[2J")" --size 1"#;
    let Some(text) = on_a_terminal(&env, 80, script) else {
        skip!("there is no script(1)");
    };
    assert_eq!(text, "/a\\x1b[2J\n");
}

#[test]
fn an_empty_listing_says_so_on_a_terminal() {
    let env = Env::new();
    let Some(text) = on_a_terminal(&env, 80, "ipcx ls") else {
        skip!("there is no script(1)");
    };
    assert_eq!(text, "ipcx: there are no such objects in this IPC namespace\n");
}

#[test]
fn iso_times_are_those_of_the_zone() {
    let env = Env::new();
    env.out(["sem", "create"]);
    if !std::path::Path::new("/usr/share/zoneinfo/Asia/Tokyo").exists() {
        crate::skip!("there are no time zones on this machine");
    }
    let listing = ["sem", "ls", "-o", "ctime", "--time-format", "iso", "--no-headings"];
    let output = env.ipcx(listing).env("TZ", "Asia/Tokyo").output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().ends_with("+09:00\n"));
    assert!(env.out(listing).ends_with("+00:00"));
}
