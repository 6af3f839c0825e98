//! The kernel's limits, under /proc/sys. Those of IPC belong to the IPC namespace of the reader.

use std::fs;

/// The numbers in a file of /proc/sys, by the name that sysctl(8) gives it: `kernel.msgmni`.
pub fn numbers(name: &str) -> Option<Vec<u64>> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    let text = fs::read_to_string(path).ok()?;
    text.split_ascii_whitespace().map(|word| word.parse().ok()).collect()
}

/// The only or first number in a file of /proc/sys.
pub fn number(name: &str) -> Option<u64> {
    numbers(name)?.first().copied()
}
