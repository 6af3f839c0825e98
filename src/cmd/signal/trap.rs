//! `ipcx signal trap`.

use crate::args::{signal as words, units};
use crate::cmd::{Context, Outcome, children};
use crate::error::{Error, ResultLost};
use crate::exit::Status;
use crate::model::{Field, Origin, Seen, Signal, SignalSet, Text, Value, Wait};
use crate::proc::find;
use crate::render::{self, Style, TimeFormat};
use crate::sys::child::{Child, Start};
use crate::sys::signal::{self, Arrived, real_time};
use crate::sys::users::Names;
use crate::sys::waiter::{self, Stop, Waiter};
use clap::Args;
use nix::errno::Errno;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

/// For how long the name of a sender is believed: many signals come from one, and it may execute
/// another program, or its pid be given out again.
const BELIEVED: Duration = Duration::from_millis(100);

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ipcx signal trap USR1 USR2
  ipcx signal trap TERM -n 1 --timeout 30s     one, or status 124
  ipcx signal trap RTMIN+1 -n 1000 --json | jq .value
  ipcx signal trap HUP --exec 'echo reload asked by $IPCX_SENDER_PID'
  ipcx signal trap CHLD WINCH INT

The signals are blocked before `waiting as pid N` is said on standard error: from then on
none is lost. Each is written before the next one is taken. The kernel queues every
real-time signal; a standard one that is pending already is not counted twice. Only for a
timer it tells how often it expired meanwhile (overrun).

origin is how it was sent: kill, sigqueue, tkill, timer, mq_notify, io, child, fault, or
kernel (as ^C). A sender may claim any pid with sigqueue; pid 0 is one that cannot be seen
from here, or for which the kernel's queue had no room. command is what has that pid when
the signal is taken; `-` and null mean that there is no such thing, or not any more. It
ends after N signals, at the timeout with status 124, and by TERM, INT or HUP unless that
one is trapped.")]
pub struct TrapArgs {
    /// Signals: USR1, SIGUSR1, 10, RTMIN+1; not KILL and STOP
    #[arg(value_name = "SIG", required = true, allow_negative_numbers = true, value_parser = words::blockable, add = words::names())]
    signals: Vec<Signal>,

    /// End after so many signals [default: no end]
    #[arg(short = 'n', long, value_name = "N", value_parser = units::count)]
    count: Option<u64>,

    /// Give up after this time with status 124: 500ms, 2s, 1m30s
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    timeout: Option<Duration>,

    /// One JSON object a line
    #[arg(long, conflicts_with = "exec")]
    json: bool,

    /// Run this by the shell for each of them, and print nothing
    ///
    /// It finds IPCX_SIGNAL, IPCX_SENDER_PID and IPCX_VALUE in its environment, empty where there is
    /// no such thing. Signals that come meanwhile stay queued. If it fails, that is said, and the
    /// next signal is taken.
    #[arg(long, value_name = "CMD")]
    exec: Option<OsString>,
}

/// A signal as it is shown.
struct Row {
    arrived: Arrived,
    label: Text,
    command: Option<Text>,
    user: Option<Text>,
}

fn origin(origin: Origin) -> Value {
    match origin {
        Origin::Code(code) => Value::Phrase(format!("code {code}")),
        origin => Value::Word(origin.word().unwrap_or_default()),
    }
}

/// The JSON of a signal.
static FIELDS: [Field<Row>; 9] = [
    Field::plain("signal", |row, _| Seen::Is(Value::Text(row.label.clone()))),
    Field::plain("number", |row, _| Seen::Is(Value::Int(row.arrived.signal.0.into()))),
    Field::plain("pid", |row, _| row.arrived.pid.map(Value::Pid).into()),
    Field::plain("command", |row, _| row.command.clone().map(Value::Text).into()),
    Field::plain("uid", |row, _| row.arrived.uid.map(|uid| Value::Count(uid.into())).into()),
    Field::plain("user", |row, _| row.user.clone().map(Value::Text).into()),
    Field::plain("value", |row, _| row.arrived.value.map(|value| Value::Int(value.into())).into()),
    Field::plain("origin", |row, _| Seen::Is(origin(row.arrived.origin))),
    Field::plain("overrun", |row, _| row.arrived.overrun.map(|overrun| Value::Int(overrun.into())).into()),
];

/// The fields of a line, behind the name of the signal; the command last, for it may hold blanks.
const LINE: [&str; 5] = ["origin", "pid", "user", "value", "command"];

struct Form {
    style: Style,
    json: bool,
    fields: Vec<&'static Field<Row>>,
    line: Vec<&'static Field<Row>>,
    text: String,
    bytes: Vec<u8>,
}

impl Form {
    fn new(json: bool) -> Form {
        let line = LINE.iter().filter_map(|key| FIELDS.iter().find(|field| field.key == *key));
        Form {
            style: Style::new(true, TimeFormat::Unix),
            json,
            fields: FIELDS.iter().collect(),
            line: line.collect(),
            text: String::new(),
            bytes: Vec::new(),
        }
    }

    /// One line, with its newline.
    fn write(&mut self, row: &Row) -> std::io::Result<&[u8]> {
        self.bytes.clear();
        if self.json {
            render::json_line(&mut self.bytes, &self.fields, row)?;
            return Ok(&self.bytes);
        }
        self.text.clear();
        self.style.write(&mut self.text, &Seen::Is(Value::Text(row.label.clone())));
        for field in &self.line {
            self.text.push(' ');
            self.text.push_str(field.key);
            self.text.push('=');
            self.style.write(&mut self.text, &field.value(row));
            if field.key == "value"
                && let Some(overrun) = row.arrived.overrun
            {
                self.text.push_str(&format!(" overrun={overrun}"));
            }
        }
        self.text.push('\n');
        Ok(self.text.as_bytes())
    }
}

