//! Dead letters: messages that could not go to the remote, kept for an operator who looks at them, sends one again or lets it
//! go.
//!
//! In memory alone: each was counted and told of when it died, and nobody was promised it. What is kept is what was to leave,
//! as the sharing policy had made it, so that sending it again shares nothing else; when the policy changes, all of it goes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::dead::Misfit;
use super::stats::Dead;
use super::taken::on_disk;
use super::{Unit, Uplinks};
use crate::message::{Message, Promise, Receipt};

/// Letters of one uplink. Policy: a new one takes the place of the oldest.
const LETTERS: usize = 100;
/// Bytes of their records, topics and reasons. Policy: the oldest make room.
const BYTES: usize = 1 << 20;
/// The longest record that is kept, in bytes; of a longer one what is known of it is kept.
const RECORD: usize = 256 * 1024;

/// A message that could not go to the remote.
#[derive(Debug, Clone)]
pub struct Letter {
    /// The message's id: of those that are kept each has its own.
    pub id: String,
    /// Its topic here, or what the sharing policy had made of it.
    pub topic: String,
    /// When it came to the gateway, RFC 3339.
    pub time: String,
    /// Bytes of its payload.
    pub bytes: usize,
    /// Why it could not go there.
    pub why: Dead,
    /// The same in words.
    pub detail: String,
    /// The message; `None` where it was too large to be kept.
    record: Option<Bytes>,
}

impl Letter {
    fn of(message: &Message, misfit: &Misfit) -> Self {
        // Weighed before it is written down: it may be of any size.
        let record = (message.weight() <= RECORD).then(|| Bytes::from(message.to_record()));
        Self {
            id: message.id.to_string(),
            topic: message.topic.to_string(),
            time: message.received.rfc3339(),
            bytes: message.payload.len(),
            why: misfit.why,
            detail: misfit.detail.clone(),
            record: record.filter(|record| record.len() <= RECORD),
        }
    }

    /// The message, where it is kept.
    pub fn message(&self) -> Option<Message> {
        Message::from_record(self.record.as_ref()?).ok()
    }

    /// Whether it can be sent again.
    pub fn is_kept(&self) -> bool {
        self.record.is_some()
    }

    fn weight(&self) -> usize {
        self.topic.len() + self.detail.len() + self.record.as_ref().map_or(0, Bytes::len)
    }
}

/// Those of one uplink, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Letters {
    kept: Mutex<VecDeque<Letter>>,
    /// How often all were forgotten. Changes and is looked at while they are locked.
    forgotten: AtomicU64,
}

impl Letters {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Letter>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn keep(&self, message: &Message, misfit: &Misfit) {
        self.put(Letter::of(message, misfit));
    }

    fn put(&self, letter: Letter) {
        Self::put_into(&mut self.lock(), letter);
    }

    /// Puts one back that was taken. Not where all were forgotten meanwhile: it would outlast what it was made by.
    fn put_back(&self, letter: Letter, forgotten: u64) {
        let mut letters = self.lock();
        if self.forgotten.load(Ordering::Relaxed) == forgotten {
            Self::put_into(&mut letters, letter);
        }
    }

    fn put_into(letters: &mut VecDeque<Letter>, letter: Letter) {
        letters.retain(|other| other.id != letter.id);
        letters.push_back(letter);
        let mut bytes: usize = letters.iter().map(Letter::weight).sum();
        while letters.len() > LETTERS || bytes > BYTES {
            let Some(oldest) = letters.pop_front() else { break };
            bytes -= oldest.weight();
        }
    }

    /// One, and how often all were forgotten before.
    fn take(&self, id: &str) -> Option<(Letter, u64)> {
        let mut letters = self.lock();
        let at = letters.iter().position(|letter| letter.id == id)?;
        Some((letters.remove(at)?, self.forgotten.load(Ordering::Relaxed)))
    }

    /// What may leave has changed, and these were made by what held before.
    pub(super) fn forget(&self) {
        let mut letters = self.lock();
        letters.clear();
        self.forgotten.fetch_add(1, Ordering::Relaxed);
    }
}

/// Why a letter is not sent again, in words; it is still there unless it was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotSent {
    /// There is no such uplink, or no such letter.
    Unknown,
    /// What stands against it.
    Refused(String),
}

impl Uplinks {
    fn unit_of(&self, uplink: &str) -> Option<Arc<Unit>> {
        self.lock().get(uplink).cloned()
    }

    /// The dead letters of an uplink, the newest first; `None` where there is no such uplink.
    pub fn letters(&self, uplink: &str) -> Option<Vec<Letter>> {
        let unit = self.unit_of(uplink)?;
        let kept = unit.kept.get().map(|kept| kept.tap.dead().letters().lock().iter().rev().cloned().collect());
        Some(kept.unwrap_or_default())
    }

