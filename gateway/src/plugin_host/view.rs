//! A message as a plugin sees it. Nothing is copied here; lowering it into the plugin's memory is the one copy.

use super::bindings::exports::stile::filter::filter::Message as Seen;
use super::bindings::stile::filter::types::{ClockQuality as SeenClock, Origin as SeenOrigin, Qos, Radio};
use crate::message::{ClockQuality, Message, Origin, QoS, RadioMeta};

/// The record of `wit/` that mirrors a message.
pub(super) fn view(message: &Message) -> Seen<'_> {
    Seen {
        topic: message.topic.as_str(),
        payload: &message.payload,
        qos: match message.qos {
            QoS::AtMostOnce => Qos::AtMostOnce,
            QoS::AtLeastOnce => Qos::AtLeastOnce,
            QoS::ExactlyOnce => Qos::ExactlyOnce,
        },
        retain: message.retain,
        received: message.received.unix_micros(),
        clock: match message.received.clock {
            ClockQuality::Unknown => SeenClock::Unknown,
            ClockQuality::Unsynchronised => SeenClock::Unsynchronised,
            ClockQuality::Synchronised => SeenClock::Synchronised,
        },
        origin: match message.origin {
            Origin::Radio(_) => SeenOrigin::Radio,
            // The contract of 1.x has no word for a remote broker, whose messages come by MQTT too.
            Origin::Client(_) | Origin::Uplink(_) => SeenOrigin::Client,
            Origin::Gateway => SeenOrigin::Gateway,
            Origin::Plugin(_) => SeenOrigin::Filter,
        },
        radio: message.radio.as_deref().map(radio),
    }
}

/// A serial line knows its rate and nothing of the air.
fn radio(meta: &RadioMeta) -> Radio {
    Radio {
        rssi_dbm: f32::NAN,
        snr_db: f32::NAN,
        frequency_hz: 0,
        bandwidth_hz: 0,
        bitrate: meta.baud,
        spreading_factor: 0,
    }
}

/// Back: a quality of service that a plugin asks for.
pub(super) fn qos(asked: Qos) -> QoS {
    match asked {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
        Qos::ExactlyOnce => QoS::ExactlyOnce,
    }
}
