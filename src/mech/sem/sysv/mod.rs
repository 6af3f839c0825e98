//! System V semaphore sets, svipc(7).

mod look;
mod set;

pub use look::{Look, last_operator, look};

use super::sys;
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::mech::{
    Access, Change, Created, Found, Limit, Mechanism, Op, Opened, Scope, Spec, Unit, Usage, What, processes, recorded,
    sysv,
};
use crate::model::{Family, Ident, Kind, Needs, Object, ObjectRef, Recorded, Seen, Value};
use crate::proc::holders::Holders;
use crate::proc::{sysctl, sysvipc};
use nix::errno::Errno;
use set::Set;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub struct SysvSem;

/// The highest value, SEMVMX in include/uapi/linux/sem.h.
const SEMVMX: u16 = 32767;
/// How long a set without a first operation counts as one that is still being made.
const IN_THE_MAKING: Duration = Duration::from_secs(2);

fn reference(id: i32) -> ObjectRef {
    sysv::reference(Kind::Sem, id)
}

fn resolve(id: &Ident) -> Result<i32> {
    sysv::resolve(Kind::Sem, id, "semget", |key| sys::get(key, 0, 0))
}

fn stat(id: i32) -> Result<sys::State> {
    sys::stat(id).map_err(|errno| sysv::failed("semctl", errno, &reference(id)))
}

fn from_row(row: &sysvipc::Sem) -> Object {
    let mut object = sysv::object(Kind::Sem, &row.perm, row.ctime, 6);
    object.facts.push("nsems", Value::Count(row.nsems));
    object.facts.set("otime", sysv::time(row.otime));
    sysv::creator(&mut object, &row.perm, row.ctime);
    object
}

/// The set as IPC_STAT gives it, in the shape of a line of /proc/sysvipc/sem.
fn row(id: i32, set: &sys::State) -> sysvipc::Sem {
    // The widths of these members differ between C libraries.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    sysvipc::Sem {
        perm: sysv::perm(id, &set.sem_perm),
        nsems: set.sem_nsems as u64,
        otime: i64::from(set.sem_otime),
        ctime: i64::from(set.sem_ctime),
    }
}

/// How many semaphores a set has. An index in struct sembuf has 16 bits, so of a larger set, which
/// SEMMSL may permit, some could not even be named.
fn count(id: i32, set: &sys::State) -> Result<u16> {
    #[allow(clippy::useless_conversion)]
    u16::try_from(set.sem_nsems).map_err(|_| {
        let cause = format!("a set of {} semaphores has more than an operation can name", set.sem_nsems);
        Error::refused(reference(id), Status::Limit, cause)
    })
}

impl Mechanism for SysvSem {
    fn kind(&self) -> Kind {
        Kind::Sem
    }

    fn family(&self) -> Family {
        Family::Sysv
    }

    fn takes(&self, id: &Ident) -> bool {
        sysv::takes(id)
    }

    fn estimate(&self) -> u64 {
        sys::info().map_or(0, |info| info.sets)
    }

    fn scope(&self) -> Scope {
        Scope::Ipc
    }

    fn scan(&self, needs: Needs, _: &Holders) -> Found {
        let mut found = Found::default();
        let rows = sysv::table("sem", sysvipc::sem, &mut found.gaps);
        found.objects.reserve_exact(rows.len());
        for row in &rows {
            let mut object = from_row(row);
            details(&mut object, needs);
            found.objects.push(object);
        }
        found
    }

    fn find(&self, id: &Ident, needs: Needs, _: &Holders) -> Result<Object> {
        let id = resolve(id)?;
        let mut object = from_row(&row(id, &stat(id)?));
        details(&mut object, needs);
        Ok(object)
    }

