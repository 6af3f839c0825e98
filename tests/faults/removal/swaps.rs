//! Between two system calls of a verb, for every two of them, what it works on is replaced, shortened or limited.

use crate::kernel;
use crate::world::{Ran, World, below, chance, must};
use crate::{Options, Report};
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

/// What a verb is to leave alone.
#[derive(PartialEq, Eq, Debug)]
enum Seen {
    /// It was.
    Untouched,
    /// It was not, as is right if it was there before the first look.
    Taken,
}

/// One verb, and what happens under it.
struct Swap {
    name: &'static str,
    before: fn(&World),
    words: &'static str,
    input: Option<&'static str>,
    swap: fn(&World),
    /// What came of it; `Err` for what must not be at any moment.
    after: fn(&World, &Ran) -> Result<Seen, String>,
    /// At how many stops after the first look the new one may be taken all the same: no call both looks and removes.
    hole: usize,
}

const TORCH: &str = "/dev/shm/torch_4194305_1_0";

const SWAPS: &[Swap] = &[
    Swap {
        name: "rm shm, another segment with its id",
        before: |world| world.prepare("shm create key/5 --size 4K"),
        words: "rm shm/key/5",
        input: None,
        swap: |_| same_id("shm"),
        after: |_, ran| is_left(kernel::segment(6).is_some(), ran),
        hole: 2,
    },
    Swap {
        name: "rm msgq, another queue with its id",
        before: |world| world.prepare("msgq create key/5"),
        words: "rm msgq/key/5",
        input: None,
        swap: |_| same_id("msg"),
        after: |_, ran| is_left(kernel::queue(6).is_some(), ran),
        hole: 2,
    },
    Swap {
        name: "rm sem, another set with its id",
        before: |world| world.prepare("sem create key/5"),
        words: "rm sem/key/5",
        input: None,
        swap: |_| same_id("sem"),
        after: |_, ran| is_left(kernel::set(6).is_some(), ran),
        hole: 2,
    },
    Swap {
        name: "rm shm//NAME, another file of its name",
        before: |world| world.prepare("shm create /frames --size 4K"),
        words: "rm shm//frames",
        input: None,
        swap: |_| new_file("/dev/shm/frames"),
        after: |_, ran| is_left(fs::read("/dev/shm/frames").is_ok_and(|bytes| bytes == b"new"), ran),
        hole: 2,
    },
    Swap {
        name: "rm sem//NAME, another file of its name",
        before: |world| world.prepare("sem create /lock"),
        words: "rm sem//lock",
        input: None,
        swap: |_| new_file("/dev/shm/sem.lock"),
        after: |_, ran| is_left(fs::read("/dev/shm/sem.lock").is_ok_and(|bytes| bytes == b"new"), ran),
        hole: 2,
    },
    Swap {
        name: "rm msgq//NAME, another queue of its name",
        before: |world| world.prepare("msgq create /jobs"),
        words: "rm msgq//jobs",
        input: None,
        swap: |world| {
            kernel::unlink_posix("/jobs");
            new_queue(world);
        },
        after: |_, ran| is_left(fs::exists("/dev/mqueue/jobs").unwrap(), ran),
        // It is looked at through a descriptor: six calls.
        hole: 12,
    },
    Swap {
        name: "rm fifo, another file of its name",
        before: |world| world.prepare("mkfifo ./f"),
        words: "rm fifo/./f",
        input: None,
        swap: |world| new_file(world.env.path("f").to_str().unwrap()),
        after: |world, ran| is_left(fs::read(world.env.path("f")).is_ok_and(|bytes| bytes == b"new"), ran),
        hole: 2,
    },
    Swap {
        name: "gc --yes, another file of its name",
        before: |world| world.prepare("shm create /torch_4194305_1_0 --size 4K"),
        words: "gc --yes --idle 0s --in run shm",
        input: None,
        swap: |_| new_file(TORCH),
        after: |_, ran| is_left(fs::read(TORCH).is_ok_and(|bytes| bytes == b"new"), ran),
        hole: 2,
    },
    Swap {
        name: "fifo send, a file in its place",
        before: |world| world.prepare("mkfifo ./f"),
        words: "fifo send ./f text --timeout 5ms",
        input: None,
        swap: |world| new_file(world.env.path("f").to_str().unwrap()),
        after: |world, ran| must_be_left(fs::read(world.env.path("f")).is_ok_and(|bytes| bytes == b"new"), ran),
        hole: 0,
    },
    Swap {
        name: "fifo send, a symbolic link in its place",
        before: |world| world.prepare("mkfifo ./f"),
        words: "fifo send ./f text --timeout 5ms",
        input: None,
        swap: |world| {
            fs::remove_file(world.env.path("f")).unwrap();
            new_file(world.env.path("precious").to_str().unwrap());
            symlink("precious", world.env.path("f")).unwrap();
        },
        after: |world, ran| must_be_left(fs::read(world.env.path("precious")).is_ok_and(|bytes| bytes == b"new"), ran),
        hole: 0,
    },
    Swap {
        name: "fifo recv, a file in its place",
        before: |world| world.prepare("mkfifo ./f"),
        words: "fifo recv ./f --timeout 5ms",
        input: None,
        swap: |world| new_file(world.env.path("f").to_str().unwrap()),
        after: |_, ran| must_be_left(ran.out.is_empty() && [1, 124].contains(&ran.status), ran),
        hole: 0,
    },
    Swap {
        name: "sock listen, a file in its place",
        before: |_| {},
        words: "sock listen ./s --timeout 5ms",
        input: None,
        swap: |world| new_file(world.env.path("s").to_str().unwrap()),
        after: |world, ran| is_left(fs::read(world.env.path("s")).is_ok_and(|bytes| bytes == b"new"), ran),
        hole: 2,
    },
    Swap {
        name: "sock listen --replace-stale, a file there",
        before: |world| drop(UnixListener::bind(world.env.path("s")).unwrap()),
        words: "sock listen ./s --replace-stale --timeout 5ms",
        input: None,
        swap: |world| new_file(world.env.path("s").to_str().unwrap()),
        after: |world, ran| is_left(fs::read(world.env.path("s")).is_ok_and(|bytes| bytes == b"new"), ran),
        // Once before it binds, once at its end.
        hole: 4,
    },
    Swap {
        name: "shm read, the file is cut",
        before: |world| world.prepare("shm create ./mapped --size 64K --from content"),
        words: "shm read ./mapped",
        input: None,
        swap: |world| cut(world, "mapped", 100),
        after: |_, ran| {
            let good = ran.status == 0 && [65536, 100].contains(&ran.out.len());
            must(good || ran.status == 1, || format!("{} bytes, {}", ran.out.len(), ran.err))?;
            must_be_left(ran.out.iter().all(|byte| *byte == 0xa5), ran)
        },
        hole: 0,
    },
    Swap {
        name: "shm dump, the file is cut",
        before: |world| world.prepare("shm create ./mapped --size 64K --from content"),
        words: "shm dump ./mapped",
        input: None,
        swap: |world| cut(world, "mapped", 100),
        after: |_, ran| must_be_left([0, 1].contains(&ran.status), ran),
        hole: 0,
    },
    Swap {
        name: "shm write, the file is cut",
        before: |world| world.prepare("shm create ./mapped --size 64K"),
        words: "shm write ./mapped",
        input: Some("content"),
        swap: |world| cut(world, "mapped", 100),
        after: |_, ran| must_be_left([0, 1, 7].contains(&ran.status), ran),
        hole: 0,
    },
    Swap {
        name: "save, the segment is cut",
        before: |world| world.prepare("shm create /frames --size 64K --from content"),
        words: "save shm//frames -f a.tar",
        input: None,
        swap: |_| fs::File::options().write(true).open("/dev/shm/frames").unwrap().set_len(100).unwrap(),
        after: |world, ran| {
            let there = world.env.path("a.tar").exists();
            must(there == (ran.status == 0), || format!("{ran:?}, archive {there}"))?;
            if there {
                world.ipcx("restore a.tar --list", &[0])?;
            }
            must_be_left([0, 1].contains(&ran.status), ran)
        },
        hole: 0,
    },
    Swap {
        name: "restore, the archive is cut",
        before: |world| {
            world.prepare("shm create /frames --size 64K --from content; save shm//frames -f a.tar; rm shm//frames");
        },
        words: "restore a.tar",
        input: None,
        swap: |world| cut(world, "a.tar", 9000),
        after: |world, ran| {
            let there = fs::read("/dev/shm/frames").ok();
            must(there.is_some() == (ran.status == 0), || format!("{ran:?}, made {}", there.is_some()))?;
            let whole = there.is_none_or(|bytes| bytes == world.bytes("content"));
            must_be_left(whole && [0, 1].contains(&ran.status), ran)
        },
        hole: 0,
    },
    Swap {
        name: "msgq send --lines, msgmax is lowered",
        before: |world| world.prepare("msgq create key/5"),
        words: "msgq send key/5 --lines",
        input: Some("wide"),
        swap: |_| fs::write("/proc/sys/kernel/msgmax", "50").unwrap(),
        after: |_, ran| {
            fs::write("/proc/sys/kernel/msgmax", "8192").unwrap();
            counted(ran, &[0, 7])
        },
        hole: 0,
    },
    Swap {
        name: "msgq send --lines, its capacity is lowered",
        before: |world| world.prepare("msgq create key/5"),
        words: "msgq send key/5 --lines --timeout 5ms",
        input: Some("wide"),
        swap: |_| kernel::set_capacity(kernel::queue(5).unwrap().0, 150),
        after: |_, ran| counted(ran, &[0, 124]),
        hole: 0,
    },
    Swap {
        name: "msgq send --lines, capacity below a message",
        before: |world| world.prepare("msgq create key/5"),
        words: "msgq send key/5 --lines --timeout 5ms",
        input: Some("wide"),
        swap: |_| kernel::set_capacity(kernel::queue(5).unwrap().0, 10),
        // Too long for it as it is now, or it became so while the kernel had it wait.
        after: |_, ran| counted(ran, &[0, 7, 124]),
        hole: 0,
    },
];

