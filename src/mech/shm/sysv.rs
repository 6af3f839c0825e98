//! System V shared memory, svipc(7).

use super::bytes::FileBytes;
use super::sys::{self, Memory};
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::mech::{
    Access, Change, Created, Found, Huge, Limit, Mechanism, Opened, Region, Scope, Spec, Unit, Usage, What, processes,
    recorded, sysv, unsupported,
};
use crate::model::{Family, Ident, Kind, Needs, Object, ObjectRef, Recorded, Seen, Value};
use crate::proc::holders::Holders;
use crate::proc::{sysctl, sysvipc};
use crate::sys::{file, waiter};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};
use std::os::fd::{AsFd as _, BorrowedFd};

pub struct SysvShm;

/// The kernel's flags above the permission bits (include/linux/shm.h).
const SHM_DEST: u32 = 0o1000;
const SHM_LOCKED: u32 = 0o2000;

/// A segment that goes with the last detach, in the words of ipcs(1).
const DEST: &str = "dest";
const DEST_LOCKED: &str = "dest,locked";

fn reference(id: i32) -> ObjectRef {
    sysv::reference(Kind::Shm, id)
}

fn resolve(id: &Ident) -> Result<i32> {
    sysv::resolve(Kind::Shm, id, "shmget", |key| sys::get(key, 0, 0))
}

fn stat(id: i32) -> Result<libc::shmid_ds> {
    sys::stat(id).map_err(|errno| sysv::failed("shmctl", errno, &reference(id)))
}

fn from_row(row: &sysvipc::Shm) -> Object {
    let mut object = sysv::object(Kind::Shm, &row.perm, row.ctime, 14);
    let facts = &mut object.facts;
    facts.push("size", Value::Size(row.size));
    facts.push("nattch", Value::Count(row.nattch));
    let status = match (row.perm.mode & SHM_DEST != 0, row.perm.mode & SHM_LOCKED != 0) {
        (true, true) => Seen::Is(Value::Word(DEST_LOCKED)),
        (true, false) => Seen::Is(Value::Word(DEST)),
        (false, true) => Seen::Is(Value::Word("locked")),
        (false, false) => Seen::Absent,
    };
    facts.set("status", status);
    facts.push("cpid", Value::Pid(row.cpid));
    facts.push("lpid", Value::Pid(row.lpid));
    facts.set("atime", sysv::time(row.atime));
    facts.set("dtime", sysv::time(row.dtime));
    sysv::creator(&mut object, &row.perm, row.ctime);
    object
}

fn memory(object: &mut Object, row: &sysvipc::Shm) {
    object.facts.push("rss", Value::Size(row.rss));
    object.facts.push("swap", Value::Size(row.swap));
}

/// The segment as IPC_STAT gives it, in the shape of a line of /proc/sysvipc/shm.
fn row(id: i32, segment: &libc::shmid_ds) -> sysvipc::Shm {
    // The widths of these members differ between C libraries.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    sysvipc::Shm {
        perm: sysv::perm(id, &segment.shm_perm),
        size: segment.shm_segsz as u64,
        cpid: segment.shm_cpid,
        lpid: segment.shm_lpid,
        nattch: segment.shm_nattch as u64,
        atime: i64::from(segment.shm_atime),
        dtime: i64::from(segment.shm_dtime),
        ctime: i64::from(segment.shm_ctime),
        rss: 0,
        swap: 0,
    }
}

impl Mechanism for SysvShm {
    fn kind(&self) -> Kind {
        Kind::Shm
    }

    fn family(&self) -> Family {
        Family::Sysv
    }

    fn takes(&self, id: &Ident) -> bool {
        sysv::takes(id)
    }

    fn estimate(&self) -> u64 {
        sys::info().map_or(0, |(segments, _)| segments)
    }

    fn scope(&self) -> Scope {
        Scope::Ipc
    }

    fn scan(&self, needs: Needs, _: &Holders) -> Found {
        let mut found = Found::default();
        let rows = sysv::table("shm", sysvipc::shm, &mut found.gaps);
        found.objects.reserve_exact(rows.len());
        for row in &rows {
            let mut object = from_row(row);
            memory(&mut object, row);
            details(&mut object, needs);
            found.objects.push(object);
        }
        found
    }