    fn create(&self, id: Option<&Ident>, spec: &Spec) -> Result<Created> {
        let What::Counter { values } = &spec.what else {
            unreachable!("semaphores are made from the shape of a counter")
        };
        let (key, name) = sysv::create_key(Kind::Sem, id)?;
        let values = values.iter().map(|value| small(*value, &name)).collect::<Result<Vec<u16>>>()?;
        let Ok(nsems) = u16::try_from(values.len()) else {
            return Err(too_many(values.len(), &name));
        };
        // Its values are set through operations, which want alter permission.
        let first = spec.permissions() | 0o600;
        match sys::get(key, nsems, libc::IPC_CREAT | libc::IPC_EXCL | first.cast_signed()) {
            Ok(id) => {
                initialise(id, &values, spec.permissions()).map_err(|errno| {
                    let _ = sys::remove(id);
                    Error::new("semop", errno, &name)
                })?;
                Ok(Created { reference: reference(id), new: true })
            }
            Err(Errno::EEXIST) if spec.exist_ok => {
                let id = resolve(&Ident::Key(key))?;
                let there = ready(id)?;
                if there < nsems {
                    let cause = format!(
                        "it exists with {there} semaphores, {nsems} were asked for; an existing set is never changed"
                    );
                    return Err(Error::refused(&name, Status::Exists, cause));
                }
                Ok(Created { reference: reference(id), new: false })
            }
            Err(Errno::EINVAL) => Err(too_many(values.len(), &name)),
            Err(errno) => Err(Error::new("semget", errno, &name)),
        }
    }

    fn next_id(&self, id: i32) -> nix::Result<()> {
        sysctl::set("kernel.sem_next_id", id)
    }

    fn open(&self, id: &Ident, _: Access) -> Result<Opened> {
        let id = resolve(id)?;
        let count = count(id, &stat(id)?)?;
        Ok(Opened::Counter(Box::new(Set::new(id, count))))
    }

    fn usage(&self, object: &Object, _: &Holders) -> Seen<Usage> {
        let Some(id) = object.id() else { return Seen::Skipped };
        let nsems = object.number("nsems").and_then(|n| u16::try_from(n).ok()).unwrap_or(0);
        let mut waiting = 0;
        for index in 0..nsems {
            for command in [libc::GETNCNT, libc::GETZCNT] {
                match sys::one(id, index, command) {
                    Ok(n) => waiting += n,
                    Err(errno) => return Seen::hidden("semctl", errno as i32),
                }
            }
        }
        Seen::Is(match waiting {
            0 => Usage::Nobody,
            1 => Usage::Somebody("1 process waits on it".to_owned()),
            n => Usage::Somebody(format!("{n} processes wait on it")),
        })
    }

    fn recorded(&self, object: &Object) -> Seen<Vec<Recorded>> {
        let Some(id) = object.id() else { return Seen::Absent };
        let nsems = object.number("nsems").and_then(|n| u16::try_from(n).ok()).unwrap_or(0);
        let mut pids = Vec::new();
        for index in 0..nsems {
            match sys::one(id, index, libc::GETPID) {
                Ok(pid) => pids.push(pid.cast_signed()),
                Err(errno) => return Seen::hidden("semctl", errno as i32),
            }
        }
        pids.sort_unstable();
        pids.dedup();
        // 0 is a semaphore that nobody has operated on.
        pids.retain(|pid| *pid != 0);
        // SETVAL and SETALL record a pid too, without touching sem_otime; they set sem_ctime.
        let at = object.time("otime").max(object.time("ctime"));
        Seen::Is(pids.into_iter().map(|pid| recorded("last operator", pid, at, false)).collect())
    }

    fn remove(&self, object: &Object) -> Result<Option<String>> {
        let id = sysv::id(object, "semctl")?;
        let row = row(id, &stat(id)?);
        sysv::still(object, &row.perm, row.ctime)?;
        sys::remove(id)
            .map(|()| None)
            .map_err(|errno| sysv::denied(sysv::failed("semctl", errno, &object.reference), Some(object)))
    }

    fn set(&self, object: &Object, change: &Change) -> Result<()> {
        let id = sysv::id(object, "semctl")?;
        let mut set = stat(id)?;
        sysv::change(&mut set.sem_perm, change);
        sys::set(id, &mut set).map_err(|errno| sysv::set_failed("semctl", errno, object))
    }

