//! A region that is a file: POSIX shared memory lies in /dev/shm, any other file where it is named.

use super::bytes::FileBytes;
use super::sys::Memory;
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::mech::{Access, Change, Created, Region, Spec, What, devshm};
use crate::model::{Family, Ident, Kind, Needs, Object, ObjectRef, Seen, Text, Value};
use crate::sys::{file, waiter};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{FileStat, fstat};
use nix::unistd::ftruncate;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

/// What the two families of file-backed memory need to know of an object.
pub(super) struct Place<'a> {
    pub(super) reference: ObjectRef,
    pub(super) path: &'a Path,
    pub(super) family: Family,
}

impl Place<'_> {
    fn open(&self, flags: OFlag) -> Result<(OwnedFd, FileStat)> {
        // To open a FIFO or a device may already do something to it.
        if let Ok(stat) = devshm::stat(self.path) {
            self.must_be_regular(&stat)?;
        }
        let opened = file::open_plain(self.path, flags);
        let (fd, stat) = opened.map_err(|errno| {
            let error =
                devshm::failed(if self.family == Family::Posix { "shm_open" } else { "open" }, errno, &self.reference);
            match errno {
                Errno::EACCES => {
                    let object = devshm::stat(self.path).ok().map(|stat| self.object(&stat));
                    crate::mech::sysv::denied(error, object.as_ref())
                }
                Errno::EISDIR => error.because("it is a directory"),
                Errno::ENXIO => error.because("it is no regular file"),
                _ => error,
            }
        })?;
        self.must_be_regular(&stat)?;
        Ok((fd, stat))
    }

    fn must_be_regular(&self, stat: &FileStat) -> Result<()> {
        if devshm::is_regular(stat) {
            return Ok(());
        }
        let cause = format!("it is {}, not shared memory", devshm::type_of(stat));
        Err(Error::refused(&self.reference, Status::Failed, cause))
    }

    pub(super) fn object(&self, stat: &FileStat) -> Object {
        let mut object = devshm::object(self.reference.clone(), self.family, stat);
        object.facts.push("size", Value::Size(u64::try_from(stat.st_size).unwrap_or(0)));
        object.facts.push("rss", Value::Size(u64::try_from(stat.st_blocks).unwrap_or(0) * 512));
        devshm::times(&mut object, stat);
        object
    }

    pub(super) fn find(&self, needs: Needs) -> Result<Object> {
        let stat = devshm::stat(self.path).map_err(|errno| devshm::failed("stat", errno, &self.reference))?;
        self.must_be_regular(&stat)?;
        let mut object = self.object(&stat);
        self.details(&mut object, needs);
        Ok(object)
    }

    pub(super) fn details(&self, object: &mut Object, needs: Needs) {
        if needs.has(Needs::STAT) {
            let usage = devshm::usage(self.path);
            object.facts.set("in_use", usage.map(|usage| Value::Flag(usage != crate::mech::Usage::Nobody)));
        }
        if needs.has(Needs::CONTENTS) {
            let head = file::open_plain(self.path, OFlag::O_RDONLY).and_then(|(fd, _)| devshm::head(&fd, super::SHOWN));
            let lines = match head {
                Ok(bytes) => Seen::Is(super::lines(&bytes)),
                Err(errno) => Seen::hidden("open", errno as i32),
            };
            object.facts.set("first_bytes", lines);
        }
        if needs.has(Needs::PROCESSES) {
            // A file records no process.
            object.facts.set("processes", Seen::Is(Value::List(Vec::new())));
        }
    }

    pub(super) fn create(&self, spec: &Spec) -> Result<Created> {
        let What::Region { size, huge, content } = &spec.what else {
            unreachable!("shared memory is made from the shape of a region")
        };
        if huge.is_some() {
            return Err(Error::refused(
                &self.reference,
                Status::Usage,
                "only System V segments are made of huge pages by a flag",
            )
            .hinting("put a file on a mounted hugetlbfs instead, or give a key or no reference"));
        }
        let length = i64::try_from(*size).map_err(|_| Error::new("ftruncate", Errno::EFBIG, &self.reference))?;
        let made = file::create(self.path, spec.permissions(), |fd| {
            ftruncate(fd, length)?;
            content.as_ref().map_or(Ok(()), |content| copy(content, fd, *size))
        });
        let created = |new| Created { reference: self.reference.clone(), new };
        match made {
            Ok(_) => Ok(created(true)),
            Err(Errno::EEXIST) if spec.exist_ok => {
                let there = self.find(Needs::SCAN)?.number("size").unwrap_or(0);
                if there < *size {
                    return Err(Error::refused(
                        &self.reference,
                        Status::Exists,
                        format!(
                            "it exists with {there} bytes, {size} were asked for; an existing object is never resized"
                        ),
                    ));
                }
                Ok(created(false))
            }
            Err(errno) => {
                let call = if self.family == Family::Posix { "shm_open" } else { "open" };
                let error = devshm::failed(call, errno, &self.reference);
                Err(match errno {
                    // What is to be made need not exist; what it is to lie in must.
                    Errno::ENOENT | Errno::ENOTDIR => {
                        let parent = devshm::shown(self.path.parent().unwrap_or(self.path));
                        error.because(format!("there is no directory {parent}")).with_status(Status::Failed)
                    }
                    _ => error,
                })
            }
        }
    }

    pub(super) fn region(&self, access: Access) -> Result<Mapped> {
        let flags = if access == Access::Read { OFlag::O_RDONLY } else { OFlag::O_RDWR };
        let (fd, _) = self.open(flags)?;
        Ok(Mapped {
            reference: self.reference.clone(),
            bytes: FileBytes::new(fd),
            read_only: access == Access::Read,
            memory: None,
        })
    }

    pub(super) fn set(&self, object: &Object, change: &Change) -> Result<()> {
        devshm::set(self.path, object, change)
    }
}

