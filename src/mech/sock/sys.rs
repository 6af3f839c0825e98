//! socket(2), bind(2), connect(2), accept(2), sendmsg(2), recvmsg(2), getaddrinfo(3) and their kin.
#![allow(unsafe_code)]
// Sizes of C structures in the types that C gives them; all of them are small.
#![allow(clippy::cast_possible_truncation)]

use super::name::Name;
use crate::model::SockType;
use nix::errno::Errno;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr;

/// The most descriptors of one message, SCM_MAX_FD (unix(7)).
pub(super) const MOST_DESCRIPTORS: usize = 253;

pub(super) fn number(kind: SockType) -> libc::c_int {
    match kind {
        SockType::Stream => libc::SOCK_STREAM,
        SockType::Datagram => libc::SOCK_DGRAM,
        SockType::Seqpacket => libc::SOCK_SEQPACKET,
    }
}

fn owned(fd: libc::c_int) -> nix::Result<OwnedFd> {
    let fd = Errno::result(fd)?;
    // SAFETY: the kernel gave us this descriptor just now.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(super) fn socket(family: libc::c_int, kind: SockType) -> nix::Result<OwnedFd> {
    // SAFETY: socket takes three numbers.
    owned(unsafe { libc::socket(family, number(kind) | libc::SOCK_CLOEXEC, 0) })
}

pub(super) fn pair(kind: SockType) -> nix::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for the two descriptors.
    Errno::result(unsafe { libc::socketpair(libc::AF_UNIX, number(kind) | libc::SOCK_CLOEXEC, 0, ends.as_mut_ptr()) })?;
    Ok((owned(ends[0])?, owned(ends[1])?))
}

pub(super) fn bind(fd: impl AsFd, name: &Name) -> nix::Result<()> {
    // SAFETY: `name` holds as many bytes as its length says.
    Errno::result(unsafe { libc::bind(fd.as_fd().as_raw_fd(), name.pointer(), name.length) }).map(drop)
}

/// Binds a unix socket to a path with exactly these permissions: the file has them from its first moment
/// on. The umask belongs to the whole process, so no other thread may make a file meanwhile.
pub(super) fn bind_with_mode(fd: impl AsFd, name: &Name, mode: u32) -> nix::Result<()> {
    let mask = (0o777 & !mode) as libc::mode_t;
    // SAFETY: umask takes a number and cannot fail.
    let before = unsafe { libc::umask(mask) };
    let result = bind(fd, name);
    // SAFETY: as above.
    unsafe { libc::umask(before) };
    result
}

pub(super) fn listen(fd: impl AsFd, backlog: i32) -> nix::Result<()> {
    // SAFETY: listen takes two numbers.
    Errno::result(unsafe { libc::listen(fd.as_fd().as_raw_fd(), backlog) }).map(drop)
}

pub(super) fn connect(fd: impl AsFd, name: &Name) -> nix::Result<()> {
    // SAFETY: `name` holds as many bytes as its length says.
    Errno::result(unsafe { libc::connect(fd.as_fd().as_raw_fd(), name.pointer(), name.length) }).map(drop)
}

pub(super) fn accept(fd: impl AsFd) -> nix::Result<(OwnedFd, Name)> {
    let mut name = Name::empty();
    name.length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: `name` has as much room as its length says, and outlives the call.
    let got = unsafe {
        let place = (&raw mut name.storage).cast();
        libc::accept4(fd.as_fd().as_raw_fd(), place, &raw mut name.length, libc::SOCK_CLOEXEC)
    };
    Ok((owned(got)?, name))
}

/// Ends the sending side, as the end of a file.
pub(super) fn end_sending(fd: impl AsFd) -> nix::Result<()> {
    // SAFETY: shutdown takes two numbers.
    Errno::result(unsafe { libc::shutdown(fd.as_fd().as_raw_fd(), libc::SHUT_WR) }).map(drop)
}

/// The name that a socket itself has.
pub(super) fn own_name(fd: impl AsFd) -> nix::Result<Name> {
    let mut name = Name::empty();
    name.length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: `name` has as much room as its length says, and outlives the call.
    let got = unsafe {
        let place = (&raw mut name.storage).cast();
        libc::getsockname(fd.as_fd().as_raw_fd(), place, &raw mut name.length)
    };
    Errno::result(got).map(|_| name)
}

/// An option that is an int.
pub(super) fn option(fd: impl AsFd, level: libc::c_int, option: libc::c_int) -> nix::Result<libc::c_int> {
    let (mut value, mut length) = (0, size_of::<libc::c_int>() as libc::socklen_t);
    // SAFETY: `value` and `length` outlive the call, and `length` is the size of `value`.
    let got =
        unsafe { libc::getsockopt(fd.as_fd().as_raw_fd(), level, option, (&raw mut value).cast(), &raw mut length) };
    Errno::result(got).map(|_| value)
}

