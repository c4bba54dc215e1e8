//! What is said to the hub and heard of it on one connection, besides telemetry.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::time::Instant;

use super::desk::Command;
use super::names::{Heard, RESULTS};
use crate::codec::{self, PublishProperties, PublishRef, SubAck};
use crate::message::{Message, Properties, QoS};
use crate::spool::Record;
use crate::uplink::dead::Misfit;
use crate::uplink::inbound::{Arriving, is_shallow};
use crate::uplink::routes::Outgoing;
use crate::uplink::session::Session;
use crate::uplink::stats::{Dead, UplinkStats};
use crate::uplink::trouble::{Trouble, repeated};

/// How long the hub may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Questions for the whole twin that may wait for their answers. Policy: one more is not asked; what comes answers it too.
const TWINS_MAX: usize = 8;

/// Something that the hub was asked and has not answered yet.
#[derive(Debug)]
enum Question {
    /// The whole twin.
    Twin,
    /// To take reported properties, of the message that is under way by this identifier.
    Reported(NonZeroU16),
}

/// See the module's head.
#[derive(Debug)]
pub(in crate::uplink) struct Talk {
    began: Instant,
    /// The hub has answered the subscriptions: what it is asked now, its answer comes.
    ready: bool,
    /// It tells what it makes of questions about the twin.
    twin: bool,
    questions: BTreeMap<String, (Question, Instant)>,
    asked: u64,
}

impl Talk {
    /// One that begins. `subscribes`: the hub is asked for something first.
    pub(in crate::uplink) fn new(now: Instant, subscribes: bool) -> Self {
        Self { began: now, ready: !subscribes, twin: false, questions: BTreeMap::new(), asked: 0 }
    }

    /// Whether messages may be sent.
    pub(in crate::uplink) fn is_ready(&self) -> bool {
        self.ready
    }

    fn next(&self) -> Option<Instant> {
        let begun = (!self.ready).then_some(self.began + PATIENCE);
        self.questions.values().map(|(_, by)| *by).chain(begun).min()
    }
}

