//! Reason codes (section 2.4) and the two places where 3.x has codes of its own.
//!
//! Owns their values and words. Never decides which packet may carry which: each packet's file lists that.

use std::fmt;

use super::byte_enum::byte_enum;

byte_enum! {
    /// How an operation ended (section 2.4). One value may have several names; the words of 0x00 are `success`
    /// although SUBACK calls it granted QoS 0 and DISCONNECT normal disconnection.
    pub enum ReasonCode {
        Success = 0x00 => "success",
        GrantedQoS1 = 0x01 => "granted QoS 1",
        GrantedQoS2 = 0x02 => "granted QoS 2",
        DisconnectWithWill = 0x04 => "disconnect with will message",
        NoMatchingSubscribers = 0x10 => "no matching subscribers",
        NoSubscriptionExisted = 0x11 => "no subscription existed",
        ContinueAuthentication = 0x18 => "continue authentication",
        ReAuthenticate = 0x19 => "re-authenticate",
        UnspecifiedError = 0x80 => "unspecified error",
        MalformedPacket = 0x81 => "malformed packet",
        ProtocolError = 0x82 => "protocol error",
        ImplementationSpecificError = 0x83 => "implementation specific error",
        UnsupportedProtocolVersion = 0x84 => "unsupported protocol version",
        ClientIdentifierNotValid = 0x85 => "client identifier not valid",
        BadUserNameOrPassword = 0x86 => "bad user name or password",
        NotAuthorized = 0x87 => "not authorized",
        ServerUnavailable = 0x88 => "server unavailable",
        ServerBusy = 0x89 => "server busy",
        Banned = 0x8A => "banned",
        ServerShuttingDown = 0x8B => "server shutting down",
        BadAuthenticationMethod = 0x8C => "bad authentication method",
        KeepAliveTimeout = 0x8D => "keep alive timeout",
        SessionTakenOver = 0x8E => "session taken over",
        TopicFilterInvalid = 0x8F => "topic filter invalid",
        TopicNameInvalid = 0x90 => "topic name invalid",
        PacketIdentifierInUse = 0x91 => "packet identifier in use",
        PacketIdentifierNotFound = 0x92 => "packet identifier not found",
        ReceiveMaximumExceeded = 0x93 => "receive maximum exceeded",
        TopicAliasInvalid = 0x94 => "topic alias invalid",
        PacketTooLarge = 0x95 => "packet too large",
        MessageRateTooHigh = 0x96 => "message rate too high",
        QuotaExceeded = 0x97 => "quota exceeded",
        AdministrativeAction = 0x98 => "administrative action",
        PayloadFormatInvalid = 0x99 => "payload format invalid",
        RetainNotSupported = 0x9A => "retain not supported",
        QoSNotSupported = 0x9B => "QoS not supported",
        UseAnotherServer = 0x9C => "use another server",
        ServerMoved = 0x9D => "server moved",
        SharedSubscriptionsNotSupported = 0x9E => "shared subscriptions not supported",
        ConnectionRateExceeded = 0x9F => "connection rate exceeded",
        MaximumConnectTime = 0xA0 => "maximum connect time",
        SubscriptionIdentifiersNotSupported = 0xA1 => "subscription identifiers not supported",
        WildcardSubscriptionsNotSupported = 0xA2 => "wildcard subscriptions not supported",
    }
}

impl ReasonCode {
    /// Whether the operation failed: 0x80 and above.
    pub fn is_error(self) -> bool {
        self as u8 >= 0x80
    }

    /// The CONNACK return code of 3.x for it (MQTT 3.1.1, table 3.1). `None`: none applies, and the server closes the
    /// connection without a CONNACK (MQTT-3.2.2-6 of 3.1.1).
    pub fn connack_v3(self) -> Option<u8> {
        match self {
            Self::Success => Some(0),
            Self::UnsupportedProtocolVersion => Some(1),
            Self::ClientIdentifierNotValid => Some(2),
            Self::ServerUnavailable
            | Self::ServerBusy
            | Self::ServerShuttingDown
            | Self::QuotaExceeded
            | Self::ConnectionRateExceeded
            | Self::UseAnotherServer
            | Self::ServerMoved
            | Self::UnspecifiedError
            | Self::ImplementationSpecificError => Some(3),
            Self::BadUserNameOrPassword | Self::BadAuthenticationMethod => Some(4),
            Self::NotAuthorized | Self::Banned => Some(5),
            _ => None,
        }
    }

    /// What a CONNACK return code of 3.x says; `None` for 6 and above, which are reserved.
    pub(super) fn from_connack_v3(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Success),
            1 => Some(Self::UnsupportedProtocolVersion),
            2 => Some(Self::ClientIdentifierNotValid),
            3 => Some(Self::ServerUnavailable),
            4 => Some(Self::BadUserNameOrPassword),
            5 => Some(Self::NotAuthorized),
            _ => None,
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}
