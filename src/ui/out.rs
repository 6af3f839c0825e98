//! Standard output: buffered for listings, unbuffered for payload, and no failure is lost.

use crate::error::StdoutFailed;
use crate::sys::stdio;
use crate::sys::waiter::{self, Stop, Waiter};
use nix::errno::Errno;
use std::io;
use std::os::fd::BorrowedFd;

const BUFFER: usize = 1 << 16;

pub struct Out {
    buffer: Vec<u8>,
}

impl Out {
    pub fn new() -> Out {
        Out { buffer: Vec::new() }
    }

    /// Writes a message at once, after what is buffered. On failure it also says how much of
    /// `bytes` was written, for whoever has to put the message somewhere else.
    pub fn payload(&mut self, bytes: &[u8]) -> Result<(), (usize, StdoutFailed)> {
        self.flush_buffer().map_err(|error| (0, error))?;
        write(bytes)
    }

    /// Standard output itself, for a stream of bytes that ends when somebody else says so. What is
    /// buffered has been written.
    pub fn stream(&mut self) -> Result<BorrowedFd<'static>, StdoutFailed> {
        self.flush_buffer()?;
        if stdio::was_closed(1) { Err(StdoutFailed(Errno::EBADF)) } else { Ok(stdio::stdout()) }
    }

    /// The same within the time that a verb has: a reader that reads no more must not hold it for ever.
    /// ETIMEDOUT at the deadline.
    pub fn payload_within(&mut self, bytes: &[u8], waiter: &Waiter) -> Result<(), (usize, StdoutFailed)> {
        self.flush_buffer().map_err(|error| (0, error))?;
        if stdio::was_closed(1) {
            return Err((0, StdoutFailed(Errno::EBADF)));
        }
        let mut done = 0;
        while done < bytes.len() {
            let written = waiter.run(|| nix::unistd::write(stdio::stdout(), &bytes[done..]));
            match written {
                Ok(written) => done += written,
                Err(Stop::Errno(Errno::EAGAIN)) => drop(waiter.run(|| stdio::wait_writable(stdio::stdout()))),
                Err(Stop::Errno(errno)) => return Err((done, StdoutFailed(errno))),
                Err(Stop::TimedOut) => return Err((done, StdoutFailed(Errno::ETIMEDOUT))),
                Err(Stop::Signal(_)) => return Err((done, StdoutFailed(Errno::EINTR))),
            }
        }
        Ok(())
    }

    /// Prepares for many bytes.
    pub fn widen(&self) {
        stdio::widen(stdio::stdout());
    }

    /// Lets `put` write to the descriptor by itself, for bytes that need not pass through us. It
    /// says how many it wrote.
    pub fn fill(&mut self, mut put: impl FnMut(BorrowedFd<'_>) -> nix::Result<usize>) -> Result<usize, StdoutFailed> {
        self.flush_buffer()?;
        if stdio::was_closed(1) {
            return Err(StdoutFailed(Errno::EBADF));
        }
        loop {
            match put(stdio::stdout()) {
                Err(Errno::EINTR) if waiter::caught().is_none() => {}
                Err(Errno::EAGAIN) => stdio::wait_writable(stdio::stdout()).map_err(StdoutFailed)?,
                result => return result.map_err(StdoutFailed),
            }
        }
    }

    /// Writes what is buffered.
    pub fn flush_buffer(&mut self) -> Result<(), StdoutFailed> {
        let result = if self.buffer.is_empty() { Ok(()) } else { write(&self.buffer) };
        self.buffer.clear();
        result.map_err(|(_, error)| error)
    }

    /// Appends a line of our own; whatever it quotes is escaped already.
    pub fn line(&mut self, text: std::fmt::Arguments<'_>) -> io::Result<()> {
        io::Write::write_fmt(self, format_args!("{text}\n"))
    }
}

impl io::Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.capacity() == 0 {
            self.buffer.reserve(BUFFER);
        }
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER - 4096 {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flush_buffer().map_err(io::Error::other)
    }
}

/// Writes to standard output; of no bytes it only says whether there is one.
fn write(bytes: &[u8]) -> Result<(), (usize, StdoutFailed)> {
    if stdio::was_closed(1) {
        return Err((0, StdoutFailed(Errno::EBADF)));
    }
    stdio::write_all(stdio::stdout(), bytes).map_err(|(done, errno)| (done, StdoutFailed(errno)))
}
