//! Who really holds semaphores: the lists of the kernel of what it gives back when a process ends, semop(2),
//! SEM_UNDO. Nothing in /proc shows them; a BPF iterator over all tasks does.
//!
//! It needs Linux 5.8, the kernel's BTF, and CAP_BPF with CAP_PERFMON.

mod assembler;
mod program;

use crate::model::Reason;
use crate::sys::bpf::{self, Memory};
use nix::errno::Errno;
use program::Layout;
use std::os::fd::OwnedFd;

const TYPES_OF_THE_KERNEL: &str = "/sys/kernel/btf/vmlinux";

/// The memory for what is found, in bytes. What does not fit in one is looked for again with the next; the
/// second is the largest that kernels before 5.14 give.
const SIZES: [i32; 3] = [1 << 19, 1 << 22, 1 << 26];

/// What the kernel will give back to one set when a process ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Undo {
    /// The process, as our PID namespace counts.
    pub pid: i32,
    /// The inode of its IPC namespace, as of /proc/PID/ns/ipc.
    pub namespace: u64,
    /// The identifier of the set.
    pub id: i32,
    /// The semaphores by number, with what is added to each when the process ends: positive is what it has
    /// taken, negative what it has given. Empty if it has operated on the set and what is not known.
    pub adjustments: Vec<(u16, i16)>,
}

/// What all processes of our PID namespace hold with SEM_UNDO, in the order of their pids. A process of which
/// the kernel has nothing to give back is not in it.
///
/// Errors: EPERM without the capabilities, ENOENT where the kernel has no BTF, EINVAL or ENOSYS where it has
/// no such iterators, EOPNOTSUPP where its structures are others than those we know, ENOBUFS if there is more
/// than anybody would look at.
pub fn all() -> Result<Vec<Undo>, Reason> {
    let bpf = |errno: Errno| Reason { call: "bpf", errno: errno as i32 };
    // First, so that who may not do it finds out at no cost.
    let types = bpf::types(&program::types()).map_err(bpf)?;
    let kernel = std::fs::read(TYPES_OF_THE_KERNEL)
        .map_err(|error| Reason { call: "open", errno: error.raw_os_error().unwrap_or(libc::EIO) })?;
    let layout = Layout::find(&kernel).ok_or(bpf(Errno::EOPNOTSUPP))?;
    drop(kernel);
    for size in SIZES {
        let memory = Memory::new(size.unsigned_abs()).map_err(bpf)?;
        let (code, functions) = layout.program(memory.descriptor(), size).ok_or(bpf(Errno::EOPNOTSUPP))?;
        let iterator = bpf::iterator(&code, &functions, &types, layout.target).map_err(bpf)?;
        run(&iterator).map_err(|errno| Reason { call: "read", errno: errno as i32 })?;
        if let Some(found) = parse(&memory.read().map_err(bpf)?) {
            return Ok(found);
        }
    }
    Err(bpf(Errno::ENOBUFS))
}

/// Runs the program for every task. It writes nothing to the descriptor, and the kernel breaks off with EAGAIN
/// after a million tasks of which it heard nothing.
fn run(iterator: &OwnedFd) -> nix::Result<()> {
    let mut left = 64;
    loop {
        match nix::unistd::read(iterator, &mut [0; 64]) {
            Ok(0) => return Ok(()),
            Err(Errno::EAGAIN | Errno::EINTR) if left > 0 => left -= 1,
            Ok(_) => return Err(Errno::EBADMSG),
            Err(errno) => return Err(errno),
        }
    }
}

/// Whether such types of a kernel are what the program needs, for tests with bytes that nobody would write.
#[cfg(any(test, fuzzing))]
pub(super) fn knows(btf: &[u8]) -> bool {
    Layout::find(btf).is_some()
}

