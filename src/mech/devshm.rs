//! What the objects that live in files share: /dev/shm, permissions, identity.

use super::root::{Directory, Root};
use super::{Change, Limit, Unit, Usage};
use crate::error::{Error, Result};
use crate::model::{Escaped, Family, Fingerprint, Gap, Ident, Kind, Object, ObjectRef, Reason, Seen, Text, Value};
use crate::sys::{file, lease};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};
use nix::sys::statvfs::statvfs;
use nix::unistd::{Gid, Uid, UnlinkatFlags, unlinkat};
use std::ffi::{CString, OsStr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Where glibc and musl keep POSIX shared memory and named semaphores.
pub const DIRECTORY: &str = "/dev/shm";

/// The file behind a POSIX name, which starts with a slash.
pub(super) fn path(prefix: &str, name: &Text) -> PathBuf {
    path_in(Path::new(DIRECTORY), prefix, name)
}

/// The same in the /dev/shm of another root.
pub(super) fn path_in(directory: &Path, prefix: &str, name: &Text) -> PathBuf {
    let mut bytes = directory.as_os_str().as_bytes().to_vec();
    bytes.push(b'/');
    bytes.extend_from_slice(prefix.as_bytes());
    bytes.extend_from_slice(name.raw().strip_prefix(b"/").unwrap_or(name.raw()));
    file::path(&bytes).to_owned()
}

/// A path as text that is safe to show.
pub(super) fn shown(path: &Path) -> String {
    Escaped(path.as_os_str().as_bytes()).to_string()
}

/// The kinds that have files there.
pub const KINDS: &[Kind] = &[Kind::Shm, Kind::Sem];

/// What a file there may be called as an object, the likeliest first. Only its bytes would tell for sure
/// (`is_semaphore`).
pub fn references(file: &[u8]) -> [ObjectRef; 2] {
    let named = |kind, name: &[u8]| ObjectRef { kind, id: Ident::Name(Text::from([b"/", name].concat())) };
    match file.strip_prefix(b"sem.") {
        Some(name) if !name.is_empty() => [named(Kind::Sem, name), named(Kind::Shm, file)],
        _ => [named(Kind::Shm, file), named(Kind::Sem, file)],
    }
}

/// Whether there is a file of this name, of whatever type.
pub fn exists(file: &[u8]) -> bool {
    stat(&Path::new(DIRECTORY).join(file::path(file))).is_ok()
}

/// The /dev/shm of a root. One that has none has no objects either.
pub(super) fn directory(root: &Root, gaps: &mut Vec<Gap>) -> Option<Directory> {
    match root.directory(DIRECTORY) {
        Ok(directory) => Some(directory),
        Err(Errno::ENOENT) => None,
        Err(errno) => {
            gaps.push(gap("openat2", errno));
            None
        }
    }
}

fn gap(call: &'static str, errno: Errno) -> Gap {
    Gap {
        subject: DIRECTORY.to_owned(),
        field: None,
        reason: Reason { call, errno: errno as i32 },
        note: Some("POSIX shared memory and named semaphores could not be looked at".to_owned()),
    }
}

/// Every regular file of a /dev/shm, with the open directory to look at them through.
///
/// Directories, symbolic links, sockets and devices there are no IPC objects: shm_open(3) and
/// sem_open(3) cannot have made them, and they are passed over.
pub(super) fn each(path: &Path, gaps: &mut Vec<Gap>, mut see: impl FnMut(&Dir, &[u8], &FileStat)) {
    let mut gap = |call, errno: Errno| gaps.push(gap(call, errno));
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let (directory, mut entries) = match (Dir::open(path, flags, Mode::empty()), Dir::open(path, flags, Mode::empty()))
    {
        (Ok(directory), Ok(entries)) => (directory, entries),
        (Err(errno), _) | (_, Err(errno)) => return gap("open", errno),
    };
    for entry in entries.iter() {
        let name = match entry {
            Ok(entry) => entry.file_name().to_owned(),
            Err(errno) => return gap("readdir", errno),
        };
        let stat = match fstatat(&directory, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // One that vanished in between is not an error.
            Err(Errno::ENOENT) => continue,
            Err(errno) => {
                gap("stat", errno);
                continue;
            }
        };
        if is_regular(&stat) {
            see(&directory, name.to_bytes(), &stat);
        }
    }
}

pub(super) fn is_regular(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG
}

/// What a file is, when it is not what was asked for.
pub(super) fn type_of(stat: &FileStat) -> &'static str {
    match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFDIR => "a directory",
        SFlag::S_IFLNK => "a symbolic link",
        SFlag::S_IFIFO => "a FIFO",
        SFlag::S_IFSOCK => "a socket",
        SFlag::S_IFCHR | SFlag::S_IFBLK => "a device",
        _ => "a file",
    }
}

