use crate::kit::look::refused;
use crate::kit::{Env, ftok};
use std::fs;

#[test]
fn the_key_is_the_one_that_the_c_library_makes() {
    let env = Env::new();
    fs::write(env.path("file"), "x").unwrap();
    fs::create_dir(env.path("dir")).unwrap();
    std::os::unix::fs::symlink(env.path("file"), env.path("link")).unwrap();
    for (project, number) in [
        ("1", 1),
        ("9", 9),
        ("10", 10),
        ("127", 127),
        ("128", 128),
        ("255", 255),
        ("a", b'a'),
        ("Z", b'Z'),
        ("-", b'-'),
    ] {
        for name in ["file", "dir", "link"] {
            let key = format!("{:#010x}", ftok(&env.path(name), number));
            assert_eq!(env.out(["ftok", "--", name, project]), key, "{name} {project}");
        }
    }
}

#[test]
fn without_a_project_it_is_number_1() {
    let env = Env::new();
    assert_eq!(env.out(["ftok", "."]), format!("{:#010x}", ftok(&env.path("."), 1)));
    assert_eq!(env.out(["ftok", "."]), env.out(["ftok", ".", "1"]));
}

#[test]
fn a_reference_made_with_ftok_and_its_printed_key_are_one_object() {
    let env = Env::new();
    fs::write(env.path("file"), "x").unwrap();
    let id = env.out(["msgq", "create", "ftok/file,200"]);
    let key = env.out(["ftok", "file", "200"]);
    assert!(key.starts_with("0xc8"), "the project is the top byte: {key}");
    let object = &env.json(["ls", "msgq", "--json"])["objects"][0];
    assert_eq!((object["id"].to_string(), object["key"].as_str().unwrap()), (id.clone(), &*key));
    for reference in [format!("msgq/{key}"), "msgq/ftok/file,200".to_owned(), "msgq/ftok/./file,200".to_owned()] {
        assert_eq!(env.json(["show", &reference, "--json"])["objects"][0]["id"].to_string(), id);
    }
}

#[test]
fn a_bad_project_is_wrong_usage() {
    let env = Env::new();
    for project in ["0", "256", "4294967297", "-1", "ab", "", "1.5", " 1", "ä"] {
        let said = refused(&env, 2, ["ftok", "--", ".", project]);
        assert!(said.contains("project"), "{project}: {said}");
    }
    refused(&env, 2, ["ftok"]);
}

#[test]
fn a_missing_file_is_status_3_and_one_that_may_not_be_reached_is_status_4() {
    let env = Env::new();
    let said = refused(&env, 3, ["ftok", "missing"]);
    assert!(said.contains("missing") && said.contains("ENOENT"), "{said}");
    if env.has_users() {
        env.sh("mkdir -m 700 closed; touch closed/file").assert().success();
        env.ipcx_as_nobody(["ftok", "closed/file"]).assert().code(4);
    }
}
