//! Azure IoT Hub, whose topics are its own: what they are called here, and who the gateway is to it.
//!
//! Owns the hub's topics, property bags and tokens, and the calls and questions under way. `names.rs` is the table of both
//! sides' topics, `bag.rs` what the hub's carry in the place of properties, `token.rs` what a device shows. `desk.rs` keeps
//! what is to be said to the hub besides what is spooled, and `talk.rs` says it and hears the hub on a connection.
//! Source: Microsoft, "Communicate with an IoT hub using the MQTT protocol", and "Understand and use device twins".

mod bag;
mod desk;
mod names;
mod talk;
mod token;

use std::time::{Duration, SystemTime};

pub(super) use desk::{Command, Desk};
pub(super) use names::Hub;
pub(super) use talk::Talk;

use crate::config;

/// The version of the hub's interface that is spoken.
const API_VERSION: &str = "2021-04-12";

/// The user name of a device.
pub(super) fn user(hub: &config::Hub, device: &str) -> String {
    format!("{}/{device}/?api-version={API_VERSION}", hub.host_name)
}

/// A token for a device that is good for the time that the settings say, and after how long it is to be renewed; `None` for
/// a device that shows a certificate.
pub(super) fn password(hub: &config::Hub, device: &str, now: SystemTime) -> Option<(String, Duration)> {
    let key = hub.key()?;
    let token = token::token(&hub.host_name, device, &key, now + hub.token_life);
    // The rest is for finishing what is under way, and for clocks that differ.
    Some((token, hub.token_life.mul_f64(0.8)))
}
