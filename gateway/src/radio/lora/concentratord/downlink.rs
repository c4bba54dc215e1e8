//! What of a downlink is handed to Concentratord, and what became of it. Pure.
//!
//! Concentratord has the concentrator's count and its own queue, and says at once, item by item, whether it has taken one.
//! So times and collisions are its business, and here is judged what holds at any time, and the duty cycle: Concentratord
//! keeps that for some models and not for others. Each counts the same air time once, in a book of its own, and the
//! stricter decides.

use std::time::{Duration, Instant};

use crate::radio::lora::airtime::Modulation;
use crate::radio::lora::done::Done;
use crate::radio::lora::gw::{self, DownlinkFrame, DownlinkFrameItem, DownlinkTxAck};
use crate::radio::lora::schedule::{Emission, Meter, TxStatus, Verdict};

/// Items of one downlink at most. A class A device has two windows.
const ITEMS_MAX: usize = 16;

/// When a frame without a time begins at the latest: Concentratord takes a second from now, or after what waits.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Between two beacons: a ping slot is not farther off.
const BEACON_PERIOD: Duration = Duration::from_secs(128);

/// A downlink of which something is handed on.
#[derive(Debug)]
pub(super) struct Prepared {
    /// What is handed on: the items that pass.
    pub(super) frame: DownlinkFrame,
    /// Of each of these: which it was among all, and what it costs.
    given: Vec<(usize, Emission)>,
    /// Of all items, as long as nothing was sent.
    done: Done,
}

/// Judges a downlink.
///
/// # Errors
/// When nothing of it can be sent: what is told at once.
pub(super) fn prepare(mut frame: DownlinkFrame, meter: &mut Meter, now: Instant) -> Result<Prepared, Done> {
    if frame.items.len() > ITEMS_MAX {
        let why = format!("more than {ITEMS_MAX} items");
        return Err(Done::not_tried(&frame, TxStatus::InternalError, &why));
    }
    let mut done = Done::not_tried(&frame, TxStatus::Ignored, "");
    let (mut items, mut given) = (Vec::new(), Vec::new());
    for (index, item) in std::mem::take(&mut frame.items).into_iter().enumerate() {
        match judge(&item, meter, now) {
            Ok(emission) => {
                items.push(item);
                given.push((index, emission));
            }
            Err(verdict) => note(&mut done, index, &verdict),
        }
    }
    if items.is_empty() {
        return Err(done);
    }
    Ok(Prepared { frame: DownlinkFrame { items, ..frame }, given, done })
}

fn judge(item: &DownlinkFrameItem, meter: &mut Meter, now: Instant) -> Result<Emission, Verdict> {
    let wrong = |why: &str| Verdict { status: TxStatus::InternalError, why: why.to_owned() };
    let info = item.tx_info.as_ref().ok_or_else(|| wrong("it does not say how it is to be sent"))?;
    let modulation = info.modulation.as_ref().and_then(Modulation::of).ok_or_else(|| wrong("it has no modulation"))?;
    let timing = info.timing.as_ref();
    let within = match timing.map(|timing| (&timing.delay, &timing.gps_epoch)) {
        Some((Some(delay), _)) => {
            delay.delay.unwrap_or_default().span().ok_or_else(|| wrong("its delay is none"))?.min(BEACON_PERIOD)
        }
        Some((None, Some(_))) => BEACON_PERIOD,
        Some((None, None)) | None => AT_ONCE,
    };
    meter.judge(info.frequency, info.power, &modulation, item.phy_payload.len(), within, now)
}

fn note(done: &mut Done, index: usize, verdict: &Verdict) {
    if let Some(status) = done.statuses.get_mut(index) {
        *status = verdict.status;
    }
    done.explain(verdict);
}

impl Prepared {
    /// Concentratord has answered: at most one of its items was taken, and its air time counts.
    pub(super) fn answered(mut self, answer: &[u8], meter: &mut Meter) -> Done {
        if answer.is_empty() {
            return self.failed("Concentratord could not make anything of it");
        }
        let ack = <DownlinkTxAck as gw::Message>::decode(answer);
        let Some(ack) = ack.ok().filter(|ack| ack.items.len() == self.given.len()) else {
            return self.unanswered("Concentratord answers with something else", meter);
        };
        let given = std::mem::take(&mut self.given).into_iter().zip(&self.frame.items);
        for (told, ((index, emission), item)) in ack.items.iter().zip(given) {
            let status = TxStatus::from(told.status());
            if status == TxStatus::Ok && self.done.sent.is_none() {
                let info = item.tx_info.as_ref();
                self.done.sent = info.map(|info| (info.frequency, info.modulation.unwrap_or_default()));
                meter.sent(emission);
            }
            let why = if matches!(status, TxStatus::Ok | TxStatus::Ignored) { "" } else { "Concentratord says so" };
            note(&mut self.done, index, &Verdict { status, why: why.to_owned() });
        }
        self.done
    }

    /// It has not, and may have taken any: all their air time counts.
    pub(super) fn unanswered(mut self, why: &str, meter: &mut Meter) -> Done {
        std::mem::take(&mut self.given).into_iter().for_each(|(index, emission)| {
            meter.sent(emission);
            self.fail(index);
        });
        self.done.why = why.to_owned();
        self.done
    }

    /// It has taken none.
    pub(super) fn failed(mut self, why: &str) -> Done {
        std::mem::take(&mut self.given).into_iter().for_each(|(index, _)| self.fail(index));
        self.done.why = why.to_owned();
        self.done
    }