impl Session<'_> {
    /// When the hub, or somebody here, will have taken too long.
    pub(in crate::uplink) fn hub_wake(&self) -> Option<Instant> {
        let talk = self.talk.as_ref()?;
        talk.next().into_iter().chain(self.own.desk.next().filter(|_| talk.ready)).min()
    }

    /// Says what is to be said by now.
    pub(in crate::uplink) fn talk(&mut self, now: Instant) -> Result<(), Trouble> {
        let Some(talk) = &mut self.talk else { return Ok(()) };
        if !talk.ready {
            return if now >= talk.began + PATIENCE { Err(Trouble::TooSlow("to answer SUBSCRIBE")) } else { Ok(()) };
        }
        let late = talk.questions.extract_if(.., |_, (_, by)| *by <= now);
        if late.map(|(_, (question, _))| question).any(|question| matches!(question, Question::Reported(_))) {
            return Err(Trouble::TooSlow("to answer what was reported of the twin"));
        }
        for command in self.own.desk.take(now) {
            self.say(command, now)?;
        }
        Ok(())
    }

    fn say(&mut self, command: Command, now: Instant) -> Result<(), Trouble> {
        match command {
            Command::Answer { rid, status, payload } => {
                self.write_request(&format!("$iothub/methods/res/{status}/?$rid={rid}"), &payload)
            }
            Command::Twin => self.ask_for_twin(now),
        }
    }

    fn ask_for_twin(&mut self, now: Instant) -> Result<(), Trouble> {
        let Some(talk) = self.talk.as_mut().filter(|talk| talk.twin) else { return Ok(()) };
        if talk.questions.values().filter(|(question, _)| matches!(question, Question::Twin)).count() >= TWINS_MAX {
            return Ok(());
        }
        talk.asked += 1;
        let rid = format!("twin-{}", talk.asked);
        talk.questions.insert(rid.clone(), (Question::Twin, now + PATIENCE));
        self.write_request(&format!("$iothub/twin/GET/?$rid={rid}"), b"")
    }

    /// Requests and answers are not acknowledged: what comes back, or does not, says more.
    fn write_request(&mut self, topic: &str, payload: &[u8]) -> Result<(), Trouble> {
        // MQTT 3.1.1 carries none.
        let properties = &PublishProperties::default();
        let (qos, packet_id) = (QoS::AtMostOnce, None);
        let publish = PublishRef { dup: false, qos, retain: false, topic, packet_id, payload, properties };
        Ok(codec::write_publish(self.version, &publish, &mut self.out)?)
    }

    /// The hub has answered the subscriptions. All of them are in one packet.
    pub(in crate::uplink) fn hub_granted(&mut self, suback: &SubAck) -> Result<(), Trouble> {
        let wanted = self.own.routes.subscriptions();
        let Some(talk) = self.talk.as_mut().filter(|talk| !talk.ready) else { return Ok(()) };
        let mut answered = wanted.iter().zip(&suback.reasons);
        talk.twin = answered.any(|((filter, _), reason)| filter.as_str() == RESULTS && !reason.is_error());
        talk.ready = true;
        // Changes that were made while nobody was here are told to nobody: the whole says what they came to.
        self.ask_for_twin(Instant::now())
    }

    /// Sends a change of reported properties. The hub's answer is what takes it out of the spool.
    pub(in crate::uplink) async fn report(
        &mut self,
        record: Record,
        message: &Message,
        outgoing: &Outgoing,
    ) -> Result<(), Trouble> {
        let now = Instant::now();
        let Some(talk) = self.talk.as_mut().filter(|talk| talk.twin) else {
            let detail = "the hub has refused the subscription by which it would answer; it may be of the basic tier";
            return self.bury(&record, message, &Misfit::new(Dead::Refused, detail)).await;
        };
        if record.again {
            UplinkStats::add(&self.own.stats.repeated);
        }
        UplinkStats::add(&self.own.stats.sent);
        self.own.rate.sent(now);
        let id = self.own.flight.take(record, QoS::AtLeastOnce);
        let id = id.ok_or(Trouble::Protocol("a packet identifier is in use".to_owned()))?;
        talk.questions.insert(message.id.to_string(), (Question::Reported(id), now + PATIENCE));
        self.write_request(outgoing.topic.as_str(), &message.payload)
    }

    /// What the hub says, as it comes in here; `None` for what nobody here is told.
    pub(in crate::uplink) async fn hear(&mut self, topic: &str, payload: &Bytes) -> Result<Option<Arriving>, Trouble> {
        let Some(hub) = self.own.routes.hub() else { return Ok(None) };
        let Some(heard) = hub.heard(topic) else {
            UplinkStats::add(&self.own.stats.unwanted);
            return Ok(None);
        };
        // Copied, so that a message that is kept does not keep the read buffer.
        let payload = Bytes::copy_from_slice(payload);
        let plain = |rest: &str, payload| {
            hub.here(rest).map(|topic| Arriving { topic, payload, retain: false, properties: None })
        };
        Ok(match heard {
            Heard::Message(properties) => {
                let properties = (!properties.is_empty()).then(|| Arc::new(properties));
                plain("message", payload).map(|arriving| Arriving { properties, ..arriving })
            }
            Heard::Desired => plain("twin/desired", payload),
            Heard::Call { method, rid } => {
                let now = Instant::now();
                let arriving = plain(&format!("request/{rid}/{method}"), payload);
                let Some(arriving) = arriving.filter(|arriving| is_shallow(&arriving.topic)) else {
                    UplinkStats::add(&self.own.stats.unwanted);
                    return Ok(None);
                };
                let properties = Properties {
                    response_topic: hub.here(&format!("response/{rid}/200")).map(|topic| topic.to_string()),
                    correlation: Some(rid.clone().into_bytes().into()),
                    ..Properties::default()
                };
                let by = now + hub.method_timeout;
                if let Err(refusal) = self.own.desk.call(&rid, by, now) {
                    self.say(refusal, now)?;
                    return Ok(None);
                }
                Some(Arriving { properties: Some(Arc::new(properties)), ..arriving })
            }
            Heard::Result { status, rid, version } => return self.answered(status, &rid, version, payload).await,
        })
    }

    async fn answered(
        &mut self,
        status: u16,
        rid: &str,
        version: Option<u64>,
        payload: Bytes,
    ) -> Result<Option<Arriving>, Trouble> {
        let question = self.talk.as_mut().and_then(|talk| talk.questions.remove(rid));
        let good = (200..300).contains(&status);
        match question {
            Some((Question::Twin, _)) if good => Ok(self.arriving_of_hub("twin", payload, true)),
            Some((Question::Twin, _)) => {
                let uplink = self.own.settings.name.as_str();
                log::warn!(uplink = uplink, status = status; "the hub did not give the twin");
                self.own.stats.trouble(format!("the hub did not give the twin: status {status}"));
                Ok(None)
            }
            Some((Question::Reported(_), _)) if status == 429 || status >= 500 => {
                // It stays in the spool, and the back-off gives the hub time.
                Err(Trouble::Busy(format!("what is reported of the twin was answered with status {status}")))
            }
            Some((Question::Reported(id), _)) => {
                let Some(record) = self.own.flight.acknowledged(id) else { return Ok(None) };
                if good {
                    self.delivered(&record);
                } else if let Ok(message) = Message::from_record(&record.bytes) {
                    let words = repeated(&String::from_utf8_lossy(&payload));
                    let detail = format!("the hub answered with status {status}: {words}");
                    self.bury(&record, &message, &Misfit::new(Dead::Refused, detail)).await?;
                }
                let said = json!({ "id": rid, "status": status, "version": version }).to_string();
                Ok(self.arriving_of_hub("twin/result", said.into(), false))
            }
            None => Ok(None),
        }
    }

    fn arriving_of_hub(&self, rest: &str, payload: Bytes, retain: bool) -> Option<Arriving> {
        let topic = self.own.routes.hub()?.here(rest)?;
        Some(Arriving { topic, payload, retain, properties: None })
    }
}