    fn limits(&self) -> Vec<Limit> {
        let info = sys::info();
        let number = |part: fn(sys::Info) -> u64| match info {
            Ok(info) => Seen::Is(part(info)),
            Err(errno) => Seen::hidden("semctl", errno as i32),
        };
        let limit = |name, help, limit, unit, used, setting| Limit {
            noun: Kind::Sem.noun(),
            family: Family::Sysv,
            name,
            help,
            limit,
            used,
            unit,
            setting,
        };
        vec![
            limit(
                "SEMMNI",
                "sets in this IPC namespace",
                number(|info| info.semmni),
                Unit::Objects,
                number(|info| info.sets),
                "kernel.sem, 4th number",
            ),
            limit(
                "SEMMNS",
                "semaphores in all sets",
                number(|info| info.semmns),
                Unit::Objects,
                number(|info| info.semaphores),
                "kernel.sem, 2nd number",
            ),
            limit(
                "SEMMSL",
                "semaphores in one set",
                number(|info| info.semmsl),
                Unit::Objects,
                Seen::Absent,
                "kernel.sem, 1st number",
            ),
            limit(
                "SEMOPM",
                "operations in one call",
                number(|info| info.semopm),
                Unit::Number,
                Seen::Absent,
                "kernel.sem, 3rd number",
            ),
            limit(
                "SEMVMX",
                "value of a semaphore",
                Seen::Is(SEMVMX.into()),
                Unit::Number,
                Seen::Absent,
                "fixed in the kernel",
            ),
        ]
    }
}

fn too_many(count: usize, object: &str) -> Error {
    if count == 0 {
        return Error::refused(object, Status::Limit, "a set has at least one semaphore");
    }
    let cause = format!("a set of {count} semaphores is not permitted");
    Error::new("semget", Errno::EINVAL, object).because(cause).with_status(Status::Limit)
}

fn small(value: u32, object: impl std::fmt::Display) -> Result<u16> {
    u16::try_from(value).ok().filter(|value| *value <= SEMVMX).ok_or_else(|| {
        Error::new("semctl", Errno::ERANGE, object).because(format!("value {value} is over {SEMVMX} (SEMVMX)"))
    })
}

/// Gives a new set its values and its first operation in one call, so that whoever waits for
/// sem_otime (semget(2), NOTES) sees all values or none.
fn initialise(id: i32, values: &[u16], mode: u32) -> nix::Result<()> {
    let op = |index: usize, amount: u16| Op {
        // There are at most as many as the set has, and values are at most SEMVMX.
        index: u16::try_from(index).unwrap_or(u16::MAX),
        amount: i16::try_from(amount).unwrap_or(i16::MAX),
        undo: false,
        nowait: true,
    };
    let mut ops: Vec<Op> =
        values.iter().enumerate().filter(|(_, value)| **value > 0).map(|(at, value)| op(at, *value)).collect();
    if ops.is_empty() {
        // "Wait until it is zero", which a new semaphore is.
        ops.push(op(0, 0));
    }
    match sys::operate(id, &ops, true, None) {
        // More values than operations fit into one call (SEMOPM): the values first, then the sign.
        Err(Errno::E2BIG) => {
            sys::set_all(id, values)?;
            let last = ops.len() - 1;
            let down = Op { amount: -ops[last].amount, ..ops[last] };
            sys::operate(id, &[down, ops[last]], true, None)?;
        }
        result => result?,
    }
    if mode & 0o600 != 0o600 {
        let mut set = sys::stat(id)?;
        sysv::change(&mut set.sem_perm, &Change { mode: Some(mode), ..Change::default() });
        sys::set(id, &mut set)?;
    }
    Ok(())
}

