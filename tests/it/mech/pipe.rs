use super::*;
use crate::kit::{NOBODY, Running, until};
use std::io::{Write as _, pipe};
use std::os::unix::process::CommandExt as _;

#[test]
fn a_pipe_is_listed_with_its_fill_and_the_processes_at_each_end() {
    let env = Env::new();
    let (read, mut write) = pipe().unwrap();
    write.write_all(b"hello").unwrap();
    let reference = format!("pipe/{}", inode(&read));
    let pipe = listed(&env, "pipe", &reference);
    assert_eq!((&pipe["kind"], &pipe["family"], &pipe["name"]), (&"pipe".into(), &"anonymous".into(), &Value::Null));
    assert_eq!((&pipe["bytes"], &pipe["capacity"], &pipe["inode"]), (&5.into(), &65536.into(), &inode(&read).into()));
    let reader = our_end(&pipe, "processes", &read);
    assert_eq!(reader["role"], "read");
    assert!(reader["started"].as_str().unwrap().starts_with("20"), "{reader}");
    assert_eq!(our_end(&pipe, "processes", &write)["role"], "write");
    let shown = env.json(["show", &reference, "--json"])["objects"][0].clone();
    assert_eq!((&shown["bytes"], &shown["slots"], &shown["used_slots"]), (&5.into(), &16.into(), &1.into()));
    // Half full by its bytes, and no write of a page would fit: each of these takes a slot.
    (0..16).for_each(|_| write.write_all(&[0; 2049]).unwrap());
    let shown = env.json(["show", &reference, "--json"])["objects"][0].clone();
    assert_eq!((&shown["bytes"], &shown["used_slots"]), (&(5 + 16 * 2049).into(), &16.into()));
    drop(write);
    // Who may not look into the processes of others does not know that nobody has it open.
    let nobody = if env.has_users() { 0.into() } else { Value::Null };
    until("the writer to be gone", || listed(&env, "pipe", &reference)["writers"] == nobody);
    drop(read);
    until("the pipe to be gone", || env.ipcx(["show", &reference]).output().unwrap().status.code() == Some(3));
}

#[test]
fn several_processes_at_one_end_are_all_named() {
    let env = Env::new();
    // Both shells keep their ends open beside the commands that they run.
    let (writer, reader) = ("sleep 1000; :", "cat; :");
    let mut pipeline = env.start(["pipe", "sh", "-c", writer, ":::", "sh", "-c", reader]);
    let has = |pipe: &Value, name: &str, role: &str| {
        let ends = pipe["processes"].as_array().unwrap();
        ends.iter().any(|end| end["command"] == name && end["role"] == role)
    };
    let complete = |pipe: &Value| {
        pipe["readers"] == 2
            && pipe["writers"] == 2
            && [("sh", "write"), ("sleep", "write"), ("sh", "read"), ("cat", "read")]
                .iter()
                .all(|(name, role)| has(pipe, name, role))
    };
    until("all four of them", || {
        let document = env.json(["ls", "pipe", "--json"]);
        document["objects"].as_array().unwrap().iter().any(complete)
    });
    let table = env.out(["ls", "pipe", "-o", "ref,processes"]);
    assert!(table.lines().any(|line| line.contains(",sleep,1w") && line.contains(",cat,0r")), "{table}");
    // What the stages have started ends with them.
    let document = env.json(["ls", "pipe", "--json"]);
    let pipe = document["objects"].as_array().unwrap().iter().find(|pipe| complete(pipe)).unwrap().clone();
    pipeline.signal(15);
    pipeline.wait_end();
    for end in pipe["processes"].as_array().unwrap() {
        let place = format!("/proc/{}/cwd", end["pid"]);
        until("all of them to be gone", || std::fs::read_link(&place).is_err());
    }
}

