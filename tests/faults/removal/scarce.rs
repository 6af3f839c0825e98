//! Few descriptors, short files, and standard streams that are closed.

use crate::kernel;
use crate::kit::Starts as _;
use crate::world::{Ran, World, must};
use crate::{Options, Report};
use std::fs;

const BEFORE: &str = "shm create key/5 --size 64K --from content; msgq create key/6; msgq send key/6 one; \
    sem create key/7 --value 1; shm create /frames --size 4K; sem create /lock --value 1; msgq create /jobs; \
    mkfifo ./f; shm create ./mapped --size 64K";

/// Verbs that need descriptors.
const VERBS: &[&str] = &[
    "ls",
    "ls -a",
    "ps",
    "stale",
    "limits",
    "show shm/key/5 msgq//jobs fifo/./f",
    "shm create key/15 --size 4K --from content",
    "shm create /more --size 4K",
    "shm create ./other --size 4K",
    "shm write key/5 text",
    "shm read key/5",
    "shm dump /frames",
    "shm attach key/5 --timeout 1ms",
    "msgq create /more",
    "msgq send key/6 two",
    "msgq send /jobs two",
    "msgq recv key/6 --nowait",
    "msgq recv /jobs --nowait",
    "msgq peek key/6",
    "sem create /other",
    "sem wait /lock --nowait",
    "sem run key/7 --nowait -- true",
    "mkfifo ./g",
    "fifo recv ./f --timeout 1ms",
    "fifo recv ./f --nowait",
    "fifo peek ./f",
    "sock listen ./s --timeout 1ms",
    "sock recv @ipcx-faults --timeout 1ms",
    "signal send 0 1",
    "save shm/key/5 msgq/key/6 -f a.tar",
    "rm --save b.tar shm/key/5",
    "restore saved.tar",
    "gc --idle 0s --in run",
    "with q=msgq f=fifo -- true",
    "pipe true ::: true",
    "watch --timeout 1ms",
];

pub fn run(world: &World, options: Options, report: &mut Report) {
    world.wipe();
    world.prepare("shm create /kept --size 64K --from content; save shm//kept -f saved.tar; rm shm//kept");
    let saved = world.bytes("saved.tar");
    few(world, &saved, options, report);
    short(world, &saved, options, report);
    closed(world, options, report);
    world.wipe();
}

fn begin(world: &World, saved: &[u8]) {
    world.wipe();
    world.prepare(BEFORE);
    fs::write(world.env.path("saved.tar"), saved).unwrap();
}

/// With so many descriptors each verb does what it is for or says why not; it neither dies nor hangs.
fn few(world: &World, saved: &[u8], options: Options, report: &mut Report) {
    let most = if options.full { 3..=9 } else { 5..=5 };
    let (mut tried, mut survived, mut done) = (0, 0, 0);
    for most in most {
        for words in VERBS.iter().skip(if options.full { 0 } else { 24 }) {
            begin(world, saved);
            let mut command = world.command(words, None);
            command.limited(libc::RLIMIT_NOFILE, most);
            tried += 1;
            let ran = world.finish(command);
            done += u64::from(ran.status == 0);
            match good(world, words, &ran) {
                Ok(()) => survived += 1,
                Err(error) => report.failed(words, &format!("with {most} descriptors: {error}")),
            }
        }
    }
    report.add("verbs with 3 to 9 descriptors", tried, survived, format!("{done} could do their work all the same"));
}

fn good(world: &World, words: &str, ran: &Ran) -> Result<(), String> {
    // 101 is a panic of Rust's.
    let named = (0..=127).contains(&ran.status) && ran.status != 101;
    must(named && (ran.status == 0 || !ran.err.is_empty()), || format!("{ran:?}"))?;
    let archive = world.env.path("a.tar").exists();
    must(!words.starts_with("save") || archive == (ran.status == 0), || format!("archive {archive}: {ran:?}"))?;
    let whole = fs::read("/dev/shm/kept").ok().is_none_or(|bytes| bytes == world.bytes("content"));
    must(whole, || "restored in part".to_owned())?;
    let new = world.left().into_iter().filter(|name| name.starts_with("run/") || name.starts_with(".ipcx")).count();
    must(new == 0, || format!("left behind: {:?}", world.left()))
}

