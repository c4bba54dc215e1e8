//! When a modem may send: the scheduler, with one transmitter and nothing but "as soon as can be".

use std::time::{Duration, Instant};

use crate::config::LoraModem;
use crate::radio::Refused;
use crate::radio::lora::airtime::{Lora, Modulation};
use crate::radio::lora::region::Plan;
use crate::radio::lora::schedule::{Downlink, Event, Item, Scheduler, Settings, SlotId, Timing, TxStatus, Verdict};

/// How long before its time a frame is given to the modem, which has to be stopped and told first.
const HAND_OVER: Duration = Duration::from_millis(100);

/// Longer than any conversation about one frame; the conversation has ends of its own.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What became of the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum May {
    /// Now, for so long.
    Send(SlotId, Duration),
    /// Never.
    Not(Refused, String),
}

/// See the module's head.
pub(super) struct Air {
    scheduler: Scheduler,
    item: Item,
    /// The one that is asked for.
    asked: u64,
}

impl Air {
    pub(super) fn new(radio: &LoraModem, now: Instant) -> Self {
        let channel = &radio.channel;
        let modulation = Modulation::Lora(Lora {
            spreading_factor: channel.spreading_factor,
            bandwidth: channel.bandwidth,
            coding_rate: channel.coding_rate.denominator(),
            preamble: channel.preamble,
            implicit_header: false,
        });
        let (frequency, power, timing) = (channel.frequency, channel.power, Timing::Immediately);
        let settings = Settings {
            duty_cycle: radio.duty_cycle,
            queue: 1,
            hand_over: HAND_OVER,
            patience: PATIENCE,
            ..Settings::new(Plan::new(radio.region).with_dwell_time(radio.dwell_time))
        };
        let item = Item { frequency, power, modulation, length: 0, chain: 0, timing };
        Self { scheduler: Scheduler::new(settings, now), item, asked: 0 }
    }

    /// Asks whether a frame of so many bytes may be sent. One at a time: what was asked before is forgotten.
    pub(super) fn ask(&mut self, length: usize, now: Instant) {
        self.scheduler.withdraw(self.asked);
        self.asked += 1;
        let items = vec![Item { length, ..self.item }];
        self.scheduler.submit(Downlink { id: self.asked, items }, now);
    }

    /// The answer, once there is one.
    pub(super) fn answer(&mut self, now: Instant) -> Option<May> {
        while let Some(event) = self.scheduler.take(now) {
            match event {
                Event::Send(order) if order.downlink == self.asked => {
                    return Some(May::Send(order.slot, order.airtime));
                }
                // Nobody asks any more.
                Event::Send(order) => self.give_back(order.slot, now),
                Event::Done { downlink, verdicts } if downlink == self.asked => {
                    if let Some(verdict) = verdicts.into_iter().find(|verdict| verdict.status != TxStatus::Ok) {
                        return Some(refusal(verdict));
                    }
                }
                Event::Done { .. } => {}
            }
        }
        None
    }

    /// When there will be an answer.
    pub(super) fn due(&self) -> Option<Instant> {
        self.scheduler.next_due()
    }

    /// It has been on the air, or may have been.
    pub(super) fn sent(&mut self, slot: SlotId, now: Instant) {
        self.scheduler.answered(slot, Ok(()), now);
    }

    /// It has not been: its time is given back.
    pub(super) fn not_sent(&mut self, slot: SlotId, now: Instant) {
        // Of its end nobody need be told.
        self.asked += 1;
        self.give_back(slot, now);
    }

    fn give_back(&mut self, slot: SlotId, now: Instant) {
        let verdict = Verdict { status: TxStatus::InternalError, why: "the modem did not send it".to_owned() };
        self.scheduler.answered(slot, Err(verdict), now);
    }
}

fn refusal(verdict: Verdict) -> May {
    let why = match verdict.status {
        TxStatus::DutyCycleOverflow => Refused::DutyCycle,
        TxStatus::DwellTime => Refused::DwellTime,
        TxStatus::QueueFull => Refused::QueueFull,
        _ => Refused::NotAllowed,
    };
    let text = if verdict.why.is_empty() { verdict.status.as_str().to_owned() } else { verdict.why };
    May::Not(why, text)
}

#[cfg(test)]
mod tests {
    use super::super::tests::modem;
    use super::*;
    use crate::config::Region;

    fn after(now: Instant, ms: u64) -> Instant {
        now + Duration::from_millis(ms)
    }

    /// SF12 at 868.8 MHz, where 3.6 s an hour are allowed.
    fn air(now: Instant, duty_cycle: bool) -> Air {
        let mut radio = modem();
        (radio.channel.frequency, radio.channel.spreading_factor, radio.duty_cycle) = (868_800_000, 12, duty_cycle);
        Air::new(&radio, now)
    }

    /// The place and the time of a frame that may be sent now.
    fn may(air: &mut Air, length: usize, now: Instant) -> (SlotId, Duration) {
        air.ask(length, now);
        match air.answer(now) {
            Some(May::Send(slot, airtime)) => (slot, airtime),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_was_not_sent_costs_no_air_time() {
        let mut now = Instant::now();
        let mut air = air(now, true);
        for _ in 0..10 {
            let (slot, _) = may(&mut air, 51, now);
            air.not_sent(slot, now);
            now = after(now, 1000);
        }
        let (slot, airtime) = may(&mut air, 51, now);
        air.sent(slot, now);
        now += airtime * 2;
        air.ask(51, now);
        assert!(matches!(air.answer(now), Some(May::Not(Refused::DutyCycle, _))));
    }

    #[test]
    fn a_frame_that_lasts_longer_than_the_country_allows_is_refused() {
        let now = Instant::now();
        let mut radio = LoraModem { region: Region::Au915, dwell_time: true, ..modem() };
        (radio.channel.frequency, radio.channel.spreading_factor) = (916_800_000, 10);
        let mut air = Air::new(&radio, now);
        let (slot, _) = may(&mut air, 24, now);
        air.sent(slot, now);
        air.ask(33, now);
        assert!(matches!(air.answer(now), Some(May::Not(Refused::DwellTime, _))));
    }

    #[test]
    fn frames_keep_their_distance_and_one_that_is_forgotten_keeps_nobody_waiting() {
        let now = Instant::now();
        let mut air = air(now, false);
        let (slot, airtime) = may(&mut air, 51, now);
        air.sent(slot, now);
        air.ask(1, now);
        assert_eq!(air.answer(now), None, "the one before is on the air");
        let due = air.due().unwrap();
        assert!(due >= now + airtime, "{:?}", due - now);
        air.ask(2, now);
        assert_eq!(air.answer(now), None);
        assert!(matches!(air.answer(due), Some(May::Send(..))));
    }
}
