//! Scans that are compared, one after the other, and the directory of POSIX objects between them.

use super::diff::{self, Event, Snapshot, What};
use super::{Select, columns, scan};
use crate::mech::devshm;
use crate::model::{Gap, Kind, Needs};
use crate::sys::inotify::{Change, Directory};
use crate::sys::waiter::{Stop, Waiter};
use std::collections::HashSet;
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

/// How long to wait for more once a file came or went: an object takes several calls to make, and a semaphore
/// of the C library is made under another name and then linked.
const SETTLE: Duration = Duration::from_millis(5);
/// How often to wait for a semaphore that is not linked yet: it may be one that is called so.
const PATIENCE: usize = 10;

/// The objects of some kinds, as they were at the last look.
pub struct Watcher {
    kinds: Vec<Kind>,
    needs: Needs,
    select: Select,
    shelves: Vec<Shelf>,
    files: Option<Directory>,
    /// What has changed there since the last look.
    changes: Vec<Change>,
    /// Files that were gone when they were looked at, and whose end was not read yet.
    fleeting: Vec<OsString>,
}

/// The objects of one kind.
struct Shelf {
    objects: Snapshot,
    /// What could not be seen from the beginning: the call and its errno.
    blind: HashSet<(&'static str, i32)>,
    /// Whether it has been said that more could not be seen.
    said: bool,
}

fn reasons(gaps: &[Gap]) -> HashSet<(&'static str, i32)> {
    gaps.iter().map(|gap| (gap.reason.call, gap.reason.errno)).collect()
}

impl Watcher {
    /// Takes the first look; with it what it could not see.
    pub fn new(kinds: Vec<Kind>, select: Select) -> (Watcher, Vec<Gap>) {
        let compared = |kind: &Kind| diff::keys().filter_map(|key| columns::named(&[*kind], key)).collect::<Vec<_>>();
        let needs = kinds.iter().fold(Needs::NAMES, |needs, kind| needs.and(columns::needs(&compared(kind))));
        let in_files = kinds.iter().any(|kind| devshm::KINDS.contains(kind));
        // Where the directory cannot be watched, or is none, the looks alone tell.
        let files = in_files.then(|| Directory::watch(Path::new(devshm::DIRECTORY)).ok()).flatten();
        let mut watcher =
            Watcher { kinds, needs, select, shelves: Vec::new(), files, changes: Vec::new(), fleeting: Vec::new() };
        let mut all = Vec::new();
        let mut shelves = Vec::new();
        watcher.scan(|_, objects, gaps| {
            shelves.push(Shelf { objects, blind: reasons(&gaps), said: false });
            all.extend(gaps);
        });
        watcher.shelves = shelves;
        (watcher, all)
    }

    fn scan(&self, mut see: impl FnMut(usize, Snapshot, Vec<Gap>)) {
        let mut at = 0;
        let Ok(()) = scan::<Infallible>(&self.kinds, self.needs, self.select, None, |_, found| {
            let objects = found.objects.into_iter().map(|object| (object.reference.clone(), object)).collect();
            see(at, objects, found.gaps);
            at += 1;
            Ok(())
        });
    }

    /// Waits until it is time for the next look: after this time, or as soon as a POSIX object came or went.
    pub fn wait(&mut self, waiter: &Waiter, span: Duration) -> Result<(), Stop> {
        let pause = |span| waiter.pause(span).map_or(Ok(()), Err);
        let Some(files) = &self.files else { return pause(span) };
        if !files.wait(waiter, span)? {
            return Ok(());
        }
        for _ in 0..PATIENCE {
            pause(SETTLE)?;
            self.changes.extend(files.read().map_err(Stop::Errno)?);
            if !is_unfinished(&self.changes) {
                break;
            }
        }
        Ok(())
    }

    /// What has happened since the last look, and what could be seen then and no longer can.
    pub fn look(&mut self) -> (Vec<Event>, Vec<Gap>) {
        let mut changes = std::mem::take(&mut self.changes);
        changes.extend(self.files.iter().filter_map(|files| files.read().ok()).flatten());
        let known: HashSet<&OsStr> = changes.iter().map(name).filter(|name| self.knows(name)).collect();
        let mut shelves = std::mem::take(&mut self.shelves);
        let (mut events, mut lost) = (Vec::new(), Vec::new());
        self.scan(|at, objects, gaps| {
            let shelf = &mut shelves[at];
            // What cannot be seen any more is not gone.
            if reasons(&gaps).is_subset(&shelf.blind) {
                events.extend(diff::diff(&shelf.objects, &objects));
                (shelf.objects, shelf.said) = (objects, false);
            } else if !std::mem::replace(&mut shelf.said, true) {
                lost.extend(gaps);
            }
        });
        self.shelves = shelves;
        // Whose they were is not known.
        let mut all = if self.select.owner.is_none() { self.fleeting(&changes, &known) } else { Vec::new() };
        all.append(&mut events);
        (all, lost)
    }

