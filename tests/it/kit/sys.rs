//! The system calls of the kit.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
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
static AT_START: extern "C" fn() = enter_user_namespace;

extern "C" fn enter_user_namespace() {
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

pub(super) fn kill(pid: u32, signal: i32) {
    // SAFETY: kill takes two numbers.
    unsafe { libc::kill(pid.try_into().unwrap(), signal) };
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
