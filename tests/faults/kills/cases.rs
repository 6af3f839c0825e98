//! The verbs that are killed.

use super::Case;
use crate::kernel;
use crate::world::{Found, Ran, World, must};
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};

/// What the POSIX queue of `archived` holds.
const URGENT: [(u32, &[u8]); 3] = [(9, b"urgent"), (5, b"first"), (5, b"second")];
const LINES: usize = 300;
const BIG: usize = 4 << 20;

/// Files and the archive that the cases start from.
pub fn fixtures(world: &mut World) {
    let content: Vec<u8> = (0..1u32 << 14).flat_map(|n| (n | 1 << 31).to_ne_bytes()).collect();
    world.fixture("content", &content);
    world.fixture("big", &content.repeat(BIG >> 16));
    world.fixture("lines", &(0..LINES).flat_map(|n| format!("message {n}\n").into_bytes()).collect::<Vec<_>>());
    world.prepare(ALL);
    world.prepare("save shm/key/5 msgq/key/6 sem/key/7 shm//frames msgq//jobs sem//lock --drain -f saved.tar");
    let saved = world.bytes("saved.tar");
    world.wipe();
    world.fixture("saved.tar", &saved);
}

const ALL: &str = "shm create key/5 --size 64K --from content --mode 664; msgq create key/6 --mode 664; \
    msgq send key/6 -t 3 one two three; sem create key/7 -n 3 --value 1,2,3 --mode 664; \
    shm create /frames --size 64K --from content --mode 664; sem create /lock --value 4 --mode 664; \
    msgq create /jobs --max-messages 8 --message-size 100 --mode 644; msgq send /jobs -p 5 first second; \
    msgq send /jobs -p 9 urgent";
const LASTING: &str = "shm create key/5 --size 64K --from content --mode 664; msgq create key/6 --mode 664; \
    msgq send key/6 -t 3 one two three; sem create key/7 -n 3 --value 1,2,3 --mode 664; \
    shm create /frames --size 64K --from content --mode 664; sem create /lock --value 4 --mode 664";
const OBJECTS: &str = "key/5 key/6 key/7 shm/frames shm/sem.lock mq/jobs";
const SAVED: &str = "key/5 key/6 key/7 shm/frames shm/sem.lock mq/jobs a.tar";

