//! Kinds of remote brokers, and what each takes, as data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::uplink::Protocol;
use crate::message::QoS;

/// What kind of broker a remote is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Any broker that keeps to the standard.
    #[default]
    Mqtt,
    /// AWS IoT Core.
    AwsIot,
    /// Azure Event Grid's MQTT broker.
    AzureEventGrid,
    /// Azure IoT Hub, which is no broker: its topics are its own.
    AzureIotHub,
}

/// What brokers of a kind take. `None`: as much as MQTT allows, or as CONNACK says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Takes {
    /// Whether it must be spoken to by TLS.
    pub tls: bool,
    /// The only version of MQTT. `None`: either.
    pub protocol: Option<Protocol>,
    /// The highest quality of service.
    pub qos: QoS,
    /// The longest payload, in bytes.
    pub payload: Option<usize>,
    /// The longest topic, in bytes.
    pub topic_bytes: Option<usize>,
    /// The most levels of a topic.
    pub topic_levels: Option<usize>,
    /// Whether messages can be retained there.
    pub retain: bool,
    /// The longest client identifier, in bytes.
    pub client_id_bytes: Option<usize>,
    /// Messages under way without acknowledgement.
    pub in_flight: Option<u16>,
    /// Messages a second.
    pub rate: Option<u32>,
    /// The longest keep-alive.
    pub keep_alive: Option<Duration>,
    /// Filters in one SUBSCRIBE.
    pub filters: Option<usize>,
}

impl Profile {
    /// What brokers of this kind take.
    pub fn takes(self) -> Takes {
        let any = Takes {
            tls: false,
            protocol: None,
            qos: QoS::ExactlyOnce,
            payload: None,
            topic_bytes: None,
            topic_levels: None,
            retain: true,
            client_id_bytes: None,
            in_flight: None,
            rate: None,
            keep_alive: None,
            filters: None,
        };
        match self {
            Self::Mqtt => any,
            // AWS General Reference, "AWS IoT Core endpoints and quotas": message broker and protocol limits.
            Self::AwsIot => Takes {
                tls: true,
                qos: QoS::AtLeastOnce,
                payload: Some(128 * 1024),
                topic_bytes: Some(256),
                // Seven slashes.
                topic_levels: Some(8),
                client_id_bytes: Some(128),
                in_flight: Some(100),
                rate: Some(100),
                keep_alive: Some(Duration::from_secs(1200)),
                filters: Some(8),
                ..any
            },
            // Azure Event Grid, "Quotas and limits", "MQTT limits in the Event Grid namespace". Its sources disagree on the
            // longest message and on the rate.
            Self::AzureEventGrid => Takes {
                tls: true,
                qos: QoS::AtLeastOnce,
                payload: Some(512 * 1024),
                topic_bytes: Some(256),
                topic_levels: Some(8),
                client_id_bytes: Some(128),
                rate: Some(1000),
                keep_alive: Some(Duration::from_secs(1160)),
                ..any
            },
            // Microsoft, "Communicate with an IoT hub using the MQTT protocol". It retains nothing, and passes the flag on as
            // a property.
            Self::AzureIotHub => Takes {
                tls: true,
                protocol: Some(Protocol::V311),
                qos: QoS::AtLeastOnce,
                payload: Some(256 * 1024),
                client_id_bytes: Some(128),
                keep_alive: Some(Duration::from_secs(1177)),
                ..any
            },
        }
    }
}

/// `[uplink.limits]`: what the remote takes, where it is otherwise than its profile says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RemoteLimits {
    /// The longest payload, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<usize>,
    /// The longest topic, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic_bytes: Option<usize>,
    /// The most levels of a topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic_levels: Option<usize>,
    /// Whether messages can be retained there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retain: Option<bool>,
}

impl RemoteLimits {
    /// Nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What the remote takes, by its profile and this.
    pub fn over(&self, profile: Profile) -> Takes {
        let usual = profile.takes();
        Takes {
            payload: self.payload.or(usual.payload),
            topic_bytes: self.topic_bytes.or(usual.topic_bytes),
            topic_levels: self.topic_levels.or(usual.topic_levels),
            retain: self.retain.unwrap_or(usual.retain),
            ..usual
        }
    }
}
