//! A made-up LoRa gateway: ten parking bays that speak LoRaWAN 1.0.4, and the packet forwarder that hears them.
//!
//! It speaks to the real server by UDP, so everything behind the antenna is what it will be with hardware. The frames are
//! made by a library that the radio does not use, with keys that anybody can work out: see [`bay::Bay::new`].

mod bay;
mod forwarder;

pub(in crate::radio) use forwarder::{eui, run};
