//! The downlink scheduler of one gateway: what is sent when, and why the rest is not.
//!
//! Pure: it holds no payload, reads no clock and does no I/O. Whoever owns it says what happened and at which time, drains
//! [`Scheduler::take`] after each such call, and calls it again at [`Scheduler::next_due`].
//!
//! A downlink has items, which are tried in their order until the radio has taken one: RX1, then RX2. An item is judged by
//! the region (frequency, power), its time, the duty cycle and what is booked on the air already. One that passes is
//! booked, handed to the radio in good time ([`Event::Send`]), and answered by it ([`Scheduler::answered`]); a refusal
//! gives its air time back and the next item is judged. When a downlink is over its verdicts come out ([`Event::Done`]),
//! one an item.
//!
//! Map: `count.rs` knows where the concentrator's count stands, `book.rs` what is on the air, `duty.rs` the air time of the
//! last hour, `limits.rs` what holds at any time, `judge.rs` holds an item against all of these, `status.rs` has the words.
//! `meter.rs` stands beside it all: it is for radios that schedule by themselves.

mod book;
mod count;
mod duty;
mod judge;
pub mod limits;
mod meter;
mod status;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub use meter::{Emission, Meter};
pub use status::{TxStatus, Verdict};

use self::book::{Book, Booking};
use self::count::{Counter, Heard, micros};
use self::duty::Past;
use super::airtime::Modulation;
use super::region::{Plan, SubBand};

/// Items of one downlink at most. A class A device has two windows.
pub const ITEMS_MAX: usize = 16;

/// How one gateway is to be sent to.
pub struct Settings {
    /// Where it may send, with which power and for how long at a time.
    pub plan: Plan,
    /// Whether duty cycles are kept. Air time is counted all the same.
    pub duty_cycle: bool,
    /// Whether the concentrator sends class B beacons, which nothing else may meet.
    pub beacons: bool,
    /// Downlinks that may wait or be unanswered. Policy: one more is refused as QUEUE_FULL.
    pub queue: usize,
    /// How long before its time a frame is given to the radio. A packet forwarder queues it itself; some refuse what is
    /// more than 6 s ahead as TOO_EARLY.
    pub hand_over: Duration,
    /// How long the radio may take to say whether it has taken a frame.
    pub patience: Duration,
}

impl Settings {
    /// What suits a packet forwarder.
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            duty_cycle: true,
            beacons: false,
            queue: 32,
            hand_over: Duration::from_secs(5),
            patience: Duration::from_secs(1),
        }
    }
}

/// What a network server wants sent: one frame, with the times and channels at which it may be.
#[derive(Debug, Clone)]
pub struct Downlink {
    /// The owner's name for it, unique among those that are not done.
    pub id: u64,
    /// In the order in which they are tried, at most [`ITEMS_MAX`].
    pub items: Vec<Item>,
}

/// One way to send it.
#[derive(Debug, Clone, Copy)]
pub struct Item {
    /// Hz.
    pub frequency: u32,
    /// EIRP in dBm.
    pub power: i32,
    /// How.
    pub modulation: Modulation,
    /// Bytes of the PHY payload.
    pub length: usize,
    /// The transmitter: each sends one frame at a time. 0 where there is one.
    pub chain: u8,
    /// When.
    pub timing: Timing,
}

/// When an item is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// As soon as the air is free.
    Immediately,
    /// So long after an uplink, of which the context gives the count.
    Delay {
        /// The uplink's `tmst`.
        tmst: u32,
        /// From its end to the first symbol.
        delay: Duration,
    },
    /// At a GPS time, since the epoch of 6 January 1980.
    GpsEpoch(Duration),
}

/// A place on the air, by which the radio's answer finds its downlink. Never used twice by one scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(u64);

/// What the radio is told of a frame's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// As soon as it can.
    Immediately,
    /// At this count (`tmst`).
    Count(u32),
    /// At this GPS time (`tmms`).
    Gps(Duration),
}

/// A frame for the radio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// For [`Scheduler::answered`].
    pub slot: SlotId,
    /// Which downlink.
    pub downlink: u64,
    /// Index of its item.
    pub item: usize,
    /// When it is to be sent.
    pub when: When,
    /// About when it begins, by this machine's clock.
    pub starts: Instant,
    /// How long it is on the air.
    pub airtime: Duration,
}

/// What the owner is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Give this to the radio, now.
    Send(Order),
    /// Tell the asker: one verdict an item, in their order.
    Done {
        /// Which downlink.
        downlink: u64,
        /// As many as it had items.
        verdicts: Vec<Verdict>,
    },
}

