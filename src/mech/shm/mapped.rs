//! A region that is a file: POSIX shared memory lies in /dev/shm, any other file where it is named.
//!
//! Bytes are moved with pread(2), pwrite(2) and sendfile(2): a file that somebody truncates
//! meanwhile is an error or an early end there, where a mapping would be SIGBUS.

use super::sys::Memory;
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::mech::{Access, Change, Created, Region, Spec, What, devshm, unsupported};
use crate::model::{Family, Ident, Kind, Needs, Object, ObjectRef, Seen, Text, Value};
use crate::sys::file;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{FileStat, fstat};
use nix::unistd::ftruncate;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

/// How much is moved in one system call.
const CHUNK: usize = 1 << 20;

/// What the two families of file-backed memory need to know of an object.
pub(super) struct Place<'a> {
    pub(super) reference: ObjectRef,
    pub(super) path: &'a Path,
    pub(super) family: Family,
}

impl Place<'_> {
    fn open(&self, flags: OFlag) -> Result<(OwnedFd, FileStat)> {
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
                Err(devshm::failed(call, errno, &self.reference))
            }
        }
    }

    pub(super) fn region(&self, access: Access) -> Result<Mapped> {
        let flags = if access == Access::Read { OFlag::O_RDONLY } else { OFlag::O_RDWR };
        let (fd, _) = self.open(flags)?;
        Ok(Mapped {
            reference: self.reference.clone(),
            fd,
            read_only: access == Access::Read,
            memory: None,
            buffer: Vec::new(),
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

/// Copies up to `size` bytes of a file to the start of a new one.
fn copy(content: &std::fs::File, to: &OwnedFd, size: u64) -> nix::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut done = 0;
    while done < size {
        let room = usize::try_from(size - done).unwrap_or(CHUNK).min(CHUNK);
        match crate::sys::stdio::read(content, &mut buffer[..room]) {
            Ok(0) => break,
            Ok(got) => {
                write_all_at(to, &buffer[..got], done)?;
                done += got as u64;
            }
            Err(Errno::EINTR) if crate::sys::waiter::caught().is_none() => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn write_all_at(fd: &OwnedFd, mut bytes: &[u8], mut offset: u64) -> nix::Result<()> {
    while !bytes.is_empty() {
        let at = i64::try_from(offset).map_err(|_| Errno::EFBIG)?;
        match nix::sys::uio::pwrite(fd, bytes, at) {
            Ok(0) => return Err(Errno::EIO),
            Ok(put) => {
                bytes = &bytes[put..];
                offset += put as u64;
            }
            Err(Errno::EINTR) if crate::sys::waiter::caught().is_none() => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// An open file that is used as shared memory.
pub(super) struct Mapped {
    reference: ObjectRef,
    fd: OwnedFd,
    read_only: bool,
    /// Mapped only when somebody asks for an address.
    memory: Option<Memory>,
    buffer: Vec<u8>,
}

impl Mapped {
    fn fail(&self, call: &'static str, errno: Errno) -> Error {
        devshm::failed(call, errno, &self.reference)
    }
}

impl Region for Mapped {
    fn size(&self) -> Result<u64> {
        let stat = fstat(&self.fd).map_err(|errno| self.fail("fstat", errno))?;
        Ok(u64::try_from(stat.st_size).unwrap_or(0))
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        let mut done = 0;
        while done < into.len() {
            let at = i64::try_from(offset + done as u64).map_err(|_| self.fail("pread", Errno::EOVERFLOW))?;
            match nix::sys::uio::pread(&self.fd, &mut into[done..], at) {
                Ok(0) => return Err(self.fail("pread", Errno::UnknownErrno).because("it was truncated while we read")),
                Ok(got) => done += got,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(self.fail("pread", errno)),
            }
        }
        Ok(())
    }

    fn write_at(&mut self, offset: u64, from: &[u8]) -> Result<()> {
        write_all_at(&self.fd, from, offset).map_err(|errno| self.fail("pwrite", errno))
    }

    fn pour(&self, offset: u64, length: usize, to: BorrowedFd<'_>) -> Result<nix::Result<usize>> {
        match file::send(to, &self.fd, offset, length) {
            // A descriptor that sendfile cannot write to, such as one opened to append.
            Err(Errno::EINVAL | Errno::ENOSYS) => {
                let mut buffer = vec![0; length.min(CHUNK)];
                self.read_at(offset, &mut buffer)?;
                Ok(nix::unistd::write(to, &buffer))
            }
            Ok(0) => Err(self.fail("sendfile", Errno::UnknownErrno).because("it was truncated while we read")),
            sent => Ok(sent),
        }
    }

    fn fill(&mut self, offset: u64, length: usize, from: BorrowedFd<'_>) -> Result<nix::Result<usize>> {
        let length = length.min(CHUNK);
        self.buffer.resize(CHUNK, 0);
        let got = match nix::unistd::read(from, &mut self.buffer[..length]) {
            Ok(got) => got,
            Err(errno) => return Ok(Err(errno)),
        };
        write_all_at(&self.fd, &self.buffer[..got], offset).map_err(|errno| self.fail("pwrite", errno))?;
        Ok(Ok(got))
    }

    fn resize(&mut self, size: u64) -> Result<()> {
        let length = i64::try_from(size).map_err(|_| self.fail("ftruncate", Errno::EFBIG))?;
        ftruncate(&self.fd, length).map_err(|errno| self.fail("ftruncate", errno))
    }

    fn address(&mut self) -> Result<usize> {
        if self.memory.is_none() {
            let size = usize::try_from(self.size()?).unwrap_or(usize::MAX);
            if size == 0 {
                return Err(Error::refused(&self.reference, Status::Failed, "it has 0 bytes; nothing can be mapped"));
            }
            let memory =
                Memory::map(self.fd.as_fd(), size, self.read_only).map_err(|errno| self.fail("mmap", errno))?;
            self.memory = Some(memory);
        }
        Ok(self.memory.as_ref().map_or(0, Memory::address))
    }

    fn lock(&mut self, _: bool) -> Result<()> {
        Err(unsupported(
            &self.reference,
            "only System V segments can be locked for good; a lock on a mapping ends with its process",
            "",
        ))
    }
}
