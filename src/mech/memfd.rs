//! Memory files, memfd_create(2): shared memory without a name, handed on by its descriptor.

use super::{Found, Mechanism, Usage, opened};
use crate::error::Result;
use crate::model::{Family, Field, Ident, Kind, Needs, Object, ObjectRef, Seen, Text, Value};
use crate::proc::holders::{Holders, OpenFile, What};

pub struct Memfd;

const MEMFD: &[Kind] = &[Kind::Memfd];

pub(super) static FIELDS: &[Field] = &[
    Field::word(MEMFD, "label", "the name that its maker gave it; several may have the same", Needs::SCAN, true),
    Field::number(MEMFD, "size", "size in bytes", Needs::SCAN, true),
    Field::number(MEMFD, "rss", "bytes of it in memory or in swap", Needs::SCAN, true),
];

fn object(file: &OpenFile) -> Object {
    let reference = ObjectRef { kind: Kind::Memfd, id: Ident::Inode(file.id.ino) };
    let mut object = opened::object(reference, Family::Anonymous, file);
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

impl Mechanism for Memfd {
    fn kind(&self) -> Kind {
        Kind::Memfd
    }

    fn takes(&self, id: &Ident) -> bool {
        matches!(id, Ident::Inode(_))
    }

    fn scan(&self, _: Needs, holders: &Holders) -> Found {
        let descriptors = holders.descriptors();
        Found { objects: descriptors.of(What::Memfd).map(object).collect(), gaps: descriptors.gaps.clone() }
    }

    fn find(&self, id: &Ident, _: Needs, holders: &Holders) -> Result<Object> {
        opened::numbered(self, What::Memfd, id, holders).map(object)
    }

    fn usage(&self, object: &Object, holders: &Holders) -> Seen<Usage> {
        opened::usage(holders.descriptors().numbered(What::Memfd, object.number_of_its_own()))
    }
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
