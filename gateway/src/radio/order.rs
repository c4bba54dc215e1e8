//! Frames that somebody wants sent by hand: which message asks for them, and which one says what became of that.
//!
//! Pure. The message goes the one path, as a client's publish would.

use bytes::Bytes;
use serde_json::Value;

use super::lora::order::{self as downlink, Downlink};
use super::{Shown, Topics};
use crate::config::{Eui, Radio};
use crate::message::{Message, MessageId, Topic};

/// What is wanted.
#[derive(Debug, Clone)]
pub enum Wish {
    /// These bytes, framed as the radio frames.
    Bytes(Bytes),
    /// This frame, by a LoRa gateway, at once.
    Lora(LoraFields),
    /// A downlink in ChirpStack's words (`gw.DownlinkFrame` as JSON). A gateway that it does not name is this one.
    Downlink {
        /// In hex.
        gateway: Option<String>,
        /// The downlink.
        json: String,
    },
}

/// A LoRa frame and how it is to be sent.
#[derive(Debug, Clone)]
pub struct LoraFields {
    /// The gateway's EUI, in hex.
    pub gateway: String,
    /// From the MAC header to the MIC.
    pub phy: Bytes,
    /// In Hz.
    pub frequency: u32,
    /// 5 to 12.
    pub factor: u32,
    /// In Hz.
    pub bandwidth: u32,
    /// EIRP in dBm.
    pub power: i32,
}

/// What the answer is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KnownBy {
    Message,
    Downlink(u32),
}

/// A frame to be sent.
#[derive(Debug, Clone)]
pub struct Order {
    /// Where the message that asks for it goes.
    pub topic: Topic,
    /// What stands in it.
    pub payload: Bytes,
    answers: Topic,
    known_by: KnownBy,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it was sent.
    pub sent: bool,
    /// In a word: `sent`, `answered`, `refused`.
    pub result: &'static str,
    /// Why not, and what else is known.
    pub detail: String,
}

impl Shown {
    /// Makes an order of a wish.
    ///
    /// # Errors
    /// What the radio can't do, in words.
    pub fn order(&self, wish: Wish) -> Result<Order, String> {
        let (radio, made) = match (&*self.settings, wish) {
            (Radio::Serial(_) | Radio::Modem(_), Wish::Bytes(payload)) => return self.on_port(payload),
            (Radio::Serial(_) | Radio::Modem(_), _) => return Err(format!("{} takes bytes", self.name())),
            (Radio::Cellular(_), _) => return Err(format!("{} is measured, and sends nothing", self.name())),
            (Radio::Lora(_), Wish::Bytes(_)) => {
                return Err("a LoRa gateway has to know how to send it: give the gateway and the channel".to_owned());
            }
            (Radio::Lora(radio), Wish::Lora(fields)) => (radio, downlink::of_fields(&fields)?),
            (Radio::Lora(radio), Wish::Downlink { gateway, json }) => (radio, downlink::of_json(gateway, &json)?),
        };
        let Downlink { eui, id, payload } = made;
        self.knows(eui)?;
        let topics = downlink::topics(&radio.topic_prefix, eui);
        let (topic, answers) = topics.map_err(|error| error.to_string())?;
        Ok(Order { topic, payload, answers, known_by: KnownBy::Downlink(id) })
    }

    fn on_port(&self, payload: Bytes) -> Result<Order, String> {
        let Topics { down, ack, .. } = Topics::new(self.name()).map_err(|error| error.to_string())?;
        Ok(Order { topic: down, payload, answers: ack, known_by: KnownBy::Message })
    }

    /// A command for somebody else would be delivered to nobody.
    fn knows(&self, eui: Eui) -> Result<(), String> {
        let known = self.stats.lora.as_ref().is_some_and(|lora| lora.gateways().contains_key(&eui));
        if known { Ok(()) } else { Err(format!("there is no gateway {eui} behind {}", self.name())) }
    }
}

