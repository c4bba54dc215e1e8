//! The messages that a radio makes: frames on `up`, results on `ack`, the port on `state`.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::downlink::Down;
use crate::config::{Envelope, Framing, SerialRadio};
use crate::message::{Message, Origin, Properties, RadioMeta, Received, Topic};
use crate::pipeline::{Door, DropReason, Pipeline};
use crate::radio::navigation::{Heard as Navigated, Navigation};
use crate::radio::{RadioStats, Refused, Topics};

/// A frame and what is known of it.
pub(in crate::radio) struct Frame {
    /// Its payload.
    pub(in crate::radio) payload: Bytes,
    /// When its first byte came.
    pub(in crate::radio) received: Received,
    /// Which poll asked for it.
    pub(in crate::radio) poll: Option<Arc<str>>,
    /// The correlation of the client's frame that it answers.
    pub(in crate::radio) correlation: Option<Bytes>,
    /// How it was heard: what stands in the envelope's metadata, and in the message's user properties.
    pub(in crate::radio) heard: Heard,
}

/// Makes one radio's messages and sends them into the pipeline.
pub(in crate::radio) struct Reports {
    name: Arc<str>,
    framing: &'static str,
    baud: u32,
    envelope: Envelope,
    topics: Topics,
    pipeline: Arc<Pipeline>,
    stats: Arc<RadioStats>,
    /// Of sentences of NMEA 0183, which may say where the gateway is.
    navigation: Option<Mutex<Navigation>>,
}

impl Reports {
    pub(in crate::radio) fn new(
        radio: &SerialRadio,
        topics: Topics,
        pipeline: Arc<Pipeline>,
        stats: Arc<RadioStats>,
    ) -> Self {
        Self {
            baud: radio.kind.line().baud,
            envelope: radio.envelope,
            navigation: (radio.framing == Framing::Nmea).then(Mutex::default),
            ..Self::without_port(&radio.name, framing_name(&radio.framing), topics, pipeline, stats)
        }
    }

    /// Of a device that others have the port of; `by` is who.
    pub(in crate::radio) fn without_port(
        name: &str,
        by: &'static str,
        topics: Topics,
        pipeline: Arc<Pipeline>,
        stats: Arc<RadioStats>,
    ) -> Self {
        let (name, envelope) = (name.into(), Envelope::Json);
        Self { name, framing: by, baud: 0, envelope, topics, pipeline, stats, navigation: None }
    }

    /// The time now.
    pub(in crate::radio) fn now(&self) -> Received {
        self.pipeline.clock().now()
    }

    /// What belongs into a record of something that was measured at this time.
    pub(in crate::radio) fn here_and_now(&self, at: &Received) -> Map<String, Value> {
        self.pipeline.here_and_now(at)
    }

    /// Looks into a sentence for where the gateway is, if this radio is to say that.
    fn navigate(&self, frame: &Frame) {
        let place = self.pipeline.place();
        let Some(navigation) = self.navigation.as_ref().filter(|_| place.is_from(&self.name)) else { return };
        let mut navigation = navigation.lock().unwrap_or_else(PoisonError::into_inner);
        let (time, position) = match navigation.sentence(&frame.payload, frame.received.monotonic) {
            None => return,
            Some(Navigated::Position(position)) => (None, Some(position)),
            Some(Navigated::Time(time, position)) => (Some(time), position),
        };
        if let Some(time) = time {
            place.note_time(time, &frame.received);
        }
        if let Some(position) = position {
            place.note(position);
        }
    }

    /// Publishes a frame that came in.
    pub(in crate::radio) async fn up(&self, frame: Frame) {
        self.navigate(&frame);
        RadioStats::add(&self.stats.frames_received, 1);
        let meta = Arc::new(RadioMeta { framing: self.framing.into(), baud: self.baud, poll: frame.poll });
        let origin = Origin::Radio(Arc::clone(&self.name));
        let mut message = self.pipeline.message(frame.received, origin, self.topics.up.clone(), frame.payload);
        if self.envelope == Envelope::Json {
            message.payload = envelope(&message, &self.name, &meta, (&frame.heard, frame.correlation.as_ref()));
        }
        message.radio = Some(meta);
        message.properties = properties(frame.correlation, frame.heard);
        self.send(message).await;
    }

    /// Publishes what a device was found to say at a time, under a topic of its own.
    pub(in crate::radio) async fn reading(&self, topic: &Topic, at: Received, payload: String, retain: bool) {
        RadioStats::add(&self.stats.frames_received, 1);
        let origin = Origin::Radio(Arc::clone(&self.name));
        let mut message = self.pipeline.message(at, origin, topic.clone(), payload);
        message.radio = Some(Arc::new(RadioMeta { framing: self.framing.into(), baud: self.baud, poll: None }));
        message.retain = retain;
        self.send(message).await;
    }

