//! The journal of what is taken from queues before it is in an archive.
//!
//! One JSON document a line, each on the disk before the next message is taken: whatever ends us, everything
//! that was taken stands in it, but for the one message in hand, which is in a slot that the journal names. A last
//! line that was cut off is no line.

use super::format::{Content, Entry, Manifest, Member, Message, sum};
use super::shown;
use crate::error::{Error, Result};
use crate::sys::{file, newfile};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// The longest line: the longest POSIX message has 16 MiB (HARD_MSGSIZEMAX), a third more in base64.
const LINE_MAX: u64 = 24 << 20;
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    /// The first one.
    Journal {
        version: u32,
        /// Where the message in hand is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slot: Option<PathBuf>,
    },
    /// That slot, by the number that it alone has: who has not made it does not know that.
    Slot { uuid: String },
    /// A queue from which is taken.
    Queue(Box<Entry>),
    /// A message of the queue before it.
    Message {
        priority: u32,
        /// That of the slot, which the next message has not.
        #[serde(default)]
        number: u64,
        base64: String,
    },
}

pub struct Journal {
    file: File,
    pub path: PathBuf,
    /// The bytes of the lines in it.
    length: u64,
    /// Whether there may be a part of a line behind them.
    is_torn: bool,
    /// How many messages are in it.
    pub taken: u64,
}

/// The journal of an archive lies beside it.
pub fn beside(archive: &Path) -> PathBuf {
    let mut name = OsString::from(archive);
    name.push(".drain");
    PathBuf::from(name)
}

impl Journal {
    /// Status 5 if there is one: what it holds is nowhere else.
    pub fn create(path: PathBuf, slot: &Path) -> Result<Journal> {
        let file = newfile::log(&path).map_err(|errno| {
            let error = Error::new("open", errno, shown(&path));
            match errno {
                nix::errno::Errno::EEXIST => error
                    .because("there is a journal of messages that were taken from queues")
                    .hinting("`ipcx restore` takes a journal too; remove it when nobody needs it any more"),
                _ => error,
            }
        })?;
        let mut journal = Journal { file, path, length: 0, is_torn: false, taken: 0 };
        if let Err(error) = journal.add(&Line::Journal { version: VERSION, slot: Some(slot.to_owned()) }) {
            // Nothing is in it, and it would be in the way of the next one.
            drop(journal.remove());
            return Err(error);
        }
        Ok(journal)
    }

    /// The slot is there.
    pub fn slot(&mut self, uuid: &str) -> Result<()> {
        self.add(&Line::Slot { uuid: uuid.to_owned() })
    }

    /// What follows is taken from this queue.
    pub fn queue(&mut self, entry: &Entry) -> Result<()> {
        self.add(&Line::Queue(Box::new(entry.clone())))
    }

    /// Adds a message, and comes back when it is on the disk.
    pub fn message(&mut self, priority: u32, number: u64, text: &[u8]) -> Result<()> {
        self.add(&Line::Message { priority, number, base64: data_encoding::BASE64.encode(text) })?;
        self.taken += 1;
        Ok(())
    }

    /// Removes the journal, once all of it is elsewhere.
    pub fn remove(self) -> Result<()> {
        std::fs::remove_file(&self.path).map_err(|error| self.fail("unlink", &error))
    }

    fn add(&mut self, line: &Line) -> Result<()> {
        let mut bytes = serde_json::to_vec(line).map_err(|error| self.fail("write", &error.into()))?;
        bytes.push(b'\n');
        self.cut()?;
        self.is_torn = true;
        match self.file.write_all(&bytes).and_then(|()| self.file.sync_data()) {
            Ok(()) => {
                self.length += bytes.len() as u64;
                self.is_torn = false;
                Ok(())
            }
            Err(error) => {
                // If it cannot be done now, it is before the next one.
                drop(self.cut());
                Err(self.fail("write", &error))
            }
        }
    }

    /// Cuts off what is there of a line that could not be written: the next one would stand behind it.
    fn cut(&mut self) -> Result<()> {
        if self.is_torn {
            self.file.set_len(self.length).map_err(|error| self.fail("ftruncate", &error))?;
            self.is_torn = false;
        }
        Ok(())
    }

    fn fail(&self, call: &'static str, error: &io::Error) -> Error {
        Error::new(call, file::errno(error), shown(&self.path))
    }
}

/// What a journal holds: the queues, and the messages of each.
pub struct Read {
    pub manifest: Manifest,
    pub held: Vec<Vec<Vec<u8>>>,
    /// Whether its last line was cut off.
    pub torn: bool,
    /// Where the message in hand was put.
    pub slot: Option<InHand>,
}

