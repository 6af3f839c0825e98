//! What is run under faults: every verb of the command line.

/// What a scenario finds: what the harness holds open.
#[derive(Clone, Copy)]
pub enum Hold {
    /// A FIFO of the set-up, with bytes in it.
    Fifo(&'static str, &'static [u8]),
    /// A listening socket.
    Stream(&'static str),
    /// A socket for datagrams.
    Datagram(&'static str),
}

/// Who plays the other side meanwhile.
#[derive(Clone, Copy)]
pub enum Peer {
    /// Connects to a socket once there is one, sends, reads to the end.
    Connects(&'static str, &'static [u8]),
    /// Listens at a socket and does the same.
    Accepts(&'static str, &'static [u8]),
    /// Sends a datagram to a socket once there is one.
    Sends(&'static str, &'static [u8]),
    /// Writes to a FIFO once somebody reads it, and closes it.
    Writes(&'static str, &'static [u8]),
}

/// What standard output is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum To {
    Pipe,
    File,
    /// /dev/full: every write fails with ENOSPC.
    Full,
}

/// A command line, and in what world it runs.
#[derive(Clone)]
pub struct Scenario {
    /// The words of the command line behind `ipcx`; `'` keeps blanks together, PEER is the pid of the target.
    pub line: &'static str,
    /// A script that makes what the command finds.
    pub given: &'static str,
    pub stdin: &'static [u8],
    pub held: Vec<Hold>,
    pub peer: Option<Peer>,
    /// Whether there is a process to send signals to, which blocks USR1.
    pub target: bool,
    /// Whether USR1 is pending from the start.
    pub pending: bool,
    pub to: To,
    /// Whether its output is another one each time: it shows what others do, or as much as can be found out.
    pub vague: bool,
    /// How it ends undisturbed.
    pub status: i32,
}

impl Scenario {
    fn given(self, given: &'static str) -> Scenario {
        Scenario { given, ..self }
    }

    fn stdin(self, stdin: &'static [u8]) -> Scenario {
        Scenario { stdin, ..self }
    }

    fn holding(self, hold: Hold) -> Scenario {
        Scenario { held: vec![hold], ..self }
    }

    fn beside(self, peer: Peer) -> Scenario {
        Scenario { peer: Some(peer), ..self }
    }

    fn target(self) -> Scenario {
        Scenario { target: true, ..self }
    }

    fn pending(self) -> Scenario {
        Scenario { pending: true, ..self }
    }

    fn to(self, to: To) -> Scenario {
        Scenario { to, ..self }
    }

    fn vague(self) -> Scenario {
        Scenario { vague: true, ..self }
    }

    fn status(self, status: i32) -> Scenario {
        Scenario { status, ..self }
    }

    /// The words of the command line.
    pub fn words(&self, peer: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (quoted, part) in self.line.split('\'').enumerate() {
            if quoted % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(|word| word.replace("PEER", peer)));
            }
        }
        words
    }
}

fn run(line: &'static str) -> Scenario {
    Scenario {
        line,
        given: "",
        stdin: b"",
        held: Vec::new(),
        peer: None,
        target: false,
        pending: false,
        to: To::Pipe,
        vague: false,
        status: 0,
    }
}

/// All scenarios.
pub fn all() -> Vec<Scenario> {
    [msgq(), shm(), sem(), fifo(), sock(), signal(), others()].concat()
}

const QUEUE: &str = "ipcx msgq create 0x4d2; ipcx msgq send 0x4d2 one two; ipcx msgq send 0x4d2 -t 7 three";
const POSIX_QUEUE: &str = "ipcx msgq create /q --max-messages 8 --message-size 64; ipcx msgq send /q one two three";

