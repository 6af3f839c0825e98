//! The programs that are measured: ipcx, its peers, and the baselines, compiled here.

use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What may be missing on a machine.
pub struct Tools {
    /// Why there are no baselines, if there are none.
    without_baselines: Option<String>,
}

const BASELINES: [&str; 8] = ["blocked", "crowd", "dgramloop", "mkmany", "msgloop", "msgone", "nothing", "sigloop"];

impl Tools {
    /// Compiles the baselines and installs ipcx beside them, on the file system of the build: a
    /// program starts faster or slower with the way in which its file lies in the page cache.
    pub fn build(sources: &Path) -> Result<Tools> {
        std::fs::copy(env!("CARGO_BIN_EXE_ipcx"), installed("ipcx")).context("cannot install ipcx")?;
        if let Some(reason) = missing("cc") {
            return Ok(Tools { without_baselines: Some(reason) });
        }
        for name in BASELINES {
            let source = sources.join(format!("{name}.c"));
            let status = Command::new("cc")
                .args(["-O2", "-o"])
                .arg(installed(name))
                .arg(&source)
                .status()
                .context("cannot run cc")?;
            if !status.success() {
                bail!("cc cannot compile {}", source.display());
            }
        }
        Ok(Tools { without_baselines: None })
    }

    /// Why this program cannot be run, if it cannot.
    pub fn missing(&self, program: &str) -> Option<String> {
        if BASELINES.contains(&program) { self.without_baselines.clone() } else { missing(program) }
    }
}

fn installed(program: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(program)
}

fn missing(program: &str) -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|directory| directory.join(program).is_file());
    (!found).then(|| format!("there is no {program} here"))
}

/// A program with its arguments, as a shell would split them.
pub fn command(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let program = match words.next().unwrap_or_default() {
        "ipcx" => installed("ipcx"),
        baseline if BASELINES.contains(&baseline) => installed(baseline),
        other => PathBuf::from(other),
    };
    let mut command = Command::new(program);
    command.args(words).env("LC_ALL", "C");
    command
}

/// The first line with a number in it that a command prints about itself.
pub fn said(line: &str) -> Option<String> {
    let output = command(line).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    text.lines().find(|line| line.contains(|c: char| c.is_ascii_digit())).map(|line| line.trim().to_owned())
}

/// A shell script in the working directory, in which `ipcx` is ours; the line that runs it.
pub fn script(name: &str, text: &str) -> Result<String> {
    let ours = installed("ipcx");
    std::fs::write(name, text.replace("ipcx", &ours.to_string_lossy()))
        .with_context(|| format!("cannot write {name}"))?;
    Ok(format!("sh {name}"))
}

/// Runs a command that must succeed, outside any measurement; its first line of output.
pub fn output(line: &str) -> Result<String> {
    let output = command(line).stderr(Stdio::inherit()).output().with_context(|| format!("cannot run {line}"))?;
    if !output.status.success() {
        bail!("{line}: {}", output.status);
    }
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}
