//! What is said of gateways without being asked: states, statistics, downlinks that Station says nothing of.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use super::message::Version;
use super::server::{Gateway, Server};
use crate::config::Eui;
use crate::radio::lora::gw::{ConnectionState, GatewayStats};

/// Between two statistics, as packet forwarders have it.
const REPORT: Duration = Duration::from_secs(30);

/// The longest word that is told of what a Station says of itself, in characters.
const WORD_MAX: usize = 64;

impl Server {
    /// When [`due`](Self::due) has something to do.
    pub(super) fn next_due(&self) -> Instant {
        let downlinks = self.gateways.values().filter_map(|gateway| gateway.downlinks.next_due());
        downlinks.min().map_or(self.reported + REPORT, |due| due.min(self.reported + REPORT))
    }

    /// Says what it is time for.
    pub(super) async fn due(&mut self, now: Instant) {
        let euis: Vec<Eui> = self.gateways.keys().copied().collect();
        for eui in euis {
            let due = self.gateways.get_mut(&eui).map(|gateway| gateway.downlinks.due(now)).unwrap_or_default();
            for done in due {
                self.done(eui, done).await;
            }
        }
        if now >= self.reported + REPORT {
            self.reported = now;
            self.report().await;
        }
    }

    async fn report(&mut self) {
        let time = self.events.now().trusted();
        for (eui, gateway) in self.gateways.iter_mut().filter(|(_, gateway)| gateway.online) {
            let stats = gateway.statistics(*eui, time);
            self.events.stats(&gateway.topics, &stats).await;
        }
    }

    /// Says that a gateway is there.
    pub(super) async fn say_online(&mut self, eui: Eui) {
        if let Some(gateway) = self.gateways.get_mut(&eui) {
            gateway.online = true;
        }
        self.say_state(eui, ConnectionState::Online).await;
    }

    /// Says that a gateway is not there any more, if that was said, with what was not told of it yet.
    pub(super) async fn say_offline(&mut self, eui: Eui) {
        let time = self.events.now().trusted();
        let Some(gateway) = self.gateways.get_mut(&eui).filter(|gateway| gateway.online) else { return };
        gateway.online = false;
        let stats = gateway.statistics(eui, time);
        self.events.stats(&gateway.topics, &stats).await;
        self.say_state(eui, ConnectionState::Offline).await;
    }

    async fn say_state(&self, eui: Eui, state: ConnectionState) {
        if let Some(lora) = &self.clerk.stats.lora {
            let online = self.gateways.values().filter(|gateway| gateway.online).count();
            lora.gateways_online.store(online as u64, Ordering::Relaxed);
        }
        if let Some(gateway) = self.gateways.get(&eui) {
            self.events.state(&gateway.topics, eui, state).await;
        }
    }
}

impl Gateway {
    /// What was counted since the last time. Station itself counts nothing.
    fn statistics(&mut self, eui: Eui, time: Option<SystemTime>) -> GatewayStats {
        let tally = std::mem::take(&mut self.tally);
        let heard = tally.forwarded.saturating_add(tally.dropped);
        let sent = tally.sent.values().fold(0_u32, |sum, count| sum.saturating_add(*count));
        let mut metadata = words(&self.version);
        metadata.insert("forwarded".to_owned(), tally.forwarded.to_string());
        metadata.insert("dropped".to_owned(), tally.dropped.to_string());
        GatewayStats {
            gateway_id: eui.to_string(),
            time: time.map(Into::into),
            config_version: self.config_version.clone(),
            rx_packets_received: heard,
            rx_packets_received_ok: heard,
            tx_packets_received: std::mem::take(&mut self.asked),
            tx_packets_emitted: sent,
            metadata,
            tx_packets_per_frequency: tally.sent,
            rx_packets_per_frequency: tally.heard,
            tx_packets_per_modulation: tally.sent_by,
            rx_packets_per_modulation: tally.heard_by,
            tx_packets_per_status: tally.statuses,
            ..GatewayStats::default()
        }
    }
}

/// What a Station says of itself.
fn words(version: &Version) -> BTreeMap<String, String> {
    let words = [
        ("station", Some(&version.station)),
        ("firmware", version.firmware.as_ref()),
        ("package", version.package.as_ref()),
        ("model", version.model.as_ref()),
    ];
    let cut = |word: &String| word.chars().take(WORD_MAX).collect();
    words.into_iter().filter_map(|(key, word)| Some((key.to_owned(), cut(word?)))).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::{BasicsStation, LoraKind, LoraRadio, StationGateway};
    use crate::pipeline::{Delivered, Pipeline};
    use crate::radio::RadioStats;

    const EUI: Eui = Eui(7);

    #[tokio::test]
    async fn statistics_come_each_half_a_minute_for_those_that_are_there() {
        let (pipeline, mut delivered) = Pipeline::new(1);
        let gateways = [EUI, Eui(8)].map(|eui| StationGateway { eui, token: None }).to_vec();
        let listen = "127.0.0.1:0".parse().unwrap();
        let station = BasicsStation { listen, tls: None, gateways, channels: Vec::new() };
        let kind = LoraKind::BasicsStation(station.clone());
        let radio = Arc::new(LoraRadio { kind, ..LoraRadio::usual("mast") });
        let mut server = Server::new(&radio, &station, pipeline, Arc::new(RadioStats::default())).unwrap();
        server.say_online(EUI).await;
        let due = server.next_due();
        server.due(due - Duration::from_millis(1)).await;
        server.due(due).await;
        assert_eq!(server.next_due(), due + REPORT);
        let mut topics = Vec::new();
        while let Ok(Delivered { message, .. }) = delivered.try_recv() {
            topics.push(message.topic.to_string());
        }
        assert_eq!(topics, ["eu868/gateway/0000000000000007/state/conn", "eu868/gateway/0000000000000007/event/stats"]);
    }
}
