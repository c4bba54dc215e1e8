//! What can be set of a spool.

use std::time::Duration;

/// The most that one record may weigh, in bytes.
pub const RECORD_MAX: usize = 16 * 1024 * 1024;
/// The least that a spool may be given: room for some segments of the least size.
pub const BYTES_MIN: u64 = 256 * 1024;

/// Which records leave first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Priority {
    /// They leave before bulk, are written at once and dropped last: an eighth of the room is theirs alone.
    Alarm = 0,
    /// Everything else.
    Bulk = 1,
}

impl Priority {
    /// Both, in the order in which they leave.
    pub const ALL: [Self; 2] = [Self::Alarm, Self::Bulk];

    /// The word for it: the name of its folder, too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::Bulk => "bulk",
        }
    }
}

/// When records are written. Whoever waits for a receipt is not told before the record is on disk or the remote has
/// acknowledged it, with either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Within `interval`, or as soon as there is a batch of them, and before they are handed out; sooner where somebody waits
    /// for one and few writes come of that. A power cut costs at most that of what nobody waited for. While the disk fails they are handed out all the same.
    #[default]
    Always,
    /// Handed out at once, and not written at all while the remote acknowledges within a second, for cards that wear out; as with `Always` from the moment
    /// that one has waited for so long, or 1 MiB waits. A power cut or a kill costs up to that second of what nobody
    /// waited for: QoS 0, frames of radios. What a publisher was told to be safe is safe here, too: it is told later.
    OnOutage,
}

/// What becomes of a record that there is no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Whoever brings it waits. Nothing is dropped.
    Block,
    /// The oldest go, a segment at a time, bulk before alarms; counted. On a disk that fails the newcomer goes.
    #[default]
    DropOldest,
    /// The newcomer goes; counted.
    DropNewest,
}

/// What can be set of a spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolSettings {
    /// So many records that wait are written without waiting for more. What has gathered while the disk was at work goes
    /// into one batch, however many they are.
    pub batch: usize,
    /// The longest that a record waits for others to be written with. Where somebody waits for its receipt it is mostly less.
    pub interval: Duration,
    /// When records are written.
    pub durability: Durability,
    /// The most that the files may hold, without `quarantine/`; at least [`BYTES_MIN`].
    pub max_bytes: u64,
    /// Older records are dropped and counted. Counted by a clock that does not jump; the time that the gateway was off
    /// counts where the wall clock can be trusted.
    pub max_age: Option<Duration>,
    /// What becomes of a record that there is no room for.
    pub policy: Policy,
    /// The size at which a file is full and the next one begins; at most an eighth of `max_bytes`.
    pub segment_bytes: u64,
    /// Nobody acknowledges: records stay until they are too old or make room, a file at a time, and whoever wants them looks
    /// through the files ([`Spool::browse`](super::Spool::browse)). Nothing stays in memory once it is on disk.
    pub ring: bool,
}

impl Default for SpoolSettings {
    fn default() -> Self {
        Self {
            batch: 100,
            interval: Duration::from_millis(50),
            durability: Durability::Always,
            max_bytes: 512 * 1024 * 1024,
            max_age: None,
            policy: Policy::DropOldest,
            segment_bytes: 4 * 1024 * 1024,
            ring: false,
        }
    }
}

impl SpoolSettings {
    /// The most that may be in the files when a record of this priority is added.
    pub(super) fn room(&self, priority: Priority) -> u64 {
        let all = self.max_bytes.max(BYTES_MIN);
        match priority {
            Priority::Alarm => all,
            Priority::Bulk => all - all / 8,
        }
    }

    /// The size at which a segment is full.
    pub(super) fn segment(&self) -> u64 {
        self.segment_bytes.clamp(4096, SEGMENT_MAX).min(self.max_bytes.max(BYTES_MIN) / 8)
    }
}

/// Segments are read as a whole where they are damaged, so they must fit into memory.
pub(super) const SEGMENT_MAX: u64 = 64 * 1024 * 1024;
