//! Objects with what is to be thought of them, and the removal of those that are condemned.

use super::namespaces::{self, View, Which};
use super::{Holders, Select, collect, find_with, name, natural, scan};
use crate::error::Result;
use crate::inspect::{Scene, evidence};
use crate::mech::{self, Found, Root};
use crate::model::{Condemned, Gap, Ident, Kind, Known, Naming, Needs, Object, ObjectRef, Reason, Seen, Text, Verdict};
use crate::sys::users::Names;
use crate::sys::walk::Walk;
use nix::errno::Errno;
use nix::sys::stat::SFlag;
use std::convert::Infallible;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many levels below a directory FIFOs and sockets are looked for.
const DEPTH: usize = 3;

/// An object that was judged.
pub struct Judged {
    pub object: Object,
    pub verdict: Verdict,
    /// When it was last used or changed, seconds since the epoch, as far as it records that.
    pub last_use: Option<i64>,
    /// Whose it looks like.
    pub known: Option<Known>,
}

/// Which objects to judge, and how.
pub struct Wanted<'a> {
    pub kinds: &'a [Kind],
    pub select: Select,
    /// In which IPC namespaces; `None` for our own alone.
    pub which: Option<Which>,
    /// Where to look for FIFOs and sockets, of which there is no list.
    pub places: &'a [PathBuf],
    /// How long an orphan must have rested.
    pub patience: Duration,
}

/// Where programs put FIFOs and sockets: hier(7), and the user's own directory for them.
pub fn usual_places() -> Vec<PathBuf> {
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    // The user's own is mostly another file system below /run.
    ["/tmp", "/run"].into_iter().map(PathBuf::from).chain(own).collect()
}

/// Judges all objects of some kinds. FIFOs and sockets are those that we see, whatever the namespace; they are no
/// part of one that alone was asked for.
pub fn judge(
    wanted: &Wanted<'_>,
    keep: impl Fn(&Object, Option<i64>) -> bool + Sync,
) -> Result<(Vec<Judged>, Vec<Gap>)> {
    let holders = Holders::new(Needs::VERDICT);
    let scene = Scene::new(&holders);
    let (mut judged, mut gaps) = (Vec::new(), Vec::new());
    let mut see = |object: Object, scene: &Scene<'_>| {
        let last_use = evidence::last_use(&object);
        if keep(&object, last_use) {
            judged.push(weigh(object, last_use, scene, wanted.patience));
        }
    };
    let (lasting, files): (Vec<Kind>, Vec<Kind>) = wanted.kinds.iter().partition(|kind| Kind::LASTING.contains(kind));
    match wanted.which {
        None => {
            let Ok(()) = scan::<Infallible>(&lasting, Needs::NAMES, wanted.select, None, |_, found| {
                gaps.extend(found.gaps);
                found.objects.into_iter().for_each(|object| see(object, &scene));
                Ok(())
            });
        }
        Some(which) => {
            let mut names = Names::default();
            let unseen = namespaces::each(which, |view| {
                // From there processes look the same, but not objects and pids.
                let there = match view.root {
                    Root::Ours => None,
                    Root::Process(_) | Root::Nowhere => Some(scene.from(&view.root, &view.namespace.pids)),
                };
                let found = within(view, &lasting, wanted.select, &holders, &mut names);
                gaps.extend(found.gaps);
                found.objects.into_iter().for_each(|object| see(object, there.as_ref().unwrap_or(&scene)));
            })?;
            gaps.splice(0..0, unseen);
        }
    }
    if !files.is_empty() && matches!(wanted.which, None | Some(Which::All)) {
        gaps.extend(each_file(&files, wanted, &holders, &mut |object| see(object, &scene)));
    }
    gaps.extend(scene.gaps());
    Ok((judged, gaps))
}

/// The objects that are seen from one place.
fn within(view: &View<'_>, kinds: &[Kind], select: Select, holders: &Holders, names: &mut Names) -> Found {
    let namespace = Seen::Is(view.namespace.inode);
    let mut all = Found::default();
    let Ok(()) = collect::<Infallible>(
        &view.root,
        kinds,
        |mech| view.covers(mech),
        Needs::NAMES,
        holders,
        |_, found| {
            let mut objects = found.objects;
            objects.retain(|object| select.keeps(object));
            for object in &mut objects {
                name(object, names);
                namespaces::mark(object, &namespace, || view.container());
            }
            objects.sort_by(|a, b| natural(a).cmp(&natural(b)));
            all.objects.append(&mut objects);
            all.gaps.extend(found.gaps.into_iter().map(|gap| view.gap(gap)));
            Ok(())
        },
    );
    all
}

