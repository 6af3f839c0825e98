//! What an errno of an IPC call means, and which limit is behind it now.
//!
//! `causes` is the table of what the man pages and the kernel say, `raise` that of what sets a limit. Here
//! both are held against the limits as they are at this moment.

mod causes;
mod raise;

use crate::mech::{self, Limit, MESSAGE_OVERHEAD, Unit, soft_limit};
use crate::model::{Family, Seen};
use crate::proc::sysctl;
use causes::CAUSES;
use nix::errno::Errno;
use nix::sys::resource::Resource;
use raise::{PROCESS, Raise};

/// A number from here on bounds nothing: the kernel's own default for some limits is just below 2⁶⁴.
const UNREACHABLE: u64 = 1 << 62;

/// One cause of an errno.
struct Cause {
    errno: Errno,
    /// The calls that fail so, the first as its man page names it.
    calls: &'static [&'static str],
    /// What it means, in one plain line.
    means: &'static str,
    /// The name of the limit that is behind it.
    limit: Option<&'static str>,
    needs: Need,
    /// What else there is to be done.
    advice: &'static str,
}

/// What a request needs of the limit behind its failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Need {
    /// One more.
    One,
    /// As many as it asks for.
    Count,
    /// As many bytes as it asks for.
    Bytes,
    /// Those bytes, in pages.
    Pages,
    /// What a POSIX queue of that many messages of that size costs, mq_overview(7).
    Queue,
}

/// The request that failed, as far as it is known.
#[derive(Clone, Copy, Default, Debug)]
pub struct Request {
    /// Its bytes: of the message, the segment, the pipe.
    pub size: Option<u64>,
    /// Its number: of semaphores, operations, messages.
    pub count: Option<u64>,
}

/// Whether a limit is the cause now.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Binds {
    /// The request does not fit.
    Yes,
    /// The cause is no limit.
    NoLimit,
    /// It bounds one object or call: only the request could tell.
    Depends,
    /// Its use or value could not be seen.
    Hidden,
    /// The request fits.
    No,
}

/// A cause, held against what is.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    pub errno: Errno,
    pub call: &'static str,
    pub cause: &'static str,
    pub limit: Option<Limit>,
    pub binds: Binds,
    /// The command that raises the limit far enough; `None` where nothing does.
    pub remedy: Option<String>,
    /// What else there is to be done.
    pub advice: Vec<String>,
}

/// The errno of a word: a name in any case, or its number.
pub fn errno(word: &str) -> Option<Errno> {
    let known = |errno: &Errno| *errno != Errno::UnknownErrno;
    if let Ok(number) = word.parse() {
        return Some(Errno::from_raw(number)).filter(known);
    }
    let name = match word.to_ascii_uppercase().as_str() {
        // Second names, errno(3).
        "EWOULDBLOCK" => "EAGAIN".to_owned(),
        "EDEADLOCK" => "EDEADLK".to_owned(),
        "ENOTSUP" => "EOPNOTSUPP".to_owned(),
        name => name.to_owned(),
    };
    // Linux has none above, errno-base.h and errno.h in include/uapi/asm-generic.
    (1..=133).map(Errno::from_raw).filter(known).find(|errno| format!("{errno:?}") == name)
}

/// The calls of which a cause of this errno is known.
pub fn calls(errno: Errno) -> Vec<&'static str> {
    let mut calls: Vec<&str> = CAUSES.iter().filter(|cause| cause.errno == errno).map(|cause| cause.calls[0]).collect();
    calls.sort_unstable();
    calls.dedup();
    calls
}

/// Every cause of this errno, of one call or of all, those that bind now first.
pub fn diagnose(errno: Errno, call: Option<&str>, request: Request) -> Vec<Diagnosis> {
    let meant = |cause: &&Cause| cause.errno == errno && call.is_none_or(|call| name_of(cause, call).is_some());
    let causes: Vec<&Cause> = CAUSES.iter().filter(meant).collect();
    let behind = |noun: &str| causes.iter().filter_map(|cause| raise::of(cause.limit?)).any(|row| row.noun == noun);
    let mut limits = mech::limits(behind);
    if behind(PROCESS) {
        limits.extend(of_processes());
    }
    let queue = || ["fs.mqueue.msg_default", "fs.mqueue.msgsize_default"].map(sysctl::number);
    let explain = |cause: &&Cause| Diagnosis {
        call: call.and_then(|call| name_of(cause, call)).unwrap_or(cause.calls[0]),
        ..weigh(cause, &limits, request, queue)
    };
    let mut found: Vec<Diagnosis> = causes.iter().map(explain).collect();
    let percent = |diagnosis: &Diagnosis| diagnosis.limit.as_ref().and_then(Limit::percent).unwrap_or(0.0);
    found.sort_by(|a, b| a.binds.cmp(&b.binds).then(percent(b).total_cmp(&percent(a))));
    found
}

