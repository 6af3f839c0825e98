//! `ipcx sock peek`.

use crate::cmd::{Context, Outcome};
use crate::error::{Error, describe};
use crate::exit::Status;
use crate::mech::sock;
use crate::render::hexdump::{self, WIDTH};
use crate::sys::pidfd::PidFd;
use clap::Args;
use nix::errno::Errno;

const ACT: &str = "cannot peek into";

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx sock peek --pid 4711 --fd 5
  ipcx sock peek --pid 4711 --fd 5 --raw | less

Nothing is taken. Of a stream all that waits is shown, of messages only the first one: those
behind it cannot be seen without the owner noticing it. Processes of others need root.")]
pub struct PeekArgs {
    /// The process that has the socket
    #[arg(long, value_name = "PID")]
    pid: i32,

    /// The number of its descriptor, as in /proc/PID/fd
    #[arg(long, value_name = "N")]
    fd: i32,

    /// The bytes alone
    #[arg(long)]
    raw: bool,
}

pub fn run(args: &PeekArgs, ctx: &mut Context) -> Outcome {
    let object = format!("descriptor {} of process {}", args.fd, args.pid);
    let failed = |call: &'static str, errno: Errno| {
        let error = Error::new(call, errno, &object);
        let error = match errno {
            Errno::ESRCH => error.because("there is no such process"),
            Errno::EBADF => error.because("the process has no such descriptor").with_status(Status::NoSuch),
            Errno::EPERM => error.because(describe(errno)).hinting("only root may look into processes of others"),
            Errno::ENOTSOCK => error.because("it is not a socket"),
            Errno::EINVAL | Errno::ENOTCONN => error.because("the socket only listens: nothing can wait in it"),
            _ => error,
        };
        error.doing(ACT)
    };
    let process = PidFd::open(args.pid).map_err(|errno| failed("pidfd_open", errno))?;
    let socket = process.descriptor(args.fd).map_err(|errno| failed("pidfd_getfd", errno))?;
    let Some(seen) = sock::peek(socket).map_err(|errno| failed("recv", errno))? else {
        ctx.ui.note("nothing waits there");
        return Ok(Status::Done);
    };
    if seen.messages {
        ctx.ui.detail("this is the first message; those behind it cannot be seen");
    }
    if args.raw {
        ctx.ui.out.payload(&seen.bytes).map_err(|(_, failed)| failed)?;
        return Ok(Status::Done);
    }
    let mut text = String::new();
    for (at, bytes) in seen.bytes.chunks(WIDTH).enumerate() {
        hexdump::line(&mut text, (at * WIDTH) as u64, bytes, &[], false);
    }
    ctx.ui.out.payload(text.as_bytes()).map_err(|(_, failed)| failed)?;
    Ok(Status::Done)
}
