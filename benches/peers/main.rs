//! ipcx against its peers: what it costs as a ratio to another program, measured in the same run.
//!
//! `cargo bench`, `cargo bench -- FILTER`; see benches/README.md.

mod listing;
mod machine;
mod measure;
mod memory;
mod messages;
mod objects;
mod processes;
mod report;
mod signals;
mod sockets;
mod startup;
mod streams;
mod sys;
mod tools;

use report::Report;
use std::path::Path;
use std::process::ExitCode;
use tools::Tools;

/// The fewest pairs whose median says something.
const PAIRS: usize = 7;

struct Options {
    strict: bool,
    pairs: usize,
    filters: Vec<String>,
    /// Where the table is written, as a page.
    write: Option<std::path::PathBuf>,
}

fn options() -> anyhow::Result<Options> {
    let mut options = Options { strict: false, pairs: PAIRS, filters: Vec::new(), write: None };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            // Cargo adds this one.
            "--bench" => {}
            "--strict" => options.strict = true,
            "--pairs" => {
                let number = args.next().and_then(|number| number.parse().ok());
                options.pairs = number.filter(|n| *n > 0).ok_or_else(|| anyhow::anyhow!("--pairs wants a number"))?;
            }
            "--write" => {
                let path = args.next().ok_or_else(|| anyhow::anyhow!("--write wants a file"))?;
                options.write = Some(std::path::absolute(path)?);
            }
            option if option.starts_with('-') => {
                anyhow::bail!("no option {option}; there are --strict, --pairs N and --write FILE")
            }
            filter => options.filters.push(filter.to_owned()),
        }
    }
    Ok(options)
}

fn main() -> anyhow::Result<ExitCode> {
    let options = options()?;
    // Before any thread exists: a user namespace can be entered only then.
    sys::enter()?;
    let tools = Tools::build(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/baseline")))?;
    let mut report = Report::new(options.pairs, options.filters);
    report.head()?;
    for group in [
        startup::run,
        objects::run,
        messages::run,
        memory::run,
        listing::run,
        processes::run,
        signals::run,
        streams::run,
        sockets::run,
    ] {
        // What the last group left, if anything, stays in a namespace that nobody uses any more.
        sys::new_ipc()?;
        group(&tools, &mut report)?;
    }
    let misses = report.end()?;
    if let Some(path) = options.write {
        std::fs::write(&path, report.page()?)?;
    }
    Ok(if options.strict && misses > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
