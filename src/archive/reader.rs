//! An archive that is read: all of it is checked before any of it is used.

use super::InHand;
use super::format::{Content, MANIFEST, MANIFEST_MAX, Manifest, Member, Message, VERSION, hex, sum};
use super::writer::{BLOCK, PIECE};
use super::{bad, journal, shown};
use crate::error::{Error, Result};
use crate::sys::{file, waiter};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, stat};
use nix::sys::uio::pread;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// How many zeros may follow the end: tar(1) fills up to its record, which has 10 KiB unless asked otherwise.
const PADDING_MAX: u64 = 1 << 20;

/// An archive, or a journal, in which everything is as its manifest says.
#[derive(Debug)]
pub struct Archive {
    file: File,
    path: PathBuf,
    pub manifest: Manifest,
    /// Where the members of each object are.
    places: Vec<Places>,
    /// Whether the last line of a journal was cut off.
    pub torn: bool,
    /// Of a journal, where the message in hand was put.
    pub slot: Option<InHand>,
    /// The file as it was when it was checked.
    checked: Version,
}

#[derive(Debug)]
enum Places {
    /// Offsets in the file.
    At(Vec<u64>),
    /// The bytes of messages.
    Held(Vec<Vec<u8>>),
}

/// What changes when somebody writes to a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Version(i64, i64, i64, i64, i64);

impl Version {
    fn of(file: &FileStat) -> Version {
        Version(file.st_size, file.st_mtime, file.st_mtime_nsec, file.st_ctime, file.st_ctime_nsec)
    }
}

/// To read the version of a manifest that has another form.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Archive {
    /// Opens an archive and checks the whole of it. Status 3 if there is none.
    pub fn open(path: &Path) -> Result<Archive> {
        let failed = |call, errno| {
            let error = Error::new(call, errno, shown(path));
            if errno == Errno::ENOENT { error.because("there is no such file") } else { error }
        };
        // To open a FIFO or a device may already do something to it.
        must_be_regular(&stat(path).map_err(|errno| failed("stat", errno))?, path)?;
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let file = File::from(open(path, flags, Mode::empty()).map_err(|errno| failed("open", errno))?);
        let now = fstat(&file).map_err(|errno| failed("fstat", errno))?;
        must_be_regular(&now, path)?;
        let mut first = [0];
        let is_journal = pread(&file, &mut first, 0).is_ok_and(|got| got == 1) && first == *b"{";
        let length = u64::try_from(now.st_size).unwrap_or(0);
        let (manifest, places, torn, slot) = if is_journal {
            let read = journal::read(BufReader::new(&file)).map_err(|cause| bad(path, cause))?;
            (read.manifest, read.held.into_iter().map(Places::Held).collect(), read.torn, read.slot)
        } else {
            let (manifest, places) = read(&file, length, path)?;
            (manifest, places, false, None)
        };
        manifest.check().map_err(|cause| forged(path, &cause))?;
        let archive = Archive { file, path: path.to_owned(), manifest, places, torn, slot, checked: Version::of(&now) };
        archive.unchanged()?;
        Ok(archive)
    }

    /// Adds a message to the last queue of a journal.
    pub fn add(&mut self, priority: u32, text: Vec<u8>) {
        let Some(entry) = self.manifest.objects.last_mut() else { return };
        if let (Content::Channel { messages, .. }, Some(Places::Held(held))) =
            (&mut entry.content, self.places.last_mut())
        {
            let member = Member { member: String::new(), size: text.len() as u64, sha256: sum(&text) };
            messages.push(Message { kind: None, priority: Some(priority), text: member });
            held.push(text);
        }
        let last = self.manifest.objects.len() - 1;
        self.manifest.objects[last].name_members(last);
    }

    /// Says whether the file still is as it was checked.
    pub fn unchanged(&self) -> Result<()> {
        match fstat(&self.file) {
            Ok(now) if Version::of(&now) == self.checked => Ok(()),
            _ => Err(bad(&self.path, "somebody writes to the archive")),
        }
    }

    /// The bytes of a segment: a file that stands at its first one, and only stays there until the next is asked
    /// for.
    pub fn region(&self, object: usize) -> Result<File> {
        let Places::At(offsets) = &self.places[object] else { return Err(bad(&self.path, "it holds no segment")) };
        let at = |mut file: File| file.seek(SeekFrom::Start(offsets[0])).map(|_| file);
        self.file.try_clone().and_then(at).map_err(|error| self.fail(&error))
    }

    /// The bytes of a message.
    pub fn message(&self, object: usize, number: usize) -> Result<Vec<u8>> {
        match &self.places[object] {
            Places::Held(messages) => Ok(messages[number].clone()),
            Places::At(offsets) => {
                let Content::Channel { messages, .. } = &self.manifest.objects[object].content else {
                    return Err(bad(&self.path, "it holds no messages there"));
                };
                let size = messages[number].text.size;
                let mut text = Vec::new();
                let mut file = &self.file;
                file.seek(SeekFrom::Start(offsets[number]))
                    .and_then(|_| file.take(size).read_to_end(&mut text))
                    .map_err(|error| self.fail(&error))?;
                Ok(text)
            }
        }
    }

    fn fail(&self, error: &io::Error) -> Error {
        Error::new("read", file::errno(error), shown(&self.path))
    }
}

