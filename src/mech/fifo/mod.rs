//! FIFOs, fifo(7): pipes that have a path.
//!
//! There is no list of them: a scan finds those that processes have open or wait to open, others are
//! reached by their path. A FIFO is never opened to look at it, because that would make a new end.

pub(super) mod fields;
mod stream;

pub use stream::{Lines, Taken, open_reader, open_writer, peek, reopen_reader};

use super::{Created, Found, Mechanism, Spec, Usage, devshm, opened, sysv};
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::model::{Family, Ident, Kind, Needs, Object, ObjectRef, Seen, Text, Value};
use crate::proc::holders::{Descriptors, FileId, Holders, OpenFile, What};
use crate::proc::opening::{self, Openings};
use crate::sys::file;
use nix::errno::Errno;
use nix::sys::stat::{FileStat, Mode, SFlag, major, minor, stat, umask};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub struct Fifo;

fn reference(path: &Path) -> ObjectRef {
    ObjectRef { kind: Kind::Fifo, id: Ident::Path(Text::from(path.as_os_str().as_bytes())) }
}

fn path_of(id: &Ident) -> Result<&Path> {
    match id {
        Ident::Path(path) => Ok(file::path(path.raw())),
        _ => Err(Error::new("stat", Errno::EINVAL, "fifo")),
    }
}

/// The FIFO at a path. Links are followed, as open(2) follows them.
fn locate(path: &Path) -> Result<FileStat> {
    let reference = reference(path);
    let found = stat(path).map_err(|errno| sysv::denied(devshm::failed("stat", errno, &reference), None))?;
    if is_fifo(&found) {
        return Ok(found);
    }
    let cause = format!("it is {}, not a FIFO", devshm::type_of(&found));
    Err(Error::refused(reference, Status::Failed, cause))
}

fn is_fifo(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFIFO
}

fn object(path: &Path, stat: &FileStat, seen: &Descriptors, waiting: &Openings, needs: Needs) -> Object {
    let open = seen.get(What::Fifo, FileId::of(stat));
    let mut object = devshm::object(reference(path), Family::File, stat);
    object.facts.push("inode", Value::Count(stat.st_ino));
    object.facts.push("device", Value::Phrase(format!("{},{}", major(stat.st_dev), minor(stat.st_dev))));
    object.facts.push("ctime", Value::Time(stat.st_ctime));
    opened::stream(&mut object, open, seen, needs);
    let mut ends = open.map_or_else(Vec::new, |file| file.ends.clone());
    let before = ends.len();
    ends.extend(waiting.of(FileId::of(stat)).map(|opening| Arc::new(opening.end.clone())));
    let opening = ends.len() - before;
    let facts = &mut object.facts;
    let known = |nothing, value: &dyn Fn() -> Value| match waiting.unseen.filter(|_| nothing) {
        Some(reason) => Seen::Hidden(Box::new(reason)),
        None => opened::unless_hidden(nothing, seen, value),
    };
    facts.set("opening", known(opening == 0, &|| Value::Count(opening as u64)));
    facts.set("processes", known(ends.is_empty(), &|| Value::List(ends.iter().cloned().map(Value::End).collect())));
    object
}

/// A path under which we reach the file, if there is one: the path that a process opened it by, the same
/// in that process's root, or its descriptor.
fn reachable(open: &OpenFile) -> PathBuf {
    let label = PathBuf::from(std::ffi::OsString::from_vec(open.label.raw().to_vec()));
    let is_it = |path: &Path| label.is_absolute() && stat(path).is_ok_and(|stat| FileId::of(&stat) == open.id);
    if is_it(&label) {
        return label;
    }
    let Some(end) = open.ends.first() else { return label };
    let below = label.strip_prefix("/").unwrap_or(&label);
    let inside = Path::new("/proc").join(end.pid.to_string()).join("root").join(below);
    if is_it(&inside) {
        return inside;
    }
    PathBuf::from(format!("/proc/{}/fd/{}", end.pid, end.fd.unwrap_or(0)))
}

