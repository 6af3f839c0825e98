//! A file in memory into which the kernel copies a message that is taken from a queue. Whatever ends the process,
//! the message is in the queue or in the file, and the next one who opens the file finds it there.
//!
//! A message is in the slot when the kernel has put its type (System V) or priority (POSIX) there: before the call
//! that stands at a value which no message has. The kernel copies all of a message before the process can be
//! killed, as msgrcv(2) and mq_receive(3) look for signals only while they wait, and as the pages are in memory,
//! nothing of the copy can fail. How long it is the kernel says only in what the call returns: until that is
//! stored, the length is known by the last byte that is no longer what the slot was filled with.

use crate::error::{Error, Result, describe};
use crate::exit::Status;
use crate::mech::{Tag, stopped};
use crate::model::{Escaped, ObjectRef};
use crate::sys::locked::Locked;
use crate::sys::waiter::Waiter;
use crate::sys::{file, random, users};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, OFlag, fallocate};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::{FileStat, SFlag, fstat};
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
use nix::sys::uio::{pread, pwrite};
use std::fmt;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;

/// "ipcxslot", and the version of what follows.
const MAGIC: u64 = u64::from_ne_bytes(*b"ipcxslot");
const VERSION: u64 = 1;

// Where things are.
const MAGIC_AT: usize = 0;
const VERSION_AT: usize = 8;
const UUID_AT: usize = 16;
const NUMBER_AT: usize = 32;
const LENGTH_AT: usize = 40;
const PRIORITY_AT: usize = 48;
const FILLING_AT: usize = 56;
const NAMES_AT: usize = 64;
const NAMES_MAX: usize = 1024;
/// The type stands right before the text, as in struct msgbuf.
const TYPE_AT: usize = TEXT_AT - size_of::<i64>();
const TEXT_AT: usize = 4096;

/// What says that nothing is there.
const NO_LENGTH: u64 = u64::MAX;
const NO_PRIORITY: u32 = u32::MAX;
const NO_TYPE: u64 = 0;

/// Bytes that no text in UTF-8 has, so the end of a text is always found, and not 0xff, which numbers often end in.
const FILLINGS: [u8; 12] = [0xc0, 0xc1, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe];

/// A slot that we alone use.
#[derive(Debug)]
pub struct Slot {
    path: PathBuf,
    file: OwnedFd,
    pages: Locked,
    /// Bytes of text that it has room for.
    room: usize,
}

/// What tells a message from all others that were ever received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Id {
    /// Of the slot: one that is made anew does not give an identifier again.
    uuid: u128,
    /// It grows from message to message.
    pub number: u64,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}:{}", self.uuid, self.number)
    }
}

/// The queue that a slot is for: by its reference and, if it has one, its key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source(Vec<Vec<u8>>);

impl Source {
    /// All the names by which the queue may be called again.
    pub fn new(references: &[ObjectRef]) -> Source {
        Source(references.iter().map(|reference| reference.to_string().into_bytes()).collect())
    }

    fn is(&self, other: &Source) -> bool {
        self.0.iter().any(|name| other.0.contains(name))
    }
}

impl Slot {
    /// Opens the slot of this path, makes it if there is none, and keeps everybody else away from it: waits for
    /// whoever uses it.
    ///
    /// It must lie in memory, on a tmpfs: to change a page of a disk's file the kernel may have to ask the disk, and
    /// a copy that a kill interrupts there is lost. It belongs to us alone.
    pub fn open(path: &Path, waiter: &Waiter) -> Result<Slot> {
        let fail = |call, errno| failed(path, call, errno);
        loop {
            let (file, stat) = match file::open_plain(path, OFlag::O_RDWR) {
                Ok(opened) => opened,
                Err(Errno::ENOENT) => {
                    create(path)?;
                    continue;
                }
                Err(Errno::ELOOP) => {
                    return Err(fail("open", Errno::ELOOP).because("it is a symbolic link, which is not followed"));
                }
                Err(errno) => return Err(fail("open", errno)),
            };
            ours(path, &file, &stat)?;
            waiter.run(|| file::lock(&file, !waiter.never())).map_err(|stop| {
                let error = stopped(stop, "flock", &shown(path));
                if error.errno == Errno::EAGAIN { error.because("another process receives into it") } else { error }
            })?;
            let stat = fstat(&file).map_err(|errno| fail("fstat", errno))?;
            // Whoever had it may have removed it meanwhile.
            if stat.st_nlink > 0 {
                return Slot::of(path, file, usize::try_from(stat.st_size).unwrap_or(0));
            }
        }
    }

