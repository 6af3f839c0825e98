//! The world of one run: namespaces of its own for objects, files and processes, so that every run finds the same, pids
//! included, and whatever is left behind ends with it.
#![allow(unsafe_code)]

use super::state::{self, State};
use super::trace::{self, Ended, Fault};
use super::verbs::{Hold, Peer, Scenario, To};
use crate::kit::{Env, Starts as _};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What came of a scenario.
pub struct Outcome {
    pub ended: Ended,
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub state: State,
}

/// The state that a scenario begins with.
pub fn before(scenario: &Scenario) -> Result<State, String> {
    apart(|| {
        let mut world = World::new(scenario);
        world.settle();
        world.state()
    })
}

/// In a thread of its own: to it belong the namespaces. What went wrong in the harness, if it could not be run.
fn apart<R: Send>(run: impl FnOnce() -> R + Send) -> Result<R, String> {
    let ended = std::thread::scope(|scope| scope.spawn(run).join());
    ended.map_err(|panic| panic.downcast_ref::<String>().map_or_else(|| "see above".to_owned(), Clone::clone))
}

/// Runs a scenario, with a fault or undisturbed.
pub fn run(scenario: &Scenario, fault: Option<Fault>) -> Result<Outcome, String> {
    apart(|| run_here(scenario, fault))
}

fn run_here(scenario: &Scenario, fault: Option<Fault>) -> Outcome {
    let mut world = World::new(scenario);
    let (mut output, stdout) = io::pipe().unwrap();
    let (mut errors, stderr) = io::pipe().unwrap();
    for pipe in [output.as_raw_fd(), errors.as_raw_fd()] {
        // SAFETY: fcntl takes numbers here. What ipcx says has place in it, and nobody need read meanwhile.
        unsafe { libc::fcntl(pipe, libc::F_SETPIPE_SZ, 1 << 20) };
    }
    let mut command = world.env.command(scenario.words(&world.peer_pid()));
    command.stderr(stderr).process_group(0);
    let copy = world.outside.join("stdout");
    // Given away or closed here, or the end of it would never be read.
    let pipe = Stdio::from(stdout);
    command.stdout(match scenario.to {
        To::Pipe => pipe,
        to => {
            drop(pipe);
            let path = if to == To::Full { PathBuf::from("/dev/full") } else { copy.clone() };
            File::options().write(true).create(true).truncate(true).open(path).unwrap().into()
        }
    });
    let (input, mut typing) = io::pipe().unwrap();
    typing.write_all(scenario.stdin).unwrap();
    command.stdin(input);
    drop(typing);
    if scenario.pending {
        command.blocking(libc::SIGUSR1);
        // SAFETY: between fork and exec it makes one system call and allocates nothing.
        unsafe {
            command.pre_exec(|| {
                libc::raise(libc::SIGUSR1);
                Ok(())
            });
        }
    }
    let ended = trace::run(command, fault, &world.proc).unwrap();
    world.settle();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    output.read_to_end(&mut stdout).unwrap();
    errors.read_to_end(&mut stderr).unwrap();
    if scenario.to == To::File {
        stdout = fs::read(&copy).unwrap();
    }
    let state = world.state();
    Outcome { ended, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned(), state }
}

struct World {
    env: Env,
    /// Files of the harness, apart from those of the scenario.
    outside: PathBuf,
    _outside: tempfile::TempDir,
    proc: File,
    init: Child,
    held: Vec<Held>,
    over: Arc<AtomicBool>,
    peer: Option<std::thread::JoinHandle<Vec<u8>>>,
    got: Vec<u8>,
    target: Option<Child>,
}

