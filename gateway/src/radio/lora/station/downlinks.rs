//! The downlinks that one gateway has been given and has not said to have sent. Pure: it is told the time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::downlink::{self, Prepared};
use super::message::Sent;
use crate::radio::lora::Refusal;
use crate::radio::lora::done::Done;
use crate::radio::lora::gw::DownlinkFrame;
use crate::radio::lora::region::Plan;
use crate::radio::lora::schedule::TxStatus;

struct Pending {
    downlink_id: u32,
    prepared: Prepared,
    due: Instant,
}

/// See the module's head.
pub(super) struct Downlinks {
    pending: BTreeMap<u32, Pending>,
    /// Policy: one more is refused as QUEUE_FULL.
    most: usize,
    next: u32,
}

impl Downlinks {
    /// None, and so many at most.
    pub(super) fn new(most: usize) -> Self {
        // Not the same after a restart: a Station may still have some of those before.
        Self { pending: BTreeMap::new(), most, next: fastrand::u32(..) }
    }

    /// Takes a downlink: what is to be said to Station, or what is to be told at once.
    ///
    /// # Errors
    /// When it can't be sent.
    pub(super) fn take(
        &mut self,
        frame: &DownlinkFrame,
        plan: &Plan,
        gps: Option<Duration>,
        now: Instant,
    ) -> Result<(u32, String), Done> {
        if self.pending.len() >= self.most {
            return Err(Done::not_tried(frame, TxStatus::QueueFull, "too many downlinks wait"));
        }
        let diid = self.next;
        let prepared = downlink::prepare(frame, diid, plan, gps).map_err(|whys| {
            let mut done = Done::all(frame.downlink_id, 0, TxStatus::InternalError, "");
            for why in whys {
                done.statuses.push(why.status);
                done.explain(&why);
            }
            done
        })?;
        self.next = self.next.wrapping_add(1);
        let json = prepared.json.clone();
        let due = now + prepared.patience;
        self.pending.insert(diid, Pending { downlink_id: frame.downlink_id, prepared, due });
        Ok((diid, json))
    }

    /// Station has sent one.
    ///
    /// # Errors
    /// When nothing of that name waits.
    pub(super) fn sent(&mut self, sent: &Sent) -> Result<Done, Refusal> {
        let diid = sent.downlink().and_then(|diid| u32::try_from(diid).ok()).ok_or(Refusal::Field)?;
        let Pending { downlink_id, prepared, .. } = self.pending.remove(&diid).ok_or(Refusal::AckUnasked)?;
        let (statuses, window) = prepared.sent(sent.dr, sent.frequency);
        let sent = window.map(|window| (window.frequency, window.modulation));
        Ok(Done { downlink_id, statuses, sent, why: String::new() })
    }

    /// One could not be given to Station.
    pub(super) fn unsent(&mut self, diid: u32, why: &str) -> Option<Done> {
        self.pending.remove(&diid).map(|pending| pending.given_up(why))
    }

    /// When the next one will have waited for too long.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.pending.values().map(|pending| pending.due).min()
    }

    /// Those that have waited for too long.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Done> {
        let why = "Station has not said that it sent it: it came too late, met another frame, or had no air time left";
        self.pending.extract_if(.., |_, pending| pending.due <= now).map(|(_, pending)| pending.given_up(why)).collect()
    }

    /// All, given up. What Station has of them may be sent all the same.
    pub(super) fn give_up(&mut self, why: &str) -> Vec<Done> {
        std::mem::take(&mut self.pending).into_values().map(|pending| pending.given_up(why)).collect()
    }
}

impl Pending {
    fn given_up(self, why: &str) -> Done {
        Done { downlink_id: self.downlink_id, statuses: self.prepared.not_sent(), sent: None, why: why.to_owned() }
    }
}