pub const CASES: &[Case] = &[
    Case {
        name: "shm create KEY",
        before: "",
        words: "shm create key/5 --size 64K --mode 664",
        input: None,
        may: "key/5",
        after: |_| match kernel::segment(5) {
            None => Ok("absent"),
            Some((_, 0o664, bytes)) if bytes == [0; 65536] => Ok("whole"),
            other => Err(format!("{:?}", other.map(|(_, mode, bytes)| (mode, bytes.len())))),
        },
    },
    Case {
        name: "shm create KEY --from",
        before: "",
        words: "shm create key/5 --size 4M --from big --mode 664",
        input: None,
        may: "key/5",
        after: |world| region(kernel::segment(5).map(|(_, mode, bytes)| (mode, bytes)), &world.bytes("big")),
    },
    Case {
        name: "shm create /NAME --from",
        before: "",
        words: "shm create /frames --size 4M --from big --mode 644",
        input: None,
        may: "shm/frames",
        after: |world| whole_file("/dev/shm/frames", 0o644, &world.bytes("big")),
    },
    Case {
        name: "shm create FILE --from",
        before: "",
        words: "shm create ./mapped --size 64K --from content --mode 644",
        input: None,
        may: "mapped",
        after: |world| whole_file(world.env.path("mapped").to_str().unwrap(), 0o644, &world.bytes("content")),
    },
    Case {
        name: "msgq create KEY --max-bytes",
        before: "",
        words: "msgq create key/5 --max-bytes 4K --mode 666",
        input: None,
        may: "key/5",
        after: |_| match kernel::queue(5) {
            None => Ok("absent"),
            Some((_, 0o666, 4096)) => Ok("whole"),
            // Made and not yet limited: for its owner alone.
            Some((_, 0o600, _)) => Ok("half with mode 600"),
            other => Err(format!("{other:?}")),
        },
    },
    Case {
        name: "msgq create /NAME",
        before: "",
        words: "msgq create /jobs --max-messages 5 --message-size 100 --mode 644",
        input: None,
        may: "mq/jobs",
        after: |_| match kernel::drain_posix("/jobs") {
            None => Ok("absent"),
            Some((0o644, messages)) if messages.is_empty() => Ok("whole"),
            other => Err(format!("{other:?}")),
        },
    },
    Case {
        name: "sem create KEY -n 3",
        before: "",
        words: "sem create key/5 -n 3 --value 1,2,3 --mode 664",
        input: None,
        may: "key/5",
        after: |world| {
            let found = match kernel::set(5) {
                None => "absent",
                Some((_, 0o664, true, values)) if values == [1, 2, 3] => "whole",
                // As any program leaves it that dies between semget and semop: whoever follows the handshake sees it.
                Some((_, _, false, _)) => "never operated on",
                Some((_, mode, true, values)) if values == [1, 2, 3] && mode == 0o600 => "half with mode 600",
                other => return Err(format!("{other:?}")),
            };
            // Who finds it does not wait for ever.
            world.ipcx("sem create key/5 -n 3 --value 1,2,3 --exist-ok", &[0, 1])?;
            Ok(found)
        },
    },
    Case {
        name: "sem create /NAME",
        before: "",
        words: "sem create /lock --value 3 --mode 644",
        input: None,
        may: "shm/sem.lock",
        after: |world| match fs::exists("/dev/shm/sem.lock").unwrap() {
            false => Ok("absent"),
            true => {
                world.ipcx("sem wait /lock -n 3 --nowait", &[0])?;
                world.ipcx("sem wait /lock --nowait", &[6])?;
                Ok("whole")
            }
        },
    },
    Case {
        name: "mkfifo A B",
        before: "",
        words: "mkfifo ./a ./b --mode 620",
        input: None,
        may: "a b",
        after: |world| {
            let is = |name: &str| fs::symlink_metadata(world.env.path(name)).ok();
            let good = [is("a"), is("b")]
                .into_iter()
                .flatten()
                .all(|file| file.file_type().is_fifo() && file.permissions().mode() & 0o777 == 0o620);
            must(good, || "a FIFO is none, or has another mode".to_owned())?;
            match (is("a"), is("b")) {
                (None, None) => Ok("none"),
                (Some(_), None) => Ok("one"),
                (Some(_), Some(_)) => Ok("both"),
                _ => Err("only the second".to_owned()),
            }
        },
    },
    Case {
        name: "rm of 6 objects",
        before: ALL,
        words: "rm shm/key/5 msgq/key/6 sem/key/7 shm//frames msgq//jobs sem//lock",
        input: None,
        may: OBJECTS,
        after: |world| {
            let there = present();
            let first = there.iter().position(|there| *there).unwrap_or(there.len());
            must(there[first..].iter().all(|there| *there), || format!("not one after another: {there:?}"))?;
            whole(world, &there, &[0o664, 0o664, 0o664, 0o644, 0o644, 0o644])?;
            Ok(["none removed", "1", "2", "3", "4", "5", "all"][first])
        },
    },
    Case {
        name: "msgq send KEY --lines",
        before: "msgq create key/5",
        words: "msgq send key/5 --lines",
        input: Some("lines"),
        may: "key/5",
        after: |world| prefix(kernel::drain(kernel::queue(5).unwrap().0), &world.bytes("lines"), LINES),
    },
    Case {
        name: "msgq send /NAME",
        before: "msgq create /jobs --max-messages 8 --message-size 100",
        words: "msgq send /jobs a b c d e f g h",
        input: None,
        may: "mq/jobs",
        after: |_| {
            let (_, messages) = kernel::drain_posix("/jobs").unwrap();
            prefix(messages.into_iter().map(|(_, text)| text).collect(), b"a\nb\nc\nd\ne\nf\ng\nh\n", 8)
        },
    },
    Case {
        name: "shm write of 4 MiB",
        before: "shm create key/5 --size 4M",
        words: "shm write key/5",
        input: Some("big"),
        may: "key/5",
        after: |world| {
            let (_, _, bytes) = kernel::segment(5).unwrap();
            let wanted = world.bytes("big");
            let same = bytes.iter().zip(&wanted).take_while(|(a, b)| a == b).count();
            must(bytes[same..].iter().all(|byte| *byte == 0), || format!("after {same} bytes something else"))?;
            Ok(if same == 0 {
                "nothing"
            } else if same == wanted.len() {
                "all"
            } else {
                "the first part"
            })
        },
    },
    Case {
        name: "sem set KEY all",
        before: "sem create key/5 -n 3 --value 1,2,3",
        words: "sem set key/5 all=7",
        input: None,
        may: "key/5",
        after: |_| match &kernel::set(5).unwrap().3[..] {
            [1, 2, 3] => Ok("old"),
            [7, 7, 7] => Ok("new"),
            other => Err(format!("{other:?}")),
        },
    },
    Case {
        name: "sem wait KEY",
        before: "sem create key/5 --value 1",
        words: "sem wait key/5",
        input: None,
        may: "key/5",
        after: |_| match &kernel::set(5).unwrap().3[..] {
            [1] => Ok("not taken"),
            [0] => Ok("taken"),
            other => Err(format!("{other:?}")),
        },
    },
    Case {
        name: "sem op KEY --undo -- CMD",
        before: "sem create key/5 -n 3 --value 1,2,3",
        words: "sem op key/5 --undo 0=-1 1=-2 2=+4 -- sleep 0",
        input: None,
        may: "key/5",
        after: |_| given_back(&[1, 2, 3]),
    },
    Case {
        name: "sem run KEY",
        before: "sem create key/5 --value 1",
        words: "sem run key/5 -- sleep 0",
        input: None,
        may: "key/5",
        after: |_| given_back(&[1]),
    },
    Case {
        name: "sem run /NAME",
        before: "sem create /lock --value 1",
        words: "sem run /lock -- true",
        input: None,
        may: "shm/sem.lock",
        // The guardian gives it back, at some moment after the death of ipcx.
        after: |world| world.ipcx("sem wait /lock --timeout 10s", &[0]).map(|_| "given back"),
    },
    Case {
        name: "save",
        before: LASTING,
        words: "save shm/key/5 msgq/key/6 sem/key/7 shm//frames sem//lock -f a.tar",
        input: None,
        may: SAVED,
        after: |world| {
            whole(world, &[true, true, true, true, false, true], &[0o664, 0o664, 0o664, 0o644, 0o644, 0o644])?;
            if !world.env.path("a.tar").exists() {
                return Ok("no archive");
            }
            let there = world.ipcx("restore a.tar --list --json", &[0])?;
            let there: serde_json::Value = serde_json::from_slice(&there.out).map_err(|error| error.to_string())?;
            must(there["objects"].as_array().map_or(0, Vec::len) == 5, || format!("not all in it: {there}"))?;
            Ok("whole archive")
        },
    },
    Case {
        name: "save --drain",
        before: "msgq create /jobs --max-messages 8 --message-size 100 --mode 644; \
            msgq send /jobs -p 5 first second; msgq send /jobs -p 9 urgent",
        words: "save msgq//jobs --drain -f a.tar",
        input: None,
        may: "mq/jobs a.tar a.tar.drain shm/ipcx-drain-*",
        after: drained,
    },
    Case {
        name: "restore of 6 objects",
        before: "",
        words: "restore saved.tar",
        input: None,
        may: OBJECTS,
        after: restored,
    },
    Case {
        name: "rm --save",
        before: LASTING,
        words: "rm --save a.tar shm/key/5 msgq/key/6 sem/key/7 shm//frames sem//lock",
        input: None,
        may: SAVED,
        after: |world| {
            let there = present();
            whole(world, &there, &[0o664, 0o664, 0o664, 0o644, 0o644, 0o644])?;
            let names = ["shm/key/5", "msgq/key/6", "sem/key/7", "shm//frames", "", "sem//lock"];
            let missing: Vec<&str> =
                names.into_iter().zip(there).filter(|(n, is)| !n.is_empty() && !is).map(|(n, _)| n).collect();
            if missing.is_empty() {
                return Ok(if world.env.path("a.tar").exists() { "none removed, all saved" } else { "none removed" });
            }
            // What is removed comes back from the archive.
            world.ipcx(&format!("restore a.tar {}", missing.join(" ")), &[0])?;
            whole(world, &[true, true, true, true, false, true], &[0o664, 0o664, 0o664, 0o644, 0o644, 0o644])?;
            Ok("removed and brought back")
        },
    },
    Case {
        name: "gc --yes",
        before: ORPHANS,
        words: "gc --yes --idle 0s --in run",
        input: None,
        may: "private/shm shm/torch_4194305_1_0 shm/sem.loky-4194305-x shm/frames",
        after: |world| {
            orphans(world)?;
            Ok(if world.left().contains("private/shm") { "some left" } else { "done" })
        },
    },
    Case {
        name: "gc --yes --save",
        before: ORPHANS,
        words: "gc --yes --idle 0s --in run --save a.tar",
        input: None,
        may: "private/shm shm/torch_4194305_1_0 shm/sem.loky-4194305-x shm/frames a.tar",
        after: |world| {
            let gone = orphans(world)?;
            must(gone == 0 || world.env.path("a.tar").exists(), || format!("{gone} are gone and not saved"))?;
            if gone == 0 {
                return Ok("none removed");
            }
            // Those that are still there stay, the others come back.
            world.ipcx("restore a.tar", &[0, 5])?;
            let back = world.left().contains("private/shm")
                && fs::read("/dev/shm/torch_4194305_1_0").ok() == Some(world.bytes("content"))
                && fs::exists("/dev/shm/sem.loky-4194305-x").unwrap();
            must(back, || "not all came back".to_owned())?;
            Ok("removed and brought back")
        },
    },
    Case {
        name: "with: ipcx",
        before: "",
        words: "with q=msgq,8K b=shm,64K s=sem,1,2 f=fifo p=shm,4K,posix l=sem,1,posix m=msgq,posix -- true",
        input: None,
        may: "",
        after: |_| Ok("nothing left"),
    },
    Case {
        name: "pipe CMD ::: CMD",
        before: "",
        words: "pipe cat ::: cat",
        input: Some("content"),
        may: "",
        after: |world| {
            let (got, sent) = (fs::read(world.aside("out")).unwrap(), world.bytes("content"));
            must(sent.starts_with(&got), || format!("{} other bytes", got.len()))?;
            Ok(if got.is_empty() { "nothing" } else { "bytes in order" })
        },
    },
    Case {
        name: "sock listen PATH",
        before: "",
        words: "sock listen ./s --mode 600 --timeout 5ms",
        input: None,
        may: "s",
        after: |world| {
            let found = match fs::symlink_metadata(world.env.path("s")) {
                Err(_) => "no file",
                Ok(file) if file.file_type().is_socket() && file.permissions().mode() & 0o777 == 0o600 => {
                    "a stale file"
                }
                Ok(file) => return Err(format!("{file:?}")),
            };
            world.ipcx("sock listen ./s --replace-stale --timeout 1ms", &[124])?;
            world.only("")?;
            Ok(found)
        },
    },
];

