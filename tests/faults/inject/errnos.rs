//! How each system call can fail, by its man page, as far as a program that makes it rightly can meet it. What would be
//! a lie is left out: EAGAIN of a call that waits, EBADF of an open descriptor, a futex that is no futex.

#![allow(non_upper_case_globals)] // The names of libc.

use super::trace::{Call, How, Part};
use libc::*;

/// The name of a call that ipcx makes, and how it can fail. None is an unknown call.
pub fn of(call: &Call) -> Option<(&'static str, Vec<How>)> {
    let (_, name, errnos) = TABLE.iter().find(|(number, ..)| *number == call.call)?;
    let mut hows: Vec<How> = errnos.iter().map(|errno| How::Fails(*errno)).collect();
    let fails = |errnos: &[i32]| errnos.iter().map(|errno| How::Fails(*errno)).collect::<Vec<_>>();
    let argument = |index: usize| i32::try_from(call.args[index] & 0x7fff_ffff).unwrap_or(0);
    let file = File::of(&call.file);
    match call.call {
        // What cannot be written late cannot fail so.
        SYS_close if call.flags & O_DIRECTORY != 0 || file != File::Regular => hows = vec![How::FailsDone(EINTR)],
        SYS_close => hows = vec![How::FailsDone(EIO), How::FailsDone(EINTR)],
        SYS_read | SYS_pread64 | SYS_readv => hows.extend(file.reading(call)),
        SYS_write | SYS_pwrite64 | SYS_writev => hows.extend(file.writing(call)),
        SYS_openat | SYS_open => {
            let flags = argument(if call.call == SYS_open { 1 } else { 2 });
            if flags & O_CREAT != 0 {
                hows.extend(fails(&[ENOSPC, EROFS, EDQUOT]));
            }
            if flags & O_EXCL != 0 {
                hows.extend(fails(&[EEXIST]));
            }
            if flags & (O_WRONLY | O_RDWR) != 0 && flags & O_NONBLOCK != 0 {
                hows.extend(fails(&[ENXIO]));
            }
        }
        SYS_msgget | SYS_shmget | SYS_semget => {
            let flags = argument(if call.call == SYS_msgget { 1 } else { 2 });
            if flags & IPC_CREAT != 0 {
                hows.extend(fails(&[ENOSPC]));
            } else {
                hows.extend(fails(&[ENOENT]));
            }
            // A private object never exists.
            if flags & IPC_EXCL != 0 && call.args[0] != 0 {
                hows.extend(fails(&[EEXIST]));
            }
        }
        // Asked of a descriptor rather than of a name.
        SYS_newfstatat if argument(3) & AT_EMPTY_PATH != 0 => hows = fails(&[ENOMEM, EIO]),
        SYS_statx if argument(2) & AT_EMPTY_PATH != 0 => hows = fails(&[ENOMEM, EIO]),
        // A child that was not waited for can always be killed.
        SYS_kill if argument(1) == SIGKILL => hows = Vec::new(),
        SYS_msgsnd if argument(3) & IPC_NOWAIT != 0 => hows.extend(fails(&[EAGAIN])),
        SYS_msgrcv if argument(4) & MSG_COPY != 0 => hows.extend(fails(&[ENOSYS])),
        SYS_mq_open if argument(1) & O_CREAT != 0 => hows.extend(fails(&[ENOSPC, EEXIST])),
        SYS_mq_timedsend | SYS_mq_timedreceive if call.nonblocking() => hows.extend(fails(&[EAGAIN])),
        SYS_fcntl => {
            hows = fails(match argument(1) {
                F_DUPFD | F_DUPFD_CLOEXEC => &[EMFILE],
                F_SETPIPE_SZ => &[EPERM, EBUSY, ENOMEM],
                F_OFD_SETLK | F_SETLK => &[EAGAIN, ENOLCK],
                F_OFD_SETLKW | F_SETLKW => &[EINTR, ENOLCK],
                F_SETLEASE => &[EACCES, EINVAL],
                F_ADD_SEALS => &[EPERM, EBUSY],
                _ => &[],
            });
        }
        // What the standard library has from a child: nobody else has these sockets.
        SYS_recvfrom | SYS_recvmsg if call.args[2] == 8 || call.call == SYS_recvmsg && !call.nonblocking() => {
            hows = fails(&[EINTR]);
        }
        SYS_prctl if argument(0) == 0x53_56_4d_41 => hows = Vec::new(),
        SYS_accept4 | SYS_recvfrom | SYS_recvmsg | SYS_sendto | SYS_sendmsg if call.nonblocking() => {
            hows.extend(fails(&[EAGAIN]));
        }
        _ => {}
    }
    Some((name, hows))
}

