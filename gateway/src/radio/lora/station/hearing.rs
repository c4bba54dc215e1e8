//! The server's way up: what connections tell of, who comes and goes, what each gateway says.

use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use super::connection::{Told, What};
use super::message::{self, Frame, Said, Version};
use super::server::{Gateway, Link, Server, UNNAMED_MAX};
use super::{gps, router_config, uplink};
use crate::config::Eui;
use crate::radio::RadioStats;
use crate::radio::lora::Refusal;
use crate::radio::lora::gw::CrcStatus;

impl Server {
    /// Does what a connection tells of.
    pub(super) async fn told(&mut self, told: Told) {
        let Told { eui, number, what } = told;
        match what {
            What::Came(to, peer) => self.came(eui, Link { number, to, ready: false }, peer),
            What::Gone(why) => self.gone(eui, number, &why).await,
            What::Text(text) => {
                RadioStats::add(&self.clerk.stats.bytes_received, text.len());
                if let Err(refusal) = self.text(eui, number, &text).await {
                    self.clerk.refuse(refusal, eui);
                }
            }
            What::Binary => self.clerk.refuse(Refusal::Binary, eui),
        }
    }

    fn came(&mut self, eui: Eui, link: Link, peer: SocketAddr) {
        let now = Instant::now();
        if !self.gateways.contains_key(&eui) {
            self.make_room();
            if self.named || self.gateways.len() >= UNNAMED_MAX || self.insert(eui, now).is_err() {
                // The connection ends with its link.
                return self.clerk.refuse(Refusal::TooManyGateways, eui);
            }
            if let Some(gateway) = self.gateways.get(&eui) {
                self.commands.attach(eui, &gateway.topics);
            }
        }
        let Some(gateway) = self.gateways.get_mut(&eui) else { return };
        gateway.heard = now;
        if gateway.link.replace(link).is_some() {
            log::info!(radio:% = self.clerk.name, gateway:% = eui, address:% = peer;
                "LoRa gateway connects once more; its other connection is closed");
        }
    }

    /// Forgets a gateway that the settings do not name and that is away, the one that was heard longest ago.
    fn make_room(&mut self) {
        if self.named || self.gateways.len() < UNNAMED_MAX {
            return;
        }
        let away = self.gateways.iter().filter(|(_, gateway)| gateway.link.is_none());
        let Some(eui) = away.min_by_key(|(_, gateway)| gateway.heard).map(|(eui, _)| *eui) else { return };
        if let Some(gateway) = self.gateways.remove(&eui) {
            self.commands.detach(&gateway.topics);
            self.clerk.forget(eui);
        }
    }

    async fn gone(&mut self, eui: Eui, number: u64, why: &str) {
        let Some(gateway) = self.gateways.get_mut(&eui) else { return };
        if gateway.link.take_if(|link| link.number == number).is_none() {
            // It was replaced.
            return;
        }
        gateway.heard = Instant::now();
        if gateway.online {
            self.clerk.stats.seen.failed(format!("gateway {eui}: {why}"));
            log::warn!(radio:% = self.clerk.name, gateway:% = eui, reason = why; "LoRa gateway has gone; nothing can be sent to it");
            self.say_offline(eui).await;
        }
    }

    async fn text(&mut self, eui: Eui, number: u64, text: &str) -> Result<(), Refusal> {
        if !self.rates.take(eui, Instant::now()) {
            return Err(Refusal::RateLimit);
        }
        // What a connection still had to say when another took its place counts as said.
        let is_linked = |gateway: &Gateway| gateway.link.as_ref().is_some_and(|link| link.number == number);
        let said = message::parse(text)?;
        if let Some(lora) = &self.clerk.stats.lora {
            lora.message(said.kind());
        }
        match said {
            Said::Frame(frame) => self.frame(eui, frame).await,
            Said::Sent(sent) => self.sent(eui, &sent).await,
            Said::Version(_) | Said::TimeSync { .. } if !self.gateways.get(&eui).is_some_and(is_linked) => Ok(()),
            Said::Version(version) => self.version(eui, version).await,
            Said::TimeSync { txtime } => {
                self.time(eui, txtime).await;
                Ok(())
            }
        }
    }

    /// Tells a Station its channels: now it can be sent to.
    async fn version(&mut self, eui: Eui, version: Version) -> Result<(), Refusal> {
        let told = router_config::Told {
            plan: &self.plan,
            channels: &self.channels,
            filter: &self.radio.filter,
            duty_cycle: self.radio.duty_cycle,
        };
        let time = self.events.now().trusted().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let config = router_config::message(&told, time);
        if self.say(eui, config).is_err() {
            return Ok(());
        }
        let Some(gateway) = self.gateways.get_mut(&eui) else { return Ok(()) };
        log::info!(radio:% = self.clerk.name, gateway:% = eui, station = version.station.as_str(),
            model = version.model.as_deref().unwrap_or("unknown"), protocol = version.protocol; "LoRa gateway is there");
        gateway.version = version;
        if let Some(link) = &mut gateway.link {
            link.ready = true;
        }
        self.say_online(eui).await;
        Ok(())
    }

    async fn frame(&mut self, eui: Eui, frame: Frame) -> Result<(), Refusal> {
        let taken = self.heard(eui, frame).await;
        if let Some(gateway) = self.gateways.get_mut(&eui) {
            let tally = &mut gateway.tally;
            let counter = if taken.is_ok() { &mut tally.forwarded } else { &mut tally.dropped };
            *counter = counter.saturating_add(1);
        }
        taken
    }

    async fn heard(&mut self, eui: Eui, frame: Frame) -> Result<(), Refusal> {
        let received = self.events.now();
        let tx_info = uplink::sent(&frame.radio, &self.plan)?;
        let Some(gateway) = self.gateways.get_mut(&eui) else { return Err(Refusal::UnknownGateway) };
        let modulation = tx_info.modulation.unwrap_or_default();
        gateway.tally.heard(tx_info.frequency, modulation, CrcStatus::CrcOk);
        self.clerk.heard(tx_info.frequency, &modulation, frame.radio.upinfo.rssi, frame.radio.upinfo.snr);
        let seen = self.filter.check(&frame.phy, CrcStatus::CrcOk, received.monotonic)?;
        let frame = uplink::frame(frame, tx_info, eui, seen.as_ref(), received.trusted(), fastrand::u32(1..));
        self.events.up(&gateway.topics, &frame, received).await;
        Ok(())
    }

    /// Answers what a Station asks of the time, where it is known. It asks again where there is no answer.
    async fn time(&mut self, eui: Eui, txtime: i64) {
        let Some(now) = self.events.now().trusted() else { return };
        let unix = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let Some(gps) = gps::of(now) else { return };
        let answer = serde_json::json!({
            "msgtype": "timesync", "txtime": txtime, "gpstime": u64::try_from(gps.as_micros()).unwrap_or(0),
            "MuxTime": unix.as_secs_f64(),
        });
        let _ = self.say(eui, answer.to_string());
    }
}
