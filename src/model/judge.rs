//! Whether anybody can still be using an object. Only evidence counts, and every piece of it is said.
//!
//! The cost of the two mistakes differs: an orphan that is taken for a suspect stays until somebody looks, an
//! object in use that is taken for an orphan is removed under a program that runs. So an object is an orphan
//! only where everything that could speak for it was looked at and nothing did.

use super::{Family, Kind, Object, Past, Recorded, Seen, Value};
use std::time::Duration;

/// What is to be thought of an object, with the evidence in words.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Somebody uses it now, or still may without another open or attach.
    InUse(Vec<String>),
    /// Nothing can be using it any more.
    Orphan(Condemned),
    /// Nobody uses it now, but somebody may come back to it.
    Suspect(Vec<String>),
    /// What we may not see could be using it.
    Unknown(Vec<String>),
}

/// An object that was found to be an orphan: the one thing that is removed without having been named. Only
/// [`judge`] makes one.
#[derive(Clone, Debug)]
pub struct Condemned {
    object: Box<Object>,
    because: Vec<String>,
}

impl Condemned {
    /// The object as it was when it was judged; its fingerprint is to be compared before it is removed.
    pub fn object(&self) -> &Object {
        &self.object
    }
}

impl Verdict {
    /// The words, in the order in which they matter to who cleans up.
    pub const WORDS: [&str; 4] = ["orphan", "suspect", "in use", "unknown"];

    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Orphan(_) => "orphan",
            Verdict::Suspect(_) => "suspect",
            Verdict::InUse(_) => "in use",
            Verdict::Unknown(_) => "unknown",
        }
    }

    /// The evidence, a sentence for each piece of it.
    pub fn because(&self) -> &[String] {
        match self {
            Verdict::InUse(because) | Verdict::Suspect(because) | Verdict::Unknown(because) => because,
            Verdict::Orphan(condemned) => &condemned.because,
        }
    }

    pub fn condemned(&self) -> Option<&Condemned> {
        match self {
            Verdict::Orphan(condemned) => Some(condemned),
            _ => None,
        }
    }
}

/// How the objects of a kind are used, which decides what shows that they are not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Nature {
    /// Who uses it has it attached, and the kernel counts that: System V segments.
    Attached,
    /// Who knows its number uses it by a call, and between two calls nothing shows: System V sets and queues.
    Called,
    /// Who uses it has it open or mapped: POSIX objects, and files that are mapped.
    Opened,
    /// A FIFO: a name that is meant to stay.
    Stream,
    /// The file of a socket: of no use without the socket.
    Socket,
    /// Only descriptors lead to it: it ends with the last of them.
    Fleeting,
}

impl Nature {
    pub fn of(object: &Object) -> Nature {
        match (object.kind(), object.family) {
            (Kind::Shm, Family::Sysv) => Nature::Attached,
            (Kind::Msgq | Kind::Sem, Family::Sysv) => Nature::Called,
            (Kind::Shm | Kind::Msgq | Kind::Sem, _) => Nature::Opened,
            (Kind::Fifo, _) => Nature::Stream,
            (Kind::Sock, _) => Nature::Socket,
            (Kind::Pipe | Kind::Memfd | Kind::Eventfd, _) => Nature::Fleeting,
        }
    }
}

/// The result of one look.
#[derive(Clone, PartialEq, Debug)]
pub enum Finding<T> {
    Is(T),
    /// It could not be seen, for this reason.
    Unseen(String),
    /// It was not looked at: such an object has none, or the answer was clear without it.
    NotAsked,
}

/// A kind of object that a known program leaves behind.
#[derive(Clone, PartialEq, Debug)]
pub struct Known {
    /// The program.
    pub maker: &'static str,
    /// What its makers advise.
    pub advice: &'static str,
    /// The process that made it, if its name tells.
    pub process: Option<Recorded>,
}

