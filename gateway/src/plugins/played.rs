//! A component as something that cases can be played against: the types of a case on one side, those of the gateway on the
//! other.

use std::time::{Duration, Instant, UNIX_EPOCH};

use bytes::Bytes;
use stile_filter::cases::Subject;
use stile_filter::{Draft, Error, Property, Qos, Time, Verdict};

use crate::message::{ClockQuality, Message, MessageIds, Origin, Properties, QoS, Received, Topic};
use crate::plugin_host::{Failure, FailureKind, Judgement, Workbench};

/// A component on the workbench, and what it has cost.
#[derive(Debug)]
pub struct Played {
    bench: Workbench,
    ids: MessageIds,
    /// CPU time of each message.
    pub times: Vec<Duration>,
    /// The most bytes of memory.
    pub memory: usize,
}

impl Played {
    /// Nothing has happened to it yet.
    pub fn new(bench: Workbench) -> Self {
        Self { bench, ids: MessageIds::new(0), times: Vec::new(), memory: 0 }
    }

    fn note(&mut self) {
        self.memory = self.memory.max(self.bench.memory());
    }
}

impl Subject for Played {
    fn configure(&mut self) -> Result<(), Error> {
        let started = self.bench.start().map_err(error);
        self.note();
        started
    }

    fn process(&mut self, message: &stile_filter::Message) -> Result<Verdict, Error> {
        self.bench.set_now(message.received.0);
        let judged = self.bench.judge(&[of_case(message, &self.ids)?]);
        self.times.push(self.bench.cpu());
        self.note();
        match judged.map_err(error)?.pop() {
            Some(Judgement::Drop(why)) => Ok(Verdict::Drop(why.into())),
            Some(Judgement::Reject(why)) => Ok(Verdict::Reject(why.into())),
            Some(Judgement::Modify(changed)) => Ok(Verdict::Replace(vec![draft(&changed)])),
            Some(Judgement::Replace(others)) => Ok(Verdict::Replace(others.iter().map(draft).collect())),
            Some(Judgement::Pass) | None => Ok(Verdict::Pass),
        }
    }

    fn tick(&mut self, now: Time) -> Result<Vec<Draft>, Error> {
        self.bench.set_now(now.0);
        let made = self.bench.tick().map_err(error);
        self.note();
        Ok(made?.iter().map(draft).collect())
    }

    fn published(&mut self) -> Vec<Draft> {
        self.bench.take_emitted().iter().map(draft).collect()
    }
}

fn error(failure: Failure) -> Error {
    match failure.kind {
        FailureKind::Invalid => Error::Invalid(failure.text),
        FailureKind::Unavailable => Error::Unavailable(failure.text),
        kind => Error::Broken(format!("{kind}: {}", failure.text)),
    }
}

/// When something that is played again was received: `micros` since 1970.
pub fn received(micros: u64, clock: ClockQuality) -> Received {
    let wall = UNIX_EPOCH.checked_add(Duration::from_micros(micros)).unwrap_or(UNIX_EPOCH);
    Received { wall, monotonic: Instant::now(), clock }
}

/// A message of a case as the gateway would have it.
///
/// # Errors
/// When its topic is none.
pub fn of_case(shown: &stile_filter::Message, ids: &MessageIds) -> Result<Message, Error> {
    let topic = Topic::new(&shown.topic).map_err(|is| Error::Invalid(format!("the topic {:?} {is}", shown.topic)))?;
    let received = received(shown.received.0, ClockQuality::Unknown);
    let origin = Origin::Client(shown.origin_name().into());
    let mut message = Message::new(ids.next(), received, origin, topic, shown.payload.clone());
    message.qos = match shown.qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
        Qos::ExactlyOnce => QoS::ExactlyOnce,
    };
    message.retain = shown.retain;
    let properties = Properties {
        content_type: shown.content_type(),
        response_topic: shown.response_topic(),
        correlation: shown.correlation().map(Bytes::from),
        user: shown.user_properties().into_iter().map(|Property { name, value }| (name, value)).collect(),
        ..Properties::default()
    };
    message.properties = (!properties.is_empty()).then(|| properties.into());
    Ok(message)
}

/// Back: a message that goes on as a case shows it.
fn draft(message: &Message) -> Draft {
    let properties = message.properties.as_deref().cloned().unwrap_or_default();
    Draft {
        topic: message.topic.as_str().to_owned(),
        payload: message.payload.to_vec(),
        qos: match message.qos {
            QoS::AtMostOnce => Qos::AtMostOnce,
            QoS::AtLeastOnce => Qos::AtLeastOnce,
            QoS::ExactlyOnce => Qos::ExactlyOnce,
        },
        retain: message.retain,
        content_type: properties.content_type,
        response_topic: properties.response_topic,
        correlation: properties.correlation.map(|bytes| bytes.to_vec()),
        expiry: properties.expiry.map(|seconds| Duration::from_secs(seconds.into())),
        properties: properties.user.into_iter().map(|(name, value)| Property { name, value }).collect(),
    }
}
