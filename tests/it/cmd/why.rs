use crate::kit::look::{assert_harmless, refused};
use crate::kit::{Env, Refusal, Running, shorten_queue, until};
use serde_json::{Value, json};

/// What is said of the first thread of a process once it is blocked in a call.
#[track_caller]
fn answer(env: &Env, process: &Running, call: &str) -> Value {
    let mut last = Value::Null;
    until(&format!("pid {} to block in {call}", process.pid), || {
        last = env.json(["why", "--json", &process.pid.to_string()])["objects"][0].clone();
        last["call"] == call
    });
    last
}

fn text(answer: &Value) -> &str {
    answer["text"].as_str().unwrap()
}

#[test]
fn a_receiver_of_a_queue_that_holds_only_other_types() {
    let env = Env::new();
    env.out(["msgq", "create"]);
    env.out(["msgq", "send", "0", "-t", "3", "x"]);
    env.out(["msgq", "send", "0", "-t", "1", "y"]);
    let receiver = env.start(["msgq", "recv", "0", "-t", "7"]);
    let answer = answer(&env, &receiver, "msgrcv");
    assert_eq!(answer["pid"], receiver.pid);
    assert_eq!(answer["tid"], receiver.pid);
    assert_eq!(answer["command"], "ipcx");
    assert_eq!((&answer["state"], &answer["waits_for"]), (&json!("blocked"), &json!("message")));
    assert_eq!((&answer["ref"], &answer["timeout"]), (&json!("msgq/0"), &Value::Null));
    let odd: Vec<&str> = answer["odd"].as_array().unwrap().iter().map(|odd| odd.as_str().unwrap()).collect();
    assert!(odd.iter().any(|odd| odd.ends_with("of other types: 2 messages, of type 1, 3")), "{odd:?}");
    assert!(odd.iter().any(|odd| odd.starts_with("the last sender (pid ") && odd.ends_with(") is gone")), "{odd:?}");
    assert!(text(&answer).contains("in msgrcv for a message of type 7 in msgq/0."), "{answer:#}");
    // Looking took nothing.
    assert_eq!(env.out(["msgq", "recv", "0", "--all"]), "x\ny");
    let said = env.out(["why", &receiver.pid.to_string()]);
    assert!(said.starts_with(&format!("Process {} (ipcx) ", receiver.pid)) && said.contains("Odd: "), "{said}");
}

#[test]
fn a_waiter_of_a_semaphore_with_its_value_its_timeout_and_its_last_operator() {
    let env = Env::new();
    env.out(["sem", "create", "--value", "2,5"]);
    let mut holder = env.start(["sem", "op", "0", "0=-1", "--", "sh", "-c", "echo; read x"]);
    assert_eq!(holder.line(), "");
    let waiter = env.start(["sem", "wait", "0", "-n", "3", "--timeout", "1000s"]);
    let answer = answer(&env, &waiter, "semtimedop");
    assert!(text(&answer).contains("for semaphore 0 of sem/0. Its value is 1, and it wants to take 3."), "{answer:#}");
    let left = answer["timeout"].as_f64().unwrap();
    assert!((900.0..=1000.0).contains(&left), "{answer:#}");
    assert!(text(&answer).contains("It gives up after another 16 min "), "{answer:#}");
    let wakers = answer["wakers"].as_array().unwrap();
    assert_eq!(wakers.len(), 1, "{answer:#}");
    assert_eq!((&wakers[0]["pid"], &wakers[0]["command"]), (&json!(holder.pid), &json!("sh")));
    assert_eq!((&wakers[0]["grade"], &wakers[0]["why"]), (&json!("weak"), &json!("last operator")));
    // Whoever waits for the object is found by its reference, too.
    let by_ref = env.json(["why", "sem/0", "--json"]);
    assert_eq!(by_ref["objects"][0]["pid"], waiter.pid);
    drop(holder);
    let answer = self::answer(&env, &waiter, "semtimedop");
    let said = answer["odd"][0].as_str().unwrap();
    assert!(said.starts_with("the last process to operate on it (pid ") && said.ends_with(") is gone"), "{answer:#}");
}