/// Most moments of a verb that are tried; the end has most of them.
const MOST: u64 = 200;

pub fn run(world: &World, options: Options, report: &mut Report) {
    for swap in SWAPS {
        let mut chance = chance(options.seed, swap.name);
        let begin = || {
            world.wipe();
            (swap.before)(world);
            world.command(swap.words, swap.input)
        };
        let (_, stops, _) = kernel::at_stop(begin(), u64::MAX, |_| {});
        let moments: Vec<u64> = if !options.full {
            (0..1).map(|_| stops - below(&mut chance, stops / 2)).collect()
        } else if stops <= MOST {
            (0..stops).collect()
        } else {
            let early = (0..MOST / 5).map(|_| below(&mut chance, stops - MOST));
            let mut moments: Vec<u64> = early.chain(stops - MOST..stops).collect();
            moments.sort_unstable();
            moments
        };
        let (mut tried, mut survived, mut taken) = (0, 0, Vec::new());
        for stop in &moments {
            let mut swapped = false;
            let (_, _, status) = kernel::at_stop(begin(), *stop, |_| {
                (swap.swap)(world);
                swapped = true;
            });
            if !swapped {
                // What walks over all processes is not of the same length each time.
                continue;
            }
            tried += 1;
            let ran = world.ran("", status);
            match (swap.after)(world, &ran) {
                Ok(seen) => {
                    survived += 1;
                    taken.push((*stop, seen == Seen::Taken));
                }
                Err(error) => report.failed(swap.name, &format!("at stop {stop} of {stops}: {error}")),
            }
        }
        world.wipe();
        // Before the first look the new one is what was meant.
        let first = taken.iter().position(|(_, taken)| !taken).unwrap_or(taken.len());
        let late: Vec<u64> = taken[first..].iter().filter(|(_, taken)| *taken).map(|(stop, _)| *stop).collect();
        if late.len() > swap.hole {
            report.failed(swap.name, &format!("of {stops} stops it took what it had not looked at at {late:?}"));
        }
        let note =
            if swap.hole > 0 { format!("taken at {} stops, the stated hole", late.len()) } else { String::new() };
        report.add(swap.name, tried, survived, note);
    }
}

