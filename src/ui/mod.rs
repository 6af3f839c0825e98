//! The only standard output and standard error, and the one colour decision for each.

mod out;

pub use out::Out;

use crate::error::{Error, ResultLost, StdoutFailed};
use crate::exit::Status;
use crate::hint;
use crate::model::Escaped;
use crate::sys::{stdio, waiter};
use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;
use nix::errno::Errno;
use owo_colors::OwoColorize as _;
use std::fmt;
use std::io::{self, IsTerminal as _};

/// When to use colour.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, ValueEnum)]
pub enum Color {
    // On a terminal, unless NO_COLOR is set; everywhere if CLICOLOR_FORCE is.
    #[default]
    Auto,
    Always,
    Never,
}

/// What a command talks through.
pub struct Ui {
    pub out: Out,
    /// Whether standard output takes colour; decided once.
    pub color: bool,
    /// Whether standard output is a terminal.
    pub terminal: bool,
    pub verbose: bool,
    quiet: bool,
    color_err: bool,
}

impl Ui {
    pub fn new(color: Color, quiet: bool, verbose: bool) -> Ui {
        let decide = |auto: ColorChoice| match color {
            Color::Auto => auto != ColorChoice::Never,
            Color::Always => true,
            Color::Never => false,
        };
        Ui {
            out: Out::new(),
            color: decide(AutoStream::choice(&io::stdout())),
            terminal: io::stdout().is_terminal(),
            verbose,
            quiet,
            color_err: decide(AutoStream::choice(&io::stderr())),
        }
    }

    /// Columns of the terminal on standard output, if it is one.
    pub fn width(&self) -> Option<u16> {
        if !self.terminal {
            return None;
        }
        terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0).filter(|width| *width > 0)
    }

    /// Something the user should know that is not the result.
    pub fn note(&self, text: impl fmt::Display) {
        if !self.quiet {
            self.line(format_args!("ipcx: {text}"));
        }
    }

    /// Something the user should know about what is lost or not promised; `--quiet` keeps it.
    pub fn warn(&self, text: impl fmt::Display) {
        let word = "warning:";
        if self.color_err {
            self.line(format_args!("ipcx: {} {text}", word.yellow()));
        } else {
            self.line(format_args!("ipcx: {word} {text}"));
        }
    }

    /// Something that only `--verbose` shows.
    pub fn detail(&self, text: impl fmt::Display) {
        if self.verbose {
            self.line(format_args!("ipcx: {text}"));
        }
    }

    /// A line on standard error. What goes wrong there cannot be said anywhere.
    pub fn line(&self, text: fmt::Arguments<'_>) {
        if !stdio::was_closed(2) {
            let _ = nix::unistd::write(io::stderr(), format!("{text}\n").as_bytes());
        }
    }

    /// Says what the parser of the command line has to say. `--help` and `--version` are results;
    /// a mistake is status 2, and the words of the user that it quotes are escaped.
    pub fn answer(&mut self, error: &clap::Error) -> Status {
        let text = error.render();
        if error.use_stderr() {
            for line in text.to_string().trim_end().lines() {
                self.line(format_args!("{}", Escaped(line.as_bytes())));
            }
            return Status::Usage;
        }
        let text = if self.color { text.ansi().to_string() } else { text.to_string() };
        match self.out.payload(text.as_bytes()) {
            Ok(()) => Status::Done,
            Err((_, failed)) => self.report(&failed.into()),
        }
    }

    /// Says what failed and gives the status for it. A closed pipe behind standard output is the
    /// reader's way to say "enough" and no failure.
    pub fn report(&mut self, error: &anyhow::Error) -> Status {
        if let Some(StdoutFailed(errno)) = stdout_failure(error) {
            if errno == Errno::EPIPE && error.downcast_ref::<ResultLost>().is_none() {
                return Status::Done;
            }
            if let (Errno::EINTR, Some(signal)) = (errno, waiter::caught()) {
                return Status::Signal(signal);
            }
        }
        let failure = error.downcast_ref::<Error>();
        let status = failure.map_or(Status::Failed, |failure| failure.status);
        if matches!(status, Status::Signal(_)) && !self.verbose {
            return status;
        }
        let mut text = String::new();
        for cause in error.chain() {
            let cause = cause.to_string();
            // An act stands before its object: "cannot send to msgq/3: …".
            text.push_str(if text.is_empty() { "" } else { " " });
            text.push_str(&cause);
        }
        let name = if self.color_err { format!("{}", "ipcx:".red().bold()) } else { "ipcx:".to_owned() };
        self.line(format_args!("{name} {text}"));
        if let Some(hint) = failure.and_then(hint::hint) {
            let word = if self.color_err { format!("{}", "hint:".cyan()) } else { "hint:".to_owned() };
            self.line(format_args!("{word} {hint}"));
        }
        status
    }
}

fn stdout_failure(error: &anyhow::Error) -> Option<StdoutFailed> {
    error.chain().find_map(|cause| {
        cause
            .downcast_ref::<StdoutFailed>()
            .copied()
            .or_else(|| cause.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<StdoutFailed>().copied())
    })
}
