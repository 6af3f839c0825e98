//! kill -9 at any moment of a verb that changes things.
//!
//! What a process changes in the kernel it changes by system calls, so to be killed between two of them, for every
//! two, is to be killed at every moment there is; only a copy of many bytes has moments inside a call, which those
//! at random find.

mod cases;
mod companions;

use crate::kernel;
use crate::world::{Found, World, below, chance};
use crate::{Options, Report};
use cases::CASES;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A verb that is killed, and what must hold afterwards.
pub struct Case {
    pub name: &'static str,
    /// What is there before, by commands of ipcx.
    pub before: &'static str,
    pub words: &'static str,
    pub input: Option<&'static str>,
    /// What may be left; the objects of `before` too.
    pub may: &'static str,
    /// Says in a few words how it was found, and tries whatever is to be done after such a death.
    pub after: fn(&World) -> Found,
}

/// Most moments that are tried of a verb with more of them; the end, where things are done, has half.
const MOST: u64 = 300;
/// How many moments a sample has, of each way.
const SAMPLE: u64 = 1;

pub fn run(options: Options, report: &mut Report) {
    let mut world = World::new();
    cases::fixtures(&mut world);
    for case in CASES {
        one(case, &world, options, report);
    }
    companions::run(&world, options, report);
}

/// When it is killed.
#[derive(Debug)]
enum Moment {
    /// At its Nth stop at a system call, two of which each has.
    Stop(u64),
    After(Duration),
}

fn one(case: &Case, world: &World, options: Options, report: &mut Report) {
    let mut chance = chance(options.seed, case.name);
    world.wipe();
    world.prepare(case.before);
    let start = Instant::now();
    world.finish(world.command(case.words, case.input));
    let usual = start.elapsed();
    world.wipe();
    world.prepare(case.before);
    let (_, stops, _) = kernel::kill_at_stop(world.command(case.words, case.input), u64::MAX);
    let mut moments: Vec<Moment> = if !options.full {
        // The first half is the start of any program.
        (0..SAMPLE).map(|_| Moment::Stop(stops - below(&mut chance, stops / 2))).collect()
    } else if stops <= MOST {
        (0..=stops).map(Moment::Stop).collect()
    } else {
        let last = (stops - MOST / 2..=stops).map(Moment::Stop);
        last.chain((0..MOST / 2).map(|_| Moment::Stop(below(&mut chance, stops)))).collect()
    };
    let timed = if options.full { MOST / 5 } else { SAMPLE };
    moments.extend((0..timed).map(|_| Moment::After(chance.up_to(usual * 5 / 4))));
    let (mut survived, mut found) = (0, BTreeMap::new());
    for moment in &moments {
        world.wipe();
        world.prepare(case.before);
        let command = world.command(case.words, case.input);
        let pid = match moment {
            Moment::Stop(stop) => kernel::kill_at_stop(command, *stop).0,
            Moment::After(time) => kill_after(command, *time),
        };
        match look(case, world, pid) {
            Ok(word) => {
                survived += 1;
                *found.entry(word).or_insert(0) += 1;
            }
            Err(error) => report.failed(&format!("{} killed at {moment:?} of {stops}", case.name), &error),
        }
    }
    world.wipe();
    let found: Vec<String> = found.iter().map(|(word, count)| format!("{word} {count}")).collect();
    report.add(case.name, moments.len() as u64, survived, found.join(", "));
}

/// Starts a command and kills it after this time, at the latest.
fn kill_after(mut command: std::process::Command, time: Duration) -> u32 {
    let pid = command.spawn().unwrap().id();
    std::thread::sleep(time);
    kernel::send_signal(pid, libc::SIGKILL);
    kernel::wait(pid, crate::kit::PATIENCE);
    pid
}

fn look(case: &Case, world: &World, pid: u32) -> Found {
    // What it has started ends too.
    crate::world::soon(|| match kernel::group_lives(pid) {
        true => Err(format!("processes of group {pid} live on")),
        false => Ok(()),
    })?;
    world.soon_only(case.may)?;
    (case.after)(world)
}
