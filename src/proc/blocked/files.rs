//! Descriptors of a blocked thread, and what it waits for through them.

use super::Look;
use crate::model::{Awaits, Polled, Resource, SignalSet, SocketName};
use crate::proc::task::Blocked as Call;
use nix::sys::stat::Mode;

/// More descriptors than this are not looked at, and no longer arrays.
const MOST: usize = 1024;

/// Events of poll(2) and epoll(7), include/uapi/asm-generic/poll.h.
const READABLE: u32 = 0x1 | 0x2 | 0x40 | 0x80 | 0x2000;
const WRITABLE: u32 = 0x4 | 0x100 | 0x200;

/// What a descriptor leads to.
enum Open {
    /// Something that can be told from all others.
    Known(Resource),
    /// A descriptor that waits for signals, signalfd(2).
    Signals(SignalSet),
    /// One that waits for a time, timerfd_create(2).
    Timer,
    /// An inode that many share.
    Anonymous,
}

impl Look<'_> {
    fn open(&self, fd: i32) -> Option<Open> {
        let stat = self.target.stat(self.thread.path(&format!("fd/{fd}"))).ok()?;
        if Some(stat.st_dev) != self.walk.identities.devices.anonymous {
            return Some(Open::Known(Resource::File { dev: stat.st_dev, ino: stat.st_ino }));
        }
        Some(anonymous(&self.fdinfo(fd)?))
    }

    fn fdinfo(&self, fd: i32) -> Option<Vec<u8>> {
        self.target.read(&self.thread.path(&format!("fdinfo/{fd}"))).ok()
    }

    /// The resource behind a descriptor; `None` if it is closed or cannot be told from others.
    pub(super) fn file(&self, fd: i32) -> Option<Resource> {
        match self.open(fd)? {
            Open::Known(file) => Some(file),
            Open::Signals(_) | Open::Timer | Open::Anonymous => None,
        }
    }

    pub(super) fn read(&self, fd: i32) -> Option<Awaits> {
        Some(match self.open(fd)? {
            Open::Known(file) => Awaits::Read { fd, file },
            Open::Signals(set) => Awaits::Signal { set: Some(set) },
            Open::Timer => Awaits::Sleep,
            Open::Anonymous => return None,
        })
    }

    pub(super) fn write(&self, fd: i32, size: Option<u64>) -> Option<Awaits> {
        self.send(fd, size, None)
    }

    pub(super) fn send(&self, fd: i32, size: Option<u64>, to: Option<SocketName>) -> Option<Awaits> {
        Some(Awaits::Write { fd, file: self.file(fd)?, size, to })
    }

    /// How many bytes an array of struct iovec describes; `None` if it is longer than IOV_MAX or not there.
    pub(super) fn amount(&self, array: u64, count: u64) -> Option<u64> {
        if count > MOST as u64 {
            return None;
        }
        let parts = self.target.memory()?.array::<16>(array, count, MOST)?;
        parts.iter().try_fold(0u64, |sum, [.., a, b, c, d, e, f, g, h]| {
            sum.checked_add(u64::from_ne_bytes([*a, *b, *c, *d, *e, *f, *g, *h]))
        })
    }

    /// The same of a struct msghdr: the array stands at 16, its length at 24.
    pub(super) fn message(&self, header: u64) -> Option<u64> {
        let memory = self.target.memory()?;
        self.amount(memory.u64(header.checked_add(16)?)?, memory.u64(header.checked_add(24)?)?)
    }

    /// vmsplice(2) goes in the direction for which its pipe was opened.
    pub(super) fn vmsplice(&self, call: &Call) -> Option<Awaits> {
        let fd = call.int(0);
        // The mode of the link shows it, proc_pid_fd(5).
        let link = self.target.stat_link(&self.thread.path(&format!("fd/{fd}"))).ok()?;
        if Mode::from_bits_truncate(link.st_mode).contains(Mode::S_IWUSR) {
            return self.write(fd, self.amount(call.args[1], call.args[2]));
        }
        self.read(fd)
    }

    /// splice(2), tee(2): bytes in the one, room in the other.
    pub(super) fn moves(&self, from: i32, to: i32) -> Option<Awaits> {
        Some(any([self.polled(from, true, false), self.polled(to, false, true)]))
    }

    fn polled(&self, fd: i32, read: bool, write: bool) -> Option<Polled> {
        Some(Polled { fd, file: self.file(fd)?, read, write })
    }

    fn events(&self, fd: i32, events: u32) -> Option<Polled> {
        self.polled(fd, events & READABLE != 0, events & WRITABLE != 0)
    }

    /// An array of struct pollfd, { int fd; short events, revents; }.
    pub(super) fn poll(&self, array: u64, count: u64) -> Option<Awaits> {
        if count == 0 {
            return Some(Awaits::Any { files: Vec::new(), more: false });
        }
        let asked = self.target.memory()?.array::<8>(array, count, MOST)?;
        // A negative one is skipped by the call too.
        let asked = asked.iter().filter(|[a, b, c, d, ..]| i32::from_ne_bytes([*a, *b, *c, *d]) >= 0);
        Some(any(asked.map(|[a, b, c, d, e, f, ..]| {
            self.events(i32::from_ne_bytes([*a, *b, *c, *d]), u16::from_ne_bytes([*e, *f]).into())
        })))
    }

    /// Three sets of descriptors below `count`: to read, to write, and with something exceptional.
    pub(super) fn select(&self, count: i32, sets: [u64; 3]) -> Option<Awaits> {
        let words = usize::try_from(count).ok()?.min(MOST).div_ceil(64);
        let set = |address: u64| match address {
            0 => Some(Vec::new()),
            _ => self.target.memory()?.array::<8>(address, words as u64, words),
        };
        let [read, write, except] = [set(sets[0])?, set(sets[1])?, set(sets[2])?];
        let has = |set: &Vec<[u8; 8]>, fd: i32| {
            let word = usize::try_from(fd / 64).ok().and_then(|at| set.get(at));
            word.is_some_and(|word| u64::from_ne_bytes(*word) >> (fd % 64) & 1 == 1)
        };
        let fds = (0..count.min(1024)).filter(|fd| [&read, &write, &except].iter().any(|set| has(set, *fd)));
        Some(any(fds.map(|fd| self.polled(fd, has(&read, fd), has(&write, fd)))))
    }

    /// What an epoll descriptor watches.
    pub(super) fn epoll(&self, fd: i32) -> Option<Awaits> {
        let info = self.fdinfo(fd)?;
        Some(any(watched(&info).map(|watched| match watched.file {
            // Its number may lead to another file by now, and epoll still watches the first.
            Some((dev, ino)) if Some(dev) != self.walk.identities.devices.anonymous => Some(Polled {
                fd: watched.fd,
                file: Resource::File { dev, ino },
                read: watched.events & READABLE != 0,
                write: watched.events & WRITABLE != 0,
            }),
            _ => self.events(watched.fd, watched.events),
        })))
    }
}

