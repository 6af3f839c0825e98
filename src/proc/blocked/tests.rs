//! Threads and children of this process are blocked in every way that can be staged, and looked at.

use super::*;
use crate::model::{Change, Futex, Kind, LockKind, Memory, Owner, Polled, Range, SemOp, Signal, SignalSet};
use crate::sys::staged::{self, Shared};
use nix::fcntl::{FcntlArg, Flock, FlockArg, OFlag, fcntl, open};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;
use nix::sys::signal::kill;
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{Pid, gettid, mkfifo};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

fn me() -> i32 {
    nix::unistd::getpid().as_raw()
}

/// Starts a thread that does something that blocks; its number.
fn start<T>(blocks: impl FnOnce() -> T + Send + 'static) -> (i32, JoinHandle<()>) {
    let (tell, told) = mpsc::channel();
    let thread = spawn(move || {
        tell.send(gettid().as_raw()).unwrap();
        drop(blocks());
    });
    (told.recv().unwrap(), thread)
}

/// Waits until a thread of a process is seen in one of these calls.
fn until(pid: i32, tid: i32, calls: &[&str]) -> Blocked {
    loop {
        let part = Walk::start().over(&[pid]);
        assert_eq!(part.failed, []);
        let blocking = Blocking::new(part.found, Vec::new());
        let seen = blocking.of_process(pid).iter().find(|seen| seen.task.tid == tid && calls.contains(&seen.call));
        if let Some(seen) = seen {
            return seen.clone();
        }
        std::thread::yield_now();
    }
}

/// What a thread waits for in one of these calls; then it is let go.
fn look<T, U>(calls: &[&str], blocks: impl FnOnce() -> T + Send + 'static, let_go: impl FnOnce(i32) -> U) -> Blocked {
    let (tid, thread) = start(blocks);
    let seen = until(me(), tid, calls);
    drop(let_go(tid));
    thread.join().unwrap();
    seen
}

fn file(fd: impl AsFd) -> Resource {
    let stat = fstat(fd).unwrap();
    Resource::File { dev: stat.st_dev, ino: stat.st_ino }
}

fn namespace() -> u64 {
    nix::sys::stat::stat("/proc/self/ns/ipc").unwrap().st_ino
}

#[test]
fn a_reader_of_a_pipe_is_seen_with_all_that_is_known_of_it() {
    let (read, write) = nix::unistd::pipe().unwrap();
    let (fd, pipe) = (read.as_raw_fd(), file(&read));
    let (tid, thread) = start(move || nix::unistd::read(&read, &mut [0; 1]));
    let seen = until(me(), tid, &["read"]);
    assert_eq!(seen.awaits, Awaits::Read { fd, file: pipe });
    assert_eq!((seen.timeout, seen.stopped, seen.namespace), (None, false, namespace()));
    let (command, started) = Clock::now().process(me()).unwrap();
    assert_eq!(seen.task, Task { pid: me(), tid, started, command });
    assert_eq!(seen.since.is_some(), std::path::Path::new("/proc/self/sched").exists());
    let everywhere = all();
    let found: Vec<i32> = everywhere.on(pipe).map(|blocked| blocked.task.tid).collect();
    assert_eq!(found, [tid]);
    assert!(everywhere.tasks.is_sorted_by_key(|blocked| (blocked.task.pid, blocked.task.tid)));
    drop(write);
    thread.join().unwrap();
}

