use super::{ALL, left, nothing_is_left, runtime, with};
use crate::kit::{Env, Refusal, Running, refusal};
use assert_cmd::Command;

/// Makes one of each that it does not remove, and says what it sees.
const LEAKS: &str = "ipcx shm create --size 4K; ipcx msgq create; ipcx sem create; ipcx shm create /left --size 4K
    ipcx sem create /left --value 1; ipcx msgq create /left; ipcx ls shm sem -o ref --no-headings";

const SEEN: &str = "0\n0\n0\n/left\n/left\n/left\nshm/0\nshm//left\n\nsem/0\nsem//left\n";

#[test]
fn what_the_command_leaves_is_gone_with_it_and_it_sees_nothing_of_ours() {
    let env = Env::new();
    let before = [env.out(["shm", "create", "--size", "4K"]), env.out(["shm", "create", "/left", "--size", "8K"])];
    let there = left(&env);
    env.ipcx(["with", "--isolate", "--", "sh", "-euc", LEAKS]).assert().success().stdout(SEEN).stderr("");
    assert_eq!(left(&env), there);
    env.out(["shm", "rm", "-q", &before[0], &before[1]]);
    nothing_is_left(&env);
}

#[test]
fn objects_work_in_it_and_it_says_what_is_isolated() {
    let env = Env::new();
    let isolated: Vec<&str> = ["-v", "--isolate"].into_iter().chain(ALL).collect();
    let script =
        "ipcx msgq send $a x; ipcx msgq send $g x; ipcx sem wait $f; ipcx shm read $e | wc -c; test -p $d; exit 4";
    let output = Command::from_std(with(&env, &isolated, &["sh", "-euc", script])).assert().code(4).stdout("4096\n");
    let said = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(said.contains("isolated are System V objects and POSIX queues, POSIX shared memory"), "{said}");
    nothing_is_left(&env);
}

#[test]
fn an_ordinary_user_gets_a_user_namespace_in_which_he_is_himself() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("it needs a second user");
    }
    let script = format!("{LEAKS}; id -u; id -g; grep CapEff /proc/self/status");
    let output = env.ipcx_as_nobody(["with", "--isolate", "--", "sh", "-ec", &script]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if errors.contains("may not make user namespaces") {
        crate::skip!("an ordinary user may make no user namespaces here");
    }
    let expected = format!("{SEEN}65534\n65534\nCapEff:\t0000000000000000\n");
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{errors}");
    nothing_is_left(&env);
}

#[test]
fn a_kernel_that_refuses_it_is_an_error_before_the_command() {
    let env = Env::new();
    let kernel = Refusal::of(libc::SYS_unshare, libc::EPERM);
    let mut refused = env.ipcx_refused(&[kernel], ["with", "--isolate", "--", "touch", "ran"]);
    let said = refusal(&mut refused, 4);
    assert!(said.contains("cannot isolate the command: this user may not make user namespaces"), "{said}");
    assert!(!env.path("ran").exists());
}

#[test]
fn killed_by_9_it_leaves_nothing() {
    let env = Env::new();
    let isolated: Vec<&str> = ["--isolate"].into_iter().chain(ALL).collect();
    let mut running = Running::start(with(&env, &isolated, &["sh", "-c", "echo ready; read x"]));
    assert_eq!(running.line(), "ready");
    assert_eq!(left(&env).len(), 1, "the directory of the FIFO alone is outside: {:?}", left(&env));
    running.signal(libc::SIGKILL);
    running.wait_end();
    nothing_is_left(&env);
    assert!(runtime(&env).read_dir().unwrap().next().is_none());
}
