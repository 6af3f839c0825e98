//! Objects that are made together for a command and removed together after it.
//!
//! All of them have names before the first is made: System V objects keys, the others names and paths, none of
//! which anybody can guess. So whoever is left to remove them, be it another process, knows what to look for,
//! at whatever moment the one who makes them is killed.

use super::find;
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::mech::{self, Spec, What};
use crate::model::{Ident, Kind, Needs, ObjectRef, Text};
use crate::sys::{file, random, users};
use std::fs::{self, DirBuilder};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// An object that is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// What the command is to know it by.
    pub name: String,
    pub kind: Kind,
    pub naming: Naming,
    pub shape: Shape,
}

/// What tells the object from others of its kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Naming {
    /// A System V key.
    Key,
    /// A POSIX name.
    Name,
    /// A path in the directory of the scope.
    Path,
}

/// What `mech::What` is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Bytes.
    Region {
        size: u64,
    },
    /// Most bytes that a queue holds, where that can be said.
    Channel {
        max_bytes: Option<u64>,
    },
    Counter {
        values: Vec<u32>,
    },
    Stream,
}

impl Shape {
    fn what(&self) -> What {
        match self {
            Shape::Region { size } => What::Region { size: *size, huge: None, content: None },
            Shape::Channel { max_bytes } => {
                What::Channel { max_bytes: *max_bytes, max_messages: None, message_size: None }
            }
            Shape::Counter { values } => What::Counter { values: values.clone() },
            Shape::Stream => What::Stream,
        }
    }
}

/// The objects of one command.
pub struct Scope {
    planned: Vec<(ObjectRef, Spec)>,
    /// Where its FIFOs lie, if it has some.
    pub directory: Option<PathBuf>,
}

impl Scope {
    /// Chooses names. Nothing is made yet.
    pub fn plan(wanted: &[Wanted]) -> Result<Scope> {
        let mark = format!("ipcx-{}-{:016x}", std::process::id(), random()?);
        let has_paths = wanted.iter().any(|wanted| wanted.naming == Naming::Path);
        let directory = has_paths.then(|| base().join(&mark));
        let mut planned = Vec::with_capacity(wanted.len());
        for Wanted { name, kind, naming, shape } in wanted {
            let id = match (naming, &directory) {
                (Naming::Key, _) => free_key(*kind)?,
                (Naming::Path, Some(directory)) => Ident::Path(directory.join(name).as_os_str().as_bytes().into()),
                (Naming::Name | Naming::Path, _) => Ident::Name(Text::from(format!("/{mark}-{name}").as_bytes())),
            };
            let spec = Spec { mode: None, exist_ok: false, what: shape.what() };
            planned.push((ObjectRef { kind: *kind, id }, spec));
        }
        Ok(Scope { planned, directory })
    }

    /// Makes all of them or, where one cannot be made, none; their references in the order of the plan, as
    /// `create` gives them.
    pub fn make(&self) -> Result<Vec<ObjectRef>> {
        if let Some(directory) = &self.directory {
            DirBuilder::new().mode(0o700).create(directory).map_err(|error| failed("mkdir", &error, directory))?;
        }
        let mut made = Vec::with_capacity(self.planned.len());
        for (reference, spec) in &self.planned {
            match mech::of(reference).create(Some(&reference.id), spec) {
                Ok(created) => made.push(created.reference),
                Err(error) => {
                    // What stands in the way of this one is not ours.
                    drop(self.remove_first(made.len()));
                    return Err(error);
                }
            }
        }
        Ok(made)
    }

    /// Whether the one at this place of the plan is still there, as far as we can see.
    pub fn is_left(&self, at: usize) -> bool {
        find(&self.planned[at].0, Needs::SCAN).map_or_else(|error| error.status != Status::NoSuch, |_| true)
    }

    /// Removes what is there of them, used or not, and says what could not be removed.
    pub fn remove(&self) -> Vec<Error> {
        self.remove_first(self.planned.len())
    }

    fn remove_first(&self, count: usize) -> Vec<Error> {
        let planned = self.planned[..count].iter().rev();
        let mut errors: Vec<Error> = planned.filter_map(|(reference, _)| remove(reference).err()).collect();
        if let Some(directory) = &self.directory {
            let removed = fs::remove_dir(directory).map_err(|error| failed("rmdir", &error, directory));
            errors.extend(removed.err().filter(|error| error.status != Status::NoSuch));
        }
        errors
    }
}

/// How often an object is looked at and removed before it is left: each time it must not change in between, and
/// whoever outlives the command may still be using it.
const ATTEMPTS: usize = 1000;

fn remove(reference: &ObjectRef) -> Result<()> {
    let mut attempts = ATTEMPTS;
    loop {
        attempts -= 1;
        match mech::of(reference).remove_named(&reference.id) {
            Err(error) if error.status == Status::NoSuch => return Ok(()),
            Err(error) if error.status == Status::Failed && attempts > 0 => {}
            result => return result,
        }
    }
}

fn failed(call: &'static str, error: &std::io::Error, directory: &Path) -> Error {
    Error::new(call, file::errno(error), Text::from(directory.as_os_str().as_bytes()).escaped())
}

fn random() -> Result<u64> {
    random::number().map_err(|errno| Error::new("getrandom", errno, "random numbers"))
}

/// A System V key that nobody has.
fn free_key(kind: Kind) -> Result<Ident> {
    loop {
        #[allow(clippy::cast_possible_truncation)]
        let key = random()? as i32;
        let id = Ident::Key(key);
        // 0 is IPC_PRIVATE.
        if key != 0 && find(&ObjectRef { kind, id: id.clone() }, Needs::SCAN).is_err() {
            return Ok(id);
        }
    }
}

/// Where the directory is made: $XDG_RUNTIME_DIR, if it is a directory of ours, or /tmp. One that another user
/// owns, as after sudo(8), would let him put things in our place.
fn base() -> PathBuf {
    let ours = |path: &PathBuf| {
        let metadata = fs::metadata(path).ok().filter(|metadata| metadata.is_dir() && metadata.uid() == users::me());
        path.is_absolute() && path.to_str().is_some() && metadata.is_some()
    };
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(ours);
    runtime.unwrap_or_else(|| PathBuf::from("/tmp"))
}
