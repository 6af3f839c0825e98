//! The kernel's limits, under /proc/sys. Those of IPC belong to the IPC namespace of the reader.

use crate::model::Seen;
use crate::sys::file;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::read;
use std::fs;

/// The numbers in a file of /proc/sys, by the name that sysctl(8) gives it: `kernel.msgmni`.
/// EBADMSG where they are no numbers.
pub fn numbers(name: &str) -> nix::Result<Vec<u64>> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    // One line of a few numbers comes with one read.
    let mut text = [0; 256];
    let file = open(path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let got = read(&file, &mut text)?;
    let text = std::str::from_utf8(&text[..got]).map_err(|_| Errno::EBADMSG)?;
    let numbers: Option<Vec<u64>> = text.split_ascii_whitespace().map(|word| word.parse().ok()).collect();
    numbers.filter(|numbers| !numbers.is_empty()).ok_or(Errno::EBADMSG)
}

/// The first number in a file of /proc/sys, for decisions that can do without it.
pub fn number(name: &str) -> Option<u64> {
    numbers(name).ok()?.first().copied()
}

/// The number at a position in a file of /proc/sys, to be shown.
pub fn limit(name: &str, at: usize) -> Seen<u64> {
    match numbers(name) {
        Ok(numbers) => numbers.get(at).copied().map_or(Seen::hidden("read", libc::EBADMSG), Seen::Is),
        Err(errno) => Seen::hidden("open", errno as i32),
    }
}

/// Writes a number to a file of /proc/sys.
pub fn set(name: &str, number: i32) -> nix::Result<()> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    fs::write(path, number.to_string()).map_err(|error| file::errno(&error))
}
