//! The columns of message queues.

use crate::model::{Align, Field, Kind, Needs, fact};

const MSGQ: &[Kind] = &[Kind::Msgq];

const fn number(key: &'static str, help: &'static str, needs: Needs, default: bool) -> Field {
    Field { key, help, kinds: MSGQ, needs, default, align: Align::Right, get: fact }
}

const fn left(key: &'static str, help: &'static str, needs: Needs, default: bool) -> Field {
    Field { align: Align::Left, ..number(key, help, needs, default) }
}

pub static FIELDS: &[Field] = &[
    number("messages", "messages in the queue", Needs::SCAN, true),
    number("bytes", "payload bytes in the queue", Needs::SCAN, true),
    number("max_bytes", "most payload bytes that it holds (msg_qbytes)", Needs::STAT, false),
    number("max_messages", "most messages that it holds (POSIX mq_maxmsg)", Needs::SCAN, false),
    number("message_size", "most bytes of one message (POSIX mq_msgsize)", Needs::SCAN, false),
    number("lspid", "pid of the last sender (System V)", Needs::SCAN, true),
    number("lrpid", "pid of the last receiver (System V)", Needs::SCAN, true),
    left("stime", "time of the last send (System V)", Needs::SCAN, true),
    left("rtime", "time of the last receive (System V)", Needs::SCAN, true),
    left("mtime", "time of the last send or receive (POSIX)", Needs::SCAN, false),
    left("ctime", "time of the creation or the last IPC_SET", Needs::SCAN, false),
    number("cuid", "user id of the creator (System V)", Needs::SCAN, false),
    number("cgid", "group id of the creator (System V)", Needs::SCAN, false),
    left("notify", "who is told of a message: signal, thread or none (POSIX)", Needs::SCAN, false),
    number("notify_signal", "signal of that notice", Needs::SCAN, false),
    number("notify_pid", "pid that asked for the notice", Needs::SCAN, false),
    left("first_messages", "the first messages, nothing taken (System V)", Needs::CONTENTS, false),
    left("processes", "recorded processes and whether they are still the same", Needs::PROCESSES, false),
];
