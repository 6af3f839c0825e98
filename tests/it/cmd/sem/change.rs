//! `sem set` and `sem rm`.

use super::{each_family, shown, values};
use crate::kit::{Env, NOBODY, refusal};
use crate::skip;

#[test]
fn values_are_set_one_by_one_by_range_and_all_at_once() {
    let env = Env::new();
    let id = env.out(["sem", "create", "--value", "1,2,3,4,5"]);
    env.ipcx(["sem", "set", &id, "0=9"]).assert().success().stdout("").stderr("");
    assert_eq!(values(&env, &id), [9, 2, 3, 4, 5]);
    env.out(["sem", "set", &id, "1-3=0", "4=32767"]);
    assert_eq!(values(&env, &id), [9, 0, 0, 0, 32767]);
    env.out(["sem", "set", &id, "all=6"]);
    assert_eq!(values(&env, &id), [6; 5]);
    env.out(["sem", "set", &id, "0-4=7"]);
    assert_eq!(values(&env, &id), [7; 5]);
}

#[test]
fn a_posix_semaphore_is_stepped_up_and_down_to_its_value() {
    let env = Env::new();
    env.out(["sem", "create", "/slots", "--value", "3"]);
    for value in [10, 0, 1, 1] {
        env.out(["sem", "set", "/slots", &format!("0={value}")]);
        assert_eq!(values(&env, "/slots"), [value]);
    }
    env.out(["sem", "set", "/slots", "all=2"]);
    assert_eq!(values(&env, "/slots"), [2]);
}

#[test]
fn setting_a_value_releases_who_waits_for_it() {
    let env = Env::new();
    let id = env.out(["sem", "create", "--value", "0"]);
    let mut wait = env.start(["sem", "wait", &id]);
    wait.wait_blocked("semtimedop");
    env.out(["sem", "set", &id, "0=1"]);
    assert_eq!(wait.status().code(), Some(0));
    assert_eq!(values(&env, &id), [0]);
}

#[test]
fn a_value_over_the_highest_is_a_limit_and_none_is_set() {
    let env = Env::new();
    let id = env.out(["sem", "create", "--value", "1,2"]);
    for args in [&["0=32768"][..], &["0=7", "1=40000"], &["all=32768"]] {
        let said = env.fails(7, ["sem", "set", &id].iter().copied().chain(args.iter().copied()));
        assert!(said.contains("32767") && said.contains("ERANGE"), "{said}");
        assert_eq!(values(&env, &id), [1, 2], "{args:?}");
    }
    env.out(["sem", "create", "/slots", "--value", "3"]);
    env.fails(7, ["sem", "set", "/slots", "0=2147483648"]);
    assert_eq!(values(&env, "/slots"), [3]);
}

#[test]
fn malformed_values_and_nothing_to_set_are_wrong_usage() {
    let env = Env::new();
    for reference in each_family(&env, "3") {
        env.fails(2, ["sem", "set", reference]);
        for text in ["0", "0=", "0=-1", "=1", "1-0=1", "x=1", "0=4294967296"] {
            env.fails(2, ["sem", "set", reference, text]);
        }
        assert_eq!(values(&env, reference), [3], "{reference}");
    }
}

#[test]
fn mode_and_owner_of_a_live_semaphore_change_and_its_value_does_not() {
    let env = Env::new();
    for reference in each_family(&env, "3") {
        env.out(["sem", "set", reference, "--mode", "640"]);
        assert_eq!(shown(&env, reference)["mode"], "0640", "{reference}");
        assert_eq!(values(&env, reference), [3], "{reference}");
        env.out(["sem", "set", reference, "all=4", "--mode", "600"]);
        assert_eq!((shown(&env, reference)["mode"].as_str(), values(&env, reference)), (Some("0600"), vec![4]));
    }
    if !env.has_users() {
        skip!("needs a second user");
    }
    for reference in super::FAMILIES {
        env.out(["sem", "set", reference, "--owner", "nobody:65534"]);
        let object = shown(&env, reference);
        assert_eq!((&object["uid"], &object["gid"]), (&NOBODY.into(), &NOBODY.into()), "{reference}");
    }
}

#[test]
fn what_belongs_to_another_can_neither_be_changed_nor_removed() {
    let env = Env::new();
    if !env.has_users() {
        skip!("needs a second user");
    }
    for reference in each_family(&env, "3") {
        let said = refusal(&mut env.ipcx_as_nobody(["sem", "set", reference, "0=9"]), 4);
        assert!(said.contains("EACCES") && said.contains("root"), "{said}");
        env.out(["sem", "set", reference, "--mode", "666"]);
        let said = refusal(&mut env.ipcx_as_nobody(["sem", "set", reference, "--mode", "600"]), 4);
        assert!(said.contains("EPERM") && said.contains("root"), "{said}");
        refusal(&mut env.ipcx_as_nobody(["sem", "rm", "--force", reference]), 4);
        assert_eq!((shown(&env, reference)["mode"].as_str(), values(&env, reference)), (Some("0666"), vec![3]));
    }
}

#[test]
fn what_nobody_uses_is_removed_and_named() {
    let env = Env::new();
    for reference in each_family(&env, "3") {
        let said = env.fails(0, ["sem", "rm", reference]);
        assert!(said.contains("removed sem/") && said.contains(reference), "{said}");
        env.fails(3, ["sem", "rm", reference]);
        env.fails(0, ["sem", "rm", "--missing-ok", reference]);
    }
    super::assert_nothing_made(&env);
}

#[test]
fn identifier_zero_is_a_set_like_any_other() {
    let env = Env::new();
    assert_eq!(env.out(["sem", "create", "--value", "1"]), "0", "the first of a new namespace");
    env.out(["sem", "post", "0"]);
    assert_eq!(values(&env, "0"), [2]);
    env.fails(2, ["sem", "rm", "4294967296"]);
    env.fails(2, ["sem", "post", "0x100000000"]);
    assert_eq!(values(&env, "0"), [2]);
    env.fails(0, ["sem", "rm", "0"]);
    super::assert_nothing_made(&env);
}
