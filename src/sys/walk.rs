//! A look through directories for files of some types.

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::geteuid;
use std::ffi::{CStr, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// What a look through directories has found.
#[derive(Default, Debug)]
pub struct Walk {
    pub files: Vec<(PathBuf, SFlag)>,
    /// Directories that could not be read.
    pub unread: Vec<(PathBuf, Errno)>,
    /// Directories that root does not look into: everybody may write to them, and without the sticky bit, inode(7),
    /// also take away what others have there.
    pub open_to_all: Vec<PathBuf>,
}

impl Walk {
    /// Looks into a directory and so many levels below it. Links are not followed, and what is mounted in
    /// between is left out. Nothing is opened but directories.
    pub fn through(&mut self, root: &Path, depth: usize, wanted: fn(SFlag) -> bool) {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let found = openat(AT_FDCWD, root, flags, Mode::empty()).and_then(|fd| Ok((fstat(&fd)?.st_dev, fd)));
        match found {
            Ok((dev, fd)) => self.look(fd, root, dev, depth, wanted),
            Err(errno) => self.unread.push((root.to_owned(), errno)),
        }
    }

    fn look(&mut self, directory: OwnedFd, path: &Path, dev: u64, depth: usize, wanted: fn(SFlag) -> bool) {
        if geteuid().is_root() && fstat(&directory).is_ok_and(|stat| is_open_to_all(&stat)) {
            return self.open_to_all.push(path.to_owned());
        }
        let mut entries = match Dir::from_fd(directory) {
            Ok(entries) => entries,
            Err(errno) => return self.unread.push((path.to_owned(), errno)),
        };
        let mut names = Vec::new();
        for entry in entries.iter() {
            match entry {
                Ok(entry) => names.push(entry.file_name().to_owned()),
                Err(errno) => {
                    // The rest of it cannot be read, and to go on would fail again and again.
                    self.unread.push((path.to_owned(), errno));
                    break;
                }
            }
        }
        for name in names.iter().map(|name| name.as_c_str()).filter(|name| !matches!(name.to_bytes(), b"." | b"..")) {
            // One that vanished in between is not an error.
            let Ok(stat) = fstatat(&entries, name, AtFlags::AT_SYMLINK_NOFOLLOW) else { continue };
            let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
            let path = path.join(OsStr::from_bytes(name.to_bytes()));
            if wanted(kind) {
                self.files.push((path, kind));
            } else if kind == SFlag::S_IFDIR && stat.st_dev == dev && depth > 0 {
                match below(&entries, name, dev) {
                    Ok(Some(directory)) => self.look(directory, &path, dev, depth - 1, wanted),
                    Ok(None) | Err(Errno::ENOENT) => {}
                    Err(errno) => self.unread.push((path, errno)),
                }
            }
        }
    }
}

fn is_open_to_all(directory: &FileStat) -> bool {
    let mode = Mode::from_bits_truncate(directory.st_mode);
    mode.contains(Mode::S_IWOTH) && !mode.contains(Mode::S_ISVTX)
}

/// A directory within another, if it still is one of this file system.
fn below(of: &Dir, name: &CStr, dev: u64) -> nix::Result<Option<OwnedFd>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let directory = openat(of, name, flags, Mode::empty())?;
    Ok((fstat(&directory)?.st_dev == dev).then_some(directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_type_are_found_and_links_are_not_followed() {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        std::fs::create_dir_all(at("a/b")).unwrap();
        nix::unistd::mkfifo(&at("one"), Mode::S_IRUSR).unwrap();
        nix::unistd::mkfifo(&at("a/two"), Mode::S_IRUSR).unwrap();
        nix::unistd::mkfifo(&at("a/b/three"), Mode::S_IRUSR).unwrap();
        std::fs::write(at("plain"), "x").unwrap();
        std::os::unix::fs::symlink("a", at("link")).unwrap();
        let found = |depth| {
            let mut walk = Walk::default();
            walk.through(top.path(), depth, |kind| kind == SFlag::S_IFIFO);
            let mut files: Vec<PathBuf> = walk.files.into_iter().map(|(path, _)| path).collect();
            files.sort();
            assert!(walk.unread.is_empty(), "{:?}", walk.unread);
            files
        };
        assert_eq!(found(0), [at("one")]);
        assert_eq!(found(1), [at("a/two"), at("one")]);
        assert_eq!(found(3), [at("a/b/three"), at("a/two"), at("one")]);
        // As root, who would be led by whoever moves what is in there.
        for (mode, is_searched) in [(0o777, !geteuid().is_root()), (0o1777, true), (0o775, true)] {
            std::fs::set_permissions(at("a"), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
            assert_eq!(found(3).len(), if is_searched { 3 } else { 1 }, "{mode:o}");
        }
        let mut walk = Walk::default();
        walk.through(&at("missing"), 1, |_| true);
        assert_eq!(walk.unread, [(at("missing"), Errno::ENOENT)]);
    }
}
