//! For tests: ways to be blocked that the standard library and nix do not have.
#![allow(unsafe_code)]

use nix::errno::Errno;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr;

/// A System V object that goes with this value, and with it whoever waits for it.
#[derive(Debug)]
pub struct Sysv {
    pub id: i32,
    remove: fn(i32) -> i32,
}

impl Drop for Sysv {
    fn drop(&mut self) {
        (self.remove)(self.id);
    }
}

/// A set of semaphores that are all 0.
pub fn semaphores(count: i32) -> Sysv {
    // SAFETY: the calls take numbers; IPC_RMID has no fourth argument.
    let (id, remove) =
        unsafe { (libc::semget(libc::IPC_PRIVATE, count, 0o600), |id| libc::semctl(id, 0, libc::IPC_RMID)) };
    Sysv { id: Errno::result(id).unwrap(), remove }
}

pub fn queue() -> Sysv {
    // SAFETY: the calls take numbers and a null pointer that IPC_RMID ignores.
    let (id, remove) =
        unsafe { (libc::msgget(libc::IPC_PRIVATE, 0o600), |id| libc::msgctl(id, libc::IPC_RMID, ptr::null_mut())) };
    Sysv { id: Errno::result(id).unwrap(), remove }
}

/// A segment that nobody has attached.
pub fn segment() -> Sysv {
    // SAFETY: the calls take numbers and a null pointer that IPC_RMID ignores.
    let (id, remove) =
        unsafe { (libc::shmget(libc::IPC_PRIVATE, 1, 0o600), |id| libc::shmctl(id, libc::IPC_RMID, ptr::null_mut())) };
    Sysv { id: Errno::result(id).unwrap(), remove }
}

/// Attaches a segment and detaches it again.
pub fn attach(id: i32) {
    // SAFETY: the kernel chooses where, and nothing else uses that.
    unsafe { libc::shmdt(libc::shmat(id, ptr::null(), 0)) };
}

/// semtimedop(2) with operations of (index, amount, flags).
pub fn operate(id: i32, ops: &[(u16, i16, i16)], seconds: i64) {
    let sembuf = |&(sem_num, sem_op, sem_flg): &_| libc::sembuf { sem_num, sem_op, sem_flg };
    let mut ops: Vec<libc::sembuf> = ops.iter().map(sembuf).collect();
    let time = libc::timespec { tv_sec: seconds, tv_nsec: 0 };
    // SAFETY: the operations and the time outlive the call.
    unsafe { libc::syscall(libc::SYS_semtimedop, id, ops.as_mut_ptr(), ops.len(), &raw const time) };
}

pub fn receive(id: i32, mtype: i64) {
    let mut room = [0i64; 2];
    // SAFETY: the buffer has room for the type and 8 bytes.
    unsafe { libc::msgrcv(id, room.as_mut_ptr().cast(), 8, mtype, 0) };
}

/// Sends an empty message.
pub fn send_one(id: i32) {
    // SAFETY: the buffer holds the type.
    unsafe { libc::msgsnd(id, ptr::from_ref(&1i64).cast(), 0, 0) };
}

/// Sends messages of 1000 bytes until the queue is gone.
pub fn send(id: i32, mtype: i64) {
    let message = [mtype; 126];
    // SAFETY: the buffer holds the type and 1000 bytes.
    while unsafe { libc::msgsnd(id, message.as_ptr().cast(), 1000, 0) } == 0 {}
}

/// A POSIX queue for one message that has no name any more.
pub fn posix_queue() -> OwnedFd {
    let name = std::ffi::CString::new(format!("/ipcx-staged-{}", std::process::id())).unwrap();
    // SAFETY: the name ends with NUL; all bytes zero is a valid mq_attr, which outlives the call; the
    // descriptor is ours.
    unsafe {
        let mut shape: libc::mq_attr = MaybeUninit::zeroed().assume_init();
        (shape.mq_maxmsg, shape.mq_msgsize) = (1, 8);
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
        let queue = libc::mq_open(name.as_ptr(), flags, 0o600, &raw mut shape);
        libc::mq_unlink(name.as_ptr());
        OwnedFd::from_raw_fd(Errno::result(queue).unwrap())
    }
}

