//! The socket file: its permissions, its end, and what may be there before.

use super::*;
use crate::kit::until;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;

fn mode(env: &Env) -> u32 {
    fs::metadata(env.path("s")).unwrap().permissions().mode() & 0o7777
}

#[test]
fn it_has_exactly_the_mode_whatever_the_umask() {
    let env = Env::new();
    for umask in ["000", "022", "777"] {
        for (args, expected) in [("", 0o600), ("--mode 666", 0o666), ("--mode 0", 0), ("--mode 777", 0o777)] {
            for verb in ["listen", "recv --type dgram"] {
                let mut shell = env.command::<&str>([]);
                let script = format!("umask {umask}; exec ipcx sock {verb} ./s {args}");
                let path = shell.get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap().to_owned();
                shell = std::process::Command::new("sh");
                shell.args(["-c", &script]).env("PATH", path).current_dir(env.path(""));
                let mut listener = Running::start(shell);
                assert_eq!(listener.said(), "ipcx: listening on ./s");
                assert_eq!(mode(&env), expected, "{umask} {args} {verb}");
                listener.signal(libc::SIGTERM);
                listener.wait_end();
                assert!(!env.path("s").exists());
            }
        }
    }
}

#[test]
fn it_is_never_wider_not_even_for_a_moment() {
    let env = Env::new();
    if !env.sh("command -v strace").output().unwrap().status.success() {
        crate::skip!("there is no strace");
    }
    let script = "umask 000; strace -qq -e trace=umask,bind,chmod,fchmod -o trace ipcx sock listen ./s --timeout 10ms";
    env.sh(script).assert().code(124);
    let trace = fs::read_to_string(env.path("trace")).unwrap();
    let lines: Vec<&str> = trace.lines().filter(|line| !line.contains("---")).collect();
    assert!(lines[0].starts_with("umask(0177)") && lines[1].starts_with("bind("), "{trace}");
    assert!(lines[2].starts_with("umask(000)") && lines.len() == 3, "{trace}");
}

#[test]
fn it_is_removed_however_it_ends_but_not_if_it_is_another_one() {
    let env = Env::new();
    for signal in [libc::SIGTERM, libc::SIGHUP] {
        let (mut listener, _) = listening(&env, ["sock", "listen", "./s"]);
        listener.signal(signal);
        listener.wait_end();
        assert!(!env.path("s").exists());
    }
    let (mut listener, _) = listening(&env, ["sock", "listen", "./s"]);
    fs::remove_file(env.path("s")).unwrap();
    fs::write(env.path("s"), "another").unwrap();
    listener.signal(libc::SIGTERM);
    listener.wait_end();
    assert_eq!(fs::read(env.path("s")).unwrap(), b"another");
}

#[test]
fn what_is_no_socket_is_left_as_it_is() {
    let env = Env::new();
    let script = "echo x >file; mkdir directory; mkfifo fifo; ln -s nowhere link";
    env.sh(script).assert().success();
    for (name, what) in
        [("file", "a regular file"), ("directory", "a directory"), ("fifo", "a FIFO"), ("link", "a symbolic link")]
    {
        for how in [&[][..], &["--replace-stale"]] {
            for verb in ["listen", "recv"] {
                let said =
                    env.fails(5, ["sock", verb, &format!("./{name}")].iter().copied().chain(how.iter().copied()));
                assert!(said.contains(what), "{said}");
            }
        }
    }
    assert_eq!(fs::read(env.path("file")).unwrap(), b"x\n");
    assert!(fs::symlink_metadata(env.path("link")).unwrap().is_symlink());
}

#[test]
fn a_socket_that_somebody_has_open_is_never_replaced() {
    let env = Env::new();
    for kind in ["stream", "dgram", "seqpacket"] {
        let (receiver, _) = listening(&env, ["sock", "recv", "./s", "--type", kind]);
        for how in [&[][..], &["--replace-stale"]] {
            for other in ["stream", "dgram", "seqpacket"] {
                let args = ["sock", "recv", "./s", "--type", other];
                let said = env.fails(5, args.iter().chain(how));
                assert!(said.contains("somebody listens there"), "{said}");
            }
        }
        // None of that was a connection or a message to it.
        env.ipcx(["sock", "send", "./s", "--type", kind, "mine"]).assert().success();
        assert_eq!(success(receiver), "mine\n");
    }
}

