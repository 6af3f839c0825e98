//! /proc, read from bytes. One bad line is a gap and never a failed file.

pub mod io;
pub mod mounts;
pub mod process;
pub mod sysctl;
pub mod sysvipc;
pub mod task;
