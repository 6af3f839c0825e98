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
}

impl Kind {
    /// Every kind, in the order in which listings show them.
    pub const ALL: &[Kind] = &[Kind::Shm, Kind::Msgq, Kind::Sem];

    /// The noun on the command line and the first part of a reference.
    pub fn noun(self) -> &'static str {
        match self {
            Kind::Shm => "shm",
            Kind::Msgq => "msgq",
            Kind::Sem => "sem",
        }
    }

    /// What a person calls one such object.
    pub fn title(self) -> &'static str {
        match self {
            Kind::Shm => "shared memory",
            Kind::Msgq => "message queues",
            Kind::Sem => "semaphores",
        }
    }

    pub fn from_noun(noun: &[u8]) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|kind| kind.noun().as_bytes() == noun)
    }
}

/// Which of the interfaces of a kind made the object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Family {
    /// svipc(7): numbers and keys, no umask, gone at reboot.
    Sysv,
    /// shm_overview(7), mq_overview(7), sem_overview(7): names that start with a slash.
    Posix,
    /// A file that processes map with mmap(2).
    File,
}

impl Family {
    /// The word in JSON and in the `family` column.
    pub fn word(self) -> &'static str {
        match self {
            Family::Sysv => "sysv",
            Family::Posix => "posix",
            Family::File => "file",
        }
    }
}
