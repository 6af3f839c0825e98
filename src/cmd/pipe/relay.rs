//! Standard input to standard output, with its progress.

use super::lines::{Rate, bar};
use super::{PipeArgs, Report, closed_stdout};
use crate::cmd::{Context, Outcome};
use crate::error::{Error, StdoutFailed};
use crate::exit::Status;
use crate::model::{Seen, Value, Wait};
use crate::render::text::count;
use crate::render::{self, Style, TimeFormat};
use crate::sys::buffer::Buffer;
use crate::sys::waiter::{self, Stop, Waiter};
use crate::sys::{file, pipe, stdio};
use crate::ui::Meter;
use nix::errno::Errno;
use std::time::{Duration, Instant};

/// How much is moved or copied at once: what a pipe holds that we have widened.
const CHUNK: usize = 1 << 20;
/// A relay that is over sooner needs no meter.
const METER_AFTER: Duration = Duration::from_millis(300);
const PAINT_EVERY: Duration = Duration::from_millis(200);
/// With a limit, bytes go in so many portions a second.
const PORTIONS: u64 = 20;
/// How much of the time that was lost by waiting for others may be made up for.
const ARREARS: Duration = Duration::from_millis(500);

pub fn run(args: &PipeArgs, report: Report, ctx: &mut Context) -> Outcome {
    if stdio::was_closed(0) {
        return Err(Error::new("read", Errno::EBADF, "standard input").because("it is closed").doing("cannot read"));
    }
    if stdio::was_closed(1) {
        return Err(closed_stdout());
    }
    // On the terminal that the bytes go to, it would stand between them.
    let meter = ctx.ui.meter(args.meter).filter(|meter| !(meter.on_terminal() && ctx.ui.terminal));
    let waiter = Waiter::new(Wait::within(args.timeout));
    // What goes into a file or to a device is copied there in any case. Read from the pipe instead of moved out of
    // it, its pages stay with the writer, which fills the same few again and again: faster than to make new ones.
    let way = if file::copies(stdio::stdout()) && !file::copies(stdio::stdin()) { Way::Copy } else { Way::Splice };
    stdio::widen(stdio::stdin());
    ctx.ui.out.widen();
    let mut relay = Relay {
        done: 0,
        dropped: 0,
        size: args.size.or_else(|| file::left(stdio::stdin())),
        started: Instant::now(),
        painted: Instant::now(),
        recent: Rate::since_now(),
        meter,
        limit: args.rate.map(Limit::new),
        way,
        buffer: None,
        waiter,
    };
    let ended = relay.flow();
    if relay.meter.take().is_some() {
        // What was shown last stays, as a record.
        ctx.ui.note(format_args!("{}", relay.line().trim_end()));
    }
    if relay.dropped > 0 {
        let dropped = count(relay.dropped as u64, "byte", "bytes");
        ctx.ui.warn(format_args!("{dropped} had been read and could not be written any more"));
    }
    if report.wanted {
        let text = relay.report(report.json);
        let status = *ended.as_ref().unwrap_or(&Status::Failed);
        let status = report.write(&text, status, ctx);
        return ended.map(|_| status);
    }
    ended
}

struct Relay {
    done: u64,
    /// How many bytes were read and could not be written before it had to end.
    dropped: usize,
    /// How many bytes there will be.
    size: Option<u64>,
    started: Instant,
    painted: Instant,
    recent: Rate,
    meter: Option<Meter>,
    limit: Option<Limit>,
    way: Way,
    /// For bytes that have to be copied.
    buffer: Option<Buffer>,
    waiter: Waiter,
}

/// How bytes get from one side to the other; what one way cannot do, the next one can.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// splice(2), where one side is a pipe.
    Splice,
    /// sendfile(2), from a file.
    Send,
    /// read(2) and write(2).
    Copy,
}

/// The ways in which a relay ends early.
enum Failure {
    Stop(Stop),
    Stdout(Errno),
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Failure {
        Failure::Stop(stop)
    }
}

impl Relay {
    /// Moves everything.
    fn flow(&mut self) -> Outcome {
        loop {
            match self.step() {
                // A signal may have ended the input as well; then it is no end.
                Ok(0) if waiter::caught().is_none() => return Ok(Status::Done),
                Ok(_) => {}
                Err(Failure::Stdout(errno)) => return Err(StdoutFailed(errno).into()),
                Err(Failure::Stop(Stop::TimedOut)) => return Err(self.ended(Status::TimedOut, "timed out")),
                Err(Failure::Stop(Stop::Signal(signal))) => {
                    return Err(self.ended(Status::Signal(signal), "interrupted"));
                }
                Err(Failure::Stop(Stop::Errno(errno))) => {
                    return Err(Error::new("read", errno, "standard input").doing("cannot read"));
                }
            }
        }
    }

