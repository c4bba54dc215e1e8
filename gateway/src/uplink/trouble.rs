//! Why there is no connection to a remote, in words for its operator.

use std::io;
use std::net::SocketAddr;

use crate::codec::{CodecError, ReasonCode, Version};
use crate::config::Proxy;
use crate::tls;
use crate::websocket;

/// The most characters of a remote's own words that are repeated to an operator.
const REPEATED_MAX: usize = 100;

/// A remote's own words, as far as they are repeated.
pub(super) fn repeated(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(REPEATED_MAX).collect()
}

/// See the module's head.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("`{host}` can't be resolved: {why}; look at `url`, and at the network's name server")]
    Name { host: String, why: io::Error },
    #[error("{address} can't be reached: {why}; look at `url` and at the network")]
    Connect { address: SocketAddr, why: io::Error },
    #[error("`{host}` has no address of the kind that the path's `address` is, IPv4 or IPv6")]
    NoSuchAddress { host: String },
    #[error("the path {path} can't be used: {why}{}", path_remedy(.why))]
    Unusable { path: String, why: io::Error },
    #[error("the proxy {proxy} {what}")]
    Proxy { proxy: String, what: String },
    #[error("{0}")]
    WebSocket(String),
    #[error("{}", .0.iter().map(|(path, why)| format!("over {path}: {why}")).collect::<Vec<_>>().join("; "))]
    Paths(Vec<(String, Trouble)>),
    #[error("the remote took too long {0}")]
    TooSlow(&'static str),
    #[error("{0}")]
    Tls(String),
    #[error("the remote refused the gateway: {reason}{}{}", .details.as_ref().map(|d| format!(" ({d})")).unwrap_or_default(), remedy(*.reason, *.version))]
    Refused { reason: ReasonCode, details: Option<String>, version: Version },
    #[error("the remote closed the connection without an answer; does it want TLS, or another `protocol`?")]
    ClosedAtConnect,
    #[error(
        "the hub refused the device: {reason}; does it know `client-id`, enabled, with this `shared-access-key` or `certificate`?{}",
        .clock.as_ref().map(|clock| format!(" Or is it {clock}? Nothing sets the clock here, and a token made at the wrong time is refused")).unwrap_or_default()
    )]
    DeviceRefused { reason: ReasonCode, clock: Option<String> },
    #[error("the clock says {0}, which can't be: no token can be made until it is set")]
    NoTime(String),
    #[error("the connection is made anew, with another token or over another path")]
    Renewal,
    #[error("the connection was lost: {0}")]
    Lost(String),
    #[error("the network no longer leads to the remote: {0}")]
    Network(io::Error),
    #[error(
        "the remote closed the connection before it acknowledged anything, at `{topic}` or a message behind it: {why}; may it be published there?"
    )]
    Unwelcome { topic: String, why: String },
    #[error("nothing was heard of the remote for {0} s")]
    Silent(u64),
    #[error("the remote sent the gateway away: {0}")]
    SentAway(String),
    #[error("the remote has no room for messages now: {0}")]
    Busy(String),
    #[error("the remote let the gateway in and does not take a message of it: {0}; ask there for the right to publish")]
    NotTaken(ReasonCode),
    #[error("what the remote sent is no MQTT: {0}")]
    Protocol(String),
    #[error(
        "the remote takes messages with a QoS of 0 only, and so acknowledges none; write `qos = 0` in `topics` if they may be lost"
    )]
    NoAcknowledgements,
    #[error("a message of the remote could not be kept; it comes again")]
    NotKept,
    #[error("the spool was closed")]
    SpoolClosed,
}

impl Trouble {
    /// What a proxy did, in words that go behind its name.
    pub(super) fn proxy(proxy: &Proxy, what: String) -> Self {
        Self::Proxy { proxy: proxy.url.to_string(), what }
    }

    /// Those of several paths as one; that of a single one as it is.
    pub(super) fn of_paths(mut troubles: Vec<(String, Self)>) -> Option<Self> {
        let (label, last) = troubles.pop()?;
        if troubles.is_empty() {
            return Some(last);
        }
        troubles.push((label, last));
        Some(Self::Paths(troubles))
    }

    /// Whether another path may do better: nobody who speaks MQTT was heard.
    pub(super) fn may_be_the_path(&self) -> bool {
        use Trouble as T;
        matches!(
            self,
            T::Name { .. }
                | T::Connect { .. }
                | T::NoSuchAddress { .. }
                | T::Unusable { .. }
                | T::TooSlow(_)
                | T::Proxy { .. }
                | T::Tls(_)
                | T::WebSocket(_)
                | T::ClosedAtConnect
                | T::Paths(_)
                | T::Network(_)
                | T::Silent(_)
        )
    }
}

/// What happened to a stream.
impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind as E;
        if let Some(words) = tls::explain(&error) {
            return Self::Tls(words);
        }
        if let Some(fault) = error.get_ref().and_then(|inner| inner.downcast_ref::<websocket::Fault>()) {
            return Self::Protocol(fault.to_string());
        }
        match error.kind() {
            E::TimedOut | E::HostUnreachable | E::NetworkUnreachable | E::NetworkDown => Self::Network(error),
            _ => Self::Lost(error.to_string()),
        }
    }
}

impl From<CodecError> for Trouble {
    fn from(error: CodecError) -> Self {
        match error.reason() {
            ReasonCode::PacketTooLarge => {
                Self::Protocol(format!("{error}; raise `max-packet-size`, or ask for fewer topics"))
            }
            _ => Self::Protocol(error.to_string()),
        }
    }
}

/// What to do where a socket can't be made to take a path.
fn path_remedy(why: &io::Error) -> &'static str {
    match why.kind() {
        io::ErrorKind::AddrNotAvailable => "; this machine has no such address, `ip address` shows which",
        io::ErrorKind::PermissionDenied => "; `interface` needs Linux 5.7 or later, write `address` in its place",
        _ => "; `ip link` shows which interfaces there are",
    }
}

/// What to do about a refusal.
fn remedy(reason: ReasonCode, version: Version) -> &'static str {
    match reason {
        ReasonCode::UnsupportedProtocolVersion if version == Version::V5 => "; write `protocol = \"3.1.1\"`",
        ReasonCode::UnsupportedProtocolVersion => "; write `protocol = \"5\"`",
        ReasonCode::BadUserNameOrPassword => "; look at `user` and `password`",
        ReasonCode::NotAuthorized | ReasonCode::Banned => {
            "; ask there for the right to connect, or look at `user` and `password`"
        }
        ReasonCode::ClientIdentifierNotValid => "; write another `client-id`",
        ReasonCode::RetainNotSupported | ReasonCode::QoSNotSupported => "; write `announce = false`",
        _ => "",
    }
}
