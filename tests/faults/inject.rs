//! Every verb with system calls that fail: strace(1) makes the Nth call of a kind give an errno that its man page
//! has, without running it.
//!
//! Whatever fails, the verb ends, in order, with a status of the contract and a word on standard error; what it
//! says it has done is done, and else nothing is.

use crate::Options;
use crate::chance::Chance;
use crate::kit::Env;
use crate::report::Report;
use crate::sys::wipe;
use crate::verbs::{Act, VERBS, Verb};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How often a call of one kind is made to fail, in a full run: the first times.
const OCCURRENCES: usize = 3;
/// Tries of one verb in a sample.
const SAMPLE: usize = 5;

/// What the man pages say may happen to a call. Calls that give no error of note are left out.
const ERRORS: &[(&str, &[&str])] = &[
    ("access", &["ENOENT", "EACCES"]),
    ("bind", &["EADDRINUSE", "EACCES", "ENOSPC"]),
    ("chmod", &["EPERM", "EROFS"]),
    ("clock_gettime", &["EINVAL"]),
    ("clone", &["EAGAIN", "ENOMEM"]),
    ("clone3", &["EAGAIN", "ENOMEM", "ENOSYS"]),
    ("connect", &["ECONNREFUSED", "EACCES", "EINTR", "EAGAIN"]),
    ("dup", &["EMFILE"]),
    ("dup3", &["EMFILE", "EBUSY"]),
    ("execve", &["ENOENT", "EACCES", "ENOMEM", "E2BIG"]),
    ("fallocate", &["ENOSPC", "EINTR", "EFBIG", "EOPNOTSUPP"]),
    ("fchmod", &["EPERM", "EROFS"]),
    ("fchmodat", &["EPERM"]),
    ("fcntl", &["EMFILE", "EAGAIN", "EINVAL"]),
    ("fdatasync", &["EIO", "ENOSPC"]),
    ("flock", &["EINTR", "ENOLCK", "EAGAIN"]),
    ("fstat", &["EIO", "ENOMEM"]),
    ("fstatfs", &["EINTR", "EIO", "ENOSYS"]),
    ("fsync", &["EIO", "ENOSPC", "EDQUOT"]),
    ("ftruncate", &["EINTR", "EFBIG", "EIO"]),
    ("futex", &["EINTR", "EAGAIN"]),
    ("getdents64", &["ENOENT", "EIO"]),
    ("getrandom", &["EINTR", "ENOSYS"]),
    ("ioctl", &["ENOTTY", "EFAULT"]),
    ("linkat", &["EEXIST", "ENOSPC", "EIO", "EPERM"]),
    ("lseek", &["ESPIPE"]),
    ("mkdir", &["EACCES", "ENOSPC", "EEXIST"]),
    ("mknodat", &["EEXIST", "ENOSPC", "EACCES"]),
    ("mlock", &["ENOMEM", "EPERM", "EAGAIN"]),
    ("mmap", &["ENOMEM", "EAGAIN", "EPERM"]),
    ("mount", &["EPERM"]),
    ("mq_open", &["ENOSPC", "EMFILE", "EACCES", "ENOMEM", "EEXIST"]),
    ("mq_getsetattr", &["EBADF"]),
    ("mq_timedreceive", &["EINTR", "EAGAIN", "EMSGSIZE"]),
    ("mq_timedsend", &["EINTR", "EAGAIN", "EMSGSIZE", "ENOMEM"]),
    ("mq_unlink", &["EACCES", "ENOENT"]),
    ("mremap", &["ENOMEM"]),
    ("msgctl", &["EACCES", "EINVAL", "EIDRM", "EPERM"]),
    ("msgget", &["ENOSPC", "ENOMEM", "EEXIST", "EACCES"]),
    ("msgrcv", &["EINTR", "EIDRM", "EACCES", "E2BIG"]),
    ("msgsnd", &["EINTR", "EIDRM", "EAGAIN", "EACCES", "ENOMEM"]),
    ("munmap", &["EINVAL"]),
    ("newfstatat", &["EACCES", "ENOMEM"]),
    ("open", &["EMFILE", "ENOENT"]),
    ("openat", &["EMFILE", "ENFILE", "EACCES", "ENOENT", "EINTR", "ENOSPC"]),
    ("openat2", &["EMFILE", "ENOSYS", "ENOENT", "EXDEV"]),
    ("pidfd_getfd", &["EPERM", "ESRCH", "EMFILE"]),
    ("pidfd_open", &["EMFILE", "ESRCH", "ENOSYS"]),
    ("pidfd_send_signal", &["EPERM", "ESRCH"]),
    ("pipe2", &["EMFILE", "ENFILE"]),
    ("poll", &["EINTR", "ENOMEM"]),
    ("ppoll", &["EINTR", "ENOMEM"]),
    ("pread64", &["EIO", "EINTR"]),
    ("prlimit64", &["EPERM"]),
    ("process_vm_readv", &["EPERM", "ESRCH", "EFAULT"]),
    ("pwrite64", &["ENOSPC", "EIO", "EINTR"]),
    ("read", &["EIO", "EINTR"]),
    ("readlink", &["ENOENT", "EACCES"]),
    ("readlinkat", &["ENOENT", "EACCES"]),
    ("recvfrom", &["EINTR"]),
    ("recvmsg", &["EINTR", "ENOBUFS"]),
    ("renameat2", &["EEXIST", "EINVAL", "ENOSPC"]),
    ("rmdir", &["ENOTEMPTY", "EBUSY"]),
    ("rt_sigaction", &["EINVAL"]),
    ("rt_sigtimedwait", &["EINTR", "EAGAIN"]),
    ("semctl", &["EACCES", "EINVAL", "EIDRM", "ERANGE", "EPERM"]),
    ("semget", &["ENOSPC", "ENOMEM", "EEXIST", "EACCES"]),
    ("semop", &["EINTR", "EIDRM", "EAGAIN", "ERANGE"]),
    ("semtimedop", &["EINTR", "EIDRM", "EAGAIN", "ERANGE", "ENOSPC"]),
    ("sendfile", &["EIO", "EINVAL", "EAGAIN", "ENOMEM", "EINTR"]),
    ("sendmsg", &["EINTR", "ENOBUFS"]),
    ("sendto", &["EINTR", "ENOBUFS", "ECONNREFUSED"]),
    ("setns", &["EPERM", "EINVAL"]),
    ("shmat", &["ENOMEM", "EACCES", "EIDRM", "EMFILE"]),
    ("shmctl", &["EACCES", "EINVAL", "EIDRM", "EPERM"]),
    ("shmdt", &["EINVAL"]),
    ("shmget", &["ENOSPC", "ENOMEM", "EEXIST", "EACCES", "ENFILE"]),
    ("signalfd4", &["EMFILE", "ENOMEM"]),
    ("socket", &["EMFILE", "EACCES", "ENOBUFS"]),
    ("socketpair", &["EMFILE", "ENFILE"]),
    ("splice", &["EINVAL", "EAGAIN", "ENOMEM", "EINTR"]),
    ("statfs", &["EINTR", "EACCES", "ENOSYS"]),
    ("statx", &["EACCES", "ENOSYS", "ENOMEM"]),
    ("symlinkat", &["EEXIST"]),
    ("tee", &["EINVAL", "ENOMEM"]),
    ("timer_create", &["EAGAIN", "ENOMEM"]),
    ("timer_settime", &["EINVAL"]),
    ("umask", &["ENOSYS"]),
    ("unlink", &["EACCES", "EBUSY", "ENOENT"]),
    ("unlinkat", &["EACCES", "EBUSY", "ENOENT"]),
    ("unshare", &["EPERM", "ENOSPC"]),
    ("vfork", &["EAGAIN", "ENOMEM"]),
    ("wait4", &["EINTR"]),
    ("waitid", &["EINTR"]),
    ("write", &["ENOSPC", "EIO", "EPIPE", "EINTR", "EAGAIN", "EFBIG"]),
    ("writev", &["ENOSPC", "EIO", "EPIPE", "EINTR", "EAGAIN"]),
];