    fn of(path: &Path, file: OwnedFd, size: usize) -> Result<Slot> {
        let Some(room) = size.checked_sub(TEXT_AT) else { return Err(no_slot(path)) };
        // To map it changes a file: before that, it must be one of ours.
        let read = |at: usize| {
            let mut word = [0; size_of::<u64>()];
            pread(&file, &mut word, at as i64).map_err(|errno| failed(path, "read", errno))?;
            Ok(u64::from_ne_bytes(word))
        };
        match (read(MAGIC_AT)?, read(VERSION_AT)?) {
            (MAGIC, VERSION) => {}
            (MAGIC, version) => {
                let cause = format!("it is a slot of version {version}, which this ipcx does not know");
                return Err(Error::refused(shown(path), Status::Failed, cause));
            }
            _ => return Err(no_slot(path)),
        }
        let slot = Slot { path: path.to_owned(), pages: pages(path, &file, room)?, file, room };
        let is_sound = slot.held().is_none_or(|held| held <= room) && slot.word(TYPE_AT).cast_signed() >= 0;
        if is_sound { Ok(slot) } else { Err(no_slot(path)) }
    }

    /// The number that this slot alone has, in hexadecimal digits.
    pub fn uuid(&self) -> String {
        format!("{:032x}", self.number_of_its_own())
    }

    fn number_of_its_own(&self) -> u128 {
        u128::from(self.word(UUID_AT)) << 64 | u128::from(self.word(UUID_AT + 8))
    }

    fn word(&self, at: usize) -> u64 {
        self.pages.word(at).load(SeqCst)
    }

    fn is_full(&self) -> bool {
        self.word(TYPE_AT) != NO_TYPE || self.pages.half(PRIORITY_AT).load(SeqCst) != NO_PRIORITY
    }

    /// The length of the message that is in it.
    fn held(&self) -> Option<usize> {
        if !self.is_full() {
            return None;
        }
        Some(match self.word(LENGTH_AT) {
            NO_LENGTH => {
                let filling = u8::try_from(self.word(FILLING_AT)).unwrap_or(0);
                let text = self.pages.bytes(TEXT_AT, self.room);
                text.iter().rposition(|byte| *byte != filling).map_or(0, |last| last + 1)
            }
            length => usize::try_from(length).unwrap_or(usize::MAX),
        })
    }

    /// The message that is in it, and whether its length had to be looked for.
    pub fn message(&self) -> Option<(Id, Tag, &[u8], bool)> {
        let length = self.held()?;
        let tag = match self.pages.half(PRIORITY_AT).load(SeqCst) {
            NO_PRIORITY => Tag::Type(self.word(TYPE_AT).cast_signed()),
            priority => Tag::Priority(priority),
        };
        let id = Id { uuid: self.number_of_its_own(), number: self.word(NUMBER_AT) };
        Some((id, tag, self.pages.bytes(TEXT_AT, length), self.word(LENGTH_AT) == NO_LENGTH))
    }