const ORPHANS: &str = "shm create --size 64K --from content; shm create /torch_4194305_1_0 --size 64K --from content; \
    sem create /loky-4194305-x; shm create /frames --size 1";

/// Absent, whole, or half filled and for its owner alone.
fn region(found: Option<(u32, Vec<u8>)>, wanted: &[u8]) -> Found {
    match found {
        None => Ok("absent"),
        Some((0o664, bytes)) if bytes == wanted => Ok("whole"),
        Some((0o600, bytes)) if bytes.len() == wanted.len() => {
            Ok(if bytes == wanted { "whole with mode 600" } else { "half with mode 600" })
        }
        Some((mode, bytes)) => Err(format!("mode {mode:o}, {} bytes", bytes.len())),
    }
}

fn whole_file(path: &str, mode: u32, wanted: &[u8]) -> Found {
    match fs::read(path) {
        Err(_) => Ok("absent"),
        Ok(bytes) => {
            let now = fs::metadata(path).unwrap().permissions().mode() & 0o777;
            must(now == mode && bytes == wanted, || format!("mode {now:o}, {} bytes", bytes.len()))?;
            Ok("whole")
        }
    }
}

/// The messages must be the first of these lines, each whole and once.
fn prefix(messages: Vec<Vec<u8>>, lines: &[u8], all: usize) -> Found {
    let lines = lines.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n');
    let same = messages.iter().zip(lines).all(|(message, line)| message == line);
    must(same && messages.len() <= all, || format!("{} messages, not the first", messages.len()))?;
    Ok(if messages.is_empty() {
        "none"
    } else if messages.len() == all {
        "all"
    } else {
        "the first ones"
    })
}

