//! Programs that the kernel itself runs over what it has, and the memory into which they write: bpf(2).
//!
//! The kernel proves of every program that it ends and touches nothing that it may not, before it takes it.
//! Nothing here waits, and nothing is left behind: all of it goes with the descriptors.
#![allow(unsafe_code)]

use nix::errno::Errno;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

/// Commands and types of include/uapi/linux/bpf.h.
const MAP_CREATE: libc::c_int = 0;
const MAP_LOOKUP_ELEM: libc::c_int = 1;
const PROG_LOAD: libc::c_int = 5;
const BTF_LOAD: libc::c_int = 18;
const LINK_CREATE: libc::c_int = 28;
const ITER_CREATE: libc::c_int = 33;
const MAP_TYPE_ARRAY: u32 = 2;
const PROG_TYPE_TRACING: u32 = 26;
const TRACE_ITER: u32 = 28;

/// One instruction: struct bpf_insn.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Instruction {
    code: u8,
    registers: u8,
    pub offset: i16,
    pub immediate: i32,
}

impl Instruction {
    pub const fn new(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
        // Two bit fields of four bits, which compilers lay out by the order of bytes.
        let registers = if cfg!(target_endian = "little") { to | from << 4 } else { to << 4 | from };
        Instruction { code, registers, offset, immediate }
    }
}

/// Where a function begins, by its instruction, and its type: struct bpf_func_info.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Function {
    pub instruction: u32,
    pub type_id: u32,
}

/// Calls bpf(2) with one form of its attributes.
///
/// # Safety
/// `attributes` is what the command takes, and the addresses in it are those of memory that is as long as the
/// attributes say, which the command may read or fill.
unsafe fn bpf<T>(command: libc::c_int, attributes: &mut T) -> nix::Result<libc::c_int> {
    // SAFETY: the caller says that the attributes are sound; the kernel reads no more of them than their size.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<T>()) };
    Errno::result(result).and_then(|result| libc::c_int::try_from(result).map_err(|_| Errno::EBADF))
}

