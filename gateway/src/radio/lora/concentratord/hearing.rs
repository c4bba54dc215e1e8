//! The server's way up: frames and statistics.

use bytes::Bytes;

use super::form::{self, Event};
use super::server::Server;
use super::tidy;
use crate::config::Eui;
use crate::message::Received;
use crate::radio::RadioStats;
use crate::radio::lora::Refusal;
use crate::radio::lora::airtime::PHY_MAX;
use crate::radio::lora::gw::{CrcStatus, GatewayStats, Modulation, UplinkFrame};
use crate::radio::lora::phy;
use crate::radio::lora::tally::duty_cycle;

/// What a concentrator can be tuned to, in Hz: an SX1255 from 150 MHz, an SX1280 to 2.5 GHz.
const FREQUENCY: std::ops::Range<u32> = 100_000_000..2_500_000_000;

/// A frame whose fields are there and within their ranges.
struct Checked {
    frame: UplinkFrame,
    crc: CrcStatus,
    frequency: u32,
    modulation: Modulation,
}

impl Server {
    /// An event.
    pub(super) async fn heard(&mut self, parts: &[Bytes]) {
        RadioStats::add(&self.clerk.stats.bytes_received, parts.iter().map(Bytes::len).sum());
        if let Err(refusal) = self.event(parts).await {
            self.clerk.refuse(refusal, "Concentratord");
        }
    }

    async fn event(&mut self, parts: &[Bytes]) -> Result<(), Refusal> {
        let received = self.events.now();
        if !self.rates.take((), received.monotonic) {
            return Err(Refusal::RateLimit);
        }
        let event = form::event(parts)?;
        if let Some(lora) = self.clerk.lora() {
            lora.event(event.kind());
        }
        if let Some(gateway) = &mut self.gateway {
            let turns = gateway.watch.look(received.monotonic);
            self.clerk.turned(gateway.eui, &gateway.watch, &turns);
        }
        match event {
            Event::Up(frame) => self.frame(*frame, received).await,
            Event::Stats(stats) => self.stats(*stats, received).await,
        }
    }

    async fn frame(&mut self, frame: UplinkFrame, received: Received) -> Result<(), Refusal> {
        let taken = self.taken(frame, received).await;
        if let Some(gateway) = &mut self.gateway {
            let tally = &mut gateway.tally;
            let counter = if taken.is_ok() { &mut tally.forwarded } else { &mut tally.dropped };
            *counter = counter.saturating_add(1);
        }
        taken
    }

    async fn taken(&mut self, frame: UplinkFrame, received: Received) -> Result<(), Refusal> {
        let gateway = self.gateway.as_mut().ok_or(Refusal::UnknownGateway)?;
        let Checked { mut frame, crc, frequency, modulation } = check(frame, gateway.eui)?;
        gateway.tally.heard(frequency, modulation, crc);
        gateway.watch.heard(frequency, crc);
        if let Some(info) = frame.rx_info.as_ref().filter(|_| crc == CrcStatus::CrcOk) {
            self.clerk.heard(frequency, &modulation, f64::from(info.rssi), f64::from(info.snr));
        }
        let seen = self.filter.check(&frame.phy_payload, crc, received.monotonic)?;
        if let Some(info) = &mut frame.rx_info {
            tidy::heard(info);
            info.gateway_id = gateway.eui.to_string();
            info.ns_time = received.trusted().map(Into::into);
            info.metadata.extend(phy::metadata(seen.as_ref()));
        }
        self.events.up(&gateway.topics, &frame, received).await;
        Ok(())
    }

    /// Concentratord counts for itself; what never reached it is added, and what was counted here stands in the metadata.
    async fn stats(&mut self, mut stats: GatewayStats, received: Received) -> Result<(), Refusal> {
        let gateway = self.gateway.as_mut().ok_or(Refusal::UnknownGateway)?;
        is_own(&stats.gateway_id, gateway.eui)?;
        let tally = std::mem::take(&mut gateway.tally);
        tidy::stats(&mut stats);
        stats.gateway_id = gateway.eui.to_string();
        if !self.configures {
            stats.config_version.clone_from(&gateway.config_version);
        }
        stats.tx_packets_received = stats.tx_packets_received.saturating_add(std::mem::take(&mut gateway.kept));
        tally.tell(gateway.watch.suspicious(), &mut stats.metadata);
        for (status, count) in tally.statuses {
            let counted = stats.tx_packets_per_status.entry(status).or_default();
            *counted = counted.saturating_add(count);
        }
        if stats.duty_cycle_stats.is_none() {
            stats.duty_cycle_stats = duty_cycle(&self.meter.load(received.monotonic));
        }
        self.events.stats(&gateway.topics, &stats).await;
        Ok(())
    }
}

/// Looks at what a frame needs.
fn check(frame: UplinkFrame, own: Eui) -> Result<Checked, Refusal> {
    let (Some(sent), Some(heard)) = (&frame.tx_info, &frame.rx_info) else { return Err(Refusal::Field) };
    is_own(&heard.gateway_id, own)?;
    if frame.phy_payload.len() > PHY_MAX {
        return Err(Refusal::FrameTooLong);
    }
    if !FREQUENCY.contains(&sent.frequency) {
        return Err(Refusal::Frequency);
    }
    let modulation = sent.modulation.filter(is_known);
    let (frequency, modulation) = (sent.frequency, modulation.ok_or(Refusal::DataRate)?);
    let crc = CrcStatus::try_from(heard.crc_status).map_err(|_| Refusal::Field)?;
    Ok(Checked { frame, crc, frequency, modulation })
}

/// Whether it is one modulation, and one that there is.
fn is_known(modulation: &Modulation) -> bool {
    match (&modulation.lora, &modulation.fsk, &modulation.lr_fhss) {
        (Some(lora), None, None) => {
            (5..=12).contains(&lora.spreading_factor) && [125_000, 250_000, 500_000].contains(&lora.bandwidth)
        }
        (None, Some(_), None) | (None, None, Some(_)) => true,
        _ => false,
    }
}

/// Whether an event is of the gateway that takes the commands: another Concentratord's event socket may be named by mistake.
fn is_own(gateway_id: &str, own: Eui) -> Result<(), Refusal> {
    if Eui::parse(gateway_id) == Some(own) { Ok(()) } else { Err(Refusal::UnknownGateway) }
}
