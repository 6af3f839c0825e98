//! A connection joined to standard input and standard output.
//!
//! Each direction has its end by itself: the end of the input ends the sending side of the connection,
//! and what the peer still sends goes on to the output; the end of what the peer sends ends the output,
//! and the input still goes on to the peer. A direction may be blocked for ever in a write while the
//! other one has work, and standard streams are shared with others, so that they cannot be made
//! non-blocking: the input has a thread of its own.
#![allow(unsafe_code)]

use super::buffer::Buffer;
use super::feeder::{Turn, without_signals};
use super::pipe;
use super::stdio;
use super::waiter::{self, Stop, Waiter};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{IsTerminal as _, PipeReader, PipeWriter};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// How much is moved at once: more than it does not fit the caches of a processor well.
const CHUNK: usize = 1 << 16;
/// Room for every message of a seqpacket socket; only what is used of it takes memory.
const RECORD: usize = 1 << 24;

/// What stopped a direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broken {
    /// Standard input could not be read.
    Input(Errno),
    /// Standard output could not be written.
    Output(Errno),
    /// The connection failed while bytes went to the peer, or before it had taken them all.
    Sending(Errno),
    /// The connection failed while bytes of the peer were awaited.
    Receiving(Errno),
    /// The deadline or a signal.
    Stopped(Stop),
}

/// A connection to be joined.
pub struct Line<'a> {
    pub socket: &'a OwnedFd,
    /// Whether it carries messages: then each read of the input is one, and each is written as it is.
    pub records: bool,
    /// Whether the kernel tells a peer that is gone from one that only sends no more: unix(7) does, TCP
    /// knows it only when more is sent.
    pub tells: bool,
}

impl Line<'_> {
    /// Moves bytes in both directions until both have ended.
    pub fn join(&self, waiter: &Waiter) -> Result<(), Broken> {
        let (done, ended) = std::io::pipe().map_err(|error| Broken::Input(super::file::errno(&error)))?;
        let turn = Arc::new(Turn::default());
        let socket = self.socket.try_clone().map_err(|error| Broken::Input(super::file::errno(&error)))?;
        let input = without_signals(|| {
            let turn = Arc::clone(&turn);
            thread::Builder::new().spawn(move || feed(&socket, &turn, ended))
        });
        let input = input.map_err(Broken::Input)?.map_err(|error| Broken::Input(super::file::errno(&error)))?;
        let received = self.drain(stdio::stdout(), waiter);
        // Its failure may be why the other direction has ended.
        if input.is_finished() {
            let fed = finished(input);
            return received.and(fed);
        }
        received?;
        stdio::end_output();
        self.outlast(input, &done, &turn, waiter)
    }

    /// Writes all that the peer sends.
    pub fn drain(&self, out: BorrowedFd<'_>, waiter: &Waiter) -> Result<(), Broken> {
        let mut buffer = Buffer::new(if self.records { RECORD } else { CHUNK });
        stdio::widen(out);
        loop {
            match waiter.run(|| stdio::read(self.socket, &mut buffer)) {
                // An empty record looks like the end.
                Ok(0) if self.records && !self.is_over() => {}
                // A signal may have ended it as well; then it is no end.
                Ok(0) if waiter::caught().is_none() => return Ok(()),
                Ok(got) => write(out, &buffer[..got], waiter)?,
                Err(Stop::Errno(errno)) => return Err(Broken::Receiving(errno)),
                Err(stop) => return Err(Broken::Stopped(stop)),
            }
        }
    }

    /// Whether nothing more can come that has bytes. Asked in this order: after the end nothing is added.
    fn is_over(&self) -> bool {
        let mut polled = libc::pollfd { fd: self.socket.as_raw_fd(), events: libc::POLLRDHUP, revents: 0 };
        // SAFETY: `polled` is one entry and outlives the call, which does not wait.
        let ended = unsafe { libc::poll(&raw mut polled, 1, 0) } != 0;
        ended && pipe::fill(self.socket).map_or(true, |unread| unread == 0)
    }

    /// Waits for the end of the input, or for the news that nobody takes it any more.
    fn outlast(
        &self,
        input: JoinHandle<Result<(), Broken>>,
        done: &PipeReader,
        turn: &Turn,
        waiter: &Waiter,
    ) -> Result<(), Broken> {
        // What a person has not typed yet is not lost.
        let patient = self.tells || !stdio::stdin().is_terminal();
        let mut gone = !patient;
        loop {
            // What has been read must go out or fail; what has not been read stays where it is.
            if gone && turn.close() {
                return Ok(());
            }
            let (mut fed, mut hung) = (PollFlags::empty(), PollFlags::empty());
            let polled = waiter.run(|| {
                let mut fds = [
                    PollFd::new(done.as_fd(), PollFlags::POLLIN),
                    PollFd::new(self.socket.as_fd(), PollFlags::empty()),
                ];
                let wait = if gone { &mut fds[..1] } else { &mut fds[..] };
                poll(wait, PollTimeout::NONE)?;
                fed = fds[0].revents().unwrap_or(PollFlags::empty());
                hung = fds[1].revents().unwrap_or(PollFlags::empty());
                Ok(())
            });
            polled.map_err(Broken::Stopped)?;
            if !fed.is_empty() {
                return finished(input);
            }
            if hung.intersects(PollFlags::POLLERR) {
                // Bytes that were sent after the peer had closed are lost: TCP says so by a reset.
                return Err(Broken::Sending(Errno::ECONNRESET));
            }
            gone |= hung.intersects(PollFlags::POLLHUP);
        }
    }
}

