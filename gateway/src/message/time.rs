//! When something was received: by the wall, by a clock that never jumps, and how far the wall can be trusted.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How far the wall clock can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum ClockQuality {
    /// Nobody could tell.
    #[default]
    Unknown = 0,
    /// The kernel says that nothing disciplines the clock.
    Unsynchronised = 1,
    /// The kernel says that a time source disciplines the clock.
    Synchronised = 2,
}

impl ClockQuality {
    /// The quality with this number; a number that is none stands for the unknown.
    pub fn from_u8(number: u8) -> Self {
        match number {
            1 => Self::Unsynchronised,
            2 => Self::Synchronised,
            _ => Self::Unknown,
        }
    }

    /// The word for messages, metrics and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Unsynchronised => "unsynchronised",
            Self::Synchronised => "synchronised",
        }
    }
}

/// Who says by how much the wall clock is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeSource {
    /// Nobody.
    #[default]
    None,
    /// chronyd, asked.
    Chrony,
    /// The kernel, asked (adjtimex(2)).
    Kernel,
    /// The mark that systemd-timesyncd leaves, which has no figures.
    Timesyncd,
    /// A GPS receiver, by the moment that its sentence came.
    Gps,
}

impl TimeSource {
    /// The word for records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Chrony => "chrony",
            Self::Kernel => "kernel",
            Self::Timesyncd => "timesyncd",
            Self::Gps => "gps",
        }
    }
}

/// By how much the wall clock is off, as far as anybody can tell.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Timing {
    /// Who says so.
    pub source: TimeSource,
    /// Seconds by which the clock is ahead of the true time, by estimate.
    pub offset: Option<f64>,
    /// Seconds by which that estimate may be wrong, either way.
    pub error: Option<f64>,
}

/// The moment a message was received: that of its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// By the wall clock.
    pub wall: SystemTime,
    /// By the monotonic clock of this run.
    pub monotonic: Instant,
    /// Of the wall clock at that moment.
    pub clock: ClockQuality,
}

impl Received {
    /// Microseconds since 1970, UTC; 0 for a clock that stands before that.
    pub fn unix_micros(&self) -> u64 {
        let since = self.wall.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    /// The wall clock's time, if that can be trusted.
    pub fn trusted(&self) -> Option<SystemTime> {
        (self.clock == ClockQuality::Synchronised).then_some(self.wall)
    }

    /// RFC 3339 in UTC with microseconds: `2026-11-21T20:26:35.000001Z`.
    pub fn rfc3339(&self) -> String {
        humantime::format_rfc3339_micros(self.wall).to_string()
    }
}

/// Reads both clocks together. Its quality is what was last noted from the kernel.
#[derive(Debug, Default)]
pub struct Clock {
    quality: AtomicU8,
    timing: Mutex<Timing>,
}

impl Clock {
    /// Now.
    pub fn now(&self) -> Received {
        Received { wall: SystemTime::now(), monotonic: Instant::now(), clock: self.quality() }
    }

    /// Notes what the kernel says of the wall clock.
    pub fn set_quality(&self, quality: ClockQuality) {
        self.quality.store(quality as u8, Ordering::Relaxed);
    }

    /// Notes by how much the wall clock is off.
    pub fn set_timing(&self, timing: Timing) {
        *self.timing.lock().unwrap_or_else(PoisonError::into_inner) = timing;
    }

    /// By how much it was off, as was last noted.
    pub fn timing(&self) -> Timing {
        *self.timing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most by which the wall clock is off, where a time source sets it and says how well.
    pub fn error(&self) -> Option<Duration> {
        let timing = self.timing();
        let error = timing.offset.unwrap_or_default().abs() + timing.error?;
        let synchronised = self.quality() == ClockQuality::Synchronised;
        synchronised.then(|| Duration::try_from_secs_f64(error).ok()).flatten()
    }

    /// What was last noted.
    pub fn quality(&self) -> ClockQuality {
        ClockQuality::from_u8(self.quality.load(Ordering::Relaxed))
    }
}
