//! What the three System V mechanisms share: keys, permissions, and the way from a number to an
//! object.

use super::Change;
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::model::{Family, Fingerprint, Gap, Ident, Kind, Object, ObjectRef, Reason, Seen, Value};
use crate::proc::sysvipc::{self, Perm, Table, Words};
use crate::sys::file;
use nix::errno::Errno;
use std::path::Path;

/// Permission bits of `mode`; above them are the kernel's flags.
const PERMISSIONS: u32 = 0o777;

pub(super) fn takes(id: &Ident) -> bool {
    matches!(id, Ident::Id(_) | Ident::Key(_) | Ident::Ftok(..))
}

pub(super) fn reference(kind: Kind, id: i32) -> ObjectRef {
    ObjectRef { kind, id: Ident::Id(id) }
}

/// The key that `id` stands for, if it is not an identifier already.
pub fn key(kind: Kind, id: &Ident) -> Result<Option<i32>> {
    match id {
        Ident::Key(key) => Ok(Some(*key)),
        Ident::Ftok(path, project) => ftok(file::path(path.raw()), *project).map(Some).map_err(|errno| {
            Error::new("ftok", errno, ObjectRef { kind, id: id.clone() }).because(format!(
                "cannot make a key from {}: {}",
                path.escaped(),
                crate::error::describe(errno)
            ))
        }),
        _ => Ok(None),
    }
}

/// The identifier that `id` stands for; `get` looks a key up.
pub(super) fn resolve(
    kind: Kind,
    id: &Ident,
    call: &'static str,
    get: impl Fn(i32) -> nix::Result<i32>,
) -> Result<i32> {
    let named = || ObjectRef { kind, id: id.clone() };
    match (id, key(kind, id)?) {
        (Ident::Id(id), _) => Ok(*id),
        (_, Some(key)) => get(key).map_err(|errno| failed(call, errno, &named())),
        (_, None) => Err(Error::new(call, Errno::EINVAL, named())),
    }
}

/// The key under which to make an object, and what to call it in errors. Without a name it is a
/// private one; the kernel chooses identifiers, so it cannot be made under one.
pub(super) fn create_key(kind: Kind, id: Option<&Ident>) -> Result<(i32, String)> {
    let Some(id) = id else { return Ok((libc::IPC_PRIVATE, kind.noun().to_owned())) };
    let name = ObjectRef { kind, id: id.clone() }.to_string();
    match key(kind, id)? {
        Some(key) => Ok((key, name)),
        None => Err(Error::refused(name, Status::Usage, "the kernel chooses identifiers")
            .hinting("give a key (0x4d2, key/1234, ftok/PATH), a name (/name), or nothing for a private object")),
    }
}

/// Says whether an object that has `perm` and `ctime` now still is the one that was looked at.
pub(super) fn still(object: &Object, perm: &Perm, ctime: i64) -> Result<()> {
    if fingerprint(perm, ctime) == object.fingerprint { Ok(()) } else { Err(super::replaced(&object.reference)) }
}

/// The identifier of an object of ours.
pub(super) fn id(object: &Object, call: &'static str) -> Result<i32> {
    object.id().ok_or_else(|| Error::new(call, Errno::EINVAL, &object.reference))
}

fn fingerprint(perm: &Perm, ctime: i64) -> Fingerprint {
    Fingerprint::Sysv { id: perm.id, key: perm.key, cuid: perm.cuid, ctime }
}

/// The key of ftok(3): the project number, the low byte of the device and the low 16 bits of the
/// inode. Different files can share a key, and a file that is made anew has another.
pub fn ftok(path: &Path, project: u8) -> nix::Result<i32> {
    let stat = nix::sys::stat::stat(path)?;
    let key = u32::from(project) << 24
        | u32::try_from(stat.st_dev & 0xff).unwrap_or(0) << 16
        | u32::try_from(stat.st_ino & 0xffff).unwrap_or(0);
    Ok(key.cast_signed())
}

/// The object that every System V mechanism starts from.
pub(super) fn object(kind: Kind, perm: &Perm, ctime: i64, facts: usize) -> Object {
    let mut object = Object::new(reference(kind, perm.id), Family::Sysv, fingerprint(perm, ctime));
    object.key = Seen::Is(perm.key);
    object.uid = Seen::Is(perm.uid);
    object.gid = Seen::Is(perm.gid);
    object.mode = Seen::Is(perm.mode & PERMISSIONS);
    object.facts = crate::model::Facts::with_capacity(facts);
    object
}

