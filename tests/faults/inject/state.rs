//! What there is in a namespace, read without ipcx: objects with their permissions and contents, and files. Times and
//! pids are left out. Looking at a queue of POSIX empties it: a state is read once.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::ptr;

/// An object: what it is like, and what is in it, one by one.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Object {
    pub like: String,
    pub units: Vec<String>,
}

/// All objects by what one can call them.
pub type State = BTreeMap<String, Object>;

/// The state of the calling thread's IPC namespace, of /dev/shm, and of a directory. `sysvipc` shows that namespace.
pub fn read(directory: &Path) -> State {
    let mut state = State::new();
    system_v(&mut state);
    files(&mut state, "/dev/shm", Path::new("/dev/shm"));
    files(&mut state, ".", directory);
    for entry in fs::read_dir("/dev/mqueue").into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let mode = entry.metadata().map_or(0, |metadata| metadata.mode());
        let (like, units) = drain(&name);
        state.insert(format!("msgq//{name}"), Object { like: format!("mode {mode:o} {like}"), units });
    }
    state
}

fn escaped(bytes: &[u8]) -> String {
    // A page of zeros is no sight.
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    format!("{} and {} zeros", bytes[..end].escape_ascii(), bytes.len() - end)
}

/// The message in a slot of `recv --durable`: src/mech/msgq/slot.rs.
fn held(slot: &[u8]) -> Option<String> {
    let word = |at: usize| u64::from_ne_bytes(slot[at..at + 8].try_into().unwrap());
    let (kind, priority, length) = (word(4088), word(48) & 0xffff_ffff, usize::try_from(word(40)).unwrap());
    let tag = if kind > 0 { Some(kind) } else { (priority != 0xffff_ffff).then_some(priority) };
    tag.map(|tag| format!("{tag} {}", slot[4096..4096 + length].escape_ascii()))
}

fn files(state: &mut State, called: &str, directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        let (kind, mode) = (metadata.file_type(), metadata.mode());
        let mut units = Vec::new();
        let like = if kind.is_fifo() {
            "FIFO"
        } else if kind.is_socket() {
            "socket"
        } else if kind.is_dir() {
            files(state, &format!("{called}/{}", name.display()), &path);
            "directory"
        } else {
            // What is an archive holds times; how long it is says enough.
            let bytes = fs::read(&path).unwrap_or_default();
            let archive = bytes.get(257..262) == Some(b"ustar");
            if bytes.starts_with(b"ipcxslot") {
                units.extend(held(&bytes));
                "slot"
            } else {
                units.push(if archive { format!("archive of {} bytes", bytes.len()) } else { escaped(&bytes) });
                "file"
            }
        };
        let like = format!("{like} mode {mode:o} uid {}", metadata.uid());
        state.insert(format!("{called}/{}", name.display()), Object { like, units });
    }
}

/// The lines of a file of /proc/sysvipc as numbers.
fn table(kind: &str) -> Vec<Vec<i64>> {
    let mut text = String::new();
    // That of the machine, through which the thread's own namespace is seen, is hidden by the one for ipcx; either
    // shows the namespace of whoever opens it.
    fs::File::open(format!("/proc/sysvipc/{kind}")).unwrap().read_to_string(&mut text).unwrap();
    let number = |word: &str| word.parse().unwrap_or(-1);
    text.lines().skip(1).map(|line| line.split_whitespace().map(number).collect()).collect()
}

