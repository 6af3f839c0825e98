//! Signals by the thousand, none of which asks ipcx to end: a wait goes on with its time unchanged, and bytes arrive
//! whole. Then one that does ask.

use crate::chance::Chance;
use crate::kernel;
use crate::world::{Found, Ran, World, chance, must, soon};
use crate::{Options, Report};
use std::fs;
use std::time::{Duration, Instant};

/// Signals whose default is to be ignored, and the pair that stops and goes on.
const HARMLESS: [i32; 4] = [libc::SIGCONT, libc::SIGWINCH, libc::SIGURG, libc::SIGCHLD];

/// What is there for the waits below: empty and full queues, semaphores that are 0 and 1, FIFOs.
const BEFORE: &str = "msgq create key/5; msgq create key/6 --max-bytes 10; msgq send key/6 0123456789; \
    msgq create /empty; msgq create /full --max-messages 1; msgq send /full x; sem create key/7 --value 0; \
    sem create key/8 --value 1; sem create /lock --value 0; shm create key/9 --size 4K; mkfifo ./quiet ./alone ./held";

/// Verbs that wait for what does not come. `held` has a writer, which is the harness.
const WAITS: &[&str] = &[
    "msgq recv key/5",
    "msgq recv key/5 --follow",
    "msgq recv /empty",
    "msgq send key/6 more",
    "msgq send /full more",
    "sem wait key/7",
    "sem zero key/8",
    "sem wait /lock",
    "sem op key/7 0=-1",
    "fifo recv ./alone",
    "fifo send ./quiet x",
    "fifo recv ./held",
    "fifo recv ./held --lines",
    "sock recv ./s1",
    "sock recv ./s2 --type dgram",
    "sock listen ./s3",
    "signal trap USR1",
    "shm attach key/9",
    "pipe",
];

/// How late a wait may end on a machine that has much else to do.
const LATE: Duration = Duration::from_millis(400);

pub fn run(options: Options, report: &mut Report) {
    let mut world = World::new();
    let content: Vec<u8> = (0..1u32 << 20).flat_map(|n| (n | 1 << 31).to_ne_bytes()).collect();
    world.fixture("big", &content);
    world.fixture("lines", &(0..2000).flat_map(|n| format!("message {n}\n").into_bytes()).collect::<Vec<_>>());
    world.prepare(BEFORE);
    world.keep();
    let held = fs::File::options().read(true).write(true).open(world.env.path("held")).unwrap();
    let mut chance = chance(options.seed, "storms");
    timeouts(&world, options, &mut chance, report);
    ends(&world, options, &mut chance, report);
    drop(held);
    for (name, work) in WORK {
        let (tried, mut survived, mut signals) = (if options.full { 25 } else { 1 }, 0, 0);
        for at in 0..tried {
            match work(&world, &mut chance, &mut signals) {
                Ok(_) => survived += 1,
                Err(error) => report.failed(name, &format!("the {at}th of seed {}: {error}", options.seed)),
            }
        }
        report.add(*name, tried, survived, format!("under {signals} signals"));
    }
}

/// Sends signals to these until all have ended or the time is over; how many, and when each was seen to end.
fn storm(pids: &[u32], most: Duration, chance: &mut Chance) -> (u64, Vec<Option<Instant>>) {
    let (start, mut sent) = (Instant::now(), 0);
    let mut ends = vec![None; pids.len()];
    while ends.contains(&None) && start.elapsed() < most {
        for (at, pid) in pids.iter().enumerate().filter(|(at, _)| ends[*at].is_none()).collect::<Vec<_>>() {
            if chance.below(8) == 0 {
                kernel::send_signal(*pid, libc::SIGSTOP);
                sent += 1;
                kernel::send_signal(*pid, libc::SIGCONT);
            } else {
                kernel::send_signal(*pid, HARMLESS[chance.below(HARMLESS.len())]);
            }
            sent += 1;
            if kernel::has_ended(*pid) {
                ends[at] = Some(Instant::now());
            }
        }
        // Who is signalled without a pause never comes to do anything.
        std::thread::sleep(chance.up_to(Duration::from_micros(200)));
    }
    (sent, ends)
}

fn start_waits(world: &World, more: &str) -> Vec<u32> {
    let start = |(at, words): (usize, &&str)| {
        let input = ["pipe", "shm attach"].iter().any(|verb| words.starts_with(verb)).then_some("held");
        let mut command = world.command_as(&at.to_string(), &format!("{words} {more}"), input);
        command.spawn().unwrap().id()
    };
    WAITS.iter().enumerate().map(start).collect()
}

