//! The robust mutexes that threads hold, from the list that each keeps for the kernel: include/uapi/linux/futex.h,
//! Documentation/locking/robust-futex-ABI.rst.

use super::target::Target;
use crate::model::Resource;
use crate::proc::shared::Identities;
use crate::sys::robust;
use nix::errno::Errno;
use std::collections::HashSet;

/// ROBUST_LIST_LIMIT: the kernel follows a list no further.
const LIMIT: usize = 2048;
/// So many entries are read of all threads of a process: whoever writes lists that never end is not to keep us.
const MOST: usize = 16 * LIMIT;

/// What all looks at robust mutexes share.
pub struct Robust(Identities);

/// A process whose threads may hold some.
pub struct Process<'a> {
    identities: &'a Identities,
    target: Target,
    /// Entries that were read. A mutex is in one list alone, and whoever meets it again goes in a circle.
    seen: HashSet<u64>,
}

impl Robust {
    pub fn start() -> Robust {
        Robust(Identities::learn())
    }

    /// EACCES or EPERM without the right to look at a process, ENOENT or ESRCH when it is not there.
    pub fn process(&self, pid: i32) -> nix::Result<Process<'_>> {
        Ok(Process { identities: &self.0, target: Target::open(pid)?, seen: HashSet::new() })
    }
}

impl Process<'_> {
    /// The words of the robust mutexes in shared memory that a thread of the process holds. EPERM or EACCES
    /// without the right to look at it, ESRCH when it is not there, EFAULT if the list changed meanwhile.
    pub fn held(&mut self, tid: i32) -> nix::Result<Vec<Resource>> {
        let head = robust::head(tid)?;
        if head == 0 {
            return Ok(Vec::new());
        }
        let memory = self.target.memory().ok_or(Errno::EACCES)?;
        // struct robust_list_head: { next; long futex_offset; pending; }, and each entry is the next of it.
        let offset = memory.u64(head.wrapping_add(8)).ok_or(Errno::EFAULT)?.cast_signed();
        let mut words = Vec::new();
        let mut entry = head;
        for _ in 0..LIMIT {
            // The lowest bit says that it inherits priority.
            entry = memory.u64(entry).ok_or(Errno::EFAULT)? & !1;
            if entry == head || self.seen.len() == MOST || !self.seen.insert(entry) {
                break;
            }
            words.push(entry.wrapping_add_signed(offset));
        }
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let shared = self.target.shared(self.identities).ok_or(Errno::EACCES)?;
        Ok(words.into_iter().filter_map(|address| shared.word(address)).collect())
    }
}
