//! What is promised to clients outlives the process: SIGKILL, a damaged database, a full disk.
//!
//! `rounds.rs` kills at random moments under load, `held.rs` too, with a plugin that holds messages, `handshakes.rs` at each step of an acknowledgement, `sessions.rs` and
//! `retained.rs` say what is remembered and what stays forgotten, `damage.rs` and `full_disk.rs` take the disk away.
//! `publisher.rs` and `subscriber.rs` are clients that keep their half of a session by the book.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod damage;
mod full_disk;
mod handshakes;
mod held;
mod publisher;
mod retained;
mod rounds;
mod sessions;
mod subscriber;

use stile_tests::packet::{Connect, V5, V311};
use stile_tests::{RawClient, Stile};

const BOTH: [u8; 2] = [V311, V5];
const PUBACK: u8 = 0x40;
const PUBREC: u8 = 0x50;
const PUBREL: u8 = 0x62;
const PUBCOMP: u8 = 0x70;

/// Connects and says whether there was a session.
#[track_caller]
fn come_back(stile: &Stile, connect: &Connect) -> (RawClient, bool) {
    let (client, connack) = RawClient::meet(stile.mqtt, connect);
    assert_eq!(connack.body[1], 0, "{connack:02x?}");
    (client, connack.body[0] == 1)
}

/// Connects to a session that must be there.
#[track_caller]
fn resume(stile: &Stile, connect: &Connect) -> RawClient {
    let (client, present) = come_back(stile, connect);
    assert!(present, "the session of {} is gone", connect.id);
    client
}

/// Waits until so many clients are connected.
#[track_caller]
fn wait_connections(stile: &Stile, count: f64) {
    stile.wait_metric("stile_mqtt_connections", |n| n == count);
}
