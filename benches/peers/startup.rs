//! What starting a program costs: what a loop in a shell feels.

use crate::measure::Job;
use crate::report::{Report, Row, Unit};
use crate::tools::{self, Tools};
use anyhow::Result;

/// A process takes a millisecond, so there is time for many.
const PAIRS: usize = 300;

pub fn run(tools: &Tools, report: &mut Report) -> Result<()> {
    let rows = [
        ("start/version", "ipcx --version", "nothing"),
        ("start/version", "ipcx --version", "true"),
        ("start/ls", "ipcx ls", "ipcs"),
        ("start/ls", "ipcx ls", "lsipc"),
    ];
    for (name, ours, against) in rows {
        if let Some(reason) = tools.missing(against) {
            report.skip(name, &reason)?;
            continue;
        }
        let row = Row { name, against, unit: Unit::Time, wanted: None };
        report.compare(row, PAIRS, || Job::new(ours).run(), || Job::new(against).run())?;
    }
    one(tools, report)
}

/// A message sent by one process and received by the next.
fn one(tools: &Tools, report: &mut Report) -> Result<()> {
    let name = "start/send-recv";
    if let Some(reason) = tools.missing("msgone") {
        return report.skip(name, &reason);
    }
    if !report.wants(name) {
        return Ok(());
    }
    let queue = tools::output("ipcx msgq create")?;
    let pair = |program: &str| {
        let sent = Job::new(format!("{program} send {queue} hello")).run()?;
        Ok(sent.then(Job::new(format!("{program} recv {queue}")).run()?))
    };
    let row = Row { name, against: "msgone", unit: Unit::Time, wanted: Some(1.5) };
    report.compare(row, PAIRS, || pair("ipcx msgq"), || pair("msgone"))?;
    Ok(())
}