/// The object with key 5 goes, and one with key 6 gets its identifier.
fn same_id(table: &str) {
    if let Some((_, id)) = kernel::table(table).into_iter().find(|(key, _)| *key == 5) {
        kernel::wish(table, id);
        kernel::remove(table, id);
    }
    kernel::make(table, 6);
}

fn new_file(path: &str) {
    drop(fs::remove_file(path));
    fs::write(path, "new").unwrap();
}

/// Other than by ipcx, whose output is looked at.
fn new_queue(_: &World) {
    fs::File::create("/dev/mqueue/jobs").unwrap();
}

fn cut(world: &World, name: &str, length: u64) {
    fs::File::options().write(true).open(world.env.path(name)).unwrap().set_len(length).unwrap();
}

fn is_left(left: bool, ran: &Ran) -> Result<Seen, String> {
    must((0..128).contains(&ran.status), || format!("{ran:?}"))?;
    Ok(if left { Seen::Untouched } else { Seen::Taken })
}

fn must_be_left(left: bool, ran: &Ran) -> Result<Seen, String> {
    must(left && (0..128).contains(&ran.status), || format!("{ran:?}"))?;
    Ok(Seen::Untouched)
}

/// The sender says how many messages it has sent, and so many are in the queue.
fn counted(ran: &Ran, statuses: &[i32]) -> Result<Seen, String> {
    let sent = kernel::drain(kernel::queue(5).unwrap().0).len();
    must(statuses.contains(&ran.status), || format!("{ran:?}"))?;
    let said = match ran.status {
        0 => sent == 60,
        _ => ran.err.contains(&format!("{sent} message{} had been sent before", if sent == 1 { "" } else { "s" })),
    };
    must(said, || format!("{sent} are in the queue: {ran:?}"))?;
    Ok(Seen::Untouched)
}
