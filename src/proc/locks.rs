//! Locks on files, /proc/locks, and who holds them: `lock_get_status` in fs/locks.c.
//!
//! flock(2) and F_OFD_SETLK lock for an open file description, which children inherit and sockets carry: the
//! pid in /proc/locks is that of who took the lock, if it still lives, or none. Who holds it has a descriptor
//! whose /proc/PID/fdinfo says so.

use super::holders::FileId;
use super::processes::{self, Clock, INIT, directory, leaves_out, number, pids, share};
use crate::model::{End, Gap, Grade, Hold, How, LockKind, Range, Reason, Resource, Role};
use crate::sys::file;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fstatat};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// A lock that is held or waited for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Lock {
    pub kind: LockKind,
    /// Against all others, as to write; else only against those.
    pub exclusive: bool,
    /// The file. Its device is that of the file system, which on some (btrfs, overlayfs) is another than stat(2)
    /// gives, until a holder was found.
    pub file: Resource,
    /// Who took it or waits for it; `None` for an OFD lock, and where that process has ended or is not in the
    /// PID namespace of /proc.
    pub pid: Option<i32>,
    pub range: Range,
    /// Of one that is waited for, the lock in the same list that it waits behind, which may itself wait.
    pub waits_for: Option<usize>,
}

/// All locks of the PID namespace of /proc. Errors: those of open(2) and read(2).
pub fn all() -> Result<Vec<Lock>, Reason> {
    let bytes = std::fs::read("/proc/locks");
    let bytes = bytes.map_err(|error| Reason { call: "open", errno: file::errno(&error) as i32 })?;
    Ok(parse(&bytes))
}

/// Lines that are no lock are passed over, and with them those that wait behind them: nobody could say for what.
pub(super) fn parse(bytes: &[u8]) -> Vec<Lock> {
    let mut locks: Vec<Lock> = Vec::new();
    // The lock of each level whose waiters may follow.
    let mut above: Vec<usize> = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let Some(line) = Line::parse(line) else {
            above.clear();
            continue;
        };
        above.truncate(line.level);
        let parent = above.last().copied();
        // Who waits until a lease ends has no file yet that the line could name.
        let file = line.file.or_else(|| parent.and_then(|parent| locks.get(parent)).map(|lock| lock.file));
        let Some(file) = file.filter(|_| above.len() == line.level) else {
            above.clear();
            continue;
        };
        above.push(locks.len());
        locks.push(Lock { file, waits_for: parent, ..line.lock });
    }
    locks
}

/// One line of /proc/locks, or of fdinfo behind `lock:`.
struct Line {
    /// 0 of a lock that is held, 1 of one that waits behind it, 2 of one that waits behind that.
    level: usize,
    file: Option<Resource>,
    lock: Lock,
}

impl Line {
    fn parse(line: &[u8]) -> Option<Line> {
        let line = std::str::from_utf8(line).ok()?;
        let (id, rest) = line.split_once(':')?;
        id.trim_start().parse::<u64>().ok()?;
        let mut rest = rest.strip_prefix(' ')?;
        let mut level = 0;
        // One arrow, which stands further to the right the deeper it is.
        while let Some((before, behind)) = rest.split_once("->").filter(|(before, _)| before.trim().is_empty()) {
            level += 1 + before.len();
            rest = behind.strip_prefix(' ')?;
        }
        let mut words = rest.split_ascii_whitespace();
        let kind = match words.next()? {
            "FLOCK" => LockKind::Flock,
            "POSIX" => LockKind::Posix,
            "OFDLCK" => LockKind::Ofd,
            "LEASE" | "DELEG" => LockKind::Lease,
            _ => return None,
        };
        // ADVISORY, MANDATORY, ACTIVE, BREAKING, BREAKER.
        words.next()?;
        let exclusive = match words.next()? {
            "WRITE" | "RW" => true,
            "READ" | "UNLCK" | "NONE" => false,
            _ => return None,
        };
        let pid: i32 = words.next()?.parse().ok()?;
        let place = words.next()?;
        let file = if place.starts_with("<none>") { None } else { Some(inode(place)?) };
        let start = words.next()?.parse().ok()?;
        let end = match words.next()? {
            "EOF" => None,
            end => Some(end.parse().ok()?),
        };
        let lock = Lock {
            kind,
            exclusive,
            file: file.unwrap_or(Resource::File { dev: 0, ino: 0 }),
            pid: (pid > 0).then_some(pid),
            range: Range { start, end },
            waits_for: None,
        };
        Some(Line { level, file, lock })
    }
}