fn msgq() -> Vec<Scenario> {
    vec![
        run("msgq create 0x4d2"),
        run("msgq create"),
        run("msgq create /q --max-messages 4 --message-size 64"),
        run("msgq create 0x4d2 --exist-ok").given(QUEUE),
        run("msgq create 0x4d2").given(QUEUE).status(5),
        run("msgq create 0x4d2 --max-bytes 8K --mode 640"),
        run("msgq send 0x4d2 hello").given(QUEUE),
        run("msgq send 0x4d2 --lines").given(QUEUE).stdin(b"a\nb\nc\n"),
        run("msgq send 0x4d2").given(QUEUE).stdin(b"whole\ninput"),
        run("msgq send 0x4d2 hello --timeout 5s").given(QUEUE),
        run("msgq send /q hello again").given(POSIX_QUEUE),
        run("msgq send /q --nowait hello again").given(POSIX_QUEUE),
        run("msgq recv 0x4d2").given(QUEUE),
        run("msgq recv 0x4d2").given(QUEUE).to(To::Full).status(1),
        run("msgq recv 0x4d2 --all --raw").given(QUEUE).to(To::File),
        run("msgq recv 0x4d2 -n 3 --json").given(QUEUE),
        run("msgq recv 0x4d2 -t 7 --timeout 5s").given(QUEUE),
        run("msgq recv 0x4d2 --nowait -t 9").given(QUEUE).status(6),
        run("msgq recv 0x4d2 --durable /dev/shm/slot").given(QUEUE),
        run("msgq recv 0x4d2 --durable /dev/shm/slot -n 2").given(QUEUE).to(To::Full).status(1),
        run("msgq recv /q --durable /dev/shm/slot --all").given(POSIX_QUEUE),
        run("msgq recv /q").given(POSIX_QUEUE),
        run("msgq recv /q --all").given(POSIX_QUEUE),
        run("msgq recv /q --timeout 5s -n 2").given(POSIX_QUEUE),
        run("msgq peek 0x4d2").given(QUEUE),
        run("msgq set 0x4d2 --mode 644 --max-bytes 4K").given(QUEUE),
        run("msgq ls").given(QUEUE),
        run("msgq show 0x4d2").given(QUEUE),
        run("msgq rm 0x4d2").given(QUEUE),
        run("msgq rm /q 0x4d2").given("ipcx msgq create 0x4d2; ipcx msgq create /q"),
    ]
}

const SEGMENT: &str = "ipcx shm create 0x4d2 --size 64; printf text | ipcx shm write 0x4d2";
const POSIX_SEGMENT: &str = "ipcx shm create /s --size 64; printf text | ipcx shm write /s";
const FILE: &str = "ipcx shm create ./f --size 64; printf text | ipcx shm write ./f";

fn shm() -> Vec<Scenario> {
    vec![
        run("shm create 0x4d2 --size 4096"),
        run("shm create --size 4096 --mode 640"),
        run("shm create /s --size 4096"),
        run("shm create ./f --size 4096"),
        run("shm create 0x4d2 --from from").given("echo content >from"),
        run("shm create /s --from from --mode 640").given("echo content >from"),
        run("shm create ./f --from from").given("echo content >from"),
        run("shm create /s --size 64 --exist-ok").given(POSIX_SEGMENT),
        run("shm write 0x4d2 new").given(SEGMENT),
        run("shm write 0x4d2 --offset 8").given(SEGMENT).stdin(b"from stdin"),
        run("shm write /s --from from").given("ipcx shm create /s --size 64; echo content >from"),
        run("shm write ./f new").given(FILE),
        run("shm read 0x4d2").given(SEGMENT),
        run("shm read /s --length 4").given(POSIX_SEGMENT),
        run("shm read ./f").given(FILE).to(To::File),
        run("shm read 0x4d2").given(SEGMENT).to(To::Full).status(1),
        run("shm dump 0x4d2").given(SEGMENT),
        run("shm attach 0x4d2 -- true").given(SEGMENT),
        run("shm attach /s --read-only").given(POSIX_SEGMENT),
        run("shm attach 0x4d2").given(SEGMENT),
        run("shm resize /s 128").given(POSIX_SEGMENT),
        run("shm resize ./f 32").given(FILE),
        run("shm set 0x4d2 --mode 640").given(SEGMENT),
        run("shm set /s --mode 640 --owner 1:1").given(POSIX_SEGMENT),
        run("shm lock 0x4d2").given(SEGMENT),
        run("shm unlock 0x4d2").given("ipcx shm create 0x4d2 --size 64; ipcx shm lock 0x4d2"),
        run("shm ls").given("ipcx shm create 0x4d2 --size 64; ipcx shm create /s --size 64"),
        run("shm show /s").given(POSIX_SEGMENT),
        run("shm rm 0x4d2").given(SEGMENT),
        run("shm rm /s ./f").given("ipcx shm create /s --size 64; ipcx shm create ./f --size 64"),
    ]
}

