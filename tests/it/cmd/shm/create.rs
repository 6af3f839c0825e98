use super::{FAMILIES, assert_nothing_made, bytes, each_family, listed, mode, size};
use crate::kit::Env;
use crate::skip;
use std::fs;
use std::process::Stdio;

#[test]
fn it_prints_the_bare_reference_that_every_verb_takes() {
    let env = Env::new();
    let private = env.out(["shm", "create", "--size", "5"]);
    assert!(private.bytes().all(|byte| byte.is_ascii_digit()), "{private}");
    assert_eq!(size(&env, &private), 5);
    let keyed = env.out(["shm", "create", "key/1234", "--size", "6"]);
    assert!(keyed.bytes().all(|byte| byte.is_ascii_digit()), "{keyed}");
    assert_ne!(keyed, private);
    assert_eq!((size(&env, &keyed), size(&env, "0x4d2")), (6, 6));
    assert_eq!(env.out(["shm", "create", "/frames", "--size", "7"]), "/frames");
    assert_eq!(size(&env, "/frames"), 7);
    assert_eq!(env.out(["shm", "create", "./data.bin", "--size", "8"]), "./data.bin");
    assert_eq!(fs::read(env.path("data.bin")).unwrap(), [0; 8]);
}

#[test]
fn a_key_made_from_a_path_names_the_same_segment_as_its_number() {
    let env = Env::new();
    let id = env.out(["shm", "create", "ftok/.,a", "--size", "9"]);
    let key = env.out(["ftok", ".", "a"]);
    assert_eq!(env.out(["shm", "create", &key, "--size", "9", "--exist-ok"]), id);
}

#[test]
fn sizes_have_the_usual_suffixes() {
    let env = Env::new();
    for (text, expected) in [("4096", 4096), ("4K", 4096), ("4KiB", 4096), ("4KB", 4000), ("1.5M", 3 << 19)] {
        let id = env.out(["shm", "create", "--size", text]);
        assert_eq!(size(&env, &id), expected, "{text}");
    }
}

#[test]
fn a_size_that_is_none_is_wrong_usage() {
    let env = Env::new();
    for text in ["-1", "4X", "", "18446744073709551616", "K"] {
        env.fails(2, ["shm", "create", "/frames", &format!("--size={text}")]);
    }
    env.fails(2, ["shm", "create", "/frames"]);
    assert_nothing_made(&env);
}

#[test]
fn the_mode_is_private_by_default_and_the_umask_is_for_files_alone() {
    let env = Env::new();
    for reference in each_family(&env, "1") {
        assert_eq!(mode(&env, reference), "0600", "{reference}");
        env.out(["shm", "rm", reference]);
        env.sh(&format!("umask 027; ipcx shm create {reference} --size 1 --mode 666")).assert().success();
    }
    assert_eq!(mode(&env, "0x4d2"), "0666");
    assert_eq!(mode(&env, "/frames"), "0640");
    assert_eq!(mode(&env, "./data.bin"), "0640");
}

#[test]
fn an_existing_segment_is_status_5_and_neither_resized_nor_truncated_nor_changed_in_mode() {
    let env = Env::new();
    fs::write(env.path("other"), "other").unwrap();
    for reference in each_family(&env, "10") {
        env.out(["shm", "write", reference, "precious!!"]);
        for more in [&["--size", "4"][..], &["--size", "4096"], &["--size", "10"], &["--from", "other"]] {
            let args = ["shm", "create", reference, "--mode", "666"];
            let said = env.fails(5, args.iter().chain(more));
            assert!(said.contains("EEXIST"), "{said}");
            assert_eq!(bytes(&env, reference), b"precious!!", "{reference} {more:?}");
            assert_eq!((size(&env, reference), mode(&env, reference)), (10, "0600".to_owned()), "{reference} {more:?}");
        }
    }
}

#[test]
fn exist_ok_uses_a_segment_that_is_large_enough_as_it_is() {
    let env = Env::new();
    fs::write(env.path("other"), "other").unwrap();
    for reference in FAMILIES {
        let first = env.out(["shm", "create", reference, "--size", "10", "--exist-ok"]);
        env.out(["shm", "write", reference, "precious!!"]);
        for more in [&["--size", "4"][..], &["--size", "10"], &["--from", "other"]] {
            let args = ["shm", "create", reference, "--exist-ok", "--mode", "666"];
            assert_eq!(env.out(args.iter().chain(more)), first);
        }
        let said = env.fails(5, ["shm", "create", reference, "--exist-ok", "--size", "11"]);
        assert!(said.contains("10 bytes") && said.contains("11 were asked for"), "{said}");
        assert_eq!(bytes(&env, reference), b"precious!!", "{reference}");
        assert_eq!(mode(&env, reference), "0600", "{reference}");
    }
}

