use super::{each_family, members};
use crate::kit::{Env, refusal};
use crate::skip;
use serde_json::json;

#[test]
fn one_index_is_the_bare_value() {
    let env = Env::new();
    let id = env.out(["sem", "create", "--value", "1,20,300"]);
    env.ipcx(["sem", "get", &id, "-i", "1"]).assert().success().stdout("20\n").stderr("");
    env.ipcx(["sem", "get", &id, "-i", "2"]).assert().success().stdout("300\n");
    env.out(["sem", "create", "/slots", "--value", "4"]);
    env.ipcx(["sem", "get", "/slots", "-i", "0"]).assert().success().stdout("4\n");
}

#[test]
fn json_is_the_reference_and_every_semaphore() {
    let env = Env::new();
    let id = env.out(["sem", "create", "key/7", "--value", "1,2"]);
    let pid = members(&env, &id)[0]["last_pid"].clone();
    assert!(pid.as_u64().is_some_and(|pid| pid > 0), "{pid}");
    assert_eq!(
        env.json(["sem", "get", "--json", "key/7"]),
        json!({"ref": format!("sem/{id}"), "semaphores": [
            {"index": 0, "value": 1, "waiting_for_increase": 0, "waiting_for_zero": 0, "last_pid": pid},
            {"index": 1, "value": 2, "waiting_for_increase": 0, "waiting_for_zero": 0, "last_pid": pid},
        ]})
    );
    env.out(["sem", "create", "/slots", "--value", "4"]);
    assert_eq!(
        env.json(["sem", "get", "--json", "/slots"]),
        json!({"ref": "sem//slots", "semaphores": [
            {"index": 0, "value": 4, "waiting_for_increase": 0, "waiting_for_zero": null, "last_pid": null},
        ]})
    );
    for reference in [id.as_str(), "/slots"] {
        let shown = env.json(["sem", "show", "--json", reference]);
        assert_eq!(shown["objects"][0]["semaphores"], env.json(["sem", "get", "--json", reference])["semaphores"]);
    }
}

#[test]
fn the_last_pid_is_that_of_the_last_operator() {
    let env = Env::new();
    let id = env.out(["sem", "create", "--value", "1"]);
    let mut run = env.start(["sem", "run", &id, "--", "cat"]);
    run.wait_blocked("pipe_read");
    assert_eq!(members(&env, &id)[0]["last_pid"], run.pid);
}

#[test]
fn the_table_has_a_line_for_each_and_raw_is_tabs() {
    let env = Env::new();
    let id = env.out(["sem", "create", "--value", "5,6"]);
    let table = env.out(["sem", "get", &id]);
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.starts_with("INDEX"), "{table}");
    let raw = env.out(["sem", "get", &id, "--raw", "--no-headings"]);
    let rows: Vec<Vec<&str>> = raw.lines().map(|line| line.split('\t').take(4).collect()).collect();
    assert_eq!(rows, [["0", "5", "0", "0"], ["1", "6", "0", "0"]]);
}

#[test]
fn read_permission_is_enough_and_without_it_the_owner_is_named() {
    let env = Env::new();
    if !env.has_users() {
        skip!("needs a second user");
    }
    for reference in each_family(&env, "3") {
        let said = refusal(&mut env.ipcx_as_nobody(["sem", "get", reference]), 4);
        assert!(said.contains("EACCES"), "{said}");
        env.out(["sem", "set", reference, "--mode", "644"]);
        env.ipcx_as_nobody(["sem", "get", reference, "-i", "0"]).assert().success().stdout("3\n");
    }
}

#[test]
fn output_that_is_lost_is_an_error() {
    let env = Env::new();
    for reference in each_family(&env, "3") {
        for more in ["", "-i 0", "--json", "--raw"] {
            let said = refusal(&mut env.sh(&format!("ipcx sem get {reference} {more} > /dev/full")), 1);
            assert!(said.contains("standard output"), "{said}");
        }
    }
}