const SET: &str = "ipcx sem create 0x4d2 -n 3 --value 1,2,3";
const NAMED: &str = "ipcx sem create /s --value 1";

fn sem() -> Vec<Scenario> {
    vec![
        run("sem create 0x4d2 -n 3 --value 1,2,3"),
        run("sem create --value 1"),
        run("sem create /s --value 2"),
        run("sem create 0x4d2 -n 3 --exist-ok").given(SET),
        run("sem create /s --exist-ok").given(NAMED),
        run("sem post 0x4d2 -i 1 -n 2").given(SET),
        run("sem post /s -n 2").given(NAMED),
        run("sem wait 0x4d2").given(SET),
        run("sem wait 0x4d2 --timeout 5s").given(SET),
        run("sem wait 0x4d2 -n 2 --nowait").given(SET).status(6),
        run("sem wait 0x4d2 -n 2 --timeout 50ms").given(SET).status(124),
        run("sem wait /s").given(NAMED),
        run("sem wait /s -n 2 --timeout 50ms").given(NAMED).status(124),
        run("sem zero 0x4d2").given("ipcx sem create 0x4d2"),
        run("sem get 0x4d2").given(SET),
        run("sem get /s").given(NAMED),
        run("sem set 0x4d2 all=7 --mode 640").given(SET),
        run("sem set /s 0=3").given(NAMED),
        run("sem op 0x4d2 0=-1 1=+2").given(SET),
        run("sem op 0x4d2 --undo 0=-1 -- true").given(SET),
        run("sem run 0x4d2 -- true").given(SET),
        run("sem run /s -- true").given(NAMED),
        run("sem run /s --timeout 5s -- false").given(NAMED).status(1),
        run("sem ls").given("ipcx sem create 0x4d2; ipcx sem create /s"),
        run("sem show 0x4d2").given(SET),
        run("sem rm 0x4d2").given(SET),
        run("sem rm /s").given(NAMED),
    ]
}

const FIFO: &str = "ipcx mkfifo ./p";

fn fifo() -> Vec<Scenario> {
    vec![
        run("mkfifo ./p ./q --mode 640"),
        run("mkfifo ./p --exist-ok").given(FIFO),
        run("fifo create ./p"),
        run("fifo send ./p hello").given(FIFO).holding(Hold::Fifo("p", b"")),
        run("fifo send ./p").given(FIFO).holding(Hold::Fifo("p", b"")).stdin(b"some\nlines\n"),
        run("fifo send ./p --timeout 5s hello").given(FIFO).holding(Hold::Fifo("p", b"")),
        run("fifo send ./p --nowait hello").given(FIFO).status(6),
        run("fifo recv ./p").given(FIFO).beside(Peer::Writes("p", b"some\nlines\n")),
        run("fifo recv ./p --timeout 5s").given(FIFO).beside(Peer::Writes("p", b"some\nlines\n")),
        run("fifo recv ./p -n 1").given(FIFO).holding(Hold::Fifo("p", b"one\ntwo\n")),
        run("fifo recv ./p -n 2 --timeout 5s").given(FIFO).holding(Hold::Fifo("p", b"one\ntwo\n")),
        run("fifo recv ./p --timeout 50ms").given(FIFO).status(124),
        run("fifo peek ./p").given("ipcx mkfifo ./p; exec 3<>p; sleep 60 & echo text >&3"),
        run("fifo ls").given(FIFO).holding(Hold::Fifo("p", b"one\ntwo\n")),
        run("fifo show ./p").vague().given(FIFO).holding(Hold::Fifo("p", b"one\ntwo\n")),
        run("fifo rm ./p").given(FIFO),
    ]
}

const STALE: &str = "ipcx sock listen ./s & until [ -S s ]; do sleep 0.01; done; kill -9 $!; wait $! || true";

