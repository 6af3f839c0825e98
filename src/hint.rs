//! What to do about an error, with the limit that binds at its present value: one table.

use crate::error::Error;
use crate::proc::sysctl;
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};

/// One line of the table: the call, its errno, and the advice.
struct Hint {
    call: &'static str,
    errno: Errno,
    advice: fn() -> String,
}

const fn on(call: &'static str, errno: Errno, advice: fn() -> String) -> Hint {
    Hint { call, errno, advice }
}

/// The present value of a sysctl; `?` where it cannot be read.
fn now(name: &str) -> String {
    sysctl::number(name).map_or_else(|| "?".to_owned(), |n| n.to_string())
}

fn sem(at: usize) -> String {
    let number = sysctl::numbers("kernel.sem").ok().and_then(|numbers| numbers.get(at).copied());
    number.map_or_else(|| "?".to_owned(), |n| n.to_string())
}

fn no_sysv() -> String {
    "this kernel was built without System V IPC (CONFIG_SYSVIPC); POSIX objects such as /name may still work".to_owned()
}

fn no_mqueue() -> String {
    "this kernel was built without POSIX message queues (CONFIG_POSIX_MQUEUE); a System V queue may still work"
        .to_owned()
}

fn memlock() -> String {
    let soft = getrlimit(Resource::RLIMIT_MEMLOCK).map_or(0, |(soft, _)| soft);
    format!(
        "RLIMIT_MEMLOCK = {soft} bounds the bytes a user may lock (ulimit -l); only the owner, the creator or root may lock"
    )
}

fn file_size() -> String {
    match getrlimit(Resource::RLIMIT_FSIZE) {
        Ok((soft, _)) if soft != libc::RLIM_INFINITY => {
            format!("RLIMIT_FSIZE = {soft} bounds the bytes of a file (ulimit -f)")
        }
        _ => "the file system bounds the size of a file".to_owned(),
    }
}

fn pipe_pages() -> String {
    format!(
        "fs.pipe-user-pages-soft = {} and -hard = {} (0: none) bound the pages of all pipes of a user without CAP_SYS_RESOURCE or CAP_SYS_ADMIN",
        now("fs.pipe-user-pages-soft"),
        now("fs.pipe-user-pages-hard")
    )
}

