//! A file for each command, named as in `src/cmd`.

mod completions;
mod ftok;
mod limits;
mod ls;
mod man;
mod msgq;
mod rm;
mod sem;
mod shm;
mod show;
mod sock;
