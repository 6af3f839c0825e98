//! The world of one test.
//!
//! A test runs in a thread of its own, and namespaces belong to threads: [`Env::new`] moves the
//! thread into new IPC and mount namespaces, which the processes it starts inherit. An ordinary
//! user gets a user namespace first, before any thread exists; then he is root within it, and
//! only what needs a second user is skipped.

pub mod elsewhere;
pub mod look;
mod part;
mod sys;

use assert_cmd::Command;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub use sys::{
    Refusal, attach_once, eventfd, finish_set, ftok, half_made_set, in_new_user_namespace, memfd, post_named, reset,
    segment, shorten_queue, tkill, unmount,
};

/// Long enough for a slow machine, short enough to see a hang.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Names another program to test instead of the one that was built with the tests, such as one that is installed.
const PROGRAM_VARIABLE: &str = "IPCX_PROGRAM";
/// The uid of nobody.
pub const NOBODY: u32 = 65534;

/// One test's namespaces and directory. All of it is gone when the test ends.
pub struct Env {
    directory: TempDir,
}

impl Env {
    pub fn new() -> Env {
        sys::unshare();
        let directory = tempfile::Builder::new().prefix("ipcx-it-").tempdir().unwrap();
        sys::open_to_all(directory.path());
        Env { directory }
    }

    /// A path in the test's own directory, which everybody may enter.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// ipcx with these arguments, in the test's directory, with a clean environment.
    pub fn ipcx<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::from_std(self.command(args));
        command.timeout(PATIENCE);
        command
    }

    /// The same as a plain command, for a process that a test talks to while it runs.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> std::process::Command {
        let mut command = std::process::Command::new(program());
        command.args(args).env_clear().env("PATH", path_with_program()).env("LC_ALL", "C.UTF-8").env("TZ", "UTC0");
        command.current_dir(self.directory.path());
        command
    }

    /// ipcx as an unprivileged user; only with [`Env::has_users`].
    pub fn ipcx_as_nobody<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command(args);
        command.uid(NOBODY).gid(NOBODY);
        let mut command = Command::from_std(command);
        command.timeout(PATIENCE);
        command
    }

    /// ipcx on a kernel that refuses these calls.
    pub fn ipcx_refused<S: AsRef<OsStr>>(&self, refusals: &[Refusal], args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command(args);
        command.refused(refusals);
        let mut command = Command::from_std(command);
        command.timeout(PATIENCE);
        command
    }

    /// A shell script, with ipcx on its PATH.
    pub fn sh(&self, script: &str) -> Command {
        let mut command = Command::from_std(self.script(script));
        command.timeout(PATIENCE);
        command
    }

    /// The same, left running.
    pub fn start_sh(&self, script: &str) -> Running {
        Running::start(self.script(script))
    }

    /// A process of its own that takes the lock `first` of two, says so on its standard output, reads a line, and
    /// goes on to take `second`; without that it ends. They are mutexes in a file that all such processes share.
    pub fn start_mutexes(&self, first: usize, second: Option<usize>) -> Running {
        let second = second.map_or_else(|| "-".to_owned(), |second| second.to_string());
        Env::start_part(&format!("mutex {first} {second} {}", self.path("mutexes").display()))
    }

    /// A process of its own that plays one of these parts. Each says on its standard output that the first half is
    /// done, and reads a line before the second.
    ///
    /// - `mutex FIRST SECOND FILE`: takes two mutexes of a file, by their numbers, 0 or 1; `-` for none. `robust`
    ///   for those that are robust, `rwlock` for rwlocks, which it takes to write.
    /// - `lock FIRST SECOND FILE`: locks two parts of a file with fcntl(2), each as `posix,w,START,LENGTH` or
    ///   `ofd,r,…`; `-` for none.
    /// - `open COUNT - FILE`: has a file open under so many descriptors.
    pub fn start_part(part: &str) -> Running {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.env_clear().env(part::NAME, part);
        Running::start(command)
    }

    /// A process whose first thread has ended while another one lives, and uses `set ID`, `file PATH` or nothing.
    pub fn start_headless(&self, uses: &str) -> Running {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.env_clear().env(sys::HEADLESS, uses).current_dir(self.directory.path());
        let mut running = Running::start(command);
        assert_eq!(running.line(), "ready");
        let stat = format!("/proc/{}/stat", running.pid);
        until("its first thread to have ended", || fs::read_to_string(&stat).unwrap().contains(") Z "));
        running
    }

    /// The same as a plain command.
    pub fn script(&self, script: &str) -> std::process::Command {
        let mut command = std::process::Command::new("sh");
        command
            .args(["-euc", script])
            .env_clear()
            .env("PATH", path_with_program())
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC0");
        command.current_dir(self.directory.path());
        command
    }

    /// Runs ipcx, which must succeed, and gives its standard output without the last newline.
    #[track_caller]
    pub fn out<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> String {
        let output = self.ipcx(args).assert().success().get_output().stdout.clone();
        let mut text = String::from_utf8(output).unwrap();
        if text.ends_with('\n') {
            text.pop();
        }
        text
    }

    /// Runs ipcx with `--json`, which must succeed.
    #[track_caller]
    pub fn json<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> serde_json::Value {
        serde_json::from_str(&self.out(args)).unwrap()
    }

    /// Runs ipcx, which must end with this status and print no result; its standard error.
    #[track_caller]
    pub fn fails<S: AsRef<OsStr>>(&self, status: i32, args: impl IntoIterator<Item = S>) -> String {
        refusal(&mut self.ipcx(args), status)
    }

    /// Starts ipcx and leaves it running.
    pub fn start<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Running {
        Running::start(self.command(args))
    }

    /// Whether strace(1) is there and may trace.
    pub fn has_strace(&self) -> bool {
        self.sh("strace -qq -o trace -e trace=none true").output().unwrap().status.success()
    }

    /// Whether other users exist here: real root, not the root of a user namespace with one user.
    pub fn has_users(&self) -> bool {
        !in_new_user_namespace()
    }
}

