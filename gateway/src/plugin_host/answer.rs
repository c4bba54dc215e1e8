//! What a plugin answers, checked. Whatever leaves this file is a message that the gateway could have made itself.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use super::bindings::stile::filter::types::{Action, Decision, Draft, Patch, Property};
use super::terms::Terms;
use super::view::qos;
use crate::message::{Message, Origin, Properties, QoS, TOPIC_MAX_BYTES, Topic};
use crate::pipeline::Stamp;

/// The longest payload of a message that a plugin makes or changes.
pub(super) const PAYLOAD_BYTES: usize = 1 << 20;
/// The most that all user properties of one message may have.
const PROPERTIES_BYTES: usize = 65_536;
/// What one of them weighs besides its texts: as in MQTT, a mark and two lengths.
const PROPERTY_BYTES: usize = 5;

/// A message that a plugin made, not yet stamped.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) topic: Topic,
    pub(super) payload: Bytes,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) properties: Option<Arc<Properties>>,
}

impl Outgoing {
    /// The message, of which the host says who made it and when.
    pub(super) fn stamped(self, stamp: &Stamp, origin: Origin) -> Message {
        let mut message = stamp.message(origin, self.topic, self.payload);
        message.qos = self.qos;
        message.retain = self.retain;
        message.properties = self.properties;
        message
    }
}

/// What is to be changed in a message.
#[derive(Debug)]
pub(super) struct Change {
    topic: Option<Topic>,
    payload: Option<Bytes>,
    qos: Option<QoS>,
    retain: Option<bool>,
    said: Said,
    set: Vec<Property>,
    unset: Vec<String>,
}

/// What a plugin says of a message besides its user properties. In a change what is none stays, and what is empty goes.
#[derive(Debug, Default)]
struct Said {
    content_type: Option<String>,
    response_topic: Option<String>,
    correlation: Option<Bytes>,
    expiry: Option<u32>,
}

/// What becomes of a message that does not simply pass.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It ends here; the text says why.
    Filter(String),
    Modify(Box<Change>),
    Replace(Vec<Outgoing>),
    /// The plugin can't judge it; the text says why.
    Reject(String),
}

/// Holds the answers of one call against the terms.
pub(super) struct Checks<'a> {
    terms: &'a Terms,
    /// Messages that this call made so far.
    made: usize,
}

impl<'a> Checks<'a> {
    /// `made`: what the call emitted already.
    pub(super) fn new(terms: &'a Terms, made: usize) -> Self {
        Self { terms, made }
    }

    /// The decisions on a batch of so many messages: each index at most once, rising.
    pub(super) fn decisions(&mut self, found: Vec<Decision>, batch: usize) -> Result<Vec<(usize, Outcome)>, String> {
        let mut next = 0;
        let mut checked = Vec::with_capacity(found.len().min(batch));
        for Decision { index, action } in found {
            let index = index as usize;
            if index >= batch {
                return Err(format!("decides on message {index} of a batch of {batch}"));
            }
            if index < next {
                return Err(format!("decides on message {index} twice or out of order"));
            }
            next = index + 1;
            checked.push((index, self.action(action)?));
        }
        Ok(checked)
    }

    fn action(&mut self, action: Action) -> Result<Outcome, String> {
        Ok(match action {
            Action::Drop(why) => Outcome::Filter(why),
            Action::Reject(why) => Outcome::Reject(why),
            Action::Replace(drafts) => Outcome::Replace(self.drafts(drafts)?),
            Action::Modify(patch) => Outcome::Modify(Box::new(self.change(patch)?)),
        })
    }

    pub(super) fn drafts(&mut self, drafts: Vec<Draft>) -> Result<Vec<Outgoing>, String> {
        drafts.into_iter().map(|draft| self.draft(draft)).collect()
    }

    /// One message that the plugin makes.
    pub(super) fn draft(&mut self, draft: Draft) -> Result<Outgoing, String> {
        self.made += 1;
        if self.made > self.terms.limits.drafts {
            return Err(format!("makes more than {} messages in one call", self.terms.limits.drafts));
        }
        let topic = self.topic(&draft.topic)?;
        let said = Said::checked(draft.content_type, draft.response_topic, draft.correlation, draft.expiry)?;
        let mut properties = Properties::default();
        said.apply(&mut properties);
        carriable(&draft.properties, &[])?;
        properties.user = draft.properties.into_iter().map(|Property { name, value }| (name, value)).collect();
        Ok(Outgoing {
            topic,
            payload: payload(draft.payload)?,
            qos: qos(draft.qos),
            retain: draft.retain,
            properties: (!properties.is_empty()).then(|| Arc::new(properties)),
        })
    }

    fn change(&self, patch: Patch) -> Result<Change, String> {
        carriable(&patch.set, &patch.unset)?;
        Ok(Change {
            topic: patch.topic.map(|name| self.topic(&name)).transpose()?,
            payload: patch.payload.map(payload).transpose()?,
            qos: patch.qos.map(qos),
            retain: patch.retain,
            said: Said::checked(patch.content_type, patch.response_topic, patch.correlation, patch.expiry)?,
            set: patch.set,
            unset: patch.unset,
        })
    }