static TABLE: &[Hint] = &[
    on("msgget", Errno::ENOSPC, || {
        format!(
            "kernel.msgmni = {} bounds the queues of this IPC namespace; `ipcx explain ENOSPC msgget` tells more, `ipcx stale msgq` what nobody uses",
            now("kernel.msgmni")
        )
    }),
    on("msgsnd", Errno::EINVAL, || {
        format!(
            "kernel.msgmax = {} bounds a System V message; raise it with sysctl, or use shm or a POSIX queue",
            now("kernel.msgmax")
        )
    }),
    on("msgsnd-qbytes", Errno::UnknownErrno, || {
        format!(
            "it could never fit; raise the capacity with `ipcx msgq set REF --max-bytes SIZE` (kernel.msgmnb = {} bounds it for ordinary users)",
            now("kernel.msgmnb")
        )
    }),
    on("msgsnd", Errno::EAGAIN, || {
        "wait for room with --timeout, or see `ipcx show` for what is in it and who received last".to_owned()
    }),
    on("msgctl-qbytes", Errno::EPERM, || {
        format!("kernel.msgmnb = {} bounds a queue without CAP_SYS_RESOURCE", now("kernel.msgmnb"))
    }),
    on("msgrcv-copy", Errno::ENOSYS, || "peeking needs a kernel with CONFIG_CHECKPOINT_RESTORE".to_owned()),
    on("msgrcv-copy", Errno::EINVAL, || {
        "raise kernel.msgmax with sysctl to see it; receiving it works as it is".to_owned()
    }),
    on("msgrcv-copy", Errno::E2BIG, || {
        "raise kernel.msgmax with sysctl to see it; receiving it works as it is".to_owned()
    }),
    on("shmget", Errno::EINVAL, || format!("kernel.shmmax = {} bounds the bytes of one segment", now("kernel.shmmax"))),
    on("shmget", Errno::ENOSPC, || {
        format!(
            "kernel.shmmni = {} bounds the segments and kernel.shmall = {} the pages of this IPC namespace; `ipcx explain ENOSPC shmget` tells which of them it is, `ipcx stale shm` what nobody uses",
            now("kernel.shmmni"),
            now("kernel.shmall")
        )
    }),
    on("shmget", Errno::ENOMEM, || "there is not enough memory, or vm.overcommit_memory = 2 forbids it".to_owned()),
    on("shmget-huge", Errno::ENOMEM, || {
        format!(
            "vm.nr_hugepages = {} is the number of huge pages there are; raise it with sysctl",
            now("vm.nr_hugepages")
        )
    }),
    on("shmget-huge", Errno::EINVAL, || {
        let sizes = std::fs::read_dir("/sys/kernel/mm/hugepages").into_iter().flatten().flatten();
        let names: Vec<String> = sizes.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        if names.is_empty() {
            "this kernel has no huge pages (CONFIG_HUGETLBFS)".to_owned()
        } else {
            format!("/sys/kernel/mm/hugepages has {}", names.join(", "))
        }
    }),
    on("shmget-huge", Errno::EPERM, || {
        format!(
            "huge pages are for members of the group vm.hugetlb_shm_group = {} or CAP_IPC_LOCK",
            now("vm.hugetlb_shm_group")
        )
    }),
    on("shmctl-lock", Errno::ENOMEM, memlock),
    on("shmctl-lock", Errno::EPERM, memlock),
    on("shm_open", Errno::EFBIG, file_size),
    on("open", Errno::EFBIG, file_size),
    on("pwrite", Errno::EFBIG, file_size),
    on("ftruncate", Errno::EFBIG, file_size),
    on("shm_open", Errno::ENOSPC, || {
        "/dev/shm is full; see `ipcx explain ENOSPC shm_open` and `ipcx ls shm --sort size`".to_owned()
    }),
    on("pwrite", Errno::ENOSPC, || "the file system behind it is full; see `ipcx limits shm`".to_owned()),
    on("semget", Errno::EINVAL, || {
        format!("SEMMSL = {} bounds the semaphores of one set (1st number of kernel.sem)", sem(0))
    }),
    on("semget", Errno::ENOSPC, || {
        format!(
            "SEMMNI = {} bounds the sets and SEMMNS = {} the semaphores of this IPC namespace (4th and 2nd number of kernel.sem); `ipcx explain ENOSPC semget` tells which of them it is, `ipcx stale sem` what nobody uses",
            sem(3),
            sem(1)
        )
    }),
    on("semop", Errno::E2BIG, || {
        format!("SEMOPM = {} bounds the operations of one call (3rd number of kernel.sem)", sem(2))
    }),
    on("sem_open", Errno::ENOSPC, || "/dev/shm is full; see `ipcx limits shm`".to_owned()),
    on("mq_open", Errno::EMFILE, || {
        let soft = getrlimit(Resource::RLIMIT_MSGQUEUE).map_or(0, |(soft, _)| soft);
        format!(
            "RLIMIT_MSGQUEUE = {soft} bounds maxmsg*(msgsize+96) over all queues of a user (ulimit -q); see `ipcx explain EMFILE mq_open`"
        )
    }),
    on("mq_open", Errno::ENOSPC, || {
        format!("fs.mqueue.queues_max = {} bounds the queues of this IPC namespace", now("fs.mqueue.queues_max"))
    }),
    on("mq_open", Errno::EINVAL, || {
        format!(
            "fs.mqueue.msg_max = {} bounds the messages of a queue and fs.mqueue.msgsize_max = {} the bytes of one",
            now("fs.mqueue.msg_max"),
            now("fs.mqueue.msgsize_max")
        )
    }),
    on("mq_send", Errno::EMSGSIZE, || {
        "the size of its messages is fixed when a POSIX queue is made (--message-size)".to_owned()
    }),
    on("fcntl-pipe", Errno::EPERM, pipe_pages),
    on("fcntl-pipe", Errno::ENOMEM, pipe_pages),
    on("fcntl-pipe", Errno::EINVAL, || {
        format!(
            "a capacity is 1 byte to 2 GiB, rounded up to a power of two pages; fs.pipe-max-size = {} bounds it without CAP_SYS_RESOURCE",
            now("fs.pipe-max-size")
        )
    }),
    on("pipe", Errno::EMFILE, || {
        let soft = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
        format!("RLIMIT_NOFILE = {soft} bounds the descriptors of a process (ulimit -n); a pipe takes two")
    }),
    on("mq_send", Errno::EAGAIN, || "wait for room with --timeout".to_owned()),
    on("pidfd_open", Errno::ENOSYS, || "descriptors of processes came with Linux 5.3".to_owned()),
    on("pidfd_open", Errno::EMFILE, || {
        let soft = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
        format!("RLIMIT_NOFILE = {soft} bounds the processes that can be held at once (ulimit -n)")
    }),
    on("fstat", Errno::EOPNOTSUPP, || {
        "processes have an inode of their own from Linux 6.9 on; name it by its pid alone".to_owned()
    }),
];

