//! System V message queues, svipc(7).

use super::sys;
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::mech::{
    Access, Change, Channel, Created, Found, Limit, Limits, Mechanism, Opened, Pick, Spec, Tag, Unit, Usage, What,
    by_number, message_record, process_record, replaced, stopped, sysv,
};
use crate::model::{Family, Fingerprint, Ident, Kind, Needs, Object, ObjectRef, Seen, Value};
use crate::proc::{sysctl, sysvipc};
use crate::sys::waiter::{Stop, Waiter};
use nix::errno::Errno;

pub struct SysvMsgq;

/// How many messages `show` lists.
const SHOWN: u64 = 5;
/// Room for a message at first: the kernel's default msgmax.
const ROOM: usize = 8192;

fn reference(id: i32) -> ObjectRef {
    sysv::reference(Kind::Msgq, id)
}

fn resolve(id: &Ident) -> Result<i32> {
    let Some(key) = sysv::key(Kind::Msgq, id)? else {
        return match id {
            Ident::Id(id) => Ok(*id),
            _ => Err(Error::new("msgget", Errno::EINVAL, "")),
        };
    };
    sys::get(key, 0).map_err(|errno| sysv::failed("msgget", errno, &ObjectRef { kind: Kind::Msgq, id: id.clone() }))
}

fn stat(id: i32) -> Result<libc::msqid_ds> {
    sys::stat(id).map_err(|errno| sysv::failed("msgctl", errno, &reference(id)))
}

fn from_row(row: &sysvipc::Msg) -> Object {
    let mut object = sysv::object(Kind::Msgq, &row.perm, row.ctime, 12);
    let facts = &mut object.facts;
    facts.push("messages", Value::Count(row.qnum));
    facts.push("bytes", Value::Size(row.cbytes));
    facts.push("lspid", Value::Pid(row.lspid));
    facts.push("lrpid", Value::Pid(row.lrpid));
    facts.set("stime", sysv::time(row.stime));
    facts.set("rtime", sysv::time(row.rtime));
    sysv::creator(&mut object, &row.perm, row.ctime);
    object
}

/// The queue as IPC_STAT gives it, in the shape of a line of /proc/sysvipc/msg.
fn row(id: i32, queue: &libc::msqid_ds) -> sysvipc::Msg {
    // The widths of these members differ between C libraries.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    sysvipc::Msg {
        perm: sysv::perm(id, &queue.msg_perm),
        cbytes: queue.__msg_cbytes as u64,
        qnum: queue.msg_qnum as u64,
        lspid: queue.msg_lspid,
        lrpid: queue.msg_lrpid,
        stime: i64::from(queue.msg_stime),
        rtime: i64::from(queue.msg_rtime),
        ctime: i64::from(queue.msg_ctime),
    }
}

impl Mechanism for SysvMsgq {
    fn kind(&self) -> Kind {
        Kind::Msgq
    }

    fn takes(&self, id: &Ident) -> bool {
        sysv::takes(id)
    }

    fn estimate(&self) -> u64 {
        sys::info().map_or(0, |(queues, ..)| queues)
    }

    fn scan(&self, needs: Needs) -> Found {
        let mut found = Found::default();
        let rows = sysv::table("msg", sysvipc::msg, &mut found.gaps);
        found.objects.reserve_exact(rows.len());
        for row in &rows {
            let mut object = from_row(row);
            if needs.has(Needs::STAT) || needs.has(Needs::CONTENTS) || needs.has(Needs::PROCESSES) {
                // A queue that went away since is shown as it was.
                if let Ok(queue) = sys::stat(row.perm.id) {
                    details(&mut object, &queue, needs);
                }
            }
            found.objects.push(object);
        }
        found
    }

    fn find(&self, id: &Ident, needs: Needs) -> Result<Object> {
        let id = resolve(id)?;
        let queue = stat(id)?;
        let mut object = from_row(&row(id, &queue));
        details(&mut object, &queue, needs);
        Ok(object)
    }