/// In what state a command starts, beyond what the standard library lets one say.
pub trait Starts {
    /// On a kernel that refuses these calls.
    fn refused(&mut self, refusals: &[Refusal]) -> &mut Self;
    /// With a resource limit.
    fn limited(&mut self, resource: libc::__rlimit_resource_t, to: u64) -> &mut Self;
    /// With a blocked signal.
    fn blocking(&mut self, signal: i32) -> &mut Self;
    /// With an ignored signal.
    fn ignoring(&mut self, signal: i32) -> &mut Self;
    /// With an alarm(2) after so many seconds.
    fn alarmed(&mut self, seconds: u32) -> &mut Self;
}

impl Starts for std::process::Command {
    fn refused(&mut self, refusals: &[Refusal]) -> &mut Self {
        sys::refuse(self, refusals);
        self
    }

    fn limited(&mut self, resource: libc::__rlimit_resource_t, to: u64) -> &mut Self {
        sys::limit(self, resource, to);
        self
    }

    fn blocking(&mut self, signal: i32) -> &mut Self {
        sys::block(self, signal);
        self
    }

    fn ignoring(&mut self, signal: i32) -> &mut Self {
        sys::ignore(self, signal);
        self
    }

    fn alarmed(&mut self, seconds: u32) -> &mut Self {
        sys::alarm(self, seconds);
        self
    }
}

/// Runs a command, which must end with this status and print no result; its standard error.
#[track_caller]
pub fn refusal(command: &mut Command, status: i32) -> String {
    let output = command.assert().code(status).stdout("").get_output().clone();
    String::from_utf8(output.stderr).unwrap()
}

impl Drop for Env {
    /// The kernel takes its time to free a namespace, and RLIMIT_MSGQUEUE bounds the queues of all
    /// tests together: queues go at once.
    fn drop(&mut self) {
        let place = self.path(".mqueue");
        if fs::create_dir(&place).is_ok() && sys::try_mount("mqueue", &place) {
            for queue in fs::read_dir(&place).into_iter().flatten().flatten() {
                drop(fs::remove_file(queue.path()));
            }
            sys::unmount(place.to_str().unwrap());
        }
    }
}

/// A process that is killed when the test is done with it.
pub struct Running {
    child: Option<Child>,
    pub pid: u32,
}

impl Running {
    pub fn start(mut command: std::process::Command) -> Running {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Running { pid: child.id(), child: Some(child) }
    }

    /// Starts a command whose standard input is a terminal; the other side of it is to type on.
    pub fn on_terminal(mut command: std::process::Command) -> (Running, fs::File) {
        let (ours, theirs) = sys::terminal();
        let child = command.stdin(theirs).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        (Running { pid: child.id(), child: Some(child) }, ours)
    }

    /// Starts a command in a session of its own whose terminal is its standard input and error, and its
    /// output too unless that is to be a pipe; the other side of the terminal.
    pub fn in_terminal(mut command: std::process::Command, output: bool) -> (Running, fs::File) {
        let (ours, theirs) = sys::terminal();
        sys::resize(&ours, 24, 80);
        sys::control(&mut command);
        let stdout = if output { Stdio::from(theirs.try_clone().unwrap()) } else { Stdio::piped() };
        command.stdin(theirs.try_clone().unwrap()).stdout(stdout).stderr(theirs);
        let child = command.spawn().unwrap();
        (Running { pid: child.id(), child: Some(child) }, ours)
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().unwrap()
    }