enum Held {
    Fifo(&'static str, File),
    Stream(&'static str, UnixListener),
    Datagram(&'static str, UnixDatagram),
}

impl World {
    fn new(scenario: &Scenario) -> World {
        // Before another one hides it.
        let proc = File::open("/proc").unwrap();
        let env = Env::new();
        let outside = tempfile::Builder::new().prefix("ipcx-faults-").tempdir().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let (go, wait) = std::sync::mpsc::channel();
        // No thread can be started once processes are to get a namespace of their own.
        let peer = scenario.peer.map(|peer| {
            let (over, directory) = (Arc::clone(&over), env.path("."));
            let listener = match peer {
                Peer::Accepts(name, _) => Some(UnixListener::bind(directory.join(name)).unwrap()),
                _ => None,
            };
            std::thread::spawn(move || {
                let begun: Result<(), _> = wait.recv();
                if begun.is_ok() { play(peer, &directory, listener, &over) } else { Vec::new() }
            })
        });
        let init = unshare_processes();
        if !scenario.given.is_empty() {
            let mut setup = Command::new("timeout");
            setup.args(["20", "sh", "-euc", scenario.given]).current_dir(env.path("."));
            let path = format!("{}:/usr/bin:/bin", crate::kit::program().parent().unwrap().display());
            setup.env_clear().env("PATH", path).env("LC_ALL", "C.UTF-8");
            setup.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(outside.path().join("said")).unwrap());
            let status = setup.status().unwrap();
            let said = fs::read_to_string(outside.path().join("said")).unwrap();
            assert!(status.success(), "the set-up of `{}` failed: {said}", scenario.line);
        }
        let hold = |hold: &Hold| match *hold {
            Hold::Fifo(name, bytes) => {
                let flags = libc::O_NONBLOCK;
                let mut fifo = File::options().read(true).write(true).custom_flags(flags).open(env.path(name)).unwrap();
                fifo.write_all(bytes).unwrap();
                Held::Fifo(name, fifo)
            }
            Hold::Stream(name) => {
                let listener = UnixListener::bind(env.path(name)).unwrap();
                listener.set_nonblocking(true).unwrap();
                Held::Stream(name, listener)
            }
            Hold::Datagram(name) => {
                let socket = UnixDatagram::bind(env.path(name)).unwrap();
                socket.set_nonblocking(true).unwrap();
                Held::Datagram(name, socket)
            }
        };
        let held = scenario.held.iter().map(hold).collect();
        let target = scenario.target.then(|| {
            let mut target = Command::new("sleep");
            target.arg("60").stdin(Stdio::null()).stdout(Stdio::null()).blocking(libc::SIGUSR1);
            target.spawn().unwrap()
        });
        if peer.is_some() {
            go.send(()).unwrap();
        }
        let place = outside.path().to_owned();
        World { env, outside: place, _outside: outside, proc, init, held, over, peer, got: Vec::new(), target }
    }

    /// The pid of the process that a signal is for, as ipcx sees it.
    fn peer_pid(&self) -> String {
        self.status_line("NSpid:")
            .and_then(|line| line.split_whitespace().last().map(str::to_owned))
            .unwrap_or_default()
    }

    fn status_line(&self, start: &str) -> Option<String> {
        let pid = self.target.as_ref()?.id();
        let text = trace::text(&self.proc, &format!("{pid}/status"));
        text.lines().find_map(|line| line.strip_prefix(start)).map(str::to_owned)
    }

    /// Waits for the peer to have seen the end of it.
    fn settle(&mut self) {
        self.over.store(true, Ordering::Release);
        if let Some(peer) = self.peer.take() {
            self.got = peer.join().unwrap();
        }
    }

    fn state(&mut self) -> State {
        let mut state = state::read(&self.env.path("."));
        // What the harness itself has got, message by message.
        let mut insert = |name: &str, bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            let units = text.split_terminator('|').map(str::to_owned).collect();
            state.insert(name.to_owned(), state::Object { like: "came".to_owned(), units });
        };
        for held in &mut self.held {
            let mut bytes = Vec::new();
            match held {
                Held::Fifo(name, fifo) => {
                    drop(fifo.read_to_end(&mut bytes));
                    insert(&format!("in {name}"), &bytes);
                }
                Held::Stream(name, listener) => {
                    while let Ok((mut stream, _)) = listener.accept() {
                        stream.set_nonblocking(true).unwrap();
                        drop(stream.read_to_end(&mut bytes));
                    }
                    insert(&format!("in {name}"), &bytes);
                }
                Held::Datagram(name, socket) => {
                    let mut buffer = [0; 4096];
                    while let Ok(length) = socket.recv(&mut buffer) {
                        bytes.extend_from_slice(&buffer[..length]);
                        bytes.push(b'|');
                    }
                    insert(&format!("in {name}"), &bytes);
                }
            }
        }
        if !self.got.is_empty() {
            insert("the peer", &self.got);
        }
        if let Some(pending) = self.status_line("ShdPnd:") {
            insert("pending", pending.trim().as_bytes());
        }
        state
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        // The first process of a namespace ends last.
        for child in self.target.as_mut().into_iter().chain([&mut self.init]) {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Does the other side's part; what it got.
fn play(peer: Peer, directory: &Path, listener: Option<UnixListener>, over: &AtomicBool) -> Vec<u8> {
    let mut got = Vec::new();
    // Comes again until there is somebody: the scenario may fail before there is.
    macro_rules! until_there {
        ($attempt:expr) => {
            loop {
                match $attempt {
                    Ok(it) => break it,
                    Err(_) if over.load(Ordering::Acquire) => return got,
                    Err(_) => std::thread::park_timeout(Duration::from_millis(1)),
                }
            }
        };
    }
    let patience = Some(Duration::from_secs(2));
    match peer {
        Peer::Connects(name, bytes) => {
            let mut stream: UnixStream = until_there!(UnixStream::connect(directory.join(name)));
            stream.set_read_timeout(patience).unwrap();
            drop(stream.write_all(bytes));
            drop(stream.shutdown(std::net::Shutdown::Write));
            drop(stream.read_to_end(&mut got));
        }
        Peer::Accepts(_, bytes) => {
            let listener = listener.unwrap();
            listener.set_nonblocking(true).unwrap();
            let (mut stream, _) = until_there!(listener.accept());
            stream.set_nonblocking(false).unwrap();
            stream.set_read_timeout(patience).unwrap();
            drop(stream.write_all(bytes));
            drop(stream.shutdown(std::net::Shutdown::Write));
            drop(stream.read_to_end(&mut got));
        }
        Peer::Sends(name, bytes) => {
            let socket = UnixDatagram::unbound().unwrap();
            until_there!(socket.send_to(bytes, directory.join(name)));
        }
        Peer::Writes(name, bytes) => {
            let mut fifo: File =
                until_there!(File::options().write(true).custom_flags(libc::O_NONBLOCK).open(directory.join(name)));
            drop(fifo.write_all(bytes));
        }
    }
    got
}

/// From here on the calling thread's children are in a new pid namespace. The first of them, which this gives, is there
/// to see the others to their end; and it has made /proc show them, as only one of them can.
fn unshare_processes() -> Child {
    // SAFETY: unshare takes a number.
    let done = unsafe { libc::unshare(libc::CLONE_NEWPID) };
    assert_eq!(done, 0, "{}", io::Error::last_os_error());
    let mut init = Command::new("cat");
    init.stdin(Stdio::piped()).stdout(Stdio::null()).ignoring(libc::SIGCHLD);
    let mount = || {
        let (kind, at) = (c"proc".as_ptr(), c"/proc".as_ptr());
        // SAFETY: the strings end with NUL and outlive the call.
        match unsafe { libc::mount(kind, at, kind, 0, std::ptr::null()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec it makes one system call and allocates nothing.
    unsafe { init.pre_exec(mount) };
    init.spawn().unwrap()
}

/// Whether all of this can be had here; why not.
pub fn cannot() -> Option<String> {
    if !cfg!(target_arch = "x86_64") {
        return Some("it knows the registers of x86-64 alone".to_owned());
    }
    let tried = std::thread::spawn(|| {
        let env = Env::new();
        let mut init = unshare_processes();
        init.kill().and_then(|()| init.wait()).unwrap();
        drop(env);
    });
    tried.join().is_err().then(|| "it needs a namespace of processes".to_owned())
}
