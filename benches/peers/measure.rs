//! Running programs and taking their time and memory.
//!
//! The peak memory of a child counts from before it executes its program, and so includes ours:
//! nothing large may be kept in this process.

use crate::{sys, tools};
use anyhow::{Context as _, Result, bail};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How much is moved at once through a pipe of ours; what cat uses too.
const CHUNK: usize = 1 << 17;

/// What one run took.
#[derive(Clone, Copy, Default)]
pub struct Sample {
    pub wall: Duration,
    /// The most memory that one of its processes held, in bytes.
    pub peak: u64,
}

impl Sample {
    /// This one and another after it.
    pub fn then(self, next: Sample) -> Sample {
        Sample { wall: self.wall + next.wall, peak: self.peak.max(next.peak) }
    }
}

/// A program to run, with its standard streams.
pub struct Job {
    line: String,
    command: Command,
    feed: u64,
    drain: bool,
}

impl Job {
    /// Reads and writes /dev/null unless something else is said.
    pub fn new(line: impl Into<String>) -> Job {
        let line = line.into();
        let mut command = tools::command(&line);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Job { line, command, feed: 0, drain: false }
    }

    pub fn from(mut self, file: File) -> Job {
        self.command.stdin(file);
        self
    }

    /// Gives it this many bytes through a pipe.
    pub fn fed(mut self, bytes: u64) -> Job {
        self.command.stdin(Stdio::piped());
        self.feed = bytes;
        self
    }

    pub fn into(mut self, file: File) -> Job {
        self.command.stdout(file);
        self
    }

    /// Gives it a pipe for standard output and throws away what comes.
    pub fn drained(mut self) -> Job {
        self.command.stdout(Stdio::piped());
        self.drain = true;
        self
    }

    pub fn run(self) -> Result<Sample> {
        together([self])
    }
}

/// Runs programs at the same time, which must succeed.
pub fn together(jobs: impl IntoIterator<Item = Job>) -> Result<Sample> {
    let jobs: Vec<Job> = jobs.into_iter().collect();
    thread::scope(|scope| {
        let start = Instant::now();
        let mut running = Vec::new();
        for mut job in jobs {
            let mut child: Child = job.command.spawn().with_context(|| format!("cannot run {}", job.line))?;
            if let Some(mut pipe) = child.stdin.take() {
                scope.spawn(move || {
                    let bytes = [b'x'; CHUNK];
                    let mut left = job.feed;
                    while left > 0 {
                        let now = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
                        // A child that ended early says why by its status.
                        if pipe.write_all(&bytes[..now]).is_err() {
                            break;
                        }
                        left -= now as u64;
                    }
                });
            }
            let pipe = child.stdout.take().filter(|_| job.drain);
            running.push((job.line, child.id(), pipe));
        }
        // The last output is drained right here, without a thread that must be started and joined.
        let mut here = running.last_mut().and_then(|(.., pipe)| pipe.take());
        for (.., pipe) in &mut running {
            if let Some(mut pipe) = pipe.take() {
                scope.spawn(move || drain(&mut pipe));
            }
        }
        here.as_mut().map_or(Ok(()), drain).context("cannot read from a pipe")?;
        let mut sample = Sample::default();
        for (line, pid, _) in running {
            let (status, peak) = sys::wait(pid)?;
            if status != 0 {
                bail!("{line}: wait status {status:#x}");
            }
            sample.peak = sample.peak.max(peak);
        }
        sample.wall = start.elapsed();
        Ok(sample)
    })
}

fn drain(pipe: &mut std::process::ChildStdout) -> std::io::Result<()> {
    let mut buffer = [0; CHUNK];
    while pipe.read(&mut buffer)? > 0 {}
    Ok(())
}

/// Samples of two sides, taken in turn.
pub struct Pairs(Vec<(Sample, Sample)>);

impl Pairs {
    pub fn take(
        count: usize,
        mut ours: impl FnMut() -> Result<Sample>,
        mut other: impl FnMut() -> Result<Sample>,
    ) -> Result<Pairs> {
        let mut pairs = Vec::with_capacity(count);
        for _ in 0..count {
            pairs.push((ours()?, other()?));
        }
        Ok(Pairs(pairs))
    }

    pub fn ours(&self) -> f64 {
        median(self.0.iter().map(|(ours, _)| ours.wall.as_secs_f64()))
    }

    pub fn other(&self) -> f64 {
        median(self.0.iter().map(|(_, other)| other.wall.as_secs_f64()))
    }

    /// Our time in times of the other's.
    pub fn ratio(&self) -> f64 {
        median(self.0.iter().map(|(ours, other)| ours.wall.as_secs_f64() / other.wall.as_secs_f64()))
    }

    /// The quartiles of that.
    pub fn spread(&self) -> (f64, f64) {
        let mut ratios: Vec<f64> =
            self.0.iter().map(|(ours, other)| ours.wall.as_secs_f64() / other.wall.as_secs_f64()).collect();
        ratios.sort_by(f64::total_cmp);
        (ratios[ratios.len() / 4], ratios[ratios.len() * 3 / 4])
    }

    /// The most memory that we ever held.
    pub fn peak(&self) -> u64 {
        self.0.iter().map(|(ours, _)| ours.peak).max().unwrap_or(0)
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}
