//! The program that the kernel runs for every task: it follows the task's list of undo structures and copies
//! what is in them into memory that we read.
//!
//! `task->sysvsem.undo_list->list_proc` is a ring of `struct sem_undo`, one for each set on which a process has
//! operated with SEM_UNDO (ipc/sem.c). How many semaphores the set has is not in it: the set is looked up in
//! the IPC namespace of the task, as the kernel does.

use super::assembler::{Assembler, Size};
use crate::proc::btf::{Btf, Shape};
use crate::sys::bpf::{Function, Instruction};
use std::os::fd::RawFd;

/// What is at the start of the memory; the records follow behind it.
pub(super) const CURSOR: i16 = 0;
pub(super) const FULL: i16 = 8;
const HEAD: i16 = 16;
const NAMESPACE: i16 = 24;
const LIST: i16 = 32;
const PID: i16 = 40;
const INODE: i16 = 44;
pub(super) const RECORDS: i16 = 48;

/// A record: the address of the list, pid, inode of the namespace, identifier, how many adjustments follow.
pub(super) const RECORD: i16 = 24;

/// A set has no more semaphores than these: the numbers of them have 16 bits.
pub(super) const MOST_SEMAPHORES: i32 = 1 << 16;
/// The largest record with its adjustments.
const LARGEST: i32 = MOST_SEMAPHORES * 2 + RECORD as i32;

/// The kernel takes only loops whose end it sees by going through them, which takes it time. So there are three,
/// one within the other, of so many rounds each: together as far as there can be sets (SEMMNI).
const ROUNDS: i32 = 32;
/// More levels than the tree of a namespace can have, with 24 bits of index and 4 of them in each.
const LEVELS: i32 = 8;

/// The bits of an identifier that are an index; the second if the kernel runs with `ipcmni_extend`.
const INDEX: [i32; 2] = [0x7fff, 0x00ff_ffff];

/// The functions of the program, in the order in which they stand in it.
const FUNCTIONS: [(&str, u32); 5] = [("each_task", 6), ("follow", 7), ("follow_on", 8), ("copy", 9), ("count", 10)];

/// The structures that are looked for.
const STRUCTS: [&str; 15] = [
    "task_struct",
    "sysv_sem",
    "sem_undo_list",
    "sem_undo",
    "pid",
    "upid",
    "nsproxy",
    "ipc_namespace",
    "ns_common",
    "ipc_ids",
    "idr",
    "xarray",
    "xa_node",
    "kern_ipc_perm",
    "sem_array",
];

/// Where this kernel has what the program reads, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// The kernel's function whose arguments the program gets.
    pub(super) target: u32,
    undo_list: i32,
    leader: i32,
    thread_pid: i32,
    namespaces: i32,
    list: i32,
    link: i32,
    id: i32,
    adjustments: i32,
    /// Whether there is only their address, as on older kernels.
    elsewhere: bool,
    level: i32,
    number: i32,
    number_size: i32,
    ipc: i32,
    inode: i32,
    tree: i32,
    shift: i32,
    slots: i32,
    slot_count: i32,
    entry_id: i32,
    /// From the entry of a set, which is its permissions.
    semaphores: i32,
}

impl Layout {
    /// `None` where the kernel's structures are others than these.
    pub(super) fn find(btf: &[u8]) -> Option<Layout> {
        let btf = Btf::parse(btf, &STRUCTS, "bpf_iter_task")?;
        let at = |structure, member| i32::try_from(btf.member(structure, member)?.offset).ok();
        let adjustments = btf.member("sem_undo", "semadj")?;
        let Shape::Array(slots) = btf.member("xa_node", "slots")?.shape else { return None };
        // Semaphores are the first of the three kinds.
        let tree = at("ipc_namespace", "ids")? + at("ipc_ids", "ipcs_idr")?;
        Some(Layout {
            target: btf.function()?,
            undo_list: at("task_struct", "sysvsem")? + at("sysv_sem", "undo_list")?,
            leader: at("task_struct", "group_leader")?,
            thread_pid: at("task_struct", "thread_pid")?,
            namespaces: at("task_struct", "nsproxy")?,
            list: at("sem_undo_list", "list_proc")?,
            link: at("sem_undo", "list_proc")?,
            id: at("sem_undo", "semid")?,
            adjustments: i32::try_from(adjustments.offset).ok()?,
            elsewhere: adjustments.shape == Shape::Pointer,
            level: at("pid", "level")?,
            number: at("pid", "numbers")? + at("upid", "nr")?,
            number_size: i32::try_from(btf.size("upid")?).ok()?,
            ipc: at("nsproxy", "ipc_ns")?,
            inode: at("ipc_namespace", "ns")? + at("ns_common", "inum")?,
            tree: tree + at("idr", "idr_rt")? + at("xarray", "xa_head")?,
            shift: at("xa_node", "shift")?,
            slots: at("xa_node", "slots")?,
            slot_count: i32::try_from(slots).ok().filter(|count| count.is_positive() && count & (count - 1) == 0)?,
            entry_id: at("kern_ipc_perm", "id")?,
            semaphores: at("sem_array", "sem_nsems")? - at("sem_array", "sem_perm")?,
        })
    }

