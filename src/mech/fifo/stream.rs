//! The bytes of a FIFO: opening its ends, taking whole lines, looking at what waits.

use super::{locate, reference};
use crate::error::{Error, Result};
use crate::mech::{stopped, sysv};
use crate::model::{Needs, Role};
use crate::proc::holders::{FileId, Holders, What};
use crate::proc::opening;
use crate::sys::file;
use crate::sys::pipe::{self, Looker, Slots};
use crate::sys::waiter::{Stop, Waiter};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::stat::{Mode, fstat};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

/// Opens the end to read, waiting for a writer.
///
/// Where it may not wait it opens only what somebody writes to: to come and go at once would let a writer
/// that waits in open(2) go on, and into an end that nobody reads.
pub fn open_reader(path: &Path, waiter: &Waiter) -> Result<OwnedFd> {
    if waiter.never() {
        let id = FileId::of(&locate(path)?);
        let holders = Holders::new(Needs::STAT);
        let open = holders.descriptors().get(What::Fifo, id);
        let writes = open.is_some_and(|file| file.ends.iter().any(|end| end.role.writes()));
        let holds = open.is_some_and(|file| file.fill.is_some_and(|fill| fill.is_ok_and(|fill| fill.unread > 0)));
        let waits = || {
            let waiting = opening::all();
            waiting.unseen.is_some() || waiting.of(id).any(|one| one.end.role == Role::OpeningToWrite)
        };
        if !writes || (!holds && waits()) {
            let cause = match holders.gaps().first() {
                Some(gap) if !writes => format!("no process that we may look into writes to it ({})", gap.subject),
                _ if writes => "it is empty".to_owned(),
                _ => "no process writes to it".to_owned(),
            };
            return Err(Error::new("open", Errno::EAGAIN, reference(path)).because(cause));
        }
    }
    open_end(path, OFlag::O_RDONLY, waiter)
}

/// Opens the end to write, waiting for a reader; `waits` is called if there is none yet.
pub fn open_writer(path: &Path, waiter: &Waiter, waits: impl FnOnce()) -> Result<OwnedFd> {
    locate(path)?;
    if !waiter.never() {
        // Without a reader this fails, and nobody notices it.
        match open(path, OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC, Mode::empty()) {
            Err(Errno::ENXIO) => waits(),
            Ok(fd) => {
                let fd = opened_fifo(path, Ok(fd))?;
                let blocking = nix::fcntl::fcntl(&fd, nix::fcntl::FcntlArg::F_SETFL(OFlag::empty()));
                return blocking.map(|_| fd).map_err(|errno| Error::new("fcntl", errno, reference(path)));
            }
            // Said by the attempt that counts.
            Err(_) => {}
        }
    }
    open_end(path, OFlag::O_WRONLY, waiter)
}

/// Opens the end to read at once. It does not end as long as no writer has come and gone.
pub fn reopen_reader(path: &Path) -> Result<OwnedFd> {
    locate(path)?;
    opened_fifo(path, open(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC, Mode::empty()))
}

fn open_end(path: &Path, flags: OFlag, waiter: &Waiter) -> Result<OwnedFd> {
    // Something else might block for other reasons, or do something when it is opened.
    locate(path)?;
    let nowait = if waiter.never() { OFlag::O_NONBLOCK } else { OFlag::empty() };
    match waiter.run(|| open(path, flags | nowait | OFlag::O_CLOEXEC | OFlag::O_NOCTTY, Mode::empty())) {
        Ok(fd) => opened_fifo(path, Ok(fd)),
        Err(Stop::Errno(Errno::ENXIO)) => Err(Error::new("open", Errno::ENXIO, reference(path))
            .because("no process has it open to read")
            .with_status(crate::exit::Status::WouldBlock)),
        Err(Stop::Errno(errno)) => opened_fifo(path, Err(errno)),
        Err(Stop::TimedOut) => {
            let other = if flags == OFlag::O_WRONLY { "reader" } else { "writer" };
            let cause = format!("timed out while it waited for a {other} to open it");
            Err(Error::new("open", Errno::ETIMEDOUT, reference(path)).because(cause))
        }
        Err(stop) => Err(stopped(stop, "open", &reference(path))),
    }
}