fn any(files: impl IntoIterator<Item = Option<Polled>>) -> Awaits {
    let mut known = Vec::new();
    let mut more = false;
    for file in files {
        match file.filter(|_| known.len() < MOST) {
            Some(file) => known.push(file),
            None => more = true,
        }
    }
    Awaits::Any { files: known, more }
}

/// What the fdinfo of an anonymous inode says that it is.
fn anonymous(fdinfo: &[u8]) -> Open {
    let value = |key: &[u8]| {
        let line = fdinfo.split(|byte| *byte == b'\n').find(|line| line.starts_with(key))?;
        std::str::from_utf8(&line[key.len()..]).ok().map(str::trim)
    };
    if let Some(id) = value(b"eventfd-id:").and_then(|id| id.parse().ok()) {
        return Open::Known(Resource::Eventfd(id));
    }
    if let Some(mask) = value(b"sigmask:").and_then(|mask| u64::from_str_radix(mask, 16).ok()) {
        return Open::Signals(SignalSet(mask));
    }
    if value(b"ticks:").is_some() { Open::Timer } else { Open::Anonymous }
}

/// A line of the fdinfo of an epoll descriptor, proc_pid_fdinfo(5).
#[derive(PartialEq, Eq, Debug)]
struct Watched {
    fd: i32,
    events: u32,
    /// Device and inode; Linux 4.13.
    file: Option<(u64, u64)>,
}

