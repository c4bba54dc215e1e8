//! What is under way to the remote and not acknowledged: packet identifiers, and the records that they stand for. Pure.
//!
//! A record's identifier follows from its place in the spool, so that after a restart a record that may have arrived is
//! sent under the one that it had: a remote that still has the session then knows a message of QoS 2 again.

use std::collections::VecDeque;
use std::num::NonZeroU16;

use crate::message::QoS;
use crate::spool::{Priority, Record, Seq};

/// Identifiers of each lane; more than a lane's records can be apart while both are under way.
const LANE: u16 = 32_000;
/// The one of the first SUBSCRIBE, from which others count down; beyond those of both lanes.
pub(super) const SUBSCRIBE: NonZeroU16 = NonZeroU16::MAX;

#[derive(Debug)]
struct Slot {
    id: NonZeroU16,
    record: Record,
    qos: QoS,
    /// Of QoS 2: the remote has said that it has it, and is to forget the identifier.
    released: bool,
}

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Flight {
    slots: VecDeque<Slot>,
    /// Of QoS 2, those that were under way when the last connection ended and that the remote may hold since: each comes
    /// again, or has been dropped meanwhile.
    left: Vec<Seq>,
}

/// The identifier of a record.
fn id_of(seq: Seq) -> NonZeroU16 {
    let place = u16::try_from(seq.number % u64::from(LANE)).unwrap_or(0);
    let lane = if seq.priority == Priority::Alarm { LANE } else { 0 };
    NonZeroU16::MIN.saturating_add(place + lane)
}

impl Flight {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The record that has been under way for the longest time.
    pub(super) fn first(&self) -> Option<&Record> {
        self.slots.front().map(|slot| &slot.record)
    }

    /// Whether a record is under way on this connection.
    pub(super) fn has(&self, seq: Seq) -> bool {
        self.slots.iter().any(|slot| slot.record.seq == seq)
    }

    /// Takes a record that goes out with QoS 1 or 2, and gives its packet identifier; `None` when that is in use, which
    /// it is not as long as no more are under way than the spool hands out.
    pub(super) fn take(&mut self, record: Record, qos: QoS) -> Option<NonZeroU16> {
        let id = id_of(record.seq);
        if self.slots.iter().any(|slot| slot.id == id) {
            return None;
        }
        self.slots.push_back(Slot { id, record, qos, released: false });
        Some(id)
    }

    fn find(&self, id: NonZeroU16) -> Option<usize> {
        self.slots.iter().position(|slot| slot.id == id)
    }

    fn finish(&mut self, id: NonZeroU16, is: impl FnOnce(&Slot) -> bool) -> Option<Record> {
        let at = self.find(id).filter(|at| is(&self.slots[*at]))?;
        self.slots.remove(at).map(|slot| slot.record)
    }

    /// PUBACK: gives the record that is done with.
    pub(super) fn acknowledged(&mut self, id: NonZeroU16) -> Option<Record> {
        self.finish(id, |slot| slot.qos == QoS::AtLeastOnce)
    }

    /// PUBREC without an error: the identifier is to be released. Says whether there is such a record.
    pub(super) fn received(&mut self, id: NonZeroU16) -> bool {
        let at = self.find(id).filter(|at| self.slots[*at].qos == QoS::ExactlyOnce);
        at.map(|at| self.slots[at].released = true).is_some()
    }

    /// PUBREC with an error: gives the record that is done with.
    pub(super) fn refused(&mut self, id: NonZeroU16) -> Option<Record> {
        self.finish(id, |slot| slot.qos == QoS::ExactlyOnce && !slot.released)
    }

    /// PUBCOMP: gives the record that is done with.
    pub(super) fn completed(&mut self, id: NonZeroU16) -> Option<Record> {
        self.finish(id, |slot| slot.released)
    }

    /// The identifiers of so many records before this one. On a connection where the remote still has the session, the first
    /// record of a lane is not preceded by any that is under way: where one of those had been, it was dropped meanwhile, and
    /// the remote would take the next one under its identifier for a repetition.
    /// What was under way in this run is known, however far the records are behind that were dropped; of a run before it is what
    /// `count` can have reached.
    pub(super) fn before(&mut self, seq: Seq, count: u16) -> Vec<NonZeroU16> {
        let near = seq.number.saturating_sub(count.into());
        let left = self.left.extract_if(.., |left| left.priority == seq.priority).map(|left| left.number);
        let far = left.filter(|number| *number < near).collect::<Vec<_>>();
        let numbers = far.into_iter().chain(near..seq.number).filter(|number| *number > 0);
        let ids = numbers.map(|number| id_of(Seq { number, ..seq }));
        ids.filter(|id| self.find(*id).is_none()).collect()
    }

