//! Deadlocks of every kind that ipcx finds, staged as real processes, and near misses that are none.
//!
//! Other tests stage theirs at the same time, so each looks for those of its own processes.

use crate::kit::{Env, Running, until};
use serde_json::{Value, json};

/// The deadlocks that processes of these take part in, and what stands in it of each: the pids in order.
fn among(env: &Env, processes: &[&Running]) -> Vec<Value> {
    among_pids(env, &processes.iter().map(|process| process.pid).collect::<Vec<_>>())
}

fn among_pids(env: &Env, pids: &[u32]) -> Vec<Value> {
    let pids = pids.iter().map(u32::to_string);
    let line = ["why", "--deadlocks", "--json"].map(str::to_owned).into_iter().chain(pids);
    let output = env.ipcx(line).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    document["objects"].as_array().unwrap().clone()
}

fn pids(cycle: &Value) -> Vec<u32> {
    let edges = cycle["edges"].as_array().unwrap();
    edges.iter().map(|edge| u32::try_from(edge["pid"].as_u64().unwrap()).unwrap()).collect()
}

/// The one deadlock in which exactly these processes are.
#[track_caller]
fn found(env: &Env, processes: &[&Running]) -> Value {
    let mut last = Vec::new();
    until("the deadlock", || {
        last = among(env, processes);
        !last.is_empty()
    });
    assert_eq!(last.len(), 1, "{last:#?}");
    let cycle = last.remove(0);
    let mut in_it = pids(&cycle);
    assert_eq!(in_it.iter().min(), in_it.first(), "it is told from the lowest pid on: {cycle:#}");
    let mut expected: Vec<u32> = processes.iter().map(|process| process.pid).collect();
    in_it.sort_unstable();
    expected.sort_unstable();
    assert_eq!(in_it, expected, "{cycle:#}");
    cycle
}

/// Waits until each is blocked in this call, and then finds them in no deadlock.
#[track_caller]
fn none(env: &Env, blocked: &[(&Running, &str)], others: &[&Running]) {
    for (process, call) in blocked {
        until(&format!("pid {} to block in {call}", process.pid), || blocked_in(env, process.pid) == *call);
    }
    let all: Vec<&Running> = blocked.iter().map(|(process, _)| *process).chain(others.iter().copied()).collect();
    assert_eq!(among(env, &all), [json!(null); 0]);
}

fn blocked_in(env: &Env, pid: u32) -> String {
    let output = env.ipcx(["why", "--json", &pid.to_string()]).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    document["objects"][0]["call"].as_str().unwrap_or_default().to_owned()
}

/// A process that takes a semaphore of set 0, says so, and waits for a line before it runs a script.
fn holding(env: &Env, index: usize, then: &str) -> Running {
    let script = format!("echo; read x; {then}");
    let mut process = env.start(["sem", "run", "0", "-i", &index.to_string(), "--", "sh", "-c", &script]);
    assert_eq!(process.line(), "");
    process
}

/// The same with a lock of flock(1) on a file.
fn locking(env: &Env, file: &str, then: &str) -> Running {
    let mut process = env.start_sh(&format!("exec 3>{file}; flock 3; echo; read x; {then}"));
    assert_eq!(process.line(), "");
    process
}

fn go(processes: &mut [&mut Running]) {
    processes.iter_mut().for_each(|process| process.write(b"\n"));
}

#[test]
fn two_semaphores() {
    let env = Env::new();
    env.out(["sem", "create", "--value", "1,1"]);
    let mut a = holding(&env, 0, "exec ipcx sem wait 0 -i 1");
    let mut b = holding(&env, 1, "exec ipcx sem wait 0 -i 0");
    go(&mut [&mut a, &mut b]);
    let cycle = found(&env, &[&a, &b]);
    assert_eq!(cycle["kind"], "cycle");
    // Without the right to load a BPF program the last operator is all that is known.
    assert!(["exact", "weak"].contains(&cycle["grade"].as_str().unwrap()), "{cycle:#}");
    for (edge, other) in cycle["edges"].as_array().unwrap().iter().zip([&cycle["edges"][1], &cycle["edges"][0]]) {
        assert_eq!((&edge["waits_for"], &edge["ref"]), (&json!("semaphore"), &json!("sem/0")));
        assert_eq!(edge["holder_pid"], other["pid"]);
        assert!(edge["text"].as_str().unwrap().contains(" of sem/0, which process "), "{edge:#}");
    }
    let said = env.ipcx(["why", "--deadlocks"]).assert().code(1).get_output().stdout.clone();
    let said = String::from_utf8(said).unwrap();
    assert!(said.starts_with("deadlock 1 ("), "{said}");
    let line =
        format!(". process {} (ipcx) waits in semtimedop for semaphore 1 of sem/0, which process {}", a.pid, b.pid);
    assert!(said.contains(&line), "{said}");
    // Who asks for one of them is led there.
    let why = env.out(["why", &a.pid.to_string()]);
    assert!(why.contains(&format!("Process {} (ipcx) itself waits in semtimedop", b.pid)), "{why}");
    assert!(why.contains(&format!("`ipcx why --deadlocks {}`", a.pid)), "{why}");
    // Somebody else's deadlock is none of a process that merely runs.
    let idle = env.start_sh("exec sleep 1000");
    env.ipcx(["why", "--deadlocks", &idle.pid.to_string()]).assert().code(0).stdout("");
}

