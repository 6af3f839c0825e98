//! What went wrong: which call, on which object, with which errno. Nothing here prints.

use crate::exit::Status;
use nix::errno::Errno;
use std::fmt;

pub type Result<T> = std::result::Result<T, Error>;

/// A failed system call, or one that we refused to make because it could only do harm.
#[derive(Clone, PartialEq, Debug)]
pub struct Error {
    /// The call, as its man page is named; the table of hints is keyed by it.
    pub call: &'static str,
    /// `UnknownErrno` when no call was made.
    pub errno: Errno,
    /// The object, already escaped.
    pub object: String,
    /// The cause in words; the text of the errno when empty.
    pub cause: String,
    /// What the user may do about it, when only the place that failed can know.
    pub hint: Option<String>,
    pub status: Status,
}

impl Error {
    pub fn new(call: &'static str, errno: Errno, object: impl fmt::Display) -> Error {
        Error { call, errno, object: object.to_string(), cause: String::new(), hint: None, status: Status::of(errno) }
    }

    /// An act that we refuse without asking the kernel.
    pub fn refused(object: impl fmt::Display, status: Status, cause: impl Into<String>) -> Error {
        Error { cause: cause.into(), status, ..Error::new("", Errno::UnknownErrno, object) }
    }

    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Error {
        self.cause = cause.into();
        self
    }

    #[must_use]
    pub fn hinting(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn with_status(mut self, status: Status) -> Error {
        self.status = status;
        self
    }

    /// Adds what was being done, such as "cannot send to".
    pub fn doing(self, act: &'static str) -> anyhow::Error {
        anyhow::Error::from(self).context(act)
    }

    /// The wait ended by a signal.
    pub fn interrupted(call: &'static str, signal: i32, object: impl fmt::Display) -> Error {
        Error::new(call, Errno::EINTR, object)
            .because(format!("interrupted by signal {signal}"))
            .with_status(Status::Signal(signal))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.object.is_empty() {
            write!(f, "{}: ", self.object)?;
        }
        match (self.cause.is_empty(), self.errno) {
            (true, errno) => write!(f, "{} ({errno:?})", describe(errno)),
            (false, Errno::UnknownErrno) => f.write_str(&self.cause),
            (false, errno) => write!(f, "{} ({errno:?})", self.cause),
        }
    }
}

impl std::error::Error for Error {}

/// The text of an errno as a clause: "permission denied".
pub fn describe(errno: Errno) -> String {
    if errno == Errno::EBADMSG {
        // Our own: no call that we make gives it.
        return "it does not have the form that it should have".to_owned();
    }
    let text = errno.desc();
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

/// Adds what was being done to the error of a call.
pub trait Doing<T> {
    fn doing(self, act: &'static str) -> anyhow::Result<T>;
}

impl<T> Doing<T> for Result<T> {
    fn doing(self, act: &'static str) -> anyhow::Result<T> {
        self.map_err(|error| error.doing(act))
    }
}

/// Standard output could not be written. Kept apart from every other error because a closed pipe
/// behind *our* output ends us quietly, while EPIPE from a channel is a failure.
#[derive(Clone, Copy, Debug)]
pub struct StdoutFailed(pub Errno);

impl fmt::Display for StdoutFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = if self.0 == Errno::EBADF { "it is closed".to_owned() } else { describe(self.0) };
        write!(f, "cannot write standard output: {cause} ({:?})", self.0)
    }
}

impl std::error::Error for StdoutFailed {}

/// Marks a failure of standard output that cost a result which nobody can get again, so that even a
/// closed pipe is no quiet end.
#[derive(Clone, Copy, Debug)]
pub struct ResultLost;

impl fmt::Display for ResultLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the result did not arrive:")
    }
}
