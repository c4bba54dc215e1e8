//! The ledger: counts every message once on its way in and once on its way out.
//!
//! It balances by construction. A message is taken in by a [`Ticket`], and a ticket ends in exactly one outcome: the one
//! that was noted or, when it is dropped without one (a cancelled task, a panic), `abandoned`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::shelf::{Names, Room};

/// Why a message or a frame went no further. Each is a label in `/metrics`, so the set is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum DropReason {
    /// Longer than the radio's `max-frame`.
    FrameTooLong,
    /// Its checksum is wrong.
    FrameChecksum,
    /// Its framing is broken.
    FrameMalformed,
    /// Bytes between frames that belong to none.
    FrameNoise,
    /// It broke off in the middle.
    FrameCut,
    /// A radio's filter or limit let it through no further.
    RadioFilter,
    /// The task that carried it ended before it was delivered.
    Abandoned,
    /// The gateway was stopping.
    ShuttingDown,
    /// A plugin failed at it, and its policy is to drop then.
    PluginFailed,
    /// A plugin could not judge it, and the policy is to drop then.
    PluginRejected,
    /// It was to be held for a plugin, and there was no room. Its publisher is not told that it was taken.
    HeldFull,
}

impl DropReason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::FrameTooLong,
        Self::FrameChecksum,
        Self::FrameMalformed,
        Self::FrameNoise,
        Self::FrameCut,
        Self::RadioFilter,
        Self::Abandoned,
        Self::ShuttingDown,
        Self::PluginFailed,
        Self::PluginRejected,
        Self::HeldFull,
    ];

    /// The word for metrics, logs and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FrameTooLong => "frame-too-long",
            Self::FrameChecksum => "frame-checksum",
            Self::FrameMalformed => "frame-malformed",
            Self::FrameNoise => "frame-noise",
            Self::FrameCut => "frame-cut",
            Self::RadioFilter => "radio-filter",
            Self::Abandoned => "abandoned",
            Self::ShuttingDown => "shutting-down",
            Self::PluginFailed => "plugin-failed",
            Self::PluginRejected => "plugin-rejected",
            Self::HeldFull => "held-full",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The doors by which a message enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Door {
    /// A frame from a radio, whether it decoded or not.
    Radio,
    /// A publish from an MQTT client.
    Client,
    /// The gateway's own states and results.
    Gateway,
    /// Held for a plugin when the gateway stopped before.
    Held,
    /// A remote broker.
    Uplink,
}

impl Door {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Radio, Self::Client, Self::Gateway, Self::Held, Self::Uplink];

    /// The word for metrics and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Radio => "radio",
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Held => "held",
            Self::Uplink => "uplink",
        }
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    received: [u64; Door::ALL.len()],
    added: u64,
    delivered: u64,
    filtered: u64,
    dropped: [u64; DropReason::ALL.len()],
    held: u64,
    in_flight: u64,
}

/// Counts every message. Shared by all who take messages in.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Counts>);

impl Ledger {
    fn edit(&self, change: impl FnOnce(&mut Counts)) {
        // Plain additions can't leave it half changed, so a poisoned lock is as good as a sound one.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes a message in.
    pub fn receive(self: &Arc<Self>, door: Door) -> Ticket {
        self.edit(|c| {
            c.received[door as usize] += 1;
            c.in_flight += 1;
        });
        Ticket { ledger: Some(Arc::clone(self)), held: false, room: None, behind: None }
    }

    /// Takes in a message that a stage made.
    pub fn add(self: &Arc<Self>) -> Ticket {
        self.edit(|c| {
            c.added += 1;
            c.in_flight += 1;
        });
        Ticket { ledger: Some(Arc::clone(self)), held: false, room: None, behind: None }
    }

    /// Counts what never became a message: received and dropped at once.
    pub fn refuse(&self, door: Door, reason: DropReason) {
        self.edit(|c| {
            c.received[door as usize] += 1;
            c.dropped[reason as usize] += 1;
        });
    }

    /// All counts at one moment.
    pub fn snapshot(&self) -> Snapshot {
        let c = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Snapshot {
            received: Door::ALL.iter().map(|d| (d.as_str(), c.received[*d as usize])).collect(),
            added: c.added,
            delivered: c.delivered,
            filtered: c.filtered,
            dropped: DropReason::ALL.iter().map(|r| (r.as_str(), c.dropped[*r as usize])).collect(),
            held: c.held,
            in_flight: c.in_flight,
        }
    }
}

/// One message that is under way. Ends in one outcome; without one it counts as abandoned.
#[derive(Debug)]
#[must_use = "a ticket that is let go counts its message as abandoned"]
pub struct Ticket {
    ledger: Option<Arc<Ledger>>,
    /// It is counted as held, and not as under way.
    held: bool,
    /// What it has on a shelf on which it lies or lay.
    pub(super) room: Option<Room>,
    /// The stages that it had behind it when it was held last.
    pub(super) behind: Option<Names>,
}

impl Ticket {
    fn close(&mut self, change: impl FnOnce(&mut Counts)) {
        self.room = None;
        if let Some(ledger) = self.ledger.take() {
            ledger.edit(|c| {
                *column(c, self.held) -= 1;
                change(c);
            });
        }
    }