    fn create(&self, id: Option<&Ident>, spec: &Spec) -> Result<Created> {
        let What::Channel { max_bytes, max_messages, message_size } = spec.what else {
            unreachable!("a queue is made from the shape of a channel")
        };
        let asked = id.map(|id| ObjectRef { kind: Kind::Msgq, id: id.clone() });
        let name = || asked.as_ref().map_or_else(|| "msgq".to_owned(), ToString::to_string);
        if max_messages.is_some() || message_size.is_some() {
            let cause = "a System V queue is bounded in bytes, not in messages";
            return Err(
                Error::refused(name(), Status::Usage, cause).hinting("use --max-bytes, or a POSIX name such as /jobs")
            );
        }
        let key = match id {
            None => libc::IPC_PRIVATE,
            Some(Ident::Id(_)) => return Err(by_number(name())),
            Some(id) => sysv::key(Kind::Msgq, id)?.unwrap_or_default(),
        };
        let mode = spec.permissions().cast_signed();
        let (id, new) = match sys::get(key, libc::IPC_CREAT | libc::IPC_EXCL | mode) {
            Ok(id) => (id, true),
            Err(Errno::EEXIST) if spec.exist_ok => {
                let id = sys::get(key, 0).map_err(|errno| sysv::failed("msgget", errno, &reference(0)))?;
                (id, false)
            }
            Err(errno) => return Err(Error::new("msgget", errno, name())),
        };
        let reference = reference(id);
        if let (true, Some(bytes)) = (new, max_bytes) {
            let change = Change { max_bytes: Some(bytes), ..Change::default() };
            if let Err(error) = apply(id, &change) {
                // Nobody but us knows it yet; a queue of another size was not asked for.
                let _ = sys::remove(id);
                return Err(Error { object: name(), ..error });
            }
        }
        Ok(Created { reference, new })
    }

    fn open(&self, id: &Ident, _: Access) -> Result<Opened> {
        let id = resolve(id)?;
        let queue = stat(id)?;
        let max_bytes = usize::try_from(queue.msg_qbytes).unwrap_or(usize::MAX);
        Ok(Opened::Channel(Box::new(Queue { id, reference: reference(id), max_bytes, buffer: sys::Buffer::default() })))
    }

    fn usage(&self, _: &Object) -> Seen<Usage> {
        // The kernel keeps no count of the processes that wait on a queue.
        Seen::Skipped
    }

    fn remove(&self, object: &Object) -> Result<Option<String>> {
        let Some(id) = object.id() else { return Err(Error::new("msgctl", Errno::EINVAL, &object.reference)) };
        let queue = stat(id)?;
        let row = row(id, &queue);
        let now = Fingerprint::Sysv { id, key: row.perm.key, cuid: row.perm.cuid, ctime: row.ctime };
        if now != object.fingerprint {
            return Err(replaced(&object.reference));
        }
        sys::remove(id)
            .map_err(|errno| sysv::denied(sysv::failed("msgctl", errno, &object.reference), Some(object)))?;
        let lost = match row.qnum {
            0 => None,
            1 => Some(format!("1 message of {} bytes was in it", row.cbytes)),
            n => Some(format!("{n} messages of {} bytes together were in it", row.cbytes)),
        };
        Ok(lost)
    }

    fn set(&self, object: &Object, change: &Change) -> Result<()> {
        let id = object.id().ok_or_else(|| Error::new("msgctl", Errno::EINVAL, &object.reference))?;
        apply(id, change).map_err(|error| match error.call {
            "msgctl" => sysv::denied(error, Some(object)),
            _ => error,
        })
    }

    fn limits(&self) -> Vec<Limit> {
        let info = sys::info();
        let used = |part: fn((u64, u64, u64)) -> u64| match info {
            Ok(info) => Seen::Is(part(info)),
            Err(errno) => Seen::hidden("msgctl", errno as i32),
        };
        let limit = |name, help, setting, unit, used| Limit {
            kind: Kind::Msgq,
            family: Family::Sysv,
            name,
            help,
            limit: sysctl::number(setting).into(),
            used,
            unit,
            setting,
        };
        vec![
            limit(
                "MSGMNI",
                "queues in this IPC namespace",
                "kernel.msgmni",
                Unit::Objects,
                used(|(queues, ..)| queues),
            ),
            limit("MSGMAX", "bytes of one message", "kernel.msgmax", Unit::Bytes, Seen::Absent),
            limit("MSGMNB", "bytes that a new queue holds", "kernel.msgmnb", Unit::Bytes, Seen::Absent),
        ]
    }
}

fn apply(id: i32, change: &Change) -> Result<()> {
    let mut queue = stat(id)?;
    sysv::change(&mut queue.msg_perm, change);
    if let Some(bytes) = change.max_bytes {
        queue.msg_qbytes = bytes;
    }
    sys::set(id, &mut queue).map_err(|errno| match (errno, change.max_bytes) {
        (Errno::EPERM, Some(bytes)) if bytes > sysctl::number("kernel.msgmnb").unwrap_or(u64::MAX) => {
            Error::new("msgctl-qbytes", errno, reference(id))
                .because(format!("a queue of {bytes} bytes is not permitted"))
        }
        _ => sysv::failed("msgctl", errno, &reference(id)),
    })
}