/// All that was found out about one object.
#[derive(Clone, Debug)]
pub struct Evidence<'a> {
    pub object: &'a Object,
    /// The present, seconds since the epoch.
    pub now: i64,
    /// How long an object must have rested to be an orphan: a program may be between two runs.
    pub patience: Duration,
    /// When it was last used or changed, as far as it records that.
    pub last_use: Option<i64>,
    /// Who uses it now, in words; `None` for nobody.
    pub usage: Finding<Option<String>>,
    /// The threads that are blocked on it, in words.
    pub waiters: Finding<Vec<String>>,
    /// The processes whose operations the kernel will undo at their end, in words.
    pub undo: Finding<Vec<String>>,
    /// The processes that it remembers.
    pub recorded: Finding<Vec<Recorded>>,
    /// The pids of those which seem to be other processes now, by their start times, but may be the same ones:
    /// start times move when the clock is set.
    pub maybe_same: Vec<i32>,
    /// A process that may know it, in words.
    pub acquaintance: Finding<Option<String>>,
    /// How many messages are in it.
    pub messages: Finding<u64>,
    /// What else makes it doubtful that nobody can use it, in words.
    pub doubts: Vec<String>,
    pub known: Option<Known>,
}

/// The evidence, sorted by what it speaks for.
#[derive(Default)]
struct Scales {
    /// It is used.
    uses: Vec<String>,
    /// It may be used where we cannot see.
    unseen: Vec<String>,
    /// It is not used now, but may be meant to stay.
    doubts: Vec<String>,
    /// It is not used.
    nobody: Vec<String>,
    /// What changes nothing.
    notes: Vec<String>,
}

/// Judges an object.
pub fn judge(evidence: &Evidence<'_>) -> Verdict {
    let nature = Nature::of(evidence.object);
    let mut scales = Scales { doubts: evidence.doubts.clone(), ..Scales::default() };
    scales.usage(nature, evidence);
    scales.recorded(nature, evidence);
    scales.contents(evidence);
    scales.maker(nature, evidence);
    scales.rest(evidence);
    if !is_complete(nature, evidence) {
        scales.doubts.push("not all of what could speak for it was looked at".to_owned());
    }
    let Scales { uses, unseen, doubts, nobody, notes } = scales;
    if !uses.is_empty() {
        return Verdict::InUse(uses);
    }
    let reasons = |first: Vec<String>| [first, nobody.clone(), notes.clone()].concat();
    if !unseen.is_empty() {
        return Verdict::Unknown([unseen, doubts, nobody, notes].concat());
    }
    if !doubts.is_empty() {
        return Verdict::Suspect(reasons(doubts));
    }
    Verdict::Orphan(Condemned { object: Box::new(evidence.object.clone()), because: reasons(Vec::new()) })
}

/// Whether everything was looked at that must be known of an orphan.
fn is_complete(nature: Nature, evidence: &Evidence<'_>) -> bool {
    fn asked<T>(finding: &Finding<T>) -> bool {
        !matches!(finding, Finding::NotAsked)
    }
    let used = asked(&evidence.usage);
    match nature {
        Nature::Attached => used && asked(&evidence.recorded) && asked(&evidence.acquaintance),
        Nature::Called => {
            (used || asked(&evidence.waiters)) && asked(&evidence.recorded) && asked(&evidence.acquaintance)
        }
        Nature::Opened | Nature::Stream | Nature::Socket | Nature::Fleeting => used,
    }
}

impl Scales {
    /// Who uses it now.
    fn usage(&mut self, nature: Nature, evidence: &Evidence<'_>) {
        match &evidence.usage {
            Finding::Is(Some(how)) => {
                self.uses.push(how.clone());
                if marked(evidence.object, "dest") {
                    self.uses.push("it is marked to be removed: its memory goes with the last detach".to_owned());
                }
            }
            Finding::Is(None) => self.nobody.push(unused(nature).to_owned()),
            Finding::Unseen(why) => self.unseen.push(format!("whether somebody uses it could not be seen ({why})")),
            Finding::NotAsked => {}
        }
        match &evidence.waiters {
            Finding::Is(waiters) if waiters.is_empty() => self.nobody.push("nobody waits on it".to_owned()),
            Finding::Is(waiters) => self.uses.extend(waiters.iter().cloned()),
            Finding::Unseen(why) => self.unseen.push(format!("whether somebody waits on it could not be seen ({why})")),
            Finding::NotAsked => {}
        }
        match &evidence.undo {
            Finding::Is(holders) if holders.is_empty() => {
                self.nobody.push("no SEM_UNDO is pending (the kernel's undo lists)".to_owned());
            }
            Finding::Is(holders) => self.uses.extend(holders.iter().cloned()),
            Finding::Unseen(why) => {
                self.unseen.push(format!("whether a process has SEM_UNDO pending could not be seen ({why})"));
            }
            Finding::NotAsked => {}
        }
    }