    fn end(mut self, change: impl FnOnce(&mut Counts)) {
        self.close(change);
    }

    fn turn(&mut self, held: bool) {
        if let Some(ledger) = self.ledger.as_ref().filter(|_| self.held != held) {
            ledger.edit(|c| {
                *column(c, self.held) -= 1;
                *column(c, held) += 1;
            });
            self.held = held;
        }
    }

    /// It is held until it can be judged.
    pub fn hold(&mut self) {
        self.turn(true);
    }

    /// It is under way again.
    pub fn resume(&mut self) {
        self.turn(false);
    }

    /// It reached the outputs.
    pub fn delivered(self) {
        self.end(|c| c.delivered += 1);
    }

    /// A stage took it out.
    pub fn filtered(self) {
        self.end(|c| c.filtered += 1);
    }

    /// It went no further.
    pub fn dropped(self, reason: DropReason) {
        self.end(|c| c.dropped[reason as usize] += 1);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.close(|c| c.dropped[DropReason::Abandoned as usize] += 1);
    }
}

fn column(counts: &mut Counts, held: bool) -> &mut u64 {
    if held { &mut counts.held } else { &mut counts.in_flight }
}

/// The ledger at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Taken in, by door.
    pub received: BTreeMap<&'static str, u64>,
    /// Made by stages.
    pub added: u64,
    /// Reached the outputs.
    pub delivered: u64,
    /// Taken out by stages.
    pub filtered: u64,
    /// Went no further, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Held for plugins.
    pub held: u64,
    /// Under way.
    pub in_flight: u64,
}

impl Snapshot {
    /// Sum over the doors.
    pub fn received_total(&self) -> u64 {
        self.received.values().sum()
    }

    /// Sum over the reasons.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Whether received + added = delivered + filtered + dropped + held + in flight.
    pub fn balances(&self) -> bool {
        let gone = self.delivered + self.filtered + self.dropped_total();
        self.received_total() + self.added == gone + self.held + self.in_flight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ticket_ends_in_one_outcome_and_the_ledger_balances_at_each_step() {
        let ledger = Arc::new(Ledger::default());
        let a = ledger.receive(Door::Radio);
        let b = ledger.receive(Door::Client);
        let c = ledger.add();
        ledger.refuse(Door::Radio, DropReason::FrameChecksum);
        assert_eq!(ledger.snapshot().in_flight, 3);
        assert!(ledger.snapshot().balances());
        a.delivered();
        b.filtered();
        drop(c);
        let s = ledger.snapshot();
        assert!(s.balances());
        assert_eq!((s.received_total(), s.added, s.delivered, s.filtered, s.in_flight), (3, 1, 1, 1, 0));
        assert!(s.dropped["abandoned"] == 1 && s.dropped["frame-checksum"] == 1);
    }

    #[test]
    fn the_numbers_of_reasons_and_doors_are_their_places() {
        assert!(DropReason::ALL.iter().enumerate().all(|(i, r)| *r as usize == i));
        assert!(Door::ALL.iter().enumerate().all(|(i, d)| *d as usize == i));
    }
}