fn must_be_regular(stat: &FileStat, path: &Path) -> Result<()> {
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG {
        return Ok(());
    }
    Err(bad(path, "it is no regular file"))
}

fn forged(path: &Path, cause: &str) -> Error {
    bad(path, format!("it is no archive that can be trusted: {cause}"))
}

/// Reads and checks a tar file: the manifest, and after it exactly the members that it names.
fn read(file: &File, length: u64, path: &Path) -> Result<(Manifest, Vec<Places>)> {
    let mut archive = tar::Archive::new(file);
    // Raw: what extends the next member, of whatever length, is a member that should not be there.
    let entries = archive.entries().map_err(|error| broken(path, &error))?;
    let mut members = Members { entries: entries.raw(true), length, path, last: (0, 0) };
    let mut json = Vec::new();
    let first = members.next(MANIFEST, None)?;
    if first.size() > MANIFEST_MAX {
        return Err(forged(path, "its manifest is too long"));
    }
    first.take(MANIFEST_MAX).read_to_end(&mut json).map_err(|error| broken(path, &error))?;
    if json.len() as u64 != members.last.1 {
        return Err(truncated(path));
    }
    let manifest = parse(&json, path)?;
    drop(json);
    // Before its sizes and names are used for anything.
    manifest.check().map_err(|cause| forged(path, &cause))?;
    let mut places = Vec::with_capacity(manifest.objects.len());
    let mut piece = vec![0; PIECE];
    for entry in &manifest.objects {
        let each = entry.members().into_iter().map(|member| members.verify(member, &mut piece));
        places.push(Places::At(each.collect::<Result<_>>()?));
    }
    members.end(file)?;
    Ok((manifest, places))
}

fn parse(json: &[u8], path: &Path) -> Result<Manifest> {
    let wrong = |error: serde_json::Error| {
        // The message of the library may quote what somebody wrote.
        let cause = format!("its manifest is wrong in line {}, column {}", error.line(), error.column());
        forged(path, &cause)
    };
    match serde_json::from_slice::<Versioned>(json).map_err(wrong)?.version {
        VERSION => serde_json::from_slice(json).map_err(wrong),
        version => Err(bad(path, format!("it is an archive of version {version}, which this ipcx does not know"))),
    }
}

fn truncated(path: &Path) -> Error {
    bad(path, "the archive ends too early: it was truncated")
}

/// What the library says of a file that is no tar, in our words.
fn broken(path: &Path, error: &io::Error) -> Error {
    match (error.raw_os_error(), error.kind()) {
        (Some(errno), _) => Error::new("read", Errno::from_raw(errno), shown(path)),
        (None, io::ErrorKind::UnexpectedEof) => truncated(path),
        (None, _) => bad(path, "it is no archive, or a damaged one"),
    }
}

