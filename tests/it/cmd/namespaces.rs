use crate::kit::elsewhere::{Elsewhere, inode, stay, within};
use crate::kit::look::{by_ref, mount_mqueue};
use crate::kit::{Env, NOBODY, Refusal, half_made_set, until};
use crate::skip;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

#[test]
fn the_same_reference_in_several_namespaces_is_a_row_in_each() {
    let env = Env::new();
    let one = Elsewhere::new(|env| {
        env.out(["shm", "create", "0x77", "--size", "4096"]);
        env.out(["shm", "create", "/region", "--size", "11"]);
        env.out(["msgq", "create", "/jobs", "--max-messages", "3", "--message-size", "10"]);
    });
    let two = Elsewhere::new(|env| {
        env.out(["shm", "create", "0x77", "--size", "8192"]);
        env.out(["shm", "create", "/region", "--size", "22"]);
        env.out(["msgq", "create", "/jobs", "--max-messages", "4", "--message-size", "10"]);
        env.out(["sem", "create", "/lock", "--value", "7"]);
    });
    env.out(["shm", "create", "0x77", "--size", "100"]);
    let stays = stay();
    let ours = inode(stays.pid);

    let document = env.json(["ls", "--all-namespaces", "--json"]);
    let objects = &document["objects"];
    for (inode, size, region, messages) in [(one.inode, 4096, 11, 3), (two.inode, 8192, 22, 4)] {
        let there = within(objects, inode);
        let segment = by_ref(&there, "shm/0");
        assert_eq!((&segment["size"], &segment["key"]), (&json!(size), &json!("0x00000077")));
        // The name of the process, or that of the container in which the tests run.
        assert!(segment["container"].is_string(), "{segment:#}");
        assert_eq!(by_ref(&there, "shm//region")["size"], region);
        assert_eq!(by_ref(&there, "msgq//jobs")["max_messages"], messages);
    }
    assert_eq!(by_ref(&within(objects, two.inode), "sem//lock")["value"], 7);
    let here = within(objects, ours);
    assert_eq!(here, json!([by_ref(&here, "shm/0")]), "what is in others is not here, too");
    assert_eq!(here[0]["container"], Value::Null, "ours has no label");
    // Ours come first.
    assert_eq!(objects[0], here[0]);
}

#[test]
fn one_namespace_is_looked_into_by_a_process_or_by_its_number() {
    let env = Env::new();
    env.out(["msgq", "create"]);
    let there = Elsewhere::new(|env| {
        env.out(["shm", "create", "0x77", "--size", "4096"]);
        env.out(["sem", "create", "/lock", "--value", "7"]);
    });
    let expected = env.json(["ls", "--namespace", &there.pid.to_string(), "--json"])["objects"].clone();
    let refs: Vec<&str> = expected.as_array().unwrap().iter().map(|one| one["ref"].as_str().unwrap()).collect();
    assert_eq!(refs, ["shm/0", "sem//lock"]);
    assert_eq!(within(&expected, there.inode), expected);
    for name in [there.inode.to_string(), format!("ipc:[{}]", there.inode)] {
        assert_eq!(env.json(["ls", "--namespace", &name, "--json"])["objects"], expected);
    }
    let row = env.out(["shm", "ls", "--namespace", &there.pid.to_string(), "--raw", "--no-headings"]);
    let cells: Vec<&str> = row.split('\t').collect();
    assert_eq!((cells[0], cells[2]), (there.inode.to_string().as_str(), "shm/0"), "{row}");
    // A column is what was asked for, and no more.
    let refs = ["ls", "--namespace", &there.pid.to_string(), "-o", "ref", "--raw", "--no-headings"];
    assert_eq!(env.out(refs), "shm/0\nsem//lock");
}

#[test]
fn a_listing_of_our_own_namespace_says_where_only_when_asked() {
    let env = Env::new();
    env.out(["msgq", "create"]);
    let stays = stay();
    let ours = inode(stays.pid);
    let plain = env.json(["ls", "--json"]);
    assert!(plain["objects"][0].get("namespace").is_none(), "{plain:#}");
    assert_eq!(
        env.out(["ls", "-o", "namespace,container,ref", "--raw", "--no-headings"]),
        format!("{ours}\t-\tmsgq/0")
    );
    let same = env.json(["ls", "--namespace", &stays.pid.to_string(), "--json"]);
    assert_eq!(same["objects"][0]["namespace"], ours);
    assert_eq!(same["objects"].as_array().unwrap().len(), 1);
}

