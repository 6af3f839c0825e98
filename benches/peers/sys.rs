//! The system calls of the benches.
#![allow(unsafe_code)]

use anyhow::{Context as _, Result};
use std::ffi::CString;
use std::io::Error;
use std::mem::MaybeUninit;
use std::path::Path;

fn done(result: libc::c_int) -> Result<()> {
    if result < 0 { Err(Error::last_os_error().into()) } else { Ok(()) }
}

fn unshare(flags: libc::c_int) -> Result<()> {
    // SAFETY: unshare takes a number; these flags change nothing that Rust relies on.
    done(unsafe { libc::unshare(flags) })
}

/// Moves us into IPC and mount namespaces of our own, an ordinary user into a user namespace first.
/// Must be called before any thread exists.
///
/// Nothing is left behind, however we end: /dev/shm is a private tmpfs, and so is the working
/// directory, which no path leads to.
pub fn enter() -> Result<()> {
    // SAFETY: these calls take nothing and give numbers.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    if uid != 0 {
        unshare(libc::CLONE_NEWUSER).context("cannot make a user namespace; the benches need one, or root")?;
        std::fs::write("/proc/self/setgroups", "deny").context("cannot write setgroups")?;
        std::fs::write("/proc/self/uid_map", format!("0 {uid} 1")).context("cannot write uid_map")?;
        std::fs::write("/proc/self/gid_map", format!("0 {gid} 1")).context("cannot write gid_map")?;
    }
    unshare(libc::CLONE_NEWIPC | libc::CLONE_NEWNS).context("cannot make IPC and mount namespaces")?;
    mount("none", "/", "", libc::MS_REC | libc::MS_PRIVATE, "")?;
    // The working directory, which the next mount hides.
    mount("ipcx-bench", "/dev/shm", "tmpfs", 0, "mode=755,size=4g")?;
    std::env::set_current_dir("/dev/shm").context("cannot enter /dev/shm")?;
    mount("ipcx-bench", "/dev/shm", "tmpfs", 0, "mode=1777,size=4g")?;
    if Path::new("/dev/mqueue").is_dir() {
        mount("ipcx-bench", "/dev/mqueue", "mqueue", 0, "")?;
    }
    Ok(())
}

/// An IPC namespace with nothing in it.
pub fn new_ipc() -> Result<()> {
    unshare(libc::CLONE_NEWIPC).context("cannot make an IPC namespace")?;
    if Path::new("/dev/mqueue").is_dir() {
        mount("ipcx-bench", "/dev/mqueue", "mqueue", 0, "")?;
    }
    Ok(())
}

fn mount(source: &str, target: &str, kind: &str, flags: libc::c_ulong, data: &str) -> Result<()> {
    let (from, at, kind, data) =
        (CString::new(source)?, CString::new(target)?, CString::new(kind)?, CString::new(data)?);
    // SAFETY: all four strings end with NUL and outlive the call.
    done(unsafe { libc::mount(from.as_ptr(), at.as_ptr(), kind.as_ptr(), flags, data.as_ptr().cast()) })
        .with_context(|| format!("cannot mount at {target}"))
}

/// How a child ended: its status as wait4(2) gives it (0 is success) and its peak memory in bytes.
pub fn wait(pid: u32) -> Result<(i32, u64)> {
    let mut status = 0;
    // SAFETY: all bytes zero is a valid rusage; the call fills it and `status`.
    let usage = unsafe {
        let mut usage: libc::rusage = MaybeUninit::zeroed().assume_init();
        done(libc::wait4(libc::pid_t::try_from(pid)?, &mut status, 0, &mut usage)).context("cannot wait")?;
        usage
    };
    Ok((status, u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024))
}
