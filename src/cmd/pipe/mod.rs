//! `ipcx pipe`: commands joined by pipes, or standard input to standard output.

mod lines;
mod relay;
mod report;
mod run;
mod tally;
mod watch;

use super::children::BETWEEN;
use super::{Context, Outcome, usage};
use crate::args::units;
use crate::error::{Error, StdoutFailed};
use crate::exit::Status;
use crate::model::Text;
use crate::sys::{file, stdio};
use crate::ui::When;
use clap::Args;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Args, Debug)]
#[command(
    override_usage = "ipcx pipe [OPTIONS] CMD... ::: CMD... [::: CMD...]\n       ipcx pipe [OPTIONS] <IN >OUT",
    after_help = "\
Examples:
  ipcx pipe --report zcat log.gz ::: grep error ::: sort
  ipcx pipe --capacity 1M,64K tar c . ::: zstd ::: dd of=backup.zst
  ipcx pipe --pipefail make ::: tee make.log
  ipcx pipe <disk.img >copy.img             no command: a relay that shows its progress
  tar c . | ipcx pipe --rate 10M | ssh host tar x

The commands are joined by pipes of the kernel with nothing in between. The meter and the
report look at them from outside: a stage is starved while it sleeps in a read of its
input, blocked while it sleeps in a write to its output; the shares are sampled every
20 ms. Bytes are those that the kernel counts for a process and the children it waited
for, in all of its files: at most so many went through the pipe, and the first stage
has read its own program, too. Those moved by splice(2) are not counted; then the other
side of the pipe is taken. What may not be seen, as of a command that runs setuid, is
`?`, in JSON null.

The status is that of the last command, with --pipefail that of the first one in order
that failed; a command that dies of SIGPIPE because its reader has left has not failed.
SIGINT, SIGTERM and SIGHUP sent to ipcx are handed to every command and what it has
started. If ipcx itself is killed by -9, the commands are sent SIGTERM."
)]
pub struct PipeArgs {
    /// Capacity of the pipes, one for all or one for each
    #[arg(long, value_name = "SIZE[,SIZE…]", value_delimiter = ',', value_parser = units::size, requires = "commands")]
    capacity: Vec<u64>,

    /// When to show bytes, rates and fill on standard error; auto: on a terminal
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    meter: When,

    /// Say at the end what each command took and which one held up the others
    #[arg(long, conflicts_with = "json")]
    report: bool,

    /// The same as one JSON document
    #[arg(long)]
    json: bool,

    /// Write the report to this file instead of standard error; without --json it is one for people
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// The status is that of the first command that failed
    #[arg(long, requires = "commands")]
    pipefail: bool,

    /// End it after this time with status 124: commands by SIGTERM, two seconds later by SIGKILL
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    timeout: Option<Duration>,

    /// Without a command: at most so many bytes a second
    #[arg(long, value_name = "SIZE", value_parser = units::size, conflicts_with = "commands")]
    rate: Option<u64>,

    /// Without a command: how many bytes to expect; of a file it is known
    #[arg(long, value_name = "SIZE", value_parser = units::size, conflicts_with = "commands")]
    size: Option<u64>,

    /// Commands with their arguments, joined by `:::`; without any, standard input goes to standard output
    #[arg(value_name = "CMD", trailing_var_arg = true)]
    commands: Vec<OsString>,
}

pub fn run(args: &PipeArgs, ctx: &mut Context) -> Outcome {
    let stages = stages(&args.commands)?;
    let edges = stages.len().saturating_sub(1);
    if !args.capacity.is_empty() && edges == 0 {
        return Err(usage("--capacity is for the pipes between commands, and there is one command alone"));
    }
    if args.capacity.len() > 1 && args.capacity.len() != edges {
        let given = args.capacity.len();
        return Err(usage(format!("--capacity gives {given} sizes for {edges} pipes; give one, or one for each")));
    }
    if args.capacity.contains(&0) {
        return Err(usage("a pipe of no bytes would never let one through"));
    }
    if args.rate == Some(0) {
        return Err(usage("--rate 0 would never end"));
    }
    let report = Report::open(args)?;
    if stages.is_empty() { relay::run(args, report, ctx) } else { run::run(args, &stages, report, ctx) }
}

/// The commands between the joints.
fn stages(words: &[OsString]) -> anyhow::Result<Vec<&[OsString]>> {
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let stages: Vec<&[OsString]> = words.split(|word| word == BETWEEN).collect();
    match stages.iter().position(|stage| stage.is_empty()) {
        Some(at) => Err(usage(format!("command {} is missing: `{BETWEEN}` stands between two commands", at + 1))),
        None => Ok(stages),
    }
}

/// Where the report goes, and in which form.
struct Report {
    json: bool,
    /// Nothing where it goes to standard error.
    file: Option<(File, Text)>,
    wanted: bool,
}

impl Report {
    /// Opens the file before anything is started: then it is known that there will be a report.
    fn open(args: &PipeArgs) -> anyhow::Result<Report> {
        let file = match &args.output {
            None => None,
            Some(path) => {
                let name = Text::from(path.as_os_str().as_bytes());
                let file = File::create(path).map_err(|error| {
                    Error::new("open", file::errno(&error), name.escaped()).doing("cannot write the report to")
                })?;
                Some((file, name))
            }
        };
        Ok(Report { json: args.json, wanted: args.json || args.report || file.is_some(), file })
    }

    /// Writes the report. That it could not be written is a failure only where all else went well.
    fn write(&self, text: &[u8], status: Status, ctx: &mut Context) -> Status {
        match &self.file {
            None => {
                ctx.ui.last_line(format_args!("{}", String::from_utf8_lossy(text).trim_end()));
                status
            }
            Some((file, name)) => match stdio::write_whole(file, text) {
                Ok(()) => status,
                Err(errno) => {
                    let error = Error::new("write", errno, name.escaped()).doing("cannot write the report to");
                    let failed = ctx.ui.report(&error);
                    if status.number() == 0 { failed } else { status }
                }
            },
        }
    }
}

/// Standard output is closed.
fn closed_stdout() -> anyhow::Error {
    StdoutFailed(nix::errno::Errno::EBADF).into()
}
