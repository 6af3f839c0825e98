//! A file for each command, named as in `src/cmd`.

mod ls;
mod sem;
mod shm;