fn given_back(values: &[u16]) -> Found {
    let now = kernel::set(5).unwrap().3;
    must(now == values, || format!("{now:?}"))?;
    Ok("all given back")
}

/// Which of the six objects are there.
fn present() -> [bool; 6] {
    let file = |path: &str| fs::exists(path).unwrap();
    [
        kernel::segment(5).is_some(),
        kernel::queue(6).is_some(),
        kernel::set(7).is_some(),
        file("/dev/shm/frames"),
        file("/dev/mqueue/jobs"),
        file("/dev/shm/sem.lock"),
    ]
}

/// Of the six objects those that are there are as they were made, with these permissions. Empties the queues.
fn whole(world: &World, there: &[bool; 6], modes: &[u32; 6]) -> Result<(), String> {
    let content = world.bytes("content");
    for at in (0..6).filter(|at| there[*at]) {
        let good = match at {
            0 => kernel::segment(5).is_some_and(|(_, mode, bytes)| mode == modes[0] && bytes == content),
            1 => kernel::queue(6).is_some_and(|(id, mode, _)| {
                let back = kernel::drain(id);
                back.iter().for_each(|text| assert!(kernel::put(id, text)));
                mode == modes[1] && back == [&b"one"[..], b"two", b"three"]
            }),
            2 => kernel::set(7)
                .is_some_and(|(_, mode, used, values)| (mode, used) == (modes[2], true) && values == [1, 2, 3]),
            3 => whole_file("/dev/shm/frames", modes[3], &content) == Ok("whole"),
            4 => kernel::drain_posix("/jobs").is_some_and(|(mode, messages)| {
                mode == modes[4] && messages.iter().map(|(n, text)| (*n, &text[..])).eq(URGENT)
            }),
            _ => {
                let bytes = fs::read("/dev/shm/sem.lock").unwrap_or_default();
                bytes.len() == 32 && bytes[0] == 4
            }
        };
        must(good, || format!("object {at} of six is not as it was made"))?;
    }
    Ok(())
}