/// Air time of a sub-band in the hour that ends now, with what is booked and has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Which.
    pub band: SubBand,
    /// How much was used.
    pub used: Duration,
}

/// A downlink that is not done.
struct Task {
    id: u64,
    items: Vec<Item>,
    /// Of the items before the current one.
    verdicts: Vec<Verdict>,
    slot: SlotId,
    order: Order,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// To be given to the radio then.
    Waiting(Instant),
    /// The radio has it and is to answer by then.
    Sent(Instant),
}

/// Of one gateway.
pub struct Scheduler {
    settings: Settings,
    counter: Counter,
    book: Book,
    /// One for each sub-band.
    past: Vec<Past>,
    tasks: Vec<Task>,
    events: VecDeque<Event>,
    slots: u64,
}

impl Scheduler {
    /// Nothing booked, nothing known of the count.
    pub fn new(settings: Settings, now: Instant) -> Self {
        let past = settings.plan.sub_bands().iter().map(|_| Past::default()).collect();
        Self {
            settings,
            counter: Counter::new(now),
            book: Book::default(),
            past,
            tasks: Vec::new(),
            events: VecDeque::new(),
            slots: 0,
        }
    }

    /// An uplink came: where the concentrator's count stood, and its GPS time where it has one. Says whether the count has
    /// begun anew, which empties what was booked against the old one.
    pub fn heard(&mut self, tmst: u32, gps: Option<Duration>, now: Instant) -> bool {
        let heard = self.counter.heard(tmst, gps, now);
        self.follow(heard, now);
        heard == Heard::Restarted
    }

    fn follow(&mut self, heard: Heard, now: Instant) {
        match heard {
            Heard::Moved(by) => self.book.shift(by),
            Heard::Restarted => self.restarted(now),
        }
    }

    /// Takes a downlink.
    pub fn submit(&mut self, downlink: Downlink, now: Instant) {
        let Downlink { id, items } = downlink;
        let refused = if self.tasks.len() >= self.settings.queue {
            let why = format!("{} downlinks wait", self.tasks.len());
            Some(Verdict::because(TxStatus::QueueFull, why))
        } else if items.len() > ITEMS_MAX {
            Some(Verdict::because(TxStatus::InternalError, format!("more than {ITEMS_MAX} items")))
        } else {
            None
        };
        if let Some(verdict) = refused {
            self.events.push_back(Event::Done { downlink: id, verdicts: vec![verdict; items.len()] });
            return;
        }
        self.settle(now);
        self.place(id, items, Vec::new(), now);
    }

    /// Nobody wants this downlink any more. What the radio has of it stays booked; nothing more is said of the rest.
    pub fn withdraw(&mut self, downlink: u64) {
        let waits = |task: &Task| task.id == downlink && matches!(task.phase, Phase::Waiting(_));
        if let Some(index) = self.tasks.iter().position(waits) {
            let task = self.tasks.remove(index);
            self.book.release(task.slot);
        }
    }

    /// The radio has taken a frame (a packet forwarder's TX_ACK), or not and why. Says whether anybody waited for that.
    /// A refusal that comes after the patience was over still gives the air time back.
    pub fn answered(&mut self, slot: SlotId, answer: Result<(), Verdict>, now: Instant) -> bool {
        let waits = |task: &Task| task.slot == slot && matches!(task.phase, Phase::Sent(_));
        let Some(index) = self.tasks.iter().position(waits) else {
            return answer.is_err() && self.book.release(slot).is_some();
        };
        let task = self.tasks.remove(index);
        match answer {
            Ok(()) => self.done(task, Verdict::plain(TxStatus::Ok)),
            Err(verdict) => self.next_item(task, verdict, now),
        }
        true
    }

    /// What is to be done now; to be called until there is nothing.
    pub fn take(&mut self, now: Instant) -> Option<Event> {
        if self.events.is_empty() {
            self.advance(now);
        }
        self.events.pop_front()
    }

    /// When [`Scheduler::take`] will have something without anything else happening.
    pub fn next_due(&self) -> Option<Instant> {
        self.tasks.iter().map(Task::due).min()
    }

    /// Whether duty cycles are kept.
    pub fn keeps_duty_cycle(&self) -> bool {
        self.settings.duty_cycle
    }

