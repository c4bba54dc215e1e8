//! What is booked on the air: places on the count's line, no two at once on one chain.

use std::time::Instant;

use super::SlotId;
use super::duty::Spell;

/// From the order to send to the first symbol, and the margin between two frames, in microseconds; and how long before its
/// time a frame is programmed. These are the figures of Semtech's packet forwarder (sx1302_hal, `jitqueue.c`).
const START: u64 = 1_500;
const MARGIN: u64 = 1_000;
const PROGRAM: u64 = 40_000;

/// What a frame needs before its first symbol: from another's end, and from now.
pub(super) const LEAD: u64 = START + PROGRAM + MARGIN;

/// When an immediate frame begins at the soonest, as the same forwarder has it.
pub(super) const SOONEST: u64 = 2 * PROGRAM;

/// A beacon every so many microseconds of GPS time, the first with its epoch (LoRaWAN 1.0.4, section 12: class B).
const BEACON_PERIOD: u64 = 128_000_000;
/// How long a beacon has the air for itself.
const BEACON_RESERVED: u64 = 2_120_000;
/// How long before it no ping slot is.
const BEACON_GUARD: u64 = 3_000_000;

/// A frame's place.
#[derive(Debug, Clone)]
pub(super) struct Booking {
    pub(super) slot: SlotId,
    pub(super) chain: u8,
    /// Its first symbol.
    pub(super) start: u64,
    /// Its last.
    pub(super) end: u64,
    /// It is sent at that count, and not as soon as can be.
    pub(super) timed: bool,
    /// The same by this machine's clock, as was reckoned when it was booked.
    pub(super) spell: Spell,
    /// Index of its sub-band; `None` where there is none.
    pub(super) band: Option<usize>,
}

/// All that is booked and not over.
#[derive(Debug, Default)]
pub(super) struct Book(Vec<Booking>);

impl Book {
    pub(super) fn add(&mut self, booking: Booking) {
        self.0.push(booking);
    }

    /// Takes a booking out again.
    pub(super) fn release(&mut self, slot: SlotId) -> Option<Booking> {
        let index = self.0.iter().position(|booking| booking.slot == slot)?;
        Some(self.0.swap_remove(index))
    }

    /// The booking that a frame would collide with.
    pub(super) fn collision(&self, chain: u8, start: u64, end: u64) -> Option<&Booking> {
        let close = |other: &&Booking| {
            other.chain == chain && start < other.end.saturating_add(LEAD) && other.start < end.saturating_add(LEAD)
        };
        self.0.iter().find(close)
    }

    /// The first place at or after `from` where a frame of that length collides with nothing.
    pub(super) fn free(&self, chain: u8, from: u64, length: u64) -> u64 {
        let mut start = from;
        while let Some(other) = self.collision(chain, start, start.saturating_add(length)) {
            start = other.end.saturating_add(LEAD);
        }
        start
    }

    /// Air times that are booked in a sub-band.
    pub(super) fn spells(&self, band: usize) -> Vec<Spell> {
        self.0.iter().filter(|booking| booking.band == Some(band)).map(|booking| booking.spell).collect()
    }

    /// Takes out what is over.
    pub(super) fn take_over(&mut self, now: Instant, keep: impl Fn(SlotId) -> bool) -> Vec<Booking> {
        self.0.extract_if(.., |booking| booking.spell.until <= now && !keep(booking.slot)).collect()
    }

    /// Takes out all.
    pub(super) fn take_all(&mut self) -> Vec<Booking> {
        std::mem::take(&mut self.0)
    }

    /// The count stands so much further than was thought: what has no count keeps its time by this machine's clock.
    pub(super) fn shift(&mut self, by: i64) {
        for booking in self.0.iter_mut().filter(|booking| !booking.timed) {
            booking.start = booking.start.saturating_add_signed(by);
            booking.end = booking.end.saturating_add_signed(by);
        }
    }
}

/// Whether a frame from `start` to `end`, GPS time in microseconds, meets a beacon; a ping slot keeps off its guard too.
/// Says when the beacon is over.
pub(super) fn beacon(start: u64, end: u64, ping: bool) -> Option<u64> {
    let guard = LEAD + if ping { BEACON_GUARD } else { 0 };
    let reach = end.saturating_add(guard);
    let beacon = reach - reach % BEACON_PERIOD;
    let over = beacon.saturating_add(BEACON_RESERVED + LEAD);
    (start < over).then_some(over)
}
