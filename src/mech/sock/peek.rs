//! What waits in the receive queue of a socket of another process.

use super::sys;
use nix::errno::Errno;
use std::os::fd::OwnedFd;

/// What was seen.
#[derive(Debug, PartialEq, Eq)]
pub struct Peeked {
    pub bytes: Vec<u8>,
    /// Whether the socket carries messages; then this is the first one, and others may stand behind it.
    pub messages: bool,
}

/// Copies what waits in the receive queue and takes nothing: all bytes of a stream, or the first message.
/// `None` when nothing waits; EINVAL or ENOTCONN of a socket that only listens.
///
/// `socket` is a duplicate of the owner's (pidfd_getfd(2)). Messages behind the first one could be reached
/// with SO_PEEK_OFF alone, which the owner would notice; and recvmsg(2) would put the descriptors that
/// are on their way into this process.
pub fn peek(socket: OwnedFd) -> nix::Result<Option<Peeked>> {
    let kind = sys::option(&socket, libc::SOL_SOCKET, libc::SO_TYPE)?;
    let messages = kind != libc::SOCK_STREAM;
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    // MSG_TRUNC means "throw away" to TCP.
    let flags = if messages { flags | libc::MSG_TRUNC } else { flags };
    let mut room = 1 << 16;
    loop {
        let mut bytes = Vec::with_capacity(room);
        let room_now = bytes.capacity();
        let length = match sys::recv(&socket, &mut bytes, flags) {
            Ok(0) if !messages => return Ok(None),
            Ok(length) => length,
            Err(Errno::EAGAIN) => return Ok(None),
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno),
        };
        if length < room_now || (messages && length == room_now) {
            return Ok(Some(Peeked { bytes, messages }));
        }
        room = length.max(room_now * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SockType;

    #[test]
    fn a_stream_shows_all_that_waits_and_keeps_it() {
        let (here, there) = sys::pair(SockType::Stream).unwrap();
        let long = vec![b'x'; 100_000];
        sys::send(&here, &long, 0).unwrap();
        for _ in 0..2 {
            let seen = peek(there.try_clone().unwrap()).unwrap().unwrap();
            assert_eq!((seen.bytes.len(), seen.messages), (100_000, false));
        }
    }

    #[test]
    fn of_messages_the_first_one_is_shown_whole() {
        for kind in [SockType::Datagram, SockType::Seqpacket] {
            let (here, there) = sys::pair(kind).unwrap();
            assert_eq!(peek(there.try_clone().unwrap()), Ok(None));
            sys::send(&here, &vec![b'a'; 70_000], 0).unwrap();
            sys::send(&here, b"second", 0).unwrap();
            for _ in 0..2 {
                let seen = peek(there.try_clone().unwrap()).unwrap().unwrap();
                assert_eq!((seen.bytes, seen.messages), (vec![b'a'; 70_000], true));
            }
        }
    }
}
