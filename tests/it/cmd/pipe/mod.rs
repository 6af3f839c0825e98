//! `ipcx pipe` against real commands and real pipes.

mod meter;
mod relay;
mod report;
mod run;
mod screen;

use crate::kit::{Env, until};
use serde_json::Value;
use std::fs;

/// Runs a pipeline that must succeed with a report; what it says and its standard output.
#[track_caller]
fn reported(env: &Env, args: &[&str]) -> (Value, String) {
    let output = env.ipcx([&["pipe", "--json", "-o", "report.json"], args].concat()).assert().success();
    (report(env), String::from_utf8(output.get_output().stdout.clone()).unwrap())
}

/// The report that was written to a file.
#[track_caller]
fn report(env: &Env) -> Value {
    serde_json::from_slice(&fs::read(env.path("report.json")).unwrap()).unwrap()
}

/// Waits until a file has a line and gives it.
#[track_caller]
fn line_of(env: &Env, name: &str) -> String {
    let mut text = String::new();
    until(&format!("a line in {name}"), || {
        text = fs::read_to_string(env.path(name)).unwrap_or_default();
        text.ends_with('\n')
    });
    text.trim_end().to_owned()
}

/// Waits until there is no process with this pid, which a command has written to a file.
#[track_caller]
fn gone(env: &Env, name: &str) {
    let pid = line_of(env, name);
    until(&format!("the process of {name} to be gone"), || !env.path(&format!("/proc/{pid}")).exists());
}
