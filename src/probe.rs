//! The parsers of everything that comes from outside, over bytes that nobody would write: for the property tests
//! below, and for the fuzz targets, which have no other way in. Each also says what must hold of what was parsed.

use crate::archive::{self, Archive};
use crate::args::{address, reference, scoped, signal, units};
use crate::mech::sock;
use crate::model::{Escaped, Ident, Kind, is_unsafe};
pub use crate::proc::probe::{fdinfo, files, records, types};
use crate::sys::netlink;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;

/// As if it were a word of the command line.
pub fn word(bytes: &[u8]) {
    for kind in std::iter::once(None).chain(Kind::ALL.iter().copied().map(Some)) {
        if let Ok(parsed) = reference::parse(bytes, kind) {
            // What a listing shows is read again, unless some of it cannot be shown as it is.
            let shown = parsed.to_string();
            if !shown.contains('\\') && !matches!(parsed.id, Ident::Path(_) | Ident::Ftok(..)) {
                assert_eq!(reference::parse(shown.as_bytes(), None).as_ref(), Ok(&parsed), "{shown}");
            }
        }
    }
    drop(black_box(reference::ftok(bytes)));
    if let Ok(address) = address::parse(bytes) {
        plain(&address.to_string());
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    drop(black_box((units::duration(text), units::mode(text), units::message_type(text), units::count(text))));
    drop(black_box((signal::signals(text), signal::target(text), signal::value(text), scoped::wanted(text))));
    if let Ok(size) = units::size(text) {
        assert_eq!(units::size(&size.to_string()), Ok(size));
    }
}

/// As if it were a name or a message of somebody else that is shown.
pub fn shown(bytes: &[u8]) {
    let text = Escaped(bytes).to_string();
    plain(&text);
    assert_eq!(unescaped(&text), bytes, "{text}");
}

/// No character of it does anything to a terminal.
fn plain(text: &str) {
    assert!(!text.chars().any(is_unsafe), "{text:?}");
}

/// What printf(1) makes of it with %b.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        match (first, more) {
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).unwrap_or_default();
                bytes.extend(u8::from_str_radix(digits, 16));
                rest = after;
            }
            (b'\\', [_, after @ ..]) => {
                bytes.push(b'\\');
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    bytes
}

/// As if it were what `save` has written.
pub fn saved(bytes: &[u8]) {
    drop(black_box(archive::read_journal(bytes)));
    let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
    let Ok(file) = open(&std::env::temp_dir(), flags, Mode::S_IRUSR) else { return };
    let mut file = std::fs::File::from(file);
    if file.write_all(bytes).is_err() {
        return;
    }
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    if let Ok(archive) = Archive::open(Path::new(&path)) {
        for (at, object) in archive.manifest.objects.iter().enumerate() {
            for number in 0..object.members().len() {
                drop(black_box(archive.message(at, number)));
            }
        }
    }
}

