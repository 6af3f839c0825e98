//! The columns of shared memory.

use crate::model::{Field, Kind, Needs};

const SHM: &[Kind] = &[Kind::Shm];

pub static FIELDS: &[Field] = &[
    Field::number(SHM, "size", "size in bytes", Needs::SCAN, true),
    Field::number(SHM, "nattch", "attachments (System V)", Needs::SCAN, true),
    Field::word(SHM, "status", "dest: removed at the last detach; locked: kept in memory", Needs::SCAN, true),
    Field::number(SHM, "rss", "bytes of it in memory", Needs::SCAN, false),
    Field::number(SHM, "swap", "bytes of it in swap (System V)", Needs::SCAN, false),
    Field::number(SHM, "cpid", "pid of the creator (System V)", Needs::SCAN, true),
    Field::number(SHM, "lpid", "pid of the last attach or detach (System V)", Needs::SCAN, true),
    Field::word(SHM, "atime", "time of the last attach (System V)", Needs::SCAN, false),
    Field::word(SHM, "dtime", "time of the last detach (System V)", Needs::SCAN, false),
    Field::word(SHM, "mtime", "time of the last write(2) or truncation (POSIX, file)", Needs::SCAN, false),
    Field::word(SHM, "ctime", "time of the creation or the last change of mode or owner", Needs::SCAN, true),
    Field::number(SHM, "cuid", "user id of the creator (System V)", Needs::SCAN, false),
    Field::number(SHM, "cgid", "group id of the creator (System V)", Needs::SCAN, false),
    Field::word(SHM, "first_bytes", "the first bytes", Needs::CONTENTS, false),
    Field::word(SHM, "in_use", "whether a process has it open or mapped (POSIX, file)", Needs::STAT, false),
    Field::word(SHM, "processes", "recorded processes and whether they are still the same", Needs::PROCESSES, false),
];