/// The records in the memory; `None` if it was too small.
pub(super) fn parse(memory: &[u8]) -> Option<Vec<Undo>> {
    let at = |offset: i16| usize::from(offset.unsigned_abs());
    let long = |at: usize| Some(u64::from_ne_bytes(*memory.get(at..)?.first_chunk()?));
    let full = long(at(program::FULL))? != 0;
    let records = memory.get(at(program::RECORDS)..)?;
    let mut rest = records.get(..usize::try_from(long(at(program::CURSOR))?).ok()?)?;
    let mut found = Vec::new();
    while !full && !rest.is_empty() {
        let (record, behind) = rest.split_at_checked(at(program::RECORD))?;
        let word = |at: usize| Some(*record.get(at..)?.first_chunk::<4>()?);
        let list = u64::from_ne_bytes(*record.first_chunk()?);
        let (pid, namespace) = (i32::from_ne_bytes(word(8)?), u32::from_ne_bytes(word(12)?));
        let (id, count) = (i32::from_ne_bytes(word(16)?), u32::from_ne_bytes(word(20)?));
        let (numbers, behind) = behind.split_at_checked(usize::try_from(count).ok()?.checked_mul(2)?)?;
        // Each record begins at a multiple of 8.
        rest = behind.get(behind.len() % 8..)?;
        let numbers = (0..=u16::MAX).zip(numbers.chunks_exact(2).map(|pair| i16::from_ne_bytes([pair[0], pair[1]])));
        let adjustments: Vec<_> = numbers.filter(|(_, adjustment)| *adjustment != 0).collect();
        if count == 0 || !adjustments.is_empty() {
            found.push((list, Undo { pid, namespace: namespace.into(), id, adjustments }));
        }
    }
    found.sort_by_key(|(list, undo)| (undo.pid, *list, undo.id));
    // Threads whose first one has ended come one by one.
    found.dedup_by_key(|(list, undo)| (undo.pid, *list, undo.id));
    (!full).then(|| found.into_iter().map(|(_, undo)| undo).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(list: u64, numbers: [i32; 3], adjustments: &[i16]) -> Vec<u8> {
        let mut bytes = list.to_ne_bytes().to_vec();
        let count = i32::try_from(adjustments.len()).unwrap();
        numbers.iter().chain([&count]).for_each(|number| bytes.extend(number.to_ne_bytes()));
        adjustments.iter().for_each(|adjustment| bytes.extend(adjustment.to_ne_bytes()));
        bytes.resize(bytes.len().next_multiple_of(8), 0xaa);
        bytes
    }

    fn memory(full: u64, records: &[Vec<u8>]) -> Vec<u8> {
        let records = records.concat();
        let mut bytes = vec![0; 48];
        bytes[..8].copy_from_slice(&(records.len() as u64).to_ne_bytes());
        bytes[8..16].copy_from_slice(&full.to_ne_bytes());
        bytes.extend(records);
        bytes.resize(bytes.len() + 64, 0);
        bytes
    }

    #[test]
    fn what_is_held_is_read_and_what_is_not_is_left_out() {
        let records = [
            record(2, [9, -99, 7], &[0, 1, 0, -2, 3]),
            record(1, [8, 5, 6], &[0, 0]),
            record(1, [8, 5, 7], &[]),
            record(2, [9, -99, 7], &[0, 1, 0, -2, 3]),
        ];
        let namespace = u64::from((-99_i32).cast_unsigned());
        let expected = vec![
            Undo { pid: 8, namespace: 5, id: 7, adjustments: Vec::new() },
            Undo { pid: 9, namespace, id: 7, adjustments: vec![(1, 1), (3, -2), (4, 3)] },
        ];
        assert_eq!(parse(&memory(0, &records)), Some(expected));
        assert_eq!(parse(&memory(0, &[])), Some(Vec::new()));
        assert_eq!(parse(&memory(1, &records)), None);
    }

    #[test]
    fn memory_that_was_cut_or_spoiled_does_no_harm() {
        let whole = memory(0, &[record(1, [8, 5, 6], &[1, 2, 3]), record(1, [8, 5, 7], &[4])]);
        for length in 0..whole.len() {
            parse(&whole[..length]);
        }
        for bit in 0..whole.len() * 8 {
            let mut odd = whole.clone();
            odd[bit / 8] ^= 1 << (bit % 8);
            parse(&odd);
        }
    }

    #[test]
    fn they_are_seen_or_there_is_a_reason() {
        match all() {
            Ok(undos) => assert!(undos.iter().all(|undo| undo.pid > 0 && undo.namespace > 0 && undo.id >= 0)),
            Err(reason) => assert!(reason.errno != libc::EBADMSG && reason.errno != 0, "{reason:?}"),
        }
    }
}
