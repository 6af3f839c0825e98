//! The help of `ls`, `show` and `rm` under the nouns to which the general one does not apply.

use crate::model::Kind;

/// What stands behind the options.
pub struct Texts {
    noun: Kind,
    pub ls: &'static str,
    pub show: &'static str,
    pub rm: &'static str,
}

/// The texts of a noun, if it has its own.
pub fn of(noun: Kind) -> Option<&'static Texts> {
    TEXTS.iter().find(|texts| texts.noun == noun)
}

static TEXTS: &[Texts] = &[
    Texts {
        noun: Kind::Fifo,
        ls: "\
Examples:
  ipcx fifo ls                      those that processes have open or wait to open
  ipcx fifo ls --json | jq '.objects[] | select(.opening > 0)'
  ipcx fifo ls -o help              the columns there are

There is no list of all FIFOs: find them with `find DIR -type p`. `ipcx ls --help` tells more.",
        show: "\
Examples:
  ipcx fifo show ./jobs             readers, writers, who is stuck in open, bytes, capacity
  ipcx fifo show --json ./jobs | jq '.objects[0].processes'

It is not opened, so nobody is disturbed. A pipe is full when its slots are (used_slots),
which may be long before its bytes are.",
        rm: "\
Examples:
  ipcx fifo rm ./jobs
  ipcx fifo rm --force ./jobs       even if a process has it open or waits to open it

Who has it open keeps it; nobody else can open it any more.",
    },
    Texts {
        noun: Kind::Sock,
        ls: "\
Examples:
  ipcx sock ls                      unix sockets with the processes at both ends
  ipcx sock ls --json | jq '.objects[] | select(.state == \"listening\") | .ref'
  ipcx sock ls -o help              the columns there are

A socket without a name of its own goes by its number. `ipcx ls --help` tells more.",
        show: "\
Examples:
  ipcx sock show /run/svc.sock @svc
  ipcx sock show 473827             a connection, by the number that `ipcx sock ls` shows

The state `dead` is a file that no socket is bound to any more, `foreign` one that a
socket of another network namespace is bound to.",
        rm: "\
Examples:
  ipcx sock rm ./old.sock
  ipcx sock rm --force ./svc.sock   even if a socket is bound to it

Only the file is removed: connections go on, and nobody can make a new one.",
    },
];
