//! One question to the kernel over netlink(7), and all of its answers.
#![allow(unsafe_code)]

use nix::errno::Errno;
use std::mem::size_of;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

const HEADER: usize = size_of::<libc::nlmsghdr>();
/// The kernel fills at most 32 KiB at a time (netlink_dump in net/netlink/af_netlink.c).
const ROOM: usize = 1 << 16;

/// Asks for everything there is of something (NLM_F_DUMP) and hands every answer, without its header, to
/// `see`.
///
/// Errors: the errno that the kernel answers with; ENOENT where it lacks the module for `protocol`.
pub fn dump(protocol: libc::c_int, kind: u16, question: &[u8], mut see: impl FnMut(&[u8])) -> nix::Result<()> {
    // SAFETY: socket takes three numbers.
    let fd = Errno::result(unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol) })?;
    // SAFETY: the descriptor was opened just now and belongs to nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let length = u32::try_from(HEADER + question.len()).map_err(|_| Errno::EMSGSIZE)?;
    let flags = u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_DUMP).map_err(|_| Errno::EINVAL)?;
    let mut message = Vec::with_capacity(HEADER + question.len());
    message.extend_from_slice(&length.to_ne_bytes());
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&flags.to_ne_bytes());
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(question);
    retry(|| nix::unistd::write(&socket, &message))?;
    let mut buffer = vec![0; ROOM];
    loop {
        let got = retry(|| {
            // SAFETY: the buffer is valid for its length.
            Errno::result(unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) })
        })?;
        let mut left = &buffer[..got.unsigned_abs()];
        if left.is_empty() {
            return Err(Errno::EIO);
        }
        while let Some((kind, payload, rest)) = next(left) {
            match kind {
                libc::NLMSG_DONE => return Ok(()),
                libc::NLMSG_ERROR => return Err(failure(payload)),
                libc::NLMSG_NOOP => {}
                _ => see(payload),
            }
            left = rest;
        }
    }
}

fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

fn failure(payload: &[u8]) -> Errno {
    let code = payload.get(..4).and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_ne_bytes);
    Errno::from_raw(code.saturating_neg())
}

/// Splits the first message off: its type, what is in it, and what follows.
pub fn next(bytes: &[u8]) -> Option<(libc::c_int, &[u8], &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?)).ok()?;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let payload = bytes.get(HEADER..length)?;
    Some((kind.into(), payload, bytes.get(aligned(length)..).unwrap_or_default()))
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// The attributes behind the fixed part of an answer: type and value.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?);
        let value = bytes.get(4..length)?;
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_up_to_the_first_that_is_odd() {
        let bytes = [5, 0, 1, 0, b'x', 0, 0, 0, 8, 0, 2, 0, 1, 2, 3, 4, 9, 0, 3, 0, 1];
        let mut seen = attributes(&bytes);
        assert_eq!(seen.next(), Some((1, &b"x"[..])));
        assert_eq!(seen.next(), Some((2, &[1, 2, 3, 4][..])));
        assert_eq!(seen.next(), None);
        assert_eq!(attributes(&[0, 0, 0, 0]).next(), None);
        assert_eq!(attributes(&[3, 0]).next(), None);
    }
}