#[test]
fn from_fills_the_segment_and_gives_it_its_size() {
    let env = Env::new();
    fs::write(env.path("picture"), "picture").unwrap();
    for reference in FAMILIES {
        env.out(["shm", "create", reference, "--from", "picture", "--mode", "640"]);
        assert_eq!(bytes(&env, reference), b"picture", "{reference}");
        assert_eq!(mode(&env, reference), "0640", "{reference}");
        env.out(["shm", "rm", reference]);
        env.out(["shm", "create", reference, "--from", "picture", "--size", "9"]);
        assert_eq!(bytes(&env, reference), b"picture\0\0", "{reference}");
    }
}

#[test]
fn from_a_pipe_needs_a_size() {
    let env = Env::new();
    for reference in FAMILIES {
        let args = ["shm", "create", reference, "--from", "/dev/stdin"];
        env.ipcx(args).write_stdin("abc").assert().code(2).stdout("");
        env.ipcx(args.iter().chain(&["--size", "5"])).write_stdin("abc").assert().success();
        assert_eq!(bytes(&env, reference), b"abc\0\0", "{reference}");
    }
}

#[test]
fn from_a_file_that_is_larger_than_the_size_is_wrong_usage() {
    let env = Env::new();
    fs::write(env.path("picture"), "picture").unwrap();
    for reference in FAMILIES {
        let said = env.fails(2, ["shm", "create", reference, "--from", "picture", "--size", "6"]);
        assert!(said.contains("7 bytes") && said.contains('6'), "{said}");
    }
    assert_nothing_made(&env);
}

#[test]
fn from_something_that_cannot_be_read_leaves_nothing() {
    let env = Env::new();
    for reference in FAMILIES {
        env.fails(3, ["shm", "create", reference, "--from", "missing", "--size", "6"]);
        let said = env.fails(1, ["shm", "create", reference, "--from", ".", "--size", "6"]);
        assert!(said.contains("EISDIR"), "{said}");
    }
    assert_nothing_made(&env);
}

#[test]
fn a_signal_while_it_is_filled_leaves_nothing() {
    let env = Env::new();
    for reference in FAMILIES {
        let mut create = env.start(["shm", "create", reference, "--from", "/dev/stdin", "--size", "6"]);
        create.write(b"abc");
        create.wait_blocked("pipe_read");
        create.signal(libc::SIGINT);
        create.wait_end();
        let output = create.end();
        assert_eq!((output.status.code(), output.stdout), (Some(130), vec![]), "{reference}");
    }
    assert_nothing_made(&env);
}

#[test]
fn an_interrupt_that_ends_its_input_as_well_leaves_nothing() {
    let env = Env::new();
    for reference in FAMILIES {
        let mut create = env.start(["shm", "create", reference, "--from", "/dev/stdin", "--size", "6"]);
        create.write(b"abc");
        create.wait_blocked("pipe_read");
        // A terminal's ^C goes to the whole pipeline: the end of the input comes with it.
        create.signal(libc::SIGINT);
        create.close_stdin();
        let output = create.end();
        assert_eq!((output.status.code(), output.stdout), (Some(130), vec![]), "{reference}");
    }
    assert_nothing_made(&env);
}

#[test]
fn size_zero_is_for_files_alone() {
    let env = Env::new();
    let said = env.fails(7, ["shm", "create", "--size", "0"]);
    assert!(said.contains("at least 1 byte"), "{said}");
    for reference in ["/frames", "./data.bin"] {
        env.out(["shm", "create", reference, "--size", "0"]);
        assert_eq!(bytes(&env, reference), b"");
    }
}

#[test]
fn size_zero_is_not_blamed_on_shmmax() {
    let env = Env::new();
    let said = env.fails(7, ["shm", "create", "--size", "0"]);
    assert!(!said.contains("shmmax"), "{said}");
}

#[test]
fn a_size_of_huge_pages_that_there_is_not_is_not_blamed_on_shmmax() {
    let env = Env::new();
    let refused = env.ipcx(["shm", "create", "--size", "4K", "--huge=4K"]).assert().failure().stdout("");
    let said = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(said.contains("huge") && !said.contains("shmmax"), "{said}");
}

#[test]
fn a_segment_over_shmmax_is_a_limit_that_is_named_with_its_value() {
    let env = Env::new();
    fs::write("/proc/sys/kernel/shmmax", "8192").unwrap();
    env.out(["shm", "create", "--size", "8192"]);
    let said = env.fails(7, ["shm", "create", "--size", "8193"]);
    assert!(said.contains("8193 bytes") && said.contains("EINVAL"), "{said}");
    assert!(said.contains("hint: ") && said.contains("kernel.shmmax = 8192"), "{said}");
    assert_eq!(listed(&env), 1);
}