/// One fault: the call, the errno, and which call of its kind.
#[derive(Clone, Debug)]
struct Fault {
    call: String,
    errno: &'static str,
    nth: usize,
}

/// How a run without a fault went.
struct Model {
    before: String,
    after: String,
    status: Option<i32>,
    output: Vec<u8>,
    faults: Vec<Fault>,
}

struct Tally {
    tried: u64,
    survived: u64,
    /// The library gave up because there was no memory.
    aborted: u64,
    failures: Vec<String>,
}

pub fn run(options: Options, report: &mut Report) {
    let works = Command::new("strace").args(["-qq", "-o", "/dev/null", "-e", "trace=none", "true"]).status();
    if !works.is_ok_and(|status| status.success()) {
        println!("skipped: faults: strace is missing, or may not trace here");
        return;
    }
    every_verb_is_there(report);
    let next = AtomicUsize::new(0);
    let tallies: Mutex<BTreeMap<usize, Tally>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let env = Env::new();
                let world = World::new(env);
                while let Some((at, verb)) = VERBS.iter().enumerate().nth(next.fetch_add(1, Ordering::SeqCst)) {
                    if options.word.is_none_or(|word| verb.name.contains(word)) {
                        let tally = world.all(verb, options, Chance::new(options.seed + at as u64));
                        if options.full {
                            eprintln!("{}: {} of {}", verb.name, tally.survived, tally.tried);
                            tally.failures.iter().for_each(|failure| eprintln!("{}: {failure}", verb.name));
                        }
                        tallies.lock().unwrap().insert(at, tally);
                    }
                }
            });
        }
    });
    for (at, tally) in tallies.into_inner().unwrap() {
        let verb = VERBS[at].name;
        let note = if tally.aborted > 0 {
            format!("{} ended by SIGABRT for want of memory", tally.aborted)
        } else {
            String::new()
        };
        report.add(verb, tally.tried, tally.survived, note);
        tally.failures.iter().for_each(|failure| report.failed(verb, failure));
    }
}

