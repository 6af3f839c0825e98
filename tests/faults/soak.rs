//! Senders and receivers of one queue, killed and replaced throughout, and every message accounted for.
//!
//! What a sender sends is numbered, and a killed one is not continued: whatever arrives of each must be its first
//! messages, without a gap. A gap is a message that was lost, for which whoever was killed had taken it.

use crate::Options;
use crate::chance::Chance;
use crate::kit::{Env, until};
use crate::report::Report;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Senders, and receivers.
const EACH: usize = 8;
/// How many of either are killed at once.
const ONCE: usize = 4;
/// Messages of one sender.
const MESSAGES: usize = 4000;

/// The longest time between two kills.
const BETWEEN: Duration = Duration::from_millis(4);

struct Soak {
    name: &'static str,
    queue: &'static str,
    durable: bool,
    senders_killed: bool,
    receivers_killed: bool,
    /// Messages to send, and kills, in a sample and in full: at least so many of both.
    messages: [usize; 2],
    kills: [u64; 2],
}

const fn soak(name: &'static str, queue: &'static str) -> Soak {
    Soak {
        name,
        queue,
        durable: true,
        senders_killed: true,
        receivers_killed: true,
        messages: [20_000, 1_000_000],
        kills: [100, 4_000],
    }
}

const SYSV: &str = "key/4711";
const POSIX: &str = "/soak";
const SOAKS: &[Soak] = &[
    soak("System V, --durable, all are killed", SYSV),
    soak("POSIX, --durable, all are killed", POSIX),
    Soak {
        durable: false,
        receivers_killed: false,
        messages: [10_000, 200_000],
        kills: [50, 1_000],
        ..soak("System V, plain, senders are killed", SYSV)
    },
    Soak {
        durable: false,
        messages: [10_000, 200_000],
        kills: [50, 1_000],
        ..soak("System V, plain, all are killed", SYSV)
    },
    Soak {
        durable: false,
        messages: [10_000, 200_000],
        kills: [50, 1_000],
        ..soak("POSIX, plain, all are killed", POSIX)
    },
];

pub fn run(options: Options, report: &mut Report) {
    for soak in SOAKS {
        let outcome = World::new(soak, options).run();
        let Outcome { kills, lost, doubled, torn, arrived, problems } = &outcome;
        let note = format!("{arrived} messages, {lost} lost, {doubled} delivered twice, {torn} lines cut off");
        report.add(soak.name, *kills, kills - if soak.durable { *lost } else { 0 }, note);
        problems.iter().for_each(|problem| report.failed(soak.name, problem));
        if *lost > 0 && (soak.durable || !soak.receivers_killed) {
            report.failed(soak.name, &format!("{lost} messages were lost; --seed {}", options.seed));
        }
    }
}

struct Sender {
    child: Child,
    number: usize,
}

struct World<'a> {
    soak: &'a Soak,
    env: Env,
    chance: Chance,
    full: usize,
    /// How many senders there were. What each of them sends is in a file of its own.
    sent: usize,
    senders: Vec<Sender>,
    receivers: Vec<Child>,
    /// Those senders that came to their end.
    done: HashSet<usize>,
    kills: u64,
    torn: u64,
}

struct Outcome {
    kills: u64,
    lost: u64,
    doubled: u64,
    /// Lines of output that a kill cut off; the message is delivered again.
    torn: u64,
    arrived: u64,
    problems: Vec<String>,
}

