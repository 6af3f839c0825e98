//! What the meter shows of a pipeline: a line for each pipe.

use super::report::{self, Bottleneck};
use super::tally::{Now, Tally};
use super::watch::Watch;
use crate::model::{Text, Value};
use crate::render::{Style, TimeFormat};
use crate::sys::child::Child;
use crate::ui::Meter;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Instant;
use unicode_width::UnicodeWidthStr as _;

/// Columns of a name, and of a bar.
const NAME: usize = 12;
const BAR: usize = 10;
/// On a terminal that the last command may write to at any time, so many lines stay free for it. What it
/// writes goes over a meter that is still there, and the rest of a line would stand behind it.
const SPARED: usize = 3;
/// From this share on of a moment, in percent, one waits.
const MOSTLY: f64 = 50.0;

pub struct Lines {
    names: Vec<String>,
    /// The bytes of each edge when they were last shown, and the rate.
    rates: Vec<Rate>,
    /// Whether standard output is a terminal too.
    shared: bool,
}

impl Lines {
    pub fn new(commands: &[&[OsString]], shared: bool) -> Lines {
        let names = commands.iter().map(|command| name(&command[0])).collect();
        Lines { names, rates: commands.iter().skip(1).map(|_| Rate::since_now()).collect(), shared }
    }

    /// Whether the last command has the terminal for itself from now on: it has begun to write there, or may
    /// soon, because the first of the others has ended.
    pub fn must_give_way(&self, watch: &Watch, running: &[Option<Child>]) -> bool {
        let last = running.len() - 1;
        let wrote = watch.stages[last].io.is_some_and(|io| io.written > 0);
        self.shared && (wrote || last == 0 || running.iter().any(Option::is_none))
    }

    /// A line for each edge; of a single command one that says what it read and wrote.
    pub fn text(&mut self, watch: &mut Watch, meter: &Meter) -> Vec<String> {
        let recent: Vec<Tally> = watch.stages.iter_mut().map(|stage| std::mem::take(&mut stage.recent)).collect();
        let style = Style::new(false, TimeFormat::Unix);
        let size = |bytes: Option<u64>| {
            bytes.map_or_else(|| "?".to_owned(), |bytes| style.text(&crate::model::Seen::Is(Value::Size(bytes))))
        };
        let slow = match report::bottleneck(watch) {
            Bottleneck::Stage(at) => Some(at),
            _ => None,
        };
        let marked = |at: usize| format!("{}{}", if slow == Some(at) { "*" } else { "" }, self.names[at]);
        let arrow = if meter.unicode { "▸" } else { ">" };
        if watch.edges.is_empty() {
            let io = watch.stages[0].io;
            let (read, written) = (size(io.map(|io| io.read)), size(io.map(|io| io.written)));
            return vec![format!("{}  read {read}, wrote {written}  {}", self.names[0], state(watch.stages[0].now))];
        }
        let width = self.width();
        let mut lines = vec![String::new(); if self.shared { SPARED } else { 0 }];
        for (at, edge) in watch.edges.iter().enumerate() {
            let moved = watch.moved(at);
            let rate = self.rates[at].update(moved);
            let bar = bar(edge.fill.map(|fill| share(fill, edge.capacity)), meter.unicode);
            let number = |n: Option<usize>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
            let relation = self.relation(at, watch, &recent);
            let names = format!("{} {arrow} {}", marked(at), marked(at + 1));
            let left = format!("{names:<width$}  {:>6}  {:>8}  ", size(moved), format!("{}/s", size(rate)));
            let fill = format!("{}/{}", size(edge.fill.map(|fill| fill as u64)), size(Some(edge.capacity as u64)));
            let right =
                format!("{fill:>12}  {:>5} slots  {relation}", format!("{}/{}", number(edge.used), edge.room()));
            // The bar says nothing that the numbers do not.
            let fits = left.width() + bar.width() + right.width() <= meter.width();
            lines.push(format!("{left}{}{right}", if fits { &bar } else { "" }));
        }
        lines
    }

