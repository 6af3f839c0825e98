//! POSIX named semaphores, sem_overview(7): small files in /dev/shm.
//!
//! glibc calls them `sem.NAME`, musl `NAME`, and their bytes differ. Both are decoded from the file,
//! opened for reading only; operations want that of glibc, whatever C library we are built with.

mod named;
mod sys;

use crate::error::{Error, Result};
use crate::exit::Status;
use crate::mech::{
    Access, Change, Created, Found, Limit, Mechanism, Opened, Root, Scope, Spec, Usage, What, devshm, unsupported,
};
use crate::model::{Family, Ident, Kind, Needs, Object, ObjectRef, Reason, Seen, Text, Value};
use crate::proc::holders::Holders;
use crate::sys::{file, stdio};
use named::Named;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use sys::{SIZE, Semaphore, initial};

pub struct PosixSem;

/// How long a semaphore is in both C libraries on 64-bit machines.
const LENGTH: usize = 32;
const PREFIX: &str = "sem.";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Layout {
    Glibc,
    Musl,
}

impl Layout {
    fn word(self) -> &'static str {
        match self {
            Layout::Glibc => "glibc",
            Layout::Musl => "musl",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Layout::Glibc => PREFIX,
            Layout::Musl => "",
        }
    }
}

/// Value and waiters of a semaphore's bytes; `None` when they are not one.
///
/// glibc (nptl, struct new_sem): the value in the low half of a 64-bit word and the waiters in the
/// high half, then the private flag, 0x80 for a shared one. musl (sem_init.c): the value with the
/// top bit as "there are waiters", the waiters, and 0 for a shared one; the rest is not used.
fn decode(bytes: &[u8], layout: Layout) -> Option<(u64, u64)> {
    let bytes: &[u8; LENGTH] = bytes.try_into().ok()?;
    let word = |at: usize| bytes[at..at + 4].try_into().map(u32::from_ne_bytes).unwrap_or(0);
    let (value, waiters) = match layout {
        Layout::Glibc => (word(0), word(4)),
        Layout::Musl => (word(0) & 0x7fff_ffff, word(4)),
    };
    let plausible = match layout {
        // An unnamed, private semaphore has 0 there; in a file it is always shared.
        Layout::Glibc => word(8) == 0x80 && value <= 0x7fff_ffff,
        Layout::Musl => word(8) == 0 && bytes[12..].iter().all(|byte| *byte == 0) && waiters < 1 << 22,
    };
    plausible.then_some((value.into(), waiters.into()))
}

/// Whether a regular file in /dev/shm is a named semaphore and no shared memory.
///
/// A musl semaphore has no name of its own: it is a file of 32 bytes that reads as one and was
/// written to, which a region fresh from ftruncate(2) was not.
pub fn is_semaphore(directory: &Dir, name: &[u8], stat: &FileStat) -> bool {
    if name.len() > PREFIX.len() && name.starts_with(PREFIX.as_bytes()) {
        return usize::try_from(stat.st_size).is_ok_and(|size| size <= LENGTH);
    }
    usize::try_from(stat.st_size) == Ok(LENGTH)
        && stat.st_blocks > 0
        && read(directory, name).is_ok_and(|bytes| decode(&bytes, Layout::Musl).is_some())
}

fn read(directory: &Dir, name: &[u8]) -> nix::Result<Vec<u8>> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let fd = openat(directory, file::path(name), flags, Mode::empty())?;
    devshm::head(&fd, LENGTH)
}

fn reference(name: &Text) -> ObjectRef {
    ObjectRef { kind: Kind::Sem, id: Ident::Name(name.clone()) }
}

fn name_of(id: &Ident) -> Result<&Text> {
    match id {
        Ident::Name(name) => Ok(name),
        _ => Err(Error::new("sem_open", Errno::EINVAL, "")),
    }
}

/// The file of a semaphore, and whose layout it has: glibc's if there is one of that name.
fn locate(name: &Text) -> Result<(PathBuf, Layout, FileStat)> {
    locate_in(Path::new(devshm::DIRECTORY), name)
}

/// The same in the /dev/shm of another root.
fn locate_in(directory: &Path, name: &Text) -> Result<(PathBuf, Layout, FileStat)> {
    for layout in [Layout::Glibc, Layout::Musl] {
        let path = devshm::path_in(directory, layout.prefix(), name);
        match devshm::stat(&path) {
            Ok(stat) if !devshm::is_regular(&stat) => {
                if layout == Layout::Glibc {
                    let cause = format!("{} is {}, not a semaphore", devshm::shown(&path), devshm::type_of(&stat));
                    return Err(Error::refused(reference(name), Status::Failed, cause));
                }
            }
            Ok(stat) if layout == Layout::Glibc && usize::try_from(stat.st_size).is_ok_and(|size| size > LENGTH) => {
                let cause =
                    format!("{} is no semaphore but shared memory of {} bytes", devshm::shown(&path), stat.st_size);
                return Err(Error::refused(reference(name), Status::Failed, cause));
            }
            Ok(stat) if layout == Layout::Glibc || is_musl(&path, &stat) => {
                return Ok((path, layout, stat));
            }
            Ok(_) | Err(Errno::ENOENT | Errno::ENAMETOOLONG) => {}
            Err(errno) => return Err(devshm::failed("sem_open", errno, &reference(name))),
        }
    }
    Err(devshm::failed("sem_open", Errno::ENOENT, &reference(name)))
}

