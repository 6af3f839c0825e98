//! msgget(2), msgsnd(2), msgrcv(2), msgctl(2), mq_open(3) and their kin.
#![allow(unsafe_code)]

use super::Slot;
use crate::mech::sysv;
use nix::errno::Errno;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd as _, OwnedFd};
use std::ptr;

/// IPC_STAT by index and without permission, Linux 4.17 (include/uapi/linux/msg.h).
const MSG_STAT_ANY: libc::c_int = 13;
const MSG_INFO: libc::c_int = 12;
/// Size of the type in front of the text.
const HEAD: usize = size_of::<libc::c_long>();

pub(super) fn get(key: i32, flags: i32) -> nix::Result<i32> {
    // SAFETY: msgget takes two numbers.
    Errno::result(unsafe { libc::msgget(key, flags) })
}

fn ctl(id: i32, command: libc::c_int, queue: &mut libc::msqid_ds) -> nix::Result<i32> {
    // SAFETY: `queue` is a whole msqid_ds, which every command used here reads or fills.
    Errno::result(unsafe { libc::msgctl(id, command, queue) })
}

/// The state of a queue by identifier, without needing permission where the kernel can do that.
pub(super) fn stat(id: i32) -> nix::Result<libc::msqid_ds> {
    // SAFETY: all bytes zero is a valid msqid_ds.
    let mut queue: libc::msqid_ds = unsafe { MaybeUninit::zeroed().assume_init() };
    for index in sysv::indices(id) {
        if ctl(index, MSG_STAT_ANY, &mut queue) == Ok(id) {
            return Ok(queue);
        }
    }
    ctl(id, libc::IPC_STAT, &mut queue).map(|_| queue)
}

pub(super) fn set(id: i32, queue: &mut libc::msqid_ds) -> nix::Result<()> {
    ctl(id, libc::IPC_SET, queue).map(drop)
}

pub(super) fn remove(id: i32) -> nix::Result<()> {
    // SAFETY: IPC_RMID ignores its last argument (msgctl(2)).
    Errno::result(unsafe { libc::msgctl(id, libc::IPC_RMID, ptr::null_mut()) }).map(drop)
}

/// The queues in this namespace, and what bounds them.
#[derive(Clone, Copy)]
pub(super) struct Info {
    pub queues: u64,
    /// kernel.msgmni, kernel.msgmax and kernel.msgmnb.
    pub most: u64,
    pub message: u64,
    pub bytes: u64,
}

pub(super) fn info() -> nix::Result<Info> {
    // struct msginfo is eight ints (include/uapi/linux/msg.h).
    let mut info = [0i32; 8];
    // SAFETY: MSG_INFO fills a struct msginfo, which `info` is as large as; libc declares the
    // parameter as msqid_ds for all commands.
    Errno::result(unsafe { libc::msgctl(0, MSG_INFO, info.as_mut_ptr().cast()) })?;
    let [queues, _, message, bytes, most, ..] = info.map(|n| u64::try_from(n).unwrap_or(0));
    Ok(Info { queues, most, message, bytes })
}

/// A message as the calls take it: the type, then the text. Words keep the type aligned.
#[derive(Default)]
pub(super) struct Buffer(Vec<libc::c_long>);

impl Buffer {
    pub(super) fn reserve(&mut self, text: usize) {
        let words = 1 + text.div_ceil(HEAD);
        if self.0.len() < words {
            self.0.resize(words, 0);
        }
    }

    pub(super) fn put(&mut self, kind: i64, text: &[u8]) {
        self.reserve(text.len());
        self.0[0] = kind;
        // SAFETY: `reserve` made room for `text` behind the first word, and the two do not overlap.
        unsafe { ptr::copy_nonoverlapping(text.as_ptr(), self.0.as_mut_ptr().add(1).cast(), text.len()) };
    }

    pub(super) fn kind(&self) -> i64 {
        self.0[0]
    }

    /// The first `length` bytes of the text. Panics if the buffer is shorter.
    pub(super) fn text(&self, length: usize) -> &[u8] {
        assert!(length <= self.room());
        // SAFETY: the words behind the first hold `room` initialised bytes.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().add(1).cast(), length) }
    }

    pub(super) fn room(&self) -> usize {
        self.0.len().saturating_sub(1) * HEAD
    }
}

pub(super) fn send(id: i32, buffer: &Buffer, length: usize, flags: i32) -> nix::Result<()> {
    assert!(length <= buffer.room());
    // SAFETY: the buffer holds the type and `length` bytes of text.
    Errno::result(unsafe { libc::msgsnd(id, buffer.0.as_ptr().cast(), length, flags) }).map(drop)
}

/// The same straight into a slot, where the type is then too.
pub(super) fn recv_into(id: i32, slot: &mut Slot, room: usize, kind: i64, flags: i32) -> nix::Result<usize> {
    let place = slot.place(room);
    // SAFETY: the slot has room for the type and `room` bytes of text there, and nobody else writes to it.
    Errno::result(unsafe { libc::msgrcv(id, place.cast(), room, kind, flags) }).map(isize::unsigned_abs)
}

