use super::*;
use crate::kit::memfd;

#[test]
fn a_memory_file_is_listed_by_its_inode_with_its_label() {
    let env = Env::new();
    let (first, second) = (memfd(b"buffer", 5000), memfd(b"buffer", 100));
    for (file, size) in [(&first, 5000), (&second, 100)] {
        let reference = format!("memfd/{}", inode(file));
        let object = listed(&env, "memfd", &reference);
        assert_eq!((&object["label"], &object["size"]), (&"buffer".into(), &size.into()));
        assert_eq!((&object["family"], &object["rss"]), (&"anonymous".into(), &0.into()));
        our_end(&object, "processes", file);
        assert!(env.fails(1, ["rm", "--force", &reference]).contains("no name to remove"));
    }
}

#[test]
fn a_hostile_label_is_escaped_and_other_files_with_such_a_name_are_none() {
    let env = Env::new();
    let file = memfd(b"x\n\x1b[2J (deleted)", 1);
    let output = env.ipcx(["ls", "memfd"]).assert().success().get_output().stdout.clone();
    crate::kit::look::assert_harmless("ls memfd", &output);
    assert!(String::from_utf8(output).unwrap().contains(r"x\x0a\x1b[2J (deleted)"));
    drop(file);
    // A file of another file system may be called as a link to a memory file reads.
    let script = "mkdir root; mount -t tmpfs ipcx-it root; : >'root/memfd:forged (deleted)'";
    env.sh(script).assert().success();
    let _forged = std::fs::File::open(env.path("root").join("memfd:forged (deleted)")).unwrap();
    assert!(!env.out(["ls", "memfd"]).contains("forged"));
}