/// Files may not be longer than so many bytes (RLIMIT_FSIZE).
fn short(world: &World, saved: &[u8], options: Options, report: &mut Report) {
    const VERBS: &[&str] = &[
        "save shm/key/5 msgq/key/6 -f a.tar",
        "rm --save b.tar shm/key/5",
        "shm create ./other --size 64K --from content",
        "shm create /more --size 64K --from content",
        "sem create /other",
        "shm read key/5",
        "restore saved.tar",
        "msgq recv key/6 --nowait",
        "ls",
    ];
    let sizes: &[u64] = if options.full { &[0, 1, 31, 511, 4096, 40000, 65535] } else { &[511] };
    let (mut tried, mut survived) = (0, 0);
    for size in sizes {
        for words in VERBS {
            begin(world, saved);
            let mut command = world.command(words, None);
            command.limited(libc::RLIMIT_FSIZE, *size);
            // What it says must not be cut as well.
            command.stderr(std::process::Stdio::null());
            tried += 1;
            let mut ran = world.finish(command);
            ran.err = "not kept".to_owned();
            let absent = |path: &str| !fs::exists(path).unwrap();
            let other = world.env.path("other");
            let objects = ran.status == 0
                || (absent(other.to_str().unwrap()) && absent("/dev/shm/more") && absent("/dev/shm/sem.other"));
            let kept = !words.starts_with("rm") || ran.status == 0 || kernel::segment(5).is_some();
            let message =
                !words.starts_with("msgq") || ran.status == 0 || kernel::drain(kernel::queue(6).unwrap().0) == [b"one"];
            let all = must(objects && kept && message, || format!("objects {objects}, {kept}, {message}: {ran:?}"));
            match good(world, words, &ran).and(all) {
                Ok(()) => survived += 1,
                Err(error) => report.failed(words, &format!("with files of {size} bytes at most: {error}")),
            }
        }
    }
    report.add("verbs that may write short files only", tried, survived, "nothing half made");
}

/// No file that ipcx opens becomes its standard input, output or error.
fn closed(world: &World, options: Options, report: &mut Report) {
    let sets: &[&[i32]] =
        if options.full { &[&[0], &[1], &[2], &[0, 1], &[0, 2], &[1, 2], &[0, 1, 2]] } else { &[&[0, 1, 2]] };
    let (mut tried, mut survived) = (0, 0);
    for set in sets {
        for words in [
            "save shm/key/5 -f a.tar",
            "save shm/key/5 shm/key/99 -f a.tar",
            "shm write ./mapped --from content",
            "shm write ./mapped text --offset 99K",
            "shm create ./mapped --size 1 --from content",
            "shm read ./mapped --offset 99K",
            "msgq recv key/6 --nowait -n 5",
            "restore saved.tar",
            "ls -a",
            "fifo send ./nowhere x --nowait",
            "with q=msgq f=fifo -- true",
        ] {
            world.wipe();
            world.prepare(
                "shm create key/5 --size 64K --from content; msgq create key/6; msgq send key/6 one; \
                shm create ./mapped --size 64K --from content; shm create /kept --size 64K --from content; \
                save shm//kept -f saved.tar; rm shm//kept",
            );
            let before = world.bytes("saved.tar");
            let mut command = world.command(words, None);
            set.iter().for_each(|fd| kernel::close_at_start(&mut command, *fd));
            tried += 1;
            let ran = world.finish(command);
            let same = world.bytes("mapped") == world.bytes("content") && world.bytes("saved.tar") == before;
            let archive = !world.env.path("a.tar").exists() || world.ipcx("restore a.tar --list", &[0]).is_ok();
            let alive = (0..=127).contains(&ran.status) && ran.status != 101;
            match must(same && archive && alive, || format!("files {same}, archive {archive}: {ran:?}")) {
                Ok(()) => survived += 1,
                Err(error) => report.failed(words, &format!("with {set:?} closed: {error}")),
            }
        }
    }
    report.add("verbs with standard streams closed", tried, survived, "no file was written instead of a stream");
}
