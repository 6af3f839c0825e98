//! Instructions of BPF by name, Documentation/bpf/standardization/instruction-set.rst. Registers are by number:
//! 0 is what a call gives, 1 to 5 what it takes and spoils, 6 to 9 are kept, 10 is the end of the stack.

use crate::sys::bpf::Instruction;
use std::collections::HashMap;
use std::os::fd::RawFd;

const STACK: u8 = 10;
/// Where what was fetched goes first.
const SCRATCH: i16 = -8;
/// One value that is kept over calls.
const KEPT: i16 = -16;

/// Functions of the kernel, include/uapi/linux/bpf.h.
const GET_CURRENT_TASK: i32 = 35;
const PROBE_READ_KERNEL: i32 = 113;

/// How many bytes are moved.
#[derive(Clone, Copy)]
pub(super) enum Size {
    One,
    Four,
    Eight,
}

impl Size {
    fn bits(self) -> u8 {
        match self {
            Size::Four => 0x00,
            Size::One => 0x10,
            Size::Eight => 0x18,
        }
    }

    fn bytes(self) -> i32 {
        match self {
            Size::One => 1,
            Size::Four => 4,
            Size::Eight => 8,
        }
    }
}

/// A place in the code that is known only when all of it is there.
enum Open {
    Jump(usize, &'static str),
    Call(usize, &'static str),
}

pub(super) struct Assembler {
    memory: RawFd,
    code: Vec<Instruction>,
    places: HashMap<&'static str, usize>,
    open: Vec<Open>,
}

impl Assembler {
    pub(super) fn new(memory: RawFd) -> Assembler {
        Assembler { memory, code: Vec::new(), places: HashMap::new(), open: Vec::new() }
    }

    fn put(&mut self, code: u8, to: u8, from: u8, offset: i16, immediate: i32) {
        self.code.push(Instruction::new(code, to, from, offset, immediate));
    }

    pub(super) fn label(&mut self, name: &'static str) {
        self.places.insert(name, self.code.len());
    }

    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    pub(super) fn copy(&mut self, to: u8, from: u8) {
        self.put(0xbf, to, from, 0, 0);
    }

    pub(super) fn set(&mut self, to: u8, value: i32) {
        self.put(0xb7, to, 0, 0, value);
    }

    pub(super) fn add(&mut self, to: u8, value: i32) {
        self.put(0x07, to, 0, 0, value);
    }

    pub(super) fn add_register(&mut self, to: u8, from: u8) {
        self.put(0x0f, to, from, 0, 0);
    }

    pub(super) fn multiply(&mut self, to: u8, value: i32) {
        self.put(0x27, to, 0, 0, value);
    }

    pub(super) fn and(&mut self, to: u8, value: i32) {
        self.put(0x57, to, 0, 0, value);
    }

    pub(super) fn and_register(&mut self, to: u8, from: u8) {
        self.put(0x5f, to, from, 0, 0);
    }

    pub(super) fn shift_left(&mut self, to: u8, bits: i32) {
        self.put(0x67, to, 0, 0, bits);
    }

    pub(super) fn shift_right_by(&mut self, to: u8, from: u8) {
        self.put(0x7f, to, from, 0, 0);
    }

    /// From memory that the program may see.
    pub(super) fn load(&mut self, size: Size, to: u8, from: u8, offset: i16) {
        self.put(0x61 | size.bits(), to, from, offset, 0);
    }

    pub(super) fn store(&mut self, size: Size, to: u8, offset: i16, from: u8) {
        self.put(0x63 | size.bits(), to, from, offset, 0);
    }

    pub(super) fn keep(&mut self, from: u8) {
        self.store(Size::Eight, STACK, KEPT, from);
    }

    pub(super) fn kept(&mut self, to: u8) {
        self.load(Size::Eight, to, STACK, KEPT);
    }

    /// The address of our memory.
    pub(super) fn memory(&mut self, to: u8) {
        // A value of 64 bits takes two instructions; 2 as the register says that it is in a map.
        self.put(0x18, to, 2, 0, self.memory);
        self.put(0, 0, 0, 0, 0);
    }

    fn jump(&mut self, code: u8, to: u8, from: u8, immediate: i32, label: &'static str) {
        self.open.push(Open::Jump(self.code.len(), label));
        self.put(code, to, from, 0, immediate);
    }

    pub(super) fn jump_if_equal(&mut self, register: u8, value: i32, label: &'static str) {
        self.jump(0x15, register, 0, value, label);
    }

    /// Compares the lower 32 bits.
    pub(super) fn jump_if_equal_short(&mut self, register: u8, value: i32, label: &'static str) {
        self.jump(0x16, register, 0, value, label);
    }

    pub(super) fn jump_if_same(&mut self, register: u8, other: u8, label: &'static str) {
        self.jump(0x1d, register, other, 0, label);
    }

    pub(super) fn jump_if_not_equal(&mut self, register: u8, value: i32, label: &'static str) {
        self.jump(0x55, register, 0, value, label);
    }

    pub(super) fn jump_if_more(&mut self, register: u8, value: i32, label: &'static str) {
        self.jump(0x25, register, 0, value, label);
    }

    pub(super) fn jump_if_at_most(&mut self, register: u8, value: i32, label: &'static str) {
        self.jump(0xb5, register, 0, value, label);
    }

    /// Calls a function of the program.
    pub(super) fn call(&mut self, label: &'static str) {
        self.open.push(Open::Call(self.code.len(), label));
        self.put(0x85, 0, 1, 0, 0);
    }

    fn helper(&mut self, function: i32) {
        self.put(0x85, 0, 0, 0, function);
    }

    /// The task that runs the program, in 0.
    pub(super) fn current_task(&mut self) {
        self.helper(GET_CURRENT_TASK);
    }

    /// Copies to the address in 1, as many bytes as 2 says, from the kernel's address in 3; 0 is 0 if it could,
    /// and the bytes are 0 if it could not.
    pub(super) fn read_kernel(&mut self) {
        self.helper(PROBE_READ_KERNEL);
    }

    /// Reads a number of the kernel's memory; 0 where there is none.
    pub(super) fn fetch(&mut self, to: u8, size: Size, from: u8, offset: i32) {
        self.copy(3, from);
        self.add(3, offset);
        self.copy(1, STACK);
        self.add(1, SCRATCH.into());
        self.set(2, size.bytes());
        self.read_kernel();
        self.load(size, to, STACK, SCRATCH);
    }

    pub(super) fn give(&mut self, value: i32) {
        self.set(0, value);
        self.exit();
    }

    pub(super) fn exit(&mut self) {
        self.put(0x95, 0, 0, 0, 0);
    }

    /// The code with all jumps and calls led to their labels.
    pub(super) fn finish(mut self) -> Option<Vec<Instruction>> {
        for open in self.open {
            let (Open::Jump(at, label) | Open::Call(at, label)) = open;
            let distance = i32::try_from(*self.places.get(label)?).ok()? - i32::try_from(at).ok()? - 1;
            let instruction = self.code.get_mut(at)?;
            match open {
                Open::Jump(..) => instruction.offset = i16::try_from(distance).ok()?,
                Open::Call(..) => instruction.immediate = distance,
            }
        }
        Some(self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_and_calls_are_counted_from_the_instruction_behind_them() {
        let mut code = Assembler::new(7);
        code.label("start");
        code.memory(9);
        code.jump_if_equal(1, 0, "end");
        code.call("start");
        code.label("end");
        code.exit();
        assert_eq!(code.place("end"), Some(4));
        let code = code.finish().unwrap();
        assert_eq!((code[0].immediate, code[2].offset, code[3].immediate), (7, 1, -4));
    }

    #[test]
    fn a_label_that_is_nowhere_makes_no_program() {
        let mut code = Assembler::new(0);
        code.call("nowhere");
        assert!(code.finish().is_none());
    }
}
