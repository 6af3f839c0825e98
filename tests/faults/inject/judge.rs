//! What a fault may do: be survived, or be told. Never a hang, a panic, a status or a silence that lies, a half-made
//! object, a lost or a doubled message.

use super::state::{Object, State};
use super::trace::How;
use super::verbs::{Scenario, To};
use super::world::Outcome;
use super::{Learnt, Trial};

/// How it went well.
pub enum Verdict {
    Survived,
    /// There was no memory: Rust ends such a program by abort(3), which leaves nothing half-made behind.
    OutOfMemory,
}

/// What is wrong with a scenario itself.
pub fn undisturbed(scenario: &Scenario, outcome: &Outcome) -> Option<String> {
    let wrong = outcome.ended.hung || exited(outcome) != Some(scenario.status);
    wrong.then(|| told(outcome))
}

fn exited(outcome: &Outcome) -> Option<i32> {
    libc::WIFEXITED(outcome.ended.status).then(|| libc::WEXITSTATUS(outcome.ended.status))
}

/// What came of a run, in a line.
pub fn told(outcome: &Outcome) -> String {
    let status = match exited(outcome) {
        Some(status) => format!("status {status}"),
        None => format!("signal {}", libc::WTERMSIG(outcome.ended.status)),
    };
    let stdout = outcome.stdout.escape_ascii().to_string();
    let short: String = stdout.chars().take(300).collect();
    format!("{status}, stdout `{short}`, stderr `{}`", outcome.stderr.trim().escape_debug())
}

/// Whether a run is as it should be.
pub fn judge(one: &Learnt, trial: &Trial, outcome: &Outcome) -> Result<Verdict, String> {
    let wrong = |what: &str| Err(format!("{what}: {}", told(outcome)));
    if outcome.ended.hung {
        return wrong("it hung");
    }
    let memory = matches!(trial.name, "mmap" | "brk" | "mremap" | "mprotect");
    let status = exited(outcome);
    if status == Some(101) || outcome.stderr.contains("panicked") {
        return wrong("it panicked");
    }
    let aborted = memory && outcome.stderr.contains("memory allocation of");
    if let Err(what) = between(one, trial, outcome) {
        return wrong(&what);
    }
    let Some(status) = status else {
        let abort = libc::WTERMSIG(outcome.ended.status) == libc::SIGABRT;
        return if abort && aborted { Ok(Verdict::OutOfMemory) } else { wrong("it died") };
    };
    if aborted {
        return Ok(Verdict::OutOfMemory);
    }
    let expected = one.scenario.status;
    if status != expected && !matches!(status, 0 | 1 | 3..=7 | 124..=127) {
        return wrong("its status is none of the contract");
    }
    let quiet_end = one.scenario.to == To::Pipe
        && trial.how == How::Fails(libc::EPIPE)
        && trial.call.args[0] == 1
        && trial.name == "write";
    let stderr_failed = trial.name == "write" && trial.call.args[0] == 2;
    if status == expected {
        let stale = |(name, object): (&String, &Object)| left_socket(one, trial, name, object);
        let mut state = outcome.state.clone();
        state.retain(|name, object| !stale((name, object)) && !is_slot(object));
        let mut should = one.after.state.clone();
        should.retain(|_, object| !is_slot(object));
        if expected == 0 && !quiet_end && state != should && !outcome.stderr.contains("cannot remove") {
            return wrong(&format!(
                "its status says that it was done, and it was not: {}",
                difference(&one.after.state, &outcome.state)
            ));
        }
        // A listing says what it could not see.
        let told = outcome.stderr != one.after.stderr || gaps(outcome) > gaps(&one.after);
        // What has gone while a list was made is not in it.
        let vanished = ["ls", "watch"].iter().any(|verb| one.scenario.line.contains(verb))
            && trial.how == How::Fails(libc::ENOENT);
        if let Some((is, should)) = other_line(one, outcome)
            && !quiet_end
            && !told
            && !MARKS.iter().any(|mark| is.contains(mark))
            && !vanished
            && !one.scenario.vague
        {
            return wrong(&format!("its output differs and nothing is said of it: `{is}`, not `{should}`"));
        }
        return Ok(Verdict::Survived);
    }
    if status == 0 {
        return if quiet_end { Ok(Verdict::Survived) } else { wrong("it should have failed, as undisturbed") };
    }
    if outcome.stderr.is_empty() && !stderr_failed {
        return wrong("it failed without a word");
    }
    Ok(Verdict::Survived)
}

/// What an output says where something could not be seen.
const MARKS: [&str; 8] = ["?", "cannot", "could not", "not known", "unknown", "not permitted", "may not", "\"reason\""];

/// How often an output says that something could not be seen.
fn gaps(outcome: &Outcome) -> usize {
    let text = String::from_utf8_lossy(&outcome.stdout);
    MARKS.iter().map(|mark| text.matches(mark).count()).sum()
}

