//! The mechanisms as their users name them.

/// A noun of the command line: one mechanism of inter-process communication.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Shared memory: shmget(2), shm_open(3), mapped files.
    Shm,
    /// Message queues: msgget(2), mq_open(3).
    Msgq,
    /// Semaphores: semget(2), sem_open(3).
    Sem,
    /// Pipes with a name: fifo(7).
    Fifo,
    /// Pipes without one: pipe(7).
    Pipe,
    /// Unix sockets: unix(7).
    Sock,
    /// Memory behind a descriptor: memfd_create(2).
    Memfd,
    /// Counters behind a descriptor: eventfd(2).
    Eventfd,
}

impl Kind {
    /// Every kind, in the order in which listings show them.
    pub const ALL: &[Kind] =
        &[Kind::Shm, Kind::Msgq, Kind::Sem, Kind::Fifo, Kind::Pipe, Kind::Sock, Kind::Memfd, Kind::Eventfd];

    /// Those that a listing shows when none was chosen: objects that stay when their processes end.
    pub const LASTING: &[Kind] = &[Kind::Shm, Kind::Msgq, Kind::Sem];

    /// The noun on the command line and the first part of a reference.
    pub fn noun(self) -> &'static str {
        match self {
            Kind::Shm => "shm",
            Kind::Msgq => "msgq",
            Kind::Sem => "sem",
            Kind::Fifo => "fifo",
            Kind::Pipe => "pipe",
            Kind::Sock => "sock",
            Kind::Memfd => "memfd",
            Kind::Eventfd => "eventfd",
        }
    }

    /// What a person calls one such object.
    pub fn title(self) -> &'static str {
        match self {
            Kind::Shm => "shared memory",
            Kind::Msgq => "message queues",
            Kind::Sem => "semaphores",
            Kind::Fifo => "FIFOs",
            Kind::Pipe => "pipes",
            Kind::Sock => "unix sockets",
            Kind::Memfd => "memory files",
            Kind::Eventfd => "event counters",
        }
    }

    /// How references name objects of this kind.
    pub fn naming(self) -> Naming {
        match self {
            Kind::Msgq | Kind::Sem => Naming::Key,
            Kind::Shm => Naming::KeyOrPath,
            Kind::Fifo => Naming::Path,
            Kind::Sock => Naming::Socket,
            Kind::Pipe | Kind::Memfd | Kind::Eventfd => Naming::Inode,
        }
    }

    pub fn from_noun(noun: &[u8]) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|kind| kind.noun().as_bytes() == noun)
    }
}

/// How the objects of a kind are named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Naming {
    /// By the identifiers and keys of System V and the names of POSIX.
    Key,
    /// By those, or by the path of a file to map.
    KeyOrPath,
    /// By a path alone.
    Path,
    /// By a path, an abstract name or, where it has none, an inode number.
    Socket,
    /// By a number alone: only descriptors lead to it.
    Inode,
}

/// Which of the interfaces of a kind made the object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Family {
    /// svipc(7): numbers and keys, no umask, gone at reboot.
    Sysv,
    /// shm_overview(7), mq_overview(7), sem_overview(7): names that start with a slash.
    Posix,
    /// A file in a directory: one that processes map with mmap(2), or a FIFO.
    File,
    /// The unix domain of sockets.
    Unix,
    /// What only descriptors lead to.
    Anonymous,
}

impl Family {
    /// The word in JSON and in the `family` column.
    pub fn word(self) -> &'static str {
        match self {
            Family::Sysv => "sysv",
            Family::Posix => "posix",
            Family::File => "file",
            Family::Unix => "unix",
            Family::Anonymous => "anonymous",
        }
    }
}
