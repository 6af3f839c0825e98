//! `ipcx man`: the manual, made from the same words as `--help`.

use super::{Context, Outcome, usage};
use crate::error::Error;
use crate::exit::Status;
use crate::model::Escaped;
use crate::sys::{file, run};
use clap::{Args, Command};
use roff::{Roff, roman};
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
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
    let pages = pages((ctx.command_line)())?;
    if let Some(directory) = &args.dir {
        for (name, page) in &pages {
            let path = directory.join(format!("{name}.1"));
            fs::write(&path, page).map_err(|error| {
                Error::new("write", file::errno(&error), Escaped(path.as_os_str().as_bytes())).doing("cannot write")
            })?;
        }
        return Ok(Status::Done);
    }
    let name = [&["ipcx".to_owned()], &args.command[..]].concat().join("-");
    let page = pages.iter().find(|(known, _)| *known == name).map(|(_, page)| page);
    let page =
        page.ok_or_else(|| usage(format!("there is no command `{}`", Escaped(args.command.join(" ").as_bytes()))))?;
    // On a terminal man(1) shows it better than its source.
    if ctx.ui.terminal && run::pipe_to(&["man", "--local-file", "-"], page).is_ok() {
        return Ok(Status::Done);
    }
    ctx.ui.out.write_all(page)?;
    ctx.ui.out.flush_buffer()?;
    Ok(Status::Done)
}

/// Every page by its name, such as `ipcx-msgq-send`.
fn pages(command: Command) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    collect(&command, "ipcx", &mut pages)?;
    Ok(pages)
}

fn collect(command: &Command, name: &str, pages: &mut Vec<(String, Vec<u8>)>) -> anyhow::Result<()> {
    pages.push((name.to_owned(), page(command, name)?));
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        collect(sub, &format!("{name}-{}", sub.get_name()), pages)?;
    }
    Ok(())
}

fn page(command: &Command, name: &str) -> anyhow::Result<Vec<u8>> {
    let version = concat!("ipcx ", env!("CARGO_PKG_VERSION"));
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    // The words in the synopsis are apart, the name of the page has dashes. The builder keeps names
    // for as long as the program lives, which for these few is no loss.
    let spaced: &'static str = String::leak(name.replace('-', " "));
    let dashed: &'static str = String::leak(name.to_owned());
    let page = clap_mangen::Man::new(command.clone().name(dashed).bin_name(spaced).display_name(dashed));
    let page = page.title(name.to_uppercase()).manual("User Commands").source(version);
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut text)?;
    }
    let mut roff = Roff::new();
    let mut notes = false;
    for block in help.split("\n\n") {
        section(&mut roff, block, &mut notes);
    }
    roff.control("SH", ["SEE ALSO"]).text([roman(
        "ipcx(1), svipc(7), shm_overview(7), mq_overview(7), sem_overview(7), pipe(7), fifo(7), signal(7), unix(7)",
    )]);
    roff.to_writer(&mut text)?;
    Ok(text)
}

/// A paragraph behind the options: examples stand as they are, the rest flows.
fn section(roff: &mut Roff, block: &str, notes: &mut bool) {
    if let Some(examples) = block.strip_prefix("Examples:\n") {
        roff.control("SH", ["EXAMPLES"]).control("nf", []);
        for line in examples.lines() {
            roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
        }
        roff.control("fi", []);
    } else if let Some(statuses) = block.strip_prefix("Exit status: ") {
        roff.control("SH", ["EXIT STATUS"]).text([roman(statuses.replace('\n', " "))]);
    } else if !block.is_empty() {
        // The first paragraph opens the section, the others go on in it.
        let begin = if std::mem::replace(notes, true) { ("PP", vec![]) } else { ("SH", vec!["NOTES"]) };
        roff.control(begin.0, begin.1).text([roman(block.replace('\n', " "))]);
    }
}
