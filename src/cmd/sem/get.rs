//! `ipcx sem get`.

use crate::args::SemRef;
use crate::cmd::{Context, Outcome};
use crate::error::{Doing as _, Error, describe};
use crate::exit::Status;
use crate::inventory;
use crate::model::{Align, Field, Kind, Needs, Object, Seen, Value};
use crate::render::{self, Layout, Style, TimeFormat};
use clap::Args;
use nix::errno::Errno;

const ACT: &str = "cannot get";

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  v=$(ipcx sem get $s -i 0)        one value, nothing else
  ipcx sem get $s                  a table of all of them
  ipcx sem get /slots --json | jq '.semaphores[0].waiting_for_increase'")]
pub struct GetArgs {
    #[command(flatten)]
    target: SemRef,

    /// Print the value of this semaphore alone
    #[arg(short, long, value_name = "INDEX", conflicts_with_all = ["json", "raw", "no_headings"])]
    index: Option<usize>,

    /// One JSON object
    #[arg(long, conflicts_with = "raw")]
    json: bool,

    /// Tab-separated
    #[arg(long)]
    raw: bool,

    /// No line of titles
    #[arg(long)]
    no_headings: bool,
}

type Member = Vec<(&'static str, Seen<Value>)>;

const fn column(key: &'static str) -> Field<Member> {
    Field {
        key,
        help: "",
        kinds: &[Kind::Sem],
        needs: Needs::CONTENTS,
        default: true,
        align: Align::Right,
        get: |member, key| {
            member.iter().find(|(known, _)| *known == key).map_or(Seen::Absent, |(_, value)| value.clone())
        },
    }
}

static FIELDS: &[Field<Member>] =
    &[column("index"), column("value"), column("waiting_for_increase"), column("waiting_for_zero"), column("last_pid")];

pub fn run(args: &GetArgs, ctx: &mut Context) -> Outcome {
    let object = inventory::find(&args.target.reference, Needs::CONTENTS).doing(ACT)?;
    let members = members(&object).doing(ACT)?;
    let out = &mut ctx.ui.out;
    if let Some(index) = args.index {
        let member = members.get(index).ok_or_else(|| {
            let cause = format!("it has no semaphore {index}; the last one is {}", members.len().saturating_sub(1));
            Error::refused(&args.target.reference, Status::NoSuch, cause).doing(ACT)
        })?;
        let value = (FIELDS[1].get)(member, "value");
        out.line(format_args!("{}", Style::new(true, TimeFormat::Unix).text(&value)))?;
    } else if args.json {
        let reference = Value::Phrase(object.reference.to_string());
        let list = Value::List(members.into_iter().map(Value::Record).collect());
        render::json_record(out, &[("ref", Seen::Is(reference)), ("semaphores", Seen::Is(list))])?;
    } else {
        let fields: Vec<&Field<Member>> = FIELDS.iter().collect();
        if args.raw {
            render::raw(out, &fields, &members, !args.no_headings, TimeFormat::Unix, 0)?;
        } else {
            let layout = Layout { headings: !args.no_headings, width: ctx.ui.width(), color: ctx.ui.color };
            render::table(&mut ctx.ui.out, &fields, &members, &Style::new(true, TimeFormat::Unix), layout)?;
        }
    }
    ctx.ui.out.flush_buffer()?;
    Ok(Status::Done)
}

fn members(object: &Object) -> crate::error::Result<Vec<Member>> {
    match object.facts.get("semaphores") {
        Some(Seen::Is(Value::List(list))) => Ok(list
            .iter()
            .filter_map(|value| match value {
                Value::Record(record) => Some(record.clone()),
                _ => None,
            })
            .collect()),
        Some(Seen::Hidden(reason)) => {
            let errno = Errno::from_raw(reason.errno);
            let error = Error::new(reason.call, errno, &object.reference);
            let cause = if errno == Errno::EBADMSG { "its file is no semaphore".to_owned() } else { describe(errno) };
            Err(error.because(cause))
        }
        _ => Ok(Vec::new()),
    }
}