/// What costs further calls: capacity, contents, processes.
fn details(object: &mut Object, queue: &libc::msqid_ds, needs: Needs) {
    let Some(id) = object.id() else { return };
    object.facts.set("max_bytes", Seen::Is(Value::Size(queue.msg_qbytes)));
    if needs.has(Needs::CONTENTS) {
        object.facts.set("first_messages", first_messages(id));
    }
    if needs.has(Needs::PROCESSES) {
        let (sender, receiver) = (object.pid("lspid").unwrap_or(0), object.pid("lrpid").unwrap_or(0));
        let mut processes = Vec::new();
        if object.time("stime").is_some() {
            processes.push(process_record("last sender", sender, object.time("stime"), true));
        }
        if object.time("rtime").is_some() {
            processes.push(process_record("last receiver", receiver, object.time("rtime"), true));
        }
        object.facts.set("processes", Seen::Is(Value::List(processes)));
    }
}

fn first_messages(id: i32) -> Seen<Value> {
    let mut queue = Queue { id, reference: reference(id), max_bytes: 0, buffer: sys::Buffer::default() };
    let mut list = Vec::new();
    for position in 0..SHOWN {
        let mut text = Vec::new();
        match queue.peek(position, &mut text) {
            Ok(Some(tag)) => list.push(message_record(position, tag, &text)),
            Ok(None) => break,
            Err(error) => return Seen::hidden("msgrcv", error.errno as i32),
        }
    }
    Seen::Is(Value::List(list))
}

/// An open queue. Nothing is held by it: the kernel knows no descriptors here.
struct Queue {
    id: i32,
    reference: ObjectRef,
    max_bytes: usize,
    buffer: sys::Buffer,
}

impl Queue {
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
        if message.len() > self.max_bytes {
            // It would wait for ever: look again before we say so, somebody may have enlarged it.
            self.max_bytes = usize::try_from(stat(self.id)?.msg_qbytes).unwrap_or(usize::MAX);
            let msgmax = sysctl::number("kernel.msgmax").unwrap_or(u64::MAX);
            if message.len() > self.max_bytes && (message.len() as u64) <= msgmax {
                return Err(self.too_long(message.len(), self.max_bytes as u64, "msgsnd-qbytes", Errno::UnknownErrno));
            }
        }
        self.buffer.put(kind, message);
        let flags = if waiter.never() { libc::IPC_NOWAIT } else { 0 };
        waiter.run(|| sys::send(self.id, &self.buffer, message.len(), flags)).map_err(|stop| match stop {
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
        let (kind, mut flags) = match pick {
            Pick::First => (0, 0),
            Pick::Type(kind) => (kind, 0),
            Pick::UpTo(kind) => (-kind, 0),
            Pick::Except(kind) => (kind, libc::MSG_EXCEPT),
        };
        if waiter.never() {
            flags |= libc::IPC_NOWAIT;
        }
        if limit.truncate {
            flags |= libc::MSG_NOERROR;
        }
        let mut room = limit.max_size.unwrap_or_else(|| self.buffer.room().max(ROOM));
        loop {
            let got = waiter.run(|| sys::recv(self.id, &mut self.buffer, room, kind, flags));
            match got {
                Ok(length) => {
                    into.extend_from_slice(self.buffer.text(length));
                    return Ok(Tag::Type(self.buffer.kind()));
                }
                // It stays in the queue, so a larger buffer can take it.
                Err(Stop::Errno(Errno::E2BIG)) if limit.max_size.is_none() && room < 1 << 30 => {
                    room *= 2;
                }
                Err(Stop::Errno(Errno::E2BIG)) => {
                    return Err(Error::new("msgrcv", Errno::E2BIG, &self.reference)
                        .because(format!("the message is longer than {room} bytes and was left in the queue"))
                        .hinting("raise --max-size, or cut the message with --truncate"));
                }
                Err(Stop::Errno(Errno::ENOMSG)) => {
                    let cause = if pick == Pick::First { "the queue is empty" } else { "no such message in the queue" };
                    return Err(Error::new("msgrcv", Errno::ENOMSG, &self.reference)
                        .because(cause)
                        .with_status(Status::WouldBlock));
                }
                Err(Stop::Errno(errno)) => return Err(self.fail("msgrcv", errno)),
                Err(stop) => return Err(stopped(stop, "msgrcv", &self.reference)),
            }
        }
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
