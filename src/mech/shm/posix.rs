//! POSIX shared memory, shm_overview(7).

use super::mapped::{Place, reference};
use crate::error::{Error, Result};
use crate::mech::sem::posix::is_semaphore;
use crate::mech::{Access, Change, Created, Found, Limit, Mechanism, Opened, Root, Scope, Spec, Usage, devshm};
use crate::model::{Family, Ident, Kind, Needs, Object, ObjectRef, Seen, Text};
use crate::proc::holders::Holders;
use nix::errno::Errno;

pub struct PosixShm;

fn with_place<T>(id: &Ident, f: impl FnOnce(&Place<'_>) -> Result<T>) -> Result<T> {
    let (reference, name) = reference(id)?;
    let path = devshm::path("", name);
    f(&Place { reference, path: &path, family: Family::Posix })
}

impl Mechanism for PosixShm {
    fn kind(&self) -> Kind {
        Kind::Shm
    }

    fn family(&self) -> Family {
        Family::Posix
    }

    fn takes(&self, id: &Ident) -> bool {
        matches!(id, Ident::Name(_))
    }

    fn scope(&self) -> Scope {
        Scope::Shm
    }

    fn scan(&self, needs: Needs, holders: &Holders) -> Found {
        self.scan_under(&Root::Ours, needs, holders)
    }

    fn scan_under(&self, root: &Root, needs: Needs, _: &Holders) -> Found {
        let mut found = Found::default();
        let Some(shm) = devshm::directory(root, &mut found.gaps) else { return found };
        devshm::each(shm.path(), &mut found.gaps, |directory, file, stat| {
            if is_semaphore(directory, file, stat) {
                return;
            }
            let mut name = b"/".to_vec();
            name.extend_from_slice(file);
            let name = Text::from(name);
            let path = devshm::path_in(shm.path(), "", &name);
            let reference = ObjectRef { kind: Kind::Shm, id: Ident::Name(name) };
            let place = Place { reference, path: &path, family: Family::Posix };
            let mut object = place.object(stat);
            place.details(&mut object, needs);
            found.objects.push(object);
        });
        found
    }

    fn find(&self, id: &Ident, needs: Needs, _: &Holders) -> Result<Object> {
        with_place(id, |place| place.find(needs))
    }

    fn create(&self, id: Option<&Ident>, spec: &Spec) -> Result<Created> {
        let id = id.ok_or_else(|| Error::new("shm_open", Errno::EINVAL, "shm"))?;
        with_place(id, |place| place.create(spec))
    }

    fn open(&self, id: &Ident, access: Access) -> Result<Opened> {
        with_place(id, |place| Ok(Opened::Region(Box::new(place.region(access)?))))
    }

    fn usage(&self, object: &Object, holders: &Holders) -> Seen<Usage> {
        self.usage_under(&Root::Ours, object, holders)
    }

    fn usage_under(&self, root: &Root, object: &Object, _: &Holders) -> Seen<Usage> {
        let Some(name) = object.name() else { return Seen::Skipped };
        match root.directory(devshm::DIRECTORY) {
            Ok(shm) => devshm::usage_of(object, &devshm::path_in(shm.path(), "", name)),
            Err(errno) => Seen::hidden("openat2", errno as i32),
        }
    }

    fn remove(&self, object: &Object) -> Result<Option<String>> {
        let name = object.name().ok_or_else(|| Error::new("shm_unlink", Errno::EINVAL, &object.reference))?;
        devshm::remove(&devshm::path("", name), object).map(|()| None)
    }

    fn set(&self, object: &Object, change: &Change) -> Result<()> {
        with_place(&object.reference.id, |place| place.set(object, change))
    }

    fn limits(&self) -> Vec<Limit> {
        self.limits_under(&Root::Ours)
    }

    fn limits_under(&self, root: &Root) -> Vec<Limit> {
        match root.directory(devshm::DIRECTORY) {
            Err(Errno::ENOENT) => Vec::new(),
            directory => devshm::limits(directory),
        }
    }
}
