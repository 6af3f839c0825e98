//! `ipcx ftok`: the key that ftok(3) makes.

use super::{Context, Outcome, usage};
use crate::args::reference;
use crate::error::{Error, describe};
use crate::exit::Status;
use crate::mech;
use clap::Args;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx ftok .            0x01… the key of the working directory, project 1
  ipcx ftok /etc/hosts a
  ipcx msgq create ftok/.,a    the same key, made by the reference itself

The key holds the low bits of the inode and the device: a file that is made anew has
another key, and two files can share one.")]
pub struct FtokArgs {
    /// An existing file
    #[arg(value_name = "PATH")]
    path: PathBuf,

    /// The project: one character, or a number from 1 to 255
    #[arg(value_name = "PROJ", default_value = "1")]
    project: OsString,
}

pub fn run(args: &FtokArgs, ctx: &mut Context) -> Outcome {
    let project = reference::project(args.project.as_bytes())
        .ok_or_else(|| usage("a project is one character or a number from 1 to 255"))?;
    let key = mech::ftok(&args.path, project).map_err(|errno| {
        let path = crate::model::Text::from(args.path.as_os_str().as_bytes());
        Error::new("ftok", errno, path.escaped()).because(describe(errno)).doing("cannot make a key from")
    })?;
    ctx.ui.out.line(format_args!("{key:#010x}"))?;
    ctx.ui.out.flush_buffer()?;
    Ok(Status::Done)
}
