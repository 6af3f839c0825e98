//! `ipcx msgq create`.

use crate::args::reference::parser;
use crate::args::units;
use crate::cmd::verbs::{self, CreateOptions};
use crate::cmd::{Context, Outcome};
use crate::mech::What;
use crate::model::{Kind, ObjectRef};
use clap::Args;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  q=$(ipcx msgq create)                          private: only its identifier names it
  ipcx msgq create key/1234 --mode 660
  ipcx msgq create /jobs --max-messages 10 --message-size 4K
  ipcx msgq create 0x4d2 --exist-ok --max-bytes 16K

An existing queue is status 5, unless --exist-ok is given.")]
pub struct CreateArgs {
    /// Queue: 0x4d2, key/1234, ftok/PATH or /name; private without one
    #[arg(value_name = "REF", value_parser = parser(Some(Kind::Msgq)))]
    reference: Option<ObjectRef>,

    #[command(flatten)]
    options: CreateOptions,

    /// Most payload bytes that it holds (System V)
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    max_bytes: Option<u64>,

    /// Most messages that it holds (POSIX)
    #[arg(long, value_name = "N", value_parser = units::count)]
    max_messages: Option<u64>,

    /// Most bytes of one message (POSIX)
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    message_size: Option<u64>,
}

pub fn run(args: &CreateArgs, ctx: &mut Context) -> Outcome {
    let what =
        What::Channel { max_bytes: args.max_bytes, max_messages: args.max_messages, message_size: args.message_size };
    verbs::create(Kind::Msgq, args.reference.as_ref(), &args.options.spec(what), ctx)
}
