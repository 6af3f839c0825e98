use super::*;
use crate::kit::Starts as _;

#[test]
fn it_shows_what_is_blocked_ignored_caught_and_pending() {
    let env = Env::new();
    let mut command = env.command(["signal", "block", "USR1", "RTMIN+1", "RTMAX", "--", "cat"]);
    command.ignoring(libc::SIGHUP);
    let mut holder = Running::start(command);
    holder.wait_blocked("pipe_read");
    let before = shown(&env, holder.pid);
    assert_eq!(before["blocked"], serde_json::json!(["USR1", "RTMIN+1", "RTMAX"]));
    assert_eq!(before["pending"], serde_json::json!([]));
    assert!(before["ignored"].as_array().unwrap().contains(&"HUP".into()));
    assert_eq!(
        (&before["pid"], &before["command"], &before["user"]),
        (&holder.pid.into(), &"cat".into(), &"root".into())
    );
    send(&env, &["RTMIN+1", "-n", "3"], holder.pid);
    holder.signal(libc::SIGUSR1);
    let after = shown(&env, holder.pid);
    assert_eq!(after["pending"], serde_json::json!(["USR1", "RTMIN+1"]));
    assert!(after["queued"].as_u64().unwrap() >= 3 && after["limit"].as_u64().unwrap() > 0, "{after}");
    assert_eq!(after["threads"], serde_json::json!([]));
    let page = env.out(["signal", "show", &holder.pid.to_string()]);
    for line in ["blocked  USR1 RTMIN+1 RTMAX", "pending  USR1 RTMIN+1", "command  cat", "caught   -"] {
        assert!(page.lines().any(|shown| shown.trim_start() == line), "{line} is not in\n{page}");
    }
    let catching = trapping(&env, "USR2");
    assert!(shown(&env, catching.pid)["caught"].as_array().unwrap().contains(&"TERM".into()));
}

#[test]
fn a_thread_with_signals_of_its_own_is_listed() {
    let env = Env::new();
    let holder = holding(&env, "USR1");
    crate::kit::tkill(holder.pid, libc::SIGUSR1);
    let threads = shown(&env, holder.pid)["threads"].clone();
    assert_eq!(threads, serde_json::json!([{"tid": holder.pid, "pending": ["USR1"], "blocked": ["USR1"]}]));
    let page = env.out(["signal", "show", &holder.pid.to_string()]);
    assert!(page.contains("TID") && page.contains("pending  -"), "{page}");
}

#[test]
fn a_thread_that_blocks_other_signals_than_the_first_is_listed() {
    use nix::sys::signal::{SigSet, Signal};
    let env = Env::new();
    // A thread of the tests themselves that does nothing else.
    let ((ready, is_ready), (done, is_done)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
    let thread = std::thread::spawn(move || {
        let mut set = SigSet::empty();
        set.add(Signal::SIGXCPU);
        set.thread_block().unwrap();
        ready.send(nix::unistd::gettid().as_raw()).unwrap();
        is_done.recv().unwrap();
    });
    let tid = is_ready.recv().unwrap();
    let threads = shown(&env, std::process::id())["threads"].clone();
    done.send(()).unwrap();
    thread.join().unwrap();
    let found = threads.as_array().unwrap().iter().find(|thread| thread["tid"] == tid);
    assert_eq!(found, Some(&serde_json::json!({"tid": tid, "pending": [], "blocked": ["XCPU"]})), "{threads}");
}

#[test]
fn several_processes_are_shown_and_one_that_is_gone_is_said() {
    let env = Env::new();
    let (first, second) = (holding(&env, "USR1"), holding(&env, "USR2"));
    let (a, b) = (first.pid.to_string(), second.pid.to_string());
    let output = env.ipcx(["signal", "show", &a, "2147483647", &b, "--json"]).assert().code(3).get_output().clone();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["objects"].as_array().unwrap().len(), 2);
    assert!(String::from_utf8(output.stderr).unwrap().contains("cannot show 2147483647: no such process"));
    let reference = document["objects"][1]["ref"].as_str().unwrap();
    assert_eq!(env.json(["signal", "show", reference, "--json"])["objects"][0]["pid"], second.pid);
}
