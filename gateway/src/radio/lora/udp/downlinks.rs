//! The downlinks of one gateway that are not done: between ChirpStack's messages, the scheduler and the datagrams.
//!
//! Pure: it says what is to be sent and what is to be told, and is told the time.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::packet::Token;
use super::txpk;
use crate::config::LoraRadio;
use crate::radio::lora::Refusal;
use crate::radio::lora::airtime::Modulation;
use crate::radio::lora::done::Done;
use crate::radio::lora::gw::{DownlinkFrame, DownlinkFrameItem};
use crate::radio::lora::region::Plan;
use crate::radio::lora::schedule::{
    Downlink, Event, Item, Load, Scheduler, Settings, SlotId, Timing, TxStatus, Verdict,
};

/// How long a gateway may take to acknowledge a downlink. It does when it has queued it; the rest is the network's.
const PATIENCE: Duration = Duration::from_secs(3);

/// Tokens that an acknowledgement may still carry. Policy: the oldest is forgotten; what comes for it later is unasked.
const TOKENS_MAX: usize = 64;

/// A downlink that is not done.
struct Pending {
    downlink_id: u32,
    items: Vec<DownlinkFrameItem>,
    /// Which of the items the scheduler was given, in its order.
    given: Vec<usize>,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Action {
    /// A datagram is to be sent.
    Send {
        /// What its acknowledgement will be known by.
        token: Token,
        /// Its JSON.
        json: Vec<u8>,
        /// To be told of, if it can't be sent.
        slot: SlotId,
    },
    /// The asker is to be told.
    Done(Done),
}

/// See the module's head.
pub(super) struct Downlinks {
    scheduler: Scheduler,
    pending: HashMap<u64, Pending>,
    /// Those that were sent, the latest last.
    tokens: VecDeque<(Token, SlotId)>,
    ids: u64,
    next_token: u16,
}

impl Downlinks {
    /// None.
    pub(super) fn new(radio: &LoraRadio, now: Instant) -> Self {
        let usual = Settings::new(Plan::new(radio.region).with_dwell_time(radio.dwell_time));
        let settings = Settings { duty_cycle: radio.duty_cycle, queue: radio.down_queue, patience: PATIENCE, ..usual };
        Self {
            scheduler: Scheduler::new(settings, now),
            pending: HashMap::new(),
            tokens: VecDeque::new(),
            ids: 0,
            next_token: fastrand::u16(..),
        }
    }

    /// An uplink came. Says whether the gateway's count has begun anew.
    pub(super) fn heard(&mut self, tmst: u32, gps: Option<Duration>, now: Instant) -> bool {
        self.scheduler.heard(tmst, gps, now)
    }

    /// Takes a downlink. Items that do not say how they are to be sent are not tried.
    pub(super) fn submit(&mut self, frame: DownlinkFrame, now: Instant) {
        let tried = frame.items.iter().enumerate().filter_map(|(index, item)| Some((index, scheduled(item)?)));
        let (given, items): (Vec<usize>, Vec<Item>) = tried.unzip();
        self.ids += 1;
        let pending = Pending { downlink_id: frame.downlink_id, items: frame.items, given };
        self.pending.insert(self.ids, pending);
        self.scheduler.submit(Downlink { id: self.ids, items }, now);
    }

    /// TX_ACK came.
    ///
    /// # Errors
    /// When nothing with its token waits, or it can't be read.
    pub(super) fn acknowledged(&mut self, token: Token, json: &[u8], now: Instant) -> Result<(), Refusal> {
        let index = self.tokens.iter().position(|(known, _)| *known == token).ok_or(Refusal::AckUnasked)?;
        let answer = txpk::read_ack(json)?;
        let slot = self.tokens.remove(index).map(|(_, slot)| slot);
        match slot {
            Some(slot) if self.scheduler.answered(slot, answer, now) => Ok(()),
            _ => Err(Refusal::AckUnasked),
        }
    }

