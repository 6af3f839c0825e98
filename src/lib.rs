//! ipcx: inter-process communication from the shell.
//!
//! The floors, from the top: `cli` parses, `cmd` has a file for each subcommand, `inventory` scans
//! and sorts, `inspect` joins objects and processes and draws conclusions, `diagnose` holds errors
//! against limits, `mech` knows the mechanisms, `proc` reads /proc, `sys` makes system calls.
//! `archive` is the file that objects are kept in, `render` turns fields into text, `ui` owns the
//! standard streams, `model` holds the types that all of them speak, and judges. Arrows point down
//! only.

#[cfg(not(target_pointer_width = "64"))]
compile_error!("ipcx knows the 64-bit layouts of the kernel and of the C libraries alone");

mod archive;
mod args;
mod cli;
mod cmd;
mod diagnose;
mod error;
mod exit;
mod hint;
mod inspect;
mod inventory;
mod mech;
pub mod model;
#[cfg(any(test, fuzzing))]
pub mod probe;
mod proc;
mod render;
mod sys;
mod ui;

use cmd::Context;
use error::Error;
use exit::Status;
use std::ffi::OsString;
use ui::{Color, Ui};

/// Runs one command line and gives its exit status.
pub fn run(args: impl Iterator<Item = OsString>) -> u8 {
    sys::stdio::ignore_deadly_writes();
    let mut plain = Ui::new(Color::Auto, false, false);
    if sys::users::is_lent() {
        let refused = Error::refused("", Status::Denied, "it is installed setuid or setgid, and would lend its rights");
        return plain.report(&refused.hinting("chmod u-s,g-s; who needs more rights can use sudo(8)").into()).number();
    }
    if std::env::var_os(cmd::completions::VARIABLE).is_some() {
        clap_complete::CompleteEnv::with_factory(cli::command).var(cmd::completions::VARIABLE).complete();
    }
    let cli = match cli::parse(args) {
        Ok(cli) => cli,
        Err(error) => return plain.answer(error).number(),
    };
    let ui = Ui::new(cli.global.color, cli.global.quiet, cli.global.verbose);
    let mut ctx = Context { ui, command_line: cli::command };
    let status = match cli::dispatch(&cli.command, &mut ctx) {
        Ok(status) => status,
        Err(error) => ctx.ui.report(&error),
    };
    if let Status::Signal(_) = status {
        sys::waiter::die_of_terminal_signal();
    }
    status.number()
}
