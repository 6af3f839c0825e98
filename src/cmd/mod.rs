//! One file for each subcommand: its arguments, whose comments are the help, the man page and the
//! completions, and what it does. No system calls and no `match kind` here.

mod children;
pub mod completions;
pub mod explain;
pub mod fifo;
pub mod ftok;
pub mod gc;
mod input;
pub mod limits;
pub mod ls;
pub mod man;
pub mod msgq;
mod nouns;
mod payload;
pub mod pipe;
pub mod ps;
pub mod restore;
pub mod rm;
pub mod save;
pub mod sem;
pub mod shm;
pub mod show;
pub mod signal;
pub mod sock;
pub mod stale;
mod verbs;
pub mod watch;
pub mod why;
pub mod with;

use crate::error::Error;
use crate::exit::Status;
use crate::ui::Ui;

/// What every command ends with.
pub type Outcome = anyhow::Result<Status>;

/// What every command gets.
pub struct Context {
    pub ui: Ui,
    /// The whole command line as data, for the manual.
    pub command_line: fn() -> clap::Command,
}

/// A mistake in the arguments that only shows when they are seen together.
fn usage(cause: impl Into<String>) -> anyhow::Error {
    Error::refused("", Status::Usage, cause).into()
}