/// `MAJOR:MINOR:INODE`, of which the first two are hexadecimal.
fn inode(text: &str) -> Option<Resource> {
    let mut parts = text.split(':');
    let major = u64::from_str_radix(parts.next()?, 16).ok()?;
    let minor = u64::from_str_radix(parts.next()?, 16).ok()?;
    let ino = parts.next()?.parse().ok()?;
    let file = Resource::File { dev: nix::sys::stat::makedev(major, minor), ino };
    parts.next().is_none().then_some(file)
}

/// The locks among the lines of /proc/PID/fdinfo/N: those of that open file, `show_fd_locks` in fs/locks.c.
pub(super) fn of_fdinfo(bytes: &[u8]) -> impl Iterator<Item = Lock> {
    let lines = bytes.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"lock:"));
    lines
        .filter_map(|line| Line::parse(line.trim_ascii_start()))
        .filter(|line| line.file.is_some())
        .map(|line| line.lock)
}

/// Which processes hold the locks of a list, by the descriptors through which they do. The files of the list
/// become those that stat(2) gives, by which descriptors are known.
///
/// A process whose descriptors may not be seen is taken to hold what the list says that it took. That such
/// processes may hold more is a gap.
pub fn holders(locks: &mut [Lock]) -> (Vec<Hold>, Vec<Gap>) {
    if locks.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let pids = match pids() {
        Ok(pids) => pids,
        Err(errno) => return (Vec::new(), vec![gap("holders of locks".to_owned(), errno, "could not look at /proc")]),
    };
    let clock = Clock::now();
    let inodes: HashSet<u64> = locks.iter().filter_map(|lock| ino(lock.file)).collect();
    let (mut holders, mut hidden) = (Vec::new(), HashSet::new());
    for part in share(&pids, Part::default, |part: &mut Part, pid| part.look(pid, &inodes, clock)) {
        holders.extend(part.holders);
        hidden.extend(part.hidden);
    }
    let real: HashMap<Resource, Resource> = holders.iter().map(|holder| (holder.lock.file, holder.file)).collect();
    let known = |file: Resource| real.get(&file).copied().unwrap_or(file);
    let seen: HashSet<&Lock> = holders.iter().map(|holder| &holder.lock).collect();
    let unseen = locks.iter().filter(|lock| lock.waits_for.is_none() && !seen.contains(lock));
    let taken: Vec<Holder> = unseen.filter_map(|lock| taker(lock, known(lock.file), &hidden, clock)).collect();
    holders.extend(taken);
    holders.sort_by_key(|holder| (holder.end.pid, holder.end.fd, holder.file, holder.lock.range));
    for lock in locks {
        lock.file = known(lock.file);
    }
    let note = "they belong to others; what they have locked is known only as far as /proc/locks names them";
    let unseen = hidden.iter().filter(|pid| **pid != INIT).count();
    let who = processes::hidden(unseen, !leaves_out(&pids));
    let gaps = who.map(|who| gap(format!("locks of {who}"), Errno::EACCES, note)).into_iter().collect();
    (holders.into_iter().map(Holder::hold).collect(), gaps)
}

/// A process that holds a lock.
struct Holder {
    /// With the file as the kernel's list has it.
    lock: Lock,
    /// The file as stat(2) has it.
    file: Resource,
    grade: Grade,
    end: End,
}

impl Holder {
    fn hold(self) -> Hold {
        let Lock { kind: lock, exclusive, range, .. } = self.lock;
        let how = How::Lock { lock, exclusive, range };
        Hold { resource: self.file, how, grade: self.grade, end: Arc::new(self.end) }
    }
}

/// Who took a lock, if it lives and what it has open may not be seen.
fn taker(lock: &Lock, file: Resource, hidden: &HashSet<i32>, clock: Clock) -> Option<Holder> {
    let pid = lock.pid.filter(|pid| hidden.contains(pid))?;
    // A process cannot hand on what is locked for it alone.
    let grade = if lock.kind == LockKind::Posix { Grade::Exact } else { Grade::Strong };
    let (command, started) = clock.process(pid)?;
    let end = End { pid, started, command, fd: None, role: Role::Holder };
    Some(Holder { lock: lock.clone(), file, grade, end })
}

fn gap(subject: String, errno: Errno, note: &str) -> Gap {
    let reason = Reason { call: "open", errno: errno as i32 };
    Gap { subject, field: None, reason, note: Some(note.to_owned()) }
}

