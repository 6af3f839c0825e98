//! What the kernel tells of single objects and processes beside who holds them, each asked once.

use super::scene::Scene;
use super::wakers::{self, Need};
use crate::mech::{self, sem, sock};
use crate::model::{Awaits, Blocked, Ident, Kind, Needs, Object, ObjectRef, Resource, Signal, Task, Text};
use crate::proc::holders::{FileId, What};
use crate::proc::processes::Clock;
use crate::proc::{process, status, task};
use crate::sys::signal::real_time;
use nix::errno::Errno;
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::hash::Hash;
use std::rc::Rc;

/// So many messages of a queue are looked at: the time it takes grows with their square.
const MOST_MESSAGES: u64 = 1000;

/// Answers, by what was asked.
type Known<K, V> = RefCell<HashMap<K, V>>;

pub struct Facts<'a> {
    scene: &'a Scene<'a>,
    clock: Clock,
    sets: Known<i32, Rc<nix::Result<sem::sysv::Look>>>,
    operators: Known<(i32, u16), Option<i32>>,
    objects: Known<ObjectRef, Option<Rc<Object>>>,
    types: Known<i32, Rc<Option<Vec<i64>>>>,
    sockets: OnceCell<nix::Result<sock::Sockets>>,
    who: Known<i32, Option<(Text, i64)>>,
    states: Known<i32, Option<u8>>,
    lines: Known<i32, Text>,
    parents: Known<i32, Option<i32>>,
    tracers: Known<i32, Option<i32>>,
    threads: Known<i32, usize>,
    needs: Known<i32, Rc<Vec<Need>>>,
}

