//! futex(2): the word in shared memory, and what it belongs to.

use super::Look;
use super::layout::{Around, Layout, Wait, classify};
use super::memory::{Memory, PAGE};
use crate::model::{Awaits, Futex, Owner, Resource, Timeout};
use crate::proc::task::Blocked as Call;

/// How a call waits; `None` if it is of an operation that does not.
fn wait(call: &Call) -> Option<Wait> {
    let operation = call.int(1);
    let command = operation & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME);
    let waits = [
        libc::FUTEX_WAIT,
        libc::FUTEX_WAIT_BITSET,
        libc::FUTEX_LOCK_PI,
        libc::FUTEX_LOCK_PI2,
        libc::FUTEX_WAIT_REQUEUE_PI,
    ];
    waits.contains(&command).then_some(Wait {
        command,
        shared: operation & libc::FUTEX_PRIVATE_FLAG == 0,
        realtime: operation & libc::FUTEX_CLOCK_REALTIME != 0,
        forever: call.args[3] == 0,
        expected: call.int(2).cast_unsigned(),
    })
}

pub(super) fn awaits(look: &Look, call: &Call) -> Option<Awaits> {
    let (wait, address) = (wait(call)?, call.args[0]);
    let shared = || look.target.shared(&look.walk.identities);
    let word = if wait.shared { shared()?.word(address) } else { None };
    Some(Awaits::Futex { word, what: what(look, wait, address, word) })
}

fn what(look: &Look, wait: Wait, address: u64, word: Option<Resource>) -> Futex {
    let Some(memory) = look.target.memory() else { return Futex::Unknown };
    let mut room = [0; Around::SIZE];
    let Some(around) = around(memory, address, &mut room) else { return Futex::Unknown };
    let owner = |tid: i32| Some(Owner { checked: wait.is_pi(), ..look.owner(tid, word)? });
    // Of memory that others do not see the owner is a thread of the same process; another number is
    // a sign that this is something else, unless the kernel itself reads it.
    let fits = |owner: Option<i32>| word.is_some() || wait.is_pi() || owner.is_none_or(|tid| look.has_thread(tid));
    match classify(wait, around) {
        Some(Layout::Mutex { owner: tid, robust }) if fits(tid) => Futex::Mutex { owner: tid.and_then(owner), robust },
        Some(Layout::Rwlock { writer }) if fits(writer) => Futex::Rwlock { writer: writer.and_then(owner) },
        Some(Layout::Semaphore { value, waiters }) => Futex::Semaphore { value, waiters },
        Some(Layout::Condition) => Futex::Condition,
        Some(Layout::Barrier) => Futex::Barrier,
        _ => Futex::Unknown,
    }
}

/// The bytes around a word, from the start of its page on if there is nothing before that.
fn around<'a>(memory: &Memory, address: u64, room: &'a mut [u8]) -> Option<Around<'a>> {
    let starts = [address.saturating_sub(Around::BEFORE), address - address % PAGE];
    let enough = |start: &u64| memory.some(*start, room).len() as u64 >= address - start + 4;
    let start = starts.into_iter().find(enough)?;
    Some(Around { at: usize::try_from(address - start).ok()?, bytes: memory.some(start, room) })
}

/// FUTEX_WAIT counts from the start of the call, all others name a moment.
pub(super) fn timeout(look: &Look, call: &Call) -> Option<Timeout> {
    let wait = wait(call)?;
    let time = look.target.memory()?.timespec(call.args[3])?;
    Some(match wait.command {
        libc::FUTEX_WAIT => Timeout::After(time),
        libc::FUTEX_LOCK_PI => Timeout::At(time),
        _ if wait.realtime => Timeout::At(time),
        _ => Timeout::AtMonotonic(time),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operations_that_wait_are_told_from_others() {
        let of = |operation| wait(&Call { nr: libc::SYS_futex, args: [0, operation, 0xffff_ffff_8000_0010, 0, 0, 0] });
        let plain = Wait {
            command: libc::FUTEX_WAIT,
            shared: true,
            realtime: false,
            forever: true,
            // An int: what stands above it in the register is rubbish.
            expected: 0x8000_0010,
        };
        assert_eq!(of(0), Some(plain));
        assert_eq!(of(0x80), Some(Wait { shared: false, ..plain }));
        let bitset = Wait { command: libc::FUTEX_WAIT_BITSET, realtime: true, ..plain };
        assert_eq!(of(0x109), Some(bitset));
        assert!(of(6).is_some_and(Wait::is_pi) && of(0x8d).is_some_and(Wait::is_pi));
        for other in [1, 3, 5, 0x81, 0x200] {
            assert_eq!(of(other), None, "{other:x}");
        }
    }
}
