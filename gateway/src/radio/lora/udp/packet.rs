//! The datagrams of Semtech's UDP protocol, version 2 (`packet_forwarder/PROTOCOL.md` of sx1302_hal, sections 3 and 5).
//!
//! Pure: bytes to what they say, and back. What the JSON in them says is read elsewhere.

use crate::config::Eui;
use crate::radio::lora::Refusal;

/// The longest datagram that UDP over IPv4 can carry.
pub(super) const DATAGRAM_MAX: usize = 65_507;

/// The longest JSON of an acknowledgement: one short object.
const TX_ACK_JSON_MAX: usize = 1024;

/// Version, token and identifier.
const HEAD: usize = 4;

/// Head and the gateway's EUI.
const HEAD_WITH_EUI: usize = 12;

const VERSION: u8 = 2;
const PUSH_DATA: u8 = 0;
const PUSH_ACK: u8 = 1;
const PULL_DATA: u8 = 2;
const PULL_RESP: u8 = 3;
const PULL_ACK: u8 = 4;
const TX_ACK: u8 = 5;

/// What an answer is known by: chosen by whoever asks, and nothing keeps it from being used again.
pub(super) type Token = [u8; 2];

/// The kinds of datagram that a gateway sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Kind {
    /// Frames and statistics.
    PushData,
    /// Keeps the way back open.
    PullData,
    /// What became of a downlink.
    TxAck,
}

impl Kind {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 3] = [Self::PushData, Self::PullData, Self::TxAck];

    /// The word for metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::PushData => "push-data",
            Self::PullData => "pull-data",
            Self::TxAck => "tx-ack",
        }
    }
}

/// A datagram from a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet<'d> {
    /// What kind it is.
    pub(super) kind: Kind,
    /// Its token.
    pub(super) token: Token,
    /// Whose it is, as it says itself.
    pub(super) eui: Eui,
    /// What stands behind the head.
    pub(super) json: &'d [u8],
}

/// Reads a datagram.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(datagram: &[u8]) -> Result<Packet<'_>, Refusal> {
    let Some(([version, high, low, identifier], rest)) = datagram.split_first_chunk::<HEAD>() else {
        return Err(Refusal::Truncated);
    };
    if *version != VERSION {
        return Err(Refusal::Version);
    }
    let (kind, longest) = match *identifier {
        PUSH_DATA => (Kind::PushData, DATAGRAM_MAX - HEAD_WITH_EUI),
        PULL_DATA => (Kind::PullData, 0),
        TX_ACK => (Kind::TxAck, TX_ACK_JSON_MAX),
        _ => return Err(Refusal::Identifier),
    };
    let Some((eui, json)) = rest.split_first_chunk::<8>() else { return Err(Refusal::Truncated) };
    if json.len() > longest {
        return Err(Refusal::Oversized);
    }
    Ok(Packet { kind, token: [*high, *low], eui: Eui(u64::from_be_bytes(*eui)), json })
}

/// The answer to PUSH_DATA.
pub(super) fn push_ack(token: Token) -> [u8; HEAD] {
    [VERSION, token[0], token[1], PUSH_ACK]
}

/// The answer to PULL_DATA.
pub(super) fn pull_ack(token: Token) -> [u8; HEAD] {
    [VERSION, token[0], token[1], PULL_ACK]
}

/// A downlink.
pub(super) fn pull_resp(token: Token, json: &[u8]) -> Vec<u8> {
    [&[VERSION, token[0], token[1], PULL_RESP], json].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EUI: [u8; 8] = [0, 0x16, 0xc0, 1, 0xff, 0x10, 0xa2, 0x35];

    fn datagram(identifier: u8, json: &str) -> Vec<u8> {
        [&[2, 0xab, 0xcd, identifier], &EUI[..], json.as_bytes()].concat()
    }

    #[test]
    fn the_three_kinds_that_gateways_send_are_told_apart() {
        for (identifier, kind, json) in
            [(0, Kind::PushData, "{}"), (2, Kind::PullData, ""), (5, Kind::TxAck, ""), (5, Kind::TxAck, "{}")]
        {
            let bytes = datagram(identifier, json);
            let eui = Eui::parse("0016c001ff10a235").unwrap();
            let expected = Packet { kind, token: [0xab, 0xcd], eui, json: json.as_bytes() };
            assert_eq!(parse(&bytes), Ok(expected));
        }
    }

    #[test]
    fn each_fault_has_its_own_reason() {
        for length in 0..12 {
            assert_eq!(parse(&datagram(2, "")[..length]), Err(Refusal::Truncated), "{length} bytes");
        }
        for version in [0, 1, 3, 255] {
            let mut bytes = datagram(0, "{}");
            bytes[0] = version;
            assert_eq!(parse(&bytes), Err(Refusal::Version));
        }
        for identifier in [1, 3, 4, 6, 255] {
            assert_eq!(parse(&datagram(identifier, "{}")), Err(Refusal::Identifier), "those are for gateways, or none");
        }
        assert_eq!(parse(&datagram(2, "x")), Err(Refusal::Oversized));
        assert_eq!(parse(&datagram(5, &" ".repeat(1025))), Err(Refusal::Oversized));
    }

    #[test]
    fn answers_carry_the_token_of_what_they_answer() {
        assert_eq!((push_ack([7, 8]), pull_ack([7, 8])), ([2, 7, 8, 1], [2, 7, 8, 4]));
        assert_eq!(pull_resp([7, 8], b"{}"), b"\x02\x07\x08\x03{}");
    }

    proptest! {
        #[test]
        fn any_datagram_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(packet) = parse(&bytes) {
                prop_assert_eq!(packet.json.len() + HEAD_WITH_EUI, bytes.len());
            }
        }
    }
}
