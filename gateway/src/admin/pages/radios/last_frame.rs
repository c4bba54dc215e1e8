//! A frame that came in, as pages and API show it.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{megahertz, seconds_since};
use crate::admin::pages::shown::{beginning, hex, readable};
use crate::radio::SeenFrame;

/// A frame that came in.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct LastFrame {
    /// When its first byte came, in RFC 3339 and UTC.
    pub(super) time: String,
    pub(super) seconds_ago: u64,
    /// Its length in bytes.
    pub(super) length: usize,
    /// Its first 256 bytes in hex.
    pub(super) hex: String,
    /// The same as text, where it is text.
    pub(super) text: Option<String>,
    /// What was made of it, where it answers a poll.
    pub(super) reading: Option<String>,
    /// What of a LoRaWAN frame is not encrypted.
    pub(super) lorawan: BTreeMap<String, String>,
    pub(super) gateway: Option<String>,
    /// In Hz.
    pub(super) frequency: Option<u32>,
    pub(super) spreading_factor: Option<u32>,
    /// In dBm.
    pub(super) rssi: Option<f64>,
    /// In dB.
    pub(super) snr: Option<f64>,
}

impl LastFrame {
    pub(super) fn of(frame: &SeenFrame) -> Self {
        let air = frame.air;
        Self {
            time: frame.received.rfc3339(),
            seconds_ago: seconds_since(frame.received.monotonic),
            length: frame.length,
            hex: hex(&frame.bytes),
            // What a device encrypts is text by chance alone.
            text: readable(&frame.bytes).filter(|_| air.is_none()),
            reading: frame.reading.as_ref().and_then(|reading| readable(reading)),
            lorawan: frame.lorawan().into_iter().collect(),
            gateway: air.and_then(|air| air.gateway).map(|eui| eui.to_string()),
            frequency: air.map(|air| air.frequency),
            spreading_factor: air.and_then(|air| air.factor),
            rssi: air.and_then(|air| air.rssi),
            snr: air.and_then(|air| air.snr),
        }
    }

    /// To the millisecond.
    pub(super) fn clock(&self) -> &str {
        self.time.get(11..23).unwrap_or(&self.time)
    }

    /// How it was heard.
    pub(super) fn heard(&self) -> Vec<String> {
        let parts = [
            self.frequency.map(megahertz),
            self.spreading_factor.map(|factor| format!("SF{factor}")),
            self.rssi.map(|rssi| format!("{rssi} dBm")),
            self.snr.map(|snr| format!("{snr:.1} dB")),
        ];
        parts.into_iter().flatten().collect()
    }

    /// What it says, for people.
    pub(super) fn decoded(&self) -> Option<String> {
        if !self.lorawan.is_empty() {
            let said = self.lorawan.iter().map(|(name, value)| format!("{} {value}", name.replace('_', " ")));
            return Some(said.collect::<Vec<_>>().join(", "));
        }
        self.reading.clone().or_else(|| self.text.clone())
    }

    /// Whether not all of it is kept.
    pub(super) fn is_cut(&self) -> bool {
        self.hex.len() < self.length * 3 - self.length.min(1)
    }

    /// Whether it is too long to be shown as it is.
    pub(super) fn is_long(&self) -> bool {
        self.hex.len() > 144 || self.decoded().is_some_and(|decoded| decoded.len() > 160)
    }

    /// The beginning of what it says.
    pub(super) fn beginning(&self) -> String {
        let said = self.decoded().unwrap_or_else(|| self.hex.clone());
        beginning(&said, 72).to_owned()
    }
}
