//! Running commands as stages of a pipeline.

use super::lines::Lines;
use super::watch::{self, Watch};
use super::{PipeArgs, Report, report};
use crate::cmd::{Context, Outcome, children, verbs};
use crate::error::Error;
use crate::exit::Status;
use crate::model::{Text, Wait};
use crate::proc::sysctl;
use crate::sys::child::{Child, End};
use crate::sys::pidfd;
use crate::sys::pipe::{self, Identity};
use crate::sys::stdio;
use crate::sys::waiter::{self, Waiter};
use crate::ui::Meter;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// A pipeline that is over sooner needs no meter.
const METER_AFTER: Duration = Duration::from_millis(300);
const PAINT_EVERY: Duration = Duration::from_millis(200);

/// A pipeline that runs.
pub struct Pipeline<'a> {
    pub commands: &'a [&'a [OsString]],
    pub pids: Vec<i32>,
    /// The stages that have not ended.
    running: Vec<Option<Child>>,
    pub ends: Vec<Option<End>>,
    pub watch: Option<Watch>,
    pub started: Instant,
    /// A signal that was handed to the stages, or came to all of us from the terminal.
    signal: Option<(i32, bool)>,
    /// Whether we ended it ourselves.
    ended: bool,
}

pub fn run(args: &PipeArgs, commands: &[&[OsString]], report: Report, ctx: &mut Context) -> Outcome {
    let mut meter = ctx.ui.meter(args.meter);
    let waiter = Waiter::new(Wait::within(args.timeout));
    let joints = joints(args, commands.len() - 1, ctx).map_err(verbs::before_command)?;
    let looks = report.wanted || meter.is_some();
    let mut pipeline = Pipeline::start(commands, joints, looks)?;
    let timed_out = pipeline.wait(&waiter, &mut meter, report.wanted)?;
    drop(meter);
    if timed_out {
        pipeline.terminate()?;
    }
    let status = if timed_out { Status::TimedOut } else { pipeline.status(args.pipefail) };
    pipeline.tell_deaths(ctx);
    let status = if report.wanted {
        let text = report::pipeline(&pipeline, report.json);
        report.write(&text, status, ctx)
    } else {
        status
    };
    if let (Some((signal, true)), Status::Signal(died)) = (pipeline.signal, status)
        && signal == died
    {
        // ^C ended the commands; so that a script ends as well, we die of it too.
        waiter::put_back();
    }
    Ok(status)
}

type Joint = (OwnedFd, OwnedFd);

/// The pipes, all made before anything is started: if one cannot be had, nothing has happened.
fn joints(args: &PipeArgs, count: usize, ctx: &Context) -> anyhow::Result<Vec<Joint>> {
    let mut joints = Vec::with_capacity(count);
    let usual = pipe::USUAL_SLOTS * pipe::page();
    let mut small = None;
    for at in 0..count {
        let joint = pipe::pair().map_err(|errno| Error::new("pipe", errno, "the commands").doing("cannot join"))?;
        let wanted = args.capacity.get(at).or_else(|| args.capacity.first().filter(|_| args.capacity.len() == 1));
        match wanted {
            Some(size) => {
                pipe::set_capacity(&joint.1, *size).map_err(|errno| refused_capacity(at, *size, errno))?;
            }
            None => small = small.or(pipe::capacity(&joint.1).ok().filter(|capacity| *capacity < usual)),
        }
        joints.push(joint);
    }
    if let Some(capacity) = small {
        let soft = sysctl::number("fs.pipe-user-pages-soft").map_or_else(|| "?".to_owned(), |n| n.to_string());
        ctx.ui.note(format_args!(
            "a pipe has {capacity} bytes instead of {usual}: the pipes of this user take more than \
             fs.pipe-user-pages-soft = {soft} pages"
        ));
    }
    Ok(joints)
}

fn refused_capacity(at: usize, size: u64, errno: Errno) -> anyhow::Error {
    let most = sysctl::number("fs.pipe-max-size");
    let error = Error::new("fcntl-pipe", errno, format_args!("pipe {}", at + 1));
    let error = match most.filter(|most| errno == Errno::EPERM && size > *most) {
        Some(most) => error.because(format!("{size} bytes are over {most}")).hinting(format!(
            "fs.pipe-max-size = {most} bounds the capacity of a pipe without CAP_SYS_RESOURCE; raise it with sysctl"
        )),
        None => error.because(format!("{size} bytes are no capacity that it can have")),
    };
    error.doing("cannot set the capacity of")
}

