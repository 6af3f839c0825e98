//! Shared memory that is backed by a file anywhere: what processes map with MAP_SHARED.
//!
//! There is no list of such files, so a scan finds none; they are reached by their path.

use super::mapped::{Place, reference};
use crate::error::{Error, Result};
use crate::mech::{Access, Change, Created, Found, Limit, Mechanism, Opened, Spec, Usage, devshm};
use crate::model::{Family, Ident, Kind, Needs, Object, Seen};
use crate::proc::holders::Holders;
use crate::sys::file;
use nix::errno::Errno;

pub struct FileShm;

fn with_place<T>(id: &Ident, f: impl FnOnce(&Place<'_>) -> Result<T>) -> Result<T> {
    let (reference, path) = reference(id)?;
    f(&Place { path: file::path(path.raw()), reference, family: Family::File })
}

impl Mechanism for FileShm {
    fn kind(&self) -> Kind {
        Kind::Shm
    }

    fn family(&self) -> Family {
        Family::File
    }

    fn takes(&self, id: &Ident) -> bool {
        matches!(id, Ident::Path(_))
    }

    fn scan(&self, _: Needs, _: &Holders) -> Found {
        Found::default()
    }

    fn find(&self, id: &Ident, needs: Needs, _: &Holders) -> Result<Object> {
        with_place(id, |place| place.find(needs))
    }

    fn create(&self, id: Option<&Ident>, spec: &Spec) -> Result<Created> {
        let id = id.ok_or_else(|| Error::new("open", Errno::EINVAL, "shm"))?;
        with_place(id, |place| place.create(spec))
    }

    fn open(&self, id: &Ident, access: Access) -> Result<Opened> {
        with_place(id, |place| Ok(Opened::Region(Box::new(place.region(access)?))))
    }

    fn usage(&self, object: &Object, _: &Holders) -> Seen<Usage> {
        object.name().map_or(Seen::Skipped, |path| devshm::usage_of(object, file::path(path.raw())))
    }

    fn remove(&self, object: &Object) -> Result<Option<String>> {
        let path = object.name().ok_or_else(|| Error::new("unlink", Errno::EINVAL, &object.reference))?;
        devshm::remove(file::path(path.raw()), object).map(|()| None)
    }

    fn set(&self, object: &Object, change: &Change) -> Result<()> {
        with_place(&object.reference.id, |place| place.set(object, change))
    }

    fn limits(&self) -> Vec<Limit> {
        Vec::new()
    }
}