#[test]
fn a_waiter_of_a_posix_semaphore_that_nobody_else_has() {
    let env = Env::new();
    env.out(["sem", "create", "/lock"]);
    let waiter = env.start(["sem", "wait", "/lock"]);
    let first = answer(&env, &waiter, "futex");
    assert_eq!((&first["ref"], &first["waits_for"]), (&json!("sem//lock"), &json!("semaphore")));
    assert!(text(&first).contains(" in futex for sem//lock. Its value is 0. A POSIX semaphore records"), "{first:#}");
    assert_eq!(first["odd"], json!(["no other process that has the memory mapped can be seen"]));
    let other = env.start(["sem", "wait", "/lock"]);
    answer(&env, &other, "futex");
    let second = answer(&env, &waiter, "futex");
    assert_eq!((&second["wakers"][0]["pid"], &second["wakers"][0]["grade"]), (&json!(other.pid), &json!("weak")));
}

#[test]
fn a_reader_whose_only_writer_is_itself() {
    let env = Env::new();
    env.out(["mkfifo", "./f"]);
    let reader = env.start_sh("exec cat 0<>f");
    let answer = answer(&env, &reader, "read");
    assert_eq!(answer["odd"], json!(["the only writer is the waiting process itself"]));
    assert!(text(&answer).contains(" for bytes from fifo/"), "{answer:#}");
}

#[test]
fn a_reader_whose_writer_is_stopped() {
    let env = Env::new();
    env.out(["mkfifo", "./f"]);
    let mut writer = env.start_sh("exec 3>f; exec sleep 1000");
    let reader = env.start_sh("exec cat <f");
    let first = answer(&env, &reader, "read");
    assert_eq!(first["wakers"][0]["pid"], writer.pid);
    writer.signal(19);
    until("it to be said", || {
        let answer = answer(&env, &reader, "read");
        answer["odd"].as_array().unwrap().iter().any(|odd| {
            odd.as_str().unwrap() == format!("process {} (sleep) is stopped (SIGSTOP or a debugger)", writer.pid)
        })
    });
}

#[test]
fn an_opener_of_a_fifo_to_which_nobody_comes() {
    let env = Env::new();
    env.out(["mkfifo", "./f"]);
    let opener = env.start_sh("exec 3>f");
    let answer = answer(&env, &opener, "openat");
    assert_eq!(answer["waits_for"], "reader");
    assert_eq!(answer["ref"], format!("fifo/{}", env.path("f").display()));
    assert_eq!(answer["odd"], json!(["no process is seen that would be its reader"]));
    let by_ref = env.json(["why", "fifo/./f", "--json"]);
    assert_eq!(by_ref["objects"][0]["pid"], opener.pid);
}

#[test]
fn a_parent_says_for_which_child_it_waits_and_that_is_followed() {
    let env = Env::new();
    let shell = env.start_sh("cat; :");
    let parent = answer(&env, &shell, "wait4");
    let cat = parent["wakers"][0]["pid"].as_u64().unwrap();
    assert_eq!(parent["wakers"][0]["command"], "cat");
    assert!(text(&parent).contains(&format!("in wait4 for the end of process {cat} (cat).")), "{parent:#}");
    let me = std::process::id();
    let child = env.json(["why", "--json", &cat.to_string()]);
    assert!(child["objects"][0]["wakers"].as_array().unwrap().iter().any(|waker| waker["pid"] == me), "{child:#}");
}

#[test]
fn what_is_not_blocked_says_what_it_does() {
    let env = Env::new();
    let mut spinner = env.start_sh("while :; do :; done");
    let state = |pid: u32| env.json(["why", "--json", &pid.to_string()])["objects"][0].clone();
    until("it to run", || state(spinner.pid)["state"] == "running");
    spinner.signal(19);
    until("it to stop", || state(spinner.pid)["state"] == "stopped");
    assert!(text(&state(spinner.pid)).ends_with("SIGCONT lets it go on."));
    // What replaces the shell knows nothing of its child.
    env.out(["mkfifo", "./f"]);
    let mut shell = env.start_sh("cat f & echo $!; exec sleep 1000");
    let child: u32 = shell.line().parse().unwrap();
    answer(&env, &shell, "clock_nanosleep");
    env.sh("exec 3>f").assert().success();
    until("it to end", || state(child)["state"] == "ended");
    let said = state(child);
    let expected = format!("and process {} (sleep) has not yet waited for it (a zombie).", shell.pid);
    assert!(text(&said).ends_with(&expected), "{said:#}");
}