/// As `bpf`, for the commands that give a descriptor.
///
/// # Safety
/// As there; and the command gives a new descriptor, which the kernel marks close-on-exec by itself.
unsafe fn descriptor<T>(command: libc::c_int, attributes: &mut T) -> nix::Result<OwnedFd> {
    // SAFETY: the caller says so; the descriptor was made just now and belongs to nobody else.
    unsafe { bpf(command, attributes).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

fn address<T>(of: &[T]) -> u64 {
    of.as_ptr().expose_provenance() as u64
}

fn length<T>(of: &[T]) -> nix::Result<u32> {
    u32::try_from(of.len()).map_err(|_| Errno::E2BIG)
}

fn number(fd: &OwnedFd) -> u32 {
    // A descriptor is never negative.
    fd.as_raw_fd().unsigned_abs()
}

/// Memory that programs write: a map of one element, all zero at first.
#[derive(Debug)]
pub struct Memory {
    map: OwnedFd,
    size: u32,
}

impl Memory {
    /// So many bytes, a multiple of 8. EPERM without CAP_BPF (before Linux 5.8: CAP_SYS_ADMIN), E2BIG where the
    /// kernel wants less.
    pub fn new(size: u32) -> nix::Result<Memory> {
        #[repr(C)]
        struct Attributes {
            kind: u32,
            key_size: u32,
            value_size: u32,
            entries: u32,
        }
        let mut attributes = Attributes { kind: MAP_TYPE_ARRAY, key_size: 4, value_size: size, entries: 1 };
        // SAFETY: these are the attributes of the command, with no address in them.
        Ok(Memory { map: unsafe { descriptor(MAP_CREATE, &mut attributes) }?, size })
    }

    pub fn descriptor(&self) -> RawFd {
        self.map.as_raw_fd()
    }

    /// What is in it.
    pub fn read(&self) -> nix::Result<Vec<u8>> {
        #[repr(C)]
        struct Attributes {
            map: u32,
            padding: u32,
            key: u64,
            value: u64,
            flags: u64,
        }
        let key = [0_u32];
        let mut bytes = vec![0; usize::try_from(self.size).map_err(|_| Errno::E2BIG)?];
        let value = bytes.as_mut_ptr().expose_provenance() as u64;
        let mut attributes = Attributes { map: number(&self.map), padding: 0, key: address(&key), value, flags: 0 };
        // SAFETY: the key is one u32 and the value has the size of the map; both outlive the call.
        unsafe { bpf(MAP_LOOKUP_ELEM, &mut attributes) }?;
        Ok(bytes)
    }
}

/// Gives the kernel the types of a program's functions, in the format of BTF. EPERM without CAP_BPF.
pub fn types(btf: &[u8]) -> nix::Result<OwnedFd> {
    #[repr(C)]
    struct Attributes {
        btf: u64,
        log: u64,
        size: u32,
        log_size: u32,
        log_level: u32,
        padding: u32,
    }
    let (btf, size) = (address(btf), length(btf)?);
    let mut attributes = Attributes { btf, log: 0, size, log_size: 0, log_level: 0, padding: 0 };
    // SAFETY: the command reads `size` bytes at `btf`, which outlives the call.
    unsafe { descriptor(BTF_LOAD, &mut attributes) }
}

/// Loads a program that runs over everything of a kind, and gives the descriptor whose reading runs it.
///
/// `target` is the kernel's function of the kind, by its number in the kernel's BTF: `bpf_iter_task` for all
/// tasks of our PID namespace. EPERM without CAP_BPF and CAP_PERFMON, EINVAL before Linux 5.8 and where the
/// kernel does not take the program.
pub fn iterator(code: &[Instruction], functions: &[Function], types: &OwnedFd, target: u32) -> nix::Result<OwnedFd> {
    #[repr(C)]
    struct Load {
        kind: u32,
        instructions: u32,
        code: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log: u64,
        version: u32,
        flags: u32,
        name: [u8; 16],
        interface: u32,
        attach: u32,
        btf: u32,
        function_size: u32,
        functions: u64,
        function_count: u32,
        line_size: u32,
        lines: u64,
        line_count: u32,
        target: u32,
        attach_to: u32,
        padding: u32,
    }
    #[repr(C)]
    struct Link {
        program: u32,
        target: u32,
        attach: u32,
        flags: u32,
    }
    #[repr(C)]
    struct Iterator {
        link: u32,
        flags: u32,
    }
    // The kernel's helpers that read its memory are for programs under its own license.
    let license = c"GPL".to_bytes_with_nul();
    let load = || {
        let mut load = Load {
            kind: PROG_TYPE_TRACING,
            instructions: length(code)?,
            code: address(code),
            license: address(license),
            log_level: 0,
            log_size: 0,
            log: 0,
            version: 0,
            flags: 0,
            name: *b"ipcx\0\0\0\0\0\0\0\0\0\0\0\0",
            interface: 0,
            attach: TRACE_ITER,
            btf: number(types),
            function_size: 8,
            functions: address(functions),
            function_count: length(functions)?,
            line_size: 0,
            lines: 0,
            line_count: 0,
            target,
            attach_to: 0,
            padding: 0,
        };
        // SAFETY: the command reads the code and the functions, whose lengths go with them, and the license up
        // to its NUL; all of them outlive the call.
        unsafe { descriptor(PROG_LOAD, &mut load) }
    };
    // A signal breaks the proof off.
    let again = |result: &nix::Result<OwnedFd>| matches!(result, Err(Errno::EAGAIN));
    let program = (0..4).map(|_| load()).find(|result| !again(result)).unwrap_or_else(load)?;
    let mut link = Link { program: number(&program), target: 0, attach: TRACE_ITER, flags: 0 };
    // SAFETY: these are the attributes of the command, with no address in them.
    let link = unsafe { descriptor(LINK_CREATE, &mut link) }?;
    let mut iterator = Iterator { link: number(&link), flags: 0 };
    // SAFETY: as above.
    unsafe { descriptor(ITER_CREATE, &mut iterator) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_zero_or_refused() {
        match Memory::new(64) {
            Ok(memory) => assert_eq!(memory.read(), Ok(vec![0; 64])),
            Err(errno) => assert!(matches!(errno, Errno::EPERM | Errno::ENOSYS), "{errno}"),
        }
    }

    #[test]
    fn what_is_no_type_information_is_refused() {
        assert!(matches!(types(b"no").err(), Some(Errno::EPERM | Errno::EINVAL | Errno::ENOSYS)));
    }
}