impl Order {
    /// What a message says of this order, whose own message has that id; `None` of all that is not about it.
    pub fn outcome(&self, id: MessageId, message: &Message) -> Option<Outcome> {
        if message.topic != self.answers {
            return None;
        }
        match self.known_by {
            KnownBy::Message => of_port(id, &serde_json::from_slice(&message.payload).ok()?),
            KnownBy::Downlink(id) => downlink::outcome(id, &message.payload),
        }
    }
}

/// Reads `serial/<name>/ack`.
fn of_port(id: MessageId, ack: &Value) -> Option<Outcome> {
    if ack["id"].as_str() != Some(id.to_string().as_str()) {
        return None;
    }
    let text = |key: &str| ack[key].as_str();
    let sent = |result| Outcome {
        sent: true,
        result,
        detail: ack["bytes"].as_u64().map(|bytes| format!("{bytes} bytes on the wire")).unwrap_or_default(),
    };
    match text("result")? {
        "sent" => Some(sent("sent")),
        "answered" => Some(sent("answered")),
        _ => {
            let parts = [text("reason"), text("detail")].into_iter().flatten().collect::<Vec<_>>();
            Some(Outcome { sent: false, result: "refused", detail: parts.join(": ") })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;
    use crate::config::{LoraRadio, SerialRadio, SimulatedDevice};
    use crate::message::{MessageIds, Origin};
    use crate::pipeline::Pipeline;
    use crate::radio::RadioStats;

    fn said(topic: &Topic, body: &str) -> Message {
        let stamp = Pipeline::new(1).0;
        stamp.message(stamp.clock().now(), Origin::Gateway, topic.clone(), body.to_owned())
    }

    #[test]
    fn a_frame_for_a_port_goes_to_its_down_topic_and_is_known_by_its_messages_id() {
        let radio = Radio::Serial(SerialRadio::simulated("a", SimulatedDevice::Line, 1));
        let shown = Shown { settings: Arc::new(radio), stats: Arc::default() };
        let order = shown.order(Wish::Bytes("hello".into())).unwrap();
        assert_eq!((order.topic.as_str(), &order.payload[..]), ("serial/a/down", &b"hello"[..]));
        let ids = MessageIds::new(7);
        let (id, other) = (ids.next(), ids.next());
        let ack = |id: MessageId, rest: &str| said(&order.answers, &format!("{{\"id\":\"{id}\",{rest}}}"));
        assert_eq!(order.outcome(id, &ack(other, "\"result\":\"sent\"")), None);
        let sent = order.outcome(id, &ack(id, "\"result\":\"answered\",\"bytes\":6")).unwrap();
        assert_eq!((sent.sent, sent.result, sent.detail.as_str()), (true, "answered", "6 bytes on the wire"));
        let body = "\"result\":\"refused\",\"reason\":\"port-closed\",\"detail\":\"the frame was cut\"";
        let refused = order.outcome(id, &ack(id, body)).unwrap();
        assert_eq!((refused.sent, refused.detail.as_str()), (false, "port-closed: the frame was cut"));
        assert!(shown.order(Wish::Downlink { gateway: None, json: "{}".into() }).is_err());
    }

    #[test]
    fn a_downlink_goes_to_a_gateway_that_is_known_and_to_no_other() {
        let stats = Arc::new(RadioStats::of_lora());
        stats.lora.as_ref().unwrap().gateways.state(Eui(7), true, Instant::now());
        let shown = Shown { settings: Arc::new(Radio::Lora(LoraRadio::usual("roof"))), stats };
        let wish = |gateway: &str| {
            Wish::Lora(LoraFields {
                gateway: gateway.into(),
                phy: Bytes::from_static(&[0x60; 12]),
                frequency: 868_100_000,
                factor: 7,
                bandwidth: 125_000,
                power: 14,
            })
        };
        let order = shown.order(wish("0000000000000007")).unwrap();
        assert_eq!(order.topic.as_str(), "eu868/gateway/0000000000000007/command/down");
        let stranger = shown.order(wish("0000000000000008")).unwrap_err();
        assert!(stranger.contains("no gateway 0000000000000008 behind roof"), "{stranger}");
        assert!(shown.order(Wish::Bytes("x".into())).is_err());
    }
}
