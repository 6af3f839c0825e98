//! What a process of its own does for a test: it is this very program, told by a variable of its environment which
//! part to play.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

/// The variable with the part, as `Env::start_part` describes it.
pub(super) const NAME: &str = "IPCX_IT_PART";

pub(super) fn play(part: &str) {
    let words: Vec<&str> = part.splitn(4, ' ').collect();
    let [kind, first, second, path] = words[..] else { panic!("{part}") };
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap();
    match kind {
        "lock" => {
            lock(&file, first);
            turn();
            lock(&file, second);
        }
        "open" => {
            let count: usize = first.parse().unwrap();
            let most = libc::rlimit { rlim_cur: count as u64 + 8, rlim_max: count as u64 + 8 };
            // SAFETY: `most` outlives the call.
            assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const most) }, 0);
            let all: Vec<File> = (1..count).map(|_| file.try_clone().unwrap()).collect();
            turn();
            drop(all);
        }
        kind => {
            let shared = Shared::of(&file, kind);
            shared.take(kind, first);
            turn();
            shared.take(kind, second);
        }
    }
}

/// Says that the first half is done, and waits until the second may begin.
fn turn() {
    let mut byte = [b'\n'];
    // SAFETY: the byte outlives both calls.
    unsafe {
        libc::write(1, byte.as_ptr().cast(), 1);
        libc::read(0, byte.as_mut_ptr().cast(), 1);
    }
}

fn lock(file: &File, what: &str) {
    if what == "-" {
        return;
    }
    let words: Vec<&str> = what.split(',').collect();
    let [kind, how, start, length] = words[..] else { panic!("{what}") };
    let how = if how == "w" { libc::F_WRLCK } else { libc::F_RDLCK };
    let mut range = libc::flock {
        l_type: how.try_into().unwrap(),
        l_whence: libc::SEEK_SET.try_into().unwrap(),
        l_start: start.parse().unwrap(),
        l_len: length.parse().unwrap(),
        l_pid: 0,
    };
    let command = if kind == "ofd" { libc::F_OFD_SETLKW } else { libc::F_SETLKW };
    // SAFETY: `range` is what the command takes, and outlives the call.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut range) };
    assert_eq!(done, 0, "{what}: {}", std::io::Error::last_os_error());
}

/// Two locks of the C library for several processes, and whether they are made.
#[repr(C)]
struct Shared {
    state: AtomicU32,
    mutexes: [libc::pthread_mutex_t; 2],
    rwlocks: [libc::pthread_rwlock_t; 2],
}

impl Shared {
    fn of(file: &File, kind: &str) -> &'static mut Shared {
        file.set_len(size_of::<Shared>() as u64).unwrap();
        // SAFETY: the file is as long as what is mapped, zeros are valid in all of it, and the mapping stays until
        // the process ends.
        let shared = unsafe {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let at =
                libc::mmap(ptr::null_mut(), size_of::<Shared>(), protection, libc::MAP_SHARED, file.as_raw_fd(), 0);
            assert!(at != libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
            &mut *at.cast::<Shared>()
        };
        if shared.state.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            for at in 0..2 {
                shared.make(at, kind == "robust");
            }
            shared.state.store(2, Ordering::SeqCst);
        }
        while shared.state.load(Ordering::SeqCst) != 2 {
            std::thread::yield_now();
        }
        shared
    }

    fn make(&mut self, at: usize, robust: bool) {
        // SAFETY: nobody else uses the locks before `state` is 2; each attribute is made before it is used.
        unsafe {
            let mut how = std::mem::MaybeUninit::uninit();
            libc::pthread_mutexattr_init(how.as_mut_ptr());
            libc::pthread_mutexattr_setpshared(how.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED);
            if robust {
                libc::pthread_mutexattr_setrobust(how.as_mut_ptr(), libc::PTHREAD_MUTEX_ROBUST);
            }
            libc::pthread_mutex_init(&raw mut self.mutexes[at], how.as_ptr());
            let mut how = std::mem::MaybeUninit::uninit();
            libc::pthread_rwlockattr_init(how.as_mut_ptr());
            libc::pthread_rwlockattr_setpshared(how.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED);
            libc::pthread_rwlock_init(&raw mut self.rwlocks[at], how.as_ptr());
        }
    }

    fn take(&mut self, kind: &str, number: &str) {
        if number == "-" {
            return;
        }
        let at: usize = number.parse().unwrap();
        // SAFETY: both were made before.
        let taken = unsafe {
            match kind {
                "rwlock" => libc::pthread_rwlock_wrlock(&raw mut self.rwlocks[at]),
                _ => libc::pthread_mutex_lock(&raw mut self.mutexes[at]),
            }
        };
        assert_eq!(taken, 0, "{kind} {number}");
    }
}
