//! SUBSCRIBE and UNSUBSCRIBE (sections 3.8 and 3.10).
//!
//! Owns the form of filters and options. Never interprets `$share/…`: the session does, with all its rules.

use std::num::{NonZeroU16, NonZeroU32};

use super::property::{Property, UserProperties, read_properties};
use super::reader::Reader;
use super::writer::Writer;
use super::{CodecError, ReasonCode, Utf8, Version};
use crate::message::{QoS, TopicError, TopicFilter};

const NO_LOCAL: u8 = 0b0000_0100;
const RETAIN_AS_PUBLISHED: u8 = 0b0000_1000;
const RESERVED_V5: u8 = 0b1100_0000;
const RESERVED_V311: u8 = 0b1111_1100;

/// A client asks for subscriptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe {
    /// What SUBACK will repeat.
    pub packet_id: NonZeroU16,
    /// The number that messages for these subscriptions carry, at most 268 435 455; 5.0 only.
    pub subscription_id: Option<NonZeroU32>,
    /// User properties; 5.0 only.
    pub user: UserProperties,
    /// What is asked for, in order; at least one.
    pub subscriptions: Vec<Subscription>,
}

/// One filter and its options (section 3.8.3.1). 3.x has only the QoS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The filter as sent, `$share/…` included; it is a valid [`TopicFilter`].
    pub filter: Utf8,
    /// The highest QoS to send messages with.
    pub qos: QoS,
    /// Leave out what the client published itself.
    pub no_local: bool,
    /// Send the RETAIN flag as it was published.
    pub retain_as_published: bool,
    /// Which retained messages to send at once.
    pub retain_handling: RetainHandling,
}

/// When a new subscription gets the retained messages (section 3.8.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum RetainHandling {
    /// At each SUBSCRIBE; 3.x knows only this.
    #[default]
    Always = 0,
    /// Only if the subscription did not exist.
    IfNew = 1,
    /// Never.
    Never = 2,
}

/// A client gives subscriptions up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsubscribe {
    /// What UNSUBACK will repeat.
    pub packet_id: NonZeroU16,
    /// User properties; 5.0 only.
    pub user: UserProperties,
    /// The filters as they were subscribed to, in order; at least one.
    pub filters: Vec<Utf8>,
}

impl Subscribe {
    pub(super) fn read(version: Version, r: &mut Reader) -> Result<Self, CodecError> {
        let packet_id = r.packet_id()?;
        let mut subscribe = Self { packet_id, subscription_id: None, user: Vec::new(), subscriptions: Vec::new() };
        if version == Version::V5 {
            read_properties(r, |id, r| match id {
                Property::SubscriptionId => r.set(&mut subscribe.subscription_id, id, Reader::subscription_id),
                Property::User => r.user(&mut subscribe.user),
                _ => Ok(false),
            })?;
        }
        check_some(r)?;
        while !r.is_empty() {
            let filter = read_filter(r)?;
            subscribe.subscriptions.push(Subscription::read(filter, version, r.u8("subscription options")?)?);
        }
        Ok(subscribe)
    }

    pub(super) fn write_body(&self, version: Version, w: &mut Writer<'_>) -> Result<(), CodecError> {
        check_any(&self.subscriptions)?;
        w.u16(self.packet_id.get());
        if version == Version::V5 {
            w.properties(|w| {
                if let Some(subscription_id) = self.subscription_id {
                    w.property_subscription_id(subscription_id)?;
                }
                w.property_user(&self.user)
            })?;
        }
        for subscription in &self.subscriptions {
            w.binary(subscription.filter.as_bytes(), "topic filter")?;
            w.u8(subscription.options(version));
        }
        Ok(())
    }
}

impl Subscription {
    /// A subscription with no option but the QoS.
    pub fn new(filter: Utf8, qos: QoS) -> Self {
        Self { filter, qos, no_local: false, retain_as_published: false, retain_handling: RetainHandling::Always }
    }

    fn read(filter: Utf8, version: Version, options: u8) -> Result<Self, CodecError> {
        // MQTT-3.8.3-5; MQTT-3.8.3-4 of 3.1.1; 3.1 leaves the bits open.
        let reserved = match version {
            Version::V5 => RESERVED_V5,
            Version::V311 => RESERVED_V311,
            Version::V31 => 0,
        };
        if options & reserved != 0 {
            return Err(CodecError::malformed("subscription options", "have a reserved bit set"));
        }
        // A protocol error, where a QoS of 3 elsewhere is a malformed packet (section 3.8.3.1).
        let qos = QoS::from_u8(options & 0b11).ok_or(CodecError::protocol("QoS of a subscription", "is 3"))?;
        let mut subscription = Self::new(filter, qos);
        if version == Version::V5 {
            subscription.no_local = options & NO_LOCAL != 0;
            subscription.retain_as_published = options & RETAIN_AS_PUBLISHED != 0;
            subscription.retain_handling = match options >> 4 & 0b11 {
                0 => RetainHandling::Always,
                1 => RetainHandling::IfNew,
                2 => RetainHandling::Never,
                _ => return Err(CodecError::protocol("retain handling", "is 3")),
            };
        }
        Ok(subscription)
    }

    fn options(&self, version: Version) -> u8 {
        let mut options = self.qos as u8;
        if version == Version::V5 {
            options |= (self.retain_handling as u8) << 4;
            if self.no_local {
                options |= NO_LOCAL;
            }
            if self.retain_as_published {
                options |= RETAIN_AS_PUBLISHED;
            }
        }
        options
    }
}

impl Unsubscribe {
    pub(super) fn read(version: Version, r: &mut Reader) -> Result<Self, CodecError> {
        let mut unsubscribe = Self { packet_id: r.packet_id()?, user: Vec::new(), filters: Vec::new() };
        if version == Version::V5 {
            read_properties(r, |id, r| match id {
                Property::User => r.user(&mut unsubscribe.user),
                _ => Ok(false),
            })?;
        }
        check_some(r)?;
        while !r.is_empty() {
            unsubscribe.filters.push(read_filter(r)?);
        }
        Ok(unsubscribe)
    }

    pub(super) fn write_body(&self, version: Version, w: &mut Writer<'_>) -> Result<(), CodecError> {
        check_any(&self.filters)?;
        w.u16(self.packet_id.get());
        if version == Version::V5 {
            w.properties(|w| w.property_user(&self.user))?;
        }
        self.filters.iter().try_for_each(|filter| w.binary(filter.as_bytes(), "topic filter"))
    }
}

/// MQTT-3.8.3-2 and MQTT-3.10.3-2.
fn check_some(r: &Reader) -> Result<(), CodecError> {
    if r.is_empty() { Err(CodecError::protocol("topic filter", "is missing: there has to be one")) } else { Ok(()) }
}

fn check_any<T>(list: &[T]) -> Result<(), CodecError> {
    if list.is_empty() {
        Err(CodecError::unwritable("topic filter", "is missing: there has to be one"))
    } else {
        Ok(())
    }
}

/// A filter whose levels and wildcards are in order (section 4.7).
fn read_filter(r: &mut Reader) -> Result<Utf8, CodecError> {
    let filter = r.text("topic filter")?;
    TopicFilter::new(&filter).map_err(|error| {
        let rule = match error {
            TopicError::Empty => "is empty",
            _ => "has a wildcard that does not fill its level, or a # that is not last",
        };
        CodecError::new(ReasonCode::TopicFilterInvalid, "topic filter", rule)
    })?;
    Ok(filter)
}
