//! `ipcx shm dump`.

use super::{RangeArgs, range};
use crate::args::{ShmRef, units};
use crate::cmd::{Context, Outcome, verbs};
use crate::error::{Doing as _, Error};
use crate::exit::Status;
use crate::mech::{Access, Region};
use crate::model::Wait;
use crate::render::hexdump::{self, WIDTH};
use crate::sys::waiter::{Stop, Waiter};
use clap::Args;
use std::io::Write as _;
use std::time::Duration;

const ACT: &str = "cannot dump";
/// How much is read at once; a multiple of a line.
const CHUNK: usize = 1 << 16;
/// The most that is watched: it is kept and compared whole.
const WATCHED: u64 = 1 << 24;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx shm dump $m
  ipcx shm dump /frames --offset 4K --length 256
  ipcx shm dump key/1234 --watch=200ms      what changed stands out

Equal lines are shown once, then as a star. --watch repaints a terminal; into a pipe it
writes the lines that changed. It ends with a signal.")]
pub struct DumpArgs {
    #[command(flatten)]
    target: ShmRef,

    #[command(flatten)]
    range: RangeArgs,

    /// Look again every second, or this often
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "1s", value_parser = units::duration)]
    watch: Option<Duration>,
}

pub fn run(args: &DumpArgs, ctx: &mut Context) -> Outcome {
    let reference = &args.target.reference;
    let region = verbs::open(reference, Access::Read, ACT)?.region();
    let (offset, length) = range(&*region, reference, args.range.offset, args.range.length).doing(ACT)?;
    let Some(every) = args.watch else {
        dump(&*region, offset, length, ctx)?;
        return Ok(Status::Done);
    };
    if length > WATCHED {
        let cause = format!("{length} bytes are too many to watch; choose up to {WATCHED} with --offset and --length");
        return Err(Error::refused(reference, Status::Usage, cause).doing(ACT));
    }
    watch(&*region, offset, length, every, ctx)
}

fn dump(region: &dyn Region, offset: u64, length: u64, ctx: &mut Context) -> anyhow::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut text = String::new();
    let mut before: Option<Vec<u8>> = None;
    let mut starred = false;
    let mut done = 0;
    while done < length {
        let take = usize::try_from(length - done).unwrap_or(CHUNK).min(CHUNK);
        region.read_at(offset + done, &mut buffer[..take]).doing(ACT)?;
        text.clear();
        for (at, bytes) in buffer[..take].chunks(WIDTH).enumerate() {
            if before.as_deref() == Some(bytes) && bytes.len() == WIDTH {
                text.push_str(if starred { "" } else { "*\n" });
                starred = true;
                continue;
            }
            starred = false;
            before = Some(bytes.to_vec());
            hexdump::line(&mut text, offset + done + (at * WIDTH) as u64, bytes, &[], false);
        }
        ctx.ui.out.write_all(text.as_bytes())?;
        done += take as u64;
    }
    // Where it ends, which a star would hide.
    ctx.ui.out.line(format_args!("{:08x}", offset + length))?;
    ctx.ui.out.flush_buffer()?;
    Ok(())
}

fn watch(region: &dyn Region, offset: u64, length: u64, every: Duration, ctx: &mut Context) -> Outcome {
    let length = usize::try_from(length).unwrap_or(0);
    let mut now = vec![0; length];
    let mut before: Option<Vec<u8>> = None;
    loop {
        region.read_at(offset, &mut now).doing(ACT)?;
        let mut text = String::new();
        if ctx.ui.terminal {
            // Home, and clear what was there.
            text.push_str("\x1b[H\x1b[J");
        }
        for (at, bytes) in now.chunks(WIDTH).enumerate() {
            let old = before.as_ref().map(|before| &before[at * WIDTH..at * WIDTH + bytes.len()]);
            let changed: Vec<bool> =
                old.map(|old| old.iter().zip(bytes).map(|(a, b)| a != b).collect()).unwrap_or_default();
            if ctx.ui.terminal || old.is_none() || changed.contains(&true) {
                hexdump::line(&mut text, offset + (at * WIDTH) as u64, bytes, &changed, ctx.ui.color);
            }
        }
        ctx.ui.out.payload(text.as_bytes()).map_err(|(_, failed)| failed)?;
        before = Some(now.clone());
        // The memory tells nobody when it changes, so there is nothing to block on but time.
        let waiter = Waiter::new(Wait::within(Some(every)));
        if let Stop::Signal(signal) = waiter.sleep() {
            return Ok(Status::Signal(signal));
        }
    }
}