#[test]
fn a_namespace_without_processes_is_found_by_what_holds_it() {
    let env = Env::new();
    let mut there = Elsewhere::new(|env| drop(env.out(["shm", "create", "0x77", "--size", "4096"])));
    let namespace = fs::File::open(format!("/proc/{}/ns/ipc", there.pid)).unwrap();
    let mut command = Command::new("sleep");
    let mut holder = command.arg("1000").stdin(namespace).spawn().unwrap();
    // It holds what it has given.
    drop(command);
    let inode = there.inode;
    let there_is = |env: &Env| within(&env.json(["ls", "shm", "--all-namespaces", "--json"])["objects"], inode);
    there.leave();
    assert_eq!(by_ref(&there_is(&env), "shm/0")["size"], 4096);
    let found = env.json(["ls", "--namespace", &there.inode.to_string(), "--json"]);
    assert_eq!(by_ref(&found["objects"], "shm/0")["size"], 4096);
    holder.kill().unwrap();
    holder.wait().unwrap();
    until("the namespace to go", || there_is(&env) == json!([]));
    let said = env.fails(3, ["ls", "--namespace", &there.inode.to_string()]);
    assert!(said.contains("no such namespace"), "{said}");
}

#[test]
fn namespaces_that_come_and_go_meanwhile_are_no_trouble() {
    let env = Env::new();
    env.out(["msgq", "create"]);
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let churn = {
        let stop = stop.clone();
        std::thread::spawn(move || {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let _env = Env::new();
                drop(stay());
            }
        })
    };
    for _ in 0..30 {
        let rows = env.out(["ls", "msgq", "--all-namespaces", "--raw", "--no-headings", "-o", "ref,container"]);
        assert!(rows.starts_with("msgq/0\t-"), "{rows}");
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    churn.join().unwrap();
}

#[test]
fn a_large_table_of_another_namespace_is_read_there_too() {
    let env = Env::new();
    let there = Elsewhere::new(|_| {
        for _ in 0..2100 {
            half_made_set(0, 1);
        }
    });
    let objects = env.json(["ls", "sem", "--all-namespaces", "--json"])["objects"].clone();
    assert_eq!(within(&objects, there.inode).as_array().unwrap().len(), 2100);
}

/// Who may enter a namespace need not be allowed to mount.
fn without_mounting(env: &Env, pid: u32) -> Value {
    let refusal = Refusal::of(libc::SYS_fsopen, libc::EPERM);
    let listed = env.ipcx_refused(&[refusal], ["ls", "msgq", "--namespace", &pid.to_string(), "--json"]).assert();
    serde_json::from_slice(&listed.success().get_output().stdout).unwrap()
}

#[test]
fn queues_are_found_where_a_process_of_the_namespace_has_them_mounted() {
    let env = Env::new();
    let there = Elsewhere::new(|env| {
        mount_mqueue(env);
        env.out(["msgq", "create", "/jobs", "--max-messages", "3", "--message-size", "10"]);
    });
    let document = without_mounting(&env, there.pid);
    assert_eq!(by_ref(&document["objects"], "msgq//jobs")["namespace"], there.inode);
    assert_eq!(document["gaps"], json!([]));
}

#[test]
fn queues_that_are_mounted_and_those_of_another_namespace_are_not_taken_for_its_own() {
    let env = Env::new();
    let mut command = Command::new("unshare");
    command.args(["--ipc", "cat"]);
    let make = |env: &Env| {
        mount_mqueue(env);
        env.out(["msgq", "create", "/jobs", "--max-messages", "3", "--message-size", "10"]);
    };
    let there = Elsewhere::with(make, command);
    until("unshare to run its command", || {
        fs::read_to_string(format!("/proc/{}/comm", there.pid)).is_ok_and(|comm| comm == "cat\n")
    });
    let document = without_mounting(&env, there.pid);
    assert_eq!(document["objects"], json!([]), "they are those of the namespace that was left");
    let gap = &document["gaps"][0];
    assert!(gap["reason"].as_str().unwrap().contains("that of another IPC namespace"), "{gap:#}");
    assert!(gap["subject"].as_str().unwrap().contains(&inode(there.pid).to_string()), "{gap:#}");
    // With that right the queues, none, are those of the namespace itself.
    let document = env.json(["ls", "msgq", "--namespace", &there.pid.to_string(), "--json"]);
    assert_eq!((&document["objects"], &document["gaps"]), (&json!([]), &json!([])));
}

