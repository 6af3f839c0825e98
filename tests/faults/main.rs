//! ipcx under faults, against the real kernel: what fails, is interrupted, is killed, is removed under its hands.
//!
//! `cargo test` runs a sample of each part in some seconds; `cargo test --release --test faults -- --full` runs all
//! of it and prints the figures of docs/reliability.md. Words choose parts by name. What fails is printed with how to
//! repeat it, and the status is then 1.
// A program of its own, which has a terminal to talk to.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod chance;
mod inject;
mod kernel;
mod kills;
// Of what the tests share some is of use here.
#[allow(dead_code, unused_imports, unused_macros)]
#[path = "../it/kit/mod.rs"]
mod kit;
mod output;
mod removal;
mod report;
mod soak;
mod storms;
mod world;

use report::Report;
use std::process::ExitCode;

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// All of it rather than a sample.
    pub full: bool,
    /// Where chance begins: the same seed makes the same choices.
    pub seed: u64,
}

/// A part of the harness: its name, and what runs it.
type Part = (&'static str, fn(Options, &mut Report));

const PARTS: &[Part] = &[
    ("inject", inject::run),
    ("kills", kills::run),
    ("storms", storms::run),
    ("removal", removal::run),
    ("output", output::run),
    ("soak", soak::run),
];

fn main() -> ExitCode {
    let mut options = Options { full: false, seed: 1 };
    let mut words = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--full" => options.full = true,
            "--seed" => options.seed = args.next().and_then(|seed| seed.parse().ok()).expect("--seed takes a number"),
            // What `cargo test -- FLAG` means for tests of the usual kind.
            flag if flag.starts_with('-') => {}
            _ => words.push(arg),
        }
    }
    let mut report = Report::default();
    for (name, run) in PARTS {
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            report.begin(name);
            // Namespaces belong to threads: each part gets one of its own.
            let ended = std::thread::scope(|scope| {
                let part = std::thread::Builder::new().name((*name).to_owned());
                part.spawn_scoped(scope, || run(options, &mut report)).unwrap().join()
            });
            if ended.is_err() {
                report.failed("the part itself", "it panicked, see above");
            }
        }
    }
    report.end()
}
