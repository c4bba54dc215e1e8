//! The LoRa gateways behind a radio, as pages and API show them.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::{ago, megahertz, seconds_since};
use crate::admin::pages::shown::{count, duration};
use crate::radio::{Behind, Use};

/// A LoRa gateway behind a radio.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Gateway {
    pub(super) eui: String,
    /// Whether it can be sent to.
    pub(super) online: bool,
    /// For how long that is so.
    pub(super) since_seconds: Option<u64>,
    /// Frames of its that were passed on.
    pub(super) frames: u64,
    pub(super) last_frame_seconds: Option<u64>,
    /// Channels with far more wrong checksums than usual, in Hz.
    pub(super) suspicious_channels: Vec<u32>,
    /// Air time of each sub-band within the last hour; empty where there is no duty cycle.
    pub(super) duty_cycle: Vec<Band>,
}

/// Air time of a sub-band.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Band {
    pub(super) from_hertz: u32,
    pub(super) to_hertz: u32,
    pub(super) used_seconds: f64,
    pub(super) allowed_seconds: f64,
}

impl Gateway {
    pub(super) fn of(eui: String, behind: Behind, suspicious_channels: Vec<u32>) -> Self {
        Self {
            eui,
            online: behind.online,
            since_seconds: behind.since.map(seconds_since),
            frames: behind.frames,
            last_frame_seconds: behind.last_frame.map(seconds_since),
            suspicious_channels,
            duty_cycle: behind.duty_cycle.into_iter().map(Band::of).collect(),
        }
    }

    pub(super) fn since(&self) -> Option<String> {
        self.since_seconds.map(|seconds| duration(Duration::from_secs(seconds)))
    }

    pub(super) fn count(&self) -> String {
        count(self.frames)
    }

    pub(super) fn last_frame(&self) -> Option<String> {
        self.last_frame_seconds.map(ago)
    }

    pub(super) fn suspicious(&self) -> String {
        let words: Vec<_> = self.suspicious_channels.iter().map(|hertz| megahertz(*hertz)).collect();
        words.join(", ")
    }
}

impl Band {
    pub(super) fn of(Use { band: (from_hertz, to_hertz), used, allowed }: Use) -> Self {
        let (used_seconds, allowed_seconds) = (used.as_secs_f64(), allowed.as_secs_f64());
        Self { from_hertz, to_hertz, used_seconds, allowed_seconds }
    }

    pub(super) fn name(&self) -> String {
        format!("{} to {} MHz", f64::from(self.from_hertz) / 1e6, f64::from(self.to_hertz) / 1e6)
    }

    /// In hundredths of what is allowed.
    pub(super) fn percent(&self) -> u64 {
        if self.allowed_seconds <= 0.0 { 0 } else { (self.used_seconds / self.allowed_seconds * 100.0).round() as u64 }
    }

    pub(super) fn words(&self) -> String {
        format!("{:.1} of {:.1} s an hour", self.used_seconds, self.allowed_seconds)
    }
}
