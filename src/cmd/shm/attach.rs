//! `ipcx shm attach`.

use super::range;
use crate::args::ShmRef;
use crate::cmd::{Context, Outcome, verbs};
use crate::error::{Doing as _, Error};
use crate::exit::Status;
use crate::inventory;
use crate::mech::{Access, Region};
use crate::model::{Needs, ObjectRef, Wait};
use crate::render::hexdump::{self, WIDTH};
use crate::sys::stdio;
use crate::sys::waiter::{self, Stop, Waiter};
use clap::Args;
use nix::errno::Errno;
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::time::Duration;

const ACT: &str = "cannot attach";

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx shm attach $m --timeout 10s
  ipcx shm attach /frames --read-only -- make check
  ipcx shm attach $m              on a terminal: read, write, stat, quit

It reports address, size and attachments on standard error, then holds the segment until
the end of standard input, a signal, the timeout or the end of the command.")]
pub struct AttachArgs {
    #[command(flatten)]
    target: ShmRef,

    /// Attach it for reading only
    #[arg(long)]
    read_only: bool,

    /// Detach after this time, with status 124
    #[arg(long, value_name = "DURATION", value_parser = crate::args::units::duration)]
    timeout: Option<Duration>,

    /// Hold it while this command runs; the status is that of the command
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub fn run(args: &AttachArgs, ctx: &mut Context) -> Outcome {
    let reference = &args.target.reference;
    let held = attach(args).map_err(|error| if args.command.is_empty() { error } else { verbs::before_command(error) });
    let mut region = held?;
    let waiter = Waiter::new(Wait::within(args.timeout));
    ctx.ui.note(stat(&mut *region, reference)?);
    if !args.command.is_empty() {
        return verbs::run_command(&args.command, &waiter);
    }
    let asks = std::io::stdin().is_terminal();
    if asks {
        ctx.ui.note("commands: read OFFSET LENGTH, write OFFSET TEXT, stat, quit");
    }
    let mut input = Vec::new();
    let mut buffer = [0; 4096];
    while !stdio::was_closed(0) {
        let got = match waiter.run(|| stdio::read(stdio::stdin(), &mut buffer)) {
            Ok(0) if waiter::caught().is_none() => break,
            Ok(got) => got,
            Err(Stop::TimedOut) => return Ok(Status::TimedOut),
            Err(Stop::Signal(signal)) => return Ok(Status::Signal(signal)),
            Err(Stop::Errno(errno)) => return Err(Error::new("read", errno, "standard input").doing("cannot read")),
        };
        if !asks {
            continue;
        }
        input.extend_from_slice(&buffer[..got]);
        while let Some(end) = memchr::memchr(b'\n', &input) {
            let line: Vec<u8> = input.drain(..=end).collect();
            match answer(&line[..end], &mut *region, reference, args.read_only, ctx) {
                Ok(true) => {}
                Ok(false) => return Ok(Status::Done),
                // A mistyped line ends nothing.
                Err(error) => drop(ctx.ui.report(&error)),
            }
        }
    }
    Ok(Status::Done)
}

fn attach(args: &AttachArgs) -> anyhow::Result<Box<dyn Region>> {
    let access = if args.read_only { Access::Read } else { Access::Both };
    let mut region = verbs::open(&args.target.reference, access, ACT)?.region();
    region.address().doing(ACT)?;
    Ok(region)
}

/// Where it is attached, how large it is, and who else is there.
fn stat(region: &mut dyn Region, reference: &ObjectRef) -> anyhow::Result<String> {
    let (address, size) = (region.address().doing(ACT)?, region.size().doing(ACT)?);
    let nattch = inventory::find(reference, Needs::SCAN).ok().and_then(|object| object.number("nattch"));
    let nattch = nattch.map_or_else(String::new, |n| format!(", nattch {n}"));
    Ok(format!("{reference} is attached at {address:#x}, {size} bytes{nattch}"))
}

/// One line of the dialogue; whether it goes on.
fn answer(
    line: &[u8],
    region: &mut dyn Region,
    reference: &ObjectRef,
    read_only: bool,
    ctx: &mut Context,
) -> anyhow::Result<bool> {
    let line = String::from_utf8_lossy(line).into_owned();
    let mut words = line.trim_start().splitn(3, ' ');
    let mistake = |what: &str| Error::refused("", Status::Usage, what).into();
    let number = |word: Option<&str>| word.and_then(|word| crate::args::units::size(word).ok());
    match (words.next().map(str::trim), words.next(), words.next()) {
        (Some(""), ..) | (None, ..) => {}
        (Some("quit" | "exit"), ..) => return Ok(false),
        (Some("stat"), ..) => ctx.ui.note(stat(region, reference)?),
        (Some("read"), offset, length) => {
            let (Some(offset), Some(length)) = (number(offset), number(length.map(str::trim))) else {
                return Err(mistake("write it as: read OFFSET LENGTH"));
            };
            let (offset, length) = range(region, reference, offset, Some(length)).doing("cannot read")?;
            show(region, offset, length, ctx)?;
        }
        (Some("write"), offset, Some(text)) => {
            let Some(offset) = number(offset) else { return Err(mistake("write it as: write OFFSET TEXT")) };
            if read_only {
                return Err(Error::new("write", Errno::EROFS, reference)
                    .because("it is attached for reading only")
                    .doing("cannot write to"));
            }
            range(region, reference, offset, Some(text.len() as u64)).doing("cannot write to")?;
            region.write_at(offset, text.as_bytes()).doing("cannot write to")?;
        }
        _ => return Err(mistake("commands: read OFFSET LENGTH, write OFFSET TEXT, stat, quit")),
    }
    Ok(true)
}

fn show(region: &dyn Region, offset: u64, length: u64, ctx: &mut Context) -> anyhow::Result<()> {
    let mut at = 0;
    let mut text = String::new();
    while at < length {
        let mut bytes = vec![0; usize::try_from(length - at).unwrap_or(WIDTH).min(WIDTH)];
        region.read_at(offset + at, &mut bytes).doing("cannot read")?;
        hexdump::line(&mut text, offset + at, &bytes, &[], false);
        at += bytes.len() as u64;
    }
    ctx.ui.out.payload(text.as_bytes()).map_err(|(_, failed)| failed)?;
    Ok(())
}
