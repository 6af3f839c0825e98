//! Threads by the numbers that they have for themselves: those that a lock in memory or an argument of a call
//! names are numbers of a PID namespace, pid_namespaces(7), which need not be ours.

use super::Look;
use crate::model::{Memory, Owner, Resource};
use crate::proc::processes::{directory, pids};
use crate::proc::shared::{Identities, Shared};
use crate::proc::task;
use crate::sys::file;
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Mutex, OnceLock, PoisonError};

/// What /proc/TID/status says of the numbers of a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Numbers {
    /// Its process, as this /proc counts.
    process: i32,
    /// The thread in its own namespace; `None` if that is the one that this /proc counts in.
    own: Option<i32>,
}

impl Numbers {
    /// `Tgid` and `NSpid`, which has the number in each namespace from this one down to its own.
    fn parse(status: &[u8]) -> Option<Numbers> {
        let value = |key: &[u8]| {
            let line = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(key))?;
            std::str::from_utf8(line).ok()
        };
        let process = value(b"Tgid:")?.trim().parse().ok()?;
        // Linux 4.1; a kernel without it cannot tell.
        let own = match value(b"NSpid:")?.split_ascii_whitespace().collect::<Vec<_>>()[..] {
            [] => return None,
            [_] => None,
            [.., own] => Some(own.parse().ok()?),
        };
        Some(Numbers { process, own })
    }

    fn of(tid: i32) -> nix::Result<Numbers> {
        let status = fs::read(format!("/proc/{tid}/status")).map_err(|error| file::errno(&error))?;
        Numbers::parse(&status).ok_or(Errno::EBADMSG)
    }
}

/// A thread of another PID namespace.
#[derive(Clone, Copy, Debug)]
struct Foreigner {
    tid: i32,
    process: i32,
    /// Its number in its own namespace.
    own: i32,
    /// That namespace, by the inode of /proc/PID/ns/pid; 0 if it may not be seen.
    namespace: u64,
}

/// All threads of other PID namespaces, looked up when they are first asked for.
#[derive(Default)]
pub(super) struct Foreigners(OnceLock<Vec<Foreigner>>);

impl Foreigners {
    fn list(&self) -> &[Foreigner] {
        self.0.get_or_init(|| {
            let foreign = |pid: &i32| Numbers::of(*pid).is_ok_and(|numbers| numbers.own.is_some());
            let processes = pids().unwrap_or_default().into_iter().filter(foreign);
            processes.flat_map(|pid| task::threads(pid).unwrap_or_default()).filter_map(Foreigner::look).collect()
        })
    }

    fn called(&self, own: i32) -> impl Iterator<Item = &Foreigner> {
        self.list().iter().filter(move |thread| thread.own == own)
    }
}

impl Foreigner {
    fn look(tid: i32) -> Option<Foreigner> {
        let numbers = Numbers::of(tid).ok()?;
        Some(Foreigner { tid, process: numbers.process, own: numbers.own?, namespace: namespace(numbers.process) })
    }

    fn owner(&self) -> Owner {
        Owner { tid: self.tid, pid: Some(self.process), checked: false }
    }
}

fn namespace(pid: i32) -> u64 {
    fs::metadata(format!("/proc/{pid}/ns/pid")).map_or(0, |data| data.ino())
}

/// What processes have mapped whose threads locks name, each read once.
#[derive(Default)]
pub(super) struct Mapped(Mutex<HashMap<i32, Option<Shared>>>);

impl Mapped {
    /// Whether a process has memory mapped; `None` where that may not be seen.
    fn has(&self, pid: i32, memory: Memory, identities: &Identities) -> Option<bool> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = known.entry(pid).or_insert_with(|| {
            match directory(pid).and_then(|directory| Shared::read(&directory, identities)) {
                Ok(shared) => Some(shared),
                // It has ended, and has nothing mapped.
                Err(Errno::ENOENT | Errno::ESRCH) => Some(Shared::default()),
                Err(_) => None,
            }
        });
        shared.as_ref().map(|shared| shared.has(memory))
    }
}

