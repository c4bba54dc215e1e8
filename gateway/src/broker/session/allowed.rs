//! What a session lets go when its client may get less than before.

use std::collections::VecDeque;

use super::{Parcel, Session, Stats};
use crate::broker::rights::{Allowed, Rights};

impl Session {
    /// Lets go what waits and may not be sent any more. What this connection has sent is left: it has left the house.
    pub(in crate::broker) fn keep_allowed(&mut self, rights: &Rights) {
        if rights.subscribe == Allowed::Everything {
            return;
        }
        let may = |parcel: &Parcel| rights.may_get(&parcel.delivery.routed.message.topic);
        let mut gone = self.outbox.take_unless(may);
        gone.extend(self.head.take_if(|parcel| !may(parcel)));
        let (kept, refused): (Vec<_>, Vec<_>) = std::mem::take(&mut self.retained).into_iter().partition(may);
        self.retained = VecDeque::from(kept);
        gone.extend(refused);
        // What was released is with the client already; only its number is still under way.
        let again = self.in_flight.split_off(self.written);
        let (kept, refused): (Vec<_>, Vec<_>) = again.into_iter().partition(|sent| sent.released || may(&sent.parcel));
        self.in_flight.extend(kept);
        gone.extend(refused.into_iter().map(|sent| sent.parcel));
        self.in_flight_bytes = self.in_flight.iter().map(|sent| sent.parcel.delivery.routed.size()).sum();
        gone.iter().for_each(|parcel| self.forget(parcel));
        Stats::add(&self.stats.deliveries_withheld, gone.len() as u64);
    }
}
