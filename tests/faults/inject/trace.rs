//! A command under ptrace(2): every system call that ipcx makes is seen, and one of them can be made to fail.
//!
//! strace(1) can inject failures, too, but counts calls for each process alone, from the loader on, and hits the
//! commands that ipcx runs as it hits ipcx. Here calls count from the program's entry and only while ipcx itself is
//! what runs, a call can be carried out and then be said to have failed, and one can be cut short.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is done to a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// It is not carried out and fails so.
    Fails(i32),
    /// It is carried out and fails so: close(2) closes whatever it says.
    FailsDone(i32),
    /// It is asked for this part of its bytes only: one, or half of them.
    Short(Part),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    One,
    Half,
}

/// Which call is hit: of the N-th process (or thread) of ipcx, the K-th of this number; both count from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    pub process: usize,
    pub call: i64,
    pub occurrence: usize,
    pub how: How,
}

/// A call that ipcx made.
#[derive(Clone, Debug)]
pub struct Call {
    pub process: usize,
    pub call: i64,
    pub occurrence: usize,
    /// How many of this number the process had made since it was executed, with this one: strace's count.
    pub since_exec: usize,
    pub args: [u64; 6],
    /// What its first argument is, if that is an open descriptor: the text of the link in /proc.
    pub file: String,
    /// Its flags, as open(2) and F_SETFL of fcntl(2) set them.
    pub flags: i32,
}

impl Call {
    /// Whether its first argument has O_NONBLOCK.
    pub fn nonblocking(&self) -> bool {
        self.flags & libc::O_NONBLOCK != 0
    }
}

/// What came of a command.
pub struct Ended {
    /// As wait(2) gives it.
    pub status: i32,
    pub calls: Vec<Call>,
    /// Whether the call that was to be hit was made.
    pub hit: bool,
    /// It did not end by itself.
    pub hung: bool,
}

/// Ends within a fraction of a second by itself; a busy machine gets more.
const LIMIT: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct Tracee {
    ordinal: usize,
    /// Whether ipcx is what runs there.
    ours: bool,
    /// The program has been entered: the loader is done.
    entered: bool,
    entry: u64,
    instruction: i64,
    born: bool,
    since_exec: HashMap<i64, usize>,
    counted: HashMap<i64, usize>,
    /// What the exit of the call that it is in is to give, or the register to restore.
    pending: Option<Pending>,
}

#[derive(Clone, Copy)]
enum Pending {
    Result(i32),
    First(u64),
    Third(u64),
}

/// The time at which a process is ended by force, for each that runs.
static DEADLINES: Mutex<Vec<(i32, Instant)>> = Mutex::new(Vec::new());

fn deadlines() -> std::sync::MutexGuard<'static, Vec<(i32, Instant)>> {
    DEADLINES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn watch(pid: i32) {
    deadlines().push((pid, Instant::now() + LIMIT));
}

/// Watches it no more; whether it is late. None if it was not watched.
fn watched(pid: i32) -> Option<bool> {
    let mut deadlines = deadlines();
    let at = deadlines.iter().position(|(watched, _)| *watched == pid)?;
    Some(deadlines.swap_remove(at).1 < Instant::now())
}

/// Ends what is late; called now and then by a thread that has nothing else to do.
pub fn end_late() {
    for (pid, _) in deadlines().iter().filter(|(_, deadline)| *deadline < Instant::now()) {
        // SAFETY: kill takes two numbers; the process is not reaped while it is in the list.
        unsafe { libc::kill(*pid, libc::SIGKILL) };
    }
}

