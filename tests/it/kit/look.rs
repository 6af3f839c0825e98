//! What a test looks for in what ipcx printed.

use super::{Env, unmount};
use nix::sys::statfs::statfs;
use serde_json::Value;
use std::ffi::OsStr;

/// Runs ipcx, which must end with this status and print no result; what it said instead.
#[track_caller]
pub fn refused<S: AsRef<OsStr>>(env: &Env, status: i32, args: impl IntoIterator<Item = S>) -> String {
    let output = env.ipcx(args).assert().code(status).get_output().clone();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "a failure has no result");
    String::from_utf8(output.stderr).unwrap()
}

/// The element of a list of objects that has this reference.
#[track_caller]
pub fn by_ref<'a>(objects: &'a Value, reference: &str) -> &'a Value {
    let found = objects.as_array().unwrap().iter().find(|object| object["ref"] == reference);
    found.unwrap_or_else(|| panic!("no {reference} in {objects:#}"))
}

/// The element of a list that has this name.
#[track_caller]
pub fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let found = list.as_array().unwrap().iter().find(|one| one["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {list:#}"))
}

/// The references of a list of objects.
pub fn refs(objects: &Value) -> Vec<&str> {
    objects.as_array().unwrap().iter().map(|object| object["ref"].as_str().unwrap()).collect()
}

/// Fails if text for people holds anything that could act on a terminal: control characters,
/// changes of direction, invisible characters, invalid UTF-8.
#[track_caller]
pub fn assert_harmless(what: &str, text: &[u8]) {
    let shown = String::from_utf8_lossy(text).escape_debug().to_string();
    let text = std::str::from_utf8(text).unwrap_or_else(|_| panic!("{what} is not UTF-8: {shown}"));
    let bad = text.chars().find(|c| {
        (c.is_control() && *c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    });
    assert_eq!(bad, None, "{what}: {shown}");
}

const MQUEUE: &str = "/dev/mqueue";

fn mqueue_is_mounted() -> bool {
    statfs(MQUEUE).is_ok_and(|fs| fs.filesystem_type().0 == 0x1980_0202)
}

/// A machine on which mqueue is not mounted.
pub fn unmount_mqueue(_: &Env) {
    while mqueue_is_mounted() {
        unmount(MQUEUE);
    }
}

/// A machine on which mqueue is mounted; where there is no place to mount it, /dev becomes a
/// directory of the test's own.
pub fn mount_mqueue(env: &Env) {
    if mqueue_is_mounted() {
        return;
    }
    let script = "mkdir dev; mount -t tmpfs ipcx-it dev; cd dev; chmod 755 .; mkdir shm mqueue
        for device in null zero full; do : >$device; mount --bind /dev/$device $device; done
        mount --rbind /dev/shm shm; mount -t mqueue ipcx-it mqueue; mount --rbind . /dev; umount mqueue";
    env.sh(script).assert().success();
    assert!(mqueue_is_mounted());
}
