//! Reads `[broker]`, all but its tables of other doors and its users.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::ports::Ports;
use super::{tls, users};
use crate::config::broker::Broker;
use crate::config::listeners::{Door, WebSocket};
use crate::config::section::Section;

/// The upper end of limits in bytes: 1 GiB.
const BYTES_MAX: i128 = 1 << 30;

/// The longest session, about 10 years.
const SESSION_MAX: Duration = Duration::from_secs(3650 * 24 * 3600);

/// Reads the section; its listeners go to `ports` as well. In `data_dir` is the gateway's own
/// certificate. `more_users`: others than those of the section may connect.
pub(super) fn read(mut section: Section<'_>, ports: &mut Ports, data_dir: &Path, more_users: bool) -> Broker {
    let usual = Broker::default();
    let (group, user, any_user) = users::read(&mut section);
    let tls = section.has("tls").then(|| section.section("tls", "[broker.tls]"));
    let websocket = section.has("websocket").then(|| section.section("websocket", "[broker.websocket]"));
    let s = &mut section;
    let broker = Broker {
        listen: listen(s, ports, usual.listen),
        max_connections: s.integer("max-connections", 1..=65_536).unwrap_or(usual.max_connections),
        max_connections_per_address: s
            .integer("max-connections-per-address", 1..=65_536)
            .unwrap_or(usual.max_connections_per_address),
        max_packet_size: s.integer("max-packet-size", 1024..=268_435_455).unwrap_or(usual.max_packet_size),
        max_topic_levels: s.integer("max-topic-levels", 1..=1024).unwrap_or(usual.max_topic_levels),
        max_topic_bytes: s.integer("max-topic-bytes", 16..=65_535).unwrap_or(usual.max_topic_bytes),
        session_queue: s.integer("session-queue", 1..=1_000_000).unwrap_or(usual.session_queue),
        session_queue_bytes: s.integer("session-queue-bytes", 1024..=BYTES_MAX).unwrap_or(usual.session_queue_bytes),
        queue_bytes_total: s.integer("queue-bytes-total", 65_536..=64 * BYTES_MAX).unwrap_or(usual.queue_bytes_total),
        session_expiry_max: s
            .duration("session-expiry-max", Duration::ZERO..=SESSION_MAX)
            .unwrap_or(usual.session_expiry_max),
        receive_maximum: s.integer("receive-maximum", 1..=65_535).unwrap_or(usual.receive_maximum),
        retained_messages: s.integer("retained-messages", 0..=1_000_000).unwrap_or(usual.retained_messages),
        retained_bytes: s.integer("retained-bytes", 0..=BYTES_MAX).unwrap_or(usual.retained_bytes),
        subscriptions_per_client: s
            .integer("subscriptions-per-client", 1..=100_000)
            .unwrap_or(usual.subscriptions_per_client),
        max_filters: s.integer("max-filters", 1..=1_000_000).unwrap_or(usual.max_filters),
        keep_alive_max: s
            .duration("keep-alive-max", Duration::from_secs(10)..=Duration::from_secs(65_535))
            .unwrap_or(usual.keep_alive_max),
        tcp_keep_alive: s
            .duration("tcp-keep-alive", Duration::from_secs(1)..=Duration::from_secs(7200))
            .unwrap_or(usual.tcp_keep_alive),
        allow_anonymous: s.boolean("allow-anonymous").unwrap_or(usual.allow_anonymous),
        tls: tls.and_then(|tls| tls::read(tls, ports, data_dir)),
        websocket: websocket.and_then(|websocket| read_websocket(websocket, ports)),
        user,
        group,
    };
    check_access(&section, &broker, any_user || more_users);
    section.finish();
    broker
}

/// A listener that others can reach needs somebody who may connect.
fn check_access(section: &Section<'_>, broker: &Broker, any_user: bool) {
    // A user with a problem of its own is there nevertheless.
    if any_user || broker.allow_anonymous {
        return;
    }
    if let Some((door, open)) = broker.exposed() {
        let key = match door {
            Door::Plain => "listen",
            Door::Tls | Door::SecureWebSocket => "tls",
            Door::WebSocket => "websocket",
        };
        section.notes.nowhere(
            section.spot(key),
            format!("the listener on {open} can be reached from outside, and there is no user who may connect"),
            "add a [[broker.user]] or call `stile user add`, listen on 127.0.0.1 only, or write `allow-anonymous = true`",
        );
    }
}

fn read_websocket(mut section: Section<'_>, ports: &mut Ports) -> Option<WebSocket> {
    let listen = ports.listen(&mut section, "listen");
    section.require("listen", "write `listen = [\"127.0.0.1:8083\"]`");
    section.finish();
    listen.map(|listen| WebSocket { listen })
}

fn listen(section: &mut Section<'_>, ports: &mut Ports, usual: Vec<SocketAddr>) -> Vec<SocketAddr> {
    ports.listen(section, "listen").unwrap_or_else(|| {
        for address in &usual {
            ports.add("[broker]", *address, None);
        }
        usual
    })
}
