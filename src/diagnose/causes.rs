//! What the errnos of IPC calls mean: one table. The man page of each call has them under ERRORS; where the kernel
//! does otherwise, or says more, its file is named.

use super::{Cause, Need};
use nix::errno::Errno;

/// A cause that is no limit.
const fn cause(errno: Errno, calls: &'static [&'static str], means: &'static str, advice: &'static str) -> Cause {
    Cause { errno, calls, means, limit: None, needs: Need::One, advice }
}

/// A cause that is a limit.
const fn limit(
    errno: Errno,
    calls: &'static [&'static str],
    limit: &'static str,
    needs: Need,
    means: &'static str,
    advice: &'static str,
) -> Cause {
    Cause { errno, calls, means, limit: Some(limit), needs, advice }
}

const SHMGET: &[&str] = &["shmget"];
const SHMAT: &[&str] = &["shmat"];
const SHM_LOCK: &[&str] = &["shmctl", "SHM_LOCK"];
const SHM_OPEN: &[&str] = &["shm_open", "shm_unlink"];
/// What gives a file its bytes, or more of them.
const WRITE_FILE: &[&str] = &["fallocate", "posix_fallocate", "write", "pwrite", "ftruncate"];
const MSGGET: &[&str] = &["msgget"];
const MSGSND: &[&str] = &["msgsnd"];
const MSGRCV: &[&str] = &["msgrcv"];
const MSGCTL: &[&str] = &["msgctl", "IPC_SET"];
const MQ_OPEN: &[&str] = &["mq_open"];
const MQ_SEND: &[&str] = &["mq_send", "mq_timedsend"];
const MQ_RECEIVE: &[&str] = &["mq_receive", "mq_timedreceive"];
const SEMGET: &[&str] = &["semget"];
const SEMOP: &[&str] = &["semop", "semtimedop"];
const SEMCTL: &[&str] = &["semctl", "SETVAL", "SETALL"];
const SEM_OPEN: &[&str] = &["sem_open", "sem_unlink"];
const SEM_WAIT: &[&str] = &["sem_wait", "sem_trywait", "sem_timedwait", "sem_clockwait"];
const SEM_POST: &[&str] = &["sem_post"];
const PIPE: &[&str] = &["pipe", "pipe2"];
const SETPIPE: &[&str] = &["F_SETPIPE_SZ", "fcntl", "fcntl(F_SETPIPE_SZ)"];
const WRITE_PIPE: &[&str] = &["write", "writev", "splice", "tee", "vmsplice"];
const READ_PIPE: &[&str] = &["read", "readv"];
const MKFIFO: &[&str] = &["mkfifo", "mkfifoat", "mknod", "mknodat"];
const OPEN_FIFO: &[&str] = &["open", "openat", "openat2"];
const LOCK: &[&str] = &["F_SETLK", "fcntl", "lockf", "F_SETLKW", "F_OFD_SETLK", "F_OFD_SETLKW"];
const FLOCK: &[&str] = &["flock"];
const SIGQUEUE: &[&str] =
    &["sigqueue", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pthread_sigqueue", "pidfd_send_signal"];
const KILL: &[&str] = &["kill", "tgkill", "tkill", "sigqueue", "rt_sigqueueinfo", "pidfd_send_signal", "pthread_kill"];
const TIMER: &[&str] = &["timer_create"];
const DESCRIPTORS: &[&str] = &[
    "socket",
    "socketpair",
    "accept",
    "accept4",
    "eventfd",
    "memfd_create",
    "signalfd",
    "timerfd_create",
    "dup",
    "fcntl",
    "pidfd_open",
    "inotify_init",
    "epoll_create",
];
const BIND: &[&str] = &["bind"];
const CONNECT: &[&str] = &["connect"];
const SEND: &[&str] = &["send", "sendto", "sendmsg", "sendmmsg", "write"];
const MUTEX: &[&str] = &["pthread_mutex_lock", "pthread_mutex_timedlock", "pthread_mutex_trylock"];

const SYSV_GET: &[&str] = &["shmget", "msgget", "semget"];
/// What names an object of System V by its identifier.
const SYSV_ID: &[&str] = &["shmat", "shmctl", "msgsnd", "msgrcv", "msgctl", "semop", "semtimedop", "semctl"];
const POSIX_OPEN: &[&str] = &["shm_open", "mq_open", "sem_open"];

const FIND_SHM: &str = "see what nobody uses: ipcx stale shm, ipcx ls shm --sort size";
const FIND_MSGQ: &str = "see what nobody uses: ipcx stale msgq, ipcx ls msgq --sort ctime";
const FIND_SEM: &str = "see what nobody uses: ipcx stale sem, ipcx ls sem --sort ctime";
const FIND_PIPE: &str = "it does not bind root; see who has pipes open: ipcx ls pipe -o +user --sort capacity";
const FILE_FULL: &str = "a file elsewhere than in /dev/shm is bounded by its own file system: df PATH";

pub static CAUSES: &[Cause] = &[
    // Shared memory.
    limit(
        Errno::ENOSPC,
        SHMGET,
        "SHMMNI",
        Need::One,
        "there are as many segments as this IPC namespace may have",
        FIND_SHM,
    ),
    limit(
        Errno::ENOSPC,
        SHMGET,
        "SHMALL",
        Need::Pages,
        "all segments together would have more pages than this IPC namespace may have",
        FIND_SHM,
    ),
    limit(Errno::EINVAL, SHMGET, "SHMMAX", Need::Bytes, "a new segment would be larger than one may be", ""),
    cause(
        Errno::EINVAL,
        SHMGET,
        "the segment of this key exists and is smaller than what was asked for, or a new one would have 0 bytes",
        "see its size: ipcx show shm/KEY; ask for no more than that, or remove it: ipcx rm shm/KEY",
    ),
    cause(
        Errno::ENOMEM,
        SHMGET,
        "there is not enough memory, or vm.overcommit_memory = 2 forbids more; of huge pages none is free",
        "see free -h; for huge pages grep Huge /proc/meminfo, and sysctl -w vm.nr_hugepages=N",
    ),
    cause(
        Errno::EPERM,
        SHMGET,
        "huge pages (SHM_HUGETLB) are for members of the group vm.hugetlb_shm_group and for CAP_IPC_LOCK",
        "sysctl -w vm.hugetlb_shm_group=GID",
    ),
    cause(
        Errno::EINVAL,
        SHMAT,
        "there is no segment of this identifier, or the address is none at which it could be attached",
        "see which there are: ipcx ls shm",
    ),
    cause(
        Errno::ENOMEM,
        SHMAT,
        "the process has no address space left for it, or too many mappings (vm.max_map_count)",
        "grep -c . /proc/PID/maps; ulimit -v",
    ),
    limit(
        Errno::ENOMEM,
        SHM_LOCK,
        "RLIMIT_MEMLOCK",
        Need::Bytes,
        "the user would lock more bytes than he may",
        "see which segments are locked: ipcx ls shm -o +locked; CAP_IPC_LOCK is not bounded",
    ),
    limit(
        Errno::EPERM,
        SHM_LOCK,
        "RLIMIT_MEMLOCK",
        Need::Bytes,
        "locking is for the owner and the creator, and for nobody whose limit is 0",
        "",
    ),
    limit(Errno::ENOSPC, SHM_OPEN, "/dev/shm size", Need::Bytes, "/dev/shm has no room left", FIND_SHM),
    limit(Errno::ENOSPC, SHM_OPEN, "/dev/shm inodes", Need::One, "/dev/shm has as many files as it may have", FIND_SHM),
    limit(
        Errno::ENOSPC,
        WRITE_FILE,
        "/dev/shm size",
        Need::Bytes,
        "/dev/shm has no room left; a process that touches mapped memory there dies of SIGBUS instead",
        FILE_FULL,
    ),
    limit(
        Errno::EFBIG,
        WRITE_FILE,
        "RLIMIT_FSIZE",
        Need::Bytes,
        "the file would be larger than the process may make one (it gets SIGXFSZ too)",
        "",
    ),
    // System V message queues.
    limit(
        Errno::ENOSPC,
        MSGGET,
        "MSGMNI",
        Need::One,
        "there are as many queues as this IPC namespace may have",
        FIND_MSGQ,
    ),
    limit(
        Errno::EINVAL,
        MSGSND,
        "MSGMAX",
        Need::Bytes,
        "the message is longer than one may be",
        "or send it through shared memory, or a POSIX queue made for such messages",
    ),
    cause(
        Errno::EINVAL,
        MSGSND,
        "the type of the message is not positive, or there is no queue of this identifier",
        "see which there are: ipcx ls msgq",
    ),
    limit(
        Errno::EAGAIN,
        MSGSND,
        "MSGMNB",
        Need::Bytes,
        "the queue is full, and IPC_NOWAIT says not to wait; a queue keeps the capacity that it was made with",
        "see how full it is and who received last: ipcx show msgq/ID; a larger one: ipcx msgq set ID --max-bytes SIZE",
    ),
    cause(Errno::ENOMEM, MSGSND, "there is not enough memory for a copy of the message", "see free -h"),
    limit(
        Errno::EPERM,
        MSGCTL,
        "MSGMNB",
        Need::Bytes,
        "the capacity is more than one without CAP_SYS_RESOURCE may give; or the queue belongs to somebody else",
        "",
    ),
    cause(
        Errno::ENOMSG,
        MSGRCV,
        "there is no message of the wanted type, and IPC_NOWAIT says not to wait",
        "see what is in it: ipcx msgq peek ID",
    ),
    cause(
        Errno::E2BIG,
        MSGRCV,
        "the message is longer than the buffer; it stays in the queue",
        "see how long it is: ipcx msgq peek ID; MSG_NOERROR would cut it",
    ),
    cause(
        Errno::EINVAL,
        MSGRCV,
        "there is no queue of this identifier, or the size of the buffer is negative",
        "see which there are: ipcx ls msgq",
    ),
    // POSIX message queues.
    limit(
        Errno::EMFILE,
        MQ_OPEN,
        "RLIMIT_MSGQUEUE",
        Need::Queue,
        "the queues of this user would cost more than they may: maxmsg*(msgsize+96) each, empty or not",
        "make it smaller, or remove one: ipcx ls msgq --mine, ipcx rm msgq//NAME",
    ),
    limit(Errno::EMFILE, MQ_OPEN, "RLIMIT_NOFILE", Need::Count, "the process has as many descriptors as it may", ""),
    limit(
        Errno::ENOSPC,
        MQ_OPEN,
        "queues_max",
        Need::One,
        "there are as many POSIX queues as this IPC namespace may have (CAP_SYS_RESOURCE is not bounded)",
        FIND_MSGQ,
    ),
    limit(
        Errno::EINVAL,
        MQ_OPEN,
        "msg_max",
        Need::Count,
        "the queue would hold more messages than one may without CAP_SYS_RESOURCE, or none",
        "",
    ),
    limit(
        Errno::EINVAL,
        MQ_OPEN,
        "msgsize_max",
        Need::Bytes,
        "its messages would be longer than they may be without CAP_SYS_RESOURCE, or of 0 bytes",
        "",
    ),
    cause(Errno::EINVAL, MQ_OPEN, "the name does not begin with a slash, or has nothing behind it", ""),
    cause(
        Errno::EMSGSIZE,
        MQ_SEND,
        "the message is longer than those for which the queue was made (mq_msgsize)",
        "see it: ipcx show msgq//NAME; it cannot be changed: make another queue with --message-size",
    ),
    cause(
        Errno::EAGAIN,
        MQ_SEND,
        "the queue is full, and was opened with O_NONBLOCK",
        "see how full it is: ipcx show msgq//NAME",
    ),
    cause(
        Errno::EMSGSIZE,
        MQ_RECEIVE,
        "the buffer is smaller than the longest message for which the queue was made (mq_msgsize)",
        "take a buffer of that size, however short the messages are: ipcx show msgq//NAME",
    ),
    cause(Errno::EAGAIN, MQ_RECEIVE, "the queue is empty, and was opened with O_NONBLOCK", ""),
    cause(
        Errno::ETIMEDOUT,
        MQ_SEND,
        "the queue stayed full until the timeout",
        "see who receives: ipcx show msgq//NAME",
    ),
    cause(Errno::ETIMEDOUT, MQ_RECEIVE, "the queue stayed empty until the timeout", ""),
    // System V semaphores.
    limit(
        Errno::ENOSPC,
        SEMGET,
        "SEMMNI",
        Need::One,
        "there are as many sets as this IPC namespace may have",
        FIND_SEM,
    ),
    limit(
        Errno::ENOSPC,
        SEMGET,
        "SEMMNS",
        Need::Count,
        "all sets together would have more semaphores than this IPC namespace may have",
        FIND_SEM,
    ),
    limit(
        Errno::EINVAL,
        SEMGET,
        "SEMMSL",
        Need::Count,
        "a new set would have more semaphores than one may, or none",
        "",
    ),
    cause(
        Errno::EINVAL,
        SEMGET,
        "the set of this key exists and has fewer semaphores than were asked for",
        "see how many: ipcx show sem/KEY; ask for no more, or remove it: ipcx rm sem/KEY",
    ),
    limit(
        Errno::E2BIG,
        SEMOP,
        "SEMOPM",
        Need::Count,
        "the call has more operations than one may; nothing is wrong with its arguments otherwise",
        "",
    ),
    limit(
        Errno::ERANGE,
        SEMOP,
        "SEMVMX",
        Need::Count,
        "a semaphore, or what SEM_UNDO would give back, would go over the highest value",
        "see who posts without anybody waiting: ipcx show sem/ID",
    ),
    limit(Errno::ERANGE, SEMCTL, "SEMVMX", Need::Count, "the value is over the highest one, or negative", ""),
    cause(
        Errno::EAGAIN,
        SEMOP,
        "the operations could not be done at once, and IPC_NOWAIT or the timeout ended the wait",
        "see the values and who operated last: ipcx show sem/ID",
    ),
    cause(
        Errno::EFBIG,
        SEMOP,
        "the set has no semaphore of that index",
        "see how many it has: ipcx show sem/ID; they count from 0",
    ),
    cause(Errno::EINVAL, SEMOP, "there is no set of this identifier, or the call has no operation", "ipcx ls sem"),
    cause(Errno::ENOMEM, SEMOP, "there is not enough memory for the undo list of SEM_UNDO", "see free -h"),
    // POSIX semaphores.
    limit(
        Errno::ENOSPC,
        SEM_OPEN,
        "/dev/shm size",
        Need::Bytes,
        "/dev/shm, where they live, has no room left",
        FIND_SHM,
    ),
    limit(Errno::ENOSPC, SEM_OPEN, "/dev/shm inodes", Need::One, "/dev/shm has as many files as it may have", FIND_SHM),
    limit(Errno::EMFILE, SEM_OPEN, "RLIMIT_NOFILE", Need::Count, "the process has as many descriptors as it may", ""),
    cause(
        Errno::EINVAL,
        SEM_OPEN,
        "the value is over SEM_VALUE_MAX (2147483647), the name has nothing behind its slash, or the file is none",
        "see it: ipcx show sem//NAME",
    ),
    cause(Errno::EOVERFLOW, SEM_POST, "the value would go over SEM_VALUE_MAX (2147483647)", "ipcx sem get /NAME"),
    cause(
        Errno::EAGAIN,
        SEM_WAIT,
        "the value is 0, and sem_trywait(3) does not wait",
        "see value and waiters: ipcx show sem//NAME",
    ),
    cause(
        Errno::ETIMEDOUT,
        SEM_WAIT,
        "nobody posted until the timeout",
        "see who has it open: ipcx show sem//NAME; a holder that died does not give it back",
    ),
    // What all of System V shares.
    cause(
        Errno::EIDRM,
        SYSV_ID,
        "the object was removed, while the call waited or before it",
        "somebody ran ipcrm or IPC_RMID; a login manager may too (RemoveIPC= in logind.conf(5)); get it anew by its key",
    ),
    cause(
        Errno::EEXIST,
        SYSV_GET,
        "there is an object of this key, and IPC_CREAT|IPC_EXCL asked for a new one",
        "see it: ipcx show KIND/KEY; use it, or remove it if nobody does: ipcx rm KIND/KEY",
    ),
    cause(
        Errno::ENOENT,
        SYSV_GET,
        "there is no object of this key in this IPC namespace, and IPC_CREAT did not ask for one",
        "see which there are: ipcx ls; a container has an IPC namespace of its own; see the key of a file: ipcx ftok PATH",
    ),
    cause(
        Errno::EACCES,
        SYSV_GET,
        "the object exists, and its mode does not permit what was asked for",
        "see owner and mode: ipcx show KIND/KEY; its owner may change it: ipcx KIND set KEY --mode MODE",
    ),
    cause(
        Errno::EACCES,
        SYSV_ID,
        "the mode of the object does not permit it",
        "see owner and mode: ipcx show KIND/ID; its owner may change it: ipcx KIND set ID --mode MODE",
    ),
    cause(
        Errno::EPERM,
        &["shmctl", "msgctl", "semctl", "IPC_RMID", "IPC_SET"],
        "that is for the owner and the creator of the object, and for root",
        "see who they are: ipcx show KIND/ID",
    ),
    // What all of POSIX shares.
    cause(
        Errno::EEXIST,
        POSIX_OPEN,
        "there is an object of this name, and O_CREAT|O_EXCL asked for a new one",
        "see it: ipcx show KIND//NAME; use it, or remove it if nobody does: ipcx rm KIND//NAME",
    ),
    cause(
        Errno::ENOENT,
        POSIX_OPEN,
        "there is no object of this name, and O_CREAT did not ask for one",
        "see which there are: ipcx ls; a container has a /dev/shm and an IPC namespace of its own",
    ),
    cause(
        Errno::EACCES,
        POSIX_OPEN,
        "the mode of the object does not permit it, or its name has another slash (mq_open)",
        "see owner and mode: ipcx show KIND//NAME; in a sticky directory fs.protected_regular forbids O_CREAT too",
    ),
    // Pipes and FIFOs.
    limit(
        Errno::EMFILE,
        PIPE,
        "RLIMIT_NOFILE",
        Need::Count,
        "the process has as many descriptors as it may; a pipe takes two",
        "",
    ),
    limit(
        Errno::ENFILE,
        PIPE,
        "pipe-user-pages-hard",
        Need::One,
        "the pipes of this user have as many pages as they may",
        FIND_PIPE,
    ),
    cause(
        Errno::ENFILE,
        PIPE,
        "the whole system has as many open files as it may",
        "see cat /proc/sys/fs/file-nr; sysctl -w fs.file-max=N",
    ),
    limit(
        Errno::EPERM,
        SETPIPE,
        "pipe-max-size",
        Need::Bytes,
        "the pipe would be larger than one may be without CAP_SYS_RESOURCE",
        "",
    ),
    limit(
        Errno::EPERM,
        SETPIPE,
        "pipe-user-pages-soft",
        Need::Pages,
        "the pipes of this user would have more pages than they may; new ones are made with two pages",
        FIND_PIPE,
    ),
    limit(
        Errno::EPERM,
        SETPIPE,
        "pipe-user-pages-hard",
        Need::Pages,
        "the pipes of this user would have more pages than they may",
        FIND_PIPE,
    ),
    cause(
        Errno::EBUSY,
        SETPIPE,
        "more bytes wait in the pipe than its new capacity would hold",
        "see how many: ipcx ls pipe; read some first",
    ),
    cause(Errno::EINVAL, SETPIPE, "the capacity is over 2 GiB or negative", ""),
    cause(
        Errno::EPIPE,
        WRITE_PIPE,
        "nobody has the other end open to read any more (the writer gets SIGPIPE too)",
        "see who has it open: ipcx ls pipe, ipcx show fifo/PATH",
    ),
    cause(
        Errno::EAGAIN,
        WRITE_PIPE,
        "it is full, and O_NONBLOCK says not to wait; each small write may take a page of its own",
        "see how full it is and who should read: ipcx ls pipe fifo",
    ),
    cause(
        Errno::EAGAIN,
        READ_PIPE,
        "it is empty but has writers, and O_NONBLOCK says not to wait",
        "ipcx ls pipe fifo",
    ),
    cause(
        Errno::ENXIO,
        OPEN_FIFO,
        "nobody has the FIFO open to read, and O_NONBLOCK says not to wait for one; or the file is a socket",
        "see who has it open: ipcx show fifo/PATH; open the reader first, or without O_NONBLOCK",
    ),
    cause(
        Errno::EACCES,
        OPEN_FIFO,
        "the mode does not permit it; with O_CREAT in a sticky directory fs.protected_fifos may forbid it as well",
        "see owner and mode: ipcx show fifo/PATH",
    ),
    cause(
        Errno::EEXIST,
        MKFIFO,
        "there is a file of this name; of which type does not matter",
        "see it: ls -l PATH; use it if it is a FIFO: ipcx mkfifo --exist-ok PATH",
    ),
    cause(Errno::ENOSPC, MKFIFO, "the file system has no room, or no inode, left", "df PATH; df -i PATH"),
    cause(Errno::ENOENT, MKFIFO, "a directory in the path does not exist", ""),
    cause(Errno::EACCES, MKFIFO, "the directory may not be written to", "ls -ld DIRECTORY"),
    // Locks of files.
    cause(
        Errno::EDEADLK,
        LOCK,
        "to wait would close a circle of processes that wait for each other's locks; the kernel looks for it among \
         POSIX locks alone",
        "see who has which: lslocks; always take locks in the same order",
    ),
    cause(Errno::EAGAIN, LOCK, "another process has a lock on these bytes", "see which: lslocks"),
    cause(Errno::EACCES, LOCK, "another process has a lock on these bytes", "see which: lslocks"),
    cause(Errno::ENOLCK, LOCK, "there is no memory for another lock, or the file server takes none", ""),
    cause(Errno::EAGAIN, FLOCK, "somebody has the lock, and LOCK_NB says not to wait", "see who: lslocks"),
    // Signals.
    limit(
        Errno::EAGAIN,
        SIGQUEUE,
        "RLIMIT_SIGPENDING",
        Need::Count,
        "as many signals are queued for processes of this user as may be",
        "see which process does not take its own: ipcx signal show PID",
    ),
    limit(
        Errno::EAGAIN,
        TIMER,
        "RLIMIT_SIGPENDING",
        Need::Count,
        "a timer takes the place of a queued signal, and there are as many as may be",
        "",
    ),
    cause(
        Errno::EPERM,
        KILL,
        "the process belongs to another user",
        "see whose it is: ps -o user= -p PID; CAP_KILL may send to all",
    ),
    cause(Errno::ESRCH, KILL, "there is no such process in this PID namespace; it may have ended", ""),
    // Descriptors of all kinds.
    limit(
        Errno::EMFILE,
        DESCRIPTORS,
        "RLIMIT_NOFILE",
        Need::Count,
        "the process has as many descriptors as it may",
        "see what they are: ls -l /proc/PID/fd; a number that only grows is a leak",
    ),
    // Unix sockets.
    cause(
        Errno::EADDRINUSE,
        BIND,
        "there is a file of this name, or a socket has this abstract name; a file stays when its socket ends",
        "see if a socket is bound to it: ipcx show sock/PATH; if none is, remove it: ipcx rm sock/PATH",
    ),
    cause(Errno::EACCES, BIND, "the directory may not be written to", "ls -ld DIRECTORY"),
    cause(
        Errno::ECONNREFUSED,
        CONNECT,
        "nobody listens there: the server has ended and left its socket file, or has not called listen(2) yet",
        "see which it is: ipcx show sock/PATH; a file that no socket is bound to: ipcx rm sock/PATH",
    ),
    cause(
        Errno::ENOENT,
        CONNECT,
        "there is no socket file of this name; the server has not started, or is in another mount namespace",
        "see which sockets listen: ipcx ls sock",
    ),
    cause(
        Errno::EACCES,
        CONNECT,
        "the mode of the socket file, or of a directory above, does not permit writing",
        "see owner and mode: ipcx show sock/PATH",
    ),
    cause(
        Errno::EPROTOTYPE,
        CONNECT,
        "the socket there is of another type (stream, datagram, seqpacket)",
        "see which: ipcx show sock/PATH",
    ),
    limit(
        Errno::EAGAIN,
        CONNECT,
        "somaxconn",
        Need::Count,
        "as many connections wait for accept(2) as the server asked for in listen(2), or as may",
        "see how many wait: ipcx show sock/PATH (pending, backlog); the server does not accept fast enough",
    ),
    limit(
        Errno::EAGAIN,
        SEND,
        "max_dgram_qlen",
        Need::Count,
        "as many datagrams wait at the receiver as may, or the send buffer is full, and nobody is to wait",
        "the receiver does not read fast enough: ipcx ls sock; a socket keeps the length that it was made with",
    ),
    limit(
        Errno::ENOBUFS,
        SEND,
        "wmem_max",
        Need::Bytes,
        "there is no memory for the message, or it is larger than the send buffer",
        "raise SO_SNDBUF of the socket, which this bounds",
    ),
    limit(
        Errno::EMSGSIZE,
        SEND,
        "wmem_max",
        Need::Bytes,
        "the datagram is larger than the send buffer of the socket",
        "raise SO_SNDBUF of the socket, which this bounds, or send a memory file instead (SCM_RIGHTS)",
    ),
    cause(
        Errno::EPIPE,
        SEND,
        "the other side has closed the connection, or shut it down (the sender gets SIGPIPE too)",
        "see who is left: ipcx ls sock",
    ),
    cause(Errno::ECONNRESET, SEND, "the other side has closed the connection with bytes unread", ""),
    cause(Errno::ENOTCONN, SEND, "the socket is not connected, and no address was given", ""),
    limit(
        Errno::ETOOMANYREFS,
        SEND,
        "RLIMIT_NOFILE",
        Need::Count,
        "as many descriptors of this user are on their way in messages (SCM_RIGHTS) as a process may have",
        "the receivers do not take them: ipcx ls sock",
    ),
    // Mutexes between processes.
    cause(
        Errno::EOWNERDEAD,
        MUTEX,
        "the process that held the robust mutex has died; the caller has it now",
        "make what it guards consistent, then pthread_mutex_consistent(3) and unlock",
    ),
    cause(
        Errno::ENOTRECOVERABLE,
        MUTEX,
        "its holder died, and the next one unlocked it without pthread_mutex_consistent(3)",
        "it can only be destroyed and made anew: remove the shared memory that it lies in",
    ),
    cause(Errno::EDEADLK, MUTEX, "this thread has the mutex already (an error-checking one)", ""),
    cause(Errno::EBUSY, MUTEX, "another thread has the mutex, and pthread_mutex_trylock(3) does not wait", ""),
];

#[cfg(test)]
mod tests {
    use super::super::raise;
    use super::*;

    #[test]
    fn every_cause_says_what_it_means_and_names_a_limit_that_there_is() {
        for cause in CAUSES {
            assert!(cause.means.len() > 20 && !cause.means.ends_with('.'), "{}", cause.means);
            assert!(!cause.calls.is_empty());
            if let Some(limit) = cause.limit {
                assert!(raise::of(limit).is_some(), "{limit}");
            }
        }
    }

    #[test]
    fn no_cause_stands_there_twice() {
        let same =
            |a: &Cause, b: &Cause| (a.errno, a.calls[0], a.limit, a.means) == (b.errno, b.calls[0], b.limit, b.means);
        for (at, cause) in CAUSES.iter().enumerate() {
            assert!(!CAUSES[..at].iter().any(|other| same(cause, other)), "{:?} {}", cause.errno, cause.calls[0]);
        }
    }
}
