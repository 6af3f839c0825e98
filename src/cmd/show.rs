//! `ipcx show`: everything that is known of an object.

use super::ls::say;
use super::{Context, Outcome};
use crate::args::Refs;
use crate::error::Doing as _;
use crate::exit::Status;
use crate::inspect::Scene;
use crate::inventory::{self, Holders, columns};
use crate::model::{Kind, Needs};
use crate::render::{self, Document, Layout, Style, TimeFormat};
use clap::Args;

/// The general help, or that of a noun to which it does not apply.
fn help(noun: Option<Kind>) -> &'static str {
    noun.and_then(super::nouns::of).map_or(HELP, |texts| texts.show)
}

const HELP: &str = "\
Examples:
  ipcx show msgq/65536 shm//frames
  ipcx show --json sem/0 | jq '.objects[0].semaphores'
  ipcx show -b --time-format iso shm/0x4d2
  ipcx show --attach shm/0x4d2           its first bytes, too

A recorded process is `same` (it has run since before it was recorded), `probable`
(so it seems, but the time of the record may have moved since), `reused` (another
process has the pid now), `gone`, or `unknown` (it is in another pid namespace).";

#[derive(Args, Debug)]
#[command(after_help = help(R::KIND))]
pub struct ShowArgs<R: Refs> {
    #[command(flatten)]
    refs: R,

    /// Attach System V segments to show their first bytes
    ///
    /// It is the only way to look inside one, and it becomes the last attach and detach in every
    /// later look: who used it last is then no longer known.
    #[arg(long, hide = R::KIND.is_some_and(|kind| kind != Kind::Shm))]
    attach: bool,

    /// One JSON document
    #[arg(long, conflicts_with = "jsonl")]
    json: bool,

    /// One JSON object a line
    #[arg(long)]
    jsonl: bool,

    /// Sizes in bytes
    #[arg(short, long)]
    bytes: bool,

    /// How times look
    #[arg(long, value_name = "FORMAT", default_value = "relative")]
    time_format: TimeFormat,
}

pub fn run<R: Refs>(args: &ShowArgs<R>, ctx: &mut Context) -> Outcome {
    let style = Style::new(args.bytes, args.time_format);
    let layout = Layout { headings: true, width: ctx.ui.width(), color: ctx.ui.color };
    let mut status = Status::Done;
    let mut objects = Vec::new();
    let needs = if args.attach { Needs::ALL.and(Needs::ATTACH) } else { Needs::ALL };
    let holders = Holders::new(needs);
    let scene = Scene::new(&holders);
    let mut gaps = Vec::new();
    for reference in args.refs.list() {
        match inventory::look(reference, needs, &scene).doing("cannot show") {
            Ok((object, unseen)) => {
                objects.push(object);
                gaps.extend(unseen);
            }
            Err(error) => {
                let failed = ctx.ui.report(&error);
                status = if status == Status::Done { failed } else { status };
            }
        }
    }
    gaps.extend(scene.gaps());
    let out = &mut ctx.ui.out;
    if args.json {
        let mut document = Document::begin(out)?;
        for object in &objects {
            document.rows(&columns::all(&[object.kind()]), std::slice::from_ref(object))?;
        }
        document.gaps(gaps.clone());
        document.end()?;
    } else {
        for (at, object) in objects.iter().enumerate() {
            let mut fields = columns::all(&[object.kind()]);
            if args.jsonl {
                render::json_line(out, &fields, object)?;
                continue;
            }
            // Of what only descriptors lead to they are the processes, once more.
            fields.retain(|field| field.key != "holders" || Kind::LASTING.contains(&object.kind()));
            if at > 0 {
                out.line(format_args!(""))?;
            }
            render::page(out, &object.reference.to_string(), &fields, object, &style, layout)?;
        }
    }
    out.flush_buffer()?;
    say(&gaps, ctx);
    Ok(status)
}
