//! Archives of objects: a tar(5) file in the format of POSIX.1-1988, so that tar(1) lists and unpacks it.
//!
//! Its first member is `manifest.json`, which describes every object and names the members that hold what is
//! inside it, with their sizes and SHA-256 sums; they follow in that order. The sums find what was damaged and
//! can be compared with sha256sum(1). They are no signature: who can write an archive can forge it, so that all
//! of it is checked before anything is made of it. Nothing here knows how objects are made.

mod format;
mod journal;
mod reader;
mod wire;
mod writer;

pub use format::{Content, Entry, Host, Manifest, Member, Message, sum};
#[cfg(any(test, fuzzing))]
pub use journal::read as read_journal;
pub use journal::{InHand, Journal, beside};
pub use reader::Archive;
pub use writer::Writer;

use crate::error::Error;
use crate::exit::Status;
use crate::model::Escaped;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// A path as text that is safe to show.
fn shown(path: &Path) -> String {
    Escaped(path.as_os_str().as_bytes()).to_string()
}

/// What is wrong with an archive.
fn bad(path: &Path, cause: impl Into<String>) -> Error {
    Error::refused(shown(path), Status::Failed, cause)
}