impl Look<'_> {
    /// Its PID namespace, if that is another than ours.
    fn foreign(&self) -> Option<u64> {
        let status = self.target.read(&self.thread.path("status")).ok()?;
        Numbers::parse(&status)?.own.map(|_| namespace(self.target.pid))
    }

    /// A process that the thread calls by a number, as we call it; `None` if we cannot tell.
    pub(super) fn translate(&self, own: i32) -> Option<i32> {
        let Some(namespace) = self.foreign() else { return Some(own) };
        let mut called = self.walk.foreigners.called(own);
        called.find(|thread| namespace != 0 && thread.namespace == namespace).map(|thread| thread.tid)
    }

    /// Whether its process has a thread that it calls by this number.
    pub(super) fn has_thread(&self, own: i32) -> bool {
        match self.foreign() {
            None => self.target.stat(format!("task/{own}")).is_ok(),
            Some(_) => self.walk.foreigners.called(own).any(|thread| thread.process == self.target.pid),
        }
    }

    /// The thread that a lock names, which lies in a word that others see too or else in memory of this process
    /// alone. `None` if it cannot be known which one that is.
    ///
    /// Whoever has taken the lock had it mapped. A thread that does not map the memory was given the number of
    /// an owner that has ended.
    pub(super) fn owner(&self, own: i32, word: Option<Resource>) -> Option<Owner> {
        let foreign = self.foreign();
        let Some(Resource::Word { memory, .. }) = word else {
            let pid = self.has_thread(own).then_some(self.target.pid);
            return Some(Owner {
                tid: if foreign.is_none() { own } else { self.translate(own)? },
                pid,
                checked: false,
            });
        };
        let ours = match (foreign, Numbers::of(own)) {
            // It would be a number of our namespace.
            (_, Ok(Numbers { process, own: None })) => Some(Owner { tid: own, pid: Some(process), checked: false }),
            // It calls itself by another number.
            (_, Ok(_)) | (Some(_), Err(_)) => None,
            // Only the kernel's word that there is none is taken for it: /proc may hide what is there.
            (None, Err(_)) if kill(Pid::from_raw(own), None) == Err(Errno::ESRCH) => None,
            (None, Err(_)) => return None,
        };
        let maps = |owner: Owner| match owner.pid {
            Some(pid) => self.walk.mapped.has(pid, memory, &self.walk.identities),
            None => Some(false),
        };
        let is_near = |thread: &&Foreigner| foreign.is_some_and(|near| near != 0 && near == thread.namespace);
        let foreigners = || self.walk.foreigners.called(own);
        let near = match foreign {
            None => ours,
            Some(_) => foreigners().find(is_near).map(Foreigner::owner),
        };
        // Memory is most likely shared within one namespace.
        if let Some(near) = near
            && maps(near) != Some(false)
        {
            return Some(near);
        }
        let far = foreigners().filter(|thread| !is_near(thread)).map(Foreigner::owner);
        let far = far.chain(ours.filter(|_| foreign.is_some()));
        let mut holders = far.map(|owner| (owner, maps(owner))).filter(|(_, maps)| *maps != Some(false));
        match (holders.next(), holders.next()) {
            (Some((owner, Some(true))), None) => Some(owner),
            (None, _) if foreign.is_none() => Some(Owner { tid: own, pid: None, checked: false }),
            _ => None,
        }
    }
}

#[cfg(any(test, fuzzing))]
pub(super) fn probe(status: &[u8]) -> bool {
    Numbers::parse(status).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_thread_are_read_from_its_status() {
        let text = b"Name:\tNSpid:\\n\nTgid:\t42\nNgid:\t0\nPid:\t43\nNStgid:\t42\t1\nNSpid:\t43\t2\n";
        assert_eq!(Numbers::parse(text), Some(Numbers { process: 42, own: Some(2) }));
        assert_eq!(Numbers::parse(b"Tgid:\t42\nNSpid:\t42\n"), Some(Numbers { process: 42, own: None }));
        for odd in
            [&b""[..], b"Tgid:\t42\n", b"Tgid:\tx\nNSpid:\t42\n", b"Tgid:\t1\nNSpid:\n", b"Tgid:\t1\nNSpid:\t1\tx\n"]
        {
            assert_eq!(Numbers::parse(odd), None);
        }
    }

    #[test]
    fn we_map_our_own_memory_and_nobody_maps_what_is_not_there() {
        let memory = Memory::File { dev: u64::MAX, ino: u64::MAX };
        let (mapped, identities) = (Mapped::default(), Identities::learn());
        assert_eq!(mapped.has(nix::unistd::getpid().as_raw(), memory, &identities), Some(false));
        assert_eq!(mapped.has(i32::MAX, memory, &identities), Some(false));
    }
}
