//! What was tried, and what was survived.

use std::process::ExitCode;

/// One line of the table.
#[derive(Debug)]
struct Figure {
    part: &'static str,
    what: String,
    tried: u64,
    survived: u64,
    /// More figures, in words.
    note: String,
}

/// The figures of a run, and what failed in it.
#[derive(Default, Debug)]
pub struct Report {
    part: &'static str,
    figures: Vec<Figure>,
    failures: Vec<String>,
}

impl Report {
    /// From here on everything belongs to this part.
    pub fn begin(&mut self, part: &'static str) {
        self.part = part;
        eprintln!("faults: {part}");
    }

    /// So many faults of a kind were tried, and survived.
    pub fn add(&mut self, what: impl Into<String>, tried: u64, survived: u64, note: impl Into<String>) {
        self.figures.push(Figure { part: self.part, what: what.into(), tried, survived, note: note.into() });
    }

    /// Something was not survived: what, and how to see it again.
    pub fn failed(&mut self, what: &str, how: &str) {
        eprintln!("FAILED {}: {what}: {how}", self.part);
        self.failures.push(format!("{}: {what}: {how}", self.part));
    }

    /// Prints the table; the status of the run.
    pub fn end(self) -> ExitCode {
        let width = self.figures.iter().map(|figure| figure.what.len()).max().unwrap_or(0);
        println!();
        for Figure { part, what, tried, survived, note } in &self.figures {
            println!("{part:<10} {what:<width$} {tried:>9} tried {survived:>9} survived  {note}");
        }
        let (tried, survived) =
            self.figures.iter().fold((0, 0), |(tried, survived), one| (tried + one.tried, survived + one.survived));
        println!("{tried} faults tried, {survived} survived, {} failures", self.failures.len());
        if self.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