#[test]
fn two_semaphores_without_undo_by_their_last_operators() {
    let env = Env::new();
    env.out(["sem", "create", "--value", "1,1"]);
    let take = |first: &str, second: &str| {
        let mut process = env.start([
            "sem",
            "op",
            "0",
            first,
            "--",
            "sh",
            "-c",
            &format!("echo; read x; exec ipcx sem wait 0 -i {second}"),
        ]);
        assert_eq!(process.line(), "");
        process
    };
    let (mut a, mut b) = (take("0=-1", "1"), take("1=-1", "0"));
    go(&mut [&mut a, &mut b]);
    let cycle = found(&env, &[&a, &b]);
    // Whoever was the last to operate may have posted, and anybody may.
    assert_eq!(cycle["grade"], "weak");
    let edge = &cycle["edges"][0];
    assert_eq!(edge["why"], "last operator");
    let doubt = "[weak: last operator; anybody who may alter the set can post to it]";
    assert!(edge["text"].as_str().unwrap().ends_with(doubt), "{edge:#}");
}

#[test]
fn dining_philosophers() {
    let env = Env::new();
    env.out(["sem", "create", "--value", "1,1,1,1,1"]);
    let mut all: Vec<Running> =
        (0..5).map(|at| holding(&env, at, &format!("exec ipcx sem wait 0 -i {}", (at + 1) % 5))).collect();
    go(&mut all.iter_mut().collect::<Vec<_>>());
    let cycle = found(&env, &all.iter().collect::<Vec<_>>());
    let edges = cycle["edges"].as_array().unwrap();
    for (at, edge) in edges.iter().enumerate() {
        assert_eq!(edge["holder_pid"], edges[(at + 1) % 5]["pid"], "each waits for the next: {cycle:#}");
    }
}

#[test]
fn two_flocks() {
    let env = Env::new();
    let mut a = locking(&env, "a", "exec 4>b; exec flock 4");
    let mut b = locking(&env, "b", "exec 4>a; exec flock 4");
    go(&mut [&mut a, &mut b]);
    let cycle = found(&env, &[&a, &b]);
    assert_eq!(cycle["grade"], "exact");
    assert_eq!((&cycle["edges"][0]["call"], &cycle["edges"][0]["waits_for"]), (&json!("flock"), &json!("flock")));
    let path = env.path("b").display().to_string();
    assert!(
        cycle["edges"].as_array().unwrap().iter().any(|edge| edge["text"].as_str().unwrap().contains(&path)),
        "{cycle:#}"
    );
}

#[test]
fn a_flock_against_a_semaphore() {
    let env = Env::new();
    env.out(["sem", "create", "--value", "1"]);
    let mut a = locking(&env, "a", "exec ipcx sem wait 0");
    let mut b = holding(&env, 0, "exec 3>a; exec flock 3");
    go(&mut [&mut a, &mut b]);
    let cycle = found(&env, &[&a, &b]);
    let calls: Vec<&Value> = cycle["edges"].as_array().unwrap().iter().map(|edge| &edge["call"]).collect();
    assert!(calls.contains(&&json!("flock")) && calls.contains(&&json!("semtimedop")), "{cycle:#}");
}