    fn topic(&self, name: &str) -> Result<Topic, String> {
        let shown = || name.chars().take(80).collect::<String>();
        let topic = Topic::new(name).map_err(|error| format!("the topic {:?} {error}", shown()))?;
        if self.terms.publish.iter().any(|filter| filter.matches(name)) {
            return Ok(topic);
        }
        Err(format!("the topic {:?} is not within what the plugin may `publish`", shown()))
    }
}

fn payload(bytes: Vec<u8>) -> Result<Bytes, String> {
    if bytes.len() > PAYLOAD_BYTES {
        return Err(format!("a payload of {} bytes; {PAYLOAD_BYTES} is the most", bytes.len()));
    }
    Ok(bytes.into())
}

/// What MQTT can carry as a text.
fn carried(text: &str) -> Result<(), String> {
    if text.len() > TOPIC_MAX_BYTES || text.contains('\0') {
        return Err("a property that is longer than 65535 bytes or contains a NUL character".into());
    }
    Ok(())
}

fn text(given: Option<String>) -> Result<Option<String>, String> {
    given.map(|text| carried(&text).map(|()| text)).transpose()
}

impl Said {
    fn checked(
        content_type: Option<String>,
        response_topic: Option<String>,
        correlation: Option<Vec<u8>>,
        expiry: Option<u32>,
    ) -> Result<Self, String> {
        let response_topic = text(response_topic)?;
        if let Some(name) = response_topic.as_deref().filter(|name| !name.is_empty()) {
            Topic::new(name).map_err(|error| format!("the response topic {error}"))?;
        }
        if correlation.as_ref().is_some_and(|bytes| bytes.len() > TOPIC_MAX_BYTES) {
            return Err(format!("correlation data of more than {TOPIC_MAX_BYTES} bytes"));
        }
        let correlation = correlation.map(Bytes::from);
        Ok(Self { content_type: text(content_type)?, response_topic, correlation, expiry })
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self { content_type: None, response_topic: None, correlation: None, expiry: None })
    }

    fn apply(self, properties: &mut Properties) {
        set(&mut properties.content_type, self.content_type, String::is_empty);
        set(&mut properties.response_topic, self.response_topic, String::is_empty);
        set(&mut properties.correlation, self.correlation, Bytes::is_empty);
        set(&mut properties.expiry, self.expiry, |seconds| *seconds == 0);
    }
}

fn set<T>(place: &mut Option<T>, value: Option<T>, is_empty: impl Fn(&T) -> bool) {
    if let Some(value) = value {
        *place = Some(value).filter(|value| !is_empty(value));
    }
}

/// Whether user properties, and names of those to be taken away, are what one message may have.
fn carriable(properties: &[Property], names: &[String]) -> Result<(), String> {
    for Property { name, value } in properties {
        carried(name)?;
        carried(value)?;
    }
    let bytes =
        properties.iter().map(property).chain(names.iter().map(|name| PROPERTY_BYTES + name.len())).sum::<usize>();
    if bytes > PROPERTIES_BYTES {
        return Err(format!("user properties of {bytes} bytes; {PROPERTIES_BYTES} is the most"));
    }
    Ok(())
}

/// What a user property weighs.
fn property(property: &Property) -> usize {
    PROPERTY_BYTES + property.name.len() + property.value.len()
}

/// What a message that a plugin makes weighs.
pub(super) fn weight(draft: &Draft) -> usize {
    let texts = [&draft.content_type, &draft.response_topic].into_iter().flatten().map(String::len).sum::<usize>();
    let correlation = draft.correlation.as_ref().map_or(0, Vec::len);
    let properties = draft.properties.iter().map(property).sum::<usize>();
    draft.topic.len() + draft.payload.len() + texts + correlation + properties
}

impl Change {
    /// The message with the changes. It keeps its id, its origin and its time.
    pub(super) fn apply(self, message: &Message) -> Message {
        let mut changed = message.clone();
        changed.topic = self.topic.unwrap_or(changed.topic);
        changed.qos = self.qos.unwrap_or(changed.qos);
        changed.retain = self.retain.unwrap_or(changed.retain);
        let new_payload = self.payload.is_some();
        changed.payload = self.payload.unwrap_or(changed.payload);
        let untouched = self.said.is_empty() && self.set.is_empty() && self.unset.is_empty();
        if untouched && (!new_payload || changed.properties.is_none()) {
            return changed;
        }
        let properties = Arc::make_mut(changed.properties.get_or_insert_default());
        if new_payload {
            // It was said of the old one.
            properties.payload_is_text = None;
        }
        self.said.apply(properties);
        let gone: HashSet<_> = self.unset.iter().chain(self.set.iter().map(|set| &set.name)).collect();
        properties.user.retain(|(name, _)| !gone.contains(name));
        properties.user.extend(self.set.into_iter().map(|set| (set.name, set.value)));
        if properties.is_empty() {
            changed.properties = None;
        }
        changed
    }
}
