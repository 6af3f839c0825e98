//! In which IPC namespaces processes are.

use super::namespaces::{self as inventory, Which, Within};
use crate::error::Result;
use crate::model::{Gap, Seen, Text};
use crate::proc::namespace;
use crate::proc::namespaces::{self, Namespace};
use std::cell::RefCell;
use std::collections::HashMap;

/// Processes by their IPC namespace.
pub struct Members {
    ours: u64,
    /// That of those that are wanted, if not all are.
    only: Option<u64>,
    known: Vec<Namespace>,
    labels: RefCell<HashMap<u64, Option<Text>>>,
    /// What could not be seen.
    pub gaps: Vec<Gap>,
}

impl Members {
    /// Errors: status 3 where there is no such process or namespace, 4 where a process does not let us see it.
    pub fn of(which: Which) -> Result<Members> {
        let ours = namespace::ours().map_err(inventory::failed)?;
        let (known, gaps) = inventory::choose(which, ours)?;
        let only = known.first().map(|namespace| namespace.inode).filter(|_| which != Which::All);
        Ok(Members { ours, only, known, labels: RefCell::default(), gaps })
    }

    /// Whether a process is wanted.
    pub fn has(&self, pid: i32) -> bool {
        self.only.is_none_or(|only| namespace::ipc(pid) == Ok(only))
    }

    /// Says of what belongs to a process where that is.
    pub fn place<T>(&self, pid: i32, what: T) -> Within<T> {
        let namespace = namespace::ipc(pid).map_or_else(|errno| Seen::hidden("stat", errno as i32), Seen::Is);
        let container = match &namespace {
            Seen::Is(inode) if *inode == self.ours => Seen::Absent,
            Seen::Is(inode) => self.label(*inode, pid).into(),
            _ => namespace.clone().map(|_| Text::from("")),
        };
        Within { what, namespace, container }
    }

    /// What people know a namespace by. One that was made just now is known by the process.
    fn label(&self, inode: u64, pid: i32) -> Option<Text> {
        let look = || match self.known.iter().find(|namespace| namespace.inode == inode) {
            Some(namespace) => namespace.label(namespace.leader()),
            None => namespaces::label(pid),
        };
        self.labels.borrow_mut().entry(inode).or_insert_with(look).clone()
    }
}
