//! What a client is to be told, in the order in which it asked: acknowledgements must not overtake each other
//! (MQTT 5.0, section 4.6), and none may come before what it promises is safe.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::codec::Packet;
use crate::message::{Awaited, Promise};

/// Answers that wait. Policy: the client is not read from; its sending is slowed by TCP.
const MOST: usize = 1024;
/// How long an answer may wait for the store before the client is sent away without it.
pub(super) const STORE_PATIENCE: Duration = Duration::from_secs(10);

struct Answer {
    packet: Packet,
    awaited: Vec<Awaited>,
    since: Instant,
}

/// See the module's head.
#[derive(Default)]
pub(super) struct Answers(VecDeque<Answer>);

/// What an answer waits for will never be safe.
#[derive(Debug)]
pub(super) struct Lost;

impl Answers {
    /// Adds an answer that may be given when all that it waits for is safe.
    pub(super) fn push(&mut self, packet: Packet, awaited: impl IntoIterator<Item = Awaited>) {
        self.0.push_back(Answer { packet, awaited: awaited.into_iter().collect(), since: Instant::now() });
    }

    /// The next answer that may be given, if there is one.
    pub(super) fn next(&mut self) -> Result<Option<Packet>, Lost> {
        let Some(first) = self.0.front_mut() else { return Ok(None) };
        while let Some(awaited) = first.awaited.last() {
            match awaited.promise() {
                Promise::Open => return Ok(None),
                Promise::Kept => first.awaited.pop(),
                Promise::Lost => return Err(Lost),
            };
        }
        Ok(self.0.pop_front().map(|answer| answer.packet))
    }

    /// Gives back the room that is not needed now: most clients never have an answer wait again after CONNACK.
    pub(super) fn give_back(&mut self) {
        self.0.shrink_to_fit();
    }

    /// When the first one has waited too long.
    pub(super) fn overdue_at(&self) -> Option<Instant> {
        self.0.front().map(|answer| answer.since + STORE_PATIENCE)
    }

    /// Begins the time of the first one anew if a stage has what it waits for: the store is not to blame then, and stages
    /// have bounds of their own. Says whether it has.
    pub(super) fn wait_for_stages(&mut self) -> bool {
        let first = self.0.front_mut().filter(|first| first.awaited.iter().any(Awaited::is_judged));
        first.map(|first| first.since = Instant::now()).is_some()
    }

    pub(super) fn have_room(&self) -> bool {
        self.0.len() < MOST
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::message::Receipt;

    #[test]
    fn answers_keep_their_order_whatever_is_safe_first() {
        let mut answers = Answers::default();
        let (first, awaited) = Receipt::new(Arc::default(), None);
        answers.push(Packet::PingReq, [awaited]);
        answers.push(Packet::PingResp, []);
        assert!(answers.next().unwrap().is_none());
        first.settle();
        assert_eq!(answers.next().unwrap(), Some(Packet::PingReq));
        assert_eq!(answers.next().unwrap(), Some(Packet::PingResp));
        assert!(answers.is_empty() && answers.overdue_at().is_none());
    }

    #[test]
    fn the_store_is_not_blamed_for_what_a_stage_has_in_its_hands() {
        let mut answers = Answers::default();
        let (receipt, awaited) = Receipt::new(Arc::default(), None);
        answers.push(Packet::PingReq, [awaited]);
        assert!(!answers.wait_for_stages());
        let kept = receipt.clone();
        receipt.judged();
        let before = answers.overdue_at();
        assert!(answers.wait_for_stages() && answers.overdue_at() > before);
        receipt.end(|_, _| unreachable!("it is no QoS 2 publication"));
        assert!(!answers.wait_for_stages(), "from here on the store has it");
        kept.settle();
    }

    #[test]
    fn what_is_lost_is_never_promised() {
        let mut answers = Answers::default();
        let (first, awaited) = Receipt::new(Arc::default(), None);
        answers.push(Packet::PingReq, [awaited]);
        drop(first);
        assert!(answers.next().is_err());
    }
}
