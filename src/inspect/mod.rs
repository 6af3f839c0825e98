//! Who holds what and who waits for it, and what follows from that.
//!
//! `scene` joins what the floors below have seen of processes with the objects they use; the other rooms
//! draw conclusions from it.

mod deadlock;
pub mod evidence;
pub mod facts;
pub mod fields;
mod name;
mod owned;
mod patterns;
pub mod scene;
pub mod usage;
mod wakers;
pub mod why;

pub use facts::Facts;
pub use scene::Scene;