/// Runs a command whose program is ipcx to its end, and that of all that it starts. `proc` is a directory that shows
/// processes by the numbers that we know them by.
pub fn run(mut command: Command, fault: Option<Fault>, proc: &File) -> io::Result<Ended> {
    // SAFETY: between fork and exec it makes one system call and allocates nothing.
    unsafe {
        command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
    let program = std::fs::canonicalize(command.get_program())?;
    let child = command.spawn()?;
    drop(command);
    let pid = i32::try_from(child.id()).unwrap();
    watch(pid);
    let mut tracer = Tracer {
        proc,
        program: program.into_os_string().into_encoded_bytes(),
        fault,
        tracees: HashMap::new(),
        next: 1,
        calls: Vec::new(),
        hit: false,
    };
    let main = Tracee {
        ordinal: 0,
        ours: true,
        entered: false,
        entry: 0,
        instruction: 0,
        born: true,
        since_exec: HashMap::new(),
        counted: HashMap::new(),
        pending: None,
    };
    tracer.tracees.insert(pid, main);
    let (mut status, mut hung, mut first) = (0, false, true);
    // Others that this thread has started live on.
    while !tracer.tracees.is_empty() {
        let mut now = 0;
        // SAFETY: waitpid fills a number.
        let who = unsafe { libc::waitpid(-1, &raw mut now, libc::__WALL | libc::__WNOTHREAD) };
        if who < 0 {
            if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
                continue;
            }
            return Err(io::Error::last_os_error());
        }
        if !libc::WIFSTOPPED(now) {
            tracer.tracees.remove(&who);
            if who == pid {
                status = now;
            }
            if let Some(late) = watched(who) {
                hung |= late;
                // Who stays behind has as long again.
                if let Some(&next) = tracer.tracees.keys().next() {
                    watch(next);
                }
            }
            continue;
        }
        if std::mem::take(&mut first) {
            tracer.begin(pid);
            continue;
        }
        tracer.stopped(who, now);
    }
    Ok(Ended { status, calls: tracer.calls, hit: tracer.hit, hung })
}

struct Tracer<'a> {
    proc: &'a File,
    program: Vec<u8>,
    fault: Option<Fault>,
    tracees: HashMap<i32, Tracee>,
    next: usize,
    calls: Vec<Call>,
    hit: bool,
}

