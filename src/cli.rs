//! The command line: one line for each subcommand.

use crate::args::AnyRefs;
use crate::cmd::{self, Context, Outcome};
use crate::ui::Color;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::ffi::OsString;
use std::mem::ManuallyDrop;

/// Inter-process communication from the shell
///
/// `ipcx NOUN VERB REF` works on one mechanism, `ipcx VERB` across all of them. A reference is an
/// identifier (65536), a key (0x4d2, key/1234, ftok/PATH), a POSIX name (/name) or, for shared
/// memory, FIFOs and sockets, a path with another slash (./file), or @name for an abstract socket;
/// across mechanisms its kind stands in front: msgq/0x4d2, shm//frames, fifo/./jobs, sock/@svc.
#[derive(Parser, Debug)]
#[command(
    name = "ipcx",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  q=$(ipcx msgq create)           a private queue, its identifier in $q
  ipcx msgq send $q hello
  ipcx msgq recv $q --timeout 2s
  ipcx sem run /lock -- make      POSIX; a System V set survives kill -9 too
  ipcx ls
  ipcx limits

Exit status: 0 done, 1 failed, 2 wrong usage, 3 no such object, 4 permission denied,
5 exists, 6 would block, 7 a limit, 124 timeout, 125 ipcx failed before the command that
it was to run, 126 that command could not be executed, 127 it was not found, 128+N ended
by signal N."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,

    #[command(subcommand)]
    pub command: Command,
}

/// Where the options stand that every command has.
const COMMON: &str = "Common options";

#[derive(Args, Clone, Copy, Debug)]
pub struct Global {
    /// When to use colour; auto heeds NO_COLOR and CLICOLOR_FORCE
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = COMMON)]
    pub color: Color,

    /// Say nothing that is not an error or a warning
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = COMMON)]
    pub quiet: bool,

    /// Say more
    #[arg(short, long, global = true, help_heading = COMMON)]
    pub verbose: bool,
}

#[derive(Subcommand, Debug)]
#[command(defer = true)]
pub enum Command {
    /// Shared memory: make, fill, read, attach
    #[command(subcommand)]
    Shm(cmd::shm::ShmCommand),
    /// Message queues: make, send, receive
    #[command(subcommand)]
    Msgq(cmd::msgq::MsgqCommand),
    /// Semaphores: make, wait, post, hold around a command
    #[command(subcommand)]
    Sem(cmd::sem::SemCommand),
    /// FIFOs: make, send, receive, look inside
    #[command(subcommand)]
    Fifo(cmd::fifo::FifoCommand),
    /// Make FIFOs and print their paths
    Mkfifo(cmd::fifo::CreateArgs),
    /// Sockets: listen, connect, send, receive, look inside
    #[command(subcommand)]
    Sock(cmd::sock::SockCommand),
    /// Signals: send with a value, wait for, look at, block
    #[command(subcommand)]
    Signal(cmd::signal::SignalCommand),
    /// Join commands by pipes and see who waits for whom, or relay standard input
    Pipe(cmd::pipe::PipeArgs),
    /// List objects, a table for each kind
    Ls(cmd::ls::LsArgs),
    /// Show everything known of an object
    Show(cmd::show::ShowArgs<AnyRefs>),
    /// Show what processes hold and wait for
    Ps(cmd::ps::PsArgs),
    /// Say why a process does not go on, or find deadlocks
    Why(cmd::why::WhyArgs),
    /// Remove objects that are not in use
    Rm(cmd::rm::RmArgs<AnyRefs>),
    /// Find objects that nobody can be using any more, with the evidence
    Stale(cmd::stale::StaleArgs),
    /// Remove objects that nobody can be using any more
    Gc(cmd::gc::GcArgs),
    /// Keep objects with all that is in them in an archive
    Save(cmd::save::SaveArgs),
    /// Make the objects of an archive again
    Restore(cmd::restore::RestoreArgs),
    /// Show every limit and how much of it is used
    Limits(cmd::limits::LimitsArgs),
    /// Tell what an error of an IPC call means and which limit is behind it
    Explain(cmd::explain::ExplainArgs),
    /// Tell what happens to objects: created, removed, attached, filled
    Watch(cmd::watch::WatchArgs),
    /// Run a command with objects of its own, which go with it
    With(cmd::with::WithArgs),
    /// Print the key of a file
    Ftok(cmd::ftok::FtokArgs),
    /// Print the script that completes ipcx in a shell
    Completions(cmd::completions::CompletionsArgs),
    /// Show the manual
    Man(cmd::man::ManArgs),
}

