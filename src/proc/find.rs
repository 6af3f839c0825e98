//! Processes by name, as pkill(1) finds them.

use super::status;
use crate::model::Text;
use std::fs;

/// The kernel keeps this many bytes of a name (TASK_COMM_LEN without its NUL).
const COMM: usize = 15;

/// Ourselves and all our ancestors, as far as they can be seen.
pub fn ancestry() -> Vec<i32> {
    let mut all = vec![nix::unistd::getpid().as_raw()];
    let mut next = Some(nix::unistd::getppid().as_raw());
    // A parent that ends meanwhile could lead in a circle.
    while let Some(pid) = next.filter(|pid| *pid > 0 && !all.contains(pid)) {
        all.push(pid);
        next = status::read(pid).ok().and_then(|status| status.parent);
    }
    all
}

/// The short name of a process, which it may choose.
pub fn comm(pid: i32) -> Option<Text> {
    let mut bytes = fs::read(format!("/proc/{pid}/comm")).ok()?;
    bytes.pop_if(|last| *last == b'\n');
    Some(Text::from(bytes))
}

/// The short name; where the kernel has cut it, the last part of the first argument if it goes on
/// in the same way.
pub fn name(pid: i32) -> Option<Text> {
    let comm = comm(pid)?;
    if comm.raw().len() < COMM {
        return Some(comm);
    }
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    Some(whole(&comm, &line))
}

fn whole(comm: &Text, line: &[u8]) -> Text {
    let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
    let last = program.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    if last.starts_with(comm.raw()) { Text::from(last) } else { comm.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_cut_is_completed_from_the_first_argument_alone() {
        let cut = Text::from("a-very-long-nam");
        assert_eq!(whole(&cut, b"/opt/a-very-long-name\0x\0"), Text::from("a-very-long-name"));
        assert_eq!(whole(&cut, b"/bin/sh\0/opt/a-very-long-name\0"), cut);
        assert_eq!(whole(&cut, b""), cut);
    }

    #[test]
    fn we_and_our_parent_are_found() {
        let (me, parent) = (nix::unistd::getpid().as_raw(), nix::unistd::getppid().as_raw());
        assert_eq!(ancestry()[..2], [me, parent]);
        assert!(name(me).is_some() && name(i32::MAX).is_none());
    }
}
