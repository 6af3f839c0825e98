//! `ipcx shm create`.

use crate::args::reference::parser;
use crate::args::units;
use crate::cmd::verbs::{self, CreateOptions};
use crate::cmd::{Context, Outcome, usage};
use crate::error::Error;
use crate::mech::{Huge, What};
use crate::model::{Kind, ObjectRef, Text, Wait};
use crate::sys::file;
use crate::sys::waiter::Waiter;
use clap::Args;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  m=$(ipcx shm create --size 64K)             private: only its identifier names it
  ipcx shm create key/1234 --size 4096 --mode 660
  ipcx shm create /frames --from picture.raw
  ipcx shm create ./data.bin --size 1M        a file to map
  ipcx shm create --size 4M --huge=2M

An existing segment is status 5 and never resized; with --exist-ok it is used if it is
large enough.")]
pub struct CreateArgs {
    /// Segment: 0x4d2, key/1234, ftok/PATH, /name or ./file; private without one
    #[arg(value_name = "REF", value_parser = parser(Some(Kind::Shm)))]
    reference: Option<ObjectRef>,

    /// Size in bytes; that of --from if it is not given
    #[arg(long, value_name = "SIZE", value_parser = units::size, required_unless_present = "from")]
    size: Option<u64>,

    #[command(flatten)]
    options: CreateOptions,

    /// Of huge pages, of the usual size or this one (System V)
    #[arg(long, value_name = "SIZE", num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = huge)]
    huge: Option<Huge>,

    /// Fill it from this file before anybody can see it; a key can be found before that, by its owner
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

fn huge(text: &str) -> Result<Huge, String> {
    if text.is_empty() { Ok(Huge::Default) } else { units::size(text).map(Huge::Size) }
}

pub fn run(args: &CreateArgs, ctx: &mut Context) -> Outcome {
    // Reading a file may block; a signal must not leave a half-made segment.
    let _waiter = args.from.as_ref().map(|_| Waiter::new(Wait::Forever));
    let (content, length) = match &args.from {
        None => (None, None),
        Some(path) => {
            let failed = |call, errno| {
                let path = Text::from(path.as_os_str().as_bytes());
                Error::new(call, errno, path.escaped()).doing("cannot read")
            };
            let content = File::open(path).map_err(|error| failed("open", file::errno(&error)))?;
            let length = file::rest(&content).map_err(|errno| failed("fstat", errno))?;
            (Some(content), length)
        }
    };
    let size = match (args.size, length) {
        (Some(size), Some(length)) if length > size => {
            return Err(usage(format!("the file has {length} bytes, more than --size {size}")));
        }
        (Some(size), _) | (None, Some(size)) => size,
        (None, None) => return Err(usage("--size is needed: the size of --from is not known before its end")),
    };
    let what = What::Region { size, huge: args.huge, content };
    verbs::create(Kind::Shm, args.reference.as_ref(), &args.options.spec(what), ctx)
}
