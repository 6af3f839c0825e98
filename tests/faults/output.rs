//! Standard output that fails, goes away, is slow or fills up: what is lost is said, and what is not lost is whole.

use crate::chance::Chance;
use crate::kernel;
use crate::world::{Found, Ran, World, chance, must, soon};
use crate::{Options, Report};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::Stdio;
use std::time::Duration;

const BEFORE: &str = "shm create key/5 --size 300K; msgq create key/6; msgq send key/6 one two; \
    sem create key/7 -n 3 --value 1,2,3; shm create /frames --size 64K; msgq create /jobs; msgq send /jobs one; \
    sem create /lock; mkfifo ./f";

/// Verbs that take nothing: a reader who has seen enough ends them quietly.
const LISTINGS: &[&str] = &[
    "ls",
    "ls -a",
    "ls --json",
    "ls --jsonl",
    "ls -o help",
    "ps",
    "ps --json",
    "stale",
    "stale --json",
    "gc --idle 0s --in run",
    "limits",
    "limits --json",
    "show shm/key/5 msgq//jobs",
    "show sem/key/7 --json",
    "shm ls",
    "shm read key/5",
    "shm dump key/5",
    "msgq peek key/6",
    "msgq peek key/6 --json",
    "sem get key/7",
    "fifo show ./f",
    "signal list",
    "signal show 1",
    "explain EAGAIN",
    "ftok .",
    "restore saved.tar --list",
    "completions bash",
    "man",
    "--help",
    "--version",
];

/// Those whose output is the same each time.
const STEADY: &[&str] =
    &["shm read key/5", "shm dump key/5", "msgq peek key/6 --json", "ls -o ref,mode --raw", "completions bash", "man"];

pub fn run(options: Options, report: &mut Report) {
    let mut world = World::new();
    fs::write("/proc/sys/kernel/msgmnb", "204800").unwrap();
    world.prepare(BEFORE);
    world.prepare("save shm/key/5 msgq/key/6 sem/key/7 -f saved.tar");
    world.env.sh("mkdir small; mount -t tmpfs -o size=64k ipcx-faults small").assert().success();
    world.fixture("stream", &(0..100_000u32).flat_map(u32::to_ne_bytes).collect::<Vec<_>>());
    world.keep();
    let rounds = if options.full { 20 } else { 1 };
    let mut many = |name: &str, rounds: u64, note: &str, try_it: &mut dyn FnMut() -> Found| {
        let mut survived = 0;
        for at in 0..rounds {
            match try_it() {
                Ok(_) => survived += 1,
                Err(error) => report.failed(name, &format!("the {at}th of seed {}: {error}", options.seed)),
            }
        }
        report.add(name, rounds, survived, note);
    };
    let listings: Vec<&str> = if options.full { LISTINGS.to_vec() } else { LISTINGS[14..22].to_vec() };
    let mut at = listings.iter().cycle();
    many("listings to /dev/full", listings.len() as u64 * rounds.min(5), "status 1, ENOSPC is said", &mut || {
        full(&world, at.next().unwrap())
    });
    let mut at = listings.iter().cycle();
    many(
        "listings whose reader has gone",
        listings.len() as u64 * rounds.min(5),
        "status 0, nothing is said",
        &mut || unread(&world, at.next().unwrap()),
    );
    let mut chance = chance(options.seed, "output");
    let mut at = STEADY.iter().cycle();
    many("listings to a slow non-blocking pipe", STEADY.len() as u64 * rounds.min(10), "bytes are whole", &mut || {
        slow(&world, at.next().unwrap(), &mut chance)
    });
    for gone in [false, true] {
        let how = if gone { "whose reader has gone" } else { "to /dev/full" };
        let note = "status 1; put back, or said to be lost";
        many(&format!("msgq recv KEY {how}"), rounds, note, &mut || queue(&world, gone));
        many(&format!("msgq recv /NAME {how}"), rounds, note, &mut || posix(&world, gone));
        many(&format!("fifo recv {how}"), rounds, note, &mut || fifo(&world, "", gone));
        many(&format!("fifo recv --lines {how}"), rounds, note, &mut || fifo(&world, "--lines", gone));
        many(&format!("sock recv {how}"), rounds, note, &mut || sock(&world, "stream", gone));
        many(&format!("sock recv --type dgram {how}"), rounds, note, &mut || sock(&world, "dgram", gone));
    }
    many("msgq recv --all into a file system that fills", rounds, "all in the file or the queue", &mut || {
        fills(&world)
    });
    many("fifo recv into a file system that fills", rounds, "what is lost is counted", &mut || stream_fills(&world));
    many("shm read into a file system that fills", rounds, "status 1, ENOSPC is said", &mut || {
        let ran = into_small(&world, "shm read key/5");
        must(ran.status == 1 && ran.err.contains("ENOSPC"), || format!("{ran:?}"))?;
        Ok("said")
    });
}