impl<'a> Pipeline<'a> {
    fn start(commands: &'a [&'a [OsString]], joints: Vec<Joint>, looks: bool) -> anyhow::Result<Pipeline<'a>> {
        let edges: Vec<(Identity, usize)> = joints
            .iter()
            .filter_map(|(read, write)| Some((pipe::identity(read).ok()?, pipe::capacity(write).ok()?)))
            .collect();
        let ends = (watch::end(stdio::stdin()), watch::end(stdio::stdout()));
        let watch = (looks && edges.len() == joints.len()).then(|| Watch::new(&edges, ends));
        let count = commands.len();
        let mut pipeline = Pipeline {
            commands,
            pids: Vec::with_capacity(count),
            running: Vec::with_capacity(count),
            ends: (0..count).map(|_| None).collect(),
            watch,
            started: Instant::now(),
            signal: None,
            ended: false,
        };
        let mut joints = joints.into_iter();
        let mut input = None;
        let mut failed = None;
        for command in commands {
            let (next, output) = joints.next().map_or((None, None), |(read, write)| (Some(read), Some(write)));
            match Child::between(command, std::mem::replace(&mut input, next), output) {
                Ok(stage) => {
                    if let Some(watch) = &mut pipeline.watch {
                        watch.started(pipeline.pids.len(), stage.pid);
                    }
                    pipeline.pids.push(stage.pid);
                    pipeline.running.push(Some(stage));
                }
                Err(errno) => {
                    failed = Some(verbs::cannot_run(command, errno));
                    break;
                }
            }
        }
        // No end of any pipe stays with us, or the stages would not see it end.
        drop((input, joints));
        match failed {
            None => Ok(pipeline),
            Some(error) => {
                pipeline.terminate()?;
                Err(error)
            }
        }
    }

    /// Waits for the end of all stages, and looks at them meanwhile; whether the time was over before.
    fn wait(&mut self, waiter: &Waiter, meter: &mut Option<Meter>, reports: bool) -> anyhow::Result<bool> {
        let mut lines = Lines::new(self.commands, stdio_is_terminal());
        let mut painted = self.started;
        while let Some(first) = self.running.iter().flatten().next() {
            let waited = match &self.watch {
                // It is not looked at, so any order will do.
                None => first.wait(),
                Some(watch) => {
                    let handles = self.running.iter().flatten().filter_map(|stage| stage.handle.as_ref());
                    pidfd::wait_any(handles.map(AsFd::as_fd), Some(watch.left())).map(drop)
                }
            };
            match waited {
                Ok(()) => {}
                Err(Errno::EINTR) if waiter.over() => return Ok(true),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(cannot_wait(errno)),
            }
            self.hand_on(waiter);
            self.reap()?;
            let Some(watch) = &mut self.watch else { continue };
            watch.sample(&self.running);
            if let Some(shown) = meter {
                let busy = self.running.iter().any(Option::is_some);
                if lines.must_give_way(watch, &self.running) || !busy {
                    *meter = None;
                } else if self.started.elapsed() >= METER_AFTER && painted.elapsed() >= PAINT_EVERY {
                    painted = Instant::now();
                    let text = lines.text(watch, shown);
                    shown.paint(&text);
                }
            }
            if meter.is_none() && !reports {
                self.watch = None;
            }
            if waiter.over() {
                return Ok(self.running.iter().any(Option::is_some));
            }
        }
        Ok(false)
    }

    /// Hands a signal that asks us to stop to every stage and what it has started, unless the terminal has
    /// sent it to all of us.
    fn hand_on(&mut self, waiter: &Waiter) {
        let running: Vec<&Child> = self.running.iter().flatten().collect();
        self.signal = children::hand_on(&running, waiter).or(self.signal);
    }

    /// Takes the stages that have ended, after the last look at what they read and wrote.
    fn reap(&mut self) -> anyhow::Result<()> {
        for (at, place) in self.running.iter_mut().enumerate() {
            let Some(stage) = place else { continue };
            if !stage.has_ended().map_err(cannot_wait)? {
                continue;
            }
            if let Some(watch) = &mut self.watch {
                watch.ended(at);
            }
            self.ends[at] = Some(stage.reap().map_err(cannot_wait)?);
            *place = None;
        }
        Ok(())
    }

    /// Ends all stages with what they have started.
    fn terminate(&mut self) -> anyhow::Result<()> {
        self.ended = true;
        let running: Vec<&Child> = self.running.iter().flatten().collect();
        self.signal = children::end(&running).map_err(cannot_wait)?.or(self.signal);
        self.reap()
    }

    /// The status of the last stage, or of the first that failed.
    fn status(&self, pipefail: bool) -> Status {
        let statuses = || self.ends.iter().flatten().map(|end| end.status);
        let failed = |at: usize, status: ExitStatus| !status.success() && !self.reader_left(at, status);
        let first = statuses().enumerate().find(|(at, status)| pipefail && failed(*at, *status));
        match first.map(|(_, status)| status).or_else(|| statuses().next_back()) {
            None => Status::Failed,
            Some(status) => match (status.code(), status.signal()) {
                (Some(code), _) => Status::Command(u8::try_from(code).unwrap_or(1)),
                (None, signal) => Status::Signal(signal.unwrap_or(0)),
            },
        }
    }

    /// Whether a stage died of SIGPIPE, which tells it that its reader has left. Whoever reads our standard
    /// output may have left as well; then it is the end of a pipeline as of any other writer.
    fn reader_left(&self, at: usize, status: ExitStatus) -> bool {
        at + 1 < self.ends.len() && status.signal() == Some(libc_signal(Signal::SIGPIPE))
    }

    /// Says which stages were killed, unless everybody knows: somebody asked for it, or a reader has left.
    fn tell_deaths(&self, ctx: &Context) {
        for (at, end) in self.ends.iter().enumerate() {
            let Some((status, signal)) = end.as_ref().and_then(|end| Some((end.status, end.status.signal()?))) else {
                continue;
            };
            let asked = self.ended || self.signal.is_some_and(|(sent, _)| sent == signal);
            if !asked && signal != libc_signal(Signal::SIGPIPE) {
                let core = if status.core_dumped() { " and left a core" } else { "" };
                let name = Text::from(self.commands[at][0].as_bytes());
                let signal = signal_name(signal);
                ctx.ui.warn(format_args!("command {} ({}) was killed by {signal}{core}", at + 1, name.escaped()));
            }
        }
    }
}

fn cannot_wait(errno: Errno) -> anyhow::Error {
    Error::new("waitid", errno, "the commands").doing("cannot wait for")
}

fn libc_signal(signal: Signal) -> i32 {
    signal as i32
}

/// `SIGTERM`; a real-time signal has a number alone.
pub fn signal_name(signal: i32) -> String {
    Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |signal| signal.as_str().to_owned())
}

fn stdio_is_terminal() -> bool {
    stdio::stdout().is_terminal()
}