/// mq_timedreceive(3) until a time since the epoch.
pub fn mq_receive(queue: &OwnedFd, until: i64) {
    let (mut room, time) = ([0; 8], libc::timespec { tv_sec: until, tv_nsec: 0 });
    // SAFETY: the room and the time outlive the call; no priority is asked for.
    unsafe { libc::mq_timedreceive(queue.as_raw_fd(), room.as_mut_ptr(), 8, ptr::null_mut(), &raw const time) };
}

pub fn mq_send(queue: &OwnedFd) {
    // SAFETY: the text has 3 bytes; a null time means to wait for ever.
    unsafe { libc::mq_timedsend(queue.as_raw_fd(), c"abc".as_ptr(), 3, 1, ptr::null()) };
}

/// Sends a signal to a thread of ours.
pub fn signal(tid: i32, signal: i32) {
    // SAFETY: tgkill takes numbers.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, signal) };
}

/// A page of a memory file with objects of the C library in it, each at a multiple of 64 bytes.
pub struct Shared {
    page: *mut u8,
    pub file: OwnedFd,
}

// SAFETY: the objects in the page are made for use by several threads.
unsafe impl Sync for Shared {}
// SAFETY: the page belongs to no thread.
unsafe impl Send for Shared {}

const PAGE: usize = 4096;

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the page was mapped by `new`, and nothing refers to it any more.
        unsafe { libc::munmap(self.page.cast(), PAGE) };
    }
}

impl Shared {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Shared {
        // SAFETY: the name ends with NUL, and the descriptor is ours; the mapping is a new one as long as
        // the file.
        unsafe {
            let fd = Errno::result(libc::memfd_create(c"staged".as_ptr(), libc::MFD_CLOEXEC)).unwrap();
            let file = OwnedFd::from_raw_fd(fd);
            assert_eq!(libc::ftruncate(fd, 4096), 0);
            let page = libc::mmap(ptr::null_mut(), PAGE, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, fd, 0);
            assert_ne!(page, libc::MAP_FAILED);
            Shared { page: page.cast(), file }
        }
    }

    fn at<T>(&self, offset: usize) -> *mut T {
        assert!(offset.is_multiple_of(64) && offset + size_of::<T>() <= PAGE);
        // SAFETY: it lies within the page, as has just been checked.
        unsafe { self.page.add(offset).cast() }
    }

    pub fn mutex(&self, offset: usize, is_robust: bool, inherits: bool) {
        // SAFETY: the attributes are made before they are used, and the mutex lies in the page.
        unsafe {
            let mut how = MaybeUninit::uninit();
            libc::pthread_mutexattr_init(how.as_mut_ptr());
            libc::pthread_mutexattr_setpshared(how.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED);
            if is_robust {
                libc::pthread_mutexattr_setrobust(how.as_mut_ptr(), libc::PTHREAD_MUTEX_ROBUST);
            }
            if inherits {
                libc::pthread_mutexattr_setprotocol(how.as_mut_ptr(), libc::PTHREAD_PRIO_INHERIT);
            }
            assert_eq!(libc::pthread_mutex_init(self.at(offset), how.as_ptr()), 0);
        }
    }

    pub fn lock(&self, offset: usize) {
        // SAFETY: `mutex` has made it there.
        unsafe { libc::pthread_mutex_lock(self.at(offset)) };
    }

    pub fn unlock(&self, offset: usize) {
        // SAFETY: as above.
        unsafe { libc::pthread_mutex_unlock(self.at(offset)) };
    }

    /// Gives the thread that calls it a list of robust mutexes at an offset, whose one entry, 64 bytes behind it,
    /// is its own next one.
    pub fn circle(&self, offset: usize) {
        let (head, entry) = (self.at::<[u64; 3]>(offset), self.at::<u64>(offset + 64));
        // SAFETY: head and entry lie in the page; the kernel, which reads them when the thread ends, expects that
        // anything may stand there.
        unsafe {
            entry.write(entry.expose_provenance() as u64);
            head.write([entry.expose_provenance() as u64, 0, 0]);
            libc::syscall(libc::SYS_set_robust_list, head, size_of::<[u64; 3]>());
        }
    }

