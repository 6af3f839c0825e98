//! What raises a limit, and how far: one table.

use crate::mech::Limit;

/// The noun of what bounds one process, whatever it uses.
pub const PROCESS: &str = "process";

/// What sets a limit.
pub struct Row {
    /// The name of the limit.
    pub limit: &'static str,
    /// The noun that has it.
    pub noun: &'static str,
    pub raise: Raise,
    /// The highest value that the kernel takes.
    pub most: u64,
}

#[derive(Clone, Copy, Debug)]
pub enum Raise {
    Sysctl(&'static str),
    /// One of the four numbers of kernel.sem, which are set together.
    Sem,
    /// A resource limit: the option of ulimit in bash and that of prlimit(1).
    Ulimit {
        option: char,
        prlimit: &'static str,
    },
    /// An option of the mount of /dev/shm.
    Remount(&'static str),
    Nothing,
}

/// The numbers of kernel.sem, in their order.
const SEM: [&str; 4] = ["SEMMSL", "SEMMNS", "SEMOPM", "SEMMNI"];

/// Most numbers are of the C type int.
const INT: u64 = i32::MAX as u64;
/// System V identifiers have 15 bits for the place in the table (IPCMNI in ipc/util.h).
const IPCMNI: u64 = 1 << 15;
const LONG: u64 = i64::MAX as u64;

const fn row(limit: &'static str, noun: &'static str, raise: Raise, most: u64) -> Row {
    Row { limit, noun, raise, most }
}

static ROWS: &[Row] = &[
    row("SHMMNI", "shm", Raise::Sysctl("kernel.shmmni"), IPCMNI),
    row("SHMALL", "shm", Raise::Sysctl("kernel.shmall"), LONG),
    row("SHMMAX", "shm", Raise::Sysctl("kernel.shmmax"), LONG),
    row("/dev/shm size", "shm", Raise::Remount("size"), LONG),
    row("/dev/shm inodes", "shm", Raise::Remount("nr_inodes"), LONG),
    row("MSGMNI", "msgq", Raise::Sysctl("kernel.msgmni"), IPCMNI),
    row("MSGMAX", "msgq", Raise::Sysctl("kernel.msgmax"), INT),
    row("MSGMNB", "msgq", Raise::Sysctl("kernel.msgmnb"), INT),
    row("queues_max", "msgq", Raise::Sysctl("fs.mqueue.queues_max"), INT),
    // HARD_MSGMAX and HARD_MSGSIZEMAX in include/linux/ipc_namespace.h.
    row("msg_max", "msgq", Raise::Sysctl("fs.mqueue.msg_max"), 65_536),
    row("msgsize_max", "msgq", Raise::Sysctl("fs.mqueue.msgsize_max"), 16 << 20),
    row("RLIMIT_MSGQUEUE", "msgq", Raise::Ulimit { option: 'q', prlimit: "msgqueue" }, LONG),
    row("SEMMNI", "sem", Raise::Sem, IPCMNI),
    row("SEMMNS", "sem", Raise::Sem, INT),
    // An index in struct sembuf has 16 bits.
    row("SEMMSL", "sem", Raise::Sem, 65_536),
    row("SEMOPM", "sem", Raise::Sem, INT),
    row("SEMVMX", "sem", Raise::Nothing, 32_767),
    row("pipe-user-pages-soft", "pipe", Raise::Sysctl("fs.pipe-user-pages-soft"), LONG),
    row("pipe-user-pages-hard", "pipe", Raise::Sysctl("fs.pipe-user-pages-hard"), LONG),
    // Rounded up to a power of two, it must be below 2³² (round_pipe_size in fs/pipe.c).
    row("pipe-max-size", "pipe", Raise::Sysctl("fs.pipe-max-size"), 1 << 31),
    row("max_dgram_qlen", "sock", Raise::Sysctl("net.unix.max_dgram_qlen"), INT),
    row("somaxconn", "sock", Raise::Sysctl("net.core.somaxconn"), INT),
    row("wmem_max", "sock", Raise::Sysctl("net.core.wmem_max"), INT),
    row("rmem_max", "sock", Raise::Sysctl("net.core.rmem_max"), INT),
    row("RLIMIT_SIGPENDING", "signal", Raise::Ulimit { option: 'i', prlimit: "sigpending" }, LONG),
    row("RLIMIT_NOFILE", PROCESS, Raise::Ulimit { option: 'n', prlimit: "nofile" }, 1 << 20),
    row("RLIMIT_MEMLOCK", PROCESS, Raise::Ulimit { option: 'l', prlimit: "memlock" }, LONG),
    row("RLIMIT_FSIZE", PROCESS, Raise::Ulimit { option: 'f', prlimit: "fsize" }, LONG),
];

/// What sets the limit of this name.
pub fn of(limit: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.limit == limit)
}

impl Row {
    /// The command that raises a limit to twice its value, or to what is `enough` if that is more. `None` if it
    /// has no value, or can have no such one. `asked` is what was asked for, and `all` has the other numbers that are set with it.
    pub fn command(&self, limit: &Limit, enough: Option<u64>, asked: Option<u64>, all: &[Limit]) -> Option<String> {
        let now = *limit.limit.known()?;
        let enough = enough.unwrap_or(0);
        let wanted = now.saturating_mul(2).max(enough).min(self.most);
        if wanted <= now || wanted < enough {
            return None;
        }
        match self.raise {
            Raise::Sysctl(name) => Some(format!("sysctl -w {name}={wanted}")),
            Raise::Sem => {
                let number = |name: &str| {
                    if name == self.limit {
                        return Some(wanted);
                    }
                    let now = *all.iter().find(|other| other.name == name)?.limit.known()?;
                    // A set of so many has to be possible, too.
                    Some(if (name, self.limit) == ("SEMMSL", "SEMMNS") { now.max(asked.unwrap_or(0)) } else { now })
                };
                let numbers = SEM.iter().map(|name| number(name).map(|number| number.to_string()));
                Some(format!("sysctl -w kernel.sem=\"{}\"", numbers.collect::<Option<Vec<String>>>()?.join(" ")))
            }
            // The descriptors of a process cannot be without a limit (fs.nr_open).
            Raise::Ulimit { option: 'n', .. } => Some(format!("ulimit -n {wanted}")),
            Raise::Ulimit { option, .. } => Some(format!("ulimit -{option} unlimited")),
            Raise::Remount(option) => Some(format!("mount -o remount,{option}={wanted} /dev/shm")),
            Raise::Nothing => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mech;

    #[test]
    fn every_limit_has_a_row_that_agrees_with_its_setting() {
        for limit in mech::limits(|noun| noun != "pipe").iter().chain(&super::super::of_processes()) {
            let row = of(limit.name).unwrap_or_else(|| panic!("no row for {}", limit.name));
            assert_eq!(row.noun, limit.noun, "{}", limit.name);
            let setting = match row.raise {
                Raise::Sysctl(name) => name.to_owned(),
                Raise::Sem => "kernel.sem".to_owned(),
                Raise::Ulimit { option, .. } => format!("ulimit -{option}"),
                Raise::Remount(option) => format!("mount option {option}="),
                Raise::Nothing => "fixed in the kernel".to_owned(),
            };
            assert!(limit.setting.starts_with(&setting), "{}: {setting}", limit.name);
        }
    }

    #[test]
    fn no_limit_has_two_rows() {
        for (at, row) in ROWS.iter().enumerate() {
            assert!(!ROWS[..at].iter().any(|other| other.limit == row.limit), "{}", row.limit);
        }
    }
}