fn sock() -> Vec<Scenario> {
    vec![
        run("sock listen ./s").beside(Peer::Connects("s", b"question")).stdin(b"answer"),
        run("sock listen ./s --exec 'cat'").beside(Peer::Connects("s", b"question")),
        run("sock connect ./s").beside(Peer::Accepts("s", b"question")).stdin(b"answer"),
        run("sock send ./s hello").beside(Peer::Accepts("s", b"")),
        run("sock send ./d --type dgram hello").holding(Hold::Datagram("d")),
        run("sock send ./d --type dgram --lines").holding(Hold::Datagram("d")).stdin(b"a\nb\n"),
        run("sock send ./d --type dgram --timeout 5s hello").holding(Hold::Datagram("d")),
        run("sock recv ./s").beside(Peer::Connects("s", b"some bytes")),
        run("sock recv ./s --timeout 5s").beside(Peer::Connects("s", b"some bytes")),
        run("sock recv ./d --type dgram").beside(Peer::Sends("d", b"datagram")),
        run("sock recv ./d --type dgram --json --timeout 5s").beside(Peer::Sends("d", b"datagram")),
        run("sock recv ./s --timeout 50ms").status(124),
        run("sock pair echo hello ::: sh -c 'cat >got'"),
        run("sock ls").vague().holding(Hold::Stream("s")),
        run("sock show ./s").vague().holding(Hold::Stream("s")),
        run("sock peek ./s").holding(Hold::Stream("s")).status(4),
        run("sock rm ./s").given(STALE),
    ]
}

fn signal() -> Vec<Scenario> {
    vec![
        run("signal send USR1 PEER").target(),
        run("signal send USR1 PEER --value 7").target(),
        run("signal send USR1 --name sleep").target(),
        run("signal trap USR1 -n 1").vague().pending(),
        run("signal trap USR1 -n 1 --json --timeout 5s").vague().pending(),
        run("signal trap USR1 -n 1 --exec 'true'").pending(),
        run("signal trap USR2 --timeout 50ms").status(124),
        run("signal list USR1"),
        run("signal show PEER").vague().target(),
        run("signal block USR1 -- true"),
    ]
}

const SOME: &str = "ipcx msgq create 0x4d2; ipcx msgq send 0x4d2 one two; ipcx shm create 0x4d2 --size 64
    ipcx sem create 0x4d2 --value 3; ipcx shm create /s --size 64; ipcx sem create /t --value 2
    ipcx msgq create /q --max-messages 4 --message-size 64";

const SAVED: &str = "ipcx msgq create 0x4d2; ipcx msgq send 0x4d2 one two; ipcx shm create 0x4d2 --size 64
    ipcx sem create 0x4d2 --value 3; ipcx shm create /s --size 64; ipcx sem create /t --value 2
    ipcx msgq create /q --max-messages 4 --message-size 64; ipcx save shm msgq sem -f a.tar
    ipcx rm msgq/0x4d2 shm/0x4d2 sem/0x4d2 shm//s sem//t msgq//q";

fn others() -> Vec<Scenario> {
    vec![
        run("ls").given(SOME),
        run("ls -a --json").vague().given(SOME),
        run("ls shm --sort size -o ref,size --raw").given(SOME),
        run("show msgq/0x4d2 shm//s sem/0x4d2").given(SOME),
        run("ps").vague().given(SOME),
        run("ps PEER").vague().target(),
        run("why PEER").vague().target(),
        run("why --deadlocks").vague(),
        run("rm msgq/0x4d2 shm//s sem//t shm/0x4d2").given(SOME),
        run("rm --save a.tar msgq/0x4d2 shm//s").given(SOME),
        run("stale").given(SOME),
        run("gc --idle 0s").given(SOME),
        run("gc --idle 0s --yes").given(SOME),
        run("gc --idle 0s --yes --save a.tar").given(SOME),
        run("save msgq/0x4d2 shm/0x4d2 sem/0x4d2 shm//s sem//t -f a.tar").given(SOME),
        run("save --drain msgq//q -f a.tar").given(POSIX_QUEUE),
        run("restore a.tar --list").given(SAVED),
        run("restore a.tar").given(SAVED),
        run("limits"),
        run("limits --json"),
        run("explain ENOSPC semget"),
        run("watch --interval 10ms --timeout 50ms").given(SOME).status(124),
        run("with q=msgq m=shm,64 s=sem,1 -- true"),
        run("with q=msgq m=shm,64 s=sem,1 f=fifo -- false").status(1),
        run("with --isolate q=msgq -- true"),
        run("pipe echo hello ::: cat"),
        run("pipe --report echo hello ::: cat ::: cat"),
        run("pipe").stdin(b"some bytes"),
        run("pipe").stdin(b"some bytes").to(To::File),
        run("ftok . a").vague(),
        run("completions bash"),
        run("man shm create"),
        run("help"),
        run("--version"),
        run("shm --help"),
    ]
}
