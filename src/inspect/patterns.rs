//! What known programs leave behind, and what their makers advise.
//!
//! One entry is one kind of object of one program. A name with the pid of its maker in it is evidence; any
//! other entry only tells whom to ask.

use crate::model::{Family, Kind, Object, Text};
use wildmatch::WildMatch;

/// What a program leaves behind.
pub(super) struct Pattern {
    pub(super) maker: &'static str,
    pub(super) advice: &'static str,
    kind: Kind,
    sign: Sign,
}

/// What it is known by.
enum Sign {
    /// A POSIX name without its slash, in which `*` is any text and `{pid}` the process that made it.
    Name(&'static str),
    /// A System V object of one of these users, with this shape.
    Owner(&'static [&'static str], fn(&Object) -> bool),
}

/// An object of which a pattern tells.
pub(super) struct Hit {
    pub(super) pattern: &'static Pattern,
    /// The process that its name says made it.
    pub(super) pid: Option<i32>,
}

const fn named(kind: Kind, maker: &'static str, name: &'static str, advice: &'static str) -> Pattern {
    Pattern { maker, advice, kind, sign: Sign::Name(name) }
}

const fn owned(
    kind: Kind,
    maker: &'static str,
    owners: &'static [&'static str],
    shape: fn(&Object) -> bool,
    advice: &'static str,
) -> Pattern {
    Pattern { maker, advice, kind, sign: Sign::Owner(owners, shape) }
}

const POSTGRES: &str = "a server removes its own at its next start; the last line but one of a running server's \
     postmaster.pid names its key and identifier";
const ORACLE: &str = "`sysresv` tells which instance it belongs to; remove what belongs to none";
const OPEN_MPI: &str = "left by a job that was killed; it can go once no mpirun, prted or orted of that user runs";
const FAST_DDS: &str = "`fastdds shm clean` removes those that no participant has locked";
const ICEORYX: &str = "the next start of the daemon or of a node cleans up; `iox2 node list` names dead nodes";
const CHROMIUM: &str = "it is unlinked as soon as it is shared; one that stays was left by a crash";
const PYTHON: &str = "its resource tracker unlinks it at the end; one that stays was left by SIGKILL, or is on purpose";

/// The table. The first that fits is taken.
static PATTERNS: &[Pattern] = &[
    named(
        Kind::Shm,
        "PyTorch",
        "torch_{pid}_*",
        "left by a worker that was killed; torch_shm_manager removes the others",
    ),
    named(
        Kind::Shm,
        "NCCL",
        "nccl-*",
        "it is unlinked once all ranks are connected; one that stays was left by a job that was killed",
    ),
    named(Kind::Shm, "Open MPI", "vader_segment.*", OPEN_MPI),
    named(Kind::Shm, "Open MPI", "sm_segment.*", OPEN_MPI),
    named(Kind::Shm, "Fast-DDS", "fastrtps_*", FAST_DDS),
    named(Kind::Sem, "Fast-DDS", "fastrtps_*", FAST_DDS),
    named(Kind::Shm, "Fast-DDS", "fast_datasharing_*", FAST_DDS),
    named(Kind::Shm, "Chromium", ".org.chromium.*", CHROMIUM),
    named(Kind::Shm, "Chrome", ".com.google.Chrome.*", CHROMIUM),
    named(Kind::Shm, "iceoryx2", "iox2_*", ICEORYX),
    named(Kind::Shm, "iceoryx", "iceoryx_*", ICEORYX),
    named(Kind::Shm, "Python multiprocessing", "psm_*", PYTHON),
    named(Kind::Sem, "Python multiprocessing", "mp-*", PYTHON),
    named(Kind::Sem, "loky (joblib)", "loky-{pid}-*", PYTHON),
    named(
        Kind::Shm,
        "PulseAudio",
        "pulse-shm-*",
        "every client and daemon removes those of dead processes when it starts",
    ),
    named(Kind::Shm, "PostgreSQL", "PostgreSQL.*", POSTGRES),
    named(Kind::Shm, "Oracle", "ora_*", ORACLE),
    owned(Kind::Shm, "PostgreSQL", &["postgres", "postgresql"], |_| true, POSTGRES),
    owned(Kind::Sem, "PostgreSQL", &["postgres", "postgresql"], |_| true, POSTGRES),
    owned(Kind::Shm, "Oracle", &["oracle", "grid"], |_| true, ORACLE),
    owned(Kind::Sem, "Oracle", &["oracle", "grid"], |_| true, ORACLE),
    owned(
        Kind::Sem,
        "Apache httpd",
        &["www-data", "apache", "wwwrun", "http", "www"],
        is_mutex,
        "a server that was killed leaves them; those of a running server are in use; \
         `Mutex posixsem` or `Mutex pthread` in its configuration makes none",
    ),
];

/// A private set of one semaphore, as apr_proc_mutex_create(3) of APR makes it.
fn is_mutex(object: &Object) -> bool {
    object.key.known() == Some(&0) && object.number("nsems") == Some(1) && object.mode.known() == Some(&0o600)
}