impl Tracer<'_> {
    /// The first stop: it has been executed, and runs until the loader jumps to the program.
    fn begin(&mut self, pid: i32) {
        let options = libc::PTRACE_O_TRACESYSGOOD
            | libc::PTRACE_O_TRACEFORK
            | libc::PTRACE_O_TRACEVFORK
            | libc::PTRACE_O_TRACECLONE
            | libc::PTRACE_O_TRACEEXEC
            | libc::PTRACE_O_EXITKILL;
        ptrace(libc::PTRACE_SETOPTIONS, pid, 0, options.try_into().unwrap());
        let entry = self.entry(pid);
        let instruction = ptrace(libc::PTRACE_PEEKTEXT, pid, entry, 0);
        ptrace(libc::PTRACE_POKETEXT, pid, entry, (instruction.cast_unsigned() & !0xff) | 0xcc);
        let tracee = self.tracees.get_mut(&pid).unwrap();
        (tracee.entry, tracee.instruction) = (entry, instruction);
        ptrace(libc::PTRACE_SYSCALL, pid, 0, 0);
    }

    /// Where the loader jumps to: AT_ENTRY of getauxval(3).
    fn entry(&self, pid: i32) -> u64 {
        let mut auxv = Vec::new();
        open(self.proc, &format!("{pid}/auxv")).unwrap().read_to_end(&mut auxv).unwrap();
        let words: Vec<u64> = auxv.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap())).collect();
        words.chunks_exact(2).find(|pair| pair[0] == libc::AT_ENTRY).unwrap()[1]
    }

    fn link(&self, path: &str) -> Vec<u8> {
        let path = CString::new(path).unwrap();
        let mut target = vec![0; 4096];
        // SAFETY: the path ends with NUL, the buffer is as long as it is said to be.
        let length =
            unsafe { libc::readlinkat(self.proc.as_raw_fd(), path.as_ptr(), target.as_mut_ptr().cast(), target.len()) };
        target.truncate(usize::try_from(length).unwrap_or(0));
        target
    }

    fn newborn(&mut self, parent: Option<i32>) -> Tracee {
        let parent = parent.and_then(|pid| self.tracees.get(&pid));
        let ours = parent.is_none_or(|parent| parent.ours);
        self.next += 1;
        Tracee {
            ordinal: self.next - 1,
            ours,
            entered: true,
            entry: 0,
            instruction: 0,
            born: false,
            since_exec: HashMap::new(),
            counted: HashMap::new(),
            pending: None,
        }
    }

    fn stopped(&mut self, pid: i32, status: i32) {
        let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
        let mut deliver = 0;
        match (signal, event) {
            (_, libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE) => {
                let child = message(pid);
                let child = i32::try_from(child).unwrap();
                let newborn = self.newborn(Some(pid));
                match self.tracees.get_mut(&child) {
                    // It stopped before we were told of it.
                    Some(known) => known.ours = newborn.ours,
                    None => drop(self.tracees.insert(child, newborn)),
                }
            }
            (_, libc::PTRACE_EVENT_EXEC) => {
                let ours = self.link(&format!("{pid}/exe")) == self.program;
                if let Some(tracee) = self.tracees.get_mut(&pid) {
                    tracee.ours = ours;
                    tracee.pending = None;
                    tracee.since_exec.clear();
                }
            }
            (signal, 0) if signal == libc::SIGTRAP | 0x80 => self.call(pid),
            (libc::SIGTRAP, 0) if self.tracees.get(&pid).is_some_and(|tracee| !tracee.entered) => {
                let tracee = self.tracees.get_mut(&pid).unwrap();
                ptrace(libc::PTRACE_POKETEXT, pid, tracee.entry, tracee.instruction.cast_unsigned());
                let mut registers = registers(pid);
                registers.rip = tracee.entry;
                set_registers(pid, &registers);
                tracee.entered = true;
            }
            (libc::SIGSTOP, 0) => {
                let newborn = self.tracees.get(&pid).is_none_or(|tracee| !tracee.born);
                if newborn {
                    if !self.tracees.contains_key(&pid) {
                        let tracee = self.newborn(None);
                        self.tracees.insert(pid, tracee);
                    }
                    self.tracees.get_mut(&pid).unwrap().born = true;
                } else {
                    deliver = signal;
                }
            }
            (signal, 0) => deliver = signal,
            _ => {}
        }
        // Of a command that ipcx runs only its end is of interest, and what it starts.
        let ours = self.tracees.get(&pid).is_none_or(|tracee| tracee.ours);
        let go_on = if ours { libc::PTRACE_SYSCALL } else { libc::PTRACE_CONT };
        ptrace(go_on, pid, 0, u64::try_from(deliver).unwrap());
    }

    fn call(&mut self, pid: i32) {
        let mut registers = registers(pid);
        // A call that has not been made yet has this in the place of its result: arch/x86/entry.
        let entry = registers.rax == u64::MAX - 37;
        if !self.tracees.get(&pid).is_some_and(|tracee| tracee.ours) {
            return;
        }
        if !is_entry(pid, entry) {
            match self.tracees.get_mut(&pid).unwrap().pending.take() {
                Some(Pending::Result(errno)) => registers.rax = i64::from(-errno).cast_unsigned(),
                Some(Pending::First(argument)) => registers.rdi = argument,
                Some(Pending::Third(argument)) => registers.rdx = argument,
                None => return,
            }
            set_registers(pid, &registers);
            return;
        }
        let number = registers.orig_rax.cast_signed();
        let tracee = self.tracees.get_mut(&pid).unwrap();
        let since_exec = tracee.since_exec.entry(number).or_default();
        *since_exec += 1;
        let since_exec = *since_exec;
        if !tracee.entered {
            return;
        }
        let counted = tracee.counted.entry(number).or_default();
        let occurrence = *counted;
        *counted += 1;
        let process = tracee.ordinal;
        let Some(fault) = self.fault else {
            let args = [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9];
            let file = String::from_utf8_lossy(&self.link(&format!("{pid}/fd/{}", args[0]))).into_owned();
            let flags = if file.is_empty() { 0 } else { self.flags(pid, args[0]) };
            self.calls.push(Call { process, call: number, occurrence, since_exec, args, file, flags });
            return;
        };
        if (fault.process, fault.call, fault.occurrence) != (process, number, occurrence) {
            return;
        }
        self.hit = true;
        let tracee = self.tracees.get_mut(&pid).unwrap();
        match fault.how {
            // The kernel's own never gives an errno: where it is, the break stays.
            How::Fails(_) if number == libc::SYS_brk => {
                tracee.pending = Some(Pending::First(registers.rdi));
                registers.rdi = 0;
                set_registers(pid, &registers);
            }
            How::Fails(errno) => {
                registers.orig_rax = u64::MAX;
                set_registers(pid, &registers);
                tracee.pending = Some(Pending::Result(errno));
            }
            How::FailsDone(errno) => tracee.pending = Some(Pending::Result(errno)),
            How::Short(part) => {
                tracee.pending = Some(Pending::Third(registers.rdx));
                registers.rdx = match part {
                    Part::One => registers.rdx.min(1),
                    Part::Half => registers.rdx.div_ceil(2),
                };
                set_registers(pid, &registers);
            }
        }
    }

    fn flags(&self, pid: i32, fd: u64) -> i32 {
        let text = text(self.proc, &format!("{pid}/fdinfo/{fd}"));
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:")).unwrap_or("0");
        i32::from_str_radix(flags.trim(), 8).unwrap_or(0)
    }
}

