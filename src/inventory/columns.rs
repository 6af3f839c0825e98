//! Which columns a listing shows, by their names.

use crate::inspect;
use crate::mech;
use crate::model::{Field, IDENTITY, Kind, Needs};

/// Every column of the given kinds, in the order of JSON and `-o help`.
pub fn all(kinds: &[Kind]) -> Vec<&'static Field> {
    let mut fields: Vec<&'static Field> = Vec::new();
    for field in each(kinds) {
        if !fields.iter().any(|known| known.key == field.key) {
            fields.push(field);
        }
    }
    fields
}

/// Every column of the given kinds, those of one name once for each kind that has its own.
pub fn each(kinds: &[Kind]) -> impl Iterator<Item = &'static Field> {
    let all = IDENTITY.iter().chain(mech::FIELDS.iter().copied().flatten()).chain(inspect::fields::FIELDS);
    all.filter(|field| field.kinds.iter().any(|kind| kinds.contains(kind)))
}

/// The columns of one kind that are shown when nothing was chosen.
pub fn default(kind: Kind) -> Vec<&'static Field> {
    all(&[kind]).into_iter().filter(|field| field.default).collect()
}

/// The column of this name among those of a kind; another kind may have one of the same name.
pub fn named(kinds: &[Kind], key: &str) -> Option<&'static Field> {
    all(kinds).into_iter().find(|field| field.key == key)
}

/// What must be looked up for these columns.
pub fn needs(fields: &[&'static Field]) -> Needs {
    fields.iter().fold(Needs::SCAN, |needs, field| needs.and(field.needs))
}
