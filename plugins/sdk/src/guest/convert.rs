//! Moves values between the bindings' types and the crate's own. Copies no text.

use std::time::Duration;

use super::types;
use crate::message::{Clock, Message, More, Origin, Property, Qos, Radio};
use crate::time::Time;
use crate::verdict::{Draft, Error, Patch};

impl Message {
    /// The message at this place of the batch.
    pub(super) fn from_batch(message: types::Message, index: u32) -> Self {
        Self {
            topic: message.topic,
            payload: message.payload,
            qos: message.qos.into(),
            retain: message.retain,
            received: Time(message.received),
            clock: match message.clock {
                types::ClockQuality::Unknown => Clock::Unknown,
                types::ClockQuality::Unsynchronised => Clock::Unsynchronised,
                types::ClockQuality::Synchronised => Clock::Synchronised,
            },
            origin: match message.origin {
                types::Origin::Radio => Origin::Radio,
                types::Origin::Client => Origin::Client,
                types::Origin::Gateway => Origin::Gateway,
                types::Origin::Filter => Origin::Filter,
                types::Origin::Other => Origin::Other,
            },
            radio: message.radio.map(|radio| Radio {
                rssi_dbm: radio.rssi_dbm,
                snr_db: radio.snr_db,
                frequency_hz: radio.frequency_hz,
                bandwidth_hz: radio.bandwidth_hz,
                bitrate: radio.bitrate,
                spreading_factor: radio.spreading_factor,
            }),
            more: More(index),
        }
    }
}

impl From<types::Qos> for Qos {
    fn from(qos: types::Qos) -> Self {
        match qos {
            types::Qos::AtMostOnce => Self::AtMostOnce,
            types::Qos::AtLeastOnce => Self::AtLeastOnce,
            types::Qos::ExactlyOnce => Self::ExactlyOnce,
        }
    }
}

impl From<Qos> for types::Qos {
    fn from(qos: Qos) -> Self {
        match qos {
            Qos::AtMostOnce => Self::AtMostOnce,
            Qos::AtLeastOnce => Self::AtLeastOnce,
            Qos::ExactlyOnce => Self::ExactlyOnce,
        }
    }
}

impl From<types::Property> for Property {
    fn from(property: types::Property) -> Self {
        Self { name: property.name, value: property.value }
    }
}

impl From<Property> for types::Property {
    fn from(property: Property) -> Self {
        Self { name: property.name, value: property.value }
    }
}

impl From<Draft> for types::Draft {
    fn from(draft: Draft) -> Self {
        Self {
            topic: draft.topic,
            payload: draft.payload,
            qos: draft.qos.into(),
            retain: draft.retain,
            content_type: draft.content_type,
            response_topic: draft.response_topic,
            correlation: draft.correlation,
            expiry: draft.expiry.map(seconds),
            properties: draft.properties.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Patch> for types::Patch {
    fn from(patch: Patch) -> Self {
        Self {
            topic: patch.topic,
            payload: patch.payload,
            qos: patch.qos.map(Into::into),
            retain: patch.retain,
            content_type: patch.content_type,
            response_topic: patch.response_topic,
            correlation: patch.correlation,
            expiry: patch.expiry.map(seconds),
            set: patch.set.into_iter().map(Into::into).collect(),
            unset: patch.unset,
        }
    }
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(text) => Self::Invalid(text),
            Error::Unavailable(text) => Self::Unavailable(text),
            Error::Broken(text) => Self::Broken(text),
        }
    }
}