#[test]
fn a_writer_waits_for_room_for_all_its_bytes() {
    let full = || {
        let (read, write) = nix::unistd::pipe().unwrap();
        fcntl(&write, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        while nix::unistd::write(&write, &[0; 4096]).is_ok() {}
        fcntl(&write, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
        (read, write)
    };
    let (read, write) = full();
    let expected = Awaits::Write { fd: write.as_raw_fd(), file: file(&write), size: Some(5000), to: None };
    let seen = look(&["write"], move || nix::unistd::write(&write, &[0; 5000]), |_| drop(read));
    assert_eq!(seen.awaits, expected);
    let (read, write) = full();
    let expected = Awaits::Write { fd: write.as_raw_fd(), file: file(&write), size: Some(300), to: None };
    let parts = move || {
        let parts = [std::io::IoSlice::new(&[0; 100]), std::io::IoSlice::new(&[0; 200])];
        File::from(write).write_vectored(&parts)
    };
    assert_eq!(look(&["writev"], parts, |_| drop(read)).awaits, expected);
}

#[test]
fn operations_on_semaphores_are_read() {
    let set = staged::semaphores(3);
    let id = set.id;
    let undo = i16::try_from(libc::SEM_UNDO).unwrap();
    let seen = look(&["semtimedop"], move || staged::operate(id, &[(0, 0, 0), (2, -3, undo)], 1234), |_| drop(set));
    let set = Resource::Sysv { namespace: namespace(), kind: Kind::Sem, id };
    let ops = vec![SemOp { index: 0, amount: 0, undo: false }, SemOp { index: 2, amount: -3, undo: true }];
    assert_eq!(seen.awaits, Awaits::Semaphores { set, ops });
    assert_eq!(seen.timeout, Some(Timeout::After(Duration::from_secs(1234))));
}

#[test]
fn receivers_and_senders_of_queues_are_seen() {
    let queue = |id| Resource::Sysv { namespace: namespace(), kind: Kind::Msgq, id };
    let one = staged::queue();
    let id = one.id;
    let seen = look(&["msgrcv"], move || staged::receive(id, -7), |_| drop(one));
    assert_eq!(seen.awaits, Awaits::Receive { queue: queue(id), mtype: -7, except: false });
    let one = staged::queue();
    let id = one.id;
    let seen = look(&["msgsnd"], move || staged::send(id, 42), |_| drop(one));
    assert_eq!(seen.awaits, Awaits::Send { queue: queue(id), mtype: 42, size: 1000 });
}

#[test]
fn posix_queues_are_waited_for_until_a_time() {
    let queue = Arc::new(staged::posix_queue());
    let (fd, resource, ours) = (queue.as_raw_fd(), file(&*queue), Arc::clone(&queue));
    let seen = look(&["mq_timedreceive"], move || staged::mq_receive(&ours, 1 << 33), |_| staged::mq_send(&queue));
    assert_eq!(seen.awaits, Awaits::MqReceive { fd, queue: resource });
    assert_eq!(seen.timeout, Some(Timeout::At(Duration::from_secs(1 << 33))));
    staged::mq_send(&queue);
    let ours = Arc::clone(&queue);
    let seen = look(&["mq_timedsend"], move || staged::mq_send(&ours), |_| staged::mq_receive(&queue, 1 << 33));
    assert_eq!(seen.awaits, Awaits::MqSend { fd, queue: resource, size: 3 });
    assert_eq!(seen.timeout, None);
}

#[test]
fn locks_on_files_tell_their_kind() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lock");
    let open = || File::options().create(true).truncate(false).write(true).open(&path).unwrap();
    let held = Flock::lock(open(), FlockArg::LockExclusive).unwrap();
    let waits = open();
    let (fd, resource) = (waits.as_raw_fd(), file(&waits));
    let seen = look(&["flock"], move || Flock::lock(waits, FlockArg::LockShared), |_| drop(held));
    let range = Some(Range::ALL);
    assert_eq!(seen.awaits, Awaits::Lock { fd, file: resource, lock: LockKind::Flock, exclusive: false, range });

    let lock =
        |kind: i32| libc::flock { l_type: i16::try_from(kind).unwrap(), l_whence: 0, l_start: 10, l_len: 20, l_pid: 0 };
    let (holds, waits) = (open(), open());
    fcntl(&holds, FcntlArg::F_OFD_SETLK(&lock(libc::F_WRLCK))).unwrap();
    let fd = waits.as_raw_fd();
    let seen = look(&["fcntl"], move || fcntl(&waits, FcntlArg::F_OFD_SETLKW(&lock(libc::F_WRLCK))), |_| drop(holds));
    let range = Some(Range { start: 10, end: Some(29) });
    assert_eq!(seen.awaits, Awaits::Lock { fd, file: resource, lock: LockKind::Ofd, exclusive: true, range });
}

#[test]
fn each_descriptor_that_is_polled_is_seen() {
    let (read, write) = nix::unistd::pipe().unwrap();
    let event = EventFd::new().unwrap();
    let (fd, other) = (read.as_raw_fd(), event.as_raw_fd());
    let read = Arc::new(read);
    let ours = Arc::clone(&read);
    let poll = move || {
        let asked = [PollFd::new(ours.as_fd(), PollFlags::POLLIN), PollFd::new(event.as_fd(), PollFlags::POLLIN)];
        nix::poll::poll(&mut { asked }, PollTimeout::try_from(1_000_000).unwrap()).unwrap();
    };
    let seen = look(&["poll", "ppoll"], poll, |_| nix::unistd::write(&write, b"x"));
    let Awaits::Any { files, .. } = &seen.awaits else { panic!("{seen:?}") };
    let pipe = Polled { fd, file: file(&*read), read: true, write: false };
    assert_eq!(files[0], pipe);
    assert!(matches!(files[1], Polled { fd, file: Resource::Eventfd(_), read: true, .. } if fd == other));
    assert_eq!((files.len(), seen.timeout), (2, Some(Timeout::After(Duration::from_secs(1000)))));

    let (read, write) = nix::unistd::pipe().unwrap();
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    epoll.add(&read, EpollEvent::new(EpollFlags::EPOLLIN, 7)).unwrap();
    let wait = move || epoll.wait(&mut [EpollEvent::empty()], EpollTimeout::NONE);
    let seen = look(&["epoll_wait", "epoll_pwait"], wait, |_| nix::unistd::write(&write, b"x"));
    let pipe = Polled { fd: read.as_raw_fd(), file: file(&read), read: true, write: false };
    assert_eq!((seen.awaits, seen.timeout), (Awaits::Any { files: vec![pipe], more: false }, None));
}

#[test]
fn select_tells_the_sides_of_each_descriptor() {
    use nix::sys::select::{FdSet, select};
    let (ours, theirs) = UnixStream::pair().unwrap();
    let expected = Polled { fd: ours.as_raw_fd(), file: file(&ours), read: true, write: false };
    let waits = move || {
        let mut set = FdSet::new();
        set.insert(ours.as_fd());
        select(None, &mut set, None, None, None).unwrap();
    };
    let seen = look(&["select", "pselect"], waits, |_| drop(theirs));
    assert_eq!((seen.awaits, seen.timeout), (Awaits::Any { files: vec![expected], more: false }, None));
}

#[test]
fn one_that_opens_a_fifo_waits_for_the_other_side() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let stat = nix::sys::stat::stat(&path).unwrap();
    let (ours, theirs) = (path.clone(), path.clone());
    let opens = move || open(&ours, OFlag::O_WRONLY, Mode::empty());
    let seen = look(&["openat", "open"], opens, |_| open(&theirs, OFlag::O_RDONLY, Mode::empty()));
    let path = Text::from(path.into_os_string().into_encoded_bytes());
    let file = Resource::File { dev: stat.st_dev, ino: stat.st_ino };
    assert_eq!(seen.awaits, Awaits::Open { file, path, write: true });
}