    /// What became of the processes that it remembers, and who else may know it.
    fn recorded(&mut self, nature: Nature, evidence: &Evidence<'_>) {
        match &evidence.recorded {
            Finding::Is(records) => {
                records.iter().for_each(|record| self.record(nature, record, &evidence.maybe_same));
                if records.is_empty() && nature == Nature::Called {
                    self.doubts.push("nobody has used it yet: who made it may be about to".to_owned());
                }
            }
            Finding::Unseen(why) => self.unseen.push(format!("who used it last could not be seen ({why})")),
            Finding::NotAsked => {}
        }
        match &evidence.acquaintance {
            Finding::Is(Some(who)) => self.doubts.push(who.clone()),
            Finding::Is(None) => self.nobody.push("no process that may use it lives in its namespace".to_owned()),
            Finding::Unseen(why) => self.unseen.push(why.clone()),
            Finding::NotAsked => {}
        }
    }

    fn record(&mut self, nature: Nature, record: &Recorded, maybe_same: &[i32]) {
        let who = format!("its {}, process {}", record.role, record.pid);
        match record.past {
            Past::Gone => self.nobody.push(format!("{who}, is gone")),
            Past::Reused if maybe_same.contains(&record.pid) => {
                let now = named(record);
                self.doubts.push(format!(
                    "{who}, may live: the process{now} that has the pid now may be the same, for the clock may have \
                     been set"
                ));
            }
            Past::Reused => {
                let now = named(record);
                self.nobody.push(format!("{who}, is gone: that is another process now{now}, which started later"));
            }
            Past::Same | Past::Probable => {
                let now = named(record);
                match nature {
                    // Between two calls nothing else would show that it is used.
                    Nature::Called => self.uses.push(format!("{who}{now}, lives")),
                    _ => self.doubts.push(format!("{who}{now}, lives and may use it again")),
                }
            }
            Past::Unknown if record.pid == 0 => {
                self.unseen.push(format!("its {} is in another PID namespace", record.role));
            }
            Past::Unknown => self.unseen.push(format!("whether {who}, is another process now is not known")),
        }
    }

    fn contents(&mut self, evidence: &Evidence<'_>) {
        match &evidence.messages {
            Finding::Is(0) => self.nobody.push("it is empty".to_owned()),
            Finding::Is(1) => self.doubts.push("1 message is in it, which somebody may come for".to_owned()),
            Finding::Is(n) => self.doubts.push(format!("{n} messages are in it, which somebody may come for")),
            Finding::Unseen(why) => self.unseen.push(format!("what is in it could not be seen ({why})")),
            Finding::NotAsked => {}
        }
        if marked(evidence.object, "locked") {
            self.doubts.push("it is locked in memory (SHM_LOCK), so it is meant to stay".to_owned());
        }
    }

    /// Who made it, where the name tells; an object with a name is often meant to stay.
    fn maker(&mut self, nature: Nature, evidence: &Evidence<'_>) {
        if let Some(known) = &evidence.known {
            self.notes.push(format!("it looks like one of {}", known.maker));
            if let Some(process) = &known.process {
                return self.record(nature, process, &evidence.maybe_same);
            }
        }
        match nature {
            Nature::Opened => {
                self.doubts.push("nothing records who made it, and what has a name may be meant to stay".to_owned());
            }
            Nature::Stream => self.doubts.push("a FIFO may be meant to stay".to_owned()),
            Nature::Fleeting => self.doubts.push("it is gone with the last descriptor".to_owned()),
            Nature::Attached | Nature::Called | Nature::Socket => {}
        }
    }

