use super::{FAMILIES, assert_nothing_made, each_family, shown, values};
use crate::kit::{Env, finish_set, half_made_set};
use std::fs;

#[test]
fn it_prints_the_bare_reference_that_every_verb_takes() {
    let env = Env::new();
    let private = env.out(["sem", "create"]);
    assert!(private.bytes().all(|byte| byte.is_ascii_digit()), "{private}");
    assert_eq!(values(&env, &private), [0]);
    let keyed = env.out(["sem", "create", "key/1234", "--value", "1"]);
    assert!(keyed.bytes().all(|byte| byte.is_ascii_digit()), "{keyed}");
    assert_eq!((values(&env, &keyed), values(&env, "0x4d2")), (vec![1], vec![1]));
    assert_eq!(env.out(["sem", "create", "/slots", "--value", "4"]), "/slots");
    assert_eq!(values(&env, "/slots"), [4]);
}

#[test]
fn a_set_has_as_many_semaphores_as_its_count_or_its_values() {
    let env = Env::new();
    for (args, expected) in [
        (&["-n", "3"][..], &[0, 0, 0][..]),
        (&["-n", "2", "--value", "7"], &[7, 7]),
        (&["--value", "0,10,1"], &[0, 10, 1]),
        (&["-n", "3", "--value", "32767,0,1"], &[32767, 0, 1]),
    ] {
        let id = env.out(["sem", "create"].iter().chain(args));
        assert_eq!(values(&env, &id), expected, "{args:?}");
    }
    env.fails(2, ["sem", "create", "-n", "3", "--value", "1,2"]);
}

#[test]
fn a_new_set_has_had_its_first_operation() {
    let env = Env::new();
    for value in ["0", "1", "3,0,2"] {
        let id = env.out(["sem", "create", "--value", value]);
        assert!(shown(&env, &id)["otime"].is_string(), "{value}");
    }
}

#[test]
fn a_value_over_the_highest_is_a_limit_and_nothing_is_made() {
    let env = Env::new();
    for args in [&["key/5", "--value", "32768"][..], &["--value", "1,40000"], &["/slots", "--value", "2147483648"]] {
        let said = env.fails(7, ["sem", "create"].iter().chain(args));
        assert!(said.contains("ERANGE") && said.contains("is over"), "{said}");
    }
    env.fails(2, ["sem", "create", "--value", "-1"]);
    env.fails(2, ["sem", "create", "--value", "4294967296"]);
    assert_nothing_made(&env);
    env.out(["sem", "create", "/slots", "--value", "2147483647"]);
    assert_eq!(values(&env, "/slots"), [2_147_483_647]);
}

#[test]
fn no_semaphores_and_more_than_semmsl_are_a_limit_that_is_named() {
    let env = Env::new();
    fs::write("/proc/sys/kernel/sem", "5 1000 500 100").unwrap();
    let said = env.fails(7, ["sem", "create", "-n", "0"]);
    assert!(said.contains("at least one"), "{said}");
    let said = env.fails(7, ["sem", "create", "-n", "6"]);
    assert!(said.contains("6 semaphores") && said.contains("hint: SEMMSL = 5 "), "{said}");
    assert_nothing_made(&env);
    env.out(["sem", "create", "-n", "5"]);
}

#[test]
fn a_set_without_semaphores_is_not_blamed_on_semmsl() {
    let env = Env::new();
    let said = env.fails(7, ["sem", "create", "-n", "0"]);
    assert!(!said.contains("SEMMSL"), "{said}");
}

#[test]
fn too_many_sets_or_semaphores_are_a_limit_that_is_named_with_its_value() {
    let env = Env::new();
    fs::write("/proc/sys/kernel/sem", "250 10 500 2").unwrap();
    env.out(["sem", "create", "-n", "9"]);
    let said = env.fails(7, ["sem", "create", "-n", "2"]);
    assert!(said.contains("ENOSPC") && said.contains("SEMMNS = 10 "), "{said}");
    env.out(["sem", "create"]);
    let said = env.fails(7, ["sem", "create"]);
    assert!(said.contains("ENOSPC") && said.contains("SEMMNI = 2 "), "{said}");
}

#[test]
fn a_set_larger_than_one_call_may_fill_gets_all_its_values() {
    let env = Env::new();
    fs::write("/proc/sys/kernel/sem", "250 1000 3 100").unwrap();
    let id = env.out(["sem", "create", "-n", "10", "--value", "6"]);
    assert_eq!(values(&env, &id), [6; 10]);
    assert!(shown(&env, &id)["otime"].is_string());
}

