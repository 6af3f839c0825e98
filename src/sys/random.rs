//! Random numbers that nobody can guess: getrandom(2).
#![allow(unsafe_code)]

use nix::errno::Errno;

/// A random number.
pub fn number() -> nix::Result<u64> {
    let mut bytes = [0; 8];
    loop {
        // SAFETY: the call writes no more than the room that it is told, which outlives it.
        match Errno::result(unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) }) {
            Err(Errno::EINTR) => {}
            // So few bytes come whole, random(7).
            result => return result.map(|_| u64::from_ne_bytes(bytes)),
        }
    }
}
