//! The robust mutexes that a thread holds, from the list that it keeps for the kernel: include/uapi/linux/futex.h,
//! Documentation/locking/robust-futex-ABI.rst.

use super::mapping;
use super::target::Target;
use crate::model::Resource;
use crate::sys::robust;
use nix::errno::Errno;
use std::fs::File;
use std::io::BufReader;

/// ROBUST_LIST_LIMIT: the kernel follows the list no further.
const LIMIT: usize = 2048;

/// The words of the robust mutexes in shared memory that a thread of a process holds. EPERM or EACCES without
/// the right to look at it, ESRCH when it is not there, EFAULT if the list changed meanwhile.
pub fn held(pid: i32, tid: i32) -> nix::Result<Vec<Resource>> {
    let target = Target::open(pid)?;
    let head = robust::head(tid)?;
    if head == 0 {
        return Ok(Vec::new());
    }
    let memory = target.memory().ok_or(Errno::EACCES)?;
    // struct robust_list_head: { next; long futex_offset; pending; }, and each entry is the next of it.
    let offset = memory.u64(head.wrapping_add(8)).ok_or(Errno::EFAULT)?.cast_signed();
    let mut words = Vec::new();
    let mut entry = head;
    for _ in 0..LIMIT {
        // The lowest bit says that it inherits priority.
        entry = memory.u64(entry).ok_or(Errno::EFAULT)? & !1;
        if entry == head {
            break;
        }
        words.push(entry.wrapping_add_signed(offset));
    }
    let namespace = target.namespace();
    let of = |address| {
        let maps = BufReader::new(File::from(target.file("maps").ok()?));
        mapping::word(maps, address, namespace)
    };
    Ok(words.into_iter().filter_map(of).collect())
}
