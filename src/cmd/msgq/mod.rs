//! `ipcx msgq`: message queues.

mod create;
mod durable;
mod peek;
mod recv;
mod send;
mod set;

use super::payload::Known;
use super::{Context, Outcome, ls, rm, show};
use crate::args::MsgqRefs;
use crate::mech::Tag;
use crate::model::{Kind, Seen, Value};
use clap::Subcommand;

#[derive(Subcommand, Debug)]
#[command(
    defer = true,
    after_help = "\
Examples:
  q=$(ipcx msgq create)
  ipcx msgq send $q hello
  ipcx msgq recv $q --timeout 2s
  ipcx msgq rm $q"
)]
pub enum MsgqCommand {
    /// Make a queue and print its reference
    Create(create::CreateArgs),
    /// Put messages into a queue
    Send(send::SendArgs),
    /// Take messages out of a queue
    Recv(recv::RecvArgs),
    /// Look at the messages of a queue, taking none
    Peek(peek::PeekArgs),
    /// Change mode, owner or capacity of a queue
    Set(set::SetArgs),
    /// List queues
    Ls(ls::KindLsArgs<MsgqRefs>),
    /// Show everything known of a queue
    Show(show::ShowArgs<MsgqRefs>),
    /// Remove queues
    Rm(rm::RmArgs<MsgqRefs>),
}

pub fn run(command: &MsgqCommand, ctx: &mut Context) -> Outcome {
    match command {
        MsgqCommand::Create(args) => create::run(args, ctx),
        MsgqCommand::Send(args) => send::run(args, ctx),
        MsgqCommand::Recv(args) => recv::run(args, ctx),
        MsgqCommand::Peek(args) => peek::run(args, ctx),
        MsgqCommand::Set(args) => set::run(args),
        MsgqCommand::Ls(args) => ls::run_kind(Kind::Msgq, args, ctx),
        MsgqCommand::Show(args) => show::run(args, ctx),
        MsgqCommand::Rm(args) => rm::run(args, ctx),
    }
}

/// What is known of a message: its position where it has one, and its type or priority.
fn known(position: Option<u64>, tag: Tag) -> Known {
    let mut known = Vec::with_capacity(4);
    known.extend(position.map(|position| ("position", Seen::Is(Value::Count(position)))));
    known.push(match tag {
        Tag::Type(kind) => ("type", Seen::Is(Value::Int(kind))),
        Tag::Priority(priority) => ("priority", Seen::Is(Value::Count(priority.into()))),
    });
    known
}
