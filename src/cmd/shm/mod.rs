//! `ipcx shm`: shared memory.

mod attach;
mod create;
mod dump;
mod lock;
mod read;
mod resize;
mod set;
mod write;

use super::{Context, Outcome, ls, rm, show};
use crate::args::{ShmRefs, units};
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::mech::Region;
use crate::model::{Kind, ObjectRef};
use clap::{Args, Subcommand};

#[derive(Subcommand, Debug)]
#[command(
    defer = true,
    after_help = "\
Examples:
  m=$(ipcx shm create --size 64K)
  echo hello | ipcx shm write $m
  ipcx shm read $m --length 5
  ipcx shm rm $m"
)]
pub enum ShmCommand {
    /// Make a segment and print its reference
    Create(create::CreateArgs),
    /// Copy bytes into a segment
    Write(write::WriteArgs),
    /// Copy bytes out of a segment
    Read(read::ReadArgs),
    /// Show the bytes of a segment in hexadecimal and as text
    Dump(dump::DumpArgs),
    /// Attach a segment and hold it
    Attach(attach::AttachArgs),
    /// Change the size of a POSIX or file-backed segment
    Resize(resize::ResizeArgs),
    /// Keep a segment in memory, never in swap (System V)
    Lock(lock::LockArgs),
    /// Let a segment be swapped again (System V)
    Unlock(lock::UnlockArgs),
    /// Change mode or owner of a segment
    Set(set::SetArgs),
    /// List segments
    Ls(ls::KindLsArgs<ShmRefs>),
    /// Show everything known of a segment
    Show(show::ShowArgs<ShmRefs>),
    /// Remove segments
    Rm(rm::RmArgs<ShmRefs>),
}

pub fn run(command: &ShmCommand, ctx: &mut Context) -> Outcome {
    match command {
        ShmCommand::Create(args) => create::run(args, ctx),
        ShmCommand::Write(args) => write::run(args),
        ShmCommand::Read(args) => read::run(args, ctx),
        ShmCommand::Dump(args) => dump::run(args, ctx),
        ShmCommand::Attach(args) => attach::run(args, ctx),
        ShmCommand::Resize(args) => resize::run(args),
        ShmCommand::Lock(args) => lock::lock(args),
        ShmCommand::Unlock(args) => lock::unlock(args),
        ShmCommand::Set(args) => set::run(args),
        ShmCommand::Ls(args) => ls::run_kind(Kind::Shm, args, ctx),
        ShmCommand::Show(args) => show::run(args, ctx),
        ShmCommand::Rm(args) => rm::run(args, ctx),
    }
}

// Which bytes. (A doc comment here would become the help of every command with it.)
#[derive(Args, Clone, Copy, Debug)]
struct RangeArgs {
    /// Where to begin, in bytes
    #[arg(long, value_name = "N", default_value = "0", value_parser = units::size)]
    offset: u64,

    /// How many bytes; to the end without it
    #[arg(long, value_name = "N", value_parser = units::size)]
    length: Option<u64>,
}

/// The range that was asked for, when it lies inside the region: (offset, length).
fn range(region: &dyn Region, reference: &ObjectRef, offset: u64, length: Option<u64>) -> Result<(u64, u64)> {
    let size = region.size()?;
    let outside =
        |what: String| Error::refused(reference, Status::Failed, format!("{what} is outside its {size} bytes"));
    if offset > size {
        return Err(outside(format!("offset {offset}")));
    }
    let length = length.unwrap_or(size - offset);
    if length > size - offset {
        return Err(outside(format!("a length of {length} from offset {offset}")));
    }
    Ok((offset, length))
}
