//! Kernels that lack what tells most.

use super::{Eyes, OURS, attach, blocked, gaps, pids};
use crate::kit::look::by_ref;
use crate::kit::{Env, Refusal, Running};
use libc::{EINVAL, ENOSYS, ENOTTY, EPERM};
use serde_json::{Value, json};

/// _IOWR('f', 17, struct procmap_query), which is 104 bytes long: include/uapi/linux/fs.h.
const PROCMAP_QUERY: u32 = 3 << 30 | 104 << 16 | (b'f' as u32) << 8 | 17;

fn no_query() -> Refusal {
    Refusal::only(libc::SYS_ioctl, 1, PROCMAP_QUERY, ENOTTY)
}

fn no_leases() -> Refusal {
    Refusal::only(libc::SYS_fcntl, 1, libc::F_SETLEASE.cast_unsigned(), EINVAL)
}

/// An object of each kind with somebody who uses it, and one of each that nobody does.
struct Stage {
    env: Env,
    users: Vec<Running>,
}

const USED: &[&str] = &["shm/0", "sem/0", "msgq/0", "shm//frames", "sem//lock", "fifo/./f"];

impl Stage {
    fn new() -> Stage {
        let env = Env::new();
        for _ in 0..2 {
            env.out(["shm", "create", "--size", "4096"]);
            env.out(["sem", "create", "--value", "1"]);
            env.out(["msgq", "create"]);
        }
        env.out(["shm", "create", "/frames", "--size", "4096"]);
        env.out(["shm", "create", "/torch_4194305_1_0", "--size", "1"]);
        env.out(["sem", "create", "/lock"]);
        env.out(["mkfifo", "./f"]);
        let mut holder = env.start(["sem", "run", "0", "--", "sh", "-c", "echo; read x"]);
        assert_eq!(holder.line(), "");
        let users = vec![
            attach(&env, "0"),
            holder,
            env.start(["sem", "wait", "0"]),
            env.start(["msgq", "recv", "0"]),
            attach(&env, "/frames"),
            env.start(["sem", "wait", "/lock"]),
            env.start_sh("exec cat 0<>f"),
        ];
        for (at, call) in [(2, "semtimedop"), (3, "msgrcv"), (5, "futex"), (6, "read")] {
            blocked(&env, &users[at], call);
        }
        Stage { env, users }
    }

    fn pids(&self) -> Vec<u32> {
        self.users.iter().map(|user| user.pid).collect()
    }

    /// Every command on a kernel that refuses these calls. The documents of `ls`, `show` and `stale`, after it was
    /// seen that nothing in use is an orphan and that who waits is known all the same.
    #[track_caller]
    fn without(&self, refusals: &[Refusal]) -> [Value; 3] {
        let eyes = Eyes { refusals, ..OURS };
        let mut all = eyes.look_at(&self.env, USED, &self.pids());
        let (stale, show, ls) = (all.remove(5), all.remove(1), all.remove(0));
        for reference in USED {
            let verdict = &by_ref(&stale["objects"], reference)["verdict"];
            assert!([json!("in use"), json!("unknown")].contains(verdict), "{reference}: {verdict}");
        }
        let waiters = |reference| pids(&by_ref(&ls["objects"], reference)["waiters"]);
        assert_eq!(waiters("sem/0"), [self.users[2].pid]);
        assert_eq!(waiters("msgq/0"), [self.users[3].pid]);
        [ls, show, stale]
    }

    /// What was found of those who use each object, and the verdicts, is what is found where nothing is missing.
    #[track_caller]
    fn same_without(&self, refusals: &[Refusal]) {
        let (with, without) = (self.without(&[]), self.without(refusals));
        let users = |object: &Value| [pids(&object["holders"]), pids(&object["waiters"])];
        for reference in USED.iter().filter(|reference| **reference != "sem/0" && !reference.starts_with("fifo/")) {
            let of = |all: &[Value; 3]| users(by_ref(&all[0]["objects"], reference));
            assert_eq!(of(&without), of(&with), "{reference}");
        }
        let verdicts = |all: &[Value; 3]| -> Vec<(String, String)> {
            let rows = all[2]["objects"].as_array().unwrap().iter();
            rows.map(|row| (row["ref"].to_string(), row["verdict"].to_string())).collect()
        };
        assert_eq!(verdicts(&without), verdicts(&with));
        // The pipes of the machine come and go.
        let said = |all: &[Value; 3]| -> Vec<String> {
            let gaps = all[0]["gaps"].as_array().unwrap().iter().map(Value::to_string);
            gaps.filter(|gap| !gap.contains("pipe/")).collect()
        };
        assert_eq!(said(&without), said(&with));
    }
}

#[test]
fn without_records_of_mappings_their_text_is_read() {
    let stage = Stage::new();
    if !stage.env.has_users() {
        crate::skip!("of an ordinary user much is hidden in any case");
    }
    stage.same_without(&[no_query()]);
    // Forbidden by a policy that knows nothing of it.
    stage.same_without(&[Refusal { errno: EPERM, ..no_query() }]);
    let shown = stage.without(&[no_query()])[1].clone();
    assert_eq!(pids(&by_ref(&shown["objects"], "shm/0")["holders"]), [stage.users[0].pid]);
    assert_eq!(pids(&by_ref(&shown["objects"], "shm//frames")["holders"]), [stage.users[4].pid]);
}

