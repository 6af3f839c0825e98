//! `ipcx signal send`.

use super::hits::{self, Pattern};
use super::process::Process;
use crate::args::signal::{self as words, Target};
use crate::args::{WaitArgs, units};
use crate::cmd::{Context, Outcome, input};
use crate::error::{Doing as _, Error, Result};
use crate::exit::Status;
use crate::model::{Escaped, Signal, Wait};
use crate::proc::status;
use crate::render::text::count;
use crate::sys::pidfd;
use crate::sys::signal::{Queued, real_time};
use crate::sys::waiter::{Stop, Waiter};
use crate::ui::Ui;
use clap::Args;
use nix::errno::Errno;
use regex_lite::Regex;
use std::os::fd::AsFd as _;
use std::time::Duration;

/// The kernel has no event for room in the queue of signals, so this is the one wait that looks again
/// and again: a receiver that reads takes far less than the shortest of these naps for a signal, and
/// one that does not read costs a hundred looks a second.
const SHORTEST_NAP: Duration = Duration::from_micros(50);
const LONGEST_NAP: Duration = Duration::from_millis(10);

/// After so many signals in a row it is asked whether the receiver still runs.
const LOOK_EVERY: u64 = 64;

const CHUNK: usize = 1 << 16;
/// No value has more digits.
const LONGEST: usize = 4096;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  p=$(ipcx signal show 4242 --json | jq -r '.objects[0].ref')     4242:473827
  ipcx signal send TERM $p --wait 5s || ipcx signal send KILL $p
  ipcx signal send RTMIN+1 4242 --value 7
  seq 100000 | ipcx signal send RTMIN+1 4242 --lines
  ipcx signal send HUP --name '^nginx$' --dry-run
  ipcx signal send 0 4242 || echo 'it is gone, or not ours'

A process is held by a descriptor, so a signal never reaches another one that was given
the pid meanwhile; PID:INODE, as --dry-run prints it, names it until the next boot.

A real-time signal is always queued as sigqueue(3) does, with the value 0 unless another
is given. The queue is bounded by RLIMIT_SIGPENDING of the receiver: a full one is waited
for, unless --nowait or --timeout is given. A standard signal that is pending already is
not counted twice, and its value is lost. If sending stops early, it says how many
signals had been sent. All processes are tried; the status is that of the first failure.")]
pub struct SendArgs {
    /// Signal: TERM, SIGTERM, 15, RTMIN+1; 0 only asks whether it could be sent
    #[arg(value_name = "SIG", allow_negative_numbers = true, value_parser = words::signal_or_zero, add = words::names())]
    signal: Signal,

    /// Processes: PID, or PID:INODE, which refuses a pid that was given out again
    #[arg(
        value_name = "TARGET",
        allow_negative_numbers = true,
        required_unless_present = "name",
        value_parser = words::target,
        add = words::processes()
    )]
    targets: Vec<Target>,

    /// Processes whose name matches this regular expression
    ///
    /// It says which ones they are. Neither ipcx itself nor its parents are among them.
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    name: Option<Regex>,

    /// Compare the pattern with the whole command line
    #[arg(long, requires = "name")]
    full: bool,

    /// List the processes and send nothing
    #[arg(long)]
    dry_run: bool,

    /// With --dry-run: one JSON document
    #[arg(long, requires = "dry_run")]
    json: bool,

    /// Send this number with it, -2147483648 to 2147483647
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = words::value)]
    value: Option<i32>,

    /// Send one signal for each line of standard input, which is its value
    #[arg(long, conflicts_with_all = ["value", "count"])]
    lines: bool,

    /// Send so many of them
    #[arg(short = 'n', long, value_name = "N", default_value = "1", value_parser = units::count)]
    count: u64,

    /// Then wait until all of them are gone, no longer than this: status 124 if some are not
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    wait: Option<Duration>,

    #[command(flatten)]
    limit: WaitArgs,
}

fn pattern(text: &str) -> std::result::Result<Regex, String> {
    Regex::new(text).map_err(|error| Escaped(error.to_string().as_bytes()).to_string())
}

