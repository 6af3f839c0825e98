//! `with`: kill -9 of ipcx, of the guardian, of the command, and of two of them.

use crate::kernel;
use crate::world::{World, chance, soon};
use crate::{Options, Report};
use std::fs;
use std::time::Duration;

const WORDS: &str = "with q=msgq,8K b=shm,64K s=sem,1,2 f=fifo p=shm,4K,posix -- sleep 60";
/// How long after the command has started somebody is killed, at most.
const SOON: Duration = Duration::from_millis(2);

/// Who is killed, and whether that is a hole which the help states.
const VICTIMS: &[(&str, &[Who], bool)] = &[
    ("with: ipcx while CMD runs", &[Who::Ipcx], false),
    ("with: the guardian", &[Who::Guardian, Who::Command], false),
    ("with: CMD", &[Who::Command], false),
    ("with: ipcx, then CMD", &[Who::Ipcx, Who::Command], false),
    ("with: ipcx and guardian", &[Who::Guardian, Who::Ipcx], true),
];

#[derive(Clone, Copy)]
enum Who {
    Ipcx,
    Guardian,
    Command,
}

pub fn run(world: &World, options: Options, report: &mut Report) {
    for (name, victims, hole) in VICTIMS {
        let mut chance = chance(options.seed, name);
        let (tried, mut survived, mut left) = (if options.full { 200 } else { 1 }, 0, 0);
        for at in 0..tried {
            world.wipe();
            match one(world, victims, chance.up_to(SOON)) {
                Ok(()) => survived += 1,
                Err(_) if *hole => left += 1,
                Err(error) => report.failed(name, &format!("the {at}th of seed {}: {error}", options.seed)),
            }
            world.wipe();
        }
        let note =
            if *hole { format!("the stated hole: left objects {left} times") } else { "nothing left".to_owned() };
        report.add(*name, tried, survived + left, note);
    }
}

fn one(world: &World, victims: &[Who], after: Duration) -> Result<(), String> {
    let mut command = world.command(WORDS, None);
    let ipcx = command.spawn().unwrap().id();
    // The guardian comes first, and is there before any object.
    let (guardian, child) = soon(|| match children(ipcx)[..] {
        [guardian, child] if comm(child) == "sleep" => Ok((guardian, child)),
        ref other => Err(format!("children {other:?}")),
    })?;
    std::thread::sleep(after);
    for victim in victims {
        kernel::send_signal(
            match victim {
                Who::Ipcx => ipcx,
                Who::Guardian => guardian,
                Who::Command => child,
            },
            libc::SIGKILL,
        );
    }
    kernel::wait(ipcx, crate::kit::PATIENCE).ok_or("ipcx hangs")?;
    soon(|| if comm(child) == "sleep" { Err("the command lives on".to_owned()) } else { Ok(()) })?;
    if victims.len() == 2 && matches!(victims, [Who::Guardian, Who::Ipcx]) {
        // Nobody is there to remove anything: there is nothing to wait for.
        return world.only("");
    }
    world.soon_only("")
}

fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// What a process is called; nothing if it has ended.
fn comm(pid: u32) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let ended = stat.contains(") Z ") || stat.contains(") X ");
    let name = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')'));
    name.filter(|_| !ended).map_or_else(String::new, |(name, _)| name.to_owned())
}
