//! Who holds each object, who waits for it, and what is to be thought of it, as columns.

use super::evidence;
use super::scene::{Scene, of_mapping};
use crate::mech::{self, Usage};
use crate::model::{Family, Field, Gap, Hold, Kind, Needs, Object, Reason, Resource, Seen, Value};
use crate::proc::mappings;

pub static FIELDS: &[Field] = &[
    Field::word(
        Kind::ALL,
        "holders",
        "processes that have it mapped, open or locked, or owe it an undo",
        Needs::USERS,
        false,
    ),
    Field::word(Kind::ALL, "waiters", "threads that are blocked on it, and in which call", Needs::USERS, false),
    Field::word(
        Kind::ALL,
        "verdict",
        "whether anybody can still be using it: orphan, suspect, in use, unknown",
        Needs::VERDICT,
        false,
    ),
    Field::word(Kind::ALL, "evidence", "what speaks for the verdict, in words", Needs::VERDICT, false),
];

/// Records what is to be thought of an object.
pub fn judge(object: &mut Object, scene: &Scene<'_>) {
    let verdict = evidence::verdict(object, scene);
    let because = verdict.because().iter().cloned().map(Value::Phrase).collect();
    object.facts.set("verdict", Seen::Is(Value::Word(verdict.word())));
    object.facts.set("evidence", Seen::Is(Value::List(because)));
}

/// Records who uses an object. What could not be seen, beside what the scene says of itself.
///
/// `alone` if no other objects are looked at: then a segment's own attachments are looked for, which ends
/// when all are found.
pub fn fill(object: &mut Object, scene: &Scene<'_>, alone: bool) -> Vec<Gap> {
    let Some(resource) = scene.resource(object) else { return Vec::new() };
    let (holds, gaps) = holds(object, resource, scene, alone);
    let list = || Value::List(holds.into_iter().map(|hold| Value::Hold(Box::new(hold))).collect());
    let unseen = || gaps.first().map(|gap| gap.reason).or_else(|| unseen_holders(object, resource, scene));
    let holders = match list() {
        Value::List(list) if list.is_empty() => {
            unseen().map_or(Seen::Is(Value::List(list)), |reason| Seen::Hidden(Box::new(reason)))
        }
        list => Seen::Is(list),
    };
    let waiters: Vec<Value> =
        scene.waiters_of(resource).map(|blocked| Value::Blocked(Box::new(blocked.clone()))).collect();
    let waiters = match scene.unseen_waiters().filter(|_| waiters.is_empty()) {
        Some(reason) => Seen::Hidden(Box::new(reason)),
        None => Seen::Is(Value::List(waiters)),
    };
    object.facts.set("holders", holders);
    object.facts.set("waiters", waiters);
    gaps
}

fn holds(object: &Object, resource: Resource, scene: &Scene<'_>, alone: bool) -> (Vec<Hold>, Vec<Gap>) {
    match (resource, object.number("nattch")) {
        (_, Some(0)) => (Vec::new(), Vec::new()),
        (Resource::Sysv { namespace, id, .. }, Some(nattch)) if alone => {
            let found = mappings::of_segment(namespace, id, nattch);
            (
                found.list.iter().filter(|mapping| mapping.memory.resource() == resource).map(of_mapping).collect(),
                found.gaps,
            )
        }
        _ => (scene.holds_of(resource).into_iter().cloned().collect(), Vec::new()),
    }
}

/// Why it is not known that nobody holds an object that nobody is seen to hold.
fn unseen_holders(object: &Object, resource: Resource, scene: &Scene<'_>) -> Option<Reason> {
    // The kernel counts the attachments, and knows of a file whether anybody has it open.
    let known = object.number("nattch") == Some(0)
        || object.family == Family::Posix
            && mech::of(&object.reference).usage_under(scene.root(), object, scene.holders())
                == Seen::Is(Usage::Nobody);
    if known { None } else { scene.unseen_holders(resource) }
}
