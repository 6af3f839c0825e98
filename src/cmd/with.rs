//! `ipcx with`: objects that live as long as a command.

use super::{Context, Outcome, usage, verbs};
use crate::args::{scoped, units};
use crate::error::{Doing as _, Error};
use crate::exit::Status;
use crate::inventory::scoped::{Scope, Wanted};
use crate::model::{Ident, ObjectRef, Text, Wait};
use crate::sys::child::Start;
use crate::sys::guardian::Guardian;
use crate::sys::namespace::{self, Isolated};
use crate::sys::waiter::{self, Waiter};
use clap::Args;
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::time::Duration;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx with jobs=msgq buf=shm,64K lock=sem,1 log=fifo -- ./test.sh
  ipcx with q=msgq -- sh -c 'ipcx msgq send $q hello; ipcx msgq recv $q'
  ipcx with frames=shm,4M,posix -- ./camera --shm {frames}
  ipcx with set=sem,1,0,5 q=msgq,1K slots=sem,2,posix -- sh
  ipcx with --keep-on-failure q=msgq -- make check
  ipcx with --isolate -- ./leaks-everything

CMD finds the reference of each object, as `create` prints it, in the environment under
its NAME, and in its arguments in place of {NAME}. All objects are made, or none, with
permissions for their owner alone. CMD runs in the foreground with the terminal; its
status is that of ipcx.

When CMD has ended they are removed: by ipcx or, if it was killed, by a guardian process
(ipcx-guardian) that was started before the first was made. kill -9 of ipcx, which sends
CMD a SIGTERM, of CMD or of the guardian leaves nothing behind. What would: kill -9 of
ipcx and of its guardian (by its pid, or with all of a cgroup or container); a crash of
the machine, after which only a FIFO in /tmp can be there. What CMD has removed itself is
no error. What CMD has left running in the background loses the objects.

With --isolate the kernel itself forgets all System V objects, POSIX queues, shared memory
and named semaphores, also those that CMD makes and however all of it ends; FIFOs are
files and are removed as without it. An ordinary user needs a user namespace for that, in
which sudo and other set-user-ID programs do not work.")]
pub struct WithArgs {
    /// Objects: NAME=shm,SIZE NAME=msgq[,MAX_BYTES] NAME=sem[,VALUE]… NAME=fifo; all but a FIFO with
    /// ,posix behind it to be one of POSIX
    #[arg(value_name = "NAME=KIND[,ARG]…", value_parser = scoped::wanted, required_unless_present = "isolate")]
    objects: Vec<Wanted>,

    /// Run CMD in an IPC namespace with a /dev/shm of its own
    #[arg(long)]
    isolate: bool,

    /// Leave the objects if CMD fails, and say which; if ipcx is killed they are removed all the same
    #[arg(long, conflicts_with = "isolate")]
    keep_on_failure: bool,