    fn find(&self, id: &Ident, needs: Needs, _: &Holders) -> Result<Object> {
        let id = resolve(id)?;
        let segment = stat(id)?;
        let mut object = from_row(&row(id, &segment));
        if needs.has(Needs::STAT) {
            // What is in memory and in swap stands in the table alone.
            let rows = sysv::table("shm", sysvipc::shm, &mut Vec::new());
            if let Some(row) = rows.iter().find(|row| row.perm.id == id) {
                memory(&mut object, row);
            }
        }
        details(&mut object, needs);
        Ok(object)
    }

    fn create(&self, id: Option<&Ident>, spec: &Spec) -> Result<Created> {
        let What::Region { size, huge, content } = &spec.what else {
            unreachable!("shared memory is made from the shape of a region")
        };
        let (key, name) = sysv::create_key(Kind::Shm, id)?;
        let bytes = usize::try_from(*size).map_err(|_| Error::new("shmget", Errno::EINVAL, &name))?;
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | huge_flags(*huge, &name)?;
        // Until it is filled only its owner may look.
        let first = if content.is_some() { 0o600 } else { spec.permissions() };
        match sys::get(key, bytes, flags | first.cast_signed()) {
            Ok(id) => {
                if let Some(content) = content {
                    fill(id, content, *size, spec.permissions()).inspect_err(|_| {
                        let _ = sys::command(id, libc::IPC_RMID);
                    })?;
                }
                Ok(Created { reference: reference(id), new: true })
            }
            Err(Errno::EEXIST) if spec.exist_ok => {
                let id = resolve(&Ident::Key(key))?;
                let there = stat(id)?.shm_segsz as u64;
                if there < *size {
                    return Err(Error::refused(
                        &name,
                        Status::Exists,
                        format!(
                            "it exists with {there} bytes, {size} were asked for; an existing object is never resized"
                        ),
                    ));
                }
                Ok(Created { reference: reference(id), new: false })
            }
            Err(Errno::EINVAL) if *size == 0 => {
                Err(Error::refused(name, Status::Limit, "a System V segment has at least 1 byte"))
            }
            Err(errno @ Errno::EINVAL) => {
                let cause = format!("a segment of {size} bytes is not permitted");
                let error = match huge {
                    None => Error::new("shmget", errno, name).because(cause),
                    Some(_) => Error::new("shmget-huge", errno, name).because("there are no huge pages of that size"),
                };
                Err(error.with_status(Status::Limit))
            }
            Err(errno) => Err(Error::new(if huge.is_some() { "shmget-huge" } else { "shmget" }, errno, &name)),
        }
    }

    fn next_id(&self, id: i32) -> nix::Result<()> {
        sysctl::set("kernel.shm_next_id", id)
    }

    fn open(&self, id: &Ident, access: Access) -> Result<Opened> {
        let id = resolve(id)?;
        let size = stat(id)?.shm_segsz;
        let segment = Segment::attach(id, size, access == Access::Read)
            .map_err(|error| if error.errno == Errno::EACCES { denied(error, id) } else { error })?;
        Ok(Opened::Region(Box::new(segment)))
    }

    fn usage(&self, object: &Object, _: &Holders) -> Seen<Usage> {
        match object.number("nattch") {
            Some(0) => Seen::Is(Usage::Nobody),
            Some(1) => Seen::Is(Usage::Somebody("1 attachment".to_owned())),
            Some(n) => Seen::Is(Usage::Somebody(format!("{n} attachments"))),
            None => Seen::Skipped,
        }
    }

    fn recorded(&self, object: &Object) -> Seen<Vec<Recorded>> {
        let mut records = vec![recorded("creator", object.pid("cpid").unwrap_or(0), object.time("ctime"), false)];
        let last = object.time("atime").max(object.time("dtime"));
        if last.is_some() {
            records.push(recorded("last attach or detach", object.pid("lpid").unwrap_or(0), last, true));
        }
        Seen::Is(records)
    }

    fn can_remove(&self, object: &Object) -> Result<()> {
        if !matches!(object.facts.get("status"), Some(Seen::Is(Value::Word(DEST | DEST_LOCKED)))) {
            return Ok(());
        }
        let left = object.number("nattch").unwrap_or(0);
        let cause = format!("it is removed already; its memory is freed at the last of {left} detaches");
        Err(Error::refused(&object.reference, Status::Failed, cause).hinting("`ipcx show` tells who has it attached"))
    }