    /// How long it has rested.
    fn rest(&mut self, evidence: &Evidence<'_>) {
        let Some(last) = evidence.last_use else {
            self.doubts.push("when it was last used is not known".to_owned());
            return;
        };
        let Ok(idle) = u64::try_from(evidence.now.saturating_sub(last)) else {
            self.doubts.push("its last use lies in the future: the clock was set, and times tell nothing".to_owned());
            return;
        };
        let said = format!("it was last used {} ago", span(idle));
        if idle < evidence.patience.as_secs() {
            self.doubts.push(format!("{said}: a program may be between two runs"));
        } else {
            self.nobody.push(said);
        }
    }
}

/// That nobody uses an object, and what shows it.
fn unused(nature: Nature) -> &'static str {
    match nature {
        Nature::Attached => "nobody has it attached (nattch 0)",
        Nature::Called => "nobody waits on it",
        Nature::Opened => "nobody has it open or mapped (a write lease was granted)",
        Nature::Stream => "nobody has it open or waits to open it",
        Nature::Socket => "no socket is bound to it (connections are refused)",
        Nature::Fleeting => "nobody has it open",
    }
}

/// The process that has a recorded pid now, behind the pid.
fn named(record: &Recorded) -> String {
    record.command.as_ref().map_or(String::new(), |command| format!(" ({})", command.escaped()))
}

/// Whether the kernel has marked a segment so.
fn marked(object: &Object, with: &str) -> bool {
    matches!(object.facts.get("status"), Some(Seen::Is(Value::Word(words))) if words.split(',').any(|word| word == with))
}