    /// Waits until it sleeps in a kernel function whose name contains `function`, such as
    /// `do_msgrcv`: then it really is blocked there.
    #[track_caller]
    pub fn wait_blocked(&mut self, function: &str) {
        let path = format!("/proc/{}/wchan", self.pid);
        let mut last = String::new();
        until(&format!("pid {} to block in {function}", self.pid), || {
            last = fs::read_to_string(&path).unwrap_or_default();
            assert!(self.child().try_wait().unwrap().is_none(), "it ended instead of blocking in {function}");
            last.contains(function)
        });
    }

    /// Sends a signal by number.
    pub fn signal(&mut self, signal: i32) {
        sys::kill(self.pid, signal);
    }

    /// Writes to its standard input.
    pub fn write(&mut self, bytes: &[u8]) {
        let stdin = self.child().stdin.as_mut().unwrap();
        stdin.write_all(bytes).unwrap();
        stdin.flush().unwrap();
    }

    /// Closes its standard input.
    pub fn close_stdin(&mut self) {
        drop(self.child().stdin.take());
    }

    /// Closes our end of its standard output, so that writing to it fails with EPIPE.
    pub fn close_stdout(&mut self) {
        drop(self.child().stdout.take());
        let output = format!("/proc/{}/fd/1", self.pid);
        // What another test has forked has our end, too, until it executes its program.
        until("the last reader to go", || {
            let Ok(opened) = fs::File::options().write(true).custom_flags(libc::O_NONBLOCK).open(&output) else {
                return true;
            };
            let mut polled = [PollFd::new(opened.as_fd(), PollFlags::empty())];
            poll(&mut polled, PollTimeout::ZERO).unwrap();
            polled[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR))
        });
    }

    /// Reads one line of its standard output.
    pub fn line(&mut self) -> String {
        read_line(self.child().stdout.as_mut().unwrap())
    }

    /// Reads one line of its standard error.
    pub fn said(&mut self) -> String {
        read_line(self.child().stderr.as_mut().unwrap())
    }

    /// Waits for its end while its input stays open.
    #[track_caller]
    pub fn wait_end(&mut self) {
        until(&format!("pid {} to end", self.pid), || self.child().try_wait().unwrap().is_some());
    }

    /// Waits for its end and gives all that it wrote and was not read yet. Closes its input.
    #[track_caller]
    pub fn end(mut self) -> Output {
        self.close_stdin();
        let pid = self.pid;
        let child = self.child.take().unwrap();
        let watchdog = std::thread::spawn(move || child.wait_with_output().unwrap());
        until(&format!("pid {pid} to end"), || watchdog.is_finished());
        watchdog.join().unwrap()
    }

    /// Waits for its end, which must come; its status.
    #[track_caller]
    pub fn status(self) -> ExitStatus {
        self.end().status
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn read_line(from: &mut impl std::io::Read) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while from.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

/// Waits until a condition holds; fails the test if it never does.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        // Not to wait for time to pass, but to leave the processor to what we wait for.
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// Leaves a socket file that nobody listens on.
pub fn leave_stale(path: &Path) {
    drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    // What another test has forked has the socket, too, until it executes its program.
    until("nobody to have the socket", || {
        let probe = std::os::unix::net::UnixDatagram::unbound().unwrap();
        probe.connect(path).is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    });
}

/// Where the built program lies so that every user may run it: checkouts may lie in private homes.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<(u32, PathBuf)> = OnceLock::new();
    extern "C" fn remove() {
        // A child that was forked ends too.
        if let Some((_, path)) = PROGRAM.get().filter(|(ours, _)| *ours == std::process::id()) {
            drop(fs::remove_dir_all(path.parent().unwrap()));
        }
    }
    let (_, path) = PROGRAM.get_or_init(|| {
        let directory = tempfile::Builder::new().prefix("ipcx-bin-").tempdir().unwrap().keep();
        sys::open_to_all(&directory);
        sys::at_exit(remove);
        let path = directory.join("ipcx");
        // By another process: a child of one of ours would inherit what we write to, and nobody may run what somebody
        // can still write (ETXTBSY).
        let built = std::env::var_os(PROGRAM_VARIABLE).unwrap_or_else(|| env!("CARGO_BIN_EXE_ipcx").into());
        let copied = std::process::Command::new("cp").arg(built).arg(&path).status().unwrap();
        assert!(copied.success(), "cp: {copied}");
        (std::process::id(), path)
    });
    path
}

fn path_with_program() -> String {
    format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", program().parent().unwrap().display())
}

/// Says on the real standard error that a test could not run here, so that skips can be counted.
pub fn skipped(reason: &str) {
    let name = std::thread::current().name().unwrap_or("?").to_owned();
    sys::say(&format!("skipped: {name}: {reason}\n"));
}

/// Ends a test that cannot run here, counted and with its reason.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)*) => {{
        $crate::kit::skipped(&format!($($reason)*));
        return;
    }};
}
