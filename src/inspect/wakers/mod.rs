//! Who could let a blocked thread go on.
//!
//! A wait ends when each of its needs is met, and a need is met when any one of its wakers acts. (The waits
//! of poll(2) are one need with the wakers of all descriptors; a lock that many share is a need for each.)

mod flow;
mod lock;
mod open;
mod sysv;

use super::facts::{Facts, process_name};
use crate::model::{Awaits, Blocked, Change, Futex, Grade, Task, Text};
use crate::proc::task;

/// One thing that must happen.
#[derive(Clone, PartialEq, Debug)]
pub struct Need {
    /// What, as in "waits for …"; escaped.
    pub what: String,
    pub nature: Nature,
    pub by: Vec<Waker>,
    /// Whether nobody but those could do it, so that it never happens while all of them wait themselves. By
    /// convention alone for semaphores without undo.
    pub closed: bool,
    /// Who else could do it.
    pub others: Option<&'static str>,
    /// What else may end the wait, of which it cannot be seen whether it will.
    pub besides: Vec<&'static str>,
    /// How it stands, a sentence; empty where there is nothing to say.
    pub state: String,
    /// What is unusual, sentences.
    pub odd: Vec<String>,
}

/// What kind of need it is, which tells a deadlock from processes that have nothing to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Nature {
    /// Somebody has it and must give it back, or must end.
    Held,
    /// Bytes or room in a connection of two sides. A process may well wake itself through one, from a
    /// signal handler.
    Flow,
    /// A message from whoever has something to say: two servers without work wait for each other so.
    Idle,
}

/// A process or thread that could meet a need.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waker {
    pub pid: i32,
    /// The one thread that can, such as the owner of a mutex.
    pub tid: Option<i32>,
    pub command: Text,
    pub grade: Grade,
    /// What it does with the thing, as in "which process 5 (sh) holds".
    pub does: &'static str,
    /// By what we know; escaped.
    pub because: String,
}

impl Need {
    fn new(what: String, nature: Nature) -> Need {
        Need {
            what,
            nature,
            by: Vec::new(),
            closed: false,
            others: None,
            besides: Vec::new(),
            state: String::new(),
            odd: Vec::new(),
        }
    }

    /// Something else may end the wait: then nothing is exact.
    fn doubt(&mut self, why: &'static str) {
        self.besides.push(why);
        self.by.iter_mut().for_each(|waker| waker.grade = waker.grade.min(Grade::Strong));
    }

    /// Whether the waiting process is the only one that could meet it.
    pub fn only(&self, pid: i32) -> bool {
        self.closed && !self.by.is_empty() && self.by.iter().all(|waker| waker.pid == pid)
    }
}

impl Waker {
    /// The process or the thread in a sentence.
    pub fn name(&self) -> String {
        let process = process_name(self.pid, &self.command);
        match self.tid {
            Some(tid) if tid != self.pid => format!("thread {tid} of {process}"),
            _ => process,
        }
    }
}

/// What a blocked thread needs. None for one that only time or a signal wakes, or of which nothing is known.
pub fn of(facts: &Facts<'_>, blocked: &Blocked) -> Vec<Need> {
    let mut needs = needs(facts, blocked);
    // Whoever waits for a lock of the C library goes on to wait after a signal.
    let goes_on = matches!(blocked.awaits, Awaits::Futex { what: Futex::Mutex { .. } | Futex::Rwlock { .. }, .. });
    let is_exact = needs.iter().flat_map(|need| &need.by).any(|waker| waker.grade == Grade::Exact);
    if is_exact && !goes_on && facts.may_be_interrupted(&blocked.task) {
        needs
            .iter_mut()
            .for_each(|need| need.doubt("a handler of a timer's signal, which it catches, may end the wait"));
    }
    needs
}

fn needs(facts: &Facts<'_>, blocked: &Blocked) -> Vec<Need> {
    let scene = facts.scene();
    match &blocked.awaits {
        Awaits::Semaphores { set, ops } => sysv::semaphores(facts, blocked, *set, ops),
        Awaits::Receive { queue, mtype, except } => vec![sysv::receive(facts, *queue, *mtype, *except)],
        Awaits::Send { queue, size, .. } => vec![sysv::send(facts, *queue, *size)],
        Awaits::MqReceive { queue, .. } => vec![flow::mq_receive(facts, *queue)],
        Awaits::MqSend { queue, .. } => vec![flow::mq_send(facts, *queue)],
        Awaits::Read { file, .. } => vec![flow::read(facts, blocked, *file)],
        Awaits::Write { file, .. } => vec![flow::write(facts, blocked, *file)],
        Awaits::Accept { file, .. } => {
            let mut need = Need::new(format!("a connection to {}", scene.name(*file)), Nature::Flow);
            need.others = Some("anybody who may connect can");
            vec![need]
        }
        Awaits::Connect { file, .. } => vec![flow::connect(facts, blocked, *file)],
        Awaits::Open { file, path, write } => vec![open::fifo(facts, blocked, *file, path, *write)],
        Awaits::Futex { word: Some(word), what } => vec![lock::futex(facts, blocked, *word, *what)],
        Awaits::Futex { word: None, .. } => Vec::new(),
        Awaits::Lock { fd, file, lock, exclusive, range } => lock::file(
            facts,
            blocked,
            *file,
            &lock::Wanted { fd: *fd, lock: *lock, exclusive: *exclusive, range: *range },
        ),
        Awaits::Child { pid, change } => vec![child(facts, &blocked.task, *pid, *change)],
        Awaits::Any { files, more } => flow::any(facts, blocked, files, *more).into_iter().collect(),
        Awaits::Signal { .. } | Awaits::Sleep | Awaits::Other { .. } => Vec::new(),
    }
}

/// The end of one child, or of any, or what else of it is waited for.
fn child(facts: &Facts<'_>, parent: &Task, pid: i32, change: Change) -> Need {
    let children = if pid > 0 { vec![pid] } else { task::children(parent.pid) };
    let what = match &children[..] {
        [one] => format!("{} of {}", change.words(), facts.process(*one)),
        _ => format!("{} of a child", change.words()),
    };
    let traced = |pid: &i32| facts.tracer(*pid).is_some_and(|tracer| [parent.pid, parent.tid].contains(&tracer));
    let traces = children.iter().any(traced);
    let mut need = Need::new(what, Nature::Held);
    need.by = children
        .into_iter()
        .filter_map(|pid| {
            let (command, _) = facts.who(pid)?;
            let because = "its parent waits for it".to_owned();
            Some(Waker { pid, tid: None, command, grade: Grade::Exact, does: "", because })
        })
        .collect();
    need.closed = change == Change::End && !traces && !need.by.is_empty();
    if traces {
        need.doubt("it traces what it waits for (ptrace(2)), so a stop of that ends the wait, too");
    }
    note_stopped(facts, &mut need);
    need
}

/// Says which of the wakers a signal has stopped.
fn note_stopped(facts: &Facts<'_>, need: &mut Need) {
    /// Of a crowd the first few tell enough.
    const MOST: usize = 8;
    for waker in need.by.iter().take(MOST) {
        if matches!(facts.state(waker.pid), Some(b'T' | b't')) {
            need.odd.push(format!("{} is stopped (SIGSTOP or a debugger)", waker.name()));
        }
    }
}
