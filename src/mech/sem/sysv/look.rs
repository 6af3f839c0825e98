//! A set as it is needed to say why somebody waits for it.

use crate::mech::sem::sys;

/// The values of a set of our IPC namespace.
#[derive(Debug)]
pub struct Look {
    /// The last operation, seconds since the epoch; 0 if there was none.
    pub otime: i64,
    pub values: Vec<u16>,
}

/// EACCES without read permission, EINVAL or EIDRM when it is gone, E2BIG for more semaphores than an
/// operation can name.
pub fn look(id: i32) -> nix::Result<Look> {
    let set = sys::stat(id)?;
    #[allow(clippy::useless_conversion)]
    let count = u16::try_from(set.sem_nsems).map_err(|_| nix::errno::Errno::E2BIG)?;
    #[allow(clippy::useless_conversion)]
    let otime = i64::from(set.sem_otime);
    Ok(Look { otime, values: sys::all(id, count)? })
}

/// The process that operated last on a semaphore (GETPID of semctl(2)); none if nobody did or it may not be
/// asked.
pub fn last_operator(id: i32, index: u16) -> Option<i32> {
    let pid = sys::one(id, index, libc::GETPID).ok()?;
    i32::try_from(pid).ok().filter(|pid| *pid > 0)
}
