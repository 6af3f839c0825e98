//! A GiB into shared memory and out of it again, against cat and a file in /dev/shm.

use crate::measure::{Job, Sample};
use crate::report::{Report, Row, Unit};
use crate::tools::{self, Tools};
use anyhow::Result;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;

const SIZE: u64 = 1 << 30;
/// What is wanted to be free: the input, cat's file and our segment, and something to spare.
const NEEDED: u64 = 4 * SIZE;
/// cat's file.
const FILE: &str = "/dev/shm/cat";
const POSIX: &str = "/ipcx-bench";
const INPUT: &str = "gib";

pub fn run(_: &Tools, report: &mut Report) -> Result<()> {
    let mut cases = Vec::new();
    for family in ["posix", "sysv"] {
        for input in ["file", "pipe"] {
            for age in ["fresh", "old"] {
                cases.push((format!("shm/write-{family}-{input}-{age}"), family, input, age));
            }
        }
        for output in ["null", "pipe"] {
            cases.push((format!("shm/read-{family}-{output}"), family, output, ""));
        }
    }
    cases.retain(|(name, ..)| report.wants(name));
    if cases.is_empty() {
        return Ok(());
    }
    let available = available().unwrap_or(0);
    if available < NEEDED {
        let reason = format!("{} MiB of memory are available, {} are needed", available >> 20, NEEDED >> 20);
        return cases.iter().try_for_each(|(name, ..)| report.skip(name, &reason));
    }
    fill(INPUT)?;
    fill(FILE)?;
    for (name, family, stream, age) in &cases {
        let row = Row { name, against: "cat", unit: Unit::Bytes(SIZE), wanted: Some(1.0) };
        let mut segment = Segment::create(family)?;
        if age.is_empty() {
            Job::new(format!("ipcx shm write {}", segment.name)).from(File::open(INPUT)?).run()?;
            let read = |line: String| if *stream == "pipe" { Job::new(line).drained() } else { Job::new(line) };
            let ours = || read(format!("ipcx shm read {}", segment.name)).run();
            report.compare(row, report.pairs, ours, || read(format!("cat {FILE}")).run())?;
        } else {
            let fresh = *age == "fresh";
            let fed = |job: Job| -> Result<Job> {
                Ok(if *stream == "pipe" { job.fed(SIZE) } else { job.from(File::open(INPUT)?) })
            };
            let mut ours = || -> Result<Sample> {
                if fresh {
                    segment.renew()?;
                }
                fed(Job::new(format!("ipcx shm write {}", segment.name)))?.run()
            };
            let other = || -> Result<Sample> {
                if fresh {
                    fs::remove_file(FILE)?;
                }
                // Not truncated: the pages of an old file are written again.
                let file = OpenOptions::new().write(true).create(true).truncate(false).open(FILE)?;
                fed(Job::new("cat"))?.into(file).run()
            };
            // Once for nothing: a virtual machine gets memory that it never used from its host at first.
            ours()?;
            other()?;
            report.compare(row, report.pairs, ours, other)?;
        }
        segment.remove()?;
    }
    fs::remove_file(FILE)?;
    fs::remove_file(INPUT)?;
    Ok(())
}

/// A segment of ours, by the name that a command takes.
struct Segment {
    family: &'static str,
    name: String,
}

impl Segment {
    fn create(family: &'static str) -> Result<Segment> {
        let name = if family == "posix" { POSIX } else { "" };
        let name = tools::output(&format!("ipcx shm create {name} --size {SIZE}"))?;
        Ok(Segment { family, name })
    }

    fn remove(&self) -> Result<()> {
        tools::output(&format!("ipcx --quiet shm rm {}", self.name)).map(drop)
    }

    fn renew(&mut self) -> Result<()> {
        self.remove()?;
        *self = Segment::create(self.family)?;
        Ok(())
    }
}

fn fill(path: &str) -> Result<()> {
    let bytes = [b'x'; 1 << 16];
    let mut file = File::create(path)?;
    for _ in 0..SIZE / bytes.len() as u64 {
        file.write_all(&bytes)?;
    }
    Ok(())
}

/// Bytes of memory that can be used without swapping.
fn available() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}
