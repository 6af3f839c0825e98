//! The columns of semaphores.

use crate::model::{Field, Kind, Needs};

const SEM: &[Kind] = &[Kind::Sem];

pub static FIELDS: &[Field] = &[
    Field::number(SEM, "nsems", "semaphores in the set", Needs::SCAN, true),
    Field::number(SEM, "value", "value (POSIX; `semaphores` lists those of a set)", Needs::SCAN, true),
    Field::number(SEM, "waiting", "how many wait on it, as it counts itself (POSIX)", Needs::SCAN, false),
    Field::word(SEM, "layout", "C library whose semaphore it is: glibc or musl (POSIX)", Needs::SCAN, false),
    Field::word(SEM, "otime", "time of the last semop (System V)", Needs::SCAN, true),
    Field::word(SEM, "ctime", "time of the creation or the last change of mode or owner", Needs::SCAN, true),
    Field::word(SEM, "mtime", "time of the creation (POSIX)", Needs::SCAN, false),
    Field::number(SEM, "cuid", "user id of the creator (System V)", Needs::SCAN, false),
    Field::number(SEM, "cgid", "group id of the creator (System V)", Needs::SCAN, false),
    Field::word(SEM, "in_use", "whether a process has it open (POSIX)", Needs::STAT, false),
    Field::word(SEM, "semaphores", "value and waiters of every semaphore", Needs::CONTENTS, false),
    Field::word(SEM, "processes", "recorded processes and whether they are still the same", Needs::PROCESSES, false),
];
