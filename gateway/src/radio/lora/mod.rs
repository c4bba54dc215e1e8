//! LoRa: what is known of the air, and the radios that reach it.
//!
//! Map: `region` has the channel plans, `airtime` says how long a frame is on the air, `schedule/` decides what is sent
//! when, `tap` writes frames down for Wireshark.

pub mod airtime;
pub mod region;
pub mod schedule;
pub mod tap;