    /// Whether an object of this file was there at the last look.
    fn knows(&self, file: &OsStr) -> bool {
        let references = devshm::references(file.as_bytes());
        self.shelves.iter().any(|shelf| references.iter().any(|known| shelf.objects.contains_key(known)))
    }

    /// Objects that came and went between two looks. Those that were there at one of them are told by it.
    fn fleeting(&mut self, changes: &[Change], known: &HashSet<&OsStr>) -> Vec<Event> {
        let mut events = Vec::new();
        for (at, change) in changes.iter().enumerate() {
            let name = name(change);
            let [reference, _] = devshm::references(name.as_bytes());
            if !self.kinds.contains(&reference.kind) {
                continue;
            }
            let pending = self.fleeting.iter().position(|known| known == name);
            match (change, pending) {
                (Change::Vanished(_), Some(pending)) => {
                    self.fleeting.swap_remove(pending);
                    events.push(diff::unseen(What::Removed, reference));
                }
                (Change::Appeared(_), None)
                    if !known.contains(name) && !self.knows(name) && !is_draft(&changes[at..]) && is_gone(name) =>
                {
                    self.fleeting.push(name.to_owned());
                    events.push(diff::unseen(What::Created, reference));
                }
                _ => {}
            }
        }
        events
    }
}

/// A file that is there, and was not found to be an object, is none.
fn is_gone(name: &OsStr) -> bool {
    !devshm::exists(name.as_bytes())
}

fn name(change: &Change) -> &OsStr {
    match change {
        Change::Appeared(name) | Change::Vanished(name) => name,
    }
}

/// Whether a C library may make a semaphore under this name before it links it to its own: `sem.` and six letters or
/// digits (glibc, sem_open.c), `tmp-` and a number (musl, sem_open.c).
fn may_be_draft(name: &OsStr) -> bool {
    let numbered = |prefix: &[u8], fits: fn(&[u8]) -> bool| name.as_bytes().strip_prefix(prefix).is_some_and(fits);
    numbered(b"sem.", |end| end.len() == 6 && end.iter().all(u8::is_ascii_alphanumeric))
        || numbered(b"tmp-", |end| !end.is_empty() && end.iter().all(u8::is_ascii_digit))
}

/// Where a file that came with the first of these changes went again, among the others.
fn end(changes: &[Change]) -> Option<usize> {
    let first = name(changes.first()?);
    changes.iter().position(|change| *change == Change::Vanished(first.to_owned()))
}

/// Whether the first of these changes is such a name, which was linked to another and removed.
fn is_draft(changes: &[Change]) -> bool {
    let linked = |end: usize| changes[1..end].iter().any(|change| matches!(change, Change::Appeared(_)));
    changes.first().is_some_and(|first| may_be_draft(name(first))) && end(changes).is_some_and(linked)
}

/// Whether one of them came with these changes and did not go.
fn is_unfinished(changes: &[Change]) -> bool {
    (0..changes.len()).any(|at| {
        let came = matches!(&changes[at], Change::Appeared(name) if may_be_draft(name));
        came && end(&changes[at..]).is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_a_semaphore_is_a_draft() {
        let came = |name: &str| Change::Appeared(name.into());
        let went = |name: &str| Change::Vanished(name.into());
        assert!(is_draft(&[came("sem.aB3xY9"), came("sem.lock"), went("sem.aB3xY9")]));
        assert!(is_draft(&[came("tmp-123"), came("lock"), went("tmp-123")]));
        // One that was linked to nothing is what it is.
        assert!(!is_draft(&[came("sem.aB3xY9"), went("sem.aB3xY9"), came("sem.lock")]));
        assert!(!is_draft(&[came("sem.aB3xY9"), came("sem.lock")]));
        assert!(!is_draft(&[came("frames"), came("sem.lock"), went("frames")]));
        assert!(!is_draft(&[came("sem.aB3xY"), came("sem.lock"), went("sem.aB3xY")]));
        assert!(!is_draft(&[]));
        assert!(is_unfinished(&[went("sem.aB3xY9"), came("sem.aB3xY9"), came("sem.lock")]));
        assert!(!is_unfinished(&[came("sem.aB3xY9"), came("sem.lock"), went("sem.aB3xY9")]));
        assert!(!is_unfinished(&[came("frames")]));
    }

    #[test]
    fn a_file_has_the_name_of_its_object() {
        let shown = |file: &[u8]| devshm::references(file).map(|reference| reference.to_string());
        assert_eq!(shown(b"sem.lock"), ["sem//lock", "shm//sem.lock"]);
        assert_eq!(shown(b"frames"), ["shm//frames", "sem//frames"]);
        assert_eq!(shown(b"sem."), ["shm//sem.", "sem//sem."]);
    }
}