/// Each wait ends when its time is over: neither at once nor later because of what came.
fn timeouts(world: &World, options: Options, chance: &mut Chance, report: &mut Report) {
    let (rounds, span) = if options.full { (40, 500) } else { (1, 200) };
    let (mut survived, mut signals, mut latest) = (0, 0, Duration::ZERO);
    let span = Duration::from_millis(span);
    for round in 0..rounds {
        let before = Instant::now();
        let pids = start_waits(world, &format!("--timeout {}ms", span.as_millis()));
        let started = Instant::now();
        let (sent, ends) = storm(&pids, Duration::from_secs(20), chance);
        signals += sent;
        for ((at, words), (pid, end)) in WAITS.iter().enumerate().zip(pids.iter().zip(ends)) {
            let Ran { status, err, .. } = world.ended_as(&at.to_string(), *pid);
            let Some(end) = end else {
                report.failed(words, &format!("it did not end in a storm, round {round}"));
                continue;
            };
            // Whenever it began to wait, that was after the first moment.
            let (longest, shortest) = (end - before, end.saturating_duration_since(before));
            let late = longest.saturating_sub(span + (started - before));
            latest = latest.max(late);
            if status == 124 && late < LATE && shortest >= span {
                survived += 1;
            } else {
                report.failed(words, &format!("round {round}: status {status} after {longest:?} of {span:?}: {err}"));
            }
        }
        if let Err(error) = world.only("") {
            report.failed("waits that timed out", &error);
            world.wipe_new();
        }
    }
    let note = format!("under {signals} signals; the latest end {} ms late", latest.as_millis());
    report.add("waits with --timeout", rounds * WAITS.len() as u64, survived, note);
}

/// One signal in the storm asks them to end: all do, with its number, and nothing is half done.
fn ends(world: &World, options: Options, chance: &mut Chance, report: &mut Report) {
    let rounds = if options.full { 40 } else { 1 };
    let (mut survived, mut signals) = (0, 0);
    for round in 0..rounds {
        let pids = start_waits(world, "");
        // Until they wait: a signal that comes before the first wait kills in the usual way, which is as good.
        let (sent, _) = storm(&pids, Duration::from_millis(40) + chance.up_to(Duration::from_millis(40)), chance);
        let signal = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP][chance.below(3)];
        pids.iter().for_each(|pid| kernel::send_signal(*pid, signal));
        let (more, ends) = storm(&pids, Duration::from_secs(20), chance);
        signals += sent + more;
        for ((at, words), (pid, end)) in WAITS.iter().enumerate().zip(pids.iter().zip(ends)) {
            let Ran { status, err, .. } = world.ended_as(&at.to_string(), *pid);
            if status == 128 + signal && end.is_some() {
                survived += 1;
            } else {
                report.failed(words, &format!("round {round}: signal {signal} gave status {status}: {err}"));
            }
        }
        if let Err(error) = world.only("").and_then(|()| untouched()) {
            report.failed("waits that were ended", &error);
            world.wipe_new();
        }
    }
    let note = format!("under {signals} signals; all ended by SIGINT, SIGTERM or SIGHUP");
    report.add("waits that are ended", rounds * WAITS.len() as u64, survived, note);
}

/// No wait has taken or given anything.
fn untouched() -> Result<(), String> {
    let values: Vec<u16> = [7, 8].into_iter().flat_map(|key| kernel::set(key).unwrap().3).collect();
    must(values == [0, 1], || format!("semaphores {values:?}"))?;
    let full = kernel::drain(kernel::queue(6).unwrap().0);
    must(full == [b"0123456789"], || format!("{full:?}"))?;
    kernel::put(kernel::queue(6).unwrap().0, &full[0]);
    must(kernel::drain(kernel::queue(5).unwrap().0).is_empty(), || "a message in the empty queue".to_owned())
}

type Work = fn(&World, &mut Chance, &mut u64) -> Found;

