//! The system calls of the kit.
#![allow(unsafe_code)]

use super::part;
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

static IN_USER_NAMESPACE: AtomicBool = AtomicBool::new(false);

/// Whether we are only the root of a namespace of our own.
pub fn in_new_user_namespace() -> bool {
    IN_USER_NAMESPACE.load(Ordering::Relaxed)
}

/// A user namespace can be entered only while there is a single thread: before main.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = at_start;

extern "C" fn at_start() {
    if let Ok(task) = std::env::var(part::NAME) {
        part::play(&task);
        // SAFETY: nothing of this process is needed any more.
        unsafe { libc::_exit(0) };
    }
    if let Ok(uses) = std::env::var(HEADLESS) {
        end_first_thread(uses);
    }
    // A job in the background of a script ignores SIGINT, and so would all that we start.
    for number in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
        // SAFETY: the default action needs no handler.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    let most = libc::rlimit { rlim_cur: 1 << 30, rlim_max: 1 << 30 };
    // The POSIX queues of all namespaces and of all tests that run count as those of one user, also
    // for a moment after a namespace is gone. Only root may raise the limit.
    // SAFETY: `most` outlives the call.
    unsafe { libc::setrlimit(libc::RLIMIT_MSGQUEUE, &raw const most) };
    enter_user_namespace();
}

/// Holds what a process of its own is to use when its first thread ends: `set ID`, to which it gives 1, `file PATH`,
/// which it opens for reading and writing, or nothing.
pub(super) const HEADLESS: &str = "IPCX_IT_HEADLESS";