    /// The program, for memory of a size.
    pub(super) fn program(&self, memory: RawFd, size: i32) -> Option<(Vec<Instruction>, Vec<Function>)> {
        let mut code = Assembler::new(memory);
        self.each_task(&mut code);
        follow(&mut code, ["follow", "follow more", "follow out"], "follow_on");
        follow(&mut code, ["follow_on", "follow_on more", "follow_on out"], "copy");
        self.copy(&mut code, size - i32::from(RECORDS) - LARGEST);
        self.count(&mut code);
        let functions = FUNCTIONS.iter().map(|(name, type_id)| {
            let instruction = u32::try_from(code.place(name)?).ok()?;
            Some(Function { instruction, type_id: *type_id })
        });
        let functions = functions.collect::<Option<_>>()?;
        Some((code.finish()?, functions))
    }

    /// One task: notes who it is, and follows its list. Threads share one, and then only the first of them
    /// counts.
    fn each_task(&self, code: &mut Assembler) {
        code.label("each_task");
        code.load(Size::Eight, 6, 1, 8);
        code.jump_if_equal(6, 0, "each_task out");
        code.fetch(7, Size::Eight, 6, self.undo_list);
        code.jump_if_equal(7, 0, "each_task out");
        code.fetch(8, Size::Eight, 6, self.leader);
        code.jump_if_same(8, 6, "each_task own");
        code.fetch(1, Size::Eight, 8, self.undo_list);
        code.jump_if_same(1, 7, "each_task out");
        code.label("each_task own");
        // A process has a number in its PID namespace and in each above it, by their depth; ours is among them.
        code.current_task();
        code.fetch(1, Size::Eight, 0, self.thread_pid);
        code.fetch(9, Size::Four, 1, self.level);
        code.multiply(9, self.number_size);
        code.fetch(1, Size::Eight, 8, self.thread_pid);
        code.add_register(1, 9);
        code.fetch(9, Size::Four, 1, self.number);
        code.jump_if_equal(9, 0, "each_task out");
        code.memory(8);
        code.store(Size::Four, 8, PID, 9);
        code.store(Size::Eight, 8, LIST, 7);
        code.fetch(1, Size::Eight, 6, self.namespaces);
        code.fetch(9, Size::Eight, 1, self.ipc);
        code.store(Size::Eight, 8, NAMESPACE, 9);
        code.fetch(1, Size::Four, 9, self.inode);
        code.jump_if_equal(1, 0, "each_task out");
        code.store(Size::Four, 8, INODE, 1);
        code.add(7, self.list);
        code.store(Size::Eight, 8, HEAD, 7);
        code.fetch(7, Size::Eight, 7, 0);
        code.set(6, ROUNDS);
        code.label("each_task more");
        code.copy(1, 7);
        code.call("follow");
        code.jump_if_equal(0, 0, "each_task out");
        code.copy(7, 0);
        code.add(6, -1);
        code.jump_if_not_equal(6, 0, "each_task more");
        code.set(1, 1);
        code.store(Size::Eight, 8, FULL, 1);
        code.label("each_task out");
        code.give(0);
    }

    /// Copies the undo structure of one link; gives the next link, or 0 at the end.
    fn copy(&self, code: &mut Assembler, last: i32) {
        code.label("copy");
        code.copy(6, 1);
        code.memory(9);
        code.load(Size::Eight, 1, 9, HEAD);
        code.jump_if_same(6, 1, "copy end");
        code.jump_if_equal(6, 0, "copy end");
        code.copy(8, 6);
        code.add(8, -self.link);
        code.fetch(7, Size::Four, 8, self.id);
        // The set was removed: there is nothing to give back to.
        code.jump_if_equal_short(7, -1, "copy next");
        code.copy(1, 7);
        code.set(2, INDEX[0]);
        code.call("count");
        code.jump_if_not_equal(0, 0, "copy counted");
        code.copy(1, 7);
        code.set(2, INDEX[1]);
        code.call("count");
        code.label("copy counted");
        code.jump_if_at_most(0, MOST_SEMAPHORES, "copy known");
        code.set(0, 0);
        code.label("copy known");
        code.load(Size::Eight, 2, 9, CURSOR);
        // Which says to the kernel that it is a multiple of 8.
        code.and(2, -8);
        code.jump_if_more(2, last, "copy full");
        code.copy(3, 9);
        code.add_register(3, 2);
        code.load(Size::Eight, 1, 9, LIST);
        code.store(Size::Eight, 3, RECORDS, 1);
        code.load(Size::Four, 1, 9, PID);
        code.store(Size::Four, 3, RECORDS + 8, 1);
        code.load(Size::Four, 1, 9, INODE);
        code.store(Size::Four, 3, RECORDS + 12, 1);
        code.store(Size::Four, 3, RECORDS + 16, 7);
        code.store(Size::Four, 3, RECORDS + 20, 0);
        code.copy(7, 0);
        code.keep(3);
        if self.elsewhere {
            code.fetch(8, Size::Eight, 8, self.adjustments);
        } else {
            code.add(8, self.adjustments);
        }
        code.kept(1);
        code.add(1, i32::from(RECORDS + RECORD));
        code.copy(2, 7);
        code.shift_left(2, 1);
        code.copy(3, 8);
        code.read_kernel();
        code.jump_if_equal(0, 0, "copy done");
        // What could not be read is not known.
        code.set(7, 0);
        code.kept(3);
        code.store(Size::Four, 3, RECORDS + 20, 7);
        code.label("copy done");
        code.load(Size::Eight, 2, 9, CURSOR);
        code.shift_left(7, 1);
        code.add(7, i32::from(RECORD) + 7);
        code.and(7, -8);
        code.add_register(2, 7);
        code.store(Size::Eight, 9, CURSOR, 2);
        code.label("copy next");
        code.fetch(0, Size::Eight, 6, 0);
        code.exit();
        code.label("copy full");
        code.set(1, 1);
        code.store(Size::Eight, 9, FULL, 1);
        code.label("copy end");
        code.give(0);
    }

