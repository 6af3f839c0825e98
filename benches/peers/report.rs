//! The table, a line as soon as it is known.

use crate::measure::{Pairs, Sample};
use anyhow::Result;
use std::io::{self, Write as _};

/// How a time is shown, and which way of the ratio is the better one.
#[derive(Clone, Copy)]
pub enum Unit {
    /// Time; a small ratio is good.
    Time,
    /// This many messages in that time; a large ratio is good.
    Messages(u64),
    /// This many bytes in that time; a large ratio is good.
    Bytes(u64),
}

impl Unit {
    fn show(self, seconds: f64) -> String {
        match self {
            Unit::Time => format!("{:.2} ms", seconds * 1e3),
            Unit::Messages(count) => format!("{:.0} k/s", count as f64 / seconds / 1e3),
            Unit::Bytes(count) => format!("{:.2} GB/s", count as f64 / seconds / 1e9),
        }
    }
}

/// A row of the table before it is measured.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// What a filter is compared with.
    pub name: &'a str,
    /// What the other side is.
    pub against: &'a str,
    pub unit: Unit,
    /// The bound of the ratio; without one the row is for information.
    pub wanted: Option<f64>,
}

pub struct Report {
    pub pairs: usize,
    filters: Vec<String>,
    misses: usize,
    skipped: usize,
}

impl Report {
    pub fn new(pairs: usize, filters: Vec<String>) -> Report {
        Report { pairs, filters, misses: 0, skipped: 0 }
    }

    pub fn head(&self) -> Result<()> {
        line("what", "against", "ipcx", "other", "ratio", "wanted", "")
    }

    pub fn wants(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter.as_str()))
    }

    /// Measures a row, `pairs` times in turn.
    pub fn compare(
        &mut self,
        row: Row<'_>,
        pairs: usize,
        ours: impl FnMut() -> Result<Sample>,
        other: impl FnMut() -> Result<Sample>,
    ) -> Result<Option<Pairs>> {
        if !self.wants(row.name) {
            return Ok(None);
        }
        let pairs = Pairs::take(pairs, ours, other)?;
        let at_most = matches!(row.unit, Unit::Time);
        let ratio = if at_most { pairs.ratio() } else { 1.0 / pairs.ratio() };
        let wanted = row.wanted.map(|bound| format!("{} {bound}", if at_most { "<=" } else { ">=" }));
        let met = row.wanted.map(|bound| if at_most { ratio <= bound } else { ratio >= bound });
        line(
            row.name,
            row.against,
            &row.unit.show(pairs.ours()),
            &row.unit.show(pairs.other()),
            &format!("{ratio:.2}"),
            &wanted.unwrap_or_default(),
            self.verdict(met),
        )?;
        Ok(Some(pairs))
    }

    /// The line for the memory that a row took.
    pub fn memory(&mut self, name: &str, pairs: &Pairs, limit: u64) -> Result<()> {
        let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
        let verdict = self.verdict(Some(pairs.peak() <= limit));
        line(name, "peak memory", &megabytes(pairs.peak()), "", "", &format!("<= {}", megabytes(limit)), verdict)
    }

    /// Measures what each of so many takes of a program's time, which has no peer; in milliseconds.
    pub fn each(
        &mut self,
        name: &str,
        (count, what): (u32, &str),
        wanted: f64,
        ours: impl FnMut() -> Result<Sample>,
    ) -> Result<()> {
        if !self.wants(name) {
            return Ok(());
        }
        let each = Pairs::take(self.pairs, ours, || Ok(Sample::default()))?.ours() * 1e3 / f64::from(count);
        let verdict = self.verdict(Some(each <= wanted));
        line(name, &format!("for each {what}"), &format!("{each:.3} ms"), "", "", &format!("<= {wanted} ms"), verdict)
    }

    fn verdict(&mut self, met: Option<bool>) -> &'static str {
        match met {
            None => "",
            Some(true) => "ok",
            Some(false) => {
                self.misses += 1;
                "MISS"
            }
        }
    }

    /// Says that a row could not be measured here, if somebody wanted it.
    pub fn skip(&mut self, name: &str, reason: &str) -> Result<()> {
        if self.wants(name) {
            self.skipped += 1;
            writeln!(io::stdout(), "{name:<28} skipped: {reason}")?;
        }
        Ok(())
    }

    /// Says how many bounds were missed.
    pub fn end(&self) -> Result<usize> {
        writeln!(io::stdout(), "{} missed, {} skipped", self.misses, self.skipped)?;
        Ok(self.misses)
    }
}

fn line(what: &str, against: &str, ours: &str, other: &str, ratio: &str, wanted: &str, verdict: &str) -> Result<()> {
    let text = format!("{what:<28} {against:<22} {ours:>11} {other:>11} {ratio:>6}  {wanted:<10} {verdict}");
    writeln!(io::stdout(), "{}", text.trim_end())?;
    Ok(())
}