    /// What could not be sent.
    pub(super) fn unsent(&mut self, slot: SlotId, why: String, now: Instant) {
        self.tokens.retain(|(_, known)| *known != slot);
        self.scheduler.answered(slot, Err(Verdict { status: TxStatus::InternalError, why }), now);
    }

    /// When [`next`](Self::next) will have something without anything else happening.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.scheduler.next_due()
    }

    /// The air time of each sub-band.
    pub(super) fn load(&mut self, now: Instant) -> Vec<Load> {
        self.scheduler.load(now)
    }

    /// What is to be done now; to be called until there is nothing.
    pub(super) fn next(&mut self, now: Instant) -> Option<Action> {
        loop {
            match self.scheduler.take(now)? {
                Event::Done { downlink, verdicts } => {
                    if let Some(done) = self.done(downlink, &verdicts) {
                        return Some(Action::Done(done));
                    }
                }
                Event::Send(order) => {
                    let item = self.pending.get(&order.downlink).and_then(|p| p.items.get(*p.given.get(order.item)?));
                    match item.and_then(|item| txpk::write(item, order.when)) {
                        Some(json) => {
                            return Some(Action::Send { token: self.token(order.slot), json, slot: order.slot });
                        }
                        None => self.unsent(order.slot, "it can't be written".to_owned(), now),
                    }
                }
            }
        }
    }

    fn token(&mut self, slot: SlotId) -> Token {
        self.next_token = self.next_token.wrapping_add(1);
        let token = self.next_token.to_be_bytes();
        if self.tokens.len() >= TOKENS_MAX {
            self.tokens.pop_front();
        }
        self.tokens.push_back((token, slot));
        token
    }

    fn done(&mut self, id: u64, verdicts: &[Verdict]) -> Option<Done> {
        let Pending { downlink_id, items, given } = self.pending.remove(&id)?;
        let mut done = Done::all(downlink_id, items.len(), TxStatus::InternalError, "");
        for (index, verdict) in given.into_iter().zip(verdicts) {
            if let Some(place) = done.statuses.get_mut(index) {
                *place = verdict.status;
            }
            if verdict.status == TxStatus::Ok {
                let info = items.get(index).and_then(|item| item.tx_info.as_ref());
                done.sent = info.map(|info| (info.frequency, info.modulation.unwrap_or_default()));
            } else {
                done.explain(verdict);
            }
        }
        Some(done)
    }

    /// Those that are not done, given up. What the radio has of them may be sent all the same.
    pub(super) fn give_up(&mut self, why: &str) -> Vec<Done> {
        let pending = self.pending.drain();
        pending.map(|(_, p)| Done::all(p.downlink_id, p.items.len(), TxStatus::InternalError, why)).collect()
    }
}

