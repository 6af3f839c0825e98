//! What goes wrong while others are looked at: each thing degrades by itself, with a gap, and nothing in use is
//! ever taken for an orphan.

mod calls;
mod kernels;
mod objects;
mod processes;

use crate::kit::look::{assert_harmless, by_ref};
use crate::kit::{Env, NOBODY, Refusal, Running, Starts as _, until};
use serde_json::Value;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Everything that is known of users.
const COLUMNS: &str = "+holders,waiters,verdict";

/// Who looks, and on which kernel.
#[derive(Clone, Copy, Default)]
struct Eyes<'a> {
    refusals: &'a [Refusal],
    /// As an unprivileged user.
    nobody: bool,
    /// As root without the right to look into processes that have it, capabilities(7).
    without_ptrace: bool,
}

impl Eyes<'_> {
    fn command(self, env: &Env, args: &[&str]) -> Command {
        let mut command = if self.without_ptrace {
            let ipcx = env.command(args);
            let mut command = Command::new("setpriv");
            command.args(["--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace", "--"]).arg(ipcx.get_program());
            command.args(args).current_dir(env.path(""));
            command.env_clear().envs(ipcx.get_envs().filter_map(|(key, value)| Some((key, value?))));
            command
        } else {
            env.command(args)
        };
        if self.nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
        if !self.refusals.is_empty() {
            command.refused(self.refusals);
        }
        command
    }

    /// What ipcx prints, which must succeed.
    #[track_caller]
    fn json(self, env: &Env, args: &[&str]) -> Value {
        let output = self.command(env, args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {said}");
        assert_harmless(&args.join(" "), &output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {said}"))
    }

    /// One object, as `show` has it.
    #[track_caller]
    fn show(self, env: &Env, reference: &str) -> Value {
        self.json(env, &["show", reference, "--json"])["objects"][0].clone()
    }

    /// What is thought of an object now.
    #[track_caller]
    fn verdict(self, env: &Env, reference: &str) -> String {
        let all = self.json(env, &["stale", "--all", "--idle", "0s", "--in", ".", "--json"]);
        by_ref(&all["objects"], reference)["verdict"].as_str().unwrap().to_owned()
    }

    /// Every command that looks at users does so; its documents. What it would remove is none of these objects.
    #[track_caller]
    fn look_at(self, env: &Env, objects: &[&str], pids: &[u32]) -> Vec<Value> {
        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        let with = |words: &[&str], more: &[&str]| self.json(env, &[words, more].concat());
        let pids: Vec<&str> = pids.iter().map(String::as_str).collect();
        let plan = with(&["gc", "--idle", "0s", "--in", ".", "--json"], &[]);
        let planned = plan["objects"].as_array().unwrap().iter().map(|row| &row["ref"]);
        assert_eq!(planned.filter(|one| objects.iter().any(|object| *one == object)).count(), 0, "{plan:#}");
        vec![
            with(&["ls", "-a", "--json", "-o", COLUMNS], &[]),
            with(&["show", "--json"], objects),
            with(&["ps", "--json"], &[]),
            with(&["ps", "--json"], &pids),
            with(&["why", "--json"], &pids),
            with(&["stale", "--all", "--idle", "0s", "--in", ".", "--json"], &[]),
            plan,
        ]
    }
}

/// With nothing in the way.
const OURS: Eyes<'_> = Eyes { refusals: &[], nobody: false, without_ptrace: false };

/// The reasons of the gaps of a document, and what they are about.
fn gaps(document: &Value) -> String {
    document["gaps"].to_string()
}

/// The pids in a list of holders or waiters.
#[track_caller]
fn pids(list: &Value) -> Vec<u32> {
    let list = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    let mut pids: Vec<u32> = list.iter().map(|one| u32::try_from(one["pid"].as_u64().unwrap()).unwrap()).collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// A process that has a segment or region attached.
fn attach(env: &Env, reference: &str) -> Running {
    let holder = env.start(["shm", "attach", reference]);
    let full = format!("shm/{reference}");
    until("the attachment", || {
        env.json(["show", &full, "--json"])["objects"][0]["holders"].to_string().contains(&format!(":{},", holder.pid))
    });
    holder
}

/// Waits until a process sleeps in one of these calls.
fn blocked(env: &Env, process: &Running, call: &str) {
    until(&format!("pid {} to block in {call}", process.pid), || {
        env.json(["why", "--json", &process.pid.to_string()])["objects"][0]["call"] == call
    });
}
