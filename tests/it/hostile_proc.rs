//! Trees of /proc that no kernel would show, or that a container, a security module or somebody with a mount of his own
//! does: every command that reads them ends in order, says what it could not see, and takes what is good.

use crate::kit::Env;
use crate::kit::look::assert_harmless;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

/// What of /proc has a say in what is listed.
const LOOKS: &[&[&str]] = &[
    &["ls"],
    &["ls", "--json"],
    &["ls", "-a"],
    &["ls", "-a", "--json", "-o", "+holders,waiters,verdict"],
    &["ls", "--raw"],
    &["ps"],
    &["ps", "--json"],
    &["ps", "2"],
    &["show", "shm/7"],
    &["show", "sem/8", "--json"],
    &["why", "2"],
    &["why", "shm/7"],
    &["why", "--deadlocks"],
    &["stale", "--all", "--idle", "0s"],
    &["stale", "--json"],
    &["gc", "--json"],
    &["limits"],
    &["limits", "--json"],
    &["explain", "ENOSPC"],
    &["sock", "ls"],
    &["signal", "show", "2"],
    &["ls", "--all-namespaces", "--json"],
    &["watch", "--timeout", "50ms"],
];

fn put(at: &Path, name: impl AsRef<[u8]>, text: impl AsRef<[u8]>) {
    let path = at.join(OsStr::from_bytes(name.as_ref()));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn link(at: &Path, name: &str, to: &[u8]) {
    let path = at.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(OsStr::from_bytes(to), path).unwrap();
}

/// Titles and a good row of each table of System V.
const SHM: &str = "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      \
                   dtime      ctime                   rss                  swap\n      4660          7   600                  \
                   4096     2     2      0     0     0     0     0          1          2          3                     \
                   0                     0\n";
const MSG: &str = "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      \
                   ctime\n      4660          9   600           0          0     2     2     0     0     0     0          \
                   1          2          3\n";
const SEM: &str = "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n      4660          \
                   8   600          1     0     0     0     0          1          2\n";

fn tables(at: &Path, more: &[u8]) {
    for (name, good) in [("shm", SHM), ("msg", MSG), ("sem", SEM)] {
        let (titles, row) = good.split_once('\n').unwrap();
        put(at, format!("sysvipc/{name}"), [titles.as_bytes(), b"\n", more, b"\n", row.as_bytes()].concat());
    }
}

fn process(at: &Path, pid: &str, stat: &[u8], status: &[u8]) {
    for (name, text) in
        [("stat", stat), ("status", status), ("comm", b"a\nb\x1b[31m\n"), ("cmdline", b"\xff\x1b]0;x\x07\0-c")]
    {
        put(at, format!("{pid}/{name}"), text);
        put(at, format!("{pid}/task/{pid}/{name}"), text);
    }
}

type Tree = (&'static str, fn(&Path));

const TREES: &[Tree] = &[
    ("nothing at all", |_| {}),
    ("empty files", |at| {
        for name in ["shm", "msg", "sem"] {
            put(at, format!("sysvipc/{name}"), "");
        }
        for name in ["locks", "net/unix", "net/protocols", "self/mountinfo", "mounts", "stat", "meminfo", "uptime"] {
            put(at, name, "");
        }
        process(at, "2", b"", b"");
    }),
    ("files that were cut off", |at| {
        put(at, "sysvipc/shm", &SHM[..SHM.len() - 60]);
        put(at, "sysvipc/msg", &MSG[..40]);
        put(at, "sysvipc/sem", &SEM[..SEM.len() - 30]);
        put(at, "locks", "1: POSIX  ADVISORY  WRI");
        put(at, "self/mountinfo", "24 1 0:22 / /dev/s");
        process(at, "2", b"2 (cut", b"Name:\tcut\nUid:\t");
        put(at, "2/syscall", "68 0x3");
        put(at, "2/maps", "7f2c8a000000-7f2c8a02");
    }),
    ("numbers beyond all bounds", |at| {
        tables(
            at,
            b"  99999999999999999999 1 600 4096 1 1 0 0 0 0 0 1 2 3 0 0\n 1 -5 600 -4096 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 0 0\n\
              1 4294967296 77777777 18446744073709551616 1 1 1 1 1 1 1 1 1 1 1 1\n1 2 3\n\n \t \nx y z",
        );
        put(
            at,
            "locks",
            "99999999999999999999: POSIX ADVISORY WRITE 99999999999 ffffffff:ffffffff:99999999999999999999 -1 -2\n",
        );
        process(
            at,
            "2",
            b"2 (x) S -1 -1 -1 -1 -1 99999999999999999999 1 1 1",
            b"Uid:\t-1\t99999999999\nSigQ:\t99/-1\nNSpid:\t-7\n",
        );
        put(at, "2/syscall", "99999999999999999999 0xffffffffffffffffff 0x0 0x0 0x0 0x0 0x0 0x0 0x0\n");
        put(
            at,
            "2/maps",
            "ffffffffffffffff-0 rwxs ffffffffffffffff ff:ff 18446744073709551616 /SYSV99999999 (deleted)\n",
        );
        put(
            at,
            "2/fdinfo/3",
            "pos:\t-1\neventfd-count: zz\neventfd-id: -1\nlock:\t1: FLOCK x\nPid:\t-9\ntfd: -1 events: zz\n",
        );
        for name in ["msgmax", "msgmnb", "msgmni", "shmmax", "shmall", "shmmni", "sem", "pid_max"] {
            put(at, format!("sys/kernel/{name}"), "-1 99999999999999999999 x\n");
        }
    }),
    ("processes that are none", |at| {
        tables(at, b"");
        for name in ["0", "-1", "99999999999", "00002", "2x", "3", "4294967297"] {
            fs::create_dir_all(at.join(name)).unwrap();
        }
        put(at, b"5\xff", "x");
        put(at, "6", "a file, no directory");
        process(at, "2", b"2 (a) b) (c\n) S 1 1", b"Name:\tx\n");
        for (fd, to) in [
            ("0", &b"socket:[99999999999999999999]"[..]),
            ("1", b"pipe:[-1]"),
            ("2", b"anon_inode:[eventfd]"),
            ("3", b"/dev/shm/\x1b[2J\n"),
            ("x", b"pipe:[1]"),
            ("-1", b"pipe:[1]"),
            ("99999999999", b"/dev/mqueue/../x"),
        ] {
            link(at, &format!("2/fd/{fd}"), to);
        }
        link(at, "2/ns/ipc", b"ipc:[zz]");
        link(at, "2/ns/pid", b"pid:[-1]");
        link(at, "2/root", b"/nonexistent");
        link(at, "self", b"99999");
        link(at, "thread-self", b"2/task/77");
    }),
    ("names that act on terminals", |at| {
        tables(at, b"\x1b[31m\x9b \xe2\x80\xae 1 600");
        put(at, "locks", b"1: \x1b[31mX ADVISORY  WRITE 2 00:01:7 0 EOF\n1: -> -> FLOCK  A  B 2 0:0:0 0 EOF\n2: OFDLCK ADVISORY READ -1 fe:00:1 0 EOF\n");
        process(at, "2", b"2 (\x1b]0;x\x07\n\xe2\x80\xae\xff) S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 1 2 3 4 5 6 7 8 9 0 1 2 3 0 0 17 1 0 0 0 0 0", b"Name:\t\x1b[31m\nUid:\t0\t0\t0\t0\n");
        put(at, "2/cgroup", b"0::/docker-\x1b[31m\n\n/kubepods/\xff\n");
        put(at, "2/wchan", b"\x1b[31m");
        put(at, "2/maps", b"00400000-00401000 rw-s 00000000 00:01 7 /SYSV\x1b[31m\n00400000-00401000 rw-s 00000000 00:01 7 /dev/shm/\\012\x1b (deleted)\n");
        put(at, "self/mountinfo", b"24 1 0:22 / /dev/shm\\012\x1b[31m rw - tmpfs \xff rw\n");
    }),
    ("lines without an end", |at| {
        let long = vec![b'7'; 3 << 20];
        tables(at, &long);
        for name in [
            "locks",
            "self/mountinfo",
            "net/protocols",
            "2/stat",
            "2/status",
            "2/maps",
            "2/cmdline",
            "2/syscall",
            "2/cgroup",
        ] {
            put(at, name, &long);
        }
    }),
];

#[test]
fn every_command_ends_in_order_whatever_proc_looks_like() {
    let env = Env::new();
    for (number, (what, plant)) in TREES.iter().enumerate() {
        let tree = env.path(&format!("tree{number}"));
        fs::create_dir_all(&tree).unwrap();
        plant(&tree);
        for look in LOOKS {
            let words = look.join(" ");
            // With its own mounts, and so for itself alone.
            let script = format!("exec unshare --mount sh -euc 'mount --bind tree{number} /proc; exec ipcx {words}'");
            let output = env.sh(&script).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let status = output.status.code().unwrap_or_else(|| panic!("{what}: {words}: {}: {said}", output.status));
            assert!(matches!(status, 0..=7 | 124), "{what}: {words}: status {status}: {said}");
            assert!(!said.contains("panicked") && (status == 0 || !said.is_empty()), "{what}: {words}: {said}");
            assert_harmless(&format!("{what}: {words}"), &output.stderr);
            // Tabs separate the columns of --raw.
            let printed: Vec<u8> = output.stdout.iter().copied().filter(|byte| *byte != b'\t').collect();
            assert_harmless(&format!("{what}: {words}"), &printed);
            if look.contains(&"--json") && status == 0 {
                serde_json::from_slice::<serde_json::Value>(&output.stdout)
                    .unwrap_or_else(|error| panic!("{what}: {words}: {error}"));
            }
            // One bad line never hides a good one.
            let has_good_rows =
                tree.join("sysvipc/shm").exists() && !["empty files", "files that were cut off"].contains(what);
            if has_good_rows && *look == ["ls", "--raw"] {
                let listed = String::from_utf8_lossy(&output.stdout).into_owned();
                for reference in ["shm/7", "msgq/9", "sem/8"] {
                    assert!(listed.contains(reference), "{what}: {reference} is not in {listed}: {said}");
                }
            }
        }
    }
}
