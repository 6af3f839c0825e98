//! The only standard output and standard error, and the one colour decision for each.

mod meter;
mod out;

pub use meter::Meter;
pub use out::Out;

use crate::error::{Error, ResultLost, StdoutFailed};
use crate::exit::Status;
use crate::hint;
use crate::model::{Escaped, harmless};
use crate::sys::{stdio, waiter};
use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;
use clap::error::{ContextKind, ContextValue, ErrorKind};
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

/// When to show how something gets on.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, ValueEnum)]
pub enum When {
    // When standard error is a terminal.
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

    /// A place on standard error to show how something gets on, if it is to be shown.
    pub fn meter(&self, when: When) -> Option<Meter> {
        let terminal = io::stderr().is_terminal();
        let shown = match when {
            When::Auto => terminal && !self.quiet,
            When::Always => !stdio::was_closed(2),
            When::Never => false,
        };
        shown.then(|| Meter::new(terminal))
    }

    /// Something the user should know that is not the result.
    pub fn note(&self, text: impl fmt::Display) {
        if !self.quiet {
            self.line(format_args!("ipcx: {}", harmless(&text.to_string())));
        }
    }

    /// Something the user should know about what is lost or not promised; `--quiet` keeps it.
    pub fn warn(&self, text: impl fmt::Display) {
        let (word, text) = ("warning:", harmless(&text.to_string()));
        if self.color_err {
            self.line(format_args!("ipcx: {} {text}", word.yellow()));
        } else {
            self.line(format_args!("ipcx: {word} {text}"));
        }
    }

    /// Whether somebody follows what is done: on a terminal, or with `--verbose`.
    pub fn watched(&self) -> bool {
        self.verbose || io::stderr().is_terminal()
    }

    /// Something that only `--verbose` shows.
    pub fn detail(&self, text: impl fmt::Display) {
        if self.verbose {
            self.line(format_args!("ipcx: {}", harmless(&text.to_string())));
        }
    }

    /// A line on standard error. What goes wrong there cannot be said anywhere.
    pub fn line(&self, text: fmt::Arguments<'_>) {
        if !stdio::was_closed(2) {
            let _ = stdio::write_all(io::stderr(), format!("{text}\n").as_bytes());
        }
    }

    /// A line on standard error that holds what would otherwise be lost: no signal cuts it short.
    pub fn last_line(&self, text: fmt::Arguments<'_>) {
        if !stdio::was_closed(2) {
            let _ = stdio::write_whole(io::stderr(), format!("{text}\n").as_bytes());
        }
    }

    /// Says what the parser of the command line has to say. `--help` and `--version` are results; a
    /// mistake is status 2, in the form of every error, and the words that it quotes are escaped.
    pub fn answer(&mut self, mut error: clap::Error) -> Status {
        if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            let text = error.render();
            if error.use_stderr() {
                self.line(format_args!("{}", text.to_string().trim_end()));
                return Status::Usage;
            }
            let text = if self.color { text.ansi().to_string() } else { text.to_string() };
            return match self.out.payload(text.as_bytes()) {
                Ok(()) => Status::Done,
                Err((_, failed)) => self.report(&failed.into()),
            };
        }
        // It suggests to write the same word behind `--`, which is no better there.
        error.remove(ContextKind::Suggested);
        let quoted: Vec<(ContextKind, ContextValue)> =
            error.context().map(|(kind, value)| (kind, quote(value))).collect();
        for (kind, value) in quoted {
            error.insert(kind, value);
        }
        let text = error.render().to_string();
        let mut parts = text.split("\n\n");
        let cause = parts.next().unwrap_or_default().trim_start_matches("error: ");
        let cause: Vec<&str> = cause.split_whitespace().collect();
        self.error_line(&cause.join(" "));
        for part in parts.map(str::trim) {
            if let Some(hint) = part.strip_prefix("tip: ") {
                self.hint_line(hint);
            } else if part.starts_with("Usage: ") {
                self.hint_line(part);
            }
        }
        Status::Usage
    }

    fn error_line(&self, text: &str) {
        let text = harmless(text);
        if self.color_err {
            self.line(format_args!("{} {text}", "ipcx:".red().bold()));
        } else {
            self.line(format_args!("ipcx: {text}"));
        }
    }

    fn hint_line(&self, text: &str) {
        let text = harmless(text);
        if self.color_err {
            self.line(format_args!("{} {text}", "hint:".cyan()));
        } else {
            self.line(format_args!("hint: {text}"));
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
        let without = stdout_failure(error).map_or(Status::Failed, |StdoutFailed(errno)| match errno {
            Errno::ETIMEDOUT => Status::TimedOut,
            _ => Status::Failed,
        });
        let status = failure.map_or(without, |failure| match (failure.errno, waiter::caught()) {
            (Errno::EINTR, Some(signal)) => Status::Signal(signal),
            _ => failure.status,
        });
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
        self.error_line(&text);
        if let Some(hint) = failure.and_then(hint::hint) {
            self.hint_line(&hint);
        }
        status
    }
}

/// What the user wrote, escaped; other context is the parser's own.
fn quote(value: &ContextValue) -> ContextValue {
    let escape = |text: &String| Escaped(text.as_bytes()).to_string();
    match value {
        ContextValue::String(text) => ContextValue::String(escape(text)),
        ContextValue::Strings(texts) => ContextValue::Strings(texts.iter().map(escape).collect()),
        other => other.clone(),
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
