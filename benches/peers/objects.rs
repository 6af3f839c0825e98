//! Making, locking, removing and keeping objects, beside the tools that do one of these.

use crate::measure::{Job, Sample};
use crate::report::{Report, Row, Unit};
use crate::tools::{self, Tools};
use anyhow::Result;
use std::fs;
use std::path::Path;

/// A process takes a millisecond, so there is time for many.
const PAIRS: usize = 100;
/// Queues that are removed at once.
const MANY: usize = 10_000;
/// Bytes of a segment that is saved.
const BYTES: u64 = 1 << 30;

pub fn run(tools: &Tools, report: &mut Report) -> Result<()> {
    starts(tools, report)?;
    remove(tools, report)?;
    save(tools, report)
}

/// What a script does often, each a process or a few.
fn starts(tools: &Tools, report: &mut Report) -> Result<()> {
    let set = tools::output("ipcx sem create --value 1")?;
    let run = format!("ipcx sem run {set} -- true");
    let me = std::process::id();
    let (ours_signal, their_signal) = (format!("ipcx signal send 0 {me}"), format!("/bin/kill -0 {me}"));
    let bare = "q=$(ipcmk -Q | grep -o '[0-9]*$'); true; ipcrm -q $q";
    let rows: [(&str, &str, &str, &str); 5] = [
        ("make/segment", "ipcx shm create --size 4096", "ipcmk", "ipcmk -M 4096"),
        ("make/fifo", "ipcx mkfifo ./f", "mkfifo", "mkfifo g"),
        ("lock/run", &run, "flock", "flock lock true"),
        ("signal/send", &ours_signal, "kill", &their_signal),
        ("with/queue", "ipcx with q=msgq -- true", "ipcrm", &tools::script("with.sh", bare)?),
    ];
    for (name, ours, peer, theirs) in rows {
        if let Some(reason) = tools.missing(peer) {
            report.skip(name, &reason)?;
            continue;
        }
        let fresh = |job: &str, file: &str| {
            drop(fs::remove_file(file));
            Job::new(job).run()
        };
        let against = if name == "with/queue" { "sh, ipcmk, ipcrm" } else { peer };
        let row = Row { name, against, unit: Unit::Time, wanted: None };
        report.compare(row, PAIRS, || fresh(ours, "f"), || fresh(theirs, "g"))?;
    }
    Ok(())
}

/// Ten thousand queues by their identifiers.
fn remove(tools: &Tools, report: &mut Report) -> Result<()> {
    const NAME: &str = "rm/10000";
    if let Some(reason) = ["mkmany", "ipcrm"].into_iter().find_map(|tool| tools.missing(tool)) {
        return report.skip(NAME, &reason);
    }
    if !report.wants(NAME) {
        return Ok(());
    }
    crate::sys::new_ipc()?;
    fs::write("/proc/sys/kernel/msgmni", "32000")?;
    let time = |before: &str, each: &str| -> Result<Sample> {
        tools::output(&format!("mkmany 0 0 {MANY}"))?;
        let rows = fs::read_to_string("/proc/sysvipc/msg")?;
        let ids = rows.lines().skip(1).filter_map(|row| row.split_whitespace().nth(1));
        let words: Vec<String> = ids.map(|id| format!("{each}{id}")).collect();
        Job::new(format!("{before} {}", words.join(" "))).run()
    };
    let row = Row { name: NAME, against: "ipcrm", unit: Unit::Time, wanted: None };
    report.compare(row, report.pairs, || time("ipcx msgq rm -q", ""), || time("ipcrm", "-q "))?;
    Ok(())
}

/// A large segment into an archive and back.
fn save(tools: &Tools, report: &mut Report) -> Result<()> {
    let rows = ["save/segment", "restore/segment"];
    if let Some(reason) = tools.missing("tar") {
        return rows.into_iter().try_for_each(|name| report.skip(name, &reason));
    }
    if !rows.into_iter().any(|name| report.wants(name)) {
        return Ok(());
    }
    let region = format!("/bench-{}", std::process::id());
    let file = format!("/dev/shm{region}");
    tools::output(&format!("ipcx shm create {region} --size {BYTES}"))?;
    tools::output(&tools::script("fill.sh", &format!("head -c {BYTES} /dev/urandom | ipcx shm write {region}"))?)?;
    let saved = format!("ipcx save -q shm/{region} -f ours.tar");
    // The sums that are in our archive too.
    let theirs =
        tools::script("tar.sh", &format!("tar -C /dev/shm -cf theirs.tar .{region} && sha256sum {file} > sum"))?;
    let unpack = tools::script("untar.sh", "tar -C /dev/shm -xf theirs.tar && sha256sum -c sum > /dev/null")?;
    let again = |archive: &str, job: &str, object: &str| -> Result<Sample> {
        for old in [archive, object].into_iter().filter(|old| Path::new(old).exists()) {
            fs::remove_file(old)?;
        }
        Job::new(job).run()
    };
    let row = |name| Row { name, against: "tar, sha256sum", unit: Unit::Bytes(BYTES), wanted: None };
    let pairs = report.pairs;
    report.compare(row(rows[0]), pairs, || again("ours.tar", &saved, ""), || again("theirs.tar", &theirs, ""))?;
    if report.wants(rows[1]) {
        for (archive, job) in [("ours.tar", &saved), ("theirs.tar", &theirs)] {
            again(archive, job, "")?;
        }
        let restore = || again("", "ipcx restore -q ours.tar", &file);
        report.compare(row(rows[1]), pairs, restore, || again("", &unpack, &file))?;
    }
    [&file, "ours.tar", "theirs.tar", "sum"].into_iter().for_each(|old| drop(fs::remove_file(old)));
    Ok(())
}
