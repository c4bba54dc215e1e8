//! What a session lets go when its client may get less than before.

use std::collections::VecDeque;

use super::{InFlight, Parcel, Session, Stats};
use crate::broker::rights::{Allowed, Rights};
use crate::message::QoS;

impl Session {
    /// Lets go what waits and may not be sent any more. What this connection has sent is left: it has left the house.
    /// Returns what came by shared subscriptions and others could have instead.
    pub(in crate::broker) fn keep_allowed(&mut self, rights: &Rights) -> Vec<Parcel> {
        if rights.subscribe == Allowed::Everything {
            return Vec::new();
        }
        let may = |parcel: &Parcel| rights.may_get(&parcel.delivery.routed.message.topic);
        let mut gone = self.finish_or_take_sent(may);
        gone.extend(self.head.take_if(|parcel| !may(parcel)));
        let (kept, refused): (Vec<_>, Vec<_>) = std::mem::take(&mut self.retained).into_iter().partition(may);
        self.retained = VecDeque::from(kept);
        gone.extend(refused);
        gone.extend(self.outbox.take_unless(may));
        let (begun, gone): (Vec<_>, Vec<_>) = gone.into_iter().partition(Parcel::may_have_begun);
        for parcel in begun {
            if let Some(id) = parcel.packet_id {
                let sent = self.without_payload(InFlight { id, parcel, released: false });
                self.in_flight.push_back(sent);
            }
        }
        self.in_flight_bytes = self.in_flight.iter().map(|sent| sent.parcel.delivery.routed.size()).sum();
        let (shared, gone): (Vec<_>, Vec<_>) = gone.into_iter().partition(Parcel::is_to_share);
        gone.iter().for_each(|parcel| self.forget(parcel));
        Stats::add(&self.stats.deliveries_withheld, gone.len() as u64);
        shared
    }

    /// Of what an earlier connection sent: takes out what is refused, but sees to the end what has QoS 2.
    fn finish_or_take_sent(&mut self, may: impl Fn(&Parcel) -> bool) -> Vec<Parcel> {
        let mut gone = Vec::new();
        for sent in self.in_flight.split_off(self.written) {
            if sent.released || may(&sent.parcel) {
                self.in_flight.push_back(sent);
            } else if sent.parcel.delivery.qos == QoS::ExactlyOnce {
                let sent = self.without_payload(sent);
                self.in_flight.push_back(sent);
            } else {
                gone.push(sent.parcel);
            }
        }
        gone
    }

    /// A message that the client may have begun to receive goes on with PUBREL alone. If the client has it, that frees
    /// its identifier, under which the next message would else pass for this one; if not, the client has nothing to do
    /// but to answer (MQTT 5.0, section 4.3.3). Released on disk as well, so that no power cut brings the payload back.
    fn without_payload(&self, mut sent: InFlight) -> InFlight {
        Stats::add(&self.stats.deliveries_withheld, 1);
        sent.released = true;
        let kept = self.keeper.as_ref().zip(sent.parcel.row);
        sent.parcel.gate = kept.map(|(keeper, row)| keeper.release(row));
        sent
    }
}
