//! One value as text. "0", "there is none" and "may not be seen" look different: `0`, `-`, `?`.

use crate::model::{End, Seen, Value};
use clap::ValueEnum;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fmt::Write as _;
use std::time::Duration;

/// How times look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum TimeFormat {
    /// How long ago: 5m, 2h, 3d.
    Relative,
    /// Local date and time with the offset.
    Iso,
    /// Seconds since 1970.
    Unix,
}

/// How values look.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Exact sizes in bytes.
    pub bytes: bool,
    pub times: TimeFormat,
    /// The present, for relative times.
    pub now: i64,
}

impl Style {
    pub fn new(bytes: bool, times: TimeFormat) -> Style {
        Style { bytes, times, now: Timestamp::now().as_second() }
    }

    /// Appends a value as a person reads it, escaped.
    pub fn write(&self, into: &mut String, value: &Seen<Value>) {
        match value {
            Seen::Is(value) => self.known(into, value),
            Seen::Absent | Seen::Skipped => into.push('-'),
            Seen::Hidden(_) => into.push('?'),
        }
    }

    pub fn text(&self, value: &Seen<Value>) -> String {
        let mut text = String::new();
        self.write(&mut text, value);
        text
    }

    fn known(&self, into: &mut String, value: &Value) {
        let mut digits = itoa::Buffer::new();
        match value {
            // A limit that nothing can reach; the kernel's own default for some is just below 2⁶⁴.
            Value::Count(n) | Value::Size(n) if !self.bytes && *n >= 1 << 62 => into.push_str("unlimited"),
            Value::Count(n) => into.push_str(digits.format(*n)),
            Value::Int(n) => into.push_str(digits.format(*n)),
            Value::Pid(pid) => into.push_str(digits.format(*pid)),
            Value::Duration(time) => duration(into, *time),
            Value::Size(n) if self.bytes || *n < 1024 => into.push_str(digits.format(*n)),
            Value::Size(n) => size(into, *n),
            Value::Ref(kind, id) => {
                into.push_str(kind.noun());
                into.push('/');
                into.push_str(digits.format(*id));
            }
            Value::Key(key) => hex(into, key.cast_unsigned(), 8),
            Value::Mode(mode) => octal(into, *mode),
            Value::Time(at) => self.time(into, *at),
            Value::Percent(percent) => drop(write!(into, "{percent:.1}%")),
            Value::Flag(yes) => into.push_str(if *yes { "yes" } else { "no" }),
            Value::Word(word) => into.push_str(word),
            Value::Phrase(phrase) => into.push_str(phrase),
            Value::Text(text) => drop(write!(into, "{}", text.escaped())),
            Value::List(list) => {
                for (at, value) in list.iter().enumerate() {
                    into.push_str(if at == 0 { "" } else { "; " });
                    self.known(into, value);
                }
                if list.is_empty() {
                    into.push('-');
                }
            }
            Value::End(end) => self::end(into, end),
            Value::Hold(hold) => self::end(into, &hold.end),
            Value::Blocked(blocked) => {
                let _ = write!(into, "{},{},{}", blocked.task.pid, blocked.task.command.escaped(), blocked.call);
            }
            Value::Record(record) => {
                for (at, (key, value)) in record.iter().enumerate() {
                    into.push_str(if at == 0 { "" } else { " " });
                    into.push_str(key);
                    into.push('=');
                    self.write(into, value);
                }
            }
        }
    }

    fn time(&self, into: &mut String, at: i64) {
        match self.times {
            TimeFormat::Unix => into.push_str(itoa::Buffer::new().format(at)),
            TimeFormat::Relative => relative(into, self.now.saturating_sub(at)),
            TimeFormat::Iso => match Timestamp::from_second(at) {
                Ok(time) => {
                    let zoned = time.to_zoned(TimeZone::system());
                    let _ = write!(into, "{}", zoned.strftime("%Y-%m-%dT%H:%M:%S%:z"));
                }
                Err(_) => into.push_str(itoa::Buffer::new().format(at)),
            },
        }
    }
}

/// As lsfd(1) has it: 4711,cat,0r.
fn end(into: &mut String, end: &End) {
    let _ = write!(into, "{},{},", end.pid, end.command.escaped());
    match end.fd {
        Some(fd) => drop(write!(into, "{fd}{}", end.role.letter())),
        None => into.push_str(end.role.word()),
    }
}

/// `250ms`, `4.2s`, then the largest unit as of relative times.
pub fn duration(into: &mut String, time: Duration) {
    let tenths = time.as_millis() / 100;
    match time.as_millis() {
        ms @ 0..=999 => drop(write!(into, "{ms}ms")),
        1000..=59_999 => drop(write!(into, "{}.{}s", tenths / 10, tenths % 10)),
        _ => relative(into, i64::try_from(time.as_secs()).unwrap_or(i64::MAX)),
    }
}