pub(super) fn set_option(fd: impl AsFd, level: libc::c_int, option: libc::c_int, value: i32) -> nix::Result<()> {
    // SAFETY: `value` outlives the call and has the length that is given.
    let set = unsafe {
        let length = size_of::<libc::c_int>() as libc::socklen_t;
        libc::setsockopt(fd.as_fd().as_raw_fd(), level, option, (&raw const value).cast(), length)
    };
    Errno::result(set).map(drop)
}

/// The error that waits for the next call, and takes it.
pub(super) fn pending_error(fd: impl AsFd) -> Option<Errno> {
    option(fd, libc::SOL_SOCKET, libc::SO_ERROR).ok().filter(|errno| *errno != 0).map(Errno::from_raw)
}

/// Who a process is: SO_PEERCRED, SCM_CREDENTIALS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// 0 for a process of another pid namespace.
    pub pid: i32,
    pub uid: u32,
    pub gid: u32,
}

impl From<libc::ucred> for Credentials {
    fn from(cred: libc::ucred) -> Credentials {
        Credentials { pid: cred.pid, uid: cred.uid, gid: cred.gid }
    }
}

/// Who connected a unix socket, as he was then.
pub(super) fn peer_credentials(fd: impl AsFd) -> nix::Result<Credentials> {
    let mut cred = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: `cred` and `length` outlive the call, and `length` is the size of `cred`.
    let got = unsafe {
        let place = (&raw mut cred).cast();
        libc::getsockopt(fd.as_fd().as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, place, &raw mut length)
    };
    Errno::result(got).map(|_| cred.into())
}

/// Bytes that a stream has sent and its peer has not taken: for unix sockets the memory that they take, for
/// TCP what is not acknowledged, the end included.
pub(super) fn unsent(fd: impl AsFd) -> nix::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the request, SIOCOUTQ (unix(7), tcp(7)), fills an int that outlives the call.
    Errno::result(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) })?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

pub(super) fn send(fd: impl AsFd, bytes: &[u8], flags: i32) -> nix::Result<usize> {
    let flags = flags | libc::MSG_NOSIGNAL;
    // SAFETY: `bytes` outlives the call.
    let sent = unsafe { libc::send(fd.as_fd().as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) };
    Errno::result(sent).map(isize::unsigned_abs)
}

/// Room for the control data of one message, aligned as it wants.
#[repr(C, align(8))]
struct Control([u8; 4096]);

impl Control {
    fn new() -> Control {
        const {
            // SAFETY: both only compute.
            let most = unsafe {
                libc::CMSG_SPACE((MOST_DESCRIPTORS * size_of::<libc::c_int>()) as u32)
                    + libc::CMSG_SPACE(size_of::<libc::ucred>() as u32)
            };
            assert!(most <= 4096);
        }
        Control([0; 4096])
    }
}

/// Sends bytes and descriptors with them (SCM_RIGHTS).
pub(super) fn send_descriptors(fd: impl AsFd, bytes: &[u8], fds: &[BorrowedFd], flags: i32) -> nix::Result<usize> {
    assert!(fds.len() <= MOST_DESCRIPTORS);
    let mut control = Control::new();
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let size = size_of_val(fds) as u32;
    // SAFETY: all bytes zero is a valid msghdr. The control buffer is aligned for a cmsghdr and has room
    // for the most descriptors, so that CMSG_FIRSTHDR is not null and the copy stays inside; a
    // BorrowedFd is one int. Everything outlives the call, which writes to none of it.
    let sent = unsafe {
        let mut message: libc::msghdr = MaybeUninit::zeroed().assume_init();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(size) as _;
        let head = libc::CMSG_FIRSTHDR(&raw const message);
        (*head).cmsg_level = libc::SOL_SOCKET;
        (*head).cmsg_type = libc::SCM_RIGHTS;
        (*head).cmsg_len = libc::CMSG_LEN(size) as _;
        ptr::copy_nonoverlapping(fds.as_ptr().cast::<u8>(), libc::CMSG_DATA(head), size as usize);
        libc::sendmsg(fd.as_fd().as_raw_fd(), &raw const message, flags | libc::MSG_NOSIGNAL)
    };
    Errno::result(sent).map(isize::unsigned_abs)
}

/// Receives into the room that `into` has behind its end, without touching it first. The result is the
/// length of the message, with MSG_TRUNC also where the room was shorter. No descriptors are taken.
pub(super) fn recv(fd: impl AsFd, into: &mut Vec<u8>, flags: i32) -> nix::Result<usize> {
    let room = into.spare_capacity_mut();
    let most = room.len();
    // SAFETY: the call writes into the room alone.
    let got = unsafe { libc::recv(fd.as_fd().as_raw_fd(), room.as_mut_ptr().cast(), most, flags) };
    let got = Errno::result(got).map(isize::unsigned_abs)?;
    // SAFETY: the call has initialised these bytes.
    unsafe { into.set_len(into.len() + got.min(most)) };
    Ok(got)
}