#[test]
fn two_process_shared_mutexes() {
    let env = Env::new();
    let mut a = env.start_mutexes(0, Some(1));
    let mut b = env.start_mutexes(1, Some(0));
    assert_eq!((a.line(), b.line()), (String::new(), String::new()));
    go(&mut [&mut a, &mut b]);
    let cycle = found(&env, &[&a, &b]);
    // The mutex is memory to which both may write.
    assert_eq!((&cycle["grade"], &cycle["kind"]), (&json!("strong"), &json!("cycle")));
    assert_eq!((&cycle["edges"][0]["call"], &cycle["edges"][0]["waits_for"]), (&json!("futex"), &json!("mutex")));
}

#[test]
fn a_mutex_whose_owner_is_dead() {
    let env = Env::new();
    let mut dead = env.start_mutexes(0, None);
    assert_eq!(dead.line(), "");
    let tid = dead.pid;
    assert!(dead.status().success());
    let mut waiting = env.start_mutexes(1, Some(0));
    assert_eq!(waiting.line(), "");
    go(&mut [&mut waiting]);
    let cycle = found(&env, &[&waiting]);
    assert_eq!((&cycle["grade"], &cycle["kind"]), (&json!("strong"), &json!("dead owner")));
    assert!(
        cycle["edges"][0]["text"].as_str().unwrap().contains(&format!("its owner, thread {tid}, is dead")),
        "{cycle:#}"
    );
    let said = env.out(["why", &waiting.pid.to_string()]);
    assert!(said.contains(&format!("Odd: its owner, thread {tid}, is dead: nobody will ever give it back.")), "{said}");
}

#[test]
fn two_fifos_opened_in_opposite_order() {
    let env = Env::new();
    env.out(["mkfifo", "./one", "./two"]);
    let a = env.start_sh("exec 3<one 4>two");
    let b = env.start_sh("exec 3<two 4>one");
    let cycle = found(&env, &[&a, &b]);
    assert_eq!(cycle["grade"], "weak");
    let text = cycle["edges"][0]["text"].as_str().unwrap();
    assert!(
        text.contains("for a writer of fifo/")
            && text.ends_with("[weak: its command line names it; anybody who may open it can come]"),
        "{text}"
    );
}

#[test]
fn two_full_pipes_in_a_ring() {
    let env = Env::new();
    env.out(["mkfifo", "./one", "./two"]);
    let a = env.start_sh("exec 3>one 4<two; exec cat /dev/zero >&3");
    let b = env.start_sh("exec 3<one 4>two; exec cat /dev/zero >&4");
    let cycle = found(&env, &[&a, &b]);
    assert_eq!(cycle["grade"], "strong", "{cycle:#}");
    assert!(cycle["edges"][0]["text"].as_str().unwrap().ends_with("; anybody who may open it can come]"), "{cycle:#}");
    assert_eq!((&cycle["edges"][0]["call"], &cycle["edges"][0]["waits_for"]), (&json!("write"), &json!("room")));
}

#[test]
fn two_that_only_read_from_each_other_unless_a_third_can_write() {
    let env = Env::new();
    env.out(["mkfifo", "./one", "./two"]);
    let a = env.start_sh("exec cat >one <two");
    let b = env.start_sh("exec cat <one >two");
    found(&env, &[&a, &b]);
    let mut third = env.start_sh("exec 3>one; echo; read x; exec sleep 1000");
    assert_eq!(third.line(), "");
    none(&env, &[(&a, "read"), (&b, "read"), (&third, "read")], &[]);
}

#[test]
fn a_parent_that_waits_for_a_child_that_waits_for_it() {
    let env = Env::new();
    env.out(["mkfifo", "./one"]);
    // Nobody reads what the child writes but its parent, which waits for it to end.
    let parent = env.start_sh("exec 3<>one; cat /dev/zero >&3; :");
    let mut stuck = Vec::new();
    until("the deadlock", || {
        let cycles = among(&env, &[&parent]);
        stuck = cycles.first().map_or_else(Vec::new, pids);
        stuck.len() == 2 && cycles[0]["edges"][0]["call"] == "wait4"
    });
    // It would outlive its parent.
    let child = stuck.iter().find(|pid| **pid != parent.pid).unwrap();
    env.out(["signal", "send", "KILL", &child.to_string()]);
}