    /// Lets a dead letter go. False when there is none of this id.
    pub fn drop_letter(&self, uplink: &str, id: &str) -> bool {
        let unit = self.unit_of(uplink);
        let kept = unit.as_ref().and_then(|unit| unit.kept.get());
        kept.is_some_and(|kept| kept.tap.dead().letters().take(id).is_some())
    }

    /// Queues a dead letter once more, behind all that waits. When it returns it is on disk, or its disk is slow and it
    /// waits in memory.
    ///
    /// # Errors
    /// [`NotSent`]; it stays what it was.
    pub async fn send_letter(&self, uplink: &str, id: &str) -> Result<(), NotSent> {
        let unit = self.unit_of(uplink).ok_or(NotSent::Unknown)?;
        let tap = unit.kept.get().map(|kept| Arc::clone(&kept.tap)).ok_or(NotSent::Unknown)?;
        let letters = tap.dead().letters();
        // Taken first, so that two who ask at once send it once.
        let (letter, forgotten) = letters.take(id).ok_or(NotSent::Unknown)?;
        let told = Arc::<Notify>::default();
        let (receipt, awaited) = Receipt::new(Arc::clone(&told), None);
        let again = match (&letter.record, letter.message()) {
            (Some(record), Some(message)) => tap.again(&message, record.clone(), receipt),
            _ => Err("it was too large to be kept".to_owned()),
        };
        if let Err(why) = again {
            letters.put_back(letter, forgotten);
            return Err(NotSent::Refused(why));
        }
        on_disk(&awaited, &told).await;
        if awaited.promise() == Promise::Lost {
            letters.put_back(letter, forgotten);
            return Err(NotSent::Refused("it could not be written to the queue".to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Clock, MessageIds, Origin, Topic};

    fn message(ids: &MessageIds, size: usize) -> Message {
        let topic = Topic::new("a/b").unwrap();
        Message::new(ids.next(), Clock::default().now(), Origin::Gateway, topic, vec![7; size])
    }

    #[test]
    fn one_that_is_put_back_after_all_were_forgotten_stays_gone() {
        let (letters, ids) = (Letters::default(), MessageIds::new(1));
        let misfit = Misfit::new(Dead::Refused, "no");
        let ids = [ids.next(), ids.next()];
        for id in ids {
            let received = Clock::default().now();
            letters.keep(&Message::new(id, received, Origin::Gateway, Topic::new("a/b").unwrap(), "x"), &misfit);
        }
        let (first, forgotten) = letters.take(&ids[0].to_string()).unwrap();
        letters.put_back(first, forgotten);
        assert_eq!(letters.lock().len(), 2);
        let (second, forgotten) = letters.take(&ids[1].to_string()).unwrap();
        letters.forget();
        letters.put_back(second, forgotten);
        assert!(letters.lock().is_empty());
    }

    #[test]
    fn letters_are_bounded_in_number_and_bytes_and_the_oldest_go_first() {
        let (letters, ids) = (Letters::default(), MessageIds::new(1));
        let misfit = Misfit::new(Dead::Refused, "no");
        for _ in 0..LETTERS + 5 {
            letters.keep(&message(&ids, 10), &misfit);
        }
        let first = letters.lock().front().unwrap().clone();
        assert_eq!((letters.lock().len(), first.id), (LETTERS, "0000000000000001-6".to_owned()));
        for _ in 0..5 {
            letters.keep(&message(&ids, 250_000), &misfit);
        }
        assert!(letters.lock().iter().map(Letter::weight).sum::<usize>() <= BYTES);
        assert!(letters.lock().len() < LETTERS);
        // Larger than what is kept: it is listed, and pushes nothing out.
        let before = letters.lock().len();
        letters.keep(&message(&ids, 10 << 20), &misfit);
        let last = letters.lock().back().unwrap().clone();
        assert_eq!((last.is_kept(), last.bytes, letters.lock().len()), (false, 10 << 20, before + 1));
        // What the remote has to say of them is of any length too.
        let long = Misfit::new(Dead::Refused, "x".repeat(60_000));
        for _ in 0..LETTERS {
            letters.keep(&message(&ids, 10), &long);
        }
        assert!(letters.lock().iter().map(|letter| letter.detail.len()).sum::<usize>() <= BYTES);
    }

    #[test]
    fn a_message_that_dies_again_is_there_once_and_what_is_kept_is_the_message() {
        let (letters, ids) = (Letters::default(), MessageIds::new(1));
        let message = message(&ids, 3);
        letters.keep(&message, &Misfit::new(Dead::Refused, "no"));
        letters.keep(&message, &Misfit::new(Dead::TooLarge, "now this"));
        assert_eq!(letters.lock().len(), 1);
        let (letter, _) = letters.take(&message.id.to_string()).unwrap();
        assert_eq!((letter.why, letter.message().unwrap().payload), (Dead::TooLarge, message.payload));
        assert!(letters.take(&letter.id).is_none());
    }
}
