//! Memory that is there before it is touched.
//!
//! A short command spends most of its time in page faults: parsing a command line touches some forty
//! pages of heap and as many of code, one fault each. Asking the kernel for all of them in two calls
//! costs a fraction of that. It is advice: a kernel before 5.14 refuses it, and nothing changes.
#![allow(unsafe_code)]

use std::ptr;

/// What a command line takes at most.
const HEAP: usize = 160 << 10;
const PAGE: usize = 4096;

unsafe extern "C" {
    /// The first byte of the program's image, from the linker.
    static __executable_start: u8;
    /// The first byte behind its code, from the linker.
    static etext: u8;
}

/// Makes the pages present that every command is about to touch.
pub fn ready() {
    #[cfg(target_env = "gnu")]
    // SAFETY: M_TOP_PAD changes how much the allocator asks for at once, and nothing else.
    unsafe {
        libc::mallopt(libc::M_TOP_PAD, HEAP as libc::c_int);
    }
    // The first allocation says where the heap begins.
    let first = Box::new([0u8; 64]);
    let start = ptr::from_ref(&*first).addr() / PAGE * PAGE + PAGE;
    advise(start, HEAP - PAGE, libc::MADV_POPULATE_WRITE);
    // SAFETY: only the addresses of these symbols are taken.
    let (code, end) = unsafe { (ptr::from_ref(&__executable_start).addr(), ptr::from_ref(&etext).addr()) };
    let code = code / PAGE * PAGE;
    advise(code, end.saturating_sub(code), libc::MADV_POPULATE_READ);
}

fn advise(start: usize, length: usize, advice: libc::c_int) {
    // SAFETY: populating changes no contents of any mapping, and a range with holes is refused.
    unsafe { libc::madvise(ptr::without_provenance_mut(start), length, advice) };
}