fn to_full(world: &World, words: &str) -> Ran {
    let mut command = world.command(words, None);
    command.stdout(File::options().write(true).open("/dev/full").unwrap());
    world.finish(command)
}

fn to_nobody(world: &World, words: &str) -> Ran {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = world.command(words, None);
    command.stdout(writer);
    world.finish(command)
}

fn full(world: &World, words: &str) -> Found {
    let ran = to_full(world, words);
    // A listing that has nothing to print cannot fail to.
    let empty = ran.status == 0 && words.starts_with("gc");
    must(empty || ran.status == 1 && ran.err.contains("ENOSPC"), || format!("ipcx {words}: {ran:?}"))?;
    Ok("said")
}

fn unread(world: &World, words: &str) -> Found {
    let ran = to_nobody(world, words);
    must(ran.status == 0 && !ran.err.contains("EPIPE"), || format!("ipcx {words}: {ran:?}"))?;
    Ok("quiet")
}

/// Into a pipe that refuses instead of blocking, read in small pieces with pauses in between.
fn slow(world: &World, words: &str, chance: &mut Chance) -> Found {
    let wanted = world.ipcx(words, &[0])?.out;
    let mut command = world.command(words, None);
    let got = read_slowly(&mut command, chance)?;
    must(got == wanted, || format!("ipcx {words}: {} bytes of {}", got.len(), wanted.len()))?;
    Ok("whole")
}

fn read_slowly(command: &mut std::process::Command, chance: &mut Chance) -> Result<Vec<u8>, String> {
    let (mut reader, writer) = std::io::pipe().unwrap();
    kernel::set_nonblocking(&writer);
    let mut child = command.stdout(writer).spawn().unwrap();
    command.stdout(Stdio::null());
    let mut got = Vec::new();
    loop {
        let mut piece = vec![0; 1 + chance.below(30_000)];
        match reader.read(&mut piece).unwrap() {
            0 => break,
            length => got.extend_from_slice(&piece[..length]),
        }
        std::thread::sleep(chance.up_to(Duration::from_micros(300)));
    }
    let status = child.wait().unwrap();
    if status.success() { Ok(got) } else { Err(format!("{status}")) }
}

fn to_bad(world: &World, words: &str, gone: bool) -> Ran {
    if gone { to_nobody(world, words) } else { to_full(world, words) }
}

fn said(ran: &Ran, gone: bool) -> Result<(), String> {
    let errno = if gone { "EPIPE" } else { "ENOSPC" };
    must(ran.status == 1 && ran.err.contains(errno), || format!("{ran:?}"))
}

fn queue(world: &World, gone: bool) -> Found {
    let (id, ..) = kernel::queue(6).unwrap();
    kernel::drain(id);
    kernel::put(id, b"one");
    kernel::put(id, b"two");
    said(&to_bad(world, "msgq recv key/6 -n 2", gone), gone)?;
    let mut left = kernel::drain(id);
    left.sort();
    must(left == [b"one", b"two"], || format!("in the queue: {left:?}"))?;
    Ok("put back")
}

