//! Injected failures: every verb, with each of its system calls failing in turn in each way that it can fail.
//!
//! A scenario first runs undisturbed, to learn which calls ipcx makes in it and what comes of it. Then each run has one
//! fault: one call of one process fails once, and all others work. What may come of that is in `judge`.

mod errnos;
mod judge;
mod state;
mod trace;
mod verbs;
mod world;

use crate::{Options, Report};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};
use trace::{Call, Fault, How, Part};
use verbs::Scenario;
use world::Outcome;

/// How many faults a sample tries, however slow the machine is.
const FEWEST: usize = 100;

/// A scenario, and what it does undisturbed.
struct Learnt {
    scenario: Scenario,
    before: state::State,
    after: Outcome,
}

/// One run to make.
struct Trial {
    learnt: usize,
    call: Call,
    name: &'static str,
    how: How,
}

/// The part of the harness.
pub fn run(options: Options, report: &mut Report) {
    if let Some(why) = world::cannot() {
        println!("skipped: faults: inject: {why}");
        return;
    }
    for verb in unheard_of() {
        report.failed(&verb, "this verb has no scenario");
    }
    let only = std::env::var("IPCX_FAULT").ok();
    std::thread::scope(|scope| {
        let (over, wait) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || {
            while wait.recv_timeout(Duration::from_millis(50)) == Err(RecvTimeoutError::Timeout) {
                trace::end_late();
            }
        });
        all(options, only.as_deref(), report);
        drop(over);
    });
}

/// The verbs of the command line, by their man pages, that no scenario runs.
fn unheard_of() -> Vec<String> {
    let pages = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/man")).unwrap();
    let mut verbs = BTreeSet::new();
    for page in pages {
        let name = page.unwrap().file_name().into_string().unwrap();
        let verb = name.trim_end_matches(".1").replace('-', " ");
        verbs.extend(verb.strip_prefix("ipcx ").map(str::to_owned));
    }
    let scenarios = verbs::all();
    let known =
        |verb: &String| scenarios.iter().any(|scenario| format!("{} ", scenario.line).starts_with(&format!("{verb} ")));
    // A noun is no verb: it has pages of its own below it.
    let noun = |verb: &String| verbs.iter().any(|other| other.starts_with(&format!("{verb} ")));
    verbs.iter().filter(|verb| !known(verb) && !noun(verb)).cloned().collect()
}

fn all(options: Options, only: Option<&str>, report: &mut Report) {
    let chosen = |scenario: &Scenario| {
        only.is_none_or(|only| only.starts_with(scenario.line) || scenario.line.starts_with(only))
    };
    let scenarios: Vec<Scenario> = verbs::all().into_iter().filter(chosen).collect();
    let start = Instant::now();
    let learnt = in_parallel(&scenarios, |scenario| {
        let learnt = (world::before(scenario), world::run(scenario, None));
        match learnt {
            (Ok(before), Ok(after)) => Ok(Learnt { scenario: scenario.clone(), before, after }),
            (Err(wrong), _) | (_, Err(wrong)) => Err((scenario.line, wrong)),
        }
    });
    let (learnt, wrong): (Vec<_>, Vec<_>) = learnt.into_iter().partition(Result::is_ok);
    for (line, wrong) in wrong.into_iter().filter_map(Result::err) {
        report.failed(line, &wrong);
    }
    let learnt: Vec<Learnt> = learnt.into_iter().filter_map(Result::ok).collect();
    let mut unknown = BTreeSet::new();
    let mut trials = Vec::new();
    for (index, one) in learnt.iter().enumerate() {
        if let Some(wrong) = judge::undisturbed(&one.scenario, &one.after) {
            report.failed(one.scenario.line, &format!("undisturbed: {wrong}"));
        }
        for call in &one.after.ended.calls {
            let Some((name, hows)) = errnos::of(call) else {
                unknown.insert(call.call);
                continue;
            };
            // Nobody else removes what `with` makes.
            let made_here = one.scenario.line.starts_with("with ")
                && ["msg", "shm", "sem"].iter().any(|kind| name.starts_with(kind));
            let gone = [libc::ENOENT, libc::EIDRM, libc::EINVAL].map(How::Fails);
            let hows = hows.into_iter().filter(|how| !made_here || !gone.contains(how));
            trials.extend(hows.map(|how| Trial { learnt: index, call: call.clone(), name, how }));
        }
    }
    for call in unknown {
        report.failed(&format!("system call {call}"), "nothing is known of how it can fail");
    }
    let possible = trials.len();
    if let Some(only) = only {
        trials.retain(|trial| label(&learnt[trial.learnt], trial).starts_with(only));
    }
    if only.is_none_or(|only| !only.contains('|')) {
        choose(&mut trials, options);
    }
    eprintln!(
        "faults: {} scenarios learnt in {:.1?}, {} of {possible} faults",
        learnt.len(),
        start.elapsed(),
        trials.len()
    );
    let deadline = start + if options.full { Duration::from_secs(100_000_000) } else { Duration::from_secs(18) };
    let figures = Mutex::new(BTreeMap::<&'static str, (u64, u64, u64)>::new());
    let failures = Mutex::new(Vec::new());
    let missed = AtomicUsize::new(0);
    let tried = AtomicUsize::new(0);
    in_parallel(&trials, |trial| {
        if tried.fetch_add(1, Ordering::Relaxed) >= FEWEST && Instant::now() > deadline {
            return;
        }
        let one = &learnt[trial.learnt];
        let fault = Fault {
            process: trial.call.process,
            call: trial.call.call,
            occurrence: trial.call.occurrence,
            how: trial.how,
        };
        let outcome = world::run(&one.scenario, Some(fault));
        if outcome.as_ref().is_ok_and(|outcome| !outcome.ended.hit) {
            missed.fetch_add(1, Ordering::Relaxed);
        }
        let verdict = outcome.as_ref().map_err(Clone::clone).and_then(|outcome| judge::judge(one, trial, outcome));
        let mut figures = figures.lock().unwrap();
        let figure = figures.entry(group(trial)).or_default();
        figure.0 += 1;
        match verdict {
            Ok(judge::Verdict::Survived) => figure.1 += 1,
            Ok(judge::Verdict::OutOfMemory) => (figure.1, figure.2) = (figure.1 + 1, figure.2 + 1),
            Err(wrong) => failures.lock().unwrap().push((label(one, trial), wrong, by_hand(one, trial))),
        }
        if let (Some(true), Ok(outcome)) = (only.map(|only| only.contains('|')), &outcome) {
            eprintln!("{}: {}", label(one, trial), judge::told(outcome));
        }
    });
    for (group, (tried, survived, aborted)) in figures.into_inner().unwrap() {
        let note =
            if aborted > 0 { format!("{aborted} of them: out of memory, ended by abort") } else { String::new() };
        report.add(group, tried, survived, note);
    }
    let missed = missed.into_inner();
    if missed > 0 {
        eprintln!("faults: {missed} of the calls were not made when they were to fail");
    }
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    for (label, wrong, how) in failures {
        report.failed(
            &label,
            &format!(
                "{wrong}\n    by itself: IPCX_FAULT=\"{label}\" cargo test --test faults -- inject\n    by hand: {how}"
            ),
        );
    }
}

/// Runs a function for each of a list, several at once: most of the time the kernel takes away namespaces.
fn in_parallel<T: Sync, R: Send>(list: &[T], run: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<R>>> = list.iter().map(|_| Mutex::new(None)).collect();
    let threads = std::thread::available_parallelism().map_or(2, usize::from) * 3;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = list.get(index) else { break };
                    *results[index].lock().unwrap() = Some(run(item));
                }
            });
        }
    });
    results.into_iter().filter_map(|result| result.into_inner().unwrap()).collect()
}

