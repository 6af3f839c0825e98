//! Objects that are kept in an archive, and made again from it.

mod copy;
mod drain;
mod restore;
mod save;

pub use drain::complete;
pub use restore::{Restored, named, restore};
pub use save::{Saved, can_save, save, unchanged};
