use crate::kit::Env;
use crate::kit::look::{assert_harmless, refs, refused};
use crate::skip;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;

/// Runs `restore`, which must end with this status and make nothing; what it said.
#[track_caller]
fn refused_to_restore(env: &Env, status: i32, args: &[&str]) -> String {
    refused(env, status, ["restore"].iter().chain(args))
}

fn there(env: &Env) -> Vec<String> {
    env.out(["ls", "-o", "ref", "--raw", "--no-headings"]).lines().map(str::to_owned).collect()
}

fn save(env: &Env, args: &[&str]) {
    env.ipcx(["save", "-f", "a.tar"].iter().chain(args)).assert().success();
}

fn remove_all(env: &Env) {
    let args = there(env);
    env.ipcx(["rm"].into_iter().chain(args.iter().map(String::as_str))).assert().success();
    assert_eq!(there(env), [""; 0]);
}

/// Everything that must be the same afterwards.
fn state(env: &Env) -> String {
    let columns = "ref,key,uid,gid,mode,size,messages,bytes,max_bytes,max_messages,message_size,nsems,value";
    let mut state = env.out(["ls", "-o", columns, "--raw"]);
    for id in ["0x11", "0x12"] {
        state += &env.out(["msgq", "peek", id, "--json"]);
    }
    let sems = env.json(["sem", "get", "0x21", "--json"])["semaphores"].clone();
    let values = sems.as_array().unwrap().iter().map(|one| one["value"].to_string());
    state + &values.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_kind_comes_back_byte_for_byte_under_its_key_name_and_identifier() {
    let env = Env::new();
    // Identifiers that nobody would get by chance.
    for _ in 0..3 {
        for kind in ["msgq", "sem"] {
            let id = env.out([kind, "create"]);
            env.ipcx(["rm", &format!("{kind}/{id}")]).assert().success();
        }
        let id = env.out(["shm", "create", "--size", "1"]);
        env.ipcx(["rm", &format!("shm/{id}")]).assert().success();
    }
    let random: Vec<u8> = (0..300_001u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    fs::write(env.path("random"), &random).unwrap();
    env.out(["shm", "create", "0x1", "--size", "300001", "--mode", "0640"]);
    env.out(["shm", "write", "0x1", "--from", "random"]);
    env.out(["shm", "create", "--size", "5"]);
    env.out(["shm", "create", "/frames", "--from", "random", "--mode", "0600"]);
    env.out(["shm", "create", "/empty", "--size", "0"]);
    env.out(["msgq", "create", "0x11", "--mode", "0666", "--max-bytes", "5000"]);
    env.out(["msgq", "create", "0x12", "--mode", "0000"]);
    for (kind, text) in [("7", "first"), ("2", ""), ("7", "second"), ("9223372036854775807", "last")] {
        env.out(["msgq", "send", "0x11", "-t", kind, text]);
    }
    env.sh("head -c 4000 random | ipcx msgq send 0x12 -t 5; head -c 1 /dev/zero | ipcx msgq send 0x12")
        .assert()
        .success();
    env.out(["sem", "create", "0x21", "-n", "4", "--value", "0,32767,1,0", "--mode", "0604"]);
    env.out(["sem", "create", "/lock", "--value", "3"]);
    env.out(["msgq", "create", "/jobs", "--max-messages", "3", "--message-size", "77"]);
    env.out(["msgq", "set", "/jobs", "--mode", "0666"]);
    let before = state(&env);
    save(&env, &["shm", "msgq", "sem"]);
    let references = there(&env);
    remove_all(&env);
    let output = env.ipcx(["restore", "a.tar"]).assert().success().get_output().clone();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "all is as it was");
    let mut printed: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    printed.sort();
    let mut expected = references.clone();
    expected.sort();
    assert_eq!(printed, expected);
    assert_eq!(state(&env), before);
    for name in ["0x1", "/frames"] {
        let read = env.ipcx(["shm", "read", name]).assert().success().get_output().stdout.clone();
        assert!(read == random, "{name}");
    }
    // A set that was restored has had its first operation: who waits for that goes on (semget(2), NOTES).
    assert_ne!(env.json(["show", "sem/0x21", "--json"])["objects"][0]["otime"], serde_json::Value::Null);
    // The wish for an identifier does not stay.
    for file in ["shm", "msg", "sem"] {
        assert_eq!(fs::read_to_string(format!("/proc/sys/kernel/{file}_next_id")).unwrap(), "-1\n");
    }
}

#[test]
fn what_is_there_is_left_as_it_is_and_the_others_are_made() {
    let env = Env::new();
    env.out(["msgq", "create", "0x4d2"]);
    env.out(["msgq", "send", "0", "saved"]);
    env.out(["shm", "create", "/frames", "--size", "5"]);
    env.out(["sem", "create", "/lock", "--value", "2"]);
    save(&env, &["msgq", "shm", "sem"]);
    env.ipcx(["rm", "sem//lock"]).assert().success();
    env.out(["msgq", "recv", "0"]);
    let output = env.ipcx(["restore", "a.tar"]).assert().code(5).stdout("sem//lock\n").get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("msgq/0: another object has its key, 0x4d2") && said.contains("shm//frames"), "{said}");
    assert_eq!(env.json(["show", "msgq/0", "--json"])["objects"][0]["messages"], 0);
    assert_eq!(fs::read_to_string("/proc/sys/kernel/msg_next_id").unwrap(), "-1\n", "nobody else gets its number");
}