pub(super) fn fingerprint(stat: &FileStat) -> Fingerprint {
    Fingerprint::Inode { dev: stat.st_dev, ino: stat.st_ino, ctime: stat.st_ctime, ctime_nsec: stat.st_ctime_nsec }
}

/// Whether a file is the one that was looked at a moment ago. Its change time is no part of that: it
/// moves whenever somebody writes to the file.
fn same(now: &FileStat, object: &Object) -> bool {
    matches!(object.fingerprint, Fingerprint::Inode { dev, ino, .. } if (dev, ino) == (now.st_dev, now.st_ino))
}

pub(super) fn permissions(object: &mut Object, stat: &FileStat) {
    object.uid = Seen::Is(stat.st_uid);
    object.gid = Seen::Is(stat.st_gid);
    object.mode = Seen::Is(stat.st_mode & 0o7777);
}

pub(super) fn object(reference: ObjectRef, family: Family, stat: &FileStat) -> Object {
    let mut object = Object::new(reference, family, fingerprint(stat));
    permissions(&mut object, stat);
    object
}

/// A file's state without following a symbolic link.
pub(super) fn stat(path: &Path) -> nix::Result<FileStat> {
    nix::sys::stat::lstat(path)
}

pub(super) fn failed(call: &'static str, errno: Errno, reference: &ObjectRef) -> Error {
    let error = Error::new(call, errno, reference);
    match errno {
        Errno::ENOENT => error.because("no such object"),
        Errno::ELOOP => error.because("it is a symbolic link, which is not followed"),
        _ => error,
    }
}

/// Whether a process has the file of an object open or mapped, by the lease test. Not known of one that lies
/// elsewhere: its path leads to another file here, or to none.
pub(super) fn usage_of(object: &Object, path: &Path) -> Seen<Usage> {
    match file::open_plain(path, OFlag::O_RDONLY) {
        Ok((_, now)) if !same(&now, object) => Seen::hidden("open", Errno::ESTALE as i32),
        Ok((fd, _)) => leased(&fd),
        Err(errno) => Seen::hidden("open", errno as i32),
    }
}

/// The same of whatever a path leads to.
pub(super) fn usage(path: &Path) -> Seen<Usage> {
    match file::open_plain(path, OFlag::O_RDONLY) {
        Ok((fd, _)) => leased(&fd),
        Err(errno) => Seen::hidden("open", errno as i32),
    }
}

fn leased(fd: &OwnedFd) -> Seen<Usage> {
    match lease::is_open_elsewhere(fd) {
        Ok(true) => Seen::Is(Usage::Somebody("a process has it open or mapped".to_owned())),
        Ok(false) => Seen::Is(Usage::Nobody),
        Err(errno) => Seen::hidden("fcntl", errno as i32),
    }
}

/// Removes the file behind an object if it still is that object. Symbolic links on the way to it are followed: who
/// has named the object has named them.
pub(super) fn remove(path: &Path, object: &Object) -> Result<()> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let (directory, name) = split(path);
    let directory = open(directory, flags, Mode::empty()).map_err(|errno| failed("open", errno, &object.reference))?;
    let is_same = |now: &FileStat| if same(now, object) { Ok(()) } else { Err(super::replaced(&object.reference)) };
    unlink(&directory, name, object, is_same)
}

