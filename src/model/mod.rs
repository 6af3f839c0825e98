//! The types that every floor speaks. They see the standard library alone and do no I/O.

mod address;
mod field;
mod kind;
mod object;
mod reference;
mod text;
mod value;
mod wait;

pub use address::{Address, Endpoint, SockType};
pub use field::{Align, Field, IDENTITY, Needs};
pub use kind::{Family, Kind};
pub use object::{Facts, Fingerprint, Object};
pub use reference::{Ident, ObjectRef};
pub use text::{Escaped, Text, harmless, is_unsafe};
pub use value::{Gap, Reason, Seen, Value};
pub use wait::Wait;