pub fn run(args: &SendArgs, ctx: &mut Context) -> Outcome {
    let label = if args.signal.0 == 0 { "0".to_owned() } else { args.signal.label(real_time()) };
    let mut sending = Sending {
        signal: args.signal,
        act: if args.dry_run { "cannot list".to_owned() } else { format!("cannot send {label} to") },
        queued: (args.value.is_some() || args.lines || args.signal.is_real_time(real_time()))
            .then(|| Queued::new(args.signal)),
        stream: args.lines || args.count > 1,
        waiter: Waiter::new(if args.dry_run { Wait::Forever } else { args.limit.wait() }),
        processes: Vec::new(),
        status: Status::Done,
    };
    for target in &args.targets {
        match Process::open(*target) {
            Ok(process) => sending.processes.push(process),
            Err(error) => sending.failed(error, &mut ctx.ui),
        }
    }
    if let Some(regex) = &args.name {
        let hits = hits::matching(&Pattern { regex, full: args.full }).doing("cannot find")?;
        for process in &hits {
            if !args.dry_run {
                ctx.ui.note(format_args!("{label} for {process}: {}", process.command().escaped()));
            }
        }
        sending.processes.extend(hits);
    }
    if args.dry_run {
        hits::list(&sending.processes, args.json, ctx)?;
        return Ok(sending.status);
    }
    let done = if args.lines {
        sending.lines(&mut ctx.ui)
    } else {
        sending.times(args.count, args.value.unwrap_or(0), &mut ctx.ui)
    };
    if let Err(error) = done {
        let status = ctx.ui.report(&error);
        if sending.stream {
            said(sending.processes.iter().map(|process| process.sent).sum(), &ctx.ui);
        }
        return Ok(status);
    }
    let Sending { processes, status, waiter, .. } = sending;
    // Its end would stop the timer of the next one.
    drop(waiter);
    match args.wait.map(|span| wait(processes, span)) {
        Some(Err(error)) => {
            let failed = ctx.ui.report(&error);
            Ok(if status == Status::Done { failed } else { status })
        }
        _ => Ok(status),
    }
}

fn said(sent: u64, ui: &Ui) {
    ui.note(format_args!("{} had been sent before", count(sent, "signal", "signals")));
}

/// Why it ended before all was done.
enum End {
    /// For one process; there may be others.
    Of(Error),
    All(Error),
}

struct Sending {
    signal: Signal,
    act: String,
    /// Set where the signal goes by sigqueue(3); kill(2) without it.
    queued: Option<Queued>,
    /// Whether there are several signals for each process.
    stream: bool,
    waiter: Waiter,
    /// Those that took all signals so far.
    processes: Vec<Process>,
    /// That of the first failure.
    status: Status,
}

impl Sending {
    fn failed(&mut self, error: Error, ui: &mut Ui) {
        let failed = ui.report(&anyhow::Error::from(error).context(self.act.clone()));
        if self.status == Status::Done {
            self.status = failed;
        }
    }

    /// Sends one signal to each process. One that cannot take it gets no more.
    fn each(&mut self, value: i32, ui: &mut Ui) -> anyhow::Result<()> {
        let mut at = 0;
        while at < self.processes.len() {
            match self.one(at, value) {
                Ok(()) => {
                    self.processes[at].sent += 1;
                    at += 1;
                }
                Err(End::Of(error)) => {
                    let process = self.processes.remove(at);
                    self.failed(error, ui);
                    if self.stream {
                        said(process.sent, ui);
                    }
                }
                Err(End::All(error)) => return Err(anyhow::Error::from(error).context(self.act.clone())),
            }
        }
        Ok(())
    }

    fn one(&mut self, at: usize, value: i32) -> std::result::Result<(), End> {
        let process = &self.processes[at];
        let info = self.queued.as_mut().map(|queued| queued.carrying(value));
        let mut nap = SHORTEST_NAP;
        if process.sent > 0 && self.waiter.over() {
            return Err(End::All(Error::new("pidfd_send_signal", Errno::ETIMEDOUT, process).because("timed out")));
        }
        // A zombie takes every signal and queues none.
        let gone = || End::Of(Error::new("pidfd_send_signal", Errno::ESRCH, process));
        if process.sent % LOOK_EVERY == LOOK_EVERY - 1 && process.fd.ended() == Ok(true) {
            return Err(gone());
        }
        loop {
            let stop = match self.waiter.run(|| process.fd.send(self.signal.0, info)) {
                Ok(()) => return Ok(()),
                Err(Stop::Errno(Errno::EAGAIN)) if self.waiter.never() => {
                    return Err(End::Of(full(process, Errno::EAGAIN, "its queue of signals is full")));
                }
                Err(Stop::Errno(Errno::EAGAIN)) => match self.waiter.pause(nap) {
                    Some(stop) => stop,
                    None if process.fd.ended() == Ok(true) => return Err(gone()),
                    None => {
                        nap = (nap * 2).min(LONGEST_NAP);
                        continue;
                    }
                },
                Err(stop) => stop,
            };
            return Err(match stop {
                Stop::Errno(errno) => End::Of(refused(process, errno)),
                Stop::TimedOut => {
                    End::All(full(process, Errno::ETIMEDOUT, "timed out while its queue of signals was full"))
                }
                Stop::Signal(signal) => End::All(Error::interrupted("pidfd_send_signal", signal, process)),
            });
        }
    }

