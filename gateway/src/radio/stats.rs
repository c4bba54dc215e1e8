//! One radio's counters, for `/metrics` and pages. All only grow, but for `online`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

use super::{CellularStats, LoraStats, Seen, Signals};

/// Why a frame was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Refused {
    /// `down-queue` frames were waiting.
    QueueFull,
    /// The port is not there.
    PortClosed,
    /// The port took nothing for `write-timeout`.
    WriteTimeout,
    /// The framing can't carry it.
    NotEncodable,
    /// The device did not answer within `response-timeout`.
    NoResponse,
    /// The gateway was stopping.
    ShuttingDown,
    /// It would be on the air for longer than the duty cycle leaves.
    DutyCycle,
    /// It would be on the air for longer at a time than the country allows.
    DwellTime,
    /// The region allows neither that frequency nor that power, or there is no such frame.
    NotAllowed,
    /// The device said no.
    DeviceRefused,
}

impl Refused {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::QueueFull,
        Self::PortClosed,
        Self::WriteTimeout,
        Self::NotEncodable,
        Self::NoResponse,
        Self::ShuttingDown,
        Self::DutyCycle,
        Self::DwellTime,
        Self::NotAllowed,
        Self::DeviceRefused,
    ];

    /// The word for metrics and the `ack` topic.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue-full",
            Self::PortClosed => "port-closed",
            Self::WriteTimeout => "write-timeout",
            Self::NotEncodable => "not-encodable",
            Self::NoResponse => "no-response",
            Self::ShuttingDown => "shutting-down",
            Self::DutyCycle => "duty-cycle",
            Self::DwellTime => "dwell-time",
            Self::NotAllowed => "not-allowed",
            Self::DeviceRefused => "device-refused",
        }
    }
}

/// Counters of one radio.
#[derive(Debug, Default)]
pub struct RadioStats {
    /// Told when the radio takes what is to be sent.
    pub(super) attached: Notify,
    /// Whether the port is open.
    pub online: AtomicBool,
    /// Times the port was opened.
    pub opened: AtomicU64,
    /// Bytes read.
    pub bytes_received: AtomicU64,
    /// Bytes written.
    pub bytes_sent: AtomicU64,
    /// Frames decoded.
    pub frames_received: AtomicU64,
    /// Frames, or runs of noise, that were dropped.
    pub frames_rejected: AtomicU64,
    /// Frames written.
    pub frames_sent: AtomicU64,
    /// Polls that brought no usable answer.
    pub polls_failed: AtomicU64,
    /// How what a LoRa radio or modem heard came in; nothing of others.
    pub signals: Signals,
    /// What came last, and what went wrong.
    pub seen: Seen,
    /// What only a LoRa radio counts.
    pub lora: Option<LoraStats>,
    /// What only a 4G or 5G modem counts.
    pub cellular: Option<CellularStats>,
    refused: [AtomicU64; Refused::ALL.len()],
}

impl RadioStats {
    /// Those of a LoRa radio.
    pub(super) fn of_lora() -> Self {
        Self { lora: Some(LoraStats::default()), ..Self::default() }
    }

    /// Those of a 4G or 5G modem.
    pub(super) fn of_cellular() -> Self {
        Self { cellular: Some(CellularStats::default()), ..Self::default() }
    }

    pub(super) fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(super) fn refused(&self, why: Refused) {
        Self::add(&self.refused[why as usize], 1);
    }

    /// Frames not sent, by reason.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Refused::ALL.iter().map(|r| (r.as_str(), self.refused[*r as usize].load(Ordering::Relaxed)))
    }
}