    fn fail(&mut self, index: usize) {
        if let Some(status) = self.done.statuses.get_mut(index) {
            *status = TxStatus::InternalError;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Region;
    use crate::radio::lora::gw::{
        DelayTiming, DownlinkTxAckItem, DownlinkTxInfo, LoraModulationInfo, Message, Timing, TxAckStatus,
    };
    use crate::radio::lora::region::Plan;

    /// A frame of 1.8 s in the first window, and of 2 in the second.
    fn item(frequency: u32, seconds: u64) -> DownlinkFrameItem {
        let lora = LoraModulationInfo { bandwidth: 125_000, spreading_factor: 12, ..LoraModulationInfo::default() };
        let delay = DelayTiming { delay: Some(Duration::from_secs(seconds).into()) };
        let info = DownlinkTxInfo {
            frequency,
            power: 14,
            modulation: Some(gw::Modulation::lora(lora)),
            timing: Some(Timing { delay: Some(delay), ..Timing::default() }),
            ..DownlinkTxInfo::default()
        };
        DownlinkFrameItem { phy_payload: vec![0x60; 33].into(), tx_info: Some(info) }
    }

    fn frame(items: Vec<DownlinkFrameItem>) -> DownlinkFrame {
        DownlinkFrame { downlink_id: 7, items, gateway_id: String::new() }
    }

    /// Where 3.6 s an hour are allowed.
    const NARROW: u32 = 868_800_000;
    const WIDE: u32 = 869_525_000;

    fn meter() -> Meter {
        Meter::new(Plan::new(Region::Eu868), true)
    }

    fn ack(statuses: &[TxAckStatus]) -> Vec<u8> {
        let items = statuses.iter().map(|status| DownlinkTxAckItem { status: *status as i32 }).collect();
        DownlinkTxAck { gateway_id: String::new(), downlink_id: 7, items }.encode_to_vec()
    }

    #[test]
    fn what_is_forbidden_is_left_out_and_keeps_its_place_among_the_statuses() {
        let (mut meter, now) = (meter(), Instant::now());
        let nothing = DownlinkFrameItem::default();
        let items = vec![item(868_650_000, 1), nothing, item(NARROW, 1), item(WIDE, 2)];
        let prepared = prepare(frame(items), &mut meter, now).unwrap();
        assert_eq!((prepared.frame.items.len(), prepared.frame.downlink_id), (2, 7));
        let done = prepared.answered(&ack(&[TxAckStatus::TooLate, TxAckStatus::Ok]), &mut meter);
        use TxStatus::{InternalError, Ok as Sent, TooLate, TxFreq};
        assert_eq!(done.statuses, [TxFreq, InternalError, TooLate, Sent]);
        assert_eq!(done.sent.map(|(frequency, _)| frequency), Some(WIDE));
        assert!(
            done.why.starts_with("TX_FREQ: 868650000 Hz") && done.why.contains("TOO_LATE: Concentratord"),
            "{}",
            done.why
        );
        let used: Vec<_> = meter.load(now + Duration::from_secs(10)).iter().map(|load| load.used.as_millis()).collect();
        assert_eq!(used, [0, 0, 0, 1810, 0], "only what was taken");
    }

    #[test]
    fn the_duty_cycle_counts_what_was_taken_or_may_have_been() {
        let (mut meter, now) = (meter(), Instant::now());
        let only = || frame(vec![item(NARROW, 1)]);
        for _ in 0..5 {
            let refused =
                prepare(only(), &mut meter, now).unwrap().answered(&ack(&[TxAckStatus::CollisionPacket]), &mut meter);
            assert_eq!((refused.statuses, refused.sent), (vec![TxStatus::CollisionPacket], None));
            let failed = prepare(only(), &mut meter, now).unwrap().answered(b"", &mut meter);
            assert_eq!(failed.statuses, [TxStatus::InternalError]);
        }
        let unanswered = prepare(only(), &mut meter, now).unwrap().unanswered("no answer", &mut meter);
        assert_eq!(
            (unanswered.statuses.as_slice(), unanswered.why.as_str()),
            (&[TxStatus::InternalError][..], "no answer")
        );
        let over = prepare(only(), &mut meter, now).unwrap_err();
        assert_eq!(over.statuses, [TxStatus::DutyCycleOverflow]);
        // The second window is in another sub-band.
        let prepared = prepare(frame(vec![item(NARROW, 1), item(WIDE, 2)]), &mut meter, now).unwrap();
        assert_eq!(prepared.frame.items, [item(WIDE, 2)]);
    }

    #[test]
    fn an_answer_that_fits_nothing_is_no_good_news() {
        let (mut meter, now) = (meter(), Instant::now());
        let ok = TxAckStatus::Ok;
        for answer in [ack(&[ok]), ack(&[ok, ok, ok]), b"\xff".to_vec()] {
            let prepared = prepare(frame(vec![item(WIDE, 1), item(WIDE, 2)]), &mut meter, now).unwrap();
            assert_eq!(prepared.answered(&answer, &mut meter).statuses, [TxStatus::InternalError; 2]);
        }
        let both = prepare(frame(vec![item(WIDE, 1), item(WIDE, 2)]), &mut meter, now).unwrap();
        assert_eq!(
            both.answered(&ack(&[ok, TxAckStatus::Ignored]), &mut meter).statuses,
            [TxStatus::Ok, TxStatus::Ignored]
        );
        assert_eq!(prepare(frame(vec![]), &mut meter, now).unwrap_err().statuses, []);
        let many = prepare(frame(vec![item(WIDE, 1); 17]), &mut meter, now).unwrap_err();
        assert_eq!(many.statuses, [TxStatus::InternalError; 17]);
    }
}