#[test]
fn what_it_borrows_to_look_is_not_listed() {
    let env = Env::new();
    let (read, write) = pipe().unwrap();
    let reference = format!("pipe/{}", inode(&read));
    // Enough of them for several threads. They end with the last writer.
    let share = |_| std::process::Command::new("cat").stdin(read.try_clone().unwrap()).spawn().unwrap();
    let holders: Vec<_> = (0..80).map(share).collect();
    for _ in 0..40 {
        let mut list = env.command(["ls", "pipe", "--json"]);
        let list = list.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let own = list.id();
        let document: Value = serde_json::from_slice(&list.wait_with_output().unwrap().stdout).unwrap();
        let pipe = crate::kit::look::by_ref(&document["objects"], &reference).clone();
        let ends = pipe["processes"].as_array().unwrap();
        assert!(ends.iter().all(|end| end["pid"] != own), "{pipe:#}");
    }
    drop(write);
    for mut holder in holders {
        holder.wait().unwrap();
    }
}

#[test]
fn what_has_no_name_cannot_be_removed_made_or_misnamed() {
    let env = Env::new();
    let (read, _write) = pipe().unwrap();
    let said = env.fails(1, ["rm", "--force", &format!("pipe/{}", inode(&read))]);
    assert!(said.contains("no name to remove"), "{said}");
    let said = env.fails(1, ["rm", &format!("pipe/{}", inode(&read))]);
    assert!(said.contains("no name to remove"), "{said}");
    env.fails(2, ["show", "pipe/x"]);
    env.fails(3, ["show", "pipe/18446744073709551615"]);
}

#[test]
fn a_descriptor_opened_as_a_path_only_is_no_end() {
    let env = Env::new();
    let (read, write) = pipe().unwrap();
    let path = format!("/proc/self/fd/{}", read.as_fd().as_raw_fd());
    let flags = nix::fcntl::OFlag::O_PATH;
    let handle = nix::fcntl::open(path.as_str(), flags, nix::sys::stat::Mode::empty()).unwrap();
    let pipe = listed(&env, "pipe", &format!("pipe/{}", inode(&read)));
    let ends = pipe["processes"].as_array().unwrap();
    assert!(ends.iter().all(|end| end["fd"] != handle.as_raw_fd()), "{pipe:#}");
    drop(write);
}

#[test]
fn an_ordinary_user_sees_his_own_and_is_told_what_he_does_not() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("needs a second user");
    }
    let (read, _write) = pipe().unwrap();
    let output = env.ipcx_as_nobody(["ls", "pipe", "--json"]).assert().success().get_output().clone();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let reference = format!("pipe/{}", inode(&read));
    assert!(!crate::kit::look::refs(&document["objects"]).contains(&reference.as_str()));
    let gap = document["gaps"][0].to_string();
    assert!(gap.contains("processes") && gap.contains("EACCES"), "{gap}");
    let said = crate::kit::refusal(&mut env.ipcx_as_nobody(["show", &reference]), 3);
    assert!(said.contains("may look into"), "{said}");

    let mut command = env.command(["pipe", "sleep", "1000", ":::", "cat"]);
    command.uid(NOBODY).gid(NOBODY);
    let _pipeline = Running::start(command);
    // Whether somebody else reads it he cannot know: that is not "nobody".
    let (ours, theirs) = pipe().unwrap();
    let mut command = std::process::Command::new("sleep");
    command.arg("1000").stdout(theirs).uid(NOBODY).gid(NOBODY);
    let mut sleeper = command.spawn().unwrap();
    let reference = format!("pipe/{}", inode(&ours));
    let output = env.ipcx_as_nobody(["show", &reference, "--json"]).assert().success().get_output().clone();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let seen = &document["objects"][0];
    assert_eq!((&seen["writers"], &seen["readers"]), (&1.into(), &Value::Null));
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    until("his own pipe", || {
        let output = env.ipcx_as_nobody(["ls", "pipe", "-o", "uid,bytes,processes", "--raw"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().any(|line| line.starts_with("65534\t0\t") && line.contains(",sleep,1w"))
    });
}