/// As if it were an answer of the kernel about sockets.
pub fn answer(bytes: &[u8]) {
    let mut left = bytes;
    while let Some((_, payload, rest)) = netlink::next(left) {
        black_box(sock::record(payload));
        assert!(rest.len() < left.len());
        left = rest;
    }
    black_box(sock::record(bytes));
    black_box(netlink::attributes(bytes).count());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is parsed is most often nearly right.
    const SAMPLES: &[&[u8]] = &[
        b"7f2c8a000000-7f2c8a021000 rw-s 00000000 00:01 65536                      /SYSV000004d2 (deleted)",
        b"1: POSIX  ADVISORY  WRITE 1234 08:01:131 0 EOF\n1: -> FLOCK  ADVISORY  READ 99 00:1a:7 0 EOF",
        b"1234 (a) b) S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 1 2 3 4 5 6 7 8 9 0 1 2 3 0 0 17 1 0 0 0 0 0",
        b"Name:\tx\nUid:\t0\t1\t2\t3\nNSpid:\t7\t1\nSigQ:\t0/1\nSigBlk:\t00ff\n",
        b"68 0x3 0x7ffd 0x10 0x0 0x0 0x0 0x7ffdaaaa 0x7f00bbbb",
        b"        1234          0   600                  4096  10   11      0  1000  1000  0  0  1  2  3  4096  0",
        b"24 1 0:22 / /dev/shm rw,nosuid shared:3 - tmpfs tmpfs rw,lowerdir=/a\\040b:/c",
        b"pos:\t0\nflags:\t02\nmnt_id:\t9\neventfd-count: 3\neventfd-id: 1\ntfd: 5 events: 19 data: 1\nPid:\t7\n",
        b"0::/system.slice/docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope",
        b"msgq/key/0x4d2",
        b"1.5GiB",
        b"1h30m",
        b"RTMIN+3,TERM",
        b"tcp:[::1]:80",
        b"buf=shm,64K,posix",
        b"{\"journal\":{\"version\":1}}\n{\"message\":{\"priority\":1,\"base64\":\"eA==\"}}\n",
    ];

    fn nearly() -> impl Strategy<Value = Vec<u8>> {
        let changes = proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>(), 0..4u8), 0..6);
        (proptest::sample::select(SAMPLES), changes).prop_map(|(sample, changes)| {
            let mut bytes = sample.to_vec();
            for (at, byte, how) in changes {
                let at = at.index(bytes.len() + 1);
                match how {
                    0 if at < bytes.len() => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    2 => bytes.truncate(at),
                    // Numbers beyond all bounds.
                    _ => drop(bytes.splice(at..at, *b"99999999999999999999")),
                }
            }
            bytes
        })
    }

    fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![3 => nearly(), 1 => proptest::collection::vec(any::<u8>(), 0..300)]
    }

    fn config() -> ProptestConfig {
        ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() }
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn words_of_the_command_line_never_panic_and_are_read_as_they_are_shown(bytes in any_bytes()) {
            word(&bytes);
        }

        #[test]
        fn files_of_proc_never_panic(bytes in any_bytes()) {
            files(&bytes);
            fdinfo(&bytes);
        }

        #[test]
        fn types_records_and_answers_never_panic(bytes in any_bytes()) {
            types(&bytes);
            records(&bytes);
            answer(&bytes);
        }

        #[test]
        fn archives_and_journals_never_panic(bytes in any_bytes()) {
            saved(&bytes);
        }

        #[test]
        fn what_is_shown_is_plain_and_tells_every_byte(bytes in any_bytes()) {
            shown(&bytes);
        }

        #[test]
        fn sizes_are_what_they_say(number in any::<u64>(), unit in 0..7usize) {
            let name = ["", "K", "M", "G", "T", "P", "E"][unit];
            let expected = number.checked_mul(1024u64.pow(u32::try_from(unit).unwrap()));
            let got = units::size(&format!("{number}{name}"));
            match expected {
                // With a unit, numbers beyond 53 bits are rounded.
                Some(size) if number < 1 << 53 && size < 1 << 63 => prop_assert_eq!(got, Ok(size)),
                Some(_) => {}
                None => prop_assert!(got.is_err()),
            }
        }

        #[test]
        fn durations_are_what_they_say(millis in 0..u64::from(u32::MAX)) {
            let got = units::duration(&format!("{millis}ms"));
            prop_assert_eq!(got, Ok(std::time::Duration::from_millis(millis)));
        }

        #[test]
        fn good_rows_are_read_among_bad_ones(bad in proptest::collection::vec(any_bytes(), 0..4), key in any::<i32>()) {
            let row = format!("{key:>10} 7 600 4096 10 11 0 1000 1000 0 0 1 2 3 4096 0");
            let directory = ::tempfile::tempdir().unwrap();
            let path = directory.path().join("shm");
            let lines: Vec<u8> = bad.iter().flat_map(|bad| [bad.as_slice(), b"\n"]).flatten().copied().collect();
            std::fs::write(&path, [lines, row.into_bytes()].concat()).unwrap();
            let table = crate::proc::sysvipc::read(&path, crate::proc::sysvipc::shm).unwrap();
            prop_assert!(table.rows.iter().any(|row| row.perm.id == 7));
        }
    }
}
