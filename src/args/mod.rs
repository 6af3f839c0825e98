//! Groups of options that several verbs share, and the words of the command line as types. Parsing
//! only parses; what completes a word may look at what exists.

pub mod address;
pub mod listing;
mod live;
pub mod reference;
pub mod scoped;
pub mod signal;
pub mod units;
pub mod wait;

pub use address::AddressArgs;
pub use listing::ListArgs;
pub use reference::{
    AnyRefs, FifoRef, FifoRefs, KindOrRef, KindsOrRefs, MsgqRef, MsgqRefs, Refs, SemRef, SemRefs, ShmRef, ShmRefs,
    SockRef, SockRefs, SomeRefs,
};
pub use wait::WaitArgs;
