//! Messages that are taken out of queues to be saved: at any moment each of them is in its queue, in a slot, or in a
//! journal on the disk.

use super::copy::Messages;
use crate::archive::{Archive, Entry, InHand, Journal, beside};
use crate::error::{Error, Result, describe};
use crate::exit::Status;
use crate::mech::{Channel, Limits, Pick, Slot, Source, Tag};
use crate::model::Wait;
use crate::sys::random;
use crate::sys::waiter::Waiter;
use std::path::{Path, PathBuf};

/// What the path of a slot begins with; sixteen digits follow.
const PLACE: &str = "/dev/shm/ipcx-drain-";

/// What is taken, until an archive has it.
pub struct Drain {
    journal: Journal,
    slot: Slot,
}

impl Drain {
    /// What `restore` takes, if an archive never gets it.
    pub fn path(&self) -> &Path {
        &self.journal.path
    }

    /// The journal lies beside the archive, the slot in memory. Status 5 if there is such a journal: what it holds is
    /// nowhere else.
    pub fn create(archive: &Path) -> Result<Drain> {
        let number = random::number().map_err(|errno| Error::new("getrandom", errno, "random numbers"))?;
        let place = PathBuf::from(format!("{PLACE}{number:016x}"));
        let mut journal = Journal::create(beside(archive), &place)?;
        let opened = Slot::open(&place, &Waiter::new(Wait::Never));
        match opened.and_then(|slot| journal.slot(&slot.uuid()).map(|()| slot)) {
            Ok(slot) => Ok(Drain { journal, slot }),
            Err(error) => {
                // Nobody else has this name, and nothing was taken.
                drop((std::fs::remove_file(&place), journal.remove()));
                Err(error)
            }
        }
    }

    /// Takes messages out of a queue until it is empty, at most `most`: as many as another queue of its shape can
    /// hold. Each is in the journal, on the disk, before the next is taken. Whether it was emptied.
    ///
    /// After an error, what was taken stands in the journal alone.
    pub fn take(&mut self, channel: &mut dyn Channel, queue: &Entry, most: u64) -> Result<(Messages, bool)> {
        self.journal.queue(queue)?;
        self.slot.prepare(&Source::new(&[queue.reference()]), channel.longest())?;
        let mut messages = Messages::default();
        let waiter = Waiter::new(Wait::Never);
        for _ in 0..most {
            match channel.recv_into(&mut self.slot, Pick::First, Limits::default(), &waiter) {
                Ok(()) => {}
                Err(error) if error.status == Status::WouldBlock => return Ok((messages, true)),
                Err(error) => return Err(error),
            }
            let Some((id, tag, text, _)) = self.slot.message() else { continue };
            let priority = if let Tag::Priority(priority) = tag { priority } else { 0 };
            if let Err(error) = self.journal.message(priority, id.number, text) {
                // Its place among those of its priority is lost, but not the message.
                let what = match channel.send(text, tag, &Waiter::last_act()) {
                    Ok(()) => {
                        self.slot.clear();
                        "the message in hand was put back into the queue, behind those of its priority"
                    }
                    Err(_) => "the message in hand is where the journal says",
                };
                let cause = describe(error.errno);
                return Err(error.because(format!("{cause}; {what}")));
            }
            messages.push(tag, text.to_vec());
            self.slot.clear();
        }
        let left = channel.generation()?.0;
        Ok((messages, left == 0))
    }

    /// How many messages are nowhere else.
    pub fn taken(&self) -> u64 {
        self.journal.taken + u64::from(self.slot.message().is_some())
    }

    /// Removes both, once all of it is elsewhere.
    pub fn remove(self) -> Result<()> {
        let removed = self.slot.remove();
        self.journal.remove().and(removed)
    }
}

/// Adds to a journal the message that was in hand when its writer ended; what is to be said of it. Who wrote the journal
/// may be somebody else: a slot is taken for that of it only if it has the number that the journal knows. One that has
/// nothing to give is removed, if `may_remove`.
pub fn complete(archive: &mut Archive, may_remove: bool) -> Vec<String> {
    let lost = "the last line of the journal was cut off: a message that was taken then is lost";
    let Some(InHand { place, uuid, last }) = archive.slot.clone().filter(|slot| is_there(&slot.place)) else {
        return archive.torn.then(|| lost.to_owned()).into_iter().collect();
    };
    let shown = crate::model::Escaped(place.as_os_str().as_encoded_bytes()).to_string();
    let slot = match Slot::open(&place, &Waiter::new(Wait::Never)) {
        Ok(slot) => slot,
        Err(error) => return vec![format!("the message that was taken last may be missing: {error}")],
    };
    let is_ours = slot.uuid() == uuid;
    let mut notes = vec![format!("{shown} held the message that was taken last; it may go when the journal goes")];
    match slot.message() {
        Some(_) if !is_ours => vec![format!("{shown} is not that of the journal, and is left")],
        Some((id, Tag::Priority(priority), text, found)) if id.number > last => {
            if found {
                notes.push("its length was not noted: if it is no text, its last byte may be missing".to_owned());
            }
            archive.add(priority, text.to_vec());
            notes
        }
        // Nothing is in it that is not in the journal.
        _ if may_remove => slot.remove().err().map(|error| error.to_string()).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// Whether a slot is where `save` makes them.
fn is_there(place: &Path) -> bool {
    let number = place.to_str().and_then(|place| place.strip_prefix(PLACE));
    number.is_some_and(|number| number.len() == 16 && number.bytes().all(|byte| byte.is_ascii_hexdigit()))
        && place.symlink_metadata().is_ok()
}
