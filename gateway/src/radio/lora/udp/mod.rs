//! The server of Semtech's UDP packet forwarder, protocol version 2.
//!
//! Map: `packet.rs` are the datagrams, `push.rs` what comes in them: `rxpk.rs` frames, `stat.rs` statistics; `json.rs`
//! reads fields.

mod json;
mod packet;
mod push;
mod rxpk;
mod stat;

pub(super) use packet::Kind;
