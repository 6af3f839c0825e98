//! The columns of FIFOs that no other kind has.

use crate::model::{Field, Kind, Needs};

const FIFO: &[Kind] = &[Kind::Fifo];

pub static FIELDS: &[Field] = &[
    Field::number(FIFO, "opening", "processes that wait in open(2) for the other side", Needs::SCAN, true),
    Field::word(FIFO, "device", "device of its file system, MAJOR,MINOR", Needs::SCAN, false),
    Field::word(FIFO, "ctime", "time of the creation or the last change of mode, owner or name", Needs::SCAN, false),
];