/// Ends the first thread, while another one goes on for as long as our standard input is open.
fn end_first_thread(uses: String) -> ! {
    std::thread::spawn(move || {
        let mut open = None;
        match uses.split_once(' ') {
            Some(("set", id)) => {
                let mut give = libc::sembuf { sem_num: 0, sem_op: 1, sem_flg: 0 };
                // SAFETY: the operation outlives the call.
                assert_eq!(unsafe { libc::semop(id.parse().unwrap(), &raw mut give, 1) }, 0);
            }
            Some((_, path)) => open = Some(fs::File::options().read(true).write(true).open(path).unwrap()),
            None => {}
        }
        std::io::Write::write_all(&mut std::io::stdout(), b"ready\n").unwrap();
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
        drop(open);
        // SAFETY: nothing of this process is needed any more.
        unsafe { libc::_exit(0) };
    });
    loop {
        // SAFETY: the thread that ends has nothing that others need.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
}

fn enter_user_namespace() {
    // SAFETY: these calls take and give numbers.
    unsafe {
        let (uid, gid) = (libc::geteuid(), libc::getegid());
        if uid == 0 {
            return;
        }
        if libc::unshare(libc::CLONE_NEWUSER) == 0 {
            drop(fs::write("/proc/self/setgroups", "deny"));
            drop(fs::write("/proc/self/uid_map", format!("0 {uid} 1")));
            drop(fs::write("/proc/self/gid_map", format!("0 {gid} 1")));
            IN_USER_NAMESPACE.store(true, Ordering::Relaxed);
        }
    }
}

/// Gives the calling thread IPC objects, /dev/shm and /dev/mqueue of its own.
pub(super) fn unshare() {
    // SAFETY: both flags change the calling thread alone.
    let done = unsafe { libc::unshare(libc::CLONE_NEWIPC | libc::CLONE_NEWNS) };
    assert_eq!(done, 0, "tests need namespaces of their own: {}", std::io::Error::last_os_error());
    mount("none", "/", "", libc::MS_REC | libc::MS_PRIVATE, "");
    mount("ipcx-it", "/dev/shm", "tmpfs", 0, "mode=1777,size=64m");
    if Path::new("/dev/mqueue").is_dir() {
        mount("ipcx-it", "/dev/mqueue", "mqueue", 0, "");
    }
}

/// Mounts a file system of this kind, if it can be done.
pub(super) fn try_mount(kind: &str, at: &Path) -> bool {
    let (kind, at) = (CString::new(kind).unwrap(), CString::new(at.to_str().unwrap()).unwrap());
    // SAFETY: the strings end with NUL and outlive the call; this kind takes no data.
    unsafe { libc::mount(kind.as_ptr(), at.as_ptr(), kind.as_ptr(), 0, ptr::null()) == 0 }
}

fn mount(source: &str, target: &str, kind: &str, flags: libc::c_ulong, data: &str) {
    let c = |text: &str| CString::new(text).unwrap();
    let (source, at, kind, data) = (c(source), c(target), c(kind), c(data));
    // SAFETY: all four strings end with NUL and outlive the call.
    let done = unsafe { libc::mount(source.as_ptr(), at.as_ptr(), kind.as_ptr(), flags, data.as_ptr().cast()) };
    assert_eq!(done, 0, "mount {target}: {}", std::io::Error::last_os_error());
}

/// Takes a mount away again, for tests of a machine that lacks it.
pub fn unmount(target: &str) {
    let at = CString::new(target).unwrap();
    // SAFETY: the string ends with NUL.
    let done = unsafe { libc::umount2(at.as_ptr(), libc::MNT_DETACH) };
    assert_eq!(done, 0, "umount {target}: {}", std::io::Error::last_os_error());
}

/// Makes a set as a program does that is between semget(2) and its first semop(2).
pub fn half_made_set(key: i32, count: i32) -> i32 {
    // SAFETY: semget takes three numbers.
    let id = unsafe { libc::semget(key, count, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
    assert!(id >= 0, "semget: {}", std::io::Error::last_os_error());
    id
}

/// The first operation on such a set: its first semaphore is 1.
pub fn finish_set(id: i32) {
    let mut post = libc::sembuf { sem_num: 0, sem_op: 1, sem_flg: 0 };
    // SAFETY: `post` is one operation and outlives the call.
    let done = unsafe { libc::semop(id, &raw mut post, 1) };
    assert_eq!(done, 0, "semop: {}", std::io::Error::last_os_error());
}

/// Makes a private segment; its creator is this process.
pub fn segment(size: usize) -> i32 {
    // SAFETY: shmget takes three numbers.
    let id = unsafe { libc::shmget(libc::IPC_PRIVATE, size, libc::IPC_CREAT | 0o600) };
    assert!(id >= 0, "shmget: {}", std::io::Error::last_os_error());
    id
}

/// Attaches a segment and detaches it again.
pub fn attach_once(id: i32) {
    // SAFETY: the kernel chooses the place, and nothing is read or written there.
    unsafe {
        let at = libc::shmat(id, ptr::null(), 0);
        assert!(at.addr() != usize::MAX, "shmat: {}", std::io::Error::last_os_error());
        assert_eq!(libc::shmdt(at), 0);
    }
}

/// Posts to a named semaphore as any program does, through the C library.
pub fn post_named(name: &str) {
    let name = CString::new(name).unwrap();
    // SAFETY: the name ends with NUL; the semaphore is used only between its open and its close.
    unsafe {
        let semaphore = libc::sem_open(name.as_ptr(), 0);
        assert!(semaphore != libc::SEM_FAILED, "sem_open: {}", std::io::Error::last_os_error());
        assert_eq!(libc::sem_post(semaphore), 0);
        libc::sem_close(semaphore);
    }
}

/// A memory file with this label and so many bytes.
pub fn memfd(label: &[u8], size: i64) -> OwnedFd {
    let label = CString::new(label).unwrap();
    // SAFETY: the label ends with NUL; the descriptor is new and belongs to nobody else.
    unsafe {
        let fd = libc::memfd_create(label.as_ptr(), 0);
        assert!(fd >= 0, "memfd_create: {}", std::io::Error::last_os_error());
        assert_eq!(libc::ftruncate(fd, size), 0);
        OwnedFd::from_raw_fd(fd)
    }
}

/// An event counter.
pub fn eventfd(count: u32, flags: i32) -> OwnedFd {
    // SAFETY: eventfd takes two numbers; the descriptor is new and belongs to nobody else.
    unsafe {
        let fd = libc::eventfd(count, flags);
        assert!(fd >= 0, "eventfd: {}", std::io::Error::last_os_error());
        OwnedFd::from_raw_fd(fd)
    }
}

/// A new terminal: our side of it and the one for a program.
pub(super) fn terminal() -> (fs::File, OwnedFd) {
    let (mut ours, mut theirs) = (-1, -1);
    let none = std::ptr::null_mut();
    // SAFETY: openpty fills two numbers; name, settings and size may be absent.
    let done =
        unsafe { libc::openpty(&raw mut ours, &raw mut theirs, none, std::ptr::null_mut(), std::ptr::null_mut()) };
    assert_eq!(done, 0, "openpty: {}", std::io::Error::last_os_error());
    // SAFETY: both descriptors were opened just now and belong to nobody else.
    unsafe { (fs::File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) }
}

/// Gives a terminal so many rows and columns.
pub(super) fn resize(terminal: &fs::File, rows: u16, columns: u16) {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: `size` outlives the call, which only reads it.
    let done = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    assert_eq!(done, 0, "TIOCSWINSZ: {}", std::io::Error::last_os_error());
}

/// Lets a command start in a session of its own, with its standard input as the terminal that controls it.
pub(super) fn control(command: &mut std::process::Command) {
    let install = || {
        // SAFETY: both calls take numbers.
        if unsafe { libc::setsid() >= 0 && libc::ioctl(0, libc::TIOCSCTTY, 0) == 0 } {
            Ok(())
        } else {
            Err(std::io::Error::last_os_error())
        }
    };
    // SAFETY: between fork and exec it makes two system calls and allocates nothing.
    unsafe { command.pre_exec(install) };
}

pub(super) fn kill(pid: u32, signal: i32) {
    // SAFETY: kill takes two numbers.
    unsafe { libc::kill(pid.try_into().unwrap(), signal) };
}

/// Leaves room for one connection in the queue of a listener.
pub fn shorten_queue(listener: &std::os::unix::net::UnixListener) {
    // SAFETY: listen(2) takes two numbers.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
}

/// Breaks a connection of TCP off, so that the other side gets ECONNRESET: socket(7), SO_LINGER.
pub fn reset(connection: std::net::TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    // SAFETY: `linger` outlives the call, which reads as many bytes as it is told.
    let done = unsafe {
        let length = size_of::<libc::linger>().try_into().unwrap();
        let place = (&raw const linger).cast();
        libc::setsockopt(connection.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, place, length)
    };
    assert_eq!(done, 0, "SO_LINGER: {}", std::io::Error::last_os_error());
}

/// Sends a signal to one thread, as tkill(2) does.
pub fn tkill(tid: u32, signal: i32) {
    // SAFETY: tkill takes two numbers.
    let done = unsafe { libc::syscall(libc::SYS_tkill, tid, signal) };
    assert_eq!(done, 0, "tkill: {}", std::io::Error::last_os_error());
}

pub(super) fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Writes past the capture of the test harness.
pub(super) fn say(text: &str) {
    // SAFETY: the bytes are valid for their length.
    unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
}

/// The key that the C library makes of a file.
pub fn ftok(path: &Path, project: u8) -> i32 {
    let path = CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
    // SAFETY: the string ends with NUL.
    unsafe { libc::ftok(path.as_ptr(), project.into()) }
}

/// A system call that a kernel refuses: all of it, or only where some bits of an argument, counted
/// from 0, have a value.
#[derive(Clone, Copy)]
pub struct Refusal {
    pub call: libc::c_long,
    pub argument: Option<(u32, u32, u32)>,
    pub errno: i32,
}

impl Refusal {
    pub fn of(call: libc::c_long, errno: i32) -> Refusal {
        Refusal { call, argument: None, errno }
    }

    /// Only where this argument, an `int`, is this.
    pub fn only(call: libc::c_long, argument: u32, value: u32, errno: i32) -> Refusal {
        Refusal { call, argument: Some((argument, u32::MAX, value)), errno }
    }
}

/// Lets a command find a kernel that refuses these calls, by a filter of seccomp(2).
pub(super) fn refuse(command: &mut std::process::Command, refusals: &[Refusal]) {
    let word = |n: libc::c_long| u32::try_from(n).unwrap();
    let step = |code: u32, k: u32| libc::sock_filter { code: code.try_into().unwrap(), jt: 0, jf: 0, k };
    let load = |offset: u32| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset);
    let unless = |k: u32, jf: u8| libc::sock_filter { jf, ..step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, k) };
    let give = |k: u32| step(libc::BPF_RET | libc::BPF_K, k);
    // The low word of an argument of struct seccomp_data.
    let half = if cfg!(target_endian = "big") { 4 } else { 0 };
    let mut filter = Vec::new();
    for refusal in refusals {
        filter.push(load(0));
        if let Some((argument, bits, value)) = refusal.argument {
            filter.push(unless(word(refusal.call), 4));
            filter.push(load(16 + 8 * argument + half));
            filter.push(step(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, bits));
            filter.push(unless(value, 1));
        } else {
            filter.push(unless(word(refusal.call), 1));
        }
        filter.push(give(libc::SECCOMP_RET_ERRNO | u32::try_from(refusal.errno).unwrap()));
    }
    filter.push(give(libc::SECCOMP_RET_ALLOW));
    let install = move || {
        let program =
            libc::sock_fprog { len: filter.len().try_into().unwrap_or(0), filter: filter.as_ptr().cast_mut() };
        // SAFETY: prctl takes numbers here, and `program` with its filter outlives the call.
        let done = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
        };
        if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: between fork and exec it makes two system calls and allocates nothing.
    unsafe { command.pre_exec(install) };
}

/// Lets a command start with a lower limit of its resources.
pub(super) fn limit(command: &mut std::process::Command, resource: libc::__rlimit_resource_t, to: u64) {
    let install = move || {
        let limit = libc::rlimit { rlim_cur: to, rlim_max: to };
        // SAFETY: `limit` outlives the call.
        if unsafe { libc::setrlimit(resource, &raw const limit) } == 0 {
            Ok(())
        } else {
            Err(std::io::Error::last_os_error())
        }
    };
    // SAFETY: between fork and exec it makes one system call and allocates nothing.
    unsafe { command.pre_exec(install) };
}

/// Lets a command start with a signal blocked.
pub(super) fn block(command: &mut std::process::Command, signal: i32) {
    let install = move || {
        // SAFETY: the set is initialised before it is used and outlives the calls.
        unsafe {
            let mut set = std::mem::MaybeUninit::<libc::sigset_t>::zeroed().assume_init();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, signal);
            libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        }
        Ok(())
    };
    // SAFETY: between fork and exec it makes one system call and allocates nothing.
    unsafe { command.pre_exec(install) };
}

/// Lets a command start with a signal that is ignored, as nohup(1) does.
pub(super) fn ignore(command: &mut std::process::Command, signal: i32) {
    let install = move || {
        // SAFETY: SIG_IGN runs no code.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
        Ok(())
    };
    // SAFETY: between fork and exec it makes one system call and allocates nothing.
    unsafe { command.pre_exec(install) };
}

/// Lets a command start with an alarm(2) that comes after so many seconds.
pub(super) fn alarm(command: &mut std::process::Command, seconds: u32) {
    let install = move || {
        // SAFETY: alarm takes a number.
        unsafe { libc::alarm(seconds) };
        Ok(())
    };
    // SAFETY: between fork and exec it makes one system call and allocates nothing.
    unsafe { command.pre_exec(install) };
}

/// Has a function called when the tests are over: what a static holds is never dropped.
pub fn at_exit(function: extern "C" fn()) {
    // SAFETY: the function is there for as long as the program.
    assert_eq!(unsafe { libc::atexit(function) }, 0);
}