/// The names of those who sent something.
#[derive(Default)]
struct Senders {
    users: Names,
    last: Option<(i32, Instant, Option<Text>)>,
}

impl Senders {
    fn command(&mut self, pid: i32) -> Option<Text> {
        match &self.last {
            Some((known, at, command)) if *known == pid && at.elapsed() < BELIEVED => command.clone(),
            _ => {
                let command = if pid > 0 { find::comm(pid) } else { None };
                self.last = Some((pid, Instant::now(), command.clone()));
                command
            }
        }
    }
}

pub fn run(args: &TrapArgs, ctx: &mut Context) -> Outcome {
    let set: SignalSet = args.signals.iter().copied().collect();
    let failed = |call, errno| Error::new(call, errno, names(set));
    signal::block(set).map_err(|errno| failed("rt_sigprocmask", errno).doing("cannot block"))?;
    waiter::leave(set);
    let waiter = Waiter::new(Wait::within(args.timeout));
    if args.exec.is_none() {
        // Nothing is taken if there is no place for it.
        ctx.ui.out.payload(b"").map_err(|(_, failed)| anyhow::Error::from(failed).context(ResultLost))?;
    }
    ctx.ui.note(format_args!("waiting as pid {}", std::process::id()));
    let labels: Vec<(Signal, Text)> =
        set.iter().map(|signal| (signal, Text::from(signal.label(real_time()).as_str()))).collect();
    let (mut senders, mut form) = (Senders::default(), Form::new(args.json));
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut child = None;
    while left > 0 {
        // The timer of the waiter has no effect while signals come in without a pause.
        let taken = if waiter.over() && left < args.count.unwrap_or(u64::MAX) {
            Err(Stop::TimedOut)
        } else {
            waiter.run(|| signal::take(set, waiter.left()))
        };
        let arrived = match taken {
            Ok(arrived) => arrived,
            // Without a count the timeout is how it is to end.
            Err(Stop::TimedOut) if args.count.is_none() => return Ok(Status::TimedOut),
            Err(Stop::TimedOut) => {
                return Err(failed("sigtimedwait", Errno::ETIMEDOUT).because("timed out").doing("cannot trap"));
            }
            Err(Stop::Signal(signal)) => return Ok(Status::Signal(signal)),
            Err(Stop::Errno(errno)) => return Err(failed("sigtimedwait", errno).doing("cannot trap")),
        };
        // The end of a command that we ran ourselves is not what anybody waits for.
        if arrived.origin == Origin::Child && arrived.pid == child {
            continue;
        }
        left -= 1;
        let label = labels.iter().find(|(signal, _)| *signal == arrived.signal).map(|(_, label)| label.clone());
        let label = label.unwrap_or_else(|| Text::from(arrived.signal.0.to_string().as_str()));
        if let Some(line) = &args.exec {
            match execute(line, &label, arrived, &waiter, ctx) {
                Ok(pid) => child = pid,
                Err(ended) => return Ok(ended),
            }
            continue;
        }
        let row = Row {
            label,
            command: arrived.pid.and_then(|pid| senders.command(pid)),
            user: arrived.uid.map(|uid| senders.users.user(uid)),
            arrived,
        };
        let line = form.write(&row)?;
        if let Err((written, failed)) = ctx.ui.out.payload(line) {
            let part =
                if written > 0 { format!(", although {written} bytes of it were written") } else { String::new() };
            ctx.ui.warn(format_args!("a signal was taken and could not be written{part}; here it is:"));
            ctx.ui.last_line(format_args!("{}", String::from_utf8_lossy(line).trim_end()));
            return Err(anyhow::Error::from(failed).context(ResultLost));
        }
    }
    Ok(Status::Done)
}

fn names(set: SignalSet) -> String {
    set.iter().map(|signal| signal.label(real_time())).collect::<Vec<_>>().join(" ")
}

/// Runs the command for one signal and waits for its end. Its pid, or how all ends.
fn execute(
    line: &OsString,
    label: &Text,
    arrived: Arrived,
    waiter: &Waiter,
    ctx: &Context,
) -> Result<Option<i32>, Status> {
    let text = |number: Option<i32>| number.map(|number| number.to_string()).unwrap_or_default();
    let variables = [
        ("IPCX_SIGNAL", String::from_utf8_lossy(label.raw()).into_owned()),
        ("IPCX_SENDER_PID", text(arrived.pid)),
        ("IPCX_VALUE", text(arrived.value)),
    ];
    let argv = ["sh".into(), "-c".into(), line.clone()];
    let start = Start { argv: &argv, variables: &variables, ..Start::default() };
    let mut child = match Child::start(start) {
        Ok(child) => child,
        Err(errno) => {
            ctx.ui.warn(format_args!("the command could not be run for {}: {errno:?}", label.escaped()));
            return Ok(None);
        }
    };
    let ended = children::attend(&mut child, waiter).map(|(ended, _)| ended);
    // A signal that was handed to the command was for us.
    waiter::put_back();
    match ended {
        Ok(None) => return Err(Status::TimedOut),
        Ok(Some(ended)) if ended.success() => {}
        Ok(Some(ended)) => {
            let how = match (ended.code(), ended.signal()) {
                (Some(code), _) => format!("status {code}"),
                (None, signal) => Signal(signal.unwrap_or(0)).label(real_time()),
            };
            ctx.ui.warn(format_args!("the command for {} ended with {how}", label.escaped()));
        }
        Err(errno) => ctx.ui.warn(format_args!("the end of the command could not be waited for: {errno:?}")),
    }
    Ok(Some(child.pid))
}