#[test]
fn a_holder_that_runs_and_a_chain_are_none() {
    let env = Env::new();
    env.out(["sem", "create", "--value", "1,1,1"]);
    let mut a = holding(&env, 0, "exec ipcx sem wait 0 -i 1");
    let mut b = holding(&env, 1, "exec ipcx sem wait 0 -i 2");
    let c = holding(&env, 2, "exec ipcx sem wait 0 -i 0");
    go(&mut [&mut a, &mut b]);
    // The last one still waits for a line of ours.
    none(&env, &[(&a, "semtimedop"), (&b, "semtimedop")], &[&c]);
    let mut c = c;
    go(&mut [&mut c]);
    found(&env, &[&a, &b, &c]);
}

#[test]
fn who_tries_again_and_again_is_in_none() {
    let env = Env::new();
    let mut a = locking(&env, "a", "exec 4>b; exec flock 4");
    let mut b = locking(&env, "b", "exec 4>a; until flock -n 4; do sleep 0.02; done");
    go(&mut [&mut a, &mut b]);
    none(&env, &[(&a, "flock")], &[&b]);
}

#[test]
fn consumers_that_wait_for_the_next_post_are_in_none() {
    let env = Env::new();
    env.out(["sem", "create", "--value", "1,1"]);
    let consume = |first: &str, second: &str| {
        env.start(["sem", "op", "0", first, "--", "ipcx", "sem", "wait", "0", "-i", second])
    };
    // Each was the last to take from the semaphore for which it waits now.
    let (a, b) = (consume("0=-1", "0"), consume("1=-1", "1"));
    none(&env, &[(&a, "semtimedop"), (&b, "semtimedop")], &[]);
}

#[test]
fn clients_servers_and_shells_at_rest_are_in_none() {
    let env = Env::new();
    let server = env.start(["sock", "listen", "./s"]);
    until("the socket", || env.path("s").exists());
    let client = env.start(["sock", "connect", "./s"]);
    let shell = env.start_sh("cat; :");
    none(&env, &[(&shell, "wait4")], &[&server, &client]);
    env.out(["msgq", "create"]);
    env.out(["msgq", "create"]);
    // Each has sent to the other and has nothing to do.
    let talk = |from: &str, to: &str| env.start_sh(&format!("exec ipcx msgq recv {from} --follow {to}"));
    let (a, b) = (talk("0", ""), talk("1", ""));
    none(&env, &[(&a, "msgrcv"), (&b, "msgrcv")], &[]);
}

#[test]
fn the_status_says_whether_there_is_one() {
    let env = Env::new();
    // In a PID namespace of their own, in which no other test shows.
    let alone = |script: &str| {
        let mut command = env.sh(&format!("exec unshare --pid --fork --mount-proc --kill-child sh -euc '{script}'"));
        command.output().unwrap()
    };
    if !alone("true").status.success() {
        crate::skip!("no PID namespace can be made here");
    }
    let free = alone("ipcx why --deadlocks");
    assert_eq!((free.status.code(), &free.stdout[..]), (Some(0), &b""[..]));
    let said = String::from_utf8_lossy(&free.stderr).into_owned();
    assert!(said.starts_with("ipcx: no deadlock among ") && said.contains(" blocked thread"), "{said}");
    env.out(["msgq", "create"]);
    // Not all processes are listed there, which is said once by whoever looks at processes.
    let unlisted = |script: &str| {
        let output = alone(script);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).matches("processes of other PID namespaces").count()
    };
    assert_eq!(said.matches("processes of other PID namespaces").count(), 1, "{said}");
    assert_eq!([unlisted("ipcx ps"), unlisted("ipcx ls -o +holders"), unlisted("ipcx ls")], [1, 1, 0]);
    env.out(["mkfifo", "./one", "./two"]);
    let script = "sh -c \"exec 3<one 4>two\" & sh -c \"exec 3<two 4>one\" &
        until ipcx why --deadlocks >out; test $? = 1; do :; done; cat out; exit 7";
    let stuck = alone(script);
    assert_eq!(stuck.status.code(), Some(7), "{stuck:?}");
    let said = String::from_utf8_lossy(&stuck.stdout).into_owned();
    assert!(said.starts_with("deadlock 1 (weak):\n  1. process "), "{said}");
}

fn children(process: &Running) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", process.pid)).unwrap();
    list.split_ascii_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// Children of a process, which end with this value.
struct Children(Vec<u32>);

impl Children {
    /// Waits until there are so many.
    fn of(process: &Running, count: usize) -> Children {
        let mut found = Vec::new();
        until("the children to be there", || {
            found = children(process);
            found.len() == count
        });
        Children(found)
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for pid in &self.0 {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(*pid).unwrap());
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::SIGKILL);
        }
    }
}

