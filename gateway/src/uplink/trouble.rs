//! Why there is no connection to a remote, in words for its operator.

use std::io;
use std::net::SocketAddr;

use crate::codec::{CodecError, ReasonCode, Version};
use crate::tls;

/// See the module's head.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("`{host}` can't be resolved: {why}; look at `url`, and at the network's name server")]
    Name { host: String, why: io::Error },
    #[error("{address} can't be reached: {why}; look at `url` and at the network")]
    Connect { address: SocketAddr, why: io::Error },
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
    #[error("the connection is made anew, with another token")]
    Renewal,
    #[error("the connection was lost: {0}")]
    Lost(String),
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

/// What happened to a stream.
impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match tls::explain(&error) {
            Some(words) => Self::Tls(words),
            None => Self::Lost(error.to_string()),
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