    fn times(&mut self, count: u64, value: i32, ui: &mut Ui) -> anyhow::Result<()> {
        for _ in 0..count {
            if self.processes.is_empty() {
                break;
            }
            self.each(value, ui)?;
        }
        Ok(())
    }

    /// Sends the value of every line of standard input as it comes; the last one needs no newline.
    fn lines(&mut self, ui: &mut Ui) -> anyhow::Result<()> {
        let mut buffer = vec![0; CHUNK];
        let (mut filled, mut number) = (0, 0);
        while !self.processes.is_empty() {
            let got = input::read(&self.waiter, &mut buffer[filled..])?;
            filled += got;
            let mut start = 0;
            while let Some(length) = memchr::memchr(b'\n', &buffer[start..filled]) {
                number += 1;
                self.line(&buffer[start..start + length], number, ui)?;
                start += length + 1;
            }
            if got == 0 {
                return if start < filled { self.line(&buffer[start..filled], number + 1, ui) } else { Ok(()) };
            }
            buffer.copy_within(start..filled, 0);
            filled -= start;
            if filled > LONGEST {
                return Err(no_value(&buffer[..32], number + 1));
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8], number: u64, ui: &mut Ui) -> anyhow::Result<()> {
        let value = std::str::from_utf8(line.trim_ascii()).ok().and_then(|text| text.parse().ok());
        match value {
            Some(value) => self.each(value, ui),
            None => Err(no_value(line, number)),
        }
    }
}

fn no_value(line: &[u8], number: u64) -> anyhow::Error {
    let cause = format!("`{}` is no value; values are {} to {}", Escaped(line), i32::MIN, i32::MAX);
    Error::refused(format!("line {number} of standard input"), Status::Usage, cause).doing("cannot read")
}

fn refused(process: &Process, errno: Errno) -> Error {
    let error = Error::new("pidfd_send_signal", errno, process);
    match (errno, process.user()) {
        (Errno::EPERM, Some(user)) => error.because(format!("it is a process of {}", user.escaped())),
        _ => error,
    }
}

fn full(process: &Process, errno: Errno, cause: &str) -> Error {
    let error = Error::new("pidfd_send_signal", errno, process).because(cause);
    let queue = status::read(process.pid).ok().and_then(|status| status.queue);
    match (queue, process.user()) {
        (Some((queued, limit)), Some(user)) => error.hinting(format!(
            "RLIMIT_SIGPENDING = {limit} of the receiver bounds what is queued for processes of {} (ulimit -i); {} queued",
            user.escaped(),
            if queued == 1 { "1 is".to_owned() } else { format!("{queued} are") },
        )),
        _ => error,
    }
}

/// Waits until all are gone; a zombie is.
fn wait(mut processes: Vec<Process>, span: Duration) -> anyhow::Result<()> {
    let waiter = Waiter::new(Wait::within(Some(span)));
    let result: Result<()> = loop {
        // One that has ended since the last look is not among those that are named.
        processes.retain(|process| process.fd.ended() == Ok(false));
        if processes.is_empty() {
            break Ok(());
        }
        let list = || processes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match waiter.run(|| pidfd::wait_any(processes.iter().map(|process| process.fd.as_fd()), None)) {
            Ok(_) => {}
            Err(Stop::TimedOut) => {
                processes.retain(|process| process.fd.ended() == Ok(false));
                let list = processes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                if processes.is_empty() {
                    break Ok(());
                }
                break Err(Error::new("poll", Errno::ETIMEDOUT, list).because(format!("still there after {span:?}")));
            }
            Err(Stop::Signal(signal)) => break Err(Error::interrupted("poll", signal, list())),
            Err(Stop::Errno(errno)) => break Err(Error::new("poll", errno, list())),
        }
    };
    result.doing("cannot wait for the end of")
}