#[test]
fn another_identifier_is_said() {
    let env = Env::new();
    env.out(["msgq", "create", "0x4d2"]);
    save(&env, &["msgq"]);
    env.ipcx(["rm", "msgq/0"]).assert().success();
    // The next queue gets the next place; this one takes that of the saved one.
    fs::write("/proc/sys/kernel/msg_next_id", "0").unwrap();
    assert_eq!(env.out(["msgq", "create"]), "0");
    let output = env.ipcx(["restore", "a.tar"]).assert().success().get_output().clone();
    let given = String::from_utf8(output.stdout).unwrap();
    assert!(given.starts_with("msgq/") && given != "msgq/0\n", "{given}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&format!("msgq/0 was restored as {}", given.trim_end())), "{said}");
    assert_eq!(env.json(["show", "msgq/0x4d2", "--json"])["objects"][0]["ref"], given.trim_end());
}

#[test]
fn only_what_was_chosen_is_made_and_a_list_makes_nothing() {
    let env = Env::new();
    env.out(["msgq", "create", "0x4d2"]);
    env.out(["msgq", "create"]);
    env.out(["shm", "create", "/frames", "--size", "5"]);
    env.out(["sem", "create", "-n", "2", "--value", "1,2"]);
    save(&env, &["msgq", "shm", "sem"]);
    remove_all(&env);
    let list = env.out(["restore", "a.tar", "--list"]);
    assert!(list.contains("shm//frames") && list.contains("0x000004d2") && list.contains("values 1, 2"), "{list}");
    let json = env.json(["restore", "a.tar", "--list", "--json", "msgq/0x4d2"]);
    assert_eq!(refs(&json["objects"]), ["msgq/0"]);
    assert_eq!(there(&env), [""; 0]);
    let output = env.ipcx(["restore", "a.tar", "msgq/1", "shm//frames", "sem/77", "shm//frames"]);
    let output = { output }.assert().code(3).stdout("msgq/1\nshm//frames\n").get_output().clone();
    assert!(String::from_utf8(output.stderr).unwrap().contains("sem/77: there is no such object in the archive"));
    refused_to_restore(&env, 2, &["a.tar", "--json"]);
    refused_to_restore(&env, 3, &["missing.tar"]);
}

#[test]
fn of_an_object_that_fails_midway_nothing_is_left_and_the_others_go_on() {
    let env = Env::new();
    env.out(["msgq", "create", "0x4d2"]);
    env.out(["msgq", "send", "0", "short"]);
    env.out(["msgq", "send", "0", "a message that is too long by now"]);
    env.out(["sem", "create", "/lock"]);
    save(&env, &["msgq", "sem"]);
    remove_all(&env);
    fs::write("/proc/sys/kernel/msgmax", "10").unwrap();
    let output = env.ipcx(["restore", "a.tar"]).assert().code(7).stdout("sem//lock\n").get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("cannot restore msgq/0") && said.contains("kernel.msgmax = 10"), "{said}");
    assert_eq!(there(&env), ["sem//lock"]);
}

