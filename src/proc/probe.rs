//! Every parser of this room over the same bytes, for tests with bytes that nobody would write.

use super::blocked;
use super::processes::Clock;
use super::{
    btf, container, io, locks, maps, mounts, namespaces, pass, population, process, status, sysvipc, task, undo,
};
use std::hint::black_box;

/// As if it were each of the files that are read as a whole or by lines.
pub fn files(bytes: &[u8]) {
    let clock = Clock::now();
    black_box(locks::parse(bytes));
    black_box(mounts::parse(bytes, b"tmpfs"));
    black_box(status::parse(bytes));
    black_box(io::parse(bytes));
    black_box(container::of(bytes));
    black_box(process::line(bytes.to_vec(), bytes));
    black_box(clock.read(bytes));
    black_box(population::parse(1, bytes, bytes, clock));
    black_box(task::state(bytes));
    black_box(task::call(bytes));
    black_box(namespaces::inode(bytes));
    for line in bytes.split(|byte| *byte == b'\n') {
        black_box(maps::parse(line));
        black_box(sysvipc::shm(&mut sysvipc::Words::of(line)));
        black_box(sysvipc::msg(&mut sysvipc::Words::of(line)));
        black_box(sysvipc::sem(&mut sysvipc::Words::of(line)));
    }
    blocked::probe(bytes);
}

/// As if it were /proc/PID/fdinfo/FD.
pub fn fdinfo(bytes: &[u8]) {
    black_box(locks::of_fdinfo(bytes).count());
    black_box(pass::eventfd(bytes));
    blocked::probe_fdinfo(bytes);
}

/// As if it were the types of the kernel, /sys/kernel/btf/vmlinux.
pub fn types(bytes: &[u8]) {
    if let Some(types) = btf::Btf::parse(bytes, &["task_struct", "sem_undo"], "bpf_iter_task") {
        black_box((types.function(), types.size("sem_undo"), types.member("task_struct", "sysvsem")));
    }
    black_box(undo::knows(bytes));
}

/// As if it were what the program in the kernel has written.
pub fn records(bytes: &[u8]) {
    black_box(undo::parse(bytes));
}
