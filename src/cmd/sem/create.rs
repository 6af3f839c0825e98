//! `ipcx sem create`.

use crate::args::reference::parser;
use crate::cmd::verbs::{self, CreateOptions};
use crate::cmd::{Context, Outcome, usage};
use crate::mech::What;
use crate::model::{Kind, ObjectRef};
use clap::Args;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  s=$(ipcx sem create --value 1)          a lock
  ipcx sem create /slots --value 4
  ipcx sem create key/1234 -n 3 --value 0,10,1
  ipcx sem create 0x4d2 --exist-ok --value 1

Nobody sees a set before it has its values: who opens it with --exist-ok waits for the
first operation on it (the sem_otime handshake of semget(2)).")]
pub struct CreateArgs {
    /// Semaphore: 0x4d2, key/1234, ftok/PATH or /name; a private set without one
    #[arg(value_name = "REF", value_parser = parser(Some(Kind::Sem)))]
    reference: Option<ObjectRef>,

    /// How many semaphores (System V) [default: as many as values]
    #[arg(short = 'n', long, value_name = "COUNT")]
    count: Option<u16>,

    /// Their values, one for all or one for each
    #[arg(long, value_name = "V[,V…]", value_delimiter = ',', default_value = "0", value_parser = value)]
    value: Vec<u32>,

    #[command(flatten)]
    options: CreateOptions,
}

fn value(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("`{}` is no value of a semaphore", crate::model::Escaped(text.as_bytes())))
}

pub fn run(args: &CreateArgs, ctx: &mut Context) -> Outcome {
    let values = match (args.count.map(usize::from), &args.value[..]) {
        (Some(count), [one]) => vec![*one; count],
        (Some(count), many) if many.len() != count => {
            return Err(usage(format!("{} values were given for {count} semaphores", many.len())));
        }
        (_, many) => many.to_vec(),
    };
    verbs::create(Kind::Sem, args.reference.as_ref(), &args.options.spec(What::Counter { values }), ctx)
}