/// Whether a file without a prefix is a semaphore of musl; the one that we may not read may be one.
fn is_musl(path: &Path, stat: &FileStat) -> bool {
    let bytes = || file::open_plain(path, OFlag::O_RDONLY).and_then(|(fd, _)| devshm::head(&fd, LENGTH));
    usize::try_from(stat.st_size) == Ok(LENGTH)
        && stat.st_blocks > 0
        && bytes().map_or(true, |bytes| decode(&bytes, Layout::Musl).is_some())
}

fn object(name: &Text, layout: Layout, stat: &FileStat, bytes: nix::Result<Vec<u8>>) -> Object {
    let mut object = devshm::object(reference(name), Family::Posix, stat);
    object.facts.push("nsems", Value::Count(1));
    devshm::times(&mut object, stat);
    let state = match bytes {
        Ok(bytes) => decode(&bytes, layout).ok_or(Reason { call: "decode", errno: libc::EBADMSG }),
        Err(errno) => Err(Reason { call: "open", errno: errno as i32 }),
    };
    if state.is_ok() {
        object.facts.push("layout", Value::Word(layout.word()));
    }
    let (value, waiters) = match state {
        Ok((value, waiters)) => (Seen::Is(value), Seen::Is(waiters)),
        Err(Reason { call, errno }) => (Seen::hidden(call, errno), Seen::hidden(call, errno)),
    };
    object.facts.set("value", value.map(Value::Count));
    object.facts.set("waiting", waiters.map(Value::Count));
    object
}

fn details(object: &mut Object, path: &std::path::Path, needs: Needs) {
    if needs.has(Needs::STAT) {
        let usage = devshm::usage(path);
        object.facts.set("in_use", usage.map(|usage| Value::Flag(usage != Usage::Nobody)));
    }
    if needs.has(Needs::CONTENTS) {
        let waiters = object.number("waiting");
        let members = match object.facts.get("value") {
            Some(Seen::Is(Value::Count(value))) => {
                Seen::Is(Value::List(vec![super::record(0, *value, waiters.into(), Seen::Absent, Seen::Absent)]))
            }
            Some(Seen::Hidden(reason)) => Seen::Hidden(reason.clone()),
            _ => Seen::Absent,
        };
        object.facts.set("semaphores", members);
    }
    if needs.has(Needs::PROCESSES) {
        object.facts.set("processes", Seen::Is(Value::List(Vec::new())));
    }
}

impl Mechanism for PosixSem {
    fn kind(&self) -> Kind {
        Kind::Sem
    }

    fn family(&self) -> Family {
        Family::Posix
    }

    fn takes(&self, id: &Ident) -> bool {
        matches!(id, Ident::Name(_))
    }

    fn scope(&self) -> Scope {
        Scope::Shm
    }

    fn scan(&self, needs: Needs, holders: &Holders) -> Found {
        self.scan_under(&Root::Ours, needs, holders)
    }

    fn scan_under(&self, root: &Root, needs: Needs, _: &Holders) -> Found {
        let mut found = Found::default();
        let Some(shm) = devshm::directory(root, &mut found.gaps) else { return found };
        let objects = &mut found.objects;
        // That /dev/shm cannot be looked at is said once, by shared memory, when both are listed.
        devshm::each(shm.path(), &mut found.gaps, |directory, file, stat| {
            if !is_semaphore(directory, file, stat) {
                return;
            }
            let (layout, bare) = match file.strip_prefix(PREFIX.as_bytes()) {
                Some(bare) => (Layout::Glibc, bare),
                None => (Layout::Musl, file),
            };
            let mut name = b"/".to_vec();
            name.extend_from_slice(bare);
            let name = Text::from(name);
            let mut object = object(&name, layout, stat, read(directory, file));
            details(&mut object, &devshm::path_in(shm.path(), layout.prefix(), &name), needs);
            objects.push(object);
        });
        found
    }

    fn find(&self, id: &Ident, needs: Needs, _: &Holders) -> Result<Object> {
        let name = name_of(id)?;
        let (path, layout, stat) = locate(name)?;
        let bytes = file::open_plain(&path, OFlag::O_RDONLY).and_then(|(fd, _)| devshm::head(&fd, LENGTH));
        let mut object = object(name, layout, &stat, bytes);
        details(&mut object, &path, needs);
        Ok(object)
    }