/// The largest unit of 1024 that is at least one, with one decimal. (The library that parses sizes
/// prints them with a logarithm, and a mathematics library would be loaded at every start.)
fn size(into: &mut String, n: u64) {
    const UNITS: [char; 6] = ['K', 'M', 'G', 'T', 'P', 'E'];
    let unit = (n.ilog2() / 10).clamp(1, 6);
    let tenths = (u128::from(n) * 10 + (1 << (unit * 10 - 1))) >> (unit * 10);
    // What rounds up to 1024.0 is one of the next unit.
    let (tenths, unit) = if tenths >= 10_240 && unit < 6 { (10, unit + 1) } else { (tenths, unit) };
    let _ = write!(into, "{}.{}{}", tenths / 10, tenths % 10, UNITS[unit as usize - 1]);
}

/// `0x` and at least `width` digits.
pub fn hex(into: &mut String, n: u32, width: usize) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    into.push_str("0x");
    for digit in (0..8).rev() {
        if digit < width || n >> (digit * 4) > 0 {
            into.push(HEX[(n >> (digit * 4) & 15) as usize] as char);
        }
    }
}

/// Four octal digits, more when there are more.
pub(super) fn octal(into: &mut String, n: u32) {
    for digit in (0..11).rev() {
        if digit < 4 || n >> (digit * 3) > 0 {
            into.push((b'0' + u8::try_from(n >> (digit * 3) & 7).unwrap_or(0)) as char);
        }
    }
}

/// The largest unit that is at least one: `45s`, `12m`, `5h`, `3d`; a time to come has a plus.
fn relative(into: &mut String, ago: i64) {
    if ago < 0 {
        into.push('+');
    }
    let ago = ago.unsigned_abs();
    let (n, unit) = match ago {
        0..=59 => (ago, 's'),
        60..=3599 => (ago / 60, 'm'),
        3600..=86_399 => (ago / 3600, 'h'),
        _ => (ago / 86_400, 'd'),
    };
    into.push_str(itoa::Buffer::new().format(n));
    into.push(unit);
}

/// A value for a machine that reads lines: exact, escaped, one word of digits where it is a number.
pub fn raw_cell(into: &mut String, value: &Seen<Value>, times: TimeFormat, now: i64) {
    match value {
        Seen::Is(Value::Percent(percent)) => drop(write!(into, "{percent:.2}")),
        Seen::Is(Value::Duration(time)) => drop(write!(into, "{:.3}", time.as_secs_f64())),
        value => Style { bytes: true, times, now }.write(into, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: Value) -> String {
        Style { bytes: false, times: TimeFormat::Relative, now: 1_000_000 }.text(&Seen::Is(value))
    }

    #[test]
    fn keys_have_eight_digits_and_modes_four() {
        assert_eq!(shown(Value::Key(1234)), "0x000004d2");
        assert_eq!(shown(Value::Key(-1)), "0xffffffff");
        assert_eq!(shown(Value::Mode(0o600)), "0600");
        assert_eq!(shown(Value::Mode(0o1777)), "1777");
        assert_eq!(shown(Value::Mode(0)), "0000");
    }

    #[test]
    fn sizes_are_human_and_small_ones_exact() {
        assert_eq!(shown(Value::Size(1000)), "1000");
        assert_eq!(shown(Value::Size(4096)), "4.0K");
        assert_eq!(shown(Value::Size(3 << 30)), "3.0G");
        assert_eq!(shown(Value::Size(1536)), "1.5K");
        assert_eq!(shown(Value::Size((1 << 20) - 1)), "1.0M");
        assert_eq!(shown(Value::Size(1 << 61)), "2.0E");
        assert_eq!(shown(Value::Size(u64::MAX)), "unlimited");
    }

    #[test]
    fn relative_times_name_the_largest_unit() {
        assert_eq!(shown(Value::Time(999_955)), "45s");
        assert_eq!(shown(Value::Time(1_000_000 - 3599)), "59m");
        assert_eq!(shown(Value::Time(1_000_000 - 86_400 * 3)), "3d");
        assert_eq!(shown(Value::Time(1_000_120)), "+2m");
    }

    #[test]
    fn a_duration_is_as_exact_as_it_is_short() {
        let lasts = |millis| shown(Value::Duration(Duration::from_millis(millis)));
        assert_eq!([lasts(0), lasts(999), lasts(1000), lasts(59_960)], ["0ms", "999ms", "1.0s", "59.9s"]);
        assert_eq!([lasts(60_000), lasts(3 * 3_600_000)], ["1m", "3h"]);
    }

    #[test]
    fn zero_none_and_hidden_differ() {
        let style = Style { bytes: true, times: TimeFormat::Unix, now: 0 };
        assert_eq!(style.text(&Seen::Is(Value::Count(0))), "0");
        assert_eq!(style.text(&Seen::Absent), "-");
        assert_eq!(style.text(&Seen::hidden("open", 13)), "?");
    }
}
