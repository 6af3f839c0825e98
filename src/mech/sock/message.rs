//! Messages and streams through a socket, with the descriptors and credentials that go along.

use super::sys::{self, Came, Credentials, MOST_DESCRIPTORS};
use super::{name, stopped};
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::mech::Limits;
use crate::model::{Address, SockType};
use crate::proc::sysctl;
use crate::sys::stdio;
use crate::sys::waiter::{Stop, Waiter};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Room for every message that there can be: the kernel keeps one of a unix socket in a piece of memory of
/// at most 4 MiB and some pages, one of UDP has less than 64 KiB. Only what is used of it takes memory.
const ROOM: usize = 1 << 24;
/// What the kernel keeps of the buffer of a unix socket for itself (af_unix.c, unix_dgram_sendmsg).
const OVERHEAD: usize = 32;
/// Memory that the smallest message takes; less is what the kernel has not subtracted yet.
const SMALLEST: usize = 256;

/// A descriptor that we inherited, by its number.
pub fn descriptor(number: i32) -> Result<BorrowedFd<'static>> {
    // /dev/null stands where a standard stream was closed; nobody means that.
    let closed = u8::try_from(number).is_ok_and(|number| number < 3 && stdio::was_closed(number));
    let found = if closed { Err(Errno::EBADF) } else { sys::borrow(number) };
    found.map_err(|errno| {
        Error::new("fcntl", errno, format!("descriptor {number}")).because("it is not open").with_status(Status::NoSuch)
    })
}

/// The sending side of a connected socket.
pub struct Sender<'a> {
    pub socket: &'a OwnedFd,
    pub kind: SockType,
    pub address: &'a Address,
    /// Go along with the first bytes.
    pub descriptors: Vec<BorrowedFd<'static>>,
    /// Bytes that have been sent.
    pub bytes: u64,
}