#[test]
fn a_socket_that_is_bound_and_does_not_listen_yet_is_not_stale() {
    let env = Env::new();
    // A datagram socket is one that never listens; a stream socket is asked in the same way.
    let script =
        "import socket,sys; s=socket.socket(socket.AF_UNIX); s.bind('s'); print('bound',flush=True); sys.stdin.read()";
    if !env.sh("command -v python3").output().unwrap().status.success() {
        crate::skip!("there is no python3");
    }
    let mut python = std::process::Command::new("python3");
    python.args(["-c", script]).current_dir(env.path(""));
    let mut bound = Running::start(python);
    assert_eq!(bound.line(), "bound");
    let said = env.fails(5, ["sock", "listen", "./s", "--replace-stale"]);
    assert!(said.contains("somebody listens there"), "{said}");
    bound.close_stdin();
    bound.wait_end();
}

#[test]
fn a_stale_one_is_replaced_only_if_that_is_asked_for() {
    let env = Env::new();
    leave_stale(&env.path("s"));
    let before = fs::metadata(env.path("s")).unwrap().ino();
    let said = env.fails(5, ["sock", "listen", "./s"]);
    assert!(said.contains("nobody listens on any more") && said.contains("hint: --replace-stale"), "{said}");
    assert_eq!(fs::metadata(env.path("s")).unwrap().ino(), before);
    let (listener, _) = listening(&env, ["sock", "listen", "./s", "--replace-stale"]);
    env.ipcx(["sock", "connect", "./s"]).write_stdin("new").assert().success();
    assert_eq!(success(listener), "new");
    // Where there is nothing, it does nothing.
    let (mut listener, _) = listening(&env, ["sock", "listen", "./s", "--replace-stale"]);
    listener.signal(libc::SIGTERM);
    listener.wait_end();
}

#[test]
fn of_several_who_replace_one_at_once_exactly_one_wins() {
    let env = Env::new();
    for _ in 0..20 {
        leave_stale(&env.path("s"));
        let mut all: Vec<Running> =
            (0..4).map(|_| env.start(["sock", "listen", "./s", "--replace-stale", "--keep"])).collect();
        let said: Vec<String> = all.iter_mut().map(Running::said).collect();
        let won: Vec<usize> = (0..4).filter(|at| said[*at].contains("listening")).collect();
        assert_eq!(won.len(), 1, "{said:?}");
        assert!(fs::metadata(env.path("s")).unwrap().file_type().is_socket());
        env.ipcx(["sock", "send", "./s", "to the winner"]).assert().success();
        let winner = &mut all[won[0]];
        assert_eq!(winner.line(), "to the winner");
        winner.signal(libc::SIGTERM);
        winner.wait_end();
        assert!(!env.path("s").exists());
    }
}

#[test]
fn a_lock_on_the_directory_is_waited_for_until_the_timeout() {
    let env = Env::new();
    leave_stale(&env.path("s"));
    let holder = fs::File::open(env.path("")).unwrap();
    holder.lock().unwrap();
    let said = env.fails(124, ["sock", "listen", "./s", "--replace-stale", "--timeout", "50ms"]);
    assert!(said.contains("timed out"), "{said}");
    let (mut waiting, unlock) = (env.start(["sock", "listen", "./s", "--replace-stale"]), holder);
    waiting.wait_blocked("lock");
    drop(unlock);
    assert_eq!(waiting.said(), "ipcx: listening on ./s");
}

#[test]
fn others_need_permission() {
    let env = Env::new();
    if !env.has_users() {
        crate::skip!("root is needed for a second user");
    }
    let (_listener, _) = listening(&env, ["sock", "listen", "./s"]);
    let refused = crate::kit::refusal(&mut env.ipcx_as_nobody(["sock", "connect", "./s"]), 4);
    assert!(refused.contains("EACCES") && refused.contains("write permission"), "{refused}");
    let refused = crate::kit::refusal(&mut env.ipcx_as_nobody(["sock", "listen", "./s", "--replace-stale"]), 5);
    assert!(refused.contains("whether it is used cannot be seen"), "{refused}");
    fs::create_dir(env.path("closed")).unwrap();
    fs::set_permissions(env.path("closed"), fs::Permissions::from_mode(0o755)).unwrap();
    let refused = crate::kit::refusal(&mut env.ipcx_as_nobody(["sock", "listen", "./closed/s"]), 4);
    assert!(refused.contains("EACCES"), "{refused}");
    let said = env.fails(3, ["sock", "listen", "./nowhere/s"]);
    assert!(said.contains("directory does not exist"), "{said}");
    // With the right mode others can, and are told apart.
    let (server, _) = listening(&env, ["sock", "listen", "./open", "--mode", "666", "--exec", "echo $IPCX_PEER_UID"]);
    let mut command = env.command(["sock", "connect", "./open"]);
    command.uid(crate::kit::NOBODY).gid(crate::kit::NOBODY);
    assert_eq!(success(Running::start(command)), "65534\n");
    success(server);
    until("the file to go", || !env.path("open").exists());
}
