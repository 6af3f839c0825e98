//! /proc/self/mountinfo, proc_pid_mountinfo(5).

use super::namespaces;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// Where file systems of this type are mounted, the latest first.
pub fn of_type(kind: &[u8]) -> Vec<PathBuf> {
    let mounts = parse(&fs::read("/proc/self/mountinfo").unwrap_or_default(), kind);
    mounts.into_iter().rev().map(|mount| mount.point).collect()
}

/// The IPC namespaces that are bound to a file, as `mount --bind /proc/PID/ns/ipc FILE` does, by inode number.
pub fn ipc_namespaces() -> Vec<(u64, PathBuf)> {
    let mounts = parse(&fs::read("/proc/self/mountinfo").unwrap_or_default(), b"nsfs");
    mounts.into_iter().filter_map(|mount| Some((namespaces::inode(&mount.root)?, mount.point))).collect()
}

/// The directories that the overlays of this mount namespace are made of, upper and lower ones. A path that the
/// mount was given as a relative one is still that.
pub fn layers() -> Vec<PathBuf> {
    let mounts = parse(&fs::read("/proc/self/mountinfo").unwrap_or_default(), b"overlay");
    let layers = mounts.iter().flat_map(|mount| layers_of(&mount.options));
    layers.map(|layer| layer.canonicalize().ok().filter(|_| layer.is_absolute()).unwrap_or(layer)).collect()
}

/// Whether a directory is a layer of an overlay or lies in it; of a relative path, whether it may.
pub fn is_within(directory: &Path, layer: &Path) -> bool {
    if layer.is_absolute() {
        return directory.starts_with(layer);
    }
    let parts: Vec<_> = layer.components().collect();
    let of: Vec<_> = directory.components().collect();
    parts.is_empty() || of.windows(parts.len()).any(|some| some == parts)
}

/// The directories in the options of an overlay. Commas in a path are octal escapes, colons have a backslash,
/// and two colons come before the layers that hold only data (Documentation/filesystems/overlayfs.rst).
fn layers_of(options: &[u8]) -> Vec<PathBuf> {
    let mut layers = Vec::new();
    for option in options.split(|byte| *byte == b',') {
        let Some(at) = memchr::memchr(b'=', option) else { continue };
        if !matches!(&option[..at], b"upperdir" | b"lowerdir" | b"lowerdir+" | b"datadir+") {
            continue;
        }
        let mut layer = Vec::new();
        let mut value = unescape(&option[at + 1..]).into_iter();
        while let Some(byte) = value.next() {
            match byte {
                b':' => layers.push(std::mem::take(&mut layer)),
                b'\\' => layer.extend(value.next()),
                _ => layer.push(byte),
            }
        }
        layers.push(layer);
    }
    layers.retain(|layer| !layer.is_empty());
    layers.into_iter().map(|layer| PathBuf::from(std::ffi::OsString::from_vec(layer))).collect()
}

#[derive(PartialEq, Eq, Debug)]
pub(super) struct Mount {
    /// What of the file system is mounted: of a namespace its name, `ipc:[4026532222]`.
    root: Vec<u8>,
    point: PathBuf,
    /// The options of the file system, as they stand there.
    options: Vec<u8>,
}

/// A line is `36 35 98:0 /root /mount/point options … - type source options`; spaces, tabs, newlines
/// and backslashes in a path are octal escapes. A line of another form is passed over.
pub(super) fn parse(text: &[u8], kind: &[u8]) -> Vec<Mount> {
    let lines = text.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| {
            let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
            let dash = words.iter().position(|word| *word == b"-")?;
            let path = |at: usize| unescape(words.get(at).copied().unwrap_or_default());
            (*words.get(dash + 1)? == kind).then(|| Mount {
                root: path(3),
                point: PathBuf::from(std::ffi::OsString::from_vec(path(4))),
                options: words.get(dash + 3).copied().unwrap_or_default().to_vec(),
            })
        })
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
        let points: Vec<PathBuf> = points.into_iter().map(|mount| mount.point).collect();
        assert_eq!(points[..2], [PathBuf::from("/dev/mqueue"), PathBuf::from("/a b")]);
        assert_eq!(parse(b"", b"mqueue").len(), 0);
    }

    #[test]
    fn the_layers_of_an_overlay_are_read_from_its_options() {
        let text = b"30 1 0:40 / /m rw shared:1 - overlay none rw,lowerdir=/a\\040b:/c\\134:d::l/X,upperdir=/u\\054v,\
            workdir=/w,lowerdir+=/e\n31 1 0:41 / /x rw - tmpfs none rw,upperdir=/no";
        let mounts = parse(text, b"overlay");
        let expected = ["/a b", "/c:d", "l/X", "/u,v", "/e"].map(PathBuf::from);
        assert_eq!(layers_of(&mounts[0].options), expected);
        assert_eq!(mounts.len(), 1);
        let within = |directory: &str, layer: &str| is_within(Path::new(directory), Path::new(layer));
        assert!(within("/u/run", "/u") && within("/u", "/u") && within("/var/l/X/run", "l/X"));
        assert!(!within("/user", "/u") && !within("/var/l/Y/X", "l/X"));
    }

    #[test]
    fn a_bound_namespace_has_its_name_as_root() {
        let text = b"540 512 0:4 ipc:[4026532222] /run/ipcns/a\\040b rw shared:7 - nsfs nsfs rw\n\
            541 512 0:4 net:[4026532223] /run/netns/x rw shared:8 - nsfs nsfs rw\n\
            542 512 0:9 /ipc:[1] /x rw - tmpfs nsfs rw";
        let found = parse(text, b"nsfs");
        assert_eq!(found.len(), 2);
        assert_eq!(namespaces::inode(&found[0].root), Some(4_026_532_222));
        assert_eq!(found[0].point, PathBuf::from("/run/ipcns/a b"));
        assert_eq!(namespaces::inode(&found[1].root), None);
    }
}