    /// Why it ended before its input did.
    fn ended(&self, status: Status, how: &str) -> anyhow::Error {
        Error::refused("", status, format!("{how} after {}", count(self.done, "byte", "bytes"))).into()
    }

    fn step(&mut self) -> Result<usize, Failure> {
        let (input, output) = (stdio::stdin(), stdio::stdout());
        loop {
            let length = self.limit.as_ref().map_or(CHUNK, |limit| limit.portion.min(CHUNK));
            if self.limit.is_some() {
                self.pace()?;
            }
            if self.meter.is_some() {
                // The meter goes on while nothing comes in or nothing can go out.
                self.ready()?;
            }
            let moved = match self.way {
                Way::Splice => self.waiter.run(|| pipe::splice(input, output, length, true)),
                Way::Send => self.waiter.run(|| file::send(output, input, None, length)),
                Way::Copy => return self.copy(length),
            };
            match moved {
                Err(Stop::Errno(Errno::EPIPE)) => return Err(Failure::Stdout(Errno::EPIPE)),
                Err(Stop::Errno(Errno::EAGAIN)) => self.ready()?,
                // It cannot be done in this way.
                Err(Stop::Errno(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP | Errno::ESPIPE)) => {
                    self.way = if self.way == Way::Splice { Way::Send } else { Way::Copy };
                }
                // A socket tells what has happened to it once, and to the next who asks it only that it is at
                // its end. Of two sockets we cannot say which one it was; to have lost bytes is worse.
                Err(Stop::Errno(errno)) if file::is_socket(output) => return Err(Failure::Stdout(errno)),
                Err(Stop::Errno(errno)) if file::is_socket(input) => return Err(Stop::Errno(errno).into()),
                // One side fails: copying tells which.
                Err(Stop::Errno(_)) => self.way = Way::Copy,
                moved => {
                    let moved = moved?;
                    self.done += moved as u64;
                    return Ok(moved);
                }
            }
        }
    }

    fn copy(&mut self, length: usize) -> Result<usize, Failure> {
        let mut buffer = self.buffer.take().unwrap_or_else(|| Buffer::new(CHUNK));
        let copied = self.copy_through(&mut buffer[..length]);
        self.buffer = Some(buffer);
        copied
    }

    fn copy_through(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        let got = loop {
            match self.waiter.run(|| nix::unistd::read(stdio::stdin(), buffer)) {
                Err(Stop::Errno(Errno::EAGAIN)) => self.ready()?,
                got => break got?,
            }
        };
        let mut done = 0;
        while done < got {
            match self.waiter.run(|| nix::unistd::write(stdio::stdout(), &buffer[done..got])) {
                Ok(0) => return Err(Failure::Stdout(Errno::EIO)),
                Ok(written) => {
                    done += written;
                    self.done += written as u64;
                }
                Err(Stop::Errno(Errno::EAGAIN)) => self.ready_out()?,
                Err(Stop::Errno(errno)) => return Err(Failure::Stdout(errno)),
                Err(stop) => {
                    self.dropped = got - done;
                    return Err(stop.into());
                }
            }
        }
        Ok(got)
    }

    /// Waits until something has come in and something can go out.
    fn ready(&mut self) -> Result<(), Failure> {
        while !self.waiter.run(|| stdio::readable_within(stdio::stdin(), PAINT_EVERY))? {
            self.paint();
        }
        self.ready_out()?;
        self.paint();
        Ok(())
    }

    fn ready_out(&mut self) -> Result<(), Failure> {
        while !self.waiter.run(|| stdio::writable_within(stdio::stdout(), PAINT_EVERY))? {
            self.paint();
        }
        Ok(())
    }

    /// Waits until the bytes that went are due.
    fn pace(&mut self) -> Result<(), Failure> {
        loop {
            let left = self.limit.as_mut().map_or(Duration::ZERO, |limit| limit.left(self.done));
            if left.is_zero() {
                return Ok(());
            }
            let until = Instant::now() + left.min(PAINT_EVERY);
            self.waiter.run(|| stdio::sleep(until.saturating_duration_since(Instant::now())))?;
            self.paint();
        }
    }

