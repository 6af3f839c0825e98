//! `ipcx sock peek`.

use crate::args::SockRef;
use crate::cmd::{Context, Outcome, verbs};
use crate::error::{Doing as _, Error};
use crate::exit::Status;
use crate::inventory::Holders;
use crate::mech::sock;
use clap::Args;
use nix::errno::Errno;

const ACT: &str = "cannot peek into";

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx sock peek @log              the next datagram, in hexadecimal and as text
  ipcx sock peek 473827 --raw      a connection, by the number that `ipcx sock ls` shows

Nothing is taken. Of a stream all that waits is shown, of messages only the first one: those
behind it cannot be seen without the owner noticing it. It looks through a process that has
the socket; those of others need root.")]
pub struct PeekArgs {
    #[command(flatten)]
    target: SockRef,

    /// The bytes alone
    #[arg(long)]
    raw: bool,
}

pub fn run(args: &PeekArgs, ctx: &mut Context) -> Outcome {
    let reference = &args.target.reference;
    let socket = sock::borrow(&reference.id, &Holders::default()).doing(ACT)?;
    let seen = sock::peek(socket).map_err(|errno| {
        let error = Error::new("recv", errno, reference);
        match errno {
            Errno::EINVAL | Errno::ENOTCONN => error.because("it only listens: nothing can wait in it").doing(ACT),
            _ => error.doing(ACT),
        }
    })?;
    let Some(seen) = seen else {
        ctx.ui.note("nothing waits there");
        return Ok(Status::Done);
    };
    if seen.messages {
        ctx.ui.detail("this is the first message; those behind it cannot be seen");
    }
    verbs::peeked(&seen.bytes, args.raw, ctx)
}