    /// Counts a frame that was dropped.
    pub(in crate::radio) fn rejected(&self, reason: DropReason, length: usize) {
        RadioStats::add(&self.stats.frames_rejected, 1);
        self.stats.seen.rejected(reason);
        self.pipeline.ledger().refuse(Door::Radio, reason);
        log::debug!(radio:% = self.name, reason:% = reason, bytes = length; "frame dropped");
    }

    /// Says that a frame was written, or written and answered.
    pub(in crate::radio) async fn sent(&self, down: &Down, result: &str, bytes: usize) {
        let body = json!({ "result": result, "id": down.id.to_string(), "bytes": bytes });
        self.ack(&body, down.correlation.clone()).await;
    }

    /// Says that a frame was not sent, or not answered, and why.
    pub(in crate::radio) async fn refused(&self, down: &Down, why: Refused, detail: &str) {
        let mut body = json!({ "result": "refused", "id": down.id.to_string(), "reason": why.as_str() });
        if let (false, Some(body)) = (detail.is_empty(), body.as_object_mut()) {
            body.insert("detail".to_owned(), detail.into());
        }
        self.ack(&body, down.correlation.clone()).await;
    }

    async fn ack(&self, body: &Value, correlation: Option<Bytes>) {
        let mut message = self.own(&self.topics.ack, body);
        message.properties = correlated(correlation);
        self.send(message).await;
    }

    /// Publishes the port's state, retained: open under a path, or not and why.
    pub(in crate::radio) async fn state(&self, open: Option<&Path>, reason: &str) {
        let since = self.now().rfc3339();
        let body = match open {
            Some(path) => json!({ "state": "online", "device": path.display().to_string(), "since": since }),
            None => json!({ "state": "offline", "reason": reason, "since": since }),
        };
        let mut message = self.own(&self.topics.state, &body);
        message.retain = true;
        self.send(message).await;
    }

    fn own(&self, topic: &Topic, body: &Value) -> Message {
        self.pipeline.message(self.now(), Origin::Gateway, topic.clone(), body.to_string())
    }

    async fn send(&self, message: Message) {
        if self.pipeline.ingest(message).await.is_err() {
            // Counted as dropped; the daemon is ending.
            log::debug!(radio:% = self.name; "message dropped: the gateway is stopping");
        }
    }
}

fn correlated(correlation: Option<Bytes>) -> Option<Arc<Properties>> {
    let correlation = Some(correlation?);
    Some(Arc::new(Properties { correlation, ..Properties::default() }))
}

/// What is known of how a frame was heard, by name.
type Heard = Vec<(&'static str, Value)>;

fn properties(correlation: Option<Bytes>, heard: Heard) -> Option<Arc<Properties>> {
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let user = heard.into_iter().map(|(name, value)| (name.to_owned(), text(value))).collect();
    let properties = Properties { correlation, user, ..Properties::default() };
    (!properties.is_empty()).then(|| Arc::new(properties))
}

/// The JSON envelope: time, radio, payload as text or base64, metadata.
fn envelope(message: &Message, radio: &str, meta: &RadioMeta, (heard, correlation): (&Heard, Option<&Bytes>)) -> Bytes {
    let (encoding, payload) = message.readable_payload();
    let mut body = json!({
        "id": message.id.to_string(),
        "time": message.received.rfc3339(),
        "clock": message.received.clock.as_str(),
        "radio": radio,
        "encoding": encoding,
        "payload": payload,
        "meta": { "framing": meta.framing, "baud": meta.baud },
    });
    if let Some(poll) = &meta.poll {
        body["meta"]["poll"] = json!(**poll);
    }
    for (name, value) in heard {
        body["meta"][*name] = value.clone();
    }
    if let Some(correlation) = correlation {
        body["meta"]["correlation"] = json!(base64::engine::general_purpose::STANDARD.encode(correlation));
    }
    body.to_string().into()
}

fn framing_name(framing: &Framing) -> &'static str {
    match framing {
        Framing::Raw => "raw",
        Framing::Line { .. } => "line",
        Framing::IdleGap { .. } => "idle-gap",
        Framing::Fixed { .. } => "fixed",
        Framing::LengthPrefix { .. } => "length-prefix",
        Framing::Slip => "slip",
        Framing::Cobs => "cobs",
        Framing::StartStop { .. } => "start-stop",
        Framing::Nmea => "nmea",
        Framing::DsmrP1 => "dsmr-p1",
        Framing::ModbusRtu => "modbus-rtu",
    }
}
