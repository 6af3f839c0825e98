//! The columns of shared memory.

use crate::model::{Align, Field, Kind, Needs, fact};

const SHM: &[Kind] = &[Kind::Shm];

const fn number(key: &'static str, help: &'static str, needs: Needs, default: bool) -> Field {
    Field { key, help, kinds: SHM, needs, default, align: Align::Right, get: fact }
}

const fn left(key: &'static str, help: &'static str, needs: Needs, default: bool) -> Field {
    Field { align: Align::Left, ..number(key, help, needs, default) }
}

pub static FIELDS: &[Field] = &[
    number("size", "size in bytes", Needs::SCAN, true),
    number("nattch", "attachments (System V)", Needs::SCAN, true),
    left("status", "dest: removed at the last detach; locked: kept in memory", Needs::SCAN, true),
    number("rss", "bytes of it in memory", Needs::SCAN, false),
    number("swap", "bytes of it in swap (System V)", Needs::SCAN, false),
    number("cpid", "pid of the creator (System V)", Needs::SCAN, true),
    number("lpid", "pid of the last attach or detach (System V)", Needs::SCAN, true),
    left("atime", "time of the last attach (System V)", Needs::SCAN, false),
    left("dtime", "time of the last detach (System V)", Needs::SCAN, false),
    left("mtime", "time of the last write(2) or truncation (POSIX, file)", Needs::SCAN, false),
    left("ctime", "time of the creation or the last change of mode or owner", Needs::SCAN, true),
    number("cuid", "user id of the creator (System V)", Needs::SCAN, false),
    number("cgid", "group id of the creator (System V)", Needs::SCAN, false),
    left("first_bytes", "the first bytes", Needs::CONTENTS, false),
    left("in_use", "whether a process has it open or mapped (POSIX, file)", Needs::STAT, false),
    left("processes", "recorded processes and whether they are still the same", Needs::PROCESSES, false),
];
