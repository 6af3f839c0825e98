//! `ipcx fifo send`.

use super::path;
use crate::args::{FifoRef, WaitArgs};
use crate::cmd::{Context, Outcome, input};
use crate::error::{Doing as _, Error};
use crate::exit::Status;
use crate::mech::fifo;
use crate::model::ObjectRef;
use crate::render::text::count;
use crate::sys::waiter::{Stop, Waiter};
use crate::ui::Ui;
use clap::Args;
use nix::errno::Errno;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;

const ACT: &str = "cannot send to";
/// So many bytes go into a pipe in one piece or not at all, pipe(7).
const PIPE_BUF: usize = 4096;
/// How much is read at once.
const CHUNK: usize = 1 << 16;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx fifo send ./jobs 'first job' 'second job'
  ipcx fifo send ./jobs job --timeout 5s || echo nobody reads
  make 2>&1 | ipcx fifo send ./log

It waits in open until somebody reads. Each MESSAGE is a line; standard input is copied as it
is. Of several senders no line is torn, as long as it has at most 4096 bytes with its newline
(PIPE_BUF): whole lines go in at once. --timeout bounds all of it, the open too. It is done
when all is in the FIFO: whether somebody takes it out, it does not know.")]
pub struct SendArgs {
    #[command(flatten)]
    target: FifoRef,

    /// Lines to write; standard input without them
    #[arg(value_name = "MESSAGE")]
    messages: Vec<OsString>,

    #[command(flatten)]
    wait: WaitArgs,
}

pub fn run(args: &SendArgs, ctx: &mut Context) -> Outcome {
    let reference = &args.target.reference;
    let waiter = Waiter::new(args.wait.wait());
    let fd = fifo::open_writer(path(reference), &waiter, || {
        if ctx.ui.watched() {
            ctx.ui.note(format_args!("waiting for a reader of {reference}"));
        }
    });
    let fd = fd.doing(ACT)?;
    let mut sender = Sender { fd, reference, waiter: &waiter, ui: &ctx.ui, lines: 0, bytes: 0, warned: false };
    let result = if args.messages.is_empty() { stream(&mut sender) } else { lines(&mut sender, &args.messages) };
    let (lines, bytes) = (sender.lines, sender.bytes);
    match result {
        Ok(()) => Ok(Status::Done),
        Err(error) => {
            let status = ctx.ui.report(&error);
            let (lines, bytes) = (count(lines, "line", "lines"), count(bytes, "byte", "bytes"));
            ctx.ui.note(format_args!("{lines} ({bytes}) had been sent before"));
            Ok(status)
        }
    }
}

/// The end to write, and what has gone into it.
struct Sender<'a> {
    fd: OwnedFd,
    reference: &'a ObjectRef,
    waiter: &'a Waiter,
    ui: &'a Ui,
    lines: u64,
    bytes: u64,
    warned: bool,
}

impl Sender<'_> {
    /// Writes bytes; those of one call go in together if they are no more than PIPE_BUF.
    fn put(&mut self, mut bytes: &[u8]) -> anyhow::Result<()> {
        while !bytes.is_empty() {
            let put = self.waiter.run(|| nix::unistd::write(&self.fd, bytes)).map_err(|stop| self.failed(stop))?;
            self.lines += memchr::memchr_iter(b'\n', &bytes[..put]).count() as u64;
            self.bytes += put as u64;
            bytes = &bytes[put..];
        }
        Ok(())
    }

    /// Writes whole lines, as many at once as stay in one piece.
    fn put_lines(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let mut start = 0;
        while start < bytes.len() {
            let room = &bytes[start..bytes.len().min(start + PIPE_BUF)];
            let end = match memchr::memrchr(b'\n', room) {
                _ if start + room.len() == bytes.len() => room.len(),
                Some(end) => end + 1,
                None => memchr::memchr(b'\n', &bytes[start..]).map_or(bytes.len() - start, |end| end + 1),
            };
            if end > PIPE_BUF && !std::mem::replace(&mut self.warned, true) {
                self.ui.warn(format_args!(
                    "a line of {end} bytes or more does not fit into {PIPE_BUF} (PIPE_BUF): other senders may write into it"
                ));
            }
            self.put(&bytes[start..start + end])?;
            start += end;
        }
        Ok(())
    }

    fn failed(&self, stop: Stop) -> anyhow::Error {
        let error = |errno| Error::new("write", errno, self.reference);
        match stop {
            Stop::Errno(Errno::EPIPE) => error(Errno::EPIPE).because("no process reads it any more"),
            Stop::Errno(Errno::EAGAIN) => error(Errno::EAGAIN).because("it is full"),
            Stop::Errno(errno) => error(errno),
            Stop::TimedOut => error(Errno::ETIMEDOUT).because("timed out while it was full"),
            Stop::Signal(signal) => Error::interrupted("write", signal, self.reference),
        }
        .doing(ACT)
    }
}

fn lines(sender: &mut Sender<'_>, messages: &[OsString]) -> anyhow::Result<()> {
    messages.iter().try_for_each(|message| sender.put_lines(&[message.as_bytes(), b"\n"].concat()))
}

/// Copies standard input, cut where lines end.
fn stream(sender: &mut Sender<'_>) -> anyhow::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut filled = 0;
    loop {
        let got = input::read(sender.waiter, &mut buffer[filled..])?;
        filled += got;
        let whole = match memchr::memrchr(b'\n', &buffer[..filled]) {
            _ if got == 0 => filled,
            Some(end) => end + 1,
            // Of a line that is longer than all of this, others may write into it in any case.
            None if filled == buffer.len() => filled,
            None => 0,
        };
        sender.put_lines(&buffer[..whole])?;
        if got == 0 {
            return Ok(());
        }
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
}
