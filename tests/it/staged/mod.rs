//! Situations, each staged with real objects and processes, and what is to be thought of the object.
//!
//! Not one object in use may be graded an orphan, and every orphan of which no living process can know must be
//! found. Where processes may not be looked into, as an ordinary user, a System V object that looks like an orphan
//! is `unknown`, and one that is known by the pid in its name is `suspect`; those are counted as skipped.

mod files;
mod named;
mod queues;
mod segments;
mod sets;

use crate::kit::{Env, Running, skipped, until};
use serde_json::Value;
use std::cell::RefCell;
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One situation.
struct Situation {
    /// What it is, for the message of a failure.
    name: &'static str,
    /// The verdicts that are right.
    right: &'static [&'static str],
    /// Makes it and gives the reference of the object; `None` where it cannot be made here.
    stage: fn(&Stage) -> Option<String>,
    judge: Judge,
}

/// Who judges, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Judge {
    /// We, and an object need not have rested.
    Now,
    /// We, and an orphan must have rested as long as is usual.
    Patient,
    /// Somebody in a PID namespace of his own.
    Apart,
    /// Somebody who may look into nothing that is ours.
    Nobody,
}

use Judge::{Apart, Nobody, Now, Patient};

const IN_USE: &[&str] = &["in use"];
const ORPHAN: &[&str] = &["orphan"];
const SUSPECT: &[&str] = &["suspect"];
const UNKNOWN: &[&str] = &["unknown"];
/// It is used in a way that leaves no trace, or one that not everybody sees.
const WANTED: &[&str] = &["in use", "suspect"];

const fn situation(
    name: &'static str,
    right: &'static [&'static str],
    judge: Judge,
    stage: fn(&Stage) -> Option<String>,
) -> Situation {
    Situation { name, right, stage, judge }
}

/// Where a situation is staged, with the processes that belong to it.
struct Stage {
    env: Env,
    running: RefCell<Vec<Running>>,
}

impl Stage {
    fn out(&self, args: &[&str]) -> String {
        self.env.out(args)
    }

    /// Runs a script to its end.
    fn sh(&self, script: &str) {
        self.env.sh(script).assert().success();
    }

    /// Keeps a process until the object was judged.
    fn keep(&self, running: Running) -> u32 {
        let pid = running.pid;
        self.running.borrow_mut().push(running);
        pid
    }

    fn start(&self, args: &[&str]) -> u32 {
        self.keep(self.env.start(args))
    }

    /// Starts another program, with the words of its command line, in the surroundings of ipcx.
    fn program(&self, words: &[&str]) -> u32 {
        let ipcx = self.env.command([""; 0]);
        let mut command = std::process::Command::new(words[0]);
        command.args(&words[1..]).current_dir(self.env.path("")).env_clear();
        command.envs(ipcx.get_envs().filter_map(|(key, value)| Some((key, value?))));
        self.keep(Running::start(command))
    }

    /// Starts a program of another user that lives for as long as the situation; only with users.
    fn program_of_nobody(&self) -> Option<u32> {
        if !self.env.has_users() {
            return None;
        }
        let mut command = self.env.command(["signal", "trap", "USR1"]);
        std::os::unix::process::CommandExt::uid(&mut command, crate::kit::NOBODY);
        Some(self.keep(Running::start(command)))
    }

    /// Starts a process whose first thread ends while another one uses something.
    fn headless(&self, uses: &str) -> u32 {
        self.keep(self.env.start_headless(uses))
    }

    /// Starts ipcx in a PID namespace of its own.
    fn apart(&self, args: &[&str]) -> u32 {
        self.program(&[&["unshare", "--pid", "--fork", "--kill-child", "ipcx"], args].concat())
    }

    /// Starts a script that waits at its end, and waits for it to get there.
    fn script(&self, script: &str) -> u32 {
        let pid = self.program(&["sh", "-euc", &format!("{script}\ntouch done\nread wait")]);
        until("the script to have done its part", || self.env.path("done").exists());
        pid
    }

    /// Runs a script to its end that leaves a child behind; it ends with the situation.
    fn leave_child(&self, script: &str) {
        self.program(&["sh", "-euc", &format!("{script}\nexec 3<&0; (touch done; read wait <&3) &")]);
        until("the child to be there", || self.env.path("done").exists());
        self.running.borrow_mut().last_mut().unwrap().wait_end();
    }

    fn wait_blocked(&self, function: &str) {
        self.running.borrow_mut().last_mut().unwrap().wait_blocked(function);
    }

