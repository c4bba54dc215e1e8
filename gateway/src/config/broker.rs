//! Typed settings of the MQTT broker: `[broker]`.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Serialize;

use super::duration;
use super::listeners::{Tls, WebSocket};
use super::user::{Group, User};

/// `[broker]`. Limits are for one client unless they say otherwise.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Broker {
    /// Where clients connect; at least one.
    pub listen: Vec<SocketAddr>,
    /// Connections of all clients together; 1 to 65536.
    pub max_connections: usize,
    /// Connections from one IP address; 1 to 65536.
    pub max_connections_per_address: usize,
    /// The longest packet taken or sent, in bytes; 1024 to 268435455 (MQTT 5.0, section 1.5.5).
    pub max_packet_size: usize,
    /// Levels of a topic or filter; 1 to 1024.
    pub max_topic_levels: usize,
    /// Bytes of a topic or filter; 16 to 65535 (MQTT 5.0, section 1.5.4).
    pub max_topic_bytes: usize,
    /// Messages that wait for a client that is slow or away; 1 to 1000000.
    pub session_queue: usize,
    /// Bytes of payload and topic that wait for it; 1024 to 1 GiB.
    pub session_queue_bytes: usize,
    /// Bytes that wait for all clients together; 65536 to 64 GiB.
    pub queue_bytes_total: usize,
    /// The longest time a session outlives its connection; up to 10 years.
    #[serde(with = "duration")]
    pub session_expiry_max: Duration,
    /// Messages on their way without acknowledgement, each way; 1 to 65535 (MQTT 5.0, section 3.1.2.11.3).
    pub receive_maximum: u16,
    /// Retained messages of all topics together; 0 to 1000000.
    pub retained_messages: usize,
    /// Bytes of all retained messages together; 0 to 1 GiB.
    pub retained_bytes: usize,
    /// Subscriptions; 1 to 100000.
    pub subscriptions_per_client: usize,
    /// Distinct filters of all clients together; 1 to 1000000.
    pub max_filters: usize,
    /// The longest keep-alive taken; 10 s to 65535 s (MQTT 5.0, section 3.1.2.10).
    #[serde(with = "duration")]
    pub keep_alive_max: Duration,
    /// How long a connection may be silent before the kernel asks whether its peer is still there; 1 s to 2 h.
    #[serde(with = "duration")]
    pub tcp_keep_alive: Duration,
    /// Whether clients without a name may connect on every listener. See [`Broker::anonymous`].
    pub allow_anonymous: bool,
    /// `[broker.tls]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// `[broker.websocket]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub websocket: Option<WebSocket>,
    /// `[[broker.user]]`, names unique.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub user: Vec<User>,
    /// `[[broker.group]]`, names unique.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group: Vec<Group>,
}

impl Broker {
    /// Whether a client without a name may connect: when it is allowed, or when there are no users, here or
    /// (`more_users`) elsewhere, and every listener that asks for no certificate is on loopback.
    pub fn anonymous(&self, more_users: bool) -> bool {
        self.allow_anonymous || (self.user.is_empty() && !more_users && self.exposed().is_none())
    }
}

impl Default for Broker {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 1883))],
            max_connections: 1000,
            max_connections_per_address: 250,
            max_packet_size: 262_144,
            max_topic_levels: 32,
            max_topic_bytes: 65_535,
            session_queue: 10_000,
            session_queue_bytes: 1 << 20,
            queue_bytes_total: 64 << 20,
            session_expiry_max: Duration::from_secs(24 * 3600),
            receive_maximum: 256,
            retained_messages: 10_000,
            retained_bytes: 16 << 20,
            subscriptions_per_client: 100,
            max_filters: 4096,
            keep_alive_max: Duration::from_secs(20 * 60),
            tcp_keep_alive: Duration::from_secs(60),
            allow_anonymous: false,
            tls: None,
            websocket: None,
            user: Vec::new(),
            group: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening(address: &str) -> Broker {
        Broker { listen: vec![address.parse().unwrap()], ..Broker::default() }
    }

    #[test]
    fn without_users_only_loopback_is_anonymous() {
        for local in ["127.0.0.1:1883", "127.9.9.9:1883", "[::1]:1883", "[::ffff:127.0.0.1]:1883"] {
            assert!(listening(local).anonymous(false), "{local}");
        }
        for open in ["0.0.0.0:1883", "[::]:1883", "192.168.1.4:1883"] {
            assert!(!listening(open).anonymous(false), "{open}");
            assert!(Broker { allow_anonymous: true, ..listening(open) }.anonymous(false), "{open}");
        }
    }

    #[test]
    fn who_comes_by_another_door_from_outside_is_not_anonymous_because_the_listeners_are_on_loopback() {
        let (here, there) = ("127.0.0.1".parse().unwrap(), "192.168.1.9".parse().unwrap());
        let closed = listening("127.0.0.1:1883");
        assert!(closed.anonymous_by_mistake(there, false) && !closed.anonymous_by_mistake(here, false));
        assert!(!closed.anonymous_by_mistake("::ffff:127.0.0.1".parse().unwrap(), false));
        assert!(!closed.anonymous_by_mistake(there, true), "a name is asked for");
        assert!(!Broker { allow_anonymous: true, ..closed }.anonymous_by_mistake(there, false));
        assert!(!Broker { user: vec![User::plain("a", "b")], ..Broker::default() }.anonymous_by_mistake(there, false));
    }

    #[test]
    fn a_user_here_or_elsewhere_ends_anonymous_access_on_loopback() {
        assert!(!Broker { user: vec![User::plain("a", "b")], ..Broker::default() }.anonymous(false));
        assert!(Broker::default().anonymous(false) && !Broker::default().anonymous(true));
    }
}