#[test]
fn a_damaged_archive_makes_nothing() {
    let env = Env::new();
    env.out(["sem", "create", "/lock"]);
    env.out(["shm", "create", "/frames", "--size", "4096"]);
    save(&env, &["sem", "shm"]);
    remove_all(&env);
    let whole = fs::read(env.path("a.tar")).unwrap();
    for length in (0..whole.len()).step_by(512) {
        fs::write(env.path("b.tar"), &whole[..length]).unwrap();
        refused_to_restore(&env, 1, &["b.tar"]);
    }
    let mut flipped = whole.clone();
    let last = whole.len() - 2048;
    flipped[last] ^= 1;
    fs::write(env.path("b.tar"), &flipped).unwrap();
    assert!(refused_to_restore(&env, 1, &["b.tar"]).contains("SHA-256"));
    for path in ["/dev/zero", "."] {
        assert!(refused_to_restore(&env, 1, &[path]).contains("no regular file"));
    }
    env.ipcx(["mkfifo", "./f"]).assert().success();
    refused_to_restore(&env, 1, &["f"]);
    assert_eq!(there(&env), [""; 0]);
    // A link to an archive is as good as the archive.
    std::os::unix::fs::symlink("a.tar", env.path("link")).unwrap();
    env.ipcx(["restore", "link"]).assert().success();
}

#[test]
fn an_archive_that_tar_made_is_taken_if_everything_is_in_its_place() {
    let env = Env::new();
    env.out(["msgq", "create"]);
    env.out(["msgq", "send", "0", "a", "b"]);
    save(&env, &["msgq"]);
    env.ipcx(["rm", "msgq/0"]).assert().success();
    let pack = "mkdir out; tar -xf a.tar -C out; cd out;";
    let members = "manifest.json msgq/0/000000 msgq/0/000001";
    env.sh(&format!("{pack} tar --format=ustar -cf ../good.tar {members}; tar --format=ustar -cf ../bad.tar *"))
        .assert()
        .success();
    env.sh("cd out; ln -sf /etc/passwd msgq/0/000001; tar --format=ustar -cf ../link.tar manifest.json msgq/0/00000*")
        .assert()
        .success();
    refused_to_restore(&env, 1, &["bad.tar"]);
    refused_to_restore(&env, 1, &["link.tar"]);
    assert_eq!(env.out(["restore", "good.tar"]), "msgq/0");
    assert_eq!(env.out(["msgq", "recv", "0", "--all"]), "a\nb");
}

#[test]
fn hostile_names_come_back_by_their_bytes_and_are_shown_escaped() {
    let env = Env::new();
    let names: [&[u8]; 5] = [b"\x1b[31m", b"\xff\xfe", b"a\nb", b"..x", "\u{202e}x".as_bytes()];
    let paths = names.map(|name| OsString::from_vec([b"/dev/shm/", name].concat()));
    for path in &paths {
        fs::write(path, "inside").unwrap();
    }
    save(&env, &["shm"]);
    let members = env.sh("tar -tf a.tar").assert().success().get_output().stdout.clone();
    assert!(String::from_utf8(members).unwrap().lines().skip(1).all(|name| name.starts_with("shm/posix/@")));
    for path in &paths {
        fs::remove_file(path).unwrap();
    }
    let list = env.ipcx(["restore", "a.tar", "--list"]).assert().success().get_output().stdout.clone();
    assert_harmless("list", &list);
    env.ipcx(["restore", "a.tar"]).assert().success();
    let again = env.ipcx(["restore", "a.tar"]).assert().code(5).get_output().stderr.clone();
    assert_harmless("restore", &again);
    for path in &paths {
        assert_eq!(fs::read(path).unwrap(), b"inside");
    }
}