impl Sender<'_> {
    /// Sends one message, whole or not at all; of a stream, these bytes.
    pub fn send(&mut self, bytes: &[u8], waiter: &Waiter) -> Result<()> {
        if self.descriptors.len() > MOST_DESCRIPTORS {
            let cause = format!("{} descriptors, a message takes at most {MOST_DESCRIPTORS}", self.descriptors.len());
            return Err(Error::new("sendmsg", Errno::EINVAL, self.address).because(cause).with_status(Status::Limit));
        }
        let flags = if waiter.never() { libc::MSG_DONTWAIT } else { 0 };
        let mut done = 0;
        loop {
            let rest = &bytes[done..];
            let sent = waiter.run(|| {
                if self.descriptors.is_empty() {
                    sys::send(self.socket, rest, flags)
                } else {
                    sys::send_descriptors(self.socket, rest, &self.descriptors, flags)
                }
            });
            match sent {
                Ok(sent) => {
                    self.descriptors.clear();
                    done += sent;
                    self.bytes += sent as u64;
                    if self.kind != SockType::Stream || done == bytes.len() {
                        return Ok(());
                    }
                }
                Err(Stop::Errno(Errno::EMSGSIZE)) if self.widen(bytes.len()) => {}
                Err(stop) => return Err(self.failed(stop, bytes.len())),
            }
        }
    }

    /// Makes room for a long message of a unix socket, as much as net.core.wmem_max allows; whether there is
    /// more than there was.
    fn widen(&self, length: usize) -> bool {
        if !self.address.is_unix() {
            return false;
        }
        let now = || sys::option(self.socket, libc::SOL_SOCKET, libc::SO_SNDBUF).unwrap_or(0);
        let before = now();
        let wanted = i32::try_from(length + OVERHEAD).unwrap_or(i32::MAX);
        let set = sys::set_option(self.socket, libc::SOL_SOCKET, libc::SO_SNDBUF, wanted);
        set.is_ok() && now() > before
    }

    fn failed(&self, stop: Stop, length: usize) -> Error {
        let error = stopped(stop, "send", self.address);
        match error.errno {
            Errno::EMSGSIZE if self.address.is_unix() => {
                let most = sys::option(self.socket, libc::SOL_SOCKET, libc::SO_SNDBUF).unwrap_or(0);
                let most = usize::try_from(most).unwrap_or(0).saturating_sub(OVERHEAD);
                let bound = sysctl::number("net.core.wmem_max").map_or_else(|| "?".to_owned(), |n| n.to_string());
                error
                    .because(format!("the message is {length} bytes, the socket sends at most {most} at once"))
                    .hinting(format!(
                        "net.core.wmem_max = {bound} bounds half of it; raise it with sysctl, or use a stream"
                    ))
            }
            Errno::EMSGSIZE => {
                error.because(format!("the message is {length} bytes, a datagram of UDP has at most 65507"))
            }
            Errno::EAGAIN | Errno::ETIMEDOUT if self.kind == SockType::Datagram && self.address.is_unix() => {
                let most = sysctl::number("net.unix.max_dgram_qlen").map_or_else(|| "?".to_owned(), |n| n.to_string());
                let cause = if error.errno == Errno::EAGAIN { "the receiver's queue is full" } else { "timed out" };
                error
                    .because(cause)
                    .hinting(format!("net.unix.max_dgram_qlen = {most} bounds the datagrams that wait for a receiver"))
            }
            Errno::EAGAIN => error.because("the receiver has not taken what was sent before"),
            Errno::ECONNREFUSED if matches!(self.address, Address::Udp(_)) => refused(error),
            Errno::ECONNREFUSED | Errno::ENOTCONN => {
                error.because("nobody receives there any more").with_status(Status::NoSuch)
            }
            Errno::EPIPE | Errno::ECONNRESET => error.because("the peer has closed the connection"),
            Errno::ETOOMANYREFS => {
                error.because("too many descriptors are on their way already").with_status(Status::Limit)
            }
            _ => error,
        }
    }

    /// Ends the sending side and waits until the peer has taken everything, as far as the kernel can tell:
    /// a unix peer has read it, a machine has acknowledged it. What the peer answers is thrown away, so
    /// that it does not wait for us. Datagrams are with their receiver as soon as they are sent.
    pub fn finish(&self, waiter: &Waiter) -> Result<()> {
        if self.kind == SockType::Datagram {
            // On the same machine, the answer "nobody has this port" is here already.
            return match sys::pending_error(self.socket) {
                Some(errno) => Err(self.failed(Stop::Errno(errno), 0)),
                None => Ok(()),
            };
        }
        let failed = |errno| self.failed(Stop::Errno(errno), 0);
        sys::end_sending(self.socket).map_err(failed)?;
        if waiter.never() {
            return Ok(());
        }
        // Tells of every change, also of one that leaves the socket as ready as it was; the first one at once.
        let news = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(failed)?;
        let wanted = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        news.add(self.socket, EpollEvent::new(wanted, 0)).map_err(failed)?;
        let mut events = [EpollEvent::empty()];
        let mut answer = Vec::with_capacity(1 << 16);
        loop {
            waiter.run(|| news.wait(&mut events, EpollTimeout::NONE)).map_err(|stop| self.unread(stop))?;
            let unsent = sys::unsent(self.socket).map_err(failed)?;
            let enough = if self.address.is_unix() { SMALLEST } else { 1 };
            // Asked after the amount: the kernel notes the error before it throws bytes away.
            if let Some(errno) = sys::pending_error(self.socket) {
                return Err(self.unread(Stop::Errno(errno)));
            }
            loop {
                answer.clear();
                match sys::recv(self.socket, &mut answer, libc::MSG_DONTWAIT) {
                    Ok(0) | Err(Errno::EAGAIN) => break,
                    Ok(_) | Err(Errno::EINTR) => {}
                    Err(errno) => return Err(self.unread(Stop::Errno(errno))),
                }
            }
            if unsent < enough {
                return Ok(());
            }
        }
    }

    fn unread(&self, stop: Stop) -> Error {
        let error = stopped(stop, "send", self.address);
        match error.errno {
            Errno::ECONNRESET | Errno::EPIPE => error.because("the peer closed before it had read everything"),
            Errno::ETIMEDOUT => error.because("timed out before the peer had read everything"),
            _ => error,
        }
    }
}

/// The machine said that nobody has this port of UDP.
fn refused(error: Error) -> Error {
    error.because("nobody listens there").with_status(Status::NoSuch)
}

/// What came with a message.
#[derive(Debug)]
pub struct Message {
    pub from: Option<Address>,
    /// Of unix sockets, if they were asked for.
    pub credentials: Option<Credentials>,
    pub descriptors: Vec<OwnedFd>,
}