    /// The columns of the two names of the longest pair.
    fn width(&self) -> usize {
        let lengths: Vec<usize> = self.names.iter().map(|name| name.chars().count()).collect();
        lengths.windows(2).map(|pair| pair[0] + pair[1] + 4).max().unwrap_or(0)
    }

    /// Who waits for whom at this edge.
    fn relation(&self, edge: usize, watch: &Watch, recent: &[Tally]) -> String {
        let (writer, reader) = (&self.names[edge], &self.names[edge + 1]);
        for (at, name) in [(edge, writer), (edge + 1, reader)] {
            if matches!(watch.stages[at].now, Now::Stopped | Now::Ended) {
                return format!("{name} {}", state(watch.stages[at].now));
            }
        }
        let (starved, blocked) = (recent[edge + 1].starved().unwrap_or(0.0), recent[edge].blocked().unwrap_or(0.0));
        if starved.max(blocked) < MOSTLY {
            String::new()
        } else if starved >= blocked {
            format!("{reader} waits for {writer}")
        } else {
            format!("{writer} waits for {reader}")
        }
    }
}

fn state(now: Now) -> &'static str {
    match now {
        Now::Unknown => "?",
        Now::Runs => "runs",
        Now::Starved => "waits for input",
        Now::Blocked => "waits for its output",
        Now::Stopped => "is stopped",
        Now::Waits => "waits",
        Now::Ended => "has ended",
    }
}

/// The last part of the path of a command, escaped and cut.
fn name(program: &OsString) -> String {
    let bytes = program.as_bytes();
    let base = bytes.iter().rposition(|byte| *byte == b'/').map_or(bytes, |at| &bytes[at + 1..]);
    let text = Text::from(if base.is_empty() { bytes } else { base }).escaped().to_string();
    text.chars().take(NAME).collect()
}

#[allow(clippy::cast_precision_loss)]
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A bar of a share from 0 to 1.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn bar(share: Option<f64>, unicode: bool) -> String {
    let Some(share) = share else { return format!("[{:^BAR$}]", "?") };
    let full = ((share * BAR as f64).round() as usize).min(BAR);
    let (on, off) = if unicode { ("█", "░") } else { ("#", ".") };
    format!("[{}{}]", on.repeat(full), off.repeat(BAR - full))
}

/// Bytes a second, with the older ones counting less and less.
pub struct Rate {
    last: (Instant, u64),
    smooth: Option<f64>,
}

impl Rate {
    /// Of bytes of which there are none yet.
    pub fn since_now() -> Rate {
        Rate { last: (Instant::now(), 0), smooth: None }
    }

    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn update(&mut self, bytes: Option<u64>) -> Option<u64> {
        let (now, bytes) = (Instant::now(), bytes?);
        let time = now.duration_since(self.last.0).as_secs_f64().max(1e-6);
        let rate = bytes.saturating_sub(self.last.1) as f64 / time;
        self.smooth = Some(self.smooth.map_or(rate, |smooth| smooth * 0.6 + rate * 0.4));
        self.last = (now, bytes);
        self.smooth.map(|rate| rate as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_end_of_a_path_and_acts_on_no_terminal() {
        assert_eq!(name(&"/usr/bin/cat".into()), "cat");
        assert_eq!(name(&"a-very-long-command".into()), "a-very-long-");
        assert_eq!(name(&"\x1b[2J".into()), "\\x1b[2J");
        assert_eq!(name(&"dir/".into()), "dir/");
    }

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        assert_eq!(bar(Some(0.0), false), "[..........]");
        assert_eq!(bar(Some(0.52), false), "[#####.....]");
        assert_eq!(bar(Some(7.0), true), "[██████████]");
        assert_eq!(bar(None, false), "[    ?     ]");
    }
}
