//! Pipes, pipe(7): what the shell puts between commands. They are found through the processes that
//! have an end open.

use super::opened::{self, Unnamed};
use crate::model::{Family, Ident, Kind, Needs, Object, ObjectRef, Value};
use crate::proc::holders::{Descriptors, OpenFile, What};

pub(super) static PIPE: Unnamed = Unnamed { kind: Kind::Pipe, what: What::Pipe, object };

fn object(file: &OpenFile, descriptors: &Descriptors, needs: Needs) -> Object {
    let reference = ObjectRef { kind: Kind::Pipe, id: Ident::Inode(file.id.ino) };
    let mut object = opened::object(reference, Family::Anonymous, file, descriptors);
    object.facts.push("inode", Value::Count(file.id.ino));
    opened::stream(&mut object, Some(file), descriptors, needs);
    object
}
