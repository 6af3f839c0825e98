//! The columns of semaphores.

use crate::model::{Align, Field, Kind, Needs, fact};

const SEM: &[Kind] = &[Kind::Sem];

const fn number(key: &'static str, help: &'static str, needs: Needs, default: bool) -> Field {
    Field { key, help, kinds: SEM, needs, default, align: Align::Right, get: fact }
}

const fn left(key: &'static str, help: &'static str, needs: Needs, default: bool) -> Field {
    Field { align: Align::Left, ..number(key, help, needs, default) }
}

pub static FIELDS: &[Field] = &[
    number("nsems", "semaphores in the set", Needs::SCAN, true),
    number("value", "value (POSIX; `semaphores` lists those of a set)", Needs::SCAN, true),
    number("waiters", "processes that wait on it (POSIX)", Needs::SCAN, false),
    left("layout", "C library whose semaphore it is: glibc or musl (POSIX)", Needs::SCAN, false),
    left("otime", "time of the last semop (System V)", Needs::SCAN, true),
    left("ctime", "time of the creation or the last change of mode or owner", Needs::SCAN, true),
    left("mtime", "time of the creation (POSIX)", Needs::SCAN, false),
    number("cuid", "user id of the creator (System V)", Needs::SCAN, false),
    number("cgid", "group id of the creator (System V)", Needs::SCAN, false),
    left("in_use", "whether a process has it open (POSIX)", Needs::STAT, false),
    left("semaphores", "value and waiters of every semaphore", Needs::CONTENTS, false),
    left("processes", "recorded processes and whether they are still the same", Needs::PROCESSES, false),
];
