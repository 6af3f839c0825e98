//! The table, a line as soon as it is known.

use crate::machine;
use crate::measure::{Pairs, Sample};
use anyhow::Result;
use std::fmt::Write as _;
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
    skipped: Vec<String>,
    /// The lines of the table, for the page.
    lines: Vec<[String; 8]>,
}

impl Report {
    pub fn new(pairs: usize, filters: Vec<String>) -> Report {
        Report { pairs, filters, misses: 0, skipped: Vec::new(), lines: Vec::new() }
    }

    pub fn head(&self) -> Result<()> {
        print(["what", "against", "ipcx", "other", "ratio", "wanted", ""])
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
        let (low, high) = pairs.spread();
        let spread =
            if at_most { format!("{low:.2}–{high:.2}") } else { format!("{:.2}–{:.2}", 1.0 / high, 1.0 / low) };
        let verdict = self.verdict(met);
        self.line(
            [
                row.name,
                row.against,
                &row.unit.show(pairs.ours()),
                &row.unit.show(pairs.other()),
                &format!("{ratio:.2}"),
                &wanted.unwrap_or_default(),
                verdict,
            ],
            &spread,
        )?;
        Ok(Some(pairs))
    }

    /// The line for the memory that a row took.
    pub fn memory(&mut self, name: &str, pairs: &Pairs, limit: u64) -> Result<()> {
        let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
        let verdict = self.verdict(Some(pairs.peak() <= limit));
        let (peak, limit) = (megabytes(pairs.peak()), format!("<= {}", megabytes(limit)));
        self.line([name, "peak memory", &peak, "", "", &limit, verdict], "")
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
        let (against, each, wanted) = (format!("for each {what}"), format!("{each:.3} ms"), format!("<= {wanted} ms"));
        self.line([name, &against, &each, "", "", &wanted, verdict], "")
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
            self.skipped.push(format!("`{name}`: {reason}"));
            writeln!(io::stdout(), "{name:<28} skipped: {reason}")?;
        }
        Ok(())
    }

    /// Says how many bounds were missed.
    pub fn end(&self) -> Result<usize> {
        writeln!(io::stdout(), "{} missed, {} skipped", self.misses, self.skipped.len())?;
        Ok(self.misses)
    }

    fn line(&mut self, cells: [&str; 7], spread: &str) -> Result<()> {
        let mut kept = cells.map(str::to_owned).to_vec();
        kept.push(spread.to_owned());
        self.lines.extend(<[String; 8]>::try_from(kept));
        print(cells)
    }

    /// The table as a page, with the machine on which it was measured.
    pub fn page(&self) -> Result<String> {
        let mut page = String::from(
            "# Performance\n\nWhat ipcx costs beside its peers and beside the bare system calls, each measured in turn with it \
             in the same run.\n`cargo bench -- --write docs/performance.md` writes this page anew; \
             [benches/README.md](../benches/README.md) says what each row does.\n\nA ratio of times is good when it is \
             small, one of rates when it is large. It is the median of the ratios pair by\npair; their quartiles tell how far it \
             can be trusted. `MISS` is a bound that was not kept.\n\n",
        );
        machine::describe(&mut page, self.pairs)?;
        page.push_str(
            "\n| row | against | ipcx | other | ratio | quartiles | wanted | |\n|---|---|---|---|---|---|---|---|\n",
        );
        for [what, against, ours, other, ratio, wanted, verdict, spread] in &self.lines {
            writeln!(page, "| `{what}` | {against} | {ours} | {other} | {ratio} | {spread} | {wanted} | {verdict} |")?;
        }
        if !self.skipped.is_empty() {
            page.push_str("\nNot measured here:\n\n");
            for skipped in &self.skipped {
                writeln!(page, "- {skipped}")?;
            }
        }
        Ok(page)
    }
}

fn print([what, against, ours, other, ratio, wanted, verdict]: [&str; 7]) -> Result<()> {
    let text = format!("{what:<28} {against:<22} {ours:>11} {other:>11} {ratio:>6}  {wanted:<10} {verdict}");
    writeln!(io::stdout(), "{}", text.trim_end())?;
    Ok(())
}
