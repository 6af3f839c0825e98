//! The messages of a queue, copied or taken.

use crate::archive::{Member, Message, sum};
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::mech::{Channel, Tag};
use crate::model::ObjectRef;
use crate::sys::waiter;

/// The messages of a queue: what is to be said of each, and its bytes.
#[derive(Default, PartialEq)]
pub struct Messages {
    pub list: Vec<Message>,
    pub texts: Vec<Vec<u8>>,
}

impl Messages {
    pub fn push(&mut self, tag: Tag, text: Vec<u8>) {
        let (kind, priority) = match tag {
            Tag::Type(kind) => (Some(kind), None),
            Tag::Priority(priority) => (None, Some(priority)),
        };
        let member = Member { member: String::new(), size: text.len() as u64, sha256: sum(&text) };
        self.list.push(Message { kind, priority, text: member });
        self.texts.push(text);
    }
}

/// How often a queue that changes is read.
const TRIES: u32 = 20;

/// Copies the messages of a queue; nothing is taken.
///
/// There is no call that copies all of them at once, and positions shift when a message is taken meanwhile. So
/// the queue is read twice: only if both times are the same, and its counters before and after, it was like that
/// at one moment.
pub fn copied(channel: &mut dyn Channel, reference: &ObjectRef) -> Result<Messages> {
    let mut last: Option<Messages> = None;
    for _ in 0..TRIES {
        let before = channel.generation()?;
        let now = pass(channel, reference)?;
        let stayed = channel.generation()? == before && before.0 == now.list.len() as u64;
        if stayed && last.as_ref() == Some(&now) {
            return Ok(now);
        }
        last = stayed.then_some(now);
    }
    Err(Error::refused(reference, Status::Failed, format!("it changed each of the {TRIES} times that it was read"))
        .hinting("stop those who use it (`ipcx show` tells who they are) and try again"))
}

/// One pass over the queue.
fn pass(channel: &mut dyn Channel, reference: &ObjectRef) -> Result<Messages> {
    let mut messages = Messages::default();
    let mut text = Vec::new();
    for position in 0.. {
        if let Some(signal) = waiter::caught() {
            return Err(Error::interrupted("msgrcv", signal, reference));
        }
        text.clear();
        match channel.peek(position, &mut text)? {
            Some(tag) => messages.push(tag, text.clone()),
            None => break,
        }
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mech::{Limits, Pick, Slot};
    use crate::model::{Ident, Kind};
    use crate::sys::waiter::Waiter;

    /// A queue whose messages change by a script: before the Nth look at it they become these.
    struct Restless {
        now: Vec<&'static str>,
        looks: u64,
        script: Vec<(u64, Vec<&'static str>)>,
        counters: fn(&Restless) -> i64,
    }

    impl Channel for Restless {
        fn tag(&self, _: Option<i64>, _: Option<u32>) -> Result<Tag> {
            Ok(Tag::Type(1))
        }

        fn send(&mut self, _: &[u8], _: Tag, _: &Waiter) -> Result<()> {
            unreachable!("nothing is sent")
        }

        fn recv(&mut self, _: &mut Vec<u8>, _: Pick, _: Limits, _: &Waiter) -> Result<Tag> {
            unreachable!("nothing is taken")
        }

        fn recv_into(&mut self, _: &mut Slot, _: Pick, _: Limits, _: &Waiter) -> Result<()> {
            unreachable!("nothing is taken")
        }

        fn longest(&self) -> usize {
            unreachable!("nothing is taken")
        }

        fn peeks(&self) -> bool {
            true
        }

        fn peek(&mut self, position: u64, into: &mut Vec<u8>) -> Result<Option<Tag>> {
            self.looks += 1;
            if let Some((_, now)) = self.script.iter().find(|(at, _)| *at == self.looks) {
                self.now.clone_from(now);
            }
            let text = self.now.get(usize::try_from(position).unwrap());
            Ok(text.map(|text| {
                into.extend_from_slice(text.as_bytes());
                Tag::Type(1)
            }))
        }

        fn generation(&self) -> Result<(u64, i64, i64, i32)> {
            Ok((self.now.len() as u64, (self.counters)(self), 0, 0))
        }
    }

    /// What is copied of a queue that begins with two messages.
    fn copy(script: Vec<(u64, Vec<&'static str>)>, counters: fn(&Restless) -> i64) -> Result<Vec<String>> {
        let mut queue = Restless { now: vec!["a", "b"], looks: 0, script, counters };
        let reference = ObjectRef { kind: Kind::Msgq, id: Ident::Id(0) };
        let copied = copied(&mut queue, &reference)?;
        Ok(copied.texts.into_iter().map(|text| String::from_utf8(text).unwrap()).collect())
    }

    #[test]
    fn a_copy_is_what_was_there_at_one_moment() {
        let quiet = |_: &Restless| 0;
        assert_eq!(copy(vec![], quiet).unwrap(), ["a", "b"]);
        // One was taken between two looks, and one came: the counters of a second say nothing.
        assert_eq!(copy(vec![(2, vec!["b", "c"])], quiet).unwrap(), ["b", "c"]);
        assert_eq!(copy(vec![(2, vec!["b"]), (4, vec!["b", "c", "d"])], quiet).unwrap(), ["b", "c", "d"]);
        assert_eq!(copy(vec![(1, vec![])], quiet).unwrap(), [""; 0]);
    }

    #[test]
    fn of_a_queue_that_never_rests_there_is_no_copy() {
        let error = copy(vec![], |queue| queue.looks.cast_signed()).unwrap_err();
        assert!(error.to_string().contains("changed each of the 20 times"), "{error}");
    }
}