/// Takes one datagram into `into`, whole, if one is there.
pub fn receive_ready(socket: impl AsFd, address: &Address, into: &mut Vec<u8>, waiter: &Waiter) -> Result<bool> {
    into.clear();
    into.reserve(ROOM);
    let flags = libc::MSG_TRUNC | libc::MSG_DONTWAIT;
    match waiter.run(|| sys::recv(&socket, into, flags)) {
        Ok(length) if length > into.len() => Err(cut(length, into.len(), address)),
        Ok(_) => Ok(true),
        Err(Stop::Errno(Errno::EAGAIN)) => Ok(false),
        Err(Stop::Errno(Errno::ECONNREFUSED)) => Err(refused(Error::new("recv", Errno::ECONNREFUSED, address))),
        Err(stop) => Err(stopped(stop, "recv", address)),
    }
}

/// Takes one message into `into`, whole. `None` at the end of a connection. With `all` it comes with its
/// sender, credentials and descriptors; without, what came along is thrown away.
pub fn receive(
    socket: impl AsFd,
    kind: SockType,
    address: &Address,
    into: &mut Vec<u8>,
    all: bool,
    limit: Limits,
    waiter: &Waiter,
) -> Result<Option<Message>> {
    let socket = socket.as_fd();
    let failed = |stop| match stop {
        Stop::Errno(Errno::EAGAIN) => Error::new("recv", Errno::EAGAIN, address).because("no message is there"),
        stop => stopped(stop, "recv", address),
    };
    let flags = libc::MSG_TRUNC | if waiter.never() { libc::MSG_DONTWAIT } else { 0 };
    if let Some(most) = limit.max_size.filter(|_| !limit.truncate) {
        let mut none = Vec::new();
        let length = waiter.run(|| sys::recv(socket, &mut none, flags | libc::MSG_PEEK)).map_err(failed)?;
        if length > most {
            let cause = format!("message is {length} bytes, --max-size allows {most}");
            return Err(Error::new("recv", Errno::EMSGSIZE, address).because(cause));
        }
    }
    let room = limit.max_size.filter(|_| limit.truncate).unwrap_or(ROOM).min(ROOM);
    into.clear();
    into.reserve(room);
    // At the end of a connection nothing comes, not even credentials: so they tell an empty message from it.
    let came = if all || kind == SockType::Seqpacket {
        waiter.run(|| sys::recv_all(socket, into, flags)).map_err(failed)?
    } else {
        let length = waiter.run(|| sys::recv(socket, into, flags)).map_err(failed)?;
        if length > into.len() && !limit.truncate {
            return Err(cut(length, into.len(), address));
        }
        into.truncate(room);
        return Ok(Some(Message { from: None, credentials: None, descriptors: Vec::new() }));
    };
    if kind == SockType::Seqpacket && came.length == 0 && came.credentials.is_none() && sys::hung_up(socket) {
        return Ok(None);
    }
    if came.length > into.len() && !limit.truncate {
        return Err(cut(came.length, into.len(), address));
    }
    into.truncate(room);
    with(came, kind, address).map(Some)
}

fn cut(length: usize, room: usize, address: &Address) -> Error {
    let cause = format!("message is {length} bytes; only {room} could be taken, and the rest is lost");
    Error::new("recv", Errno::EMSGSIZE, address).because(cause)
}

/// Takes bytes of a stream with the descriptors that came with them; neither at its end.
pub fn receive_part(socket: impl AsFd, address: &Address, into: &mut Vec<u8>, waiter: &Waiter) -> Result<Message> {
    into.clear();
    into.reserve(1 << 16);
    let came = waiter.run(|| sys::recv_all(&socket, into, 0)).map_err(|stop| stopped(stop, "recv", address))?;
    with(came, SockType::Stream, address)
}

fn with(came: Came, kind: SockType, address: &Address) -> Result<Message> {
    if came.control_lost {
        // The message has been taken, and what came with it cannot be had again.
        let cause = "not all descriptors could be taken: this process may open no more";
        return Err(Error::new("recvmsg", Errno::EMFILE, address).because(cause));
    }
    let from = name::address(&came.from, kind);
    Ok(Message { from, credentials: came.credentials, descriptors: came.descriptors })
}
