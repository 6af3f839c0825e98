use super::{bytes, each_family, mode, shown, size};
use crate::kit::{Env, NOBODY, refusal, until};
use crate::skip;

#[test]
fn a_file_grows_by_zeros_and_shrinks_at_its_end() {
    let env = Env::new();
    for reference in ["/frames", "./data.bin"] {
        env.out(["shm", "create", reference, "--size", "3", "--mode", "640"]);
        env.out(["shm", "write", reference, "abc"]);
        env.out(["shm", "resize", reference, "5"]);
        assert_eq!(bytes(&env, reference), b"abc\0\0", "{reference}");
        env.out(["shm", "resize", reference, "2"]);
        env.out(["shm", "resize", reference, "4"]);
        assert_eq!(bytes(&env, reference), b"ab\0\0", "{reference}");
        env.out(["shm", "resize", reference, "0"]);
        env.out(["shm", "resize", reference, "1M"]);
        assert_eq!((size(&env, reference), mode(&env, reference)), (1 << 20, "0640".to_owned()));
    }
}

#[test]
fn a_system_v_segment_cannot_be_resized_and_it_says_why() {
    let env = Env::new();
    env.out(["shm", "create", "0x4d2", "--size", "3"]);
    let said = env.fails(1, ["shm", "resize", "0x4d2", "5"]);
    assert!(said.contains("fixed when it is made") && said.contains("hint: "), "{said}");
    assert_eq!(size(&env, "0x4d2"), 3);
    for reference in ["/frames", "./data.bin", "7"] {
        env.fails(3, ["shm", "resize", reference, "5"]);
    }
}

#[test]
fn a_size_that_no_file_can_have_is_a_limit() {
    let env = Env::new();
    env.out(["shm", "create", "/frames", "--size", "3"]);
    let said = env.fails(7, ["shm", "resize", "/frames", "18446744073709551615"]);
    assert!(said.contains("EFBIG"), "{said}");
    assert_eq!(size(&env, "/frames"), 3);
}

#[test]
fn a_locked_segment_says_so_until_it_is_unlocked() {
    let env = Env::new();
    let id = env.out(["shm", "create", "--size", "3"]);
    let status = || env.out(["shm", "ls", "-o", "status", "--raw", "--no-headings"]);
    assert!(!status().contains("locked"));
    env.out(["shm", "lock", &id]);
    assert_eq!(status(), "locked");
    assert_eq!(shown(&env, &id)["status"], "locked");
    env.out(["shm", "unlock", &id]);
    assert!(!status().contains("locked"));
    for verb in ["lock", "unlock"] {
        env.fails(3, ["shm", verb, "0x4d2"]);
    }
}

#[test]
fn an_owner_may_lock_what_he_may_not_read_and_locking_is_no_use_of_it() {
    let env = Env::new();
    if !env.has_users() {
        skip!("needs a second user");
    }
    env.ipcx_as_nobody(["shm", "create", "0x4d2", "--size", "1", "--mode", "000"]).assert().success();
    let before = last_use(&env);
    for verb in ["lock", "unlock"] {
        env.ipcx_as_nobody(["shm", verb, "0x4d2"]).assert().success();
    }
    assert_eq!(last_use(&env), before);
}

/// What a listing, which attaches nothing, says of the last use.
fn last_use(env: &Env) -> (serde_json::Value, serde_json::Value) {
    let document = env.json(["shm", "ls", "--json"]);
    let object = &document["objects"][0];
    (object["lpid"].clone(), object["atime"].clone())
}

#[test]
fn only_a_system_v_segment_can_be_locked_for_good() {
    let env = Env::new();
    for reference in ["/frames", "./data.bin"] {
        env.out(["shm", "create", reference, "--size", "3"]);
        for verb in ["lock", "unlock"] {
            let said = env.fails(1, ["shm", verb, reference]);
            assert!(said.contains("System V"), "{said}");
        }
    }
}

