//! `ipcx sock connect` with datagrams: what there is instead of a connection.
//!
//! A direction may be blocked for ever in a write while the other one has work, and standard streams cannot
//! be made non-blocking: the input has a thread of its own, as in `sys::duplex`.

use super::lost;
use crate::cmd::{Context, Outcome};
use crate::error::{Doing as _, Error};
use crate::exit::Status;
use crate::mech::sock::{self, Sender};
use crate::model::{Address, SockType};
use crate::sys::feeder::{Turn, without_signals};
use crate::sys::waiter::{Stop, Waiter};
use crate::sys::{file, stdio};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::PipeReader;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::thread;

const ACT: &str = "cannot go on with";
/// How much is read at once.
const CHUNK: usize = 1 << 16;
/// A line longer than this is no datagram of anything.
const LONGEST: usize = 1 << 24;

/// A conversation.
pub struct Talk<'a> {
    pub address: &'a Address,
    /// What ends a datagram in the input and in the output.
    pub end: u8,
    /// How many datagrams are to come.
    pub count: Option<u64>,
}

/// The thread that sends the input.
type Feeder = thread::JoinHandle<anyhow::Result<()>>;

impl Talk<'_> {
    /// Sends the input and writes what comes, until there is nothing more to wait for.
    pub fn hold(&self, socket: &OwnedFd, waiter: Waiter, ctx: &mut Context) -> Outcome {
        let patient = self.count.is_some() || !waiter.forever();
        let (waiter, turn) = (Arc::new(waiter), Arc::new(Turn::default()));
        let (feeder, done) = self.feed(socket, &turn, &waiter).map_err(|errno| self.failed(errno))?;
        let (mut feeder, mut fed) = (Some(feeder), Ok(()));
        let (mut left, mut came) = (self.count.unwrap_or(u64::MAX), false);
        let mut bytes = Vec::new();
        loop {
            let some = sock::receive_ready(socket, self.address, &mut bytes, &waiter).doing(ACT)?;
            // While the rest is sent, more may come than was asked for: it must not hold the peer up.
            if some && left > 0 {
                bytes.push(self.end);
                ctx.ui.out.payload_within(&bytes, &waiter).map_err(|(_, failed)| lost(failed))?;
                left -= 1;
                came = true;
            }
            if left == 0 && (feeder.is_none() || turn.close_after()) {
                return fed.map(|()| Status::Done);
            }
            // A peer that never pauses leaves no wait for the deadline to interrupt.
            if waiter.over() {
                return Err(self.timed_out());
            }
            if feeder.is_none() {
                if some {
                    continue;
                }
                fed?;
                fed = Ok(());
                if !patient {
                    break;
                }
            }
            if self.wait(socket, feeder.is_some().then_some(&done), &waiter)?
                && let Some(feeder) = feeder.take()
            {
                fed = feeder.join().unwrap_or_else(|_| Err(self.failed(Errno::ECANCELED)));
            }
        }
        if !came {
            ctx.ui.note("the input ended before an answer came; --count or --timeout waits for answers");
        }
        Ok(Status::Done)
    }

    fn failed(&self, errno: Errno) -> anyhow::Error {
        Error::new("recv", errno, self.address).doing(ACT)
    }

    fn timed_out(&self) -> anyhow::Error {
        Error::new("recv", Errno::ETIMEDOUT, self.address).because("timed out").doing(ACT)
    }

    /// Waits until something comes or the input is done; whether that is.
    fn wait(&self, socket: &OwnedFd, done: Option<&PipeReader>, waiter: &Waiter) -> anyhow::Result<bool> {
        let waited = waiter.run(|| {
            let mut fds = vec![PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
            fds.extend(done.map(|done| PollFd::new(done.as_fd(), PollFlags::POLLIN)));
            poll(&mut fds, PollTimeout::NONE)?;
            Ok(fds.get(1).and_then(PollFd::any).unwrap_or(false))
        });
        waited.map_err(|stop| match stop {
            Stop::Errno(errno) => self.failed(errno),
            Stop::TimedOut => self.timed_out(),
            Stop::Signal(signal) => Error::interrupted("recv", signal, self.address).doing(ACT),
        })
    }

    /// Starts to send the input. The pipe ends when that is over.
    fn feed(&self, socket: &OwnedFd, turn: &Arc<Turn>, waiter: &Arc<Waiter>) -> nix::Result<(Feeder, PipeReader)> {
        let errno = |error| file::errno(&error);
        let (done, ended) = std::io::pipe().map_err(errno)?;
        let socket = socket.try_clone().map_err(errno)?;
        let (address, end) = (self.address.clone(), self.end);
        let (turn, waiter) = (Arc::clone(turn), Arc::clone(waiter));
        let feeder = without_signals(|| {
            thread::Builder::new().spawn(move || {
                let fed = send_input(&socket, &address, end, &turn, &waiter);
                drop(ended);
                fed
            })
        });
        Ok((feeder?.map_err(errno)?, done))
    }
}

/// Sends every line of standard input as a datagram, as it comes; the last one needs no terminator.
fn send_input(socket: &OwnedFd, address: &Address, end: u8, turn: &Turn, waiter: &Waiter) -> anyhow::Result<()> {
    let failed = |errno| Error::new("read", errno, "standard input").doing("cannot read");
    let mut sender = Sender { socket, kind: SockType::Datagram, address, descriptors: Vec::new(), bytes: 0 };
    let (mut buffer, mut filled) = (vec![0; CHUNK], 0);
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
        // From here on a failure is told.
        waited.map_err(failed)?;
        if filled == buffer.len() {
            if filled > LONGEST {
                let cause = format!("a datagram of more than {LONGEST} bytes fits nowhere");
                return Err(Error::refused("standard input", Status::Limit, cause).doing("cannot read"));
            }
            buffer.resize(filled * 2, 0);
        }
        let read = nix::unistd::read(input, &mut buffer[filled..]);
        let got = match read {
            // Somebody else who reads it was faster.
            Err(Errno::EINTR | Errno::EAGAIN) => 0,
            read => read.map_err(failed)?,
        };
        if read == Ok(0) {
            return if filled > 0 { sender.send(&buffer[..filled], waiter).doing(ACT) } else { Ok(()) };
        }
        // What was there before holds no terminator.
        let (mut start, mut look) = (0, filled);
        filled += got;
        while let Some(length) = memchr::memchr(end, &buffer[look..filled]) {
            sender.send(&buffer[start..look + length], waiter).doing(ACT)?;
            look += length + 1;
            start = look;
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
        if !turn.end() {
            return Ok(());
        }
    }
}
