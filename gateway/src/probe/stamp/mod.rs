//! STAMP, the Simple Two-way Active Measurement Protocol (RFC 8762), unauthenticated: both of its sides.
//!
//! `packet.rs` is the wire, `sender.rs` measures, `reflector.rs` answers others and `sessions.rs` is its memory.

pub(super) mod packet;
pub(super) mod reflector;
pub(super) mod sender;
mod sessions;