/// After `restore`: what it has printed is whole. What is there and was not printed may be half filled, for its owner
/// alone; once that is removed a second run makes all the rest.
fn restored(world: &World) -> Found {
    let first = fs::read(world.aside("out")).unwrap();
    let printed = first.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")).count();
    let there = present();
    let is = there.iter().filter(|there| **there).count();
    must(is == printed || is == printed + 1, || format!("{is} made, {printed} printed"))?;
    must(there[..is].iter().all(|there| *there), || format!("not one after another: {there:?}"))?;
    let mut done = [false; 6];
    done[..printed].fill(true);
    let modes = [0o664, 0o664, 0o664, 0o644, 0o644, 0o644];
    whole(world, &done, &modes)?;
    let in_hand = (printed < 6 && there[printed]).then_some(printed);
    let mut found = if is == 0 {
        "none"
    } else if printed == 6 {
        "all"
    } else {
        "whole ones"
    };
    if let Some(at) = in_hand {
        done = [false; 6];
        done[at] = true;
        let mode = match at {
            0 => kernel::segment(5).map(|(_, mode, _)| mode),
            1 => kernel::queue(6).map(|(_, mode, _)| mode),
            2 => kernel::set(7).map(|(_, mode, ..)| mode),
            3 => fs::metadata("/dev/shm/frames").ok().map(|file| file.permissions().mode() & 0o777),
            4 => fs::metadata("/dev/mqueue/jobs").ok().map(|file| file.permissions().mode() & 0o777),
            _ => fs::metadata("/dev/shm/sem.lock").ok().map(|file| file.permissions().mode() & 0o777),
        };
        if whole(world, &done, &modes).is_err() {
            must(mode == Some(0o600), || format!("object {at} is half made with mode {mode:?}"))?;
            found = "one unfinished with mode 600";
        } else {
            found = "one whole and not printed";
        }
        let name = ["shm/key/5", "msgq/key/6", "sem/key/7", "shm//frames", "msgq//jobs", "sem//lock"][at];
        // A second run leaves it as it is, and says so.
        let Ran { err, .. } = world.ipcx(&format!("restore saved.tar {name}"), &[5])?;
        must(err.contains("EEXIST") || err.contains("another object has its"), || err.clone())?;
        world.ipcx(&format!("rm {name}"), &[0])?;
    }
    if printed > 4 {
        // The look above has emptied it.
        kernel::unlink_posix("/jobs");
    }
    world.ipcx("restore saved.tar", &[0, 5])?;
    whole(world, &[true; 6], &modes)?;
    Ok(found)
}