/// The pages of the manual name all verbs.
fn every_verb_is_there(report: &mut Report) {
    for page in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/man")).unwrap().flatten() {
        let name = page.file_name().into_string().unwrap();
        let words = name.trim_start_matches("ipcx-").trim_end_matches(".1").replace('-', " ");
        let is_noun = ["ipcx", "shm", "msgq", "sem", "fifo", "signal", "sock"].contains(&words.as_str());
        let words: Vec<&str> = words.split(' ').collect();
        if !is_noun && !VERBS.iter().any(|verb| verb.args.starts_with(&words)) {
            report.failed(&words.join(" "), "no situation has this verb");
        }
    }
}

struct World {
    env: Env,
    /// Calls that the loader makes before ours, by name.
    loader: BTreeMap<String, usize>,
}

impl World {
    fn new(env: Env) -> World {
        let mut world = World { env, loader: BTreeMap::new() };
        std::fs::create_dir_all(world.env.path(".mqueue")).unwrap();
        let mounted = Command::new("mount").args(["-t", "mqueue", "none"]).arg(world.env.path(".mqueue")).status();
        assert!(mounted.unwrap().success(), "mqueue cannot be mounted");
        std::fs::create_dir_all(world.env.path("place")).unwrap();
        let (_, calls) = world.trace(&["--version"], "");
        // The last thing that the loader does is to let go of its cache.
        let end = calls.iter().position(|call| call == "munmap").map_or(0, |at| at + 1);
        for call in &calls[..end] {
            *world.loader.entry(call.clone()).or_default() += 1;
        }
        world
    }

    /// A command, traced in this way, in the directory of the test.
    fn strace(&self, how: &[&str], args: &[&str]) -> Command {
        let ipcx = self.env.command(args);
        let mut command = Command::new("timeout");
        command.args(["-s", "KILL", "10", "strace", "-qq"]).args(how).arg(ipcx.get_program()).args(args);
        command.env_clear().envs(ipcx.get_envs().filter_map(|(key, value)| Some((key, value?))));
        command.current_dir(self.env.path("place"));
        command
    }