#[test]
fn without_a_comparison_of_processes_and_the_newer_opens_nothing_is_lost() {
    let stage = Stage::new();
    if !stage.env.has_users() {
        crate::skip!("of an ordinary user much is hidden in any case");
    }
    let calls = [libc::SYS_kcmp, libc::SYS_openat2, libc::SYS_close_range, libc::SYS_statx];
    stage.same_without(&calls.map(|call| Refusal::of(call, ENOSYS)));
}

#[test]
fn without_bpf_who_holds_a_semaphore_is_not_known_and_nothing_else() {
    let stage = Stage::new();
    for (errno, name) in [(EPERM, "EPERM"), (ENOSYS, "ENOSYS")] {
        let [ls, show, stale] = stage.without(&[Refusal::of(libc::SYS_bpf, errno)]);
        for document in [&ls, &show, &stale] {
            let said: Vec<&Value> = document["gaps"].as_array().unwrap().iter().collect();
            let undo = said.iter().filter(|gap| gap.to_string().contains("undo lists of semaphores")).count();
            assert!(undo <= 1 && gaps(document).contains(name), "{said:#?}");
        }
        let set = by_ref(&show["objects"], "sem/0");
        assert_eq!(set["holders"], Value::Null, "nobody is not the same as not known");
        // The kernel counts that somebody waits; of the other set nobody knows whether it is held.
        assert_eq!(by_ref(&stale["objects"], "sem/0")["verdict"], "in use");
        assert!(["unknown", "suspect"].contains(&by_ref(&stale["objects"], "sem/1")["verdict"].as_str().unwrap()));
        assert_eq!(pids(&by_ref(&ls["objects"], "shm/0")["holders"]), [stage.users[0].pid]);
        // By convention the last to operate on it is who holds it.
        let refusals = [Refusal::of(libc::SYS_bpf, errno)];
        let eyes = Eyes { refusals: &refusals, ..OURS };
        let said = eyes.json(&stage.env, &["why", "--json", &stage.users[2].pid.to_string()]);
        assert_eq!(pids(&said["objects"][0]["wakers"]), [stage.users[1].pid], "{said:#}");
        assert_eq!(said["objects"][0]["wakers"][0]["why"], "last operator");
    }
}

#[test]
fn without_the_types_of_the_kernel_it_is_the_same() {
    let stage = Stage::new();
    if !stage.env.sh("mount -t tmpfs ipcx-it /sys/kernel/btf").output().unwrap().status.success() {
        crate::skip!("/sys/kernel/btf cannot be hidden here");
    }
    let [_, show, stale] = stage.without(&[]);
    let errno = |name: &str| gaps(&show).contains(name);
    assert!(gaps(&show).contains("undo lists of semaphores") && (errno("ENOENT") || errno("EPERM")), "{}", gaps(&show));
    assert_eq!(by_ref(&show["objects"], "sem/0")["holders"], Value::Null);
    assert_eq!(by_ref(&stale["objects"], "sem/0")["verdict"], "in use");
}

#[test]
fn without_descriptors_of_others_how_full_a_pipe_is_is_not_known() {
    let stage = Stage::new();
    let eyes = [(libc::SYS_pidfd_getfd, EPERM, "EPERM"), (libc::SYS_pidfd_open, ENOSYS, "ENOSYS")];
    for (call, errno, name) in eyes {
        let [ls, show, _] = stage.without(&[Refusal::of(call, errno)]);
        let fifo = by_ref(&show["objects"], "fifo/./f");
        assert_eq!((&fifo["readers"], &fifo["writers"]), (&json!(1), &json!(1)));
        assert_eq!((&fifo["bytes"], &fifo["capacity"]), (&Value::Null, &Value::Null), "{fifo:#}");
        assert_eq!(pids(&fifo["processes"]), [stage.users[6].pid]);
        for document in [&ls, &show] {
            assert!(gaps(document).contains("pidfd") && gaps(document).contains(name), "{}", gaps(document));
        }
    }
}

#[test]
fn without_leases_only_who_is_seen_to_have_a_file_open_is_known() {
    let stage = Stage::new();
    let [ls, show, stale] = stage.without(&[no_leases()]);
    for reference in ["shm//frames", "sem//lock"] {
        assert_eq!(by_ref(&stale["objects"], reference)["verdict"], "in use", "{stale:#}");
    }
    assert_eq!(pids(&by_ref(&ls["objects"], "shm//frames")["holders"]), [stage.users[4].pid]);
    assert_eq!(pids(&by_ref(&show["objects"], "sem//lock")["waiters"]), [stage.users[5].pid]);
    // Whether anybody has it open that is not seen, nobody can say.
    assert_eq!(by_ref(&stale["objects"], "shm//torch_4194305_1_0")["verdict"], "unknown", "{stale:#}");
}

#[test]
fn without_robust_lists_and_all_else_that_is_new_every_command_answers() {
    let stage = Stage::new();
    stage.without(&[Refusal::of(libc::SYS_get_robust_list, ENOSYS)]);
    let calls = [
        libc::SYS_bpf,
        libc::SYS_kcmp,
        libc::SYS_openat2,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_getfd,
        libc::SYS_get_robust_list,
        libc::SYS_process_vm_readv,
    ];
    let mut refusals: Vec<Refusal> = calls.iter().map(|call| Refusal::of(*call, ENOSYS)).collect();
    refusals.extend([no_query(), no_leases()]);
    stage.without(&refusals);
}