    /// How many semaphores the set with an identifier has, whose index is in the bits of a mask; 0 if there is
    /// none: `idr_find` in lib/idr.c, `xas_load` in lib/xarray.c.
    fn count(&self, code: &mut Assembler) {
        code.label("count");
        code.copy(6, 1);
        code.copy(7, 2);
        code.and_register(7, 6);
        code.memory(9);
        code.load(Size::Eight, 1, 9, NAMESPACE);
        code.fetch(8, Size::Eight, 1, self.tree);
        code.set(9, LEVELS);
        code.label("count level");
        // The lowest bits of the address tell a node from an entry.
        code.copy(1, 8);
        code.and(1, 3);
        code.jump_if_not_equal(1, 2, "count entry");
        code.add(8, -2);
        code.fetch(1, Size::One, 8, self.shift);
        code.and(1, 63);
        code.copy(2, 7);
        code.shift_right_by(2, 1);
        code.and(2, self.slot_count - 1);
        code.shift_left(2, 3);
        code.add_register(8, 2);
        code.fetch(8, Size::Eight, 8, self.slots);
        code.add(9, -1);
        code.jump_if_not_equal(9, 0, "count level");
        code.give(0);
        code.label("count entry");
        code.fetch(1, Size::Four, 8, self.entry_id);
        code.jump_if_same(1, 6, "count found");
        code.give(0);
        code.label("count found");
        code.fetch(0, Size::Four, 8, self.semaphores);
        code.exit();
    }
}

/// Follows a list from one link on, by a function that goes further; gives where it stopped, or 0 at the end.
fn follow(code: &mut Assembler, [name, more, out]: [&'static str; 3], further: &'static str) {
    code.label(name);
    code.copy(6, 1);
    code.set(7, ROUNDS);
    code.label(more);
    code.copy(1, 6);
    code.call(further);
    code.copy(6, 0);
    code.jump_if_equal(6, 0, out);
    code.add(7, -1);
    code.jump_if_not_equal(7, 0, more);
    code.label(out);
    code.copy(0, 6);
    code.exit();
}

/// The types of the functions, in the format of BTF (Documentation/bpf/btf.rst). That they are global makes the
/// kernel prove each of them once, and not once for each call.
pub(super) fn types() -> Vec<u8> {
    let mut strings = b"\0u64\0a\0b\0".to_vec();
    let (int, first, second) = (1, 5, 7);
    let (kind_int, kind_pointer, kind_function, kind_proto) = (1 << 24, 2 << 24, 12 << 24, 13 << 24);
    let mut words = vec![int, kind_int, 8, 64];
    words.extend([0, kind_pointer, 0]);
    words.extend([0, kind_proto | 1, 1, first, 2]);
    words.extend([0, kind_proto | 1, 1, first, 1]);
    words.extend([0, kind_proto | 2, 1, first, 1, second, 1]);
    for ((name, _), signature) in FUNCTIONS.iter().zip([3, 4, 4, 4, 5]) {
        // 1 behind the kind is BTF_FUNC_GLOBAL.
        words.extend([u32::try_from(strings.len()).unwrap_or(0), kind_function | 1, signature]);
        strings.extend_from_slice(name.as_bytes());
        strings.push(0);
    }
    let length = |count: usize| u32::try_from(count).unwrap_or(0);
    let types = length(words.len() * 4);
    let mut bytes = 0xeb9f_u16.to_ne_bytes().to_vec();
    bytes.extend([1, 0]);
    for word in [24, 0, types, types, length(strings.len())].iter().chain(&words) {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend(strings);
    bytes
}