/// The call of this cause that a word names: `semop`, `SEMOP`, `semop(2)`, `semop()`.
fn name_of(cause: &Cause, word: &str) -> Option<&'static str> {
    let name = word.split_once('(').map_or(word, |(name, _)| name).trim();
    let mut calls = cause.calls.iter().copied();
    calls.find(|call| call.eq_ignore_ascii_case(name) || call.eq_ignore_ascii_case(word))
}

/// The limits of one process, which belong to no mechanism. They are ours: another process may have others.
fn of_processes() -> Vec<Limit> {
    let limit = |name, help, unit, resource, setting| Limit {
        noun: PROCESS,
        family: Family::Posix,
        name,
        help,
        limit: soft_limit(resource),
        used: Seen::Absent,
        unit,
        setting,
    };
    vec![
        limit("RLIMIT_NOFILE", "descriptors of one process", Unit::Objects, Resource::RLIMIT_NOFILE, "ulimit -n"),
        limit("RLIMIT_MEMLOCK", "bytes that a user may lock", Unit::Bytes, Resource::RLIMIT_MEMLOCK, "ulimit -l"),
        limit("RLIMIT_FSIZE", "bytes of one file", Unit::Bytes, Resource::RLIMIT_FSIZE, "ulimit -f"),
    ]
}

/// Holds one cause against the limits. `queue` gives the messages and the size of a queue for which nothing was
/// asked.
fn weigh(cause: &Cause, limits: &[Limit], request: Request, queue: impl Fn() -> [Option<u64>; 2]) -> Diagnosis {
    let limit = cause.limit.and_then(|name| limits.iter().find(|limit| limit.name == name)).cloned();
    let asked = match cause.needs {
        Need::One => Some(1),
        Need::Count => request.count,
        Need::Bytes => request.size,
        Need::Pages => request.size.map(|size| size.div_ceil(crate::sys::pipe::page() as u64)),
        Need::Queue => {
            let [messages, size] = queue();
            let (messages, size) = (request.count.or(messages), request.size.or(size));
            messages.zip(size).map(|(messages, size)| messages.saturating_mul(size.saturating_add(MESSAGE_OVERHEAD)))
        }
    };
    let (binds, enough) = limit.as_ref().map_or((Binds::NoLimit, None), |limit| verdict(limit, asked));
    let row = cause.limit.and_then(raise::of);
    let remedy = match (&limit, row) {
        (Some(limit), Some(row)) => row.command(limit, enough, asked, limits),
        _ => None,
    };
    let mut advice = Vec::new();
    if let (Some(row), Some(_)) = (row, &limit) {
        match row.raise {
            Raise::Ulimit { prlimit, .. } => advice.push(format!(
                "that is for what bash starts; for a process that runs: prlimit --pid PID --{prlimit}=NUMBER"
            )),
            Raise::Sysctl(_) | Raise::Sem if remedy.is_some() => {
                advice.push("that takes root; a line in /etc/sysctl.d keeps it over a reboot".to_owned());
            }
            _ if remedy.is_none() => advice.push("nothing raises it further".to_owned()),
            _ => {}
        }
    }
    if !cause.advice.is_empty() {
        advice.push(cause.advice.to_owned());
    }
    Diagnosis { errno: cause.errno, call: cause.calls[0], cause: cause.means, limit, binds, remedy, advice }
}

