//! What the nouns share: making an object, changing one, and the errors that both give.

use super::{Context, Outcome, children, usage};
use crate::error::{Doing as _, Error, ResultLost};
use crate::exit::Status;
use crate::inventory;
use crate::mech::{self, Access, Change, Created, Opened, Spec};
use crate::model::{Ident, Kind, Needs, ObjectRef, Text};
use crate::render::hexdump;
use crate::sys::child::{Child, Start};
use crate::sys::guardian::Guardian;
use crate::sys::waiter::{self, Stop, Waiter};
use crate::sys::{run, users};
use clap::Args;
use nix::errno::Errno;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

// Options of every `create`. (A doc comment here would become the help of every command with it.)
#[derive(Args, Clone, Debug)]
pub struct CreateOptions {
    /// Permissions; System V ignores the umask, POSIX applies it [default: 600]
    #[arg(long, value_name = "OCTAL", value_parser = crate::args::units::mode)]
    mode: Option<u32>,

    /// Use the object if it exists; it is not changed in any way
    #[arg(long)]
    exist_ok: bool,
}

impl CreateOptions {
    pub fn spec(&self, what: mech::What) -> Spec {
        Spec { mode: self.mode, exist_ok: self.exist_ok, what }
    }
}

/// Makes an object and prints its bare reference. An object whose reference nobody could read is
/// removed again.
pub fn create(kind: Kind, reference: Option<&ObjectRef>, spec: &Spec, ctx: &mut Context) -> Outcome {
    let mechanism = match reference {
        Some(reference) => mech::of(reference),
        // Only System V has objects without a name.
        None => mech::of(&ObjectRef { kind, id: Ident::Id(0) }),
    };
    let Created { reference, new } =
        mechanism.create(reference.map(|reference| &reference.id), spec).doing("cannot create")?;
    if !new {
        ctx.ui.detail(format_args!("{reference} exists already"));
    }
    let mut line = match &reference.id {
        // What goes into a variable must be the name itself, not its escaped form.
        Ident::Name(name) | Ident::Path(name) if !ctx.ui.terminal => name.raw().to_vec(),
        _ => reference.bare().to_string().into_bytes(),
    };
    line.push(b'\n');
    if let Err((_, failed)) = ctx.ui.out.payload(&line) {
        if new {
            ctx.ui.warn(take_back(&reference));
        }
        return Err(anyhow::Error::from(failed).context(ResultLost));
    }
    Ok(Status::Done)
}

/// Removes an object that was made and of which nobody could be told; what is to be said of that.
pub fn take_back(reference: &ObjectRef) -> String {
    let found = inventory::find(reference, Needs::SCAN);
    match found.and_then(|object| mech::of(reference).remove(&object)) {
        Ok(_) => format!("{reference} was removed again, because its reference could not be written"),
        Err(error) => {
            format!("{reference} was made, its reference could not be written, and it could not be removed: {error}")
        }
    }
}

/// Opens the object of a verb.
pub fn open(reference: &ObjectRef, access: Access, act: &'static str) -> anyhow::Result<Opened> {
    mech::of(reference).open(&reference.id, access).doing(act)
}

// Options of every `set` that changes permissions; no doc comment, as above.
#[derive(Args, Clone, Debug)]
pub struct SetOptions {
    /// New permissions
    #[arg(long, value_name = "OCTAL", value_parser = crate::args::units::mode)]
    pub mode: Option<u32>,

    /// New owner, and group after a colon
    #[arg(long, value_name = "USER[:GROUP]", value_parser = owner)]
    pub owner: Option<Owner>,
}

/// A new owner: a user, a group or both.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    uid: Option<u32>,
    gid: Option<u32>,
}

fn owner(text: &str) -> Result<Owner, String> {
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let shown = |name: &str| crate::model::Escaped(name.as_bytes()).to_string();
    let uid = match user {
        "" => None,
        user => Some(users::uid(user).ok_or_else(|| format!("there is no user `{}`", shown(user)))?),
    };
    let gid = match group {
        None | Some("") => None,
        Some(group) => Some(users::gid(group).ok_or_else(|| format!("there is no group `{}`", shown(group)))?),
    };
    if uid == Some(u32::MAX) || gid == Some(u32::MAX) {
        // chown(2) takes it for "leave it as it is".
        Err(format!("{} is no user or group: it means none to the kernel", u32::MAX))
    } else if uid.is_none() && gid.is_none() {
        Err("it names neither a user nor a group".to_owned())
    } else {
        Ok(Owner { uid, gid })
    }
}

impl SetOptions {
    pub fn change(&self, max_bytes: Option<u64>) -> Change {
        Change {
            mode: self.mode,
            uid: self.owner.and_then(|owner| owner.uid),
            gid: self.owner.and_then(|owner| owner.gid),
            max_bytes,
        }
    }

