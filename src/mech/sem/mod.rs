//! Semaphores: semget(2) and sem_open(3).

pub mod fields;
pub mod posix;
mod sys;
pub mod sysv;

use crate::model::{Seen, Value};

/// One semaphore as `get` and `show` list it.
fn record(index: u64, value: u64, increase: Seen<u64>, zero: Seen<u64>, last_pid: Seen<i32>) -> Value {
    Value::Record(vec![
        ("index", Seen::Is(Value::Count(index))),
        ("value", Seen::Is(Value::Count(value))),
        ("waiting_for_increase", increase.map(Value::Count)),
        ("waiting_for_zero", zero.map(Value::Count)),
        ("last_pid", last_pid.map(Value::Pid)),
    ])
}
