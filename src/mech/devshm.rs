//! What the objects that live in files share: /dev/shm, permissions, identity.

use super::root::{Directory, Root};
use super::{Change, Limit, Unit, Usage};
use crate::error::{Error, Result};
use crate::model::{Escaped, Family, Fingerprint, Gap, Ident, Kind, Object, ObjectRef, Reason, Seen, Text, Value};
use crate::sys::{file, lease};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};
use nix::sys::statvfs::statvfs;
use nix::unistd::{Gid, Uid};
use std::ffi::CString;
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
        // One that vanished in between is not an error.
        let Ok(stat) = fstatat(&directory, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) else { continue };
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

/// Removes the file behind an object if it still is that object.
pub(super) fn remove(path: &Path, object: &Object) -> Result<()> {
    let now = stat(path).map_err(|errno| failed("stat", errno, &object.reference))?;
    if !same(&now, object) {
        return Err(super::replaced(&object.reference));
    }
    nix::unistd::unlink(path)
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
        &object.reference,
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

/// Owner first: chown(2) clears set-id bits, and a mode that was asked for must be there at the end.
pub(super) fn change(
    reference: &ObjectRef,
    wanted: &Change,
    chmod: impl Fn(Mode) -> nix::Result<()>,
    chown: impl Fn(Option<Uid>, Option<Gid>) -> nix::Result<()>,
) -> Result<()> {
    if wanted.uid.is_some() || wanted.gid.is_some() {
        chown(wanted.uid.map(Uid::from_raw), wanted.gid.map(Gid::from_raw))
            .map_err(|errno| Error::new("chown", errno, reference))?;
    }
    if let Some(mode) = wanted.mode {
        chmod(Mode::from_bits_truncate(mode)).map_err(|errno| Error::new("chmod", errno, reference))?;
    }
    Ok(())
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
    let got = nix::sys::uio::pread(fd, &mut bytes, 0)?;
    bytes.truncate(got);
    Ok(bytes)
}

/// The times that an inode has.
pub(super) fn times(object: &mut Object, stat: &FileStat) {
    object.facts.push("mtime", Value::Time(stat.st_mtime));
    object.facts.push("ctime", Value::Time(stat.st_ctime));
}
