//! Connecting to an address, and why that fails.

use super::bind::{is_socket, probe, what};
use super::name::Name;
use super::sys;
use super::{name, stopped};
use crate::error::{Error, Result, describe};
use crate::exit::Status;
use crate::model::{Address, SockType};
use crate::sys::file;
use crate::sys::waiter::{Stop, Waiter};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::stat;
use std::os::fd::{AsFd as _, OwnedFd};

/// A datagram socket that sends to an address and can be answered from there.
pub fn connect_datagrams(address: &Address, waiter: &Waiter) -> Result<OwnedFd> {
    let socket = connect(address, SockType::Datagram, waiter)?;
    if address.is_unix() {
        // Only a name can be answered. Bound after it is connected, so that nobody else's messages get in.
        sys::bind(&socket, &Name::any_unix()).map_err(|errno| Error::new("bind", errno, address))?;
    }
    Ok(socket)
}

/// A socket that is connected to an address; all addresses of a host are tried. A datagram socket only
/// remembers where its messages go.
pub fn connect(address: &Address, kind: SockType, waiter: &Waiter) -> Result<OwnedFd> {
    let mut failed = None;
    for name in name::names(address, kind, false)? {
        let socket = match sys::socket(name.family(), kind) {
            Ok(socket) => socket,
            Err(errno) => {
                failed = failed.or(Some(Error::new("socket", errno, address)));
                continue;
            }
        };
        match reach(&socket, &name, kind, address, waiter) {
            Ok(()) => return Ok(socket),
            Err(Stop::Errno(errno)) => failed = Some(explain(errno, address, &name)),
            Err(stop) => return Err(stopped(stop, "connect", address)),
        }
    }
    Err(failed.unwrap_or_else(|| Error::new("connect", Errno::EADDRNOTAVAIL, address)))
}

fn reach(
    socket: &OwnedFd,
    name: &Name,
    kind: SockType,
    address: &Address,
    waiter: &Waiter,
) -> std::result::Result<(), Stop> {
    let blocks = if waiter.never() { OFlag::O_NONBLOCK } else { OFlag::empty() };
    if matches!(address, Address::Udp(_)) {
        // Without it a broadcast address is refused with EACCES: socket(7).
        sys::set_option(socket, libc::SOL_SOCKET, libc::SO_BROADCAST, 1)?;
    }
    if address.is_unix() || kind == SockType::Datagram {
        // A full backlog is waited for; what a signal interrupts has not begun.
        fcntl(socket, FcntlArg::F_SETFL(OFlag::O_RDWR | blocks))?;
        waiter.run(|| sys::connect(socket, name))?;
        fcntl(socket, FcntlArg::F_SETFL(OFlag::O_RDWR))?;
        return Ok(());
    }
    // A connection of TCP that a signal interrupts goes on by itself: connect(2), EINTR.
    fcntl(socket, FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK))?;
    match sys::connect(socket, name) {
        Ok(()) => {}
        Err(Errno::EINPROGRESS | Errno::EINTR) if waiter.never() => return Err(Stop::Errno(Errno::EAGAIN)),
        Err(Errno::EINPROGRESS | Errno::EINTR) => {
            waiter.run(|| poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)], PollTimeout::NONE))?;
            if let Some(errno) = sys::pending_error(socket) {
                return Err(Stop::Errno(errno));
            }
        }
        Err(errno) => return Err(Stop::Errno(errno)),
    }
    fcntl(socket, FcntlArg::F_SETFL(OFlag::O_RDWR))?;
    Ok(())
}

/// What an errno of connect(2) means to the user.
pub(super) fn explain(errno: Errno, address: &Address, name: &Name) -> Error {
    let error = Error::new("connect", errno, address);
    match (errno, address) {
        (Errno::ECONNREFUSED, Address::Unix(path)) => {
            let error = error.with_status(Status::NoSuch);
            match stat(file::path(path.raw())) {
                Ok(stat) if !is_socket(&stat) => error.because(format!("{} is there, not a socket", what(&stat))),
                Ok(_) if probe(name) == Err(Errno::ECONNREFUSED) => {
                    error.because("nobody listens there; the socket file is stale")
                }
                _ => error.because("nobody listens there; the socket is bound only"),
            }
        }
        (Errno::ECONNREFUSED, _) => error.because("nobody listens there").with_status(Status::NoSuch),
        (Errno::ENOENT, _) => error.because("there is no such socket file"),
        (Errno::EPROTOTYPE, _) => error
            .because("the socket there is of another type")
            .hinting("give its type with --type stream, dgram or seqpacket"),
        (Errno::EAGAIN, Address::Tcp(_)) => error.because("the connection is not made at once"),
        (Errno::EAGAIN, _) => error.because("the listener has not taken the last connections yet"),
        (Errno::EACCES, Address::Unix(_)) => {
            error.because(describe(errno)).hinting("to connect to a socket file needs write permission on it")
        }
        _ => error,
    }
}