#[test]
fn processes_go_by_their_name_too() {
    let env = Env::new();
    env.out(["sem", "create"]);
    let name = format!("w{}", std::process::id());
    std::os::unix::fs::symlink(crate::kit::program(), env.path(&name)).unwrap();
    let start = || {
        Running::start({
            let mut command = std::process::Command::new(env.path(&name));
            command.args(["sem", "wait", "0"]).env_clear();
            command
        })
    };
    let (a, b) = (start(), start());
    until("both to wait", || {
        let found = env.json(["why", "--json", &name]);
        let mut pids: Vec<u64> =
            found["objects"].as_array().unwrap().iter().map(|one| one["pid"].as_u64().unwrap()).collect();
        pids.sort_unstable();
        let blocked = found["objects"].as_array().unwrap().iter().all(|one| one["call"] == "semtimedop");
        let mut expected = [u64::from(a.pid), u64::from(b.pid)];
        expected.sort_unstable();
        pids == expected && blocked
    });
    assert_eq!(env.out(["why", &name]).matches("in semtimedop for semaphore 0 of sem/0").count(), 2);
}

#[test]
fn what_is_not_there_or_no_target_is_refused() {
    let env = Env::new();
    assert!(
        refused(&env, 3, ["why", "4000000"])
            .starts_with("ipcx: cannot say why process 4000000: there is no such process (ESRCH)")
    );
    assert!(refused(&env, 3, ["why", "no-such-name-x"]).contains("no process with this name"));
    refused(&env, 3, ["why", "sem/77"]);
    refused(&env, 2, ["why"]);
    refused(&env, 2, ["why", "0"]);
    refused(&env, 2, ["why", "99999999999"]);
    refused(&env, 2, ["why", "sem/x"]);
    refused(&env, 3, ["why", "--deadlocks", "4000000"]);
    env.out(["sem", "create"]);
    let output = env.ipcx(["why", "sem/0"]).assert().success().stdout("").get_output().clone();
    assert_eq!(String::from_utf8_lossy(&output.stderr).lines().next(), Some("ipcx: nobody is seen to wait for sem/0"));
}

#[test]
fn of_several_the_missing_one_is_the_status_and_the_others_are_told() {
    let env = Env::new();
    env.out(["msgq", "create"]);
    let receiver = env.start(["msgq", "recv", "0"]);
    answer(&env, &receiver, "msgrcv");
    let output = env.ipcx(["why", "4000000", &receiver.pid.to_string()]).assert().code(3).get_output().clone();
    assert!(String::from_utf8_lossy(&output.stdout).contains("The queue is empty."));
}

#[test]
fn a_process_of_another_user_is_status_4_with_what_it_takes() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("there is no second user");
    }
    env.out(["msgq", "create"]);
    let receiver = env.start(["msgq", "recv", "0"]);
    let output = env.ipcx_as_nobody(["why", &receiver.pid.to_string()]).assert().code(4).get_output().clone();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("what it does may not be seen (EACCES)") && said.contains("hint: it takes the right to trace it"),
        "{said}"
    );
    // What could not be seen is said beside the result.
    let output = env.ipcx_as_nobody(["why", "--deadlocks", "--json"]).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_ne!(document["gaps"], json!([]));
}