fn posix(world: &World, gone: bool) -> Found {
    kernel::drain_posix("/jobs");
    world.prepare("msgq send /jobs one two");
    said(&to_bad(world, "msgq recv /jobs -n 2", gone), gone)?;
    let mut left = kernel::drain_posix("/jobs").unwrap().1;
    left.sort();
    must(left == [(0, b"one".to_vec()), (0, b"two".to_vec())], || format!("in the queue: {left:?}"))?;
    Ok("put back")
}

/// What was taken from a FIFO cannot go back.
fn fifo(world: &World, how: &str, gone: bool) -> Found {
    let mut held = File::options().read(true).write(true).open(world.env.path("f")).unwrap();
    held.write_all(b"lost\n").unwrap();
    let words = format!("fifo recv ./f --timeout 10s {how}");
    let ran = to_bad(world, words.trim(), gone);
    said(&ran, gone)?;
    let told = if how.is_empty() { "5 bytes were taken and could not be written" } else { "\nlost\n" };
    must(ran.err.contains(told), || format!("{ran:?}"))?;
    Ok("said")
}

fn sock(world: &World, kind: &str, gone: bool) -> Found {
    let words = format!("sock recv ./s --type {kind} --timeout 10s");
    let ran = std::thread::scope(|scope| {
        let path = world.env.path("s");
        let sender = scope.spawn(move || {
            soon(|| {
                let sent = match kind {
                    "stream" => UnixStream::connect(&path).and_then(|mut stream| stream.write_all(b"lost")),
                    _ => UnixDatagram::unbound().and_then(|socket| socket.send_to(b"lost", &path).map(drop)),
                };
                sent.map_err(|error| error.to_string())
            })
        });
        let ran = to_bad(world, &words, gone);
        sender.join().unwrap().map(|()| ran)
    })?;
    said(&ran, gone)?;
    must(kind == "stream" || ran.err.contains("lost"), || format!("{ran:?}"))?;
    world.only("")?;
    Ok("said")
}

/// Runs it with its output into 64 KiB; the file is `small/out`.
fn into_small(world: &World, words: &str) -> Ran {
    let mut command = world.command(words, None);
    command.stdout(File::create(world.env.path("small/out")).unwrap());
    world.finish(command)
}

fn fills(world: &World) -> Found {
    let (id, ..) = kernel::queue(6).unwrap();
    kernel::drain(id);
    let all: Vec<Vec<u8>> = (b'a'..b'm').map(|letter| vec![letter; 8000]).collect();
    all.iter().for_each(|message| assert!(kernel::put(id, message)));
    let ran = into_small(world, "msgq recv key/6 --all");
    must(ran.status == 1 && ran.err.contains("ENOSPC") && ran.err.contains("put back"), || format!("{ran:?}"))?;
    let file = world.bytes("small/out");
    let whole = file.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    let mut got: Vec<Vec<u8>> = whole.map(|line| line[..line.len() - 1].to_vec()).collect();
    got.extend(kernel::drain(id));
    got.sort();
    must(got == all, || format!("{} messages of {}", got.len(), all.len()))?;
    Ok("none lost")
}

fn stream_fills(world: &World) -> Found {
    let sender = world.command_as("-send", "fifo send ./f", Some("stream")).spawn().unwrap().id();
    let ran = into_small(world, "fifo recv ./f");
    let sent = world.ended_as("-send", sender);
    must(ran.status == 1 && ran.err.contains("ENOSPC"), || format!("{ran:?}"))?;
    must(sent.status == 1 && sent.err.contains("EPIPE"), || format!("{sent:?}"))?;
    let (file, stream) = (fs::metadata(world.env.path("small/out")).unwrap().len(), world.bytes("stream"));
    must(stream.starts_with(&world.bytes("small/out")), || "other bytes".to_owned())?;
    must(ran.err.contains("were taken and could not be written"), || format!("{file} bytes written: {ran:?}"))?;
    Ok("said")
}
