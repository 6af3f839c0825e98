//! `ipcx sem set`.

use super::spec::{self, Range};
use crate::args::SemRef;
use crate::cmd::Outcome;
use crate::cmd::verbs::{self, SetOptions};
use crate::error::Doing as _;
use crate::exit::Status;
use crate::mech::Access;
use clap::Args;

const ACT: &str = "cannot set";

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx sem set $s 0=1
  ipcx sem set $s 1-3=0 4=10
  ipcx sem set $s all=1
  ipcx sem set /slots all=4 --mode 660

`all` sets every value at once; single ones are set one after the other. Setting a value
of a System V set forgets what processes had taken of it with undo. A POSIX semaphore is
stepped to its value.")]
pub struct SetArgs {
    #[command(flatten)]
    target: SemRef,

    /// Values: INDEX=V, FIRST-LAST=V or all=V
    #[arg(value_name = "I[-J]=V", value_parser = spec::value)]
    values: Vec<(Range, u32)>,

    #[command(flatten)]
    options: SetOptions,
}

pub fn run(args: &SetArgs) -> Outcome {
    if args.options.nothing() && args.values.is_empty() {
        return Err(verbs::nothing_to_set("values such as 0=1, --mode or --owner"));
    }
    if !args.values.is_empty() {
        let mut counter = verbs::open(&args.target.reference, Access::Both, ACT)?.counter();
        let count = counter.len();
        let mut values: Vec<(u16, u32)> = Vec::new();
        for (range, value) in &args.values {
            counter.check(*range.indices(count).end()).doing(ACT)?;
            values.extend(range.indices(count).map(|index| (index, *value)));
        }
        counter.set(&values).doing(ACT)?;
    }
    if !args.options.nothing() {
        let done = verbs::try_set(&args.target.reference, &args.options.change(None));
        let values = !args.values.is_empty();
        done.map_err(|error| if values { error.hinting("its values are set") } else { error })
            .doing("cannot change")?;
    }
    Ok(Status::Done)
}
