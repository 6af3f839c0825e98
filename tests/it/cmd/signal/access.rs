//! What an unprivileged user may do, and what he is told.

use super::*;

#[test]
fn a_process_of_another_user_is_status_4_and_says_whose_it_is() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("root is needed for a second user");
    }
    let (holder, other) = (holding(&env, "USR1"), holding(&env, "USR1"));
    let (a, b) = (holder.pid.to_string(), other.pid.to_string());
    for line in [&["send", "USR1", &a][..], &["send", "0", &a, &b], &["send", "RTMIN", &a, "--value", "1"]] {
        let refused = env.ipcx_as_nobody(["signal"].iter().chain(line)).assert().code(4).stdout("");
        let said = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
        assert!(said.contains(&format!("{a} (cat): it is a process of root (EPERM)")), "{said}");
        assert_eq!(said.lines().count(), line.iter().filter(|word| **word == a || **word == b).count(), "{said}");
    }
    assert_eq!(pending(&env, holder.pid), [""; 0]);
}

#[test]
fn an_ordinary_user_has_all_of_it_for_his_own_processes() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("root is needed for a second user");
    }
    let script = ": >said; ipcx signal trap RTMIN+1 -n 1 --json 2>said & trap=$!
        until grep -q waiting said; do :; done
        ipcx signal show $trap --json >shown
        ipcx signal send RTMIN+1 $trap --value 7 --wait 20s
        wait $trap";
    let directory = env.path("his");
    fs::create_dir(&directory).unwrap();
    std::os::unix::fs::chown(&directory, Some(crate::kit::NOBODY), Some(crate::kit::NOBODY)).unwrap();
    let mut command = std::process::Command::new("sh");
    let path = format!("{}:/usr/bin:/bin", crate::kit::program().parent().unwrap().display());
    command.args(["-euc", script]).current_dir(&directory).env_clear().env("PATH", path);
    std::os::unix::process::CommandExt::uid(&mut command, crate::kit::NOBODY);
    let output = Running::start(command).end();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let record = &records(&output.stdout)[0];
    assert_eq!((&record["value"], &record["uid"]), (&7.into(), &crate::kit::NOBODY.into()));
    let shown: Value = serde_json::from_slice(&fs::read(directory.join("shown")).unwrap()).unwrap();
    assert_eq!(shown["objects"][0]["uid"], crate::kit::NOBODY);
}

#[test]
fn an_ordinary_user_sees_the_signals_of_others() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("root is needed for a second user");
    }
    let holder = holding(&env, "USR1");
    let line = ["signal", "show", &holder.pid.to_string(), "--json"];
    let output = env.ipcx_as_nobody(line).assert().success().get_output().stdout.clone();
    let document: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(document["objects"][0]["blocked"], serde_json::json!(["USR1"]));
    assert_eq!(document["gaps"], serde_json::json!([]));
}

#[test]
fn a_process_that_proc_hides_is_denied_and_not_missing() {
    let env = Env::new();
    if !env.has_users() || !env.sh("mount -t proc -o hidepid=2 proc /proc").output().unwrap().status.success() {
        crate::skip!("/proc cannot be mounted with hidepid here");
    }
    let holder = holding(&env, "USR1");
    let pid = holder.pid.to_string();
    let refused = env.ipcx_as_nobody(["signal", "show", &pid]).assert().code(4).stdout("");
    let said = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    assert!(said.contains("hidepid"), "{said}");
    env.ipcx_as_nobody(["signal", "send", "0", &pid]).assert().code(4);
    env.ipcx_as_nobody(["signal", "show", "2147483647"]).assert().code(3);
}
