//! get_robust_list(2): where a thread keeps the list of the robust mutexes that it holds.
#![allow(unsafe_code)]

use nix::errno::Errno;
use std::ptr;

/// The address of struct robust_list_head in the memory of a thread; 0 if it has told the kernel none.
/// EPERM without the right to look at the process (PTRACE_MODE_READ, ptrace(2)), ESRCH when there is no
/// such thread.
pub fn head(tid: i32) -> nix::Result<u64> {
    let (mut head, mut size) = (ptr::null_mut::<libc::c_void>(), 0usize);
    // SAFETY: the kernel writes a pointer, which is not followed here, and a size to two places that outlive
    // the call.
    Errno::result(unsafe { libc::syscall(libc::SYS_get_robust_list, tid, &raw mut head, &raw mut size) })?;
    Ok(head.addr() as u64)
}