/// A time span in its largest unit.
fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Fingerprint, Ident, ObjectRef, Text};

    const HOUR: i64 = 3600;
    const NOW: i64 = 1_000_000;

    fn object(kind: Kind, family: Family) -> Object {
        let id = if family == Family::Sysv { Ident::Id(7) } else { Ident::Path(Text::from("/x")) };
        let fingerprint = Fingerprint::Inode { dev: 1, ino: 2, ctime: 3, ctime_nsec: 4 };
        Object::new(ObjectRef { kind, id }, family, fingerprint)
    }

    fn record(pid: i32, past: Past) -> Recorded {
        Recorded { role: "creator", pid, past, started: None, command: None }
    }

    fn gone() -> Finding<Vec<Recorded>> {
        Finding::Is(vec![record(4711, Past::Gone)])
    }

    /// Evidence that speaks for nothing but an orphan, of an object that is used like this.
    fn nothing(object: &Object) -> Evidence<'_> {
        let called = Nature::of(object) == Nature::Called;
        let asked = called || Nature::of(object) == Nature::Attached;
        let maker = record(4711, Past::Gone);
        let opened = Nature::of(object) == Nature::Opened;
        Evidence {
            object,
            now: NOW,
            patience: Duration::from_secs(3600),
            last_use: Some(NOW - 2 * HOUR),
            usage: Finding::Is(None),
            waiters: if called { Finding::Is(Vec::new()) } else { Finding::NotAsked },
            undo: Finding::NotAsked,
            recorded: if asked { gone() } else { Finding::NotAsked },
            maybe_same: Vec::new(),
            acquaintance: if asked { Finding::Is(None) } else { Finding::NotAsked },
            messages: if object.kind() == Kind::Msgq { Finding::Is(0) } else { Finding::NotAsked },
            doubts: Vec::new(),
            known: opened.then_some(Known { maker: "X", advice: "", process: Some(maker) }),
        }
    }

    const SEGMENT: (Kind, Family) = (Kind::Shm, Family::Sysv);
    const SET: (Kind, Family) = (Kind::Sem, Family::Sysv);
    const QUEUE: (Kind, Family) = (Kind::Msgq, Family::Sysv);
    const NAMED: (Kind, Family) = (Kind::Shm, Family::Posix);
    const FIFO: (Kind, Family) = (Kind::Fifo, Family::File);
    const SOCKET: (Kind, Family) = (Kind::Sock, Family::Unix);

    /// A case: of which kind, what is changed of evidence for an orphan, the verdict, and a part of a sentence.
    type Case = ((Kind, Family), fn(&mut Evidence<'_>), &'static str, &'static str);

    static CASES: &[Case] = &[
        // Nothing speaks for any use.
        (SEGMENT, |_| {}, "orphan", "nobody has it attached (nattch 0)"),
        (SEGMENT, |_| {}, "orphan", "its creator, process 4711, is gone"),
        (SEGMENT, |_| {}, "orphan", "it was last used 2h ago"),
        (SET, |_| {}, "orphan", "nobody waits on it"),
        (SET, |_| {}, "orphan", "no process that may use it lives in its namespace"),
        (QUEUE, |_| {}, "orphan", "it is empty"),
        (NAMED, |_| {}, "orphan", "its creator, process 4711, is gone"),
        (NAMED, |_| {}, "orphan", "it looks like one of X"),
        (SOCKET, |_| {}, "orphan", "connections are refused"),
        // Somebody uses it.
        (SEGMENT, |e| e.usage = Finding::Is(Some("2 attachments".to_owned())), "in use", "2 attachments"),
        (SET, |e| e.usage = Finding::Is(Some("1 process waits".to_owned())), "in use", "1 process waits"),
        (NAMED, |e| e.usage = Finding::Is(Some("open".to_owned())), "in use", "open"),
        (SOCKET, |e| e.usage = Finding::Is(Some("bound".to_owned())), "in use", "bound"),
        (FIFO, |e| e.usage = Finding::Is(Some("has an end".to_owned())), "in use", "has an end"),
        ((Kind::Pipe, Family::Anonymous), |e| e.usage = Finding::Is(Some("open".to_owned())), "in use", "open"),
        (QUEUE, |e| e.waiters = Finding::Is(vec!["process 1 waits".to_owned()]), "in use", "process 1 waits"),
        (SET, |e| e.undo = Finding::Is(vec!["process 2 has".to_owned()]), "in use", "process 2 has"),
        (SET, |e| e.recorded = Finding::Is(vec![record(5, Past::Same)]), "in use", "process 5, lives"),
        (QUEUE, |e| e.recorded = Finding::Is(vec![record(5, Past::Probable)]), "in use", "process 5, lives"),
        // One that lives among many that do not.
        (
            SET,
            |e| e.recorded = Finding::Is(vec![record(4, Past::Gone), record(5, Past::Same), record(6, Past::Gone)]),
            "in use",
            "process 5, lives",
        ),
        // That somebody uses it is true whatever else could not be seen.
        (
            SET,
            |e| {
                e.usage = Finding::Is(Some("used".to_owned()));
                e.recorded = Finding::Unseen("semctl: EACCES".to_owned());
            },
            "in use",
            "used",
        ),
        // What we may not see could use it.
        (NAMED, |e| e.usage = Finding::Unseen("open: EACCES".to_owned()), "unknown", "open: EACCES"),
        (SET, |e| e.usage = Finding::Unseen("semctl: EACCES".to_owned()), "unknown", "semctl: EACCES"),
        (FIFO, |e| e.usage = Finding::Unseen("open: EACCES".to_owned()), "unknown", "open: EACCES"),
        (SOCKET, |e| e.usage = Finding::Unseen("connect: EACCES".to_owned()), "unknown", "connect: EACCES"),
        (QUEUE, |e| e.waiters = Finding::Unseen("process 9".to_owned()), "unknown", "waits on it could not be seen"),
        (SET, |e| e.recorded = Finding::Unseen("semctl: EACCES".to_owned()), "unknown", "who used it last"),
        (SET, |e| e.acquaintance = Finding::Unseen("whether 9 may".to_owned()), "unknown", "whether 9 may"),
        (NAMED, |e| e.messages = Finding::Unseen("open: EACCES".to_owned()), "unknown", "what is in it"),
        (SEGMENT, |e| e.recorded = Finding::Is(vec![record(0, Past::Unknown)]), "unknown", "another PID namespace"),
        (SEGMENT, |e| e.recorded = Finding::Is(vec![record(8, Past::Unknown)]), "unknown", "is not known"),
        (QUEUE, |e| e.recorded = Finding::Is(vec![record(0, Past::Unknown)]), "unknown", "another PID namespace"),
        // Nobody uses it, but somebody may come back.
        (SEGMENT, |e| e.recorded = Finding::Is(vec![record(5, Past::Same)]), "suspect", "lives and may use it again"),
        (SEGMENT, |e| e.recorded = Finding::Is(vec![record(5, Past::Probable)]), "suspect", "may use it again"),
        (SEGMENT, |e| e.last_use = Some(NOW - 60), "suspect", "between two runs"),
        (SEGMENT, |e| e.last_use = Some(NOW + 60), "suspect", "lies in the future"),
        (SEGMENT, |e| e.last_use = None, "suspect", "is not known"),
        (SET, |e| e.recorded = Finding::Is(Vec::new()), "suspect", "nobody has used it yet"),
        (SET, |e| e.acquaintance = Finding::Is(Some("process 9 may".to_owned())), "suspect", "process 9 may"),
        (SET, |e| e.last_use = Some(NOW - HOUR + 1), "suspect", "59m ago"),
        (QUEUE, |e| e.messages = Finding::Is(1), "suspect", "1 message is in it"),
        (QUEUE, |e| e.messages = Finding::Is(9), "suspect", "9 messages are in it"),
        (NAMED, |e| e.known = None, "suspect", "nothing records who made it"),
        (NAMED, |e| e.known.as_mut().unwrap().process = None, "suspect", "it looks like one of X"),
        (NAMED, |e| e.known.as_mut().unwrap().process = Some(record(5, Past::Same)), "suspect", "may use it again"),
        (NAMED, |e| e.last_use = Some(NOW), "suspect", "0s ago"),
        (FIFO, |_| {}, "suspect", "may be meant to stay"),
        ((Kind::Memfd, Family::Anonymous), |_| {}, "suspect", "last descriptor"),
        ((Kind::Sem, Family::Posix), |e| e.known = None, "suspect", "nothing records who made it"),
        ((Kind::Msgq, Family::Posix), |e| e.messages = Finding::Is(2), "suspect", "2 messages"),
        // The edge of patience.
        (SEGMENT, |e| e.last_use = Some(NOW - HOUR), "orphan", "1h ago"),
        (SEGMENT, |e| (e.last_use, e.patience) = (Some(NOW), Duration::ZERO), "orphan", "0s ago"),
        (SEGMENT, |e| (e.last_use, e.patience) = (Some(NOW + 1), Duration::ZERO), "suspect", "lies in the future"),
        // A reused pid is not the process.
        (SEGMENT, |e| e.recorded = Finding::Is(vec![record(5, Past::Reused)]), "orphan", "that is another process now"),
        (SET, |e| e.recorded = Finding::Is(vec![record(5, Past::Reused)]), "orphan", "that is another process now"),
        // But where it may be, for all that its start time says, it is not taken for gone.
        (SEGMENT, reused_by_the_same, "suspect", "process 5, may live"),
        (SET, reused_by_the_same, "suspect", "the clock may have been set"),
        // Whoever has an operation pending will use the set at its end at the latest.
        (SET, |e| e.undo = Finding::Unseen("bpf: EPERM".to_owned()), "unknown", "bpf: EPERM"),
        (SET, |e| e.undo = Finding::Is(Vec::new()), "orphan", "no SEM_UNDO is pending"),
        // A program may remove the file of its socket only when it makes the next one.
        (SOCKET, |e| e.last_use = Some(NOW), "suspect", "between two runs"),
        (SOCKET, |e| e.doubts.push("part of an overlay".to_owned()), "suspect", "part of an overlay"),
        (NAMED, |e| e.doubts.push("of another namespace".to_owned()), "suspect", "of another namespace"),
        (SEGMENT, |e| e.acquaintance = Finding::Is(Some("process 9 may".to_owned())), "suspect", "process 9 may"),
        (SEGMENT, |e| e.acquaintance = Finding::Unseen("whether 9 may".to_owned()), "unknown", "whether 9 may"),
    ];

    fn reused_by_the_same(evidence: &mut Evidence<'_>) {
        evidence.recorded = Finding::Is(vec![record(5, Past::Reused)]);
        evidence.maybe_same = vec![5];
    }

    #[test]
    fn evidence_gives_the_verdict_and_is_said() {
        for (nth, ((kind, family), change, verdict, sentence)) in CASES.iter().enumerate() {
            let object = object(*kind, *family);
            let mut evidence = nothing(&object);
            change(&mut evidence);
            let judged = judge(&evidence);
            assert_eq!(judged.word(), *verdict, "case {nth}: {:?}", judged.because());
            let said = judged.because().iter().any(|said| said.contains(sentence));
            assert!(said, "case {nth}: {sentence} in {:?}", judged.because());
            assert_eq!(judged.condemned().is_some(), *verdict == "orphan");
        }
    }

    #[test]
    fn nothing_that_is_not_known_makes_an_orphan() {
        for kind in [SEGMENT, SET, QUEUE, NAMED, FIFO, SOCKET] {
            let object = object(kind.0, kind.1);
            let unseen = || "hidden".to_owned();
            let hide: [fn(&mut Evidence<'_>, String); 5] = [
                |e, why| e.usage = Finding::Unseen(why),
                |e, why| e.waiters = Finding::Unseen(why),
                |e, why| e.recorded = Finding::Unseen(why),
                |e, why| e.acquaintance = Finding::Unseen(why),
                |e, why| e.messages = Finding::Unseen(why),
            ];
            for change in hide {
                let mut evidence = nothing(&object);
                change(&mut evidence, unseen());
                assert_eq!(judge(&evidence).word(), "unknown", "{kind:?}");
            }
            let evidence = Evidence {
                usage: Finding::NotAsked,
                waiters: Finding::NotAsked,
                recorded: Finding::NotAsked,
                acquaintance: Finding::NotAsked,
                messages: Finding::NotAsked,
                ..nothing(&object)
            };
            assert_ne!(judge(&evidence).word(), "orphan", "{kind:?}");
        }
    }

    #[test]
    fn a_segment_that_is_kept_on_purpose_or_marked_is_told() {
        let mut segment = object(SEGMENT.0, SEGMENT.1);
        segment.facts.push("status", Value::Word("locked"));
        let locked = judge(&nothing(&segment));
        assert_eq!(locked.word(), "suspect");
        assert!(locked.because()[0].contains("SHM_LOCK"), "{:?}", locked.because());
        segment.facts.set("status", Seen::Is(Value::Word("dest,locked")));
        let used = Evidence { usage: Finding::Is(Some("1 attachment".to_owned())), ..nothing(&segment) };
        let marked = judge(&used);
        assert_eq!(marked.word(), "in use");
        assert!(marked.because()[1].contains("last detach"), "{:?}", marked.because());
    }

    #[test]
    fn what_is_condemned_is_the_object_that_was_judged() {
        let segment = object(SEGMENT.0, SEGMENT.1);
        let verdict = judge(&nothing(&segment));
        let condemned = verdict.condemned().map(Condemned::object);
        assert_eq!(condemned.map(|object| &object.fingerprint), Some(&segment.fingerprint));
    }

    #[test]
    fn the_name_of_a_process_is_escaped() {
        let segment = object(SEGMENT.0, SEGMENT.1);
        let named = Recorded { command: Some(Text::from("\x1b[2J")), ..record(5, Past::Same) };
        let evidence = Evidence { recorded: Finding::Is(vec![named]), ..nothing(&segment) };
        assert!(judge(&evidence).because()[0].contains(r"\x1b[2J"));
    }

    #[test]
    fn spans_have_the_largest_unit() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (60, "1m"), (3600, "1h"), (172_799, "47h"), (172_800, "2d")] {
            assert_eq!(span(seconds), text);
        }
    }
}
