//! What goes to the remote: a record becomes a PUBLISH, and nothing but the remote's acknowledgement takes it out of the
//! spool. What can't ever go there is told of on the uplink's `dead` topic and taken out.

use std::num::NonZeroU16;
use std::time::Duration;

use super::dead::Misfit;
use super::fit;
use super::routes::Sort;
use super::session::Session;
use super::stats::{Dead, UplinkStats};
use super::trouble::Trouble;
use crate::codec::{self, Ack, Packet, PublishRef, ReasonCode, properties_of};
use crate::message::{Message, QoS};
use crate::spool::Record;

impl Session<'_> {
    /// Sends a record, or buries it.
    pub(super) async fn send(&mut self, record: Record) -> Result<(), Trouble> {
        if self.own.flight.has(record.seq) {
            // Of QoS 2, and the remote has it: only its release is not acknowledged yet.
            return Ok(());
        }
        let message = match Message::from_record(&record.bytes) {
            Ok(message) => message,
            Err(error) => {
                let uplink = self.own.settings.name.as_str();
                log::error!(uplink = uplink, error:% = error; "a message of the spool can't be read and is let go");
                self.own.stats.dead(Dead::Unreadable);
                self.done(&record);
                return Ok(());
            }
        };
        let outgoing = match fit::outgoing(&message, &self.own.routes, &self.bounds()) {
            Ok(outgoing) => outgoing,
            Err(misfit) => return self.bury(&record, &message, &misfit).await,
        };
        if outgoing.sort == Sort::Reported {
            return self.report(record, &message, &outgoing).await;
        }
        let mut properties = properties_of(&message);
        if let Some(expiry) = properties.expiry {
            let waited = waited(&message, self.own.reports.now().trusted()).unwrap_or_default();
            match u32::try_from(waited.as_secs()).ok().and_then(|waited| expiry.checked_sub(waited)) {
                Some(left) if left > 0 => properties.expiry = Some(left),
                _ => {
                    let misfit = Misfit::new(Dead::Expired, "it was worth sending only for a while");
                    return self.bury(&record, &message, &misfit).await;
                }
            }
        }
        self.publish(record, &outgoing.publish(&message, &properties))
    }

    fn publish(&mut self, record: Record, publish: &PublishRef<'_>) -> Result<(), Trouble> {
        if record.again {
            UplinkStats::add(&self.own.stats.repeated);
        }
        UplinkStats::add(&self.own.stats.sent);
        self.own.rate.sent(tokio::time::Instant::now());
        if publish.qos == QoS::AtMostOnce {
            codec::write_publish(self.version, publish, &mut self.out)?;
            // Nobody will acknowledge it: with this quality it is gone when it is handed to the connection.
            UplinkStats::add(&self.own.stats.delivered);
            self.done(&record);
            return Ok(());
        }
        if publish.qos == QoS::ExactlyOnce
            && self.session_present
            && !std::mem::replace(&mut self.swept[record.seq.priority as usize], true)
        {
            let ids = self.own.flight.before(record.seq, self.own.settings.in_flight.get());
            self.release(ids)?;
        }
        let dup = record.again && self.session_present;
        let id = self.own.flight.take(record, publish.qos);
        // Two records of one lane that are under way are closer together than the identifiers reach.
        let packet_id = Some(id.ok_or(Trouble::Protocol("a packet identifier is in use".to_owned()))?);
        codec::write_publish(self.version, &PublishRef { dup, packet_id, ..*publish }, &mut self.out)?;
        Ok(())
    }

    fn done(&self, record: &Record) {
        self.own.reader.acknowledge(record.seq);
    }

    pub(super) fn delivered(&mut self, record: &Record) {
        self.acknowledged = true;
        let own = &mut *self.own;
        own.gap.acknowledged(tokio::time::Instant::now(), || own.reader.waited(record.seq));
        UplinkStats::add(&own.stats.delivered);
        self.done(record);
    }

    /// PUBACK.
    pub(super) async fn acknowledged(&mut self, ack: &Ack) -> Result<(), Trouble> {
        let Some(record) = self.own.flight.acknowledged(ack.packet_id) else { return Ok(()) };
        self.judged(&record, ack).await
    }

    /// PUBREC.
    pub(super) async fn received(&mut self, ack: &Ack) -> Result<(), Trouble> {
        if ack.reason.is_error() {
            let Some(record) = self.own.flight.refused(ack.packet_id) else { return Ok(()) };
            return self.judged(&record, ack).await;
        }
        let known = self.own.flight.received(ack.packet_id);
        // One that nobody knows is released too, or the remote would hold it for ever.
        let reason = if known { ReasonCode::Success } else { ReasonCode::PacketIdentifierNotFound };
        self.write(&Packet::PubRel(Ack::new(ack.packet_id, reason)))
    }

    /// PUBCOMP.
    pub(super) fn completed(&mut self, ack: &Ack) -> Result<(), Trouble> {
        if let Some(record) = self.own.flight.completed(ack.packet_id) {
            self.delivered(&record);
        }
        Ok(())
    }

    /// Releases identifiers once more.
    pub(super) fn release(&mut self, ids: Vec<NonZeroU16>) -> Result<(), Trouble> {
        ids.into_iter().try_for_each(|id| self.write(&Packet::PubRel(Ack::new(id, ReasonCode::Success))))
    }

    /// The remote has said what it makes of a message.
    async fn judged(&mut self, record: &Record, ack: &Ack) -> Result<(), Trouble> {
        match ack.reason {
            // It has no room for now. The message stays, and the back-off gives the remote time.
            ReasonCode::QuotaExceeded => Err(Trouble::Busy(ack.reason.to_string())),
            reason if reason.is_error() => {
                let Ok(message) = Message::from_record(&record.bytes) else {
                    self.done(record);
                    return Ok(());
                };
                let misfit = Misfit::new(Dead::Refused, format!("the remote said: {reason}"));
                self.bury(record, &message, &misfit).await
            }
            _ => {
                self.delivered(record);
                Ok(())
            }
        }
    }

    /// Tells of a message that can't go to the remote, and takes it out of the spool.
    pub(super) async fn bury(&self, record: &Record, message: &Message, misfit: &Misfit) -> Result<(), Trouble> {
        self.own.dead.tell(message, misfit).await;
        self.done(record);
        Ok(())
    }
}

/// How long a message has waited, where the wall clock could be trusted at both ends.
fn waited(message: &Message, now: Option<std::time::SystemTime>) -> Option<Duration> {
    let since = message.received.trusted().zip(now);
    since.and_then(|(then, now)| now.duration_since(then).ok())
}
