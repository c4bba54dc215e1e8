//! The messages that a LoRa radio makes: `<prefix>/gateway/<eui>/event/...` and `.../state/conn`.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::gw::{self, ConnState, ConnectionState, DownlinkTxAck, GatewayStats, UplinkFrame};
use crate::config::{Eui, LoraFormat, LoraRadio};
use crate::message::{Message, Origin, RadioMeta, Received, Topic, TopicError};
use crate::pipeline::Pipeline;
use crate::radio::{Air, RadioStats, SeenFrame};

/// The topics of one gateway.
#[derive(Debug, Clone)]
pub(super) struct GatewayTopics {
    /// Whose they are.
    pub(super) eui: Eui,
    /// Frames that it heard.
    pub(super) up: Topic,
    /// How it is.
    pub(super) stats: Topic,
    /// What became of downlinks.
    pub(super) ack: Topic,
    /// Whether it is there; retained.
    pub(super) state: Topic,
    /// What is to be sent.
    pub(super) down: Topic,
    /// Which version of settings ChirpStack believes it to have.
    pub(super) config: Topic,
    /// What is to be handed to the packet forwarder as it is.
    pub(super) raw: Topic,
}

impl GatewayTopics {
    /// Those of a gateway under a prefix.
    pub(super) fn new(prefix: &str, eui: Eui) -> Result<Self, TopicError> {
        let topic = |last: &str| Topic::new(&format!("{prefix}/gateway/{eui}/{last}"));
        Ok(Self {
            eui,
            up: topic("event/up")?,
            stats: topic("event/stats")?,
            ack: topic("event/ack")?,
            state: topic("state/conn")?,
            down: topic("command/down")?,
            config: topic("command/config")?,
            raw: topic("command/raw")?,
        })
    }
}

/// Makes one radio's messages and sends them into the pipeline.
pub(super) struct Events {
    name: Arc<str>,
    kind: &'static str,
    format: LoraFormat,
    pipeline: Arc<Pipeline>,
    stats: Arc<RadioStats>,
}

impl Events {
    /// Of this radio, whose kind the settings call `kind`.
    pub(super) fn new(radio: &LoraRadio, kind: &'static str, pipeline: Arc<Pipeline>, stats: Arc<RadioStats>) -> Self {
        Self { name: radio.name.as_str().into(), kind, format: radio.format, pipeline, stats }
    }

    /// The time now.
    pub(super) fn now(&self) -> Received {
        self.pipeline.clock().now()
    }

    /// A frame that was heard.
    pub(super) async fn up(&self, topics: &GatewayTopics, frame: &UplinkFrame, received: Received) {
        RadioStats::add(&self.stats.frames_received, 1);
        self.note(topics.eui, frame, received);
        let modulation = frame.tx_info.and_then(|info| info.modulation).unwrap_or_default();
        let origin = Origin::Radio(Arc::clone(&self.name));
        let payload = gw::encode(frame, self.format);
        let mut message = self.pipeline.message(received, origin, topics.up.clone(), payload);
        let meta = RadioMeta { framing: self.kind.into(), baud: modulation.bit_rate(), poll: None };
        message.radio = Some(Arc::new(meta));
        self.send(message).await;
    }

    /// For whoever looks on.
    fn note(&self, eui: Eui, frame: &UplinkFrame, received: Received) {
        let (sent, heard) = (frame.tx_info.unwrap_or_default(), frame.rx_info.as_ref());
        let factor = sent.modulation.and_then(|modulation| modulation.lora).map(|lora| lora.spreading_factor);
        let air = Air {
            gateway: Some(eui),
            frequency: sent.frequency,
            factor,
            rssi: heard.map(|heard| heard.rssi.into()),
            snr: heard.map(|heard| heard.snr.into()).filter(|_| factor.is_some()),
        };
        self.stats.seen.frame(SeenFrame { air: Some(air), ..SeenFrame::new(received, &frame.phy_payload) });
        if let Some(lora) = &self.stats.lora {
            lora.gateways.heard(eui, received.monotonic);
        }
    }

    /// How a gateway is.
    pub(super) async fn stats(&self, topics: &GatewayTopics, stats: &GatewayStats) {
        if let (Some(lora), Some(duty_cycle)) = (&self.stats.lora, &stats.duty_cycle_stats) {
            lora.gateways.duty_cycle(topics.eui, duty_cycle);
        }
        self.send(self.own(&topics.stats, stats)).await;
    }

    /// What became of a downlink.
    pub(super) async fn ack(&self, topics: &GatewayTopics, ack: &DownlinkTxAck) {
        self.send(self.own(&topics.ack, ack)).await;
    }

    /// Whether a gateway is there; retained.
    pub(super) async fn state(&self, topics: &GatewayTopics, eui: Eui, state: ConnectionState) {
        if let Some(lora) = &self.stats.lora {
            lora.gateways.state(eui, state == ConnectionState::Online, Instant::now());
        }
        let mut message = self.own(&topics.state, &ConnState { gateway_id: eui.to_string(), state: state as i32 });
        message.retain = true;
        self.send(message).await;
    }

    fn own<M: gw::Message + Serialize>(&self, topic: &Topic, body: &M) -> Message {
        self.pipeline.message(self.now(), Origin::Gateway, topic.clone(), gw::encode(body, self.format))
    }

    async fn send(&self, message: Message) {
        if self.pipeline.ingest(message).await.is_err() {
            // Counted as dropped; the daemon is ending.
            log::debug!(radio:% = self.name; "message dropped: the gateway is stopping");
        }
    }
}
