//! What is there: scans of the mechanisms, with owners named, selected, sorted.

pub mod columns;
pub mod diff;
pub mod judged;
pub mod members;
pub mod namespaces;
pub mod saved;
pub mod scoped;
pub mod watcher;

use crate::error::{Error, Result};
use crate::inspect::{self, Scene};
use crate::mech::{self, Found, Mechanism, Root};
use crate::model::{Field, Gap, Kind, Needs, Object, ObjectRef, Seen, Value};
pub use crate::proc::holders::Holders;
use crate::sys::users::Names;
use nix::errno::Errno;
use std::cmp::Ordering;
use std::thread::{Scope, ScopedJoinHandle};

/// Which objects to keep.
#[derive(Clone, Copy, Default, Debug)]
pub struct Select {
    /// Those of this user alone.
    pub owner: Option<u32>,
}

impl Select {
    fn keeps(self, object: &Object) -> bool {
        self.owner.is_none_or(|owner| object.uid.known() == Some(&owner))
    }
}

/// How to order them.
#[derive(Clone, Copy)]
pub struct Order {
    pub by: &'static Field,
    pub reverse: bool,
}

/// Objects of some kinds, each kind by itself: `see` is called once for each, so that no more than
/// the largest kind is held at once.
pub fn scan<E>(
    kinds: &[Kind],
    needs: Needs,
    select: Select,
    order: Option<Order>,
    mut see: impl FnMut(Kind, Found) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let mut names = Names::default();
    let needs = order.map_or(needs, |order| needs.and(order.by.needs));
    // All kinds share one look at the processes.
    let holders = Holders::new(needs);
    let scene = Scene::new(&holders);
    let mut said: Vec<String> = Vec::new();
    let namespace = needs.has(Needs::NAMESPACE).then(namespaces::ours);
    collect(
        &Root::Ours,
        kinds,
        |_| true,
        needs,
        &holders,
        |kind, mut found| {
            found.objects.retain(|object| select.keeps(object));
            users(&mut found, needs, &scene, &mut said);
            if needs.has(Needs::NAMES) {
                found.objects.iter_mut().for_each(|object| name(object, &mut names));
            }
            if let Some(namespace) = &namespace {
                found.objects.iter_mut().for_each(|object| namespaces::mark(object, namespace, || None));
            }
            match order {
                Some(order) => sort(&mut found.objects, order),
                // Files come in whatever order their directory has; System V in that of the kernel.
                None => found.objects.sort_by(|a, b| natural(a).cmp(&natural(b))),
            }
            see(kind, found)
        },
    )
}

/// Records who uses the objects and what is to be thought of them, and once for all kinds what could not be
/// seen of that.
fn users(found: &mut Found, needs: Needs, scene: &Scene<'_>, said: &mut Vec<String>) {
    if !needs.has(Needs::USERS) && !needs.has(Needs::VERDICT) {
        return;
    }
    for object in &mut found.objects {
        if needs.has(Needs::USERS) {
            inspect::fields::fill(object, scene, false);
        }
        if needs.has(Needs::VERDICT) {
            inspect::fields::judge(object, scene);
        }
    }
    said.extend(found.gaps.iter().map(|gap| gap.subject.clone()));
    found.gaps.extend(scene.gaps().into_iter().filter(|gap| !said.contains(&gap.subject)));
    said.extend(found.gaps.iter().map(|gap| gap.subject.clone()));
}

/// What the mechanisms that `takes` wants find in the IPC namespace of the calling thread and under a root.
fn collect<E>(
    root: &Root,
    kinds: &[Kind],
    takes: impl Fn(&dyn Mechanism) -> bool,
    needs: Needs,
    holders: &Holders,
    mut see: impl FnMut(Kind, Found) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let of_kind = |kind: Kind| of_kind(kind).filter(|mech| takes(**mech));
    std::thread::scope(|scope| {
        let scans: Vec<Scan<'_>> = kinds
            .iter()
            .flat_map(|kind| of_kind(*kind))
            .map(|mech| Scan::begin(scope, *mech, root, needs, holders))
            .collect();
        let mut scans = scans.into_iter();
        let mut said: Vec<String> = Vec::new();
        for kind in kinds {
            let mut found = Found::default();
            for scan in scans.by_ref().take(of_kind(*kind).count()) {
                let part = scan.end(root, needs, holders);
                if found.objects.is_empty() {
                    found.objects = part.objects;
                } else {
                    found.objects.extend(part.objects);
                }
                // Two mechanisms may share a directory that cannot be read; it is said once.
                for gap in part.gaps {
                    if !said.contains(&gap.subject) {
                        said.push(gap.subject.clone());
                        found.gaps.push(gap);
                    }
                }
            }
            see(*kind, found)?;
        }
        Ok(())
    })
}

fn of_kind(kind: Kind) -> impl Iterator<Item = &'static &'static dyn Mechanism> {
    mech::ALL.iter().filter(move |mech| mech.kind() == kind)
}