    /// A new connection. Where the remote still has the session, gives the identifiers to be released once more; what was
    /// under way besides comes from the spool again.
    pub(super) fn begin(&mut self, session_present: bool) -> Vec<NonZeroU16> {
        if !session_present {
            self.left.clear();
        }
        let (kept, over): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.slots).into_iter().partition(|slot| session_present && slot.released);
        self.slots = kept;
        let held = over.iter().filter(|slot| session_present && slot.qos == QoS::ExactlyOnce);
        self.left.extend(held.map(|slot| slot.record.seq));
        self.slots.iter().map(|slot| slot.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seq(number: u64) -> Seq {
        Seq { priority: Priority::Bulk, number }
    }

    fn record(number: u64) -> Record {
        Record { seq: seq(number), bytes: bytes::Bytes::new(), again: false }
    }

    #[test]
    fn nothing_but_the_acknowledgement_that_belongs_to_it_ends_a_message() {
        let mut flight = Flight::default();
        let one = flight.take(record(1), QoS::AtLeastOnce).unwrap();
        let two = flight.take(record(2), QoS::ExactlyOnce).unwrap();
        assert_eq!(flight.completed(one), None);
        assert!(!flight.received(one));
        assert_eq!(flight.acknowledged(two), None);
        assert_eq!(flight.completed(two), None, "it was not received yet");
        assert_eq!(flight.acknowledged(NonZeroU16::MAX), None);
        assert_eq!(flight.acknowledged(one), Some(record(1)));
        assert_eq!(flight.acknowledged(one), None, "twice");
        assert!(flight.received(two) && flight.received(two), "a repeated PUBREC is answered again");
        assert_eq!(flight.refused(two), None, "it has it");
        assert_eq!((flight.completed(two), flight.len()), (Some(record(2)), 0));
    }

    #[test]
    fn a_record_has_the_same_identifier_in_each_run_and_lanes_do_not_meet() {
        let bulk = (1..100_000).map(seq);
        assert!(bulk.clone().all(|seq| id_of(seq) == id_of(seq) && id_of(seq) != SUBSCRIBE));
        let ids = |seqs: &mut dyn Iterator<Item = Seq>| seqs.map(id_of).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(ids(&mut bulk.clone().take(32_000)).len(), 32_000);
        let alarms = ids(&mut bulk.clone().map(|seq| Seq { priority: Priority::Alarm, ..seq }));
        assert!(alarms.is_disjoint(&ids(&mut bulk.clone())) && !alarms.contains(&SUBSCRIBE));
    }

    #[test]
    fn what_may_be_left_at_the_remote_is_what_came_before_and_is_not_under_way() {
        let mut flight = Flight::default();
        let released = flight.take(record(4), QoS::ExactlyOnce).unwrap();
        assert!(flight.received(released));
        let ids = |numbers: &[u64]| numbers.iter().map(|number| id_of(seq(*number))).collect::<Vec<_>>();
        assert_eq!(flight.before(seq(6), 3), ids(&[3, 5]));
        assert_eq!(flight.before(seq(3), 10), ids(&[1, 2]));
        assert_eq!(flight.before(seq(1), 10), []);
    }

    #[test]
    fn what_was_under_way_is_released_however_much_was_dropped_behind_it() {
        let mut flight = Flight::default();
        let ids: Vec<_> = (100..103).map(|number| flight.take(record(number), QoS::ExactlyOnce).unwrap()).collect();
        flight.take(record(103), QoS::AtLeastOnce).unwrap();
        assert!(flight.begin(true).is_empty());
        assert!(flight.begin(true).is_empty(), "a connection that came to nothing");
        let ids = [ids, (49_998..50_001).map(|number| id_of(seq(number))).collect()].concat();
        assert_eq!(flight.before(seq(50_001), 3), ids);
        assert_eq!(flight.before(seq(50_001), 0), [], "once");
        flight.take(record(7), QoS::ExactlyOnce).unwrap();
        flight.begin(false);
        assert_eq!(flight.before(seq(50_001), 0), [], "the remote has forgotten them");
    }

    #[test]
    fn after_a_loss_only_what_was_released_is_still_under_way_and_only_if_the_session_is() {
        let make = || {
            let mut flight = Flight::default();
            let ids = [(1, QoS::AtLeastOnce), (2, QoS::ExactlyOnce), (3, QoS::ExactlyOnce)]
                .map(|(number, qos)| flight.take(record(number), qos).unwrap());
            assert!(flight.received(ids[2]));
            (flight, ids)
        };
        let (mut flight, ids) = make();
        assert_eq!(flight.begin(true), [ids[2]]);
        assert!(flight.has(seq(3)) && !flight.has(seq(1)));
        assert_eq!(flight.take(record(2), QoS::ExactlyOnce), Some(ids[1]));
        let (mut flight, _) = make();
        assert!(flight.begin(false).is_empty() && flight.len() == 0);
    }
}