    /// The names of the calls that a command makes, in their order.
    fn trace(&self, args: &[&str], input: &str) -> (Output, Vec<String>) {
        let log = self.env.path("trace");
        let how = ["-o", log.to_str().unwrap(), "-f"];
        let output = output(self.strace(&how[..how.len() - usize::from(args.contains(&"--"))], args), input);
        let text = std::fs::read(&log).unwrap();
        let text = String::from_utf8_lossy(&text);
        // "PID call(…", "PID <... call resumed>…", without the pid where only one process is traced.
        let name = |line: &str| {
            let line = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
            let name = line.split_once('(')?.0;
            (!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
                .then(|| name.to_owned())
        };
        (output, text.lines().filter_map(name).collect())
    }

    /// Puts everything as it is to be before the verb.
    fn reset(&self, verb: &Verb) {
        wipe();
        for directory in [Path::new("/dev/shm"), &self.env.path(".mqueue"), &self.env.path("place")] {
            for entry in std::fs::read_dir(directory).unwrap().flatten() {
                std::fs::remove_file(entry.path()).or_else(|_| std::fs::remove_dir_all(entry.path())).unwrap();
            }
        }
        let mut script = self.env.script(&format!("cd place; {}", verb.before));
        let done = script.stdout(Stdio::null()).output().unwrap();
        assert!(done.status.success(), "{}: {}", verb.name, String::from_utf8_lossy(&done.stderr));
    }

    /// What is there: objects and files with what is in them, but nothing that time or chance decides.
    fn state(&self, verb: &Verb) -> String {
        let mut state = String::new();
        // kernel.md: the columns that tell no process and no time.
        for (table, columns) in [("shm", &[0, 2, 3, 7, 8, 9][..]), ("msg", &[0, 2, 3, 4, 7, 8]), ("sem", &[0, 2, 3, 4])]
        {
            let rows = std::fs::read_to_string(format!("/proc/sysvipc/{table}")).unwrap();
            for row in rows.lines().skip(1) {
                let cells: Vec<&str> = row.split_whitespace().collect();
                let kept: Vec<&str> = columns.iter().map(|at| cells[*at]).collect();
                writeln!(state, "{table} {}", kept.join(" ")).unwrap();
            }
        }
        for directory in [Path::new("/dev/shm"), &self.env.path(".mqueue"), &self.env.path("place")] {
            let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().flatten().collect();
            files.sort_by_key(std::fs::DirEntry::file_name);
            for file in files {
                let Ok(stat) = file.metadata() else { continue };
                let name = file.file_name().into_string().unwrap();
                let mode = stat.permissions().mode();
                // The sums in an archive differ with its times, the numbers in a slot by chance.
                let varies = [".tar", ".drain", "slot"].iter().any(|end| name.ends_with(end));
                let bytes =
                    if stat.is_file() && !varies { std::fs::read(file.path()).unwrap_or_default() } else { vec![] };
                writeln!(state, "{} {mode:o} {:?}", file.path().display(), String::from_utf8_lossy(&bytes)).unwrap();
            }
        }
        if !verb.probe.is_empty() {
            let mut script = self.env.script(&format!("cd place; {}", verb.probe.replace(';', "||:;")));
            let seen = script.stderr(Stdio::null()).output().unwrap();
            state.push_str(&String::from_utf8_lossy(&seen.stdout));
        }
        state
    }

    fn model(&self, verb: &Verb) -> Model {
        self.reset(verb);
        let before = self.state(verb);
        let (output, calls) = self.trace(verb.args, verb.input);
        let after = self.state(verb);
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        calls.iter().for_each(|call| *seen.entry(call).or_default() += 1);
        let mut faults = Vec::new();
        for (call, count) in seen {
            let first = self.loader.get(call).copied().unwrap_or(0) + 1;
            let Some((_, errors)) = ERRORS.iter().find(|(name, _)| *name == call) else { continue };
            for nth in first..=count.min(first + OCCURRENCES - 1) {
                faults.extend(errors.iter().map(|errno| Fault { call: call.to_owned(), errno, nth }));
            }
        }
        Model { before, after, status: output.status.code(), output: output.stdout, faults }
    }

    fn all(&self, verb: &Verb, options: Options, mut chance: Chance) -> Tally {
        let model = self.model(verb);
        let mut tally = Tally { tried: 0, survived: 0, aborted: 0, failures: Vec::new() };
        let mut faults = model.faults.clone();
        if !options.full {
            let sample =
                (0..SAMPLE.min(faults.len())).map(|_| faults.swap_remove(chance.below(faults.len()))).collect();
            faults = sample;
        }
        for fault in faults {
            self.reset(verb);
            let inject = format!("inject={}:error={}:when={}", fault.call, fault.errno, fault.nth);
            let trace = format!("trace={}", fault.call);
            let how = ["-o", "/dev/null", "-e", trace.as_str(), "-e", inject.as_str(), "-f"];
            let how = &how[..how.len() - usize::from(verb.args.contains(&"--"))];
            let ended = output(self.strace(how, verb.args), verb.input);
            tally.tried += 1;
            match self.judge(verb, &model, &ended) {
                Ok(aborted) => {
                    tally.survived += 1;
                    tally.aborted += u64::from(aborted);
                }
                Err(why) => tally.failures.push(format!(
                    "{why}; {}; after `{}`, with {:?} as input:\n    strace -f -e {inject} ipcx {}\n    said {:?}",
                    ended.status,
                    verb.before,
                    verb.input,
                    verb.args.join(" "),
                    String::from_utf8_lossy(&ended.stderr),
                )),
            }
        }
        tally
    }

    /// Whether a run with a fault ended as it may, and whether that was for want of memory.
    fn judge(&self, verb: &Verb, model: &Model, ended: &Output) -> Result<bool, String> {
        let said = String::from_utf8_lossy(&ended.stderr);
        let code = ended.status.code().or(ended.status.signal().map(|signal| 128 + signal));
        let code = code.unwrap_or(-1);
        if code == 137 {
            return Err("it hung".to_owned());
        }
        let aborted = code == 134 && said.contains("memory allocation");
        if said.contains("panicked") || code == 101 || (code > 128 && code != 130 && code != 143 && !aborted) {
            return Err("it crashed".to_owned());
        }
        if !matches!(code, 0..=7 | 124..=128 | 134) {
            return Err(format!("{code} is no status of the contract"));
        }
        let as_usual = Some(code) == model.status;
        if code != 0 && !as_usual && said.trim().is_empty() {
            return Err("it failed without a word".to_owned());
        }
        let state = self.state(verb);
        let (is_before, is_after) = (state == model.before, state == model.after);
        let is_quiet_end = code == 0 && ended.stdout.len() < model.output.len();
        match verb.act {
            Act::Looks if is_before || is_after => Ok(()),
            // The status is that of the command.
            Act::Looks if verb.args[0] == "with" && said.contains("cannot remove") => Ok(()),
            Act::Whole if code == 0 && is_after => Ok(()),
            Act::Whole if code != 0 && is_before => Ok(()),
            // Status 0 says that all was done.
            Act::Steps if code == 0 && is_after => Ok(()),
            // What failed may have come after the last step.
            Act::Steps if code != 0 => Ok(()),
            Act::Takes if code == 0 && is_after && !is_quiet_end => Ok(()),
            Act::Takes if code != 0 => {
                let all = format!("{state}{said}{}", String::from_utf8_lossy(&ended.stdout));
                let there = |text: &str| all.matches(text).count();
                // A POSIX queue shows how many bytes it holds.
                let held = |bytes: usize| state.contains(&format!("QSIZE:{bytes} "));
                match (there("one"), there("two")) {
                    _ if is_before => Ok(()),
                    (1.., 1..) => Ok(()),
                    (1.., 0) | (0, 1..) if held(3) => Ok(()),
                    (0, 0) if held(6) => Ok(()),
                    _ => Err(()),
                }
            }
            _ => Err(()),
        }
        .map_err(|()| {
            format!("status {code} and this is left:\n{state}    instead of\n{}    or\n{}", model.before, model.after)
        })
        .map(|()| aborted)
    }
}

fn output(mut command: Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may not read it.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    child.wait_with_output().unwrap()
}