fn system_v(state: &mut State) {
    let mut private = 0;
    let mut call = |kind: &str, key: i64| {
        private += i32::from(key == 0);
        if key == 0 { format!("{kind}/private {private}") } else { format!("{kind}/{key:#x}") }
    };
    // key shmid perms size cpid lpid nattch uid gid …
    for line in table("shm") {
        let like = format!("perms {} size {} nattch {} uid {} gid {}", line[2], line[3], line[6], line[7], line[8]);
        let units = vec![segment(i32::try_from(line[1]).unwrap(), usize::try_from(line[3]).unwrap())];
        state.insert(call("shm", line[0]), Object { like, units });
    }
    // key msqid perms cbytes qnum lspid lrpid uid gid …
    for line in table("msg") {
        let id = i32::try_from(line[1]).unwrap();
        let like = format!("perms {} uid {} gid {} most {}", line[2], line[7], line[8], most(id));
        state.insert(call("msgq", line[0]), Object { like, units: messages(id, line[4]) });
    }
    // key semid perms nsems uid gid …
    for line in table("sem") {
        let like = format!("perms {} uid {} gid {}", line[2], line[4], line[5]);
        let id = i32::try_from(line[1]).unwrap();
        let values = (0..i32::try_from(line[3]).unwrap()).map(|index| {
            // SAFETY: of these two commands semctl takes no fourth argument.
            unsafe { format!("{index}={}", libc::semctl(id, index, libc::GETVAL)) }
        });
        state.insert(call("sem", line[0]), Object { like, units: vec![values.collect::<Vec<_>>().join(" ")] });
    }
}

fn segment(id: i32, size: usize) -> String {
    // SAFETY: the segment is attached wherever there is place, read within its size, and detached.
    unsafe {
        let at = libc::shmat(id, ptr::null(), libc::SHM_RDONLY);
        if at.addr() == usize::MAX {
            return format!("not to be attached: {}", std::io::Error::last_os_error());
        }
        let text = escaped(std::slice::from_raw_parts(at.cast_const().cast(), size));
        libc::shmdt(at);
        text
    }
}

fn most(id: i32) -> u64 {
    // SAFETY: all zeros is a valid value of this struct of numbers, which the kernel fills.
    unsafe {
        let mut about = std::mem::zeroed::<libc::msqid_ds>();
        libc::msgctl(id, libc::IPC_STAT, &raw mut about);
        about.msg_qbytes
    }
}

fn messages(id: i32, count: i64) -> Vec<String> {
    let copy = |position| {
        let mut buffer = vec![0u64; 8193];
        // SAFETY: the buffer is longer than the type and the bytes that are asked for.
        let length = unsafe {
            let flags = libc::MSG_COPY | libc::IPC_NOWAIT | libc::MSG_NOERROR;
            libc::msgrcv(id, buffer.as_mut_ptr().cast(), 65536, position, flags)
        };
        // SAFETY: so many bytes follow the type.
        let bytes = unsafe {
            std::slice::from_raw_parts(buffer.as_ptr().add(1).cast::<u8>(), usize::try_from(length).unwrap_or(0))
        };
        format!("{} {}", buffer[0], bytes.escape_ascii())
    };
    (0..count).map(copy).collect()
}

fn drain(name: &str) -> (String, Vec<String>) {
    let name = CString::new(format!("/{name}")).unwrap();
    let mut units = Vec::new();
    // SAFETY: the name ends with NUL, the struct of numbers is filled by the kernel, and the buffer is as long as the
    // queue's messages can be.
    unsafe {
        let queue = libc::mq_open(name.as_ptr(), libc::O_RDWR | libc::O_NONBLOCK);
        if queue < 0 {
            return (format!("not to be opened: {}", std::io::Error::last_os_error()), units);
        }
        let mut about = std::mem::zeroed::<libc::mq_attr>();
        libc::mq_getattr(queue, &raw mut about);
        let mut buffer = vec![0u8; usize::try_from(about.mq_msgsize).unwrap()];
        let mut priority = 0;
        while let Ok(length) =
            usize::try_from(libc::mq_receive(queue, buffer.as_mut_ptr().cast(), buffer.len(), &raw mut priority))
        {
            units.push(format!("{priority} {}", buffer[..length].escape_ascii()));
        }
        libc::mq_close(queue);
        (format!("{} of {} bytes", about.mq_maxmsg, about.mq_msgsize), units)
    }
}
