//! Who would come to the other side of a FIFO: nobody has it open, so only names tell.

use super::super::facts::Facts;
use super::{Nature, Need, Waker};
use crate::model::{Awaits, Blocked, Grade, Resource, Text};
use crate::proc::task;

pub(super) fn fifo(facts: &Facts<'_>, blocked: &Blocked, file: Resource, path: &Text, write: bool) -> Need {
    let scene = facts.scene();
    let side = if write { "reader" } else { "writer" };
    let mut need = Need::new(format!("a {side} of {}", facts.name(blocked, file)), Nature::Held);
    need.others = Some("anybody who may open it can come");
    for other in scene.blocked() {
        let Awaits::Open { file: elsewhere, .. } = other.awaits else { continue };
        if elsewhere == file || other.task.pid == blocked.task.pid {
            continue;
        }
        for pid in line_of_waiters(facts, other.task.pid) {
            if pid != blocked.task.pid && names(facts.line(pid).raw(), path.raw(), || task::directory(pid)) {
                add(facts, &mut need, pid, "its command line names it");
            }
        }
    }
    if need.by.is_empty() {
        let beside: Vec<&Blocked> =
            scene.blocked().iter().filter(|other| beside(facts, blocked, file, path, write, other)).collect();
        // Of several that could be it none is.
        if let [one] = beside[..] {
            add(facts, &mut need, one.task.pid, "it opens the other side of a FIFO in the same directory");
        }
    }
    need.closed = !need.by.is_empty();
    if need.by.is_empty() {
        need.odd.push(format!("no process is seen that would be its {side}"));
    }
    need
}

fn add(facts: &Facts<'_>, need: &mut Need, pid: i32, because: &str) {
    if need.by.iter().any(|known| known.pid == pid) {
        return;
    }
    if let Some((command, _)) = facts.who(pid) {
        let does = "would open";
        need.by.push(Waker { pid, tid: None, command, grade: Grade::Weak, does, because: because.to_owned() });
    }
}

/// A process, and its parents as far as each waits for the end of the one before and of nobody else: a shell
/// and what it runs.
fn line_of_waiters(facts: &Facts<'_>, pid: i32) -> Vec<i32> {
    let mut line = vec![pid];
    let mut last = pid;
    while let Some(parent) = facts.parent(last) {
        let waits = |blocked: &Blocked| match blocked.awaits {
            Awaits::Child { pid, .. } => pid == last || pid <= 0 && task::children(parent) == [last],
            _ => false,
        };
        if line.contains(&parent) || !facts.blocked_of(parent).iter().any(waits) {
            break;
        }
        line.push(parent);
        last = parent;
    }
    line
}

/// Whether a thread is the only other one that waits in a directory, for the other side.
fn beside(facts: &Facts<'_>, blocked: &Blocked, file: Resource, path: &Text, write: bool, other: &Blocked) -> bool {
    let Awaits::Open { file: elsewhere, path: their, write: writes } = &other.awaits else { return false };
    let scene = facts.scene();
    let alone = |file: Resource| scene.holds_of(file).is_empty() && scene.waiters_of(file).count() == 1;
    other.task.pid != blocked.task.pid
        && *elsewhere != file
        && *writes != write
        && path.raw().first() == Some(&b'/')
        && directory(path.raw()) == directory(their.raw())
        && alone(file)
        && alone(*elsewhere)
}

fn directory(path: &[u8]) -> &[u8] {
    &path[..path.iter().rposition(|byte| *byte == b'/').unwrap_or(0)]
}

/// Whether a command line names a file, as a word of its own: by its path, also from the directory of the
/// process, or behind a variable of a shell by its last part.
fn names(line: &[u8], path: &[u8], directory: impl Fn() -> Option<Text>) -> bool {
    let last = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let part = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-/".contains(&byte);
    let is_it = |at: usize| {
        let end = at + last.len();
        let start = line[..at].iter().rposition(|byte| !part(*byte)).map_or(0, |before| before + 1);
        let word = &line[start..end];
        let before = start.checked_sub(1).and_then(|at| line.get(at));
        if line.get(end).is_some_and(|byte| part(*byte)) || (at > start && line[at - 1] != b'/') {
            return false;
        }
        if matches!(before, Some(b'$' | b'}')) {
            return at > start;
        }
        if word.starts_with(b"/") {
            return word == path;
        }
        let word = word.strip_prefix(b"./").unwrap_or(word);
        directory().is_some_and(|directory| [directory.raw(), b"/", word].concat() == path)
    };
    !last.is_empty() && memchr::memmem::find_iter(line, last).any(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_by_a_word_that_leads_to_it() {
        let named = |line: &str| names(line.as_bytes(), b"/tmp/d/f1", || Some(Text::from("/tmp/d")));
        for line in
            ["sh -c exec 3<f1 4>f2", "cat /tmp/d/f1", "f1", "tee ./f1;x", "a f11 f1", "cat $D/f1", "cat ${D}/f1"]
        {
            assert!(named(line), "{line}");
        }
        for line in ["cat f11", "cat xf1", "cat f1.log", "cat", "", "cat /tmp/e/f1", "cat e/f1", "cat f1/x", "cat $f1"]
        {
            assert!(!named(line), "{line}");
        }
        assert!(!names(b"cat /", b"/", || None));
        // In another directory it is another file.
        assert!(!names(b"cat f1", b"/tmp/d/f1", || Some(Text::from("/tmp/e"))));
        assert!(names(b"cat d/f1", b"/tmp/d/f1", || Some(Text::from("/tmp"))));
    }

    #[test]
    fn the_directory_is_what_stands_before_the_last_slash() {
        assert_eq!((directory(b"/a/b"), directory(b"/b"), directory(b"b")), (&b"/a"[..], &b""[..], &b""[..]));
    }
}