impl<'a> Facts<'a> {
    pub fn new(scene: &'a Scene<'a>) -> Facts<'a> {
        Facts {
            scene,
            clock: Clock::now(),
            sets: Known::default(),
            operators: Known::default(),
            objects: Known::default(),
            types: Known::default(),
            sockets: OnceCell::new(),
            who: Known::default(),
            states: Known::default(),
            lines: Known::default(),
            parents: Known::default(),
            tracers: Known::default(),
            threads: Known::default(),
            needs: Known::default(),
        }
    }

    /// What a thread needs, of one that many others may wait for.
    pub fn needs(&self, blocked: &Blocked) -> Rc<Vec<Need>> {
        once(&self.needs, blocked.task.tid, || Rc::new(wakers::of(self, blocked)))
    }

    pub fn scene(&self) -> &'a Scene<'a> {
        self.scene
    }

    /// The identifier of a System V object of our own IPC namespace.
    pub fn own(&self, resource: Resource) -> Option<i32> {
        match resource {
            Resource::Sysv { namespace, id, .. } if namespace == self.scene.namespace() => Some(id),
            _ => None,
        }
    }

    /// The values of a semaphore set of our IPC namespace.
    pub fn set(&self, id: i32) -> Rc<nix::Result<sem::sysv::Look>> {
        once(&self.sets, id, || Rc::new(sem::sysv::look(id)))
    }

    /// Who operated last on a semaphore of our IPC namespace.
    pub fn last_operator(&self, id: i32, index: u16) -> Option<i32> {
        once(&self.operators, (id, index), || sem::sysv::last_operator(id, index))
    }

    /// An object as a listing has it.
    pub fn object(&self, resource: Resource) -> Option<Rc<Object>> {
        let reference = self.scene.reference(resource)?;
        once(&self.objects, reference.clone(), || {
            mech::of(&reference).find(&reference.id, Needs::STAT, self.scene.holders()).ok().map(Rc::new)
        })
    }

    /// The types of the messages in a queue of our IPC namespace, up to a number of them.
    pub fn types(&self, id: i32) -> Rc<Option<Vec<i64>>> {
        once(&self.types, id, || Rc::new(mech::msgq::sysv::types(id, MOST_MESSAGES).ok()))
    }

    /// What is known of a unix socket of our network namespace.
    pub fn socket(&self, inode: u64) -> nix::Result<Option<sock::Peer>> {
        Ok(self.sockets()?.peer(inode))
    }

    fn sockets(&self) -> nix::Result<&sock::Sockets> {
        self.sockets.get_or_init(sock::Sockets::all).as_ref().map_err(|errno| *errno)
    }

    /// What to call a unix socket that others send or connect to, with the name that they know; escaped.
    pub fn receiver_name(&self, socket: Resource) -> String {
        let name = self.scene.name(socket);
        let Resource::File { ino, .. } = socket else { return name };
        match self.sockets().ok().and_then(|sockets| sockets.name(ino)) {
            Some(known) => format!("{name} ({})", known.escaped()),
            None => name,
        }
    }

    /// The unix socket in whose queue a thread waits for room: where it sends a datagram, or connects to.
    pub fn receiver(&self, blocked: &Blocked) -> Option<Resource> {
        let (Awaits::Write { file, to, .. } | Awaits::Connect { file, to, .. }) = &blocked.awaits else { return None };
        let Resource::File { dev, ino } = *file else { return None };
        self.scene.holders().descriptors().get(What::Socket, FileId { dev, ino })?;
        let sockets = self.sockets().ok()?;
        let to = match to {
            Some(name) => sockets.named(name),
            None => sockets.peer(ino).filter(|peer| peer.datagrams).and_then(|peer| peer.inode),
        };
        // All sockets lie on one device.
        to.map(|ino| Resource::File { dev, ino })
    }

    /// Whether a handler of a signal that timers send may end what a thread waits for. Which timers run cannot be
    /// seen.
    pub fn may_be_interrupted(&self, task: &Task) -> bool {
        let Ok(status) = status::read_thread(task.pid, task.tid) else { return false };
        let (caught, blocked) = (status.caught.unwrap_or_default(), status.blocked.unwrap_or_default());
        let rt = real_time();
        let of_timers = |signal: &Signal| {
            [libc::SIGALRM, libc::SIGVTALRM, libc::SIGPROF].contains(&signal.0) || signal.is_real_time(rt)
        };
        caught.iter().filter(of_timers).any(|signal| !blocked.contains(signal))
    }

    /// The process that traces another one, ptrace(2).
    pub fn tracer(&self, pid: i32) -> Option<i32> {
        once(&self.tracers, pid, || status::read(pid).ok()?.tracer)
    }

    /// Short name and start of the process that has a pid now.
    pub fn who(&self, pid: i32) -> Option<(Text, i64)> {
        once(&self.who, pid, || self.clock.process(pid))
    }

    /// The letter of its state, proc_pid_stat(5).
    pub fn state(&self, pid: i32) -> Option<u8> {
        once(&self.states, pid, || task::state_of(pid))
    }

    /// Its command line.
    pub fn line(&self, pid: i32) -> Text {
        once(&self.lines, pid, || process::command(pid, b""))
    }

    pub fn parent(&self, pid: i32) -> Option<i32> {
        once(&self.parents, pid, || status::read(pid).ok()?.parent.filter(|parent| *parent > 0))
    }

    /// How many threads of a process have not ended.
    pub fn threads(&self, pid: i32) -> usize {
        once(&self.threads, pid, || match task::living(pid) {
            Ok(count) => count,
            Err(Errno::ESRCH) => 0,
            Err(_) => usize::MAX,
        })
    }

    /// Whether there are processes whose descriptors could not be seen.
    pub fn blind(&self) -> bool {
        !self.scene.holders().descriptors().gaps.is_empty()
    }

    /// The threads of a process that are blocked.
    pub fn blocked_of(&self, pid: i32) -> &'a [Blocked] {
        self.scene.blocked_of(pid)
    }

    /// The reference of what a thread waits for. A FIFO that nobody has open yet is known by its path alone.
    pub fn reference(&self, blocked: &Blocked, resource: Resource) -> Option<ObjectRef> {
        let known = self.scene.reference(resource).or_else(|| self.scene.reference(resource.object()));
        known.or_else(|| match &blocked.awaits {
            Awaits::Open { path, .. } => Some(ObjectRef { kind: Kind::Fifo, id: Ident::Path(path.clone()) }),
            _ => None,
        })
    }

    /// What to call a resource that a thread waits for; escaped. What is locked is no object that a listing
    /// has, and its path is known to who has it open.
    pub fn name(&self, blocked: &Blocked, resource: Resource) -> String {
        match &blocked.awaits {
            Awaits::Open { .. } => self.reference(blocked, resource).map(|reference| reference.to_string()),
            Awaits::Lock { fd, .. } if self.scene.reference(resource).is_none() => self.path(blocked.task.pid, *fd),
            _ => None,
        }
        .unwrap_or_else(|| self.scene.name(resource))
    }

    /// The path that a descriptor of a process shows; escaped.
    pub fn path(&self, pid: i32, fd: i32) -> Option<String> {
        Some(task::label(pid, fd)?.escaped().to_string())
    }

    /// What a person calls a process.
    pub fn process(&self, pid: i32) -> String {
        match self.who(pid) {
            Some((command, _)) => process_name(pid, &command),
            None => format!("process {pid}"),
        }
    }
}

/// A process in a sentence.
pub fn process_name(pid: i32, command: &Text) -> String {
    format!("process {pid} ({})", command.escaped())
}

fn once<K: Eq + Hash + Clone, V: Clone>(known: &Known<K, V>, key: K, ask: impl FnOnce() -> V) -> V {
    if let Some(answer) = known.borrow().get(&key) {
        return answer.clone();
    }
    let answer = ask();
    known.borrow_mut().insert(key, answer.clone());
    answer
}
