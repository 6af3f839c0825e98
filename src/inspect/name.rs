//! What to call a resource.

use super::scene::Scene;
use crate::mech;
use crate::model::{Family, Fingerprint, Ident, Kind, Needs, ObjectRef, Resource, Text};
use crate::proc::holders::{FileId, OpenFile, What};
use std::collections::HashMap;

/// The objects that have a name in a directory of their own, by their inodes. What a process has open or
/// mapped need not show its name: glibc makes a semaphore under another one and links it.
pub(super) type Names = HashMap<FileId, ObjectRef>;

/// Those of POSIX.
pub(super) fn names(scene: &Scene<'_>) -> Names {
    let posix = mech::ALL.iter().filter(|mech| mech.family() == Family::Posix);
    let objects = posix.flat_map(|mech| mech.scan_under(scene.root(), Needs::SCAN, scene.holders()).objects);
    let named = objects.filter_map(|object| match object.fingerprint {
        Fingerprint::Inode { dev, ino, .. } => Some((FileId { dev, ino }, object.reference)),
        Fingerprint::Sysv { .. } => None,
    });
    named.collect()
}

/// The reference of a resource, if it is an object that `ipcx show` takes one of here.
pub(super) fn reference(scene: &Scene<'_>, resource: Resource) -> Option<ObjectRef> {
    let (kind, id) = match resource {
        Resource::Sysv { namespace, kind, id } if namespace == scene.namespace() => (kind, Ident::Id(id)),
        Resource::Eventfd(number) => (Kind::Eventfd, Ident::Inode(number)),
        Resource::File { dev, ino } => {
            let id = FileId { dev, ino };
            return match scene.names().get(&id) {
                Some(named) => Some(named.clone()),
                None => of_file(scene.holders().descriptors().find(id)?),
            };
        }
        _ => return None,
    };
    Some(ObjectRef { kind, id })
}

/// What only descriptors lead to, and FIFOs.
fn of_file(file: &OpenFile) -> Option<ObjectRef> {
    let number = Ident::Inode(file.id.ino);
    let (kind, id) = match file.what {
        What::Fifo => (Kind::Fifo, Ident::Path(file.label.clone())),
        What::Pipe => (Kind::Pipe, number),
        What::Socket => (Kind::Sock, number),
        What::Memfd => (Kind::Memfd, number),
        What::Eventfd => (Kind::Eventfd, number),
        // Its name is gone, or that of another mount or IPC namespace.
        What::Shared | What::Queue => return None,
    };
    Some(ObjectRef { kind, id })
}

/// What to call a resource in a sentence, escaped.
pub(super) fn name(scene: &Scene<'_>, resource: Resource) -> String {
    if let Some(reference) = reference(scene, resource) {
        return reference.to_string();
    }
    match resource {
        Resource::Sysv { namespace: 0, kind, id } => format!("{}/{id} of an unknown IPC namespace", kind.noun()),
        Resource::Sysv { namespace, kind, id } => format!("{}/{id} of IPC namespace {namespace}", kind.noun()),
        Resource::Word { memory, offset } => format!("the word at {offset:#x} of {}", name(scene, memory.resource())),
        Resource::Process(pid) => format!("process {pid}"),
        Resource::Eventfd(number) => format!("eventfd/{number}"),
        Resource::File { dev, ino } => match label(scene, FileId { dev, ino }) {
            Some(label) => label.escaped().to_string(),
            None => format!("the file with inode {ino} on device {}", device(dev)),
        },
    }
}

/// What a process shows of a file: its path, with ` (deleted)` if it has none any more.
fn label(scene: &Scene<'_>, id: FileId) -> Option<Text> {
    if let Some(file) = scene.holders().descriptors().find(id) {
        return Some(file.label.clone());
    }
    scene.label(Resource::File { dev: id.dev, ino: id.ino })
}

/// A device as `stat` and /proc/locks print it.
fn device(dev: u64) -> String {
    format!("{}:{}", nix::sys::stat::major(dev), nix::sys::stat::minor(dev))
}