/// Verbs that work while signals come.
const WORK: &[(&str, Work)] = &[
    ("pipe relay of 4 MiB", |world, chance, signals| {
        pair(world, chance, signals, "fifo send ./alone", Some("big"), "pipe", Some("alone"))?;
        world.same("out-right", &world.bytes("big"))
    }),
    ("fifo send to fifo recv, 4 MiB", |world, chance, signals| {
        pair(world, chance, signals, "fifo send ./alone", Some("big"), "fifo recv ./alone", None)?;
        world.same("out-right", &world.bytes("big"))
    }),
    ("fifo send to fifo recv --lines", |world, chance, signals| {
        pair(world, chance, signals, "fifo send ./alone", Some("lines"), "fifo recv ./alone --lines", None)?;
        world.same("out-right", &world.bytes("lines"))
    }),
    ("sock connect to sock recv, 4 MiB", |world, chance, signals| {
        pair(world, chance, signals, "sock connect ./s", Some("big"), "sock recv ./s", None)?;
        world.same("out-right", &world.bytes("big"))
    }),
    ("msgq send to msgq recv, 2000 lines", |world, chance, signals| {
        pair(world, chance, signals, "msgq send key/5 --lines", Some("lines"), "msgq recv key/5 -n 2000", None)?;
        world.same("out-right", &world.bytes("lines"))
    }),
    ("the same through /NAME", |world, chance, signals| {
        pair(world, chance, signals, "msgq send /empty --lines", Some("lines"), "msgq recv /empty -n 2000", None)?;
        world.same("out-right", &world.bytes("lines"))
    }),
    ("shm write, shm read of 4 MiB", |world, chance, signals| {
        world.prepare("shm create ./mapped --size 4M");
        stormed(world, chance, signals, "shm write ./mapped", Some("big"))?;
        let ran = stormed(world, chance, signals, "shm read ./mapped", None)?;
        world.wipe_new();
        must(ran.out == world.bytes("big"), || "other bytes".to_owned())?;
        Ok("whole")
    }),
    ("save, restore", |world, chance, signals| {
        world.prepare("shm create /frames --size 4M --from big; msgq create /jobs; msgq send /jobs a b c");
        stormed(world, chance, signals, "save shm//frames msgq//jobs --drain -f a.tar", None)?;
        world.prepare("rm shm//frames msgq//jobs");
        stormed(world, chance, signals, "restore a.tar", None)?;
        let messages = kernel::drain_posix("/jobs").map(|(_, messages)| messages.len());
        let whole = fs::read("/dev/shm/frames").ok() == Some(world.bytes("big"));
        world.wipe_new();
        must(whole && messages == Some(3), || format!("bytes whole {whole}, messages {messages:?}"))?;
        Ok("whole")
    }),
];

fn stormed(
    world: &World,
    chance: &mut Chance,
    signals: &mut u64,
    words: &str,
    input: Option<&str>,
) -> Result<Ran, String> {
    let pid = world.command(words, input).spawn().unwrap().id();
    *signals += storm(&[pid], Duration::from_secs(20), chance).0;
    let ran = world.ended(pid);
    if ran.status == 0 { Ok(ran) } else { Err(format!("ipcx {words}: status {}: {}", ran.status, ran.err)) }
}

/// One verb sends to another one, both in the storm.
fn pair(
    world: &World,
    chance: &mut Chance,
    signals: &mut u64,
    left: &str,
    from: Option<&str>,
    right: &str,
    input: Option<&str>,
) -> Result<(), String> {
    let mut receiver = world.command_as("-right", right, None);
    let mut until_opened = None;
    if let Some(name) = input {
        let path = world.env.path(name);
        // Our end to write is closed once the sender has its own: before that it would be the end for the receiver.
        let both = fs::File::options().read(true).write(true).open(&path).unwrap();
        receiver.stdin(fs::File::open(&path).unwrap());
        until_opened = Some((both, path));
    }
    let receiver = receiver.spawn().unwrap().id();
    if right.starts_with("sock") {
        soon(|| {
            let said = fs::read_to_string(world.aside("err-right")).unwrap();
            must(said.contains("listening"), || "nobody listens".to_owned())
        })?;
    }
    let sender = world.command_as("-left", left, from).spawn().unwrap().id();
    if let Some((both, path)) = until_opened {
        soon(|| {
            let open = fs::read_dir(format!("/proc/{sender}/fd")).into_iter().flatten().flatten();
            let has = open.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|to| to == path);
            // It may have sent all of it by now.
            must(has || kernel::has_ended(sender), || "the sender does not open it".to_owned())
        })?;
        drop(both);
    }
    *signals += storm(&[sender, receiver], Duration::from_secs(30), chance).0;
    for (mark, pid) in [("-left", sender), ("-right", receiver)] {
        let Ran { status, err, .. } = world.ended_as(mark, pid);
        must(status == 0, || format!("{mark} {status}: {err}"))?;
    }
    world.only("")
}