    /// Stops the last process that was started.
    fn stop(&self) {
        let mut running = self.running.borrow_mut();
        let last = running.last_mut().unwrap();
        last.signal(libc::SIGSTOP);
        until("it to be stopped", || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", last.pid)).unwrap();
            stat.rsplit_once(") ").unwrap().1.starts_with('T')
        });
    }

    /// The fact of an object, as `show` has it.
    fn fact(&self, reference: &str, key: &str) -> Value {
        self.env.json(["show", reference, "--json"])["objects"][0][key].clone()
    }

    fn until(&self, reference: &str, key: &str, value: impl Into<Value>) {
        let value = value.into();
        until(&format!("{key} of {reference} to be {value}"), || self.fact(reference, key) == value);
    }

    /// Gives the pid of a process that an object has recorded to another one, which started later by more than
    /// the clocks can be apart, and goes to an IPC namespace of its own if it is to be `apart`. Only root may choose
    /// pids, and somebody else may be faster.
    fn reuse(&self, pid: i64, apart: bool) -> bool {
        let recorded = now();
        until("time to pass between two processes", || now() > recorded + 2);
        for _ in 0..2000 {
            if fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).is_err() {
                return false;
            }
            let words: &[&str] = if apart { &["unshare", "--ipc", "sleep", "1000"] } else { &["sleep", "1000"] };
            let mut sleep = std::process::Command::new(words[0]);
            sleep.args(&words[1..]);
            let sleeping = Running::start(sleep);
            if i64::from(sleeping.pid) == pid {
                let name = format!("/proc/{pid}/comm");
                until("it to sleep", || fs::read_to_string(&name).unwrap() == "sleep\n");
                self.keep(sleeping);
                return true;
            }
        }
        false
    }

    /// What is thought of the objects of its kind now.
    fn judge(&self, reference: &str, judge: Judge) -> Option<Value> {
        let kind = reference.split_once('/').unwrap().0;
        let mut args = vec!["stale", kind, "--all", "--json", "--in", "."];
        if judge != Patient {
            args.extend(["--idle", "0s"]);
        }
        let document = match judge {
            Now | Patient => self.env.json(args),
            Nobody => {
                let output = self.env.ipcx_as_nobody(args).assert().success().get_output().stdout.clone();
                serde_json::from_slice(&output).unwrap()
            }
            Apart => {
                let script = format!("unshare --pid --fork --mount-proc ipcx {}", args.join(" "));
                let output = self.env.sh(&script).output().unwrap();
                // Not everywhere may an ordinary user mount /proc.
                serde_json::from_slice(&output.stdout).ok()?
            }
        };
        Some(document)
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

impl Situation {
    /// Whether the verdict is the right one; what was wrong.
    fn check(&self) -> Result<(), String> {
        let stage = Stage { env: Env::new(), running: RefCell::default() };
        if self.judge == Nobody && !stage.env.has_users() {
            skipped(&format!("{}: there is no second user", self.name));
            return Ok(());
        }
        let Some(reference) = (self.stage)(&stage) else {
            skipped(&format!("{}: it cannot be staged here", self.name));
            return Ok(());
        };
        let Some(document) = stage.judge(&reference, self.judge) else {
            skipped(&format!("{}: there is no judge of this kind here", self.name));
            return Ok(());
        };
        let listed = document["objects"].as_array().unwrap().iter().find(|object| object["ref"] == reference);
        let Some(judged) = listed else {
            return Err(format!("{}: {reference} is not listed: {document}", self.name));
        };
        let word = judged["verdict"].as_str().unwrap();
        assert!(judged["evidence"].as_array().is_some_and(|said| !said.is_empty()), "{}: {judged:#}", self.name);
        if self.right.contains(&word) {
            return Ok(());
        }
        // Outside our user namespace run processes that may not be looked into from here.
        let hidden = match judged["family"].as_str().unwrap() {
            "posix" => Some("suspect"),
            "unix" => None,
            _ => Some("unknown"),
        };
        if hidden == Some(word) && !stage.env.has_users() {
            skipped(&format!("{}: other processes are hidden", self.name));
            return Ok(());
        }
        Err(format!("{}: {word} instead of {:?}: {}", self.name, self.right, judged["evidence"]))
    }
}

/// Stages all situations of a kind, and says all that are judged wrongly.
#[track_caller]
fn check(situations: &[Situation]) {
    let wrong: Vec<String> = situations.iter().filter_map(|situation| situation.check().err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_are_enough_situations_and_each_is_another() {
    let lists = [segments::ALL, sets::ALL, queues::ALL, named::ALL, files::ALL];
    let all: Vec<&str> = lists.into_iter().flatten().map(|situation| situation.name).collect();
    assert!(all.len() >= 60, "{}", all.len());
    let mut names = all.clone();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len());
}