    fn paint(&mut self) {
        if self.meter.is_none() || self.started.elapsed() < METER_AFTER || self.painted.elapsed() < PAINT_EVERY {
            return;
        }
        self.painted = Instant::now();
        let (line, recent) = (self.line(), self.recent.update(Some(self.done)));
        let recent = recent.map_or_else(String::new, |rate| format!("{}/s now", size(rate)));
        if let Some(meter) = &mut self.meter {
            meter.paint(&[format!("{line}{recent}")]);
        }
    }

    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn line(&self) -> String {
        let elapsed = self.started.elapsed();
        let mut line = format!("{:>7}  {}  {}/s on average  ", size(self.done), clock(elapsed), size(self.rate()));
        if let Some(all) = self.size.filter(|all| *all > 0) {
            let share = self.done as f64 / all as f64;
            if let Some(meter) = &self.meter {
                line.push_str(&bar(Some(share.min(1.0)), meter.unicode));
                line.push(' ');
            }
            line.push_str(&format!("{:.0}%  ", share * 100.0));
            if self.done > 0 && self.done < all {
                let left = elapsed.as_secs_f64() * (all - self.done) as f64 / self.done as f64;
                let left = Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX);
                line.push_str(&format!("{} left  ", clock(left)));
            }
        }
        line
    }

    /// Bytes a second since the start.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn rate(&self) -> u64 {
        (self.done as f64 / self.started.elapsed().as_secs_f64().max(1e-6)) as u64
    }

    fn report(&self, json: bool) -> Vec<u8> {
        let elapsed = self.started.elapsed();
        if json {
            let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
            let facts = [
                ("version", Seen::Is(Value::Count(1))),
                ("bytes", Seen::Is(Value::Size(self.done))),
                ("elapsed_ms", Seen::Is(Value::Count(millis))),
                ("rate", Seen::Is(Value::Size(self.rate()))),
                ("size", self.size.map(Value::Size).into()),
            ];
            let mut text = Vec::new();
            // Writing into memory cannot fail.
            drop(render::json_record(&mut text, &facts));
            return text;
        }
        let (bytes, seconds) = (count(self.done, "byte", "bytes"), elapsed.as_secs_f64());
        format!("{bytes} in {seconds:.2}s, {}/s\n", size(self.rate())).into_bytes()
    }
}

fn size(bytes: u64) -> String {
    Style { bytes: false, times: TimeFormat::Unix, now: 0 }.text(&Seen::Is(Value::Size(bytes)))
}

/// `4:05`, `1:00:09`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// A number of bytes a second that is kept on average. What was not used is used later, up to a point.
struct Limit {
    rate: u64,
    /// How many bytes go at once.
    portion: usize,
    /// The moment from which the rate is counted.
    since: Instant,
}

impl Limit {
    fn new(rate: u64) -> Limit {
        let portion = usize::try_from(rate / PORTIONS).unwrap_or(usize::MAX).max(1);
        Limit { rate, portion, since: Instant::now() }
    }

    /// The time until so many bytes are due.
    #[allow(clippy::cast_precision_loss)]
    fn left(&mut self, done: u64) -> Duration {
        let due = done as f64 / self.rate as f64;
        let due = Duration::try_from_secs_f64(due).unwrap_or(Duration::MAX);
        let elapsed = self.since.elapsed();
        if let Some(late) = elapsed.checked_sub(due).filter(|late| *late > ARREARS) {
            // Time that was lost is not made up for in one go.
            self.since += late - ARREARS;
        }
        due.saturating_sub(elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_lets_go_what_is_due_and_keeps_little_of_what_was_not_used() {
        let mut limit = Limit::new(1000);
        assert_eq!(limit.portion, 50);
        assert_eq!(limit.left(0), Duration::ZERO);
        assert!(limit.left(500) > Duration::from_millis(100));
        // Ten seconds in which nothing came: no more than half a second of them is made up for.
        limit.since = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        assert_eq!(limit.left(0), Duration::ZERO);
        assert_eq!(limit.left(300), Duration::ZERO);
        assert!(limit.left(2000) > Duration::from_secs(1));
        assert_eq!(Limit::new(1).portion, 1);
    }

    #[test]
    fn times_have_minutes_and_hours_when_there_are_some() {
        assert_eq!(clock(Duration::from_secs(5)), "0:05");
        assert_eq!(clock(Duration::from_secs(3609)), "1:00:09");
    }
}