fn weigh(object: Object, last_use: Option<i64>, scene: &Scene<'_>, patience: Duration) -> Judged {
    let verdict = evidence::verdict_after(&object, scene, patience);
    Judged { verdict, last_use, known: evidence::known(&object, scene), object }
}

/// Judges one object again, as it is now.
pub fn judge_again(reference: &ObjectRef, patience: Duration, scene: &Scene<'_>) -> Result<Judged> {
    let object = find_with(reference, Needs::NAMES, scene.holders())?;
    let last_use = evidence::last_use(&object);
    Ok(weigh(object, last_use, scene, patience))
}

/// Removes an object that was condemned, if it still is that one and was not used since (EBUSY); what was lost with
/// it.
pub fn remove(condemned: &Condemned) -> Result<Option<String>> {
    let object = condemned.object();
    mech::of(&object.reference).remove_unused(object)
}

/// The same of one that was saved since, if it is as it was then: who reads a segment has just used it.
pub fn remove_saved(condemned: &Condemned, saved: &Object) -> Result<Option<String>> {
    let object = condemned.object();
    let same = saved.reference == object.reference && saved.fingerprint == object.fingerprint;
    if !same {
        return remove(condemned);
    }
    mech::of(&saved.reference).remove(saved)
}

/// Every FIFO and socket in some directories.
fn each_file(kinds: &[Kind], wanted: &Wanted<'_>, holders: &Holders, see: &mut impl FnMut(Object)) -> Vec<Gap> {
    let mut walk = Walk::default();
    let is_one = |kind| kind == SFlag::S_IFIFO || kind == SFlag::S_IFSOCK;
    wanted.places.iter().for_each(|place| walk.through(&straight(place), DEPTH, is_one));
    let mut gaps: Vec<Gap> = directories(&walk.unread, "open", "it could not be searched").into_iter().collect();
    let open: Vec<(PathBuf, Errno)> = walk.open_to_all.iter().map(|path| (path.clone(), Errno::EPERM)).collect();
    let unsafe_for_root = "it was not searched: everybody may write to it and remove what others have there";
    gaps.extend(directories(&open, "open", unsafe_for_root));
    walk.files.sort();
    walk.files.dedup();
    for (path, is) in walk.files {
        let naming = if is == SFlag::S_IFIFO { Naming::Path } else { Naming::Socket };
        let Some(kind) = kinds.iter().copied().find(|kind| kind.naming() == naming) else { continue };
        let reference = ObjectRef { kind, id: Ident::Path(Text::from(path.as_os_str().as_bytes())) };
        match find_with(&reference, Needs::NAMES, holders) {
            Ok(object) if wanted.select.keeps(&object) => see(object),
            Ok(_) => {}
            // One that vanished in between is none.
            Err(error) if error.status == crate::exit::Status::NoSuch => {}
            Err(error) => gaps.push(Gap {
                subject: reference.to_string(),
                field: None,
                reason: Reason { call: error.call, errno: error.errno as i32 },
                note: Some(error.cause),
            }),
        }
    }
    gaps
}

/// A path of a place that leads through no symbolic link: those that were named are followed once and for all, and
/// none afterwards.
fn straight(place: &Path) -> PathBuf {
    let links = place.ancestors().any(|part| part.is_symlink());
    if links { place.canonicalize().unwrap_or_else(|_| place.to_owned()) } else { place.to_owned() }
}

/// Directories that were not searched, as one: in /tmp every user has some of his own.
fn directories(all: &[(PathBuf, Errno)], call: &'static str, note: &str) -> Option<Gap> {
    let (first, errno) = all.first()?;
    let first = Text::from(first.as_os_str().as_bytes()).escaped().to_string();
    let (subject, note) = match all.len() {
        1 => (first, note.to_owned()),
        n => (format!("{n} directories, such as {first}"), note.replacen("it ", "they ", 1).replace("was ", "were ")),
    };
    Some(Gap { subject, field: None, reason: Reason { call, errno: *errno as i32 }, note: Some(note) })
}
