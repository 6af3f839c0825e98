//! What the user types to name an object, what a row prints first, what `rm` takes back.

use super::{Kind, Text, Value};
use std::fmt;

/// A reference to one object: a kind and a name within it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ObjectRef {
    pub kind: Kind,
    pub id: Ident,
}

/// A name within one kind.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Ident {
    /// A System V identifier, as `ipcs` prints it. `0` is valid.
    Id(i32),
    /// A System V key; never 0, which is IPC_PRIVATE.
    Key(i32),
    /// A System V key to be made by ftok(3) from a path and a project number.
    Ftok(Text, u8),
    /// The name of a POSIX object, with its leading slash.
    Name(Text),
    /// The path of a file to map, a FIFO or a socket.
    Path(Text),
    /// The name of an abstract socket, with its leading `@`.
    Abstract(Text),
    /// The inode number of what has no name (of an eventfd the kernel's number for it).
    Inode(u64),
}

impl ObjectRef {
    /// The reference without its kind, as the verbs under a noun take it and `create` prints it.
    pub fn bare(&self) -> Bare<'_> {
        Bare(&self.id)
    }
}

impl ObjectRef {
    /// The reference as a value: escaped on a terminal alone, so that a program gets what `rm` takes back.
    pub fn value(&self) -> Value {
        match &self.id {
            Ident::Inode(number) => Value::Ref(self.kind, *number),
            Ident::Name(name) | Ident::Path(name) | Ident::Abstract(name) => {
                Value::Text(Text::from([self.kind.noun().as_bytes(), b"/", name.raw()].concat()))
            }
            Ident::Id(_) | Ident::Key(_) | Ident::Ftok(..) => Value::Phrase(self.to_string()),
        }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.noun(), self.bare())
    }
}

/// Displays an [`Ident`], escaped.
pub struct Bare<'a>(&'a Ident);

impl fmt::Display for Bare<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Ident::Id(id) => write!(f, "{id}"),
            Ident::Key(key) => write!(f, "{key:#x}"),
            Ident::Ftok(path, project) => write!(f, "ftok/{},{project}", path.escaped()),
            Ident::Name(name) | Ident::Path(name) | Ident::Abstract(name) => write!(f, "{}", name.escaped()),
            Ident::Inode(inode) => write!(f, "{inode}"),
        }
    }
}