    /// End CMD after this time with status 124: 500ms, 2s, 1m30s
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    timeout: Option<Duration>,

    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub fn run(args: &WithArgs, ctx: &mut Context) -> Outcome {
    for (at, object) in args.objects.iter().enumerate() {
        if args.objects[..at].iter().any(|other| other.name == object.name) {
            return Err(usage(format!("two objects are called {}", object.name)));
        }
    }
    // From here on a signal that asks us to stop does not kill us before we have cleaned up.
    let waiter = Waiter::new(Wait::within(args.timeout));
    if args.isolate {
        isolate(ctx).map_err(verbs::before_command)?;
    }
    let scope = Scope::plan(&args.objects).doing("cannot choose").map_err(verbs::before_command)?;
    let guardian = verbs::guardian("the objects", || drop(scope.remove()))?;
    let references = match scope.make().doing("cannot create") {
        Ok(references) => references,
        Err(error) => {
            guardian.dismiss();
            return Err(verbs::before_command(error));
        }
    };
    let ended = match waiter::caught() {
        Some(signal) => Err(Status::Signal(signal)),
        None => Ok(execute(args, &references, &guardian, &waiter)),
    };
    match ended {
        Ok(Ok(status)) if args.keep_on_failure && status.number() != 0 => keep(args, &references, &scope, status, ctx),
        _ => {
            for error in scope.remove() {
                ctx.ui.warn(format_args!("cannot remove {error}"));
            }
        }
    }
    guardian.dismiss();
    ended.unwrap_or_else(Ok)
}

fn isolate(ctx: &Context) -> anyhow::Result<()> {
    let isolated = namespace::isolate().map_err(|errno| {
        let error = Error::new("unshare", errno, "the command");
        let error = match errno {
            Errno::EPERM => error.because("this user may not make user namespaces here"),
            Errno::ENOSPC => error.because("there are too many namespaces").hinting(
                "user.max_user_namespaces, user.max_ipc_namespaces and user.max_mnt_namespaces bound them for each user",
            ),
            _ => error,
        };
        error.doing("cannot isolate")
    })?;
    let Isolated { users, shm } = isolated;
    if let Err(errno) = shm {
        ctx.ui.warn(format_args!(
            "/dev/shm is not isolated ({errno:?}): POSIX shared memory and named semaphores that the command makes stay"
        ));
    }
    let shm = if shm.is_ok() { ", POSIX shared memory and named semaphores" } else { "" };
    let users = if users { ", in a user namespace" } else { "" };
    ctx.ui.detail(format_args!("isolated are System V objects and POSIX queues{shm}{users}"));
    Ok(())
}

/// Runs the command with the references in its environment and its arguments.
fn execute(args: &WithArgs, references: &[ObjectRef], guardian: &Guardian, waiter: &Waiter) -> Outcome {
    let names = args.objects.iter().map(|object| object.name.as_str());
    let variables: Vec<(&str, String)> = names.zip(references.iter().map(bare)).collect();
    let argv: Vec<OsString> = args.command.iter().map(|word| replaced(word, &variables)).collect();
    let start = Start { argv: &argv, variables: &variables, announced: Some(guardian.socket()), ..Start::default() };
    verbs::run_child(start, waiter)
}

/// The reference as `create` prints it into a variable.
fn bare(reference: &ObjectRef) -> String {
    match &reference.id {
        // All names and paths here are UTF-8: we have chosen them.
        Ident::Name(name) | Ident::Path(name) => name.utf8().unwrap_or_default().to_owned(),
        _ => reference.bare().to_string(),
    }
}

/// A word of the command with the value in place of each `{NAME}`.
fn replaced(word: &OsStr, variables: &[(&str, String)]) -> OsString {
    let mut rest = word.as_bytes();
    let mut result = Vec::with_capacity(rest.len());
    while let Some(open) = memchr::memchr(b'{', rest) {
        result.extend_from_slice(&rest[..open]);
        rest = &rest[open..];
        let close = memchr::memchr(b'}', rest);
        let value = close.and_then(|close| {
            let value = variables.iter().find(|(name, _)| name.as_bytes() == &rest[1..close])?;
            Some((&value.1, close))
        });
        // Braces around anything else are the command's own.
        let (value, length) = value.map_or((&b"{"[..], 1), |(value, close)| (value.as_bytes(), close + 1));
        result.extend_from_slice(value);
        rest = &rest[length..];
    }
    result.extend_from_slice(rest);
    OsString::from_vec(result)
}

/// Says which objects are left, how to look at them and how to remove them.
fn keep(args: &WithArgs, references: &[ObjectRef], scope: &Scope, status: Status, ctx: &Context) {
    let how = match status {
        Status::Signal(signal) => format!("was killed by signal {signal}"),
        Status::TimedOut => "timed out".to_owned(),
        status => format!("ended with status {}", status.number()),
    };
    let name = Text::from(args.command[0].as_bytes());
    let all = args.objects.iter().zip(references).enumerate();
    let (named, left): (Vec<String>, Vec<String>) = all
        .filter(|(at, _)| scope.is_left(*at))
        .map(|(_, (object, reference))| (format!("{}={reference}", object.name), reference.to_string()))
        .unzip();
    if left.is_empty() {
        ctx.ui.warn(format_args!("{} {how}; nothing of its objects is left", name.escaped()));
    } else {
        ctx.ui.warn(format_args!("{} {how}; its objects are kept: {}", name.escaped(), named.join(" ")));
        ctx.ui.last_line(format_args!("  ipcx show {}\n  ipcx rm {}", left.join(" "), left.join(" ")));
    }
    if let Some(directory) = &scope.directory {
        let directory = Text::from(directory.as_os_str().as_bytes());
        ctx.ui.last_line(format_args!("  rmdir {}", directory.escaped()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_braces_are_replaced_once_and_other_braces_stay() {
        let variables = [("a", "65536".to_owned()), ("b", "{a}".to_owned())];
        for (word, expected) in [
            ("{a}", "65536"),
            ("--queue={a},{a}", "--queue=65536,65536"),
            ("{b}", "{a}"),
            ("{{a}}", "{65536}"),
            ("{c} {} {a", "{c} {} {a"),
            ("${a}", "$65536"),
            ("{x{a}", "{x65536"),
            ("", ""),
        ] {
            assert_eq!(replaced(OsStr::new(word), &variables), OsStr::new(expected), "{word}");
        }
        let odd = OsStr::from_bytes(b"\xff{a}\xfe");
        assert_eq!(replaced(odd, &variables), OsStr::from_bytes(b"\xff65536\xfe"));
    }
}