/// After `save --drain`: each message is in the queue, the archive, or the journal and the slot that it names.
fn drained(world: &World) -> Found {
    let (archive, journal) = (world.env.path("a.tar").exists(), world.env.path("a.tar.drain").exists());
    if archive || journal {
        // The next run does not write over it.
        world.ipcx("save msgq//jobs --drain -f a.tar", &[5])?;
    }
    let (_, left) = kernel::drain_posix("/jobs").ok_or("the queue is gone")?;
    let in_queue = left.len();
    kernel::unlink_posix("/jobs");
    if archive {
        world.ipcx("restore a.tar", &[0])?;
    } else if journal && fs::metadata(world.env.path("a.tar.drain")).unwrap().len() > 0 {
        world.ipcx("restore a.tar.drain", &[0, 1])?;
    }
    // It goes when the journal goes.
    for slot in fs::read_dir("/dev/shm").unwrap().flatten() {
        if slot.file_name().to_string_lossy().starts_with("ipcx-drain-") {
            must(journal, || "a slot is left that no journal names".to_owned())?;
            fs::remove_file(slot.path()).unwrap();
        }
    }
    // What was taken first comes first.
    let mut messages =
        if archive || journal { kernel::drain_posix("/jobs") } else { None }.map_or_else(Vec::new, |(_, taken)| taken);
    messages.extend(left);
    messages.sort_by_key(|(priority, _)| std::cmp::Reverse(*priority));
    let mut wanted: Vec<(u32, Vec<u8>)> = URGENT.iter().map(|(n, text)| (*n, text.to_vec())).collect();
    let lost: Vec<_> = wanted.extract_if(.., |one| !messages.contains(one)).collect();
    must(messages == wanted, || format!("{messages:?}"))?;
    match lost.len() {
        0 if in_queue == 3 => Ok("nothing taken"),
        0 if archive => Ok("all in the archive"),
        0 => Ok("all in queue and journal"),
        _ => Err(format!("lost {lost:?}; archive {archive}, journal {journal}")),
    }
}

/// Of the orphans those that are there are whole, and what is none is there. How many are gone.
fn orphans(world: &World) -> Result<usize, String> {
    let left = world.left();
    must(left.contains("shm/frames"), || "what is no orphan was removed".to_owned())?;
    let all = ["private/shm", "shm/torch_4194305_1_0", "shm/sem.loky-4194305-x"];
    if left.contains(all[1]) {
        let whole = fs::read("/dev/shm/torch_4194305_1_0").ok() == Some(world.bytes("content"));
        must(whole, || "an orphan has lost its content".to_owned())?;
    }
    Ok(all.iter().filter(|name| !left.contains(**name)).count())
}