#[test]
fn limits_are_those_of_each_namespace() {
    let env = Env::new();
    let there = Elsewhere::new(|env| {
        fs::write("/proc/sys/kernel/msgmni", "4321").unwrap();
        fs::write("/proc/sys/fs/mqueue/queues_max", "77").unwrap();
        env.out(["msgq", "create"]);
        env.out(["msgq", "create", "/jobs", "--max-messages", "1", "--message-size", "1"]);
    });
    let stays = stay();
    let all = env.json(["limits", "msgq", "--all-namespaces", "--json"])["objects"].clone();
    let limit = |inode: u64, name: &str| {
        let rows = within(&all, inode);
        let row = rows.as_array().unwrap().iter().find(|row| row["name"] == name).cloned();
        row.unwrap_or_else(|| panic!("no {name} of {inode} in {all:#}"))
    };
    assert_eq!(limit(there.inode, "MSGMNI")["limit"], 4321);
    assert_eq!(limit(there.inode, "MSGMNI")["used"], 1);
    assert_eq!(limit(there.inode, "queues_max")["limit"], 77);
    assert_eq!(limit(there.inode, "queues_max")["used"], 1);
    assert_eq!(limit(inode(stays.pid), "MSGMNI")["used"], 0);
    assert_ne!(limit(inode(stays.pid), "MSGMNI")["limit"], 4321);
    // A limit of the user is one for all namespaces.
    let of_user = all.as_array().unwrap().iter().filter(|row| row["name"] == "RLIMIT_MSGQUEUE");
    assert_eq!(of_user.count(), 1, "{all:#}");
    let one = env.json(["limits", "msgq", "--namespace", &there.pid.to_string(), "--json"])["objects"].clone();
    assert_eq!(one[0]["limit"], 4321);
    assert!(env.json(["limits", "--json"])["objects"][0].get("namespace").is_none());
}

#[test]
fn a_warning_says_in_which_namespace_a_limit_is_used_up() {
    let env = Env::new();
    let there = Elsewhere::new(|env| {
        fs::write("/proc/sys/kernel/msgmni", "1").unwrap();
        env.out(["msgq", "create"]);
    });
    let pid = there.pid.to_string();
    let warned = env.ipcx(["limits", "msgq", "--namespace", &pid, "--warn", "99", "--jsonl"]).assert().code(1);
    let said = String::from_utf8(warned.get_output().stderr.clone()).unwrap();
    assert!(said.contains(&format!("MSGMNI in IPC namespace {} is 100.0% used", there.inode)), "{said}");
}

#[test]
fn who_may_not_enter_a_namespace_is_told_so() {
    let env = Env::new();
    if !env.has_users() {
        skip!("there is no second user");
    }
    let mut nobody = Command::new("cat");
    nobody.uid(NOBODY).gid(NOBODY);
    let there = Elsewhere::with(
        |env| {
            env.out(["msgq", "create"]);
            env.out(["shm", "create", "/region", "--size", "22"]);
        },
        nobody,
    );
    let listed = env.ipcx_as_nobody(["ls", "--all-namespaces", "--json"]).assert().success();
    let document: Value = serde_json::from_slice(&listed.get_output().stdout).unwrap();
    let gaps = document["gaps"].as_array().unwrap();
    let subject = format!("IPC namespace {} (", there.inode);
    let gap = gaps.iter().find(|gap| gap["subject"].as_str().unwrap().starts_with(&subject));
    let gap = gap.unwrap_or_else(|| panic!("{document:#}"));
    assert!(gap["subject"].as_str().unwrap().ends_with(&format!("pid {})", there.pid)), "{gap:#}");
    assert_eq!((&gap["call"], &gap["errno"]), (&json!("setns"), &json!("EPERM")));
    // Processes of root do not even say in which they are.
    assert!(gaps.iter().any(|gap| gap["call"] == "stat" && gap["errno"] == "EACCES"), "{document:#}");
    // The files can be seen nevertheless.
    let there_is = within(&document["objects"], there.inode);
    assert_eq!(there_is.as_array().unwrap().len(), 1, "{document:#}");
    assert_eq!(by_ref(&there_is, "shm//region")["size"], 22);

    let refused = env.ipcx_as_nobody(["ls", "--namespace", &there.pid.to_string()]).assert().code(4);
    let said = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    assert!(said.contains(&subject) && said.contains("EPERM") && said.contains("hint: "), "{said}");
    env.ipcx_as_nobody(["ls", "--namespace", "1"]).assert().code(4);
}

#[test]
fn what_is_no_process_and_no_namespace_is_wrong() {
    let env = Env::new();
    let said = env.fails(3, ["ls", "--namespace", "2147483647"]);
    assert!(said.contains("no such process"), "{said}");
    for odd in ["0", "-1", "x", "ipc:[]", "3000000000", "99999999999999999999"] {
        env.fails(2, ["ls".to_owned(), format!("--namespace={odd}")]);
    }
    env.fails(2, ["ls", "--namespace", "1", "--all-namespaces"]);
}
