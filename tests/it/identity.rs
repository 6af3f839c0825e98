//! Which object a reference names, and which one it never does.

use crate::kit::look::refs;
use crate::kit::{Env, Refusal, Starts as _};
use serde_json::{Value, json};

#[test]
fn an_object_of_another_namespace_with_the_same_identifier_is_not_touched() {
    let env = Env::new();
    for line in ["msgq create", "sem create", "shm create --size 8"] {
        env.out(line.split(' '));
    }
    env.out(["msgq", "send", "0", "ours"]);
    env.out(["shm", "write", "0", "ours"]);
    // Without the evidence, which tells how long ago each was used.
    let ours = || {
        let lines = env.out(["show", "msgq/0", "shm/0", "sem/0", "--jsonl"]);
        let object = |line: &str| {
            let mut object: Value = serde_json::from_str(line).unwrap();
            object.as_object_mut().unwrap().remove("evidence");
            object
        };
        lines.lines().map(object).collect::<Vec<_>>()
    };
    let before = ours();
    let there = "unshare --ipc sh -euc '
        for kind in shm msgq sem; do
            status=0; ipcx rm $kind/0 || status=$?; [ $status = 3 ]
        done
        ipcx msgq create; ipcx shm create --size 8; ipcx sem create --value 3
        ipcx msgq send 0 theirs; ipcx msgq recv 0; ipcx shm write 0 theirs; ipcx shm read 0
        ipcx sem set 0 0=9; ipcx msgq set 0 --mode 666
        ipcx rm msgq/0 shm/0 sem/0
    '";
    let output = env.sh(there).assert().success().get_output().stdout.clone();
    assert_eq!(output, b"0\n0\n0\ntheirs\ntheirs\0\0");
    assert_eq!(ours(), before);
    assert_eq!(env.out(["msgq", "recv", "0"]), "ours");
}

#[test]
fn identifier_0_is_an_object_to_every_verb() {
    let env = Env::new();
    let lines = "
        msgq create; msgq send 0 a b c; msgq recv 0; msgq recv msgq/0 --all --type 1; msgq send 0 d; msgq peek 0
        msgq set 0 --mode 640; msgq show 0; msgq ls; show msgq/0
        shm create --size 4096; shm write 0 x; shm read 0; shm dump 0; shm attach 0 -- true; shm lock 0; shm unlock 0
        shm set 0 --mode 640; shm show 0; show --attach shm/0
        sem create --value 1; sem wait 0; sem post 0; sem get 0; sem op 0 0=-1; sem zero 0; sem set 0 0=2
        sem run 0 -- true; sem set 0 --mode 640; sem show 0; show sem/0
        msgq rm 0; shm rm 0; sem rm 0";
    for line in lines.split([';', '\n']).map(str::trim).filter(|line| !line.is_empty()) {
        let output = env.ipcx(line.split(' ')).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(env.json(["ls", "--json"])["objects"], json!([]));
}

#[test]
fn a_key_with_its_top_bit_set_is_one_key_however_it_is_written() {
    let env = Env::new();
    for (kind, create) in [("msgq", "msgq create"), ("shm", "shm create --size 1"), ("sem", "sem create")] {
        let id = env.out(create.split(' ').chain(["0xfffffffb"]));
        let object = env.json(["show", &format!("{kind}/key/4294967291"), "--json"])["objects"][0].clone();
        assert_eq!(object["id"].to_string(), id);
        assert_eq!(object["key"], "0xfffffffb");
        env.ipcx(["rm", &format!("{kind}/0x1fffffffb")]).assert().code(2);
        env.ipcx(["rm", &format!("{kind}/key/037777777773")]).assert().success();
        env.ipcx(["rm", &format!("{kind}/{id}")]).assert().code(3);
    }
}

#[test]
fn an_identifier_names_no_object_that_came_after_it_in_its_place() {
    let env = Env::new();
    for kind in ["shm", "msgq", "sem"] {
        let create: &[&str] = if kind == "shm" { &["shm", "create", "--size", "1"] } else { &[kind, "create"] };
        let mode = ["--mode", "640"];
        assert_eq!(env.out(create), "0");
        env.out(["rm", &format!("{kind}/0")]);
        // The kernel goes round its places; one further round has all of the low bits in common.
        let set = format!("/proc/sys/kernel/{}_next_id", if kind == "msgq" { "msg" } else { kind });
        if std::fs::write(&set, "32768").is_err() {
            crate::skip!("identifiers cannot be chosen here");
        }
        assert_eq!(env.out(create.iter().chain(&mode)), "32768");
        for verb in [&["show"][..], &["rm"], &["rm", "--force"], &["set", "--mode", "666"]] {
            env.ipcx([kind].iter().chain(verb).chain(&["0"])).assert().code(3);
        }
        let object = env.json([kind, "show", "32768", "--json"])["objects"][0].clone();
        assert_eq!((&object["id"], &object["mode"]), (&json!(32768), &json!("0640")));
        if env.has_users() {
            env.ipcx_as_nobody([kind, "show", "32768"]).assert().success();
            env.ipcx_as_nobody([kind, "show", "0"]).assert().code(3);
        }
    }
    assert_eq!(refs(&env.json(["ls", "--json"])["objects"]), ["shm/32768", "msgq/32768", "sem/32768"]);
}

#[test]
fn posix_queues_of_another_namespace_are_not_taken_for_ours() {
    let env = Env::new();
    env.out(["msgq", "create", "/theirs"]);
    env.out(["msgq", "send", "/theirs", "one"]);
    // /dev/mqueue still shows those of the namespace that it was mounted in.
    let output = env.sh("unshare --ipc ipcx ls msgq --json").assert().success().get_output().stdout.clone();
    assert_eq!(output, b"{\"version\":1,\"objects\":[],\"gaps\":[]}\n");
    env.sh("unshare --ipc ipcx rm msgq//theirs").assert().code(3);
    // Who may not mount it himself finds only that one.
    let mut command = std::process::Command::new("unshare");
    let shown = env.command(["ls"]);
    command.args(["--ipc".as_ref(), shown.get_program(), "ls".as_ref(), "msgq".as_ref(), "--json".as_ref()]);
    let output = command.refused(&[Refusal::of(libc::SYS_fsopen, libc::EPERM)]).output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["objects"], json!([]), "these are not ours");
    assert_ne!(document["gaps"], json!([]), "it could not look: {document:#}");
    assert!(output.status.success());
    assert_eq!(env.out(["msgq", "recv", "/theirs"]), "one");
}
