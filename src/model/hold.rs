//! That a process holds a resource, and how sure that is.

use super::{End, LockKind, Resource};
use std::sync::Arc;

/// One process that holds a resource in one way.
#[derive(Clone, PartialEq, Debug)]
pub struct Hold {
    pub resource: Resource,
    pub how: How,
    pub grade: Grade,
    /// Who; its role says in a word how.
    pub end: Arc<End>,
}

/// In which way a resource is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// A descriptor leads to it, in the role of the end.
    Open,
    /// It is mapped or attached; so many mappings.
    Mapped { count: u32, write: bool },
    /// It took `amount` of semaphore `index` with SEM_UNDO, which the kernel gives back at its end; negative if
    /// it gave that much.
    Undo { index: u16, amount: i32 },
    /// It was the last to operate on semaphore `index`: by convention it holds it, the kernel does not know.
    LastOperator { index: u16 },
    /// It has a lock on the file.
    Lock { lock: LockKind, exclusive: bool },
    /// A mutex or rwlock in shared memory names it as its owner.
    Owner,
}

/// How sure an edge is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Grade {
    /// It could be so: by convention or by name alone.
    Weak,
    /// It is most likely so: what is known fits nothing else that is seen.
    Strong,
    /// The kernel or the object itself says so.
    Exact,
}

impl Grade {
    pub fn word(self) -> &'static str {
        match self {
            Grade::Weak => "weak",
            Grade::Strong => "strong",
            Grade::Exact => "exact",
        }
    }
}