/// What was opened still is a FIFO.
fn opened_fifo(path: &Path, fd: nix::Result<OwnedFd>) -> Result<OwnedFd> {
    let fd = fd.map_err(|errno| {
        let seen = nix::sys::stat::stat(path).ok();
        let object = seen.map(|stat| crate::mech::devshm::object(reference(path), crate::model::Family::File, &stat));
        sysv::denied(Error::new("open", errno, reference(path)), object.as_ref())
    })?;
    let stat = fstat(&fd).map_err(|errno| Error::new("fstat", errno, reference(path)))?;
    if super::is_fifo(&stat) { Ok(fd) } else { Err(crate::mech::replaced(&reference(path))) }
}

/// What waits in a FIFO, nothing taken. A FIFO that nobody has open holds nothing.
pub fn peek(path: &Path, holders: &Holders) -> Result<Vec<u8>> {
    let stat = locate(path)?;
    let reference = reference(path);
    let descriptors = holders.descriptors();
    let Some(file) = descriptors.get(What::Fifo, FileId::of(&stat)) else {
        return match descriptors.gaps.first() {
            None => Ok(Vec::new()),
            Some(gap) => Err(Error::new("open", Errno::EACCES, &reference)
                .because(format!("nobody whom we may look into has it open ({})", gap.subject))),
        };
    };
    let reader = file.reach(Role::reads).map_err(|reason| {
        let errno = Errno::from_raw(reason.errno);
        let error = Error::new(reason.call, errno, &reference);
        if file.ends.iter().any(|end| end.role.reads()) {
            return error.because("the process that reads it may not be looked into");
        }
        // Another reader would have to be made, which lets waiting writers go on.
        error.because("it is open to write alone, and only the end to read shows what is in it")
    })?;
    let looked = Looker::new().and_then(|mut looker| looker.look(&reader));
    looked.map_err(|errno| Error::new("tee", errno, &reference))
}

/// Takes whole lines, so that several receivers share a FIFO and none gets a part of another's line.
///
/// Nothing is taken before the line is complete: the bytes are looked at with tee(2) under a lock that all
/// receivers of ipcx take. Only of a line that is too long for the pipe the beginning is taken before.
pub struct Lines<'a> {
    path: &'a Path,
    fd: OwnedFd,
    looker: Looker,
    /// Tells of every write(2) to the pipe, also while older bytes wait in it.
    news: Epoll,
}

/// What a look for lines has brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// So many whole lines.
    Lines(u64),
    /// All writers have closed it. What was left is the last line, without a newline.
    End,
}

