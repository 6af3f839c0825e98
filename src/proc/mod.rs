//! /proc, read from bytes. One bad line is a gap and never a failed file.

pub mod blocked;
pub mod btf;
mod container;
pub mod find;
pub mod holders;
pub mod io;
pub mod locks;
mod mapped;
pub mod mappings;
mod maps;
pub mod mounts;
pub mod namespace;
pub mod namespaces;
pub mod opening;
mod pass;
pub mod population;
#[cfg(any(test, fuzzing))]
pub mod probe;
pub mod process;
pub mod processes;
mod shared;
pub mod status;
pub mod sysctl;
pub mod sysvipc;
pub mod task;
pub mod undo;