/// An item as the scheduler knows it; `None` where it does not say how it is to be sent. One without a time is sent at once.
fn scheduled(item: &DownlinkFrameItem) -> Option<Item> {
    let info = item.tx_info.as_ref()?;
    let timing = info.timing.as_ref();
    let timing = match timing.map(|timing| (&timing.delay, &timing.gps_epoch)) {
        Some((Some(delay), _)) => {
            let tmst = u32::from_be_bytes(info.context.as_ref().try_into().ok()?);
            Timing::Delay { tmst, delay: delay.delay.unwrap_or_default().span()? }
        }
        Some((None, Some(gps))) => Timing::GpsEpoch(gps.time_since_gps_epoch?.span()?),
        Some((None, None)) | None => Timing::Immediately,
    };
    Some(Item {
        frequency: info.frequency,
        power: info.power,
        modulation: Modulation::of(info.modulation.as_ref()?)?,
        length: item.phy_payload.len(),
        chain: u8::try_from(info.board).ok()?,
        timing,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::radio::lora::gw::{self, DownlinkTxInfo, ImmediatelyTiming, LoraModulationInfo};

    fn at_once() -> DownlinkFrameItem {
        let lora = LoraModulationInfo { bandwidth: 125_000, spreading_factor: 7, ..LoraModulationInfo::default() };
        let timing = gw::Timing { immediately: Some(ImmediatelyTiming {}), ..gw::Timing::default() };
        let info = DownlinkTxInfo {
            frequency: 868_100_000,
            power: 14,
            modulation: Some(gw::Modulation::lora(lora)),
            timing: Some(timing),
            ..DownlinkTxInfo::default()
        };
        DownlinkFrameItem { phy_payload: Bytes::from_static(&[0x60; 12]), tx_info: Some(info) }
    }

    fn bench() -> (Downlinks, Instant) {
        let now = Instant::now();
        (Downlinks::new(&LoraRadio::usual("roof"), now), now)
    }

    fn submit(downlinks: &mut Downlinks, downlink_id: u32, items: Vec<DownlinkFrameItem>, now: Instant) {
        downlinks.submit(DownlinkFrame { downlink_id, items, gateway_id: String::new() }, now);
    }

    #[track_caller]
    fn sent(downlinks: &mut Downlinks, now: Instant) -> Token {
        match downlinks.next(now) {
            Some(Action::Send { token, .. }) => token,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn done(downlinks: &mut Downlinks, now: Instant) -> Done {
        match downlinks.next(now) {
            Some(Action::Done(done)) => done,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_item_that_says_nothing_of_how_keeps_its_place_among_the_statuses() {
        let (mut downlinks, now) = bench();
        let nothing = DownlinkFrameItem::default();
        submit(&mut downlinks, 7, vec![nothing.clone(), at_once(), nothing, at_once()], now);
        let token = sent(&mut downlinks, now);
        assert_eq!(downlinks.acknowledged(token, b"", now), Ok(()));
        let done = done(&mut downlinks, now);
        use TxStatus::{Ignored, InternalError, Ok as Sent};
        assert_eq!((done.downlink_id, done.statuses), (7, vec![InternalError, Sent, InternalError, Ignored]));
        assert_eq!(done.sent.map(|(frequency, _)| frequency), Some(868_100_000));
        assert!(downlinks.next(now).is_none() && downlinks.pending.is_empty() && downlinks.tokens.is_empty());
    }

    #[test]
    fn a_downlink_without_items_is_told_of_without_statuses() {
        let (mut downlinks, now) = bench();
        submit(&mut downlinks, 1, vec![], now);
        assert!(done(&mut downlinks, now).statuses.is_empty());
    }

    #[test]
    fn a_token_is_good_once_and_what_can_t_be_read_does_not_use_it_up() {
        let (mut downlinks, now) = bench();
        submit(&mut downlinks, 1, vec![at_once()], now);
        let token = sent(&mut downlinks, now);
        assert_eq!(downlinks.acknowledged([token[0], !token[1]], b"", now), Err(Refusal::AckUnasked));
        assert_eq!(downlinks.acknowledged(token, b"{", now), Err(Refusal::Json));
        assert_eq!(downlinks.acknowledged(token, b"", now), Ok(()));
        assert_eq!(downlinks.acknowledged(token, b"", now), Err(Refusal::AckUnasked));
    }

    #[test]
    fn what_is_never_answered_is_over_after_a_while_and_tokens_are_bounded() {
        let (mut downlinks, mut now) = bench();
        for id in 0..200 {
            submit(&mut downlinks, id, vec![at_once(), at_once()], now);
            sent(&mut downlinks, now);
            now += PATIENCE;
            let done = done(&mut downlinks, now);
            assert_eq!(done.statuses, [TxStatus::InternalError, TxStatus::Ignored]);
            assert!(done.why.contains("did not say"), "{}", done.why);
        }
        assert!(downlinks.tokens.len() <= TOKENS_MAX && downlinks.pending.is_empty());
    }

    #[test]
    fn all_that_is_under_way_is_given_up_together() {
        let (mut downlinks, now) = bench();
        for id in 0..3 {
            submit(&mut downlinks, id, vec![at_once()], now);
        }
        let mut ids: Vec<u32> = downlinks.give_up("gone").iter().map(|done| done.downlink_id).collect();
        ids.sort_unstable();
        assert_eq!(ids, [0, 1, 2]);
        assert!(downlinks.pending.is_empty());
    }
}