    pub fn nothing(&self) -> bool {
        self.mode.is_none() && self.owner.is_none()
    }
}

/// Changes a live object.
pub fn set(reference: &ObjectRef, change: &Change) -> Outcome {
    try_set(reference, change).doing("cannot change")?;
    Ok(Status::Done)
}

/// The same, for whom it is one step among others.
pub fn try_set(reference: &ObjectRef, change: &Change) -> crate::error::Result<()> {
    let object = inventory::find(reference, Needs::SCAN)?;
    mech::of(reference).set(&object, change)
}

/// Nothing was asked for.
pub fn nothing_to_set(options: &str) -> anyhow::Error {
    usage(format!("nothing to change; give {options}"))
}

/// A failure of ours before a command was run: where it has no status of its own, 125.
pub fn before_command(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<Error>() {
        Some(failure) if failure.status == Status::Failed => {
            let failure = failure.clone().with_status(Status::BeforeCommand);
            // The acts that were added stand in front, as they did.
            let act = error.chain().next().map(ToString::to_string).filter(|_| error.chain().count() > 1);
            match act {
                Some(act) => anyhow::Error::from(failure).context(act),
                None => failure.into(),
            }
        }
        _ => error,
    }
}

/// Starts a process that does this after us and a command of ours, however they end.
pub fn guardian(of: &str, work: impl FnOnce()) -> anyhow::Result<Guardian> {
    Guardian::start(work).map_err(|errno| {
        let error = Error::new("fork", errno, format_args!("the guardian of {of}"));
        let error = match errno {
            Errno::ECHILD => error.because("it was killed at once"),
            Errno::EAGAIN => error.because("there are too many processes").with_status(Status::Limit),
            _ => error,
        };
        before_command(error.doing("cannot start"))
    })
}

/// Why a command could not be run: status 126, or 127 where it was not found.
pub fn cannot_run(command: &[OsString], errno: Errno) -> anyhow::Error {
    let status = if errno == Errno::ENOENT { Status::CommandNotFound } else { Status::CannotExecute };
    let name = Text::from(command[0].as_bytes());
    let error = Error::new("execve", errno, name.escaped()).with_status(status);
    let error = if errno == Errno::ENOENT { error.because("command not found") } else { error };
    error.doing("cannot run")
}

/// Becomes a command; comes back only with the reason why it could not.
pub fn become_command(command: &[OsString]) -> anyhow::Error {
    match run::exec(command) {
        Err(Stop::Errno(errno)) => cannot_run(command, errno),
        Err(Stop::Signal(signal)) => Error::refused("", Status::Signal(signal), "interrupted").into(),
        Err(Stop::TimedOut) => Error::refused("", Status::TimedOut, "timed out").into(),
    }
}

/// The status of a command as ours.
pub fn passed_on(ended: ExitStatus) -> Status {
    match (ended.code(), ended.signal()) {
        (Some(code), _) => Status::Command(u8::try_from(code).unwrap_or(1)),
        (None, signal) => Status::Signal(signal.unwrap_or(0)),
    }
}

/// Runs a command and waits for its end; its status is ours, and 124 if its time was over.
pub fn run_command(command: &[OsString], waiter: &Waiter) -> Outcome {
    run_child(Start { argv: command, ..Start::default() }, waiter)
}

/// The same of a command that is started in this way.
pub fn run_child(start: Start<'_>, waiter: &Waiter) -> Outcome {
    let argv = start.argv;
    let mut child = Child::start(start).map_err(|errno| cannot_run(argv, errno))?;
    let ended = children::attend(&mut child, waiter);
    let (ended, asked) = ended.map_err(|errno| Error::new("waitid", errno, "the command").doing("cannot wait for"))?;
    let status = ended.map_or(Status::TimedOut, passed_on);
    if matches!((asked, status), (Some((signal, true)), Status::Signal(died)) if signal == died) {
        // ^C ended the command; so that a script ends as well, we die of it too once all is done.
        waiter::put_back();
    }
    Ok(status)
}

/// Shows bytes that were looked at and not taken: raw, or in hexadecimal and as text.
pub fn peeked(bytes: &[u8], raw: bool, ctx: &mut Context) -> Outcome {
    if raw {
        ctx.ui.out.payload(bytes).map_err(|(_, failed)| failed)?;
        return Ok(Status::Done);
    }
    let mut text = String::new();
    for (at, line) in bytes.chunks(hexdump::WIDTH).enumerate() {
        hexdump::line(&mut text, (at * hexdump::WIDTH) as u64, line, &[], false);
    }
    ctx.ui.out.payload(text.as_bytes()).map_err(|(_, failed)| failed)?;
    Ok(Status::Done)
}