#[test]
fn what_proc_hides_is_said_and_never_taken_for_absent() {
    let env = Env::new();
    if !env.has_users() || !env.sh("mount -t proc -o hidepid=invisible proc /proc").output().unwrap().status.success() {
        crate::skip!("/proc cannot be mounted with hidepid here");
    }
    for args in [&["why", "--deadlocks"][..], &["ps"]] {
        let output = env.ipcx_as_nobody(args).assert().success().get_output().clone();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("of the processes of others, which /proc does not list (hidepid)"), "{said}");
    }
    let listed = env.ipcx_as_nobody(["ls", "shm"]).assert().success().get_output().clone();
    assert_eq!(String::from_utf8_lossy(&listed.stderr), "");
}

#[test]
fn shared_memory_in_a_file_of_an_overlay_is_known() {
    let env = Env::new();
    let script = "mkdir x; mount -t tmpfs x x; mkdir x/low x/up x/work
        mount -t overlay x -o lowerdir=x/low,upperdir=x/up,workdir=x/work .";
    if !env.sh(script).output().unwrap().status.success() {
        crate::skip!("no overlay can be mounted here");
    }
    let mut holder = env.start_mutexes(0, Some(1));
    assert_eq!(holder.line(), "");
    let mut waiter = env.start_mutexes(1, Some(0));
    assert_eq!(waiter.line(), "");
    waiter.write(b"\n");
    let waits = answer(&env, &waiter, "futex");
    let path = env.path("mutexes").display().to_string();
    assert!(text(&waits).contains(&format!(" of {path}")), "{waits:#}");
    assert_eq!(waits["wakers"][0]["pid"], holder.pid);
}

#[test]
fn sockets_that_could_not_be_asked_for_are_not_taken_for_those_of_elsewhere() {
    let env = Env::new();
    let pair = env.start(["sock", "pair", "cat", ":::", "cat"]);
    let mut text = String::new();
    let children = format!("/proc/{0}/task/{0}/children", pair.pid);
    let netlink = Refusal {
        argument: Some((0, !0, u32::try_from(libc::AF_NETLINK).unwrap())),
        ..Refusal::of(libc::SYS_socket, libc::EAFNOSUPPORT)
    };
    until("one to read", || {
        let children = std::fs::read_to_string(&children).unwrap();
        let Some(first) = children.split_ascii_whitespace().next() else { return false };
        let output = env.ipcx_refused(&[netlink], ["why", first]).output().unwrap();
        text = String::from_utf8(output.stdout).unwrap();
        text.contains(" in read for ")
    });
    assert!(text.contains("The other side, which could not be looked up (sock_diag(7)), can."), "{text}");
    let mut pair = pair;
    pair.signal(libc::SIGTERM);
    pair.wait_end();
}

#[test]
fn without_a_descriptor_to_learn_the_kinds_by_nothing_is_taken_for_something_else() {
    let env = Env::new();
    let id = env.out(["shm", "create", "--size", "1"]);
    let holder = env.start(["shm", "attach", &id]);
    until("it to attach", || env.json(["show", &format!("shm/{id}"), "--json"])["objects"][0]["nattch"] == 1);
    let memfd = [Refusal::of(libc::SYS_memfd_create, libc::EMFILE)];
    for (line, subject) in [(vec!["why", "--json"], "calls of processes"), (vec!["ps", "--json"], "mappings")] {
        let pid = holder.pid.to_string();
        let output = env.ipcx_refused(&memfd, line.into_iter().chain([&pid[..]])).output().unwrap();
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let gaps = document["gaps"].as_array().unwrap();
        let gap = gaps.iter().find(|gap| gap["subject"] == subject).unwrap_or_else(|| panic!("{document:#}"));
        assert_eq!((&gap["call"], &gap["errno"]), (&json!("memfd_create"), &json!("EMFILE")), "{gap:#}");
    }
}

/// A thread of ours in a call that waits, and its number.
fn blocked(call: impl FnOnce() + Send + 'static) -> (std::thread::JoinHandle<()>, i32) {
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        tell.send(nix::unistd::gettid().as_raw()).unwrap();
        call();
    });
    (thread, told.recv().unwrap())
}

