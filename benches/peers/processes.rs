//! What a thousand processes have open.

use crate::measure::Job;
use crate::report::{Report, Row, Unit};
use crate::tools::{self, Tools};
use anyhow::{Context as _, Result};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

/// Processes, mappings and descriptors of each.
const CROWD: &str = "crowd 1000 250 50";
/// A listing of the peers takes seconds.
const MOST_PAIRS: usize = 5;

pub fn run(tools: &Tools, report: &mut Report) -> Result<()> {
    let rows = [
        ("ls/all", "ipcx ls -a", "lsof", 0.2),
        ("ls/all", "ipcx ls -a", "lsfd", 0.1),
        ("ls/all-json", "ipcx ls -a --json", "lsfd", 0.1),
    ];
    if !rows.iter().any(|(name, ..)| report.wants(name)) {
        return Ok(());
    }
    if let Some(reason) = tools.missing("crowd") {
        return report.skip("ls/all", &reason);
    }
    let _crowd = Crowd::gather()?;
    for (name, ours, peer, wanted) in rows {
        if let Some(reason) = tools.missing(peer) {
            report.skip(name, &format!("{peer}: {reason}"))?;
            continue;
        }
        let row = Row { name, against: peer, unit: Unit::Time, wanted: Some(wanted) };
        // Neither is to look up the names of hosts and ports, of which there are none here.
        let theirs = if peer == "lsof" { "lsof -n -P" } else { peer };
        let pairs = report.pairs.min(MOST_PAIRS);
        report.compare(row, pairs, || Job::new(ours).run(), || Job::new(theirs).run())?;
    }
    Ok(())
}

/// The processes, which end with us.
struct Crowd(Child);

impl Crowd {
    fn gather() -> Result<Crowd> {
        let mut command = tools::command(CROWD);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot run crowd")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("crowd has no output")?).read_line(&mut line)?;
        anyhow::ensure!(line == "ready\n", "crowd: {line}");
        Ok(Crowd(child))
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
