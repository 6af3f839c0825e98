//! Listing as many System V objects as a namespace holds by default.

use crate::measure::{Job, Sample};
use crate::report::{Report, Row, Unit};
use crate::tools::{self, Tools};
use anyhow::Result;

const CAT: &str = "cat /proc/sysvipc/shm /proc/sysvipc/sem /proc/sysvipc/msg";
/// No listing may take more memory.
const MEMORY: u64 = 60_000_000;

pub fn run(tools: &Tools, report: &mut Report) -> Result<()> {
    // Our arguments, the other side, whether both write into a pipe, the bound.
    let rows = [
        ("ls/raw", "ipcx ls --raw", "cat", false, Some(1.5)),
        ("ls/json", "ipcx ls --json", "cat", false, Some(2.5)),
        ("ls/jsonl", "ipcx ls --jsonl", "cat", false, None),
        ("ls/table", "ipcx ls", "ipcs", true, Some(0.5)),
        ("ls/table", "ipcx ls", "lsipc", true, None),
    ];
    let mut made = false;
    let mut measured = "";
    for (name, line, against, pipe, wanted) in rows {
        if !report.wants(name) {
            continue;
        }
        if let Some(reason) = tools.missing("mkmany").or_else(|| tools.missing(against)) {
            report.skip(name, &reason)?;
            continue;
        }
        if !made {
            tools::output("mkmany 4096 32000 32000")?;
            made = true;
        }
        let job = |line: &str| if pipe { Job::new(line).drained() } else { Job::new(line) };
        let other = || match against {
            "cat" => job(CAT).run(),
            "ipcs" => job("ipcs -a").run(),
            _ => ["lsipc -m", "lsipc -q", "lsipc -s"]
                .iter()
                .try_fold(Sample::default(), |all, line| Ok(all.then(job(line).run()?))),
        };
        let row = Row { name, against, unit: Unit::Time, wanted };
        let pairs = report.compare(row, report.pairs, || job(line).run(), other)?;
        // The same listing against another peer takes the same memory.
        if let Some(pairs) = pairs.filter(|_| measured != name) {
            report.memory(name, &pairs, MEMORY)?;
            measured = name;
        }
    }
    Ok(())
}