/// What is said of one of the threads that wait for an object, once it does.
#[track_caller]
fn waiting_for(env: &Env, reference: &str, tid: i32) -> Value {
    let mut found = None;
    until(&format!("thread {tid} to wait for {reference}"), || {
        let answers = env.json(["why", "--json", reference]);
        found = answers["objects"].as_array().unwrap().iter().find(|answer| answer["tid"] == tid).cloned();
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn who_sends_datagrams_waits_for_room_where_they_go() {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    let env = Env::new();
    let path = env.path("s");
    let name = format!("ipcx-why-{}-\u{1b}[2J", std::process::id());
    let addresses = [
        (SocketAddr::from_pathname(&path).unwrap(), "sock/./s".to_owned(), format!(" ({})", path.display())),
        (
            SocketAddr::from_abstract_name(&name).unwrap(),
            format!("sock/@{name}"),
            format!(" (@ipcx-why-{}-\\x1b[2J)", std::process::id()),
        ),
    ];
    for (address, reference, shown) in addresses {
        let receiver = UnixDatagram::bind_addr(&address).unwrap();
        for connected in [false, true] {
            let sender = UnixDatagram::unbound().unwrap();
            sender.set_nonblocking(true).unwrap();
            while sender.send_to_addr(b"x", &address).is_ok() {}
            sender.set_nonblocking(false).unwrap();
            if connected {
                sender.connect_addr(&address).unwrap();
            }
            let address = address.clone();
            let (thread, tid) = blocked(move || {
                let sent = if connected { sender.send(b"y") } else { sender.send_to_addr(b"y", &address) };
                sent.unwrap();
            });
            let answer = waiting_for(&env, &reference, tid);
            assert!(text(&answer).contains(&format!("{shown}. Process ")), "{answer:#}");
            let wakers = answer["wakers"].as_array().unwrap();
            assert_eq!((wakers.len(), &wakers[0]["pid"]), (1, &json!(std::process::id())), "{answer:#}");
            assert!(text(&answer).contains(") can receive from it (strong: "), "{answer:#}");
            assert_eq!(env.json(["show", "--json", answer["ref"].as_str().unwrap()])["objects"][0]["kind"], "sock");
            receiver.recv(&mut [0; 8]).unwrap();
            thread.join().unwrap();
            receiver.set_nonblocking(true).unwrap();
            while receiver.recv(&mut [0; 8]).is_ok() {}
            receiver.set_nonblocking(false).unwrap();
        }
    }
}

#[test]
fn who_connects_waits_for_whom_listens_there() {
    use std::os::unix::net::{UnixListener, UnixStream};
    let env = Env::new();
    let path = env.path("s");
    let listener = UnixListener::bind(&path).unwrap();
    shorten_queue(&listener);
    let first = UnixStream::connect(&path).unwrap();
    let (thread, tid) = blocked({
        let path = path.clone();
        move || drop(UnixStream::connect(path).unwrap())
    });
    let answer = waiting_for(&env, "sock/./s", tid);
    assert_eq!((&answer["call"], &answer["waits_for"]), (&json!("connect"), &json!("connection")));
    let shown = format!(" ({}). Process {} ", path.display(), std::process::id());
    assert!(text(&answer).contains(&shown), "{answer:#}");
    assert!(text(&answer).contains(") can accept connections to it (strong: "), "{answer:#}");
    drop((listener.accept().unwrap(), listener.accept().unwrap(), first));
    thread.join().unwrap();
}

#[test]
fn a_hostile_name_is_escaped() {
    use std::os::unix::ffi::OsStringExt as _;
    let env = Env::new();
    env.out(["sem", "create"]);
    let path = env.path("x").with_file_name(std::ffi::OsString::from_vec(b"\x1b[31m)(\n".to_vec()));
    std::os::unix::fs::symlink(crate::kit::program(), &path).unwrap();
    let mut command = std::process::Command::new(&path);
    command.args(["sem", "wait", "0"]).env_clear();
    let waiter = Running::start(command);
    answer(&env, &waiter, "semtimedop");
    let output = env.ipcx(["why", &waiter.pid.to_string()]).assert().success().get_output().stdout.clone();
    assert_harmless("why", &output);
    assert!(String::from_utf8_lossy(&output).contains(r"(\x1b[31m)(\x0a)"));
}
