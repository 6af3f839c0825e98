//! A file for each command, named as in `src/cmd`.

mod completions;
mod explain;
mod fifo;
mod ftok;
mod gc;
mod limits;
mod ls;
mod man;
mod msgq;
mod namespaces;
mod pipe;
mod ps;
mod restore;
mod rm;
mod save;
mod sem;
mod shm;
mod show;
mod signal;
mod sock;
mod stale;
mod watch;
mod why;
mod with;