#[test]
fn an_existing_semaphore_is_status_5_and_keeps_value_and_mode() {
    let env = Env::new();
    for reference in each_family(&env, "3") {
        for value in ["3", "0", "9"] {
            let said = env.fails(5, ["sem", "create", reference, "--value", value, "--mode", "666"]);
            assert!(said.contains("EEXIST"), "{said}");
            assert_eq!(values(&env, reference), [3], "{reference}");
            assert_eq!(shown(&env, reference)["mode"], "0600", "{reference}");
        }
    }
}

#[test]
fn exist_ok_opens_it_as_it_is() {
    let env = Env::new();
    for reference in FAMILIES {
        let create = ["sem", "create", reference, "--exist-ok", "--mode", "666", "--value"];
        let first = env.out(["sem", "create", reference, "--exist-ok", "--value", "3"]);
        assert_eq!(env.out(create.iter().chain(&["9"])), first);
        assert_eq!(values(&env, reference), [3], "{reference}");
        assert_eq!(shown(&env, reference)["mode"], "0600", "{reference}");
    }
    let said = env.fails(5, ["sem", "create", "0x4d2", "--exist-ok", "-n", "2"]);
    assert!(said.contains("1 semaphores") || said.contains("1 semaphore"), "{said}");
    env.fails(2, ["sem", "create", "/slots", "--exist-ok", "--value", "1,2"]);
}

#[test]
fn exist_ok_waits_for_a_set_that_another_process_is_still_making() {
    let env = Env::new();
    let id = half_made_set(1234, 1);
    let mut create = env.start(["sem", "create", "key/1234", "--exist-ok", "--value", "5"]);
    create.wait_blocked("nanosleep");
    finish_set(id);
    let output = create.end();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{id}\n"));
    assert_eq!(values(&env, "key/1234"), [1]);
}

#[test]
fn exist_ok_takes_a_set_that_never_had_an_operation_after_a_moment() {
    let env = Env::new();
    let id = half_made_set(1234, 2);
    assert_eq!(env.out(["sem", "create", "key/1234", "--exist-ok"]), id.to_string());
    assert_eq!(values(&env, "key/1234"), [0, 0]);
}

#[test]
fn the_mode_is_private_by_default_and_the_umask_is_for_posix_alone() {
    let env = Env::new();
    for reference in each_family(&env, "1") {
        assert_eq!(shown(&env, reference)["mode"], "0600", "{reference}");
        env.out(["sem", "rm", reference]);
        env.sh(&format!("umask 027; ipcx sem create {reference} --value 1 --mode 666")).assert().success();
    }
    assert_eq!(shown(&env, "0x4d2")["mode"], "0666");
    assert_eq!(shown(&env, "/slots")["mode"], "0640");
    let id = env.out(["sem", "create", "--value", "4", "--mode", "044"]);
    assert_eq!((shown(&env, &id)["mode"].as_str(), values(&env, &id)), (Some("0044"), vec![4]));
}

#[test]
fn a_posix_semaphore_is_one_and_has_a_name() {
    let env = Env::new();
    for args in [&["--value", "1,2"][..], &["-n", "2"], &["-n", "0"]] {
        let said = env.fails(2, ["sem", "create", "/slots"].iter().chain(args));
        assert!(said.contains("one counter") && said.contains("hint: "), "{said}");
    }
    env.fails(2, ["sem", "create", "slots"]);
    env.fails(2, ["sem", "create", "/"]);
    env.fails(2, ["sem", "create", "5"]);
    assert_nothing_made(&env);
}

#[test]
fn the_longest_name_is_that_of_the_file_system_less_the_prefix() {
    let env = Env::new();
    let longest = format!("/{}", "n".repeat(251));
    assert_eq!(env.out(["sem", "create", &longest]), longest);
    assert_eq!(values(&env, &longest), [0]);
    env.fails(2, ["sem", "create", &format!("{longest}n")]);
}

#[test]
fn a_semaphore_whose_reference_cannot_be_written_is_removed_again() {
    let env = Env::new();
    for reference in FAMILIES {
        for to in ["> /dev/full", ">&-"] {
            env.sh(&format!("ipcx sem create {reference} {to}")).assert().code(1);
            assert_nothing_made(&env);
        }
    }
}

#[test]
fn a_dev_shm_without_room_is_a_limit_and_leaves_nothing() {
    let env = Env::new();
    env.sh("mount -t tmpfs -o mode=1777,nr_inodes=1 full /dev/shm").assert().success();
    let said = env.fails(7, ["sem", "create", "/slots"]);
    assert!(said.contains("ENOSPC") && said.contains("/dev/shm is full"), "{said}");
    assert_nothing_made(&env);
}