/// What came with a message.
pub(super) struct Came {
    /// The length of the message, also where the room was shorter.
    pub length: usize,
    pub from: Name,
    pub credentials: Option<Credentials>,
    pub descriptors: Vec<OwnedFd>,
    /// Descriptors, or something else, did not fit and are lost.
    pub control_lost: bool,
}

/// As [`recv`], with all that comes with the message; what is not asked for is closed again.
pub(super) fn recv_all(fd: impl AsFd, into: &mut Vec<u8>, flags: i32) -> nix::Result<Came> {
    let mut control = Control::new();
    let mut from = Name::empty();
    let room = into.spare_capacity_mut();
    let most = room.len();
    let mut part = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: most };
    let (mut credentials, mut descriptors) = (None, Vec::new());
    // SAFETY: all bytes zero is a valid msghdr; every place that it points to outlives the call and is as
    // long as it says. The kernel gives control messages that lie whole within msg_controllen, and each
    // descriptor in them is ours alone. Descriptors and credentials are read unaligned.
    let (got, lost) = unsafe {
        let mut message: libc::msghdr = MaybeUninit::zeroed().assume_init();
        message.msg_name = (&raw mut from.storage).cast();
        message.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = control.0.len() as _;
        let got = libc::recvmsg(fd.as_fd().as_raw_fd(), &raw mut message, flags | libc::MSG_CMSG_CLOEXEC);
        let got = Errno::result(got).map(isize::unsigned_abs)?;
        from.length = message.msg_namelen;
        let mut head = libc::CMSG_FIRSTHDR(&raw const message);
        while !head.is_null() {
            let data = libc::CMSG_DATA(head);
            let length = ((*head).cmsg_len as usize).saturating_sub(libc::CMSG_LEN(0) as usize);
            match ((*head).cmsg_level, (*head).cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                    for at in 0..length / size_of::<libc::c_int>() {
                        let fd = data.cast::<libc::c_int>().add(at).read_unaligned();
                        descriptors.push(OwnedFd::from_raw_fd(fd));
                    }
                }
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) if length >= size_of::<libc::ucred>() => {
                    credentials = Some(data.cast::<libc::ucred>().read_unaligned().into());
                }
                _ => {}
            }
            head = libc::CMSG_NXTHDR(&raw const message, head);
        }
        into.set_len(into.len() + got.min(most));
        (got, message.msg_flags & libc::MSG_CTRUNC != 0)
    };
    Ok(Came { length: got, from, credentials, descriptors, control_lost: lost })
}

/// Whether a connection has ended wholly, or its peer will send no more.
pub(super) fn hung_up(fd: impl AsFd) -> bool {
    let mut poll = libc::pollfd { fd: fd.as_fd().as_raw_fd(), events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: `poll` is one entry and outlives the call, which does not wait.
    unsafe { libc::poll(&raw mut poll, 1, 0) > 0 && poll.revents & (libc::POLLRDHUP | libc::POLLHUP) != 0 }
}

/// What a descriptor number of our own stands for, if it is open.
pub(super) fn borrow(number: i32) -> nix::Result<BorrowedFd<'static>> {
    // SAFETY: F_GETFD takes a number and reads a flag.
    Errno::result(unsafe { libc::fcntl(number, libc::F_GETFD) })?;
    // SAFETY: it is open, was inherited, and nothing in this program closes it.
    Ok(unsafe { BorrowedFd::borrow_raw(number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_cross_a_pair_and_the_control_data_is_whole() {
        let (here, there) = pair(SockType::Datagram).unwrap();
        let many: Vec<BorrowedFd> = (0..MOST_DESCRIPTORS).map(|_| here.as_fd()).collect();
        set_option(&there, libc::SOL_SOCKET, libc::SO_PASSCRED, 1).unwrap();
        assert_eq!(send_descriptors(&here, b"x", &many, 0), Ok(1));
        let mut bytes = Vec::with_capacity(16);
        let came = recv_all(&there, &mut bytes, 0).unwrap();
        assert_eq!((came.length, came.descriptors.len(), came.control_lost), (1, MOST_DESCRIPTORS, false));
        assert_eq!(came.credentials.unwrap().pid, nix::unistd::getpid().as_raw());
    }

    #[test]
    fn a_message_longer_than_the_room_says_its_length() {
        let (here, there) = pair(SockType::Datagram).unwrap();
        send(&here, b"twelve bytes", 0).unwrap();
        let mut bytes = Vec::with_capacity(8);
        let room = bytes.capacity();
        assert_eq!(recv(&there, &mut bytes, libc::MSG_TRUNC), Ok(12));
        assert_eq!(bytes.len(), room.min(12));
    }
}
