//! All unix sockets of the network namespace, from the kernel: sock_diag(7), unix_diag in
//! net/unix/diag.c. Unlike /proc/net/unix it tells peers and queues, and no name can forge a line.

use crate::sys::netlink::{self, attributes};
use nix::sys::stat::makedev;

/// SOCK_DIAG_BY_FAMILY of <linux/sock_diag.h>.
const BY_FAMILY: u16 = 20;
/// What to tell: name, inode of the file, peer, queues and owner (UDIAG_SHOW_* of <linux/unix_diag.h>).
const SHOW: u32 = 0x01 | 0x02 | 0x04 | 0x10 | 0x40;
/// The fixed part of an answer, struct unix_diag_msg.
const FIXED: usize = 16;

/// One socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    pub ino: u64,
    /// SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET.
    pub kind: i32,
    pub state: State,
    /// As it was bound: a path, or an abstract name behind a NUL; accepted ones have the name of their
    /// listener.
    pub name: Option<Vec<u8>>,
    /// Device of the file, and the low half of its inode, which is all that the kernel tells (__u32
    /// udiag_vfs_ino).
    pub file: Option<(u64, u32)>,
    pub peer: Option<u64>,
    /// Bytes to read (of datagrams, those of the first one); of a listener the connections that wait.
    pub received: Option<u32>,
    /// Memory of what it sent and nobody has read; of a listener the most that may wait.
    pub sent: Option<u32>,
    pub uid: Option<u32>,
}

/// The states that a unix socket has, in the words of TCP (<net/tcp_states.h>).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Connected,
    Listening,
    Unconnected,
}

/// Every unix socket there is. ENOENT where the kernel lacks unix_diag.
pub fn all() -> nix::Result<Vec<Record>> {
    // struct unix_diag_req: the family in one byte, no protocol, then words.
    let [family, ..] = libc::AF_UNIX.to_le_bytes();
    let mut question = vec![family, 0, 0, 0];
    let every: u32 = !0;
    for word in [every, 0, SHOW, every, every] {
        question.extend_from_slice(&word.to_ne_bytes());
    }
    let mut records = Vec::new();
    netlink::dump(libc::NETLINK_SOCK_DIAG, BY_FAMILY, &question, |answer| records.extend(parse(answer)))?;
    Ok(records)
}

impl Record {
    /// Whether the file that it is bound to may be this one: of two whose inodes have the same low half,
    /// the name tells which one it is.
    pub fn may_have(&self, device: u64, inode: u64) -> bool {
        self.file.is_some_and(|(known, low)| known == device && u64::from(low) == inode & u64::from(u32::MAX))
    }
}

/// About how many there are: the third word of the lines of /proc/net/protocols for this family.
pub fn count() -> u64 {
    let text = std::fs::read("/proc/net/protocols").unwrap_or_default();
    let lines = text.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"UNIX"));
    let numbers =
        lines.filter_map(|line| std::str::from_utf8(line).ok()?.split_ascii_whitespace().nth(2)?.parse().ok());
    numbers.fold(0, u64::saturating_add)
}

pub fn parse(answer: &[u8]) -> Option<Record> {
    let fixed = answer.get(..FIXED)?;
    let mut record = Record {
        ino: word(&fixed[4..])?.into(),
        kind: fixed[1].into(),
        state: match fixed[2] {
            10 => State::Listening,
            1..=3 => State::Connected,
            _ => State::Unconnected,
        },
        name: None,
        file: None,
        peer: None,
        received: None,
        sent: None,
        uid: None,
    };
    for (kind, value) in attributes(&answer[FIXED..]) {
        match kind {
            0 => record.name = Some(value.to_vec()).filter(|name| !name.is_empty()),
            1 => {
                // The device as the kernel has it: twelve bits and twenty.
                let (ino, dev) = (word(value)?, word(value.get(4..)?)?);
                record.file = Some((makedev(u64::from(dev >> 20), u64::from(dev & 0xf_ffff)), ino));
            }
            2 => record.peer = word(value).map(u64::from).filter(|ino| *ino != 0),
            4 => (record.received, record.sent) = (word(value), word(value.get(4..)?)),
            7 => record.uid = word(value),
            _ => {}
        }
    }
    Some(record)
}

fn word(bytes: &[u8]) -> Option<u32> {
    bytes.get(..4)?.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + value.len()).unwrap();
        let mut bytes = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn an_answer_is_read_with_its_attributes_in_any_order() {
        let mut answer = vec![1, 5, 10, 0];
        answer.extend_from_slice(&4711u32.to_ne_bytes());
        answer.extend_from_slice(&[0; 8]);
        answer.extend(attribute(7, &1000u32.to_ne_bytes()));
        answer.extend(attribute(0, b"\0a\nb\xff"));
        answer.extend(attribute(4, &[3u32.to_ne_bytes(), 128u32.to_ne_bytes()].concat()));
        answer.extend(attribute(1, &[99u32.to_ne_bytes(), (8u32 << 20 | 1).to_ne_bytes()].concat()));
        answer.extend(attribute(99, b"?"));
        let record = parse(&answer).unwrap();
        assert_eq!((record.ino, record.kind, record.state), (4711, 5, State::Listening));
        assert_eq!(record.name.as_deref(), Some(&b"\0a\nb\xff"[..]));
        assert_eq!((record.received, record.sent, record.uid), (Some(3), Some(128), Some(1000)));
        assert_eq!(record.file, Some((makedev(8, 1), 99)));
        assert_eq!(parse(&answer[..15]), None);
    }

    #[test]
    fn a_socket_of_our_own_is_among_all() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let inode = |socket| nix::sys::stat::fstat(socket).unwrap().st_ino;
        let Ok(all) = all() else { return };
        let record = all.iter().find(|record| record.ino == inode(&ours)).unwrap();
        assert_eq!((record.peer, record.state), (Some(inode(&theirs)), State::Connected));
    }
}
