//! Concentratord's words as ZeroMQ messages, in both forms. Pure.
//!
//! Until 4.4 a message has two frames, the first with a word: events `up` and `stats`, commands `down`, `config` and
//! `gateway_id` (chirpstack-concentratord, `events.rs` and `commands.rs`). From 4.5 on it has one, `gw.Event` or
//! `gw.Command`. The answers are the same but for the gateway's identifier.
//!
//! Which one it is, its answer to the newer question for the identifier tells: one of the older answers what it does not
//! understand with nothing. The other way round would not do: a newer one that is asked in two frames reads one of them,
//! can't answer, and takes no commands any more.

use bytes::Bytes;

use crate::config::Eui;
use crate::radio::lora::Refusal;
use crate::radio::lora::gw::{
    self, DownlinkFrame, GatewayConfiguration, GatewayStats, GetGatewayIdRequest, GetGatewayIdResponse, Message,
    UplinkFrame,
};

/// What Concentratord is asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Question {
    /// To send a frame.
    Down(DownlinkFrame),
    /// To have these channels.
    Configure(GatewayConfiguration),
}

/// How its messages are put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One frame: from 4.5 on.
    Single,
    /// Two: until 4.4.
    Pair,
}

impl Form {
    /// For the log.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Single => "4.5 or later",
            Self::Pair => "4.4 or earlier",
        }
    }

    /// A question as the frames of a message.
    pub(super) fn question(self, question: &Question) -> Vec<Bytes> {
        let command = match (self, question.clone()) {
            (Self::Pair, Question::Down(frame)) => return pair("down", &frame),
            (Self::Pair, Question::Configure(settings)) => return pair("config", &settings),
            (Self::Single, Question::Down(frame)) => {
                gw::Command { send_downlink_frame: Some(frame), ..gw::Command::default() }
            }
            (Self::Single, Question::Configure(settings)) => {
                gw::Command { set_gateway_configuration: Some(settings), ..gw::Command::default() }
            }
        };
        vec![command.encode_to_vec().into()]
    }

    /// The question who it is.
    pub(super) fn who(self) -> Vec<Bytes> {
        match self {
            Self::Single => {
                let get_gateway_id = Some(GetGatewayIdRequest {});
                vec![gw::Command { get_gateway_id, ..gw::Command::default() }.encode_to_vec().into()]
            }
            Self::Pair => vec![Bytes::from_static(b"gateway_id"), Bytes::new()],
        }
    }

    /// The answer to it.
    pub(super) fn identity(self, answer: &[u8]) -> Option<Eui> {
        match self {
            Self::Single => Eui::parse(&GetGatewayIdResponse::decode(answer).ok()?.gateway_id),
            Self::Pair => answer.try_into().ok().map(|bytes| Eui(u64::from_be_bytes(bytes))),
        }
    }
}

fn pair(word: &'static str, message: &impl Message) -> Vec<Bytes> {
    vec![Bytes::from_static(word.as_bytes()), message.encode_to_vec().into()]
}

/// What Concentratord tells.
#[derive(Debug, PartialEq)]
pub(super) enum Event {
    /// A frame was heard.
    Up(Box<UplinkFrame>),
    /// How the gateway is.
    Stats(Box<GatewayStats>),
}

/// The kinds of events. Each is a label in `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(in crate::radio::lora) enum Kind {
    /// A frame.
    Up,
    /// Statistics.
    Stats,
}

impl Kind {
    /// All of them, in the order of their numbers.
    pub(in crate::radio::lora) const ALL: &[Self] = &[Self::Up, Self::Stats];

    /// The word for metrics.
    pub(in crate::radio::lora) fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Stats => "stats",
        }
    }
}

impl Event {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Up(_) => Kind::Up,
            Self::Stats(_) => Kind::Stats,
        }
    }
}

