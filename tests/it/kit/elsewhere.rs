//! IPC namespaces beside that of a test.

use super::{Env, PATIENCE, Running};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// The inode of a process' IPC namespace.
pub fn inode(pid: u32) -> u64 {
    fs::metadata(format!("/proc/{pid}/ns/ipc")).unwrap().ino()
}

/// A process that stays in the namespaces of the calling thread until it is killed.
pub fn stay() -> Running {
    Running::start(Command::new("cat"))
}

/// Namespaces of another test thread's making, in which a process stays.
pub struct Elsewhere {
    pub pid: u32,
    pub inode: u64,
    leave: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Elsewhere {
    /// Makes them, and in them what `make` makes.
    pub fn new(make: impl FnOnce(&Env) + Send + 'static) -> Elsewhere {
        Elsewhere::with(make, Command::new("cat"))
    }

    pub fn with(make: impl FnOnce(&Env) + Send + 'static, command: Command) -> Elsewhere {
        let (ready, pid) = channel();
        let (leave, left): (Sender<()>, Receiver<()>) = channel();
        let thread = std::thread::spawn(move || {
            let env = Env::new();
            make(&env);
            let process = Running::start(command);
            ready.send(process.pid).unwrap();
            // Sent, or the test has ended.
            let _ = left.recv();
        });
        let pid = pid.recv_timeout(PATIENCE).unwrap();
        Elsewhere { pid, inode: inode(pid), leave: Some(leave), thread: Some(thread) }
    }

    /// Ends the process.
    pub fn leave(&mut self) {
        drop(self.leave.take());
        self.thread.take().map(JoinHandle::join).unwrap().unwrap();
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        drop(self.leave.take());
    }
}

/// Those of a list that are in a namespace.
pub fn within(objects: &Value, inode: u64) -> Value {
    objects.as_array().unwrap().iter().filter(|object| object["namespace"] == inode).cloned().collect()
}
