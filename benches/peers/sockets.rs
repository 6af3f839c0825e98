//! Bytes and datagrams through unix sockets, against socat and bare system calls.

use crate::measure::{Job, Sample};
use crate::report::{Report, Row, Unit};
use crate::sys;
use crate::tools::{self, Tools};
use anyhow::{Context as _, Result, bail};
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

/// What goes through a stream; the file has no blocks, so that it takes no memory.
const BYTES: u64 = 4 << 30;
const MESSAGES: u64 = 1_000_000;
const SIZE: usize = 64;
const SOCKET: &str = "bench.sock";
const PATIENCE: Duration = Duration::from_secs(10);

pub fn run(tools: &Tools, report: &mut Report) -> Result<()> {
    streams(tools, report)?;
    datagrams(tools, report)
}

fn streams(tools: &Tools, report: &mut Report) -> Result<()> {
    // The input, and how socat is asked for larger pieces than its own 8 KiB.
    for (name, input, pieces, against) in [
        ("sock/stream-file", "file", "", "socat -u"),
        ("sock/stream-file-large", "file", "-b131072", "socat -u -b131072"),
        ("sock/stream-pipe", "pipe", "", "socat -u"),
        ("sock/stream-pipe-large", "pipe", "-b131072", "socat -u -b131072"),
    ] {
        if !report.wants(name) {
            continue;
        }
        if let Some(reason) = tools.missing("socat") {
            report.skip(name, &reason)?;
            continue;
        }
        File::create("sparse")?.set_len(BYTES)?;
        let fed = |job: Job| -> Result<Job> {
            Ok(if input == "pipe" { job.fed(BYTES) } else { job.from(File::open("sparse")?) })
        };
        let ours = || {
            let send = Job::new(format!("ipcx sock connect ./{SOCKET}"));
            through(&format!("ipcx -q sock listen ./{SOCKET}"), fed(send)?)
        };
        let other = || {
            let send = Job::new(format!("socat -u {pieces} - UNIX-CONNECT:{SOCKET}"));
            through(&format!("socat -u {pieces} UNIX-LISTEN:{SOCKET},unlink-close=1 -"), fed(send)?)
        };
        let row = Row { name, against, unit: Unit::Bytes(BYTES), wanted: Some(1.0) };
        report.compare(row, report.pairs, ours, other)?;
        fs::remove_file("sparse")?;
    }
    Ok(())
}

fn datagrams(tools: &Tools, report: &mut Report) -> Result<()> {
    for (name, how) in [("sock/dgram-lines", ""), ("sock/dgram-json", "--json")] {
        if !report.wants(name) {
            continue;
        }
        if let Some(reason) = tools.missing("dgramloop") {
            report.skip(name, &reason)?;
            continue;
        }
        let mut file = BufWriter::new(File::create("lines")?);
        let mut line = [b'x'; SIZE + 1];
        line[SIZE] = b'\n';
        for _ in 0..MESSAGES {
            file.write_all(&line)?;
        }
        file.flush()?;
        let ours = || {
            let send = Job::new(format!("ipcx sock send ./{SOCKET} --type dgram --lines")).from(File::open("lines")?);
            through(&format!("ipcx -q sock recv ./{SOCKET} --type dgram -n {MESSAGES} {how}"), send)
        };
        let row = Row { name, against: "dgramloop", unit: Unit::Messages(MESSAGES), wanted: None };
        report.compare(row, report.pairs, ours, || Job::new(format!("dgramloop {MESSAGES} {SIZE}")).run())?;
        fs::remove_file("lines")?;
    }
    Ok(())
}

/// Starts a receiver, waits until it is ready, and takes the time of all that `send` sends it.
fn through(receive: &str, send: Job) -> Result<Sample> {
    let mut receiver = tools::command(receive);
    receiver.stdin(Stdio::null()).stdout(Stdio::null());
    let receiver = receiver.spawn().with_context(|| format!("cannot run {receive}"))?;
    let start = Instant::now();
    while !ready() {
        if start.elapsed() > PATIENCE {
            bail!("{receive}: it does not listen");
        }
        thread::sleep(Duration::from_millis(1));
    }
    let start = Instant::now();
    let sent = send.run()?;
    let (status, peak) = sys::wait(receiver.id())?;
    if status != 0 {
        bail!("{receive}: wait status {status:#x}");
    }
    Ok(Sample { wall: start.elapsed(), peak: sent.peak.max(peak) })
}

/// Whether a socket of that name listens, or receives datagrams.
fn ready() -> bool {
    let sockets = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    sockets.lines().filter(|line| line.ends_with(SOCKET)).any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // Flags and type: a listener has __SO_ACCEPTCON, type 2 is a datagram socket.
        words.get(3) == Some(&"00010000") || words.get(4) == Some(&"0002")
    })
}