impl<'a> World<'a> {
    fn new(soak: &'a Soak, options: Options) -> World<'a> {
        let env = Env::new();
        env.out(["msgq", "create", soak.queue]);
        World {
            soak,
            env,
            chance: Chance::new(options.seed),
            full: usize::from(options.full),
            sent: 0,
            senders: Vec::new(),
            receivers: Vec::new(),
            done: HashSet::new(),
            kills: 0,
            torn: 0,
        }
    }

    fn run(mut self) -> Outcome {
        (0..EACH).for_each(|at| {
            let receiver = self.receiver(at, "--follow");
            self.receivers.push(receiver);
        });
        while self.goes_on() || !self.senders.is_empty() {
            self.reap();
            while self.senders.len() < EACH && self.goes_on() {
                let sender = self.sender();
                self.senders.push(sender);
            }
            std::thread::sleep(self.chance.up_to(BETWEEN));
            self.kill_some();
        }
        self.end();
        self.account()
    }

    fn goes_on(&self) -> bool {
        self.sent * MESSAGES < self.soak.messages[self.full] || self.kills < self.soak.kills[self.full]
    }

    fn sender(&mut self) -> Sender {
        let number = self.sent;
        self.sent += 1;
        let path = self.env.path("lines");
        let lines: String = (0..MESSAGES).map(|at| format!("{number}:{at}\n")).collect();
        // One name: whoever has the file open keeps it.
        drop(fs::remove_file(&path));
        fs::write(&path, lines).unwrap();
        let child = self
            .command(&["msgq", "send", self.soak.queue, "--lines"])
            .stdin(File::open(&path).unwrap())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Sender { child, number }
    }

    /// ipcx, which is to give way to us: we come to kill it while it works.
    fn command(&self, args: &[&str]) -> Command {
        let ipcx = self.env.command(args);
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(ipcx.get_program()).args(args);
        command
    }

    fn slot(at: usize) -> PathBuf {
        PathBuf::from(format!("/dev/shm/slot{at}"))
    }

    fn output(&self, at: usize) -> PathBuf {
        self.env.path(&format!("output{at}"))
    }

    fn receiver(&mut self, at: usize, how: &str) -> Child {
        let path = self.output(at);
        self.torn += u64::from(mend(&path));
        let mut command = self.command(&["msgq", "recv", self.soak.queue, how, "--json", "--quiet"]);
        if self.soak.durable {
            command.arg("--durable").arg(Self::slot(at));
        }
        let output = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        command.stdout(output).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Takes note of the senders that have ended.
    fn reap(&mut self) {
        for mut sender in std::mem::take(&mut self.senders) {
            match sender.child.try_wait().unwrap() {
                Some(status) if status.success() => drop(self.done.insert(sender.number)),
                Some(status) => panic!("a sender ended by itself, {status}: {}", said(&mut sender.child)),
                None => self.senders.push(sender),
            }
        }
    }

    /// Kills some at once: all of them have been told before the first has ended.
    fn kill_some(&mut self) {
        if self.soak.senders_killed {
            let number = self.chance.below(1 + self.senders.len().min(ONCE));
            let mut killed: Vec<Sender> = self.senders.drain(..number).collect();
            killed.iter_mut().for_each(|sender| sender.child.kill().unwrap());
            for mut sender in killed {
                if was_killed(&mut sender.child) {
                    self.kills += 1;
                } else {
                    self.done.insert(sender.number);
                }
            }
        }
        if self.soak.receivers_killed {
            let first = self.chance.below(EACH);
            let killed: Vec<usize> = (0..self.chance.below(1 + ONCE)).map(|at| (first + at) % EACH).collect();
            killed.iter().for_each(|at| self.receivers[*at].kill().unwrap());
            for at in killed {
                let receiver = &mut self.receivers[at];
                assert!(was_killed(receiver), "a receiver ended by itself: {}", said(receiver));
                self.kills += 1;
                self.receivers[at] = self.receiver(at, "--follow");
            }
        }
    }

    /// Lets the receivers take what is left.
    fn end(&mut self) {
        until("the queue to be empty", || {
            let shown = self.env.json(["show", &format!("msgq/{}", self.soak.queue), "--json"]);
            shown["objects"][0]["messages"] == 0
        });
        for mut receiver in std::mem::take(&mut self.receivers) {
            terminate(&receiver);
            receiver.wait().unwrap();
        }
        for at in 0..EACH {
            let status = self.receiver(at, "--all").wait().unwrap();
            assert!(status.success(), "{status}");
        }
    }

    fn account(self) -> Outcome {
        let mut seen: HashMap<usize, Vec<bool>> = HashMap::new();
        let mut ids: HashMap<String, String> = HashMap::new();
        let (mut doubled, mut arrived, mut problems) = (0, 0, Vec::new());
        for at in 0..EACH {
            for line in BufReader::new(File::open(self.output(at)).unwrap()).lines() {
                let line = line.unwrap();
                let Ok(message) = serde_json::from_str::<serde_json::Value>(&line) else {
                    problems.push(format!("no line of ours: {line}"));
                    continue;
                };
                let text = message["text"].as_str().unwrap_or("?").to_owned();
                let (sender, number) = text.split_once(':').unwrap_or(("?", "?"));
                let (Ok(sender), Ok(number)) = (sender.parse::<usize>(), number.parse::<usize>()) else {
                    problems.push(format!("no message of ours: {text}"));
                    continue;
                };
                let id = message["id"].as_str();
                if let Some(before) = id.and_then(|id| ids.insert(id.to_owned(), text.clone())) {
                    doubled += 1;
                    if before != text || message["again"] != true {
                        problems.push(format!("what was {before} is now {line}"));
                    }
                    continue;
                }
                let seen = seen.entry(sender).or_insert_with(|| vec![false; MESSAGES]);
                if std::mem::replace(&mut seen[number], true) {
                    problems.push(format!("{text} arrived twice"));
                }
                arrived += 1;
            }
        }
        let mut lost = 0;
        for sender in 0..self.sent {
            let Some(seen) = seen.get(&sender) else {
                lost += if self.done.contains(&sender) { MESSAGES as u64 } else { 0 };
                continue;
            };
            let last = seen.iter().rposition(|seen| *seen).map_or(0, |last| last + 1);
            let sent = if self.done.contains(&sender) { MESSAGES } else { last };
            lost += seen[..sent].iter().filter(|seen| !**seen).count() as u64;
        }
        problems.truncate(20);
        Outcome { kills: self.kills, lost, doubled, torn: self.torn, arrived, problems }
    }
}

/// Cuts off what a kill left of a line; whether there was something.
fn mend(path: &Path) -> bool {
    let Ok(mut file) = OpenOptions::new().read(true).write(true).open(path) else { return false };
    let end = file.seek(SeekFrom::End(0)).unwrap();
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(end.saturating_sub(4096))).unwrap();
    file.read_to_end(&mut tail).unwrap();
    let torn = tail.iter().rev().take_while(|byte| **byte != b'\n').count() as u64;
    file.set_len(end - torn).unwrap();
    torn > 0
}

/// Waits for its end; whether it was one by a signal.
fn was_killed(child: &mut Child) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&child.wait().unwrap()).is_some()
}

fn said(child: &mut Child) -> String {
    let mut said = String::new();
    drop(child.stderr.take().unwrap().read_to_string(&mut said));
    said
}

fn terminate(child: &Child) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::SIGTERM).unwrap();
}
