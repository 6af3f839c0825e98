//! `ipcx fifo recv`.

use super::path;
use crate::args::{FifoRef, WaitArgs, units};
use crate::cmd::{Context, Outcome};
use crate::error::{Doing as _, Error, ResultLost, StdoutFailed};
use crate::exit::Status;
use crate::mech::fifo::{self, Lines, Taken};
use crate::model::Escaped;
use crate::render::text::count;
use crate::sys::buffer::Buffer;
use crate::sys::stdio;
use crate::sys::waiter::{self, Stop, Waiter};
use clap::Args;
use nix::errno::Errno;
use std::os::fd::OwnedFd;

const ACT: &str = "cannot receive from";
/// How much is read at once.
const CHUNK: usize = 1 << 16;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx fifo recv ./jobs                    to the end: until all writers have closed it
  ipcx fifo recv ./jobs --timeout 5s       waits in open for a writer, but not for ever
  exec 3<>./jobs; ipcx fifo recv ./jobs -n 1     one line; the next stay for the next receiver
  ipcx fifo recv ./log --follow            however many writers come and go

Several receivers with --lines or -n share a FIFO: each line goes to one of them, whole.
What stays in it is there as long as some process has it open: a script keeps it with
`exec 3<>./jobs`. If the writers close it before -n lines came, the status is 1. --nowait
does not open it unless it sees a process that writes to it.")]
pub struct RecvArgs {
    #[command(flatten)]
    target: FifoRef,

    /// Take whole lines, so that several receivers can share the FIFO
    #[arg(long)]
    lines: bool,

    /// Take so many lines and leave the rest
    #[arg(short = 'n', long, value_name = "N", value_parser = units::count)]
    count: Option<u64>,

    /// Go on when all writers have closed it, until a signal or the timeout ends it
    #[arg(short, long, conflicts_with = "nowait")]
    follow: bool,

    #[command(flatten)]
    wait: WaitArgs,
}

pub fn run(args: &RecvArgs, ctx: &mut Context) -> Outcome {
    let waiter = Waiter::new(args.wait.wait());
    // Nothing is taken if there is no place for it.
    ctx.ui.out.payload(b"").map_err(|(_, failed)| failed)?;
    let fd = if args.follow {
        // It waits for a writer in read and not in open: there may be many.
        fifo::reopen_reader(path(&args.target.reference))
    } else {
        fifo::open_reader(path(&args.target.reference), &waiter)
    };
    let fd = fd.doing(ACT)?;
    if args.lines || args.count.is_some() { lines(args, fd, &waiter, ctx) } else { bytes(args, fd, &waiter, ctx) }
}

/// Takes lines. What was taken is written before more is taken.
fn lines(args: &RecvArgs, fd: OwnedFd, waiter: &Waiter, ctx: &mut Context) -> Outcome {
    let mut source = Lines::new(path(&args.target.reference), fd).doing(ACT)?;
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut taken = Vec::new();
    while left > 0 {
        taken.clear();
        let result = source.take(left, &mut taken, waiter);
        if !taken.is_empty() {
            write(&taken, waiter, ctx)?;
        }
        match result {
            Ok(Taken::Lines(lines)) => left -= lines.min(left),
            Ok(Taken::End) => {
                // A last line without a newline is a line.
                left -= u64::from(!taken.is_empty());
                if left > 0 && args.follow {
                    source.follow().doing(ACT)?;
                } else if let (Some(wanted), true) = (args.count, left > 0) {
                    let cause = format!("its writers closed it after {} of {wanted} lines", wanted - left);
                    return Err(Error::refused(&args.target.reference, Status::Failed, cause).doing(ACT));
                } else {
                    break;
                }
            }
            Err(error) => {
                if !taken.is_empty() {
                    ctx.ui.warn("the last line was written without its end, which did not come");
                }
                return Err(error.doing(ACT));
            }
        }
    }
    if let Ok(left @ 1..) = source.left_behind() {
        let left = count(left as u64, "byte", "bytes");
        ctx.ui.warn(format_args!("{left} behind it will be lost: no process that writes has it open any more"));
    }
    Ok(Status::Done)
}

/// Writes what was taken, which nobody can get again: what does not go out is said, and shown.
fn write(taken: &[u8], waiter: &Waiter, ctx: &mut Context) -> anyhow::Result<()> {
    let Err((written, failed)) = ctx.ui.out.payload_within(taken, waiter) else { return Ok(()) };
    ctx.ui.warn("lines were taken and could not be written; here they are, escaped:");
    for line in taken[written..].split_inclusive(|byte| *byte == b'\n') {
        ctx.ui.last_line(format_args!("{}", Escaped(line.strip_suffix(b"\n").unwrap_or(line))));
    }
    Err(anyhow::Error::from(failed).context(ResultLost))
}

/// Copies bytes as they come.
fn bytes(args: &RecvArgs, mut fd: OwnedFd, waiter: &Waiter, ctx: &mut Context) -> Outcome {
    let reference = &args.target.reference;
    let mut buffer = Buffer::new(CHUNK);
    let mut any = false;
    loop {
        let read = || {
            // Without a writer there is an end already; the first one is waited for.
            if args.follow {
                stdio::wait_readable(&fd)?;
            }
            if waiter.never() { nix::unistd::read(&fd, &mut buffer) } else { stdio::read(&fd, &mut buffer) }
        };
        match waiter.run(read) {
            Ok(0) if waiter::caught().is_some() => {}
            Ok(0) if args.follow => fd = fifo::reopen_reader(path(reference)).doing(ACT)?,
            Ok(0) if waiter.never() && !any => {
                return Err(Error::new("read", Errno::EAGAIN, reference).because("no process writes to it").doing(ACT));
            }
            Ok(0) => return Ok(Status::Done),
            Ok(got) => {
                any = true;
                let written = ctx.ui.out.payload_within(&buffer[..got], waiter);
                written.map_err(|(written, failed)| gone(got - written, failed, ctx))?;
            }
            // All there is now has been taken.
            Err(Stop::Errno(Errno::EAGAIN)) if any => return Ok(Status::Done),
            Err(stop) => return Err(stopped(stop, args)),
        }
    }
}

/// Bytes that were taken did not go out: nobody can get them again, so that this is never a quiet end.
fn gone(lost: usize, failed: StdoutFailed, ctx: &Context) -> anyhow::Error {
    let (lost, were) = (count(lost as u64, "byte", "bytes"), if lost == 1 { "was" } else { "were" });
    ctx.ui.warn(format_args!("{lost} {were} taken and could not be written"));
    anyhow::Error::from(failed).context(ResultLost)
}

fn stopped(stop: Stop, args: &RecvArgs) -> anyhow::Error {
    let reference = &args.target.reference;
    let error = |errno| Error::new("read", errno, reference);
    match stop {
        Stop::Errno(Errno::EAGAIN) => error(Errno::EAGAIN).because("it is empty"),
        Stop::Errno(errno) => error(errno),
        Stop::TimedOut => error(Errno::ETIMEDOUT).because("timed out"),
        Stop::Signal(signal) => Error::interrupted("read", signal, reference),
    }
    .doing(ACT)
}
