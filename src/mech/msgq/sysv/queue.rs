//! The messages of a System V queue.

use super::{from_row, reference, row, stat};
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::mech::msgq::sys;
use crate::mech::{Channel, Limits, Pick, Slot, Tag, stopped, sysv};
use crate::model::ObjectRef;
use crate::proc::sysctl;
use crate::sys::waiter::{Stop, Waiter};
use nix::errno::Errno;

/// Room for a message at first: the kernel's default msgmax.
const ROOM: usize = 8192;
/// No message is longer: msgmax and the capacity of a queue are ints.
const LONGEST: usize = i32::MAX as usize;

/// An open queue. Nothing is held by it: the kernel knows no descriptors here.
pub(super) struct Queue {
    id: i32,
    reference: ObjectRef,
    buffer: sys::Buffer,
}

impl Queue {
    pub(super) fn new(id: i32) -> Queue {
        Queue { id, reference: reference(id), buffer: sys::Buffer::default() }
    }

    fn fail(&self, call: &'static str, errno: Errno) -> Error {
        let error = sysv::failed(call, errno, &self.reference);
        if errno == Errno::EACCES {
            let object = stat(self.id).ok().map(|queue| from_row(&row(self.id, &queue)));
            return sysv::denied(error, object.as_ref());
        }
        error
    }

    fn too_long(&self, length: usize, limit: u64, call: &'static str, errno: Errno) -> Error {
        Error::new(call, errno, &self.reference)
            .because(format!("message is {length} bytes, the queue takes at most {limit}"))
            .with_status(Status::Limit)
    }
}

impl Queue {
    /// Takes a message by `take`, which is told the room that it has, the type and the flags; its length, or `None` if
    /// it needs more room and is still in the queue.
    fn take(
        &self,
        room: usize,
        pick: Pick,
        limit: Limits,
        waiter: &Waiter,
        mut take: impl FnMut(usize, i64, i32) -> nix::Result<usize>,
    ) -> Result<Option<usize>> {
        let (kind, mut flags) = match pick {
            Pick::First => (0, 0),
            Pick::Type(kind) => (kind, 0),
            Pick::UpTo(kind) => (-kind, 0),
            Pick::Except(kind) => (kind, libc::MSG_EXCEPT),
        };
        if waiter.never() {
            flags |= libc::IPC_NOWAIT;
        }
        let most = limit.max_size.unwrap_or(LONGEST).min(LONGEST);
        let room = room.min(most);
        // Cut only what is over the size that was asked for, not over the room there is so far.
        if limit.truncate && room == most {
            flags |= libc::MSG_NOERROR;
        }
        match waiter.run(|| take(room, kind, flags)) {
            Ok(length) => Ok(Some(length)),
            // It stays in the queue, so a larger buffer can take it.
            Err(Stop::Errno(Errno::E2BIG)) if room < most => Ok(None),
            Err(Stop::Errno(Errno::E2BIG)) => Err(Error::new("msgrcv", Errno::E2BIG, &self.reference)
                .because(format!("the message is longer than {room} bytes and was left in the queue"))
                .hinting("raise --max-size, or cut the message with --truncate")),
            Err(Stop::Errno(Errno::ENOMSG)) => {
                let cause = if pick == Pick::First { "the queue is empty" } else { "no such message in the queue" };
                Err(Error::new("msgrcv", Errno::ENOMSG, &self.reference).because(cause).with_status(Status::WouldBlock))
            }
            Err(Stop::Errno(errno)) => Err(self.fail("msgrcv", errno)),
            Err(stop) => Err(stopped(stop, "msgrcv", &self.reference)),
        }
    }
}

impl Channel for Queue {
    fn tag(&self, kind: Option<i64>, priority: Option<u32>) -> Result<Tag> {
        match (kind.unwrap_or(1), priority) {
            (_, Some(_)) => {
                Err(Error::refused(&self.reference, Status::Usage, "a System V message has a type, not a priority")
                    .hinting("use --type N"))
            }
            (kind, None) => Ok(Tag::Type(kind)),
        }
    }