/// The slot of a journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InHand {
    pub place: PathBuf,
    /// Empty if nothing was taken yet.
    pub uuid: String,
    /// The number of the last message that is in the journal.
    pub last: u64,
}

/// Reads a journal; `Err` says in words what is wrong with it.
pub fn read(mut from: impl BufRead) -> std::result::Result<Read, String> {
    let mut read = Read { manifest: Manifest::new(Vec::new()), held: Vec::new(), torn: false, slot: None };
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let got = from.by_ref().take(LINE_MAX).read_until(b'\n', &mut line);
        got.map_err(|error| format!("it cannot be read: {error}"))?;
        if line.is_empty() {
            break;
        }
        let is_whole = line.ends_with(b"\n");
        let is_last = from.fill_buf().is_ok_and(<[u8]>::is_empty);
        let parsed = serde_json::from_slice::<Line>(&line).ok().filter(|_| is_whole);
        match (parsed, number) {
            (Some(Line::Journal { version: VERSION, slot }), 1) => {
                read.slot = slot.map(|place| InHand { place, uuid: String::new(), last: 0 });
            }
            (Some(Line::Journal { version, .. }), 1) => {
                return Err(format!("it is a journal of version {version}, which this ipcx does not know"));
            }
            (Some(Line::Slot { uuid }), 2) => {
                if let Some(slot) = &mut read.slot {
                    slot.uuid = uuid;
                }
            }
            (Some(Line::Queue(entry)), 2..) => {
                read.manifest.objects.push(*entry);
                read.held.push(Vec::new());
            }
            (Some(Line::Message { priority, number: of_slot, base64 }), 3..) => {
                let text = data_encoding::BASE64.decode(base64.as_bytes());
                let text = text.map_err(|_| format!("line {number} of the journal holds no base64"))?;
                let queue = read.manifest.objects.last_mut().map(|entry| &mut entry.content);
                let (Some(Content::Channel { messages, .. }), Some(held)) = (queue, read.held.last_mut()) else {
                    return Err(format!("line {number} of the journal is a message of no queue"));
                };
                let member = Member { member: String::new(), size: text.len() as u64, sha256: sum(&text) };
                messages.push(Message { kind: None, priority: Some(priority), text: member });
                held.push(text);
                if let Some(slot) = &mut read.slot {
                    slot.last = of_slot;
                }
            }
            (None, 2..) if is_last => read.torn = true,
            _ => return Err(format!("line {number} of the journal is none of a journal")),
        }
    }
    for (at, entry) in read.manifest.objects.iter_mut().enumerate() {
        entry.name_members(at);
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::super::reader::tests::queue;
    use super::*;

    fn written() -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(directory.path().join("a.drain"), Path::new("/dev/shm/x")).unwrap();
        journal.slot("ab").unwrap();
        journal.queue(&queue("/jobs", 3)).unwrap();
        journal.message(5, 1, b"first").unwrap();
        journal.message(0, 2, b"").unwrap();
        let bytes = std::fs::read(&journal.path).unwrap();
        assert!(Journal::create(journal.path.clone(), Path::new("/dev/shm/x")).is_err());
        journal.remove().unwrap();
        bytes
    }

    #[test]
    fn a_journal_gives_back_what_was_taken_and_leaves_out_a_torn_end() {
        let bytes = written();
        let whole = read(&bytes[..]).unwrap();
        assert_eq!(whole.held, [vec![b"first".to_vec(), Vec::new()]]);
        assert!(!whole.torn);
        assert_eq!(whole.slot, Some(InHand { place: PathBuf::from("/dev/shm/x"), uuid: "ab".to_owned(), last: 2 }));
        assert_eq!(whole.manifest.check(), Ok(()));
        // Wherever it was cut off, what stands before is there and nothing is invented.
        let first = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for length in first..bytes.len() {
            let cut = read(&bytes[..length]).unwrap();
            let messages: Vec<Vec<u8>> = cut.held.concat();
            let whole: Vec<Vec<u8>> = whole.held.concat();
            assert!(whole.starts_with(&messages) && messages.len() < whole.len(), "{length}");
        }
        // A disk may have given it room and no bytes.
        let zeros = [&bytes[..], &[0; 100]].concat();
        assert!(read(&zeros[..]).unwrap().torn);
    }

    #[test]
    fn what_is_no_journal_is_refused() {
        for text in [
            "{}\n",
            "{\"journal\":{\"version\":2}}\n",
            "{\"journal\":{\"version\":1}}\nx\n{}\n",
            "{\"journal\":{\"version\":1}}\n{\"message\":{\"priority\":1,\"base64\":\"\"}}\n{}\n",
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
