//! What ipcx works on goes away, and something else takes its place.

mod scarce;
mod swaps;

use crate::kernel;
use crate::world::{World, must, soon};
use crate::{Options, Report};
use std::fs;

pub fn run(options: Options, report: &mut Report) {
    let mut world = World::new();
    world.fixture("content", &[0xa5; 65536]);
    world.fixture("wide", format!("{}\n", "x".repeat(100)).repeat(60).as_bytes());
    blocked(&world, options, report);
    unlinked(&world, options, report);
    swaps::run(&world, options, report);
    scarce::run(&world, options, report);
}

const BEFORE: &str = "msgq create key/5; msgq create key/6 --max-bytes 10; msgq send key/6 0123456789; \
    sem create key/7 --value 0; sem create key/8 --value 1";

/// Verbs that wait on a System V object, and on which.
const WAITS: &[(&str, &str, i32)] = &[
    ("msgq recv key/5", "msg", 5),
    ("msgq recv key/5 --follow", "msg", 5),
    ("msgq recv key/5 --type 3 --timeout 20s", "msg", 5),
    ("msgq send key/6 more", "msg", 6),
    ("sem wait key/7", "sem", 7),
    ("sem zero key/8", "sem", 8),
    ("sem op key/7 0=-1", "sem", 7),
    ("sem run key/7 -- true", "sem", 7),
];

/// The object is removed under a wait, and one of the same key, or even of the same identifier, is there at once.
fn blocked(world: &World, options: Options, report: &mut Report) {
    for same_id in [false, true] {
        let (rounds, mut survived) = (if options.full { 60 } else { 1 }, 0);
        for round in 0..rounds {
            for (words, table, key) in WAITS {
                world.wipe();
                world.prepare(BEFORE);
                match removed(world, words, table, *key, same_id) {
                    Ok(()) => survived += 1,
                    Err(error) => report.failed(words, &format!("removed under it, round {round}: {error}")),
                }
            }
        }
        let how = if same_id { "the same identifier" } else { "the same key" };
        let name = format!("waits whose object goes, {how}");
        report.add(name, rounds * WAITS.len() as u64, survived, "status 3, the new object is untouched");
    }
    world.wipe();
}

fn removed(world: &World, words: &str, table: &str, key: i32, same_id: bool) -> Result<(), String> {
    let pid = world.command(words, None).spawn().unwrap().id();
    soon(|| {
        let at = fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
        must(at.contains("do_msg") || at.contains("semtimedop"), || format!("it waits in {at}"))
    })?;
    let (_, id) = kernel::table(table).into_iter().find(|(found, _)| *found == key).unwrap();
    if same_id {
        kernel::wish(table, id);
    }
    kernel::remove(table, id);
    let new = kernel::make(table, key);
    must((new == id) == same_id, || format!("the new one has the identifier {new}, the old one had {id}"))?;
    if table == "msg" {
        kernel::put(new, b"new");
    }
    let ran = world.ended(pid);
    must(ran.status == 3 && ran.out.is_empty() && ran.err.contains("EIDRM"), || format!("{ran:?}"))?;
    match table {
        "msg" => must(kernel::drain(new) == [b"new"], || "the new queue has another content".to_owned()),
        _ => must(kernel::set(key).unwrap().3 == [0], || "the new set has another value".to_owned()),
    }
}

/// A POSIX queue loses its name under those who wait on it, and another one gets it.
fn unlinked(world: &World, options: Options, report: &mut Report) {
    let (rounds, mut survived) = (if options.full { 50 } else { 1 }, 0);
    for round in 0..rounds {
        for (words, fill) in [("msgq recv /jobs --timeout 60ms", ""), ("msgq send /jobs more --timeout 60ms", "x")] {
            world.wipe();
            world.prepare("msgq create /jobs --max-messages 1");
            if !fill.is_empty() {
                world.prepare("msgq send /jobs x");
            }
            let pid = world.command(words, None).spawn().unwrap().id();
            let waits = soon(|| {
                let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
                let has = open.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|to| to.ends_with("jobs"));
                must(has, || "it does not open it".to_owned())
            });
            kernel::unlink_posix("/jobs");
            world.prepare("msgq create /jobs --max-messages 2; msgq send /jobs new");
            let ran = world.ended(pid);
            let now = kernel::drain_posix("/jobs").map(|(_, messages)| messages);
            let good = ran.status == 124 && now == Some(vec![(0, b"new".to_vec())]);
            match waits.and_then(|()| must(good, || format!("{ran:?}, in the new queue {now:?}"))) {
                Ok(()) => survived += 1,
                Err(error) => report.failed(words, &format!("unlinked under it, round {round}: {error}")),
            }
        }
    }
    world.wipe();
    report.add("waits whose POSIX queue is replaced", rounds * 2, survived, "status 124, the new queue is untouched");
}
