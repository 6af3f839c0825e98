//! Messages that are taken out of queues to be saved: at any moment each of them is in its queue, in a slot, or in a
//! journal on the disk.

use super::copy::Messages;
use crate::archive::{Archive, Entry, Journal, beside};
use crate::error::{Error, Result, describe};
use crate::exit::Status;
use crate::mech::{Channel, Limits, Pick, Slot, Source, Tag};
use crate::model::Wait;
use crate::sys::random;
use crate::sys::waiter::Waiter;
use std::path::{Path, PathBuf};

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
        let place = PathBuf::from(format!("/dev/shm/ipcx-drain-{number:016x}"));
        let journal = Journal::create(beside(archive), &place)?;
        match Slot::open(&place, &Waiter::new(Wait::Never)) {
            Ok(slot) => Ok(Drain { journal, slot }),
            Err(error) => {
                drop(journal.remove());
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
                        "the message in hand went back into the queue, behind those of its priority"
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

/// Adds to a journal the message that was in hand when its writer ended; what is to be said of it.
pub fn complete(archive: &mut Archive) -> Vec<String> {
    let Some((place, last)) = archive.slot.clone().filter(|(place, _)| place.symlink_metadata().is_ok()) else {
        let torn =
            archive.torn.then_some("the last line of the journal was cut off: a message that was taken then is lost");
        return torn.map(str::to_owned).into_iter().collect();
    };
    let shown = crate::model::Escaped(place.as_os_str().as_encoded_bytes()).to_string();
    let slot = match Slot::open(&place, &Waiter::new(Wait::Never)) {
        Ok(slot) => slot,
        Err(error) => return vec![format!("the message that was taken last may be missing: {error}")],
    };
    let mut notes = vec![format!("{shown} held the message that was taken last; it may go when the journal goes")];
    match slot.message() {
        Some((id, Tag::Priority(priority), text, found)) if id.number > last => {
            if found {
                notes.push("its length was not noted: if it is no text, its last byte may be missing".to_owned());
            }
            archive.add(priority, text.to_vec());
            notes
        }
        // Nothing is in it that is not in the journal.
        _ => slot.remove().err().map(|error| error.to_string()).into_iter().collect(),
    }
}
