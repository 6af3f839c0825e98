//! Shared memory: shmget(2), shm_open(3) and mapped files.

mod bytes;
pub mod fields;
pub mod file;
mod mapped;
pub mod posix;
mod sys;
pub mod sysv;

use crate::model::{Seen, Value};

/// How many bytes `show` shows.
const SHOWN: usize = 64;

/// The first bytes of a region, sixteen to a line.
fn lines(bytes: &[u8]) -> Value {
    let line = |(at, bytes): (usize, &[u8])| {
        Value::Record(vec![
            ("offset", Seen::Is(Value::Count((at * 16) as u64))),
            ("hex", Seen::Is(Value::Phrase(data_encoding::HEXLOWER.encode(bytes)))),
            ("text", Seen::Is(Value::Phrase(bytes.iter().map(|byte| printable(*byte)).collect()))),
        ])
    };
    Value::List(bytes.chunks(16).enumerate().map(line).collect())
}

fn printable(byte: u8) -> char {
    if (0x20..0x7f).contains(&byte) { byte as char } else { '.' }
}
