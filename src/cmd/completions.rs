//! `ipcx completions`: the script that makes a shell ask ipcx itself what can come next.

use super::{Context, Outcome};
use crate::exit::Status;
use clap::{Args, ValueEnum};
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};
use std::io::Write as _;

/// What tells ipcx that a completion script asks it. The usual name, COMPLETE, may be in anybody's environment for
/// anything, and then every call would print a script instead of doing its work.
pub const VARIABLE: &str = "IPCX_COMPLETE";

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  source <(ipcx completions bash)
  ipcx completions zsh > \"${fpath[1]}/_ipcx\"
  ipcx completions fish > ~/.config/fish/completions/ipcx.fish")]
pub struct CompletionsArgs {
    shell: Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub fn run(args: &CompletionsArgs, ctx: &mut Context) -> Outcome {
    let shell: &dyn EnvCompleter = match args.shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
    };
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "ipcx", "ipcx", "ipcx", &mut script)?;
    ctx.ui.out.write_all(&script)?;
    ctx.ui.out.flush_buffer()?;
    Ok(Status::Done)
}
