//! Where a fault is tried: namespaces of its own, in which all that is left can be seen.

use crate::chance::Chance;
use crate::kernel;
use crate::kit::look::mount_mqueue;
use crate::kit::{Env, PATIENCE};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What is found out: something in a few words, or what is wrong.
pub type Found = Result<&'static str, String>;

pub struct World {
    pub env: Env,
    /// For what must not lie among the files that are looked at.
    aside: TempDir,
    fixtures: BTreeSet<String>,
}

/// How a command ended, and what it wrote.
#[derive(Debug)]
pub struct Ran {
    /// The status, or 128 and the signal.
    pub status: i32,
    pub out: Vec<u8>,
    pub err: String,
}

impl World {
    pub fn new() -> World {
        let env = Env::new();
        mount_mqueue(&env);
        fs::create_dir(env.path("run")).unwrap();
        let mut world = World { env, aside: TempDir::new().unwrap(), fixtures: BTreeSet::new() };
        world.keep();
        world
    }

    /// Makes a file that stays.
    pub fn fixture(&mut self, name: &str, bytes: &[u8]) {
        fs::write(self.env.path(name), bytes).unwrap();
        self.keep();
    }

    /// What is there now belongs there.
    pub fn keep(&mut self) {
        self.fixtures = self.left();
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.env.path(name)).unwrap()
    }

    pub fn aside(&self, name: &str) -> PathBuf {
        self.aside.path().join(name)
    }

    /// ipcx in a process group of its own, with its input from a file or nothing, and its output aside.
    pub fn command(&self, words: &str, input: Option<&str>) -> Command {
        self.command_as("", words, input)
    }

    /// The same, one of several at a time: its output has a mark.
    pub fn command_as(&self, mark: &str, words: &str, input: Option<&str>) -> Command {
        let mut command = self.env.command(words.split_whitespace());
        let null = PathBuf::from("/dev/null");
        // Read and write: a FIFO that nobody writes to is not waited for here.
        let input = input.map_or(null, |name| self.env.path(name));
        command.env("XDG_RUNTIME_DIR", self.env.path("run"));
        command.stdin(File::options().read(true).write(true).open(input).unwrap());
        command.stdout(File::create(self.aside(&format!("out{mark}"))).unwrap());
        command.stderr(File::create(self.aside(&format!("err{mark}"))).unwrap());
        command.process_group(0);
        command
    }

    /// Runs it to its end, which must come.
    pub fn finish(&self, mut command: Command) -> Ran {
        let pid = command.spawn().unwrap().id();
        self.ended(pid)
    }

    /// Waits for the end of what was started so.
    pub fn ended(&self, pid: u32) -> Ran {
        self.ended_as("", pid)
    }

    pub fn ended_as(&self, mark: &str, pid: u32) -> Ran {
        let status = kernel::wait(pid, PATIENCE);
        if status.is_none() {
            kernel::send_signal(pid, libc::SIGKILL);
            kernel::wait(pid, PATIENCE);
        }
        self.ran(mark, status)
    }

    /// What came of a status as wait(2) gives it.
    pub fn ran(&self, mark: &str, status: Option<i32>) -> Ran {
        // What hangs ends with a status that nothing has.
        let status = status.map_or(-1, |status| match libc::WIFSIGNALED(status) {
            true => 128 + libc::WTERMSIG(status),
            false => libc::WEXITSTATUS(status),
        });
        let out = fs::read(self.aside(&format!("out{mark}"))).unwrap();
        let err = String::from_utf8_lossy(&fs::read(self.aside(&format!("err{mark}"))).unwrap()).into_owned();
        Ran { status, out, err }
    }

    /// Runs ipcx, which must end with one of these statuses.
    pub fn ipcx(&self, words: &str, statuses: &[i32]) -> Result<Ran, String> {
        let ran = self.finish(self.command(words, None));
        if statuses.contains(&ran.status) { Ok(ran) } else { Err(format!("ipcx {words}: {ran:?}")) }
    }

    /// Several commands of ipcx, with `;` in between.
    pub fn prepare(&self, script: &str) {
        for words in script.split(';').map(str::trim).filter(|words| !words.is_empty()) {
            self.ipcx(words, &[0]).unwrap_or_else(|error| panic!("{error}"));
        }
    }

    /// All that is there: files, and objects as `key/5`, `shm/NAME`, `mq/NAME`.
    pub fn left(&self) -> BTreeSet<String> {
        let mut left = BTreeSet::new();
        for (directory, prefix) in [
            (self.env.path(""), ""),
            (self.env.path("run"), "run/"),
            ("/dev/shm".into(), "shm/"),
            ("/dev/mqueue".into(), "mq/"),
        ] {
            for entry in fs::read_dir(directory).unwrap() {
                left.insert(format!("{prefix}{}", entry.unwrap().file_name().to_str().unwrap()));
            }
        }
        for table in ["shm", "msg", "sem"] {
            for (key, _) in kernel::table(table) {
                left.insert(if key == 0 { format!("private/{table}") } else { format!("key/{key}") });
            }
        }
        left
    }

    /// Whether there is nothing but what belongs there and these, with blanks in between.
    pub fn only(&self, these: &str) -> Result<(), String> {
        let mut left = self.left();
        let may = |name: &str| {
            these
                .split_whitespace()
                .any(|one| one == name || one.strip_suffix('*').is_some_and(|start| name.starts_with(start)))
        };
        left.retain(|name| !self.fixtures.contains(name) && !may(name));
        if left.is_empty() { Ok(()) } else { Err(format!("left behind: {left:?}")) }
    }

    /// The same once it is so, within a time.
    pub fn soon_only(&self, these: &str) -> Result<(), String> {
        soon(|| self.only(these))
    }

    /// What was written aside must be these bytes.
    pub fn same(&self, name: &str, wanted: &[u8]) -> Found {
        let got = fs::read(self.aside(name)).unwrap();
        must(got == wanted, || format!("{} bytes, {} were sent", got.len(), wanted.len()))?;
        Ok("whole")
    }

    /// Removes all that does not belong there, and every System V object.
    pub fn wipe(&self) {
        for table in ["shm", "msg", "sem"] {
            kernel::table(table).iter().for_each(|(_, id)| kernel::remove(table, *id));
        }
        self.wipe_new();
    }

    /// Removes the files that do not belong there.
    pub fn wipe_new(&self) {
        for name in self.left().difference(&self.fixtures) {
            let path = match name.split_once('/') {
                Some(("shm", name)) => format!("/dev/shm/{name}").into(),
                Some(("mq", name)) => format!("/dev/mqueue/{name}").into(),
                Some(("key" | "private", _)) => continue,
                _ => self.env.path(name),
            };
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }
    }
}

/// Asks until the answer is good; the last bad one after some seconds.
pub fn soon<T>(mut ask: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let start = Instant::now();
    loop {
        match ask() {
            Err(error) if start.elapsed() > Duration::from_secs(10) => return Err(error),
            Err(_) => std::thread::park_timeout(Duration::from_millis(1)),
            good => return good,
        }
    }
}

/// Says no with a reason unless it holds.
pub fn must(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

/// Chance for what has this name: the same seed makes the same choices, whatever else runs.
pub fn chance(seed: u64, name: &str) -> Chance {
    Chance::new(name.bytes().fold(seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())))
}

/// A number of stops below this one.
pub fn below(chance: &mut Chance, end: u64) -> u64 {
    chance.number() % end
}
