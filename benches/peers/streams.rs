//! Bytes through pipelines and relays, against the shell, pv and cat.

use crate::measure::Job;
use crate::report::{Report, Row, Unit};
use crate::tools::{self, Tools};
use anyhow::Result;

/// What goes through pipes, and what goes into and out of files.
const STREAM: u64 = 4 << 30;
const FILE: u64 = 1 << 30;

pub fn run(tools: &Tools, report: &mut Report) -> Result<()> {
    metered(report)?;
    let streams = [
        ("pipe/relay-pipe-pipe", STREAM, "head -c 4G /dev/zero | RELAY | cat"),
        ("pipe/relay-pipe-null", STREAM, "head -c 4G /dev/zero | RELAY"),
        ("pipe/relay-pipe-file", FILE, "head -c 1G /dev/zero | RELAY >copied"),
        ("pipe/relay-file-pipe", FILE, "RELAY <relayed | cat"),
        ("pipe/relay-file-file", FILE, "RELAY <relayed >copied"),
    ];
    let mut made = false;
    for (name, bytes, stream) in streams {
        if !report.wants(name) {
            continue;
        }
        if !made {
            tools::output(&tools::script("fill", "head -c 1G /dev/zero >relayed; : >copied")?)?;
            made = true;
        }
        let line =
            |relay: &str| tools::script(relay.split(' ').next().unwrap_or(relay), &stream.replace("RELAY", relay));
        let ours = line("ipcx pipe")?;
        for relay in ["pv -q", "cat"] {
            let against = relay.split(' ').next().unwrap_or(relay);
            if let Some(reason) = tools.missing(against) {
                report.skip(name, &reason)?;
                continue;
            }
            let other = line(relay)?;
            let row = Row { name, against: relay, unit: Unit::Bytes(bytes), wanted: Some(1.0) };
            report.compare(row, report.pairs, || Job::new(ours.as_str()).run(), || Job::new(other.as_str()).run())?;
        }
    }
    for file in ["relayed", "copied"].iter().filter(|_| made) {
        std::fs::remove_file(file)?;
    }
    Ok(())
}

/// A pipeline that is looked at all the time against the same one of the shell.
fn metered(report: &mut Report) -> Result<()> {
    let name = "pipe/metered";
    if !report.wants(name) {
        return Ok(());
    }
    let ours = "exec ipcx pipe --meter always --json -o report head -c 4G /dev/zero ::: cat 2>/dev/null";
    let (ours, other) = (tools::script("metered", ours)?, tools::script("plain", "head -c 4G /dev/zero | cat")?);
    let row = Row { name, against: "sh", unit: Unit::Bytes(STREAM), wanted: Some(0.97) };
    report.compare(row, report.pairs, || Job::new(ours.as_str()).run(), || Job::new(other.as_str()).run())?;
    Ok(())
}