/// With numbers, times, reasons and what stands for a user alike: who is behind a uid the C library may not be able to tell.
fn plain(bytes: &[u8]) -> Vec<String> {
    let number =
        regex_lite::Regex::new(r"\([^)]*\)|ipcx-it-\w+|[0-9]+(\.[0-9]+)?( ?(ns|µs|ms|s|min|h|d)\b)?|\broot\b").unwrap();
    let text = String::from_utf8_lossy(bytes);
    let word = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    number.replace_all(&text, "#").lines().map(word).collect()
}

/// The first line that is another one than undisturbed.
fn other_line(one: &Learnt, outcome: &Outcome) -> Option<(String, String)> {
    if one.after.stdout == outcome.stdout {
        return None;
    }
    let (should, is) = (plain(&one.after.stdout), plain(&outcome.stdout));
    if should == is {
        return None;
    }
    let at = should.iter().zip(&is).take_while(|(should, is)| should == is).count();
    let line = |lines: &[String]| lines.get(at).cloned().unwrap_or_default();
    Some((line(&is), line(&should)))
}

/// Whether each object is as it was before, or as it is after an undisturbed run, or has got some of the messages that
/// it gets, from the first. Of those that it loses each must have been put out, and one that could not be may have
/// been put back behind the others.
fn between(one: &Learnt, trial: &Trial, outcome: &Outcome) -> Result<(), String> {
    let (before, after, now) = (&one.before, &one.after.state, &outcome.state);
    let nothing = Object::default();
    let failed = exited(outcome) != Some(0);
    // It takes, or it would have put back what it took.
    let takes = one.scenario.line.contains(" recv ");
    let cannot_remove = outcome.stderr.contains("cannot remove");
    for name in before.keys().chain(after.keys()).chain(now.keys()) {
        let (was, will, is) = (before.get(name), after.get(name), now.get(name));
        let units = |object: Option<&Object>| object.unwrap_or(&nothing).units.clone();
        let there = was.is_some() && is.is_some() && will.is_some();
        let taken = name.starts_with("msgq/") && there && (takes || units(will).len() < units(was).len());
        if taken && takes {
            lost(&units(was), &units(is), outcome).map_err(|what| format!("{name}: {what}"))?;
        }
        // A slot may have been made or not; what is in it has been looked for.
        if is == was || is == will || is.or(will).is_some_and(is_slot) {
            continue;
        }
        let fair = match (was, is, will) {
            (Some(was), Some(is), Some(will)) if is.like == was.like && is.like == will.like => {
                let grown = will.units.starts_with(&is.units) && is.units.starts_with(&was.units);
                let shrunk = was.units.ends_with(&is.units) && is.units.ends_with(&will.units);
                let put_back = taken && outcome.stderr.contains("put back");
                grown || shrunk || put_back
            }
            // Values cannot be taken back: others may have seen them.
            (Some(was), Some(is), Some(will)) => {
                is.like == was.like && is.units == will.units && failed && outcome.stderr.contains("its values are set")
            }
            // An archive of what could be saved; what is wrong with the others has been said.
            (None, Some(is), Some(_)) => failed && is.units.iter().all(|unit| unit.starts_with("archive of")),
            // The journal of what was taken, which `restore` takes.
            (None, Some(_), None) if name.ends_with(".drain") => failed && outcome.stderr.contains(".drain"),
            (None, Some(is), None) if left_socket(one, trial, name, is) => true,
            (None, Some(_), None) => one.scenario.line.starts_with("with ") && cannot_remove,
            _ => false,
        };
        if !fair {
            return Err(format!("{name} is half done: {is:?}, not {was:?} or {will:?}"));
        }
    }
    Ok(())
}

/// A socket file that could not be removed at the end: whoever comes next is told that nobody listens there any more.
fn left_socket(one: &Learnt, trial: &Trial, name: &str, object: &Object) -> bool {
    object.like.starts_with("socket")
        && !one.before.contains_key(name)
        && !one.after.state.contains_key(name)
        && matches!(trial.name, "unlink" | "newfstatat")
}

fn is_slot(object: &Object) -> bool {
    object.like.starts_with("slot")
}

/// Messages that are neither in their queue any more nor were put out, or both.
fn lost(was: &[String], is: &[String], outcome: &Outcome) -> Result<(), String> {
    let slot = outcome.state.values().find(|object| is_slot(object)).map(|slot| slot.units.concat());
    let out = format!("{}{}{slot:?}", String::from_utf8_lossy(&outcome.stdout), outcome.stderr);
    let mut rest = is.to_vec();
    for unit in was {
        let (_, text) = unit.split_once(' ').unwrap();
        let there = rest.iter().position(|other| other == unit).map(|at| rest.swap_remove(at));
        let put_out = out.contains(text);
        if there.is_none() && !put_out {
            return Err(format!("`{text}` is lost"));
        }
        if there.is_some() && String::from_utf8_lossy(&outcome.stdout).contains(text) {
            return Err(format!("`{text}` is doubled"));
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(format!("{rest:?} are new")) }
}

fn difference(should: &State, is: &State) -> String {
    let names = should.keys().chain(is.keys());
    let different = names.filter(|name| should.get(*name) != is.get(*name));
    different
        .map(|name| format!("{name} is {:?}, not {:?}", is.get(name), should.get(name)))
        .collect::<Vec<_>>()
        .join("; ")
}
