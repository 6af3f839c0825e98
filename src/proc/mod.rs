//! /proc, read from bytes. One bad line is a gap and never a failed file.

pub mod find;
pub mod mounts;
pub mod process;
pub mod status;
pub mod sysctl;
pub mod sysvipc;