/// The creator and the time of the last change, which every kind ends with.
pub(super) fn creator(object: &mut Object, perm: &Perm, ctime: i64) {
    object.facts.push("ctime", Value::Time(ctime));
    object.facts.push("cuid", Value::Count(perm.cuid.into()));
    object.facts.push("cgid", Value::Count(perm.cgid.into()));
}

/// A time that is 0 until it happens for the first time.
pub(super) fn time(at: i64) -> Seen<Value> {
    if at == 0 { Seen::Absent } else { Seen::Is(Value::Time(at)) }
}

/// Reads a table of /proc/sysvipc; what could not be read is a gap.
pub(super) fn table<T>(file: &str, row: fn(&mut Words<'_>) -> Option<T>, gaps: &mut Vec<Gap>) -> Vec<T> {
    let path = format!("/proc/sysvipc/{file}");
    match sysvipc::read(Path::new(&path), row) {
        Ok(Table { rows, bad }) => {
            if bad > 0 {
                gaps.push(Gap {
                    subject: path,
                    field: None,
                    reason: Reason { call: "read", errno: libc::EBADMSG },
                    note: Some(format!("{bad} line{} could not be read", if bad == 1 { "" } else { "s" })),
                });
            }
            rows
        }
        Err(error) => {
            let errno = file::errno(&error);
            let note = (errno == Errno::ENOENT)
                .then(|| "this kernel has no System V IPC (CONFIG_SYSVIPC), or /proc is not mounted".to_owned());
            gaps.push(Gap { subject: path, field: None, reason: Reason { call: "open", errno: errno as i32 }, note });
            Vec::new()
        }
    }
}

/// What a failed *get or *ctl means: an identifier that is not there is EINVAL to the kernel.
pub(super) fn failed(call: &'static str, errno: Errno, reference: &ObjectRef) -> Error {
    let error = Error::new(call, errno, reference);
    match errno {
        Errno::EINVAL | Errno::ENOENT => error.because("no such object").with_status(Status::NoSuch),
        Errno::EIDRM => error.because("it has been removed"),
        _ => error,
    }
}

/// What a failed IPC_SET means. The object is there, so EINVAL is about the new owner.
pub(super) fn set_failed(call: &'static str, errno: Errno, object: &Object) -> Error {
    let error = Error::new(call, errno, &object.reference);
    match errno {
        Errno::EINVAL => error.because("the new owner or group does not exist in this user namespace"),
        Errno::EIDRM => error.because("it has been removed"),
        _ => denied(error, Some(object)),
    }
}

/// Applies the parts of a change that struct ipc_perm holds.
pub(super) fn change(perm: &mut libc::ipc_perm, change: &Change) {
    if let Some(mode) = change.mode {
        // The type of the member differs between C libraries.
        #[allow(clippy::cast_possible_truncation, clippy::unnecessary_cast)]
        {
            perm.mode = (mode & PERMISSIONS) as _;
        }
    }
    perm.uid = change.uid.unwrap_or(perm.uid);
    perm.gid = change.gid.unwrap_or(perm.gid);
}

/// Who owns an object that we may not use, for the error that says so.
pub(super) fn denied(error: Error, object: Option<&Object>) -> Error {
    if !matches!(error.errno, Errno::EACCES | Errno::EPERM) {
        return error;
    }
    let Some((uid, mode)) = object.and_then(|o| Some((o.uid.known()?, o.mode.known()?))) else {
        return error;
    };
    let owner = crate::sys::users::Names::default().user(*uid);
    let cause = format!("{}: it belongs to {}, mode {mode:04o}", crate::error::describe(error.errno), owner.escaped());
    error.because(cause)
}

/// The index of an identifier in the kernel's table, for the *_STAT_ANY calls: the low 15 bits, or
/// the low 24 where the kernel was started with ipcmni_extend (ipc/util.h).
pub(super) fn indices(id: i32) -> [i32; 2] {
    [id & 0x7fff, id & 0xff_ffff]
}

/// Perm as the system calls give it.
pub(super) fn perm(id: i32, perm: &libc::ipc_perm) -> Perm {
    // The width of `mode` and the name of `key` differ between C libraries.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    Perm {
        key: key_of(perm),
        id,
        mode: u32::from(perm.mode),
        uid: perm.uid,
        gid: perm.gid,
        cuid: perm.cuid,
        cgid: perm.cgid,
    }
}

#[cfg(not(target_env = "musl"))]
fn key_of(perm: &libc::ipc_perm) -> i32 {
    perm.__key
}

#[cfg(target_env = "musl")]
#[allow(deprecated)]
fn key_of(perm: &libc::ipc_perm) -> i32 {
    perm.__ipc_perm_key
}