/// A call that the kernel does not have belongs to a facility that it was built without.
fn missing(call: &str) -> Option<String> {
    const SYSV: [&str; 6] = ["msg", "shmget", "shmctl", "shmat", "semget", "semctl"];
    match call {
        call if call.starts_with("mq_") => Some(no_mqueue()),
        call if call == "semop" || SYSV.iter().any(|name| call.starts_with(name)) => Some(no_sysv()),
        _ => None,
    }
}

/// The advice for an error, if there is any.
pub fn hint(error: &Error) -> Option<String> {
    let listed = || TABLE.iter().find(|hint| hint.call == error.call && hint.errno == error.errno);
    error.hint.clone().or_else(|| match listed() {
        Some(hint) => Some((hint.advice)()),
        None if error.errno == Errno::ENOSYS => missing(error.call),
        None => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hint_gives_advice_and_no_two_are_for_the_same_failure() {
        for (at, hint) in TABLE.iter().enumerate() {
            let advice = (hint.advice)();
            assert!(advice.len() > 20, "{}: {advice}", hint.call);
            assert!(
                !TABLE[..at].iter().any(|other| other.call == hint.call && other.errno == hint.errno),
                "{}",
                hint.call
            );
        }
    }

    #[test]
    fn limits_are_named_with_their_present_value() {
        let msgmax = std::fs::read_to_string("/proc/sys/kernel/msgmax").unwrap();
        let advice = hint(&Error::new("msgsnd", Errno::EINVAL, "msgq/0")).unwrap();
        assert!(advice.contains(&format!("kernel.msgmax = {}", msgmax.trim())), "{advice}");
        let sem = std::fs::read_to_string("/proc/sys/kernel/sem").unwrap();
        let opm = sem.split_whitespace().nth(2).unwrap();
        let advice = hint(&Error::new("semop", Errno::E2BIG, "sem/0")).unwrap();
        assert!(advice.contains(&format!("SEMOPM = {opm}")), "{advice}");
    }

    #[test]
    fn an_error_without_advice_has_none_and_its_own_hint_comes_first() {
        assert_eq!(hint(&Error::new("msgsnd", Errno::EIDRM, "msgq/0")), None);
        let own = Error::new("msgsnd", Errno::EINVAL, "msgq/0").hinting("mine");
        assert_eq!(hint(&own).as_deref(), Some("mine"));
    }
}
