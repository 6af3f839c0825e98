//! `ipcx man`: the manual, made from the same words as `--help`.

use super::{Context, Outcome, usage};
use crate::cli;
use crate::error::Error;
use crate::exit::Status;
use crate::sys::{file, run};
use clap::{Args, Command};
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx man
  ipcx man msgq send
  ipcx man --dir ~/.local/share/man/man1     write all pages")]
pub struct ManArgs {
    /// The command whose page to show; ipcx itself by default
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,

    /// Write every page into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

pub fn run(args: &ManArgs, ctx: &mut Context) -> Outcome {
    let pages = pages()?;
    if let Some(directory) = &args.dir {
        for (name, page) in &pages {
            let path = directory.join(format!("{name}.1"));
            fs::write(&path, page)
                .map_err(|error| Error::new("write", file::errno(&error), path.display()).doing("cannot write"))?;
        }
        return Ok(Status::Done);
    }
    let name = [&["ipcx".to_owned()], &args.command[..]].concat().join("-");
    let page = pages.iter().find(|(known, _)| *known == name).map(|(_, page)| page);
    let page = page.ok_or_else(|| {
        usage(format!("there is no command `{}`", crate::model::Escaped(args.command.join(" ").as_bytes())))
    })?;
    // On a terminal man(1) shows it better than its source.
    if ctx.ui.terminal && run::pipe_to(&["man", "--local-file", "-"], page).is_ok() {
        return Ok(Status::Done);
    }
    ctx.ui.out.write_all(page)?;
    ctx.ui.out.flush_buffer()?;
    Ok(Status::Done)
}

/// Every page by its name, such as `ipcx-msgq-send`.
pub fn pages() -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut command = cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    collect(&command, "ipcx", &mut pages)?;
    Ok(pages)
}

fn collect(command: &Command, name: &str, pages: &mut Vec<(String, Vec<u8>)>) -> anyhow::Result<()> {
    // The words in the synopsis are spaces, the name of the page has dashes.
    let spaced: &'static str = String::leak(name.replace('-', " "));
    let dashed: &'static str = String::leak(name.to_owned());
    let page = clap_mangen::Man::new(command.clone().name(dashed).bin_name(spaced).display_name(dashed))
        .title(name.to_uppercase())
        .manual("User Commands")
        .source(concat!("ipcx ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    page.render(&mut text)?;
    pages.push((name.to_owned(), text));
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        collect(sub, &format!("{name}-{}", sub.get_name()), pages)?;
    }
    Ok(())
}