fn ino(file: Resource) -> Option<u64> {
    match file {
        Resource::File { ino, .. } => Some(ino),
        _ => None,
    }
}

/// What one thread has seen.
#[derive(Default)]
struct Part {
    holders: Vec<Holder>,
    /// Processes whose descriptors we may not see.
    hidden: Vec<i32>,
}

impl Part {
    fn look(&mut self, pid: i32, inodes: &HashSet<u64>, clock: Clock) {
        let found = directory(pid).and_then(|process| self.descriptors(pid, &process, inodes, clock));
        if matches!(found, Err(Errno::EACCES | Errno::EPERM)) {
            self.hidden.push(pid);
        }
    }

    /// Looks at those descriptors of a process whose inode has the number of a locked one: its fdinfo tells.
    fn descriptors(&mut self, pid: i32, process: &OwnedFd, inodes: &HashSet<u64>, clock: Clock) -> nix::Result<()> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let descriptors = openat(process, "fd", flags, Mode::empty())?;
        let entries = Dir::from_fd(descriptors.try_clone().map_err(|error| file::errno(&error))?)?;
        let mut who = None;
        for entry in entries.into_iter().map_while(Result::ok) {
            let name = entry.file_name();
            let Some(fd) = number(name) else { continue };
            let stat = match fstatat(&descriptors, name, AtFlags::empty()) {
                Ok(stat) => stat,
                // The names may be seen, and not what they lead to, proc_pid_fd(5).
                Err(errno @ (Errno::EACCES | Errno::EPERM)) => return Err(errno),
                // A descriptor that was closed meanwhile is none.
                Err(_) => continue,
            };
            if !inodes.contains(&stat.st_ino) {
                continue;
            }
            let id = FileId::of(&stat);
            let Some(text) = read(process, &format!("fdinfo/{fd}"))? else { continue };
            for lock in of_fdinfo(&text) {
                if who.is_none() {
                    who = read(process, "stat")?.and_then(|stat| clock.read(&stat));
                }
                let Some((command, started)) = who.clone() else { return Ok(()) };
                let end = End { pid, started, command, fd: Some(fd), role: Role::Holder };
                let file = Resource::File { dev: id.dev, ino: id.ino };
                self.holders.push(Holder { lock, file, grade: Grade::Exact, end });
            }
        }
        Ok(())
    }
}