/// The members of a tar file, one after the other.
struct Members<'a> {
    entries: tar::Entries<'a, &'a File>,
    length: u64,
    path: &'a Path,
    /// Where the last one begins and how long it is.
    last: (u64, u64),
}

impl<'a> Members<'a> {
    /// The next member, which must have this name and this size.
    fn next(&mut self, name: &str, size: Option<u64>) -> Result<tar::Entry<'a, &'a File>> {
        let path = self.path;
        let entry = match self.entries.next() {
            Some(entry) => entry.map_err(|error| broken(path, &error))?,
            None => return Err(truncated(path)),
        };
        let is_it = entry.header().entry_type().is_file() && *entry.path_bytes() == *name.as_bytes();
        if !is_it {
            return Err(forged(path, &format!("where the member {name} should be is another one")));
        }
        let (start, length) = (entry.raw_file_position(), entry.size());
        if size.is_some_and(|size| size != length) {
            return Err(forged(path, &format!("the member {name} has another size than its manifest says")));
        }
        if start.checked_add(length).is_none_or(|end| end > self.length) {
            return Err(truncated(path));
        }
        self.last = (start, length);
        Ok(entry)
    }

    /// Reads a member and compares its sum; where it begins.
    fn verify(&mut self, member: &Member, piece: &mut [u8]) -> Result<u64> {
        let mut entry = self.next(&member.member, Some(member.size))?;
        let (mut sum, mut done) = (Sha256::new(), 0);
        loop {
            if let Some(signal) = waiter::caught() {
                return Err(Error::interrupted("read", signal, shown(self.path)));
            }
            match entry.read(piece) {
                Ok(0) => break,
                Ok(got) => {
                    sum.update(&piece[..got]);
                    done += got as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(self.path, &error)),
            }
        }
        if done != member.size {
            return Err(truncated(self.path));
        }
        if hex(sum) != member.sha256 {
            let cause = format!("the member {} is damaged: its SHA-256 sum is another one", member.member);
            return Err(bad(self.path, cause));
        }
        Ok(self.last.0)
    }

    /// After the last member come zeros, two blocks at least, and nothing else.
    fn end(&self, mut file: &File) -> Result<()> {
        let end = (self.last.0 + self.last.1).next_multiple_of(BLOCK);
        if end + 2 * BLOCK > self.length {
            return Err(truncated(self.path));
        }
        if self.length - end > PADDING_MAX {
            return Err(forged(self.path, "too much follows its last member"));
        }
        let mut rest = Vec::new();
        file.seek(SeekFrom::Start(end))
            .and_then(|_| file.take(PADDING_MAX).read_to_end(&mut rest))
            .map_err(|error| broken(self.path, &error))?;
        if rest.iter().any(|byte| *byte != 0) {
            return Err(forged(self.path, "there is more in it than its manifest says"));
        }
        Ok(())
    }
}

#[cfg(test)]
pub mod tests {
    use super::super::format::{Content, Entry, Message, sum};
    use super::super::writer::Writer;
    use super::*;
    use crate::exit::Status;
    use crate::model::{Family, Kind, Text};
    use std::collections::BTreeMap;
    use std::fs;

    fn entry(kind: Kind, id: i32, content: Content) -> Entry {
        Entry {
            shown: format!("{}/{id}", kind.noun()),
            kind,
            family: Family::Sysv,
            id: Some(id),
            key: None,
            name: None,
            mode: 0o640,
            uid: 0,
            gid: 0,
            user: "root".into(),
            group: "root".into(),
            times: BTreeMap::new(),
            content,
        }
    }

    fn member(bytes: &[u8]) -> Member {
        Member { member: String::new(), size: bytes.len() as u64, sha256: sum(bytes) }
    }