/// Reads a command line.
pub fn parse(args: impl Iterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let args: Vec<OsString> = args.collect();
    // Whatever is wrong is said by the whole parser, which knows all there is.
    let branch = branch(&args).and_then(|branch| read(branch, &args).ok());
    branch.map_or_else(|| read(Cli::command(), &args), Ok)
}

/// The parser is as large as all that is done with its result, so it is left to the end of the
/// process instead of being taken apart.
fn read(command: clap::Command, args: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = ManuallyDrop::new(command);
    let mut matches = ManuallyDrop::new(command.try_get_matches_from_mut(args)?);
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// The parser of the one verb, or of the one verb under a noun, that a command line begins with. To build those of all
/// others costs more than most verbs do.
fn branch(args: &[OsString]) -> Option<clap::Command> {
    let noun = args.get(1)?.to_str()?;
    let ipcx = || Global::augment_args(clap::Command::new("ipcx"));
    if noun == "pipe" {
        return Some(ipcx().subcommand(cmd::pipe::PipeArgs::augment_args(clap::Command::new("pipe"))));
    }
    let verb = args.get(2)?.to_str()?;
    let (noun, verbs): (_, fn(clap::Command) -> clap::Command) = match noun {
        "shm" => ("shm", cmd::shm::ShmCommand::augment_subcommands),
        "msgq" => ("msgq", cmd::msgq::MsgqCommand::augment_subcommands),
        "sem" => ("sem", cmd::sem::SemCommand::augment_subcommands),
        "sock" => ("sock", cmd::sock::SockCommand::augment_subcommands),
        "fifo" => ("fifo", cmd::fifo::FifoCommand::augment_subcommands),
        "signal" => ("signal", cmd::signal::SignalCommand::augment_subcommands),
        _ => return None,
    };
    let verb = verbs(clap::Command::new(noun)).find_subcommand(verb)?.clone();
    Some(ipcx().subcommand(clap::Command::new(noun).subcommand(verb)))
}

/// The whole command line as data, for completions and the manual.
pub fn command() -> clap::Command {
    Cli::command()
}

pub fn dispatch(command: &Command, ctx: &mut Context) -> Outcome {
    match command {
        Command::Shm(command) => cmd::shm::run(command, ctx),
        Command::Msgq(command) => cmd::msgq::run(command, ctx),
        Command::Sem(command) => cmd::sem::run(command, ctx),
        Command::Fifo(command) => cmd::fifo::run(command, ctx),
        Command::Mkfifo(args) => cmd::fifo::create(args, ctx),
        Command::Sock(command) => cmd::sock::run(command, ctx),
        Command::Signal(command) => cmd::signal::run(command, ctx),
        Command::Pipe(args) => cmd::pipe::run(args, ctx),
        Command::Ls(args) => cmd::ls::run(args, ctx),
        Command::Show(args) => cmd::show::run(args, ctx),
        Command::Ps(args) => cmd::ps::run(args, ctx),
        Command::Why(args) => cmd::why::run(args, ctx),
        Command::Rm(args) => cmd::rm::run(args, ctx),
        Command::Stale(args) => cmd::stale::run(args, ctx),
        Command::Gc(args) => cmd::gc::run(args, ctx),
        Command::Save(args) => cmd::save::run(args, ctx),
        Command::Restore(args) => cmd::restore::run(args, ctx),
        Command::Limits(args) => cmd::limits::run(args, ctx),
        Command::Explain(args) => cmd::explain::run(args, ctx),
        Command::Watch(args) => cmd::watch::run(args, ctx),
        Command::With(args) => cmd::with::run(args, ctx),
        Command::Ftok(args) => cmd::ftok::run(args, ctx),
        Command::Completions(args) => cmd::completions::run(args, ctx),
        Command::Man(args) => cmd::man::run(args, ctx),
    }
}
