//! What a thousand processes have open and mapped, and why they are blocked.

use crate::measure::Job;
use crate::report::{Report, Row, Unit};
use crate::tools::{self, Tools};
use anyhow::{Context as _, Result};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

/// Processes, mappings and descriptors of each.
const CROWD: &str = "crowd 1000 250 50";
/// Processes that all wait for one semaphore.
const BLOCKED: u32 = 1000;
/// The processes that have the segment of the crowd attached. That some may not be looked into is no failure.
const GREP: &str = "grep -l SYSV00005eed /proc/[0-9]*/maps 2> /dev/null; true";
/// A listing of the peers takes seconds.
const MOST_PAIRS: usize = 5;

pub fn run(tools: &Tools, report: &mut Report) -> Result<()> {
    crowd(tools, report)?;
    blocked(tools, report)
}

fn blocked(tools: &Tools, report: &mut Report) -> Result<()> {
    const NAME: &str = "why/1000";
    if let Some(reason) = tools.missing("blocked") {
        return report.skip(NAME, &reason);
    }
    if !report.wants(NAME) {
        return Ok(());
    }
    let _blocked = Crowd::gather(&format!("blocked {BLOCKED}"))?;
    report.each(NAME, (BLOCKED, "process"), 0.1, || Job::new("ipcx why sem/0 --json").run())
}

fn crowd(tools: &Tools, report: &mut Report) -> Result<()> {
    let (one, every) = ("ipcx show shm/0x5eed --json", "ipcx ps --json");
    let rows = [
        ("ls/all", "ipcx ls -a", "lsof", 0.2),
        ("ls/all", "ipcx ls -a", "lsfd", 0.1),
        ("ls/all-json", "ipcx ls -a --json", "lsfd", 0.1),
        ("holders/segment", one, "lsof", 0.1),
        ("holders/segment", one, "lsfd", 0.1),
        ("holders/segment", one, "grep", 1.0),
        ("holders/all", every, "lsof", 0.2),
        ("holders/all", every, "lsfd", 0.2),
        ("sock/ls", "ipcx sock ls", "ss", 1.0),
    ];
    if !rows.iter().any(|(name, ..)| report.wants(name)) {
        return Ok(());
    }
    if let Some(reason) = tools.missing("crowd") {
        for name in ["ls/all", "holders/segment", "holders/all"] {
            report.skip(name, &reason)?;
        }
        return Ok(());
    }
    let _crowd = Crowd::gather(CROWD)?;
    for (name, ours, peer, wanted) in rows {
        if let Some(reason) = tools.missing(peer) {
            report.skip(name, &format!("{peer}: {reason}"))?;
            continue;
        }
        let row = Row { name, against: peer, unit: Unit::Time, wanted: Some(wanted) };
        let theirs = match peer {
            // It is not to look up the names of hosts and ports, of which there are none here.
            "lsof" => "lsof -n -P".to_owned(),
            // With the processes, as ours.
            "ss" => "ss -x -a -p".to_owned(),
            "grep" => tools::script("grep.sh", GREP)?,
            other => other.to_owned(),
        };
        let pairs = report.pairs.min(MOST_PAIRS);
        report.compare(row, pairs, || Job::new(ours).run(), || Job::new(theirs.as_str()).run())?;
    }
    Ok(())
}

/// The processes, which end with us.
struct Crowd(Child);

impl Crowd {
    fn gather(line: &str) -> Result<Crowd> {
        let mut command = tools::command(line);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("cannot run {line}"))?;
        let mut said = String::new();
        BufReader::new(child.stdout.take().context("it has no output")?).read_line(&mut said)?;
        anyhow::ensure!(said == "ready\n", "{line}: {said}");
        Ok(Crowd(child))
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