#[test]
fn an_owner_comes_back_where_we_may_give_it_and_else_it_is_said() {
    let env = Env::new();
    if !env.has_users() {
        skip!("there is no second user");
    }
    for (kind, create) in [
        ("msgq", &["msgq", "create", "0x4d2"][..]),
        ("shm", &["shm", "create", "/frames", "--size", "5"]),
        ("sem", &["sem", "create", "0x4d2"]),
    ] {
        env.out(create);
        env.out([kind, "set", create[2], "--owner", "nobody:nogroup", "--mode", "0620"]);
    }
    let owners = || env.out(["ls", "-o", "ref,uid,gid,mode", "--raw", "--no-headings"]);
    let before = owners();
    assert!(before.contains("65534\t65534\t0620"), "{before}");
    save(&env, &["msgq", "shm", "sem"]);
    remove_all(&env);
    env.ipcx(["restore", "a.tar"]).assert().success().stderr("");
    assert_eq!(owners(), before);
    remove_all(&env);
    // Root's objects become those of the user who restores them.
    env.out(["shm", "create", "/frames", "--size", "5"]);
    env.out(["sem", "create", "/lock", "--mode", "0604"]);
    env.ipcx(["save", "shm", "sem", "-f", "b.tar"]).assert().success();
    remove_all(&env);
    env.sh("chmod 644 b.tar").assert().success();
    let output = env.ipcx_as_nobody(["restore", "b.tar"]).assert().success().get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("belonged to root:root") && said.contains("EPERM"), "{said}");
    assert_eq!(owners(), "shm//frames\t65534\t65534\t0600\nsem//lock\t65534\t65534\t0604");
}

#[test]
fn an_ordinary_user_is_told_that_he_cannot_choose_identifiers() {
    let env = Env::new();
    if !env.has_users() {
        skip!("there is no second user");
    }
    env.out(["msgq", "create"]);
    env.ipcx(["rm", "msgq/0"]).assert().success();
    env.ipcx_as_nobody(["msgq", "create", "0x4d2", "--mode", "0604"]).assert().success();
    save(&env, &["msgq"]);
    env.ipcx(["rm", "msgq/0x4d2"]).assert().success();
    env.sh("chmod 644 a.tar").assert().success();
    let output = env.ipcx_as_nobody(["restore", "a.tar"]).assert().success().get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("msgq/1 was restored as msgq/2") && said.contains("may not choose"), "{said}");
}

#[test]
fn a_journal_of_somebody_else_takes_and_removes_no_message_in_a_slot() {
    let env = Env::new();
    env.out(["msgq", "create", "/jobs"]);
    for slot in ["/dev/shm/mine", "/dev/shm/ipcx-drain-0123456789abcdef"] {
        env.out(["msgq", "send", "/jobs", "precious"]);
        env.sh(&format!("! ipcx msgq recv /jobs --durable {slot} >/dev/full")).assert().success();
        for uuid in ["", "{\"slot\":{\"uuid\":\"00\"}}\n"] {
            let journal = format!("{{\"journal\":{{\"version\":1,\"slot\":\"{slot}\"}}}}\n{uuid}");
            fs::write(env.path("forged"), journal).unwrap();
            env.ipcx(["restore", "forged", "--list"]).assert().success();
            env.ipcx(["restore", "forged"]).assert().success();
        }
        assert_eq!(env.out(["msgq", "recv", "/jobs", "--durable", slot, "--nowait"]), "precious");
    }
}

#[test]
fn what_nobody_can_be_told_of_is_not_made() {
    let env = Env::new();
    for name in ["/one", "/two"] {
        env.out(["sem", "create", name]);
    }
    save(&env, &["sem//one", "sem//two"]);
    remove_all(&env);
    // A pipe without a reader.
    env.sh("mkfifo pipe").assert().success();
    for output in ["/dev/full", "&4"] {
        let script = format!("exec 3<>pipe 4>pipe 3>&-; ipcx restore a.tar >{output} || echo $? >status");
        let said = env.sh(&script).output().unwrap().stderr;
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains("sem//one was removed again"), "{output}: {said}");
        assert_eq!(fs::read_to_string(env.path("status")).unwrap(), "1\n", "{output}");
        assert_eq!(there(&env), [""; 0], "{output}");
    }
}