/// The one deadlock among processes of which only some may be known by their pid.
#[track_caller]
fn one(env: &Env, pids: &[u32], is_it: impl Fn(&Value) -> bool) -> Value {
    let mut last = Vec::new();
    until("the deadlock", || {
        last = among_pids(env, pids);
        last.first().is_some_and(&is_it)
    });
    assert_eq!(last.len(), 1, "{last:#?}");
    last.remove(0)
}

#[test]
fn a_socket_may_have_a_timeout_that_nobody_sees() {
    let env = Env::new();
    let pair = env.start(["sock", "pair", "cat", ":::", "cat"]);
    let cats = Children::of(&pair, 2);
    let cycle = one(&env, &cats.0, |_| true);
    assert_eq!((&cycle["grade"], pids(&cycle)), (&json!("strong"), cats.0.clone()));
    let text = cycle["edges"][0]["text"].as_str().unwrap();
    assert!(text.contains("; a timeout of the socket (SO_RCVTIMEO"), "{text}");
}

#[test]
fn whoever_catches_the_signal_of_a_timer_may_go_on_by_himself() {
    let env = Env::new();
    let mut a = locking(&env, "a", "exec 4>b; exec flock -w 100000 4");
    let mut b = locking(&env, "b", "exec 4>a; exec flock 4");
    go(&mut [&mut a, &mut b]);
    let cycle = found(&env, &[&a, &b]);
    assert_eq!(cycle["grade"], "strong");
    let of_a = cycle["edges"].as_array().unwrap().iter().find(|edge| edge["pid"] == a.pid).unwrap();
    assert!(of_a["text"].as_str().unwrap().contains("[strong: flock; a handler of a timer's signal"), "{of_a:#}");
}

#[test]
fn a_pipe_without_a_name_is_closed() {
    let env = Env::new();
    let parent = env.start_sh("exec 3>a; flock 3; x=$(exec 3>&- 4>a; exec flock 4)");
    let cycle = one(&env, &[parent.pid], |cycle| pids(cycle).len() == 2);
    // Somebody who may not be looked into may have it, too.
    let expected = if env.has_users() { "exact" } else { "strong" };
    assert!([json!("exact"), json!(expected)].contains(&cycle["grade"]), "{cycle:#}");
}

#[test]
fn a_group_that_waits_for_each_other_is_one_deadlock() {
    let env = Env::new();
    env.out(["mkfifo", "./f"]);
    let first = env.start_sh("exec 3<>f; for i in 1 2 3 4; do cat <&3 & done; exec cat <&3");
    let others = Children::of(&first, 4);
    // Whichever of them is asked for.
    for pid in others.0.iter().chain([&first.pid]) {
        let cycle = one(&env, &[*pid], |cycle| cycle["more"] == 3);
        assert_eq!(pids(&cycle).len(), 2, "{cycle:#}");
    }
    let said = env.ipcx(["why", "--deadlocks", &first.pid.to_string()]).assert().code(1).get_output().stdout.clone();
    let said = String::from_utf8(said).unwrap();
    assert!(said.ends_with("\n  and 3 more threads wait in the same circle, or for it\n"), "{said}");
}

#[test]
fn a_tracer_is_woken_by_more_than_the_end() {
    let env = Env::new();
    let script = "exec 3>a; flock 3; exec strace -o /dev/null sh -c 'exec 3>&- 4>a; exec flock 4'";
    if !env.sh("strace -o /dev/null true").output().unwrap().status.success() {
        crate::skip!("nothing can be traced here");
    }
    let tracer = env.start_sh(script);
    let mut tracee = 0;
    until("it to block", || {
        // Before it strace starts others, to try out what the kernel can.
        let Some(pid) = children(&tracer).first().copied() else { return false };
        tracee = pid;
        let output = env.ipcx(["why", "--json", &pid.to_string()]).output().unwrap();
        let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        document["objects"][0]["call"] == "flock"
    });
    until("the tracer to wait for it", || blocked_in(&env, tracer.pid) == "wait4");
    assert_eq!(among_pids(&env, &[tracer.pid, tracee]), [json!(null); 0]);
    let said = env.out(["why", &tracer.pid.to_string()]);
    assert!(said.contains("It traces what it waits for (ptrace(2)), so a stop of that ends the wait, too."), "{said}");
}
