//! A process that a verb acts on, held by a descriptor so that it stays the same one.

use crate::args::signal::Target;
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::model::Text;
use crate::proc::{find, process, status};
use crate::sys::pidfd::PidFd;
use crate::sys::users::Names;
use nix::errno::Errno;
use std::fmt;

pub struct Process {
    pub pid: i32,
    pub fd: PidFd,
    /// How many signals it was sent.
    pub sent: u64,
}

impl Process {
    /// The process that has this pid now, which must be the one of the inode if there is one.
    pub fn open(target: Target) -> Result<Process> {
        let Target { pid, inode } = target;
        let fd = PidFd::open(pid).map_err(|errno| match errno {
            // Which of the two depends on the kernel.
            Errno::EINVAL | Errno::ENOENT => Error::new("pidfd_open", errno, pid)
                .because("it is a thread of a process, and no process")
                .with_status(Status::NoSuch),
            errno => Error::new("pidfd_open", errno, pid),
        })?;
        if let Some(wanted) = inode {
            let object = format!("{pid}:{wanted}");
            match fd.inode() {
                Ok(inode) if inode == wanted => {}
                Ok(inode) => {
                    let cause = format!("another process has this pid now, {pid}:{inode}");
                    return Err(Error::new("pidfd_open", Errno::ESRCH, object).because(cause));
                }
                Err(errno) => return Err(Error::new("fstat", errno, object)),
            }
        }
        Ok(Process { pid, fd, sent: 0 })
    }

    /// What names it for ever, where the kernel has such a thing: PID:INODE.
    pub fn reference(&self) -> String {
        self.fd.inode().map_or_else(|_| self.pid.to_string(), |inode| format!("{}:{inode}", self.pid))
    }

    /// Its command line.
    pub fn command(&self) -> Text {
        let comm = find::comm(self.pid);
        process::command(self.pid, comm.as_ref().map_or(&b"?"[..], Text::raw))
    }

    /// Its real user, by name.
    pub fn user(&self) -> Option<Text> {
        status::read(self.pid).ok()?.uid.map(|uid| Names::default().user(uid))
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match find::comm(self.pid) {
            Some(comm) => write!(f, "{} ({})", self.pid, comm.escaped()),
            None => write!(f, "{}", self.pid),
        }
    }
}
