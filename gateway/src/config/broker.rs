//! Typed settings of the MQTT broker: `[broker]` and `[[broker.user]]`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::duration;
use super::listeners::{Tls, WebSocket};
use super::secret::Secret;

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
    /// Messages that wait for a client that is slow or away; 1 to 1000000.
    pub session_queue: usize,
    /// Bytes of payload and topic that wait for it; 1024 to 1 GiB.
    pub session_queue_bytes: usize,
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
    /// The longest keep-alive taken; 10 s to 65535 s (MQTT 5.0, section 3.1.2.10).
    #[serde(with = "duration")]
    pub keep_alive_max: Duration,
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
}

impl Broker {
    /// Whether a client without a name may connect: when it is allowed, or when there is no user and every listener
    /// that asks for no certificate is on loopback.
    pub fn anonymous(&self) -> bool {
        self.allow_anonymous || (self.user.is_empty() && self.exposed().is_none())
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
            session_queue: 10_000,
            session_queue_bytes: 1 << 20,
            session_expiry_max: Duration::from_secs(24 * 3600),
            receive_maximum: 64,
            retained_messages: 10_000,
            retained_bytes: 16 << 20,
            subscriptions_per_client: 100,
            keep_alive_max: Duration::from_secs(20 * 60),
            allow_anonymous: false,
            tls: None,
            websocket: None,
            user: Vec::new(),
        }
    }
}

/// `[[broker.user]]`: who may connect.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// The MQTT user name.
    pub name: String,
    /// The password, from the settings or from the file.
    pub password: Secret,
    /// The file that the password was read from.
    pub password_file: Option<PathBuf>,
}

/// As in the settings: the file if there is one, else the (masked) password.
impl Serialize for User {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut user = serializer.serialize_struct("User", 2)?;
        user.serialize_field("name", &self.name)?;
        match &self.password_file {
            Some(file) => user.serialize_field("password-file", file)?,
            None => user.serialize_field("password", &self.password)?,
        }
        user.end()
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
            assert!(listening(local).anonymous(), "{local}");
        }
        for open in ["0.0.0.0:1883", "[::]:1883", "192.168.1.4:1883"] {
            assert!(!listening(open).anonymous(), "{open}");
            assert!(Broker { allow_anonymous: true, ..listening(open) }.anonymous(), "{open}");
        }
    }

    #[test]
    fn who_comes_by_another_door_from_outside_is_not_anonymous_because_the_listeners_are_on_loopback() {
        let (here, there) = ("127.0.0.1".parse().unwrap(), "192.168.1.9".parse().unwrap());
        let closed = listening("127.0.0.1:1883");
        assert!(closed.anonymous_by_mistake(there) && !closed.anonymous_by_mistake(here));
        assert!(!closed.anonymous_by_mistake("::ffff:127.0.0.1".parse().unwrap()));
        assert!(!Broker { allow_anonymous: true, ..closed }.anonymous_by_mistake(there));
        let user = User { name: "a".into(), password: Secret::new("b"), password_file: None };
        assert!(!Broker { user: vec![user], ..Broker::default() }.anonymous_by_mistake(there));
    }

    #[test]
    fn a_user_ends_anonymous_access_on_loopback() {
        let user = User { name: "a".into(), password: Secret::new("b"), password_file: None };
        assert!(!Broker { user: vec![user], ..Broker::default() }.anonymous());
    }
}
