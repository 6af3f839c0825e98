//! What to call a resource.

use super::scene::Scene;
use crate::model::{Ident, Kind, ObjectRef, Resource};
use crate::proc::holders::{FileId, OpenFile, What};

/// The reference of a resource, if it is an object that `ipcx show` takes one of here.
pub(super) fn reference(scene: &Scene<'_>, resource: Resource) -> Option<ObjectRef> {
    let (kind, id) = match resource {
        Resource::Sysv { namespace, kind, id } if namespace == scene.namespace() => (kind, Ident::Id(id)),
        Resource::Eventfd(number) => (Kind::Eventfd, Ident::Inode(number)),
        Resource::File { dev, ino } => of_file(scene.holders().descriptors().find(FileId { dev, ino })?)?,
        _ => return None,
    };
    Some(ObjectRef { kind, id })
}

fn of_file(file: &OpenFile) -> Option<(Kind, Ident)> {
    let number = Ident::Inode(file.id.ino);
    Some(match file.what {
        What::Fifo => (Kind::Fifo, Ident::Path(file.label.clone())),
        What::Pipe => (Kind::Pipe, number),
        What::Socket => (Kind::Sock, number),
        What::Memfd => (Kind::Memfd, number),
        What::Eventfd => (Kind::Eventfd, number),
    })
}

/// What to call a resource in a sentence, escaped.
pub(super) fn name(scene: &Scene<'_>, resource: Resource) -> String {
    if let Some(reference) = reference(scene, resource) {
        return reference.to_string();
    }
    match resource {
        Resource::Sysv { namespace: 0, kind, id } => {
            format!("{}/{id} of an IPC namespace that is not known", kind.noun())
        }
        Resource::Sysv { namespace, kind, id } => format!("{}/{id} of the IPC namespace {namespace}", kind.noun()),
        Resource::Word { memory, offset } => format!("the word at {offset:#x} of {}", name(scene, memory.resource())),
        Resource::Process(pid) => format!("process {pid}"),
        Resource::Eventfd(number) => format!("eventfd/{number}"),
        Resource::File { dev, ino } => format!("the file with inode {ino} on device {}", device(dev)),
    }
}

/// A device as `stat` and /proc/locks print it.
fn device(dev: u64) -> String {
    format!("{}:{}", nix::sys::stat::major(dev), nix::sys::stat::minor(dev))
}