    /// Says whether it is for this queue; if not, and a message of another one is in it, that one's name.
    pub fn belongs(&self, to: &Source) -> std::result::Result<(), Escaped<'_>> {
        let names = self.names();
        if !self.is_full() || Source(names.iter().map(|name| name.to_vec()).collect()).is(to) {
            return Ok(());
        }
        Err(Escaped(names.first().copied().unwrap_or(b"?")))
    }

    fn names(&self) -> Vec<&[u8]> {
        let names = self.pages.bytes(NAMES_AT, NAMES_MAX);
        names.split(|byte| *byte == 0).take_while(|name| !name.is_empty()).collect()
    }

    /// Makes an empty slot ready for messages of a queue, of up to `room` bytes.
    pub fn prepare(&mut self, from: &Source, room: usize) -> Result<()> {
        assert!(!self.is_full(), "a message would be lost");
        self.grow(room)?;
        let names = from.0.iter().flat_map(|name| [name.as_slice(), b"\0"]).collect::<Vec<_>>().concat();
        let place = self.pages.bytes_mut(NAMES_AT, NAMES_MAX);
        place.fill(0);
        let length = names.len().min(NAMES_MAX - 1);
        place[..length].copy_from_slice(&names[..length]);
        self.fill_all()
    }

    /// Fills all of it, with a byte that nobody can know beforehand.
    fn fill_all(&mut self) -> Result<()> {
        let chance = random::number().map_err(|errno| failed(&self.path, "getrandom", errno))?;
        let filling = FILLINGS[usize::try_from(chance % FILLINGS.len() as u64).unwrap_or(0)];
        self.pages.bytes_mut(TEXT_AT, self.room).fill(filling);
        self.pages.word(FILLING_AT).store(filling.into(), SeqCst);
        self.pages.word(LENGTH_AT).store(NO_LENGTH, SeqCst);
        self.next();
        Ok(())
    }

    /// The number of the next message: also of one that is never received.
    fn next(&self) {
        self.pages.word(NUMBER_AT).fetch_add(1, SeqCst);
    }

    pub fn room(&self) -> usize {
        self.room
    }

    /// Makes room for messages of this length; the slot is empty.
    pub fn grow(&mut self, room: usize) -> Result<()> {
        if room > self.room {
            self.pages = pages(&self.path, &self.file, room)?;
            self.room = room;
            self.fill_all()?;
        }
        Ok(())
    }

    /// Where the kernel is to put a message with a type of up to `room` bytes.
    pub(super) fn place(&mut self, room: usize) -> *mut u8 {
        assert!(!self.is_full(), "a message would be lost");
        self.pages.place(TYPE_AT, size_of::<i64>() + room)
    }

    /// Where the kernel is to put a text of up to `room` bytes, and its priority.
    pub(super) fn places(&mut self, room: usize) -> (*mut u8, *mut u32) {
        assert!(!self.is_full(), "a message would be lost");
        (self.pages.place(TEXT_AT, room), self.pages.half(PRIORITY_AT).as_ptr())
    }

    /// Notes how long the message is that the kernel has put there.
    pub(super) fn arrived(&self, length: usize) {
        self.pages.word(LENGTH_AT).store(length as u64, SeqCst);
    }

    /// Removes the file.
    pub fn remove(self) -> Result<()> {
        nix::unistd::unlink(&self.path).map_err(|errno| failed(&self.path, "unlink", errno))
    }

    /// Forgets the message, which has been delivered.
    pub fn clear(&mut self) {
        let length = self.held().unwrap_or(0);
        // From here on it is not there.
        self.pages.word(TYPE_AT).store(NO_TYPE, SeqCst);
        self.pages.half(PRIORITY_AT).store(NO_PRIORITY, SeqCst);
        self.pages.word(LENGTH_AT).store(NO_LENGTH, SeqCst);
        let filling = u8::try_from(self.word(FILLING_AT)).unwrap_or(0);
        self.pages.bytes_mut(TEXT_AT, length).fill(filling);
        self.next();
    }
}

fn shown(path: &Path) -> Escaped<'_> {
    Escaped(path.as_os_str().as_bytes())
}

