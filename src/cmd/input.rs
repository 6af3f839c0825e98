//! Standard input as messages, for every verb that sends them.

use crate::error::{Doing as _, Error, describe};
use crate::exit::Status;
use crate::sys::stdio;
use crate::sys::waiter::{Stop, Waiter};
use nix::errno::Errno;

/// How much is read at once.
const CHUNK: usize = 1 << 16;
/// A record longer than this is no message of anything.
const LONGEST: usize = 1 << 28;

/// Reads standard input, for as long as the waiter allows; 0 is its end.
pub fn read(waiter: &Waiter, buffer: &mut [u8]) -> anyhow::Result<usize> {
    let error = |errno| Error::new("read", errno, "standard input");
    if stdio::was_closed(0) {
        return Err(error(Errno::EBADF).because("it is closed").doing("cannot read"));
    }
    let read = waiter.run(|| stdio::read(stdio::stdin(), buffer)).map_err(|stop| match stop {
        Stop::Errno(errno) => error(errno).because(describe(errno)),
        Stop::TimedOut => error(Errno::ETIMEDOUT).because("timed out"),
        Stop::Signal(signal) => error(Errno::EINTR).with_status(Status::Signal(signal)),
    });
    read.doing("cannot read")
}

fn too_long() -> anyhow::Error {
    let cause = format!("a message of more than {LONGEST} bytes fits nowhere");
    Error::refused("standard input", Status::Limit, cause).doing("cannot read")
}

/// All of standard input as one message.
pub fn whole(waiter: &Waiter) -> anyhow::Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let start = message.len();
        if start > LONGEST {
            return Err(too_long());
        }
        message.resize(start + CHUNK, 0);
        let got = read(waiter, &mut message[start..])?;
        message.truncate(start + got);
        if got == 0 {
            return Ok(message);
        }
    }
}

/// Gives every record of standard input to `send` as it comes; the last one needs no terminator.
pub fn records(end: u8, waiter: &Waiter, mut send: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut filled = 0;
    loop {
        if filled == buffer.len() {
            if filled > LONGEST {
                return Err(too_long());
            }
            buffer.resize(filled * 2, 0);
        }
        let got = read(waiter, &mut buffer[filled..])?;
        let mut start = 0;
        // What was there before holds no terminator.
        let mut look = filled;
        filled += got;
        while let Some(length) = memchr::memchr(end, &buffer[look..filled]) {
            send(&buffer[start..look + length])?;
            look += length + 1;
            start = look;
        }
        if got == 0 {
            return if start < filled { send(&buffer[start..filled]) } else { Ok(()) };
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
    }
}
