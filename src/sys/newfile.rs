//! Files that have their name only when they are whole and on the disk.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open, openat};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{UnlinkatFlags, fsync, linkat, unlinkat};
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// A file that is being written, for its owner alone. Without `commit` nothing of it stays.
///
/// It has no name at all (O_TMPFILE, open(2)), so that not even kill -9 leaves a part of it. Where the file
/// system has no such files, it has a hidden name in the same directory.
pub struct NewFile {
    pub file: File,
    directory: OwnedFd,
    name: CString,
    hidden: Option<CString>,
}

/// How many hidden names are tried, should earlier ones have been left by a kill -9.
const TRIES: u32 = 100;
const PRIVATE: Mode = Mode::from_bits_truncate(0o600);

impl NewFile {
    /// EEXIST if the name is taken, be it by a symbolic link that leads nowhere; EINVAL without a name.
    pub fn create(path: &Path) -> nix::Result<NewFile> {
        let (directory, name) = place(path)?;
        is_free(&directory, &name)?;
        let nameless = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        // Without /proc there is no way from a descriptor to a name.
        if Path::new("/proc/self/fd").exists() {
            match openat(&directory, ".", nameless, PRIVATE) {
                Ok(file) => return Ok(NewFile { file: file.into(), directory, name, hidden: None }),
                Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL) => {}
                Err(errno) => return Err(errno),
            }
        }
        for at in 0..TRIES {
            let hidden = CString::new(format!(".ipcx-{}-{at}", std::process::id())).map_err(|_| Errno::EINVAL)?;
            match openat(&directory, hidden.as_c_str(), OFlag::O_RDWR | NEW, PRIVATE) {
                Ok(file) => return Ok(NewFile { file: file.into(), directory, name, hidden: Some(hidden) }),
                Err(Errno::EEXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
        Err(Errno::EEXIST)
    }

    /// Gives the file its name, once its content is on the disk, and sees the name there too. EEXIST if the
    /// name was taken meanwhile: that file is left as it is.
    pub fn commit(mut self) -> nix::Result<()> {
        fsync(&self.file)?;
        let (directory, name) = (&self.directory, self.name.as_c_str());
        match self.hidden.take() {
            None => {
                let nameless = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                linkat(AT_FDCWD, nameless.as_str(), directory, name, AtFlags::AT_SYMLINK_FOLLOW)?;
            }
            Some(hidden) => {
                let renamed = rename(directory, &hidden, &self.name);
                if renamed.is_err() {
                    self.hidden = Some(hidden);
                }
                renamed?;
            }
        }
        let synced = sync(directory);
        if synced.is_err() {
            let _ = unlinkat(directory, name, UnlinkatFlags::NoRemoveDir);
        }
        synced
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(hidden) = &self.hidden {
            let _ = unlinkat(&self.directory, hidden.as_c_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

const NEW: OFlag = OFlag::O_CREAT.union(OFlag::O_EXCL).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Makes a file, for its owner alone, to which is added, and sees its name on the disk. EEXIST if the name is
/// taken.
pub fn log(path: &Path) -> nix::Result<File> {
    let (directory, name) = place(path)?;
    let file = openat(&directory, name.as_c_str(), OFlag::O_WRONLY | OFlag::O_APPEND | NEW, PRIVATE)?;
    if let Err(errno) = sync(&directory) {
        let _ = unlinkat(&directory, name.as_c_str(), UnlinkatFlags::NoRemoveDir);
        return Err(errno);
    }
    Ok(file.into())
}

/// The directory of a path, open, and the name in it.
fn place(path: &Path) -> nix::Result<(OwnedFd, CString)> {
    let name = path.file_name().map(OsStr::as_bytes).ok_or(Errno::EINVAL)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = open(parent, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    Ok((directory, CString::new(name).map_err(|_| Errno::EINVAL)?))
}

fn is_free(directory: &OwnedFd, name: &CString) -> nix::Result<()> {
    match fstatat(directory, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(_) => Err(Errno::EEXIST),
        Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Renames a file and replaces none: renameat2(2). Old file systems do not know that; then by a second name.
fn rename(directory: &OwnedFd, from: &CString, to: &CString) -> nix::Result<()> {
    let at = directory.as_raw_fd();
    // SAFETY: both names end with NUL and outlive the call, and the descriptor is open.
    let renamed =
        unsafe { libc::syscall(libc::SYS_renameat2, at, from.as_ptr(), at, to.as_ptr(), libc::RENAME_NOREPLACE) };
    match Errno::result(renamed) {
        Err(Errno::EINVAL | Errno::ENOSYS) => {
            linkat(directory, from.as_c_str(), directory, to.as_c_str(), AtFlags::empty())?;
            unlinkat(directory, from.as_c_str(), UnlinkatFlags::NoRemoveDir)
        }
        result => result.map(drop),
    }
}

/// Sees the names in a directory on the disk. Where directories cannot be synced they need not be.
fn sync(directory: &OwnedFd) -> nix::Result<()> {
    match fsync(directory) {
        Err(Errno::EINVAL) => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write as _;

    #[test]
    fn a_file_has_its_name_when_it_is_whole_and_takes_no_name_from_another() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let mut new = NewFile::create(&path).unwrap();
        new.file.write_all(b"whole").unwrap();
        assert!(!path.exists());
        new.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(NewFile::create(&path).err(), Some(Errno::EEXIST));
        let other = directory.path().join("b");
        let late = NewFile::create(&other).unwrap();
        std::os::unix::fs::symlink("nowhere", &other).unwrap();
        assert_eq!(late.commit(), Err(Errno::EEXIST));
        assert_eq!(NewFile::create(&other).err(), Some(Errno::EEXIST));
        drop(NewFile::create(&directory.path().join("c")).unwrap());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_hidden_name_becomes_the_real_one_or_goes() {
        let directory = tempfile::tempdir().unwrap();
        let hidden = |name: &str| {
            let path = directory.path().join(name);
            let (directory, name) = place(&path).unwrap();
            let hidden = CString::new(".hidden").unwrap();
            let file = openat(&directory, hidden.as_c_str(), OFlag::O_RDWR | NEW, PRIVATE).unwrap();
            NewFile { file: file.into(), directory, name, hidden: Some(hidden) }
        };
        drop(hidden("a"));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        hidden("a").commit().unwrap();
        assert_eq!(hidden("a").commit(), Err(Errno::EEXIST));
        let names: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["a"]);
    }
}
