//! `ipcx limits`: every limit, how much of it is used, and what sets it.

use super::{Context, Outcome};
use crate::args::listing::{FormArgs, NamespaceArgs, nouns};
use crate::error::Doing as _;
use crate::exit::Status;
use crate::inventory::namespaces::{self, Within};
use crate::mech::{self, LIMITED, Limit};
use crate::model::{Align, Field, Seen, Value};
use crate::render::{self, Document, Layout};
use clap::Args;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx limits
  ipcx limits --warn 80 || echo 'IPC is running out'
  ipcx limits sem --json
  ipcx limits pipe signal
  ipcx limits --all-namespaces       those of all containers, too

The limits are those of this IPC and network namespace and of the calling user. A POSIX
queue costs its owner maxmsg*(msgsize+96) bytes of RLIMIT_MSGQUEUE, empty or not. SHMALL
counts pages, each segment rounded up. The pages of pipes are added up over the pipes and
FIFOs of this user that processes have open; they do not bind root. `ipcx explain` names
the limit behind an error. With --all-namespaces the limits of a /dev/shm stand with the
first namespace that has it, and those of a user (ulimit) once for all.")]
pub struct LimitsArgs {
    /// Kinds whose limits to show; all of them by default
    #[arg(value_name = "KIND", value_parser = nouns(LIMITED))]
    kinds: Vec<&'static str>,

    /// Status 1 if more than this share of a limit is used, and name it
    #[arg(long, value_name = "PCT", value_parser = percent)]
    warn: Option<f64>,

    #[command(flatten)]
    namespaces: NamespaceArgs,

    #[command(flatten)]
    form: FormArgs,

    /// Sizes in bytes
    #[arg(short, long)]
    bytes: bool,
}

/// A share from 0 to 100, with or without its sign.
pub fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok();
    number
        .filter(|percent| (0.0..=100.0).contains(percent))
        .ok_or_else(|| format!("`{text}` is no percentage from 0 to 100"))
}

/// A limit, in an IPC namespace.
type Row = Within<Limit>;

static FIELDS: &[Field<Row>] = &[
    Field::aligned("namespace", Align::Right, |limit, _| limit.namespace.clone().map(Value::Count)),
    Field::aligned("container", Align::Left, |limit, _| limit.container.clone().map(Value::Text)),
    Field::aligned("kind", Align::Left, |limit, _| Seen::Is(Value::Word(limit.noun))),
    Field {
        default: false,
        ..Field::aligned("family", Align::Left, |limit, _| Seen::Is(Value::Word(limit.family.word())))
    },
    Field::aligned("name", Align::Left, |limit, _| Seen::Is(Value::Word(limit.name))),
    Field::aligned("used", Align::Right, |limit, _| limit.amount(&limit.used)),
    Field::aligned("limit", Align::Right, |limit, _| limit.amount(&limit.limit)),
    Field::aligned("percent", Align::Right, |limit, _| {
        limit.percent().map_or(Seen::Absent, |percent| Seen::Is(Value::Percent(percent)))
    }),
    Field {
        default: false,
        ..Field::aligned("unit", Align::Left, |limit, _| Seen::Is(Value::Word(limit.unit.word())))
    },
    Field::aligned("setting", Align::Left, |limit, _| Seen::Is(Value::Word(limit.setting))),
    Field::aligned("help", Align::Left, |limit, _| Seen::Is(Value::Word(limit.help))),
];

pub fn run(args: &LimitsArgs, ctx: &mut Context) -> Outcome {
    let wanted = |noun: &str| args.kinds.is_empty() || args.kinds.contains(&noun);
    let which = args.namespaces.which();
    let (limits, gaps) = match which {
        Some(which) => namespaces::limits(which, wanted).doing("cannot look into other namespaces:")?,
        None => (mech::limits(wanted).into_iter().map(Within::here).collect(), Vec::new()),
    };
    let tells_where = |field: &Field<Row>| matches!(field.key, "namespace" | "container");
    let fields: Vec<&Field<Row>> = FIELDS.iter().filter(|field| which.is_some() || !tells_where(field)).collect();
    let style = render::Style::new(args.bytes, render::TimeFormat::Unix);
    let layout = Layout { headings: !args.form.no_headings, width: ctx.ui.width(), color: ctx.ui.color };
    let out = &mut ctx.ui.out;
    if args.form.json {
        let mut document = Document::begin(out)?;
        document.gaps(gaps.clone());
        document.rows(&fields, &limits)?;
        document.end()?;
    } else if args.form.jsonl {
        limits.iter().try_for_each(|limit| render::json_line(out, &fields, limit))?;
    } else if args.form.raw {
        render::raw(out, &fields, &limits, !args.form.no_headings, render::TimeFormat::Unix, 0)?;
    } else {
        // Family and unit are plain from the name and the help.
        let fields: Vec<&Field<Row>> = fields.into_iter().filter(|field| field.default).collect();
        render::table(out, &fields, &limits, &style, layout)?;
    }
    out.flush_buffer()?;
    if !args.form.json {
        super::ls::say(&gaps, ctx);
    }
    let Some(warn) = args.warn else { return Ok(Status::Done) };
    let mut status = Status::Done;
    for limit in &limits {
        if let Some(share) = limit.percent().filter(|share| *share > warn) {
            let (used, most) = (style.text(&limit.amount(&limit.used)), style.text(&limit.amount(&limit.limit)));
            let place = limit.namespace.known().map(|inode| format!(" in IPC namespace {inode}")).unwrap_or_default();
            ctx.ui.warn(format_args!(
                "{}{place} is {share:.1}% used: {used} of {most}; set by {}",
                limit.name, limit.setting
            ));
            status = Status::Failed;
        }
        // Of a limit of one object nothing is used up.
        if limit.used == Seen::Absent {
            continue;
        }
        for (part, number) in [("use", &limit.used), ("value", &limit.limit)] {
            if let Seen::Hidden(reason) = number {
                let errno = nix::errno::Errno::from_raw(reason.errno);
                ctx.ui
                    .warn(format_args!("the {part} of {} could not be seen ({}: {errno:?})", limit.name, reason.call));
            }
        }
    }
    Ok(status)
}