#[test]
fn too_many_segments_or_pages_are_a_limit_that_is_named_with_its_value() {
    let env = Env::new();
    fs::write("/proc/sys/kernel/shmmni", "1").unwrap();
    env.out(["shm", "create", "--size", "1"]);
    let said = env.fails(7, ["shm", "create", "--size", "1"]);
    assert!(said.contains("ENOSPC") && said.contains("hint: ") && said.contains("kernel.shmmni = 1 "), "{said}");
    fs::write("/proc/sys/kernel/shmmni", "4096").unwrap();
    fs::write("/proc/sys/kernel/shmall", "2").unwrap();
    let said = env.fails(7, ["shm", "create", "--size", "8K"]);
    assert!(said.contains("ENOSPC") && said.contains("kernel.shmall = 2 "), "{said}");
    assert_eq!(listed(&env), 1);
}

#[test]
fn huge_pages_are_there_or_their_number_is_named() {
    let env = Env::new();
    let free = fs::read_to_string("/proc/meminfo").unwrap();
    let free = free.lines().find_map(|line| line.strip_prefix("HugePages_Free:")).map(str::trim);
    match free {
        None => skip!("this kernel has no huge pages"),
        _ if !env.has_users() => {
            let said = env.fails(4, ["shm", "create", "--size", "4K", "--huge"]);
            assert!(said.contains("EPERM") && said.contains("hint: ") && said.contains("hugetlb_shm_group"), "{said}");
        }
        Some("0") => {
            let said = env.fails(7, ["shm", "create", "--size", "4K", "--huge"]);
            assert!(said.contains("ENOMEM") && said.contains("hint: vm.nr_hugepages = "), "{said}");
        }
        Some(_) => {
            let id = env.out(["shm", "create", "--size", "4K", "--huge"]);
            assert_eq!(size(&env, &id), 4096);
        }
    }
}

#[test]
fn huge_pages_for_a_file_or_of_an_odd_size_are_wrong_usage() {
    let env = Env::new();
    for reference in ["/frames", "./data.bin"] {
        let said = env.fails(2, ["shm", "create", reference, "--size", "4K", "--huge"]);
        assert!(said.contains("hint: "), "{said}");
    }
    env.fails(2, ["shm", "create", "--size", "4K", "--huge=3M"]);
    assert_nothing_made(&env);
}

#[test]
fn an_identifier_cannot_be_chosen() {
    let env = Env::new();
    let said = env.fails(2, ["shm", "create", "5", "--size", "1"]);
    assert!(said.contains("hint: ") && said.contains("key/"), "{said}");
    assert_nothing_made(&env);
}

#[test]
fn a_full_dev_shm_is_a_limit_and_leaves_nothing_half_made() {
    let env = Env::new();
    // Holes of a file stay holes, and take nothing.
    env.sh("head -c 68157440 /dev/zero | tr '\\0' x >large").assert().success();
    let said = env.fails(7, ["shm", "create", "/frames", "--from", "large"]);
    assert!(said.contains("ENOSPC") && said.contains("/dev/shm is full"), "{said}");
    assert_nothing_made(&env);
}

#[test]
fn a_segment_whose_reference_cannot_be_written_is_removed_again() {
    let env = Env::new();
    for reference in FAMILIES {
        for to in ["> /dev/full", ">&-"] {
            let output = env.sh(&format!("ipcx shm create {reference} --size 1 {to}")).assert().code(1);
            let said = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
            assert!(said.contains("standard output"), "{said}");
            assert_nothing_made(&env);
        }
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = env.command(["shm", "create", reference, "--size", "1"]);
        let status = command.stdout(writer).stderr(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(1), "{reference}");
        assert_nothing_made(&env);
    }
}

#[test]
fn a_segment_that_was_there_stays_when_its_reference_cannot_be_written() {
    let env = Env::new();
    for reference in each_family(&env, "4") {
        env.sh(&format!("ipcx shm create {reference} --size 1 --exist-ok > /dev/full")).assert().code(1);
        assert_eq!(size(&env, reference), 4, "{reference}");
    }
}

#[test]
fn a_directory_that_is_not_there_or_not_ours_is_said() {
    let env = Env::new();
    let said = env.fails(1, ["shm", "create", "./no/where", "--size", "1"]);
    assert!(said.contains("no directory ./no") && said.contains("ENOENT"), "{said}");
    if !env.has_users() {
        skip!("needs a second user");
    }
    let output = env.ipcx_as_nobody(["shm", "create", "./data.bin", "--size", "1"]).assert().code(4).stdout("");
    assert!(String::from_utf8_lossy(&output.get_output().stderr).contains("EACCES"));
    assert_nothing_made(&env);
}