/// Whether a limit binds a request that asks for so much, and what it must be to let it through.
fn verdict(limit: &Limit, asked: Option<u64>) -> (Binds, Option<u64>) {
    let most = match &limit.limit {
        Seen::Is(most) => *most,
        Seen::Hidden(_) => return (Binds::Hidden, None),
        Seen::Absent | Seen::Skipped => return (Binds::No, None),
    };
    let enough = match (&limit.used, asked) {
        (Seen::Is(used), asked) => used.saturating_add(asked.unwrap_or(1)),
        (Seen::Hidden(_), _) => return (Binds::Hidden, None),
        // Nothing of it is used up: the request alone decides.
        (_, Some(asked)) => asked,
        (_, None) if most >= UNREACHABLE => return (Binds::No, None),
        (_, None) => return (Binds::Depends, None),
    };
    (if enough > most { Binds::Yes } else { Binds::No }, Some(enough))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(name: &'static str, used: Seen<u64>, most: u64) -> Limit {
        let row = raise::of(name).unwrap();
        let unit = if name == "MSGMAX" { Unit::Bytes } else { Unit::Objects };
        Limit { noun: row.noun, family: Family::Sysv, name, help: "", limit: Seen::Is(most), used, unit, setting: "" }
    }

    fn sem(sets: u64, all: u64) -> Vec<Limit> {
        vec![
            limit("SEMMNI", Seen::Is(sets), 4),
            limit("SEMMNS", Seen::Is(all), 100),
            limit("SEMMSL", Seen::Absent, 32),
            limit("SEMOPM", Seen::Absent, 5),
        ]
    }

    fn of(errno: Errno, call: &str, name: &str, limits: &[Limit], request: Request) -> Diagnosis {
        let cause =
            |cause: &&Cause| cause.errno == errno && name_of(cause, call).is_some() && cause.limit == Some(name);
        weigh(CAUSES.iter().find(cause).unwrap(), limits, request, || [Some(10), Some(8192)])
    }

    fn asks(size: Option<u64>, count: Option<u64>) -> Request {
        Request { size, count }
    }

    #[test]
    fn an_errno_is_known_by_name_and_by_number() {
        assert_eq!(errno("ENOSPC"), Some(Errno::ENOSPC));
        assert_eq!(errno("enospc"), Some(Errno::ENOSPC));
        assert_eq!(errno("28"), Some(Errno::ENOSPC));
        assert_eq!(errno("EWOULDBLOCK"), Some(Errno::EAGAIN));
        assert_eq!(errno("ENOTRECOVERABLE"), Some(Errno::ENOTRECOVERABLE));
        for odd in ["", "0", "-1", "4096", "SPC", "UnknownErrno", "UNKNOWNERRNO", "ENOSPC "] {
            assert_eq!(errno(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_call_is_known_by_each_of_its_names_in_any_case() {
        for word in ["semop", "SEMOP", "semtimedop", "semop(2)", "semop()"] {
            assert!(CAUSES.iter().any(|cause| cause.errno == Errno::E2BIG && name_of(cause, word).is_some()), "{word}");
        }
        assert!(
            CAUSES.iter().any(|cause| cause.errno == Errno::EPERM && name_of(cause, "fcntl(F_SETPIPE_SZ)").is_some())
        );
        assert!(!CAUSES.iter().any(|cause| name_of(cause, "sem").or(name_of(cause, "")).is_some()));
    }

    #[test]
    fn what_is_used_up_binds_and_what_is_not_does_not() {
        let full = of(Errno::ENOSPC, "semget", "SEMMNI", &sem(4, 4), Request::default());
        assert_eq!(full.binds, Binds::Yes);
        assert_eq!(full.remedy.as_deref(), Some("sysctl -w kernel.sem=\"32 100 5 8\""));
        assert_eq!(of(Errno::ENOSPC, "semget", "SEMMNI", &sem(3, 4), Request::default()).binds, Binds::No);
        // How many are asked for decides.
        assert_eq!(of(Errno::ENOSPC, "semget", "SEMMNS", &sem(1, 99), Request::default()).binds, Binds::No);
        let many = of(Errno::ENOSPC, "semget", "SEMMNS", &sem(1, 99), asks(None, Some(500)));
        assert_eq!((many.binds, many.remedy.as_deref()), (Binds::Yes, Some("sysctl -w kernel.sem=\"500 599 5 4\"")));
    }

    #[test]
    fn a_limit_of_one_object_depends_on_the_request() {
        let limits = [limit("MSGMAX", Seen::Absent, 8192)];
        let of = |size| of(Errno::EINVAL, "msgsnd", "MSGMAX", &limits, asks(size, None));
        assert_eq!(of(None).binds, Binds::Depends);
        assert_eq!(of(Some(8192)).binds, Binds::No);
        assert_eq!(of(Some(9000)).binds, Binds::Yes);
        assert_eq!(of(Some(9000)).remedy.as_deref(), Some("sysctl -w kernel.msgmax=16384"));
        assert_eq!(of(Some(1 << 40)).remedy, None, "the kernel permits no such number");
    }

    #[test]
    fn a_queue_costs_what_it_may_hold() {
        let limits = [limit("RLIMIT_MSGQUEUE", Seen::Is(745_920), 819_200)];
        let of = |request| of(Errno::EMFILE, "mq_open", "RLIMIT_MSGQUEUE", &limits, request);
        let full = of(Request::default());
        assert_eq!((full.binds, full.remedy.as_deref()), (Binds::Yes, Some("ulimit -q unlimited")));
        assert!(full.advice.iter().any(|advice| advice.contains("prlimit --pid PID --msgqueue=")), "{full:?}");
        assert_eq!(of(asks(Some(100), Some(10))).binds, Binds::No);
    }

    #[test]
    fn what_could_not_be_seen_neither_binds_nor_does_not() {
        let hidden = [limit("SEMMNI", Seen::hidden("semctl", libc::ENOSYS), 4)];
        assert_eq!(of(Errno::ENOSPC, "semget", "SEMMNI", &hidden, Request::default()).binds, Binds::Hidden);
        // No limit at all binds nothing.
        let mut none = limit("pipe-user-pages-hard", Seen::Is(5), 0);
        none.limit = Seen::Absent;
        assert_eq!(of(Errno::ENFILE, "pipe", "pipe-user-pages-hard", &[none], Request::default()).binds, Binds::No);
    }

    #[test]
    fn what_binds_comes_first_and_the_nearest_of_the_others_next() {
        let found = diagnose(Errno::ENOSPC, None, asks(None, Some(u64::MAX)));
        assert!(found.iter().is_sorted_by_key(|diagnosis| diagnosis.binds));
        assert_eq!(found[0].binds, Binds::Yes, "that many semaphores fit nowhere");
        assert!(diagnose(Errno::ENOSPC, Some("semop"), Request::default()).is_empty());
        assert_eq!(calls(Errno::E2BIG), ["msgrcv", "semop"]);
    }
}