fn failed(path: &Path, call: &'static str, errno: Errno) -> Error {
    Error::new(call, errno, shown(path))
}

fn no_slot(path: &Path) -> Error {
    Error::refused(shown(path), Status::Failed, "it is a file of another kind, or a damaged one, and is left as it is")
        .hinting("--durable makes the file by itself; name one that does not exist yet")
}

/// Makes an empty slot; it has its name when it is whole. It is no error if there is one by now.
fn create(path: &Path) -> Result<()> {
    let mut head = [0; TEXT_AT];
    let mut put = |at: usize, word: u64| head[at..at + 8].copy_from_slice(&word.to_ne_bytes());
    put(MAGIC_AT, MAGIC);
    put(VERSION_AT, VERSION);
    for at in [UUID_AT, UUID_AT + 8] {
        put(at, random::number().map_err(|errno| failed(path, "getrandom", errno))?);
    }
    put(LENGTH_AT, NO_LENGTH);
    put(PRIORITY_AT, u64::MAX);
    let made = file::create(path, 0o600, |file| {
        in_memory(file)?;
        let written = pwrite(file, &head, 0)?;
        if written == head.len() { Ok(()) } else { Err(Errno::ENOSPC) }
    });
    match made {
        Ok(_) | Err(Errno::EEXIST) => Ok(()),
        Err(Errno::EMEDIUMTYPE) => Err(on_disk(path)),
        Err(errno) => Err(failed(path, "open", errno)),
    }
}

/// Says whether a file lies in memory; EMEDIUMTYPE if not, which no call gives.
fn in_memory(file: &OwnedFd) -> nix::Result<()> {
    if fstatfs(file)?.filesystem_type() == TMPFS_MAGIC { Ok(()) } else { Err(Errno::EMEDIUMTYPE) }
}

fn on_disk(path: &Path) -> Error {
    Error::refused(shown(path), Status::Failed, "it does not lie in memory")
        .hinting("a queue ends with the machine, and so may the file: use /dev/shm, /run or $XDG_RUNTIME_DIR")
}

/// Says whether a file can be a slot of ours.
fn ours(path: &Path, file: &OwnedFd, stat: &FileStat) -> Result<()> {
    let refuse = |status, cause: String| Err(Error::refused(shown(path), status, cause));
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return refuse(Status::Failed, "it is no regular file".to_owned());
    }
    if stat.st_uid != users::me() {
        return refuse(Status::Denied, format!("it belongs to another user, {}", stat.st_uid));
    }
    if stat.st_mode & 0o077 != 0 {
        return refuse(Status::Denied, format!("others may use it: its mode is {:04o}", stat.st_mode & 0o7777));
    }
    if stat.st_nlink > 1 {
        return refuse(Status::Failed, "it has another name".to_owned());
    }
    in_memory(file).map_err(|errno| match errno {
        Errno::EMEDIUMTYPE => on_disk(path),
        errno => failed(path, "fstatfs", errno),
    })
}

/// Maps the file with room for a text, for which there is memory now.
fn pages(path: &Path, file: &OwnedFd, room: usize) -> Result<Locked> {
    let length = TEXT_AT + room;
    let most = i64::try_from(length).map_err(|_| failed(path, "fallocate", Errno::EFBIG))?;
    fallocate(file, FallocateFlags::empty(), 0, most).map_err(|errno| failed(path, "fallocate", errno))?;
    Locked::map(file, length).map_err(|errno| {
        let error = failed(path, "mlock", errno).with_status(Status::Limit);
        match getrlimit(Resource::RLIMIT_MEMLOCK) {
            Ok((limit, _)) if limit < length as u64 => error
                .because(format!("{}: it must keep {length} bytes in memory, the limit is {limit}", describe(errno)))
                .hinting("raise RLIMIT_MEMLOCK with `ulimit -l`"),
            _ => error,
        }
    })
}
