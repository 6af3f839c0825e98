//! `ipcx msgq send`.

use crate::args::{MsgqRef, WaitArgs, units};
use crate::cmd::{Context, Outcome, input, verbs};
use crate::error::Doing as _;
use crate::exit::Status;
use crate::mech::Access;
use crate::render::text::count;
use crate::sys::waiter::Waiter;
use clap::Args;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

const ACT: &str = "cannot send to";

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx msgq send $q 'first job' 'second job'
  ipcx msgq send $q --type 2 reply
  ipcx msgq send $q -- -5                 a message that begins with a dash
  ipcx msgq send /jobs --priority 9 urgent --timeout 2s
  find . -print0 | ipcx msgq send $q --null
  seq 1000000 | ipcx msgq send key/1234 --lines

A full queue is waited for, unless --nowait or --timeout is given. If it stops early, it
says how many messages were sent.")]
pub struct SendArgs {
    #[command(flatten)]
    target: MsgqRef,

    /// Messages; without any, standard input is one message
    #[arg(value_name = "MESSAGE")]
    messages: Vec<OsString>,

    /// Type of the messages, 1 or more (System V) [default: 1]
    #[arg(short = 't', long = "type", value_name = "N", value_parser = units::message_type)]
    kind: Option<i64>,

    /// Priority of the messages, 0 to 32767 (POSIX) [default: 0]
    #[arg(short, long, value_name = "N")]
    priority: Option<u32>,

    /// Every line of standard input is a message
    #[arg(long, conflicts_with_all = ["messages", "null"])]
    lines: bool,

    /// Every NUL-terminated record of standard input is a message
    #[arg(short = '0', long, conflicts_with = "messages")]
    null: bool,

    #[command(flatten)]
    wait: WaitArgs,
}

pub fn run(args: &SendArgs, ctx: &mut Context) -> Outcome {
    let mut channel = verbs::open(&args.target.reference, Access::Write, ACT)?.channel();
    let tag = channel.tag(args.kind, args.priority).doing(ACT)?;
    let waiter = Waiter::new(args.wait.wait());
    let mut sent = 0;
    let result = if args.lines || args.null {
        input::records(if args.null { 0 } else { b'\n' }, &waiter, |message| {
            channel.send(message, tag, &waiter).doing(ACT)?;
            sent += 1;
            Ok(())
        })
    } else if args.messages.is_empty() {
        input::whole(&waiter).and_then(|message| channel.send(&message, tag, &waiter).doing(ACT))
    } else {
        args.messages.iter().try_for_each(|message| {
            channel.send(message.as_bytes(), tag, &waiter).doing(ACT)?;
            sent += 1;
            Ok(())
        })
    };
    match result {
        Ok(()) => Ok(Status::Done),
        Err(error) => {
            let status = ctx.ui.report(&error);
            if args.lines || args.null || args.messages.len() > 1 {
                ctx.ui.note(format_args!("{} had been sent before", count(sent, "message", "messages")));
            }
            Ok(status)
        }
    }
}