/// Removes the file behind an object that was found by a walk, if it was not even changed since, and if a `last_look`
/// by another path finds nobody who uses it. No symbolic link is followed on the way: who owns a directory on it may
/// have put one there since.
pub(super) fn remove_unused(path: &Path, object: &Object, last_look: impl Fn(&Path) -> bool) -> Result<()> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    let (directory, name) = split(path);
    let directory = openat2(AT_FDCWD, directory, how).map_err(|errno| {
        let error = failed("openat2", errno, &object.reference);
        match errno {
            Errno::ELOOP => error.because("there is a symbolic link on the way to it, which is not followed"),
            Errno::ENOSYS => error.because("this kernel follows symbolic links on the way to it (before Linux 5.6)"),
            _ => error,
        }
    })?;
    let through = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
    let changed = |how| Err(super::changed(&object.reference, how));
    unlink(&directory, name, object, |now| match fingerprint(now) == object.fingerprint {
        false => changed("it is another object, or was changed since"),
        true if !last_look(&through) => changed("it was used meanwhile"),
        true => Ok(()),
    })
}

/// The directory of a file, and its name there.
fn split(path: &Path) -> (&Path, &OsStr) {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    (directory.unwrap_or(Path::new(".")), path.file_name().unwrap_or_default())
}

/// Takes a name out of a directory if it stands for an object, and for what that is.
fn unlink(directory: &OwnedFd, name: &OsStr, object: &Object, check: impl Fn(&FileStat) -> Result<()>) -> Result<()> {
    let now = fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)
        .map_err(|errno| failed("stat", errno, &object.reference))?;
    let kind = match object.kind() {
        Kind::Fifo => SFlag::S_IFIFO,
        Kind::Sock => SFlag::S_IFSOCK,
        _ => SFlag::S_IFREG,
    };
    if SFlag::from_bits_truncate(now.st_mode) & SFlag::S_IFMT != kind {
        return Err(super::replaced(&object.reference));
    }
    check(&now)?;
    unlinkat(directory, name, UnlinkatFlags::NoRemoveDir)
        .map_err(|errno| super::sysv::denied(failed("unlink", errno, &object.reference), Some(object)))
}

