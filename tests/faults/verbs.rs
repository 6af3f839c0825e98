//! One or more situations for every verb, each of which ends by itself within a moment.

/// What a failed run may have done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Nothing: it only looks, and what cannot be seen is a gap.
    Looks,
    /// All of it, with success, or nothing of it.
    Whole,
    /// A part, which is said: it acts on several objects or moves several messages, one after the other.
    Steps,
    /// It takes messages: each of them is in the output, in the object, in a slot or on standard error.
    Takes,
}

#[derive(Clone, Copy, Debug)]
pub struct Verb {
    /// The verb as on the command line, and what is special here.
    pub name: &'static str,
    pub act: Act,
    /// A shell script, run without faults before each try.
    pub before: &'static str,
    pub args: &'static [&'static str],
    pub input: &'static str,
    /// Prints what else there is to be seen of the state; its failure is a part of that.
    pub probe: &'static str,
}

const fn verb(name: &'static str, act: Act, before: &'static str, args: &'static [&'static str]) -> Verb {
    Verb { name, act, before, args, input: "", probe: "" }
}

const fn with_input(verb: Verb, input: &'static str) -> Verb {
    Verb { input, ..verb }
}

const fn with_probe(verb: Verb, probe: &'static str) -> Verb {
    Verb { probe, ..verb }
}

const QUEUE: &str = "ipcx msgq create key/1; ipcx msgq send key/1 -t 7 one; ipcx msgq send key/1 two";
const QUEUE_POSIX: &str = "ipcx msgq create /q --max-messages 5 --message-size 64; ipcx msgq send /q one two";
const SEGMENT: &str = "ipcx shm create key/1 --size 64; ipcx shm write key/1 abc";
const REGION: &str = "ipcx shm create /m --size 64; ipcx shm write /m abc";
const SET: &str = "ipcx sem create key/1 --value 1 --value 5";
const SEMAPHORE: &str = "ipcx sem create /s --value 2";
const OBJECTS: &str = "ipcx msgq create key/1; ipcx msgq send key/1 one; ipcx shm create key/1 --size 64; \
                       ipcx shm write key/1 abc; ipcx sem create key/1 --value 3; ipcx shm create /m --size 64; \
                       ipcx sem create /s --value 2; ipcx mkfifo ./f";
const ARCHIVE: &str = "ipcx msgq create key/1; ipcx msgq send key/1 one two; ipcx shm create /m --size 64; \
                       ipcx shm write /m abc; ipcx sem create key/1 --value 3; \
                       ipcx save -q msgq/key/1 shm//m sem/key/1 -f a.tar; ipcx rm -q msgq/key/1 shm//m sem/key/1";
const PEEK: &str = "ipcx msgq peek key/1 --json";
const READ: &str = "ipcx shm read key/1";
const GET: &str = "ipcx sem get key/1 | cut -c1-13; ipcx sem get /s | cut -c1-13";

use Act::{Looks, Steps, Takes, Whole};