    /// A POSIX queue without messages.
    pub fn queue(name: &str, max_messages: u64) -> Entry {
        let content = Content::Channel {
            max_bytes: None,
            max_messages: Some(max_messages),
            message_size: Some(64),
            messages: Vec::new(),
        };
        Entry {
            shown: format!("msgq/{name}"),
            family: Family::Posix,
            id: None,
            name: Some(Text::from(name)),
            ..entry(Kind::Msgq, 0, content)
        }
    }

    const SEGMENT: &[u8] = b"what is in the segment";
    const TEXTS: [&[u8]; 2] = [b"first", b""];

    fn entries() -> Vec<Entry> {
        let message = |text: &&[u8]| Message { kind: Some(7), priority: None, text: member(text) };
        let messages = TEXTS.iter().map(message).collect();
        let (max_messages, message_size) = (None, None);
        let channel = Content::Channel { max_bytes: Some(16384), max_messages, message_size, messages };
        let mut entries = vec![
            Entry { key: Some(-2), ..entry(Kind::Shm, 65536, Content::Region(member(SEGMENT))) },
            entry(Kind::Msgq, 0, channel),
            entry(Kind::Sem, 3, Content::Counter { values: vec![1, 0, 32767] }),
            queue("/jobs", 3),
        ];
        entries.iter_mut().enumerate().for_each(|(at, entry)| entry.name_members(at));
        entries
    }

    /// Writes an archive of these objects with the contents above.
    fn write(path: &Path, entries: Vec<Entry>) {
        let manifest = Manifest::new(entries);
        let mut writer = Writer::create(path).unwrap();
        writer.begin(&manifest).unwrap();
        for (name, bytes) in [("shm/65536", SEGMENT), ("msgq/0/000000", TEXTS[0]), ("msgq/0/000001", TEXTS[1])] {
            let read = |offset: u64, into: &mut [u8]| {
                let at = usize::try_from(offset).unwrap();
                into.copy_from_slice(&bytes[at..at + into.len()]);
                Ok(())
            };
            assert_eq!(writer.member(name, bytes.len() as u64, read).unwrap().unwrap(), sum(bytes));
        }
        writer.finish(&manifest).unwrap();
    }