/// Waits until another process has given a set its first values: the other half of the handshake.
/// A set that is older than a moment was made by something that knows no handshake.
fn ready(id: i32) -> Result<u16> {
    let start = Instant::now();
    loop {
        let set = stat(id)?;
        let row = row(id, &set);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let age = now.saturating_sub(u64::try_from(row.ctime).unwrap_or(0));
        if row.otime != 0 || age > IN_THE_MAKING.as_secs() || start.elapsed() > IN_THE_MAKING {
            return count(id, &set);
        }
        // The kernel wakes nobody when sem_otime changes, so there is nothing to block on.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What costs further calls: values, waiters, processes.
fn details(object: &mut Object, needs: Needs) {
    if !needs.has(Needs::CONTENTS) && !needs.has(Needs::PROCESSES) {
        return;
    }
    let (Some(id), Some(nsems)) = (object.id(), object.number("nsems").and_then(|n| u16::try_from(n).ok())) else {
        return;
    };
    if needs.has(Needs::CONTENTS) {
        object.facts.set(
            "semaphores",
            match members(id, nsems) {
                Ok(members) => Seen::Is(Value::List(members)),
                Err(errno) => Seen::hidden("semctl", errno as i32),
            },
        );
    }
    if needs.has(Needs::PROCESSES) {
        object.facts.set("processes", processes(SysvSem.recorded(object)));
    }
}

fn members(id: i32, nsems: u16) -> nix::Result<Vec<Value>> {
    let values = sys::all(id, nsems)?;
    let mut members = Vec::with_capacity(values.len());
    for (index, value) in (0..).zip(values) {
        members.push(super::record(
            index.into(),
            value.into(),
            Seen::Is(sys::one(id, index, libc::GETNCNT)?.into()),
            Seen::Is(sys::one(id, index, libc::GETZCNT)?.into()),
            Seen::Is(sys::one(id, index, libc::GETPID)?.cast_signed()),
        ));
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc::undo::{self, Undo};

    /// A set that goes with the test.
    struct Mine(i32);

    impl Drop for Mine {
        fn drop(&mut self) {
            let _ = sys::remove(self.0);
        }
    }

    fn op(index: u16, amount: i16, undo: bool) -> Op {
        Op { index, amount, undo, nowait: true }
    }

    #[test]
    fn what_was_taken_with_undo_is_seen_in_the_lists_of_the_kernel() {
        let sets = [1, 32000].map(|count| Mine(sys::get(libc::IPC_PRIVATE, count, 0o600).unwrap()));
        let [Mine(small), Mine(large)] = sets;
        sys::operate(small, &[op(0, 3, false), op(0, -2, true)], true, None).unwrap();
        sys::operate(large, &[op(0, 1, true), op(300, 5, false), op(300, -5, true), op(31999, 7, true)], true, None)
            .unwrap();
        let me = nix::unistd::getpid().as_raw();
        let mine = |undos: Vec<Undo>| {
            let mine = undos.into_iter().filter(|undo| undo.pid == me && [small, large].contains(&undo.id));
            mine.map(|undo| (undo.id, undo.adjustments)).collect::<Vec<_>>()
        };
        let undos = match undo::all() {
            Ok(undos) => undos,
            // Not for everybody, and not on every kernel.
            Err(reason) => {
                assert!([libc::EPERM, libc::ENOENT, libc::ENOSYS].contains(&reason.errno), "{reason:?}");
                return;
            }
        };
        let namespace = std::os::linux::fs::MetadataExt::st_ino(&std::fs::metadata("/proc/self/ns/ipc").unwrap());
        assert!(undos.iter().filter(|undo| undo.pid == me).all(|undo| undo.namespace == namespace));
        let mut expected = vec![(small, vec![(0, 2)]), (large, vec![(0, -1), (300, 5), (31999, -7)])];
        expected.sort();
        assert_eq!(mine(undos), expected);
        // Given back, it is held no more; and a set that was removed is held by nobody.
        sys::operate(small, &[op(0, 2, true)], true, None).unwrap();
        sys::remove(large).unwrap();
        assert_eq!(mine(undo::all().unwrap()), []);
    }
}