/// Whether a stop is the beginning of a call; without PTRACE_GET_SYSCALL_INFO (Linux 5.3) the registers tell.
fn is_entry(pid: i32, guess: bool) -> bool {
    // SAFETY: all zeros is a valid value of this struct of numbers, and the kernel writes at most so many bytes.
    unsafe {
        let mut info = std::mem::zeroed::<libc::ptrace_syscall_info>();
        let size = size_of_val(&info);
        let got = libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, pid, size, &raw mut info);
        if got > 0 { info.op == libc::PTRACE_SYSCALL_INFO_ENTRY } else { guess }
    }
}

/// The text of a file of /proc.
pub fn text(proc: &File, path: &str) -> String {
    let mut text = String::new();
    if let Some(mut file) = open(proc, path) {
        drop(file.read_to_string(&mut text));
    }
    text
}

fn open(proc: &File, path: &str) -> Option<File> {
    let path = CString::new(path).unwrap();
    // SAFETY: the path ends with NUL; the descriptor is new and belongs to nobody else.
    unsafe {
        let fd = libc::openat(proc.as_raw_fd(), path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        (fd >= 0).then(|| std::os::fd::FromRawFd::from_raw_fd(fd))
    }
}

/// A request that may find its process gone: then that is what is seen next.
fn ptrace(request: libc::c_uint, pid: i32, address: u64, data: u64) -> i64 {
    // SAFETY: those requests that are made with this read and write memory of the other process alone.
    unsafe { libc::ptrace(request, pid, address, data) }
}

fn message(pid: i32) -> u64 {
    let mut message = 0u64;
    // SAFETY: the kernel writes one number.
    unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, pid, 0, &raw mut message) };
    message
}

fn registers(pid: i32) -> libc::user_regs_struct {
    // SAFETY: all zeros is a valid value of this struct of numbers, which the kernel fills.
    unsafe {
        let mut registers = std::mem::zeroed::<libc::user_regs_struct>();
        libc::ptrace(libc::PTRACE_GETREGS, pid, 0, &raw mut registers);
        registers
    }
}

fn set_registers(pid: i32, registers: &libc::user_regs_struct) {
    // SAFETY: the kernel reads the struct.
    unsafe { libc::ptrace(libc::PTRACE_SETREGS, pid, 0, std::ptr::from_ref(registers)) };
}