    fn remove(&self, object: &Object) -> Result<Option<String>> {
        let id = sysv::id(object, "shmctl")?;
        let segment = stat(id)?;
        let row = row(id, &segment);
        sysv::still(object, &row.perm, row.ctime)?;
        sys::command(id, libc::IPC_RMID)
            .map_err(|errno| sysv::denied(sysv::failed("shmctl", errno, &object.reference), Some(object)))?;
        Ok((row.nattch > 0).then(|| format!("its memory is freed at the last of {} detaches", row.nattch)))
    }

    fn set(&self, object: &Object, change: &Change) -> Result<()> {
        let id = sysv::id(object, "shmctl")?;
        let mut segment = stat(id)?;
        sysv::change(&mut segment.shm_perm, change);
        sys::set(id, &mut segment).map_err(|errno| sysv::set_failed("shmctl", errno, object))
    }

    fn lock(&self, object: &Object, locked: bool) -> Result<()> {
        let id = sysv::id(object, "shmctl")?;
        let command = if locked { libc::SHM_LOCK } else { libc::SHM_UNLOCK };
        sys::command(id, command).map_err(|errno| {
            if errno == Errno::EPERM && getrlimit(Resource::RLIMIT_MEMLOCK).is_ok_and(|(soft, _)| soft == 0) {
                return Error::new("shmctl-lock", errno, &object.reference)
                    .because("this user may lock nothing")
                    .with_status(Status::Limit);
            }
            sysv::denied(sysv::failed("shmctl-lock", errno, &object.reference), Some(object))
        })
    }

    fn limits(&self) -> Vec<Limit> {
        let hidden = |errno: Errno| Seen::hidden("shmctl", errno as i32);
        let (info, bounds) = (sys::info(), sys::bounds());
        let used = |part: fn((u64, u64)) -> u64| info.map_or_else(hidden, |info| Seen::Is(part(info)));
        let limit = |name, help, setting, unit, limit: fn(sys::Bounds) -> u64, used| Limit {
            noun: Kind::Shm.noun(),
            family: Family::Sysv,
            name,
            help,
            limit: bounds.map_or_else(hidden, |bounds| Seen::Is(limit(bounds))),
            used,
            unit,
            setting,
        };
        vec![
            limit(
                "SHMMNI",
                "segments in this IPC namespace",
                "kernel.shmmni",
                Unit::Objects,
                |bounds| bounds.shmmni,
                used(|(segments, _)| segments),
            ),
            limit(
                "SHMALL",
                "pages of all segments, each rounded up",
                "kernel.shmall",
                Unit::Pages,
                |bounds| bounds.shmall,
                used(|(_, pages)| pages),
            ),
            limit("SHMMAX", "bytes of one segment", "kernel.shmmax", Unit::Bytes, |bounds| bounds.shmmax, Seen::Absent),
        ]
    }
}

fn huge_flags(huge: Option<Huge>, object: &str) -> Result<i32> {
    const SHM_HUGE_SHIFT: u32 = 26;
    match huge {
        None => Ok(0),
        Some(Huge::Default) => Ok(libc::SHM_HUGETLB),
        Some(Huge::Size(size)) if size.is_power_of_two() && size >= 4096 => {
            Ok(libc::SHM_HUGETLB | (size.ilog2() << SHM_HUGE_SHIFT).cast_signed())
        }
        Some(Huge::Size(size)) => {
            Err(Error::refused(object, Status::Usage, format!("{size} is no size of a huge page")))
        }
    }
}

fn denied(error: Error, id: i32) -> Error {
    let object = stat(id).ok().map(|segment| from_row(&row(id, &segment)));
    sysv::denied(error, object.as_ref())
}

