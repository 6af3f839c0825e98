//! Message queues: msgget(2) and mq_open(3).

pub mod fields;
pub mod posix;
mod slot;
mod sys;
pub mod sysv;

pub use slot::{Slot, Source};
