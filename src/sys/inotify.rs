//! What comes and goes in a directory, inotify(7).

use super::waiter::{Stop, Waiter};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;

/// One name of the directory, in the order in which things happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A file was made under it, linked to it or moved here.
    Appeared(OsString),
    /// It was removed, or moved away.
    Vanished(OsString),
}

/// A directory that is watched.
pub struct Directory(Inotify);

impl Directory {
    /// EMFILE when the user has as many of these as fs.inotify.max_user_instances says.
    pub fn watch(path: &Path) -> nix::Result<Directory> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let events = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVE;
        inotify.add_watch(path, events | AddWatchFlags::IN_ONLYDIR)?;
        Ok(Directory(inotify))
    }

    /// Waits until something has changed, but no longer than this; whether it has.
    pub fn wait(&self, waiter: &Waiter, span: Duration) -> Result<bool, Stop> {
        let timeout = PollTimeout::try_from(span).unwrap_or(PollTimeout::MAX);
        waiter.run(|| poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], timeout)).map(|ready| ready > 0)
    }

    /// What has changed and was not read yet. When there was more than the kernel keeps, only what it kept; of
    /// directories nothing.
    pub fn read(&self) -> nix::Result<Vec<Change>> {
        let mut changes = Vec::new();
        loop {
            let events = match self.0.read_events() {
                Ok(events) => events,
                Err(Errno::EAGAIN) => return Ok(changes),
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno),
            };
            for event in events.into_iter().filter(|event| !event.mask.contains(AddWatchFlags::IN_ISDIR)) {
                let came = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
                changes.extend(event.name.map(|name| match event.mask.intersects(came) {
                    true => Change::Appeared(name),
                    false => Change::Vanished(name),
                }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_comes_and_goes_is_told_in_its_order() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::watch(place.path()).unwrap();
        assert_eq!(directory.read(), Ok(Vec::new()));
        fs::write(place.path().join("a"), "x").unwrap();
        fs::rename(place.path().join("a"), place.path().join("b")).unwrap();
        fs::create_dir(place.path().join("d")).unwrap();
        fs::remove_file(place.path().join("b")).unwrap();
        let (came, went) = (|name: &str| Change::Appeared(name.into()), |name: &str| Change::Vanished(name.into()));
        assert_eq!(directory.read().unwrap(), [came("a"), went("a"), came("b"), went("b")]);
        assert_eq!(Directory::watch(&place.path().join("none")).err(), Some(Errno::ENOENT));
    }
}
