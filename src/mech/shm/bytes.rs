//! The bytes of an open file that is used as memory, moved to and from other descriptors.
//!
//! read(2), write(2) and sendfile(2) move them, not a mapping: a file that somebody truncates
//! meanwhile is an error or an early end here, where a mapping would be SIGBUS.

use crate::sys::{file, waiter};
use nix::errno::Errno;
use nix::sys::uio::{pread, pwrite};
use nix::unistd::{Whence, lseek, read, write};
use std::os::fd::{BorrowedFd, OwnedFd};

/// How much is moved in one system call.
const CHUNK: usize = 1 << 20;
/// What goes into a pipe at once: it stays in the processor's cache between its two copies.
const POURED: usize = 1 << 18;
const PAGE: usize = 4096;

/// How many bytes were moved: `Err` is a failure of the file, `Ok(Err)` one of the other side.
pub(super) type Moved = nix::Result<nix::Result<usize>>;

pub(super) struct FileBytes {
    pub(super) fd: OwnedFd,
    buffer: Vec<u8>,
    /// Whether what comes is from a regular file, asked once.
    from_file: Option<bool>,
    /// Whether what is sent to the other side is copied, asked once.
    to_copies: Option<bool>,
}

impl FileBytes {
    pub(super) fn new(fd: OwnedFd) -> FileBytes {
        FileBytes { fd, buffer: Vec::new(), from_file: None, to_copies: None }
    }

    /// EIO when the file ends before `into` is full.
    pub(super) fn read_at(&self, offset: u64, into: &mut [u8]) -> nix::Result<()> {
        let mut done = 0;
        while done < into.len() {
            match pread(&self.fd, &mut into[done..], position(offset + done as u64)?) {
                Ok(0) => return Err(Errno::EIO),
                Ok(got) => done += got,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    pub(super) fn write_at(&self, offset: u64, from: &[u8]) -> nix::Result<()> {
        let mut done = 0;
        while done < from.len() {
            match pwrite(&self.fd, &from[done..], position(offset + done as u64)?) {
                Ok(0) => return Err(Errno::EIO),
                Ok(put) => done += put,
                Err(Errno::EINTR) if waiter::caught().is_none() => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Moves bytes of the file to a descriptor. EIO when the file has none there.
    ///
    /// Inside the kernel where that copies them. A pipe or a socket would hold the pages themselves:
    /// what its reader gets would change with them, even after whoever called us has given back a lock.
    pub(super) fn pour(&mut self, offset: u64, length: usize, to: BorrowedFd<'_>) -> Moved {
        if *self.to_copies.get_or_insert_with(|| file::copies(to)) {
            match file::send(to, &self.fd, Some(offset), length) {
                // One that sendfile cannot write to, such as one that was opened to append.
                Err(Errno::EINVAL | Errno::ENOSYS) => self.to_copies = Some(false),
                Ok(0) => return Err(Errno::EIO),
                sent => return Ok(sent),
            }
        }
        let length = length.min(POURED);
        let start = self.room();
        let mut buffer = std::mem::take(&mut self.buffer);
        let read = self.read_at(offset, &mut buffer[start..start + length]);
        let moved = read.map(|()| write(to, &buffer[start..start + length]));
        self.buffer = buffer;
        moved
    }

    /// Makes room for a chunk that begins with a page: the kernel copies to an address that is not
    /// aligned at half the speed. Where it begins.
    fn room(&mut self) -> usize {
        self.buffer.resize(CHUNK + PAGE, 0);
        self.buffer.as_ptr().align_offset(PAGE).min(PAGE)
    }

    /// Moves bytes of a descriptor, from where it stands, to the file; 0 at its end.
    pub(super) fn fill(&mut self, offset: u64, length: usize, from: BorrowedFd<'_>) -> Moved {
        let length = length.min(CHUNK);
        if *self.from_file.get_or_insert_with(|| file::left(from).is_some()) {
            // One copy inside the kernel. It goes to our own position, which nobody else uses.
            lseek(&self.fd, position(offset)?, Whence::SeekSet)?;
            match file::send(&self.fd, from, None, length) {
                Err(Errno::EINVAL | Errno::ENOSYS) => self.from_file = Some(false),
                Err(errno @ (Errno::ENOSPC | Errno::EFBIG | Errno::EDQUOT | Errno::ENOMEM)) => return Err(errno),
                sent => return Ok(sent),
            }
        }
        let start = self.room();
        let got = match read(from, &mut self.buffer[start..start + length]) {
            Ok(got) => got,
            Err(errno) => return Ok(Err(errno)),
        };
        self.write_at(offset, &self.buffer[start..start + got])?;
        Ok(Ok(got))
    }
}

fn position(offset: u64) -> nix::Result<i64> {
    i64::try_from(offset).map_err(|_| Errno::EFBIG)
}