/// Fills a new segment from a file, then gives it the mode that was asked for. A signal that ends
/// the input as well, such as ^C on a pipeline, is EINTR and no end.
fn fill(id: i32, content: &std::fs::File, size: u64, mode: u32) -> Result<()> {
    let mut new = Segment::attach(id, at(size), false)?;
    let mut done = 0;
    while done < size {
        done += file::skip_hole(content, size - done);
        match new.fill(done, at(size - done), content.as_fd())? {
            Ok(0) => break,
            Ok(got) => done += got as u64,
            Err(Errno::EINTR) if waiter::caught().is_none() => {}
            Err(errno) => return Err(Error::new("read", errno, reference(id))),
        }
    }
    if waiter::caught().is_some() {
        return Err(Error::new("read", Errno::EINTR, reference(id)));
    }
    let mut segment = stat(id)?;
    sysv::change(&mut segment.shm_perm, &Change { mode: Some(mode), ..Change::default() });
    sys::set(id, &mut segment).map_err(|errno| Error::new("shmctl", errno, reference(id)))
}

fn details(object: &mut Object, needs: Needs) {
    if needs.has(Needs::CONTENTS) {
        let bytes = if needs.has(Needs::ATTACH) { first_bytes(object) } else { Seen::Skipped };
        object.facts.set("first_bytes", bytes);
    }
    if needs.has(Needs::PROCESSES) {
        object.facts.set("processes", processes(SysvShm.recorded(object)));
    }
}

fn first_bytes(object: &Object) -> Seen<Value> {
    let (Some(id), Some(size)) = (object.id(), object.number("size").and_then(|size| usize::try_from(size).ok()))
    else {
        return Seen::Skipped;
    };
    // Attaching counts as a use and moves atime and lpid, so a removed segment is left alone.
    match Memory::attach(id, size, true) {
        Ok(memory) => {
            let mut bytes = vec![0; size.min(super::SHOWN)];
            memory.copy_out(0, &mut bytes);
            Seen::Is(super::lines(&bytes))
        }
        Err(errno) => Seen::hidden("shmat", errno as i32),
    }
}

/// An attached segment. It is detached when this is dropped.
struct Segment {
    reference: ObjectRef,
    size: usize,
    memory: Memory,
    /// The file that the kernel keeps the segment in, where we may open it: its pages are filled
    /// without a fault for each.
    file: Option<FileBytes>,
}

impl Segment {
    fn attach(id: i32, size: usize, read_only: bool) -> Result<Segment> {
        let memory =
            Memory::attach(id, size, read_only).map_err(|errno| sysv::failed("shmat", errno, &reference(id)))?;
        let file = memory.file(read_only).ok().map(FileBytes::new);
        Ok(Segment { reference: reference(id), size, memory, file })
    }
}

fn at(offset: u64) -> usize {
    // The caller has compared it with the size, which is a usize.
    usize::try_from(offset).unwrap_or(usize::MAX)
}

impl Region for Segment {
    fn size(&self) -> Result<u64> {
        Ok(self.size as u64)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        match &self.file {
            // To read a page that nobody has written yet through a mapping would give it memory (shmem_fault).
            Some(file) => file.read_at(offset, into).map_err(|errno| Error::new("read", errno, &self.reference)),
            None => {
                self.memory.copy_out(at(offset), into);
                Ok(())
            }
        }
    }

    fn write_at(&mut self, offset: u64, from: &[u8]) -> Result<()> {
        self.memory.copy_in(at(offset), from);
        Ok(())
    }

    fn pour(&mut self, offset: u64, length: usize, to: BorrowedFd<'_>) -> Result<nix::Result<usize>> {
        match &mut self.file {
            Some(file) => file.pour(offset, length, to).map_err(|errno| Error::new("read", errno, &self.reference)),
            None => Ok(self.memory.write_to(at(offset), length, to)),
        }
    }

    fn fill(&mut self, offset: u64, length: usize, from: BorrowedFd<'_>) -> Result<nix::Result<usize>> {
        match &mut self.file {
            Some(file) => file.fill(offset, length, from).map_err(|errno| Error::new("write", errno, &self.reference)),
            None => Ok(self.memory.read_from(at(offset), length, from)),
        }
    }

    fn resize(&mut self, _: u64) -> Result<()> {
        Err(unsupported(
            &self.reference,
            "the size of a System V segment is fixed when it is made",
            "POSIX and file-backed shared memory can be resized",
        ))
    }

    fn address(&mut self) -> Result<usize> {
        Ok(self.memory.address())
    }
}
