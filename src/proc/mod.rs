//! /proc, read from bytes. One bad line is a gap and never a failed file.

pub mod find;
pub mod holders;
pub mod io;
pub mod mounts;
pub mod namespace;
pub mod opening;
mod pass;
pub mod population;
pub mod process;
pub mod processes;
pub mod status;
pub mod sysctl;
pub mod sysvipc;
pub mod task;