    /// The air time of each sub-band; none where the region has no duty cycle.
    pub fn load(&mut self, now: Instant) -> Vec<Load> {
        self.settle(now);
        let bands = self.settings.plan.sub_bands().iter().zip(&self.past).enumerate();
        bands.map(|(i, (band, past))| Load { band: *band, used: duty::used(past, &self.book.spells(i), now) }).collect()
    }

    /// What is over on the air is no booking any more, but air time of the past.
    fn settle(&mut self, now: Instant) {
        let unanswered = |slot| self.tasks.iter().any(|task| task.slot == slot);
        let over = self.book.take_over(now, unanswered);
        over.into_iter().for_each(|booking| self.remember(&booking));
        self.past.iter_mut().for_each(|past| past.forget(now));
    }

    fn remember(&mut self, booking: &Booking) {
        if let Some(past) = booking.band.and_then(|band| self.past.get_mut(band)) {
            past.add(booking.spell);
        }
    }

    /// Books the next item that passes, or ends the downlink.
    fn place(&mut self, id: u64, items: Vec<Item>, mut verdicts: Vec<Verdict>, now: Instant) {
        while let Some(item) = items.get(verdicts.len()) {
            match self.judge(item, now) {
                Ok((booking, when)) => {
                    let (slot, starts) = (booking.slot, booking.spell.from);
                    let airtime = booking.spell.air;
                    let order = Order { slot, downlink: id, item: verdicts.len(), when, starts, airtime };
                    let send_at = starts.checked_sub(self.settings.hand_over).unwrap_or(now).max(now);
                    self.book.add(booking);
                    self.tasks.push(Task { id, items, verdicts, slot, order, phase: Phase::Waiting(send_at) });
                    return;
                }
                Err(verdict) => verdicts.push(verdict),
            }
        }
        self.events.push_back(Event::Done { downlink: id, verdicts });
    }

    /// The current item was not sent; the next one is judged.
    fn next_item(&mut self, mut task: Task, verdict: Verdict, now: Instant) {
        self.book.release(task.slot);
        task.verdicts.push(verdict);
        self.place(task.id, task.items, task.verdicts, now);
    }

    /// No other item is tried.
    fn done(&mut self, mut task: Task, verdict: Verdict) {
        task.verdicts.push(verdict);
        task.verdicts.resize(task.items.len(), Verdict::plain(TxStatus::Ignored));
        self.events.push_back(Event::Done { downlink: task.id, verdicts: task.verdicts });
    }

    fn advance(&mut self, now: Instant) {
        self.settle(now);
        while let Some(index) = self.tasks.iter().position(|task| task.due() <= now) {
            let mut task = self.tasks.remove(index);
            match task.phase {
                Phase::Waiting(_) if self.too_late(&task.order, now) => {
                    let why = "its time was past before it could be handed to the radio";
                    self.next_item(task, Verdict::because(TxStatus::TooLate, why), now);
                }
                Phase::Waiting(_) => {
                    self.events.push_back(Event::Send(task.order));
                    task.phase = Phase::Sent(now + self.settings.patience);
                    self.tasks.push(task);
                }
                // It may be on the air or not, so its time stays booked and nothing is sent in its place.
                Phase::Sent(_) => {
                    let patience = self.settings.patience;
                    let why = format!("the radio did not say within {patience:?} whether it sends it");
                    self.done(task, Verdict::because(TxStatus::InternalError, why));
                }
            }
        }
    }

    /// For what has a time and was held back.
    fn too_late(&self, order: &Order, now: Instant) -> bool {
        let left = micros(order.starts.saturating_duration_since(now));
        order.when != When::Immediately && left < book::LEAD
    }

    /// Forgets what was booked against a count that is no more. What has not begun was not sent: its time is given back.
    fn restarted(&mut self, now: Instant) {
        for booking in self.book.take_all() {
            if booking.spell.from < now {
                self.remember(&booking);
            }
        }
        for mut task in std::mem::take(&mut self.tasks) {
            let lost = || Verdict::because(TxStatus::InternalError, "the concentrator was started again");
            // What waits for no count is sent all the same, if it has not been.
            let old = |item: &Item| matches!(item.timing, Timing::Delay { .. });
            if matches!(task.phase, Phase::Sent(_)) {
                task.verdicts.push(lost());
            }
            while task.items.get(task.verdicts.len()).is_some_and(old) {
                task.verdicts.push(lost());
            }
            self.place(task.id, task.items, task.verdicts, now);
        }
    }
}

impl Task {
    fn due(&self) -> Instant {
        match self.phase {
            Phase::Waiting(at) | Phase::Sent(at) => at,
        }
    }
}