/// Reads an event, in whichever form it comes.
///
/// # Errors
/// When it is none, or one that is not for bridges: what a Gateway Mesh tells is not passed on.
pub(super) fn event(parts: &[Bytes]) -> Result<Event, Refusal> {
    match parts {
        [word, payload] => match &word[..] {
            b"up" => read(payload).map(|frame| Event::Up(Box::new(frame))),
            b"stats" => read(payload).map(|stats| Event::Stats(Box::new(stats))),
            _ => Err(Refusal::MessageType),
        },
        [payload] => match read::<gw::Event>(payload)? {
            gw::Event { uplink_frame: Some(frame), .. } => Ok(Event::Up(Box::new(frame))),
            gw::Event { gateway_stats: Some(stats), .. } => Ok(Event::Stats(Box::new(stats))),
            _ => Err(Refusal::MessageType),
        },
        _ => Err(Refusal::MessageType),
    }
}

fn read<M: Message + Default>(payload: &[u8]) -> Result<M, Refusal> {
    M::decode(payload).map_err(|_| Refusal::Protobuf)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(parts: &[&'static [u8]]) -> Vec<Bytes> {
        parts.iter().map(|part| Bytes::from_static(part)).collect()
    }

    #[test]
    fn the_question_who_it_is_and_its_answer_are_those_of_each_form() {
        assert_eq!(Form::Single.who(), bytes(&[b"\x1a\x00"]));
        assert_eq!(Form::Pair.who(), bytes(&[b"gateway_id", b""]));
        let eui = Some(Eui(0x0016_c001_ff10_a235));
        assert_eq!(Form::Single.identity(b"\x0a\x100016c001ff10a235"), eui);
        assert_eq!(Form::Pair.identity(&[0, 0x16, 0xc0, 1, 0xff, 0x10, 0xa2, 0x35]), eui);
        for bad in [&b""[..], b"\x0a\x030016", b"0016c001ff10a235", b"\xff"] {
            assert_eq!((Form::Single.identity(bad), Form::Pair.identity(bad)), (None, None), "{bad:?}");
        }
    }

    #[test]
    fn commands_and_events_are_those_of_each_form() {
        let frame = DownlinkFrame { downlink_id: 7, ..DownlinkFrame::default() };
        let down = Question::Down(frame);
        assert_eq!(Form::Single.question(&down), bytes(&[b"\x0a\x02\x18\x07"]));
        assert_eq!(Form::Pair.question(&down), bytes(&[b"down", b"\x18\x07"]));
        let settings = GatewayConfiguration { version: "v".into(), ..GatewayConfiguration::default() };
        let configure = Question::Configure(settings);
        assert_eq!(Form::Single.question(&configure), bytes(&[b"\x12\x03\x12\x01v"]));
        assert_eq!(Form::Pair.question(&configure), bytes(&[b"config", b"\x12\x01v"]));
        for up in [bytes(&[b"\x0a\x03\x0a\x01x"]), bytes(&[b"up", b"\x0a\x01x"])] {
            let Ok(Event::Up(frame)) = event(&up) else { panic!("{up:?}") };
            assert_eq!(&frame.phy_payload[..], b"x");
        }
        for stats in [bytes(&[b"\x12\x02\x28\x05"]), bytes(&[b"stats", b"\x28\x05"])] {
            let Ok(Event::Stats(stats)) = event(&stats) else { panic!("{stats:?}") };
            assert_eq!(stats.rx_packets_received, 5);
        }
        for (bad, refusal) in [
            (bytes(&[b"\x1a\x00"]), Refusal::MessageType),
            (bytes(&[b""]), Refusal::MessageType),
            (bytes(&[b"down", b""]), Refusal::MessageType),
            (bytes(&[b"up", b"", b""]), Refusal::MessageType),
            (bytes(&[b"\x0a\x05x"]), Refusal::Protobuf),
            (bytes(&[b"up", b"\xff"]), Refusal::Protobuf),
        ] {
            assert_eq!(event(&bad).map(|event| event.kind()), Err(refusal), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_event_or_refused(payload in prop::collection::vec(any::<u8>(), 0..300), word in any::<bool>()) {
            let payload = Bytes::from(payload);
            let parts = if word { vec![Bytes::from_static(b"up"), payload] } else { vec![payload] };
            let _ = event(&parts);
        }
    }
}