/// A file of a process; `None` if it is gone. EACCES where it may not be read.
fn read(process: &OwnedFd, name: &str) -> nix::Result<Option<Vec<u8>>> {
    let opened = match openat(process, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()) {
        Ok(opened) => opened,
        Err(errno @ (Errno::EACCES | Errno::EPERM)) => return Err(errno),
        Err(_) => return Ok(None),
    };
    let mut bytes = Vec::new();
    Ok(File::from(opened).read_to_end(&mut bytes).ok().map(|_| bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{FcntlArg, fcntl};
    use std::os::unix::fs::MetadataExt as _;
    use std::process::{Command, Stdio};

    fn file(major: u64, minor: u64, ino: u64) -> Resource {
        Resource::File { dev: nix::sys::stat::makedev(major, minor), ino }
    }

    #[test]
    fn every_form_of_line_is_read() {
        let text = b"1: POSIX  ADVISORY  READ  1009 fe:10:18446744073709551615 100 9223372036854775806\n\
            1: -> POSIX  ADVISORY  WRITE 1010 fe:10:18446744073709551615 0 EOF\n\
            1:  -> POSIX  ADVISORY  WRITE 1011 fe:10:18446744073709551615 5 6\n\
            1: -> POSIX  MANDATORY READ 1012 fe:10:18446744073709551615 7 8\n\
            1: -> -> POSIX  ADVISORY  READ 1013 fe:10:18446744073709551615 7 8\n\
            2: OFDLCK ADVISORY  READ  -1 00:1a:7 0 0\n\
            3: FLOCK  ADVISORY  WRITE 0 00:1a:8 0 EOF\n\
            4: LEASE  BREAKING  UNLCK 5 00:1a:9 0 EOF\n\
            4: -> LEASE  BREAKER   READ  6 <none>:0 0 EOF\n\
            5: DELEG  ACTIVE    READ  7 00:1a:10 0 EOF\n";
        let locks = parse(text);
        let lock = |kind, exclusive, file, pid, start, end, waits_for| Lock {
            kind,
            exclusive,
            file,
            pid,
            range: Range { start, end },
            waits_for,
        };
        let first = file(0xfe, 0x10, u64::MAX);
        let expected = [
            lock(LockKind::Posix, false, first, Some(1009), 100, Some(9_223_372_036_854_775_806), None),
            lock(LockKind::Posix, true, first, Some(1010), 0, None, Some(0)),
            lock(LockKind::Posix, true, first, Some(1011), 5, Some(6), Some(1)),
            lock(LockKind::Posix, false, first, Some(1012), 7, Some(8), Some(0)),
            lock(LockKind::Posix, false, first, Some(1013), 7, Some(8), Some(3)),
            lock(LockKind::Ofd, false, file(0, 0x1a, 7), None, 0, Some(0), None),
            lock(LockKind::Flock, true, file(0, 0x1a, 8), None, 0, None, None),
            lock(LockKind::Lease, false, file(0, 0x1a, 9), Some(5), 0, None, None),
            lock(LockKind::Lease, false, file(0, 0x1a, 9), Some(6), 0, None, Some(7)),
            lock(LockKind::Lease, false, file(0, 0x1a, 10), Some(7), 0, None, None),
        ];
        assert_eq!(locks, expected);
    }

    #[test]
    fn an_odd_line_is_no_lock_and_nobody_waits_for_a_wrong_one() {
        const GOOD: &str = "1: FLOCK  ADVISORY  WRITE 9 00:1a:8 0 EOF";
        for odd in [
            "",
            ":",
            "1:",
            "x: FLOCK  ADVISORY  WRITE 9 00:1a:8 0 EOF",
            "1:FLOCK  ADVISORY  WRITE 9 00:1a:8 0 EOF",
            "1: ACCESS ADVISORY  WRITE 9 00:1a:8 0 EOF",
            "1: UNKNOWN UNKNOWN  WRITE 9 00:1a:8 0 EOF",
            "1: FLOCK  ADVISORY  OTHER 9 00:1a:8 0 EOF",
            "1: FLOCK  ADVISORY  WRITE x 00:1a:8 0 EOF",
            "1: FLOCK  ADVISORY  WRITE 99999999999 00:1a:8 0 EOF",
            "1: FLOCK  ADVISORY  WRITE 9 00:1a 0 EOF",
            "1: FLOCK  ADVISORY  WRITE 9 00:1a:8:1 0 EOF",
            "1: FLOCK  ADVISORY  WRITE 9 zz:1a:8 0 EOF",
            "1: FLOCK  ADVISORY  WRITE 9 00:1a:18446744073709551616 0 EOF",
            "1: FLOCK  ADVISORY  WRITE 9 00:1a:8 -1 EOF",
            "1: FLOCK  ADVISORY  WRITE 9 00:1a:8 0",
            "1: FLOCK  ADVISORY  WRITE 9 <none>:0 0 EOF",
            "1: ->FLOCK  ADVISORY  WRITE 9 00:1a:8 0 EOF",
            "1: -> -> -> -> ->",
        ] {
            // The waiter behind it is dropped with it, except behind what is no line at all.
            let text = format!("{GOOD}\n{odd}\n1: -> FLOCK  ADVISORY  WRITE 10 00:1a:8 0 EOF\n{GOOD}\n");
            let expected = if odd.is_empty() { 3 } else { 2 };
            assert_eq!(parse(text.as_bytes()).len(), expected, "{odd}");
        }
        assert_eq!(parse(b"1: -> FLOCK  ADVISORY  WRITE 10 00:1a:8 0 EOF\n"), []);
        assert_eq!(parse(b"1: \xff\n\n\0"), []);
        // Deeper by two than what it follows.
        let text = format!("{GOOD}\n1:  -> FLOCK  ADVISORY  WRITE 10 00:1a:8 0 EOF");
        assert_eq!(parse(text.as_bytes()).len(), 1);
        let whole = format!("{GOOD}\n1: -> FLOCK  ADVISORY  WRITE 10 00:1a:8 0 EOF\n");
        for length in 0..whole.len() {
            parse(&whole.as_bytes()[..length]);
        }
    }

    fn range(start: i64, length: i64) -> libc::flock {
        libc::flock {
            l_type: i16::try_from(libc::F_WRLCK).unwrap(),
            l_whence: i16::try_from(libc::SEEK_SET).unwrap(),
            l_start: start,
            l_len: length,
            l_pid: 0,
        }
    }

    /// The holds of a file among those of all locks, which are listed with its own.
    fn look(id: Resource) -> (Vec<Lock>, Vec<Hold>) {
        let mut locks = all().unwrap();
        let (mut holds, _) = holders(&mut locks);
        holds.retain(|hold| hold.resource == id);
        locks.retain(|lock| lock.file == id);
        locks.sort_by_key(|lock| (lock.waits_for, lock.range));
        (locks, holds)
    }

    fn id(file: &File) -> Resource {
        let metadata = file.metadata().unwrap();
        Resource::File { dev: metadata.dev(), ino: metadata.ino() }
    }

    fn me() -> i32 {
        nix::unistd::getpid().as_raw()
    }

    fn ends(holds: &[Hold]) -> Vec<(How, Grade, i32, Option<i32>)> {
        holds.iter().map(|hold| (hold.how, hold.grade, hold.end.pid, hold.end.fd)).collect()
    }

    #[test]
    fn our_own_locks_are_found_with_their_descriptors() {
        use std::os::fd::AsRawFd as _;
        let (posix, ofd, free) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap(), tempfile::tempfile());
        fcntl(&posix, FcntlArg::F_SETLK(&range(10, 5))).unwrap();
        fcntl(&posix, FcntlArg::F_SETLK(&range(100, 0))).unwrap();
        fcntl(&ofd, FcntlArg::F_OFD_SETLK(&range(0, 1))).unwrap();
        let (locks, holds) = look(id(&posix));
        let parts: Vec<_> = locks.iter().map(|lock| (lock.kind, lock.pid, lock.range)).collect();
        let part = |start, end| (LockKind::Posix, Some(me()), Range { start, end });
        assert_eq!(parts, [part(10, Some(14)), part(100, None)]);
        let how = |lock, start, end| How::Lock { lock, exclusive: true, range: Range { start, end } };
        let held = |start, end| (how(LockKind::Posix, start, end), Grade::Exact, me(), Some(posix.as_raw_fd()));
        assert_eq!(ends(&holds), [held(10, Some(14)), held(100, None)]);
        let (locks, mut holds) = look(id(&ofd));
        // What other tests start has all of our descriptors until it is executed.
        holds.retain(|hold| hold.end.pid == me());
        assert_eq!((locks.len(), locks[0].pid), (1, None));
        assert_eq!(ends(&holds), [(how(LockKind::Ofd, 0, Some(0)), Grade::Exact, me(), Some(ofd.as_raw_fd()))]);
        assert_eq!((holds[0].end.role, holds[0].end.started > 0), (Role::Holder, true));
        assert_eq!(look(id(&free.unwrap())), (Vec::new(), Vec::new()));
    }

    /// A command that ends with the test.
    struct Running(std::process::Child);

    impl Drop for Running {
        fn drop(&mut self) {
            drop(self.0.kill());
            drop(self.0.wait());
        }
    }

    #[test]
    fn a_lock_that_a_child_has_inherited_is_held_by_the_child_and_others_wait_behind_it() {
        let named = tempfile::NamedTempFile::new().unwrap();
        let file = named.reopen().unwrap();
        let id = id(&file);
        file.try_lock().unwrap();
        // The child has it as its standard input, of which it reads nothing; we have it no more.
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo; exec sleep 1000"]).stdin(Stdio::from(file)).stdout(Stdio::piped());
        let mut child = Running(shell.spawn().unwrap());
        drop(shell);
        child.0.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let pid = i32::try_from(child.0.id()).unwrap();
        let wait = || {
            let file = named.reopen().unwrap();
            std::thread::spawn(move || file.lock().unwrap())
        };
        let waiters = [wait(), wait()];
        // The waiters need a moment, and what other tests start has all of our descriptors until it is executed.
        let how = How::Lock { lock: LockKind::Flock, exclusive: true, range: Range::ALL };
        let expected = [(how, Grade::Exact, pid, Some(0))];
        let given_up = std::time::Instant::now() + std::time::Duration::from_secs(20);
        let locks = loop {
            let (locks, holds) = look(id);
            if locks.len() == 3 && ends(&holds) == expected {
                break locks;
            }
            assert!(std::time::Instant::now() < given_up, "{locks:?} {holds:?}");
            std::thread::yield_now();
        };
        // The kernel still names us, who took it.
        assert!(locks.iter().all(|lock| (lock.pid, lock.exclusive) == (Some(me()), true)));
        // The second waits behind the first, and the kernel lists it there.
        let (first, second) = (locks[1].waits_for.unwrap(), locks[2].waits_for.unwrap());
        assert_eq!((locks[0].waits_for, second), (None, first + 1));
        drop(child);
        for waiter in waiters {
            waiter.join().unwrap();
        }
    }
}