pub(super) fn reference(id: &Ident) -> Result<(ObjectRef, &Text)> {
    let reference = ObjectRef { kind: Kind::Shm, id: id.clone() };
    match id {
        Ident::Name(name) | Ident::Path(name) => Ok((reference, name)),
        _ => Err(Error::new("shm_open", Errno::EINVAL, reference)),
    }
}

/// Copies up to `size` bytes of a file to the start of a new one. A signal that ends the input as
/// well, such as ^C on a pipeline, is EINTR and no end.
fn copy(content: &std::fs::File, to: &OwnedFd, size: u64) -> nix::Result<()> {
    let mut bytes = FileBytes::new(to.try_clone().map_err(|error| file::errno(&error))?);
    let mut done = 0;
    while done < size {
        done += file::skip_hole(content, size - done);
        let room = usize::try_from(size - done).unwrap_or(usize::MAX);
        match bytes.fill(done, room, content.as_fd())? {
            Ok(0) => break,
            Ok(got) => done += got as u64,
            Err(Errno::EINTR) if waiter::caught().is_none() => {}
            Err(errno) => return Err(errno),
        }
    }
    if waiter::caught().is_some() { Err(Errno::EINTR) } else { Ok(()) }
}

/// An open file that is used as shared memory.
pub(super) struct Mapped {
    reference: ObjectRef,
    bytes: FileBytes,
    read_only: bool,
    /// Mapped only when somebody asks for an address.
    memory: Option<Memory>,
}

impl Mapped {
    /// The mapping, made when it is first needed.
    fn map(&mut self) -> Result<&mut Memory> {
        let memory = match self.memory.take() {
            Some(memory) => memory,
            None => {
                let size = usize::try_from(self.size()?).unwrap_or(usize::MAX);
                if size == 0 {
                    let cause = "it has 0 bytes; nothing can be mapped";
                    return Err(Error::refused(&self.reference, Status::Failed, cause));
                }
                Memory::map(self.bytes.fd.as_fd(), size, self.read_only).map_err(|errno| self.fail("mmap", errno))?
            }
        };
        Ok(self.memory.insert(memory))
    }

    fn fail(&self, call: &'static str, errno: Errno) -> Error {
        let error = devshm::failed(call, errno, &self.reference);
        if errno == Errno::EIO { error.because("it was truncated while it was used") } else { error }
    }
}

impl Region for Mapped {
    fn size(&self) -> Result<u64> {
        let stat = fstat(&self.bytes.fd).map_err(|errno| self.fail("fstat", errno))?;
        Ok(u64::try_from(stat.st_size).unwrap_or(0))
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        self.bytes.read_at(offset, into).map_err(|errno| self.fail("pread", errno))
    }

    fn write_at(&mut self, offset: u64, from: &[u8]) -> Result<()> {
        self.bytes.write_at(offset, from).map_err(|errno| self.fail("pwrite", errno))
    }

    fn pour(&mut self, offset: u64, length: usize, to: BorrowedFd<'_>) -> Result<nix::Result<usize>> {
        self.bytes.pour(offset, length, to).map_err(|errno| self.fail("pread", errno))
    }

    fn fill(&mut self, offset: u64, length: usize, from: BorrowedFd<'_>) -> Result<nix::Result<usize>> {
        self.bytes.fill(offset, length, from).map_err(|errno| self.fail("pwrite", errno))
    }

    fn resize(&mut self, size: u64) -> Result<()> {
        let length = i64::try_from(size).map_err(|_| self.fail("ftruncate", Errno::EFBIG))?;
        ftruncate(&self.bytes.fd, length).map_err(|errno| self.fail("ftruncate", errno))
    }

    fn address(&mut self) -> Result<usize> {
        Ok(self.map()?.address())
    }
}