/// Takes, or with MSG_COPY copies, a message of up to `room` bytes; its length.
pub(super) fn recv(id: i32, buffer: &mut Buffer, room: usize, kind: i64, flags: i32) -> nix::Result<usize> {
    buffer.reserve(room);
    // SAFETY: the buffer has room for the type and `room` bytes of text.
    let got = unsafe { libc::msgrcv(id, buffer.0.as_mut_ptr().cast(), room, kind, flags) };
    Errno::result(got).map(isize::unsigned_abs)
}

/// Opens or makes a POSIX queue; `shape` is (most messages, most bytes of one).
pub(super) fn mq_open(name: &CStr, flags: libc::c_int, mode: u32, shape: Option<(i64, i64)>) -> nix::Result<OwnedFd> {
    // SAFETY: all bytes zero is a valid mq_attr.
    let mut attr: libc::mq_attr = unsafe { MaybeUninit::zeroed().assume_init() };
    let mut attr_ptr: *mut libc::mq_attr = ptr::null_mut();
    if let Some((messages, size)) = shape {
        attr.mq_maxmsg = messages;
        attr.mq_msgsize = size;
        attr_ptr = &raw mut attr;
    }
    // SAFETY: `name` ends with NUL and `attr` outlives the call.
    let queue = unsafe { libc::mq_open(name.as_ptr(), flags | libc::O_CLOEXEC, mode, attr_ptr) };
    let fd = Errno::result(queue)?;
    // SAFETY: on Linux a queue descriptor is a file descriptor (mq_overview(7)); this one is ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(super) fn mq_attr(queue: impl AsFd) -> nix::Result<libc::mq_attr> {
    // SAFETY: all bytes zero is a valid mq_attr, which the call fills.
    unsafe {
        let mut attr: libc::mq_attr = MaybeUninit::zeroed().assume_init();
        Errno::result(libc::mq_getattr(queue.as_fd().as_raw_fd(), &mut attr)).map(|_| attr)
    }
}

/// Without `until`, as long as it takes; otherwise until this moment of CLOCK_REALTIME.
pub(super) fn mq_send(queue: impl AsFd, text: &[u8], priority: u32, until: Option<libc::timespec>) -> nix::Result<()> {
    let until = until.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: `text` and `until` outlive the call; a null time means to wait for ever.
    let sent =
        unsafe { libc::mq_timedsend(queue.as_fd().as_raw_fd(), text.as_ptr().cast(), text.len(), priority, until) };
    Errno::result(sent).map(drop)
}

pub(super) fn mq_recv(queue: impl AsFd, room: &mut [u8], until: Option<libc::timespec>) -> nix::Result<(usize, u32)> {
    let until = until.as_ref().map_or(ptr::null(), ptr::from_ref);
    let mut priority = 0;
    // SAFETY: `room`, `priority` and `until` outlive the call; a null time means to wait for ever.
    let got = unsafe {
        libc::mq_timedreceive(queue.as_fd().as_raw_fd(), room.as_mut_ptr().cast(), room.len(), &mut priority, until)
    };
    Errno::result(got).map(|got| (got.unsigned_abs(), priority))
}

/// The same straight into a slot, where the priority is then too.
pub(super) fn mq_recv_into(
    queue: impl AsFd,
    slot: &mut Slot,
    room: usize,
    until: Option<libc::timespec>,
) -> nix::Result<usize> {
    let until = until.as_ref().map_or(ptr::null(), ptr::from_ref);
    let (text, priority) = slot.places(room);
    // SAFETY: the slot has room for `room` bytes and a priority there, and nobody else writes to it.
    let got = unsafe { libc::mq_timedreceive(queue.as_fd().as_raw_fd(), text.cast(), room, priority, until) };
    Errno::result(got).map(isize::unsigned_abs)
}

pub(super) fn mq_unlink(name: &CStr) -> nix::Result<()> {
    // SAFETY: `name` ends with NUL.
    Errno::result(unsafe { libc::mq_unlink(name.as_ptr()) }).map(drop)
}

/// The mqueue file system of our IPC namespace as a directory that is mounted nowhere: fsopen(2),
/// fsconfig(2), fsmount(2). EPERM without CAP_SYS_ADMIN, ENOSYS before Linux 5.2.
pub(super) fn mqueue_directory() -> nix::Result<OwnedFd> {
    const FSCONFIG_CMD_CREATE: libc::c_uint = 6;
    const CLOEXEC: libc::c_uint = 1;
    let owned = |result: libc::c_long| {
        let fd = libc::c_int::try_from(Errno::result(result)?).map_err(|_| Errno::EBADF)?;
        // SAFETY: the call gave us this descriptor.
        Ok::<OwnedFd, Errno>(unsafe { OwnedFd::from_raw_fd(fd) })
    };
    // SAFETY: the name ends with NUL, the other pointers are null as this command wants, and the
    // descriptors are open.
    unsafe {
        let context = owned(libc::syscall(libc::SYS_fsopen, c"mqueue".as_ptr(), CLOEXEC))?;
        let null = ptr::null::<libc::c_void>();
        Errno::result(libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), FSCONFIG_CMD_CREATE, null, null, 0))?;
        owned(libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), CLOEXEC, 0))
    }
}