#[test]
fn sockets_wait_for_connections_and_messages() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let expected = Awaits::Accept { fd: listener.as_raw_fd(), file: file(&listener) };
    let connect = |_| UnixStream::connect(&path).unwrap();
    let seen = look(&["accept4", "accept"], move || listener.accept(), connect);
    assert_eq!(seen.awaits, expected);
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let expected = Awaits::Read { fd: ours.as_raw_fd(), file: file(&ours) };
    let seen = look(&["read", "recvfrom"], move || ours.read(&mut [0]), |_| drop(theirs));
    assert_eq!(seen.awaits, expected);
}

#[test]
fn eventfds_are_told_apart_by_their_number() {
    let (event, other) = (Arc::new(EventFd::new().unwrap()), EventFd::new().unwrap());
    let (fd, ours) = (event.as_raw_fd(), Arc::clone(&event));
    let seen = look(&["read"], move || ours.read(), |_| event.write(1));
    let Awaits::Read { fd: read, file: Resource::Eventfd(id) } = seen.awaits else { panic!("{seen:?}") };
    assert_eq!(read, fd);
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", other.as_raw_fd())).unwrap();
    assert!(!info.contains(&format!("eventfd-id: {id}\n")), "{info}");
}

#[test]
fn signals_and_time_are_waited_for() {
    use nix::sys::signal::{SigSet, Signal as Number};
    let mut set = SigSet::empty();
    set.add(Number::SIGUSR1);
    let wait = move || {
        set.thread_block().unwrap();
        set.wait().unwrap();
    };
    let seen = look(&["sigtimedwait"], wait, |tid| staged::signal(tid, libc::SIGUSR1));
    let mut expected = SignalSet(0);
    expected.insert(Signal(libc::SIGUSR1));
    assert_eq!(seen.awaits, Awaits::Signal { set: Some(expected) });

    let (tell, told) = mpsc::channel::<()>();
    let sleep = move || {
        while told.try_recv() == Err(mpsc::TryRecvError::Empty) {
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let seen = look(&["clock_nanosleep", "nanosleep"], sleep, |_| drop(tell));
    assert_eq!((seen.awaits, seen.timeout), (Awaits::Sleep, Some(Timeout::After(Duration::from_millis(100)))));
}

/// A child that reads what it is given.
struct Cat(std::process::Child);

impl Cat {
    fn new() -> Cat {
        Cat(Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }
}

impl Drop for Cat {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_parent_waits_for_its_child() {
    let mut cat = Cat::new();
    let (pid, input) = (cat.pid(), cat.0.stdin.take());
    let seen = look(&["wait4", "waitid"], move || cat.0.wait(), |_| drop(input));
    assert_eq!(seen.awaits, Awaits::Child { pid, change: Change::End });
    assert_eq!(seen.awaits.resources(), [Resource::Process(pid)]);
}

#[test]
fn one_that_is_stopped_is_still_in_its_call() {
    let cat = Cat::new();
    let pid = cat.pid();
    let Awaits::Read { fd: 0, file: input } = until(pid, pid, &["read"]).awaits else { panic!() };
    assert_eq!(input, file(cat.0.stdin.as_ref().unwrap()));
    kill(Pid::from_raw(pid), nix::sys::signal::SIGSTOP).unwrap();
    let seen = loop {
        let seen = until(pid, pid, &["read"]);
        if seen.stopped {
            break seen;
        }
    };
    assert_eq!(seen.awaits, Awaits::Read { fd: 0, file: input });
}

#[test]
fn a_call_that_goes_on_after_a_stop_keeps_its_name() {
    let sleep = Command::new("sleep").arg("1234").spawn().unwrap();
    let sleep = Cat(sleep);
    let pid = sleep.pid();
    let expected = until(pid, pid, &["clock_nanosleep", "nanosleep"]);
    kill(Pid::from_raw(pid), nix::sys::signal::SIGSTOP).unwrap();
    while !until(pid, pid, &[expected.call]).stopped {}
    kill(Pid::from_raw(pid), nix::sys::signal::SIGCONT).unwrap();
    let number = format!("{} ", libc::SYS_restart_syscall);
    while !std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap().starts_with(&number) {
        std::thread::yield_now();
    }
    let seen = until(pid, pid, &[expected.call]);
    assert_eq!((seen.awaits, seen.timeout), (Awaits::Sleep, Some(Timeout::After(Duration::from_secs(1234)))));
}

#[test]
fn a_process_that_is_not_there_is_told_by_its_errno() {
    let part = Walk::start().over(&[i32::MAX]);
    assert!(part.found.is_empty());
    assert_eq!(part.failed, [(i32::MAX, Errno::ESRCH)]);
}

/// The word at an offset of a page.
fn word(shared: &Shared, offset: u64) -> Resource {
    let stat = fstat(&shared.file).unwrap();
    Resource::Word { memory: Memory::File { dev: stat.st_dev, ino: stat.st_ino }, offset }
}

fn futex(seen: &Blocked) -> (Option<Resource>, Futex) {
    let Awaits::Futex { word, what } = seen.awaits else { panic!("{seen:?}") };
    (word, what)
}

/// Where musl has the lock within a mutex.
const LOCK: u64 = if cfg!(target_env = "musl") { 4 } else { 0 };

#[test]
fn a_mutex_in_shared_memory_tells_who_holds_it() {
    for (offset, is_robust, inherits) in [(0, false, false), (64, true, false), (128, false, true), (192, true, true)] {
        let shared = Arc::new(Shared::new());
        shared.mutex(offset, is_robust, inherits);
        shared.lock(offset);
        let ours = Arc::clone(&shared);
        let waits = move || {
            ours.lock(offset);
            ours.unlock(offset);
        };
        let seen = look(&["futex"], waits, |_| shared.unlock(offset));
        // One of musl that is neither robust nor inherits a priority does not know its owner.
        let knows = cfg!(target_env = "gnu") || is_robust || inherits;
        let owner = knows.then_some(Owner { tid: gettid().as_raw(), pid: Some(me()), checked: inherits });
        let at = Some(word(&shared, offset as u64 + LOCK));
        assert_eq!(futex(&seen), (at, Futex::Mutex { owner, robust: is_robust }));
    }
}

#[test]
#[cfg(target_env = "gnu")]
fn an_owner_that_has_ended_or_does_not_map_the_memory_is_none() {
    let shared = Arc::new(Shared::new());
    shared.mutex(0, false, false);
    let ours = Arc::clone(&shared);
    let (dead, thread) = start(move || ours.lock(0));
    thread.join().unwrap();
    let ours = Arc::clone(&shared);
    // The new mutex lets it go on; it is not held.
    let seen = look(&["futex"], move || ours.lock(0), |_| shared.abandon(0));
    let owner = Some(Owner { tid: dead, pid: None, checked: false });
    assert_eq!(futex(&seen), (Some(word(&shared, 0)), Futex::Mutex { owner, robust: false }));
}

#[test]
fn a_semaphore_in_shared_memory_tells_its_waiters() {
    let shared = Arc::new(Shared::new());
    shared.semaphore(64);
    let ours = Arc::clone(&shared);
    let seen = look(&["futex"], move || ours.wait(64), |_| shared.post(64));
    assert_eq!(futex(&seen), (Some(word(&shared, 64)), Futex::Semaphore { value: 0, waiters: 1 }));
}

#[test]
fn a_lock_of_readers_and_writers_tells_who_writes() {
    // The lock begins with the page, and there need not be one before.
    let shared = Arc::new(Shared::new());
    shared.rwlock(0);
    let knows = |owner| cfg!(target_env = "gnu").then_some(owner);
    shared.lock_to_write(0);
    let ours = Arc::clone(&shared);
    let reads = move || {
        ours.lock_to_read(0);
        ours.unlock_rwlock(0);
    };
    let seen = look(&["futex"], reads, |_| shared.unlock_rwlock(0));
    let writer = knows(Owner { tid: gettid().as_raw(), pid: Some(me()), checked: false });
    assert_eq!(futex(&seen).1, Futex::Rwlock { writer });
    shared.lock_to_read(0);
    let ours = Arc::clone(&shared);
    let writes = move || {
        ours.lock_to_write(0);
        ours.unlock_rwlock(0);
    };
    let seen = look(&["futex"], writes, |_| shared.unlock_rwlock(0));
    assert_eq!(futex(&seen).1, Futex::Rwlock { writer: None });
    assert_eq!(futex(&seen).0.map(Resource::object), Some(file(&shared.file)));
}

#[test]
fn a_condition_in_shared_memory_is_known() {
    let shared = Arc::new(Shared::new());
    shared.mutex(0, false, false);
    shared.condition(64);
    let ours = Arc::clone(&shared);
    let seen = look(&["futex"], move || ours.wait_for(64, 0), |_| shared.announce(64));
    let (Some(Resource::Word { offset, .. }), what) = futex(&seen) else { panic!("{seen:?}") };
    assert!((64..112).contains(&offset));
    assert_eq!(what, Futex::Condition);
}

#[test]
#[cfg(target_env = "gnu")]
fn a_barrier_in_shared_memory_is_known() {
    let shared = Arc::new(Shared::new());
    shared.barrier(64);
    let ours = Arc::clone(&shared);
    let seen = look(&["futex"], move || ours.meet(64), |_| shared.meet(64));
    assert_eq!(futex(&seen), (Some(word(&shared, 68)), Futex::Barrier));
}

#[test]
fn a_word_of_nobody_that_we_know_is_unknown() {
    let shared = Arc::new(Shared::new());
    let ours = Arc::clone(&shared);
    let seen = look(&["futex"], move || ours.wait_raw(128), |_| shared.wake_raw(128));
    assert_eq!(futex(&seen), (Some(word(&shared, 128)), Futex::Unknown));
    // A mutex of Rust is private to its process.
    let mutex = Arc::new(std::sync::Mutex::new(()));
    let (ours, guard) = (Arc::clone(&mutex), mutex.lock());
    let seen = look(&["futex"], move || drop(ours.lock()), |_| drop(guard));
    assert_eq!(futex(&seen), (None, Futex::Unknown));
}

#[test]
fn the_state_of_a_thread_is_read_behind_its_name() {
    let text =
        b"7 (a) R 1 (b) S 1 7 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 99 1 2 3 4 5 6 7 8 9 0 0 0 0 0 0 17 5 0 0\n";
    assert_eq!(Stat::parse(text), Some(Stat { state: b'S', is_of_kernel: false, processor: 5 }));
    let kernel = std::str::from_utf8(text).unwrap().replace("4194304", "69238880");
    assert!(Stat::parse(kernel.as_bytes()).unwrap().is_of_kernel);
    for odd in [&b""[..], b"7 (a", b"7 (a) S", b"7 (a) S 1 7 7 0 -1 x", b"7 (a) S 1 7 7 0 -1 4194304 1 2"] {
        assert_eq!(Stat::parse(odd), None);
    }
}

#[test]
fn low_pointers_are_a_sign_of_32_bits() {
    assert!(is_low(b"117 0x1 0x8000 0x1 0x0 0xffd0 0x0 0xffabcdef 0x8049012\n"));
    for high in
        ["232 0x1 0x0 0x0 0x0 0x0 0x0 0x7ffd00000000 0x8049012\n", "running\n", "", "-1 0xffffffff\n", "0 x y\n"]
    {
        assert!(!is_low(high.as_bytes()), "{high}");
    }
    let ours = Target::open(me()).unwrap();
    assert!(!ours.is_32_bit());
}

#[test]
fn threads_of_the_kernel_wait_for_nothing() {
    // kthreadd, where this is the first PID namespace.
    if std::fs::read("/proc/2/comm").is_ok_and(|name| name == b"kthreadd\n") {
        let part = Walk::start().over(&[2]);
        assert!(part.found.is_empty() && part.failed.is_empty());
    }
}

/// A descriptor that nobody else has keeps the test of its number honest.
#[test]
fn a_closed_descriptor_says_too_little() {
    let (read, write): (OwnedFd, OwnedFd) = nix::unistd::pipe().unwrap();
    let walk = Walk::start();
    let target = Target::open(me()).unwrap();
    let thread = &target.threads()[0];
    let look = Look { walk: &walk, target: &target, thread };
    assert_eq!(look.file(read.as_raw_fd()), Some(file(&write)));
    assert_eq!(look.file(-1), None);
    let call = |nr, args| calls::awaits(&look, &Call { nr, args });
    assert_eq!(call(libc::SYS_read, [u64::MAX, 0, 0, 0, 0, 0]), None);
    assert_eq!(call(libc::SYS_semop, [1, 8, 1, 0, 0, 0]), None);
    assert_eq!(call(libc::SYS_fcntl, [0, 3, 0, 0, 0, 0]), None);
    assert_eq!(call(i64::MAX, [0; 6]), None);
    assert_eq!(
        call(libc::SYS_wait4, [0xffff_ffff, 0, 0, 0, 0, 0]),
        Some(Awaits::Child { pid: -1, change: Change::End })
    );
}

#[test]
fn the_robust_mutexes_of_a_thread_are_those_that_it_holds() {
    let shared = Arc::new(Shared::new());
    for offset in [0, 64, 128] {
        shared.mutex(offset, offset != 64, false);
    }
    let (ours, (tell, told)) = (Arc::clone(&shared), mpsc::channel());
    let (let_go, wait) = mpsc::channel::<()>();
    let (tid, thread) = start(move || {
        [0, 64, 128].into_iter().for_each(|offset| ours.lock(offset));
        tell.send(()).unwrap();
        let ended = wait.recv();
        [128, 64, 0].into_iter().for_each(|offset| ours.unlock(offset));
        ended
    });
    told.recv().unwrap();
    let robust = robust::Robust::start();
    let mut us = robust.process(me()).unwrap();
    let mut held = us.held(tid).unwrap();
    held.sort_unstable();
    assert_eq!(held, [word(&shared, LOCK), word(&shared, 128 + LOCK)]);
    drop(let_go);
    thread.join().unwrap();
    assert_eq!(us.held(gettid().as_raw()), Ok(Vec::new()));
    assert_eq!(us.held(i32::MAX), Err(Errno::ESRCH));
}

#[test]
fn a_list_of_robust_mutexes_that_leads_back_to_itself_ends_there() {
    let shared = Arc::new(Shared::new());
    let (ours, (tell, told)) = (Arc::clone(&shared), mpsc::channel());
    let (let_go, wait) = mpsc::channel::<()>();
    let (tid, thread) = start(move || {
        ours.circle(64);
        tell.send(()).unwrap();
        wait.recv()
    });
    told.recv().unwrap();
    let robust = robust::Robust::start();
    assert_eq!(robust.process(me()).unwrap().held(tid), Ok(vec![word(&shared, 128)]));
    drop(let_go);
    thread.join().unwrap();
}