/// What kind of call a fault is in, for the table.
fn group(trial: &Trial) -> &'static str {
    match (trial.how, trial.name) {
        (How::Short(_), _) => "calls cut short",
        (_, "mmap" | "brk" | "mremap" | "mprotect" | "madvise") => "memory",
        (How::Fails(libc::EINTR), _) => "interrupted calls",
        (_, name) if name.starts_with("msg") || name.starts_with("shm") || name.starts_with("sem") => "System V calls",
        (_, name) if name.starts_with("mq_") => "calls of POSIX queues",
        (_, "close") => "close",
        _ => "calls of files, sockets, processes, time",
    }
}

/// How one names a fault.
fn label(one: &Learnt, trial: &Trial) -> String {
    let Call { process, occurrence, .. } = trial.call;
    let how = match trial.how {
        How::Fails(errno) => format!("{:?}", nix_errno(errno)),
        How::FailsDone(errno) => format!("done but {:?}", nix_errno(errno)),
        How::Short(Part::One) => "one byte".to_owned(),
        How::Short(Part::Half) => "half".to_owned(),
    };
    format!("{} | process {process} {} {occurrence} {how}", one.scenario.line, trial.name)
}

fn nix_errno(errno: i32) -> nix::errno::Errno {
    nix::errno::Errno::from_raw(errno)
}

/// The commands that show a failure again.
fn by_hand(one: &Learnt, trial: &Trial) -> String {
    let Scenario { line, given, .. } = &one.scenario;
    let (name, when) = (trial.name, trial.call.since_exec);
    let how = match trial.how {
        How::Fails(errno) => format!("error={:?}", nix_errno(errno)),
        How::FailsDone(errno) => format!("error={:?} (but carried out)", nix_errno(errno)),
        How::Short(_) => "(asked for fewer bytes)".to_owned(),
    };
    let follow = if trial.call.process == 0 { "" } else { " -f" };
    format!(
        "in `unshare --ipc --mount --pid --fork --mount-proc`, in an empty directory: {given}; \
         strace{follow} -e inject={name}:{how}:when={when} ipcx {line}; it was {name}{:x?} of {}",
        trial.call.args, trial.call.file
    )
}

/// Which faults are tried: in a full run all, but of calls that a process makes very often the first and the last; in
/// a sample some by chance, as many of rare calls as of frequent ones.
fn choose(trials: &mut Vec<Trial>, options: Options) {
    let mut counts = BTreeMap::<(usize, usize, i64), usize>::new();
    for trial in trials.iter() {
        let most = counts.entry((trial.learnt, trial.call.process, trial.call.call)).or_default();
        *most = (*most).max(trial.call.occurrence + 1);
    }
    trials.retain(|trial| {
        let count = counts[&(trial.learnt, trial.call.process, trial.call.call)];
        trial.call.occurrence < 12 || trial.call.occurrence + 4 >= count
    });
    let mut chance = options.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        chance
    };
    // In an order by chance; a sample ends when its time is over.
    for at in (1..trials.len()).rev() {
        let other = usize::try_from(next() % (u64::try_from(at).unwrap() + 1)).unwrap();
        trials.swap(at, other);
    }
    if !options.full {
        // One after the other of each kind of fault in each scenario, so that none is left out for another.
        let mut seen = BTreeMap::<(usize, &'static str), usize>::new();
        let mut ranked: Vec<(usize, Trial)> = trials
            .drain(..)
            .map(|trial| {
                let rank = seen.entry((trial.learnt, trial.name)).or_default();
                *rank += 1;
                (*rank, trial)
            })
            .collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        trials.extend(ranked.into_iter().map(|(_, trial)| trial));
    }
}