/// Changes mode and owner of a file that we need not be able to open.
pub(super) fn set(path: &Path, object: &Object, wanted: &Change) -> Result<()> {
    let (fd, now) = file::open_plain(path, OFlag::O_PATH).map_err(|errno| failed("open", errno, &object.reference))?;
    if !same(&now, object) {
        return Err(super::replaced(&object.reference));
    }
    let through = CString::new(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap_or_default();
    change(
        object,
        wanted,
        |mode| {
            nix::sys::stat::fchmodat(
                nix::fcntl::AT_FDCWD,
                through.as_c_str(),
                mode,
                nix::sys::stat::FchmodatFlags::FollowSymlink,
            )
        },
        |uid, gid| nix::unistd::chown(through.as_c_str(), uid, gid),
    )
    .map_err(|error| super::sysv::denied(error, Some(object)))
}

/// Owner first: chown(2) clears set-id bits, and a mode that was asked for must be there at the end. If that cannot be
/// had, the owner is again who it was.
pub(super) fn change(
    object: &Object,
    wanted: &Change,
    chmod: impl Fn(Mode) -> nix::Result<()>,
    chown: impl Fn(Option<Uid>, Option<Gid>) -> nix::Result<()>,
) -> Result<()> {
    let failed = |call, errno| Error::new(call, errno, &object.reference);
    let give = |uid: Option<u32>, gid: Option<u32>| chown(uid.map(Uid::from_raw), gid.map(Gid::from_raw));
    let has_new_owner = wanted.uid.is_some() || wanted.gid.is_some();
    if has_new_owner {
        give(wanted.uid, wanted.gid).map_err(|errno| failed("chown", errno))?;
    }
    let Some(Err(errno)) = wanted.mode.map(|mode| chmod(Mode::from_bits_truncate(mode))) else { return Ok(()) };
    let error = failed("chmod", errno);
    if !has_new_owner {
        return Err(error);
    }
    let before = |wanted: Option<u32>, was: &Seen<u32>| wanted.and(was.known().copied());
    match give(before(wanted.uid, &object.uid), before(wanted.gid, &object.gid)) {
        Ok(()) => Err(error),
        Err(errno) => Err(error.hinting(format!("its owner is changed, and could not be changed back ({errno:?})"))),
    }
}

/// Bytes and files of a /dev/shm.
pub(super) fn limits(directory: nix::Result<Directory>) -> Vec<Limit> {
    let space = directory.and_then(|directory| statvfs(directory.path()));
    let hidden = |errno: Errno| Seen::hidden("statvfs", errno as i32);
    let number = |limit: u64, free: u64| match limit {
        // A file system without this bound says 0.
        0 => (Seen::Absent, Seen::Absent),
        limit => (Seen::Is(limit), Seen::Is(limit.saturating_sub(free))),
    };
    let (bytes, files) = match space {
        Ok(fs) => {
            let block = fs.fragment_size();
            (number(fs.blocks() * block, fs.blocks_free() * block), number(fs.files(), fs.files_free()))
        }
        Err(errno) => ((hidden(errno), hidden(errno)), (hidden(errno), hidden(errno))),
    };
    let limit = |name, help, unit, (limit, used): (Seen<u64>, Seen<u64>), setting| Limit {
        noun: Kind::Shm.noun(),
        family: Family::Posix,
        name,
        help,
        limit,
        used,
        unit,
        setting,
    };
    vec![
        limit(
            "/dev/shm size",
            "bytes of POSIX shared memory and named semaphores",
            Unit::Bytes,
            bytes,
            "mount option size=",
        ),
        limit("/dev/shm inodes", "files in /dev/shm", Unit::Objects, files, "mount option nr_inodes="),
    ]
}

/// The bytes at the start of a file, for a look inside.
pub(super) fn head(fd: &OwnedFd, length: usize) -> nix::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut got = 0;
    while got < length {
        match nix::sys::uio::pread(fd, &mut bytes[got..], i64::try_from(got).map_err(|_| Errno::EOVERFLOW)?) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    bytes.truncate(got);
    Ok(bytes)
}

/// The times that an inode has.
pub(super) fn times(object: &mut Object, stat: &FileStat) {
    object.facts.push("mtime", Value::Time(stat.st_mtime));
    object.facts.push("ctime", Value::Time(stat.st_ctime));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileTypeExt as _, symlink};
    use std::os::unix::net::UnixListener;

    /// The file of a socket that is gone, as it is found by this path.
    fn socket(path: &Path) -> Object {
        let id = Ident::Path(Text::from(path.as_os_str().as_bytes()));
        object(ObjectRef { kind: Kind::Sock, id }, Family::Unix, &nix::sys::stat::stat(path).unwrap())
    }

    #[test]
    fn what_was_not_named_is_not_removed_through_a_link() {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        std::fs::create_dir(at("victim")).unwrap();
        drop(UnixListener::bind(at("victim/s")).unwrap());
        symlink(at("victim"), at("link")).unwrap();
        symlink(at("victim/s"), at("name")).unwrap();
        for path in ["link/s", "name"] {
            let error = remove_unused(&at(path), &socket(&at(path)), |_| true).unwrap_err();
            assert!(matches!(error.errno, Errno::ELOOP | Errno::UnknownErrno), "{error}");
            assert!(at("victim/s").exists(), "{path}");
        }
        // A name of it is not what was named either; the directory is.
        remove(&at("name"), &socket(&at("name"))).unwrap_err();
        remove(&at("link/s"), &socket(&at("link/s"))).unwrap();
        assert!(!at("victim/s").exists() && at("name").is_symlink());
    }

    #[test]
    fn what_was_not_named_is_removed_only_as_it_was_and_of_use_to_nobody() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("s");
        drop(UnixListener::bind(&path).unwrap());
        let was = socket(&path);
        let looks_at = |through: &Path| {
            assert!(std::fs::symlink_metadata(through).unwrap().file_type().is_socket(), "{through:?}");
        };
        let used = remove_unused(&path, &was, |through| {
            looks_at(through);
            false
        });
        assert_eq!(used.unwrap_err().cause, "it was used meanwhile");
        nix::sys::stat::fchmodat(AT_FDCWD, &path, Mode::S_IRUSR, nix::sys::stat::FchmodatFlags::FollowSymlink).unwrap();
        assert_eq!(remove_unused(&path, &was, |_| true).unwrap_err().errno, Errno::EBUSY);
        assert!(path.exists());
        let is = socket(&path);
        remove_unused(&path, &is, |_| true).unwrap();
        assert!(!path.exists());
        std::fs::write(&path, "").unwrap();
        remove(&path, &socket(&path)).unwrap_err();
        remove_unused(&path, &is, |_| true).unwrap_err();
        assert!(path.exists());
    }
}
