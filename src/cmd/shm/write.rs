//! `ipcx shm write`.

use super::range;
use crate::args::{ShmRef, units};
use crate::cmd::{Outcome, verbs};
use crate::error::{Doing as _, Error, describe};
use crate::exit::Status;
use crate::mech::{Access, Region};
use crate::model::{Text, Wait};
use crate::render::text::count;
use crate::sys::waiter::{self, Stop, Waiter};
use crate::sys::{file, stdio};
use clap::Args;
use nix::errno::Errno;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

const ACT: &str = "cannot write to";
/// How much is moved at once.
const CHUNK: u64 = 1 << 21;
/// How much of what does not fit is counted before it is only "at least".
const COUNTED: u64 = 1 << 24;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx shm write $m hello
  ipcx shm write /frames --from picture.raw --offset 4K
  head -c 100 /dev/urandom | ipcx shm write key/1234

What does not fit is refused before a byte is written, if its length is known: a text or a
regular file. From a pipe it writes until the pipe or the segment ends, then waits for the
end of the pipe to say how much was left out, with status 7.")]
pub struct WriteArgs {
    #[command(flatten)]
    target: ShmRef,

    /// Bytes to write; standard input without them
    #[arg(value_name = "DATA", conflicts_with = "from")]
    data: Option<OsString>,

    /// Where to begin, in bytes
    #[arg(long, value_name = "N", default_value = "0", value_parser = units::size)]
    offset: u64,

    /// Read the bytes from this file
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

pub fn run(args: &WriteArgs) -> Outcome {
    let reference = &args.target.reference;
    let mut region = verbs::open(reference, Access::Both, ACT)?.region();
    let (offset, room) = range(&*region, reference, args.offset, None).doing(ACT)?;
    let fits = |length: u64| {
        if length <= room {
            return Ok(());
        }
        let length = count(length, "byte", "bytes");
        let cause = format!("{length} cannot go into the {room} from offset {offset}; nothing was written");
        Err(Error::refused(reference, Status::Limit, cause).doing(ACT))
    };
    if let Some(data) = &args.data {
        fits(data.len() as u64)?;
        region.write_at(offset, data.as_bytes()).doing(ACT)?;
        return Ok(Status::Done);
    }
    let opened = match &args.from {
        None => None,
        Some(path) => Some(File::open(path).map_err(|error| {
            let path = Text::from(path.as_os_str().as_bytes());
            Error::new("open", file::errno(&error), path.escaped()).doing("cannot read")
        })?),
    };
    if opened.is_none() && stdio::was_closed(0) {
        return Err(Error::new("read", Errno::EBADF, "standard input").because("it is closed").doing("cannot read"));
    }
    let from = match &opened {
        Some(file) => file.as_fd(),
        None => stdio::stdin(),
    };
    if let Some(length) = file::left(from) {
        fits(length)?;
    }
    stdio::widen(from);
    let written = stream(&mut *region, offset, room, from)?;
    match left_out(from, room - written, written)? {
        None => Ok(Status::Done),
        Some(more) => {
            let cause = format!("{more} did not fit and were left out; the first {written} were written");
            Err(Error::refused(reference, Status::Limit, cause).doing(ACT))
        }
    }
}

/// Moves bytes until the end of the input or of the region; how many.
fn stream(region: &mut dyn Region, offset: u64, room: u64, from: BorrowedFd<'_>) -> anyhow::Result<u64> {
    let waiter = Waiter::new(Wait::Forever);
    let mut done = 0;
    while done < room {
        let length = usize::try_from((room - done).min(CHUNK)).unwrap_or(usize::MAX);
        let mut failed = None;
        let got = waiter.run(|| match region.fill(offset + done, length, from) {
            Ok(result) => result,
            Err(error) => {
                failed = Some(error);
                Ok(0)
            }
        });
        if let Some(error) = failed {
            let cause = if error.cause.is_empty() { describe(error.errno) } else { error.cause.clone() };
            let cause = format!("{cause}; {} were written before", count(done, "byte", "bytes"));
            return Err(error.because(cause).doing(ACT));
        }
        match got {
            // A signal may have ended the input as well; then it is no end.
            Ok(0) if waiter::caught().is_none() => break,
            Ok(got) => done += got as u64,
            Err(Stop::Errno(Errno::EAGAIN)) => stdio::wait_readable(from).map_err(input)?,
            Err(Stop::Errno(errno)) => return Err(input(errno)),
            Err(Stop::Signal(signal)) => return Err(interrupted(signal, done)),
            Err(Stop::TimedOut) => break,
        }
    }
    Ok(done)
}

fn interrupted(signal: i32, done: u64) -> anyhow::Error {
    let cause = format!("interrupted after {}", count(done, "byte", "bytes"));
    Error::refused("", Status::Signal(signal), cause).into()
}

fn input(errno: Errno) -> anyhow::Error {
    Error::new("read", errno, "the input").doing("cannot read")
}

/// What is left of the input once the region is full, in words.
fn left_out(from: BorrowedFd<'_>, room: u64, written: u64) -> anyhow::Result<Option<String>> {
    if room > 0 {
        return Ok(None);
    }
    let waiter = Waiter::new(Wait::Forever);
    let mut buffer = vec![0; 1 << 16];
    let mut more = 0;
    while more < COUNTED {
        match waiter.run(|| stdio::read(from, &mut buffer)) {
            Ok(0) if waiter::caught().is_none() => return Ok((more > 0).then(|| count(more, "byte", "bytes"))),
            Ok(got) => more += got as u64,
            Err(Stop::Errno(errno)) => return Err(input(errno)),
            Err(Stop::Signal(signal)) => return Err(interrupted(signal, written)),
            Err(Stop::TimedOut) => break,
        }
    }
    Ok(Some(format!("at least {more} bytes")))
}
