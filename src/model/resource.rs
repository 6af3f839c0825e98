//! What processes hold and wait for, as the kernel tells it apart: the same from every process.

use super::Kind;

/// A resource in the sense of a resource-allocation graph: something that a process can hold or wait for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Resource {
    /// A System V object. Identifiers are per IPC namespace, so that is part of it: the inode of
    /// /proc/PID/ns/ipc.
    Sysv { namespace: u64, kind: Kind, id: i32 },
    /// Anything with an inode: FIFO, pipe, socket, memory file, POSIX segment, semaphore or queue, a file
    /// that is locked or mapped.
    File { dev: u64, ino: u64 },
    /// An eventfd, by the kernel's number for it: all of them share one inode.
    Eventfd(u64),
    /// A word in shared memory on which threads wait with futex(2): a mutex, a semaphore, …
    Word { memory: Memory, offset: u64 },
    /// A process whose end another one waits for.
    Process(i32),
}

/// The shared memory that a word lies in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Memory {
    /// A System V segment of an IPC namespace.
    Sysv { namespace: u64, id: i32 },
    /// A mapped file: POSIX shared memory, a named semaphore, a memory file, any other.
    File { dev: u64, ino: u64 },
}

impl Memory {
    /// The object that the memory belongs to.
    pub fn resource(self) -> Resource {
        match self {
            Memory::Sysv { namespace, id } => Resource::Sysv { namespace, kind: Kind::Shm, id },
            Memory::File { dev, ino } => Resource::File { dev, ino },
        }
    }
}

impl Resource {
    /// The object that this is or, of a word, lies in.
    pub fn object(self) -> Resource {
        match self {
            Resource::Word { memory, .. } => memory.resource(),
            other => other,
        }
    }
}
