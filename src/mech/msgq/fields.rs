//! The columns of message queues.

use crate::model::{Field, Kind, Needs};

const MSGQ: &[Kind] = &[Kind::Msgq];

pub static FIELDS: &[Field] = &[
    Field::number(MSGQ, "messages", "messages in the queue", Needs::SCAN, true),
    Field::number(MSGQ, "bytes", "payload bytes in the queue", Needs::SCAN, true),
    Field::number(MSGQ, "max_bytes", "most payload bytes that it holds (msg_qbytes)", Needs::STAT, false),
    Field::number(MSGQ, "max_messages", "most messages that it holds (POSIX mq_maxmsg)", Needs::SCAN, false),
    Field::number(MSGQ, "message_size", "most bytes of one message (POSIX mq_msgsize)", Needs::SCAN, false),
    Field::number(MSGQ, "lspid", "pid of the last sender (System V)", Needs::SCAN, true),
    Field::number(MSGQ, "lrpid", "pid of the last receiver (System V)", Needs::SCAN, true),
    Field::word(MSGQ, "stime", "time of the last send (System V)", Needs::SCAN, true),
    Field::word(MSGQ, "rtime", "time of the last receive (System V)", Needs::SCAN, true),
    Field::word(MSGQ, "mtime", "time of the last send or receive (POSIX)", Needs::SCAN, false),
    Field::word(MSGQ, "ctime", "time of the creation or the last IPC_SET", Needs::SCAN, false),
    Field::number(MSGQ, "cuid", "user id of the creator (System V)", Needs::SCAN, false),
    Field::number(MSGQ, "cgid", "group id of the creator (System V)", Needs::SCAN, false),
    Field::word(MSGQ, "notify", "who is told of a message: signal, thread or none (POSIX)", Needs::SCAN, false),
    Field::number(MSGQ, "notify_signal", "signal of that notice", Needs::SCAN, false),
    Field::number(MSGQ, "notify_pid", "pid that asked for the notice", Needs::SCAN, false),
    Field::word(MSGQ, "first_messages", "the first messages, nothing taken (System V)", Needs::CONTENTS, false),
    Field::word(MSGQ, "processes", "recorded processes and whether they are still the same", Needs::PROCESSES, false),
];
