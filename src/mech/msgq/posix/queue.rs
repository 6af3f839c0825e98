//! The messages of a POSIX queue.

use super::{failed, open_queue, reference};
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::mech::msgq::sys;
use crate::mech::{Channel, Limits, Pick, Slot, Tag, stopped, unsupported};
use crate::model::{ObjectRef, Text};
use crate::sys::waiter::{Stop, Waiter, timespec};
use nix::errno::Errno;
use nix::sys::stat::fstat;
use nix::time::{ClockId, clock_gettime};
use std::os::fd::{AsFd as _, OwnedFd};

/// An open queue.
pub(super) struct Queue {
    queue: OwnedFd,
    reference: ObjectRef,
    message_size: usize,
    /// Opened for writing when a message must be put back into a queue that was opened to read.
    put_back: Option<OwnedFd>,
    name: Text,
}

/// The moment of CLOCK_REALTIME at which the wait is over, as the timed calls want it. The waiter's
/// own timer runs on the monotonic clock, so a clock that is set back does not lengthen the wait.
fn until(waiter: &Waiter) -> Option<libc::timespec> {
    if waiter.never() {
        return Some(libc::timespec { tv_sec: 0, tv_nsec: 0 });
    }
    let left = waiter.left()?;
    let now = clock_gettime(ClockId::CLOCK_REALTIME).ok()?;
    let at = std::time::Duration::from(now).checked_add(left)?;
    Some(timespec(at))
}

impl Queue {
    pub(super) fn new(queue: OwnedFd, name: &Text, message_size: usize) -> Queue {
        Queue { queue, reference: reference(name), message_size, put_back: None, name: name.clone() }
    }

    /// Says whether messages can be taken in this way.
    fn can_recv(&self, pick: Pick, limit: Limits) -> Result<()> {
        if pick != Pick::First {
            return Err(Error::refused(
                &self.reference,
                Status::Usage,
                "a POSIX queue gives its messages by priority; none can be chosen by type",
            )
            .hinting("a System V queue has types"));
        }
        let most = limit.max_size.unwrap_or(usize::MAX);
        if most < self.message_size && !limit.truncate {
            return Err(Error::refused(
                &self.reference,
                Status::Limit,
                format!(
                    "its messages may have {} bytes, and a POSIX queue cannot leave a longer one in place",
                    self.message_size
                ),
            )
            .hinting("raise --max-size, or cut messages with --truncate"));
        }
        Ok(())
    }

    fn fail(&self, stop: Stop, call: &'static str, empty: &'static str, waiter: &Waiter) -> Error {
        match stop {
            Stop::TimedOut if waiter.never() => Error::new(call, Errno::EAGAIN, &self.reference).because(empty),
            Stop::Errno(errno) => failed(call, errno, &self.reference),
            stop => stopped(stop, call, &self.reference),
        }
    }
}

impl Channel for Queue {
    fn tag(&self, kind: Option<i64>, priority: Option<u32>) -> Result<Tag> {
        if kind.is_some() {
            return Err(Error::refused(&self.reference, Status::Usage, "a POSIX message has a priority, not a type")
                .hinting("use --priority N"));
        }
        match priority.unwrap_or(0) {
            priority @ 0..=32767 => Ok(Tag::Priority(priority)),
            priority => {
                Err(Error::refused(&self.reference, Status::Usage, format!("priority {priority} is over 32767")))
            }
        }
    }

    fn send(&mut self, message: &[u8], tag: Tag, waiter: &Waiter) -> Result<()> {
        let Tag::Priority(priority) = tag else { return Err(Error::new("mq_send", Errno::EINVAL, &self.reference)) };
        let queue = self.put_back.as_ref().unwrap_or(&self.queue);
        let sent = waiter.run(|| sys::mq_send(queue.as_fd(), message, priority, until(waiter)));
        match sent {
            // Opened to receive, and now a message has to go back.
            Err(Stop::Errno(Errno::EBADF)) if self.put_back.is_none() => {
                let queue = open_queue(&self.name, libc::O_WRONLY)?;
                // The name may be another queue's by now.
                let inode = |queue: &OwnedFd| fstat(queue).map(|stat| (stat.st_dev, stat.st_ino));
                if inode(&queue) != inode(&self.queue) {
                    return Err(Error::refused(&self.reference, Status::NoSuch, "another queue has this name now"));
                }
                self.put_back = Some(queue);
                self.send(message, tag, waiter)
            }
            Err(Stop::Errno(Errno::EMSGSIZE)) => Err(Error::new("mq_send", Errno::EMSGSIZE, &self.reference)
                .because(format!("message is {} bytes, the queue takes at most {}", message.len(), self.message_size))),
            sent => sent.map_err(|stop| self.fail(stop, "mq_send", "the queue is full", waiter)),
        }
    }

    fn recv(&mut self, into: &mut Vec<u8>, pick: Pick, limit: Limits, waiter: &Waiter) -> Result<Tag> {
        self.can_recv(pick, limit)?;
        let start = into.len();
        into.resize(start + self.message_size, 0);
        let got = waiter.run(|| sys::mq_recv(&self.queue, &mut into[start..], until(waiter)));
        match got {
            Ok((length, priority)) => {
                into.truncate(start + length.min(limit.max_size.unwrap_or(usize::MAX)));
                Ok(Tag::Priority(priority))
            }
            Err(stop) => {
                into.truncate(start);
                Err(self.fail(stop, "mq_receive", "the queue is empty", waiter))
            }
        }
    }

    fn recv_into(&mut self, slot: &mut Slot, pick: Pick, limit: Limits, waiter: &Waiter) -> Result<()> {
        self.can_recv(pick, limit)?;
        let got = waiter.run(|| sys::mq_recv_into(&self.queue, slot, self.message_size, until(waiter)));
        got.map(|length| slot.arrived(length))
            .map_err(|stop| self.fail(stop, "mq_receive", "the queue is empty", waiter))
    }

    fn longest(&self) -> usize {
        self.message_size
    }

    fn peeks(&self) -> bool {
        false
    }

    fn peek(&mut self, _: u64, _: &mut Vec<u8>) -> Result<Option<Tag>> {
        Err(unsupported(
            &self.reference,
            "the kernel has no call that reads a POSIX message without taking it",
            "`ipcx show` tells how many there are; a System V queue can be peeked",
        ))
    }

    fn generation(&self) -> Result<(u64, i64, i64, i32)> {
        let attr = sys::mq_attr(&self.queue).map_err(|errno| failed("mq_getattr", errno, &self.reference))?;
        let stat = fstat(&self.queue).map_err(|errno| failed("fstat", errno, &self.reference))?;
        Ok((u64::try_from(attr.mq_curmsgs).unwrap_or(0), stat.st_mtime, stat.st_mtime_nsec, 0))
    }
}
