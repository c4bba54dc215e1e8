//! What goes to the remote: a record becomes a PUBLISH, and nothing but the remote's acknowledgement takes it out of the
//! spool. What can't ever go there is told of on the uplink's `dead` topic and taken out.

use std::num::NonZeroU16;
use std::time::Duration;

use super::session::Session;
use super::stats::{Dead, UplinkStats};
use super::topics::Mapped;
use super::trouble::Trouble;
use crate::codec::{self, Ack, Packet, PublishProperties, PublishRef, ReasonCode, properties_of};
use crate::config::Takes;
use crate::message::{Message, QoS};
use crate::spool::Record;

/// The longest packet that MQTT can carry (section 2.1.4), with its fixed header.
const PACKET_MAX: usize = 268_435_455 + 5;

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
        let Some(mapped) = self.own.rules.outward(message.topic.as_str()) else {
            return self.bury(&record, &message, Dead::NoRule, "no rule of the uplink sends this topic any more").await;
        };
        let mut properties = properties_of(&message);
        if let Some(expiry) = properties.expiry {
            let waited = waited(&message, self.own.reports.now().trusted());
            match u32::try_from(waited.as_secs()).ok().and_then(|waited| expiry.checked_sub(waited)) {
                Some(left) if left > 0 => properties.expiry = Some(left),
                _ => return self.bury(&record, &message, Dead::Expired, "it was worth sending only for a while").await,
            }
        }
        self.publish(record, &message, &mapped, &properties).await
    }

    async fn publish(
        &mut self,
        record: Record,
        message: &Message,
        mapped: &Mapped,
        properties: &PublishProperties,
    ) -> Result<(), Trouble> {
        let takes = self.takes;
        if let Some((why, detail)) = objection(&takes, mapped.topic.as_str(), message.payload.len()) {
            return self.bury(&record, message, why, &detail).await;
        }
        let qos = mapped.qos.min(self.limits.qos());
        let mut publish = PublishRef {
            dup: record.again && self.session_present && qos != QoS::AtMostOnce,
            qos,
            retain: message.retain && self.limits.retain_available && takes.retain,
            topic: mapped.topic.as_str(),
            packet_id: (qos != QoS::AtMostOnce).then_some(NonZeroU16::MIN),
            payload: &message.payload,
            properties,
        };
        let most = self.limits.maximum_packet_size.map_or(PACKET_MAX, |most| most as usize);
        let length = codec::publish_len(self.version, &publish).unwrap_or(usize::MAX);
        if length > most {
            let detail = format!("the remote takes packets of {most} bytes at most, and this one would have {length}");
            return self.bury(&record, message, Dead::TooLarge, &detail).await;
        }
        if record.again {
            UplinkStats::add(&self.own.stats.repeated);
        }
        UplinkStats::add(&self.own.stats.sent);
        self.own.rate.sent(tokio::time::Instant::now());
        if qos == QoS::AtMostOnce {
            codec::write_publish(self.version, &publish, &mut self.out)?;
            // Nobody will acknowledge it: with this quality it is gone when it is handed to the connection.
            UplinkStats::add(&self.own.stats.delivered);
            self.done(&record);
            return Ok(());
        }
        if qos == QoS::ExactlyOnce
            && self.session_present
            && !std::mem::replace(&mut self.swept[record.seq.priority as usize], true)
        {
            let ids = self.own.flight.before(record.seq, self.own.settings.in_flight.get());
            self.release(ids)?;
        }
        let id = self.own.flight.take(record, qos);
        // Two records of one lane that are under way are closer together than the identifiers reach.
        publish.packet_id = Some(id.ok_or(Trouble::Protocol("a packet identifier is in use".to_owned()))?);
        codec::write_publish(self.version, &publish, &mut self.out)?;
        Ok(())
    }

    fn done(&self, record: &Record) {
        self.own.reader.acknowledge(record.seq);
    }

    fn delivered(&mut self, record: &Record) {
        self.acknowledged = true;
        UplinkStats::add(&self.own.stats.delivered);
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
            ReasonCode::QuotaExceeded => Err(Trouble::SentAway(ack.reason.to_string())),
            reason if reason.is_error() => {
                let Ok(message) = Message::from_record(&record.bytes) else {
                    self.done(record);
                    return Ok(());
                };
                self.bury(record, &message, Dead::Refused, &format!("the remote said: {reason}")).await
            }
            _ => {
                self.delivered(record);
                Ok(())
            }
        }
    }

    /// Tells of a message that can't go to the remote, and takes it out of the spool.
    async fn bury(&mut self, record: &Record, message: &Message, why: Dead, detail: &str) -> Result<(), Trouble> {
        let uplink = self.own.settings.name.as_str();
        if !std::mem::replace(&mut self.buried[why as usize], true) {
            log::warn!(uplink = uplink, topic:% = message.topic, reason = why.as_str(), detail = detail;
                "a message can't go to the remote; more of the kind are counted");
        }
        self.own.stats.dead(why);
        self.own.reports.dead(message, why, detail).await;
        self.done(record);
        Ok(())
    }
}

/// Why brokers of the remote's kind do not take a message with this topic and a payload of so many bytes.
fn objection(takes: &Takes, topic: &str, payload: usize) -> Option<(Dead, String)> {
    let levels = topic.split('/').count();
    let over = |most: Option<usize>, has: usize| most.filter(|most| has > *most);
    if let Some(most) = over(takes.payload, payload) {
        return Some((
            Dead::TooLarge,
            format!("the remote takes payloads of {most} bytes, and this one has {payload}"),
        ));
    }
    if let Some(most) = over(takes.topic_bytes, topic.len()) {
        return Some((
            Dead::BadTopic,
            format!("the remote takes topics of {most} bytes, and `{topic}` has {}", topic.len()),
        ));
    }
    let most = over(takes.topic_levels, levels)?;
    Some((Dead::BadTopic, format!("the remote takes topics of {most} levels, and `{topic}` has {levels}")))
}

/// How long a message has waited, where the wall clock could be trusted at both ends.
fn waited(message: &Message, now: Option<std::time::SystemTime>) -> Duration {
    let since = message.received.trusted().zip(now);
    since.and_then(|(then, now)| now.duration_since(then).ok()).unwrap_or_default()
}
