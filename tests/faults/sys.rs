//! System calls of the harness itself.
#![allow(unsafe_code)]

/// Removes all System V objects of our namespace.
pub fn wipe() {
    for table in ["shm", "msg", "sem"] {
        let rows = std::fs::read_to_string(format!("/proc/sysvipc/{table}")).unwrap();
        for id in rows.lines().skip(1).map(|row| row.split_whitespace().nth(1).unwrap().parse().unwrap()) {
            // SAFETY: IPC_RMID takes an identifier and needs no more.
            unsafe {
                match table {
                    "shm" => libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()),
                    "msg" => libc::msgctl(id, libc::IPC_RMID, std::ptr::null_mut()),
                    _ => libc::semctl(id, 0, libc::IPC_RMID),
                };
            }
        }
    }
}
