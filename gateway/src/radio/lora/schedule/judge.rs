//! Whether one item may be sent, and when.

use std::time::Instant;

use super::book::{self, Booking, LEAD, SOONEST};
use super::count::{Counter, micros};
use super::duty::{self, Spell};
use super::limits;
use super::{Item, Scheduler, SlotId, Timing, TxStatus, Verdict, When};

/// How far ahead a frame may be booked, in microseconds (sx1302_hal, `jitqueue.c`: four beacon periods).
const HORIZON: u64 = 512_000_000;

impl Scheduler {
    /// Judges an item: where it is booked and what the radio is told, or why it is not sent.
    pub(super) fn judge(&mut self, item: &Item, now: Instant) -> Result<(Booking, When), Verdict> {
        let air = limits::may_send(&self.settings.plan, item.frequency, item.power, &item.modulation, item.length)?;
        let length = micros(air);
        let (start, when) = self.start(item, length, now)?;
        let end = start.saturating_add(length);
        let (from, until) = (self.counter.instant(start), self.counter.instant(end));
        let band = self.settings.plan.sub_band_of(item.frequency, item.modulation.width());
        let spell = Spell { from, until, air };
        self.has_air_time(band, &spell)?;
        self.slots += 1;
        let (slot, timed) = (SlotId(self.slots), when != When::Immediately);
        Ok((Booking { slot, chain: item.chain, start, end, timed, spell, band }, when))
    }

    /// The place of its first symbol.
    fn start(&mut self, item: &Item, length: u64, now: Instant) -> Result<(u64, When), Verdict> {
        let (start, when, ping) = match item.timing {
            Timing::Immediately => return self.soonest(item.chain, length, now),
            Timing::Delay { tmst, delay } => {
                let (uplink, heard) = self.counter.context(tmst, now);
                self.follow(heard, now);
                let start = uplink.saturating_add(micros(delay));
                (start, When::Count(Counter::tmst(start)), false)
            }
            Timing::GpsEpoch(time) => {
                let why = "the concentrator's uplinks have no GPS time";
                let unlocked = || Verdict::because(TxStatus::GpsUnlocked, why);
                (self.counter.of_gps(time).ok_or_else(unlocked)?, When::Gps(time), true)
            }
        };
        self.in_time(start, now)?;
        if self.meets_beacon(start, length, ping).is_some() {
            return Err(Verdict::plain(TxStatus::CollisionBeacon));
        }
        match self.book.collision(item.chain, start, start.saturating_add(length)) {
            Some(_) => Err(Verdict::plain(TxStatus::CollisionPacket)),
            None => Ok((start, when)),
        }
    }

    fn in_time(&self, start: u64, now: Instant) -> Result<(), Verdict> {
        let stands = self.counter.now(now);
        if start < stands.saturating_add(LEAD) {
            let late = stands.saturating_add(LEAD) - start;
            return Err(Verdict::because(TxStatus::TooLate, format!("{} ms too late", late.div_ceil(1000))));
        }
        let ahead = start - stands;
        if ahead > HORIZON {
            let why = format!("{} s ahead, and at most {} are", ahead / 1_000_000, HORIZON / 1_000_000);
            return Err(Verdict::because(TxStatus::TooEarly, why));
        }
        Ok(())
    }

    /// The first place where nothing else is.
    fn soonest(&self, chain: u8, length: u64, now: Instant) -> Result<(u64, When), Verdict> {
        let soonest = self.counter.now(now).saturating_add(SOONEST);
        let mut start = self.book.free(chain, soonest, length);
        // Each turn goes on, and the horizon ends them.
        while let Some(over) = self.meets_beacon(start, length, false) {
            start = self.book.free(chain, over, length);
            if start - soonest > HORIZON {
                break;
            }
        }
        if start - soonest > HORIZON {
            let why = format!("the air is taken for the next {} s", HORIZON / 1_000_000);
            return Err(Verdict::because(TxStatus::CollisionPacket, why));
        }
        Ok((start, When::Immediately))
    }

    /// The place where the beacon that a frame would meet is over.
    fn meets_beacon(&self, start: u64, length: u64, ping: bool) -> Option<u64> {
        if !self.settings.beacons {
            return None;
        }
        let gps = self.counter.gps_of(start)?;
        let over = book::beacon(gps, gps.saturating_add(length), ping)?;
        Some(start.saturating_add(over - gps))
    }

    fn has_air_time(&self, band: Option<usize>, spell: &Spell) -> Result<(), Verdict> {
        let bands = self.settings.plan.sub_bands();
        let Some((index, band, past)) = band.and_then(|index| Some((index, bands.get(index)?, self.past.get(index)?)))
        else {
            return Ok(());
        };
        if self.settings.duty_cycle { duty::check(band, past, &self.book.spells(index), spell) } else { Ok(()) }
    }
}
