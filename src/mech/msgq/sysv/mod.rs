//! System V message queues, svipc(7).

mod queue;

use super::sys;
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::mech::{
    Access, Change, Channel, Created, Found, Limit, Mechanism, Opened, Scope, Spec, Tag, Unit, Usage, What,
    message_record, processes, recorded, sysv,
};
use crate::model::{Family, Ident, Kind, Needs, Object, ObjectRef, Recorded, Seen, Value};
use crate::proc::holders::Holders;
use crate::proc::{sysctl, sysvipc};
use nix::errno::Errno;
use queue::Queue;

pub struct SysvMsgq;

/// How many messages `show` lists.
const SHOWN: u64 = 5;

fn reference(id: i32) -> ObjectRef {
    sysv::reference(Kind::Msgq, id)
}

fn resolve(id: &Ident) -> Result<i32> {
    sysv::resolve(Kind::Msgq, id, "msgget", |key| sys::get(key, 0))
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

    fn family(&self) -> Family {
        Family::Sysv
    }

    fn takes(&self, id: &Ident) -> bool {
        sysv::takes(id)
    }

    fn estimate(&self) -> u64 {
        sys::info().map_or(0, |info| info.queues)
    }

    fn scope(&self) -> Scope {
        Scope::Ipc
    }

    fn scan(&self, needs: Needs, _: &Holders) -> Found {
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

    fn find(&self, id: &Ident, needs: Needs, _: &Holders) -> Result<Object> {
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
        let (key, name) = sysv::create_key(Kind::Msgq, id)?;
        if max_messages.is_some() || message_size.is_some() {
            let cause = "a System V queue is bounded in bytes, not in messages";
            return Err(
                Error::refused(&name, Status::Usage, cause).hinting("use --max-bytes, or a POSIX name such as /jobs")
            );
        }
        let mode = spec.permissions();
        // Until it has its capacity it is for its owner alone, also if we are killed before.
        let first = if max_bytes.is_some() { 0o600 } else { mode };
        let (id, new) = match sys::get(key, libc::IPC_CREAT | libc::IPC_EXCL | first.cast_signed()) {
            Ok(id) => (id, true),
            Err(Errno::EEXIST) if spec.exist_ok => {
                let id = resolve(&Ident::Key(key))?;
                (id, false)
            }
            Err(errno) => return Err(Error::new("msgget", errno, &name)),
        };
        let reference = reference(id);
        if let (true, Some(bytes)) = (new, max_bytes) {
            let change = Change { mode: Some(mode), max_bytes: Some(bytes), ..Change::default() };
            if let Err(error) = apply(id, &change) {
                // Nobody but us knows it yet; a queue of another size was not asked for.
                let _ = sys::remove(id);
                return Err(Error { object: name, ..error });
            }
        }
        Ok(Created { reference, new })
    }

    fn next_id(&self, id: i32) -> nix::Result<()> {
        sysctl::set("kernel.msg_next_id", id)
    }

    fn open(&self, id: &Ident, _: Access) -> Result<Opened> {
        let id = resolve(id)?;
        stat(id)?;
        Ok(Opened::Channel(Box::new(Queue::new(id))))
    }

    fn usage(&self, _: &Object, _: &Holders) -> Seen<Usage> {
        // The kernel keeps no count of the processes that wait on a queue.
        Seen::Skipped
    }

    fn recorded(&self, object: &Object) -> Seen<Vec<Recorded>> {
        let records = [("last sender", "lspid", "stime"), ("last receiver", "lrpid", "rtime")];
        let records = records.into_iter().filter_map(|(role, pid, time)| {
            let at = object.time(time)?;
            Some(recorded(role, object.pid(pid).unwrap_or(0), Some(at), true))
        });
        Seen::Is(records.collect())
    }

    fn remove(&self, object: &Object) -> Result<Option<String>> {
        let id = sysv::id(object, "msgctl")?;
        let queue = stat(id)?;
        let row = row(id, &queue);
        sysv::still(object, &row.perm, row.ctime)?;
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
        let id = sysv::id(object, "msgctl")?;
        apply(id, change)
    }

    fn limits(&self) -> Vec<Limit> {
        let info = sys::info();
        let number = |part: fn(sys::Info) -> u64| match info {
            Ok(info) => Seen::Is(part(info)),
            Err(errno) => Seen::hidden("msgctl", errno as i32),
        };
        let limit = |name, help, setting, unit, limit, used| Limit {
            noun: Kind::Msgq.noun(),
            family: Family::Sysv,
            name,
            help,
            limit: number(limit),
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
                |info| info.most,
                number(|info| info.queues),
            ),
            limit("MSGMAX", "bytes of one message", "kernel.msgmax", Unit::Bytes, |info| info.message, Seen::Absent),
            limit(
                "MSGMNB",
                "bytes that a new queue holds",
                "kernel.msgmnb",
                Unit::Bytes,
                |info| info.bytes,
                Seen::Absent,
            ),
        ]
    }
}

fn apply(id: i32, change: &Change) -> Result<()> {
    let mut queue = stat(id)?;
    let before = from_row(&row(id, &queue));
    sysv::change(&mut queue.msg_perm, change);
    if let Some(bytes) = change.max_bytes {
        // The kernel takes it as an int and cuts what is over (msgctl_down, ipc/msg.c).
        if i32::try_from(bytes).is_err() {
            let cause = format!("a queue of {bytes} bytes is not possible; the largest has {}", i32::MAX);
            return Err(Error::refused(reference(id), Status::Limit, cause));
        }
        queue.msg_qbytes = bytes;
    }
    sys::set(id, &mut queue).map_err(|errno| match (errno, change.max_bytes) {
        (Errno::EPERM, Some(bytes)) if bytes > sysctl::number("kernel.msgmnb").unwrap_or(u64::MAX) => {
            Error::new("msgctl-qbytes", errno, reference(id))
                .because(format!("a queue of {bytes} bytes is not permitted"))
        }
        _ => sysv::set_failed("msgctl", errno, &before),
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
        object.facts.set("processes", processes(SysvMsgq.recorded(object)));
    }
}

/// The types of up to `most` messages of a queue of our IPC namespace, the first ones. Nothing is taken.
/// Fails without read permission and on a kernel without MSG_COPY (msgrcv(2)).
pub fn types(id: i32, most: u64) -> Result<Vec<i64>> {
    let mut queue = Queue::new(id);
    let mut types = Vec::new();
    let mut text = Vec::new();
    for position in 0..most {
        text.clear();
        match queue.peek(position, &mut text)? {
            Some(Tag::Type(kind)) => types.push(kind),
            _ => break,
        }
    }
    Ok(types)
}

fn first_messages(id: i32) -> Seen<Value> {
    let mut queue = Queue::new(id);
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
