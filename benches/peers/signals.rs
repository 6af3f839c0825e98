//! A hundred thousand real-time signals from one process to another.

use crate::measure::{Job, Sample};
use crate::report::{Report, Row, Unit};
use crate::sys;
use crate::tools::{self, Tools};
use anyhow::{Context as _, Result, bail};
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::process::Stdio;
use std::time::Instant;

const COUNT: u64 = 100_000;

pub fn run(tools: &Tools, report: &mut Report) -> Result<()> {
    for (name, options, wanted) in [("signals/lines", "", Some(0.7)), ("signals/json", "--json", None)] {
        if let Some(reason) = tools.missing("sigloop") {
            report.skip(name, &reason)?;
            continue;
        }
        if !report.wants(name) {
            continue;
        }
        prepare()?;
        let row = Row { name, against: "sigloop", unit: Unit::Messages(COUNT), wanted };
        report.compare(row, report.pairs, || pair(options), || Job::new(format!("sigloop {COUNT}")).run())?;
        std::fs::remove_file("values")?;
    }
    Ok(())
}

/// The values, one a line.
fn prepare() -> Result<()> {
    let mut file = BufWriter::new(File::create("values")?);
    for value in 1..=COUNT {
        writeln!(file, "{value}")?;
    }
    Ok(file.flush()?)
}

/// A receiver, and a sender that starts when the receiver says that no signal can be lost any more. The
/// receiver ends only when it has got all of them.
fn pair(options: &str) -> Result<Sample> {
    let start = Instant::now();
    let trap = format!("ipcx signal trap RTMIN+1 -n {COUNT} {options}");
    let mut trap = tools::command(&trap)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {trap}"))?;
    let mut said = BufReader::new(trap.stderr.take().context("there is no pipe")?);
    let mut line = String::new();
    said.read_line(&mut line)?;
    if !line.contains("waiting as pid") {
        bail!("the receiver said: {line}");
    }
    let send = format!("ipcx signal send RTMIN+1 {} --lines", trap.id());
    let send = tools::command(&send)
        .stdin(File::open("values")?)
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot run {send}"))?;
    let mut sample = Sample::default();
    for child in [send, trap] {
        let (status, peak) = sys::wait(child.id())?;
        if status != 0 {
            bail!("a side of the pair ended with wait status {status:#x}");
        }
        sample.peak = sample.peak.max(peak);
    }
    sample.wall = start.elapsed();
    Ok(sample)
}