/// What a descriptor leads to.
#[derive(PartialEq)]
enum File {
    Regular,
    Proc,
    Pipe,
    Socket,
    Other,
}

impl File {
    fn of(link: &str) -> File {
        if link.starts_with("/proc/") {
            File::Proc
        } else if link.starts_with("pipe:") {
            File::Pipe
        } else if link.starts_with("socket:") {
            File::Socket
        } else if link.starts_with("/dev/") && !link.starts_with("/dev/shm/") || !link.starts_with('/') {
            File::Other
        } else {
            File::Regular
        }
    }

    fn reading(&self, call: &Call) -> Vec<How> {
        let mut hows = match self {
            File::Regular => vec![How::Fails(EIO), How::Fails(EINTR), How::Short(Part::One), How::Short(Part::Half)],
            // A process has gone, or may not be seen.
            File::Proc => vec![How::Fails(ESRCH), How::Fails(EACCES), How::Fails(ENOMEM), How::Fails(EINTR)],
            File::Pipe => vec![How::Fails(EINTR), How::Short(Part::One), How::Short(Part::Half)],
            File::Socket => vec![How::Fails(EINTR), How::Fails(ECONNRESET)],
            File::Other => vec![How::Fails(EINTR)],
        };
        // A queue of POSIX gives its few words whole.
        if call.file.contains("mqueue") || call.call == SYS_pread64 && !call.file.contains("/dev/shm/") {
            hows.retain(|how| !matches!(how, How::Short(_)));
        }
        if call.nonblocking() && *self != File::Regular && *self != File::Proc {
            hows.push(How::Fails(EAGAIN));
        }
        // sysctls and page maps give nothing or fail when they are read in other parts than their own.
        let in_parts = ["/proc/sys/", "pagemap", "/mem"].iter().all(|part| !call.file.contains(part));
        if *self == File::Proc && in_parts && call.call == SYS_read {
            hows.extend([How::Short(Part::One), How::Short(Part::Half)]);
        }
        hows
    }

    fn writing(&self, call: &Call) -> Vec<How> {
        let errnos: &[i32] = match self {
            File::Regular => &[ENOSPC, EIO, EDQUOT, EFBIG, EINTR],
            File::Proc => &[EACCES, EPERM],
            File::Pipe => &[EPIPE, EINTR],
            File::Socket => &[EPIPE, ECONNRESET, ENOBUFS, EINTR],
            File::Other => &[EINTR],
        };
        let mut hows: Vec<How> = errnos.iter().map(|errno| How::Fails(*errno)).collect();
        if call.nonblocking() && matches!(self, File::Pipe | File::Socket) {
            hows.push(How::Fails(EAGAIN));
        }
        if matches!(self, File::Regular | File::Pipe) && call.call != SYS_writev {
            hows.extend([How::Short(Part::One), How::Short(Part::Half)]);
        }
        hows
    }
}

