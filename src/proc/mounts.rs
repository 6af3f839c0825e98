//! /proc/self/mountinfo, proc_pid_mountinfo(5).

use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// Where file systems of this type are mounted, the latest first.
pub fn of_type(kind: &[u8]) -> Vec<PathBuf> {
    let mut points: Vec<PathBuf> = parse(&fs::read("/proc/self/mountinfo").unwrap_or_default(), kind);
    points.reverse();
    points
}

/// A line is `36 35 98:0 /root /mount/point options … - type source options`; spaces, tabs, newlines
/// and backslashes in a path are octal escapes. A line of another form is passed over.
fn parse(text: &[u8], kind: &[u8]) -> Vec<PathBuf> {
    let lines = text.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| {
            let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
            let dash = words.iter().position(|word| *word == b"-")?;
            (*words.get(dash + 1)? == kind).then(|| unescape(words.get(4).copied().unwrap_or_default()))
        })
        .map(|path| PathBuf::from(std::ffi::OsString::from_vec(path)))
        .collect()
}

fn unescape(word: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(word.len());
    let mut at = 0;
    while at < word.len() {
        let code = word.get(at + 1..at + 4).filter(|_| word[at] == b'\\');
        let code = code.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        path.push(code.unwrap_or(word[at]));
        at += if code.is_some() { 4 } else { 1 };
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_unescaped_and_odd_lines_passed_over() {
        let text = b"25 30 0:21 / /dev/mqueue rw shared:9 - mqueue mqueue rw\n\
            26 30 0:22 / /a\\040b rw - mqueue none rw\ngarbage\n\n- mqueue\n27 1 0:5 / /proc rw - proc proc rw";
        let points = parse(text, b"mqueue");
        assert_eq!(points[..2], [PathBuf::from("/dev/mqueue"), PathBuf::from("/a b")]);
        assert_eq!(parse(b"", b"mqueue").len(), 0);
    }
}
