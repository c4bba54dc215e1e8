//! What becomes of what is to be sent, in the words of ChirpStack's `gw.TxAckStatus` and one of our own.

use crate::radio::lora::gw::TxAckStatus;

/// What became of one item of a downlink. The numbers are those of `TxAckStatus` in ChirpStack's `gw.proto`, but for
/// the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i32)]
pub enum TxStatus {
    /// Not tried: an earlier item was sent.
    Ignored = 0,
    /// The radio has taken it.
    Ok = 1,
    /// Its time is past, or too near.
    TooLate = 2,
    /// Its time is too far off.
    TooEarly = 3,
    /// Another frame is on the air then.
    CollisionPacket = 4,
    /// A beacon is.
    CollisionBeacon = 5,
    /// Nothing may be sent at that frequency.
    TxFreq = 6,
    /// More power than may be sent there.
    TxPower = 7,
    /// Its time is GPS time, which the radio does not have.
    GpsUnlocked = 8,
    /// Too many others wait.
    QueueFull = 9,
    /// None of these.
    InternalError = 10,
    /// There is no air time left in that sub-band for now.
    DutyCycleOverflow = 11,
    /// It would be on the air for longer at a time than the country allows. ChirpStack has no word for it.
    DwellTime = 12,
}

impl TxStatus {
    /// All, by number.
    pub const ALL: [Self; 13] = [
        Self::Ignored,
        Self::Ok,
        Self::TooLate,
        Self::TooEarly,
        Self::CollisionPacket,
        Self::CollisionBeacon,
        Self::TxFreq,
        Self::TxPower,
        Self::GpsUnlocked,
        Self::QueueFull,
        Self::InternalError,
        Self::DutyCycleOverflow,
        Self::DwellTime,
    ];

    /// The word of `gw.proto`, which is that of the packet forwarder's TX_ACK too where it has one.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ignored => "IGNORED",
            Self::Ok => "OK",
            Self::TooLate => "TOO_LATE",
            Self::TooEarly => "TOO_EARLY",
            Self::CollisionPacket => "COLLISION_PACKET",
            Self::CollisionBeacon => "COLLISION_BEACON",
            Self::TxFreq => "TX_FREQ",
            Self::TxPower => "TX_POWER",
            Self::GpsUnlocked => "GPS_UNLOCKED",
            Self::QueueFull => "QUEUE_FULL",
            Self::InternalError => "INTERNAL_ERROR",
            Self::DutyCycleOverflow => "DUTY_CYCLE_OVERFLOW",
            Self::DwellTime => "DWELL_TIME",
        }
    }

    /// The status with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// As ChirpStack is told.
    pub fn told(self) -> TxAckStatus {
        TxAckStatus::try_from(self as i32).unwrap_or(TxAckStatus::InternalError)
    }
}

impl From<TxAckStatus> for TxStatus {
    fn from(told: TxAckStatus) -> Self {
        Self::ALL.into_iter().find(|status| *status as i32 == told as i32).unwrap_or(Self::InternalError)
    }
}

/// A status and, for people, why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The status.
    pub status: TxStatus,
    /// In words; empty where the status says it all.
    pub why: String,
}

impl Verdict {
    /// Without words.
    pub(super) fn plain(status: TxStatus) -> Self {
        Self { status, why: String::new() }
    }

    /// With words.
    pub(super) fn because(status: TxStatus, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }
}