    /// Changes the bytes of a good archive; whether it is refused, and why.
    fn spoilt(change: impl FnOnce(&mut Vec<u8>)) -> std::result::Result<Archive, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.tar");
        write(&path, entries());
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(&path, &bytes).unwrap();
        Archive::open(&path).map_err(|error| error.to_string())
    }

    fn header(bytes: &mut [u8], at: usize, change: impl FnOnce(&mut tar::Header)) {
        let mut header = tar::Header::new_old();
        header.as_mut_bytes().copy_from_slice(&bytes[at..at + 512]);
        change(&mut header);
        header.set_cksum();
        bytes[at..at + 512].copy_from_slice(header.as_bytes());
    }

    /// Where the header of a member is.
    fn header_of(bytes: &[u8], name: &str) -> usize {
        let is_it = |at: &usize| bytes[*at..].starts_with(name.as_bytes()) && bytes[at + name.len()] == 0;
        (0..bytes.len()).step_by(512).find(is_it).unwrap()
    }

    /// Writes another manifest, of the same length, with an old text replaced by a new one.
    fn forge(bytes: &mut Vec<u8>, old: &str, new: &str) {
        let end = header_of(bytes, "shm/65536");
        let manifest = String::from_utf8(bytes[512..end].to_vec()).unwrap();
        assert!(manifest.contains(old), "{old} in {manifest}");
        let mut forged = manifest.replace(old, new).trim_end_matches(['\0', '\n']).as_bytes().to_vec();
        let blocks = forged.len().next_multiple_of(512);
        forged.resize(blocks, b'\n');
        bytes.splice(512..end, forged);
        header(bytes, 0, |header| header.set_size(blocks as u64));
    }

    #[test]
    fn what_was_written_is_read_and_every_byte_of_it_can_be_had() {
        let archive = spoilt(|_| {}).unwrap();
        assert_eq!(archive.manifest.objects, entries());
        let mut bytes = Vec::new();
        archive.region(0).unwrap().take(SEGMENT.len() as u64).read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, SEGMENT);
        assert_eq!(archive.message(1, 0).unwrap(), TEXTS[0]);
        assert_eq!(archive.message(1, 1).unwrap(), TEXTS[1]);
        // tar(1) fills up to its record.
        assert!(spoilt(|bytes| bytes.resize(bytes.len().next_multiple_of(10240), 0)).is_ok());
    }

    #[test]
    fn an_archive_that_was_cut_off_anywhere_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.tar");
        write(&path, entries());
        let whole = fs::read(&path).unwrap();
        for length in (0..whole.len()).step_by(128).chain([whole.len() - 1, 1, 511, 513]) {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(Archive::open(&path).is_err(), "{length} of {}", whole.len());
        }
    }

    #[test]
    fn a_bit_that_flipped_in_what_counts_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.tar");
        write(&path, entries());
        let whole = fs::read(&path).unwrap();
        let content = header_of(&whole, "shm/65536") + 512;
        for at in content..content + SEGMENT.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&path, &bytes).unwrap();
            assert!(Archive::open(&path).is_err_and(|error| error.to_string().contains("SHA-256")), "{at}");
        }
        // Elsewhere it is found or changes nothing of what is made.
        for at in (0..whole.len()).step_by(11) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&path, &bytes).unwrap();
            if let Ok(archive) = Archive::open(&path) {
                let bodies = |entries: &[Entry]| entries.iter().map(Entry::size).sum::<u64>();
                assert_eq!(bodies(&archive.manifest.objects), bodies(&entries()), "{at}");
            }
        }
    }

    #[test]
    fn members_that_are_not_those_of_the_manifest_are_refused() {
        let changed = |change: &dyn Fn(&mut tar::Header)| {
            spoilt(|bytes| {
                let at = header_of(bytes, "shm/65536");
                header(bytes, at, |header| change(header));
            })
        };
        assert!(changed(&|_| {}).is_ok());
        let kinds: [u8; 10] = *b"123456gxLS";
        for kind in kinds {
            let refused = changed(&|header| header.set_entry_type(tar::EntryType::new(kind)));
            assert!(refused.is_err(), "type {}", kind as char);
        }
        for name in ["../../../etc/passwd", "/etc/passwd", "shm/65537", "shm/65536/", "./shm/65536", ""] {
            let renamed = changed(&|header| {
                let field = &mut header.as_old_mut().name;
                field.fill(0);
                field[..name.len()].copy_from_slice(name.as_bytes());
            });
            assert!(renamed.is_err(), "{name}");
        }
        for size in [0, 21, 23, 1 << 20, 1 << 40, u64::MAX >> 1] {
            assert!(changed(&|header| header.set_size(size)).is_err(), "{size}");
        }
        // Twice the same, and one that nobody announced.
        let twice = spoilt(|bytes| {
            let at = header_of(bytes, "msgq/0/000000");
            let copy = bytes[at..at + 1024].to_vec();
            bytes.splice(at..at, copy);
        });
        assert!(twice.is_err());
        let more = spoilt(|bytes| {
            let at = header_of(bytes, "shm/65536");
            let copy = bytes[at..at + 1024].to_vec();
            let end = bytes.len() - 1024;
            bytes.splice(end..end, copy);
        });
        assert!(more.unwrap_err().contains("more in it"));
        assert!(spoilt(|bytes| bytes.resize(bytes.len() + (2 << 20), 0)).is_err());
    }

    #[test]
    fn a_manifest_that_cannot_be_true_is_refused() {
        assert!(spoilt(|bytes| forge(bytes, "\"root\"", "\"toor\"")).is_ok(), "names change nothing");
        for (old, new) in [
            ("shm/65536", "../65536"),
            ("shm/65536", "/m/65536"),
            ("\"member\": \"shm/65536\"", "\"member\": \"../../evil\""),
            ("\"version\": 1", "\"version\": 2"),
            ("\"version\": 1", "\"version\": 1, \"more\": 1"),
            ("\"kind\": \"shm\"", "\"kind\": \"sem\""),
            ("\"kind\": \"shm\"", "\"kind\": \"fifo\""),
            ("\"family\": \"posix\"", "\"family\": \"file\""),
            ("\"name\": \"/jobs\"", "\"name\": \"/../jobs\""),
            ("\"name\": \"/jobs\"", "\"name\": \"jobs\""),
            ("\"name\": \"/jobs\"", "\"name\": \"/..\""),
            ("\"name\": \"/jobs\"", "\"name\": {\"base64\": \"L2EA\"}"),
            ("\"id\": 65536", "\"id\": -1"),
            ("\"id\": 65536", "\"id\": 4294967296"),
            ("\"id\": 65536", "\"id\": null"),
            ("\"key\": \"0xfffffffe\"", "\"key\": \"0x00000000\""),
            ("\"key\": null", "\"key\": \"0x000000001\\u0000\""),
            ("\"mode\": \"0640\"", "\"mode\": \"4755\""),
            ("\"uid\": 0", "\"uid\": 4294967295"),
            ("\"size\": 22", "\"size\": 23"),
            ("\"size\": 22", "\"size\": 1152921504606846976"),
            ("\"size\": 22", "\"size\": 18446744073709551615"),
            ("\"size\": 22", "\"size\": -1"),
            ("\"type\": 7", "\"type\": 0"),
            ("\"type\": 7", "\"type\": null"),
            ("\"priority\": null", "\"priority\": 1"),
            ("\"max_messages\": null", "\"max_messages\": 5"),
            ("32767", "32768"),
            ("\"objects\": [", "\"objects\": [[[[["),
        ] {
            assert!(spoilt(|bytes| forge(bytes, old, new)).is_err(), "{old} became {new}");
        }
    }

    #[test]
    fn two_objects_of_one_name_or_key_are_refused() {
        let mut twice = Manifest::new(entries());
        assert_eq!(twice.check(), Ok(()));
        let mut other = entries().remove(0);
        (other.id, other.shown) = (Some(7), "shm/7".to_owned());
        other.name_members(4);
        twice.objects.push(other.clone());
        assert!(twice.check().unwrap_err().contains("object 4"));
        twice.objects[4].key = None;
        assert_eq!(twice.check(), Ok(()));
        twice.objects.push(other);
        assert!(twice.check().is_err());
    }

    #[test]
    fn nested_json_and_what_is_no_file_end_soon() {
        let deep = spoilt(|bytes| {
            let bomb = format!("{}\"", "[".repeat(100_000));
            forge(bytes, "\"program\": \"", &format!("\"program\": {bomb}"));
        });
        assert!(deep.is_err());
        for path in ["/dev/null", "/dev/zero", "/tmp"] {
            assert!(Archive::open(Path::new(path)).is_err_and(|error| error.to_string().contains("no regular file")));
        }
        let missing = Archive::open(Path::new("/nonexistent/archive")).unwrap_err();
        assert_eq!(missing.status, Status::NoSuch);
        let directory = tempfile::tempdir().unwrap();
        for text in ["", "x", "{", "not a tar at all, however long it may be"] {
            let path = directory.path().join("odd");
            fs::write(&path, text).unwrap();
            assert!(Archive::open(&path).is_err(), "{text}");
        }
    }

    #[test]
    fn an_archive_that_somebody_writes_to_is_no_longer_used() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.tar");
        write(&path, entries());
        let archive = Archive::open(&path).unwrap();
        archive.unchanged().unwrap();
        let more = fs::File::options().append(true).open(&path).unwrap();
        more.set_len(1 << 20).unwrap();
        assert!(archive.unchanged().is_err());
    }
}