/// Sends standard input to its end. Whatever comes first, `ended` is closed with it.
fn feed(socket: &OwnedFd, turn: &Turn, ended: PipeWriter) -> Result<(), Broken> {
    let result = send_input(socket, turn);
    match result {
        Ok(()) => drop(shutdown(socket, libc::SHUT_WR)),
        // To the peer an end would look like the end of all that there was, but it has no other form.
        Err(Broken::Input(_)) => drop(shutdown(socket, libc::SHUT_RDWR)),
        // Whoever writes our input is to know that nobody reads it.
        Err(_) => stdio::end_input(),
    }
    drop(ended);
    result
}

/// At the end, or when it fails, the turn is still its own: that is to be told.
fn send_input(socket: &OwnedFd, turn: &Turn) -> Result<(), Broken> {
    let mut buffer = Buffer::new(CHUNK);
    let input = stdio::stdin();
    stdio::widen(input);
    loop {
        // Between two turns, so that a wait without end keeps nobody from closing.
        let waited = stdio::wait_readable(input);
        if waited == Err(Errno::EINTR) {
            continue;
        }
        if !turn.begin() {
            return Ok(());
        }
        waited.map_err(Broken::Input)?;
        match nix::unistd::read(input, &mut buffer) {
            Ok(0) => return Ok(()),
            Ok(got) => stdio::write_all(socket, &buffer[..got]).map_err(|(_, errno)| Broken::Sending(errno))?,
            // Somebody else who reads it was faster.
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(errno) => return Err(Broken::Input(errno)),
        }
        turn.end();
    }
}

fn finished(input: JoinHandle<Result<(), Broken>>) -> Result<(), Broken> {
    input.join().unwrap_or(Err(Broken::Input(Errno::ECANCELED)))
}

fn write(out: BorrowedFd<'_>, bytes: &[u8], waiter: &Waiter) -> Result<(), Broken> {
    let mut done = 0;
    while done < bytes.len() {
        let wrote = match waiter.run(|| nix::unistd::write(out, &bytes[done..])) {
            Err(Stop::Errno(Errno::EAGAIN)) => waiter.run(|| stdio::wait_writable(out)).map(|()| 0),
            wrote => wrote,
        };
        done += wrote.map_err(|stop| match stop {
            Stop::Errno(errno) => Broken::Output(errno),
            stop => Broken::Stopped(stop),
        })?;
    }
    Ok(())
}

fn shutdown(socket: &OwnedFd, how: libc::c_int) -> nix::Result<()> {
    // SAFETY: shutdown takes two numbers.
    Errno::result(unsafe { libc::shutdown(socket.as_raw_fd(), how) }).map(drop)
}
