//! Why a datagram or a frame goes no further.

use crate::pipeline::DropReason;

macro_rules! refusals {
    ($($(#[$about:meta])* $name:ident $word:literal => $reason:ident,)*) => {
        /// Why a datagram or a frame goes no further. Each is a label in `/metrics`, so the set is closed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Refusal {
            $($(#[$about])* $name,)*
        }

        impl Refusal {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word for metrics and logs.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// What the ledger calls it.
            pub(super) fn drop_reason(self) -> DropReason {
                match self {
                    $(Self::$name => DropReason::$reason,)*
                }
            }
        }
    };
}

refusals! {
    /// Shorter than its kind of datagram can be.
    Truncated "truncated" => FrameMalformed,
    /// Longer than its kind of datagram can be, or with more frames.
    Oversized "oversized" => FrameTooLong,
    /// Another version of the protocol.
    Version "version" => FrameMalformed,
    /// A kind of datagram that no gateway sends.
    Identifier "identifier" => FrameMalformed,
    /// No JSON object, or none of the expected form.
    Json "json" => FrameMalformed,
    /// A frame without a field that it needs, or with one of another type or out of range.
    Field "field" => FrameMalformed,
    /// A modulation or data rate that LoRaWAN does not have.
    DataRate "data-rate" => FrameMalformed,
    /// A frequency that no radio has.
    Frequency "frequency" => FrameMalformed,
    /// The frame's bytes are no base64.
    Base64 "base64" => FrameMalformed,
    /// The frame has another number of bytes than is said of it.
    SizeMismatch "size-mismatch" => FrameMalformed,
    /// The frame has more than 255 bytes.
    FrameTooLong "frame-too-long" => FrameTooLong,
    /// A gateway that is not among those that may speak.
    UnknownGateway "unknown-gateway" => RadioFilter,
    /// A gateway's name from an address that is not that gateway's.
    WrongAddress "wrong-address" => RadioFilter,
    /// More gateways than are kept.
    TooManyGateways "too-many-gateways" => RadioFilter,
    /// More than `rate-limit`.
    RateLimit "rate-limit" => RadioFilter,
    /// An acknowledgement of nothing that was sent.
    AckUnasked "ack-unasked" => RadioFilter,
    /// A message of a Station that is no text.
    Binary "binary" => FrameMalformed,
    /// A message of a Station or an event of Concentratord of a kind that is not for servers.
    MessageType "message-type" => FrameMalformed,
    /// An event of Concentratord that is not in protocol buffers.
    Protobuf "protobuf" => FrameMalformed,
    /// A connection to Concentratord that broke ZeroMQ's rules.
    ZeroMq "zeromq" => FrameMalformed,
    /// The frame's bytes are no hex digits.
    Hex "hex" => FrameMalformed,
    /// A Station whose `Authorization` is not its gateway's.
    Token "token" => RadioFilter,
    /// A Station whose certificate is not its gateway's.
    Certificate "certificate" => RadioFilter,
    /// A connection without good TLS.
    Tls "tls" => RadioFilter,
    /// A connection that is no WebSocket, or breaks its rules.
    WebSocket "websocket" => FrameMalformed,
    /// A connection for something that is not there.
    Path "path" => RadioFilter,
    /// More connections than are kept.
    TooManyConnections "too-many-connections" => RadioFilter,
    /// The checksum is wrong, or there is none.
    Crc "crc" => FrameChecksum,
    /// No frame of LoRaWAN.
    NotLorawan "not-lorawan" => RadioFilter,
    /// A device address that the filter does not let through.
    DevAddr "dev-addr" => RadioFilter,
    /// A join server that the filter does not let through.
    JoinEui "join-eui" => RadioFilter,
    /// More than `per-device`.
    PerDevice "per-device" => RadioFilter,
    /// It came already.
    Duplicate "duplicate" => RadioFilter,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_word_and_its_own_number() {
        let words: std::collections::BTreeSet<_> = Refusal::ALL.iter().map(|refusal| refusal.as_str()).collect();
        assert_eq!(words.len(), Refusal::ALL.len());
        assert!(Refusal::ALL.iter().enumerate().all(|(index, refusal)| *refusal as usize == index));
    }
}
