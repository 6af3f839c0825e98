//! Pipes, pipe(7): what the shell puts between commands. They are found through the processes that
//! have an end open.

use super::{Found, Mechanism, Usage, opened};
use crate::error::Result;
use crate::model::{Family, Ident, Kind, Needs, Object, ObjectRef, Seen, Value};
use crate::proc::holders::{Descriptors, Holders, OpenFile, What};

pub struct Pipe;

fn object(file: &OpenFile, descriptors: &Descriptors, needs: Needs) -> Object {
    let reference = ObjectRef { kind: Kind::Pipe, id: Ident::Inode(file.id.ino) };
    let mut object = opened::object(reference, Family::Anonymous, file);
    object.facts.push("inode", Value::Count(file.id.ino));
    opened::stream(&mut object, Some(file), descriptors, needs);
    object
}

impl Mechanism for Pipe {
    fn kind(&self) -> Kind {
        Kind::Pipe
    }

    fn takes(&self, id: &Ident) -> bool {
        matches!(id, Ident::Inode(_))
    }

    fn scan(&self, needs: Needs, holders: &Holders) -> Found {
        let descriptors = holders.descriptors();
        let objects = descriptors.of(What::Pipe).map(|file| object(file, descriptors, needs)).collect();
        Found { objects, gaps: descriptors.gaps.clone() }
    }

    fn find(&self, id: &Ident, needs: Needs, holders: &Holders) -> Result<Object> {
        opened::numbered(self, What::Pipe, id, holders).map(|file| object(file, holders.descriptors(), needs))
    }

    fn usage(&self, object: &Object, holders: &Holders) -> Seen<Usage> {
        opened::usage(holders.descriptors().numbered(What::Pipe, object.number_of_its_own()))
    }
}
