//! The types that every floor speaks. They see the standard library alone and do no I/O.

mod address;
mod end;
mod field;
mod hold;
mod judge;
mod kind;
mod object;
mod recorded;
mod reference;
mod resource;
mod signal;
mod task;
mod text;
mod value;
mod wait;

pub use address::{Address, Endpoint, SockType};
pub use end::{End, Role};
pub use field::{Align, Field, IDENTITY, Needs, Record};
pub use hold::{Adjustment, Grade, Hold, How};
pub use judge::{Condemned, Evidence, Finding, Known, Nature, Verdict, judge};
pub use kind::{Family, Kind, Naming};
pub use object::{Facts, Fingerprint, Object};
pub use recorded::{Past, Recorded};
pub use reference::{Ident, ObjectRef};
pub use resource::{Memory, Resource};
pub use signal::{Action, LAST as LAST_SIGNAL, Origin, RealTime, Signal, SignalSet};
pub use task::{Awaits, Blocked, Change, Futex, LockKind, Owner, Polled, Range, SemOp, SocketName, Task, Timeout};
pub use text::{Escaped, Text, harmless, is_unsafe};
pub use value::{Gap, Reason, Seen, Value};
pub use wait::Wait;
