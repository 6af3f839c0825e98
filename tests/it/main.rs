//! The built binary against the real kernel. Every test has IPC objects, /dev/shm and /dev/mqueue of
//! its own, so that tests run in parallel and leave nothing behind.
#![allow(clippy::unwrap_used)]

mod kit;

mod cmd;
mod commands;
mod deadlocks;
mod examples;
mod hostile;
mod hostile_proc;
mod identity;
mod kernel;
mod locks;
mod mech;
mod readme;
mod security;
mod staged;
mod start;
mod surface;
mod trouble;