/// From this many objects on, a scan runs beside the others: the kernel prints its tables one line
/// at a time, and two processors print two of them in the time of one. The thread is born into the namespace of
/// the one that makes it.
const WORTH_A_THREAD: u64 = 2000;

/// The scan of one mechanism, running or still to be done.
enum Scan<'scope> {
    Running(ScopedJoinHandle<'scope, Found>),
    Waiting(&'static dyn Mechanism),
}

impl<'scope> Scan<'scope> {
    fn begin(
        scope: &'scope Scope<'scope, '_>,
        mech: &'static dyn Mechanism,
        root: &'scope Root,
        needs: Needs,
        holders: &'scope Holders,
    ) -> Scan<'scope> {
        if mech.estimate() < WORTH_A_THREAD {
            return Scan::Waiting(mech);
        }
        // Where no thread can be made, it is done in its turn.
        let thread = std::thread::Builder::new().spawn_scoped(scope, move || mech.scan_under(root, needs, holders));
        thread.map_or(Scan::Waiting(mech), Scan::Running)
    }

    fn end(self, root: &Root, needs: Needs, holders: &Holders) -> Found {
        match self {
            Scan::Waiting(mech) => mech.scan_under(root, needs, holders),
            Scan::Running(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        }
    }
}

fn natural(object: &Object) -> (crate::model::Family, u64, Option<&[u8]>) {
    (object.family, object.number_of_its_own(), object.name().map(|name| name.raw()))
}

/// One object, with its owner's name.
pub fn find(reference: &ObjectRef, needs: Needs) -> Result<Object> {
    find_with(reference, needs, &Holders::new(needs))
}

/// One object with who uses it and what is to be thought of it, and what of that could not be seen.
pub fn look(reference: &ObjectRef, needs: Needs, scene: &Scene<'_>) -> Result<(Object, Vec<Gap>)> {
    let mut object = find_with(reference, needs, scene.holders())?;
    let gaps = inspect::fields::fill(&mut object, scene, true);
    inspect::fields::judge(&mut object, scene);
    Ok((object, gaps))
}

/// One of several objects, which share one look at the processes.
pub fn find_with(reference: &ObjectRef, needs: Needs, holders: &Holders) -> Result<Object> {
    let mut object = mech::of(reference).find(&reference.id, needs, holders)?;
    if let (Some(key), Some(found)) = (mech::key(reference.kind, &reference.id)?, object.key.known())
        && key != *found
    {
        // Between the look at the key and the look at the object that one went, and its identifier has another owner
        // (or it is a segment that waits for its last detach, which has no key any more).
        return Err(Error::new("", Errno::EIDRM, reference));
    }
    if needs.has(Needs::NAMES) {
        name(&mut object, &mut Names::default());
    }
    Ok(object)
}

fn name(object: &mut Object, names: &mut Names) {
    object.user = object.uid.clone().map(|uid| names.user(uid));
    object.group = object.gid.clone().map(|gid| names.group(gid));
}

fn sort(objects: &mut [Object], order: Order) {
    objects.sort_by(|a, b| {
        let ordering = compare(&order.by.value(a), &order.by.value(b)).then_with(|| natural(a).cmp(&natural(b)));
        if order.reverse { ordering.reverse() } else { ordering }
    });
}

/// Values of one field in order; what is not known comes last.
pub fn compare(a: &Seen<Value>, b: &Seen<Value>) -> Ordering {
    match (a, b) {
        (Seen::Is(a), Seen::Is(b)) => compare_values(a, b),
        (Seen::Is(_), _) => Ordering::Less,
        (_, Seen::Is(_)) => Ordering::Greater,
        _ => Ordering::Equal,
    }
}

fn compare_values(a: &Value, b: &Value) -> Ordering {
    use Value::{Count, Duration, Flag, Int, Key, List, Mode, Percent, Phrase, Pid, Ref, Size, Text, Time, Word};
    match (a, b) {
        (Count(a) | Size(a), Count(b) | Size(b)) => a.cmp(b),
        (Int(a) | Time(a), Int(b) | Time(b)) => a.cmp(b),
        (Ref(k, a), Ref(l, b)) => (k, a).cmp(&(l, b)),
        (Key(a), Key(b)) => a.cast_unsigned().cmp(&b.cast_unsigned()),
        (Mode(a), Mode(b)) => a.cmp(b),
        (Pid(a), Pid(b)) => a.cmp(b),
        (Percent(a), Percent(b)) => a.total_cmp(b),
        (Flag(a), Flag(b)) => a.cmp(b),
        (Duration(a), Duration(b)) => a.cmp(b),
        (Word(a), Word(b)) => a.cmp(b),
        (Phrase(a), Phrase(b)) => a.cmp(b),
        (Text(a), Text(b)) => a.raw().cmp(b.raw()),
        (List(a), List(b)) => a.len().cmp(&b.len()),
        _ => Ordering::Equal,
    }
}