impl Mechanism for Fifo {
    fn kind(&self) -> Kind {
        Kind::Fifo
    }

    fn family(&self) -> Family {
        Family::File
    }

    fn takes(&self, id: &Ident) -> bool {
        matches!(id, Ident::Path(_))
    }

    fn scan(&self, needs: Needs, holders: &Holders) -> Found {
        let descriptors = holders.descriptors();
        let waiting = opening::all();
        let mut objects: Vec<Object> = descriptors
            .of(What::Fifo)
            .map(|file| object(&reachable(file), &file.stat, descriptors, &waiting, needs))
            .collect();
        // Those that nobody has open yet.
        let mut known: Vec<FileId> = descriptors.of(What::Fifo).map(|file| file.id).collect();
        for opening in &waiting.list {
            let id = FileId::of(&opening.stat);
            if !known.contains(&id) {
                known.push(id);
                objects.push(object(&opening.path, &opening.stat, descriptors, &waiting, needs));
            }
        }
        Found { objects, gaps: descriptors.gaps.clone() }
    }

    fn find(&self, id: &Ident, needs: Needs, holders: &Holders) -> Result<Object> {
        let path = path_of(id)?;
        let stat = locate(path)?;
        if !needs.has(Needs::HOLDERS) {
            return Ok(devshm::object(reference(path), Family::File, &stat));
        }
        Ok(object(path, &stat, holders.descriptors(), &opening::all(), needs))
    }

    fn create(&self, id: Option<&Ident>, spec: &Spec) -> Result<Created> {
        let path = path_of(id.ok_or_else(|| Error::refused("fifo", Status::Usage, "a FIFO needs a path"))?)?;
        let reference = reference(path);
        // A mode that was asked for is given exactly, and from the start.
        let before = spec.mode.map(|_| umask(Mode::empty()));
        let made = nix::unistd::mkfifo(path, Mode::from_bits_truncate(spec.permissions()));
        before.map(umask);
        match made {
            Ok(()) => Ok(Created { reference, new: true }),
            Err(Errno::EEXIST) => match devshm::stat(path) {
                Ok(found) if is_fifo(&found) && spec.exist_ok => Ok(Created { reference, new: false }),
                Ok(found) if !is_fifo(&found) => {
                    let cause = format!("{} is there already", devshm::type_of(&found));
                    Err(Error::new("mkfifo", Errno::EEXIST, reference).because(cause))
                }
                _ => Err(Error::new("mkfifo", Errno::EEXIST, reference)),
            },
            Err(errno) => Err(Error::new("mkfifo", errno, reference)),
        }
    }

    fn usage(&self, object: &Object, holders: &Holders) -> Seen<Usage> {
        let Some(path) = object.name() else { return Seen::Skipped };
        let Ok(stat) = stat(file::path(path.raw())) else { return Seen::Is(Usage::Nobody) };
        let id = FileId::of(&stat);
        let waiting = opening::all();
        if let Some(opening) = waiting.of(id).next() {
            let (pid, command) = (opening.end.pid, opening.end.command.escaped());
            return Seen::Is(Usage::Somebody(format!("process {pid} ({command}) waits in open for the other side")));
        }
        if let Some(reason) = waiting.unseen {
            return Seen::Hidden(Box::new(reason));
        }
        opened::usage(holders.descriptors().get(What::Fifo, id), holders.descriptors())
    }

    fn remove(&self, object: &Object) -> Result<Option<String>> {
        let path = path_of(&object.reference.id)?;
        // Removing a link would leave the FIFO that was looked at.
        if devshm::stat(path)
            .is_ok_and(|found| SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFLNK)
        {
            return Err(devshm::failed("unlink", Errno::ELOOP, &object.reference));
        }
        devshm::remove(path, object).map(|()| None)
    }
}
