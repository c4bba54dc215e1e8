//! LoRa: gateways' packet forwarders in, ChirpStack's gateway topics out, and back.
//!
//! Map: `udp/` speaks with packet forwarders, `gw/` are the messages, `phy.rs` looks into a frame, `base64.rs` reads bytes
//! as others write them, `refusal.rs` says why something goes no further, `buckets.rs` limits rates. What is known of the
//! air: `region` has the channel plans, `airtime` says how long a frame is on the air, `schedule/` decides what is sent
//! when, `tap` writes frames down for Wireshark.

pub mod airtime;
mod base64;
mod buckets;
pub mod gw;
mod phy;
mod refusal;
pub mod region;
pub mod schedule;
pub mod tap;
mod udp;

pub use refusal::Refusal;