impl<'a> Lines<'a> {
    pub fn new(path: &'a Path, fd: OwnedFd) -> Result<Lines<'a>> {
        let failed = |call| move |errno| Error::new(call, errno, reference(path));
        // A receiver that keeps to no lock may take what we saw: then we must not wait for it.
        nix::fcntl::fcntl(&fd, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(failed("fcntl"))?;
        let news = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(failed("epoll_create1"))?;
        news.add(&fd, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0)).map_err(failed("epoll_ctl"))?;
        Ok(Lines { path, fd, looker: Looker::new().map_err(failed("pipe2"))?, news })
    }

    fn fail(&self, call: &'static str, errno: Errno) -> Error {
        Error::new(call, errno, reference(self.path))
    }

    /// Appends up to `most` whole lines to `into`, waiting for the first. If it fails, `into` has the
    /// beginning of a line that was too long to be left in the pipe.
    pub fn take(&mut self, most: u64, into: &mut Vec<u8>, waiter: &Waiter) -> Result<Taken> {
        let wait = !waiter.never();
        waiter.run(|| file::lock(&self.fd, wait)).map_err(|stop| match stop {
            Stop::Errno(Errno::EAGAIN) => self.empty("another receiver is at it"),
            Stop::Errno(errno) => self.fail("flock", errno),
            stop => stopped(stop, "flock", &reference(self.path)),
        })?;
        let taken = self.locked(most, into, waiter);
        file::unlock(&self.fd);
        taken
    }

    fn empty(&self, cause: &str) -> Error {
        self.fail("read", Errno::EAGAIN).because(cause)
    }

    fn locked(&mut self, most: u64, into: &mut Vec<u8>, waiter: &Waiter) -> Result<Taken> {
        loop {
            let seen = self.looker.look(&self.fd).map_err(|errno| self.fail("tee", errno))?;
            let (mut lines, mut length) = (0, 0);
            for end in memchr::memchr_iter(b'\n', &seen) {
                (lines, length) = (lines + 1, end + 1);
                if lines == most {
                    break;
                }
            }
            if lines > 0 {
                let before = into.len();
                self.read(length, into)?;
                if into[before..] == seen[..length] {
                    return Ok(Taken::Lines(lines));
                }
                // Somebody else took of it without the lock; what we have may end within a line.
                let lines = memchr::memchr_iter(b'\n', &into[before..]).count() as u64;
                if into.last() == Some(&b'\n') {
                    return Ok(Taken::Lines(lines));
                }
                continue;
            }
            if self.has_ended(seen.len())? {
                self.read(seen.len(), into)?;
                return Ok(Taken::End);
            }
            // A full pipe gets no more before something is taken.
            if !seen.is_empty() && self.is_full()? {
                self.read(seen.len(), into)?;
                continue;
            }
            if waiter.never() {
                return Err(self.empty("there is no whole line in it"));
            }
            self.wait(waiter)?;
        }
    }

    /// Whether all writers are gone.
    fn hung_up(&self) -> Result<bool> {
        let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::ZERO) {
            Ok(_) | Err(Errno::EINTR) => Ok(fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP))),
            Err(errno) => Err(self.fail("poll", errno)),
        }
    }

    fn unread(&self) -> Result<usize> {
        pipe::fill(&self.fd).map_err(|errno| self.fail("ioctl", errno))
    }

    /// Whether all writers are gone and no more than `seen` bytes are left. In this order: what a writer
    /// wrote before it left is seen.
    fn has_ended(&self, seen: usize) -> Result<bool> {
        Ok(self.hung_up()? && self.unread()? == seen)
    }

    /// How many bytes are in it that will be gone with us, because no writer holds it open.
    pub fn left_behind(&self) -> Result<usize> {
        if self.hung_up()? { self.unread() } else { Ok(0) }
    }

    /// Whether all slots are in use; each may hold as little as one byte (pipe(7)).
    fn is_full(&self) -> Result<bool> {
        let capacity = pipe::capacity(&self.fd).map_err(|errno| self.fail("fcntl", errno))?;
        let used = Slots::new().and_then(|mut slots| slots.count(&self.fd, capacity));
        used.map(|used| used >= capacity / pipe::page()).map_err(|errno| self.fail("tee", errno))
    }

    fn wait(&self, waiter: &Waiter) -> Result<()> {
        let mut events = [EpollEvent::empty()];
        waiter.run(|| self.news.wait(&mut events, EpollTimeout::NONE)).map(drop).map_err(|stop| match stop {
            Stop::Errno(errno) => self.fail("epoll_wait", errno),
            stop => stopped(stop, "read", &reference(self.path)),
        })
    }

    /// Takes this many bytes, or fewer where somebody else was faster.
    fn read(&self, length: usize, into: &mut Vec<u8>) -> Result<()> {
        let start = into.len();
        into.resize(start + length, 0);
        let mut done = start;
        while done < into.len() {
            match nix::unistd::read(&self.fd, &mut into[done..]) {
                Ok(0) | Err(Errno::EAGAIN) => break,
                Ok(got) => done += got,
                Err(Errno::EINTR) => {}
                Err(errno) => {
                    into.truncate(done);
                    return Err(self.fail("read", errno));
                }
            }
        }
        into.truncate(done);
        Ok(())
    }

    /// Waits for new writers after all of the old ones have gone.
    pub fn follow(&mut self) -> Result<()> {
        let fd = reopen_reader(self.path)?;
        *self = Lines::new(self.path, fd)?;
        Ok(())
    }
}