pub const VERBS: &[Verb] = &[
    verb("shm create", Whole, ":", &["shm", "create", "key/1", "--size", "4096"]),
    verb("shm create, posix", Whole, ":", &["shm", "create", "/m", "--size", "4096"]),
    verb("shm create, file", Whole, ":", &["shm", "create", "./m", "--size", "4096"]),
    with_probe(verb("shm write", Whole, SEGMENT, &["shm", "write", "key/1", "hello"]), READ),
    with_input(verb("shm write, posix", Steps, REGION, &["shm", "write", "/m"]), "hello"),
    verb("shm read", Looks, SEGMENT, &["shm", "read", "key/1"]),
    verb("shm read, posix", Looks, REGION, &["shm", "read", "/m"]),
    verb("shm dump", Looks, REGION, &["shm", "dump", "/m"]),
    verb("shm attach", Looks, SEGMENT, &["shm", "attach", "key/1", "--", "true"]),
    verb("shm resize", Whole, REGION, &["shm", "resize", "/m", "128"]),
    verb("shm lock", Whole, SEGMENT, &["shm", "lock", "key/1"]),
    verb("shm unlock", Whole, SEGMENT, &["shm", "unlock", "key/1"]),
    verb("shm set", Whole, SEGMENT, &["shm", "set", "key/1", "--mode", "640"]),
    verb("shm set, posix", Whole, REGION, &["shm", "set", "/m", "--mode", "640"]),
    verb("shm ls", Looks, SEGMENT, &["shm", "ls"]),
    verb("shm show", Looks, SEGMENT, &["shm", "show", "key/1"]),
    verb("shm rm", Whole, SEGMENT, &["shm", "rm", "key/1"]),
    verb("shm rm, posix", Whole, REGION, &["shm", "rm", "/m"]),
    verb("msgq create", Whole, ":", &["msgq", "create", "key/1"]),
    verb("msgq create, posix", Whole, ":", &["msgq", "create", "/q", "--max-messages", "3", "--message-size", "64"]),
    with_probe(verb("msgq send", Whole, QUEUE, &["msgq", "send", "key/1", "three"]), PEEK),
    with_probe(
        with_input(verb("msgq send --lines", Steps, QUEUE, &["msgq", "send", "key/1", "--lines"]), "a\nb\nc\n"),
        PEEK,
    ),
    verb("msgq send, posix", Whole, QUEUE_POSIX, &["msgq", "send", "/q", "three"]),
    with_probe(verb("msgq recv", Takes, QUEUE, &["msgq", "recv", "key/1"]), PEEK),
    with_probe(verb("msgq recv --all", Takes, QUEUE, &["msgq", "recv", "key/1", "--all", "--json"]), PEEK),
    with_probe(
        verb("msgq recv --durable", Takes, QUEUE, &["msgq", "recv", "key/1", "-n2", "--durable", "/dev/shm/slot"]),
        "ipcx msgq peek key/1 --json; grep -ao -e one -e two /dev/shm/slot",
    ),
    verb("msgq recv, posix", Takes, QUEUE_POSIX, &["msgq", "recv", "/q"]),
    with_probe(
        verb("msgq recv --durable, posix", Takes, QUEUE_POSIX, &["msgq", "recv", "/q", "--durable", "/dev/shm/slot"]),
        "grep -ao -e one -e two /dev/shm/slot",
    ),
    with_probe(verb("msgq peek", Looks, QUEUE, &["msgq", "peek", "key/1"]), PEEK),
    verb("msgq set", Whole, QUEUE, &["msgq", "set", "key/1", "--mode", "640", "--max-bytes", "100"]),
    verb("msgq set, posix", Whole, QUEUE_POSIX, &["msgq", "set", "/q", "--mode", "640"]),
    verb("msgq ls", Looks, QUEUE, &["msgq", "ls", "--json"]),
    verb("msgq show", Looks, QUEUE_POSIX, &["msgq", "show", "/q"]),
    verb("msgq rm", Whole, QUEUE, &["msgq", "rm", "key/1"]),
    verb("msgq rm, posix", Whole, QUEUE_POSIX, &["msgq", "rm", "/q"]),
    verb("sem create", Whole, ":", &["sem", "create", "key/1", "--value", "1", "--value", "2"]),
    verb("sem create, posix", Whole, ":", &["sem", "create", "/s", "--value", "3"]),
    with_probe(verb("sem wait", Whole, SET, &["sem", "wait", "key/1"]), GET),
    with_probe(verb("sem wait, posix", Whole, SEMAPHORE, &["sem", "wait", "/s"]), GET),
    with_probe(verb("sem post", Whole, SET, &["sem", "post", "key/1"]), GET),
    with_probe(verb("sem post, posix", Whole, SEMAPHORE, &["sem", "post", "/s"]), GET),
    verb("sem zero", Looks, "ipcx sem create key/1", &["sem", "zero", "key/1", "--timeout", "100ms"]),
    verb("sem get", Looks, SET, &["sem", "get", "key/1"]),
    with_probe(verb("sem set", Whole, SET, &["sem", "set", "key/1", "all=4"]), GET),
    with_probe(verb("sem set, posix", Steps, SEMAPHORE, &["sem", "set", "/s", "0=4"]), GET),
    with_probe(verb("sem op", Whole, SET, &["sem", "op", "key/1", "0=-1", "1=+1"]), GET),
    with_probe(verb("sem run", Looks, SET, &["sem", "run", "key/1", "--", "true"]), GET),
    with_probe(verb("sem run, posix", Looks, SEMAPHORE, &["sem", "run", "/s", "--", "true"]), GET),
    verb("sem ls", Looks, SET, &["sem", "ls"]),
    verb("sem show", Looks, SET, &["sem", "show", "key/1"]),
    verb("sem rm", Whole, SET, &["sem", "rm", "key/1"]),
    verb("sem rm, posix", Whole, SEMAPHORE, &["sem", "rm", "/s"]),
    verb("mkfifo", Whole, ":", &["mkfifo", "./f"]),
    verb("fifo create", Whole, ":", &["fifo", "create", "./f", "--mode", "640"]),
    verb("fifo send", Looks, "ipcx mkfifo ./f", &["fifo", "send", "./f", "hello", "--nowait"]),
    verb("fifo recv", Looks, "ipcx mkfifo ./f", &["fifo", "recv", "./f", "--nowait"]),
    verb("fifo peek", Looks, "ipcx mkfifo ./f", &["fifo", "peek", "./f"]),
    verb("fifo ls", Looks, "ipcx mkfifo ./f", &["fifo", "ls", "--in", "."]),
    verb("fifo show", Looks, "ipcx mkfifo ./f", &["fifo", "show", "./f"]),
    verb("fifo rm", Whole, "ipcx mkfifo ./f", &["fifo", "rm", "./f"]),
    verb("pipe", Looks, ":", &["pipe", "echo", "hello", ":::", "cat"]),
    with_input(verb("pipe, relay", Looks, ":", &["pipe"]), "hello"),
    verb("signal send", Looks, ":", &["signal", "send", "URG", "self"]),
    verb("signal trap", Looks, ":", &["signal", "trap", "USR1", "--timeout", "20ms"]),
    verb("signal block", Looks, ":", &["signal", "block", "USR1", "--", "true"]),
    verb("signal list", Looks, ":", &["signal", "list"]),
    verb("signal show", Looks, ":", &["signal", "show", "1"]),
    verb("sock listen", Looks, ":", &["sock", "listen", "./s", "--timeout", "20ms"]),
    verb("sock connect", Looks, ":", &["sock", "connect", "./s", "--timeout", "20ms"]),
    verb("sock send", Looks, ":", &["sock", "send", "./s", "hello", "--timeout", "20ms"]),
    verb("sock recv", Looks, ":", &["sock", "recv", "./s", "--timeout", "20ms"]),
    verb("sock pair", Looks, ":", &["sock", "pair", "true", ":::", "true"]),
    verb("sock peek", Looks, ":", &["sock", "peek", "./s"]),
    verb("sock ls", Looks, ":", &["sock", "ls"]),
    verb("sock show", Looks, ":", &["sock", "show", "./s"]),
    verb("sock rm", Looks, ":", &["sock", "rm", "./s"]),
    verb("ls", Looks, OBJECTS, &["ls"]),
    verb("ls -a", Looks, OBJECTS, &["ls", "-a", "--json"]),
    verb("show", Looks, OBJECTS, &["show", "shm/key/1", "sem//s", "fifo/./f"]),
    verb("ps", Looks, OBJECTS, &["ps"]),
    verb("why", Looks, OBJECTS, &["why", "1"]),
    verb("why --deadlocks", Looks, OBJECTS, &["why", "--deadlocks"]),
    verb("stale", Looks, OBJECTS, &["stale", "--all", "--in", "."]),
    verb("gc", Looks, OBJECTS, &["gc"]),
    verb("gc --yes", Steps, OBJECTS, &["gc", "--yes", "--idle", "0s"]),
    verb("rm", Steps, OBJECTS, &["rm", "shm/key/1", "msgq/key/1", "sem//s"]),
    verb("rm --save", Steps, OBJECTS, &["rm", "shm/key/1", "msgq/key/1", "sem//s", "--save", "a.tar"]),
    verb("limits", Looks, OBJECTS, &["limits"]),
    verb("explain", Looks, ":", &["explain", "ENOSPC", "semget"]),
    verb("watch", Looks, OBJECTS, &["watch", "--timeout", "20ms"]),
    verb("ftok", Looks, ":", &["ftok", "."]),
    verb("with", Looks, ":", &["with", "q=msgq", "m=shm,64", "s=sem,1,posix", "f=fifo", "--", "true"]),
    verb("save", Steps, OBJECTS, &["save", "msgq", "shm", "sem", "-f", "a.tar"]),
    with_probe(
        verb("save --drain", Takes, QUEUE_POSIX, &["save", "msgq//q", "--drain", "-f", "a.tar"]),
        "tar -xOf a.tar --wildcards 'msgq/*'; sed -e 's/b25l/one/' -e 's/dHdv/two/' a.tar.drain",
    ),
    with_probe(
        verb("restore", Steps, ARCHIVE, &["restore", "a.tar"]),
        "ipcx msgq peek key/1; ipcx shm read /m | tr '\\0' .; ipcx sem get key/1 | cut -c1-13",
    ),
    verb("restore --list", Looks, ARCHIVE, &["restore", "a.tar", "--list"]),
    verb("completions", Looks, ":", &["completions", "bash"]),
    verb("man", Looks, ":", &["man"]),
];
