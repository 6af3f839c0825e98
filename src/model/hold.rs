//! That a process holds a resource, and how sure that is.

use super::{End, LockKind, Range, Resource, Seen, Value};
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
    /// It has operated on a set with SEM_UNDO, and the kernel gives that back at its end; `None` where it could
    /// not be seen what.
    Undo(Option<Adjustment>),
    /// It was the last to operate on semaphore `index`: by convention it holds it, the kernel does not know.
    LastOperator { index: u16 },
    /// It has a lock on these bytes of the file.
    Lock { lock: LockKind, exclusive: bool, range: Range },
    /// A mutex or rwlock in shared memory, whose word is at this offset of it, names it as its owner.
    Owner { offset: u64 },
}

/// It took `amount` of semaphore `index`; negative if it gave that much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Adjustment {
    pub index: u16,
    pub amount: i32,
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

impl How {
    /// More than the role says, in words.
    pub fn detail(self) -> Option<String> {
        Some(match self {
            How::Open => return None,
            How::Owner { offset } => format!("owns the lock at {offset:#x}"),
            How::Mapped { count: 1, .. } => return None,
            How::Mapped { count, .. } => format!("{count} mappings"),
            How::Undo(Some(Adjustment { index, amount })) if amount > 0 => {
                format!("semaphore {index}: took {amount} with SEM_UNDO")
            }
            How::Undo(Some(Adjustment { index, amount })) => {
                format!("semaphore {index}: gave {} with SEM_UNDO", -amount)
            }
            How::Undo(None) => "has used it with SEM_UNDO; what it holds is not known".to_owned(),
            How::LastOperator { index } => format!("semaphore {index}: last to operate"),
            How::Lock { lock, exclusive, range } => lock.detail(exclusive, range),
        })
    }
}

impl Hold {
    /// The facts of it, as JSON and `show` list them.
    pub fn record(&self) -> Vec<(&'static str, Seen<Value>)> {
        let mut record = self.end.record();
        record.push(("detail", self.how.detail().map(Value::Phrase).into()));
        record.push(("grade", Seen::Is(Value::Word(self.grade.word()))));
        record
    }
}