    fn create(&self, id: Option<&Ident>, spec: &Spec) -> Result<Created> {
        let What::Counter { values } = &spec.what else {
            unreachable!("semaphores are made from the shape of a counter")
        };
        let name = match id {
            Some(id) => name_of(id)?,
            None => return Err(Error::refused("sem", Status::Usage, "a POSIX semaphore needs a name")),
        };
        let reference = reference(name);
        let [value] = values[..] else {
            let cause = format!("a POSIX semaphore is one counter, {} were asked for", values.len());
            return Err(Error::refused(&reference, Status::Usage, cause).hinting("a System V set can have several"));
        };
        if value > 0x7fff_ffff {
            let cause = format!("value {value} is over {} (SEM_VALUE_MAX)", 0x7fff_ffff);
            return Err(Error::new("sem_open", Errno::ERANGE, &reference).because(cause));
        }
        // As sem_open(3), but the file has no name before it is whole: what the C library makes under another
        // name would stay if we were killed.
        let made = file::create(&devshm::path(PREFIX, name), spec.permissions(), |fd| {
            stdio::write_all(fd, &initial(value)).map_err(|(_, errno)| errno)
        });
        match made {
            Ok(_) => Ok(Created { reference, new: true }),
            Err(Errno::EEXIST) if spec.exist_ok => {
                locate(name)?;
                Ok(Created { reference, new: false })
            }
            Err(errno) => Err(devshm::failed("sem_open", errno, &reference)),
        }
    }

    fn open(&self, id: &Ident, _: Access) -> Result<Opened> {
        let name = name_of(id)?;
        let reference = reference(name);
        let (path, layout, stat) = locate(name)?;
        if layout != Layout::Glibc {
            let cause = "it is a semaphore of musl, which differs from those of glibc";
            return Err(unsupported(&reference, cause, "it can be listed, shown and removed"));
        }
        let (fd, now) = file::open_plain(&path, OFlag::O_RDWR).map_err(|errno| {
            let error = devshm::failed("sem_open", errno, &reference);
            let object = (errno == Errno::EACCES).then(|| devshm::object(reference.clone(), Family::Posix, &stat));
            if object.is_some() { crate::mech::sysv::denied(error, object.as_ref()) } else { error }
        })?;
        let whole = usize::try_from(now.st_size) == Ok(SIZE)
            && devshm::head(&fd, LENGTH).is_ok_and(|bytes| decode(&bytes, layout).is_some());
        if !whole {
            let cause = format!("{} is no semaphore: {} bytes of something else", devshm::shown(&path), now.st_size);
            return Err(unsupported(
                &reference,
                &cause,
                "a named semaphore is a file of 32 bytes that sem_open(3) made",
            ));
        }
        let semaphore = Semaphore::map(fd.as_fd()).map_err(|errno| Error::new("mmap", errno, &reference))?;
        Ok(Opened::Counter(Box::new(Named::new(semaphore, reference))))
    }

    fn usage(&self, object: &Object, holders: &Holders) -> Seen<Usage> {
        self.usage_under(&Root::Ours, object, holders)
    }

    fn usage_under(&self, root: &Root, object: &Object, _: &Holders) -> Seen<Usage> {
        let Some(name) = object.name() else { return Seen::Skipped };
        let shm = match root.directory(devshm::DIRECTORY) {
            Ok(shm) => shm,
            Err(errno) => return Seen::hidden("openat2", errno as i32),
        };
        match locate_in(shm.path(), name) {
            Ok((path, ..)) => devshm::usage_of(object, &path),
            Err(_) => Seen::Skipped,
        }
    }

    fn remove(&self, object: &Object) -> Result<Option<String>> {
        let name = object.name().ok_or_else(|| Error::new("sem_unlink", Errno::EINVAL, &object.reference))?;
        let (path, ..) = locate(name)?;
        devshm::remove(&path, object).map(|()| None)
    }

    fn set(&self, object: &Object, change: &Change) -> Result<()> {
        let name = object.name().ok_or_else(|| Error::new("chmod", Errno::EINVAL, &object.reference))?;
        let (path, ..) = locate(name)?;
        devshm::set(&path, object, change)
    }

    fn limits(&self) -> Vec<Limit> {
        // Named semaphores live in /dev/shm, whose space shared memory reports.
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(words: [u32; 3]) -> Vec<u8> {
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        bytes.resize(LENGTH, 0);
        bytes
    }

    #[test]
    fn a_glibc_semaphore_has_its_waiters_in_the_high_half() {
        assert_eq!(decode(&bytes([5, 2, 0x80]), Layout::Glibc), Some((5, 2)));
        assert_eq!(decode(&bytes([5, 2, 0]), Layout::Glibc), None);
    }

    #[test]
    fn a_musl_semaphore_marks_waiters_in_the_top_bit() {
        assert_eq!(decode(&bytes([0x8000_0000, 1, 0]), Layout::Musl), Some((0, 1)));
        assert_eq!(decode(&bytes([7, 0, 0]), Layout::Musl), Some((7, 0)));
        assert_eq!(decode(&[b'x'; LENGTH], Layout::Musl), None);
    }

    #[test]
    fn short_and_empty_files_are_no_semaphores() {
        for length in [0, 1, 16, 31, 33] {
            assert_eq!(decode(&vec![0; length], Layout::Glibc), None);
            assert_eq!(decode(&vec![0; length], Layout::Musl), None);
        }
    }
}