#[test]
fn mode_and_owner_of_a_live_segment_change_and_its_bytes_do_not() {
    let env = Env::new();
    for reference in each_family(&env, "3") {
        env.out(["shm", "write", reference, "abc"]);
        env.out(["shm", "set", reference, "--mode", "664"]);
        assert_eq!(mode(&env, reference), "0664", "{reference}");
        assert_eq!(shown(&env, reference)["uid"], 0, "{reference}");
        assert_eq!((bytes(&env, reference), size(&env, reference)), (b"abc".to_vec(), 3), "{reference}");
    }
    if !env.has_users() {
        skip!("needs a second user");
    }
    for reference in super::FAMILIES {
        env.out(["shm", "set", reference, "--owner", "nobody:65534", "--mode", "640"]);
        let object = shown(&env, reference);
        assert_eq!((&object["uid"], &object["gid"]), (&NOBODY.into(), &NOBODY.into()), "{reference}");
        assert_eq!(object["mode"], "0640", "{reference}");
        env.out(["shm", "set", reference, "--owner", ":0"]);
        let object = shown(&env, reference);
        assert_eq!((&object["uid"], &object["gid"]), (&NOBODY.into(), &0.into()), "{reference}");
    }
}

#[test]
fn set_wants_something_to_change_that_exists() {
    let env = Env::new();
    env.out(["shm", "create", "/frames", "--size", "3"]);
    env.fails(2, ["shm", "set", "/frames"]);
    env.fails(2, ["shm", "set", "/frames", "--mode", "999"]);
    env.fails(2, ["shm", "set", "/frames", "--owner", "no-such-user-here"]);
    for reference in ["0x4d2", "/other", "./data.bin", "7"] {
        env.fails(3, ["shm", "set", reference, "--mode", "600"]);
    }
}

#[test]
fn what_belongs_to_another_can_neither_be_changed_nor_removed() {
    let env = Env::new();
    if !env.has_users() {
        skip!("needs a second user");
    }
    for reference in each_family(&env, "3") {
        env.out(["shm", "set", reference, "--mode", "666"]);
        let said = refusal(&mut env.ipcx_as_nobody(["shm", "set", reference, "--mode", "600"]), 4);
        assert!(said.contains("EPERM") && said.contains("root"), "{said}");
        refusal(&mut env.ipcx_as_nobody(["shm", "set", reference, "--owner", "nobody"]), 4);
        refusal(&mut env.ipcx_as_nobody(["shm", "rm", reference, "--force"]), 4);
        assert_eq!((mode(&env, reference), size(&env, reference)), ("0666".to_owned(), 3), "{reference}");
    }
}

#[test]
fn what_is_in_use_is_removed_by_force_alone() {
    let env = Env::new();
    for reference in each_family(&env, "3") {
        let mut attach = env.start(["shm", "attach", reference]);
        attach.wait_blocked("pipe_read");
        let said = env.fails(1, ["shm", "rm", reference]);
        assert!(said.contains("in use") && said.contains("--force"), "{said}");
        assert_eq!(size(&env, reference), 3, "{reference}");
        let said = env.fails(0, ["shm", "rm", "--force", reference]);
        assert!(said.contains("removed"), "{said}");
        env.fails(3, ["shm", "read", reference]);
        attach.close_stdin();
        assert_eq!(attach.status().code(), Some(0), "{reference}");
    }
}

#[test]
fn a_removed_segment_is_listed_as_dest_until_its_last_user_is_gone() {
    let env = Env::new();
    let id = env.out(["shm", "create", "0x4d2", "--size", "3"]);
    let mut attach = env.start(["shm", "attach", "0x4d2"]);
    attach.wait_blocked("pipe_read");
    let said = env.fails(0, ["shm", "rm", "-f", "0x4d2"]);
    assert!(said.contains("last"), "{said}");
    let object = shown(&env, &id);
    assert_eq!((&object["status"], &object["nattch"]), (&"dest".into(), &1.into()), "{object}");
    assert!(env.out(["shm", "ls"]).contains("dest"));
    assert_eq!(attach.status().code(), Some(0));
    until("the segment to go", || super::listed(&env) == 0);
    env.fails(3, ["shm", "show", &id]);
}

#[test]
fn what_nobody_uses_is_removed_and_named() {
    let env = Env::new();
    for reference in each_family(&env, "3") {
        let said = env.fails(0, ["shm", "rm", reference]);
        assert!(said.contains("removed shm/") && said.contains(reference), "{said}");
        env.fails(3, ["shm", "rm", reference]);
    }
    super::assert_nothing_made(&env);
}

#[test]
fn of_several_all_are_tried_and_the_status_is_that_of_the_first_failure() {
    let env = Env::new();
    each_family(&env, "3");
    let mut attach = env.start(["shm", "attach", "0x4d2"]);
    attach.wait_blocked("pipe_read");
    env.fails(3, ["shm", "rm", "./data.bin", "/none", "0x4d2", "/frames"]);
    assert_eq!(super::listed(&env), 1);
    assert!(!env.path("data.bin").exists());
}
