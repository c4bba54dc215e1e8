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
            ..Settings::new(Plan::new(radio.region))
        };
        let item = Item { frequency, power, modulation, length: 0, chain: 0, timing };
        Self { scheduler: Scheduler::new(settings, now), item, asked: 0 }
    }

    /// Asks whether a frame of so many bytes may be sent. One at a time: what was asked before is forgotten.
    pub(super) fn ask(&mut self, length: usize, now: Instant) {
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
                // Its asker is gone, with the port.
                Event::Send(order) => self.not_sent(order.slot, now),
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

    /// It has not been: its time is given back. Nobody asks for this one any more.
    pub(super) fn not_sent(&mut self, slot: SlotId, now: Instant) {
        self.asked += 1;
        let verdict = Verdict { status: TxStatus::InternalError, why: "the modem did not send it".to_owned() };
        self.scheduler.answered(slot, Err(verdict), now);
    }
}

fn refusal(verdict: Verdict) -> May {
    let why = match verdict.status {
        TxStatus::DutyCycleOverflow => Refused::DutyCycle,
        TxStatus::QueueFull => Refused::QueueFull,
        _ => Refused::NotAllowed,
    };
    let text = if verdict.why.is_empty() { verdict.status.as_str().to_owned() } else { verdict.why };
    May::Not(why, text)
}