/// `tfd: 4 events: 19 data: abcd pos:0 ino:1050 sdev:f`: the number of the descriptor in decimal, all else in
/// hexadecimal; the device as the kernel has it inside, 20 bits of minor number.
fn watched(fdinfo: &[u8]) -> impl Iterator<Item = Watched> {
    fdinfo.split(|byte| *byte == b'\n').filter_map(|line| {
        let words = std::str::from_utf8(line).ok()?.split([':', ' ']).filter(|word| !word.is_empty());
        let words: Vec<&str> = words.collect();
        let value = |key: &str| words.chunks_exact(2).find(|pair| pair[0] == key).map(|pair| pair[1]);
        let number = |key: &str| u64::from_str_radix(value(key)?, 16).ok();
        let device =
            |dev: u64| Some(libc::makedev(u32::try_from(dev >> 20).ok()?, u32::try_from(dev & 0xf_ffff).ok()?));
        Some(Watched {
            fd: value("tfd")?.parse().ok()?,
            events: u32::try_from(number("events")?).ok()?,
            file: number("sdev").and_then(device).zip(number("ino")),
        })
    })
}

/// The `Pid:` of the fdinfo of a pidfd: the process as the namespace of this /proc counts, negative if it
/// has ended.
pub(super) fn pidfd(fdinfo: &[u8]) -> Option<i32> {
    let line = fdinfo.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"Pid:"))?;
    std::str::from_utf8(line).ok()?.trim().parse().ok()
}

impl Look<'_> {
    /// The process behind a descriptor of it.
    pub(super) fn process(&self, fd: i32) -> Option<i32> {
        pidfd(&self.fdinfo(fd)?)
    }
}

#[cfg(any(test, fuzzing))]
pub(super) fn probe(fdinfo: &[u8]) {
    std::hint::black_box((anonymous(fdinfo), watched(fdinfo).count(), pidfd(fdinfo)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_epoll_watches_is_read_from_its_fdinfo() {
        let text = b"pos:\t0\nflags:\t02000002\n\
            tfd:        4 events:       19 data:             abcd  pos:0 ino:41b sdev:f\n\
            tfd:        7 events: 80000004 data: ffffffffffffffff  pos:-1 ino:2 sdev:fe00001\n\
            tfd:        9 events:        1 data:                1\n\
            tfd: x events: 1\n\xff\n";
        let all: Vec<Watched> = watched(text).collect();
        let expected = [
            Watched { fd: 4, events: 0x19, file: Some((0xf, 0x41b)) },
            Watched { fd: 7, events: 0x8000_0004, file: Some((libc::makedev(0xfe, 1), 2)) },
            Watched { fd: 9, events: 1, file: None },
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn an_anonymous_inode_is_told_by_its_fdinfo() {
        assert!(matches!(anonymous(b"pos:\t0\neventfd-count: 1f\neventfd-id: 7\n"), Open::Known(Resource::Eventfd(7))));
        assert!(matches!(anonymous(b"sigmask:\t0000000000000200\n"), Open::Signals(SignalSet(0x200))));
        assert!(matches!(anonymous(b"clockid: 1\nticks: 0\n"), Open::Timer));
        // Without its number, before Linux 5.2, one eventfd is like another.
        for odd in [&b""[..], b"eventfd-count: 1\n", b"eventfd-id: x\n", b"\xff"] {
            assert!(matches!(anonymous(odd), Open::Anonymous));
        }
        assert_eq!((pidfd(b"pos:\t0\nPid:\t42\nNSpid:\t42\n"), pidfd(b"NSpid:\t42\n")), (Some(42), None));
    }
}
