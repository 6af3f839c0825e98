//! Which processes a signal is for, and the table of them.

use super::process::Process;
use crate::args::signal::Target;
use crate::cmd::Context;
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::model::{Align, Escaped, Field, Seen, Text, Value};
use crate::proc::{find, process, processes, status};
use crate::render::{self, Document, Layout, Style, TimeFormat};
use crate::sys::users::Names;
use regex_lite::Regex;

/// What names of processes, or whole command lines, are compared with.
pub struct Pattern<'a> {
    pub regex: &'a Regex,
    pub full: bool,
}

impl Pattern<'_> {
    fn hits(&self, pid: i32) -> bool {
        let Some(name) = find::name(pid) else { return false };
        let text = if self.full { process::command(pid, name.raw()) } else { name };
        self.regex.is_match(&String::from_utf8_lossy(text.raw()))
    }
}

/// Every process whose name has the pattern, but for ourselves and our ancestors: a script that names
/// the pattern would hit itself.
pub fn matching(pattern: &Pattern<'_>) -> Result<Vec<Process>> {
    let ours = find::ancestry();
    let pids = processes::pids().map_err(|errno| Error::new("opendir", errno, "/proc"))?;
    let mut found = Vec::new();
    for pid in pids.into_iter().filter(|pid| !ours.contains(pid) && pattern.hits(*pid)) {
        // It may have ended, and its pid have gone to another one, until we hold it; what we hold and
        // has not ended is the one that is looked at now. A zombie has ended.
        let Ok(process) = Process::open(Target { pid, inode: None }) else { continue };
        if pattern.hits(pid) && process.fd.ended() == Ok(false) {
            found.push(process);
        }
    }
    if found.is_empty() {
        let object = Escaped(pattern.regex.as_str().as_bytes()).to_string();
        return Err(Error::refused(object, Status::NoSuch, "no process has such a name"));
    }
    Ok(found)
}

struct Row {
    pid: i32,
    reference: String,
    uid: Option<u32>,
    user: Option<Text>,
    command: Text,
}

static FIELDS: [Field<Row>; 5] = [
    Field::aligned("pid", Align::Right, |row, _| Seen::Is(Value::Pid(row.pid))),
    Field::aligned("ref", Align::Left, |row, _| Seen::Is(Value::Phrase(row.reference.clone()))),
    Field {
        default: false,
        ..Field::aligned("uid", Align::Right, |row, _| row.uid.map(|uid| Value::Count(uid.into())).into())
    },
    Field::aligned("user", Align::Left, |row, _| row.user.clone().map(Value::Text).into()),
    Field::aligned("command", Align::Left, |row, _| Seen::Is(Value::Text(row.command.clone()))),
];

/// Lists processes instead of sending them anything.
pub fn list(processes: &[Process], json: bool, ctx: &mut Context) -> anyhow::Result<()> {
    let mut names = Names::default();
    let rows: Vec<Row> = processes
        .iter()
        .map(|process| {
            let uid = status::read(process.pid).ok().and_then(|status| status.uid);
            Row {
                pid: process.pid,
                reference: process.reference(),
                uid,
                user: uid.map(|uid| names.user(uid)),
                command: process.command(),
            }
        })
        .collect();
    let layout = Layout { headings: true, width: ctx.ui.width(), color: ctx.ui.color };
    let out = &mut ctx.ui.out;
    if json {
        let mut document = Document::begin(out)?;
        document.rows(&FIELDS.iter().collect::<Vec<_>>(), &rows)?;
        document.end()?;
    } else {
        let fields: Vec<&Field<Row>> = FIELDS.iter().filter(|field| field.default).collect();
        render::table(out, &fields, &rows, &Style::new(true, TimeFormat::Unix), layout)?;
    }
    out.flush_buffer()?;
    Ok(())
}