    /// Makes the mutex new, whoever held it, and wakes one that waits for it.
    pub fn abandon(&self, offset: usize) {
        self.mutex(offset, false, false);
        // SAFETY: the word lies in the page.
        unsafe { libc::syscall(libc::SYS_futex, self.at::<u32>(offset), libc::FUTEX_WAKE, 1) };
    }

    pub fn semaphore(&self, offset: usize) {
        // SAFETY: the semaphore lies in the page.
        assert_eq!(unsafe { libc::sem_init(self.at(offset), 1, 0) }, 0);
    }

    pub fn wait(&self, offset: usize) {
        // SAFETY: `semaphore` has made it there.
        unsafe { libc::sem_wait(self.at(offset)) };
    }

    pub fn post(&self, offset: usize) {
        // SAFETY: as above.
        unsafe { libc::sem_post(self.at(offset)) };
    }

    pub fn rwlock(&self, offset: usize) {
        // SAFETY: the attributes are made before they are used, and the lock lies in the page.
        unsafe {
            let mut how = MaybeUninit::uninit();
            libc::pthread_rwlockattr_init(how.as_mut_ptr());
            libc::pthread_rwlockattr_setpshared(how.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED);
            assert_eq!(libc::pthread_rwlock_init(self.at(offset), how.as_ptr()), 0);
        }
    }

    pub fn lock_to_read(&self, offset: usize) {
        // SAFETY: `rwlock` has made it there.
        unsafe { libc::pthread_rwlock_rdlock(self.at(offset)) };
    }

    pub fn lock_to_write(&self, offset: usize) {
        // SAFETY: as above.
        unsafe { libc::pthread_rwlock_wrlock(self.at(offset)) };
    }

    pub fn unlock_rwlock(&self, offset: usize) {
        // SAFETY: as above.
        unsafe { libc::pthread_rwlock_unlock(self.at(offset)) };
    }

    pub fn condition(&self, offset: usize) {
        // SAFETY: the attributes are made before they are used, and the condition lies in the page.
        unsafe {
            let mut how = MaybeUninit::uninit();
            libc::pthread_condattr_init(how.as_mut_ptr());
            libc::pthread_condattr_setpshared(how.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED);
            assert_eq!(libc::pthread_cond_init(self.at(offset), how.as_ptr()), 0);
        }
    }

    /// Waits for the condition with the mutex, and gives that back.
    pub fn wait_for(&self, condition: usize, mutex: usize) {
        self.lock(mutex);
        // SAFETY: `condition` and `mutex` have made them there.
        unsafe { libc::pthread_cond_wait(self.at(condition), self.at(mutex)) };
        self.unlock(mutex);
    }

    pub fn announce(&self, condition: usize) {
        // SAFETY: as above.
        unsafe { libc::pthread_cond_broadcast(self.at(condition)) };
    }

    /// A barrier for two.
    pub fn barrier(&self, offset: usize) {
        // SAFETY: the attributes are made before they are used, and the barrier lies in the page.
        unsafe {
            let mut how = MaybeUninit::uninit();
            libc::pthread_barrierattr_init(how.as_mut_ptr());
            libc::pthread_barrierattr_setpshared(how.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED);
            assert_eq!(libc::pthread_barrier_init(self.at(offset), how.as_ptr(), 2), 0);
        }
    }

    pub fn meet(&self, offset: usize) {
        // SAFETY: `barrier` has made it there.
        unsafe { libc::pthread_barrier_wait(self.at(offset)) };
    }

    /// Waits as long as the word is 0.
    pub fn wait_raw(&self, offset: usize) {
        let none = ptr::null::<libc::timespec>();
        // SAFETY: the word lies in the page, and a null time means to wait for ever.
        unsafe { libc::syscall(libc::SYS_futex, self.at::<u32>(offset), libc::FUTEX_WAIT, 0, none) };
    }

    pub fn wake_raw(&self, offset: usize) {
        // SAFETY: the word lies in the page.
        unsafe { libc::syscall(libc::SYS_futex, self.at::<u32>(offset), libc::FUTEX_WAKE, 1) };
    }
}