/// The first pattern that an object fits. Its owner must have been named for those that go by the owner.
pub(super) fn of(object: &Object) -> Option<Hit> {
    PATTERNS.iter().find_map(|pattern| pattern.fits(object))
}

impl Pattern {
    fn fits(&'static self, object: &Object) -> Option<Hit> {
        if object.kind() != self.kind {
            return None;
        }
        let hit = |pid| Hit { pattern: self, pid };
        match (&self.sign, object.family) {
            (Sign::Name(pattern), Family::Posix) => {
                let name = object.name().map(Text::raw)?;
                fits(pattern, name.strip_prefix(b"/").unwrap_or(name)).map(hit)
            }
            (Sign::Owner(owners, shape), Family::Sysv) => {
                let owner = object.user.known().and_then(Text::utf8)?;
                (owners.contains(&owner) && shape(object)).then(|| hit(None))
            }
            _ => None,
        }
    }
}

/// Whether a name fits a pattern; the pid in it, if it has one.
fn fits(pattern: &str, name: &[u8]) -> Option<Option<i32>> {
    let name = std::str::from_utf8(name).ok()?;
    let Some((before, behind)) = pattern.split_once("{pid}") else {
        return WildMatch::new(pattern).matches(name).then_some(None);
    };
    let rest = name.strip_prefix(before)?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let pid = rest[..digits].parse().ok().filter(|pid| *pid > 0)?;
    WildMatch::new(behind).matches(&rest[digits..]).then_some(Some(pid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Fingerprint, Ident, ObjectRef, Seen, Value};

    #[test]
    fn a_pid_is_read_from_the_name() {
        for (pattern, name, expected) in [
            ("torch_{pid}_*", "torch_4711_123_0", Some(Some(4711))),
            ("torch_{pid}_*", "torch_4711", None),
            ("torch_{pid}_*", "torch__1", None),
            ("torch_{pid}_*", "torch_-1_1", None),
            ("torch_{pid}_*", "torch_0_1", None),
            ("torch_{pid}_*", "torch_99999999999_1", None),
            ("nccl-*", "nccl-AbC123", Some(None)),
            ("nccl-*", "xnccl-AbC123", None),
            ("nccl-*", "nccl", None),
            ("ora_*", "ORA_1", None),
        ] {
            assert_eq!(fits(pattern, name.as_bytes()), expected, "{pattern} {name}");
        }
        assert_eq!(fits("torch_{pid}_*", b"torch_1_\xff"), None);
    }

    fn posix(kind: Kind, name: &str) -> Object {
        let fingerprint = Fingerprint::Inode { dev: 1, ino: 2, ctime: 3, ctime_nsec: 4 };
        Object::new(ObjectRef { kind, id: Ident::Name(Text::from(name)) }, Family::Posix, fingerprint)
    }

    #[test]
    fn known_names_are_known() {
        for (kind, name, maker) in [
            (Kind::Shm, "/torch_12_34_0", "PyTorch"),
            (Kind::Shm, "/nccl-Ab12cD", "NCCL"),
            (Kind::Shm, "/vader_segment.node1.0.8b2f0001.3", "Open MPI"),
            (Kind::Shm, "/fastrtps_port7412", "Fast-DDS"),
            (Kind::Sem, "/fastrtps_port7412_mutex", "Fast-DDS"),
            (Kind::Shm, "/.org.chromium.Chromium.Zx81Qw", "Chromium"),
            (Kind::Shm, "/iox2_ab12_0", "iceoryx2"),
            (Kind::Sem, "/loky-77-abc", "loky (joblib)"),
            (Kind::Sem, "/mp-x1y2z3", "Python multiprocessing"),
            (Kind::Shm, "/PostgreSQL.2118483022", "PostgreSQL"),
        ] {
            assert_eq!(of(&posix(kind, name)).map(|hit| hit.pattern.maker), Some(maker), "{name}");
        }
        assert!(of(&posix(Kind::Shm, "/frames")).is_none());
        assert!(of(&posix(Kind::Sem, "/nccl-Ab12cD")).is_none(), "of another kind");
    }

    #[test]
    fn a_mutex_of_apache_is_known_by_owner_and_shape() {
        let fingerprint = Fingerprint::Sysv { id: 1, key: 0, cuid: 0, ctime: 1 };
        let mut set = Object::new(ObjectRef { kind: Kind::Sem, id: Ident::Id(1) }, Family::Sysv, fingerprint);
        set.key = Seen::Is(0);
        set.mode = Seen::Is(0o600);
        set.user = Seen::Is(Text::from("www-data"));
        set.facts.push("nsems", Value::Count(1));
        assert_eq!(of(&set).map(|hit| hit.pattern.maker), Some("Apache httpd"));
        set.facts.set("nsems", Seen::Is(Value::Count(17)));
        assert!(of(&set).is_none());
    }
}