/// Number, name, and the errnos that do not depend on the arguments. What cannot fail, or only for a program that is
/// wrong, has none.
#[rustfmt::skip]
const TABLE: &[(c_long, &str, &[i32])] = &[
    // Files.
    (SYS_read, "read", &[]), (SYS_pread64, "pread64", &[]), (SYS_readv, "readv", &[]),
    (SYS_write, "write", &[]), (SYS_pwrite64, "pwrite64", &[]), (SYS_writev, "writev", &[]),
    (SYS_open, "open", &[EACCES, EMFILE, ENFILE, ENOENT, ENOMEM, EINTR]),
    (SYS_openat, "openat", &[EACCES, EMFILE, ENFILE, ENOENT, ENOMEM, EINTR]),
    (SYS_openat2, "openat2", &[EACCES, EMFILE, ENFILE, ENOENT, ENOMEM, EINTR, ENOSYS, EAGAIN]),
    (SYS_close, "close", &[]), (SYS_close_range, "close_range", &[ENOSYS]),
    (SYS_lseek, "lseek", &[]),
    (SYS_stat, "stat", &[EACCES, ENOENT, ENOMEM]), (SYS_lstat, "lstat", &[EACCES, ENOENT, ENOMEM]),
    (SYS_fstat, "fstat", &[ENOMEM, EIO]),
    (SYS_newfstatat, "newfstatat", &[EACCES, ENOENT, ENOMEM]),
    (SYS_statx, "statx", &[EACCES, ENOENT, ENOMEM]),
    (SYS_access, "access", &[EACCES, ENOENT]), (SYS_faccessat, "faccessat", &[EACCES, ENOENT]),
    (SYS_faccessat2, "faccessat2", &[EACCES, ENOENT]),
    (SYS_statfs, "statfs", &[EACCES, EIO, ENOENT, ENOMEM]), (SYS_fstatfs, "fstatfs", &[EIO, ENOMEM]),
    (SYS_getdents64, "getdents64", &[EIO]),
    (SYS_readlink, "readlink", &[EACCES, ENOENT, EIO, ENOMEM]),
    (SYS_readlinkat, "readlinkat", &[EACCES, ENOENT, EIO, ENOMEM]),
    (SYS_chdir, "chdir", &[EACCES, ENOENT]), (SYS_fchdir, "fchdir", &[EACCES]), (SYS_getcwd, "getcwd", &[ENOENT, ENOMEM]),
    (SYS_ftruncate, "ftruncate", &[EFBIG, EIO, EINTR]),
    (SYS_fallocate, "fallocate", &[EFBIG, EIO, EINTR, ENOSPC, EOPNOTSUPP]),
    (SYS_fsync, "fsync", &[EIO, ENOSPC, EDQUOT]), (SYS_fdatasync, "fdatasync", &[EIO, ENOSPC, EDQUOT]),
    (SYS_msync, "msync", &[EIO]), (SYS_sync_file_range, "sync_file_range", &[EIO]),
    (SYS_link, "link", &[EACCES, EEXIST, EIO, ENOSPC, EPERM]),
    (SYS_linkat, "linkat", &[EACCES, EEXIST, EIO, ENOSPC, EPERM, ENOENT]),
    (SYS_rename, "rename", &[EACCES, EIO, ENOSPC, EROFS]),
    (SYS_renameat, "renameat", &[EACCES, EIO, ENOSPC, EROFS]),
    (SYS_renameat2, "renameat2", &[EACCES, EIO, ENOSPC, EROFS, EINVAL]),
    (SYS_unlink, "unlink", &[EACCES, EBUSY, EIO, ENOENT, EPERM, EROFS]),
    (SYS_unlinkat, "unlinkat", &[EACCES, EBUSY, EIO, ENOENT, EPERM, EROFS]),
    (SYS_rmdir, "rmdir", &[EACCES, EBUSY, ENOTEMPTY, EROFS]), (SYS_mkdir, "mkdir", &[EACCES, EEXIST, ENOSPC, EROFS]), (SYS_mkdirat, "mkdirat", &[EACCES, EEXIST, ENOSPC, EROFS]),
    (SYS_mknod, "mknod", &[EACCES, EEXIST, ENOSPC, EPERM, EROFS, EDQUOT]),
    (SYS_mknodat, "mknodat", &[EACCES, EEXIST, ENOSPC, EPERM, EROFS, EDQUOT]),
    (SYS_chmod, "chmod", &[EPERM, EIO, EROFS, ENOENT]), (SYS_fchmod, "fchmod", &[EPERM, EIO, EROFS]),
    (SYS_fchmodat, "fchmodat", &[EPERM, EIO, EROFS, ENOENT]), (SYS_fchmodat2, "fchmodat2", &[EPERM, EIO, EROFS, ENOSYS]),
    (SYS_chown, "chown", &[EPERM, EIO, EROFS]), (SYS_fchown, "fchown", &[EPERM, EIO, EROFS]),
    (SYS_fchownat, "fchownat", &[EPERM, EIO, EROFS]), (SYS_umask, "umask", &[]),
    (SYS_fgetxattr, "fgetxattr", &[EOPNOTSUPP, ENODATA]), (SYS_getxattr, "getxattr", &[EOPNOTSUPP, ENODATA]),
    (SYS_flock, "flock", &[EINTR, ENOLCK]),
    (SYS_fcntl, "fcntl", &[]),
    (SYS_ioctl, "ioctl", &[ENOTTY, EINVAL]),
    (SYS_splice, "splice", &[EINVAL, ENOMEM, EINTR]), (SYS_tee, "tee", &[EINVAL, ENOMEM, EINTR]),
    (SYS_vmsplice, "vmsplice", &[EINVAL, ENOMEM, EINTR]),
    (SYS_sendfile, "sendfile", &[EINVAL, ENOMEM, EIO, EINTR]),
    (SYS_copy_file_range, "copy_file_range", &[EINVAL, EIO, ENOMEM, ENOSPC, EXDEV, ENOSYS]),
    (SYS_pipe2, "pipe2", &[EMFILE, ENFILE]),
    (SYS_dup, "dup", &[EMFILE]), (SYS_dup2, "dup2", &[EBUSY, EINTR]), (SYS_dup3, "dup3", &[EBUSY, EINTR]),
    (SYS_memfd_create, "memfd_create", &[EMFILE, ENFILE, ENOMEM, ENOSYS]),
    (SYS_eventfd2, "eventfd2", &[EMFILE, ENFILE, ENOMEM]), (SYS_signalfd4, "signalfd4", &[EMFILE, ENFILE, ENOMEM]),
    (SYS_inotify_init1, "inotify_init1", &[EMFILE, ENFILE, ENOMEM]),
    (SYS_inotify_add_watch, "inotify_add_watch", &[EACCES, ENOENT, ENOMEM, ENOSPC]), (SYS_inotify_rm_watch, "inotify_rm_watch", &[]),
    (SYS_fsopen, "fsopen", &[EMFILE, ENODEV, ENOSYS, EPERM]), (SYS_fsconfig, "fsconfig", &[EINVAL, ENOMEM, EPERM]),
    (SYS_fsmount, "fsmount", &[EINVAL, EMFILE, ENOMEM, EPERM]),
    (SYS_mount, "mount", &[EPERM, ENOMEM, EACCES]), (SYS_umount2, "umount2", &[EPERM, EBUSY]),
    // Memory.
    (SYS_mmap, "mmap", &[ENOMEM]), (SYS_brk, "brk", &[ENOMEM]), (SYS_mremap, "mremap", &[ENOMEM]),
    (SYS_munmap, "munmap", &[]), (SYS_mprotect, "mprotect", &[ENOMEM]), (SYS_madvise, "madvise", &[ENOMEM, EINVAL]),
    (SYS_mincore, "mincore", &[ENOMEM, EAGAIN]), (SYS_mlock, "mlock", &[ENOMEM, EPERM]),
    (SYS_process_vm_readv, "process_vm_readv", &[EFAULT, ENOMEM, EPERM, ESRCH]),
    // System V.
    (SYS_msgget, "msgget", &[EACCES, ENOMEM]),
    (SYS_msgsnd, "msgsnd", &[EACCES, EIDRM, EINTR, EINVAL, ENOMEM]),
    (SYS_msgrcv, "msgrcv", &[EACCES, EIDRM, EINTR, EINVAL]),
    (SYS_msgctl, "msgctl", &[EACCES, EIDRM, EINVAL, EPERM]),
    (SYS_shmget, "shmget", &[EACCES, EINVAL, ENOMEM]),
    (SYS_shmat, "shmat", &[EACCES, EIDRM, EINVAL, ENOMEM]), (SYS_shmdt, "shmdt", &[]),
    (SYS_shmctl, "shmctl", &[EACCES, EIDRM, EINVAL, EPERM]),
    (SYS_semget, "semget", &[EACCES, EINVAL, ENOMEM]),
    (SYS_semop, "semop", &[EACCES, EIDRM, EINTR, EINVAL, ENOMEM, ENOSPC, ERANGE]),
    (SYS_semtimedop, "semtimedop", &[EACCES, EAGAIN, EIDRM, EINTR, EINVAL, ENOMEM, ENOSPC, ERANGE]),
    (SYS_semctl, "semctl", &[EACCES, EIDRM, EINVAL, EPERM]),
    // POSIX queues.
    (SYS_mq_open, "mq_open", &[EACCES, EMFILE, ENFILE, ENOENT, ENOMEM]),
    (SYS_mq_timedsend, "mq_timedsend", &[EINTR, ENOMEM]), (SYS_mq_timedreceive, "mq_timedreceive", &[EINTR]),
    (SYS_mq_getsetattr, "mq_getsetattr", &[]), (SYS_mq_unlink, "mq_unlink", &[EACCES, ENOENT]),
    (SYS_mq_notify, "mq_notify", &[EBUSY, ENOMEM]),
    // Sockets.
    (SYS_socket, "socket", &[EACCES, EAFNOSUPPORT, EMFILE, ENFILE, ENOBUFS, ENOMEM]),
    (SYS_socketpair, "socketpair", &[EMFILE, ENFILE, ENOMEM]),
    (SYS_bind, "bind", &[EACCES, EADDRINUSE, ENOENT, ENOMEM, EROFS]), (SYS_listen, "listen", &[EADDRINUSE]),
    (SYS_connect, "connect", &[EACCES, EAGAIN, ECONNREFUSED, EINTR, ENOENT, ETIMEDOUT]),
    (SYS_accept4, "accept4", &[ECONNABORTED, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM]),
    (SYS_sendto, "sendto", &[EINTR, ENOBUFS, ENOMEM, EPIPE, ECONNRESET]),
    (SYS_sendmsg, "sendmsg", &[EINTR, ENOBUFS, ENOMEM, EPIPE, ECONNRESET]),
    (SYS_recvfrom, "recvfrom", &[EINTR, ENOMEM, ECONNRESET]), (SYS_recvmsg, "recvmsg", &[EINTR, ENOMEM, ECONNRESET]),
    (SYS_getsockname, "getsockname", &[ENOBUFS]), (SYS_getpeername, "getpeername", &[ENOBUFS, ENOTCONN]),
    (SYS_getsockopt, "getsockopt", &[ENOPROTOOPT]), (SYS_setsockopt, "setsockopt", &[ENOMEM, ENOPROTOOPT]),
    (SYS_shutdown, "shutdown", &[ENOTCONN]),
    // Waiting and time.
    (SYS_poll, "poll", &[EINTR, ENOMEM]), (SYS_ppoll, "ppoll", &[EINTR, ENOMEM]),
    (SYS_pselect6, "pselect6", &[EINTR, ENOMEM]), (SYS_epoll_create1, "epoll_create1", &[EMFILE, ENFILE, ENOMEM]),
    (SYS_epoll_ctl, "epoll_ctl", &[ENOMEM, ENOSPC]), (SYS_epoll_wait, "epoll_wait", &[EINTR]),
    (SYS_epoll_pwait, "epoll_pwait", &[EINTR]),
    (SYS_nanosleep, "nanosleep", &[EINTR]), (SYS_clock_nanosleep, "clock_nanosleep", &[EINTR]),
    (SYS_timer_create, "timer_create", &[EAGAIN, ENOMEM]), (SYS_timer_settime, "timer_settime", &[]),
    (SYS_timer_delete, "timer_delete", &[]),
    (SYS_timerfd_create, "timerfd_create", &[EMFILE, ENFILE, ENOMEM]), (SYS_timerfd_settime, "timerfd_settime", &[]),
    (SYS_clock_gettime, "clock_gettime", &[]), (SYS_getrandom, "getrandom", &[EINTR, ENOSYS]),
    (SYS_futex, "futex", &[]), (SYS_sched_yield, "sched_yield", &[]),
    (SYS_restart_syscall, "restart_syscall", &[EINTR]),
    // Signals and processes.
    (SYS_rt_sigaction, "rt_sigaction", &[]), (SYS_rt_sigprocmask, "rt_sigprocmask", &[]),
    (SYS_rt_sigpending, "rt_sigpending", &[]), (SYS_rt_sigreturn, "rt_sigreturn", &[]),
    (SYS_rt_sigsuspend, "rt_sigsuspend", &[]), (SYS_sigaltstack, "sigaltstack", &[ENOMEM]), (SYS_pause, "pause", &[]),
    (SYS_rt_sigtimedwait, "rt_sigtimedwait", &[EINTR]),
    (SYS_rt_sigqueueinfo, "rt_sigqueueinfo", &[EAGAIN, EPERM, ESRCH]),
    (SYS_kill, "kill", &[EPERM, ESRCH]), (SYS_tgkill, "tgkill", &[EAGAIN]),
    (SYS_pidfd_open, "pidfd_open", &[EMFILE, ENFILE, ENOMEM, ENOSYS, ESRCH]),
    (SYS_pidfd_send_signal, "pidfd_send_signal", &[EAGAIN, EPERM, ESRCH, ENOSYS]),
    (SYS_pidfd_getfd, "pidfd_getfd", &[EBADF, EMFILE, ENOSYS, EPERM, ESRCH]),
    (SYS_clone, "clone", &[EAGAIN, ENOMEM]), (SYS_clone3, "clone3", &[EAGAIN, ENOMEM, ENOSYS]),
    (SYS_fork, "fork", &[EAGAIN, ENOMEM]), (SYS_vfork, "vfork", &[EAGAIN, ENOMEM]),
    (SYS_execve, "execve", &[E2BIG, EACCES, EIO, ENOENT, ENOMEM, ETXTBSY]),
    (SYS_execveat, "execveat", &[E2BIG, EACCES, EIO, ENOENT, ENOMEM, ETXTBSY]),
    (SYS_wait4, "wait4", &[EINTR]), (SYS_waitid, "waitid", &[EINTR]),
    (SYS_exit, "exit", &[]), (SYS_exit_group, "exit_group", &[]),
    (SYS_getpid, "getpid", &[]), (SYS_getppid, "getppid", &[]), (SYS_gettid, "gettid", &[]),
    (SYS_getuid, "getuid", &[]), (SYS_geteuid, "geteuid", &[]), (SYS_getgid, "getgid", &[]), (SYS_getegid, "getegid", &[]),
    (SYS_getpgrp, "getpgrp", &[]), (SYS_getpgid, "getpgid", &[]), (SYS_setpgid, "setpgid", &[EACCES, EPERM]),
    (SYS_getsid, "getsid", &[]), (SYS_setsid, "setsid", &[]), (SYS_getgroups, "getgroups", &[]),
    (SYS_prctl, "prctl", &[EINVAL]), (SYS_arch_prctl, "arch_prctl", &[]), (SYS_capget, "capget", &[]),
    (SYS_prlimit64, "prlimit64", &[EPERM]), (SYS_getrlimit, "getrlimit", &[]), (SYS_setrlimit, "setrlimit", &[]),
    (SYS_getrusage, "getrusage", &[]), (SYS_times, "times", &[]), (SYS_sysinfo, "sysinfo", &[]), (SYS_uname, "uname", &[]),
    (SYS_setns, "setns", &[EPERM, ENOMEM]), (SYS_unshare, "unshare", &[EPERM, ENOMEM, ENOSPC]),
    (SYS_set_tid_address, "set_tid_address", &[]), (SYS_set_robust_list, "set_robust_list", &[]),
    (SYS_get_robust_list, "get_robust_list", &[EPERM, ESRCH]), (SYS_rseq, "rseq", &[]),
    (SYS_sched_getaffinity, "sched_getaffinity", &[]), (SYS_sched_setaffinity, "sched_setaffinity", &[]),
    (SYS_sched_getscheduler, "sched_getscheduler", &[]), (SYS_sched_setscheduler, "sched_setscheduler", &[EPERM]),
    (SYS_sched_getparam, "sched_getparam", &[]), (SYS_membarrier, "membarrier", &[ENOSYS]),
    (SYS_kcmp, "kcmp", &[EPERM, ENOSYS]), (SYS_bpf, "bpf", &[EPERM, ENOSYS, ENOMEM]), (SYS_ptrace, "ptrace", &[EPERM, ESRCH]),
    (SYS_perf_event_open, "perf_event_open", &[EACCES, ENOSYS]),
];