    fn send(&mut self, message: &[u8], tag: Tag, waiter: &Waiter) -> Result<()> {
        let Tag::Type(kind) = tag else { return Err(Error::new("msgsnd", Errno::EINVAL, &self.reference)) };
        self.buffer.put(kind, message);
        let mut sent = waiter.run(|| sys::send(self.id, &self.buffer, message.len(), libc::IPC_NOWAIT));
        if sent == Err(Stop::Errno(Errno::EAGAIN)) {
            // What is longer than the capacity would wait for ever; the messages are counted against
            // it too (msg_fits_inqueue, ipc/msg.c).
            let capacity = stat(self.id)?.msg_qbytes;
            if message.len() as u64 > capacity || capacity == 0 {
                return Err(self.too_long(message.len(), capacity, "msgsnd-qbytes", Errno::UnknownErrno));
            }
            if !waiter.never() {
                sent = waiter.run(|| sys::send(self.id, &self.buffer, message.len(), 0));
            }
        }
        sent.map_err(|stop| match stop {
            Stop::Errno(Errno::EINVAL) => {
                let msgmax = sysctl::number("kernel.msgmax").unwrap_or(u64::MAX);
                if message.len() as u64 > msgmax {
                    return self.too_long(message.len(), msgmax, "msgsnd", Errno::EINVAL);
                }
                self.fail("msgsnd", Errno::EINVAL)
            }
            Stop::Errno(Errno::EAGAIN) => {
                Error::new("msgsnd", Errno::EAGAIN, &self.reference).because("the queue is full")
            }
            Stop::Errno(errno) => self.fail("msgsnd", errno),
            stop => stopped(stop, "msgsnd", &self.reference),
        })
    }

    fn recv(&mut self, into: &mut Vec<u8>, pick: Pick, limit: Limits, waiter: &Waiter) -> Result<Tag> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut room = buffer.room().max(ROOM);
        let got = loop {
            let take = |room, kind, flags| sys::recv(self.id, &mut buffer, room, kind, flags);
            match self.take(room, pick, limit, waiter, take) {
                Ok(None) => room *= 2,
                Ok(Some(length)) => break Ok(length),
                Err(error) => break Err(error),
            }
        };
        self.buffer = buffer;
        into.extend_from_slice(self.buffer.text(got?));
        Ok(Tag::Type(self.buffer.kind()))
    }

    fn recv_into(&mut self, slot: &mut Slot, pick: Pick, limit: Limits, waiter: &Waiter) -> Result<()> {
        loop {
            let room = slot.room();
            let take = |room, kind, flags| {
                let length = sys::recv_into(self.id, slot, room, kind, flags)?;
                slot.arrived(length);
                Ok(length)
            };
            if self.take(room, pick, limit, waiter, take)?.is_some() {
                return Ok(());
            }
            slot.grow(room * 2)?;
        }
    }

    fn longest(&self) -> usize {
        sysctl::number("kernel.msgmax").and_then(|most| usize::try_from(most).ok()).unwrap_or(ROOM)
    }

    fn peeks(&self) -> bool {
        true
    }

    fn peek(&mut self, position: u64, into: &mut Vec<u8>) -> Result<Option<Tag>> {
        const FLAGS: i32 = libc::MSG_COPY | libc::IPC_NOWAIT;
        let index = i64::try_from(position).map_err(|_| Error::new("msgrcv", Errno::EOVERFLOW, &self.reference))?;
        let mut room = self.buffer.room().max(ROOM);
        loop {
            match sys::recv(self.id, &mut self.buffer, room, index, FLAGS) {
                Ok(length) => {
                    into.extend_from_slice(self.buffer.text(length));
                    return Ok(Some(Tag::Type(self.buffer.kind())));
                }
                Err(Errno::ENOMSG) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(errno @ (Errno::E2BIG | Errno::EINVAL)) => {
                    let msgmax = sysctl::number("kernel.msgmax").and_then(|n| usize::try_from(n).ok()).unwrap_or(ROOM);
                    if msgmax > room {
                        room = msgmax;
                    } else if stat(self.id).is_ok() {
                        // The copy is bounded by msgmax as it is now (prepare_copy, ipc/msg.c).
                        return Err(Error::new("msgrcv-copy", errno, &self.reference).because(format!(
                            "message {position} is longer than kernel.msgmax, which was lowered to {msgmax}"
                        )));
                    } else {
                        return Err(self.fail("msgrcv", errno));
                    }
                }
                Err(Errno::ENOSYS) => return Err(Error::new("msgrcv-copy", Errno::ENOSYS, &self.reference)),
                Err(errno) => return Err(self.fail("msgrcv", errno)),
            }
        }
    }

    fn generation(&self) -> Result<(u64, i64, i64, i32)> {
        let queue = stat(self.id)?;
        let row = row(self.id, &queue);
        Ok((row.qnum, row.stime, row.rtime, row.lrpid))
    }
}
