//! Memory files, memfd_create(2): shared memory without a name, handed on by its descriptor.

use super::opened::{self, Unnamed};
use crate::model::{Family, Field, Ident, Kind, Needs, Object, ObjectRef, Text, Value};
use crate::proc::holders::{Descriptors, OpenFile, What};

pub(super) static MEMFD: Unnamed = Unnamed { kind: Kind::Memfd, what: What::Memfd, object, limits: Vec::new };

const KINDS: &[Kind] = &[Kind::Memfd];

pub(super) static FIELDS: &[Field] = &[
    Field::word(KINDS, "label", "the name that its maker gave it; several may have the same", Needs::SCAN, true),
    Field::number(KINDS, "size", "size in bytes", Needs::SCAN, true),
    Field::number(KINDS, "rss", "bytes of it in memory or in swap", Needs::SCAN, true),
];

fn object(file: &OpenFile, descriptors: &Descriptors, _: Needs) -> Object {
    let reference = ObjectRef { kind: Kind::Memfd, id: Ident::Inode(file.id.ino) };
    let mut object = opened::object(reference, Family::Anonymous, file, descriptors);
    let size = |n: i64| Value::Size(u64::try_from(n).unwrap_or(0));
    object.facts.push("inode", Value::Count(file.id.ino));
    object.facts.push("label", Value::Text(label(file.label.raw())));
    object.facts.push("size", size(file.stat.st_size));
    object.facts.push("rss", size(file.stat.st_blocks.saturating_mul(512)));
    object
}

/// The name out of `/memfd:NAME (deleted)`.
fn label(link: &[u8]) -> Text {
    let name = link.strip_prefix(b"/memfd:").unwrap_or(link);
    name.strip_suffix(b" (deleted)").unwrap_or(name).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_loses_what_the_kernel_adds_and_nothing_of_its_own() {
        assert_eq!(label(b"/memfd:x (deleted) (deleted)"), Text::from("x (deleted)"));
        assert_eq!(label(b"/memfd: (deleted)"), Text::from(""));
        assert_eq!(label(b"/memfd:a\n\x1b[2J (deleted)"), Text::from("a\n\x1b[2J"));
    }
}
