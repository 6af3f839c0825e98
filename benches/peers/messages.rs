//! A million messages through one queue.

use crate::measure::{Job, Sample, together};
use crate::report::{Report, Row, Unit};
use crate::tools::{self, Tools};
use anyhow::Result;
use std::fs::File;
use std::io::{BufWriter, Write as _};

const COUNT: u64 = 1_000_000;
const SIZE: usize = 64;

pub fn run(tools: &Tools, report: &mut Report) -> Result<()> {
    // The file, the options of send and recv, whether recv writes into a pipe, the bound.
    let rows = [
        ("messages/lines", "lines", "--lines", "", false, Some(0.7)),
        ("messages/lines-pipe", "lines", "--lines", "", true, None),
        ("messages/null", "records", "--null", "--null", false, None),
        ("messages/json", "lines", "--lines", "--json", false, None),
        ("messages/durable", "lines", "--lines", "--durable /dev/shm/ipcx-bench.slot", false, None),
    ];
    for (name, file, send, recv, pipe, wanted) in rows {
        if let Some(reason) = tools.missing("msgloop") {
            report.skip(name, &reason)?;
            continue;
        }
        if !report.wants(name) {
            continue;
        }
        prepare(file, if file == "records" { 0 } else { b'\n' })?;
        let queue = tools::output("ipcx msgq create")?;
        let ours = || -> Result<Sample> {
            let send = Job::new(format!("ipcx msgq send {queue} {send}")).from(File::open(file)?);
            let recv = Job::new(format!("ipcx msgq recv {queue} -n {COUNT} {recv}"));
            together([send, if pipe { recv.drained() } else { recv }])
        };
        let row = Row { name, against: "msgloop", unit: Unit::Messages(COUNT), wanted };
        report.compare(row, report.pairs, ours, || Job::new(format!("msgloop {COUNT} {SIZE}")).run())?;
        std::fs::remove_file(file)?;
        drop(std::fs::remove_file("/dev/shm/ipcx-bench.slot"));
    }
    Ok(())
}

fn prepare(file: &str, end: u8) -> Result<()> {
    let mut message = [b'x'; SIZE + 1];
    message[SIZE] = end;
    let mut file = BufWriter::new(File::create(file)?);
    for _ in 0..COUNT {
        file.write_all(&message)?;
    }
    Ok(file.flush()?)
}
